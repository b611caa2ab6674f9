"""Clients that say half and wait, never read, or come by the thousand, beside good ones."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.bench_houses import House, resident_mib
from tests.faults.clients import Load, check
from tests.faults.serving import Server, house_of, serving

MANY = 1_500
HEAD = "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
PATIENCE_SECONDS = 60.0
GROWTH_MIB = 200  # of a server that thousands of answers wait in: each has at most 64 KiB there


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """As many open sockets as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return house_of(tmp_path)


def called(server: Server, *parts: str) -> socket.socket:
    """A connection on which so much was said."""
    caller = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)
    caller.sendall("".join(parts).encode())
    return caller


def head(house: House, path: str, method: str = "GET") -> str:
    return HEAD.format(method=method, path=path, key=house.key)


def heard(caller: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    found = b""
    while piece := caller.recv(65_536):
        found += piece
    return found


def test_who_says_half_a_head_and_waits_is_hung_up_on(house: House) -> None:
    with (
        ExitStack() as rude,
        serving(house, TIMEBANK_IDLE_SECONDS="2") as (server,),
        Load(house, [server.url]) as load,
    ):
        load.go_on(20)
        half = head(house, "/v1/units")
        callers = [rude.enter_context(called(server, half)) for _ in range(MANY // 2)]
        callers += [rude.enter_context(called(server)) for _ in range(MANY // 2)]
        load.go_on(50)
        assert {heard(caller) for caller in callers} == {b""}
        load.go_on(50)
    check(house, load)


def test_a_body_that_does_not_come_is_refused_and_nothing_is_done(house: House) -> None:
    with (
        ExitStack() as rude,
        serving(house, TIMEBANK_BODY_SECONDS="1") as (server,),
        Load(house, [server.url]) as load,
    ):
        load.go_on(20)
        half = (
            head(house, "/v1/service-records", "POST"),
            "Content-Type: application/json\r\nContent-Length: 500\r\n",
            "Connection: close\r\n\r\n{",
        )
        callers = [rude.enter_context(called(server, *half)) for _ in range(100)]
        for caller in callers:
            said = heard(caller)
            assert said.startswith(b"HTTP/1.1 408")
            assert b'"code":"too_slow"' in said
        load.go_on(50)
    check(house, load)


def test_who_reads_nothing_of_long_answers_holds_up_nobody(house: House) -> None:
    with ExitStack() as rude, serving(house) as (server,), Load(house, [server.url]) as load:
        load.go_on(600)
        assert server.process is not None
        pid = server.process.pid
        assert pid is not None
        before = resident_mib(pid)
        long = head(house, "/v1/service-records?limit=500") + "\r\n"
        for _ in range(50):
            rude.enter_context(called(server, long * 10))
        load.go_on(200)
        assert resident_mib(pid) - before < GROWTH_MIB
    check(house, load)


def test_a_storm_of_connections_is_answered_beside_good_clients(house: House) -> None:
    with ExitStack() as storm, serving(house) as (server,), Load(house, [server.url]) as load:
        load.go_on(20)
        asked = head(house, "/v1/organisations/bench") + "Connection: close\r\n\r\n"
        callers = [storm.enter_context(called(server, asked)) for _ in range(MANY)]
        said = [heard(caller) for caller in callers]
        assert {line.partition(b"\r\n")[0] for line in said} == {b"HTTP/1.1 200 OK"}
        load.go_on(50)
    check(house, load)
