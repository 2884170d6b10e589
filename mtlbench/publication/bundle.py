"""The publication bundle: one zip of everything the manifest names, the same bytes for the same files.

It ends in its seal, the sha256 of all bytes before it as the comment of the zip: a compressor has more than one way to
write the same file, so the digests of the files alone would not answer for every byte.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from mtlbench.errors import CheckFailed, InputError
from mtlbench.publication import manifest

PARTS = ("runs", "config.json", "constraints.txt", "leaderboard.csv", "overall.csv", "report.html")
"""What a bundle holds at least, beside its manifest."""

MAX_BYTES = 2**30
"""What the files of a bundle may take together. Below twice that a zip needs none of its extensions."""

MAX_FILES = 60_000

TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can state; the files' own times would make every archive different."""

SEAL_BYTES = 64
CHUNK = 2**20


def write(results: Path) -> Path:
    """Write ``<name>.zip`` into the results folder ``<name>`` and return its path.

    Raises :class:`~mtlbench.errors.CheckFailed` when a file is not as the manifest says or a part is missing, naming
    the first, and :class:`~mtlbench.errors.InputError` when there is more than anybody's ``verify`` would read.
    """
    results = results.resolve()
    changed = manifest.differences(results)
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise CheckFailed(f"{changed[0]}{more}: write the report again before bundling")
    if lacking := missing_parts(results):
        raise CheckFailed(f"{results / lacking[0]} is missing: a bundle is made of the results of a pipeline's run")
    names = [*manifest.listed(results), manifest.NAME]
    size = sum((results / name).stat().st_size for name in names)
    if size > MAX_BYTES or len(names) > MAX_FILES:
        raise InputError(f"{results}: {said_size(len(names), size)}, but {LIMIT}")
    target = results / f"{results.name}.zip"
    temporary = results / f".{target.name}.part"
    try:
        pack(results, names, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def pack(results: Path, names: Iterable[str], target: Path) -> None:
    """Write the files ``names`` of ``results`` into the zip ``target``, in this order, below the folder's name.

    The bytes depend on the files and on the version of zlib, on nothing else.
    """
    with zipfile.ZipFile(target, "w") as archive:
        archive.comment = b"0" * SEAL_BYTES
        for name in names:
            entry = zipfile.ZipInfo(f"{results.name}/{name}", TIME)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3  # unix, wherever it is written
            archive.writestr(entry, (results / name).read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    with target.open("r+b") as file:
        file.seek(-SEAL_BYTES, os.SEEK_END)
        file.write(_seal(target))


def sealed(path: Path) -> bool:
    """Whether every byte of the bundle at ``path`` is as :func:`pack` left it."""
    with path.open("rb") as file:
        file.seek(-SEAL_BYTES, os.SEEK_END)
        return file.read() == _seal(path)


def _seal(path: Path) -> bytes:
    """The sha256 of all bytes but the last 64, in hexadecimal, which is what these have to be."""
    total, left = hashlib.sha256(), path.stat().st_size - SEAL_BYTES
    with path.open("rb") as file:
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            total.update(chunk)
            left -= len(chunk)
    return total.hexdigest().encode()


def missing_parts(results: Path) -> list[str]:
    """Which of :data:`PARTS` are not there."""
    return [name for name in PARTS if not (results / name).exists()]


def said_size(files: int, size: int) -> str:
    """``5 files, 12.3 MiB``."""
    return f"{files} files, {size / 2**20:,.1f} MiB"


LIMIT = f"a bundle has at most {MAX_FILES} files and {MAX_BYTES >> 20} MiB"
