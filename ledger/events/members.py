"""Facts about members: who is one, where, and what another is to them."""

from typing import Literal

from ledger.events.facts import AgeBand, Event, MemberRole

ErasureReason = Literal["request", "retention"]
ConsentPurpose = Literal["publication", "sharing"]


class MemberRegistered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A person has an account; who it is stands in the vault alone."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str  # the home organisation
    roles: tuple[MemberRole, ...]
    unit: str
    age_band: AgeBand | None = None  # on that day; None: not known


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
    age_band: AgeBand | None = None  # where it is other now
    age_unknown: bool | None = None  # no date of birth is held any more


class AccountClosed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing is posted or moved to the member's name any more."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    reason: str


class RelationRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Another member is this to the member, by evidence that the organisation keeps."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str
    relation: str  # what `to` is to the member: spouse, parent ...
    to: str
    evidence_ref: str


class PersonDataErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody knows any more who the member is; what was recorded by id stands as it stood."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    reason: ErasureReason


class AgeBandReached(Event, frozen=True, kw_only=True, omit_defaults=True):
    """By a date the member had come to another age band; which date of birth, the vault knows."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    age_band: AgeBand
    as_of: str


class ConsentGiven(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The person lets an organisation do something with what it knows of them."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str
    purpose: ConsentPurpose
    consent_ref: str  # where the organisation keeps it


class ConsentWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The person lets the organisation do that no more."""

    stream_prefix, stream_key = "member", "member_id"
    member_id: str
    organisation: str
    purpose: ConsentPurpose
