"""Lots as they stand: what is left of each earning, what of it has expired, and when it will."""

from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from ledger.events import (
    EXPIRED,
    CreditsExpired,
    HoursReversed,
    HoursVerified,
    SubmittedHoursVerified,
)
from ledger.rules.lots import Lot, Lots
from projections.page import Page
from projections.schema import balances, lots

HEARS = frozenset({"HoursVerified", "SubmittedHoursVerified", "HoursReversed", "CreditsExpired"})

_LEFT, _EXPIRED = (
    place for place, column in enumerate(lots.columns) if column.name in ("left", "expired")
)


def project(page: Page) -> None:
    """A row for every earning that left something; what takes of it changes its row."""
    told = _Told(page)
    for entry in page.of(HEARS):
        match entry.event:
            case HoursVerified() | SubmittedHoursVerified() as event:
                available = f"person:{event.member_id}:available"
                received = sum(credits for name, credits in event.entries if name == available)
                if received:
                    lot = Lot(event.served_on, entry.position, received, event.expires_on)
                    told.add(event.member_id, lot)
            case HoursReversed() as event if event.entries:
                lines = dict(event.entries)
                mine = told.lots_of(event.member_id)
                taken = -lines.get(f"person:{event.member_id}:available", 0)
                for given in mine.take_back(event.served_on, event.reverses, taken):
                    told.change(event.member_id, given.position, left=-given.left)
                restored = -lines.get(EXPIRED, 0)
                if restored:
                    mine.restore(event.reverses, restored)
                    told.change(event.member_id, event.reverses, expired=-restored)
            case CreditsExpired() as event:
                for gone in told.lots_of(event.member_id).expire(event.as_of):
                    told.change(event.member_id, gone.position, left=-gone.left, expired=gone.left)
    told.write()


def due_members(connection: Connection, day: date) -> list[str]:
    """Whoever has something left of a lot that expires by a date."""
    query = (
        select(balances.c.member_id)
        .join(lots, lots.c.member == balances.c.id)
        .where(lots.c.left > 0, lots.c.expires_on <= day.isoformat())
        .distinct()
        .order_by(balances.c.member_id)
    )
    return list(connection.execute(query).scalars())


class _Told:
    """What a page tells of lots: new rows, and changes of stored ones."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._rows: dict[tuple[int, int], list[Any]] = {}  # position, member -> a new row
        self._new: dict[str, list[Lot]] = {}  # by member, of this very page
        self._changes: list[dict[str, int]] = []

    def add(self, member_id: str, lot: Lot) -> None:
        """One more earning."""
        number = self._page.balances[member_id].id
        row = [lot.position, number, lot.dated, lot.expires_on, lot.left, lot.left, 0]
        self._rows[lot.position, number] = row
        known = self._page.lots.get(member_id)
        if known is not None:
            known.add(lot)
        else:
            self._new.setdefault(member_id, []).append(lot)

    def lots_of(self, member_id: str) -> Lots:
        """A member's lots as they stand before the entry that is being told."""
        known = self._page.lots.get(member_id)
        if known is None:
            known = self._page.lots[member_id] = self._stored(member_id)
            for lot in self._new.pop(member_id, ()):
                known.add(lot)
        return known

    def change(self, member_id: str, position: int, left: int = 0, expired: int = 0) -> None:
        """A lot has so much more or less."""
        number = self._page.balances[member_id].id
        row = self._rows.get((position, number))
        if row is not None:
            row[_LEFT] += left
            row[_EXPIRED] += expired
            return
        self._changes.append(
            {"of": position, "whose": number, "more_left": left, "more_expired": expired}
        )

    def write(self) -> None:
        """Store what was told."""
        self._page.new(lots).extend(self._rows.values())
        if self._changes:
            self._page.connection.execute(_CHANGE, self._changes)

    def _stored(self, member_id: str) -> Lots:
        number = self._page.balances[member_id].id
        query = select(lots).where(lots.c.member == number, lots.c.left + lots.c.expired > 0)
        found = Lots()
        for row in self._page.connection.execute(query.order_by(lots.c.dated, lots.c.position)):
            if row.left:
                found.add(Lot(row.dated, row.position, row.left, row.expires_on))
            if row.expired:
                found.expired[row.position] = row.expired
        return found


_CHANGE = (
    update(lots)
    .where(lots.c.position == bindparam("of"), lots.c.member == bindparam("whose"))
    .values(
        left=lots.c.left + bindparam("more_left"),
        expired=lots.c.expired + bindparam("more_expired"),
    )
)
