"""Everything one may ask of the ledger, and the states that its rule relies on.

A command comes from the door complete: who asks, with which ids. The desk sets `at`, the instant
that the whole batch is recorded at, just before the rule runs. `relies_on` names the rule's states
by keys: a stream (`account:<member>`), a record (`record:<id>`), what stands under a receipt
(`receipt:<organisation>/<receipt>`), the balance of an account that is no person's
(`balance:<account>`), or an actor's name (`actor:<key id>`).
"""

from ledger.commands.ask import (
    EXPIRY,
    HOLDS,
    LAPSES,
    Command,
    Keys,
    Stamp,
)
from ledger.commands.careers import (
    AchievementCommand,
    ApplyAchievement,
    AppointSupervisor,
    ApproveAchievement,
    BeginMentorship,
    CertificationCommand,
    EndAppointment,
    EndMentorship,
    FileCase,
    LapseCertification,
    RegisterCertification,
    RenewCertification,
    ReverseAchievement,
    RevokeCertification,
    SubmitAchievement,
    SubmitCertification,
    VerifyCertification,
    WithdrawCase,
)
from ledger.commands.credits import (
    AllocateCredits,
    ApproveGrant,
    Deal,
    DonateCredits,
    ExpireCredits,
    FreezeCredits,
    GiveCredits,
    InheritCredits,
    Move,
    ProposeGrant,
    Share,
    UnfreezeCredits,
)
from ledger.commands.field import (
    AddOrganisation,
    AddUnit,
    ClosePeriod,
    OverrideGrade,
    ReopenPeriod,
    ResumeOrganisation,
    SuspendOrganisation,
)
from ledger.commands.members import (
    ChangeMember,
    CloseAccount,
    JoinMember,
    RecordRelation,
    RegisterMember,
)
from ledger.commands.policies import (
    FinishJob,
    PublishPolicy,
)
from ledger.commands.redemptions import (
    AddReward,
    CancelRedemption,
    ExpireRedemption,
    FulfilRedemption,
    RedemptionCommand,
    ReserveRedemption,
    RestockReward,
    RewardCommand,
    WithdrawReward,
)
from ledger.commands.service_records import (
    Corrected,
    CorrectHours,
    DeclineCorrection,
    PostHours,
    RecordCommand,
    RejectHours,
    RequestCorrection,
    ReverseHours,
    VerifyHours,
)

__all__ = [
    "COMMANDS",
    "EXPIRY",
    "HOLDS",
    "LAPSES",
    "AchievementCommand",
    "AddOrganisation",
    "AddReward",
    "AddUnit",
    "AllocateCredits",
    "ApplyAchievement",
    "AppointSupervisor",
    "ApproveAchievement",
    "ApproveGrant",
    "BeginMentorship",
    "CancelRedemption",
    "CertificationCommand",
    "ChangeMember",
    "CloseAccount",
    "ClosePeriod",
    "Command",
    "CorrectHours",
    "Corrected",
    "Deal",
    "DeclineCorrection",
    "DonateCredits",
    "EndAppointment",
    "EndMentorship",
    "ExpireCredits",
    "ExpireRedemption",
    "FileCase",
    "FinishJob",
    "FreezeCredits",
    "FulfilRedemption",
    "GiveCredits",
    "InheritCredits",
    "JoinMember",
    "Keys",
    "LapseCertification",
    "Move",
    "OverrideGrade",
    "PostHours",
    "ProposeGrant",
    "PublishPolicy",
    "RecordCommand",
    "RecordRelation",
    "RedemptionCommand",
    "RegisterCertification",
    "RegisterMember",
    "RejectHours",
    "RenewCertification",
    "ReopenPeriod",
    "RequestCorrection",
    "ReserveRedemption",
    "RestockReward",
    "ResumeOrganisation",
    "ReverseAchievement",
    "ReverseHours",
    "RevokeCertification",
    "RewardCommand",
    "Share",
    "Stamp",
    "SubmitAchievement",
    "SubmitCertification",
    "SuspendOrganisation",
    "UnfreezeCredits",
    "VerifyCertification",
    "VerifyHours",
    "WithdrawCase",
    "WithdrawReward",
]


def _askable(cls: type[Command]) -> list[type[Command]]:
    below = [found for child in cls.__subclasses__() for found in _askable(child)]
    return [*([] if cls in _KINDS else [cls]), *below]


_KINDS = (
    *(Command, RecordCommand, Move, Deal, RewardCommand, RedemptionCommand),
    *(CertificationCommand, AchievementCommand),
)
"""What only has others below it."""


COMMANDS: tuple[type[Command], ...] = tuple(_askable(Command))
