"""Facts of track 2: certificates and their registration, achievements, appointments, cases."""

from ledger.events.facts import AchievementKind, Event, Level, Outcome, Prize, Source
from ledger.events.service_records import RecordEvent


class CareerEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact that a member's career hears."""

    member_id: str
    organisation: str  # whose verifier said it

    @property
    def also_in(self) -> tuple[str, ...]:
        return (f"career:{self.member_id}",)


class Award(CareerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Professional points come, or go where they are below zero."""

    source: Source
    points: int
    on: str  # the date that they count for


# -- certification --------------------------------------------------------------------------------


class CertificationEvent(CareerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one certificate."""

    stream_prefix, stream_key = "certification", "certification_id"
    certification_id: str


class CertificationSubmitted(CertificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation says that a member has a certificate."""

    level: Level
    certificate_ref: str
    obtained_on: str


class CertificationVerified(Award, frozen=True, kw_only=True, omit_defaults=True):
    """Another actor has seen the certificate; it counts as its level."""

    stream_prefix, stream_key = "certification", "certification_id"
    certification_id: str
    level: Level
    worth: int  # points of the level; those of lower ones are in it
    policy_version: int


class Term(CertificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The certificate is registered from a date to a date, both in it."""

    level: Level
    in_force_from: str
    in_force_to: str


class CertificationRegistered(Term, frozen=True, kw_only=True, omit_defaults=True):
    """The certificate is registered."""

    registered_on: str


class CertificationRenewed(Term, frozen=True, kw_only=True, omit_defaults=True):
    """The registration goes on for a further term."""

    renewed_on: str
    education_hours: int


class CertificationLapsed(CertificationEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The registration has come to its end."""

    as_of: str  # a date


class CertificationRevoked(Award, frozen=True, kw_only=True, omit_defaults=True):
    """From a date on the certificate is none; the points of its level are gone."""

    stream_prefix, stream_key = "certification", "certification_id"
    certification_id: str
    effective_on: str
    reason: str


class MarkedService(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A professional service record is certified otherwise than when it was verified."""

    certification_id: str
    served_on: str
    points: int

    @property
    def also_in(self) -> tuple[str, ...]:
        return (f"career:{self.member_id}",)


class ServiceCertified(MarkedService, frozen=True, kw_only=True, omit_defaults=True):
    """A registration that was recorded late was in force when the member served."""


class ServiceUncertified(MarkedService, frozen=True, kw_only=True, omit_defaults=True):
    """No registration was in force when the member served: it is revoked from before."""


# -- achievements ---------------------------------------------------------------------------------


class AchievementEvent(CareerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one achievement."""

    stream_prefix, stream_key = "achievement", "achievement_id"
    achievement_id: str


class AchievementSubmitted(AchievementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation says what a member has done; it counts once another actor approves."""

    kind: AchievementKind
    on: str
    ref: str
    hours: int | None = None
    outcome: Outcome | None = None
    prize: Prize | None = None
    promoted: bool | None = None
    project_id: str | None = None


class AchievementApproved(Award, frozen=True, kw_only=True, omit_defaults=True):
    """The achievement counts, with the points that its year still had room for."""

    stream_prefix, stream_key = "achievement", "achievement_id"
    achievement_id: str
    policy_version: int
    hours: int | None = None
    per_hour: int | None = None  # points
    yearly_cap: int | None = None
    worth: int | None = None  # points, of what is not counted by hours


class AchievementApplied(AchievementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A training was put to use."""

    on: str
    ref: str


class AchievementReversed(Award, frozen=True, kw_only=True, omit_defaults=True):
    """The achievement counts no more."""

    stream_prefix, stream_key = "achievement", "achievement_id"
    achievement_id: str
    reason: str


# -- appointments, mentorships, cases -------------------------------------------------------------


class SupervisorAppointed(CareerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A member supervises in a unit, for a term of which both dates are a part."""

    stream_prefix, stream_key = "appointment", "appointment_id"
    appointment_id: str
    unit: str
    first: str
    last: str


class AppointmentEnded(CareerEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The appointment is over before its term: this date is its last."""

    stream_prefix, stream_key = "appointment", "appointment_id"
    appointment_id: str
    last: str
    reason: str | None = None


class MentorshipEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one member who guides another."""

    stream_prefix, stream_key = "mentorship", "mentorship_id"
    mentorship_id: str
    member_id: str  # the mentor
    organisation: str


class MentorshipBegun(MentorshipEvent, frozen=True, kw_only=True, omit_defaults=True):
    """One member guides another from a date on."""

    mentee_id: str
    first: str


class MentorshipEnded(MentorshipEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The mentorship is over: this date is its last."""

    last: str
    reason: str | None = None


class CaseEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one case of the library."""

    stream_prefix, stream_key = "case", "case_id"
    case_id: str
    organisation: str


class CaseFiled(CaseEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A case stands in the library, for all to find."""

    member_id: str  # who worked on it
    title: str
    category: str
    summary: str
    on: str
    achievement_id: str | None = None


class CaseWithdrawn(CaseEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The case is no longer in the library."""

    reason: str
