"""Steps run by a server that has its libraries loaded: nothing of them is different from a fresh start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtlbench import warm
from mtlbench.cli import fixed_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server forks, on Linux alone")

# Loads little, so that it is there soon; `list sleepers` gives a step that lasts.
SERVER = """
import os, sys, time
from mtlbench import cli, warm
warm._LOADED, warm._LATER = ("mtlbench.errors",), ()
listed = cli._list
def _list(options):
    if options.kind == "sleepers":
        # A worker of its own outlives a step that is killed, as those of a pool do.
        if os.fork() == 0:
            os.close(1), os.close(2), time.sleep(10), os._exit(0)
        print("asleep", flush=True)
        time.sleep(60)
    return listed(options)
cli._list = _list
warm._serve(sys.argv[1])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    socket = tmp_path_factory.mktemp("warm") / "server" / "socket"
    socket.parent.mkdir()
    command = [sys.executable, "-P", "-c", SERVER, str(socket)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | fixed_environment(1)) as process:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.args = str(socket)
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
        assert not socket.parent.exists()


def command(server: subprocess.Popen[bytes], *arguments: str, **environment: str) -> subprocess.Popen[str]:
    environment = os.environ | fixed_environment(1) | {warm.SOCKET: str(server.args)} | environment
    line = [sys.executable, "-P", "-m", "mtlbench.warm", *arguments]
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_a_step_has_the_streams_and_the_status_of_its_command(server: subprocess.Popen[bytes]) -> None:
    listing = command(server, "list", "architectures", "--plain")
    assert listing.communicate()[0].split()[0] == "cgc"
    assert listing.returncode == 0
    wrong = command(server, "list", "archtectures")
    out, error = wrong.communicate()
    assert (wrong.returncode, out) == (2, "")
    assert "did you mean 'architectures'?" in error
    assert "Traceback" not in error


def test_a_step_dies_with_its_command_and_its_death_is_told(server: subprocess.Popen[bytes]) -> None:
    asked = command(server, "list", "sleepers")
    assert asked.stdout is not None
    assert asked.stdout.readline() == "asleep\n"
    (waiting,) = children(server)
    (step,) = (int(pid) for pid in Path(f"/proc/{waiting}/task/{waiting}/children").read_text().split())
    os.kill(step, signal.SIGKILL)
    asked.communicate()
    assert asked.returncode == 128 + signal.SIGKILL

    asked = command(server, "list", "sleepers")
    assert asked.stdout is not None
    assert asked.stdout.readline() == "asleep\n"
    asked.kill()
    asked.communicate()
    deadline = time.monotonic() + 30
    while children(server):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_another_environment_of_the_interpreter_is_a_fresh_start(server: subprocess.Popen[bytes]) -> None:
    # The server's patched command answers to a name that no fresh start knows.
    asked = command(server, "list", "sleepers", OMP_NUM_THREADS="2")
    assert "unknown list 'sleepers'" in asked.communicate()[1]


def test_without_a_server_a_command_starts_itself(tmp_path: Path) -> None:
    assert warm.ask(["list", "methods"], str(tmp_path / "nobody")) is None


def test_edited_code_is_not_run_from_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "edited.py"
    source.write_text("A = 1\n")
    os.utime(source, (0, 0))
    monkeypatch.setattr(warm, "_LOADED", ("mtlbench.errors",))
    monkeypatch.setattr(warm, "_files", lambda: {str(source)})
    with warm._Server(str(tmp_path / "socket")) as server:
        assert not server.outdated(dict(os.environ))
        source.write_text("A = 10\n")
        assert server.outdated(dict(os.environ))
        # Whether it was read before it was saved or after, nobody knows.
        server.stamps[str(source)] = source.stat().st_mtime
        assert server.outdated(dict(os.environ))
