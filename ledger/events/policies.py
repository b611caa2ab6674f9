"""Facts about policies and jobs: which numbers hold, and how far time has passed."""

from typing import Any

from ledger.events.facts import Event


class PolicyPublished(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Some keys of the rule book of numbers have new values from a date on."""

    stream_prefix, stream_key = "policies", ""
    version: int  # from 2; version 1 is the defaults
    effective_on: str
    changes: dict[str, Any]
    note: str | None = None


class JobRan(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All that was due as of an instant was done by a job; earlier instants are behind it."""

    stream_prefix, stream_key = "job", "job"
    job: str
    as_of: str  # RFC 3339, UTC
