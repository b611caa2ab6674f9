"""Short ways to ask for what follows a post, by Zhao of `org-a` where nothing else is said."""

from datetime import datetime

from ledger import commands
from ledger.units import new_id
from tests.rules.town import OTHER, STAMP, ZHANG, shanghai

ADMIN = {"actor": "key00009", "actor_name": "Admin", "by_admin": True, "correlation_id": "chain"}


def verify(record_id: str, **other: object) -> commands.VerifyHours:
    said = {**OTHER, "organisation": "org-a"} | other
    return commands.VerifyHours(record_id=record_id, **said)


def reject(record_id: str, **other: object) -> commands.RejectHours:
    said = {**OTHER, "organisation": "org-a", "reason": "重复录入"} | other
    return commands.RejectHours(record_id=record_id, **said)


def reverse(record_id: str, **other: object) -> commands.ReverseHours:
    said = {**OTHER, "organisation": "org-a", "reason": "录入有误"} | other
    return commands.ReverseHours(record_id=record_id, **said)


def correct(
    record_id: str, *, stamp: object = None, organisation: str | None = "org-a", **corrected: object
) -> commands.CorrectHours:
    """A correction; `start` and `end` are times of `on`, in Shanghai."""
    on = corrected.pop("on", "2026-03-09")
    for short, name in (("start", "started_at"), ("end", "ended_at")):
        if short in corrected:
            corrected[name] = shanghai(f"{on} {corrected.pop(short)}")
    return commands.CorrectHours(
        **(stamp or OTHER),
        record_id=record_id,
        organisation=organisation,
        reason="录入有误",
        replacement_id=new_id(),
        corrected=corrected,
    )


def expire(as_of: str, member_id: str = ZHANG) -> commands.ExpireCredits:
    """As the job does at the beginning of a date in Shanghai."""
    return commands.ExpireCredits(**STAMP, member_id=member_id, as_of=_at(as_of))


def finish(as_of: str, **other: object) -> commands.FinishJob:
    said = {**STAMP, "job": "expiry"} | other
    return commands.FinishJob(as_of=_at(as_of), **said)


def _at(day: str) -> datetime:
    return shanghai(f"{day} 00:00")
