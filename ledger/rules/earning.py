"""What a service comes to, minutes and credits with their lines, and how that is taken back."""

from datetime import date
from typing import Protocol, TypedDict

from ledger.events import (
    DONATION_POOL,
    EXPIRED,
    SERVICE_ISSUE,
    WRITTEN_OFF,
    Line,
)
from ledger.policy import Values, credits_for, lot_end
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
    expires_on: str | None


def figures(
    account: TimeAccount,
    span: Interval,
    break_minutes: int,
    *,
    on_duty: bool,
    category: str,
    no_credit: bool,
    served_on: date,
    values: Values,
    member_id: str,
) -> Figures:
    """What a record comes to for an account as it stands, by the policy of its service date.

    The order (DOMAIN, section 4): minutes, rounding, rate, late effect, daily cap, receivable,
    stock cap. The stock cap cuts only what would stay with the person.
    """
    start, end = span
    said = (end - start - break_minutes * MINUTE) // MINUTE
    counted = (account.unoccupied_micros(span) - break_minutes * MINUTE) // MINUTE
    if counted < 1:
        raise Refused("overlapping_service")
    minutes = Minutes(0 if on_duty else counted)
    earned, rate_bps = credits_for(minutes, category, values)
    if no_credit:
        earned = Credits(0)
    of_the_day = min(earned, _room(values["daily_cap"], account.granted.get(str(served_on), 0)))
    repaid = min(of_the_day, account.receivable)
    kept = min(of_the_day - repaid, _room(values["stock_cap"], account.stock))
    overflowed = of_the_day - repaid - kept if values["overflow_to"] == "pool" else 0
    credits = repaid + kept
    return {
        "minutes": minutes,
        "overlap_minutes": said - counted,
        "credits": credits,
        "rate_bps": rate_bps,
        "entries": _lines(
            (SERVICE_ISSUE, -credits - overflowed),
            (f"person:{member_id}:available", kept),
            (f"person:{member_id}:receivable", repaid),
            (DONATION_POOL, overflowed),
        ),
        "duty_minutes": counted if on_duty else None,
        "capped": earned - credits - overflowed or None,
        "overflowed": overflowed or None,
        "expires_on": lot_end(served_on, values) if kept else None,
    }


class Figured(Protocol):
    """What a record came to, as far as a reversal asks."""

    @property
    def member_id(self) -> str: ...
    @property
    def minutes(self) -> int: ...
    @property
    def credits(self) -> int: ...
    @property
    def overflowed(self) -> int | None: ...
    @property
    def points(self) -> int | None: ...


class TakenBack(TypedDict):
    """The fields of an event that say what a reversal takes back; no number is above zero."""

    reverses: int
    minutes: int
    credits: int
    entries: tuple[Line, ...]
    overflowed: int | None
    points: int | None


def taken_back(
    account: TimeAccount,
    figured: Figured,
    position: int,
    pool_credits: int,
) -> TakenBack:
    """Undo what the fact at `position` let a record come to.

    What had overflowed comes out of the donation pool, and what the pool lacks is written off. The
    record's credits come out of what expired of its lot, what is left of it and the oldest lots,
    and what is left then is a receivable. Nothing held or frozen is touched.
    """
    member_id, overflowed = figured.member_id, figured.overflowed or 0
    out_of_pool = min(overflowed, max(0, pool_credits))
    expired = min(figured.credits, account.lots.expired.get(position, 0))
    available = min(figured.credits - expired, account.available)
    owed = figured.credits - expired - available
    return {
        "reverses": position,
        "minutes": -figured.minutes,
        "credits": -figured.credits,
        "entries": _lines(
            (SERVICE_ISSUE, figured.credits + overflowed),
            (DONATION_POOL, -out_of_pool),
            (WRITTEN_OFF, out_of_pool - overflowed),
            (EXPIRED, -expired),
            (f"person:{member_id}:available", -available),
            (f"person:{member_id}:receivable", -owed),
        ),
        "overflowed": -overflowed or None,
        "points": -figured.points if figured.points else None,
    }


def _room(cap: int | None, used: int) -> int:
    """How much fits under a cap."""
    return _NO_END if cap is None else max(0, cap - used)


def _lines(*lines: Line) -> tuple[Line, ...]:
    """Those that move something."""
    return tuple(line for line in lines if line[1])


_NO_END = 2**63
