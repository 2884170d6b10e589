"""An archive of strangers is read whole or refused in one sentence; our own repeats to the byte."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench.errors import CheckFailed, InputError
from mtlbench.publication import archive, bundle

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
        (_entry("small/bomb", b"0" * 10**6, compress_type=zipfile.ZIP_DEFLATED), "is compressed"),
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
    with pytest.raises(InputError) as caught, archive.opened(path):
        pass
    assert not isinstance(caught.value, CheckFailed)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_than_a_bundle_may_hold_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 10_000)
    with pytest.raises(InputError, match=r"declares 47 files.*not unpacked"), archive.opened(small / "small.zip"):
        pass
    with pytest.raises(InputError, match="47 files"):
        bundle.write(small)


def test_sizes_that_lie_are_noticed(small: Path) -> None:
    path = small / "small.zip"
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("small/report.html")
    content = bytearray(path.read_bytes())
    # The sizes in the directory at the end: both, so that the file still looks stored.
    place = content.rindex(b"small/report.html") - 46 + 20
    size = (entry.file_size + 500).to_bytes(4, "little")
    content[place : place + 8] = size + size
    path.write_bytes(content)
    with pytest.raises(CheckFailed, match=r"small\.zip.*report\.html"), archive.opened(path):
        pass


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_an_archive_that_was_cut_is_named(small: Path, share: float) -> None:
    path = small / "small.zip"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckFailed, match=r"small\.zip is cut off"), archive.opened(path):
        pass
