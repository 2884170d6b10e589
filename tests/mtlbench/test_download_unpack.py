"""Archives: what is declared comes out, and nothing ever lands outside the folder."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench.download.unpack import extract, unpack
from mtlbench.tasks import DatasetError


def zipped(path: Path, name: str, kind: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("in/good.txt", "good" * 100)
        info = zipfile.ZipInfo(name)
        info.external_attr = kind << 16
        opened.writestr(info, "outside")
    return path


def tarred(path: Path, name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for member, content in (("in/good.txt", b"good" * 100), (name, b"outside")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            if member == name:
                info.type, info.linkname = kind, link
            opened.addfile(info, io.BytesIO(content))
    return path


CLIMBING = ["../evil", "in/../../evil", "../folder/evil", "/evil", "..\\evil", "C:\\evil"]


@pytest.mark.parametrize("pattern", ["*", "in/good.txt"])
@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_member_that_climbs_out_refuses_the_archive(tmp_path, make: Callable[..., Path], name, pattern):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DatasetError, match=r"is refused: its member .*evil' climbs out of the folder") as caught:
        unpack(make(tmp_path / "a", name), folder, (pattern,))
    assert "\n" not in str(caught.value)
    assert not list(folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]


@pytest.mark.parametrize(
    "made",
    [
        lambda path: tarred(path, "in/link", tarfile.SYMTYPE, "/etc/passwd"),
        lambda path: tarred(path, "in/link", tarfile.LNKTYPE, "in/good.txt"),
        lambda path: tarred(path, "in/link", tarfile.CHRTYPE),
        lambda path: tarred(path, "in/link", tarfile.FIFOTYPE),
        lambda path: zipped(path, "in/link", 0o120777),
        lambda path: zipped(path, "in/link", 0o020666),
    ],
)
def test_links_and_devices_refuse_the_archive(tmp_path, made):
    with pytest.raises(DatasetError, match=r"is refused: its member 'in/link' is a link or a device, not a file"):
        unpack(made(tmp_path / "a"), tmp_path / "folder", ("in/good.txt",))
    assert not (tmp_path / "folder").exists()


def test_a_link_in_the_folder_leads_nowhere_either(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "in").symlink_to(tmp_path)
    with pytest.raises(DatasetError, match="climbs out"):
        unpack(zipped(tmp_path / "a", "other"), tmp_path / "folder", ("in/*",))
    assert not (tmp_path / "good.txt").exists()


@pytest.mark.parametrize("make", [zipped, tarred])
def test_only_what_is_declared_comes_out_and_what_is_there_stays(tmp_path, make):
    archive, folder = make(tmp_path / "a", "not/asked.for"), tmp_path / "folder"
    assert unpack(archive, folder, ("in/*.txt",)) == [folder / "in" / "good.txt"]
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*")] == ["in", "in/good.txt"]
    written = (folder / "in" / "good.txt").stat().st_mtime_ns
    unpack(archive, folder, ("in/*.txt",))
    assert (folder / "in" / "good.txt").stat().st_mtime_ns == written
    (folder / "in" / "good.txt").write_text("cut")
    unpack(archive, folder, ("in/*.txt",))
    assert (folder / "in" / "good.txt").read_text() == "good" * 100
    with pytest.raises(DatasetError, match=r"holds no member \*.png"):
        unpack(archive, folder, ("*.png",))


@pytest.mark.parametrize("make", [zipped, tarred])
def test_one_member_under_a_name_of_its_own(tmp_path, make):
    archive = make(tmp_path / "a", "not/asked.for")
    extract(archive, "in/good.txt", tmp_path / "mine.txt", 400)
    assert (tmp_path / "mine.txt").read_text() == "good" * 100
    with pytest.raises(DatasetError, match="has 400 bytes instead of 399"):
        extract(archive, "in/good.txt", tmp_path / "other.txt", 399)
    assert not (tmp_path / "other.txt").exists()


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_cut_or_damaged_archive_is_said_to_be_one(tmp_path, make):
    whole = make(tmp_path / "a", "not/asked.for").read_bytes()
    for number, damaged in enumerate((whole[:-30], whole[:60], b"no archive", b"", whole[:43] + b"????" + whole[47:])):
        archive, folder = tmp_path / f"b{number}", tmp_path / f"folder{number}"
        archive.write_bytes(damaged)
        with pytest.raises(DatasetError, match=f"b{number} is (damaged|neither)|b{number} cannot be unpacked"):
            unpack(archive, folder, ("in/good.txt",))
        assert not folder.exists() or not [path for path in folder.rglob("*") if path.is_file()]
