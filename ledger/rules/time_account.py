"""The time account of one person: which time is counted already, and what stands to its name."""

from array import array
from bisect import bisect_left
from copy import copy

from ledger.events import (
    EXPIRED,
    CreditsExpired,
    CreditsFrozen,
    CreditsGiven,
    CreditsUnfrozen,
    Event,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    Line,
    Moved,
    OrderCancelled,
    OrderDecided,
    OrderDisputed,
    OrderPlaced,
    OrderSettled,
    RedemptionCancelled,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    SubmittedHoursVerified,
)
from ledger.rules.lots import Lot, Lots
from ledger.units import Credits, Minutes, epoch_micros, instant

Interval = tuple[int, int]
"""Start and end, in microseconds since 1970 (UTC); the end is not in it."""


class TimeAccount:
    """A person's counted intervals, balances and lots, folded from the account's stream."""

    def __init__(self, member_id: str = "") -> None:
        self.member_id = member_id
        self._mine = f"person:{member_id}:"  # how the names of the accounts begin
        # the intervals of verified records, in order of start: 16 bytes each, for decades
        self.starts = array("q")
        self.ends = array("q")
        self.longest = 0  # the length of the longest of them
        self.waiting: dict[str, Interval] = {}  # of submitted records
        self.minutes = Minutes(0)
        self.available = Credits(0)
        self.held = Credits(0)
        self.frozen = Credits(0)
        self.receivable = Credits(0)  # positive: what the person owes
        self.lots = Lots()  # of what is available
        self.frozen_lots = Lots()  # but for those of disputes
        self.disputed: dict[str, Lots] = {}  # what is frozen, by order
        self.holds: dict[str, Lots] = {}  # by redemption, or by order
        self.given: dict[str, int] = {}  # year -> what was given to relations
        self.granted: dict[str, int] = {}  # service date -> what its services came to, in credits

    @property
    def stock(self) -> Credits:
        """All that the person has."""
        return Credits(self.available + self.held + self.frozen)

    @property
    def frozen_by_hand(self) -> Credits:
        """What is frozen otherwise than by a dispute, which its decision alone unfreezes."""
        return Credits(sum(lot.left for lot in self.frozen_lots.open))

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this account."""
        match event:
            case HoursVerified():
                self._count(interval(event.started_at, event.ended_at), event, position)
            case HoursSubmitted():
                self.waiting[event.record_id] = interval(event.started_at, event.ended_at)
            case SubmittedHoursVerified():
                self._count(self.waiting.pop(event.record_id), event, position)
            case HoursReversed() if event.member_id == self.member_id:
                self._free(event)
            case HoursReversed():
                self._return(event, position)
            case RedemptionReserved():
                self.reserve(event.redemption_id, event.credits)
            case RedemptionFulfilled() if event.member_id == self.member_id:
                self.settle(event.redemption_id, event.credits)
            case RedemptionFulfilled():
                self._be_paid(event, position)
            case RedemptionCancelled() | RedemptionExpired():
                self.settle(event.redemption_id, 0)
            case OrderPlaced():
                self.reserve(event.order_id, event.hold_credits or 0)
            case OrderSettled() if event.member_id == self.member_id:
                self.settle(event.order_id, event.credits)
            case OrderSettled():
                self._be_paid(event, position)
            case OrderCancelled():
                self.settle(event.order_id, 0)
            case OrderDisputed():
                self.dispute(event, event.credits or 0)
            case OrderDecided():
                self.undispute(event.order_id)
            case CreditsExpired():
                self._post(event.entries)
                self.lots.expire(event.as_of)
            case Moved():
                self._move(event, position)
            case CreditsFrozen():
                self.freeze(event.credits)
            case CreditsUnfrozen():
                self.unfreeze(event.credits)
            case _:
                self.waiting.pop(getattr(event, "record_id", ""), None)

    def unoccupied_micros(self, span: Interval) -> int:
        """How much of a span no verified record occupies yet.

        Only those that start no earlier than the longest one lasts before it can reach in.
        """
        start, end = span
        free, reached = 0, start
        for index in range(bisect_left(self.starts, start - self.longest), len(self.starts)):
            other_start, other_end = self.starts[index], self.ends[index]
            if other_start >= end:
                break
            if other_start > reached:
                free += other_start - reached
            if other_end > reached:
                reached = other_end
        return free + max(0, end - reached)

    def spend(self, credits: int) -> None:
        """So much of what is available is gone, the oldest first."""
        self.available = Credits(self.available - credits)
        self.lots.take(credits)

    def receive(self, lot: Lot) -> None:
        """So much more is available, as one lot."""
        self.available = Credits(self.available + lot.left)
        self.lots.add(lot)

    def freeze(self, credits: int) -> None:
        """So much of what is available is frozen, the oldest first."""
        self.available = Credits(self.available - credits)
        self.frozen = Credits(self.frozen + credits)
        self.frozen_lots.put_back(self.lots.take(credits))

    def unfreeze(self, credits: int) -> None:
        """So much of what is frozen is available again, as the lots that it was."""
        self.frozen = Credits(self.frozen - credits)
        self.available = Credits(self.available + credits)
        self.lots.put_back(self.frozen_lots.take(credits))

    def reserve(self, held_for: str, credits: int) -> None:
        """So much of what is available is held for something, the oldest first."""
        self.hold(held_for, credits, self.lots.take(credits))

    def hold(self, held_for: str, credits: int, lots: list[Lot]) -> None:
        """So much is held for something, out of these lots."""
        self.available = Credits(self.available - credits)
        self.held = Credits(self.held + credits)
        held = self.holds[held_for] = Lots()
        held.put_back(lots)

    def settle(self, held_for: str, paid: int) -> None:
        """So much of a hold is paid, the oldest first; the rest is available again as it was."""
        hold = self.holds.pop(held_for)
        hold.take(paid)
        released = sum(lot.left for lot in hold.open)
        self.held = Credits(self.held - paid - released)
        self.available = Credits(self.available + released)
        self.lots.put_back(hold.open)

    def dispute(self, event: OrderDisputed, credits: int) -> None:
        """So much is frozen: first of what the order had come to, then the oldest."""
        self.available = Credits(self.available - credits)
        self.frozen = Credits(self.frozen + credits)
        frozen = self.disputed[event.order_id] = Lots()
        frozen.put_back(self.lots.take_back(event.lots, credits))

    def undispute(self, order_id: str) -> None:
        """What a dispute froze is available again, as the lots that it was."""
        frozen = self.disputed.pop(order_id, None)
        if frozen is None:  # of a record that had waited, nothing was
            return
        credits = sum(lot.left for lot in frozen.open)
        self.frozen = Credits(self.frozen - credits)
        self.available = Credits(self.available + credits)
        self.lots.put_back(frozen.open)

    def copied(self) -> "TimeAccount":
        """Another account of the same past, to see what a further fact would make of it."""
        other = copy(self)
        other.starts, other.ends = self.starts[:], self.ends[:]
        other.waiting, other.granted = dict(self.waiting), dict(self.granted)
        other.lots, other.frozen_lots = self.lots.copied(), self.frozen_lots.copied()
        other.holds = {name: hold.copied() for name, hold in self.holds.items()}
        other.disputed = {name: lots.copied() for name, lots in self.disputed.items()}
        other.given = dict(self.given)
        return other

    def _count(
        self, span: Interval, event: HoursVerified | SubmittedHoursVerified, position: int
    ) -> None:
        start, end = span
        place = bisect_left(self.starts, start)
        self.starts.insert(place, start)
        self.ends.insert(place, end)
        self.longest = max(self.longest, end - start)
        self.minutes = Minutes(self.minutes + event.minutes)
        self._grant(event.served_on, event.credits + (event.overflowed or 0))
        if not event.entries:
            return
        before = self.available
        self._post(event.entries)
        if received := self.available - before:
            self.lots.add(Lot(event.served_on, position, received, event.expires_on))

    def _free(self, event: HoursReversed) -> None:
        """Undo what a record had counted, and take back what it had come to."""
        start, end = interval(event.started_at, event.ended_at)
        place = bisect_left(self.starts, start)
        while self.ends[place] != end:  # another may start at the same instant
            place += 1
        del self.starts[place], self.ends[place]
        self.minutes = Minutes(self.minutes + event.minutes)
        if not event.entries:
            return
        self._grant(event.served_on, event.credits + (event.overflowed or 0))
        before = self.available
        self._post(event.entries)
        self.lots.take_back(event.lots, before - self.available)
        self.lots.restore(event.lots, -dict(event.entries).get(EXPIRED, 0))

    def _return(self, event: HoursReversed, position: int) -> None:
        """What a redemption of this person had paid is back, perhaps to be held once more."""
        assert event.on is not None  # noqa: S101  (a payment went back)
        credits = -(event.paid_from_hold or 0)
        self.receive(Lot(event.on, position, credits, event.expires_on))
        if f"{self._mine}held" in dict(event.entries):
            held_for = event.redemption_id or event.order_id
            assert held_for is not None  # noqa: S101
            back = self.lots.take_back([(event.on, position)], credits)
            self.hold(held_for, credits, back)

    def _be_paid(self, event: RedemptionFulfilled | OrderSettled, position: int) -> None:
        """This person has served another, who pays."""
        before = self.available
        self._post(event.entries)
        if received := self.available - before:
            self.lots.add(Lot(event.on, position, received, event.expires_on))

    def _grant(self, served_on: str, credits: int) -> None:
        if granted := self.granted.get(served_on, 0) + credits:
            self.granted[served_on] = granted
        else:
            self.granted.pop(served_on, None)

    def _move(self, event: Moved, position: int) -> None:
        """Spend, oldest first, or receive, as a lot of the day."""
        available = f"{self._mine}available"
        moved = sum(credits for account, credits in event.entries if account == available)
        if moved < 0:
            self.spend(-moved)
            if isinstance(event, CreditsGiven):
                self.given[event.on[:4]] = self.given.get(event.on[:4], 0) - moved
        elif moved > 0:
            self.receive(Lot(event.on, position, moved, event.expires_on))

    def _post(self, entries: tuple[Line, ...]) -> None:
        """Move what the lines say of this person's accounts."""
        for account, credits in entries:
            match account.removeprefix(self._mine):
                case "available":
                    self.available = Credits(self.available + credits)
                case "held":
                    self.held = Credits(self.held + credits)
                case "frozen":
                    self.frozen = Credits(self.frozen + credits)
                case "receivable":
                    self.receivable = Credits(self.receivable - credits)


def interval(started_at: str, ended_at: str) -> Interval:
    """The interval between two instants as events spell them."""
    return epoch_micros(instant(started_at)), epoch_micros(instant(ended_at))
