"""The quantities of the time bank, its identifiers and instants, and the one way to say no."""

from datetime import UTC, datetime
from typing import NewType

import uuid_utils

Minutes = NewType("Minutes", int)
"""Whole minutes of service really given."""
Credits = NewType("Credits", int)
"""Whole credit-minutes: what the time bank owes; 60 are one coin."""
Points = NewType("Points", int)
"""Whole professional points."""

FULL_RATE_BPS = 10_000
MICROSECOND = 1
SECOND = 1_000_000 * MICROSECOND
MINUTE = 60 * SECOND


class Refused(Exception):
    """The ledger's no: a stable `code` for programs, `params` for the sentence in `refusals`.

    `pointer` (RFC 6901) names the field of the request that the refusal is about, where one is.
    """

    def __init__(self, code: str, /, pointer: str | None = None, **params: object) -> None:
        super().__init__(code, params)
        self.code = code
        self.pointer = pointer
        self.params = params

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.code} ({said})" if said else self.code


def new_id() -> str:
    """A fresh UUID, version 7 (RFC 9562): lower case, with hyphens, ordered by time of making."""
    return str(uuid_utils.uuid7())


def instant_text(at: datetime) -> str:
    """RFC 3339 in UTC, `Z`, as short as exact: microseconds only where there are some."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat()[:-6] + "Z"  # `+00:00` is six characters


def recorded_text(at: datetime) -> str:
    """RFC 3339 in UTC with always six digits after the second, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def id_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID's text."""
    return bytes.fromhex(text.replace("-", ""))


def instant(text: str) -> datetime:
    """The aware instant that `instant_text` or `recorded_text` wrote."""
    return datetime.fromisoformat(text)


def epoch_micros(at: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z, exactly (no float on the way)."""
    delta = at - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def minutes_between(earlier: str, later: str) -> int:
    """Whole minutes from one instant to another; the part of a minute is dropped."""
    return (epoch_micros(instant(later)) - epoch_micros(instant(earlier))) // MINUTE


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
