"""Programmes with enrolment and completion; targets that figures are to come to."""

from ledger.commands import (
    CloseProgramme,
    CompleteProgramme,
    EnrolMember,
    OpenProgramme,
    SetTarget,
    WithdrawTarget,
)
from ledger.events import (
    Event,
    ProgrammeClosed,
    ProgrammeCompleted,
    ProgrammeEnrolled,
    ProgrammeOpened,
    TargetSet,
    TargetWithdrawn,
)
from ledger.policy import Policies
from ledger.rules.certifications import known_or_refuse
from ledger.rules.filing import day_or_refuse, filed_or_refuse, own_or_refuse, seated_or_refuse
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.units import Unit
from ledger.units import Refused

NO_ORGANISATION = Organisation()


class Programme:
    """One programme as it stands."""

    def __init__(self) -> None:
        self.opened: ProgrammeOpened | None = None
        self.enrolled: dict[str, str] = {}  # member -> date
        self.completed: dict[str, str] = {}
        self.last: str | None = None
        self.latest = ""  # the newest date that anything was said of
        self.closed = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this programme."""
        self.position = position
        match event:
            case ProgrammeOpened():
                self.opened, self.latest, self.last = event, event.first, event.last
            case ProgrammeEnrolled():
                self.enrolled[event.member_id] = event.on
                self.latest = max(self.latest, event.on)
            case ProgrammeCompleted():
                self.completed[event.member_id] = event.on
                self.latest = max(self.latest, event.on)
            case ProgrammeClosed():
                self.closed, self.last = True, event.last


class Target:
    """One target as it stands."""

    def __init__(self) -> None:
        self.set: TargetSet | None = None
        self.withdrawn = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this target."""
        self.position = position
        match event:
            case TargetSet():
                self.set = event
            case TargetWithdrawn():
                self.withdrawn = True


def open_programme(
    command: OpenProgramme,
    programme: Programme,  # empty until the fact is written; the answer tells it
    filing: Organisation,
    seat: Unit,
) -> list[Event]:
    """Open a programme, with an end or without one."""
    filed_or_refuse(command.organisation, filing, command.unit, seat)
    return [
        ProgrammeOpened(
            programme_id=command.programme_id,
            organisation=command.organisation,
            name=command.name,
            unit=command.unit,
            first=command.first.isoformat(),
            last=None if command.last is None else command.last.isoformat(),
            tags=command.tags,
        )
    ]


def enrol_member(
    command: EnrolMember,
    programme: Programme,
    member: Member,
    policies: Policies,
    running: Organisation = NO_ORGANISATION,
) -> list[Event]:
    """Let a member whom the programme's organisation knows take part, once."""
    opened = _open_or_refuse(command, programme, "enrolled")
    known_or_refuse(opened.organisation, running, command.member_id, member)
    if command.member_id in programme.enrolled:
        before = "completed" if command.member_id in programme.completed else "enrolled"
        raise Refused("wrong_state", before=before, after="enrolled")
    today = policies.recording(command.at).today
    return [
        ProgrammeEnrolled(
            programme_id=opened.programme_id,
            organisation=opened.organisation,
            member_id=command.member_id,
            on=day_or_refuse(command.on or today, today, opened.first),
        )
    ]


def complete_programme(
    command: CompleteProgramme, programme: Programme, member: Member, policies: Policies
) -> list[Event]:
    """Say that a member who takes part has gone through it, once."""
    opened = _open_or_refuse(command, programme, "completed")
    enrolled_on = programme.enrolled.get(command.member_id)
    if enrolled_on is None and opened.organisation not in member.organisations:
        raise Refused("not_found", pointer="/member_id", what=command.member_id)
    if enrolled_on is None:
        raise Refused("wrong_state", before="not_enrolled", after="completed")
    if command.member_id in programme.completed:
        raise Refused("wrong_state", before="completed", after="completed")
    today = policies.recording(command.at).today
    return [
        ProgrammeCompleted(
            programme_id=opened.programme_id,
            organisation=opened.organisation,
            member_id=command.member_id,
            on=day_or_refuse(command.on or today, today, enrolled_on),
        )
    ]


def close_programme(
    command: CloseProgramme, programme: Programme, policies: Policies
) -> list[Event]:
    """End a programme; nobody enrols or completes it afterwards."""
    opened = _open_or_refuse(command, programme, "over")
    today = policies.recording(command.at).today
    return [
        ProgrammeClosed(
            programme_id=opened.programme_id,
            organisation=opened.organisation,
            last=day_or_refuse(command.last or today, today, programme.latest),
            reason=command.reason,
        )
    ]


def set_target(
    command: SetTarget,
    target: Target,  # empty until the fact is written; the answer tells it
    filing: Organisation | None = None,
    seat: Unit | None = None,
) -> list[Event]:
    """Say what a figure is to come to by a date."""
    organisation, unit = command.organisation, command.unit
    if organisation is not None and (filing is None or filing.added is None):
        raise Refused("not_found", pointer="/organisation", what=organisation)
    if unit is not None and seat is not None:
        seated_or_refuse(unit, seat)
    if filing is not None and filing.suspended:
        raise Refused("organisation_suspended", organisation=organisation)
    return [
        TargetSet(
            target_id=command.target_id,
            organisation=organisation,
            kpi=command.kpi,
            unit=unit,
            value=command.value,
            due_on=command.due_on.isoformat(),
        )
    ]


def withdraw_target(command: WithdrawTarget, target: Target) -> list[Event]:
    """Aim at it no more."""
    aimed = own_or_refuse(target.set, command.organisation, command.target_id)
    if target.withdrawn:
        raise Refused("wrong_state", before="taken_back", after="taken_back")
    return [
        TargetWithdrawn(
            target_id=aimed.target_id, organisation=aimed.organisation, reason=command.reason
        )
    ]


def _open_or_refuse(
    command: EnrolMember | CompleteProgramme | CloseProgramme, programme: Programme, after: str
) -> ProgrammeOpened:
    opened = own_or_refuse(programme.opened, command.organisation, command.programme_id)
    if programme.closed:
        raise Refused("wrong_state", before="over", after=after)
    return opened
