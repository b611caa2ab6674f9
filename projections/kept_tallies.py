"""Running totals by unit and date while facts change them, and the local date of each fact."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from operator import add
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from ledger.bulk_rows import upsert_many
from ledger.events import Entry
from ledger.policy import Policies
from ledger.units import instant, recorded_text
from projections.kept_rows import HELD_SHARE
from projections.schema import TALLIED, days, tallies


class KeptTallies:
    """The newest row of each unit, and the rows that are not stored yet.

    A row is the unit, the date and the totals in the order of TALLIED.
    """

    def __init__(self) -> None:
        self._newest: dict[str, list[Any]] | None = None  # not read yet
        self._changed: dict[tuple[str, str], list[Any]] = {}
        self._added: dict[tuple[str, str], list[int]] = {}  # by a page, until it is summed up

    def meet(self, connection: Connection) -> None:
        """Have the newest rows at hand: there are as many as units."""
        if self._newest is not None:
            return
        newest = select(tallies.c.unit, func.max(tallies.c.day).label("day")).group_by(
            tallies.c.unit
        )
        ends = newest.subquery()
        query = select(tallies).join(
            ends, (ends.c.unit == tallies.c.unit) & (ends.c.day == tallies.c.day)
        )
        self._newest = {row.unit: list(row) for row in connection.execute(query)}

    def of(self, unit: str, day: str) -> list[int]:
        """What a page adds to a unit's totals on a date, in the order of TALLIED: to be changed."""
        added = self._added.get((day, unit))
        if added is None:
            added = self._added[day, unit] = [0] * len(TALLIED)
        return added

    def sum_up(self) -> None:
        """Go on with the totals by what a page has added, in the order of dates."""
        assert self._newest is not None  # noqa: S101  (met before)
        for (day, unit), added in sorted(self._added.items()):
            before = self._newest.get(unit)
            totals = [0] * len(TALLIED) if before is None else before[2:]
            row = [unit, day, *map(add, totals, added)]
            self._newest[unit] = self._changed[unit, day] = row
        self._added.clear()

    def write(self, connection: Connection, held: int = 0) -> None:
        """Store what was changed, once more than a share of `held` is."""
        if len(self._changed) > held // HELD_SHARE:
            rows = [tuple(row) for _, row in sorted(self._changed.items())]
            upsert_many(connection, tallies, rows)
            self._changed.clear()

    def forget(self) -> None:
        """Let go of everything: it may not be what is stored."""
        self._newest = None
        self._changed.clear()
        self._added.clear()


class KeptDays:
    """The local dates of facts in the order of positions; no date comes before an earlier one."""

    def __init__(self) -> None:
        self._day: str | None = None  # the last; None: not read yet
        self._end = ""  # the instant at which it ends, as facts spell theirs

    def begun(
        self, connection: Connection, entries: Sequence[Entry], policies: Policies
    ) -> list[tuple[int, str]]:
        """The dates of some entries, each with the first position that has it."""
        if self._day is None:
            found = connection.execute(select(func.max(days.c.day))).scalar()
            self._day = found or ""
        if self._day:
            self._end = _end(self._day, policies)
        begun = [(entries[0].position, self._day)] if entries and self._day else []
        for entry in entries:
            at = entry.event.recorded_at
            if at and at >= self._end:
                day = policies.recording(instant(at)).today.isoformat()
                self._day = max(self._day, day)
                self._end = _end(self._day, policies)
                begun.append((entry.position, self._day))
        return begun

    def forget(self) -> None:
        """Let go of everything: it may not be what is stored."""
        self._day, self._end = None, ""


def _end(day: str, policies: Policies) -> str:
    """The instant at which a date ends in its zone."""
    on = date.fromisoformat(day)
    zone = ZoneInfo(policies.on(on)["zone"])
    return recorded_text(datetime.combine(on + timedelta(days=1), time(), zone))
