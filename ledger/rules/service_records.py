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
    OrderSettled,
    PostedContent,
    RecordEvent,
    ServiceCertified,
    SubmittedHoursVerified,
)
from ledger.events.service_records import ORDER_RECEIPT
from ledger.policy import Policies, Recording, is_late
from ledger.rules.career import Career
from ledger.rules.certifications import Certification
from ledger.rules.earning import Earned, earned, figures, professional
from ledger.rules.grading import Grade
from ledger.rules.members import Member
from ledger.rules.orders import NO_ORDER, Order, settled, undisputed_or_refuse
from ledger.rules.organisations import Organisation
from ledger.rules.periods import Periods
from ledger.rules.programmes import Programme
from ledger.rules.projects import Project
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
    order_id: str | None
    project_id: str | None
    programme_id: str | None
    correlation_id: str


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
    order: Order | None = None,
    project: Project | None = None,
    programme: Programme | None = None,
) -> list[Event]:
    """Record a service: minutes as served, credits as the policy of that day grants them."""
    if before.content is not None:
        _same_or_refuse(before.content, command)
        return []  # said before: nothing new
    if command.receipt.startswith(ORDER_RECEIPT):
        raise Refused("receipt_reserved", receipt=command.receipt)
    if organisation.added is None:
        raise Refused("not_found", pointer="/organisation", what=command.organisation)
    if command.organisation not in member.organisations:
        raise Refused("not_found", pointer=command.member_pointer, what=command.member_id)
    if place.added is None:
        raise Refused("not_found", pointer="/place", what=command.place)
    if supervisor is not None and supervisor.home is None:
        raise Refused("not_found", pointer="/supervisor_id", what=command.supervisor_id)
    held_or_refuse(certification, command.certification_id, command.member_id)
    if order is not None and not order.is_seen_by(command.organisation):
        raise Refused("not_found", pointer="/order_id", what=command.order_id)
    known_field_or_refuse(project, programme, command.project_id, command.programme_id)
    if organisation.suspended:
        raise Refused("organisation_suspended", organisation=command.organisation)
    if member.closed:
        raise Refused("member_closed")
    if command.redemption_id is not None:
        citable_or_refuse(
            redemption, command.redemption_id, command.member_id, command.organisation
        )
    return recorded(command, account, policies, periods, grade, career, redemption.paid)


def recorded(
    command: PostHours,
    account: TimeAccount,
    policies: Policies,
    periods: Periods,
    grade: Grade,
    career: Career | None,
    paid_already: int = 0,
    serving: Order | None = None,
) -> list[Event]:
    """The record of a service whose every part is known: it counts at once, or it waits.

    Where it is an order's own, what was held for that pays first: its fact is the one before.
    """
    over_or_refuse(command.ended_at, command.at)

    recording = policies.recording(command.at)
    _, zone, today, when_recorded = recording
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
        "order_id": command.order_id,
        "project_id": command.project_id,
        "programme_id": command.programme_id,
        "correlation_id": "" if serving is None else command.correlation_id,
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
    facts: list[Event] = []
    if serving is not None and serving.held:
        account, payment = paid_first(serving, came_to, account, recording, command)
        paid_already = payment.credits
        facts.append(payment)
    counted = figures(account, came_to, paid_already)
    return [*facts, HoursVerified(**content, **counted, **professional(career, came_to))]


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
    order: Order = NO_ORDER,
) -> list[Event]:
    """Let a record count: counted now, by the policy of its service date."""
    content = in_state("submitted", record, command, "verified")
    undisputed_or_refuse(order, content.record_id, "verified")
    recording = policies.recording(command.at)
    today = recording.today
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
    facts: list[Event] = []
    paid_already = redemption.paid
    if order.has_made(content.record_id) and order.held:
        account, payment = paid_first(order, came_to, account, recording, content)
        paid_already = payment.credits
        facts.append(payment)
    return [
        *facts,
        SubmittedHoursVerified(
            correlation_id=content.chain,
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            served_on=content.served_on,
            policy_version=policies.version,
            reason=command.reason,
            evidence="attested" if content.evidence == "self_reported" else None,
            professional=content.professional,
            **figures(account, came_to, paid_already),
            **professional(career, came_to),
        ),
    ]


def reject_hours(
    command: RejectHours,
    record: Record,
    policies: Policies,
    poster: str = "",
    order: Order = NO_ORDER,
) -> list[Event]:
    """Say that a record never counts; its receipt stays bound."""
    content = in_state("submitted", record, command, "rejected")
    undisputed_or_refuse(order, content.record_id, "rejected")
    if command.actor_member == content.member_id:
        raise Refused("own_hours")
    if command.actor_name == poster:
        raise Refused("second_person_needed")
    return rejected(content, command.reason, order, policies.recording(command.at))


def rejected(
    content: PostedContent, reason: str, order: Order, recording: Recording
) -> list[Event]:
    """The fact that a record never counts; what an order held for it is available again first."""
    no = HoursRejected(
        correlation_id=content.chain,
        record_id=content.record_id,
        member_id=content.member_id,
        organisation=content.organisation,
        served_on=content.served_on,
        reason=reason,
        redemption_id=content.redemption_id,
    )
    if not (order.has_made(content.record_id) and order.held):
        return [no]
    released = settled(
        order, 0, order.held, content.member_id, NO_ACCOUNT, recording, content.record_id
    )
    return [released, no]


def paid_first(
    order: Order,
    came_to: Earned,
    account: TimeAccount,
    recording: Recording,
    of: PostHours | PostedContent,
) -> tuple[TimeAccount, OrderSettled]:
    """What an order's hold pays of a record, and the account of who served after that."""
    paid = min(came_to.of_the_day, order.held)
    payment = settled(order, paid, order.held, of.member_id, account, recording, of.record_id)
    after = account.copied()
    after.apply(payment, 0)
    return after, payment


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


def known_field_or_refuse(
    project: Project | None,
    programme: Programme | None,
    project_id: str | None,
    programme_id: str | None,
) -> None:
    """Pass where the project and the programme that a record cites are there, if it does."""
    if project is not None and project.begun is None:
        raise Refused("not_found", pointer="/project_id", what=project_id)
    if programme is not None and programme.opened is None:
        raise Refused("not_found", pointer="/programme_id", what=programme_id)


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
        and before.order_id == command.order_id
        and before.project_id == command.project_id
        and before.programme_id == command.programme_id
    )
    if not same:
        raise Refused("receipt_reused", receipt=command.receipt)
