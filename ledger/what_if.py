"""What if: a span of service dates replayed under other numbers, changing nothing.

Every record is figured once more in the order of the journal, by the rule book as it was known then
with the changes on top, for an account that has lived under them. So no changes come to no
difference, whatever was published since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ledger.events import (
    CreditsExpired,
    CreditsFrozen,
    CreditsUnfrozen,
    Entry,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    JobRan,
    Moved,
    OrderCancelled,
    OrderDecided,
    OrderDisputed,
    OrderPlaced,
    OrderSettled,
    PolicyPublished,
    PostedContent,
    RedemptionCancelled,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    SubmittedHoursVerified,
)
from ledger.policy import Policies, Values, completed, is_late
from ledger.rules.earning import PaidBack, earned, figures, taken_back
from ledger.rules.expiry import expired
from ledger.rules.lots import Lot
from ledger.rules.time_account import TimeAccount, interval
from ledger.units import Credits, instant


@dataclass(slots=True)
class Compared:
    """Credits of services in the span: as recorded, and as they would be."""

    credits: int = 0
    would_be: int = 0

    @property
    def difference(self) -> int:
        """What the changes add; below zero: what they take."""
        return self.would_be - self.credits


class _Counted(NamedTuple):
    """What a record comes to in the other life."""

    member_id: str
    position: int
    served_on: str
    no_credit: bool
    minutes: int
    credits: int
    overflowed: int | None
    paid_from_hold: int | None


class WhatIf:
    """The replay: told the journal's entries in their order, it knows what would be."""

    def __init__(self, changes: Mapping[str, Any], first: date, last: date) -> None:
        self.members: dict[str, Compared] = {}  # who served in the span
        self._changes = completed(changes)
        self._span = (first.isoformat(), last.isoformat())
        self._policies = Policies()
        self._changed: dict[date, Values] = {}
        self._accounts: dict[str, TimeAccount] = {}
        self._waiting: dict[str, tuple[HoursSubmitted, bool]] = {}
        self._records: dict[str, _Counted] = {}
        self._paid: dict[str, int] = {}  # by redemption or order, what was paid and not given back

    @property
    def total(self) -> Compared:
        """All members together."""
        members = self.members.values()
        return Compared(sum(m.credits for m in members), sum(m.would_be for m in members))

    def tell(self, entries: Iterable[Entry]) -> None:
        """Take in the next entries of the journal."""
        for entry in entries:
            match entry.event:
                case PolicyPublished() as event:
                    self._policies.apply(event, entry.position)
                    self._changed.clear()
                case HoursSubmitted() as event:
                    self._waiting[event.record_id] = (event, self._no_credit(event))
                case HoursVerified() as event:
                    self._count(entry.position, event.credits, event, self._no_credit(event))
                case SubmittedHoursVerified() as event:
                    waited = self._waiting.pop(event.record_id)
                    self._count(entry.position, event.credits, *waited)
                case HoursReversed() as event:
                    self._take_back(event, entry.position)
                case CreditsExpired() as event:
                    self._expire(event.member_id, event.as_of)
                case Moved() as event:
                    self._move(event, entry.position)
                case RedemptionReserved() as event:
                    account = self._account(event.member_id)
                    credits = min(event.credits, account.available)
                    account.reserve(event.redemption_id, credits)
                case RedemptionFulfilled() as event:
                    self._pay(event, event.redemption_id, entry.position)
                case OrderPlaced(hold_credits=int(credits)) as event:
                    account = self._account(event.member_id)
                    account.reserve(event.order_id, min(credits, account.available))
                case OrderSettled() as event:
                    self._pay(event, event.order_id, entry.position)
                case OrderCancelled() as event if event.entries:
                    self._account(event.member_id).settle(event.order_id, 0)
                case OrderDisputed(credits=int(credits)) as event:
                    account = self._account(event.member_id)
                    account.dispute(event, min(credits, account.available))
                case OrderDecided() as event:
                    self._account(event.member_id).undispute(event.order_id)
                case RedemptionCancelled() | RedemptionExpired() as event:
                    self._account(event.member_id).settle(event.redemption_id, 0)
                case CreditsFrozen() as event:
                    account = self._account(event.member_id)
                    account.freeze(min(event.credits, account.available))
                case CreditsUnfrozen() as event:
                    account = self._account(event.member_id)
                    account.unfreeze(min(event.credits, account.frozen_by_hand))
                case JobRan() as event:
                    as_of = self._policies.recording(instant(event.as_of)).today.isoformat()
                    for member_id in list(self._accounts):
                        self._expire(member_id, as_of)

    def _count(self, position: int, credits: int, content: PostedContent, no_credit: bool) -> None:
        account = self._account(content.member_id)
        asked = self._is_asked(content)
        served_on = self._served_on(content)
        span = interval(content.started_at, content.ended_at)
        fact = SubmittedHoursVerified(
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            served_on=served_on.isoformat(),
            policy_version=self._policies.version,
            **figures(
                account,
                earned(
                    account,
                    span,
                    content.break_minutes or 0,
                    on_duty=content.capacity == "on_duty",
                    category=content.category,
                    no_credit=no_credit,
                    served_on=served_on,
                    values=self._on(served_on, asked),
                ),
                self._paid.get(content.redemption_id or content.own_order or "", 0),
            ),
        )
        account.waiting[content.record_id] = span
        account.apply(fact, position)
        self._records[content.record_id] = _Counted(
            fact.member_id,
            position,
            fact.served_on,
            no_credit,
            fact.minutes,
            fact.credits,
            fact.overflowed,
            fact.paid_from_hold,
        )
        if asked:
            compared = self.members.setdefault(content.member_id, Compared())
            compared.credits += credits
            compared.would_be += fact.credits

    def _account(self, member_id: str) -> TimeAccount:
        if member_id not in self._accounts:
            self._accounts[member_id] = TimeAccount(member_id)
        return self._accounts[member_id]

    def _take_back(self, event: HoursReversed, position: int) -> None:
        account, counted = self._accounts[event.member_id], self._records[event.record_id]
        back = _paid_back(event)
        undone = taken_back(account, counted, counted.position, 0, back)
        fact = HoursReversed(
            record_id=event.record_id,
            member_id=event.member_id,
            organisation=event.organisation,
            started_at=event.started_at,
            ended_at=event.ended_at,
            served_on=counted.served_on,
            reason=event.reason,
            redemption_id=event.redemption_id,
            order_id=event.order_id,
            **undone,
        )
        account.apply(fact, position)
        held_for = event.redemption_id or event.order_id
        if back is not None and held_for is not None and fact.paid_from_hold:
            payer = back.account.split(":")[1]
            self._account(payer).apply(fact, position)
            self._paid[held_for] += fact.paid_from_hold
        if self._is_asked(event):
            compared = self.members[event.member_id]
            compared.credits += event.credits
            compared.would_be += fact.credits

    def _move(self, event: Moved, position: int) -> None:
        """Whoever gave gives what there is of it; who received receives as recorded."""
        for name, credits in event.entries:
            kind, _, rest = name.partition(":")
            if kind != "person":
                continue
            account = self._account(rest.partition(":")[0])
            if credits < 0:
                account.spend(min(-credits, account.available))
            else:
                account.receive(Lot(event.on, position, credits, event.expires_on))

    def _pay(self, event: RedemptionFulfilled | OrderSettled, held_for: str, position: int) -> None:
        """Whoever redeemed pays what there is of it; the provider receives as recorded."""
        payer = self._account(event.member_id)
        hold = payer.holds.get(held_for)
        if hold is None:  # for a correction, of a record that nothing was paid for in this life
            return
        held = sum(lot.left for lot in hold.open)
        payer.settle(held_for, min(event.credits, held))
        self._paid[held_for] = self._paid.get(held_for, 0) + event.credits
        if event.provider_id is not None:
            provider = self._account(event.provider_id)
            repaid = min(event.credits, provider.receivable)
            provider.receivable = Credits(provider.receivable - repaid)
            if received := event.credits - repaid:
                provider.receive(Lot(event.on, position, received, event.expires_on))

    def _expire(self, member_id: str, as_of: str) -> None:
        account = self._account(member_id)
        fact = expired(member_id, account, as_of)
        if fact is not None:
            account.apply(fact, 0)

    def _no_credit(self, content: PostedContent) -> bool:
        """Is a record late, and does the policy grant nothing for that?"""
        if content.replaces is not None:  # the verdict stays
            return self._records[content.replaces].no_credit
        asked = self._is_asked(content)
        recorded_at = instant(content.recorded_at)
        recording = self._policies.recording(recorded_at)
        values = {**recording.values, **self._changes} if asked else recording.values
        if values["late_recording"]["effect"] != "no_credit":
            return False
        if not asked:
            return content.late
        zone = ZoneInfo(values["zone"])
        return is_late(
            instant(content.ended_at).astimezone(zone).date(),
            recorded_at.astimezone(zone).date(),
            values,
            self._on(self._served_on(content), asked),
        )

    def _is_asked(self, fact: PostedContent | HoursReversed) -> bool:
        first, last = self._span
        return first <= fact.served_on <= last

    def _served_on(self, content: PostedContent) -> date:
        if "zone" in self._changes and self._is_asked(content):
            zone = ZoneInfo(self._changes["zone"])
            return instant(content.started_at).astimezone(zone).date()
        return date.fromisoformat(content.served_on)

    def _on(self, day: date, asked: bool) -> Values:
        """What holds for a service of this date."""
        if not asked:
            return self._policies.on(day)
        values = self._changed.get(day)
        if values is None:
            values = self._changed[day] = {**self._policies.on(day), **self._changes}
        return values


def _paid_back(event: HoursReversed) -> PaidBack | None:
    """Where the payment of a record went back to; None: nothing was paid for it."""
    if event.paid_at is None or event.paid_on is None or event.on is None:
        return None
    own = f"person:{event.member_id}:"
    (account,) = (name for name, credits in event.entries if credits > 0 and _is_other(name, own))
    return PaidBack(account, (event.paid_on, event.paid_at), event.on, event.expires_on)


def _is_other(account: str, own: str) -> bool:
    return account.startswith("person:") and not account.startswith(own)
