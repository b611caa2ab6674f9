"""Balances alone, straight from the journal: the quickest check that the books are right.

It shares nothing with the views: no tables, no projections, and of each event it reads the lines,
the minutes and the member alone.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy import Connection

from ledger import journal, store
from ledger.events import MOVING
from ledger.units import recorded_text


class Moves(msgspec.Struct, gc=False):
    """As much of an event as moves credits or minutes."""

    entries: tuple[tuple[str, int], ...] = ()
    minutes: int = 0
    member_id: str = ""


@dataclass(slots=True)
class Sums:
    """What the accounts and the members' minutes come to after some entries."""

    position: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    minutes: dict[str, int] = field(default_factory=dict)
    unbalanced: int | None = None  # the first position whose lines do not sum to zero

    @property
    def total(self) -> int:
        """The sum of all accounts: 0."""
        return sum(self.accounts.values())


def sums(connection: Connection, until: int | None = None) -> Sums:
    """Fold every line of the journal up to a position."""
    found = Sums()
    while rows := store.read(connection, found.position, journal.PAGE, until):
        add(found, rows)
    return found


def add(found: Sums, rows: list[store.Row]) -> None:
    """Fold the lines of some further rows of the journal."""
    decode = _DECODER.decode
    accounts, minutes = found.accounts, found.minutes
    for position, _, _, type_name, data, _ in rows:
        if type_name not in MOVING:
            continue
        moves = decode(data)
        left = 0
        for account, credits in moves.entries:
            accounts[account] = accounts.get(account, 0) + credits
            left += credits
        if left and found.unbalanced is None:
            found.unbalanced = position
        if moves.minutes:
            minutes[moves.member_id] = minutes.get(moves.member_id, 0) + moves.minutes
    if rows:
        found.position = rows[-1].position


def position_of(connection: Connection, point: int | date | datetime) -> int:
    """The last position at a point: itself, a local date's end, or an instant; 0 before any."""
    if isinstance(point, int):
        return min(point, store.last_position(connection))
    if not isinstance(point, datetime):
        point = journal.policies(connection).begin(point + timedelta(days=1))
    else:
        point += timedelta(microseconds=1)  # an instant's own entries are in
    return journal.position_before(connection, recorded_text(point))


_DECODER = msgspec.json.Decoder(Moves)
