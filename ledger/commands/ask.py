"""What all commands have in common: who asks, when, and what the rule relies on."""

from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec

Keys = dict[str, str]
"""A rule's parameter -> the key of its state."""

EXPIRY = "expiry"
"""The job by which credits expire."""

LAPSES = "lapses"
"""The job by which registrations of certificates lapse."""

HOLDS = "holds"
"""The job by which holds of redemptions end."""

GRADES = "grades"
"""The job by which grades are computed."""

INDEX = "index"
"""The job by which the supervision indexes of the last month are computed."""

ORDERS = "orders"
"""The job by which orders time out, and close when they were rated long enough ago."""

AGES = "ages"
"""The job by which members come to their next age band."""

RETENTION = "retention"
"""The job by which personal data is erased that was kept long enough."""


class Stamp(TypedDict):
    """Who asks, as every command wants to know it."""

    actor: str
    actor_name: str
    actor_member: str | None
    by_admin: bool
    correlation_id: str


class Command(msgspec.Struct, kw_only=True):
    """Something asked: by whom, for which organisation, as part of which chain of facts."""

    actor: str  # key id, `cli` or `jobs`
    actor_name: str  # who that is; never enters an event
    actor_member: str | None = None  # the member behind the key, where it names one
    by_admin: bool = False
    correlation_id: str
    at: datetime = datetime.min.replace(tzinfo=UTC)  # set by the desk

    def relies_on(self) -> Keys:
        """The keys that the command alone tells."""
        raise NotImplementedError

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        """Further keys, that the states so far tell; none where they are all there."""
        return {}
