"""Source files: found in the data folder, read, and checked against what their home distributes.

Every error is one sentence that names the file. Datasets call :func:`locate`, a reader, then :func:`verify`: a file
that is cut or of another kind is told so, and the checksum has the last word before anything is used.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from .dataset import DatasetError, Source

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
        home = f"{source.home} ({urls})" if urls else source.home
        raise DatasetError(
            f"{where} lacks {', '.join(missing)}: put there the files of {home}, or name the folder that holds "
            f"{folder.name}/ with MTLBENCH_DATA or --data-dir"
        )
    for name, path in paths.items():
        if not (path.is_dir() and name in source.layout) and _begins_as_pointer(path):
            raise DatasetError(f"{path} is a Git LFS pointer, not the data: fetch the file itself with git lfs pull")
    return paths


def verify(source: Source, paths: dict[str, Path]) -> None:
    """Check size and sha256 of every file; raises :class:`DatasetError` at the first that is not the right one."""
    for file in source.files:
        content = _read_bytes(paths[file.name])
        if len(content) != file.bytes:
            problem = "is truncated" if len(content) < file.bytes else "is too long"
            raise DatasetError(f"{paths[file.name]} {problem}: it has {len(content)} bytes instead of {file.bytes}")
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            raise DatasetError(
                f"{paths[file.name]} has the wrong checksum: its sha256 is {found}, but the file of {source.home} "
                f"has {file.sha256}"
            )


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read a gzip file in the IDX format: uint8 of shape (d_1, ..., d_dimensions).

    IDX: the bytes 0, 0, type (8 for uint8) and number of dimensions; each dimension as a big-endian uint32; the
    entries. Raises :class:`DatasetError` where the file is not gzip, is cut or damaged, has another magic number,
    or holds more or fewer entries than it says.
    """
    content = _decompress(path)
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


def _decompress(path: Path) -> bytes:
    content = _read_bytes(path)
    if not content.startswith(_GZIP_MAGIC):
        raise DatasetError(f"{path} is not a gzip file: it begins with the bytes {content[:8].hex(' ') or '(none)'}")
    try:
        return gzip.decompress(content)
    except EOFError:
        raise DatasetError(f"{path} is truncated: its gzip stream breaks off after {len(content)} bytes") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path} is damaged, its gzip stream or checksum is wrong: {error}") from None


def _begins_as_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_POINTER)) == _POINTER
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
