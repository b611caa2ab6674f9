"""Malformed traffic beside good clients: they are served, and nothing of it stays in the server."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import orjson

from ledger.keys import create_key
from ledger.opening import open_ledger
from scripts.bench_houses import House, resident_mib
from scripts.soak_rubbish import KINDS, SENTINEL, pouring, said
from tests.faults.clients import PATIENCE_SECONDS, Load, check
from tests.faults.serving import Server, house_of, serving

GOOD_AT_ONCE = 25
RUBBISH = 1_000
"""So much is said at least, and each kind."""

GROWTH_MIB = 40.0
"""From the half of it to the end; the largest bodies of those that are said by then are more."""


def sockets(server: Server) -> int:
    """How many the server has open."""
    assert server.process is not None
    found = 0
    for descriptor in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found += descriptor.readlink().name.startswith("socket:")
    return found


def settles(server: Server, most: int) -> int:
    """How many sockets are open, once those of the callers who left are closed."""
    until = monotonic() + PATIENCE_SECONDS
    while (found := sockets(server)) > most and monotonic() < until:
        server.status("/healthz")
    return found


def verifier_of(house: House) -> str:
    with open_ledger(house.settings) as ledger, ledger.store.writing() as connection:
        return create_key(
            connection,
            role="verifier",
            actor="rubbish",
            organisation="bench",
            at=datetime.now(UTC),
        ).text


def test_good_clients_are_served_beside_rubbish_and_nothing_of_it_stays(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    key = verifier_of(house)
    with serving(house) as (server,), Load(house, [server.url], clients=4) as load:
        load.go_on(GOOD_AT_ONCE)
        assert server.process is not None
        pid = server.process.pid
        assert pid is not None
        before = sockets(server)
        with pouring([server.url], key, seed=1) as counts:
            while said(counts) < RUBBISH / 2:
                load.go_on(GOOD_AT_ONCE)
            resident = resident_mib(pid)
            while said(counts) < RUBBISH or any(not counts[f"said {kind}"] for kind in KINDS):
                load.go_on(GOOD_AT_ONCE)
            grown = resident_mib(pid) - resident
        load.go_on(GOOD_AT_ONCE)
        assert settles(server, before) <= before
        assert (load.broken, load.busy) == (0, 0)
        log = server.log.read_bytes()
    check(house, load)
    assert grown < GROWTH_MIB

    statuses = {name for name in counts if name.startswith("status ")}
    assert {"status 400", "status 404", "status 413", "status 415", "status 422"} <= statuses
    assert statuses.isdisjoint({"status 500", "status 502", "status 201"}), counts
    assert counts["no answer"] == 0, counts

    for secret in (SENTINEL, key, house.key):
        assert secret.encode() not in log
    for line in log.splitlines():
        if not line.startswith((b"Serving", "服务地址".encode(), b"Stopping", "正在".encode())):
            orjson.loads(line)
        assert not any(byte < 0x20 or byte == 0x7F for byte in line), line
