"""The journal's store: tables, the one writer, appending, reading, waking; SQLite and PostgreSQL."""

import base64
import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import psycopg
from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import make_url

from ledger.events import EVENT_TYPES

ENTRY_BYTES_MAX = 65_535
BUSY_SECONDS = 10
POLL_SECONDS = 0.02  # how often a follower on SQLite looks for other processes' commits
LISTEN_SECONDS = 1.0  # how long a follower on PostgreSQL trusts LISTEN alone

NewRow = tuple[str, int, str, bytes]
"""What is to be appended: stream, version, type, data."""


class Row(NamedTuple):
    """An entry as it is stored."""

    position: int
    stream: str
    version: int
    type: str
    data: bytes
    leaf_hash: bytes


class EntryTooLarge(ValueError):
    """An entry has more bytes than a tile of the log can hold (C2SP tlog-tiles: 65 535)."""


# --- tables --------------------------------------------------------------------------------------

metadata = MetaData()
_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Position = BigInteger().with_variant(Integer(), "sqlite")

entries = Table(
    "entries",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=False),
    Column("stream", _Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", _Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    UniqueConstraint("stream", "version", name="one_fact_a_version"),
)
receipts = Table(
    "receipts",
    metadata,
    Column("organisation", _Text, primary_key=True),
    Column("receipt", _Text, primary_key=True),
    Column("record_id", LargeBinary(16), nullable=False),
    sqlite_with_rowid=False,
)
record_entries = Table(
    "record_entries",
    metadata,
    Column("record_id", LargeBinary(16), primary_key=True),
    Column("position", _Position, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
answers = Table(
    "answers",
    metadata,
    Column("scope", _Text, primary_key=True),
    Column("key", _Text, primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("kept_at", _Text, nullable=False),
    Index("answers_by_age", "kept_at"),
)
keys = Table(
    "keys",
    metadata,
    Column("id", _Text, primary_key=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("role", _Text, nullable=False),
    Column("actor", _Text, nullable=False),
    Column("organisation", _Text),
    Column("member_id", _Text),
    Column("expires_on", _Text),
    Column("created_at", _Text, nullable=False),
    Column("revoked_at", _Text),
)
snapshots = Table(
    "snapshots",
    metadata,
    Column("stream", _Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("format", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
tracking = Table(
    "tracking",
    metadata,
    Column("application", _Text, primary_key=True),
    Column("notification", _Position, primary_key=True, autoincrement=False),
)

APPEND_ONLY_SQLITE = (
    """CREATE TRIGGER IF NOT EXISTS entries_no_update BEFORE UPDATE ON entries
       BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS entries_no_delete BEFORE DELETE ON entries
       BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END""",
    # INSERT OR REPLACE fires no delete trigger, so the insert itself is looked at.
    """CREATE TRIGGER IF NOT EXISTS entries_only_after_the_last BEFORE INSERT ON entries
       WHEN NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM entries)
         OR EXISTS (SELECT 1 FROM entries WHERE stream = NEW.stream AND version = NEW.version)
       BEGIN SELECT RAISE(ABORT, 'UNIQUE: an entry comes after the last, once'); END""",
)
APPEND_ONLY_POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION entries_are_append_only() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'entries are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE OR REPLACE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
       FOR EACH STATEMENT EXECUTE FUNCTION entries_are_append_only()""",
)


# --- opening -------------------------------------------------------------------------------------


def sibling_url(url: str, store: str) -> str:
    """The URL of the views or the vault that belong to a journal.

    On SQLite a file beside it: `timebank.db` -> `timebank-views.db`; on PostgreSQL the same database.
    """
    if not url.startswith("sqlite"):
        return url
    path = Path(make_url(url).database or "")
    return f"sqlite:///{path.with_name(f'{path.stem}-{store}{path.suffix}')}"


def open_engine(url: str, schema: str, *, durable: bool) -> Engine:
    """An engine on a SQLite file, or on one schema of a PostgreSQL database.

    `durable`: SQLite commits survive a power cut (synchronous=FULL); PostgreSQL always does so.
    A transaction begins as the writer (BEGIN IMMEDIATE) where the option `writing` is set.
    """
    if url.startswith("sqlite"):
        engine = create_engine(
            url, connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS}
        )
        event.listen(engine, "connect", _sqlite_pragmas("FULL" if durable else "NORMAL"))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    plain = "postgresql://" + url.partition("://")[2]

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(plain, options=f"-c search_path={schema}")

    return create_engine("postgresql+psycopg://", creator=connect, pool_pre_ping=True)


def _sqlite_pragmas(synchronous: str) -> Any:
    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # transactions are begun by _begin_sqlite alone
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1_000}")

    return connected


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


class Store:
    """An open journal."""

    def __init__(self, url: str, ledger: str = "main") -> None:
        self.url = url
        self.schema = f"{ledger}_journal"
        self.is_sqlite = url.startswith("sqlite")
        self.engine = open_engine(url, self.schema, durable=True)
        self._writing = self.engine.execution_options(writing=True)
        lock = hashlib.sha256(self.schema.encode()).digest()[:8]
        self._lock = text(f"SELECT pg_advisory_xact_lock({int.from_bytes(lock, signed=True)})")
        self._committed = threading.Condition()
        self._commits = 0

    def create(self) -> None:
        """Tables and triggers, where they are not there yet."""
        with self._writing.begin() as connection:
            if not self.is_sqlite:
                connection.execute(DDL(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"'))
            metadata.create_all(connection)
            for statement in APPEND_ONLY_SQLITE if self.is_sqlite else APPEND_ONLY_POSTGRESQL:
                connection.exec_driver_sql(statement)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction as the only writer, across processes; durable when the block has ended."""
        with self._writing.begin() as connection:
            if not self.is_sqlite:
                connection.execute(self._lock)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the journal."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def poke(self, connection: Connection) -> None:
        """Tell followers in other processes, as part of the transaction."""
        if not self.is_sqlite:
            connection.exec_driver_sql(f"NOTIFY {self.schema}")

    def committed(self) -> None:
        """Tell followers in this process that a transaction is durable."""
        with self._committed:
            self._commits += 1
            self._committed.notify_all()

    def wakeup(self) -> "Wakeup":
        """A new follower's wait for commits."""
        return Wakeup(self)

    def close(self) -> None:
        """Give back every connection."""
        self.committed()
        self.engine.dispose()


class Wakeup:
    """What a follower of the journal waits on: commits of this process and of others.

    On SQLite other processes' commits show in `PRAGMA data_version` of a connection of its own,
    which is looked at every 20 ms while somebody waits; on PostgreSQL LISTEN tells of all commits.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen_commits = -1
        self._seen_version = -1
        self._closed = False
        self._connection = store.engine.raw_connection()
        self._driver: Any = self._connection.driver_connection
        if not store.is_sqlite:
            self._driver.autocommit = True
            self._driver.execute(f"LISTEN {store.schema}")

    def wait(self, timeout: float) -> bool:
        """Whether something was committed since the last call; waits for it at most `timeout` s."""
        if self._store.is_sqlite:
            return self._wait_for_sqlite(timeout)
        for _ in self._driver.notifies(timeout=min(timeout, LISTEN_SECONDS), stop_after=1):
            return True
        return False

    def close(self) -> None:
        """Give the connection back; a wait under way ends."""
        self._closed = True
        self._store.committed()
        self._connection.invalidate()

    def _wait_for_sqlite(self, timeout: float) -> bool:
        until = time.monotonic() + timeout
        own = self._store._committed
        while True:
            (version,) = self._driver.execute("PRAGMA data_version").fetchone()
            with own:
                if (self._store._commits, version) != (self._seen_commits, self._seen_version):
                    self._seen_commits, self._seen_version = self._store._commits, version
                    return True
                left = until - time.monotonic()
                if left <= 0 or self._closed:
                    return False
                own.wait(min(left, POLL_SECONDS))


# --- entries as bytes ----------------------------------------------------------------------------


def entry_bytes(position: int, stream: str, version: int, type_name: str, data: bytes) -> bytes:
    """An entry as the one byte string that is hashed, exported and served.

    `data` is spliced as it is stored; of a type that is not ours it is base64 text.
    """
    if type_name not in EVENT_TYPES:
        data = b'"' + base64.b64encode(data) + b'"'
    entry = b'{"data":%b,"position":%d,"stream":%b,"type":%b,"version":%d}' % (
        data,
        position,
        orjson.dumps(stream),
        orjson.dumps(type_name),
        version,
    )
    if len(entry) > ENTRY_BYTES_MAX:
        raise EntryTooLarge(f"entry {position} of {stream} has {len(entry)} bytes")
    return entry


def leaf_hash(entry: bytes) -> bytes:
    """The leaf of an entry (RFC 6962, section 2.1: SHA-256 over 0x00 and the entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


# --- appending and reading -----------------------------------------------------------------------


def append(connection: Connection, rows: Sequence[NewRow], after: int) -> list[bytes]:
    """Write rows at the positions that follow `after`, inside `writing`; their leaf hashes."""
    made: list[tuple[int, str, int, str, bytes, bytes]] = []
    for position, (stream, version, type_name, data) in enumerate(rows, after + 1):
        leaf = leaf_hash(entry_bytes(position, stream, version, type_name, data))
        made.append((position, stream, version, type_name, data, leaf))
    insert_many(connection, entries, made)
    return [row[-1] for row in made]


def insert_many(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows as tuples, in the order of the table's columns, with no cost per row of ours."""
    if not rows:
        return
    cursor = connection.connection.cursor()
    try:
        if connection.dialect.name == "sqlite":
            places = ",".join("?" * len(table.columns))
            cursor.executemany(f"INSERT INTO {table.name} VALUES ({places})", rows)  # noqa: S608
        else:
            with cursor.copy(f"COPY {table.name} FROM STDIN (FORMAT BINARY)") as copy:  # type: ignore[attr-defined]
                copy.set_types([_PG_TYPES[type(c.type).__name__] for c in table.columns])
                for row in rows:
                    copy.write_row(row)
    finally:
        cursor.close()


_PG_TYPES = {"BigInteger": "int8", "Integer": "int4", "LargeBinary": "bytea", "Text": "text"}
_ROW = "SELECT position, stream, version, type, data, leaf_hash FROM entries"


def read(connection: Connection, after: int, limit: int, until: int | None = None) -> list[Row]:
    """At most `limit` rows behind position `after`, up to `until`."""
    last = until if until is not None else 2**62
    return _rows(
        connection, f"{_ROW} WHERE position > %s AND position <= %s ORDER BY position LIMIT %s",
        (after, last, limit),
    )


def read_streams(connection: Connection, streams: Sequence[str]) -> list[Row]:
    """Every row of some streams, oldest first."""
    return _rows_of(connection, "stream", streams)


def read_positions(connection: Connection, positions: Sequence[int]) -> list[Row]:
    """The rows at some positions, oldest first."""
    return _rows_of(connection, "position", positions)


def last_position(connection: Connection) -> int:
    """The last position; 0 where nothing stands."""
    found: int | None = connection.exec_driver_sql("SELECT max(position) FROM entries").scalar()
    return found or 0


def _rows_of(connection: Connection, column: str, wanted: Sequence[Any]) -> list[Row]:
    if not wanted:
        return []
    if connection.dialect.name == "sqlite":
        places = ",".join(["%s"] * len(wanted))
        return _rows(
            connection, f"{_ROW} WHERE {column} IN ({places}) ORDER BY position", tuple(wanted)
        )
    return _rows(connection, f"{_ROW} WHERE {column} = ANY(%s) ORDER BY position", (list(wanted),))


def _rows(connection: Connection, query: str, parameters: tuple[Any, ...]) -> list[Row]:
    cursor = connection.connection.cursor()
    try:
        if connection.dialect.name == "sqlite":
            query = query.replace("%s", "?")
        cursor.execute(query, parameters)
        return list(map(Row._make, cursor.fetchall()))
    finally:
        cursor.close()
