"""Reading IDX files and checking source files: what is wrong is said in one sentence that names the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from mtlbench.tasks import DatasetError, Source, SourceFile, files


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def header(magic: int, *shape: int) -> bytes:
    return b"".join(number.to_bytes(4) for number in (magic, *shape))


def test_reads_what_was_written(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = write(tmp_path / "a.gz", header(2051, 2, 3, 4) + array.tobytes())
    assert np.array_equal(files.read_idx(path, 3), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(2049, 2, 3, 4) + bytes(24), "wrong magic number 2049 instead of 2051"),
        (header(0x0D03, 2, 3, 4) + bytes(96), "wrong magic number 3331 instead of 2051"),
        (header(0xDEADBEEF, 2, 3, 4) + bytes(24), "wrong magic number 3735928559 instead of 2051"),
        (header(2051, 2, 3, 4) + bytes(23), "is truncated: it holds 23 entries, but its header says 2 x 3 x 4"),
        (header(2051, 2, 3, 4) + bytes(25), "is too long: it holds 25 entries, but its header says 2 x 3 x 4"),
        (header(2051, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), "is truncated"),
        (header(2051, 2), "is truncated: 8 bytes are not even an IDX header"),
        (b"", "is truncated: 0 bytes are not even an IDX header"),
    ],
)
def test_wrong_content_is_named(tmp_path, content, message):
    path = write(tmp_path / "images.gz", content)
    with pytest.raises(DatasetError, match=message) as caught:
        files.read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_cut_gzip_stream_is_truncated(tmp_path):
    path = write(tmp_path / "images.gz", header(2051, 1, 28, 28) + bytes(784))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DatasetError, match="is truncated: its gzip stream breaks off"):
        files.read_idx(path, 3)


def test_a_damaged_gzip_stream_is_told_from_a_cut_one(tmp_path):
    path = write(tmp_path / "images.gz", header(2051, 1, 28, 28) + bytes(784))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # the stored checksum
    path.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="is damaged, its gzip stream or checksum is wrong"):
        files.read_idx(path, 3)


def test_a_web_page_in_place_of_the_file(tmp_path):
    path = tmp_path / "images.gz"
    path.write_text("<!DOCTYPE html>")
    with pytest.raises(DatasetError, match="is not a gzip file: it begins with the bytes 3c 21"):
        files.read_idx(path, 3)


def source(name: str, content: bytes, sha256: str) -> Source:
    return Source((SourceFile(name, sha256, len(content), f"https://home/{name}"),), "the home of a", "MIT", "none")


def test_a_wrong_checksum_gives_both(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    wanted = source("a", b"abc", "0" * 64)
    with pytest.raises(DatasetError, match=r"a has the wrong checksum: its sha256 is ba7816bf.*the home of a has 000"):
        files.verify(wanted, files.locate(wanted, tmp_path))


def test_the_right_file_passes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    wanted = source("a", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    paths = files.locate(wanted, tmp_path)
    files.verify(wanted, paths)
    assert paths == {"a": tmp_path / "a"}


def test_only_the_missing_files_are_asked_for(tmp_path):
    (tmp_path / "here").write_bytes(b"1")
    both = Source(source("here", b"1", "0" * 64).files + source("gone", b"1", "0" * 64).files, "home", "MIT", "none")
    with pytest.raises(DatasetError, match=r"lacks gone: .*https://home/gone") as caught:
        files.locate(both, tmp_path)
    assert "home/here" not in str(caught.value)
