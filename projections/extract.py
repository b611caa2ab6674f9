"""What an export holds: entries in a scope, straight from the journal, in one pass.

The past is folded as it goes by: where members live, what the policy's zone is, what each account
holds. So an export needs no view, and it holds closed and erased accounts like any other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ledger import journal, store
from ledger.events import (
    AccountClosed,
    Event,
    Line,
    MemberChanged,
    MemberRegistered,
    OrganisationAdded,
    UnitAdded,
)
from ledger.policy import Policies
from projections.page import local_date


class Scope(NamedTuple):
    """Which entries: all, or those of an organisation, of a unit and below, of some dates.

    An entry is of an organisation that it names or whose pool it moves; of the unit where its
    member lives at that time, or that it names if it is about nobody. So what takes back comes with
    what it takes back. Its date is the local one on which it was recorded.
    """

    organisation: str | None = None
    unit: str | None = None
    first: date | None = None
    last: date | None = None

    @property
    def is_whole(self) -> bool:
        """Is nothing left out?"""
        return self == Scope()


class Extracted(NamedTuple):
    """An entry in scope, and what the past says about it."""

    row: store.Row
    event: Any
    recorded_on: str
    unit: str | None  # where its member lives
    lines: tuple[Line, ...]
    after: tuple[int, ...]  # what each line's account holds after it


@dataclass(slots=True)
class Member:
    """Somebody whom the journal knows, by id alone."""

    member_id: str
    home_organisation: str
    unit: str
    roles: tuple[str, ...]
    registered_at: str
    closed_at: str | None = None


@dataclass(slots=True)
class Extract:
    """One walk through the journal; what it has gathered is whole when the walk is over."""

    connection: Connection
    scope: Scope
    until: int
    position: int = 0  # read so far
    exported: int = 0  # entries in scope
    recorded_on: str = ""  # of the last entry read
    opening: dict[str, int] = field(default_factory=dict)  # in scope but for the dates, before them
    changes: dict[str, int] = field(default_factory=dict)  # of the entries in scope
    balances: dict[str, int] = field(default_factory=dict)  # of all accounts
    members: dict[str, Member] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)  # members whom an entry in scope is about
    _policies: Policies = field(default_factory=Policies)
    _units: dict[str, bool] = field(default_factory=dict)  # code -> does it lie in the scope?

    def entries(self) -> Iterator[Extracted]:
        """The entries in scope, oldest first."""
        first = self.scope.first.isoformat() if self.scope.first else ""
        last = self.scope.last.isoformat() if self.scope.last else "9999"
        while rows := store.read(self.connection, self.position, journal.PAGE, self.until):
            for row in rows:
                found = self._take(row)
                if self.recorded_on > last:
                    return
                if found is None:
                    continue
                sums = self.opening if found.recorded_on < first else self.changes
                for account, credits in found.lines:
                    sums[account] = sums.get(account, 0) + credits
                if sums is self.changes:
                    self.exported += 1
                    if (member := getattr(found.event, "member_id", None)) is not None:
                        self.named.add(member)
                    yield found
            self.position = rows[-1].position

    @property
    def ends_on(self) -> str:
        """The date at whose end the export stands; empty before the first entry."""
        last = self.scope.last
        return self.recorded_on if last is None else min(self.recorded_on, last.isoformat())

    def closing(self) -> dict[str, int]:
        """What the accounts in scope hold at the end, sorted by name."""
        names = sorted(self.opening.keys() | self.changes.keys())
        return {name: self.opening.get(name, 0) + self.changes.get(name, 0) for name in names}

    def _take(self, row: store.Row) -> Extracted | None:
        """Fold a row; None where it is out of scope, whatever its date."""
        entry = journal.to_entry(row)
        event: Any = entry.event
        self._fold(event)
        if entry.event is not journal.FOREIGN:
            # Never back: a period is one span, though a zone may move to the west.
            self.recorded_on = max(self.recorded_on, local_date(event, self._policies))
        lines: tuple[Line, ...] = getattr(event, "entries", ())
        after = []
        for account, credits in lines:
            held = self.balances[account] = self.balances.get(account, 0) + credits
            after.append(held)
        member = self.members.get(getattr(event, "member_id", ""))
        unit = member.unit if member is not None else None
        if not self._is_meant(event, unit, lines):
            return None
        return Extracted(row, event, self.recorded_on, unit, lines, tuple(after))

    def _fold(self, event: Event) -> None:
        match event:
            case MemberRegistered():
                self.members[event.member_id] = Member(
                    event.member_id,
                    event.organisation,
                    event.unit,
                    event.roles,
                    event.recorded_at,
                )
            case MemberChanged():
                member = self.members[event.member_id]
                member.unit = event.unit or member.unit
                member.roles = event.roles or member.roles
            case AccountClosed():
                self.members[event.member_id].closed_at = event.recorded_at
            case UnitAdded():
                above = event.parent is not None and self._units.get(event.parent, False)
                self._units[event.code] = above or event.code == self.scope.unit
            case _:
                self._policies.apply(event, 0)

    def _is_meant(self, event: Any, unit: str | None, lines: tuple[Line, ...]) -> bool:
        wanted = self.scope.organisation
        if wanted is not None:
            pool = f"org:{wanted}:"
            named = (
                getattr(event, "organisation", None),
                event.code if isinstance(event, OrganisationAdded) else None,
            )
            if wanted not in named and not any(name.startswith(pool) for name, _ in lines):
                return False
        if self.scope.unit is None:
            return True
        if unit is None:
            unit = event.code if isinstance(event, UnitAdded) else getattr(event, "unit", None)
        return unit is not None and self._units.get(unit, False)
