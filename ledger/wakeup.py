"""Waking a follower of the journal when something new may stand there.

In the writer's own process at once; from other processes on SQLite by looking at
`PRAGMA data_version` every 20 ms, on PostgreSQL by LISTEN and, should a word be lost, every second.
"""

import contextlib
import select
import socket
import threading
from time import monotonic
from typing import Any, Protocol

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ledger.bulk_rows import driver_errors

LOOK_SECONDS = 0.02
LISTEN_SECONDS = 1.0


class Wakeup:
    """What one follower waits on. Make it before reading; between waits nothing is missed."""

    def __init__(self, engine: Engine, channel: str, followers: "set[Wakeup]") -> None:
        """`followers`: whom the writers of this process tell; one of them until it is closed."""
        self._followers = followers
        self._waiting = threading.Lock()
        self._closed = False
        self._elsewhere: _Elsewhere = (
            _DataVersion(engine) if engine.dialect.name == "sqlite" else _Channel(engine, channel)
        )
        self._heard, self._told = socket.socketpair()
        self._heard.setblocking(False)
        self._told.setblocking(False)
        followers.add(self)

    def wait(self, timeout: float | None = None) -> bool:
        """True when something may be new, False after `timeout` seconds and once closed.

        True does not promise anything new. For one thread at a time.
        """
        until = None if timeout is None else monotonic() + timeout
        with self._waiting:
            while not self._closed:
                told = self._drain()
                if self._elsewhere.changed() or told:  # both, so that neither is said twice
                    return not self._closed
                left = self._elsewhere.pause_seconds
                if until is not None:
                    left = min(left, until - monotonic())
                    if left <= 0:
                        return False
                silent = not self._pause(left)
                if silent and self._elsewhere.look_anyway and left == self._elsewhere.pause_seconds:
                    return True
        return False

    def tell(self) -> None:
        """Wake whoever waits, or will wait next. From any thread."""
        with contextlib.suppress(BlockingIOError, OSError):  # it is full of words, or closed
            self._told.send(b"!")

    def close(self) -> None:
        """End a wait under way and all later ones."""
        self._followers.discard(self)
        self._closed = True
        self.tell()
        with self._waiting:
            self._elsewhere.close()
            self._heard.close()
            self._told.close()

    def _pause(self, seconds: float) -> bool:
        poll = select.poll()  # select.select takes no socket numbered 1024 or more
        for sock in (self._heard.fileno(), *self._elsewhere.sockets()):
            poll.register(sock, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _drain(self) -> bool:
        try:
            return bool(self._heard.recv(4096))
        except BlockingIOError:
            return False


class _Elsewhere(Protocol):
    """How word comes from other processes."""

    pause_seconds: float
    look_anyway: bool  # after a pause without a word

    def changed(self) -> bool: ...
    def sockets(self) -> list[int]: ...
    def close(self) -> None: ...


class _DataVersion:
    """The number that SQLite changes for us when another connection commits."""

    pause_seconds = LOOK_SECONDS
    look_anyway = False

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()
        self._driver: Any = self._connection.connection.driver_connection
        self._connection.detach()  # it is no part of the pool from now on
        self._seen = self._version()

    def changed(self) -> bool:
        before, self._seen = self._seen, self._version()
        return self._seen != before

    def sockets(self) -> list[int]:
        return []

    def close(self) -> None:
        self._connection.close()

    def _version(self) -> int:
        version: int = self._driver.execute("PRAGMA data_version").fetchone()[0]
        return version


class _Channel:
    """A connection that listens, made anew when it breaks."""

    pause_seconds = LISTEN_SECONDS
    look_anyway = True

    def __init__(self, engine: Engine, channel: str) -> None:
        self._engine = engine
        self._channel = channel
        self._connection: Connection | None = None
        self._driver: Any = None
        self._listen()

    def changed(self) -> bool:
        if self._connection is None:
            try:
                self._listen()
            except DBAPIError:
                return False  # the follower finds out by itself, each time it looks anyway
            return True
        heard = False
        try:
            self._driver.pgconn.consume_input()
            while self._driver.pgconn.notifies():
                heard = True
        except psycopg.OperationalError:
            self.close()  # what was said meanwhile is lost: look, and listen anew at the next wait
            heard = True
        return heard

    def sockets(self) -> list[int]:
        return [] if self._connection is None else [self._driver.fileno()]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self) -> None:
        connection = self._engine.connect()
        self._driver = connection.connection.driver_connection
        connection.detach()
        self._driver.autocommit = True
        try:
            with driver_errors(connection):
                self._driver.execute(f'LISTEN "{self._channel}"')
        except DBAPIError:
            connection.close()
            raise
        self._connection = connection
