"""Read a bundle of strangers: into a temporary folder, and only what a bundle may hold.

Nothing in the archive is believed. Refused as wrong input, before anything is unpacked: names that leave the folder,
links, names that stand twice, files that share bytes, more files or bytes than
:mod:`~mtlbench.publication.bundle` would write. No file is unpacked to more than it declares. Nothing in it is run, and
nothing is unpickled.
"""

from __future__ import annotations

import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mtlbench.errors import CheckFailed, InputError
from mtlbench.publication import bundle

# The first bytes of a file in a zip, and of the record that ends one, with the seal after it.
BEGIN, END = b"PK\x03\x04", b"PK\x05\x06"

# Of the heads of a file, of its line in the directory (both without the name), and of the record at the end.
HEAD_BYTES, LINE_BYTES, END_BYTES = 30, 46, 22

# What zipfile raises for damaged archives, also where it did not mean to.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    UnicodeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The results folder that ``path`` names: itself, or the content of the bundle in a temporary folder.

    Raises :class:`~mtlbench.errors.InputError` for what is no result or not safe to read, and
    :class:`~mtlbench.errors.CheckFailed` for a damaged archive. Errors raised inside name the bundle's files by the
    bundle.
    """
    if path.is_dir():
        if not (path / "runs").is_dir():
            raise InputError(f"{path} holds no runs/: give a bundle or the folder of one benchmark, like results/quick")
        yield path
        return
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a bundle or the folder of one benchmark, like results/quick")
    with tempfile.TemporaryDirectory(prefix="mtlbench-bundle-") as temporary:
        results = extract(path, Path(temporary))
        try:
            yield results
        except InputError as error:
            raise type(error)(str(error).replace(str(results), str(path))) from error


def extract(path: Path, target: Path) -> Path:
    """Unpack the bundle at ``path`` below ``target`` and return the results folder that was in it."""
    with path.open("rb") as file:
        _check_ends(path, file)
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                _check_safe(path, entries)
                for entry in entries:
                    _unpack(path, archive, entry, target / entry.filename)
        except _DAMAGE as error:
            raise CheckFailed(f"{path} is damaged: {_line(error)}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be unpacked into {target}: {error.strerror or error}") from None
    return target / entries[0].filename.partition("/")[0]


def _check_ends(path: Path, file: BinaryIO) -> None:
    """A bundle begins with a file and ends with its directory and its seal; a zip that it holds is no end of it."""
    begin, size = file.read(4), path.stat().st_size
    if begin != BEGIN:
        raise InputError(f"{path} is not a bundle: a bundle is a zip archive")
    for end in (size - END_BYTES - bundle.SEAL_BYTES, size - END_BYTES):
        file.seek(max(0, end))
        if file.read(4) == END:
            return
    raise CheckFailed(f"{path} is cut off, or something was added to it: it does not end as a bundle does")


def _check_safe(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what could harm the machine that reads it."""
    if not entries:
        raise InputError(f"{path} is empty")
    size = sum(entry.file_size for entry in entries)
    if len(entries) > bundle.MAX_FILES or size > bundle.MAX_BYTES:
        raise InputError(f"{path} declares {bundle.said_size(len(entries), size)}, but {bundle.LIMIT}: not unpacked")
    for entry in entries:
        if wrong := _wrong_name(entry.orig_filename):
            raise InputError(f"{path}: the name {entry.orig_filename!r} {wrong}: not unpacked")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise InputError(f"{path}: {entry.filename} is a link or no plain file: not unpacked")
    # On some file systems two names that differ by case are one file.
    name, count = Counter(entry.filename.casefold() for entry in entries).most_common(1)[0]
    if count > 1:
        raise InputError(f"{path}: the name {name!r} stands {count} times in it: not unpacked")
    roots = {entry.filename.partition("/")[0] for entry in entries}
    if len(roots) > 1:
        raise InputError(f"{path} holds {', '.join(sorted(roots)[:3])}: a bundle holds one results folder")
    for entry, follows in zip(entries, [*entries[1:], None], strict=True):
        if entry.compress_type not in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
            raise InputError(f"{path}: {entry.filename} is compressed in a way that no bundle is: not unpacked")
        if follows and follows.header_offset < entry.header_offset + HEAD_BYTES + entry.compress_size:
            raise InputError(f"{path}: {entry.filename} and {follows.filename} share bytes: not unpacked")


def fits(path: Path) -> bool:
    """Whether every byte of the bundle at ``path`` belongs to a file of it, the directory or the seal."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    place, directory = 0, 0
    for entry in entries:
        if entry.header_offset != place or entry.extra or entry.comment:
            return False
        name = len(entry.filename.encode())
        place += HEAD_BYTES + name + entry.compress_size
        directory += LINE_BYTES + name
    return place + directory + END_BYTES + bundle.SEAL_BYTES == path.stat().st_size


def _wrong_name(name: str) -> str:
    """What is wrong with the name of a file in an archive; "" where nothing is."""
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "is an absolute path"
    parts = name.split("/")
    if ".." in parts:
        return "climbs out of the folder"
    if len(parts) < 2 or any(part in ("", ".") or len(part.encode()) > 255 for part in parts) or len(parts) > 32:
        return "is not that of a file in a results folder"
    if "\\" in name or not name.isprintable():
        return "holds a character that no file of a bundle has in its name"
    return ""


def _unpack(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one file, never more of it than it declares; zipfile compares its checksum at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    try:
        with archive.open(entry) as packed, target.open("xb") as file:
            while chunk := packed.read(min(bundle.CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                file.write(chunk)
    except _DAMAGE as error:
        raise CheckFailed(f"{path}: {entry.filename} is damaged: {_line(error)}") from None
    if left:
        raise CheckFailed(f"{path}: {entry.filename} does not have the {entry.file_size} bytes that it declares")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
