"""`timebank period`: months are closed, and reopened where that was too early."""

import re
from typing import TYPE_CHECKING

import click

from scripts.door import ask, checked, opened, stamp
from scripts.printing import Exit, Stopped, Told, verb
from scripts.sayings import explained

if TYPE_CHECKING:
    from ledger.commands import ClosePeriod, ReopenPeriod

MONTH = click.argument("month", metavar="YYYY-MM")
REASON = click.option("--reason", help=explained("原因", "why"))


@verb(MONTH, REASON)
def close(month: str, reason: str | None) -> Told:
    """Close a month that is over: nothing is posted or verified in it any more."""
    from ledger.commands import ClosePeriod

    return _ask(ClosePeriod, month, reason, "closed")


@verb(MONTH, REASON)
def reopen(month: str, reason: str | None) -> Told:
    """Let a closed month be posted to again."""
    from ledger.commands import ReopenPeriod

    return _ask(ReopenPeriod, month, reason, "open")


def _ask(
    command: "type[ClosePeriod | ReopenPeriod]", month: str, reason: str | None, status: str
) -> Told:
    from api.asks import ReasonAsk
    from api.contract import PATH_PARTS

    if re.fullmatch(PATH_PARTS["month"].pattern, month, re.ASCII) is None:
        raise Stopped("not_a_month", Exit.USAGE, name="YYYY-MM")
    asked = checked(ReasonAsk, reason=reason)
    with opened() as ledger:
        done = ask(ledger, command(**stamp(), month=month, reason=asked.reason))
    value = {"month": month, "status": status, "reason": asked.reason, "position": done.position}
    return Told(value)
