"""A named, versioned collection of Gramians from real training, each with the covariance of its sampling noise.

    from mtlbench import gramians
    for record in gramians.load(version=2):
        record.name, record.gramian, record.noise, record.meta

``README.md`` tells what they are and how to add to them. archive.py: the files and their check; noise.py: what is
measured on a batch; recipe.py and record.py: how a collection was recorded, and can be again. Nothing here but the last
two needs torch.
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path

from mtlbench.errors import InputError
from mtlbench.gramians.archive import Meta, Record, check, read, write

__all__ = ["LATEST", "Meta", "Record", "check", "index_file", "load", "names", "read", "thinned", "write"]

LATEST = 2
"""The newest version. A new one adds a pair of files; those of the older ones are never edited."""


def index_file(version: int) -> Path:
    """The index of what ``version`` added. Raises :class:`~mtlbench.errors.InputError` for one that does not exist."""
    if version not in range(1, LATEST + 1):
        raise InputError(f"there is no collection {version!r}: versions run from 1 to {LATEST}")
    return Path(__file__).with_name(f"collection-{version}.json")


def load(version: int = LATEST) -> list[Record]:
    """The records of ``version``: those of the versions before it, and what it added, in the order of the indices.

    Raises :class:`~mtlbench.errors.InputError` for an unknown version, :class:`~mtlbench.errors.CheckFailed` where a
    file is damaged.
    """
    index_file(version)
    return [record for number in range(1, version + 1) for record in read(index_file(number))]


def names(version: int = LATEST) -> tuple[str, ...]:
    """The names of the records of ``version``, in the order of :func:`load`."""
    return tuple(record.name for record in load(version))


def thinned(count: int, limit: int) -> list[int]:
    """The places of at most ``limit`` of ``count`` records, spread over all of them; a larger limit adds to them.

    Those of the smallest fractional parts of i (√5 − 1)/2: gaps of at most three lengths, so that no period of the
    order (stages, methods, seeds) is met again and again.
    """
    golden = (sqrt(5.0) - 1.0) / 2.0
    return sorted(sorted(range(count), key=lambda i: i * golden % 1.0)[:limit])
