"""Every fact that can enter the journal, and its one spelling in bytes.

An event says what was decided, with its results. What was ever written reads for ever and means the
same: no field is renamed, removed or given another meaning; a new one is optional, and where it is
absent holds what held before there was one. Ids only: no name, address or document enters an event.
"""

from typing import Any, ClassVar, Literal, NamedTuple

import msgspec
import orjson

Line = tuple[str, int]
"""One line of double entry: (account, credits). The lines of an event sum to zero."""

SERVICE_ISSUE = "issue:service"  # what the bank owes for services: negative
DONATION_POOL = "pool:donation"
EXPIRED = "sink:expired"
WRITTEN_OFF = "sink:written_off"  # the one sink that may go below zero

UnitLevel = Literal["district", "street", "community"]
OrganisationKind = Literal["volunteer", "social_work", "studio", "university", "partner"]
MemberRole = Literal["volunteer", "social_worker", "community_worker", "grid_worker", "resident"]
Capacity = Literal["volunteer", "on_duty"]
Evidence = Literal["checked", "attested", "backfilled", "self_reported"]
GradeName = Literal["G1", "G2", "G3", "G4"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact. The desk stamps who recorded it, when, and the chain of facts it belongs to."""

    actor: str = ""  # key id, `cli` or `jobs`
    recorded_at: str = ""  # RFC 3339, UTC, six digits
    correlation_id: str = ""

    stream_prefix: ClassVar[str]
    stream_key: ClassVar[str]

    @property
    def stream(self) -> str:
        """The stream that this fact belongs to: `prefix:key`, or the prefix alone."""
        if not self.stream_key:
            return self.stream_prefix
        return f"{self.stream_prefix}:{getattr(self, self.stream_key)}"


# --- the field: units, organisations ------------------------------------------------------------


class UnitAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A district, street or community stands in the tree."""

    stream_prefix, stream_key = "unit", "code"
    code: str
    name: str
    level: UnitLevel
    parent: str | None = None


class OrganisationAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation may post for itself from now on."""

    stream_prefix, stream_key = "organisation", "code"
    code: str
    name: str
    kind: OrganisationKind
    unit: str


class OrganisationSuspended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The organisation may not post until it is resumed."""

    stream_prefix, stream_key = "organisation", "code"
    code: str
    reason: str


class OrganisationResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The organisation may post again."""

    stream_prefix, stream_key = "organisation", "code"
    code: str
    reason: str | None = None


# --- members -------------------------------------------------------------------------------------


class MemberRegistered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A person has an account; who it is stands in the vault alone."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str  # the home organisation
    roles: tuple[MemberRole, ...]
    unit: str


class MemberJoined(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Another organisation knows the same person, who consented to being one member."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str
    consent_ref: str


class MemberChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The member's roles or unit are other now; `person` says that the vault was changed too."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str
    roles: tuple[MemberRole, ...] | None = None
    unit: str | None = None
    person: bool | None = None


# --- service records -----------------------------------------------------------------------------


class RecordEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one service record, in the account of the person who served."""

    stream_prefix, stream_key = "account", "member_id"
    record_id: str
    member_id: str
    organisation: str


class PostedContent(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """What an organisation said of one service: one person, one interval, one activity."""

    receipt: str
    activity: str
    category: str
    place: str  # a unit's code
    responsible: str  # a staff code
    started_at: str  # RFC 3339, UTC
    ended_at: str
    served_on: str  # date of started_at in the zone
    capacity: Capacity
    evidence: Evidence
    late: bool
    policy_version: int
    break_minutes: int | None = None
    professional: bool | None = None
    supervisor_id: str | None = None
    certification_id: str | None = None
    order_id: str | None = None
    project_id: str | None = None
    programme_id: str | None = None
    redemption_id: str | None = None
    no_credit: bool | None = None  # late, when the policy grants nothing for that
    replaces: str | None = None  # the record that this one corrects
    after_close: bool | None = None  # it corrects one of a month that is closed


class HoursSubmitted(PostedContent, frozen=True, kw_only=True, omit_defaults=True):
    """A service record waits for another actor's word; it counts for nothing yet."""

    own_hours: bool | None = None  # posted by the very person who served
    admin_needed: bool | None = (
        None  # of an organisation at G4: only an administrator's word counts
    )


class HoursVerified(PostedContent, frozen=True, kw_only=True, omit_defaults=True):
    """A service record that counts from the moment it was posted, with what it came to."""

    minutes: int  # service minutes; 0 where the capacity is on_duty
    overlap_minutes: int
    credits: int  # granted after the caps; what repaid a receivable is in it
    rate_bps: int
    entries: tuple[Line, ...]
    duty_minutes: int | None = None  # minutes counted on duty, which are no service minutes
    capped: int | None = None  # what a cap cut off, and nobody got
    overflowed: int | None = None  # what the stock cap sent to the donation pool
    paid_from_hold: int | None = None
    points: int | None = None
    expires_on: str | None = None  # of the lot that it earned


class SubmittedHoursVerified(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A record that waited counts now, with what it came to; its content stands as submitted."""

    served_on: str
    minutes: int
    overlap_minutes: int
    credits: int
    rate_bps: int
    entries: tuple[Line, ...]
    policy_version: int
    duty_minutes: int | None = None
    capped: int | None = None
    overflowed: int | None = None
    paid_from_hold: int | None = None
    points: int | None = None
    reason: str | None = None
    expires_on: str | None = None
    evidence: Evidence | None = None  # what it counts as, where that is not what was posted


class HoursRejected(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A record that waited never counts; its receipt stays bound."""

    served_on: str
    reason: str


class HoursReversed(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A verified record counts no more: its minutes are off, its credits taken back.

    The lines tell whom from: the donation pool what had overflowed (what the pool lacks is written
    off), the expired part, what is available, and a receivable for what is left.
    """

    started_at: str  # the time that is free again
    ended_at: str
    served_on: str
    reason: str
    reverses: int  # the position of the fact that had let it count
    minutes: int  # how much this and the following change: none is above zero
    credits: int
    entries: tuple[Line, ...]
    overflowed: int | None = None
    points: int | None = None
    for_cause: bool | None = None
    after_close: bool | None = None  # of a month that is closed, by an administrator
    replaced_by: str | None = None  # the record that corrects it, in the next fact
    request_id: str | None = None  # the member's request for it


class CorrectionRequested(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A member says that a record of theirs is wrong; it stands until somebody decides."""

    request_id: str
    reason: str


class CorrectionDeclined(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The record stays as it is, for this reason."""

    request_id: str
    reason: str


# --- expiry and jobs -----------------------------------------------------------------------------


class CreditsExpired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What was left of the lots that expire on or before a date is gone."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str
    as_of: str  # a date
    credits: int  # what is gone
    entries: tuple[Line, ...]


class JobRan(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All that was due as of an instant was done by a job; earlier instants are behind it."""

    stream_prefix, stream_key = "job", "job"
    job: str
    as_of: str  # RFC 3339, UTC


# --- grades and periods --------------------------------------------------------------------------


class GradeOverridden(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A subject has this grade until a date, by an administrator's word."""

    stream_prefix, stream_key = "grade", "subject"
    subject: str  # `member:<id>` or `organisation:<code>`
    grade: GradeName
    reason: str
    until: str  # the last date


class PeriodEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one month of service dates."""

    stream_prefix, stream_key = "periods", ""
    month: str  # YYYY-MM
    reason: str | None = None


class PeriodClosed(PeriodEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing is posted or verified any more with a service date in this month."""


class PeriodReopened(PeriodEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A closed month is open again."""


# --- policies ------------------------------------------------------------------------------------


class PolicyPublished(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Some keys of the rule book of numbers have new values from a date on."""

    stream_prefix, stream_key = "policies", ""
    version: int  # from 2; version 1 is the defaults
    effective_on: str
    changes: dict[str, Any]
    note: str | None = None


def _concrete(cls: type[Event]) -> list[type[Event]]:
    below = [found for child in cls.__subclasses__() for found in _concrete(child)]
    return below or [cls]


EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in _concrete(Event)}
_DECODERS = {name: msgspec.json.Decoder(cls) for name, cls in EVENT_TYPES.items()}


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
