"""Rows of things with an id, while facts change them: read once, kept bounded, written together."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, select

from ledger.bulk_rows import upsert_many

KEPT_MAX = 10_000
"""Rows of a table that stay in memory between pages: some 10 MB."""

HELD_SHARE = 10
"""A rebuild holds back so many times fewer of these rows than of running ones."""

CHUNK = 500
"""Ids in one look-up, well below the engines' limits on parameters."""

Row = dict[str, Any]


class KeptRows:
    """The rows of a table by the text that names each."""

    def __init__(self, table: Table, id: str) -> None:
        self._table = table
        self._names = [column.name for column in table.columns]
        self._id = table.c[id]
        self._kept: dict[str, Row] = {}
        self._changed: dict[str, Row] = {}

    def meet(self, connection: Connection, ids: Iterable[str]) -> None:
        """Have the rows of these at hand, but for those that are still to be added."""
        missing = [id for id in ids if id not in self._kept]
        for start in range(0, len(missing), CHUNK):
            query = select(self._table).where(self._id.in_(missing[start : start + CHUNK]))
            for row in connection.execute(query):
                found = dict(zip(self._names, row, strict=True))
                self._kept[found[self._id.name]] = found

    def has(self, id: str) -> bool:
        """Is there such a row, among those that were met or added?"""
        return id in self._kept

    def __getitem__(self, id: str) -> Row:
        """The row of one that was met or added, to be read."""
        return self._kept[id]

    def add(self, id: str, *fields: Any) -> None:
        """One more row."""
        row = dict(zip(self._names, fields, strict=True))
        self._kept[id] = self._changed[id] = row

    def change(self, id: str) -> Row:
        """The row of one that was met or added, to be changed."""
        row = self._changed[id] = self._kept[id]
        return row

    def write(self, connection: Connection, held: int = 0) -> None:
        """Store what was changed, once more than a share of `held` is; let go of the oldest."""
        if len(self._changed) > held // HELD_SHARE:
            rows = sorted(tuple(row.values()) for row in self._changed.values())
            upsert_many(connection, self._table, rows)
            self._changed.clear()
        if len(self._kept) > KEPT_MAX and not self._changed:
            for id in list(islice(self._kept, len(self._kept) - KEPT_MAX // 2)):
                del self._kept[id]

    def forget(self) -> None:
        """Let go of everything: it may not be what is stored."""
        self._kept.clear()
        self._changed.clear()
