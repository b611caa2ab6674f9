"""The feeds that a server has open: how many there may be, their threads, and their end."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

OPEN_MAX = 200
PER_KEY_MAX = 10
THREADS = 2  # of their own: many feeds keep no other reader waiting


class OpenFeeds:
    """Used in the server's event loop alone."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="feed")
        self._by_key: Counter[str] = Counter()
        self._transports: set[asyncio.Transport] = set()
        self._ended = asyncio.Event()

    @property
    def count(self) -> int:
        """How many are open."""
        return self._by_key.total()

    @property
    def ended(self) -> bool:
        """Were all told to end?"""
        return self._ended.is_set()

    def has_room(self, key: str) -> bool:
        """Whether one more may be opened with this key."""
        return not self.ended and self.count < OPEN_MAX and self._by_key[key] < PER_KEY_MAX

    @contextmanager
    def opened(self, key: str, transport: asyncio.Transport) -> Iterator[None]:
        """One is open while the block lasts."""
        self._by_key[key] += 1
        self._transports.add(transport)
        try:
            yield
        finally:
            self._transports.discard(transport)
            self._by_key[key] -= 1
            self._by_key += Counter()  # forget whoever has none

    async def end(self, app: object = None) -> None:
        """Let all end: at once those who do not read what was sent, the others after a word."""
        self._ended.set()
        for transport in self._transports:
            if transport.get_write_buffer_size():
                transport.abort()

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until all are told to end."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return
