"""Lots as they stand: what is left of each earning, what of it has expired, and when it will."""

from copy import copy
from datetime import date
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from ledger.events import (
    EXPIRED,
    CreditsExpired,
    CreditsFrozen,
    CreditsUnfrozen,
    HoursReversed,
    HoursVerified,
    Moved,
    SubmittedHoursVerified,
)
from ledger.rules.lots import Lot, Lots
from projections.page import MemberLots, Page, pocket
from projections.schema import balances, lots

HEARS = frozenset(
    {
        *("HoursVerified", "SubmittedHoursVerified", "HoursReversed", "CreditsExpired"),
        *("CreditsGiven", "CreditsDonated", "CreditsInherited", "CreditsAllocated"),
        *("GrantApproved", "CreditsFrozen", "CreditsUnfrozen"),
    }
)

_PLACES = {column.name: place for place, column in enumerate(lots.columns)}


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
            case Moved() as event:
                _move(told, event, entry.position)
            case CreditsFrozen() as event:
                parts = told.lots_of(event.member_id).take(event.credits)
                told.frozen_of(event.member_id).put_back(list(map(copy, parts)))
                for lot in parts:
                    told.change(event.member_id, lot.position, left=-lot.left, frozen=lot.left)
            case CreditsUnfrozen() as event:
                parts = told.frozen_of(event.member_id).take(event.credits)
                told.lots_of(event.member_id).put_back(list(map(copy, parts)))
                for lot in parts:
                    told.change(event.member_id, lot.position, left=lot.left, frozen=-lot.left)
    told.write()


def _move(told: "_Told", event: Moved, position: int) -> None:
    """Whoever gives spends lots, whoever receives has a new one."""
    moves: dict[str, int] = {}
    for name, credits in event.entries:
        mine = pocket(name)
        if mine is not None:
            moves[mine.member_id] = moves.get(mine.member_id, 0) + credits
    for member_id, credits in moves.items():
        if credits > 0:
            told.add(member_id, Lot(event.on, position, credits, event.expires_on))
        for lot in told.lots_of(member_id).take(-credits) if credits < 0 else ():
            told.change(member_id, lot.position, left=-lot.left)


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
        row = [number, lot.position, lot.dated, lot.expires_on, lot.left, lot.left, 0, 0]
        self._rows[lot.position, number] = row
        known = self._page.lots.get(member_id)
        if known is not None:
            known.available.add(copy(lot))
        else:
            self._new.setdefault(member_id, []).append(lot)

    def lots_of(self, member_id: str) -> Lots:
        """A member's lots as they stand before the entry that is being told."""
        return self._known(member_id).available

    def frozen_of(self, member_id: str) -> Lots:
        """Those of what is frozen."""
        return self._known(member_id).frozen

    def change(self, member_id: str, position: int, **by: int) -> None:
        """A lot has so much more or less: left, frozen, expired."""
        number = self._page.balances[member_id].id
        row = self._rows.get((position, number))
        if row is not None:
            for name, more in by.items():
                row[_PLACES[name]] += more
            return
        named = {f"more_{name}": by.get(name, 0) for name in ("left", "frozen", "expired")}
        self._changes.append({"of": position, "whose": number, **named})

    def write(self) -> None:
        """Store what was told."""
        self._page.new(lots).extend(sorted(self._rows.values(), key=_KEY))  # near each other
        if self._changes:
            self._page.connection.execute(_CHANGE, self._changes)

    def _known(self, member_id: str) -> MemberLots:
        known = self._page.lots.get(member_id)
        if known is None:
            known = self._page.lots[member_id] = self._stored(member_id)
            for lot in self._new.pop(member_id, ()):
                known.available.add(copy(lot))
        return known

    def _stored(self, member_id: str) -> MemberLots:
        number = self._page.balances[member_id].id
        held = lots.c.left + lots.c.frozen + lots.c.expired > 0
        query = select(lots).where(lots.c.member == number, held)
        found = MemberLots(Lots(), Lots())
        for row in self._page.connection.execute(query.order_by(lots.c.dated, lots.c.position)):
            for amount, among in ((row.left, found.available), (row.frozen, found.frozen)):
                if amount:
                    among.add(Lot(row.dated, row.position, amount, row.expires_on))
            if row.expired:
                found.available.expired[row.position] = row.expired
        return found


_KEY = itemgetter(0, 1)
_CHANGE = (
    update(lots)
    .where(lots.c.position == bindparam("of"), lots.c.member == bindparam("whose"))
    .values(
        left=lots.c.left + bindparam("more_left"),
        frozen=lots.c.frozen + bindparam("more_frozen"),
        expired=lots.c.expired + bindparam("more_expired"),
    )
)
