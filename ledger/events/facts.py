"""What all facts have in common: stamps, streams, and the kinds of things that they name."""

from typing import ClassVar, Literal

import msgspec

Line = tuple[str, int]
"""One line of double entry: (account, credits). The lines of an event sum to zero."""

SERVICE_ISSUE = "issue:service"  # what the bank owes for services: negative
DONATION_POOL = "pool:donation"
EXPIRED = "sink:expired"
REDEEMED = "sink:redeemed"
WRITTEN_OFF = "sink:written_off"  # the one sink that may go below zero

UnitLevel = Literal["district", "street", "community"]
OrganisationKind = Literal["volunteer", "social_work", "studio", "university", "partner"]
MemberRole = Literal["volunteer", "social_worker", "community_worker", "grid_worker", "resident"]
AgeBand = Literal["under_18", "18_59", "60_69", "70_79", "80_plus"]
Capacity = Literal["volunteer", "on_duty"]
Evidence = Literal["checked", "attested", "backfilled", "self_reported"]
GradeName = Literal["G1", "G2", "G3", "G4"]
RewardKind = Literal["peer_service", "benefit"]
Level = Literal["assistant", "social_worker", "senior"]
AchievementKind = Literal[
    "training",
    "supervision_given",
    "supervision_received",
    "project",
    "case",
    "competition",
    "lecture",
]
Source = Literal[
    "certificate",
    "training",
    "supervision_given",
    "supervision_received",
    "project",
    "case",
    "competition",
    "lecture",
    "professional_service",
]
Outcome = Literal["basic", "good", "excellent"]
Prize = Literal["third", "second", "first"]
NeedRoute = Literal["volunteer", "professional", "mixed", "refer"]
Verdict = Literal["upheld", "dismissed"]
Computed = Literal["G1", "G2", "G3", "G4", "UNGRADED"]
Tier = Literal["CERTIFIED", "PROFESSIONAL", "SUPERVISING_EXPERT"]
KpiId = Literal[
    "certification_rate",
    "registration_current_rate",
    "tiers",
    "grades",
    "supervisors",
    "supervision_index",
    "training_conversion_rate",
    "satisfaction_rate",
    "converted_categories",
    "needs_resolved",
    "time_to_assess_minutes",
    "accept_latency_minutes",
    "acceptance_rate",
    "rating_coverage",
    "on_time_recording_rate",
    "backfill_share",
    "overlap_minutes",
    "capped_credits",
    "credits_outstanding",
    "pool_balance",
    "redemption_ratio",
    "lot_age_days",
    "cases",
    "projects_incubated",
    "projects_promoted",
    "promotion_rate",
    "competition_entrants",
    "partners",
    "bases",
    "experts",
    "lectures",
    "pairs",
]
"""The figures of the KPI board (DOMAIN, section 9)."""


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

    @property
    def stock_lines(self) -> tuple[Line, ...]:
        """What it changes of the stock of rewards, in items: `stock:<code>` and how many."""
        return ()


def account_streams(entries: tuple[Line, ...]) -> tuple[str, ...]:
    """The streams of the persons whose accounts the lines move."""
    streams: dict[str, None] = {}
    for account, _ in entries:
        kind, _, rest = account.partition(":")
        if kind == "person":
            streams[f"account:{rest.partition(':')[0]}"] = None
    return tuple(streams)
