"""Source files: found in the data folder, read, and checked against what their home distributes.

Every error is one sentence that names the file. Datasets call :func:`locate`, a reader, then :func:`verify`: a file
that is cut or of another kind is told so, and the checksum has the last word before anything is used.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .dataset import DatasetError, Source, SourceFile

_GZIP_MAGIC = b"\x1f\x8b"
_POINTER = b"version https://git-lfs"
_UNSIGNED_BYTE = 0x08


def locate(source: Source, folder: Path) -> dict[str, Path]:
    """The path of every file of ``source``, and of all that its layout names, in ``folder``, by name.

    Raises :class:`DatasetError` where one is missing, cannot be read, or is a Git LFS pointer in place of the data.
    """
    paths = {name: folder / name for name in (*(file.name for file in source.files), *source.layout)}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        where = f"the folder {folder}" if folder.is_dir() else f"the folder {folder}, which does not exist,"
        urls = ", ".join(file.url for file in source.files if file.name in missing)
        home = f"{source.home} ({urls}), which `mtlbench data fetch` does" if urls else source.home
        holds = f"{folder.name}/" if source.folder else "them"
        raise DatasetError(
            f"{where} lacks {', '.join(missing)}: put there the files of {home}, or name the folder that holds {holds} "
            "with MTLBENCH_DATA or --data-dir"
        )
    for name, path in paths.items():
        if not (path.is_dir() and name in source.layout):
            refuse_pointer(path)
    return paths


def refuse_pointer(path: Path) -> None:
    """Raise :class:`DatasetError` where a Git LFS pointer lies at ``path`` in place of the data.

    :func:`locate` asks this for all that it finds; whoever reads a file of a folder, or one that may be missing, asks.
    """
    if _begins_with(path, _POINTER):
        raise DatasetError(f"{path} is a Git LFS pointer, not the data: fetch the file itself with git lfs pull")


def verify(source: Source, paths: Mapping[str, Path]) -> None:
    """Check size and sha256 of every file; raises :class:`DatasetError` at the first that is not the right one."""
    for file in source.files:
        found = problem(file, paths[file.name], source.home)
        if found:
            raise DatasetError(f"{paths[file.name]} {found}")


def problem(file: SourceFile, path: Path, home: str) -> str | None:
    """What is wrong with the copy of ``file`` at ``path``, to follow its name in a sentence; None: nothing is."""
    if not path.exists():
        return f"is missing: the file of {home} has {file.bytes} bytes"
    if _begins_with(path, _POINTER):
        return f"is a Git LFS pointer, not the data: the file of {home} has {file.bytes} bytes"
    size = path.stat().st_size
    if size != file.bytes:
        kind = "is truncated" if size < file.bytes else "is too long"
        return f"{kind}: it has {size} bytes instead of {file.bytes}"
    found = sha256(path)
    if found != file.sha256:
        return f"has the wrong checksum: its sha256 is {found}, but the file of {home} has {file.sha256}"
    return None


def sha256(path: Path) -> str:
    """The sha256 of the file at ``path``, in hexadecimal; never the whole of it in memory."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read a gzip file in the IDX format: uint8 of shape (d_1, ..., d_dimensions).

    IDX: the bytes 0, 0, type (8 for uint8) and number of dimensions; each dimension as a big-endian uint32; the
    entries. Raises :class:`DatasetError` where the file is not gzip, is cut or damaged, has another magic number,
    or holds more or fewer entries than it says.
    """
    content = read_gzip(path)
    magic = int.from_bytes(content[:4])
    expected = _UNSIGNED_BYTE << 8 | dimensions
    if len(content) < 4 + 4 * dimensions:
        raise DatasetError(f"{path} is truncated: {len(content)} bytes are not even an IDX header")
    if magic != expected:
        raise DatasetError(
            f"{path} has the wrong magic number {magic} instead of {expected} (uint8 in {dimensions} dimensions)"
        )
    shape = tuple(int(d) for d in np.frombuffer(content, dtype=">u4", count=dimensions, offset=4))
    entries = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions)
    if len(entries) != math.prod(shape):
        problem = "is truncated" if len(entries) < math.prod(shape) else "is too long"
        raise DatasetError(
            f"{path} {problem}: it holds {len(entries)} entries, but its header says {' x '.join(map(str, shape))}"
        )
    return entries.reshape(shape)


def read_gzip(path: Path) -> bytes:
    """The content of a gzip file; raises :class:`DatasetError` where it is none, or cut or damaged."""
    content = _read_bytes(path)
    if not content.startswith(_GZIP_MAGIC):
        raise DatasetError(f"{path} is not a gzip file: it begins with the bytes {content[:8].hex(' ') or '(none)'}")
    try:
        return gzip.decompress(content)
    except EOFError:
        raise DatasetError(f"{path} is truncated: its gzip stream breaks off after {len(content)} bytes") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path} is damaged, its gzip stream or checksum is wrong: {error}") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None


def _begins_with(path: Path, start: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
