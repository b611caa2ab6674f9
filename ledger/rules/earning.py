"""What a service comes to, minutes and credits with their lines, and how that is taken back."""

from datetime import date
from typing import NamedTuple, Protocol, TypedDict

from ledger.events import (
    DONATION_POOL,
    EXPIRED,
    SERVICE_ISSUE,
    WRITTEN_OFF,
    Line,
)
from ledger.policy import Values, credits_for, lot_end
from ledger.rules.career import Career
from ledger.rules.lots import Age
from ledger.rules.time_account import Interval, TimeAccount
from ledger.units import MINUTE, Credits, Minutes, Refused


class Figures(TypedDict):
    """The fields of an event that say what a record came to."""

    minutes: int
    overlap_minutes: int
    credits: int
    rate_bps: int
    entries: tuple[Line, ...]
    duty_minutes: int | None
    capped: int | None
    overflowed: int | None
    paid_from_hold: int | None
    expires_on: str | None


class Earned(NamedTuple):
    """What a record comes to before anybody has paid for it."""

    minutes: Minutes
    duty_minutes: int | None
    overlap_minutes: int
    rate_bps: int
    credits: int  # before the caps
    of_the_day: int  # what the daily cap leaves of them
    served_on: date
    values: Values


def earned(
    account: TimeAccount,
    span: Interval,
    break_minutes: int,
    *,
    on_duty: bool,
    category: str,
    no_credit: bool,
    served_on: date,
    values: Values,
) -> Earned:
    """What a record comes to by the policy of its service date, up to the daily cap.

    The order (DOMAIN, section 4): minutes, rounding, rate, late effect, daily cap.
    """
    start, end = span
    said = (end - start - break_minutes * MINUTE) // MINUTE
    counted = (account.unoccupied_micros(span) - break_minutes * MINUTE) // MINUTE
    if counted < 1:
        raise Refused("overlapping_service")
    minutes = Minutes(0 if on_duty else counted)
    credits, rate_bps = credits_for(minutes, category, values)
    if no_credit:
        credits = Credits(0)
    room = _room(values["daily_cap"], account.granted.get(str(served_on), 0))
    return Earned(
        minutes,
        counted if on_duty else None,
        said - counted,
        rate_bps,
        credits,
        min(credits, room),
        served_on,
        values,
    )


def figures(account: TimeAccount, came_to: Earned, paid_already: int = 0) -> Figures:
    """What a record comes to for an account as it stands, where so much of it was paid already.

    The order goes on (DOMAIN, section 4): paid from a hold, receivable, stock cap. Only the rest is
    issued, and the stock cap cuts only what of that would stay with the person.
    """
    values, of_the_day = came_to.values, came_to.of_the_day
    paid = min(of_the_day, paid_already)
    repaid = min(of_the_day - paid, account.receivable)
    kept = min(of_the_day - paid - repaid, _room(values["stock_cap"], account.stock))
    overflowed = of_the_day - paid - repaid - kept if values["overflow_to"] == "pool" else 0
    credits = paid + repaid + kept
    mine = f"person:{account.member_id}"
    return {
        "minutes": came_to.minutes,
        "overlap_minutes": came_to.overlap_minutes,
        "credits": credits,
        "rate_bps": came_to.rate_bps,
        "entries": _lines(
            (SERVICE_ISSUE, -repaid - kept - overflowed),
            (f"{mine}:available", kept),
            (f"{mine}:receivable", repaid),
            (DONATION_POOL, overflowed),
        ),
        "duty_minutes": came_to.duty_minutes,
        "capped": came_to.credits - credits - overflowed or None,
        "overflowed": overflowed or None,
        "paid_from_hold": paid or None,
        "expires_on": lot_end(came_to.served_on, values) if kept else None,
    }


class Professional(TypedDict):
    """The fields of an event that say what a professional service came to beside credits."""

    points: int | None
    certified: bool | None
    points_per_hour: int | None


def professional(career: Career | None, came_to: Earned) -> Professional:
    """The points of a professional service; nothing where it is none, and so has no career.

    What is left of a year's certified minutes below a point waits for the next service.
    """
    if career is None:
        return {"points": None, "certified": None, "points_per_hour": None}
    per_hour: int = came_to.values["points"]["professional_service_per_hour"]
    on, minutes = came_to.served_on.isoformat(), came_to.duty_minutes or came_to.minutes
    certified = career.registration(on) is not None
    points = career.award_of_service(on, minutes, per_hour) if certified else 0
    return {
        "points": points or None,
        "certified": certified or None,
        "points_per_hour": per_hour,
    }


class Figured(Protocol):
    """What a record came to, as far as a reversal asks."""

    @property
    def served_on(self) -> str: ...
    @property
    def minutes(self) -> int: ...
    @property
    def credits(self) -> int: ...
    @property
    def overflowed(self) -> int | None: ...
    @property
    def paid_from_hold(self) -> int | None: ...


class TakenBack(TypedDict):
    """The fields of an event that say what a reversal takes back; no number is above zero."""

    reverses: int
    minutes: int
    credits: int
    entries: tuple[Line, ...]
    overflowed: int | None
    points: int | None
    paid_from_hold: int | None
    paid_at: int | None
    paid_on: str | None
    on: str | None
    expires_on: str | None


class PaidBack(NamedTuple):
    """Where the payment that a record cites has to go back to."""

    account: str  # of who redeemed
    paid: Age  # the lot that the provider was paid as
    on: str  # the date of the lot that goes back, and its end
    expires_on: str | None


def taken_back(
    account: TimeAccount,
    figured: Figured,
    position: int,
    pool_credits: int,
    paid_back: PaidBack | None = None,
    points: int = 0,
) -> TakenBack:
    """Undo what the fact at `position` let a record come to.

    What had overflowed comes out of the donation pool, and what the pool lacks is written off. The
    record's credits come out of what expired of its lots, what is left of them and the oldest lots,
    and what is left then is a receivable. Nothing held or frozen is touched. Of the credits, what a
    redemption had paid goes back to who redeemed, and the rest to where it was issued. Points go as
    the career says.
    """
    overflowed, paid = figured.overflowed or 0, figured.paid_from_hold or 0
    if paid_back is None or not paid:
        paid_back, paid = None, 0
    owned = [(figured.served_on, position), *([paid_back.paid] if paid_back else ())]
    out_of_pool = min(overflowed, max(0, pool_credits))
    expired = min(figured.credits, account.lots.gone(owned))
    available = min(figured.credits - expired, account.available)
    owed = figured.credits - expired - available
    mine = f"person:{account.member_id}"
    return {
        "reverses": position,
        "minutes": -figured.minutes,
        "credits": -figured.credits,
        "entries": _lines(
            (SERVICE_ISSUE, figured.credits - paid + overflowed),
            (paid_back.account if paid_back else "", paid),
            (DONATION_POOL, -out_of_pool),
            (WRITTEN_OFF, out_of_pool - overflowed),
            (EXPIRED, -expired),
            (f"{mine}:available", -available),
            (f"{mine}:receivable", -owed),
        ),
        "overflowed": -overflowed or None,
        "points": points or None,
        "paid_from_hold": -paid or None,
        "paid_at": paid_back.paid[1] if paid_back else None,
        "paid_on": paid_back.paid[0] if paid_back else None,
        "on": paid_back.on if paid_back else None,
        "expires_on": paid_back.expires_on if paid_back else None,
    }


def _room(cap: int | None, used: int) -> int:
    """How much fits under a cap."""
    return _NO_END if cap is None else max(0, cap - used)


def _lines(*lines: Line) -> tuple[Line, ...]:
    """Those that move something."""
    return tuple(line for line in lines if line[1])


_NO_END = 2**63
