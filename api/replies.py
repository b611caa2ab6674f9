"""Answers whose bytes are all known: head and body leave in one write.

aiohttp's response is made for everything: compression, chunks, cookies, hooks. To prepare and write
one cost a quarter of what a write request costs before the desk (15 of 58 microseconds, at 64
connections); this one knows its headers and its length and needs none of that.
"""

from email.utils import formatdate
from http import HTTPStatus
from time import time

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Reply(web.Response):
    """A status, headers, and a body of bytes."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        # Not the base's: what it prepares is what this class is here to do without.
        self._status = status
        self._fields = headers
        self._body = self._content = body

    @property
    def headers(self) -> dict[str, str]:  # type: ignore[override]  # each name stands here once
        """What stands in the head beside date, length and connection."""
        return self._fields

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write all of it (RFC 9112, sections 4 to 6)."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        kept = self._keep_alive = request.keep_alive
        lines = "".join([f"{name}: {value}\r\n" for name, value in self._fields.items()])
        if lines.count("\n") != len(self._fields) or lines.count("\r") != len(self._fields):
            raise ValueError("a header holds the end of its line")
        length = "" if self._status == 204 else f"Content-Length: {len(self._content)}\r\n"
        if request.version == HttpVersion11:
            connection = "" if kept else "Connection: close\r\n"
            version = "HTTP/1.1 "
        else:
            connection = "Connection: keep-alive\r\n" if kept else ""
            version = "HTTP/1.0 "
        head = (
            f"{version}{_STATUS_LINES[self._status]}{lines}{length}{connection}{_date_line()}\r\n"
        )
        written = head.encode("utf-8", "surrogateescape")
        transport.write(written if request.method == "HEAD" else written + self._content)
        self._eof_sent = True
        await request.writer.drain()  # waits only for a client that does not read
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


_now = (0, "")


def _date_line() -> str:
    """The present second as HTTP spells it; spelled once a second."""
    global _now
    second = int(time())
    if _now[0] != second:
        _now = (second, f"Date: {formatdate(second, usegmt=True)}\r\n")
    return _now[1]
