"""Facts about quality: grades as they were computed, appeals against them, supervision indexes.

Each says with its numbers what it was counted from, and up to which position of the journal.
"""

from ledger.events.facts import Computed, Event, Verdict


class GradeComputed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What a subject's window came to, and the grade that it has by that."""

    stream_prefix, stream_key = "grade", "subject"
    subject: str  # `member:<id>`, `organisation:<code>` or `project:<id>`
    as_of: str  # a date, the last of the window
    window_from: str  # its first date
    grade: Computed
    counted_to: int  # a position: what was recorded later is not in it
    policy_version: int
    ratings: int
    stars: int  # of all ratings
    served: int  # orders that were checked in
    punctual: int  # of them
    minutes: int  # of verified volunteer service
    volunteers: int  # with such a service
    upheld: int  # disputes
    for_cause: int  # reversals
    score: int | None = None  # in hundredths of a point, of 100 points; None: UNGRADED
    satisfaction: int | None = None  # components in hundredths; None: there is no data
    punctuality: int | None = None
    activity: int | None = None
    compliance: int | None = None
    rising: Computed | None = None  # better than the grade it has: once more, and it rises


class GradeAppealed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody asks that a subject's grade be looked at by a person."""

    stream_prefix, stream_key = "grade", "subject"
    subject: str
    appeal_id: str
    reason: str


class GradeAppealDecided(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Another actor has looked at it; an override, if there is one, is the next fact."""

    stream_prefix, stream_key = "grade", "subject"
    subject: str
    appeal_id: str
    outcome: Verdict
    reason: str


class SupervisionIndexComputed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What a month's supervision in a unit, and in all that lie in it, came to."""

    stream_prefix, stream_key = "index", "unit"
    unit: str
    month: str  # YYYY-MM
    counted_to: int  # a position: what was recorded later is not in it
    policy_version: int
    supervised_volunteers: int  # with a record under a supervisor whose appointment was in force
    active_volunteers: int
    supervision_hours: int
    service_minutes: int
    trainings_applied: int
    trainings_due: int
    satisfied_ratings: int
    ratings: int
    registered_supervisors: int
    supervisors: int
    value: int | None = None  # in hundredths of a point, of 100 points; None: there is no data
