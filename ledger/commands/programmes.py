"""What may be asked of the field's work: projects, agreements, meetings, programmes, experts."""

from datetime import date
from typing import Any

from ledger.commands.ask import Command, Keys
from ledger.events import ConversionStage, KpiId, PartnerKind, ProjectStage, Resolution

# -- projects and conversions ---------------------------------------------------------------------


class BeginProject(Command, kw_only=True):
    """Begin a project with the assessment of what is needed."""

    project_id: str
    organisation: str
    title: str
    unit: str
    category: str
    summary: str | None = None
    programme_id: str | None = None
    tags: tuple[str, ...] = ()
    on: date | None = None  # None: today

    def relies_on(self) -> Keys:
        keys = {
            "project": f"project:{self.project_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
            "policies": "policies",
        }
        if self.programme_id is not None:
            keys["programme"] = f"programme:{self.programme_id}"
        return keys


class AdvanceProject(Command, kw_only=True):
    """Say that a project has come to its next stage."""

    project_id: str
    organisation: str | None  # None: asked by an administrator
    stage: ProjectStage
    on: date | None = None  # None: today
    ref: str | None = None
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"project": f"project:{self.project_id}", "policies": "policies"}


class WithdrawProject(Command, kw_only=True):
    """Say that a project does not go on."""

    project_id: str
    organisation: str | None  # None: asked by an administrator
    reason: str

    def relies_on(self) -> Keys:
        return {"project": f"project:{self.project_id}"}


class BeginConversion(Command, kw_only=True):
    """Say that a supervisor has intervened in a category of service."""

    conversion_id: str
    organisation: str
    unit: str
    category: str
    supervisor_id: str
    on: date
    ref: str

    def relies_on(self) -> Keys:
        return {
            "conversion": f"conversion:{self.conversion_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
            "supervisor": f"member:{self.supervisor_id}",
            "career": f"career:{self.supervisor_id}",
            "policies": "policies",
        }


class AdvanceConversion(Command, kw_only=True):
    """Say that the training was given, or the process redesigned."""

    conversion_id: str
    organisation: str | None  # None: asked by an administrator
    stage: ConversionStage
    on: date
    ref: str

    def relies_on(self) -> Keys:
        return {"conversion": f"conversion:{self.conversion_id}", "policies": "policies"}


class WithdrawConversion(Command, kw_only=True):
    """Let a conversion count no more."""

    conversion_id: str
    organisation: str | None  # None: asked by an administrator
    reason: str

    def relies_on(self) -> Keys:
        return {"conversion": f"conversion:{self.conversion_id}"}


# -- agreements and meetings ----------------------------------------------------------------------


class SignAgreement(Command, kw_only=True):
    """Pair a community with an agency for a term."""

    agreement_id: str
    organisation: str
    community: str
    agency: str
    version: str
    hash: str
    first: date
    last: date

    def relies_on(self) -> Keys:
        return {
            "agreement": f"agreement:{self.agreement_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.community}",
            "agency": f"organisation:{self.agency}",
        }


class AmendAgreement(Command, kw_only=True):
    """Put another paper in the place of the one before."""

    agreement_id: str
    organisation: str | None  # None: asked by an administrator
    version: str
    hash: str
    last: date

    def relies_on(self) -> Keys:
        return {"agreement": f"agreement:{self.agreement_id}"}


class EndAgreement(Command, kw_only=True):
    """End an agreement before its term."""

    agreement_id: str
    organisation: str | None  # None: asked by an administrator
    last: date | None = None  # None: today
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"agreement": f"agreement:{self.agreement_id}", "policies": "policies"}


class HoldMeeting(Command, kw_only=True):
    """Say that a joint meeting was held, and what it resolved."""

    meeting_id: str
    organisation: str
    unit: str
    on: date
    topic: str
    participants: tuple[str, ...] = ()
    minutes_ref: str | None = None
    resolutions: tuple[Resolution, ...] = ()

    def relies_on(self) -> Keys:
        return {
            "meeting": f"meeting:{self.meeting_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
            "policies": "policies",
            **{
                f"participant_{place}": f"organisation:{code}"
                for place, code in enumerate(self.participants)
            },
        }


class CloseResolution(Command, kw_only=True):
    """Say that a resolution was seen to."""

    meeting_id: str
    organisation: str | None  # None: asked by an administrator
    number: int  # from 1
    on: date | None = None  # None: today
    ref: str

    def relies_on(self) -> Keys:
        return {"meeting": f"meeting:{self.meeting_id}", "policies": "policies"}


# -- programmes and targets -----------------------------------------------------------------------


class OpenProgramme(Command, kw_only=True):
    """Open a programme from a date on."""

    programme_id: str
    organisation: str
    name: str
    unit: str
    tags: tuple[str, ...] = ()
    first: date
    last: date | None = None

    def relies_on(self) -> Keys:
        return {
            "programme": f"programme:{self.programme_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
        }


class EnrolMember(Command, kw_only=True):
    """Let a member take part in a programme."""

    programme_id: str
    organisation: str | None  # None: asked by an administrator
    member_id: str
    on: date | None = None  # None: today

    def relies_on(self) -> Keys:
        return {
            "programme": f"programme:{self.programme_id}",
            "member": f"member:{self.member_id}",
            "policies": "policies",
        }

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        opened = states["programme"].opened
        if opened is None or "running" in states:
            return {}
        return {"running": f"organisation:{opened.organisation}"}


class CompleteProgramme(Command, kw_only=True):
    """Say that a member has gone through a programme."""

    programme_id: str
    organisation: str | None  # None: asked by an administrator
    member_id: str
    on: date | None = None  # None: today

    def relies_on(self) -> Keys:
        return {
            "programme": f"programme:{self.programme_id}",
            "member": f"member:{self.member_id}",
            "policies": "policies",
        }


class CloseProgramme(Command, kw_only=True):
    """Say that a programme is over."""

    programme_id: str
    organisation: str | None  # None: asked by an administrator
    last: date | None = None  # None: today
    reason: str

    def relies_on(self) -> Keys:
        return {"programme": f"programme:{self.programme_id}", "policies": "policies"}


class SetTarget(Command, kw_only=True):
    """Say what a figure is to come to by a date."""

    target_id: str
    organisation: str | None  # None: an administrator's, for nobody in particular
    kpi: KpiId
    unit: str | None = None
    value: int
    due_on: date

    def relies_on(self) -> Keys:
        keys = {"target": f"target:{self.target_id}"}
        if self.organisation is not None:
            keys["filing"] = f"organisation:{self.organisation}"
        if self.unit is not None:
            keys["seat"] = f"unit:{self.unit}"
        return keys


class WithdrawTarget(Command, kw_only=True):
    """Aim at it no more."""

    target_id: str
    organisation: str | None  # None: asked by an administrator
    reason: str

    def relies_on(self) -> Keys:
        return {"target": f"target:{self.target_id}"}


# -- partners and experts -------------------------------------------------------------------------


class AddPartner(Command, kw_only=True):
    """Say who works with the field, or what is there for it as a base."""

    partner_id: str
    organisation: str
    name: str
    kind: PartnerKind
    unit: str
    first: date
    last: date | None = None

    def relies_on(self) -> Keys:
        return {
            "partner": f"partner:{self.partner_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
        }


class EndPartner(Command, kw_only=True):
    """Say that a partner or base is no longer there."""

    partner_id: str
    organisation: str | None  # None: asked by an administrator
    last: date | None = None  # None: today
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"partner": f"partner:{self.partner_id}", "policies": "policies"}


class NameExpert(Command, kw_only=True):
    """Name a member an expert of a unit for a term."""

    expert_id: str
    organisation: str
    member_id: str
    speciality: str
    unit: str
    first: date
    last: date

    def relies_on(self) -> Keys:
        return {
            "expert": f"expert:{self.expert_id}",
            "member": f"member:{self.member_id}",
            "filing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
        }


class EndExpert(Command, kw_only=True):
    """Say that a member is an expert no more, before the term is over."""

    expert_id: str
    organisation: str | None  # None: asked by an administrator
    last: date | None = None  # None: today
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"expert": f"expert:{self.expert_id}", "policies": "policies"}
