"""Many rows at once by the driver's quickest way, past SQLAlchemy's cost for each."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain, repeat
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, Table, Text
from sqlalchemy.exc import DBAPIError

COPY_FROM_ROWS = 5
"""From so many rows on, COPY is quicker than INSERT."""

ROWS_A_STATEMENT = (256, 64, 16, 4, 1)
"""On SQLite: few sizes, so that the driver's cache of 128 prepared statements holds them all."""


def insert_many(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of the table's columns, in their order, by the driver's quickest way."""
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            _insert_sqlite(driver, table, rows)
            return
        with driver.cursor() as cursor:
            if len(rows) < COPY_FROM_ROWS:
                cursor.executemany(_insert(table, "%s", 1), rows)
                return
            with cursor.copy(_copy(table)) as copy:
                copy.write(_COPY_BEGIN + _packed(table, rows) + _COPY_END)


def upsert_many(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows, or put them in the place of those that have the same key."""
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            _insert_sqlite(driver, table, rows, _instead(table))
        else:
            columns = [list(column) for column in zip(*rows, strict=True)]
            driver.execute(_insert_arrays(table) + _instead(table), columns)


def add_many(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], sums: tuple[str, ...]
) -> None:
    """Add to some columns of rows that are there; what else is given beside the key is not read."""
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            _insert_sqlite(driver, table, rows, _added(table, sums))
        else:
            columns = [list(column) for column in zip(*rows, strict=True)]
            driver.execute(_insert_arrays(table) + _added(table, sums), columns)


def read_many(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """Every row of the table's columns, in the order of its key, one after the other.

    However many there are and however long: the driver holds some of them at a time. The table's
    types are those of the connection's own database.
    """
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection):
        if connection.dialect.name == "sqlite":
            yield from driver.execute(_select(table))
            return
        query = f"COPY ({_select(table)}) TO STDOUT (FORMAT BINARY)"
        with driver.cursor() as cursor, cursor.copy(query) as copy:
            copy.set_types([_POSTGRESQL_TYPES[kind] for kind in _kinds(table)])
            yield from copy.rows()


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """Raise what the driver raises as SQLAlchemy does; a broken connection leaves the pool."""
    dialect = connection.dialect
    driver: Any = dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        broken = dialect.is_disconnect(error, connection.connection, None)
        wrapped = DBAPIError.instance(
            None, None, error, driver.Error, connection_invalidated=broken, dialect=dialect
        )
        if broken:
            connection.invalidate(error)
        raise wrapped from error


def _insert_sqlite(
    driver: Any, table: Table, rows: Sequence[tuple[Any, ...]], tail: str = ""
) -> None:
    """Some statements of many rows each, not a statement a row.

    Python's driver lets go of the interpreter for every step of a statement, and gets it back from
    a busy event loop milliseconds later: a step a row would cost more than the rows.
    """
    start = 0
    for size in ROWS_A_STATEMENT:
        while len(rows) - start >= size:
            part = rows[start : start + size]
            statement = _insert(table, "?", size) + tail
            driver.execute(statement, tuple(chain.from_iterable(part)))
            start += size


@cache
def _insert(table: Table, place: str, rows: int) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    places = ", ".join([place] * len(table.columns))
    values = ", ".join([f"({places})"] * rows)
    return f'INSERT INTO "{table.name}" ({columns}) VALUES {values}'  # noqa: S608  (names are ours)


_POSTGRESQL_TYPES = {"bytes": "bytea", "text": "text", "bigint": "bigint", "integer": "integer"}


def _select(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'SELECT {columns} FROM "{table.name}" ORDER BY {_key(table)}'  # noqa: S608  (ours)


@cache
def _insert_arrays(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    arrays = ", ".join(f"%s::{_POSTGRESQL_TYPES[kind]}[]" for kind in _kinds(table))
    rows = f"SELECT * FROM unnest({arrays})"  # noqa: S608  (names are ours)
    return f'INSERT INTO "{table.name}" ({columns}) {rows}'


@cache
def _added(table: Table, sums: tuple[str, ...]) -> str:
    values = ", ".join(f'"{name}" = "{table.name}"."{name}" + excluded."{name}"' for name in sums)
    return f" ON CONFLICT ({_key(table)}) DO UPDATE SET {values}"


@cache
def _instead(table: Table) -> str:
    values = ", ".join(
        f'"{column.name}" = excluded."{column.name}"'
        for column in table.columns
        if not column.primary_key
    )
    return f" ON CONFLICT ({_key(table)}) DO UPDATE SET {values}"


def _key(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key.columns)


@cache
def _copy(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT BINARY)'


# PostgreSQL's documentation of COPY, "Binary Format": a signature, rows, -1.
_COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_FIELDS, _LENGTH = struct.Struct(">h"), struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_BIGINT, _INTEGER = struct.Struct(">iq"), struct.Struct(">ii")


def _packed(table: Table, rows: Sequence[tuple[Any, ...]]) -> bytes:
    """The rows' fields, packed column by column, which is quicker than row by row."""
    kinds = _kinds(table)
    columns = zip(*rows, strict=True)
    fields = [_packed_column(kind, column) for kind, column in zip(kinds, columns, strict=True)]
    begin = repeat(_FIELDS.pack(len(kinds)))
    return b"".join(chain.from_iterable(zip(begin, *fields)))  # noqa: B905  (begin has no end)


def _packed_column(kind: str, column: Iterable[Any]) -> list[bytes]:
    length, number = _LENGTH.pack, (_BIGINT if kind == "bigint" else _INTEGER).pack
    match kind:
        case "bytes":
            return [_NULL if v is None else length(len(v)) + v for v in column]
        case "text":
            spelled = [None if v is None else v.encode() for v in column]
            return [_NULL if v is None else length(len(v)) + v for v in spelled]
    bytes_long = 8 if kind == "bigint" else 4
    return [_NULL if v is None else number(bytes_long, v) for v in column]


@cache
def _kinds(table: Table) -> tuple[str, ...]:
    return tuple(_kind(column.type) for column in table.columns)


def _kind(of: object) -> str:
    match of:
        case LargeBinary():
            return "bytes"
        case Text():
            return "text"
        case BigInteger():
            return "bigint"
        case Integer():
            return "integer"
    raise TypeError(f"no column of ours has the type {of!r}")
