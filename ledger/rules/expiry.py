"""Expiry: what is left of the lots whose end has come is gone, as of a job's instant."""

from ledger.commands import ExpireCredits
from ledger.events import EXPIRED, CreditsExpired, Event
from ledger.policy import Policies
from ledger.rules.jobs import Job
from ledger.rules.time_account import TimeAccount


def expire_credits(
    command: ExpireCredits, account: TimeAccount, job: Job, policies: Policies
) -> list[Event]:
    """Take what is due of a member's lots; nothing new where nothing is."""
    if job.is_past(command.as_of):
        return []
    as_of = policies.recording(command.as_of).today.isoformat()
    fact = expired(command.member_id, account, as_of)
    return [] if fact is None else [fact]


def expired(member_id: str, account: TimeAccount, as_of: str) -> CreditsExpired | None:
    """The fact that what is due of an account by a date is gone; None where nothing is."""
    credits = sum(lot.left for lot in account.lots.due(as_of))
    if not credits:
        return None
    lines = ((f"person:{member_id}:available", -credits), (EXPIRED, credits))
    return CreditsExpired(member_id=member_id, as_of=as_of, credits=credits, entries=lines)
