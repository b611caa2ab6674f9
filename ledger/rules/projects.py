"""Projects from the needs assessment to their promotion; conversions of services."""

from itertools import pairwise
from typing import get_args

from ledger.commands import (
    AdvanceConversion,
    AdvanceProject,
    BeginConversion,
    BeginProject,
    WithdrawConversion,
    WithdrawProject,
)
from ledger.events import (
    ConversionAdvanced,
    ConversionBegun,
    ConversionStage,
    ConversionWithdrawn,
    Event,
    ProjectAdvanced,
    ProjectBegun,
    ProjectStage,
    ProjectWithdrawn,
)
from ledger.policy import Policies
from ledger.rules.career import Career
from ledger.rules.certifications import past_or_refuse
from ledger.rules.filing import day_or_refuse, filed_or_refuse, own_or_refuse
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.programmes import Programme
from ledger.rules.units import Unit
from ledger.units import Refused

PROJECT_STAGES: tuple[ProjectStage, ...] = get_args(ProjectStage)
CONVERSION_STAGES: tuple[ConversionStage, ...] = get_args(ConversionStage)
_NEXT: dict[str, str] = dict((*pairwise(PROJECT_STAGES), *pairwise(CONVERSION_STAGES)))


class Project:
    """One project as it stands."""

    def __init__(self) -> None:
        self.begun: ProjectBegun | None = None
        self.stage = ""
        self.on = ""  # of the last stage
        self.withdrawn = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this project."""
        self.position = position
        match event:
            case ProjectBegun():
                self.begun, self.stage, self.on = event, PROJECT_STAGES[0], event.on
            case ProjectAdvanced():
                self.stage, self.on = event.stage, event.on
            case ProjectWithdrawn():
                self.withdrawn = True


class Conversion:
    """One conversion as it stands."""

    def __init__(self) -> None:
        self.begun: ConversionBegun | None = None
        self.stage = ""
        self.on = ""  # of the last stage
        self.withdrawn = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this conversion."""
        self.position = position
        match event:
            case ConversionBegun():
                self.begun, self.stage, self.on = event, CONVERSION_STAGES[0], event.on
            case ConversionAdvanced():
                self.stage, self.on = event.stage, event.on
            case ConversionWithdrawn():
                self.withdrawn = True

    @property
    def done(self) -> bool:
        """Whether all three steps are made."""
        return self.stage == CONVERSION_STAGES[-1]


def begin_project(
    command: BeginProject,
    project: Project,  # empty until the fact is written; the answer tells it
    filing: Organisation,
    seat: Unit,
    policies: Policies,
    programme: Programme | None = None,
) -> list[Event]:
    """Begin a project, which may be part of a programme."""
    filed_or_refuse(command.organisation, filing, command.unit, seat)
    if programme is not None and programme.opened is None:
        raise Refused("not_found", pointer="/programme_id", what=command.programme_id)
    today = policies.recording(command.at).today
    on = command.on or today
    past_or_refuse(on, today)
    return [
        ProjectBegun(
            project_id=command.project_id,
            organisation=command.organisation,
            title=command.title,
            unit=command.unit,
            category=command.category,
            on=on.isoformat(),
            summary=command.summary,
            programme_id=command.programme_id,
            tags=command.tags,
        )
    ]


def advance_project(command: AdvanceProject, project: Project, policies: Policies) -> list[Event]:
    """Let a project come to its next stage, and to no other."""
    begun = own_or_refuse(project.begun, command.organisation, command.project_id)
    _next_or_refuse(project, command.stage)
    today = policies.recording(command.at).today
    return [
        ProjectAdvanced(
            project_id=begun.project_id,
            organisation=begun.organisation,
            stage=command.stage,
            on=day_or_refuse(command.on or today, today, project.on),
            ref=command.ref,
            reason=command.reason,
        )
    ]


def withdraw_project(command: WithdrawProject, project: Project) -> list[Event]:
    """Give a project up; one that is promoted has come to its end already."""
    begun = own_or_refuse(project.begun, command.organisation, command.project_id)
    if project.withdrawn or project.stage == PROJECT_STAGES[-1]:
        raise Refused("wrong_state", before=_before(project), after="taken_back")
    return [
        ProjectWithdrawn(
            project_id=begun.project_id, organisation=begun.organisation, reason=command.reason
        )
    ]


def begin_conversion(
    command: BeginConversion,
    conversion: Conversion,  # empty until the fact is written; the answer tells it
    filing: Organisation,
    seat: Unit,
    supervisor: Member,
    career: Career,
    policies: Policies,
) -> list[Event]:
    """A supervisor who was appointed on that date has intervened."""
    filed_or_refuse(command.organisation, filing, command.unit, seat)
    if supervisor.home is None:
        raise Refused("not_found", pointer="/supervisor_id", what=command.supervisor_id)
    past_or_refuse(command.on, policies.recording(command.at).today)
    if not career.has_appointment(command.on):
        raise Refused("not_appointed", said=command.on.isoformat())
    return [
        ConversionBegun(
            conversion_id=command.conversion_id,
            organisation=command.organisation,
            unit=command.unit,
            category=command.category,
            supervisor_id=command.supervisor_id,
            on=command.on.isoformat(),
            ref=command.ref,
        )
    ]


def advance_conversion(
    command: AdvanceConversion, conversion: Conversion, policies: Policies
) -> list[Event]:
    """First the training, then the redesign of the process."""
    begun = own_or_refuse(conversion.begun, command.organisation, command.conversion_id)
    _next_or_refuse(conversion, command.stage)
    today = policies.recording(command.at).today
    return [
        ConversionAdvanced(
            conversion_id=begun.conversion_id,
            organisation=begun.organisation,
            stage=command.stage,
            on=day_or_refuse(command.on, today, conversion.on),
            ref=command.ref,
        )
    ]


def withdraw_conversion(command: WithdrawConversion, conversion: Conversion) -> list[Event]:
    """Let a conversion count no more, at whatever stage it is."""
    begun = own_or_refuse(conversion.begun, command.organisation, command.conversion_id)
    if conversion.withdrawn:
        raise Refused("wrong_state", before="taken_back", after="taken_back")
    return [
        ConversionWithdrawn(
            conversion_id=begun.conversion_id,
            organisation=begun.organisation,
            reason=command.reason,
        )
    ]


def _next_or_refuse(thing: Project | Conversion, stage: str) -> None:
    if thing.withdrawn or _NEXT.get(thing.stage) != stage:
        raise Refused("wrong_state", before=_before(thing), after=f"at_{stage}")


def _before(thing: Project | Conversion) -> str:
    return "taken_back" if thing.withdrawn else f"at_{thing.stage}"
