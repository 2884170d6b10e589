"""Fetching the files of a dataset, from a server on this machine: the real code over a real connection."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from serving import Server, serve

from mtlbench import cli, tasks
from mtlbench.download.fetch import fetch
from mtlbench.errors import CheckFailed, InputError
from mtlbench.tasks import Source, SourceFile

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = len(CONTENT) // 2
SECONDS = 0.2


def archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for name, content in members.items():
            opened.writestr(f"inside/{name}", content)
    return packed.getvalue()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    both = archive(a=CONTENT, b=b"second")
    zips = {"both.zip": both, "other.zip": archive(a=b"x"), "climbing.zip": archive(**{"../../a": CONTENT})}
    with serve({"a.gz": CONTENT, "b.gz": b"second"} | zips) as server:
        yield server


@pytest.fixture
def server(running, monkeypatch) -> Server:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running.asked.clear()
    running.ranges.clear()
    return running


def file(*urls: str, name: str = "a.gz", content: bytes = CONTENT, **more: Any) -> SourceFile:
    return SourceFile(name, hashlib.sha256(content).hexdigest(), len(content), urls[0], urls[1:], **more)


def dataset(*files: SourceFile) -> Any:
    source = Source(files, "the home of a", "CC BY 4.0", "A. Author. Paper. 2020", "a")
    return SimpleNamespace(name="mine", source=source, summary="")


@contextmanager
def quiet(_: str) -> Iterator[Callable[[int, int | None], None]]:
    yield lambda done, total: None


def get(data_dir: Path, *files: SourceFile) -> dict[str, bool]:
    return {path.name: new for path, new in fetch(dataset(*files), data_dir, SECONDS, quiet).items()}


def left(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "a").rglob("*") if path.name != ".lock")


@pytest.mark.parametrize(
    ("kind", "ranges"),
    [
        ("good", [None]),
        ("redirected", [None, None]),
        ("encoded", [None]),
        ("breaking", [None, f"bytes={HALF}-"]),
        ("stalling", [None, f"bytes={HALF}-"]),
    ],
)
def test_the_file_arrives_and_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path, kind, ranges):
    assert get(tmp_path, file(server.url(kind, "a.gz"))) == {"a.gz": True}
    assert (tmp_path / "a" / "a.gz").read_bytes() == CONTENT
    assert left(tmp_path) == ["a.gz"]
    # What a stalled connection had read but not written is asked for again.
    starts = [int(r[6:-1]) if r else None for r in server.ranges]
    wanted = [int(r[6:-1]) if r else None for r in ranges]
    assert len(starts) == len(wanted)
    assert all(s is w is None or (s and w and w - (1 << 16) <= s <= w) for s, w in zip(starts, wanted, strict=True))


@pytest.mark.parametrize(
    ("kind", "kept", "message", "status"),
    [
        ("cut", True, "broke off", 2),
        ("unsaid", True, "broke off", 2),
        ("stalled", True, "has stalled", 2),
        ("silent", False, "has stalled", 2),
        ("wrong", False, "holds another file, whose sha256 is not", 1),
        ("short", False, f"holds another file, of {HALF} bytes instead of {len(CONTENT)}", 2),
        ("endless", True, f"holds another file, of more than {len(CONTENT)} bytes", 2),
        ("circular", False, "Exceeded 30 redirects", 2),
        ("gone", False, "answers 404 Not Found", 2),
        ("broken", False, "answers 500 Internal Server Error", 2),
    ],
)
def test_what_goes_wrong_is_said_with_what_to_put_where(server, tmp_path, kind, kept, message, status):
    wanted = file(server.url(kind, "a.gz"))
    with pytest.raises(InputError) as caught:
        get(tmp_path, wanted)
    said = str(caught.value)
    assert f"{wanted.url} {message}" in said
    assert f"put the files of the home of a into {tmp_path / 'a'} by hand: a.gz (300000 bytes, sha256" in said
    assert "\n" not in said
    assert isinstance(caught.value, CheckFailed) == (status == 1)
    parts = [path for path in (tmp_path / "a").glob(".*.part") if path.stat().st_size]
    assert bool(parts) == kept
    assert not (tmp_path / "a" / "a.gz").exists()


def test_no_network(tmp_path, server):
    url = f"http://127.0.0.1:{server.port}/good/a.gz".replace(str(server.port), "1")
    with pytest.raises(InputError, match="cannot be reached; try again, or put the files") as caught:
        get(tmp_path, file(url), file(url, name="b.gz", content=b"second"))
    assert "a.gz (300000 bytes" in str(caught.value)
    assert "b.gz (6 bytes" in str(caught.value)


def test_mirrors_are_asked_in_turn_and_go_on_with_what_is_there(server, tmp_path):
    urls = [server.url(kind, "a.gz") for kind in ("gone", "cut", "good")]
    assert get(tmp_path, file(*urls)) == {"a.gz": True}
    assert (tmp_path / "a" / "a.gz").read_bytes() == CONTENT
    assert server.ranges[-1] is not None


def test_what_an_earlier_call_left_is_gone_on_with(server, tmp_path):
    with pytest.raises(InputError):
        get(tmp_path, file(server.url("cut", "a.gz")))
    held = (tmp_path / "a" / ".a.gz.part").stat().st_size
    assert held > 0
    server.ranges.clear()
    get(tmp_path, file(server.url("good", "a.gz")))
    assert server.ranges == [f"bytes={held}-"]


@pytest.mark.parametrize("kind", ["good", "whole"])
@pytest.mark.parametrize("rest", [b"x" * 10, b"x" * 300_000, b"x" * 300_001, CONTENT[:7], CONTENT], ids=len)
def test_a_rest_of_whatever_does_no_harm(server, tmp_path, kind, rest):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".a.gz.part").write_bytes(rest)
    get(tmp_path, file(server.url(kind, "a.gz")))
    assert (tmp_path / "a" / "a.gz").read_bytes() == CONTENT
    assert left(tmp_path) == ["a.gz"]


def test_a_range_that_was_not_asked_for_is_refused(server, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".a.gz.part").write_bytes(CONTENT[:7])
    with pytest.raises(InputError, match="sends the range 'bytes 8-299999/300000', not from byte 7"):
        get(tmp_path, file(server.url("shifted", "a.gz")))


def test_only_what_is_missing_or_damaged_is_fetched(server, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.gz").write_bytes(CONTENT)
    (tmp_path / "a" / "b.gz").write_bytes(b"sEcond")
    both = file(server.url("good", "a.gz")), file(server.url("good", "b.gz"), name="b.gz", content=b"second")
    assert get(tmp_path, *both) == {"a.gz": False, "b.gz": True}
    assert (tmp_path / "a" / "b.gz").read_bytes() == b"second"
    assert list(server.asked) == ["/good/b.gz"]
    assert get(tmp_path, *both) == {"a.gz": False, "b.gz": False}


def test_files_out_of_one_archive_which_is_fetched_once(server, tmp_path):
    urls = server.url("gone", "both.zip"), server.url("breaking", "both.zip")
    files = file(*urls, member="inside/a"), file(*urls, name="sub/b", content=b"second", member="inside/b")
    assert get(tmp_path, *files) == {"a.gz": True, "b": True}
    assert (tmp_path / "a" / "a.gz").read_bytes() == CONTENT
    assert (tmp_path / "a" / "sub" / "b").read_bytes() == b"second"
    assert server.asked["/breaking/both.zip"] == 2  # the one that broke off, and the rest
    assert left(tmp_path) == ["a.gz", "b", "sub"]


@pytest.mark.parametrize(
    ("name", "member", "message", "kind"),
    [
        ("a.gz", "inside/a", "is neither a zip nor a tar archive", InputError),
        ("both.zip", "inside/c", "holds no member inside/c", InputError),
        ("climbing.zip", "inside/a", r"its member 'inside/../../a' climbs out of the folder", InputError),
        ("other.zip", "inside/a", "holds another inside/a: it is truncated: it has 1 bytes", CheckFailed),
    ],
)
def test_an_archive_without_the_file_gives_way_to_a_mirror(server, tmp_path, name, member, message, kind):
    with pytest.raises(InputError, match=message) as caught:
        get(tmp_path, file(server.url("good", name), member=member))
    assert type(caught.value) is kind
    assert left(tmp_path) == []
    get(tmp_path, file(server.url("good", name), server.url("good", "both.zip"), member="inside/a"))
    assert (tmp_path / "a" / "a.gz").read_bytes() == CONTENT


def test_a_declared_archive_is_unpacked_beside_itself(server, tmp_path):
    packed = server.files["both.zip"]
    wanted = file(server.url("good", "both.zip"), name="both.zip", content=packed, unpack=("inside/*",))
    for _ in range(2):
        get(tmp_path, wanted)
        assert left(tmp_path) == ["a", "b", "both.zip", "inside"]
        (tmp_path / "a" / "inside" / "a").unlink()  # is put back
    assert server.asked["/good/both.zip"] == 1


def test_two_processes_fetch_once(server, tmp_path):
    threads = [threading.Thread(target=get, args=(tmp_path, file(server.url("good", "a.gz")))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked["/good/a.gz"] == 1
    assert (tmp_path / "a" / "a.gz").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        get(tmp_path, file(server.url("good", "a.gz"), name="a.gz"))


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """``run("fetch", ...)`` -> exit status, output and errors of ``mtlbench data`` with one dataset, ``mine``."""
    mine = dataset(file(server.url("good", "a.gz")), file(server.url("gone", "b.gz"), name="b.gz", content=b"second"))
    monkeypatch.setattr(tasks, "get", lambda name, **_: mine)
    monkeypatch.setattr(tasks, "names", lambda: ("mine",))
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mtlbench", "data", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return command


def test_the_command(run, tmp_path, server):
    assert run("path", "mine")[:2] == (0, f"{tmp_path / 'a'}\n")
    assert run("list", "--plain")[1] == "mine\t2 of 2 missing\t300006\tCC BY 4.0\n"
    status, output, errors = run("check", "mine")
    assert status == 1
    assert f"{tmp_path / 'a' / 'a.gz'} is missing" in output
    assert "2 of 2 files are not right (a.gz, b.gz)" in errors
    status, output, errors = run("fetch", "mine", "--timeout", "0.5")
    assert status == 2
    assert "licence: CC BY 4.0" in output
    assert "A. Author" in output
    assert "answers 404 Not Found" in errors
    (tmp_path / "a" / "b.gz").write_bytes(b"second")
    assert run("check", "mine")[0] == 0
    (entry,) = json.loads(run("list", "--json")[1])
    assert entry["state"] == "present"
    assert [file["state"] for file in entry["files"]] == ["present", "present"]
    (tmp_path / "a" / "b.gz").write_bytes(b"sec")
    assert "1 of 2 missing" in run("list")[1]
    assert "wrong size" in run("list")[1]
    (tmp_path / "a" / "b.gz").write_bytes(b"sEcond")
    status, _, errors = run("check", "mine")
    assert status == 1
    assert "b.gz" in errors


def test_files_that_have_to_be_put_there_by_hand(run, tmp_path, monkeypatch):
    source = Source((), "the home of a", "none stated", "A. Author", "a", layout=("table.txt", "pictures"))
    byhand = SimpleNamespace(name="byhand", source=source, summary="")
    monkeypatch.setattr(tasks, "get", lambda name, **_: byhand)
    assert run("path", "byhand")[:2] == (0, f"{tmp_path / 'a'}\n")
    assert "2 of 2 missing" in run("list", "--plain")[1]
    status, _, errors = run("fetch", "byhand")
    assert status == 2
    assert "lacks table.txt, pictures: put there the files of the home of a" in errors
    (tmp_path / "a" / "pictures").mkdir(parents=True)
    status, output, errors = run("check", "byhand")
    assert status == 1
    assert f"{tmp_path / 'a' / 'table.txt'} is missing" in output
    assert "1 of 2 files are not right (table.txt): put the files of the home of a into" in errors
    (tmp_path / "a" / "table.txt").write_text("1")
    assert run("check", "byhand")[0] == run("fetch", "byhand")[0] == 0
    assert [line.split()[0] for line in run("list")[1].splitlines()[1:]] == ["present", "present"]
