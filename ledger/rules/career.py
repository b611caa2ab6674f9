"""A member's career: certificates and their terms, achievements, professional service, points.

What a year's hours come to is a function of all of them, whatever the order in which they were
recorded: the fold goes by their dates. So an award is what one more makes of the year's total, and
a reversal takes back what one less makes of it.
"""

from copy import copy
from datetime import date
from typing import NamedTuple

from ledger.events import (
    AchievementApproved,
    AchievementReversed,
    AppointmentEnded,
    Award,
    CertificationRevoked,
    CertificationVerified,
    Event,
    HoursReversed,
    HoursVerified,
    Level,
    MarkedService,
    ServiceCertified,
    Source,
    SubmittedHoursVerified,
    SupervisorAppointed,
    Term,
)

MINUTES_AN_HOUR = 60
LEVELS: tuple[Level, ...] = ("assistant", "social_worker", "senior")
"""From the lowest to the highest."""

Span = tuple[str, str]
"""Two dates, both in it, as events spell them."""


class Certificate(NamedTuple):
    """A certificate that was seen, and when it is registered."""

    level: Level
    worth: int  # points of its level
    terms: tuple[Span, ...] = ()
    revoked_from: str | None = None

    def term_on(self, day: str) -> Span | None:
        """The term of registration that is in force on a date."""
        if self.revoked_from is not None and day >= self.revoked_from:
            return None
        return next((term for term in self.terms if term[0] <= day <= term[1]), None)


class Hours(NamedTuple):
    """An achievement that is counted by hours."""

    on: str
    hours: int
    per_hour: int
    yearly_cap: int | None


class Service(NamedTuple):
    """A verified professional service record."""

    organisation: str
    on: str
    minutes: int
    per_hour: int
    certified: bool


class Registration(NamedTuple):
    """A registration in force."""

    certification_id: str
    level: Level
    first: str
    last: str


class Career:
    """What a member is and has done as a professional, folded from the facts that tell it."""

    def __init__(self) -> None:
        self.points = 0
        self.certificates: dict[str, Certificate] = {}
        self.hours: dict[tuple[Source, str], dict[str, Hours]] = {}  # by source and year
        self.achieved: dict[str, tuple[Source, str]] = {}  # of all kinds: source and date
        self.services: dict[str, Service] = {}  # by record
        self.certified: dict[str, int] = {}  # year -> minutes of service times points an hour
        self.appointments: dict[str, Span] = {}

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this career."""
        if isinstance(event, Award | MarkedService | HoursVerified | SubmittedHoursVerified):
            self.points += event.points or 0
        match event:
            case CertificationVerified():
                self.certificates[event.certification_id] = Certificate(event.level, event.worth)
            case Term():
                before = self.certificates[event.certification_id]
                term = (event.in_force_from, event.in_force_to)
                after = before._replace(terms=(*before.terms, term))
                self.certificates[event.certification_id] = after
            case CertificationRevoked():
                before = self.certificates[event.certification_id]
                after = before._replace(revoked_from=event.effective_on)
                self.certificates[event.certification_id] = after
            case AchievementApproved():
                self.achieved[event.achievement_id] = (event.source, event.on)
                if event.hours is not None and event.per_hour is not None:
                    item = Hours(event.on, event.hours, event.per_hour, event.yearly_cap)
                    self._year(event.source, event.on)[event.achievement_id] = item
            case AchievementReversed():
                source, on = self.achieved.pop(event.achievement_id)
                self._year(source, on).pop(event.achievement_id, None)
            case HoursVerified() | SubmittedHoursVerified():
                self._serve(event)
            case HoursReversed():
                self.points += event.points or 0
                self._count(event.record_id, None)
            case MarkedService():
                served = self.services[event.record_id]
                is_certified = isinstance(event, ServiceCertified)
                self._count(event.record_id, served._replace(certified=is_certified))
            case SupervisorAppointed():
                self.appointments[event.appointment_id] = (event.first, event.last)
            case AppointmentEnded():
                first, _ = self.appointments[event.appointment_id]
                self.appointments[event.appointment_id] = (first, event.last)

    # -- what holds on a date ------------------------------------------------------------------

    def registration(self, day: date | str, without: str | None = None) -> Registration | None:
        """The highest registration in force on a date, perhaps without one certificate."""
        text = str(day)
        found = [
            Registration(certification_id, certificate.level, *term)
            for certification_id, certificate in self.certificates.items()
            if certification_id != without and (term := certificate.term_on(text)) is not None
        ]
        return max(found, key=lambda one: (LEVELS.index(one.level), one.last), default=None)

    def has_appointment(self, day: date) -> bool:
        """Is an appointment as a supervisor in force?"""
        text = day.isoformat()
        return any(first <= text <= last for first, last in self.appointments.values())

    def count(self, source: Source, day: date) -> int:
        """How many achievements of a kind there are up to a date."""
        text = day.isoformat()
        return sum(found == source and on <= text for found, on in self.achieved.values())

    def hours_given(self, after: date, day: date) -> int:
        """Hours of supervision given after a date and up to another."""
        first, last = after.isoformat(), day.isoformat()
        return sum(
            item.hours
            for (source, _), items in self.hours.items()
            if source == "supervision_given"
            for item in items.values()
            if first < item.on <= last
        )

    # -- what one more, or one less, comes to --------------------------------------------------

    def level_points(self, without: str | None = None) -> int:
        """The points of the highest level of a certificate that stands."""
        return max(
            (
                certificate.worth
                for certification_id, certificate in self.certificates.items()
                if certification_id != without and certificate.revoked_from is None
            ),
            default=0,
        )

    def award_of_hours(self, source: Source, achievement_id: str, item: Hours) -> int:
        """What one more achievement makes of its year's points."""
        items = self._year(source, item.on)
        return yearly_points({**items, achievement_id: item}) - yearly_points(items)

    def loss_of_hours(self, achievement_id: str) -> int:
        """What one less makes of them: not above zero."""
        source, on = self.achieved[achievement_id]
        items = self._year(source, on)
        left = {name: item for name, item in items.items() if name != achievement_id}
        return yearly_points(left) - yearly_points(items)

    def award_of_service(self, on: str, minutes: int, per_hour: int) -> int:
        """What one more certified service makes of its year's points."""
        before = self.certified.get(on[:4], 0)
        return (before + minutes * per_hour) // MINUTES_AN_HOUR - before // MINUTES_AN_HOUR

    def loss_of_service(self, record_id: str) -> int:
        """What one less makes of them: not above zero."""
        served = self.services.get(record_id)
        if served is None or not served.certified:
            return 0
        return self.award_of_service(served.on, -served.minutes, served.per_hour)

    def copied(self) -> "Career":
        """Another career of the same past, to see what a further fact would make of it."""
        other = copy(self)
        other.certificates, other.services = dict(self.certificates), dict(self.services)
        other.hours = {key: dict(items) for key, items in self.hours.items()}
        other.achieved, other.certified = dict(self.achieved), dict(self.certified)
        other.appointments = dict(self.appointments)
        return other

    # -- within --------------------------------------------------------------------------------

    def _year(self, source: Source, on: str) -> dict[str, Hours]:
        return self.hours.setdefault((source, on[:4]), {})

    def _serve(self, event: HoursVerified | SubmittedHoursVerified) -> None:
        minutes = event.duty_minutes or event.minutes
        served = Service(
            event.organisation,
            event.served_on,
            minutes,
            event.points_per_hour or 0,  # the policy may give none
            bool(event.certified),
        )
        self._count(event.record_id, served)

    def _count(self, record_id: str, served: Service | None) -> None:
        """Let a record count as it is now, or no more."""
        for one, sign in ((self.services.pop(record_id, None), -1), (served, 1)):
            if one is not None and one.certified:
                year = one.on[:4]
                worth = sign * one.minutes * one.per_hour
                self.certified[year] = self.certified.get(year, 0) + worth
        if served is not None:
            self.services[record_id] = served


def yearly_points(items: dict[str, Hours]) -> int:
    """What a year's hours of one source come to: in the order of their dates, up to the caps.

    One more never makes it less, so that no award is below zero.
    """
    points = 0
    for _, item in sorted(items.items(), key=lambda one: (one[1].on, one[0])):
        more = points + item.hours * item.per_hour
        capped = more if item.yearly_cap is None else min(more, item.yearly_cap)
        points = max(points, capped)
    return points
