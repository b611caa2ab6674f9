"""What may be asked of careers: certificates, achievements, appointments, mentorships, cases."""

from datetime import date, datetime
from typing import Any

from ledger.commands.ask import LAPSES, Command, Keys
from ledger.events import AchievementKind, Level, Outcome, Prize

# -- certification --------------------------------------------------------------------------------


class SubmitCertification(Command, kw_only=True):
    """Say that a member has a certificate."""

    certification_id: str
    member_id: str
    organisation: str
    level: Level
    certificate_ref: str
    obtained_on: date

    def relies_on(self) -> Keys:
        return {
            "certification": f"certification:{self.certification_id}",
            "member": f"member:{self.member_id}",
            "submitting": f"organisation:{self.organisation}",
            "policies": "policies",
        }


class CertificationCommand(Command, kw_only=True):
    """Something asked about one certificate."""

    certification_id: str
    organisation: str | None  # None: asked by an administrator

    def relies_on(self) -> Keys:
        return {
            "certification": f"certification:{self.certification_id}",
            "policies": "policies",
        }

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        submitted = states["certification"].submitted
        if submitted is None or "career" in states:
            return {}
        return {"career": f"career:{submitted.member_id}"}


class VerifyCertification(CertificationCommand, kw_only=True):
    """Let a certificate count."""

    reason: str | None = None

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        keys = super().then_relies_on(states)
        return keys and keys | {"submitter": f"actor:{states['certification'].submitted.actor}"}


class RegisterCertification(CertificationCommand, kw_only=True):
    """Register a certificate, for the first time or anew."""

    registered_on: date


class RenewCertification(CertificationCommand, kw_only=True):
    """Let a registration go on, in its last months and after enough continuing education."""

    renewed_on: date
    education_hours: int


class RevokeCertification(CertificationCommand, kw_only=True):
    """Say that a certificate is none from a date on."""

    effective_on: date
    reason: str


class LapseCertification(Command, kw_only=True):
    """End a registration whose last day is over by an instant's date, as the job does."""

    certification_id: str
    as_of: datetime

    def relies_on(self) -> Keys:
        return {
            "certification": f"certification:{self.certification_id}",
            "job": f"job:{LAPSES}",
            "policies": "policies",
        }


# -- achievements ---------------------------------------------------------------------------------


class SubmitAchievement(Command, kw_only=True):
    """Say what a member has done."""

    achievement_id: str
    member_id: str
    organisation: str
    kind: AchievementKind
    on: date
    ref: str
    hours: int | None = None
    outcome: Outcome | None = None
    prize: Prize | None = None
    promoted: bool = False
    project_id: str | None = None

    def relies_on(self) -> Keys:
        keys = {
            "achievement": f"achievement:{self.achievement_id}",
            "member": f"member:{self.member_id}",
            "submitting": f"organisation:{self.organisation}",
            "policies": "policies",
        }
        if self.project_id is not None:
            keys["project"] = f"project:{self.project_id}"
        return keys


class AchievementCommand(Command, kw_only=True):
    """Something asked about one achievement."""

    achievement_id: str
    organisation: str | None  # None: asked by an administrator

    def relies_on(self) -> Keys:
        return {"achievement": f"achievement:{self.achievement_id}", "policies": "policies"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        submitted = states["achievement"].submitted
        if submitted is None or "career" in states:
            return {}
        return {"career": f"career:{submitted.member_id}"}


class ApproveAchievement(AchievementCommand, kw_only=True):
    """Let an achievement count."""

    reason: str | None = None

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        keys = super().then_relies_on(states)
        return keys and keys | {"submitter": f"actor:{states['achievement'].submitted.actor}"}


class ApplyAchievement(AchievementCommand, kw_only=True):
    """Say that a training was put to use."""

    on: date
    ref: str


class ReverseAchievement(AchievementCommand, kw_only=True):
    """Let an achievement count no more."""

    reason: str


# -- appointments, mentorships, cases -------------------------------------------------------------


class AppointSupervisor(Command, kw_only=True):
    """Let a member supervise in a unit for a term."""

    appointment_id: str
    member_id: str
    organisation: str
    unit: str
    first: date
    last: date

    def relies_on(self) -> Keys:
        return {
            "appointment": f"appointment:{self.appointment_id}",
            "member": f"member:{self.member_id}",
            "appointing": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
        }


class EndAppointment(Command, kw_only=True):
    """End an appointment before its term."""

    appointment_id: str
    organisation: str | None  # None: asked by an administrator
    last: date | None = None  # None: today
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"appointment": f"appointment:{self.appointment_id}", "policies": "policies"}


class BeginMentorship(Command, kw_only=True):
    """Let one member guide another."""

    mentorship_id: str
    mentor_id: str
    mentee_id: str
    organisation: str
    first: date

    def relies_on(self) -> Keys:
        return {
            "mentorship": f"mentorship:{self.mentorship_id}",
            "mentor": f"member:{self.mentor_id}",
            "mentee": f"member:{self.mentee_id}",
            "asking": f"organisation:{self.organisation}",
        }


class EndMentorship(Command, kw_only=True):
    """End a mentorship."""

    mentorship_id: str
    organisation: str | None  # None: asked by an administrator
    last: date | None = None  # None: today
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"mentorship": f"mentorship:{self.mentorship_id}", "policies": "policies"}


class FileCase(Command, kw_only=True):
    """Put a case into the library."""

    case_id: str
    organisation: str
    member_id: str
    title: str
    category: str
    summary: str
    on: date
    achievement_id: str | None = None

    def relies_on(self) -> Keys:
        keys = {
            "case": f"case:{self.case_id}",
            "member": f"member:{self.member_id}",
            "filing": f"organisation:{self.organisation}",
            "policies": "policies",
        }
        if self.achievement_id is not None:
            keys["achievement"] = f"achievement:{self.achievement_id}"
        return keys


class WithdrawCase(Command, kw_only=True):
    """Take a case out of the library."""

    case_id: str
    organisation: str | None  # None: asked by an administrator
    reason: str

    def relies_on(self) -> Keys:
        return {"case": f"case:{self.case_id}"}
