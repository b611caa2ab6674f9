"""The journal's verification: everything that a reader can recompute, from the first entry on.

Each leaf is hashed anew from its row, positions and the versions of each stream are dense from 1,
every fact can be read and stands in its stream, its lines sum to zero, times never run backwards,
and the derived indexes hold what the facts say, no less and no more. A few thousand entries are in
memory at a time, however long the journal is.

What is not found here: a journal whose tail was cut off, or that was written anew as a whole. That
takes a signed checkpoint kept elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Literal, NamedTuple, cast
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table, func, select, tuple_
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError

from ledger import journal, store
from ledger.events import PostedContent

CHUNK = 500
"""Keys in one look-up, well below the engines' limits on parameters."""

Fault = Literal[
    "position_missing",  # the entry at this position is not there
    "leaf",  # the row is not the one that was hashed when it was written
    "unreadable",  # the data is no fact of its type
    "stream",  # the fact belongs to another stream
    "version",  # the versions of the entry's stream are not dense from 1
    "sum",  # the double-entry lines do not sum to zero
    "recorded_at",  # recorded before the entry ahead of it
    "receipt",  # the index of receipts says otherwise, or more
    "record_entry",  # the index of records' entries says otherwise, or more
    "heard",  # the index of what streams hear of others says otherwise, or more
    "shared_balance",  # the kept balance of a pool or fund is not the sum of its lines
    "damaged",  # the database cannot be read on
]


class Wrong(NamedTuple):
    """What is wrong at a position. Position 0: an index row that belongs to no entry."""

    position: int
    fault: Fault


class Verdict(NamedTuple):
    """What a verification found; `wrong` is the lowest position that is wrong, if any is."""

    entries: int  # read and found right
    last_position: int
    streams: int
    foreign: int  # entries of a type that is not ours: their leaves and versions alone are known
    wrong: Wrong | None


def verify(
    opened: store.Store,
    until: int | None = None,
    heard: Callable[[int], None] = lambda position: None,
) -> Verdict:
    """Verify a journal as it stands now; `heard` is told now and then how far it has come."""
    walk = _Walk()
    try:
        with opened.reading() as connection:
            return walk.verdict(connection, until, heard)
    except (OperationalError, ProgrammingError):  # the database's service, not its content
        raise
    except DatabaseError:
        reached = walk.position
        return Verdict(reached, reached, 0, walk.foreign, Wrong(reached + 1, "damaged"))


class _Walk:
    """One verification: the entries in order, then the versions of the streams."""

    def __init__(self) -> None:
        self.position = 0  # all up to here is right
        self.foreign = 0
        self._places = 0  # of all entries, whatever their order: the index must add up to it
        self._recorded_at = ""
        self._receipts = 0
        self._record_entries = 0
        self._heard = 0
        self._shared: dict[str, tuple[int, int]] = {}  # account -> last position, balance

    def verdict(
        self, connection: Connection, until: int | None, heard: Callable[[int], None]
    ) -> Verdict:
        """Read everything up to `until`."""
        last = store.last_position(connection)
        last = last if until is None else min(last, until)
        wrong = self._find(connection, last, heard)
        right = self.position
        streams, disordered = self._versions(connection, last)
        wrong = _first(wrong, disordered)
        if wrong is None and until is None:
            wrong = self._surplus(connection)
        return Verdict(right, last, streams, self.foreign, wrong)

    def _find(
        self, connection: Connection, last: int, heard: Callable[[int], None]
    ) -> Wrong | None:
        """The first wrong entry up to `last`."""
        before = connection.scalar(_BEFORE_THE_FIRST)
        if before is not None:
            return Wrong(before, "position_missing")
        while self.position < last:
            rows = store.read(connection, self.position, journal.PAGE, last)
            if not rows:
                return Wrong(self.position + 1, "position_missing")
            wrong = self._page(connection, rows)
            if wrong is not None:
                return wrong
            heard(self.position)
        return None

    def _surplus(self, connection: Connection) -> Wrong | None:
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

    def _page(self, connection: Connection, rows: Sequence[store.Row]) -> Wrong | None:
        """Take in the rows that follow; the wrong row among them that stands first."""
        derived: list[journal.IndexRows] = []
        wrong: Wrong | None = None
        for place, row in enumerate(rows, self.position + 1):
            fault = "position_missing" if row.position != place else self._fault(row, derived)
            if fault is not None:
                wrong = Wrong(place, fault)
                break
            self._places += hash((row.stream, row.version, row.position))
        wrong = _first(wrong, self._indexes(connection, derived))
        self.position = wrong.position - 1 if wrong else rows[-1].position
        return wrong

    def _fault(self, row: store.Row, derived: list[journal.IndexRows]) -> Fault | None:
        """What is wrong with a row on its own; else what the indexes must hold for it."""
        try:
            spelled = store.entry_bytes(*row[:5])
        except (store.EntryTooLarge, TypeError):
            return "leaf"
        if store.leaf_hash(spelled) != row.leaf_hash:
            return "leaf"
        try:
            entry = journal.to_entry(row)
            must_hold = journal.index_rows((entry,))
        except (msgspec.MsgspecError, ValueError):
            return "unreadable"
        if entry.event is journal.FOREIGN:
            self.foreign += 1
            return None
        event = entry.event
        if event.stream != row.stream:
            return "stream"
        if sum(credits for _, credits in getattr(event, "entries", ())):
            return "sum"
        if event.recorded_at < self._recorded_at:
            return "recorded_at"
        self._recorded_at = event.recorded_at
        for account, moves in must_hold.moved.items():
            _, before = self._shared.get(account, (0, 0))
            self._shared[account] = (row.position, before + moves)
        derived.append(must_hold)
        return None

    def _indexes(
        self, connection: Connection, derived: Sequence[journal.IndexRows]
    ) -> Wrong | None:
        """The first entry whose rows in the indexes are not what they must be."""
        receipts: dict[tuple[str, str], list[tuple[str, int]]] = {}
        places: set[tuple[bytes, int]] = set()
        for rows in derived:
            places.update(rows.record_entries)
            for organisation, receipt, record in (*rows.receipts, *rows.replaced):
                position = rows.record_entries[0][1]
                under = (organisation, receipt)
                receipts.setdefault(under, []).append((str(UUID(bytes=record)), position))
            self._receipts += len(rows.receipts)
        self._record_entries += len(places)
        wrong: Wrong | None = None
        standing = journal.records_under(connection, receipts)
        for under, posted in receipts.items():
            if all(record_id == standing.get(under) for record_id, _ in posted):
                continue
            led_to = _led_to(connection, standing.get(under), under)
            for record_id, position in posted:
                if record_id not in led_to:
                    wrong = _first(wrong, Wrong(position, "receipt"))
        for _, position in places - set(_held(connection, places)):
            wrong = _first(wrong, Wrong(position, "record_entry"))
        hearing = {place for rows in derived for place in rows.heard}
        self._heard += len(hearing)
        for _, position in hearing - set(_heard(connection, hearing)):
            wrong = _first(wrong, Wrong(position, "heard"))
        return wrong

    def _versions(self, connection: Connection, last: int) -> tuple[int, Wrong | None]:
        """How many streams there are, and the first entry whose version does not follow."""
        table = store.entries.c
        page = (
            select(table.stream, table.version, table.position)
            .order_by(table.stream, table.version)
            .limit(journal.PAGE)
        )
        streams, places = 0, 0
        wrong: Wrong | None = None
        stream, version, position = "", 0, 0
        query = page
        while rows := connection.execute(query).all():
            for row in rows:
                if row.position > last:
                    continue
                if row.stream != stream:
                    streams += 1
                    version = position = 0
                if row.version != version + 1 or row.position <= position:
                    wrong = _first(wrong, Wrong(row.position, "version"))
                stream, version, position = row.stream, row.version, row.position
                places += hash((stream, version, position))
            reached = (rows[-1].stream, rows[-1].version)
            query = page.where(tuple_(table.stream, table.version) > reached)
        if wrong is None and self.position == last and places != self._places:
            wrong = Wrong(0, "damaged")  # the index over the entries is not of these entries
        return streams, wrong


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


def _first(one: Wrong | None, other: Wrong | None) -> Wrong | None:
    return min((each for each in (one, other) if each is not None), default=None)


_BEFORE_THE_FIRST = select(func.min(store.entries.c.position)).where(store.entries.c.position < 1)
