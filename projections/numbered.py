"""Rows that facts keep changing: read when first met, kept bounded, written page by page."""

from collections.abc import Iterable
from itertools import islice
from typing import Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Table, bindparam, func, select

from ledger.bulk_rows import upsert_many

KEPT_MAX = 200_000
"""Rows of a table that stay in memory between pages: some 50 MB."""

HELD_MAX = 50_000
"""Changed rows that a rebuild, one transaction anyway, holds back: most are changed again."""

CHUNK = 500
"""Names in one look-up, well below the engines' limits on parameters."""


class NumberedRow(msgspec.Struct, gc=False):
    """A row in the order of its table's columns, which begin with the number and the name."""

    id: int
    name: str


R = TypeVar("R", bound=NumberedRow)


class Numbered(Generic[R]):
    """The rows of a table whose first columns are a number and a name.

    A name that the table does not hold gets the next number, so numbers are given in the order in
    which the journal first names things, however the journal is cut into pages.
    """

    def __init__(self, table: Table, row: type[R]) -> None:
        number, name, *_ = table.columns
        self._row = row
        self._next = select(func.coalesce(func.max(number), 0) + 1)
        self._find = select(table).where(name.in_(bindparam("names", expanding=True)))
        self._table = table
        self._kept: dict[str, R] = {}
        self._changed: dict[str, R] = {}
        self._next_number = 0  # not known yet

    def meet(self, connection: Connection, names: Iterable[str]) -> None:
        """Have the rows of these names at hand; what is new is made, in this order."""
        missing = [name for name in names if name not in self._kept]
        if not missing:
            return
        for start in range(0, len(missing), CHUNK):
            found = connection.execute(self._find, {"names": missing[start : start + CHUNK]})
            for row in found:
                self._kept[row[1]] = self._row(*row)
        if not self._next_number:
            self._next_number = connection.execute(self._next).scalar_one()
        for name in missing:
            if name not in self._kept:
                self._kept[name] = self._changed[name] = self._row(self._next_number, name)
                self._next_number += 1

    def __getitem__(self, name: str) -> R:
        """The row of a name that was met on this page."""
        return self._kept[name]

    def change(self, name: str) -> R:
        """The same, to be changed."""
        row = self._changed[name] = self._kept[name]
        return row

    def write(self, connection: Connection, held: int = 0) -> None:
        """Store what was changed, once more than `held` rows were; let go of the oldest of many."""
        if len(self._changed) > held:
            rows = sorted(map(msgspec.structs.astuple, self._changed.values()))
            upsert_many(connection, self._table, rows)
            self._changed.clear()
        if len(self._kept) > KEPT_MAX and not self._changed:
            for name in list(islice(self._kept, len(self._kept) - KEPT_MAX // 2)):
                del self._kept[name]

    def forget(self) -> None:
        """Let go of everything: it may not be what is stored."""
        self._kept.clear()
        self._changed.clear()
        self._next_number = 0
