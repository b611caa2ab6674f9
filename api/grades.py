"""Grades over HTTP: as they were computed and why, overrides, appeals; supervision indexes."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Code, Day, Reason, Uuid
from api.call import Call
from api.contract import (
    ADMINS,
    EVERYONE,
    PATH_PARTS,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.members import Sight, sight_of
from api.problems import FieldError, Invalid
from ledger.commands import AppealGrade, DecideAppeal, OverrideGrade
from ledger.desk import Done
from ledger.events import Computed, GradeAppealDecided, GradeName, GradeOverridden, Verdict
from ledger.keys import Key, Role
from ledger.rules.grading import POINTS_FULL
from ledger.units import new_id
from projections import board, directory, grades, shelves
from projections.field_shelves import PROJECTS
from projections.listing import Item, Listed
from projections.page import published

TAG = "Grades"
GRADE = "grade/1"
INDEX = "supervision_index/1"
"""What a figure is, and the version of its definition."""

APPELLANTS: frozenset[Role] = VERIFIERS | {"member"}

Subject = Annotated[str, Field(pattern=PATH_PARTS["subject"].pattern)]
AsOf = Annotated[
    Day | None, Field(description="As it was known at the end of that date; default: now.")
]


class OverrideAsk(Ask):
    """Which grade holds until when, and why."""

    entering = ("reason",)

    grade: GradeName
    reason: Reason
    until: Annotated[Day, Field(description="The last date.")]


class AppealAsk(Ask):
    """Why a person should look at it."""

    entering = ("reason",)

    reason: Reason


class AppealDecisionAsk(Ask):
    """What is decided; an upheld appeal may say which grade holds until when."""

    entering = ("reason",)

    outcome: Verdict
    reason: Reason
    grade: GradeName | None = None
    until: Annotated[Day | None, Field(description="The last date, where a grade is said.")] = None


class OverrideWritten(Written):
    """An override that was just made."""

    subject: Subject
    grade: GradeName
    reason: str
    until: DayText


class AppealWritten(Written):
    """An appeal after what was just written."""

    id: Uuid
    subject: Subject
    status: Literal["open", "upheld", "dismissed"]


Why = Annotated[str | None, Field(description="Null for an organisation that has joined.")]


class Override(BaseModel):
    """What an administrator said of a subject last."""

    grade: GradeName
    reason: Why
    until: DayText
    recorded_at: InstantText


class Appeal(BaseModel):
    """The last appeal against a grade."""

    id: Uuid
    reason: Why
    status: Literal["open", "upheld", "dismissed"]
    decided_reason: str | None
    recorded_at: InstantText


class Components(BaseModel):
    """In hundredths of a point of 100; null where there is no data."""

    satisfaction: int | None
    punctuality: int | None
    activity: int | None
    compliance: int | None


class GradeInputs(BaseModel):
    """What the window holds."""

    ratings: int
    stars: Annotated[int, Field(description="Of all ratings together.")]
    served: Annotated[int, Field(description="Orders that were checked in.")]
    punctual: int
    minutes: Annotated[int, Field(description="Of verified volunteer service.")]
    volunteers: Annotated[int, Field(description="With such a service.")]
    upheld: Annotated[int, Field(description="Disputes.")]
    for_cause: Annotated[int, Field(description="Reversals.")]


class Grade(BaseModel):
    """A subject's grade, with what made it."""

    id: Subject
    subject: Subject
    value: Annotated[Computed, Field(description="What holds: an override, else as computed.")]
    colour: Annotated[str | None, Field(description="The policy's label.")]
    definition: str
    computed: Computed | None
    score: Annotated[int | None, Field(description="In hundredths of a point of 100.")]
    numerator: Annotated[
        int | None,
        Field(
            description="Components (hundredths) by their weights, summed; "
            "the score is of the unrounded ones."
        ),
    ]
    denominator: Annotated[int | None, Field(description="The weights of those that have data.")]
    components: Components
    inputs: GradeInputs | None
    rising: Annotated[
        Computed | None, Field(description="Better than the grade: once more, and it rises.")
    ]
    as_of: Annotated[DayText | None, Field(description="The last date of the window.")]
    window_from: DayText | None
    confirmed_as_of: Annotated[
        InstantText | None, Field(description="Up to when the job found it unchanged.")
    ]
    policy_version: int | None
    counted_to: Annotated[int | None, Field(description="The last position that was counted.")]
    events: Annotated[str | None, Field(description="The events that it was counted from.")]
    override: Override | None
    appeal: Appeal | None
    position: Annotated[int | None, Field(description="Of the last fact about it.")]


class GradePage(Page):
    """Grades of the subjects that have one of some kind."""

    data: list[Grade]


class IndexInputs(BaseModel):
    """What the month holds in the unit and in all that lie in it."""

    supervised_volunteers: int
    active_volunteers: int
    supervision_hours: int
    service_minutes: int
    trainings_applied: int
    trainings_due: int
    satisfied_ratings: int
    ratings: int
    registered_supervisors: int
    supervisors: int


class SupervisionIndex(BaseModel):
    """The supervision index of a unit and a month."""

    id: Annotated[str, Field(description="`<unit>/<month>`")]
    unit: Code
    month: str
    value: Annotated[int | None, Field(description="In hundredths of a point of 100.")]
    definition: str
    numerator: Annotated[int | None, Field(description="The value.")]
    denominator: Annotated[int, Field(description="A full index: 10 000.")]
    inputs: IndexInputs
    policy_version: int
    counted_to: int
    events: str
    recorded_at: InstantText
    position: int


class SupervisionIndexPage(Page):
    """Supervision indexes, in the order in which they were computed."""

    data: list[SupervisionIndex]


class GradesQuery(PageQuery):
    """All subjects, or one, or those of a unit and of all that lie in it."""

    subject: Subject | None = None
    unit: Code | None = None
    as_of: AsOf = None


class GradeQuery(ReadQuery):
    """As of when."""

    as_of: AsOf = None


class IndexQuery(PageQuery):
    """Of which unit, with all that lie in it, and which month."""

    unit: Code | None = None
    month: Annotated[str | None, Field(pattern=PATH_PARTS["month"].pattern)] = None
    as_of: AsOf = None


async def override(call: Call) -> web.Response:
    """Say what a subject's grade is until a date."""
    asked: OverrideAsk = call.body
    command = OverrideGrade(
        **call.stamp(),
        subject=call.path["subject"],
        grade=asked.grade,
        reason=asked.reason,
        until=asked.until,
    )
    return await call.write(command, _overridden)


async def appeal(call: Call) -> web.Response:
    """Ask that a person look at a grade."""
    asked: AppealAsk = call.body
    command = AppealGrade(
        **call.stamp(),
        appeal_id=new_id(),
        subject=call.path["subject"],
        reason=asked.reason,
        organisation=call.key.organisation,
    )
    said = {"id": command.appeal_id, "subject": command.subject, "status": "open"}
    return await call.write(command, lambda done: (201, dict(said)))


async def decide(call: Call) -> web.Response:
    """Decide an appeal."""
    asked: AppealDecisionAsk = call.body
    if (asked.grade is None) != (asked.until is None):
        missing = "/until" if asked.until is None else "/grade"
        raise Invalid([FieldError(missing, "missing")])
    command = DecideAppeal(
        **call.stamp(),
        subject=call.path["subject"],
        outcome=asked.outcome,
        reason=asked.reason,
        grade_name=asked.grade,
        until=asked.until,
    )
    return await call.write(command, _decided)


def _overridden(done: Done) -> tuple[int, Fields]:
    event = done.entries[-1].event
    assert isinstance(event, GradeOverridden)  # noqa: S101  (the rule makes nothing else)
    said = {
        "subject": event.subject,
        "grade": event.grade,
        "reason": event.reason,
        "until": event.until,
    }
    return 201, said


def _decided(done: Done) -> tuple[int, Fields]:
    event = done.entries[0].event
    assert isinstance(event, GradeAppealDecided)  # noqa: S101  (the rule makes nothing else)
    return 200, {"id": event.appeal_id, "subject": event.subject, "status": event.outcome}


# --- looking up ----------------------------------------------------------------------------------


async def listing(call: Call) -> web.Response:
    """The grades that the caller may see."""
    query: GradesQuery = call.query
    return await answer_page(call, _visible_grades, call.key, query)


async def item(call: Call) -> web.Response:
    """One subject's grade."""
    query: GradeQuery = call.query
    return await call.read(_visible_grade, call.key, call.path["subject"], query.as_of)


async def indexes(call: Call) -> web.Response:
    """The supervision indexes; of a unit, of a month."""
    query: IndexQuery = call.query
    return await answer_page(call, _indexes, query)


def _visible_grades(connection: Connection, key: Key, query: GradesQuery) -> Listed:
    subject = query.subject
    sight: Sight | None = "whole"
    if key.role not in ("admin", "auditor"):
        subject = subject or _own_subject(key)
        sight = _sight_of(connection, key, subject)
    if sight is None:
        return Listed([], None)
    day, until = _moment(connection, query.as_of)
    page = grades.listing(
        connection, day, query.after, query.limit, subject=subject, unit=query.unit, until=until
    )
    told = [_shown(_explained(connection, found), sight) for found in page.items]
    return Listed(told, page.next)


def _visible_grade(
    connection: Connection, key: Key, subject: str, as_of: date | None
) -> Fields | None:
    sight = _sight_of(connection, key, subject)
    if sight is None:
        return None
    return _shown(grade_of(connection, subject, as_of), sight)


def _shown(found: Fields, sight: Sight) -> Fields:
    """A grade as it may be seen; what others know of the member stands in the why."""
    if sight == "whole":
        return found
    found |= dict.fromkeys(("score", "numerator", "denominator", "rising", "inputs", "events"))
    found["components"] = dict.fromkeys(found["components"])
    if found["override"] is not None:
        found["override"]["reason"] = None
    if found["appeal"] is not None:
        found["appeal"]["reason"] = found["appeal"]["decided_reason"] = None
    return found


def grade_of(connection: Connection, subject: str, as_of: date | None = None) -> Fields:
    """A subject's grade with what made it."""
    day, until = _moment(connection, as_of)
    return _explained(connection, grades.grade(connection, subject, day, until))


def _indexes(connection: Connection, query: IndexQuery) -> Listed:
    _, until = _moment(connection, query.as_of)
    page = grades.indexes(
        connection, query.after, query.limit, unit=query.unit, month=query.month, until=until
    )
    return Listed([_explained_index(found) for found in page.items], page.next)


def _explained(connection: Connection, found: Item) -> Item:
    """A grade with its colour, the quotient behind its score, and the way to its events."""
    policies = published(connection)
    day = found["as_of"]
    numbers = policies.on(_today(connection) if day is None else date.fromisoformat(day))["grade"]
    parts = found["components"]
    weights = {
        name: weight for name, weight in numbers["weights"].items() if parts[name] is not None
    }
    summed = sum(parts[name] * weight for name, weight in weights.items())
    scored = found["score"] is not None
    found["colour"] = numbers["colours"].get(found["value"])
    found["definition"] = GRADE
    found["numerator"] = summed if scored else None
    found["denominator"] = sum(weights.values()) if scored else None
    found["events"] = None
    if found["counted_to"] is not None:
        asked: dict[str, str | int] = {
            "type": ",".join(board.GRADED_FROM),
            "until": found["counted_to"],
        }
        kind, _, name = found["subject"].partition(":")
        if kind == "member":
            asked["member_id"] = name
        found["events"] = f"/v1/audit/events?{urlencode(asked, safe=',')}"
    return found


def _explained_index(found: Item) -> Item:
    """An index with the way to the events that it was counted from."""
    asked = {"type": ",".join(board.INDEXED_FROM), "until": found["counted_to"]}
    return {
        "id": f"{found['unit']}/{found['month']}",
        **found,
        "definition": INDEX,
        "numerator": found["value"],
        "denominator": 100 * POINTS_FULL,
        "events": f"/v1/audit/events?{urlencode(asked, safe=',')}",
    }


def _own_subject(key: Key) -> str:
    return f"member:{key.member_id}" if key.role == "member" else f"organisation:{key.organisation}"


def _sight_of(connection: Connection, key: Key, subject: str) -> Sight | None:
    """How much of a subject the caller sees: an organisation of itself, its members, its own.

    A project is its organisation's. Of a member whom it has joined it sees which grade holds.
    """
    kind, _, name = subject.partition(":")
    if kind == "member":
        return sight_of(connection, key, name)
    if kind == "project":
        found = shelves.item(connection, PROJECTS, name, key.organisation)
        return None if found is None or key.role == "member" else "whole"
    if directory.organisation(connection, name) is None:
        return None
    visible = key.role in ("admin", "auditor") or key.organisation == name
    return "whole" if visible else None


def _today(connection: Connection) -> date:
    return published(connection).recording(datetime.now(UTC)).today


def _moment(connection: Connection, as_of: date | None) -> tuple[date, int | None]:
    """The date that is asked about, and the last position then known; None: all."""
    if as_of is None:
        return _today(connection), None
    return as_of, board.position_at(connection, as_of)


ROUTES = [
    Route(
        method="POST",
        path="/v1/grades/{subject}/override",
        handler=override,
        operation="override_grade",
        tag=TAG,
        summary_zh="核定分级，至某日止",
        summary_en="Say what a subject's grade is until a date",
        roles=ADMINS,
        write=True,
        body=OverrideAsk,
        example={"grade": "G3", "reason": "抽查发现代签", "until": "2036-06-30"},
        answers={201: OverrideWritten},
        problems=("over_already", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/grades/{subject}/appeal",
        handler=appeal,
        operation="appeal_grade",
        tag=TAG,
        summary_zh="对分级提出申诉",
        summary_en="Ask that a person look at a grade",
        roles=APPELLANTS,
        write=True,
        body=AppealAsk,
        example={"reason": "迟到系系统故障"},
        answers={201: AppealWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/grades/{subject}/decide",
        handler=decide,
        operation="decide_grade_appeal",
        tag=TAG,
        summary_zh="裁决分级申诉（须另一人），可同时核定分级",
        summary_en="Decide an appeal; another actor than its author",
        roles=ADMINS,
        write=True,
        body=AppealDecisionAsk,
        example={
            "outcome": "upheld",
            "reason": "经核实属系统故障",
            "grade": "G2",
            "until": "2036-06-30",
        },
        answers={200: AppealWritten},
        problems=("wrong_state", "second_person_needed", "over_already", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/grades",
        handler=listing,
        operation="list_grades",
        tag=TAG,
        summary_zh="分级列表",
        summary_en="List the grades of subjects, as computed and as overridden",
        roles=EVERYONE,
        query=GradesQuery,
        answers={200: GradePage},
    ),
    Route(
        method="GET",
        path="/v1/grades/{subject}",
        handler=item,
        operation="get_grade",
        tag=TAG,
        summary_zh="一个对象的分级及其依据",
        summary_en="Get a subject's grade and what made it",
        roles=EVERYONE,
        query=GradeQuery,
        answers={200: Grade},
    ),
    Route(
        method="GET",
        path="/v1/supervision-index",
        handler=indexes,
        operation="list_supervision_indexes",
        tag=TAG,
        summary_zh="社工督导指数（按单位、月份）",
        summary_en="Supervision indexes by unit and month",
        roles=EVERYONE,
        query=IndexQuery,
        answers={200: SupervisionIndexPage},
    ),
]
