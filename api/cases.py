"""The library of cases 案例库 over HTTP: file, withdraw, search."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, Day, Reason, ReasonNeededAsk, Text, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from ledger.commands import FileCase, WithdrawCase
from ledger.desk import Done
from ledger.units import new_id
from projections import shelves as view

Standing = Literal["filed", "withdrawn"]


class CaseAsk(Ask):
    """Put a case into the library, for all to find: without anything that tells who it was."""

    entering = ("title", "category", "summary")

    organisation: Code | None = None
    member_id: Annotated[Uuid, Field(description="Who worked on it.")]
    title: Text
    category: Text
    summary: Reason
    on: Day
    achievement_id: Annotated[
        Uuid | None, Field(description="The approved achievement of kind `case`, if there is one.")
    ] = None


async def file(call: Call) -> web.Response:
    """Put a case into the library."""
    asked: CaseAsk = call.body
    command = FileCase(
        **call.stamp(),
        case_id=new_id(),
        organisation=call.acting_organisation(),
        member_id=asked.member_id,
        title=asked.title,
        category=asked.category,
        summary=asked.summary,
        on=asked.on,
        achievement_id=asked.achievement_id,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def withdraw(call: Call) -> web.Response:
    """Take a case out of the library."""
    asked: ReasonNeededAsk = call.body
    command = WithdrawCase(
        **call.stamp(),
        case_id=call.path["id"],
        organisation=call.key.organisation,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _told(done)))


def _told(done: Done) -> Fields:
    case = done.states["case"]
    return {
        "id": case.filed.case_id,
        "status": "withdrawn" if case.withdrawn else "filed",
        "position": case.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class CasesQuery(PageQuery):
    """A search: all that is given holds."""

    q: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="In title, category or summary."),
    ] = None
    category: Annotated[str | None, Field(max_length=200)] = None
    organisation: Code | None = None
    member_id: Uuid | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The library: everybody may search all of it."""
    query: CasesQuery = call.query
    filters = {
        name: said
        for name, said in (("category", query.category), ("status", query.status))
        if said is not None
    }
    return await answer_page(
        call,
        view.listing,
        view.CASES,
        query.after,
        query.limit,
        organisation=query.organisation,
        member_id=query.member_id,
        search=query.q,
        filters=filters,
    )


async def item(call: Call) -> web.Response:
    """One case."""
    return await call.read(view.item, view.CASES, call.path["id"])


# --- answers -------------------------------------------------------------------------------------


class CaseWritten(Written):
    """A case after what was just written."""

    id: Uuid
    status: Standing


class Case(BaseModel):
    """A case as it stands."""

    id: Uuid
    member_id: Annotated[Uuid, Field(description="Who worked on it.")]
    organisation: Code
    title: str
    category: str
    summary: str
    on: DayText
    achievement_id: Uuid | None
    status: Standing
    reason: Annotated[str | None, Field(description="Why it is withdrawn.")]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class CasePage(Page):
    """Cases, oldest first."""

    data: list[Case]


TAG = "Cases"

ROUTES = [
    Route(
        method="POST",
        path="/v1/cases",
        handler=file,
        operation="file_case",
        tag=TAG,
        summary_zh="案例入库",
        summary_en="Put a case into the library",
        roles=VERIFIERS,
        write=True,
        body=CaseAsk,
        example={
            "member_id": "019f0000-0000-7000-8000-00000000000a",
            "title": "独居老人互助小组",
            "category": "elderly",
            "summary": "以小组工作方法重建社区支持网络。",
            "on": "2026-05-10",
        },
        answers={201: CaseWritten},
        problems=(
            *("in_the_future", "organisation_suspended", "member_closed", "wrong_state"),
            *("not_found", "personal_data_in_text"),
        ),
    ),
    Route(
        method="POST",
        path="/v1/cases/{id}/withdraw",
        handler=withdraw,
        operation="withdraw_case",
        tag=TAG,
        summary_zh="案例出库",
        summary_en="Take a case out of the library",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "内容有误"},
        answers={200: CaseWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/cases",
        handler=listing,
        operation="list_cases",
        tag=TAG,
        summary_zh="案例库检索",
        summary_en="Search the library of cases",
        roles=EVERYONE,
        query=CasesQuery,
        answers={200: CasePage},
    ),
    Route(
        method="GET",
        path="/v1/cases/{id}",
        handler=item,
        operation="get_case",
        tag=TAG,
        summary_zh="一个案例",
        summary_en="Get a case",
        roles=EVERYONE,
        answers={200: Case},
    ),
]
