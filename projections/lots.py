"""Lots as they stand: what is left of each earning, what of it has expired, and when it will."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from datetime import date
from operator import itemgetter
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, delete, select, update

from ledger.events import (
    EXPIRED,
    CreditsExpired,
    CreditsFrozen,
    CreditsUnfrozen,
    Entry,
    Event,
    HoldEnded,
    HoursReversed,
    HoursVerified,
    Moved,
    RedemptionFulfilled,
    RedemptionReserved,
    SubmittedHoursVerified,
)
from ledger.rules.lots import Lot, Lots
from projections.page import POCKETS, MemberLots, Page, pocket
from projections.schema import balances, hold_lots, lots

HEARS = frozenset(
    {
        *("HoursVerified", "SubmittedHoursVerified", "HoursReversed", "CreditsExpired"),
        *("CreditsGiven", "CreditsDonated", "CreditsInherited", "CreditsAllocated"),
        *("GrantApproved", "CreditsFrozen", "CreditsUnfrozen", "RedemptionReserved"),
        *("RedemptionFulfilled", "RedemptionCancelled", "RedemptionExpired"),
    }
)

_PLACES = {column.name: place for place, column in enumerate(lots.columns)}


def project(page: Page) -> None:
    """A row for every earning that left something; what takes of it changes its row."""
    told = _Told(page)
    entries = page.of(HEARS)
    told.have_at_hand(entries)
    for entry in entries:
        match entry.event:
            case HoursVerified() | SubmittedHoursVerified() as event:
                received = dict(event.entries).get(f"person:{event.member_id}:available", 0)
                if received:
                    lot = Lot(event.served_on, entry.position, received, event.expires_on)
                    told.add(event.member_id, lot)
            case HoursReversed() as event if event.entries:
                _take_back(told, event, entry.position)
            case CreditsExpired() as event:
                for gone in told.lots_of(event.member_id).available.expire(event.as_of):
                    told.change(event.member_id, gone.position, left=-gone.left, expired=gone.left)
            case Moved() as event:
                _move(told, event, entry.position)
            case CreditsFrozen() as event:
                mine = told.lots_of(event.member_id)
                for lot in _shifted(mine.available, mine.frozen, event.credits):
                    told.change(event.member_id, lot.position, left=-lot.left, frozen=lot.left)
            case CreditsUnfrozen() as event:
                mine = told.lots_of(event.member_id)
                for lot in _shifted(mine.frozen, mine.available, event.credits):
                    told.change(event.member_id, lot.position, left=lot.left, frozen=-lot.left)
            case RedemptionReserved() as event:
                taken = told.lots_of(event.member_id).available.take(event.credits)
                told.hold(event.member_id, event.redemption_id, taken)
            case HoldEnded() as event:
                _end_hold(told, event, entry.position)
    told.write()


def _shifted(source: Lots, target: Lots, credits: int) -> list[Lot]:
    """So much goes over, the oldest first; what each lot gave."""
    parts = source.take(credits)
    target.put_back(list(map(copy, parts)))
    return parts


def _take_back(told: "_Told", event: HoursReversed, position: int) -> None:
    """What a record earned is gone; what it was paid is a lot of who redeemed."""
    lines = dict(event.entries)
    mine = told.lots_of(event.member_id).available
    taken = -lines.get(f"person:{event.member_id}:available", 0)
    for given in mine.take_back(event.lots, taken):
        told.change(event.member_id, given.position, left=-given.left)
    for restored, part in mine.restore(event.lots, -lines.get(EXPIRED, 0)):
        told.change(event.member_id, restored, expired=-part)
    for name, credits in event.entries:
        other = pocket(name)
        if other is None or other.member_id == event.member_id:
            continue
        assert event.on is not None  # noqa: S101  (a payment went back)
        told.add(other.member_id, Lot(event.on, position, credits, event.expires_on))
        if POCKETS[other.place] == "held":
            assert event.redemption_id is not None  # noqa: S101
            available = told.lots_of(other.member_id).available
            back = available.take_back([(event.on, position)], credits)
            told.hold(other.member_id, event.redemption_id, back)


def _end_hold(told: "_Told", event: HoldEnded, position: int) -> None:
    """What is paid is gone, and a lot of the provider's; the rest is available again."""
    member_id, mine = event.member_id, told.lots_of(event.member_id)
    hold = mine.holds.pop(event.redemption_id)
    told.end_hold(member_id, event.redemption_id, hold)
    paid = event.credits if isinstance(event, RedemptionFulfilled) else 0
    for lot in hold.take(paid):
        told.change(member_id, lot.position, held=-lot.left)
    for lot in hold.open:
        told.change(member_id, lot.position, held=-lot.left, left=lot.left)
    mine.available.put_back(hold.open)
    if isinstance(event, RedemptionFulfilled) and event.provider_id is not None:
        received = dict(event.entries).get(f"person:{event.provider_id}:available", 0)
        if received:
            told.add(event.provider_id, Lot(event.on, position, received, event.expires_on))


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
        for lot in told.lots_of(member_id).available.take(-credits) if credits < 0 else ():
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
        self._changes: dict[tuple[int, int], dict[str, int]] = {}
        self._held: dict[tuple[int, str, int], int] = {}  # new rows of holds
        self._ended: list[dict[str, Any]] = []

    def have_at_hand(self, entries: Sequence[Entry]) -> None:
        """Read the lots of all whom the page takes something from, in one query of each kind."""
        wanted = {
            member_id
            for entry in entries
            for member_id in _losing(entry.event)
            if member_id not in self._page.lots
        }
        if wanted:
            self._page.lots.update(self._stored(wanted))

    def add(self, member_id: str, lot: Lot) -> None:
        """One more earning."""
        number = self._page.balances[member_id].id
        row = [number, lot.position, lot.dated, lot.expires_on, lot.left, lot.left, 0, 0, 0]
        self._rows[lot.position, number] = row
        known = self._page.lots.get(member_id)
        if known is not None:
            known.available.add(copy(lot))

    def lots_of(self, member_id: str) -> MemberLots:
        """A member's lots as they stand before the entry that is being told."""
        known = self._page.lots.get(member_id)
        if known is None:
            (known,) = self._stored([member_id]).values()
            self._page.lots[member_id] = known
        return known

    def hold(self, member_id: str, redemption_id: str, taken: list[Lot]) -> None:
        """These parts of lots, taken out of what is available, are held."""
        number = self._page.balances[member_id].id
        hold = self.lots_of(member_id).holds[redemption_id] = Lots()
        hold.put_back(list(map(copy, taken)))
        for lot in taken:
            self.change(member_id, lot.position, left=-lot.left, held=lot.left)
            self._held[number, redemption_id, lot.position] = lot.left

    def end_hold(self, member_id: str, redemption_id: str, hold: Lots) -> None:
        """Nothing is held for a redemption any more."""
        number = self._page.balances[member_id].id
        stored = [
            lot
            for lot in hold.open
            if self._held.pop((number, redemption_id, lot.position), None) is None
        ]
        if stored:
            self._ended.append({"whose": number, "which": redemption_id})

    def change(self, member_id: str, position: int, **by: int) -> None:
        """A lot has so much more or less: left, held, frozen, expired."""
        number = self._page.balances[member_id].id
        row = self._rows.get((position, number))
        if row is not None:
            for name, more in by.items():
                row[_PLACES[name]] += more
            return
        changes = self._changes.get((position, number))
        if changes is None:
            named = dict.fromkeys(("more_left", "more_held", "more_frozen", "more_expired"), 0)
            changes = self._changes[position, number] = {
                "of": position,
                "whose": number,
                **named,
            }
        for name, more in by.items():
            changes[f"more_{name}"] += more

    def write(self) -> None:
        """Store what was told."""
        self._page.new(lots).extend(sorted(self._rows.values(), key=_KEY))  # near each other
        connection = self._page.connection
        if self._changes:
            connection.execute(_CHANGE, list(self._changes.values()))
        if self._ended:
            connection.execute(_END, self._ended)
        self._page.new(hold_lots).extend((*key, held) for key, held in sorted(self._held.items()))

    def _stored(self, members: Iterable[str]) -> dict[str, MemberLots]:
        """The lots of some members as they stand before the page, and what the page has added."""
        connection, found = self._page.connection, {}
        for member_id in members:
            found[self._page.balances[member_id].id] = MemberLots(Lots(), Lots(), {})
        ages: dict[tuple[int, int], Lot] = {}
        left = lots.c.left + lots.c.held + lots.c.frozen + lots.c.expired > 0
        query = select(lots).where(lots.c.member.in_(found), left)
        for row in connection.execute(query.order_by(lots.c.dated, lots.c.position)):
            mine = found[row.member]
            for amount, among in ((row.left, mine.available), (row.frozen, mine.frozen)):
                if amount:
                    among.add(Lot(row.dated, row.position, amount, row.expires_on))
            if row.expired:
                mine.available.expired[row.position] = row.expired
            if row.held:
                ages[row.member, row.position] = Lot(row.dated, row.position, 0, row.expires_on)
        if ages:
            held = select(hold_lots).where(hold_lots.c.member.in_(found))
            for row in connection.execute(held):
                lot = replace(ages[row.member, row.position], left=row.credits)
                found[row.member].holds.setdefault(row.redemption_id, Lots()).put_back([lot])
        for (position, number), fields in self._rows.items():
            if number in found:
                dated, expires_on, amount = (fields[_PLACES[name]] for name in _NEW)
                found[number].available.add(Lot(dated, position, amount, expires_on))
        return {member_id: found[self._page.balances[member_id].id] for member_id in members}


def _losing(event: Event) -> Iterator[str]:
    """Whose lots a fact takes from, or gives back to."""
    if isinstance(event, HoursVerified | SubmittedHoursVerified):
        return
    if isinstance(event, CreditsFrozen | CreditsUnfrozen | CreditsExpired | HoldEnded):
        yield event.member_id
        return
    for name, credits in getattr(event, "entries", ()):
        mine = pocket(name)
        if mine is not None and (credits < 0 or POCKETS[mine.place] == "held"):
            yield mine.member_id


_KEY = itemgetter(0, 1)
_NEW = ("dated", "expires_on", "left")
_CHANGE = (
    update(lots)
    .where(lots.c.position == bindparam("of"), lots.c.member == bindparam("whose"))
    .values(
        left=lots.c.left + bindparam("more_left"),
        held=lots.c.held + bindparam("more_held"),
        frozen=lots.c.frozen + bindparam("more_frozen"),
        expired=lots.c.expired + bindparam("more_expired"),
    )
)
_END = delete(hold_lots).where(
    hold_lots.c.member == bindparam("whose"), hold_lots.c.redemption_id == bindparam("which")
)
