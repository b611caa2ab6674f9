"""Four-colour grades: computed from a window of counts, overridden, appealed against.

The score, in hundredths of a point of 100, is the mean of four components by the policy's weights
(DOMAIN, section 8). A fall counts at once; a rise needs two computations on different dates in a
row above the present grade, and goes to the lower of the two.
"""

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from ledger.commands import AppealGrade, ComputeGrade, Counts, DecideAppeal, OverrideGrade
from ledger.events import (
    Computed,
    Event,
    GradeAppealDecided,
    GradeAppealed,
    GradeComputed,
    GradeName,
    GradeOverridden,
)
from ledger.policy import Policies
from ledger.rules.jobs import Job
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.projects import Project
from ledger.units import Refused

UNGRADED: Computed = "UNGRADED"
GRADES: tuple[GradeName, ...] = ("G1", "G2", "G3", "G4")
"""From the best to the worst: their names are in the order of letters."""

POINTS_FULL = 100
POINTS_A_STAR = 20
MINUTES_AN_HOUR = 60


class Grade:
    """The grade of one subject."""

    def __init__(self) -> None:
        self.override: GradeOverridden | None = None
        self.computed: GradeComputed | None = None
        self.appeal: GradeAppealed | None = None  # and not decided

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about the grade."""
        match event:
            case GradeOverridden():
                self.override = event
            case GradeComputed():
                self.computed = event
            case GradeAppealed():
                self.appeal = event
            case GradeAppealDecided():
                self.appeal = None

    def in_force(self, day: date) -> GradeName | None:
        """The grade on a date: what an override says until its end, else what was computed."""
        override, computed = self.override, self.computed
        if override is not None and day.isoformat() <= override.until:
            return override.grade
        if computed is None or computed.grade == "UNGRADED":
            return None
        return computed.grade


class Score(NamedTuple):
    """What counts come to, in hundredths of a point of 100; None where there is no data."""

    satisfaction: int | None
    punctuality: int | None
    activity: int | None
    compliance: int | None
    score: int | None
    grade: Computed


def scored(counts: Counts, kind: str, numbers: Mapping[str, Any]) -> Score:
    """The components, the score and its band; too few ratings or hours are UNGRADED.

    Components are rounded half to even for show alone: the score is of the exact ones.
    """
    components: dict[str, Fraction | None] = {
        "satisfaction": _share(counts.stars * POINTS_A_STAR, counts.ratings),
        "punctuality": _share(counts.punctual * POINTS_FULL, counts.served),
        "activity": _activity(counts, kind, numbers["activity_hours"]),
        "compliance": Fraction(
            max(
                0,
                POINTS_FULL - numbers["compliance_deduction"] * (counts.upheld + counts.for_cause),
            )
        ),
    }
    hundredths = {name: _hundredths(part) for name, part in components.items()}
    enough = (
        counts.ratings >= numbers["ratings_min"]
        and counts.minutes >= numbers["hours_min"] * MINUTES_AN_HOUR
    )
    score = _hundredths(weighted(components, numbers["weights"])) if enough else None
    if score is None:
        return Score(**hundredths, score=None, grade=UNGRADED)
    floors = numbers["floors_hundredths"]
    band: GradeName = next((name for name in GRADES[:3] if score >= floors[name]), "G4")
    return Score(**hundredths, score=score, grade=band)


def weighted(
    components: Mapping[str, Fraction | None], weights: Mapping[str, int]
) -> Fraction | None:
    """The mean by weights of the components that there are; None where none has a weight."""
    there = {name: part for name, part in components.items() if part is not None}
    whole = sum(weights[name] for name in there)
    if not whole:
        return None
    return sum((part * weights[name] for name, part in there.items()), Fraction(0)) / whole


def compute_grade(command: ComputeGrade, grade: Grade, job: Job, policies: Policies) -> list[Event]:
    """Say what a window came to; nothing new where a member's grade stays as it is.

    Of an organisation or a project, of which there are few, each change of the score is told.
    """
    if job.is_past(command.as_of):
        return []
    day = policies.recording(command.as_of).today
    counts, before = command.counts, grade.computed
    kind, _, _ = command.subject.partition(":")
    found = scored(counts, kind, policies.on(day)["grade"])
    now: Computed = UNGRADED if before is None else before.grade
    graded, rising = _next(now, before, found.grade, day.isoformat())
    same = (graded, rising) == (now, None if before is None else before.rising)
    if same and (kind == "member" or found.score == (None if before is None else before.score)):
        return []
    return [
        GradeComputed(
            subject=command.subject,
            as_of=day.isoformat(),
            window_from=command.window_from.isoformat(),
            grade=graded,
            counted_to=command.counted_to,
            policy_version=policies.version,
            ratings=counts.ratings,
            stars=counts.stars,
            served=counts.served,
            punctual=counts.punctual,
            minutes=counts.minutes,
            volunteers=counts.volunteers,
            upheld=counts.upheld,
            for_cause=counts.for_cause,
            score=found.score,
            satisfaction=found.satisfaction,
            punctuality=found.punctuality,
            activity=found.activity,
            compliance=found.compliance,
            rising=rising,
        )
    ]


def override_grade(
    command: OverrideGrade,
    grade: Grade,
    policies: Policies,
    organisation: Organisation | None = None,
    member: Member | None = None,
    project: Project | None = None,
) -> list[Event]:
    """Say what a subject's grade is until a date, whatever it would come to."""
    _known_or_refuse(command.subject, organisation, member, project)
    said = (command.subject, command.grade, command.reason, command.until)
    return [_overridden(*said, policies, command.at)]


def appeal_grade(
    command: AppealGrade,
    grade: Grade,
    organisation: Organisation | None = None,
    member: Member | None = None,
    project: Project | None = None,
) -> list[Event]:
    """Ask that a person look at a grade: the member, or the organisation whose subject it is."""
    _known_or_refuse(command.subject, organisation, member, project)
    kind, _, name = command.subject.partition(":")
    if not command.by_admin:
        mine = command.organisation is None and name == command.actor_member
        ours = (
            (kind == "organisation" and name == command.organisation)
            or (member is not None and command.organisation in member.organisations)
            or (project is not None and _owner(project) == command.organisation)
        )
        if not (mine if command.organisation is None else ours):
            raise Refused("not_found", what=command.subject)
    if grade.appeal is not None:
        raise Refused("wrong_state", before="appealed", after="appealed")
    if grade.override is None and grade.computed is None:
        raise Refused("wrong_state", before=UNGRADED, after="appealed")
    return [
        GradeAppealed(subject=command.subject, appeal_id=command.appeal_id, reason=command.reason)
    ]


def decide_appeal(
    command: DecideAppeal, grade: Grade, policies: Policies, author: str = ""
) -> list[Event]:
    """Decide an appeal: another actor than its author; an upheld one may say which grade holds."""
    if grade.appeal is None:
        raise Refused("wrong_state", before="decided", after=command.outcome)
    if author == command.actor_name:
        raise Refused("second_person_needed")
    decided = GradeAppealDecided(
        subject=command.subject,
        appeal_id=grade.appeal.appeal_id,
        outcome=command.outcome,
        reason=command.reason,
    )
    if command.grade_name is None or command.until is None:
        return [decided]
    return [
        decided,
        _overridden(
            command.subject,
            command.grade_name,
            command.reason,
            command.until,
            policies,
            command.at,
        ),
    ]


def _next(
    now: Computed, before: GradeComputed | None, found: Computed, day: str
) -> tuple[Computed, Computed | None]:
    """The grade after a computation, and the one that it would rise to with a second."""
    if before is None or UNGRADED in (now, found) or found >= now:
        return found, None
    if before.rising is None or before.as_of >= day:  # the first of two, or of the same date
        return now, found
    risen = max(before.rising, found)  # the lower of the two
    return risen, found if found < risen else None


def _overridden(
    subject: str, grade: GradeName, reason: str, until: date, policies: Policies, at: datetime
) -> GradeOverridden:
    today = policies.recording(at).today
    if until < today:
        raise Refused("over_already", until=until.isoformat(), today=today.isoformat())
    return GradeOverridden(subject=subject, grade=grade, reason=reason, until=until.isoformat())


def _known_or_refuse(
    subject: str,
    organisation: Organisation | None,
    member: Member | None,
    project: Project | None,
) -> None:
    known = (
        (organisation is not None and organisation.added is not None)
        or (member is not None and member.home is not None)
        or (project is not None and project.begun is not None)
    )
    if not known:
        raise Refused("not_found", what=subject)


def _owner(project: Project) -> str | None:
    return None if project.begun is None else project.begun.organisation


def _activity(counts: Counts, kind: str, full_hours: int) -> Fraction | None:
    """Verified hours of those that make it full; of an organisation for each active volunteer."""
    people = counts.volunteers if kind == "organisation" else min(1, counts.volunteers)
    share = _share(counts.minutes * POINTS_FULL, people * full_hours * MINUTES_AN_HOUR)
    return None if share is None else min(share, Fraction(POINTS_FULL))


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _hundredths(points: Fraction | None) -> int | None:
    """In hundredths, half to even."""
    return None if points is None else round(points * 100)
