"""A page of the journal on its way into the views, and what projections share while they read."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, select

from ledger import store
from ledger.events import Entry, Event, PolicyPublished
from ledger.merkle import Tree
from ledger.policy import Policies
from ledger.units import instant
from projections import schema
from projections.kept_lots import KeptLots
from projections.kept_rows import KeptRows
from projections.kept_tallies import KeptDays, KeptTallies
from projections.numbered import Numbered, NumberedRow

Row = Sequence[Any]


class Account(NumberedRow, gc=False):
    """An account that is no person's, and its balance."""

    credits: int = 0


class Balance(NumberedRow, gc=False):
    """A member's account as it stands; the name is the member's id."""

    available: int = 0
    held: int = 0
    frozen: int = 0
    receivable: int = 0  # positive: what the member owes
    service_minutes: int = 0
    points: int = 0
    opened: int = 0  # which of the four have had a line, as bits
    unit: str = ""


class Pocket(NamedTuple):
    """One of a person's accounts: `person:<member>:available`, `held`, `frozen`, `receivable`."""

    member_id: str
    place: int


_NOTHING: Sequence[Entry] = ()

POCKETS = ("available", "held", "frozen", "receivable")
RECEIVABLE = POCKETS.index("receivable")


@lru_cache(maxsize=65_536)
def pocket(account: str) -> Pocket | None:
    """Whose pocket an account is; None where it is no person's."""
    match account.split(":"):
        case ["person", member_id, name]:
            return Pocket(member_id, POCKETS.index(name))
    return None


class Memory:
    """What a loop remembers between pages: running rows and the policies so far."""

    def __init__(self) -> None:
        self.accounts = Numbered(schema.accounts, Account)
        self.balances = Numbered(schema.balances, Balance)
        self.policies: Policies | None = None
        self.tree: Tree | None = None
        self.lots = KeptLots()
        self.tallies = KeptTallies()
        self.days = KeptDays()
        self.rows = {table.name: KeptRows(table, id) for table, id in schema.THINGS.items()}

    def write(self, connection: Connection, held: int = 0) -> None:
        """Store what was changed; up to `held` rows of a table may wait for the next call."""
        self.accounts.write(connection, held)
        self.balances.write(connection, held)
        self.lots.write(connection, held)
        self.tallies.write(connection, held)
        for rows in self.rows.values():
            rows.write(connection, held)

    def forget(self) -> None:
        """Let go of everything: another process went on, or a transaction was undone."""
        self.accounts.forget()
        self.balances.forget()
        self.policies = None
        self.tree = None
        self.lots.forget()
        self.tallies.forget()
        self.days.forget()
        for rows in self.rows.values():
            rows.forget()


class Page:
    """Some entries in their order, inside the transaction that takes them in.

    A projection adds new rows with `new(table).append(...)` and changes the running rows of
    `accounts` and `balances`.
    """

    def __init__(
        self,
        connection: Connection,
        entries: Sequence[Entry],
        memory: Memory,
        tree: Tree,
        leaves: Sequence[bytes],
        recorded_at: str = "",
    ) -> None:
        self.connection = connection
        self.entries = entries
        self.tree = tree  # as it was before the page
        self.leaves = leaves  # the hashes of the entries
        self._types = frozenset(entry.type for entry in entries)
        self.recorded_before = recorded_at  # of the entry before the page
        self.accounts = memory.accounts
        self.balances = memory.balances
        self.lots = memory.lots
        self._rows = memory.rows
        self._new: dict[str, tuple[Table, list[Row]]] = {}
        self._local_dates: dict[int, str] = {}
        if memory.policies is None:
            memory.policies = published(connection)
        self._meet(memory.policies)
        self.tallies = memory.tallies
        self.tallies.meet(connection)
        self._begun = memory.days.begun(connection, entries, memory.policies)

    def of(self, types: frozenset[str]) -> Sequence[Entry]:
        """The page's entries of some types."""
        wanted = self._types & types
        if not wanted:
            return _NOTHING
        if wanted == self._types:
            return self.entries
        return [entry for entry in self.entries if entry.type in wanted]

    def new(self, table: Table) -> list[Row]:
        """The rows that the page adds to a table, in the order of its columns."""
        return self._new.setdefault(table.name, (table, []))[1]

    def rows(self, table: Table) -> KeptRows:
        """The rows of a table of things, to be added and changed."""
        return self._rows[table.name]

    def served_on(self, entry: Entry) -> str:
        """The service date; where there is no service, the local date of recording."""
        event = entry.event
        date: str | None = getattr(event, "served_on", None) or getattr(event, "on", None)
        return date or self._local_dates[entry.position]

    def day(self, position: int) -> str:
        """The local date on which an entry of the page was recorded."""
        if len(self._begun) == 1:
            return self._begun[0][1]
        for first, day in reversed(self._begun):
            if first <= position:
                return day
        return ""  # of the first entries, that are not ours and tell no time

    def ends(self) -> list[tuple[str, int]]:
        """The page's dates, each with its last position on the page."""
        lasts = [first - 1 for first, _ in self._begun[1:]] + [self.entries[-1].position]
        ends = zip(self._begun, lasts, strict=False)
        return [(day, last) for (first, day), last in ends if first <= last]

    def insert(self) -> None:
        """Store the new rows that there are so far."""
        for table, rows in self._new.values():
            store.insert_many(self.connection, table, rows)  # type: ignore[arg-type]
            rows.clear()  # and not another list: a projection may hold on to this one

    def _meet(self, policies: Policies) -> None:
        """Have the rows of all whom the page names at hand, and the dates that need a zone."""
        people: dict[str, None] = {}
        names: dict[str, None] = {}
        for entry in self.entries:
            event = entry.event
            member_id = getattr(event, "member_id", None)
            if member_id is not None:
                people[member_id] = None
            lines = getattr(event, "entries", None)
            if lines is not None:
                for name, _ in lines:
                    mine = pocket(name)
                    if mine is None:
                        names[name] = None
                    elif mine.member_id != member_id:
                        people[mine.member_id] = None
                if not getattr(event, "served_on", None):
                    self._local_dates[entry.position] = local_date(event, policies)
            elif entry.type == "PolicyPublished":
                policies.apply(event, entry.position)
        self.balances.meet(self.connection, people)
        self.accounts.meet(self.connection, names)


def local_date(event: Event, policies: Policies) -> str:
    """The date on which a fact was recorded, in the zone then in force."""
    return policies.recording(instant(event.recorded_at)).today.isoformat()


def published(connection: Connection, until: int | None = None) -> Policies:
    """The policies as far as the views have read, or as they were known at a position."""
    folded = Policies()
    query = select(schema.policies).order_by(schema.policies.c.version)
    if until is not None:
        query = query.where(schema.policies.c.position <= until)
    for row in connection.execute(query):
        event = PolicyPublished(
            version=row.version,
            effective_on=row.effective_on,
            changes=msgspec.json.decode(row.changes),
            note=row.note,
            recorded_at=row.recorded_at,
        )
        folded.apply(event, row.position)
    return folded
