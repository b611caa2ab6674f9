"""The rule book of numbers: keys with their defaults and shapes, versions in time, working days.

A version stores only its changes; version 1 is the defaults. For a date each key takes, among the
versions that change it, the one with the latest `effective_on` not after the date, then the later
version (DOMAIN, section 4, "Policies in time").
"""

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from ledger.events import Event, PolicyPublished
from ledger.units import FULL_RATE_BPS, Credits, Minutes

Values = Mapping[str, Any]
"""Key -> value, for one date."""

ROUNDINGS: dict[str, Callable[[int], int]] = {
    "exact": lambda minutes: minutes,
    "half_hour_floor": lambda minutes: minutes // 30 * 30,
    "hour_floor": lambda minutes: minutes // 60 * 60,
    "min_one_hour": lambda minutes: max(60, minutes),
}

DEFAULTS: dict[str, Any] = {
    "zone": "Asia/Shanghai",
    "credit_rate": {"default": FULL_RATE_BPS, "by_category": {}},
    "rounding": "exact",
    "late_recording": {"working_days": 10, "effect": "flag"},
    "calendar": {"holidays": [], "workdays": []},
    "backfill_window_days": 365,
    "daily_cap": None,
    "stock_cap": None,
    "overflow_to": "discard",
    "expiry": None,
}


class WrongShape(ValueError):
    """A published value that its key does not allow; `path` says where in `changes`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def wrong_shapes(changes: Mapping[str, Any]) -> list[WrongShape]:
    """Everything that is wrong with a publication's changes: unknown keys, shapes, ranges."""
    found: list[WrongShape] = []
    for key, value in changes.items():
        if key in SHAPES:
            found.extend(SHAPES[key](f"/{key}", value))
        else:
            found.append(WrongShape(f"/{_escaped(key)}", "unknown_key"))
    return found


def completed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as they are stored: objects whole, what was left out of one from the default."""
    return {
        key: {**(DEFAULTS[key] or {}), **value} if isinstance(value, dict) else value
        for key, value in changes.items()
    }


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


def last_day_on_time(ended_on: date, working_days: int, values: Values) -> date:
    """The last date on which a service that ended on `ended_on` is recorded on time.

    Weekends are free but for the listed working weekends; listed holidays are free.
    """
    calendar = values["calendar"]
    return _nth_working_day(
        ended_on, working_days, tuple(calendar["holidays"]), tuple(calendar["workdays"])
    )


def lot_end(dated: date, values: Values) -> str | None:
    """The date on which a lot of this date expires, as an event spells it; None: never."""
    expiry = values["expiry"]
    return None if expiry is None else months_after(dated, expiry["months"]).isoformat()


def months_after(day: date, months: int) -> date:
    """The same day so many months on; where that month has none, its last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


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


# --- shapes --------------------------------------------------------------------------------------

Shape = Callable[[str, Any], Iterator[WrongShape]]


def _up_to(most: int) -> Shape:
    """A whole number from 0 to `most`."""

    def check(path: str, value: Any) -> Iterator[WrongShape]:
        if type(value) is not int:  # a bool is no number
            yield WrongShape(path, "whole_number_expected")
        elif not 0 <= value <= most:
            yield WrongShape(path, "out_of_range")

    return check


def _one_of(*allowed: str) -> Shape:
    def check(path: str, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, str) or value not in allowed:
            yield WrongShape(path, "not_one_of_the_allowed")

    return check


def _zone(path: str, value: Any) -> Iterator[WrongShape]:
    if not isinstance(value, str) or value not in _zone_names():
        yield WrongShape(path, "unknown_zone")


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _object(**shapes: Shape) -> Shape:
    """An object with some of these keys; those left out take the default's value."""

    def check(path: str, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, dict):
            yield WrongShape(path, "object_expected")
            return
        for key, inner in value.items():
            if key in shapes:
                yield from shapes[key](f"{path}/{key}", inner)
            else:
                yield WrongShape(f"{path}/{_escaped(key)}", "unknown_key")

    return check


def _rates(path: str, value: Any) -> Iterator[WrongShape]:
    if not isinstance(value, dict):
        yield WrongShape(path, "object_expected")
        return
    rate = _up_to(10 * FULL_RATE_BPS)
    for category, rate_bps in value.items():
        yield from rate(f"{path}/{_escaped(category)}", rate_bps)


def _days(path: str, value: Any) -> Iterator[WrongShape]:
    if not isinstance(value, list):
        yield WrongShape(path, "list_expected")
        return
    for index, day in enumerate(value):
        if not _is_date(day):
            yield WrongShape(f"{path}/{index}", "date_expected")


def _escaped(key: str) -> str:
    """A key as a part of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != 10:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


SHAPES: dict[str, Shape] = {
    "zone": _zone,
    "credit_rate": _object(default=_up_to(10 * FULL_RATE_BPS), by_category=_rates),
    "rounding": _one_of(*ROUNDINGS),
    "late_recording": _object(working_days=_up_to(366), effect=_one_of("flag", "no_credit")),
    "calendar": _object(holidays=_days, workdays=_days),
    "backfill_window_days": _up_to(36_600),
    "daily_cap": lambda path, value: iter(()),
    "stock_cap": lambda path, value: iter(()),
    "overflow_to": lambda path, value: iter(()),
    "expiry": lambda path, value: iter(()),
}
