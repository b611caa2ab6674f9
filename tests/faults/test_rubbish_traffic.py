"""Malformed traffic beside good clients: they are served, and nothing of it stays in the server."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic

import orjson

from ledger.keys import create_key
from ledger.opening import open_ledger
from scripts.bench_houses import House, resident_mib
from scripts.soak_rubbish import KINDS, SENTINEL, pour
from tests.faults.clients import PATIENCE_SECONDS, Load, check
from tests.faults.serving import Server, house_of, serving

CONNECTIONS = 16
GOOD_BEFORE = 300  # records, until the server's memory has its size
GOOD_WHILE = 1_500
GROWTH_MIB = 30.0
"""From the second quarter of the pouring to the last; what one that leaks would grow by is more:
some thousand connections with up to 17 MiB each."""


class Pouring:
    """Rubbish in a thread of its own, while the block lasts; `counts` at its end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()


@contextmanager
def pouring(url: str, key: str, seed: int) -> Iterator[Pouring]:
    found = Pouring()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def work() -> None:
        found.counts = await pour(url, key, ended, connections=CONNECTIONS, seed=seed)

    thread = threading.Thread(target=loop.run_until_complete, args=(work(),), name="rubbish")
    thread.start()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "a connection is never answered"
        loop.close()


def descriptors(server: Server) -> int:
    assert server.process is not None
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def settles(server: Server, most: int) -> int:
    """How many descriptors are open, once those of the callers who left are closed."""
    until = monotonic() + PATIENCE_SECONDS
    while (found := descriptors(server)) > most and monotonic() < until:
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
        load.go_on(GOOD_BEFORE)
        assert server.process is not None
        assert server.process.pid is not None
        before = descriptors(server)
        resident: list[float] = []
        with pouring(server.url, key, seed=1) as poured:
            for _ in range(40):
                load.go_on(GOOD_WHILE // 40)
                resident.append(resident_mib(server.process.pid))
        load.go_on(50)
        assert settles(server, before) <= before
        assert load.broken == 0
        log = server.log.read_bytes()
    check(house, load)

    counts = poured.counts
    assert {kind for kind in KINDS if counts[f"said {kind}"]} == set(KINDS), counts
    statuses = {name for name in counts if name.startswith("status ")}
    assert {"status 400", "status 404", "status 413", "status 415", "status 422"} <= statuses
    assert statuses.isdisjoint({"status 500", "status 502", "status 201"}), counts
    assert counts["no answer"] == 0, counts
    quarters = [resident[n : n + 10] for n in range(0, 40, 10)]
    assert median(quarters[3]) - median(quarters[1]) < GROWTH_MIB, resident

    for secret in (SENTINEL, key, house.key):
        assert secret.encode() not in log
    for line in log.splitlines():
        orjson.loads(line)
        assert not any(byte < 0x20 or byte == 0x7F for byte in line), line
