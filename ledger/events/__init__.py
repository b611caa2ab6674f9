"""Every fact that can enter the journal, and its one spelling in bytes.

An event says what was decided, with its results. What was ever written reads for ever and means the
same: no field is renamed, removed or given another meaning; a new one is optional, and where it is
absent holds what held before there was one. Ids only: no name, address or document enters an event.
"""

from typing import NamedTuple

import msgspec
import orjson

from ledger.events.careers import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    AchievementSubmitted,
    AppointmentEnded,
    Award,
    CareerEvent,
    CaseFiled,
    CaseWithdrawn,
    CertificationLapsed,
    CertificationRegistered,
    CertificationRenewed,
    CertificationRevoked,
    CertificationSubmitted,
    CertificationVerified,
    MarkedService,
    MentorshipBegun,
    MentorshipEnded,
    ServiceCertified,
    ServiceUncertified,
    SupervisorAppointed,
    Term,
)
from ledger.events.credits import (
    CreditsAllocated,
    CreditsDonated,
    CreditsExpired,
    CreditsFrozen,
    CreditsGiven,
    CreditsInherited,
    CreditsUnfrozen,
    GrantApproved,
    GrantProposed,
    Moved,
    Transfer,
)
from ledger.events.facts import (
    DONATION_POOL,
    EXPIRED,
    REDEEMED,
    SERVICE_ISSUE,
    WRITTEN_OFF,
    AchievementKind,
    AgeBand,
    Capacity,
    Computed,
    Event,
    Evidence,
    GradeName,
    KpiId,
    Level,
    Line,
    MemberRole,
    NeedRoute,
    OrganisationKind,
    Outcome,
    Prize,
    RewardKind,
    Source,
    Tier,
    UnitLevel,
    Verdict,
)
from ledger.events.field import (
    GradeOverridden,
    OrganisationAdded,
    OrganisationResumed,
    OrganisationSuspended,
    PeriodClosed,
    PeriodEvent,
    PeriodReopened,
    UnitAdded,
)
from ledger.events.grades import (
    GradeAppealDecided,
    GradeAppealed,
    GradeComputed,
    SupervisionIndexComputed,
)
from ledger.events.log_keys import SigningKeyRotated
from ledger.events.members import (
    AccountClosed,
    AgeBandReached,
    ConsentGiven,
    ConsentPurpose,
    ConsentWithdrawn,
    ErasureReason,
    MemberChanged,
    MemberJoined,
    MemberRegistered,
    PersonDataErased,
    RelationRecorded,
)
from ledger.events.orders import (
    NeedAssessed,
    NeedEvent,
    NeedRejected,
    NeedReported,
    NeedResolved,
    OrderAccepted,
    OrderCancelled,
    OrderCheckedIn,
    OrderClosed,
    OrderCompleted,
    OrderDecided,
    OrderDeclined,
    OrderDispatched,
    OrderDisputed,
    OrderEvent,
    OrderMoved,
    OrderPlaced,
    OrderRated,
    OrderSettled,
    OrderTimedOut,
)
from ledger.events.papers import (
    ActivityRow,
    CredentialEvent,
    CredentialIssued,
    CredentialRevoked,
    StatementEvent,
    StatementIssued,
    StatementRevoked,
    StatementSuperseded,
)
from ledger.events.policies import (
    JobRan,
    PolicyPublished,
)
from ledger.events.programmes import (
    AgreementAmended,
    AgreementEnded,
    AgreementEvent,
    AgreementSigned,
    ConversionAdvanced,
    ConversionBegun,
    ConversionEvent,
    ConversionStage,
    ConversionWithdrawn,
    ExpertEnded,
    ExpertEvent,
    ExpertNamed,
    MeetingEvent,
    MeetingHeld,
    PartnerAdded,
    PartnerEnded,
    PartnerEvent,
    PartnerKind,
    ProgrammeClosed,
    ProgrammeCompleted,
    ProgrammeEnrolled,
    ProgrammeEvent,
    ProgrammeOpened,
    ProjectAdvanced,
    ProjectBegun,
    ProjectEvent,
    ProjectStage,
    ProjectWithdrawn,
    Resolution,
    ResolutionClosed,
    TargetEvent,
    TargetSet,
    TargetWithdrawn,
)
from ledger.events.redemptions import (
    HoldEnded,
    RedemptionCancelled,
    RedemptionEvent,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    RewardAdded,
    RewardEvent,
    RewardRestocked,
    RewardWithdrawn,
)
from ledger.events.service_records import (
    CorrectionDeclined,
    CorrectionRequested,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    PostedContent,
    RecordEvent,
    SubmittedHoursVerified,
    order_receipt,
)

__all__ = [
    "DONATION_POOL",
    "EVENT_TYPES",
    "EXPIRED",
    "MOVING",
    "REDEEMED",
    "SERVICE_ISSUE",
    "WRITTEN_OFF",
    "AccountClosed",
    "AchievementApplied",
    "AchievementApproved",
    "AchievementKind",
    "AchievementReversed",
    "AchievementSubmitted",
    "ActivityRow",
    "AgeBand",
    "AgeBandReached",
    "AgreementAmended",
    "AgreementEnded",
    "AgreementEvent",
    "AgreementSigned",
    "AppointmentEnded",
    "Award",
    "Capacity",
    "CareerEvent",
    "CaseFiled",
    "CaseWithdrawn",
    "CertificationLapsed",
    "CertificationRegistered",
    "CertificationRenewed",
    "CertificationRevoked",
    "CertificationSubmitted",
    "CertificationVerified",
    "Computed",
    "ConsentGiven",
    "ConsentPurpose",
    "ConsentWithdrawn",
    "ConversionAdvanced",
    "ConversionBegun",
    "ConversionEvent",
    "ConversionStage",
    "ConversionWithdrawn",
    "CorrectionDeclined",
    "CorrectionRequested",
    "CredentialEvent",
    "CredentialIssued",
    "CredentialRevoked",
    "CreditsAllocated",
    "CreditsDonated",
    "CreditsExpired",
    "CreditsFrozen",
    "CreditsGiven",
    "CreditsInherited",
    "CreditsUnfrozen",
    "Entry",
    "ErasureReason",
    "Event",
    "Evidence",
    "ExpertEnded",
    "ExpertEvent",
    "ExpertNamed",
    "GradeAppealDecided",
    "GradeAppealed",
    "GradeComputed",
    "GradeName",
    "GradeOverridden",
    "GrantApproved",
    "GrantProposed",
    "HoldEnded",
    "HoursRejected",
    "HoursReversed",
    "HoursSubmitted",
    "HoursVerified",
    "JobRan",
    "KpiId",
    "Level",
    "Line",
    "MarkedService",
    "MeetingEvent",
    "MeetingHeld",
    "MemberChanged",
    "MemberJoined",
    "MemberRegistered",
    "MemberRole",
    "MentorshipBegun",
    "MentorshipEnded",
    "Moved",
    "NeedAssessed",
    "NeedEvent",
    "NeedRejected",
    "NeedReported",
    "NeedResolved",
    "NeedRoute",
    "OrderAccepted",
    "OrderCancelled",
    "OrderCheckedIn",
    "OrderClosed",
    "OrderCompleted",
    "OrderDecided",
    "OrderDeclined",
    "OrderDispatched",
    "OrderDisputed",
    "OrderEvent",
    "OrderMoved",
    "OrderPlaced",
    "OrderRated",
    "OrderSettled",
    "OrderTimedOut",
    "OrganisationAdded",
    "OrganisationKind",
    "OrganisationResumed",
    "OrganisationSuspended",
    "Outcome",
    "PartnerAdded",
    "PartnerEnded",
    "PartnerEvent",
    "PartnerKind",
    "PeriodClosed",
    "PeriodEvent",
    "PeriodReopened",
    "PersonDataErased",
    "PolicyPublished",
    "PostedContent",
    "Prize",
    "ProgrammeClosed",
    "ProgrammeCompleted",
    "ProgrammeEnrolled",
    "ProgrammeEvent",
    "ProgrammeOpened",
    "ProjectAdvanced",
    "ProjectBegun",
    "ProjectEvent",
    "ProjectStage",
    "ProjectWithdrawn",
    "RecordEvent",
    "RedemptionCancelled",
    "RedemptionEvent",
    "RedemptionExpired",
    "RedemptionFulfilled",
    "RedemptionReserved",
    "RelationRecorded",
    "Resolution",
    "ResolutionClosed",
    "RewardAdded",
    "RewardEvent",
    "RewardKind",
    "RewardRestocked",
    "RewardWithdrawn",
    "ServiceCertified",
    "ServiceUncertified",
    "SigningKeyRotated",
    "Source",
    "StatementEvent",
    "StatementIssued",
    "StatementRevoked",
    "StatementSuperseded",
    "SubmittedHoursVerified",
    "SupervisionIndexComputed",
    "SupervisorAppointed",
    "TargetEvent",
    "TargetSet",
    "TargetWithdrawn",
    "Term",
    "Tier",
    "Transfer",
    "UnitAdded",
    "UnitLevel",
    "Verdict",
    "decode",
    "encode",
    "order_receipt",
    "types_of",
]


def _concrete(cls: type[Event]) -> list[type[Event]]:
    below = [found for child in cls.__subclasses__() for found in _concrete(child)]
    return below or [cls]


EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in _concrete(Event)}
MOVING = frozenset(name for name, cls in EVENT_TYPES.items() if "entries" in cls.__struct_fields__)
"""The types of the events that have lines."""

_DECODERS = {name: msgspec.json.Decoder(cls) for name, cls in EVENT_TYPES.items()}


def types_of(kind: type[Event]) -> frozenset[str]:
    """The types whose events are of a kind."""
    return frozenset(name for name, cls in EVENT_TYPES.items() if issubclass(cls, kind))


def encode(event: Event) -> bytes:
    """The event's one spelling: sorted keys, UTF-8, no white space, what is unset left out."""
    return orjson.dumps(msgspec.to_builtins(event), option=orjson.OPT_SORT_KEYS)


def decode(type_name: str, data: bytes) -> Event:
    """The event that `encode` wrote under its class's name; KeyError where the type is not ours."""
    return _DECODERS[type_name].decode(data)


class Entry(NamedTuple):
    """A fact with its place: dense position in the journal, stream, and version in the stream."""

    position: int
    stream: str
    version: int
    type: str
    event: Event

    @property
    def originator_id(self) -> str:
        """The stream, as the eventsourcing library calls it."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The version, as the eventsourcing library calls it."""
        return self.version
