"""What is declared, out of a zip or tar archive, and nothing outside the folder.

An archive that holds anything but plain files and folders inside its own tree is refused as a whole, before a byte of
it is written: no honest data set needs links or devices, or climbs out of its folder.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from mtlbench.tasks import DatasetError


@dataclass(frozen=True)
class Member:
    """One file in an archive: its path there, its size unpacked, and how to read it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Write the members of ``archive`` that match one of ``patterns`` below ``folder``; those there already stay.

    Returns their paths. Raises :class:`~mtlbench.tasks.DatasetError` where the archive is damaged or refused, or a
    pattern matches nothing.
    """
    written = []
    with _members(archive, folder) as members:
        for pattern in patterns:
            matching = [member for member in members if fnmatchcase(member.name, pattern)]
            if not matching:
                raise DatasetError(f"{archive} holds no member {pattern}")
            for member in matching:
                target = folder / member.name
                if not target.is_file() or target.stat().st_size != member.size:
                    _write(archive, member, target)
                written.append(target)
    return written


def extract(archive: Path, name: str, target: Path, most: int) -> None:
    """Write the member ``name`` of ``archive`` to the file ``target``; more than ``most`` bytes are refused."""
    with _members(archive, target.parent) as members:
        found = [member for member in members if member.name == name]
        if not found:
            raise DatasetError(f"{archive} holds no member {name}")
        if found[0].size > most:
            raise DatasetError(f"the member {name} of {archive} has {found[0].size} bytes instead of {most}")
        _write(archive, found[0], target)


@contextmanager
def _members(archive: Path, folder: Path) -> Iterator[list[Member]]:
    """The plain files in ``archive``, all of them safe to write below ``folder``."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield [*_zip_members(archive, opened, folder)]
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened_tar:
                yield [*_tar_members(archive, opened_tar, folder)]
        else:
            raise DatasetError(f"{archive} is neither a zip nor a tar archive")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # The last two: a compression or an encryption that Python's zipfile does not know.
        raise DatasetError(f"{archive} is damaged or cut, or cannot be unpacked: {error}") from None
    except OSError as error:
        raise DatasetError(f"{archive} cannot be unpacked: {error.strerror or error}") from None


def _zip_members(archive: Path, opened: zipfile.ZipFile, folder: Path) -> Iterator[Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
        plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
        _check(archive, info.filename, folder, plain)
        if not info.is_dir():
            yield Member(info.filename, info.file_size, lambda info=info: opened.open(info))  # type: ignore[misc]


def _tar_members(archive: Path, opened: tarfile.TarFile, folder: Path) -> Iterator[Member]:
    for info in opened:
        _check(archive, info.name, folder, info.isfile() or info.isdir())
        if info.isfile():
            yield Member(info.name, info.size, lambda info=info: _reader(opened, info))  # type: ignore[misc]


def _reader(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    reader = opened.extractfile(info)
    assert reader is not None  # info is a plain file
    return reader


def _check(archive: Path, name: str, folder: Path, plain: bool) -> None:
    # Resolved as well, so that a link that lies in the folder already leads nowhere else either.
    climbs = "\\" in name or ".." in PurePosixPath(name).parts
    if climbs or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{archive} is refused: its member {name!r} climbs out of the folder")
    if not plain:
        raise DatasetError(f"{archive} is refused: its member {name!r} is a link or a device, not a file")


def _write(archive: Path, member: Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as sink, member.open() as source:
            shutil.copyfileobj(source, sink, 1 << 20)
            if sink.tell() != member.size:
                raise DatasetError(f"{archive} is damaged: its member {member.name!r} is cut")
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
