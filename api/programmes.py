"""Programmes 专项行动 over HTTP: open, enrol, complete, close, look up."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Code, Day, ReasonNeededAsk, Text, Texts, Uuid
from api.call import Call
from api.contract import EVERYONE, VERIFIERS, DayText, Fields, Page, PageQuery, Route
from api.field_facts import (
    FILING,
    STEPPING,
    Filed,
    FiledWritten,
    SearchQuery,
    answer_field,
    verb,
)
from api.lists import answer_page
from api.service_records import sight
from api.supervision import TermAsk
from ledger.commands import CloseProgramme, CompleteProgramme, EnrolMember, OpenProgramme
from ledger.desk import Done
from ledger.units import Refused, new_id
from projections import field_shelves as view
from projections import shelves
from projections.listing import Listed

Running = Literal["open", "closed"]


class ProgrammeAsk(TermAsk):
    """A programme is open from a date on, with an end or without one."""

    entering = ("name",)

    organisation: Code | None = None
    name: Text
    unit: Code
    tags: Texts = ()
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day | None, Field(alias="to")] = None


class PartAsk(Ask):
    """A member takes part in a programme, or has gone through it."""

    member_id: Uuid
    on: Annotated[Day | None, Field(description="Today, if none is named.")] = None


class CloseAsk(ReasonNeededAsk):
    """The programme is over."""

    on: Annotated[Day | None, Field(description="The last date; today, if none is named.")] = None


async def open_programme(call: Call) -> web.Response:
    """Open a programme."""
    asked: ProgrammeAsk = call.body
    command = OpenProgramme(
        **call.stamp(),
        programme_id=new_id(),
        organisation=call.acting_organisation(),
        name=asked.name,
        unit=asked.unit,
        tags=asked.tags,
        first=asked.first,
        last=asked.last,
    )
    return await call.write(command, lambda done: (201, _programme(done)))


async def enrol(call: Call) -> web.Response:
    """Let a member take part."""
    asked: PartAsk = call.body
    command = EnrolMember(**verb(call, "programme_id"), member_id=asked.member_id, on=asked.on)
    return await call.write(command, lambda done: (200, _programme(done)))


async def complete(call: Call) -> web.Response:
    """Say that a member has gone through it."""
    asked: PartAsk = call.body
    command = CompleteProgramme(
        **verb(call, "programme_id"), member_id=asked.member_id, on=asked.on
    )
    return await call.write(command, lambda done: (200, _programme(done)))


async def close(call: Call) -> web.Response:
    """End a programme."""
    asked: CloseAsk = call.body
    command = CloseProgramme(**verb(call, "programme_id"), last=asked.on, reason=asked.reason)
    return await call.write(command, lambda done: (200, _programme(done)))


def _programme(done: Done) -> Fields:
    programme = done.states["programme"]
    opened = programme.opened
    return {
        "id": opened.programme_id,
        "name": opened.name,
        "unit": opened.unit,
        "from": opened.first,
        "to": programme.last,
        "enrolled": len(programme.enrolled),
        "completed": len(programme.completed),
        "status": "closed" if programme.closed else "open",
        "position": programme.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class ProgrammesQuery(SearchQuery):
    """A search in the name: all that is given holds."""

    status: Running | None = None


async def programmes(call: Call) -> web.Response:
    """The programmes: everybody may search all of them."""
    return await answer_field(call, view.PROGRAMMES, "status")


async def programme(call: Call) -> web.Response:
    """One programme."""
    return await call.read(shelves.item, view.PROGRAMMES, call.path["id"])


async def enrolments(call: Call) -> web.Response:
    """Who takes part: for the programme's organisation and auditors; a member sees itself."""
    return await answer_page(call, _visible, call.path["id"], call.query, *sight(call))


def _visible(
    connection: Connection,
    programme_id: str,
    query: PageQuery,
    organisation: str | None,
    member_id: str | None,
) -> Listed:
    if shelves.item(connection, view.PROGRAMMES, programme_id, organisation) is None:
        raise Refused("not_found")
    return view.enrolled(connection, programme_id, member_id, query.after, query.limit)


# --- answers -------------------------------------------------------------------------------------


class ProgrammeWritten(FiledWritten):
    """A programme after what was just written."""

    name: str
    unit: Code
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText | None, Field(alias="to")]
    enrolled: int
    completed: int
    status: Running


class Programme(Filed):
    """A programme as it stands."""

    unit: Code
    name: str
    tags: list[str]
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText | None, Field(alias="to")]
    enrolled: Annotated[int, Field(description="How many members.")]
    completed: Annotated[int, Field(description="How many of them.")]
    status: Running


class ProgrammePage(Page):
    """Programmes, oldest first."""

    data: list[Programme]


class Enrolment(BaseModel):
    """A member who takes part in a programme."""

    member_id: Uuid
    enrolled_on: DayText
    completed_on: DayText | None


class EnrolmentPage(Page):
    """Who takes part, in the order in which they were enrolled."""

    data: list[Enrolment]


TAG = "Programmes"

ROUTES = [
    Route(
        method="POST",
        path="/v1/programmes",
        handler=open_programme,
        operation="open_programme",
        tag=TAG,
        summary_zh="启动专项行动",
        summary_en="Open a programme",
        roles=VERIFIERS,
        write=True,
        body=ProgrammeAsk,
        example={
            "name": "督导能力提升行动",
            "unit": "west-coast",
            "tags": ["1+6+N:6", "12345:3"],
            "from": "2026-03-01",
            "to": "2026-12-31",
        },
        answers={201: ProgrammeWritten},
        problems=FILING,
    ),
    Route(
        method="POST",
        path="/v1/programmes/{id}/enrol",
        handler=enrol,
        operation="enrol_member",
        tag=TAG,
        summary_zh="成员参加专项行动",
        summary_en="Let a member take part in a programme",
        roles=VERIFIERS,
        write=True,
        body=PartAsk,
        example={"member_id": "019f0000-0000-7000-8000-00000000000a", "on": "2026-03-05"},
        answers={200: ProgrammeWritten},
        problems=(*STEPPING, "organisation_suspended", "member_closed"),
    ),
    Route(
        method="POST",
        path="/v1/programmes/{id}/complete",
        handler=complete,
        operation="complete_programme",
        tag=TAG,
        summary_zh="成员完成专项行动",
        summary_en="Say that a member has gone through a programme",
        roles=VERIFIERS,
        write=True,
        body=PartAsk,
        example={"member_id": "019f0000-0000-7000-8000-00000000000a", "on": "2026-06-30"},
        answers={200: ProgrammeWritten},
        problems=STEPPING,
    ),
    Route(
        method="POST",
        path="/v1/programmes/{id}/close",
        handler=close,
        operation="close_programme",
        tag=TAG,
        summary_zh="专项行动收官",
        summary_en="End a programme",
        roles=VERIFIERS,
        write=True,
        body=CloseAsk,
        example={"on": "2026-12-31", "reason": "任务完成"},
        answers={200: ProgrammeWritten},
        problems=STEPPING,
    ),
    Route(
        method="GET",
        path="/v1/programmes",
        handler=programmes,
        operation="list_programmes",
        tag=TAG,
        summary_zh="专项行动检索",
        summary_en="Search the programmes",
        roles=EVERYONE,
        query=ProgrammesQuery,
        answers={200: ProgrammePage},
    ),
    Route(
        method="GET",
        path="/v1/programmes/{id}",
        handler=programme,
        operation="get_programme",
        tag=TAG,
        summary_zh="一项专项行动",
        summary_en="Get a programme",
        roles=EVERYONE,
        answers={200: Programme},
    ),
    Route(
        method="GET",
        path="/v1/programmes/{id}/enrolments",
        handler=enrolments,
        operation="list_enrolments",
        tag=TAG,
        summary_zh="专项行动的参加者",
        summary_en="List who takes part in a programme",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: EnrolmentPage},
    ),
]
