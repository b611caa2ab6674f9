"""Service records: one person, one interval, one activity, under the organisation's receipt."""

from datetime import date, datetime, timedelta
from typing import TypedDict

from ledger.commands import PostHours, RecordCommand, RejectHours, VerifyHours
from ledger.events import (
    Capacity,
    CorrectionDeclined,
    CorrectionRequested,
    Event,
    Evidence,
    GradeName,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    MarkedService,
    PostedContent,
    RecordEvent,
    ServiceCertified,
    SubmittedHoursVerified,
)
from ledger.policy import Policies, is_late
from ledger.rules.career import Career
from ledger.rules.certifications import Certification
from ledger.rules.earning import earned, figures, professional
from ledger.rules.grading import Grade
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.periods import Periods
from ledger.rules.redemptions import (
    NO_ACCOUNT,
    NO_REDEMPTION,
    Redemption,
    citable_or_refuse,
)
from ledger.rules.time_account import TimeAccount
from ledger.rules.units import Unit
from ledger.units import Refused, epoch_micros, instant_text

ONE_STEP_EVIDENCE = ("checked", "attested")
"""Evidence that counts at once; any other waits for another actor's word."""

SECOND_PERSON_GRADES = ("G3", "G4")
"""Grades of an organisation at which all its records wait for another actor's word."""

NOT_KNOWN_YET = ("order_id", "project_id", "programme_id")
"""References to things that this ledger does not hold: none of them can be found."""

# It stands for that of a record that does not exist, which no rule comes to read.
NO_GRADE = Grade()


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
    no_credit: bool | None
    policy_version: int
    break_minutes: int | None
    professional: bool | None
    supervisor_id: str | None
    certification_id: str | None
    redemption_id: str | None


class Record:
    """One service record as it stands: what was said, and what it came to."""

    def __init__(self) -> None:
        self.content: HoursSubmitted | HoursVerified | None = None
        self.figures: HoursVerified | SubmittedHoursVerified | None = None
        self.figured_position = 0  # of the fact with the figures
        self.reversal: HoursReversed | None = None
        self.points = 0  # of a professional service, as registrations stand
        self.certified = False
        self.status = ""
        self.request_id: str | None = None  # of the correction that the member asks for
        self.requests: dict[str, str] = {}  # each such request -> open, granted or declined
        self.position = 0

    def is_meant(self, event: Event) -> bool:
        """Is a fact about this record, or may be its first?"""
        if self.content is None:
            return isinstance(event, PostedContent)
        return isinstance(event, RecordEvent) and event.record_id == self.content.record_id

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this record."""
        self.position = position
        match event:
            case HoursVerified():
                self.content = self.figures = event
                self.figured_position = position
                self.status = "verified"
                self.points, self.certified = event.points or 0, bool(event.certified)
            case HoursSubmitted():
                self.content, self.status = event, "submitted"
            case SubmittedHoursVerified():
                self.figures, self.status = event, "verified"
                self.figured_position = position
                self.points, self.certified = event.points or 0, bool(event.certified)
            case MarkedService():
                self.points += event.points
                self.certified = isinstance(event, ServiceCertified)
            case HoursRejected():
                self.status = "rejected"
            case HoursReversed():
                self.reversal, self.request_id = event, None
                self.status = "corrected" if event.replaced_by else "reversed"
                if event.request_id is not None:
                    self.requests[event.request_id] = "granted"
            case CorrectionRequested():
                self.request_id = event.request_id
                self.requests[event.request_id] = "open"
            case CorrectionDeclined():
                self.request_id = None
                self.requests[event.request_id] = "declined"


def post_hours(
    command: PostHours,
    before: Record,
    organisation: Organisation,
    member: Member,
    account: TimeAccount,
    place: Unit,
    policies: Policies,
    periods: Periods,
    grade: Grade,
    supervisor: Member | None = None,
    redemption: Redemption = NO_REDEMPTION,
    certification: Certification | None = None,
    career: Career | None = None,
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
    held_or_refuse(certification, command.certification_id, command.member_id)
    for name in NOT_KNOWN_YET:
        if getattr(command, name) is not None:
            raise Refused("not_found", pointer=f"/{name}", what=getattr(command, name))
    if organisation.suspended:
        raise Refused("organisation_suspended", organisation=command.organisation)
    if member.closed:
        raise Refused("member_closed")
    if command.redemption_id is not None:
        citable_or_refuse(
            redemption, command.redemption_id, command.member_id, command.organisation
        )
    over_or_refuse(command.ended_at, command.at)

    _, zone, today, when_recorded = policies.recording(command.at)
    served_on = command.started_at.astimezone(zone).date()
    oldest = today - timedelta(days=when_recorded["backfill_window_days"])
    if served_on < oldest:
        raise Refused("too_old", served_on=served_on.isoformat(), oldest=oldest.isoformat())
    if periods.is_closed(served_on):
        raise Refused("period_closed", month=f"{served_on:%Y-%m}")
    of_the_day = policies.on(served_on)
    late = is_late(command.ended_at.astimezone(zone).date(), today, when_recorded, of_the_day)

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
        "no_credit": (late and when_recorded["late_recording"]["effect"] == "no_credit") or None,
        "policy_version": policies.version,
        "break_minutes": command.break_minutes or None,
        "professional": command.professional or None,
        "supervisor_id": command.supervisor_id,
        "certification_id": command.certification_id,
        "redemption_id": command.redemption_id,
    }
    own_hours = command.actor_member == command.member_id
    colour = grade.in_force(today)
    if own_hours or two_needed(command.evidence, colour):
        admin_needed = colour == "G4"
        return [
            HoursSubmitted(
                **content, own_hours=own_hours or None, admin_needed=admin_needed or None
            )
        ]
    came_to = earned(
        account,
        (epoch_micros(command.started_at), epoch_micros(command.ended_at)),
        command.break_minutes,
        on_duty=command.capacity == "on_duty",
        category=command.category,
        no_credit=bool(content["no_credit"]),
        served_on=served_on,
        values=of_the_day,
    )
    return [
        HoursVerified(
            **content,
            **figures(account, came_to, redemption.paid),
            **professional(career, came_to),
        )
    ]


def verify_hours(
    command: VerifyHours,
    record: Record,
    policies: Policies,
    periods: Periods,
    account: TimeAccount = NO_ACCOUNT,
    grade: Grade = NO_GRADE,
    poster: str = "",
    redemption: Redemption = NO_REDEMPTION,
    career: Career | None = None,
) -> list[Event]:
    """Let a record count: counted now, by the policy of its service date."""
    content = in_state("submitted", record, command, "verified")
    today = policies.recording(command.at).today
    admin_needed = isinstance(content, HoursSubmitted) and content.admin_needed
    if (admin_needed or grade.in_force(today) == "G4") and not command.by_admin:
        raise Refused("forbidden")
    if command.actor_member == content.member_id:
        raise Refused("own_hours")
    if command.actor_name == poster:
        raise Refused("second_person_needed")
    served_on = date.fromisoformat(content.served_on)
    if periods.is_closed(served_on):
        raise Refused("period_closed", month=f"{served_on:%Y-%m}")
    came_to = earned(
        account,
        account.waiting[content.record_id],
        content.break_minutes or 0,
        on_duty=content.capacity == "on_duty",
        category=content.category,
        no_credit=bool(content.no_credit),
        served_on=served_on,
        values=policies.on(served_on),
    )
    return [
        SubmittedHoursVerified(
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            served_on=content.served_on,
            policy_version=policies.version,
            reason=command.reason,
            evidence="attested" if content.evidence == "self_reported" else None,
            professional=content.professional,
            **figures(account, came_to, redemption.paid),
            **professional(career, came_to),
        )
    ]


def reject_hours(command: RejectHours, record: Record, poster: str = "") -> list[Event]:
    """Say that a record never counts; its receipt stays bound."""
    content = in_state("submitted", record, command, "rejected")
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
            redemption_id=content.redemption_id,
        )
    ]


def in_state(status: str, record: Record, command: RecordCommand, after: str) -> PostedContent:
    """The content of a record that the asker sees, and that is in the state to go on from."""
    content = record.content
    if content is None or command.organisation not in (None, content.organisation):
        raise Refused("not_found", what=command.record_id)
    if record.status != status:
        raise Refused("wrong_state", before=record.status, after=after)
    return content


def two_needed(evidence: Evidence, colour: GradeName | None) -> bool:
    """Does a record wait for another actor's word?"""
    return evidence not in ONE_STEP_EVIDENCE or colour in SECOND_PERSON_GRADES


def held_or_refuse(
    certification: Certification | None, certification_id: str | None, member_id: str
) -> None:
    """Pass where no certificate is cited, or one of the member's."""
    if certification is None:
        return
    submitted = certification.submitted
    if submitted is None or submitted.member_id != member_id:
        raise Refused("not_found", pointer="/certification_id", what=certification_id)


def over_or_refuse(ended_at: datetime, now: datetime) -> None:
    """Pass where a service has ended."""
    if ended_at > now:
        raise Refused(
            "service_in_the_future", ended_at=instant_text(ended_at), now=instant_text(now)
        )


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
        and before.certification_id == command.certification_id
        and before.redemption_id == command.redemption_id
        and all(getattr(before, name) == getattr(command, name) for name in NOT_KNOWN_YET)
    )
    if not same:
        raise Refused("receipt_reused", receipt=command.receipt)
