"""One file from one address, resumed where an earlier attempt broke off.

pooch drives the download: it checks the sha256 and moves the file to its place only then. It knows no resuming; this
is the downloader that it is given instead of its own, and does so with HTTP ranges (RFC 9110, section 14).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pooch
import requests
from requests.exceptions import ChunkedEncodingError, ConnectionError, HTTPError, RequestException, Timeout
from urllib3.exceptions import ReadTimeoutError

CHUNK = 1 << 16
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Resuming:
    """A downloader for pooch that gathers the bytes in ``part`` and asks for those that are still missing.

    ``size`` in bytes is what the address should hold, None where nobody has said. A server that is silent for
    ``seconds`` has stalled. A connection that stalls or breaks off is opened again, as long as each one brings
    something; ``part`` stays for the next call where the last one brought nothing. ``show(done, total)`` is told how
    far it is.
    """

    part: Path
    size: int | None
    seconds: float
    show: Callable[[int, int | None], None]

    def __call__(self, url: str, output_file: str, _: object) -> None:
        """Download ``url`` to ``output_file``; raises :class:`requests.RequestException` where that fails."""
        while self.size is None or self._held() != self.size:
            before = self._held()
            try:
                self._get(url, before)
                break
            except HTTPError as error:
                # The range lies outside of the file: what is here is part of something else.
                if _status(error) != requests.codes.requested_range_not_satisfiable or not before:
                    raise
                self.part.unlink()
            except (ChunkedEncodingError, ConnectionError, Timeout):
                if self._held() <= before:
                    raise
        os.replace(self.part, output_file)

    def _get(self, url: str, start: int) -> None:
        if self.size is not None and start > self.size:
            self.part.unlink()
            start = 0
        with self.part.open("ab") as file:
            sink = _Sink(file, self.size, self.show)
            pooch.HTTPDownloader(
                chunk_size=CHUNK,
                timeout=(CONNECT_SECONDS, self.seconds),
                # The bytes as they lie there: a range is one of the bytes sent.
                headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {}),
                hooks={"response": sink.answered},
            )(url, sink, None)
        if self.size is not None and self._held() < self.size:
            raise ChunkedEncodingError(f"broke off after {self._held()} of {self.size} bytes")

    def _held(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0


class _Sink:
    """The file that a response is written to; it refuses one that cannot be the file that is wanted."""

    def __init__(self, file: BinaryIO, size: int | None, show: Callable[[int, int | None], None]) -> None:
        self._file, self._size, self._total, self._show = file, size, size, show

    def answered(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Look at the head of ``response`` before its body is read."""
        if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
            return  # a redirect, or an error, which is raised by whoever asked
        # Some servers call a .gz file an encoding of what is in it; requests would unpack it on the way.
        response.raw.headers.discard("content-encoding")
        start = self._file.tell()
        if response.status_code == requests.codes.ok:
            start = 0  # the whole file, whatever was asked for
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise RequestException(f"sends the range {response.headers.get('Content-Range')!r}, not from byte {start}")
        length = response.headers.get("Content-Length", "")
        self._total = self._size or (start + int(length) if length.isdecimal() else None)
        if self._size and length.isdecimal() and start + int(length) != self._size:
            raise RequestException(f"holds another file, of {start + int(length)} bytes instead of {self._size}")
        self._file.truncate(start)

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``, unless it is more than the file can hold."""
        if self._size is not None and self._file.tell() + len(chunk) > self._size:
            raise RequestException(f"holds another file, of more than {self._size} bytes")
        self._file.write(chunk)
        self._show(self._file.tell(), self._total)

    def flush(self) -> None:
        """Make what was written count as held."""
        self._file.flush()


def reason(error: RequestException) -> str:
    """Why a download failed, to follow the address in a sentence."""
    if isinstance(error, HTTPError):
        return f"answers {_status(error)} {error.response.reason if error.response is not None else ''}".rstrip()
    if isinstance(error, requests.ConnectTimeout):
        return "cannot be reached: it did not answer"
    if isinstance(error, Timeout) or any(isinstance(cause, ReadTimeoutError) for cause in error.args):
        return "has stalled"
    if isinstance(error, ChunkedEncodingError):
        return "broke off"
    if isinstance(error, ConnectionError):
        return "cannot be reached"
    return str(error)


def _status(error: HTTPError) -> int | None:
    return None if error.response is None else error.response.status_code
