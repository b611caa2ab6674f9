"""The time bank once more, as DOMAIN section 4 words it: plain sets, lists and dicts.

Time is counted in ticks of 20 seconds from the midnight before Monday 2026-03-02 in Shanghai.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, TypeVar

T = TypeVar("T")

TICK_SECONDS = 20
HOME = "org-a"  # of everybody
TICKS_A_DAY = 24 * 3_600 // TICK_SECONDS
MONDAY = date(2026, 3, 2)

DEFAULTS: dict[str, Any] = {
    "rounding": "exact",
    "credit_rate": {"default": 10_000, "by_category": {}},
    "daily_cap": None,
    "stock_cap": None,
    "overflow_to": "discard",
    "expiry": None,
    "late_recording": {"working_days": 10, "effect": "flag"},
    "hold_days": 14,
    "grants": {},
}


class No(Exception):
    """What is refused, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def answered(modelled: Callable[[], T]) -> tuple[T | None, str | None]:
    """What the model answers, or the code of its no."""
    try:
        return modelled(), None
    except No as no:
        return None, no.code


@dataclass(frozen=True)
class Actor:
    """Who asks: a name, perhaps a member, perhaps an administrator."""

    name: str
    member: str | None = None
    admin: bool = False


@dataclass(frozen=True)
class Service:
    """What was said of one service."""

    member: str
    start: int  # ticks
    length: int
    break_minutes: int = 0
    category: str = "elderly"
    capacity: str = "volunteer"
    evidence: str = "attested"
    redemption: str | None = None

    @property
    def ticks(self) -> frozenset[int]:
        return frozenset(range(self.start, self.start + self.length))

    @property
    def on(self) -> date:
        return MONDAY + timedelta(days=self.start // TICKS_A_DAY)

    @property
    def ended_on(self) -> date:
        return MONDAY + timedelta(days=(self.start + self.length) // TICKS_A_DAY)


@dataclass
class Record:
    """One record as it stands."""

    id: str
    organisation: str
    receipt: str
    said: Service
    poster: Actor
    status: str
    late: bool
    no_credit: bool
    admin_needed: bool = False
    counts_as: str | None = None  # evidence, where a verifier's word made it another
    request: str | None = None  # of the open request for its correction
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Lot:
    """What is left of one earning."""

    dated: date
    order: int
    record: str
    left: int
    expires_on: date | None


@dataclass
class Person:
    """What stands to one name."""

    occupied: dict[str, frozenset[int]] = field(default_factory=dict)  # by record
    minutes: int = 0
    available: int = 0
    frozen: int = 0
    held: int = 0
    receivable: int = 0
    holds: dict[str, list[Lot]] = field(default_factory=dict)  # by redemption
    frozen_lots: list[Lot] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    expired: dict[str, int] = field(default_factory=dict)  # by record
    granted: dict[date, int] = field(default_factory=dict)

    def take(self, credits: int, first: tuple[str, ...] = ()) -> None:
        """Spend: out of the lots that are named first, in their order, then the oldest."""
        self.available -= credits
        named = {record: place for place, record in enumerate(first)}
        last = len(first)
        for lot in sorted(
            self.lots, key=lambda lot: (named.get(lot.record, last), lot.dated, lot.order)
        ):
            taken = min(lot.left, credits)
            lot.left -= taken
            credits -= taken
        assert credits == 0
        self.lots = [lot for lot in self.lots if lot.left]


@dataclass
class Reward:
    """What may be redeemed."""

    price: int
    peer_service: bool
    stock: int | None


@dataclass
class Redemption:
    """One redemption as it stands."""

    id: str
    member: str
    reward: str
    quantity: int
    credits: int
    expires_on: date
    status: str = "reserved"
    provider: str | None = None
    paid: int = 0  # and not given back
    lot: str = ""  # as the provider was paid last
    cited_by: str | None = None


@dataclass
class Model:
    """What must be true."""

    people: dict[str, Person]
    today: date
    now: int  # ticks
    policies: list[tuple[date, Mapping[str, Any]]] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    receipts: dict[tuple[str, str], str] = field(default_factory=dict)
    grades: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    pool: int = 0
    org_pool: int = 0  # of the home organisation
    granted: int = 0  # by the fund for elders
    written_off: int = 0
    sunk: int = 0  # in sink:expired
    redeemed: int = 0
    issued: int = 0
    rewards: dict[str, Reward] = field(default_factory=dict)
    redemptions: dict[str, Redemption] = field(default_factory=dict)
    jobs: dict[str, date] = field(default_factory=dict)  # the last date of each
    counted: int = 0

    # -- policies ------------------------------------------------------------------------------

    def value(self, key: str, day: date) -> Any:
        """The latest effective date not after the day, then the later version."""
        saying = [
            (effective_on, version, changes[key])
            for version, (effective_on, changes) in enumerate(self.policies)
            if key in changes and effective_on <= day
        ]
        return max(saying, key=lambda one: one[:2])[2] if saying else DEFAULTS[key]

    def is_late(self, ended_on: date) -> bool:
        """Recorded after so many working days: Monday to Friday, with no holidays here."""
        day, left = ended_on, self.value("late_recording", self.today)["working_days"]
        while left:
            day += timedelta(days=1)
            left -= day.weekday() < 5
        return self.today > day

    # -- asking --------------------------------------------------------------------------------

    def post(self, actor: Actor, organisation: str, receipt: str, id: str, said: Service) -> Record:
        before = self.receipts.get((organisation, receipt))
        if before is not None:
            stands = self.records[before]
            if stands.said != said:
                raise No("receipt_reused")
            return stands
        if said.redemption is not None:
            self.citable(said, organisation)
        if said.on.isoformat()[:7] in self.closed:
            raise No("period_closed")
        late = self.is_late(said.ended_on)
        effect = self.value("late_recording", self.today)["effect"]
        record = Record(
            id, organisation, receipt, said, actor, "submitted", late, late and effect != "flag"
        )
        record.admin_needed = self.grades.get(organisation) == "G4"
        if not self.waits(actor, said, organisation):
            self.count(record)
        self.cite(record)
        self.records[id] = record
        self.receipts[organisation, receipt] = id
        return record

    def waits(self, actor: Actor, said: Service, organisation: str) -> bool:
        return actor.member == said.member or self.two_needed(said.evidence, organisation)

    def two_needed(self, evidence: str, organisation: str) -> bool:
        weak = evidence in ("backfilled", "self_reported")
        return weak or self.grades.get(organisation) in ("G3", "G4")

    def verify(self, actor: Actor, id: str) -> Record:
        record = self.in_state(id, "submitted")
        g4 = record.admin_needed or self.grades.get(record.organisation) == "G4"
        if g4 and not actor.admin:
            raise No("forbidden")
        self.another(actor, record)
        if record.said.on.isoformat()[:7] in self.closed:
            raise No("period_closed")
        self.count(record)
        if record.said.evidence == "self_reported":
            record.counts_as = "attested"
        return record

    def reject(self, actor: Actor, id: str) -> Record:
        record = self.in_state(id, "submitted")
        self.another(actor, record)
        record.status = "rejected"
        if record.said.redemption is not None:
            self.redemptions[record.said.redemption].cited_by = None
        return record

    def reverse(self, actor: Actor, id: str) -> Record:
        record = self.in_state(id, "verified")
        if record.said.on.isoformat()[:7] in self.closed and not actor.admin:
            raise No("period_closed")
        self.uncount(record, "reversed")
        return record

    def correct(self, actor: Actor, id: str, new_id: str, changed: Mapping[str, Any]) -> Record:
        record = self.in_state(id, "verified")
        evidence = record.counts_as or record.said.evidence
        said = replace(record.said, **{"evidence": evidence, **changed})
        if self.grades.get(record.organisation) == "G4" and not actor.admin:
            raise No("forbidden")
        if actor.member in (record.said.member, said.member):
            raise No("own_hours")
        asked = (self.two_needed(one.evidence, record.organisation) for one in (record.said, said))
        if any(asked) and actor.name == record.poster.name:
            raise No("second_person_needed")
        again = said.redemption is not None and said.redemption == record.said.redemption
        if again and said.member != record.said.member:
            raise No("wrong_state")
        if said.redemption is not None and not again:
            self.citable(said, record.organisation)
        seconds = said.length * TICK_SECONDS
        if seconds <= said.break_minutes * 60:
            raise No("break_too_long")
        if seconds < said.break_minutes * 60 + 60:
            raise No("less_than_a_minute")
        if said.start + said.length > self.now:
            raise No("service_in_the_future")
        months = {one.on.isoformat()[:7] for one in (record.said, said)}
        if months & self.closed and not actor.admin:
            raise No("period_closed")
        before = deepcopy(self.__dict__)
        replacement = Record(
            new_id,
            record.organisation,
            record.receipt,
            said,
            actor,
            "submitted",
            record.late,
            record.no_credit,
        )
        try:
            if again:
                self.replace_paid(record, replacement)
            else:
                self.uncount(record, "corrected")
                self.count(replacement)
        except No:
            self.__dict__.update(before)
            raise
        self.cite(replacement)
        self.records[new_id] = replacement
        self.receipts[record.organisation, record.receipt] = new_id
        return replacement

    def request(self, id: str, request: str) -> None:
        record = self.in_state(id, "verified", also=self.records[id].request is None)
        record.request = request

    def decline(self, id: str) -> None:
        record = self.records[id]
        if record.request is None:
            raise No("not_found")
        record.request = None

    def give(self, giver: str, to: str, credits: int) -> None:
        if credits > self.people[giver].available:
            raise No("not_enough_credits")
        self.people[giver].take(credits)
        self.receive(to, credits)

    def donate(self, giver: str, credits: int) -> None:
        if credits > self.people[giver].available:
            raise No("not_enough_credits")
        self.people[giver].take(credits)
        self.pool += credits

    def allocate(self, credits: int, weights: Mapping[str, int]) -> None:
        if credits > self.pool:
            raise No("not_enough_credits")
        self.pool -= credits
        self.deal(credits, weights)

    def inherit(self, member: str, credits: int, weights: Mapping[str, int]) -> None:
        if credits > self.people[member].available:
            raise No("not_enough_credits")
        self.people[member].take(credits)
        self.deal(credits, weights)

    def grant(self, credits: int, weights: Mapping[str, int]) -> None:
        ceiling = self.value("grants", self.today).get("elders")
        if ceiling is None:
            raise No("not_found")
        if self.granted + credits > ceiling:
            raise No("fund_exhausted")
        self.granted += credits
        self.deal(credits, weights)

    def deal(self, credits: int, weights: Mapping[str, int]) -> None:
        """Exact shares, floored; what is left goes to the largest fractions, then the first."""
        exact = {m: Fraction(credits * w, sum(weights.values())) for m, w in weights.items()}
        parts = {member: int(share) for member, share in exact.items()}
        by_fraction = sorted(exact, key=lambda member: parts[member] - exact[member])
        for member in by_fraction[: credits - sum(parts.values())]:
            parts[member] += 1
        self.counted += 1
        for member, part in parts.items():
            if member in self.people and part:
                self.receive(member, part)
            elif part:
                self.org_pool += part

    # -- redemptions ---------------------------------------------------------------------------

    def restock(self, reward: str, quantity: int) -> None:
        stock = self.rewards[reward].stock
        if stock is None:
            raise No("no_stock_counted")
        self.rewards[reward].stock = stock + quantity

    def reserve(self, id: str, member: str, reward: str, quantity: int) -> Redemption:
        offered, person = self.rewards[reward], self.people[member]
        if offered.stock is not None and quantity > offered.stock:
            raise No("out_of_stock")
        credits = offered.price * quantity
        if credits > person.available:
            raise No("not_enough_credits")
        if offered.stock is not None:
            offered.stock -= quantity
        self.hold(id, person, credits, person.lots)
        ends = self.today + timedelta(days=self.value("hold_days", self.today))
        made = Redemption(id, member, reward, quantity, credits, ends)
        self.redemptions[id] = made
        return made

    def hold(self, id: str, person: Person, credits: int, lots: list[Lot]) -> None:
        """So much is held, of the oldest of these lots."""
        person.available -= credits
        person.held += credits
        person.holds[id] = []
        _shift(lots, person.holds[id], credits)
        person.lots = [lot for lot in person.lots if lot.left]

    def end(self, id: str, status: str) -> Redemption:
        found = self.redemptions[id]
        if found.status != "reserved":
            raise No("wrong_state")
        found.status = status
        return found

    def fulfil(self, id: str, credits: int | None, provider: str | None) -> Redemption:
        found = self.redemptions[id]
        offered = self.rewards[found.reward]
        if found.status != "reserved":
            raise No("wrong_state")
        if not offered.peer_service and provider is not None:
            raise No("no_provider")
        if offered.peer_service and provider is None:
            raise No("provider_needed")
        if provider == found.member:
            raise No("to_oneself")
        paid = found.credits if credits is None else credits
        if paid > found.credits:
            raise No("not_enough_credits")
        found.status = "fulfilled"
        self.pay(found, paid, provider)
        if offered.stock is not None:  # an item that is paid for in part is taken
            offered.stock += found.quantity - sum(
                1 for item in range(found.quantity) if item * offered.price < paid
            )
        return found

    def pay(self, redemption: Redemption, paid: int, provider: str | None) -> None:
        """So much of what is held goes, the rest is what it was."""
        person = self.people[redemption.member]
        hold = person.holds.pop(redemption.id)
        held = sum(lot.left for lot in hold)
        gone: list[Lot] = []
        _shift(hold, gone, paid)
        _shift(hold, person.lots, held - paid)
        person.held -= held
        person.available += held - paid
        redemption.provider, redemption.paid = provider, redemption.paid + paid
        if provider is None:
            self.redeemed += paid
            return
        repaid = min(paid, self.people[provider].receivable)
        self.people[provider].receivable -= repaid
        redemption.lot = self.receive(provider, paid - repaid)

    def cancel(self, id: str) -> Redemption:
        return self.give_up(self.end(id, "cancelled"))

    def expire_hold(self, id: str, as_of: date) -> bool:
        found = self.redemptions[id]
        ran = self.jobs.get("holds")
        if found.status != "reserved" or as_of < found.expires_on or (ran and as_of <= ran):
            return False
        self.give_up(self.end(id, "expired"))
        return True

    def give_up(self, redemption: Redemption) -> Redemption:
        offered = self.rewards[redemption.reward]
        if offered.stock is not None:
            offered.stock += redemption.quantity
        person = self.people[redemption.member]
        _shift(person.holds.pop(redemption.id), person.lots, redemption.credits)
        person.held -= redemption.credits
        person.available += redemption.credits
        return redemption

    def citable(self, said: Service, organisation: str) -> None:
        """Fulfilled, with this provider, cited by none yet; and seen by who posts."""
        found = self.redemptions[said.redemption or ""]
        if found.status != "fulfilled" or found.provider != said.member:
            raise No("wrong_state" if organisation == HOME else "not_found")
        if found.cited_by:
            raise No("wrong_state")

    def cite(self, record: Record) -> None:
        if record.said.redemption is not None:
            self.redemptions[record.said.redemption].cited_by = record.id

    def replace_paid(self, record: Record, replacement: Record) -> None:
        """The correction takes again what the reversal gives back, as far as it needs it."""
        redemption = self.redemptions[record.said.redemption or ""]
        back = record.figures["paid_from_hold"]
        lot = self.uncount(record, "corrected")
        again = min(back, self.of_the_day(replacement)["of_the_day"])
        if again:
            person = self.people[redemption.member]
            (returned,) = [one for one in person.lots if one.record == lot]
            self.hold(redemption.id, person, back, [returned])
            self.pay(redemption, again, redemption.provider)
        self.count(replacement)

    def receive(self, member: str, credits: int) -> str:
        """A lot of the day; its name."""
        expiry = self.value("expiry", self.today)
        ends = _months_after(self.today, expiry["months"]) if expiry is not None else None
        self.counted += 1
        self.people[member].available += credits
        lot = Lot(self.today, self.counted, f"received {self.counted}", credits, ends)
        if credits:
            self.people[member].lots.append(lot)
        return lot.record

    def freeze(self, member: str, credits: int) -> None:
        person = self.people[member]
        if credits > person.available:
            raise No("not_enough_credits")
        person.available -= credits
        person.frozen += credits
        _shift(person.lots, person.frozen_lots, credits)

    def unfreeze(self, member: str, credits: int) -> None:
        person = self.people[member]
        if credits > person.frozen:
            raise No("not_enough_credits")
        person.frozen -= credits
        person.available += credits
        _shift(person.frozen_lots, person.lots, credits)

    def expire(self, member: str, as_of: date) -> int:
        """What is gone of a member's lots; a job at or before its last date does nothing."""
        person = self.people[member]
        ran = self.jobs.get("expiry")
        if ran is not None and as_of <= ran:
            return 0
        due = [lot for lot in person.lots if lot.expires_on is not None and lot.expires_on <= as_of]
        for lot in due:
            person.expired[lot.record] = person.expired.get(lot.record, 0) + lot.left
            person.lots.remove(lot)
        gone = sum(lot.left for lot in due)
        person.available -= gone
        self.sunk += gone
        return gone

    def finish(self, job: str, as_of: date, *, is_future: bool) -> bool:
        if is_future:
            raise No("in_the_future")
        if job in self.jobs and as_of <= self.jobs[job]:
            return False
        self.jobs[job] = as_of
        return True

    def close(self, month: str) -> None:
        if month >= self.today.isoformat()[:7]:
            raise No("period_not_over")
        if month in self.closed:
            raise No("wrong_state")
        self.closed.add(month)

    def reopen(self, month: str) -> None:
        if month not in self.closed:
            raise No("wrong_state")
        self.closed.remove(month)

    # -- what it comes to ----------------------------------------------------------------------

    def in_state(self, id: str, status: str, *, also: bool = True) -> Record:
        record = self.records[id]
        if record.status != status or not also:
            raise No("wrong_state")
        return record

    def another(self, actor: Actor, record: Record) -> None:
        if actor.member == record.said.member:
            raise No("own_hours")
        if actor.name == record.poster.name:
            raise No("second_person_needed")

    def of_the_day(self, record: Record) -> dict[str, int]:
        """Minutes, rounding, rate, late effect, daily cap."""
        said, person = record.said, self.people[record.said.member]
        taken = frozenset().union(*person.occupied.values())
        claimed = (len(said.ticks) * TICK_SECONDS - said.break_minutes * 60) // 60
        counted = (len(said.ticks - taken) * TICK_SECONDS - said.break_minutes * 60) // 60
        if counted < 1:
            raise No("overlapping_service")
        minutes = counted if said.capacity == "volunteer" else 0
        rounded = {
            "exact": minutes,
            "half_hour_floor": minutes - minutes % 30,
            "hour_floor": minutes - minutes % 60,
            "min_one_hour": max(60, minutes) if minutes else 0,
        }[self.value("rounding", said.on)]
        rates = self.value("credit_rate", said.on)
        rate = rates["by_category"].get(said.category, rates["default"])
        earned = 0 if record.no_credit else rounded * rate // 10_000
        kept = earned
        daily_cap = self.value("daily_cap", said.on)
        if daily_cap is not None:
            kept = min(kept, max(0, daily_cap - person.granted.get(said.on, 0)))
        return {
            "minutes": minutes,
            "overlap_minutes": claimed - counted,
            "earned": earned,
            "of_the_day": kept,
        }

    def count(self, record: Record) -> None:
        """Paid from a hold, receivable, stock cap."""
        said, person = record.said, self.people[record.said.member]
        came = self.of_the_day(record)
        minutes, earned, kept = came["minutes"], came["earned"], came["of_the_day"]
        paid = 0
        if said.redemption is not None:
            paid = min(kept, self.redemptions[said.redemption].paid)
        repaid = min(kept - paid, person.receivable)
        own = kept - paid - repaid
        stock_cap = self.value("stock_cap", said.on)
        if stock_cap is not None:
            stock = person.available + person.frozen + person.held
            own = min(own, max(0, stock_cap - stock))
        cut = kept - paid - repaid - own
        overflowed = cut if self.value("overflow_to", said.on) == "pool" else 0

        person.occupied[record.id] = said.ticks
        person.minutes += minutes
        person.receivable -= repaid
        person.available += own
        came_to = repaid + own + overflowed
        person.granted[said.on] = person.granted.get(said.on, 0) + came_to + paid
        self.pool += overflowed
        self.issued += came_to
        self.counted += 1
        expires_on = None
        expiry = self.value("expiry", said.on)
        if own and expiry is not None:
            expires_on = _months_after(said.on, expiry["months"])
        if own:
            person.lots.append(Lot(said.on, self.counted, record.id, own, expires_on))
        record.status = "verified"
        record.figures = {
            "minutes": minutes,
            "overlap_minutes": came["overlap_minutes"],
            "credits": paid + repaid + own,
            "paid_from_hold": paid,
            "overflowed": overflowed,
            "capped": earned - paid - repaid - own - overflowed,
            "expires_on": expires_on.isoformat() if expires_on else None,
        }

    def uncount(self, record: Record, status: str) -> str:
        """The overflowed part, the expired part, its own lots, the oldest, a receivable.

        What was paid from a hold goes back to who redeemed; answers the name of that lot.
        """
        person, came_to = self.people[record.said.member], record.figures
        credits, overflowed = came_to["credits"], came_to["overflowed"]
        paid = came_to["paid_from_hold"]
        redemption = self.redemptions[record.said.redemption or ""] if paid else None
        out_of_pool = min(overflowed, self.pool)
        self.pool -= out_of_pool
        self.written_off -= overflowed - out_of_pool
        self.issued -= credits - paid + overflowed
        del person.occupied[record.id]
        person.minutes -= came_to["minutes"]
        person.granted[record.said.on] = (
            person.granted.get(record.said.on, 0) - credits - overflowed
        )
        own = (record.id, redemption.lot) if redemption else (record.id,)
        expired = 0
        for name in own:
            part = min(credits - expired, person.expired.get(name, 0))
            expired += part
            if part:
                person.expired[name] -= part
                if not person.expired[name]:
                    del person.expired[name]
        self.sunk -= expired
        available = min(credits - expired, person.available)
        person.take(available, first=own)
        person.receivable += credits - expired - available
        record.status, record.request = status, None
        if redemption is None:
            return ""
        redemption.paid -= paid
        return self.receive(redemption.member, paid)


def _shift(source: list[Lot], target: list[Lot], credits: int) -> None:
    """So much goes over, the oldest first, and every lot stays the lot that it is."""
    for lot in sorted(source, key=lambda lot: (lot.dated, lot.order)):
        part = min(lot.left, credits)
        credits -= part
        lot.left -= part
        same = next((other for other in target if other.order == lot.order), None)
        if same is not None:
            same.left += part
        elif part:
            target.append(replace(lot, left=part))
    source[:] = [lot for lot in source if lot.left]


def _months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    year, month = day.year, day.month + months
    while month > 12:
        year, month = year + 1, month - 12
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError
