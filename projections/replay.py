"""Replay: every view built anew from the journal in a fresh database, compared with the live."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, select

from ledger import databases, store
from projections import schema
from projections.views import Progress, Views, stored_mark

CHUNK = 2_000
"""Rows compared at a time."""

Row = tuple[Any, ...]


class Rebuilt(Exception):
    """The live views were rebuilt while they were being compared; compare them again."""


class Digest(NamedTuple):
    """A view's rows as one number: SHA-256 over them in the order of their keys, in hex."""

    rows: int
    sha256: str


class Difference(NamedTuple):
    """A row that is not as the journal says; None where the row is not there at all."""

    view: str
    key: dict[str, Any]
    live: dict[str, Any] | None
    replayed: dict[str, Any] | None


class Replayed(NamedTuple):
    """The views of both databases at one position, and the first row in which they differ."""

    position: int
    live: dict[str, Digest]
    replayed: dict[str, Digest]
    difference: Difference | None

    @property
    def digests(self) -> tuple[str, str]:
        """One digest for all live views, and one for all replayed ones."""
        return whole(self.live), whole(self.replayed)


def replay(
    opened: store.Store, views: Views, until: int | None = None, progress: Progress | None = None
) -> Replayed:
    """Build the views in a fresh database as far as the live ones have read, and compare.

    Up to an earlier position those views are compared that keep every line; what stands now has
    moved on since.
    """
    views.prepare(progress)
    with databases.reading(views.engine) as live, tempfile.TemporaryDirectory() as folder:
        mark = stored_mark(live)
        if mark is None:
            raise Rebuilt
        position = mark.position if until is None else min(until, mark.position)
        engine = databases.open_engine(
            f"sqlite:///{Path(folder) / 'views.db'}", "views", durable=False
        )
        try:
            Views(opened, engine).rebuild(position, progress)
            with databases.reading(engine) as fresh:
                found = compare(live, fresh, None if position == mark.position else position)
        finally:
            engine.dispose()
    with databases.reading(views.engine) as now:
        after = stored_mark(now)
    if after is None or after.build != mark.build:
        raise Rebuilt
    return Replayed(position, *found)


def compare(
    live: Connection, fresh: Connection, until: int | None = None
) -> tuple[dict[str, Digest], dict[str, Digest], Difference | None]:
    """Digests of both, and the first difference; up to a position, those that keep every line."""
    ours: dict[str, Digest] = {}
    theirs: dict[str, Digest] = {}
    first: Difference | None = None
    for table in schema.VIEWS if until is None else schema.HISTORIES:
        mine, other = _Hash(), _Hash()
        pairs = zip_longest(_chunks(live, table, until), _chunks(fresh, table, until), fillvalue=())
        for these, those in pairs:
            mine.add(these)
            other.add(those)
            if first is None and these != those:
                first = _first_difference(table, these, those)
        ours[table.name], theirs[table.name] = mine.digest(), other.digest()
    return ours, theirs, first


def digests(connection: Connection) -> dict[str, Digest]:
    """Every view's digest: the same on SQLite and PostgreSQL, however the rows came there."""
    found: dict[str, Digest] = {}
    for table in schema.VIEWS:
        hashed = _Hash()
        for rows in _chunks(connection, table, None):
            hashed.add(rows)
        found[table.name] = hashed.digest()
    return found


def whole(found: dict[str, Digest]) -> str:
    """One digest over the digests of all views, in hex."""
    lines = (f"{name} {digest.rows} {digest.sha256}\n" for name, digest in sorted(found.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Hash:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        if rows:
            self._hash.update(msgspec.msgpack.encode(rows))
            self._rows += len(rows)

    def digest(self) -> Digest:
        return Digest(self._rows, self._hash.hexdigest())


def _chunks(connection: Connection, table: Table, until: int | None) -> Iterator[list[Row]]:
    """A table's rows in the order of its key, the same number at a time."""
    query = select(table).order_by(*table.primary_key.columns)
    if until is not None:
        query = query.where(table.c.position <= until)
    found = connection.execution_options(yield_per=CHUNK).execute(query)
    for rows in found.partitions(CHUNK):
        yield list(map(tuple, rows))


def _first_difference(table: Table, live: Sequence[Row], fresh: Sequence[Row]) -> Difference:
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key.columns]

    def named(row: Row | None) -> dict[str, Any] | None:
        return None if row is None else dict(zip(names, row, strict=True))

    def key(row: Row) -> Row:
        return tuple(value for name, value in zip(names, row, strict=True) if name in keys)

    this, that = next((this, that) for this, that in zip_longest(live, fresh) if this != that)
    if this is not None and that is not None and key(this) != key(that):
        if key(this) < key(that):
            that = None  # the live row is one too many
        else:
            this = None  # the live row is missing
    at = key(this if this is not None else that)
    return Difference(table.name, dict(zip(keys, at, strict=True)), named(this), named(that))
