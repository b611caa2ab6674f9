"""A host of the address that answers nothing is passed over."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from ledger.store import Store, append, last_position

pytestmark = pytest.mark.postgresql


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes no further connection and refuses none, as of a machine that is gone."""
    with ExitStack() as kept:
        door = kept.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            caller = kept.enter_context(socket.socket())
            caller.settimeout(0.2)
            try:
                caller.connect(door.getsockname())
            except TimeoutError:
                break
        yield door.getsockname()[1]


def test_a_host_that_answers_nothing_is_passed_over(database) -> None:
    with black_hole() as port, ThreadPoolExecutor() as pool:
        store = Store(
            f"postgresql://postgres@127.0.0.1:{port},{database.host}/postgres"
            "?target_session_attrs=read-write&connect_timeout=1"
        )

        def write() -> int:
            store.create()
            with store.writing() as connection:
                append(connection, [("o:1", 1, "Else", b"x")], last_position(connection))
            with store.reading() as connection:
                return last_position(connection)

        assert pool.submit(write).result(60) == 1
        store.close()
