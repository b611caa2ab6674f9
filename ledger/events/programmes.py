"""Facts of the field's work: projects, conversions, agreements, meetings, programmes, targets."""

from typing import Literal

import msgspec

from ledger.events.facts import Event, KpiId

ProjectStage = Literal["needs_assessment", "design", "implementation", "incubated", "promoted"]
ConversionStage = Literal["intervention", "training", "redesign"]
PartnerKind = Literal["partner", "base"]

# -- projects and conversions ---------------------------------------------------------------------


class ProjectEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one project."""

    stream_prefix, stream_key = "project", "project_id"
    project_id: str
    organisation: str


class ProjectBegun(ProjectEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A project begins, with the assessment of what is needed."""

    title: str
    unit: str
    category: str
    on: str
    summary: str | None = None
    programme_id: str | None = None
    tags: tuple[str, ...] = ()


class ProjectAdvanced(ProjectEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The project has come to its next stage."""

    stage: ProjectStage
    on: str
    ref: str | None = None
    reason: str | None = None


class ProjectWithdrawn(ProjectEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The project does not go on."""

    reason: str


class ConversionEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one conversion of a service."""

    stream_prefix, stream_key = "conversion", "conversion_id"
    conversion_id: str
    organisation: str


class ConversionBegun(ConversionEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A supervisor has intervened in a category of service."""

    unit: str
    category: str
    supervisor_id: str
    on: str
    ref: str


class ConversionAdvanced(ConversionEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The training was given, or the process redesigned, with which the conversion is done."""

    stage: ConversionStage
    on: str
    ref: str


class ConversionWithdrawn(ConversionEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The conversion counts no more."""

    reason: str


# -- agreements and meetings ----------------------------------------------------------------------


class AgreementEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one agreement between a community and an agency."""

    stream_prefix, stream_key = "agreement", "agreement_id"
    agreement_id: str
    organisation: str  # whose verifier filed it


class AgreementSigned(AgreementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A community is paired with an agency, for a term of which both dates are a part."""

    unit: str  # the community
    agency: str
    version: str
    hash: str  # of the paper: SHA-256, in hex
    first: str
    last: str


class AgreementAmended(AgreementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Another paper holds in the place of the one before, to this date."""

    version: str
    hash: str
    last: str


class AgreementEnded(AgreementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The agreement is over before its term: this date is its last."""

    last: str
    reason: str | None = None


class Resolution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a meeting resolved, who sees to it, and by when."""

    text: str
    responsible: str
    due_on: str | None = None


class MeetingEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one joint meeting."""

    stream_prefix, stream_key = "meeting", "meeting_id"
    meeting_id: str
    organisation: str


class MeetingHeld(MeetingEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A joint meeting was held; its resolutions are numbered from 1."""

    unit: str
    on: str
    topic: str
    participants: tuple[str, ...] = ()  # organisations
    minutes_ref: str | None = None
    resolutions: tuple[Resolution, ...] = ()


class ResolutionClosed(MeetingEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A resolution was seen to."""

    number: int
    on: str
    ref: str


# -- programmes and targets -----------------------------------------------------------------------


class ProgrammeEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one programme."""

    stream_prefix, stream_key = "programme", "programme_id"
    programme_id: str
    organisation: str


class ProgrammeOpened(ProgrammeEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A programme is open from a date on."""

    name: str
    unit: str
    first: str
    last: str | None = None
    tags: tuple[str, ...] = ()


class ProgrammeEnrolled(ProgrammeEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A member takes part."""

    member_id: str
    on: str


class ProgrammeCompleted(ProgrammeEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A member has gone through it."""

    member_id: str
    on: str


class ProgrammeClosed(ProgrammeEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The programme is over: this date is its last."""

    last: str
    reason: str


class TargetEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one target."""

    stream_prefix, stream_key = "target", "target_id"
    target_id: str
    organisation: str | None = None  # None: set by an administrator, for nobody in particular


class TargetSet(TargetEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A figure is to come to so much by a date; in the unit of the figure itself."""

    kpi: KpiId
    value: int
    due_on: str
    unit: str | None = None  # None: of the whole field


class TargetWithdrawn(TargetEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody aims at it any more."""

    reason: str


# -- partners and experts -------------------------------------------------------------------------


class PartnerEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one partner or base."""

    stream_prefix, stream_key = "partner", "partner_id"
    partner_id: str
    organisation: str


class PartnerAdded(PartnerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A partner works with the field, or a base is there for it, from a date on."""

    name: str
    kind: PartnerKind
    unit: str
    first: str
    last: str | None = None


class PartnerEnded(PartnerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """It is over: this date is the last."""

    last: str
    reason: str | None = None


class ExpertEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one member as an expert."""

    stream_prefix, stream_key = "expert", "expert_id"
    expert_id: str
    member_id: str
    organisation: str


class ExpertNamed(ExpertEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A member is an expert of a unit, for a term of which both dates are a part."""

    speciality: str
    unit: str
    first: str
    last: str


class ExpertEnded(ExpertEvent, frozen=True, kw_only=True, omit_defaults=True):
    """It is over before its term: this date is the last."""

    last: str
    reason: str | None = None
