"""Whether the derived tables hold what the facts say, no less and no more, and where they do not.

First by sums: of the rows that the facts call for, and of those that the tables hold, each row as
one number under a key that this process alone has (Python's hash of texts and bytes). Equal sums
are equal rows. Where they differ, the entries are read once more and each is looked up.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection, Table, func, select, tuple_

from ledger import journal, store
from ledger.events import (
    EVENT_TYPES,
    MOVING,
    Entry,
    Event,
    PostedContent,
    RecordEvent,
    types_of,
)
from ledger.faults import Fault, Wrong, first
from ledger.rules.shared_balances import moved
from ledger.units import id_bytes

CHUNK = 500
"""Keys in one look-up, well below the engines' limits on parameters."""


class Derived:
    """Sums over the rows that the facts so far call for."""

    def __init__(self) -> None:
        self.places = 0  # of the entries themselves: the index over their streams must add up to it
        self.receipts = 0
        self.record_entries = 0
        self.heard = 0
        self.shared: dict[str, int] = {}

    def add(self, rows: Sequence[store.Row], events: Sequence[Event]) -> Wrong | None:
        """Take in facts; the first in which an id is no UUID."""
        places = receipts = record_entries = heard = 0
        wrong: Wrong | None = None
        for row in rows:
            places += hash((row[1], row[2], row[0]))
        event: Any
        for row, event in zip(rows, events, strict=False):  # of some rows the leaves alone are read
            position, _, _, type_name, _, _ = row
            if type_name in _HEARD:
                for stream in event.also_in:
                    heard += hash((stream, position))
            if type_name in _MOVING:
                for account, moves in moved(event).items():
                    self.shared[account] = self.shared.get(account, 0) + moves
            if type_name not in _OF_RECORDS:
                continue
            try:
                record = id_bytes(event.record_id)
                record_entries += hash((record, position))
                if type_name in _POSTED:
                    receipts += hash((event.organisation, event.receipt, record))
                    if event.replaces is not None:  # whose place under the receipt it takes
                        before = id_bytes(event.replaces)
                        receipts -= hash((event.organisation, event.receipt, before))
            except ValueError:
                wrong = Wrong(position, "unreadable")
                break
        self.places += places
        self.receipts += receipts
        self.record_entries += record_entries
        self.heard += heard
        return wrong

    def agrees(self, connection: Connection) -> bool:
        """Do the tables hold these rows and no others, and the index of streams the entries?"""
        shared = {
            account: credits
            for account, credits in connection.execute(select(store.shared_balances))
        }
        return (
            shared == self.shared
            and self.places == _sum(connection, "stream, version, position", "entries")
            and self.receipts == _sum(connection, "organisation, receipt, record_id", "receipts")
            and self.record_entries == _sum(connection, "record_id, position", "record_entries")
            and self.heard == _sum(connection, "stream, position", "heard")
        )


class Search:
    """Looks up what each fact calls for, page by page, and then what is there beyond that."""

    def __init__(self) -> None:
        self._receipts = 0
        self._record_entries = 0
        self._heard = 0
        self._shared: dict[str, tuple[int, int]] = {}  # account -> last position, balance

    def page(self, connection: Connection, entries: Sequence[Entry]) -> Wrong | None:
        """The first entry whose rows are not what they must be."""
        derived = journal.index_rows(entries)
        receipts: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for entry in entries:
            event = entry.event
            if isinstance(event, PostedContent):
                under = (event.organisation, event.receipt)
                receipts.setdefault(under, []).append((event.record_id, entry.position))
            for account, moves in moved(event).items():
                _, before = self._shared.get(account, (0, 0))
                self._shared[account] = (entry.position, before + moves)
        places = set(derived.record_entries)
        self._receipts += len(derived.receipts)
        self._record_entries += len(places)
        wrong: Wrong | None = None
        standing = journal.records_under(connection, receipts)
        for under, posted in receipts.items():
            if all(record_id == standing.get(under) for record_id, _ in posted):
                continue
            led_to = _led_to(connection, standing.get(under), under)
            for record_id, position in posted:
                if record_id not in led_to:
                    wrong = first(wrong, Wrong(position, "receipt"))
        for _, position in places - set(_held(connection, places)):
            wrong = first(wrong, Wrong(position, "record_entry"))
        hearing = set(derived.heard)
        self._heard += len(hearing)
        for _, position in hearing - set(_heard(connection, hearing)):
            wrong = first(wrong, Wrong(position, "heard"))
        return wrong

    def surplus(self, connection: Connection) -> Wrong | None:
        """A row of an index that no entry made, once every entry's rows were found."""
        hearing = connection.scalar(select(func.count()).select_from(store.heard))
        if hearing != self._heard:
            return Wrong(0, "heard")
        kept: dict[str, int] = {
            account: credits
            for account, credits in connection.execute(select(store.shared_balances))
        }
        for account, (position, credits) in self._shared.items():
            if kept.pop(account, None) != credits:
                return Wrong(position, "shared_balance")
        if kept:
            return Wrong(0, "shared_balance")
        for table, found, fault in (
            (store.receipts, self._receipts, "receipt"),
            (store.record_entries, self._record_entries, "record_entry"),
        ):
            held = connection.scalar(select(func.count()).select_from(table))
            if held != found:
                return Wrong(_surplus_position(connection, table), cast(Fault, fault))
        return None


def _held(
    connection: Connection, places: Iterable[tuple[bytes, int]]
) -> Iterator[tuple[bytes, int]]:
    table = store.record_entries.c
    positions = [position for _, position in places]
    records = sorted({record for record, _ in places})
    for start in range(0, len(records), CHUNK):
        query = select(table.record_id, table.position).where(
            table.record_id.in_(records[start : start + CHUNK]),
            table.position.between(min(positions), max(positions)),
        )
        for record, position in connection.execute(query):
            yield bytes(record), position


def _heard(connection: Connection, places: Set[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    positions = sorted({position for _, position in places})
    for start in range(0, len(positions), CHUNK):
        query = select(store.heard).where(
            store.heard.c.position.in_(positions[start : start + CHUNK])
        )
        yield from map(tuple, connection.execute(query))


def _led_to(connection: Connection, standing: str | None, under: tuple[str, str]) -> set[str]:
    """The record that stands under a receipt, and those in whose place it has come since."""
    seen: set[str] = set()
    while standing is not None and standing not in seen:
        seen.add(standing)
        facts = (entry.event for entry in journal.record(connection, standing))
        standing = next(
            (
                fact.replaces
                for fact in facts
                if isinstance(fact, PostedContent) and (fact.organisation, fact.receipt) == under
            ),
            None,
        )
    return seen


def _surplus_position(connection: Connection, table: Table) -> int:
    """The first position that a surplus row of an index leads to; 0 where it leads nowhere.

    Reads the whole index beside the entries, so it is asked only where the counts disagree.
    """
    found: list[int] = []
    keys = list(table.primary_key.columns)
    page = select(table).order_by(*keys).limit(CHUNK)
    query = page
    while rows := connection.execute(query).all():
        for row in rows:
            entries = journal.record(connection, str(UUID(bytes=bytes(row.record_id))))
            derived = journal.index_rows(entries)
            if table is store.record_entries:
                if (bytes(row.record_id), row.position) not in derived.record_entries:
                    found.append(row.position)
            elif (row.organisation, row.receipt, bytes(row.record_id)) not in (
                *derived.receipts,
                *derived.replaced,
            ):
                found.append(entries[0].position if entries else 0)
        last = tuple(getattr(rows[-1], key.name) for key in keys)
        query = page.where(tuple_(*keys) > last)
    return min(found, default=0)


def _sum(connection: Connection, columns: str, table: str) -> int:
    return sum(map(hash, store.scan(connection, f"SELECT {columns} FROM {table}")))  # noqa: S608


def _overrides(name: str) -> frozenset[str]:
    """The types whose facts say something of their own there."""
    plain = getattr(Event, name)
    return frozenset(type for type, event in EVENT_TYPES.items() if getattr(event, name) != plain)


_HEARD = _overrides("also_in")
_MOVING = _overrides("stock_lines") | MOVING
_OF_RECORDS = types_of(RecordEvent)
_POSTED = types_of(PostedContent)
