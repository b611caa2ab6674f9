"""Lots as they stand: what is left of each earning, what of it has expired, and when it will."""

from collections.abc import Iterator, Sequence
from copy import copy
from datetime import date
from functools import lru_cache

from sqlalchemy import Connection, select

from ledger.events import (
    EXPIRED,
    SERVICE_ISSUE,
    CreditsExpired,
    CreditsFrozen,
    CreditsUnfrozen,
    Entry,
    Event,
    HoldEnded,
    HoursReversed,
    HoursVerified,
    MemberChanged,
    MemberRegistered,
    Moved,
    OrderCancelled,
    OrderDecided,
    OrderDisputed,
    OrderPlaced,
    OrderSettled,
    RedemptionFulfilled,
    RedemptionReserved,
    SubmittedHoursVerified,
)
from ledger.rules.lots import Lot, Lots
from projections.kept_lots import MemberLots, dispute
from projections.page import POCKETS, Page, pocket
from projections.schema import CREDIT_DAYS, CREDITS, EARNED, REDEEMED, balances, lots

HEARS = frozenset(
    {
        *("HoursVerified", "SubmittedHoursVerified", "HoursReversed", "CreditsExpired"),
        *("CreditsGiven", "CreditsDonated", "CreditsInherited", "CreditsAllocated"),
        *("GrantApproved", "CreditsFrozen", "CreditsUnfrozen", "RedemptionReserved"),
        *("RedemptionFulfilled", "RedemptionCancelled", "RedemptionExpired"),
        *("OrderPlaced", "OrderSettled", "OrderCancelled", "OrderDisputed", "OrderDecided"),
        *("MemberRegistered", "MemberChanged"),
    }
)


def project(page: Page) -> None:
    """A row for every earning that left something; what takes of it changes its row."""
    told, entries = _Told(page), page.of(HEARS)
    told.meet(entries)
    for entry in entries:
        told.day = page.day(entry.position)
        match entry.event:
            case MemberRegistered() as event:
                told.live_at(event.member_id, event.unit)
            case MemberChanged(unit=str(unit)) as event:
                told.live_at(event.member_id, unit)
            case HoursVerified() | SubmittedHoursVerified() as event:
                lines = dict(event.entries)
                told.tally(event.member_id)[EARNED] -= lines.get(SERVICE_ISSUE, 0)
                received = lines.get(f"person:{event.member_id}:available", 0)
                if received:
                    lot = Lot(event.served_on, entry.position, received, event.expires_on)
                    told.add(event.member_id, lot)
            case HoursReversed() as event if event.entries:
                _take_back(told, event, entry.position)
            case CreditsExpired() as event:
                for gone in told.lots_of(event.member_id).available.expire(event.as_of):
                    told.change(event.member_id, gone.position, left=-gone.left, expired=gone.left)
                    told.lose(event.member_id, gone)
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
                paid = event.credits if isinstance(event, RedemptionFulfilled) else 0
                _end_hold(told, event.member_id, event.redemption_id, paid)
                if isinstance(event, RedemptionFulfilled):
                    _be_paid(told, event, entry.position)
            case OrderPlaced(hold_credits=int(credits)) as event:
                taken = told.lots_of(event.member_id).available.take(credits)
                told.hold(event.member_id, event.order_id, taken)
            case OrderSettled() as event:
                _end_hold(told, event.member_id, event.order_id, event.credits)
                _be_paid(told, event, entry.position)
            case OrderCancelled() as event if event.entries:
                _end_hold(told, event.member_id, event.order_id, 0)
            case OrderDisputed() as event if event.entries:
                mine = told.lots_of(event.member_id)
                taken = mine.available.take_back(event.lots, event.credits or 0)
                told.hold(event.member_id, dispute(event.order_id), taken)
            case OrderDecided() as event if event.entries:
                mine = told.lots_of(event.member_id)
                frozen = told.end_hold(event.member_id, dispute(event.order_id))
                for lot in frozen.open:
                    told.change(event.member_id, lot.position, left=lot.left, frozen=-lot.left)
                mine.available.put_back(frozen.open)


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
    told.tally(event.member_id)[EARNED] -= lines.get(SERVICE_ISSUE, 0)
    for given in mine.take_back(event.lots, taken):
        told.change(event.member_id, given.position, left=-given.left)
        told.lose(event.member_id, given)
    for restored, part in mine.restore(event.lots, -lines.get(EXPIRED, 0)):
        told.change(event.member_id, restored, expired=-part)
    for name, credits in event.entries:
        other = pocket(name)
        if other is None or other.member_id == event.member_id:
            continue
        assert event.on is not None  # noqa: S101  (a payment went back)
        told.tally(other.member_id)[REDEEMED] -= credits
        told.add(other.member_id, Lot(event.on, position, credits, event.expires_on))
        if POCKETS[other.place] == "held":
            held_for = event.redemption_id or event.order_id
            assert held_for is not None  # noqa: S101
            available = told.lots_of(other.member_id).available
            back = available.take_back([(event.on, position)], credits)
            told.hold(other.member_id, held_for, back)


def _end_hold(told: "_Told", member_id: str, held_for: str, paid: int) -> None:
    """What is paid is gone; the rest is available again."""
    hold = told.end_hold(member_id, held_for)
    told.tally(member_id)[REDEEMED] += paid
    for lot in hold.take(paid):
        told.change(member_id, lot.position, held=-lot.left)
        told.lose(member_id, lot)
    for lot in hold.open:
        told.change(member_id, lot.position, held=-lot.left, left=lot.left)
    told.lots_of(member_id).available.put_back(hold.open)


def _be_paid(told: "_Told", event: RedemptionFulfilled | OrderSettled, position: int) -> None:
    """What was paid is a lot of who has served, but for what repaid a receivable."""
    if event.provider_id is None:
        return
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
            told.lose(member_id, lot)


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


_OWNERS = (
    *(CreditsFrozen, CreditsUnfrozen, CreditsExpired, HoldEnded),
    *(OrderPlaced, OrderSettled, OrderCancelled, OrderDisputed, OrderDecided),
)
"""Facts that take, hold or give back what is their `member_id`'s, and nobody else's."""


@lru_cache(maxsize=8_192)
def _ordinal(dated: str) -> int:
    """A date as a number of days."""
    return date.fromisoformat(dated).toordinal()


class _Told:
    """What a page tells of lots, by the members' ids."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._lots = page.lots
        self.day = ""  # of the entry that is being told

    def meet(self, entries: Sequence[Entry]) -> None:
        """Have the lots at hand of all whom the page takes something from."""
        numbers = self._page.balances
        losing = {numbers[member].id for entry in entries for member in _losing(entry.event)}
        self._lots.meet(self._page.connection, losing)

    def lots_of(self, member_id: str) -> MemberLots:
        """A member's lots as they stand before the entry that is being told."""
        return self._lots[self._page.balances[member_id].id]

    def add(self, member_id: str, lot: Lot) -> None:
        """One more earning."""
        self._lots.add(self._page.balances[member_id].id, lot)
        self._weigh(member_id, lot, 1)

    def lose(self, member_id: str, lot: Lot) -> None:
        """So much of a lot is the member's no more."""
        self._weigh(member_id, lot, -1)

    def tally(self, member_id: str) -> list[int]:
        """What is added to the totals of where the member lives, on the date of the entry."""
        return self._page.tallies.of(self._page.balances[member_id].unit, self.day)

    def live_at(self, member_id: str, unit: str) -> None:
        """The member lives there from now on, and so does what is theirs."""
        account, lots = self._page.balances.change(member_id), list[Lot]()
        if account.unit:
            mine = self.lots_of(member_id)
            for some in (mine.available, mine.frozen, *mine.holds.values()):
                lots += some.open
        for lot in lots:
            self._weigh(member_id, lot, -1)
        account.unit = unit
        for lot in lots:
            self._weigh(member_id, lot, 1)

    def _weigh(self, member_id: str, lot: Lot, sign: int) -> None:
        tally = self.tally(member_id)
        tally[CREDITS] += sign * lot.left
        tally[CREDIT_DAYS] += sign * lot.left * _ordinal(lot.dated)

    def change(self, member_id: str, position: int, **by: int) -> None:
        """A lot has so much more or less: left, held, frozen, expired."""
        self._lots.change(self._page.balances[member_id].id, position, **by)

    def hold(self, member_id: str, held_for: str, taken: list[Lot]) -> None:
        """These parts of lots, taken out of what is available, are held, or in a dispute frozen."""
        self._lots.hold(self._page.balances[member_id].id, held_for, taken)

    def end_hold(self, member_id: str, held_for: str) -> Lots:
        """What was held for something, for which nothing is any more."""
        return self._lots.end_hold(self._page.balances[member_id].id, held_for)


def _losing(event: Event) -> Iterator[str]:
    """Whose lots a fact takes from, or gives back to."""
    if isinstance(event, HoursVerified | SubmittedHoursVerified | MemberRegistered):
        return
    if isinstance(event, MemberChanged):  # what is theirs moves with them
        if event.unit:
            yield event.member_id
        return
    if isinstance(event, _OWNERS):
        yield event.member_id
        return
    if isinstance(event, HoursReversed):  # perhaps of what has expired alone
        yield event.member_id
    for name, credits in getattr(event, "entries", ()):
        mine = pocket(name)
        if mine is not None and (credits < 0 or POCKETS[mine.place] == "held"):
            yield mine.member_id
