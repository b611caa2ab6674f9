"""Needs over HTTP: reported in the grid, assessed by a social worker, resolved or rejected."""

import re
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import UUID_PATTERN, Ask, Code, Instant, Reason, Text, Uuid
from api.call import Call
from api.contract import (
    POSTERS,
    READERS,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from ledger.commands import AssessNeed, RejectNeed, ReportNeed, ResolveNeed
from ledger.desk import Done
from ledger.events import Level, NeedRoute
from ledger.units import new_id
from projections import orders as view

Standing = Literal["reported", "assessed", "ordered", "resolved", "rejected"]
At = Annotated[Instant | None, Field(description="When it happened; now, if it is not said.")]


class NeedAsk(Ask):
    """Somebody needs something."""

    entering = ("category", "reported_by", "description_ref")

    organisation: Code | None = None
    unit: Code
    category: Text
    reported_by: Annotated[
        Text, Field(description="A member's id, or the organisation's own code.")
    ]
    description_ref: Text | None = None
    correlation_id: Annotated[
        Uuid | None, Field(description="The chain it belongs to; a new one, if none is named.")
    ] = None
    at: At = None


class AssessmentAsk(Ask):
    """What a social worker makes of it."""

    assessor_id: Uuid
    route: NeedRoute
    certification_level: Level | None = None
    at: At = None


class StepReasonNeededAsk(Ask):
    """A step that needs its reason."""

    entering = ("reason",)

    reason: Reason
    at: At = None


class StepReasonAsk(Ask):
    """A step that needs no reason, and may have one."""

    entering = ("reason",)

    reason: Reason | None = None
    at: At = None


async def report(call: Call) -> web.Response:
    """Say that somebody needs something."""
    asked: NeedAsk = call.body
    stamp = call.stamp()
    stamp["correlation_id"] = asked.correlation_id or call.chain
    command = ReportNeed(
        **stamp,
        need_id=new_id(),
        organisation=call.acting_organisation(),
        unit=asked.unit,
        category=asked.category,
        reported_by=asked.reported_by,
        by_organisation=_UUID.fullmatch(asked.reported_by) is None,
        description_ref=asked.description_ref,
        happened_at=asked.at,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def assess(call: Call) -> web.Response:
    """Say what a social worker makes of it."""
    asked: AssessmentAsk = call.body
    command = AssessNeed(
        **_about(call, asked.at),
        assessor_id=asked.assessor_id,
        route=asked.route,
        certification_level=asked.certification_level,
    )
    return await call.write(command, lambda done: (200, _told(done)))


async def reject(call: Call) -> web.Response:
    """Do nothing about it."""
    asked: StepReasonNeededAsk = call.body
    command = RejectNeed(**_about(call, asked.at), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


async def resolve(call: Call) -> web.Response:
    """Say that it is met."""
    asked: StepReasonAsk = call.body
    command = ResolveNeed(**_about(call, asked.at), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


def _about(call: Call, at: Instant | None) -> dict[str, Any]:
    return {
        **call.stamp(),
        "need_id": call.path["id"],
        "organisation": call.key.organisation,
        "happened_at": at,
    }


def _told(done: Done) -> Fields:
    need = done.states["need"]
    reported, assessed = need.reported, need.assessed
    return {
        "id": reported.need_id,
        "status": need.status,
        "organisation": reported.organisation,
        "unit": reported.unit,
        "category": reported.category,
        "route": assessed and assessed.route,
        "certification_level": assessed and assessed.certification_level,
        "waited_minutes": assessed and assessed.waited_minutes,
        "at": need.at,
        "correlation_id": reported.correlation_id,
        "position": need.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class NeedsQuery(PageQuery):
    """Filters; all that are given hold."""

    organisation: Code | None = None
    unit: Annotated[Code | None, Field(description="A unit, and all that lie in it.")] = None
    status: Standing | None = None
    category: Annotated[str | None, Field(max_length=200)] = None
    route: NeedRoute | None = None


async def listing(call: Call) -> web.Response:
    """The needs that the caller may see."""
    query: NeedsQuery = call.query
    own = call.key.organisation
    if own is not None and query.organisation not in (None, own):
        own = ""  # nobody's: an organisation sees its own alone
    return await answer_page(
        call,
        view.needs_listed,
        query.after,
        query.limit,
        organisation=query.organisation if own is None else own,
        unit=query.unit,
        status=query.status,
        category=query.category,
        route=query.route,
    )


async def item(call: Call) -> web.Response:
    """One need."""
    return await call.read(view.need, call.path["id"], call.key.organisation)


# --- answers -------------------------------------------------------------------------------------

Waited = Annotated[int | None, Field(description="Minutes from the report to the assessment.")]


class NeedWritten(Written):
    """A need after what was just written."""

    id: Uuid
    status: Standing
    organisation: Code
    unit: Code
    category: str
    route: NeedRoute | None
    certification_level: Level | None
    waited_minutes: Waited
    at: Annotated[InstantText, Field(description="When the last step happened.")]
    correlation_id: str


class Step(BaseModel):
    """A step: when it happened, and when that was recorded."""

    status: str
    at: InstantText
    recorded_at: InstantText
    position: int


class Need(BaseModel):
    """A need as it stands."""

    id: Uuid
    organisation: Annotated[Code, Field(description="That reported it.")]
    unit: Code
    category: str
    reported_by: str
    description_ref: str | None
    status: Standing
    assessor_id: Uuid | None
    route: NeedRoute | None
    certification_level: Level | None
    waited_minutes: Waited
    reason: str | None
    steps: list[Step]
    correlation_id: str
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class NeedPage(Page):
    """Needs, oldest first."""

    data: list[Need]


_UUID = re.compile(UUID_PATTERN)
TAG = "Needs"
_ITEM = "/v1/needs/{id}"
_STEP = ("wrong_state", "in_the_future", "out_of_order")

ROUTES = [
    Route(
        method="POST",
        path="/v1/needs",
        handler=report,
        operation="report_need",
        tag=TAG,
        summary_zh="网格发现：上报需求",
        summary_en="Say that somebody needs something",
        roles=POSTERS,
        write=True,
        body=NeedAsk,
        example={
            "unit": "lake",
            "category": "elder-care",
            "reported_by": "019f0000-0000-7000-8000-00000000000a",
            "at": "2026-03-06T09:00:00+08:00",
        },
        answers={201: NeedWritten},
        problems=(
            *("in_the_future", "organisation_suspended", "not_found"),
            "personal_data_in_text",
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/assess",
        handler=assess,
        operation="assess_need",
        tag=TAG,
        summary_zh="社工介入：评估需求，确定响应方式",
        summary_en="Say what a social worker makes of it, and who should help",
        roles=POSTERS,
        write=True,
        body=AssessmentAsk,
        example={
            "assessor_id": "019f0000-0000-7000-8000-00000000000b",
            "route": "volunteer",
            "at": "2026-03-06T10:30:00+08:00",
        },
        answers={200: NeedWritten},
        problems=(*_STEP, "not_eligible", "member_closed", "not_found"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/reject",
        handler=reject,
        operation="reject_need",
        tag=TAG,
        summary_zh="驳回需求",
        summary_en="Do nothing about it, and say why",
        roles=POSTERS,
        write=True,
        body=StepReasonNeededAsk,
        example={"reason": "重复上报"},
        answers={200: NeedWritten},
        problems=(*_STEP, "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/resolve",
        handler=resolve,
        operation="resolve_need",
        tag=TAG,
        summary_zh="需求办结",
        summary_en="Say that it is met",
        roles=POSTERS,
        write=True,
        body=StepReasonAsk,
        example={"reason": "已上门服务"},
        answers={200: NeedWritten},
        problems=(*_STEP, "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/needs",
        handler=listing,
        operation="list_needs",
        tag=TAG,
        summary_zh="需求列表",
        summary_en="List needs",
        roles=READERS,
        query=NeedsQuery,
        answers={200: NeedPage},
    ),
    Route(
        method="GET",
        path=_ITEM,
        handler=item,
        operation="get_need",
        tag=TAG,
        summary_zh="一项需求",
        summary_en="Get a need",
        roles=READERS,
        answers={200: Need},
    ),
]
