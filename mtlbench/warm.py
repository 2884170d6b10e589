"""``python -m mtlbench.warm ARGUMENTS``: a command of ``mtlbench``, in a process that has its libraries loaded already.

Loading torch, scipy and pandas takes seconds, and a pipeline of small cells would spend a quarter of its time on it.
So one server beside the pipeline loads them once and forks for every step; where no server answers, or the code, the
interpreter's environment or the machine asks for a fresh start, the command starts itself the ordinary way. The step
has the arguments, environment, folder, streams and exit status of the command that asked for it, dies with it, and goes
on when the pipeline alone is killed, as any job does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer
from typing import Any, NoReturn

from mtlbench.cli import fixed_environment, main

SOCKET = "MTLBENCH_WARM"
"""The environment variable that says where the server listens; empty or absent: start the ordinary way."""

_FRESH = "fresh\n"
_LONGEST = 107
"""A socket's path has room for so many bytes."""

# What a cell needs is loaded before anyone is answered: torch's optimizers load its compiler when the first is made,
# the embedded datasets scikit-learn when they are read. What later steps need follows while a step runs.
_LOADED = ("mtlbench.training.cell", "torch._dynamo", "sklearn.datasets", "mtlbench.tuning")
_LATER = ("mtlbench.referee.problems", "mtlbench.report.build")
_PATIENCE = 10.0
"""Seconds without a new step before what is needed later is loaded."""


def place() -> str:
    """Where a server of this process would listen."""
    return f"{tempfile.gettempdir()}/mtlbench-warm-{os.getpid()}-{secrets.token_hex(4)}/socket"


def start(path: str) -> None:
    """Start the server at ``path``; it ends with this process, however that ends."""
    # A process with macOS's own libraries loaded must not be forked.
    if sys.platform != "linux" or len(os.fsencode(path)) > _LONGEST:
        return
    Path(path).parent.mkdir(mode=0o700)
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "mtlbench.warm", "--serve", path],
        stdin=subprocess.PIPE,  # never written to: it closes when this process is gone
        env=os.environ | fixed_environment(1),
    )
    _started.append(server)


_started: list[subprocess.Popen[bytes]] = []


def ask(arguments: list[str], path: str) -> int | None:
    """The exit status of the command, run by the server at ``path``; None where it is to start the ordinary way."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        return None
    # An interrupt from the keyboard reaches the step itself, which says so and ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with connection, connection.makefile("r") as answer:
            socket.send_fds(connection, [b"."], [0, 1, 2])
            request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
            connection.sendall(json.dumps(request).encode() + b"\n")
            status = answer.readline()
    except ConnectionError:  # the server ended before it took the request
        status = _FRESH
    if status == _FRESH:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return None
    # No answer: the process that waits for the step was killed, as the step may have been.
    return int(status) if status else 128 + signal.SIGKILL


class _Server(ForkingMixIn, UnixStreamServer):
    block_on_close = False  # steps outlive the server
    max_children = 1024
    request_queue_size = 1024

    def __init__(self, path: str) -> None:
        self.began = self.asked = time.time()
        super().__init__(path, _Handler)
        self.waiting = list(_LATER)
        self.stamps: dict[str, float] = {}
        self.load(_LOADED)

    def load(self, modules: Iterable[str]) -> None:
        """Load ``modules`` and note how old their files are."""
        for module in modules:
            import_module(module)
        from mtlbench import sources

        # Reading once more which sources decide a cell's bytes would take as long as loading them.
        closure = map(str, sources.module_closure("mtlbench.training.cell"))
        for path in _files().union(closure) - self.stamps.keys():
            self.stamps[path] = _changed(path)

    def outdated(self, environment: dict[str, str]) -> bool:
        """Whether a fresh interpreter in ``environment`` could be another one than this."""
        fixed = fixed_environment(1).keys()
        if any(os.environ.get(name) != environment.get(name) for name in fixed):
            return True
        # A file saved since the server began may have been read before or after.
        return any(stamp > self.began or _changed(path) != stamp for path, stamp in self.stamps.items())

    def service_actions(self) -> None:
        super().service_actions()
        if select.select([sys.stdin], [], [], 0)[0]:  # closed: the pipeline has ended
            sys.exit()
        if self.waiting and time.time() > self.asked + _PATIENCE:
            self.load([self.waiting.pop(0)])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Fork for a step."""
        self.asked = time.time()
        super().process_request(request, client_address)


class _Handler(StreamRequestHandler):
    """Runs in a fork of its own, which starts the step in another and waits for it or for the client's end."""

    server: _Server

    def handle(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.server.socket.close()  # who connects once the server is gone must not wait for this step
        _, streams, *_ = socket.recv_fds(self.request, 1, 3)
        request = json.loads(self.rfile.readline())
        if self.server.outdated(request["environment"]):
            self.wfile.write(_FRESH.encode())
            return
        step = multiprocessing.get_context("fork").Process(target=_run, args=(request, streams))
        step.start()
        for stream in streams:
            os.close(stream)
        assert step.pid is not None
        # The step's own sentinel closes when it starts itself again, and stays open in what it forks.
        ended = os.pidfd_open(step.pid)
        if ended not in wait([ended, self.request]):
            step.terminate()
            step.join()
            return
        step.join()
        status = step.exitcode or 0
        self.wfile.write(b"%d\n" % (status if status >= 0 else 128 - status))


def _run(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """The command itself, in its own process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    main()


def _files() -> set[str]:
    """The source files of everything that is loaded."""
    found = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {path for path in found if path}


def _changed(path: str) -> float:
    """When the file was changed last; 0 where there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _serve(path: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    here = os.getpid()
    try:
        with _Server(path) as server:
            server.serve_forever(poll_interval=0.1)
    finally:
        if os.getpid() == here:
            shutil.rmtree(Path(path).parent)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(sys.argv[2])
    else:
        status = ask(sys.argv[1:], path) if (path := os.environ.get(SOCKET)) else None
        sys.exit(status) if status is not None else main()
