"""An archive of strangers is read whole or refused in one sentence; our own repeats to the byte."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench.errors import CheckFailed, InputError
from mtlbench.publication import archive, bundle
from mtlbench.publication.verify import verify

pytestmark = pytest.mark.xdist_group("publication")


def test_a_bundle_repeats_to_the_byte_and_comes_out_as_it_went_in(small: Path) -> None:
    first = (small / "small.zip").read_bytes()
    os.utime(small / "config.json", (0, 0))
    os.chmod(small / "config.json", 0o600)
    assert bundle.write(small).read_bytes() == first
    with archive.opened(small / "small.zip") as results:
        for name in ("config.json", "constraints.txt", "leaderboard.csv", "report.html", "manifest.json"):
            assert (results / name).read_bytes() == (small / name).read_bytes()
        assert len(list(results.glob("runs/**/run.json"))) == 9
    assert not results.exists()


def test_no_bundle_is_written_of_files_that_changed_or_are_not_there(small: Path, tmp_path: Path) -> None:
    (small / "small.zip").unlink()
    (small / "leaderboard.md").write_text("#")
    with pytest.raises(CheckFailed, match=r"leaderboard\.md is cut"):
        bundle.write(small)
    (small / "constraints.txt").unlink()
    (small / "manifest.json").unlink()
    bundle.manifest.write(small)
    with pytest.raises(CheckFailed, match=r"constraints\.txt is missing"):
        bundle.write(small)
    assert not (small / "small.zip").exists()


def _entry(name: str, content: bytes = b"x", mode: int = 0o100644, **settings: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as file:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            for key, value in settings.items():
                setattr(entry, key, value)
            file.writestr(entry, content)

    return write


def _shared(path: Path) -> None:
    """The line of the second file leads to the first: how a zip bomb unpacks the same bytes many times."""
    content = bytearray(path.read_bytes())
    line = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[line + 42 : line + 46] = bytes(4)
    path.write_bytes(content)


def _twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        _entry("small/config.json")(path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_entry("small/../../escaped"), "climbs out of the folder"),
        (_entry("/etc/escaped"), "is an absolute path"),
        (_entry("C:/escaped"), "is an absolute path"),
        (_entry("small\\..\\escaped"), "is not that of a file"),
        (_entry("small/a\\escaped"), "holds a character"),
        (_entry("small/a\x1b[2J"), "holds a character"),
        (_entry("small/folder/", b""), "is not that of a file"),
        (_entry("small/link", b"/etc/passwd", 0o120777), "is a link"),
        (_entry("small/pipe", b"", 0o010644), "is a link or no plain file"),
        (_entry("small/Config.JSON"), "'small/config.json' stands 2 times"),
        (_twice, "'small/config.json' stands 2 times"),
        (_entry("other/config.json"), "a bundle holds one results folder"),
        (_entry("small/packed", b"0" * 10**6, compress_type=zipfile.ZIP_LZMA), "compressed in a way that no bundle is"),
        (_shared, "share bytes"),
        (_entry("small/bomb", b"0" * 2**26, compress_type=zipfile.ZIP_DEFLATED), "a bundle has at most"),
        (lambda path: path.write_bytes(b"not an archive"), "is not a bundle"),
        (lambda path: path.write_bytes(b""), "is not a bundle"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_what_could_do_harm_is_refused_before_anything_is_unpacked(
    small: Path, tmp_path: Path, damage: Callable[[Path], None], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small / "small.zip"
    damage(path)
    monkeypatch.setattr(archive, "_unpack", lambda *_: pytest.fail("something was unpacked"))
    monkeypatch.setattr(bundle, "MAX_BYTES", 2**26)
    with pytest.raises(InputError) as caught, archive.opened(path):
        pass
    assert not isinstance(caught.value, CheckFailed)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_than_a_bundle_may_hold_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 10_000)
    with pytest.raises(InputError, match=r"declares 48 files.*not unpacked"), archive.opened(small / "small.zip"):
        pass
    with pytest.raises(InputError, match="48 files"):
        bundle.write(small)


def test_sizes_that_lie_are_noticed(small: Path) -> None:
    path = small / "small.zip"
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("small/report.html")
    content = bytearray(path.read_bytes())
    # What the directory at the end says that the file takes unpacked.
    place = content.rindex(b"small/report.html") - 46 + 24
    for size in (entry.file_size - 5, entry.file_size + 5):
        lying = content.copy()
        lying[place : place + 4] = size.to_bytes(4, "little")
        path.write_bytes(lying)
        with pytest.raises(CheckFailed, match=r"small\.zip"), archive.opened(path):
            pass


def _misfit(path: Path) -> str:
    found = verify(path)
    assert isinstance(found, list)
    assert len(found) == 1
    return found[0]


def test_a_bit_that_no_file_depends_on_and_bytes_that_belong_to_none_are_found(small: Path) -> None:
    path = small / "small.zip"
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        directory = file.start_dir  # type: ignore[attr-defined]
    changed = bytearray(whole)
    changed[10] ^= 1  # the time in the head of the first file, which stands in the directory again
    path.write_bytes(changed)
    assert "small.zip holds the right files, but not as mtlbench packs them: its seal is broken" in _misfit(path)
    hidden = bytearray(whole[:directory] + b"hidden" + whole[directory:])
    end = len(hidden) - bundle.SEAL_BYTES - 6
    hidden[end : end + 4] = (directory + 6).to_bytes(4, "little")
    path.write_bytes(hidden)
    hidden[-bundle.SEAL_BYTES :] = bundle._seal(path)
    path.write_bytes(hidden)
    assert bundle.sealed(path)
    assert "not as mtlbench packs them" in _misfit(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_others_packed_is_told_what_to_do_and_a_file_changed_in_it_is_named(
    small: Path, compression: int
) -> None:
    path = small / "small.zip"
    with zipfile.ZipFile(path) as file:
        contents = {entry.filename: file.read(entry) for entry in file.infolist()}
    for sentence in (
        "it has none, as bundles of earlier versions: unpack it",
        "report.html was changed",
    ):
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, content in contents.items():
                file.writestr(name, content)
        assert sentence in _misfit(path)
        contents["small/report.html"] = b"<p>4 seeds</p>\n"


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_an_archive_that_was_cut_is_named(small: Path, share: float) -> None:
    path = small / "small.zip"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckFailed, match=r"small\.zip is cut off"), archive.opened(path):
        pass
