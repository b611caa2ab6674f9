"""Service records: one person, one interval, one activity, under the organisation's receipt."""

from datetime import date, timedelta
from typing import TypedDict

from ledger.commands import PostHours, RejectHours, VerifyHours
from ledger.events import (
    Capacity,
    Event,
    Evidence,
    HoursRejected,
    HoursSubmitted,
    HoursVerified,
    Line,
    PostedContent,
    SubmittedHoursVerified,
)
from ledger.policy import Policies, Values, credits_for, last_day_on_time
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.time_account import Interval, TimeAccount
from ledger.rules.units import Unit
from ledger.units import MINUTE, Credits, Minutes, Refused, epoch_micros, instant, instant_text

ONE_STEP_EVIDENCE = ("checked", "attested")
"""Evidence that counts at once; any other waits for another actor's word."""

NOT_KNOWN_YET = ("certification_id", "order_id", "project_id", "programme_id", "redemption_id")
"""References to things that this ledger does not hold: none of them can be found."""


NO_ACCOUNT = TimeAccount()
"""Stands for the account of a record that does not exist, which no rule comes to read."""


class Content(TypedDict):
    """The fields of an event that say what was posted."""

    record_id: str
    member_id: str
    organisation: str
    receipt: str
    activity: str
    category: str
    place: str
    responsible: str
    started_at: str
    ended_at: str
    served_on: str
    capacity: Capacity
    evidence: Evidence
    late: bool
    policy_version: int
    break_minutes: int | None
    professional: bool | None
    supervisor_id: str | None


class Figures(TypedDict):
    """The fields of an event that say what a record came to."""

    minutes: int
    overlap_minutes: int
    credits: int
    rate_bps: int
    entries: tuple[Line, ...]
    duty_minutes: int | None


class Record:
    """One service record as it stands: what was said, and what it came to."""

    def __init__(self) -> None:
        self.content: HoursSubmitted | HoursVerified | None = None
        self.figures: HoursVerified | SubmittedHoursVerified | None = None
        self.status = ""
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this record."""
        self.position = position
        match event:
            case HoursVerified():
                self.content = self.figures = event
                self.status = "verified"
            case HoursSubmitted():
                self.content, self.status = event, "submitted"
            case SubmittedHoursVerified():
                self.figures, self.status = event, "verified"
            case HoursRejected():
                self.status = "rejected"


def post_hours(
    command: PostHours,
    before: Record,
    organisation: Organisation,
    member: Member,
    account: TimeAccount,
    place: Unit,
    policies: Policies,
    supervisor: Member | None = None,
) -> list[Event]:
    """Record a service: minutes as served, credits as the policy of that day grants them."""
    if before.content is not None:
        _same_or_refuse(before.content, command)
        return []  # said before: nothing new
    if organisation.added is None:
        raise Refused("not_found", pointer="/organisation", what=command.organisation)
    if command.organisation not in member.organisations:
        raise Refused("not_found", pointer=command.member_pointer, what=command.member_id)
    if place.added is None:
        raise Refused("not_found", pointer="/place", what=command.place)
    if supervisor is not None and supervisor.home is None:
        raise Refused("not_found", pointer="/supervisor_id", what=command.supervisor_id)
    for name in NOT_KNOWN_YET:
        if getattr(command, name) is not None:
            raise Refused("not_found", pointer=f"/{name}", what=getattr(command, name))
    if organisation.suspended:
        raise Refused("organisation_suspended", organisation=command.organisation)
    if command.ended_at > command.at:
        raise Refused(
            "service_in_the_future",
            ended_at=instant_text(command.ended_at),
            now=instant_text(command.at),
        )

    _, zone, today, when_recorded = policies.recording(command.at)
    served_on = command.started_at.astimezone(zone).date()
    oldest = today - timedelta(days=when_recorded["backfill_window_days"])
    if served_on < oldest:
        raise Refused("too_old", served_on=served_on.isoformat(), oldest=oldest.isoformat())
    of_the_day = policies.on(served_on)
    late = _is_late(command.ended_at.astimezone(zone).date(), today, when_recorded, of_the_day)

    content: Content = {
        "record_id": command.record_id,
        "member_id": command.member_id,
        "organisation": command.organisation,
        "receipt": command.receipt,
        "activity": command.activity,
        "category": command.category,
        "place": command.place,
        "responsible": command.responsible,
        "started_at": instant_text(command.started_at),
        "ended_at": instant_text(command.ended_at),
        "served_on": served_on.isoformat(),
        "capacity": command.capacity,
        "evidence": command.evidence,
        "late": late,
        "policy_version": policies.version,
        "break_minutes": command.break_minutes or None,
        "professional": command.professional or None,
        "supervisor_id": command.supervisor_id,
    }
    own_hours = command.actor_member == command.member_id
    if own_hours or command.evidence not in ONE_STEP_EVIDENCE:
        return [HoursSubmitted(**content, own_hours=own_hours or None)]
    figures = _figures(
        account,
        (epoch_micros(command.started_at), epoch_micros(command.ended_at)),
        command.break_minutes,
        on_duty=command.capacity == "on_duty",
        category=command.category,
        no_credit=late and when_recorded["late_recording"]["effect"] == "no_credit",
        values=of_the_day,
        member_id=command.member_id,
    )
    return [HoursVerified(**content, **figures)]


def verify_hours(
    command: VerifyHours,
    record: Record,
    policies: Policies,
    account: TimeAccount = NO_ACCOUNT,
    poster: str = "",
) -> list[Event]:
    """Let a record count: counted now, by the policy of its service date."""
    content = _waiting(record, command, "verified")
    if command.actor_member == content.member_id:
        raise Refused("own_hours")
    if command.actor_name == poster:
        raise Refused("second_person_needed")
    when_recorded = policies.recording(instant(content.recorded_at)).values
    figures = _figures(
        account,
        account.waiting[content.record_id],
        content.break_minutes or 0,
        on_duty=content.capacity == "on_duty",
        category=content.category,
        no_credit=content.late and when_recorded["late_recording"]["effect"] == "no_credit",
        values=policies.on(date.fromisoformat(content.served_on)),
        member_id=content.member_id,
    )
    return [
        SubmittedHoursVerified(
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            served_on=content.served_on,
            policy_version=policies.version,
            reason=command.reason,
            **figures,
        )
    ]


def reject_hours(command: RejectHours, record: Record, poster: str = "") -> list[Event]:
    """Say that a record never counts; its receipt stays bound."""
    content = _waiting(record, command, "rejected")
    if command.actor_member == content.member_id:
        raise Refused("own_hours")
    if command.actor_name == poster:
        raise Refused("second_person_needed")
    return [
        HoursRejected(
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            served_on=content.served_on,
            reason=command.reason,
        )
    ]


def _waiting(record: Record, command: VerifyHours | RejectHours, after: str) -> PostedContent:
    content = record.content
    if content is None or command.organisation not in (None, content.organisation):
        raise Refused("not_found", what=command.record_id)
    if record.status != "submitted":
        raise Refused("wrong_state", before=record.status, after=after)
    return content


def _same_or_refuse(before: PostedContent, command: PostHours) -> None:
    """Pass where the command says what the record under its receipt says; else `receipt_reused`."""
    same = (
        before.member_id == command.member_id
        and before.activity == command.activity
        and before.category == command.category
        and before.place == command.place
        and before.responsible == command.responsible
        and before.started_at == instant_text(command.started_at)
        and before.ended_at == instant_text(command.ended_at)
        and (before.break_minutes or 0) == command.break_minutes
        and before.capacity == command.capacity
        and before.evidence == command.evidence
        and (before.professional or False) == command.professional
        and before.supervisor_id == command.supervisor_id
        and all(getattr(before, name) == getattr(command, name) for name in NOT_KNOWN_YET)
    )
    if not same:
        raise Refused("receipt_reused", receipt=command.receipt)


def _is_late(ended_on: date, today: date, when_recorded: Values, of_the_day: Values) -> bool:
    """Recorded after the working days that writing it down may take (MCA order 67, art. 11)."""
    working_days: int = when_recorded["late_recording"]["working_days"]
    if (today - ended_on).days <= working_days:
        return False  # working days never pass faster than days
    return today > last_day_on_time(ended_on, working_days, of_the_day)


def _figures(
    account: TimeAccount,
    span: Interval,
    break_minutes: int,
    *,
    on_duty: bool,
    category: str,
    no_credit: bool,
    values: Values,
    member_id: str,
) -> Figures:
    """What a record comes to at its verification: counted minutes, then credits, then entries."""
    start, end = span
    said = (end - start - break_minutes * MINUTE) // MINUTE
    counted = (account.unoccupied_micros(span) - break_minutes * MINUTE) // MINUTE
    if counted < 1:
        raise Refused("overlapping_service")
    minutes = Minutes(0 if on_duty else counted)
    granted, rate_bps = credits_for(minutes, category, values)
    if no_credit:
        granted = Credits(0)
    return {
        "minutes": minutes,
        "overlap_minutes": said - counted,
        "credits": granted,
        "rate_bps": rate_bps,
        "entries": _earned(member_id, granted),
        "duty_minutes": counted if on_duty else None,
    }


def _earned(member_id: str, granted: Credits) -> tuple[Line, ...]:
    if not granted:
        return ()
    return (("issue:service", -granted), (f"person:{member_id}:available", granted))
