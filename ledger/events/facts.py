"""What all facts have in common: stamps, streams, and the kinds of things that they name."""

from typing import ClassVar, Literal

import msgspec

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

    @property
    def also_in(self) -> tuple[str, ...]:
        """The further streams whose states hear this fact: accounts that it moves."""
        return ()
