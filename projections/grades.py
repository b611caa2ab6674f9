"""Grades and supervision indexes: what was computed and said, and which of it holds."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Table, func, literal, or_, select

from ledger.commands import GRADES
from ledger.events import (
    GradeAppealDecided,
    GradeAppealed,
    GradeComputed,
    GradeOverridden,
    JobRan,
    SupervisionIndexComputed,
    encode,
)
from projections import schema
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import (
    grade_appeals,
    grade_computations,
    grade_overrides,
    graded_subjects,
    job_runs,
    subtree,
    supervision_indexes,
)

HEARS = frozenset(
    {
        *("GradeOverridden", "GradeComputed", "GradeAppealed", "GradeAppealDecided"),
        *("SupervisionIndexComputed", "JobRan"),
    }
)
UNGRADED = "UNGRADED"
COUNTED = (
    *("ratings", "stars", "served", "punctual", "minutes", "volunteers"),
    *("upheld", "for_cause"),
)
COMPONENTS = ("satisfaction", "punctuality", "activity", "compliance")
INDEXED = (
    *("supervised_volunteers", "active_volunteers", "supervision_hours", "service_minutes"),
    *("trainings_applied", "trainings_due", "satisfied_ratings", "ratings"),
    *("registered_supervisors", "supervisors"),
)

_SAID, _COMPUTED, _INDEX = grade_overrides.c, grade_computations.c, supervision_indexes.c


def project(page: Page) -> None:
    """A row for every computation and override; of each subject one that says what stands."""
    entries = page.of(HEARS)
    if not entries:
        return
    subjects, appeals = page.rows(graded_subjects), page.rows(grade_appeals)
    named: list[Any] = [entry.event for entry in entries]
    subjects.meet(page.connection, {one.subject: None for one in named if hasattr(one, "subject")})
    appeals.meet(
        page.connection, {one.appeal_id: None for one in named if hasattr(one, "appeal_id")}
    )
    for entry in entries:
        at, data = entry.position, encode(entry.event).decode()
        match entry.event:
            case GradeOverridden() as event:
                page.new(grade_overrides).append(
                    (at, event.subject, event.grade, event.reason, event.until, event.recorded_at)
                )
                if not subjects.has(event.subject):
                    subjects.add(event.subject, at, event.subject, None)
            case GradeComputed() as event:
                page.new(grade_computations).append(
                    (
                        *(at, event.subject, event.as_of, event.grade, event.score),
                        *(data, event.recorded_at),
                    )
                )
                if subjects.has(event.subject):
                    subjects.change(event.subject)["grade"] = event.grade
                else:
                    subjects.add(event.subject, at, event.subject, event.grade)
            case GradeAppealed() as event:
                appeals.add(
                    event.appeal_id,
                    *(at, event.appeal_id, event.subject, event.reason, "open", None),
                    *(event.recorded_at, at),
                )
            case GradeAppealDecided() as event:
                appeals.change(event.appeal_id).update(
                    status=event.outcome, decided_reason=event.reason, changed_position=at
                )
            case SupervisionIndexComputed() as event:
                page.new(supervision_indexes).append(
                    (at, event.unit, event.month, event.value, data, event.recorded_at)
                )
            case JobRan() as event:
                page.new(job_runs).append((at, event.job, event.as_of, event.recorded_at))


def in_force(connection: Connection, subject: str, day: date, position: int | None = None) -> str:
    """A subject's grade on a date, as known now or at a position."""
    said = _last(connection, select(_SAID.grade, _SAID.until), _SAID, subject, position)
    if said is not None and said.until >= day.isoformat():
        return str(said.grade)
    computed = _last(connection, select(_COMPUTED.grade), _COMPUTED, subject, position)
    return UNGRADED if computed is None else str(computed.grade)


def listing(
    connection: Connection,
    today: date,
    after: int = 0,
    limit: int = 50,
    subject: str | None = None,
    unit: str | None = None,
    until: int | None = None,
) -> Listed:
    """The subjects that have a grade of some kind, in the order in which they first had one."""
    column = graded_subjects.c
    query = select(graded_subjects)
    if subject is not None:
        query = query.where(column.subject == subject)
    if until is not None:
        query = query.where(column.position <= until)
    if unit is not None:
        query = query.where(or_(*(column.subject.in_(some) for some in _subjects_at(unit))))
    page = listed(
        connection, query, column.position, after, limit, lambda row: {"subject": row.subject}
    )
    subjects = [item["subject"] for item in page.items]
    return Listed(_grades(connection, subjects, today, until), page.next)


def grade(connection: Connection, subject: str, day: date, until: int | None = None) -> Item:
    """Everything about a subject's grade: what was computed and why, what was said."""
    (found,) = _grades(connection, [subject], day, until)
    return found


def _grades(
    connection: Connection, subjects: Sequence[str], day: date, until: int | None
) -> list[Item]:
    """The same of several subjects, in their order."""
    said, computed, appeals = (
        _newest(connection, table, subjects, until)
        for table in (grade_overrides, grade_computations, grade_appeals)
    )
    ran = select(job_runs.c.as_of).where(job_runs.c.job == GRADES)
    if until is not None:
        ran = ran.where(job_runs.c.position <= until)
    run = connection.execute(ran.order_by(job_runs.c.position.desc()).limit(1)).scalar()
    return [
        _told(subject, said.get(subject), computed.get(subject), appeals.get(subject), run, day)
        | {"appeal": _appeal(appeals.get(subject), until)}
        for subject in subjects
    ]


def _told(subject: str, said: Any, computed: Any, appeal: Any, run: str | None, day: date) -> Item:
    data = {} if computed is None else orjson.loads(computed.data)
    value = data.get("grade", UNGRADED)
    if said is not None and said.until >= day.isoformat():
        value = said.grade
    at = max((row.position for row in (said, computed, appeal) if row is not None), default=None)
    return {
        "id": subject,
        "subject": subject,
        "value": value,
        "computed": data.get("grade"),
        "score": data.get("score"),
        "as_of": data.get("as_of"),
        "window_from": data.get("window_from"),
        "confirmed_as_of": None if computed is None else run,
        "components": {name: data.get(name) for name in COMPONENTS},
        "inputs": {name: data[name] for name in COUNTED} if data else None,
        "rising": data.get("rising"),
        "policy_version": data.get("policy_version"),
        "counted_to": data.get("counted_to"),
        "override": None
        if said is None
        else {name: said._mapping[name] for name in ("grade", "reason", "until", "recorded_at")},
        "position": at,
    }


def _appeal(row: Any, until: int | None) -> Item | None:
    """An appeal as it was known at a position: what was decided later was open."""
    if row is None:
        return None
    decided = until is None or row.changed_position <= until
    return {
        "id": row.appeal_id,
        "reason": row.reason,
        "status": row.status if decided else "open",
        "decided_reason": row.decided_reason if decided else None,
        "recorded_at": row.recorded_at,
    }


def _newest(
    connection: Connection, table: Table, subjects: Sequence[str], until: int | None
) -> dict[str, Any]:
    """The last row of each of some subjects, as known now or at a position."""
    column = table.c
    last = select(func.max(column.position)).where(column.subject.in_(subjects))
    if until is not None:
        last = last.where(column.position <= until)
    query = select(table).where(column.position.in_(last.group_by(column.subject)))
    return {row.subject: row for row in connection.execute(query)}


def counted(
    connection: Connection, day: date, until: int | None = None, unit: str | None = None
) -> dict[str, dict[str, int]]:
    """How many subjects of each kind have each grade on a date, as known at a position."""
    column = graded_subjects.c
    if until is None:
        query = select(column.subject, column.grade)
    else:
        latest = (
            select(_COMPUTED.grade)
            .where(_COMPUTED.subject == column.subject, _COMPUTED.position <= until)
            .order_by(_COMPUTED.position.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = select(column.subject, latest.label("grade")).where(column.position <= until)
    if unit is not None:
        query = query.where(or_(*(column.subject.in_(some) for some in _subjects_at(unit))))
    overridden = set(
        connection.execute(
            select(_SAID.subject).where(_SAID.until >= day.isoformat()).distinct()
        ).scalars()
    )
    found: dict[str, dict[str, int]] = {}
    for subject, computed in connection.execute(query):
        name = computed or UNGRADED
        if subject in overridden:
            name = in_force(connection, subject, day, until)
        if name != UNGRADED:
            kind = subject.partition(":")[0]
            by_grade = found.setdefault(kind, dict.fromkeys(("G1", "G2", "G3", "G4"), 0))
            by_grade[name] += 1
    return found


def index(
    connection: Connection, unit: str, month: str | None = None, until: int | None = None
) -> Item | None:
    """A unit's index of a month, or of the last one that was computed, as known at a position."""
    query = select(supervision_indexes).where(_INDEX.unit == unit)
    if month is not None:
        query = query.where(_INDEX.month == month)
    if until is not None:
        query = query.where(_INDEX.position <= until)
    query = query.order_by(_INDEX.month.desc(), _INDEX.position.desc())
    row = connection.execute(query.limit(1)).first()
    return None if row is None else _index(row)


def indexes(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    unit: str | None = None,
    month: str | None = None,
    until: int | None = None,
) -> Listed:
    """The newest index of each unit and month, of a unit's subtree, in the order of recording."""
    newest = select(func.max(_INDEX.position)).group_by(_INDEX.unit, _INDEX.month)
    if unit is not None:
        newest = newest.where(_INDEX.unit.in_(select(subtree(unit).c.code)))
    if month is not None:
        newest = newest.where(_INDEX.month == month)
    if until is not None:
        newest = newest.where(_INDEX.position <= until)
    query = select(supervision_indexes).where(_INDEX.position.in_(newest))
    return listed(connection, query, _INDEX.position, after, limit, _index)


def _index(row: Any) -> Item:
    data = orjson.loads(row.data)
    return {
        "unit": row.unit,
        "month": row.month,
        "value": row.value,
        "policy_version": data["policy_version"],
        "counted_to": data["counted_to"],
        "inputs": {name: data[name] for name in INDEXED},
        "recorded_at": row.recorded_at,
        "position": row.position,
    }


def _last(
    connection: Connection, query: Select[Any], column: Any, subject: str, until: int | None
) -> Any:
    query = query.where(column.subject == subject)
    if until is not None:
        query = query.where(column.position <= until)
    return connection.execute(query.order_by(column.position.desc()).limit(1)).first()


def _subjects_at(unit: str) -> list[Select[Any]]:
    """The members who live in a unit's subtree, the organisations and projects there."""
    places = select(subtree(unit).c.code)
    members, organisations, projects = schema.members, schema.organisations, schema.projects
    return [
        select(literal("member:").concat(members.c.member_id)).where(members.c.unit.in_(places)),
        select(literal("organisation:").concat(organisations.c.code)).where(
            organisations.c.unit.in_(places)
        ),
        select(literal("project:").concat(projects.c.project_id)).where(
            projects.c.unit.in_(places)
        ),
    ]
