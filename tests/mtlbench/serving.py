"""A server on this machine that does to a file what servers and networks do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = """
good       the file, by ranges where asked
whole      the file, whatever range is asked for
breaking   breaks off in the middle of the first answer, as often as there are halves
cut        breaks off in the middle of every answer, and knows no ranges
unsaid     half the file, without a length
stalling   falls silent in the middle of the first answer
stalled    falls silent in the middle of every answer, and knows no ranges
silent     never answers
wrong      other bytes, as many
short      fewer bytes
endless    more and more bytes, without a length
encoded    the file, called the gzip encoding of what is in it
shifted    a range that was not asked for
redirected leads to the good file
circular   leads to itself
gone       404
broken     500
"""


class Server:
    """``url(kind, name)`` is the address of the file ``name`` as a server of that kind gives it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked = files, Counter[str]()
        self.ranges: list[str | None] = []
        self.over = threading.Event()
        self.port = 0

    def url(self, kind: str, name: str) -> str:
        assert f"\n{kind} " in KINDS
        return f"http://127.0.0.1:{self.port}/{kind}/{name}"


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Server]:
    """Serve ``files`` until the block is left."""
    server = Server(files)

    class Handler(_Handler):
        state = server

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        _, kind, name = self.path.split("/", 2)
        server = self.state
        first = not server.asked[self.path]
        server.asked[self.path] += 1
        server.ranges.append(self.headers.get("Range"))
        content, half = server.files[name], len(server.files[name]) // 2
        if kind in ("gone", "broken"):
            self.send_error(404 if kind == "gone" else 500)
        elif kind in ("redirected", "circular"):
            self.send_response(302)
            self.send_header("Location", f"/good/{name}" if kind == "redirected" else self.path)
            self.end_headers()
        elif kind == "silent":
            server.over.wait(30)
        elif kind in ("unsaid", "endless"):
            self.head(200, None)
            self.wfile.write(content[:half] if kind == "unsaid" else content * 3)
        elif kind in ("wrong", "short", "encoded"):
            sent = {"wrong": bytes(byte ^ 1 for byte in content), "short": content[:half], "encoded": content}[kind]
            self.head(200, len(sent), {"Content-Encoding": "gzip"} if kind == "encoded" else {})
            self.wfile.write(sent)
        else:
            self.ranged(kind, content, first)

    def ranged(self, kind: str, content: bytes, first: bool) -> None:
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and kind not in _NO_RANGES else 0
        if start >= len(content) > 0:
            self.send_error(416)
            return
        rest = content[start:]
        told = start + 1 if kind == "shifted" else start
        about = {"Content-Range": f"bytes {told}-{len(content) - 1}/{len(content)}"} if start else {}
        self.head(206 if start else 200, len(rest), about)
        if kind in ("cut", "stalled") or (kind in ("breaking", "stalling") and first):
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)
        self.wfile.flush()
        if kind == "stalled" or (kind == "stalling" and first):
            self.state.over.wait(30)

    def head(self, status: int, length: int | None, about: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (about or {}).items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()


_NO_RANGES = ("whole", "cut", "stalled")
