"""Periods: months that are closed, so that their figures stand."""

from datetime import date

from ledger.commands import ClosePeriod, ReopenPeriod
from ledger.events import Event, PeriodClosed, PeriodReopened
from ledger.policy import Policies
from ledger.units import Refused


class Periods:
    """The months that are closed now."""

    def __init__(self) -> None:
        self.closed: set[str] = set()

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about a month."""
        match event:
            case PeriodClosed():
                self.closed.add(event.month)
            case PeriodReopened():
                self.closed.discard(event.month)

    def is_closed(self, day: date) -> bool:
        """Does a date lie in a closed month?"""
        return bool(self.closed) and day.isoformat()[:7] in self.closed


def close_period(command: ClosePeriod, periods: Periods, policies: Policies) -> list[Event]:
    """Close a month that is over: nothing is posted or verified in it any more."""
    today = policies.recording(command.at).today
    if command.month >= today.isoformat()[:7]:
        raise Refused("period_not_over", month=command.month, today=today.isoformat())
    if command.month in periods.closed:
        raise Refused("wrong_state", before="closed", after="closed")
    return [PeriodClosed(month=command.month, reason=command.reason)]


def reopen_period(command: ReopenPeriod, periods: Periods) -> list[Event]:
    """Let a closed month be posted to again."""
    if command.month not in periods.closed:
        raise Refused("wrong_state", before="open", after="open")
    return [PeriodReopened(month=command.month, reason=command.reason)]
