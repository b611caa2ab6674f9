"""A store's rows in another database, of whichever engine: table by table, row for row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select

from ledger.bulk_rows import insert_many, read_many

ROWS_AT_ONCE = 5_000
BYTES_AT_ONCE = 4 << 20  # a kept answer of a large batch has megabytes

Heard = Callable[[int], None]
"""Told now and then how many rows more are done."""

Row = tuple[Any, ...]


class OtherTables(Exception):
    """A database lacks a table or a column that its revision has; says which."""


def tables_in(connection: Connection) -> dict[str, Table]:
    """The tables that stand there now, as the database itself tells them, but alembic's."""
    found = MetaData()
    found.reflect(connection, resolve_fks=False)
    return {table.name: table for table in found.sorted_tables if table.name != "alembic_version"}


def is_empty(connection: Connection) -> bool:
    """Does no table stand there?"""
    return not inspect(connection).get_table_names()


def count_rows(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """How many rows each of these tables has."""
    there = tables_in(connection)
    return {
        name: connection.scalar(select(func.count()).select_from(there[name])) or 0
        for name in names
    }


def copy_rows(source: Connection, target: Connection, heard: Heard) -> list[str]:
    """Copy every row of the target's tables, which stand and are empty; for the caller to commit.

    Rows go in by their keys' order, past every trigger. Answers the names of what the source has
    beside these tables and columns. OtherTables where it lacks one of them.
    """
    for theirs, ours in _pairs(source, target):
        for rows in _batches(read_many(source, theirs)):
            insert_many(target, ours, rows)
            heard(len(rows))
    return sorted(_names(source) - _names(target))


def are_same(source: Connection, target: Connection, heard: Heard) -> bool:
    """Does the target hold the rows of the source's tables, and in these tables no others?

    Of tables and columns that the source does not know nothing is asked.
    """
    try:
        pairs = list(_pairs(target, source))
    except OtherTables:
        return False
    for ours, theirs in pairs:
        both = zip_longest(
            _batches(read_many(source, theirs)), _batches(read_many(target, ours)), fillvalue=()
        )
        for these, those in both:
            if these != those:
                return False
            heard(len(these))
    return True


def _pairs(source: Connection, target: Connection) -> Iterator[tuple[Table, Table]]:
    """Each of the target's tables, behind what of the source's has its columns."""
    if lacking := sorted(_names(target) - _names(source)):
        raise OtherTables(", ".join(lacking))
    known = tables_in(source)
    for ours in tables_in(target).values():
        theirs = known[ours.name]
        columns = [theirs.columns[column.name] for column in ours.columns]
        part = [Column(each.name, each.type, primary_key=each.primary_key) for each in columns]
        yield Table(ours.name, MetaData(), *part), ours


def _names(connection: Connection) -> set[str]:
    """`table` and `table.column`, of all that stand there."""
    tables = tables_in(connection)
    columns = (
        f"{name}.{column.name}" for name, table in tables.items() for column in table.columns
    )
    return {*tables, *columns}


def _batches(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """As many rows at a time as memory is spared with; the same cuts for the same rows."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(batch) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
