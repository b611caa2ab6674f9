"""The journal's rows: appended by one writer at a time, read by anyone, and followed."""

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection

from ledger import databases
from ledger.bulk_rows import driver_errors, insert_many
from ledger.entries import NewRow, Row, entry_bytes, leaf_hash
from ledger.journal_schema import create_tables, entries
from ledger.wakeup import Wakeup

SCANNED_AT_ONCE = 5_000


class Store:
    """One ledger's journal: its database, its one writer at a time, and who follows it."""

    def __init__(self, url: str, ledger: str = "main") -> None:
        self.schema = f"{ledger}_journal"
        self.is_sqlite = databases.is_sqlite(url)
        self.engine = databases.open_engine(url, self.schema, durable=True)
        self._one_writer = threading.Lock()  # within a process quicker than the database's own
        self._followers: set[Wakeup] = set()
        weakref.finalize(self, self.engine.dispose)  # the library drops its views unclosed

    def create(self) -> None:
        """Make schema, tables and triggers where there are none."""
        with databases.reading(self.engine) as connection:
            if connection.dialect.has_table(connection, entries.name):
                return
        with self.writing() as connection:
            databases.create_schema(connection)
            create_tables(connection)

    def close(self) -> None:
        """End every follower's wait and close the connections."""
        for wakeup in list(self._followers):
            wakeup.close()
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction as the only writer among all processes; it commits at the end.

        OperationalError where the writers before do not end in WAIT_SECONDS.
        """
        if not self._one_writer.acquire(timeout=databases.WAIT_SECONDS):
            raise databases.no_turn()
        try:
            with databases.writing(self.engine, self._tell_followers) as connection:
                connection.info["poked"] = False
                yield connection
        finally:
            self._one_writer.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the journal throughout."""
        with databases.reading(self.engine) as connection:
            yield connection

    def confirm(self) -> None:
        """Return once all that can be read now is on the standby too, where there has to be one.

        Before an answer says of anything that it stands, unless a transaction of `writing` read it.
        """
        if not self.is_sqlite:
            with self.writing():
                pass

    def poke(self, connection: Connection) -> None:
        """Say within `writing` that there is something new: followers are told after the commit."""
        connection.info["poked"] = True

    def wakeup(self) -> Wakeup:
        """What a follower waits on, until it closes it."""
        return Wakeup(self.engine, self.schema, self._followers)

    def _tell_followers(self, connection: Connection) -> None:
        if not connection.info["poked"]:
            return
        for wakeup in list(self._followers):
            wakeup.tell()
        if not self.is_sqlite:
            # Not within the transaction: until it is on disk, its NOTIFY would hold a lock of the
            # whole server, which other ledgers may share.
            databases.notify(connection, self.schema)


# --- entries in, entries out ---------------------------------------------------------------------


def append(connection: Connection, rows: Sequence[NewRow], after: int) -> list[bytes]:
    """Place rows behind position `after`, the last there is; their leaf hashes, in order.

    IntegrityError where `after` is not the last, or a (stream, version) stands already;
    EntryTooLarge above 65 535 bytes. Within `writing` alone.
    """
    placed = [
        (position, *row, leaf_hash(entry_bytes(position, *row)))
        for position, row in enumerate(rows, after + 1)
    ]
    insert_many(connection, entries, placed)
    return [row[5] for row in placed]


def read(connection: Connection, after: int, limit: int, until: int | None = None) -> list[Row]:
    """At most `limit` entries behind `after`, up to and with position `until`, oldest first."""
    return _rows(connection, _PAGE, (after, _LAST if until is None else until, limit))


def read_streams(connection: Connection, streams: Sequence[str]) -> list[Row]:
    """Every entry of these streams, oldest first."""
    return _rows(connection, _STREAMS, (_array(connection, streams),))


def read_heard(connection: Connection, streams: Sequence[str]) -> list[tuple[Any, ...]]:
    """What these streams hear of others, oldest first: each row with the hearing stream before."""
    return _tuples(connection, _HEARD, (_array(connection, streams),))


def stream_names(connection: Connection, prefix: str) -> list[str]:
    """The streams whose names begin so, in their order; a prefix ends in a colon."""
    end = prefix.removesuffix(":") + ";"  # the next character
    return [name for (name,) in _tuples(connection, _NAMES, (prefix, end))]


def read_positions(connection: Connection, positions: Sequence[int]) -> list[Row]:
    """The entries at these positions, oldest first; those that are not there are left out."""
    return _rows(connection, _POSITIONS, (_array(connection, positions),))


def read_naming(connection: Connection, text: bytes, until: int) -> list[Row]:
    """The entries up to a position in whose data the text stands somewhere: it reads them all."""
    return _rows(connection, _NAMING, (text, until))


def read_leaves(connection: Connection, after: int, until: int) -> list[bytes]:
    """The leaf hashes of the entries behind `after`, up to and with `until`, oldest first."""
    return [bytes(leaf) for (leaf,) in _tuples(connection, _LEAVES, (after, until))]


def scan(connection: Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a query of ours that takes no parameters, however many, a few at a time."""
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            yield from driver.execute(query)
            return
        with driver.cursor("scan", binary=True) as cursor:
            cursor.itersize = SCANNED_AT_ONCE
            yield from cursor.execute(query)


def read_receipts(
    connection: Connection, organisation: str, numbers: Sequence[str]
) -> list[tuple[str, bytes]]:
    """The record that stands under each of an organisation's receipts: (receipt, record)."""
    return _tuples(connection, _RECEIPTS, (organisation, _array(connection, numbers)))


def read_record(connection: Connection, record_id: bytes) -> list[Row]:
    """Every entry about one service record, oldest first."""
    return _rows(connection, _RECORD, (record_id,))


def read_answers(
    connection: Connection, scope: str, keys: Sequence[str]
) -> list[tuple[str, bytes, int, bytes]]:
    """The answers kept under a scope's keys: (key, fingerprint, status, body)."""
    return _tuples(connection, _ANSWERS, (scope, _array(connection, keys)))


def last(connection: Connection) -> Row | None:
    """The newest entry, if there is any."""
    found = _rows(connection, _NEWEST, ())
    return found[0] if found else None


def last_position(connection: Connection) -> int:
    """The newest entry's position; 0 where there is none."""
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        (position,) = driver.execute("SELECT max(position) FROM entries").fetchone()
    return position or 0


_LAST = 2**63 - 1


def _entries(rest: str) -> str:
    return f"SELECT position, stream, version, type, data, leaf_hash FROM entries {rest}"  # noqa: S608  (ours)


_PAGE = {
    "sqlite": _entries("WHERE position > ? AND position <= ? ORDER BY position LIMIT ?"),
    "postgresql": _entries("WHERE position > %s AND position <= %s ORDER BY position LIMIT %s"),
}
_STREAMS = {
    "sqlite": _entries("WHERE stream IN (SELECT value FROM json_each(?)) ORDER BY position"),
    # By the index for each, whatever the planner believes of a table that was never analysed.
    "postgresql": "SELECT found.* FROM unnest(%s::text[]) AS named (stream) CROSS JOIN LATERAL ("
    "SELECT position, stream, version, type, data, leaf_hash FROM entries"
    " WHERE entries.stream = named.stream OFFSET 0) AS found ORDER BY position",
}
_NAMES = {
    "sqlite": "SELECT DISTINCT stream FROM entries WHERE stream >= ? AND stream < ? ORDER BY 1",
    "postgresql": "SELECT DISTINCT stream FROM entries WHERE stream >= %s AND stream < %s"
    " ORDER BY 1",
}
_POSITIONS = {
    "sqlite": _entries("WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position"),
    "postgresql": _entries("WHERE position = ANY(%s) ORDER BY position"),
}
_NAMING = {
    "sqlite": _entries("WHERE instr(data, ?) > 0 AND position <= ? ORDER BY position"),
    "postgresql": _entries(
        "WHERE position(%s::bytea IN data) > 0 AND position <= %s ORDER BY position"
    ),
}
_LEAVES = {
    "sqlite": "SELECT leaf_hash FROM entries WHERE position > ? AND position <= ?"
    " ORDER BY position",
    "postgresql": "SELECT leaf_hash FROM entries WHERE position > %s AND position <= %s"
    " ORDER BY position",
}
_RECORD = {
    "sqlite": _entries("NATURAL JOIN record_entries WHERE record_id = ? ORDER BY position"),
    "postgresql": _entries("NATURAL JOIN record_entries WHERE record_id = %s ORDER BY position"),
}
_HEARD = {
    "sqlite": "SELECT heard.stream, entries.position, entries.stream, version, type, data,"
    " leaf_hash FROM heard JOIN entries ON entries.position = heard.position"
    " WHERE heard.stream IN (SELECT value FROM json_each(?)) ORDER BY entries.position",
    "postgresql": "SELECT heard.stream, entries.position, entries.stream, version, type, data,"
    " leaf_hash FROM heard JOIN entries ON entries.position = heard.position"
    " WHERE heard.stream = ANY(%s) ORDER BY entries.position",
}
_RECEIPTS = {
    "sqlite": "SELECT receipt, record_id FROM receipts"
    " WHERE organisation = ? AND receipt IN (SELECT value FROM json_each(?))",
    "postgresql": "SELECT receipt, record_id FROM receipts"
    " WHERE organisation = %s AND receipt = ANY(%s)",
}
_ANSWERS = {
    "sqlite": "SELECT key, fingerprint, status, body FROM answers"
    " WHERE scope = ? AND key IN (SELECT value FROM json_each(?))",
    "postgresql": "SELECT key, fingerprint, status, body FROM answers"
    " WHERE scope = %s AND key = ANY(%s)",
}
_NEWEST = dict.fromkeys(_PAGE, _entries("WHERE position = (SELECT max(position) FROM entries)"))
_row = partial(tuple.__new__, Row)  # a third of the time of Row._make


def _rows(
    connection: Connection, which: Mapping[str, str], parameters: tuple[Any, ...]
) -> list[Row]:
    """The entries that a condition holds for."""
    return list(map(_row, _tuples(connection, which, parameters)))


def _tuples(
    connection: Connection, which: Mapping[str, str], parameters: tuple[Any, ...]
) -> list[Any]:
    """What a query answers, through the driver: SQLAlchemy's rows cost more than the query."""
    driver: Any = connection.connection.driver_connection
    query = which[connection.dialect.name]
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            found: list[Any] = driver.execute(query, parameters).fetchall()
            return found
        with driver.cursor(binary=True) as cursor:
            return list(cursor.execute(query, parameters))


def _array(connection: Connection, values: Sequence[str] | Sequence[int]) -> object:
    """A parameter that holds many values, so that the query stays one and the same."""
    if connection.dialect.name == "sqlite":
        return orjson.dumps(values).decode()
    return list(values)
