"""What grades and supervision indexes are counted from: the facts of the journal themselves.

No view is read: what a job says of a window follows from the journal up to a position alone.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ledger import journal, store
from ledger.commands import Counts, IndexCounts
from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    Entry,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    MemberChanged,
    MemberRegistered,
    OrderCheckedIn,
    OrderDecided,
    OrderRated,
    SubmittedHoursVerified,
    SupervisorAppointed,
    UnitAdded,
)
from ledger.policy import Policies
from ledger.rules.career import Career
from ledger.rules.supervision_index import last_day
from ledger.units import instant

GOOD_STARS = 4
"""A rating of so many, or more, counts as satisfied (DOMAIN, section 9)."""


class Window(NamedTuple):
    """Dates, both in it, and the position up to which they are counted."""

    first: date
    last: date
    counted_to: int

    def holds(self, day: str) -> bool:
        """Does a date lie in it?"""
        return self.first.isoformat() <= day <= self.last.isoformat()


class Quality:
    """What the subjects' windows hold: volunteers, organisations, projects."""

    def __init__(self, window: Window, policies: Policies) -> None:
        self.window = window
        self._policies = policies
        self._counts: dict[str, Counts] = {}
        self._served: dict[str, Counter[str]] = {}  # subject -> member -> minutes
        self._projects: dict[str, str] = {}  # record -> project, of those that have one

    def add(self, entry: Entry) -> None:
        """Take in one fact."""
        match entry.event:
            case HoursVerified() as event:
                self._note(event)
                self._serve(event.record_id, event.member_id, event.organisation, event)
            case HoursSubmitted() as event:
                self._note(event)
            case SubmittedHoursVerified() as event:
                self._serve(event.record_id, event.member_id, event.organisation, event)
            case HoursReversed() as event:
                self._serve(event.record_id, event.member_id, event.organisation, event)
                if event.for_cause and self.window.holds(self._day(event.recorded_at)):
                    project = self._projects.get(event.record_id)
                    for counts in self._of(event.member_id, event.organisation, project):
                        counts.for_cause += 1
            case OrderCheckedIn() as event if self.window.holds(self._day(event.at)):
                for counts in self._of(event.member_id, event.organisation, event.project_id):
                    counts.served += 1
                    counts.punctual += event.punctual
            case OrderRated() as event if self.window.holds(self._day(event.at)):
                for counts in self._of(event.member_id, event.dispatched_to, event.project_id):
                    counts.ratings += 1
                    counts.stars += event.stars
            case OrderDecided(outcome="upheld") as event if self.window.holds(self._day(event.at)):
                for counts in self._of(event.member_id, event.dispatched_to, event.project_id):
                    counts.upheld += 1

    def counts(self) -> dict[str, Counts]:
        """What each subject's window holds."""
        for subject, minutes in self._served.items():
            counts = self._counts.setdefault(subject, Counts())
            counts.minutes = sum(minutes.values())
            counts.volunteers = sum(found > 0 for found in minutes.values())
        return self._counts

    def _note(self, event: HoursVerified | HoursSubmitted) -> None:
        if event.project_id is not None:
            self._projects[event.record_id] = event.project_id

    def _serve(self, record_id: str, member_id: str, organisation: str, event: Any) -> None:
        if not event.minutes or not self.window.holds(event.served_on):
            return
        for subject in _subjects(member_id, organisation, self._projects.get(record_id)):
            self._served.setdefault(subject, Counter())[member_id] += event.minutes

    def _of(self, member_id: str, organisation: str, project_id: str | None) -> list[Counts]:
        subjects = _subjects(member_id, organisation, project_id)
        return [self._counts.setdefault(subject, Counts()) for subject in subjects]

    def _day(self, at: str) -> str:
        return self._policies.recording(instant(at)).today.isoformat()


def counted(
    connection: Connection, policies: Policies, last: date, days: int
) -> tuple[Window, dict[str, Counts]]:
    """What the window of so many days up to a date holds, by subject, as known now."""
    window = Window(last - timedelta(days=days - 1), last, store.last_position(connection))
    quality = Quality(window, policies)
    for entry in _recorded_since(connection, window):
        quality.add(entry)
    return window, quality.counts()


def graded(connection: Connection) -> set[str]:
    """The subjects that have a grade of some kind already."""
    return {name.partition(":")[2] for name in store.stream_names(connection, "grade:")}


def month_counted(
    connection: Connection, policies: Policies, month: str
) -> tuple[int, dict[str, IndexCounts]]:
    """What a month holds for each unit and all that lie in it, as known now; and up to where."""
    last = last_day(month)
    window = Window(last.replace(day=1), last, store.last_position(connection))
    field = _Field(connection)
    found = _Month(window, field, policies)
    for entry in _recorded_since(connection, window):
        found.add(entry)
    return window.counted_to, found.rolled_up()


class _Field:
    """The tree of units, where members live, who may supervise, what was learnt."""

    def __init__(self, connection: Connection) -> None:
        self.parents: dict[str, str | None] = {}
        self.homes: dict[str, str] = {}  # member -> unit
        self.seats: dict[str, tuple[str, str]] = {}  # appointment -> member, unit
        self.careers: dict[str, Career] = {}
        self.trainings: dict[str, tuple[str, str]] = {}  # achievement -> member, date
        self.given: dict[str, tuple[str, str, int]] = {}  # achievement -> member, date, hours
        self.applied: dict[str, str] = {}  # achievement -> date
        for prefix in ("unit:", "member:", "certification:", "appointment:", "achievement:"):
            for entry in journal.entries_of(connection, prefix):
                self._learn(entry)

    def _learn(self, entry: Entry) -> None:
        event: Any = entry.event
        match event:
            case UnitAdded():
                self.parents[event.code] = event.parent
            case MemberRegistered() | MemberChanged():
                self.homes[event.member_id] = event.unit or self.homes[event.member_id]
            case AchievementApproved(source="training"):
                self.trainings[event.achievement_id] = (event.member_id, event.on)
            case AchievementApproved(source="supervision_given"):
                hours = event.hours or 0
                self.given[event.achievement_id] = (event.member_id, event.on, hours)
            case AchievementApplied():
                self.applied[event.achievement_id] = event.on
            case AchievementReversed():
                self.trainings.pop(event.achievement_id, None)
                self.given.pop(event.achievement_id, None)
            case SupervisorAppointed():
                self.seats[event.appointment_id] = (event.member_id, event.unit)
        if entry.stream.startswith(("certification:", "appointment:")):
            career = self.careers.setdefault(event.member_id, Career())
            career.apply(event, entry.position)

    def above(self, unit: str) -> Iterator[str]:
        """A unit, and all that it lies in."""
        found: str | None = unit
        while found is not None:
            yield found
            found = self.parents.get(found)


class _Month:
    """What a month holds, by the unit that it happened in."""

    def __init__(self, window: Window, field: _Field, policies: Policies) -> None:
        self._window, self._field, self._policies = window, field, policies
        self._records: dict[str, tuple[str, str, str | None]] = {}  # member, place, supervisor
        self._minutes: dict[str, tuple[int, str]] = {}  # record -> minutes, service date
        self._ratings: Counter[tuple[str, bool]] = Counter()  # unit, is good

    def add(self, entry: Entry) -> None:
        """Take in one fact."""
        match entry.event:
            case HoursVerified() | HoursSubmitted() as event:
                said = (event.member_id, event.place, event.supervisor_id)
                self._records[event.record_id] = said
                if isinstance(event, HoursVerified) and self._window.holds(event.served_on):
                    self._minutes[event.record_id] = (event.minutes, event.served_on)
            case SubmittedHoursVerified() as event if self._window.holds(event.served_on):
                self._minutes[event.record_id] = (event.minutes, event.served_on)
            case HoursReversed() as event:
                self._minutes.pop(event.record_id, None)
            case OrderRated() as event:
                day = self._policies.recording(instant(event.at)).today.isoformat()
                if self._window.holds(day):
                    self._ratings[event.unit, event.stars >= GOOD_STARS] += 1

    def rolled_up(self) -> dict[str, IndexCounts]:
        """What each unit and all that lie in it come to."""
        field, counts = self._field, {unit: IndexCounts() for unit in self._field.parents}
        active: dict[str, set[str]] = {unit: set() for unit in field.parents}
        supervised: dict[str, set[str]] = {unit: set() for unit in field.parents}
        for record_id, (minutes, served_on) in self._minutes.items():
            if not minutes:
                continue
            member_id, place, supervisor_id = self._records[record_id]
            by = field.careers.get(supervisor_id or "")
            is_led = by is not None and by.has_appointment(date.fromisoformat(served_on))
            for unit in field.above(place):
                counts[unit].service_minutes += minutes
                active[unit].add(member_id)
                if is_led:
                    supervised[unit].add(member_id)
        for member_id, on, hours in field.given.values():
            if self._window.holds(on):
                for unit in field.above(field.homes[member_id]):
                    counts[unit].supervision_hours += hours
        self._add_trainings(counts)
        for (place, is_good), number in self._ratings.items():
            for unit in field.above(place):
                counts[unit].ratings += number
                counts[unit].satisfied_ratings += number if is_good else 0
        self._add_supervisors(counts)
        for unit, found in counts.items():
            found.active_volunteers = len(active[unit])
            found.supervised_volunteers = len(supervised[unit])
        return counts

    def _add_trainings(self, counts: dict[str, IndexCounts]) -> None:
        """Those put to use, or whose time for that is over, up to the month's end."""
        field, last = self._field, self._window.last
        days: int = self._policies.on(last)["kpi"]["conversion_days"]
        for achievement_id, (member_id, on) in field.trainings.items():
            end = date.fromisoformat(on) + timedelta(days=days)
            applied = field.applied.get(achievement_id)
            if applied is not None and applied > last.isoformat():
                applied = None
            if applied is None and end >= last:
                continue
            for unit in field.above(field.homes[member_id]):
                counts[unit].trainings_due += 1
                counts[unit].trainings_applied += applied is not None and applied <= str(end)

    def _add_supervisors(self, counts: dict[str, IndexCounts]) -> None:
        field, last = self._field, self._window.last
        for appointment_id, (member_id, seat) in field.seats.items():
            career = field.careers[member_id]
            first, end = career.appointments[appointment_id]
            if not first <= last.isoformat() <= end:
                continue
            for unit in field.above(seat):
                counts[unit].supervisors += 1
                counts[unit].registered_supervisors += career.registration(last) is not None


def _subjects(member_id: str, organisation: str, project_id: str | None) -> list[str]:
    found = [f"member:{member_id}", f"organisation:{organisation}"]
    return found if project_id is None else [*found, f"project:{project_id}"]


def _recorded_since(connection: Connection, window: Window) -> Iterator[Entry]:
    """What was recorded since a window begins, anywhere: nothing is recorded before it happens."""
    eve = window.first - timedelta(days=1)  # no zone is a whole day ahead of UTC
    after = journal.position_before(connection, f"{eve.isoformat()}T00:00:00.000000Z")
    for page in journal.all_entries(connection, after, window.counted_to):
        yield from page
