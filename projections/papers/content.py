"""What stands in a paper, whatever its form: a service statement, a professional certification.

Neither knows who the holder is. Minutes are whole minutes; dates are ISO 8601; instants are
RFC 3339 in UTC.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ledger.events import Level

Status = Literal["valid", "superseded", "revoked"]
Title = dict[str, str]
"""A title by language, `zh` and `en`."""


class ActivityLine(NamedTuple):
    """What a person did in one activity: a row of a statement's table."""

    activity: str
    category: str
    first_on: str  # the first and the last service date
    last_on: str
    records: int
    minutes: int
    late_minutes: int  # of the minutes: recorded later than the policy of that day allows


class LeftOut(NamedTuple):
    """What a statement does not count, and says so."""

    pending_records: int
    pending_minutes: int  # as posted; none of them is verified yet
    on_duty_records: int
    on_duty_minutes: int  # paid work, which is no volunteering


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What every paper has."""

    number: str
    status: Status
    organisation: str  # the code of the issuer
    organisation_name: str
    member_id: str
    issued_at: str
    issued_on: str  # the date of that instant in the ledger's zone
    position: int  # of its own entry in the log, and its place in the status lists
    leaf_hash: str  # of that entry, base64 (RFC 6962, section 2.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Paper):
    """A service statement: the minutes that one organisation has verified of one member."""

    title: Title
    served_from: str
    served_to: str
    minutes: int
    late_minutes: int
    records: int
    activities: tuple[ActivityLine, ...]
    left_out: LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Certification(Paper):
    """A professional certification as it stood when its paper was issued."""

    certification_id: str
    level: Level
    obtained_on: str
    in_force_from: str | None  # of the registration; None: not registered
    in_force_to: str | None
