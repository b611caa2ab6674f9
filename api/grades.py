"""Grades over HTTP: overrides by administrators, and what holds of a subject."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Day, Reason
from api.call import Call
from api.contract import (
    ADMINS,
    EVERYONE,
    PATH_PARTS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.members import sight_of
from ledger.commands import OverrideGrade
from ledger.desk import Done
from ledger.events import GradeName, GradeOverridden
from ledger.keys import Key
from projections import directory, grades
from projections.listing import Listed
from projections.page import published

TAG = "Grades"

Subject = Annotated[str, Field(pattern=PATH_PARTS["subject"].pattern)]


class OverrideAsk(Ask):
    """Which grade holds until when, and why."""

    entering = ("reason",)

    grade: GradeName
    reason: Reason
    until: Annotated[Day, Field(description="The last date.")]


class OverrideWritten(Written):
    """An override that was just made."""

    subject: Subject
    grade: GradeName
    reason: str
    until: DayText


class Override(BaseModel):
    """What an administrator said of a subject last."""

    grade: GradeName
    reason: str
    until: DayText
    recorded_at: InstantText


class Grade(BaseModel):
    """A subject's grade today."""

    subject: Subject
    value: Literal["G1", "G2", "G3", "G4", "UNGRADED"]
    override: Override | None
    position: Annotated[int | None, Field(description="Of the override.")]


class GradePage(Page):
    """Grades of the subjects that have an override."""

    data: list[Grade]


class GradesQuery(PageQuery):
    """All subjects, or one."""

    subject: Subject | None = None


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


async def listing(call: Call) -> web.Response:
    """The grades that the caller may see."""
    query: GradesQuery = call.query
    return await answer_page(
        call, _visible_grades, call.key, query.after, query.limit, query.subject
    )


async def item(call: Call) -> web.Response:
    """One subject's grade."""
    return await call.read(_visible_grade, call.key, call.path["subject"])


def _visible_grades(
    connection: Connection, key: Key, after: int, limit: int, subject: str | None
) -> Listed:
    if key.role not in ("admin", "auditor"):
        subject = subject or _own_subject(key)
        if not _is_visible(connection, key, subject):
            return Listed([], None)
    return grades.listing(connection, _today(connection), after, limit, subject)


def _visible_grade(connection: Connection, key: Key, subject: str) -> Fields | None:
    if not _is_visible(connection, key, subject):
        return None
    found = grades.listing(connection, _today(connection), subject=subject).items
    nothing = {"subject": subject, "value": grades.UNGRADED, "override": None, "position": None}
    return found[0] if found else nothing


def _own_subject(key: Key) -> str:
    return f"member:{key.member_id}" if key.role == "member" else f"organisation:{key.organisation}"


def _is_visible(connection: Connection, key: Key, subject: str) -> bool:
    """Does the subject stand before this caller? An organisation sees itself and its members."""
    kind, _, name = subject.partition(":")
    if kind == "member":
        return sight_of(connection, key, name) is not None
    if kind != "organisation" or directory.organisation(connection, name) is None:
        return False
    return key.role in ("admin", "auditor") or key.organisation == name


def _today(connection: Connection) -> date:
    return published(connection).recording(datetime.now(UTC)).today


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
        method="GET",
        path="/v1/grades",
        handler=listing,
        operation="list_grades",
        tag=TAG,
        summary_zh="分级列表",
        summary_en="List the grades that were said by override",
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
        summary_zh="一个对象的分级",
        summary_en="Get a subject's grade",
        roles=EVERYONE,
        answers={200: Grade},
    ),
]
