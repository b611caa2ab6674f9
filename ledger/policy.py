"""The rule book of numbers: its versions in time, what holds on a date, working days.

A version stores only its changes; version 1 is the defaults. For a date each key takes, among the
versions that change it, the one with the latest `effective_on` not after the date, then the later
version (DOMAIN, section 4, "Policies in time").
"""

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ledger.events import Event, PolicyPublished
from ledger.policy_keys import KEYS, ROUNDINGS
from ledger.policy_shapes import WrongShape
from ledger.units import FULL_RATE_BPS, Credits, Minutes

Values = Mapping[str, Any]
"""Key -> value, for one date."""

DEFAULTS: dict[str, Any] = {key: shape.default for key, shape in KEYS.items()}
"""Version 1: always in force."""


def wrong_shapes(changes: Mapping[str, Any]) -> list[WrongShape]:
    """Everything that is wrong with a publication's changes: unknown keys, shapes, ranges."""
    found: list[WrongShape] = []
    for key, value in changes.items():
        if key in KEYS:
            found.extend(KEYS[key].check((key,), value))
        else:
            found.append(WrongShape((key,), "unknown_key"))
    return found


def completed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as they are stored: objects whole, what was left out of one from the default."""
    return {key: _filled(value, DEFAULTS[key]) for key, value in changes.items()}


def _filled(value: Any, default: Any) -> Any:
    """An object with what it lacks, to any depth; whatever else as it is, null too."""
    if not (isinstance(value, dict) and isinstance(default, dict)):
        return value
    given = {name: _filled(inner, default.get(name)) for name, inner in value.items()}
    return {**default, **given}


class Recording(NamedTuple):
    """The policy in force when something is recorded."""

    at: datetime
    zone: ZoneInfo
    today: date
    values: Values


class Policies:
    """The state of the stream `policies`: every version so far, and what holds on a date."""

    def __init__(self) -> None:
        self.versions: list[PolicyPublished] = []
        self._values: dict[date, Values] = {}
        self._recording: Recording | None = None

    def apply(self, event: Event, position: int) -> None:
        """Take in one more version."""
        if isinstance(event, PolicyPublished):
            self.versions.append(event)
            self._values.clear()
            self._recording = None

    @property
    def version(self) -> int:
        """The newest version published, whatever its date."""
        return len(self.versions) + 1

    def on(self, day: date) -> Values:
        """Every key's value for a date."""
        values = self._values.get(day)
        if values is None:
            values = dict(DEFAULTS)
            text = day.isoformat()
            due = (v for v in self.versions if v.effective_on <= text)
            for version in sorted(due, key=lambda v: (v.effective_on, v.version)):
                values.update(version.changes)
            if len(self._values) > 4_096:
                self._values.clear()
            self._values[day] = values
        return values

    def begin(self, day: date) -> datetime:
        """The instant at which a date begins in the zone that holds on it."""
        return datetime.combine(day, time(), ZoneInfo(self.on(day)["zone"]))

    def recording(self, at: datetime) -> Recording:
        """What holds for what is recorded at an instant.

        The zone is that of the instant's UTC date, which is known without it; the rest goes by the
        date in that zone. All commands of a batch share their instant, so the last answer is kept.
        """
        if self._recording is None or self._recording.at != at:
            zone = ZoneInfo(self.on(at.astimezone(UTC).date())["zone"])
            today = at.astimezone(zone).date()
            self._recording = Recording(at, zone, today, self.on(today))
        return self._recording


def credits_for(minutes: Minutes, category: str, values: Values) -> tuple[Credits, int]:
    """Credits that minutes of a category earn, and the rate in basis points.

    `credits = rounded * rate // 10000`: what the floor drops is gone.
    """
    rate = values["credit_rate"]
    rate_bps: int = rate["by_category"].get(category, rate["default"])
    rounded = ROUNDINGS[values["rounding"]](minutes) if minutes else 0
    return Credits(rounded * rate_bps // FULL_RATE_BPS), rate_bps


def stars_for(minutes: int, values: Values) -> int:
    """The stars that so many service minutes are."""
    return sum(minutes >= threshold for threshold in values["stars"])


def last_day_on_time(ended_on: date, working_days: int, values: Values) -> date:
    """The last date on which a service that ended on `ended_on` is recorded on time.

    Weekends are free but for the listed working weekends; listed holidays are free.
    """
    calendar = values["calendar"]
    return _nth_working_day(
        ended_on, working_days, tuple(calendar["holidays"]), tuple(calendar["workdays"])
    )


def is_late(ended_on: date, today: date, when_recorded: Values, of_the_day: Values) -> bool:
    """Recorded after the working days that writing it down may take (MCA order 67, art. 11)."""
    working_days: int = when_recorded["late_recording"]["working_days"]
    if (today - ended_on).days <= working_days:
        return False  # working days never pass faster than days
    return today > last_day_on_time(ended_on, working_days, of_the_day)


def lot_end(dated: date, values: Values) -> str | None:
    """The date on which a lot of this date expires, as an event spells it; None: never."""
    expiry = values["expiry"]
    return None if expiry is None else months_after(dated, expiry["months"]).isoformat()


def months_after(day: date, months: int) -> date:
    """The same day so many months on; where that month has none, its last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=8_192)
def _nth_working_day(
    after: date, count: int, holidays: tuple[str, ...], workdays: tuple[str, ...]
) -> date:
    day = after
    while count > 0:
        day += timedelta(days=1)
        text = day.isoformat()
        if text in workdays or (day.weekday() < 5 and text not in holidays):
            count -= 1
    return day
