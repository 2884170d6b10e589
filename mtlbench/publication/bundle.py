"""The publication bundle: one zip of everything the manifest names, the same bytes for the same files."""

from __future__ import annotations

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

    They are stored as they are: what a compressor writes depends on its version, and these bytes on nothing.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            # The earliest time a zip can state; the files' own times would make every archive different.
            entry = zipfile.ZipInfo(f"{results.name}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3  # unix, wherever it is written
            archive.writestr(entry, (results / name).read_bytes())


def missing_parts(results: Path) -> list[str]:
    """Which of :data:`PARTS` are not there."""
    return [name for name in PARTS if not (results / name).exists()]


def said_size(files: int, size: int) -> str:
    """``5 files, 12.3 MiB``."""
    return f"{files} files, {size / 2**20:,.1f} MiB"


LIMIT = f"a bundle has at most {MAX_FILES} files and {MAX_BYTES >> 20} MiB"
