"""A TCP proxy that cuts: everything, or one connection before, at or after a commit."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

Moment = Literal["before", "at", "after"]
"""Before the commit goes on to the server; when it has gone on; when the answer has come, which the
client does not get to see."""

PIECE = 1 << 16


class Words(NamedTuple):
    """How to tell a commit, and the answer that it is done, in the bytes of a protocol."""

    commits: Callable[[bytes], bool]
    done: Callable[[bytes], bool]


# PostgreSQL's messages are a letter, a length and a text (its manual, chapter 54). Whoever commits
# has waited for all answers before, so that the message comes alone.
POSTGRESQL = Words(
    commits=lambda piece: piece == b"Q\x00\x00\x00\x0bCOMMIT\x00",
    done=lambda piece: b"C\x00\x00\x00\x0bCOMMIT\x00" in piece,
)
HTTP = Words(
    commits=lambda piece: piece.startswith(b"POST "),
    done=lambda piece: piece.startswith(b"HTTP/1.1 20"),
)


class Proxy:
    """Stands at a port of its own before a server."""

    def __init__(self, port: int, words: Words) -> None:
        self.cuts = dict.fromkeys(("before", "at", "after"), 0)
        self._behind = ("127.0.0.1", port)
        self._words = words
        self._due: Moment | None = None
        self._lock = threading.Lock()
        self._cut = threading.Event()
        self._stalled = False
        self._ending = False
        self._open: set[socket.socket] = set()
        self._door = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        self.port: int = self._door.getsockname()[1]

    def cut_at(self, moment: Moment) -> None:
        """Cut the next connection that commits, and return when that has been done."""
        self._cut.clear()
        self._due = moment
        assert self._cut.wait(60), f"nobody commits, or is not answered: {moment}"

    def cut_all(self) -> None:
        """Cut every connection that is open now."""
        with self._lock:
            for connection in self._open:
                _reset(connection)

    def close(self) -> None:
        """Let nobody in any more, and cut who is in."""
        self._ending = True
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.cut_all()

    def run(self) -> None:
        """Let connections in until `close`."""
        while not self._ending:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(self._behind)
            except OSError:
                return
            with server:
                both = {client: server, server: client}
                for connection in both:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open |= both.keys()
                try:
                    with contextlib.suppress(OSError):
                        self._pass_on(client, server)
                finally:
                    with self._lock:
                        self._open -= both.keys()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        committing = False
        while True:
            readable, _, _ = select.select([client, server], [], [])
            for source in readable:
                piece = source.recv(PIECE)
                if not piece:
                    return
                if source is client:
                    committing = self._words.commits(piece)
                    if committing and self._takes("before"):
                        return self._done("before", client, server)
                    server.sendall(piece)
                    if committing and self._takes("at"):
                        return self._done("at", client, server)
                else:
                    if committing and self._words.done(piece) and self._takes("after"):
                        return self._done("after", client, server)
                    client.sendall(piece)

    def _takes(self, moment: Moment) -> bool:
        """Is it this connection that is to be cut now? One alone is."""
        with self._lock:
            if self._due != moment:
                return False
            self._due = None
            return True

    def _done(self, moment: Moment, client: socket.socket, server: socket.socket) -> None:
        _reset(client)
        server.close()
        self.cuts[moment] += 1
        self._cut.set()


@contextmanager
def proxy(port: int, words: Words) -> Iterator[Proxy]:
    """A proxy that runs while the block does."""
    made = Proxy(port, words)
    thread = threading.Thread(target=made.run, name="proxy", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def _reset(connection: socket.socket) -> None:
    """Close without a farewell (RST), as when the way is gone."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
