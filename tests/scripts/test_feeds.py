"""The feed of a server in a process of its own: what others write is told, and SIGTERM ends it."""

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.scripts.test_serve import served
from tests.scripts.test_work import SERVING, at_work
from tests.scripts.typed import timebank


@contextmanager
def opened_feed(address: str, key: str, query: str = "") -> Iterator[socket.socket]:
    """A feed as bytes."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(
            f"GET /v1/audit/feed{query} HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )
        yield connection


def read_to(connection: socket.socket, wanted: bytes) -> bytes:
    """All that comes, until this has come."""
    found = b""
    while wanted not in found:
        more = connection.recv(65_536)
        assert more, found
        found += more
    return found


def test_what_another_process_writes_is_told(made_anywhere, field):
    key = (made_anywhere / "admin.key").read_text().strip()
    field()
    with ExitStack() as house:
        house.enter_context(at_work(made_anywhere, "views"))
        server = house.enter_context(served(made_anywhere, SERVING))
        feed = house.enter_context(opened_feed(server["address"], key))
        assert b"\r\n\r\nd\r\nretry: 2000\n\n" in read_to(feed, b"OrganisationAdded")
        for code in ("pond", "creek"):
            typed = f"unit add {code} --name 社区 --level community --parent lake --json"
            position = timebank(typed).json["position"]
            told = read_to(feed, f'"stream":"unit:{code}"'.encode())
            assert f"id: {position}\n".encode() in told


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_open_feeds_end_whole_when_the_server_is_told_to_stop(made, field, told):
    key = (made / "admin.key").read_text().strip()
    field()
    with served(made) as server, ExitStack() as open_:
        feeds = [open_.enter_context(opened_feed(server["address"], key)) for _ in range(8)]
        for feed in feeds:
            read_to(feed, b"OrganisationAdded")
        server["process"].send_signal(told)
        for feed in feeds:  # the last chunk: it was not cut off after the 15 seconds
            read_to(feed, b"0\r\n\r\n")
        server["process"].communicate(timeout=60)
        assert server["process"].returncode == 0
