"""A client of the feed, which reads as the HTML standard (section 9.2.6) has it, and comes back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import ClientResponse, ClientTimeout

from tests.api.house import Caller


@dataclass
class Heard:
    """What was dispatched so far, and how far the client has come."""

    events: list[dict[str, Any]] = field(default_factory=list)
    last_id: str = ""
    comments: int = 0
    _buffer: bytes = b""
    _data: list[str] = field(default_factory=list)
    _id: str = ""

    def feed(self, data: bytes) -> None:
        """Some more bytes; what is no whole line yet waits."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._line(line.decode())

    def cut(self) -> None:
        """The connection has gone: what was not dispatched is discarded."""
        self._buffer, self._data, self._id = b"", [], self.last_id

    @property
    def positions(self) -> list[int]:
        """Of the events, as they came."""
        return [event["position"] for event in self.events]

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            self.last_id = self._id
            if self._data:
                event = orjson.loads("\n".join(self._data))
                assert str(event["position"]) == self.last_id
                self.events.append(event)
            self._data = []
        elif not name:
            self.comments += 1
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        else:
            assert (name, value) == ("retry", "2000")


@asynccontextmanager
async def listening(
    caller: Caller, query: str = "", last_id: str = "", **headers: str
) -> AsyncIterator[ClientResponse]:
    """A feed that was opened; it is let go of at the end."""
    sent = {"Authorization": f"Bearer {caller.text}", **headers}
    if last_id:
        sent["Last-Event-ID"] = last_id
    response = await caller.session.get(
        f"{caller.base}/v1/audit/feed{query}", headers=sent, timeout=ClientTimeout(total=60)
    )
    try:
        yield response
    finally:
        response.close()


async def hear(response: ClientResponse, heard: Heard, until: int) -> None:
    """Read on until the client has come to a position."""
    while int(heard.last_id or 0) < until:
        data = await response.content.readany()
        assert data, "the feed has ended"
        heard.feed(data)


async def hear_to_the_end(response: ClientResponse, heard: Heard) -> None:
    """Read on until the server ends."""
    async for data in response.content.iter_any():
        heard.feed(data)


async def walked(caller: Caller, position: int, query: str = "") -> list[dict[str, Any]]:
    """The same events from `/v1/audit/events`, a page at a time."""
    found: list[dict[str, Any]] = []
    path: str | None = f"/v1/audit/events?limit=500&min_position={position}{query}"
    while path is not None:
        page: Mapping[str, Any] = (await caller.get(path)).json
        found += page["data"]
        following = page["next_cursor"]
        path = following and f"/v1/audit/events?limit=500&cursor={following}{query}"
    return found
