"""Supervision: appointments with terms, and mentorships; and the library of cases."""

from ledger.commands import (
    AppointSupervisor,
    BeginMentorship,
    EndAppointment,
    EndMentorship,
    FileCase,
    WithdrawCase,
)
from ledger.events import (
    AppointmentEnded,
    CaseFiled,
    CaseWithdrawn,
    Event,
    MentorshipBegun,
    MentorshipEnded,
    SupervisorAppointed,
)
from ledger.policy import Policies
from ledger.rules.achievements import Achievement
from ledger.rules.certifications import known_or_refuse, past_or_refuse
from ledger.rules.filing import from_or_refuse, seated_or_refuse
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.units import Unit
from ledger.units import Refused


class Appointment:
    """One appointment as it stands."""

    def __init__(self) -> None:
        self.made: SupervisorAppointed | None = None
        self.ended: AppointmentEnded | None = None
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this appointment."""
        self.position = position
        match event:
            case SupervisorAppointed():
                self.made = event
            case AppointmentEnded():
                self.ended = event


class Mentorship:
    """One mentorship as it stands."""

    def __init__(self) -> None:
        self.begun: MentorshipBegun | None = None
        self.ended: MentorshipEnded | None = None
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this mentorship."""
        self.position = position
        match event:
            case MentorshipBegun():
                self.begun = event
            case MentorshipEnded():
                self.ended = event


class Case:
    """One case of the library as it stands."""

    def __init__(self) -> None:
        self.filed: CaseFiled | None = None
        self.withdrawn = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this case."""
        self.position = position
        match event:
            case CaseFiled():
                self.filed = event
            case CaseWithdrawn():
                self.withdrawn = True


def appoint_supervisor(
    command: AppointSupervisor,
    appointment: Appointment,  # empty until the fact is written; the answer tells it
    member: Member,
    appointing: Organisation,
    seat: Unit,
) -> list[Event]:
    """Let a member supervise in a unit, from a date to a date."""
    known_or_refuse(command.organisation, appointing, command.member_id, member)
    seated_or_refuse(command.unit, seat)
    return [
        SupervisorAppointed(
            appointment_id=command.appointment_id,
            member_id=command.member_id,
            organisation=command.organisation,
            unit=command.unit,
            first=command.first.isoformat(),
            last=command.last.isoformat(),
        )
    ]


def end_appointment(
    command: EndAppointment, appointment: Appointment, policies: Policies
) -> list[Event]:
    """End an appointment before its term; what it was before stays so."""
    made = appointment.made
    if made is None or command.organisation not in (None, made.organisation):
        raise Refused("not_found", what=command.appointment_id)
    if appointment.ended is not None:
        raise Refused("wrong_state", before="ended", after="ended")
    today = policies.recording(command.at).today
    last = command.last or today
    past_or_refuse(last, today)
    if last.isoformat() >= made.last:
        raise Refused("wrong_state", before="ended", after="ended")
    from_or_refuse(last, made.first)
    return [
        AppointmentEnded(
            appointment_id=made.appointment_id,
            member_id=made.member_id,
            organisation=made.organisation,
            last=last.isoformat(),
            reason=command.reason,
        )
    ]


def begin_mentorship(
    command: BeginMentorship,
    mentorship: Mentorship,  # empty until the fact is written; the answer tells it
    mentor: Member,
    mentee: Member,
    asking: Organisation,
) -> list[Event]:
    """Let one member guide another, both known to the organisation."""
    known_or_refuse(command.organisation, asking, command.mentor_id, mentor, "mentor_id")
    known_or_refuse(command.organisation, asking, command.mentee_id, mentee, "mentee_id")
    if command.mentor_id == command.mentee_id:
        raise Refused("to_oneself", pointer="/mentee_id")
    return [
        MentorshipBegun(
            mentorship_id=command.mentorship_id,
            member_id=command.mentor_id,
            mentee_id=command.mentee_id,
            organisation=command.organisation,
            first=command.first.isoformat(),
        )
    ]


def end_mentorship(
    command: EndMentorship, mentorship: Mentorship, policies: Policies
) -> list[Event]:
    """End a mentorship, once."""
    begun = mentorship.begun
    if begun is None or command.organisation not in (None, begun.organisation):
        raise Refused("not_found", what=command.mentorship_id)
    if mentorship.ended is not None:
        raise Refused("wrong_state", before="ended", after="ended")
    today = policies.recording(command.at).today
    last = command.last or today
    past_or_refuse(last, today)
    from_or_refuse(last, begun.first)
    return [
        MentorshipEnded(
            mentorship_id=begun.mentorship_id,
            member_id=begun.member_id,
            organisation=begun.organisation,
            last=last.isoformat(),
            reason=command.reason,
        )
    ]


def file_case(
    command: FileCase,
    case: Case,  # empty until the fact is written; the answer tells it
    member: Member,
    filing: Organisation,
    policies: Policies,
    achievement: Achievement | None = None,
) -> list[Event]:
    """Put a case into the library; it may cite the accepted achievement that it tells of."""
    known_or_refuse(command.organisation, filing, command.member_id, member)
    past_or_refuse(command.on, policies.recording(command.at).today)
    if achievement is not None:
        cited = achievement.submitted
        if cited is None or (cited.member_id, cited.kind) != (command.member_id, "case"):
            raise Refused("not_found", pointer="/achievement_id", what=command.achievement_id)
        if achievement.status != "approved":
            raise Refused("wrong_state", before=achievement.status, after="cited")
    return [
        CaseFiled(
            case_id=command.case_id,
            organisation=command.organisation,
            member_id=command.member_id,
            title=command.title,
            category=command.category,
            summary=command.summary,
            on=command.on.isoformat(),
            achievement_id=command.achievement_id,
        )
    ]


def withdraw_case(command: WithdrawCase, case: Case) -> list[Event]:
    """Take a case out of the library."""
    filed = case.filed
    if filed is None or command.organisation not in (None, filed.organisation):
        raise Refused("not_found", what=command.case_id)
    if case.withdrawn:
        raise Refused("wrong_state", before="withdrawn", after="withdrawn")
    return [
        CaseWithdrawn(case_id=filed.case_id, organisation=filed.organisation, reason=command.reason)
    ]
