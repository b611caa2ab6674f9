"""Conversions of services 服务转化 over HTTP: intervention, training, redesign of the process."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, Day, ReasonNeededAsk, Text, Uuid
from api.call import Call
from api.contract import EVERYONE, VERIFIERS, DayText, Fields, Page, Route
from api.field_facts import (
    FILING,
    STEPPING,
    WITHDRAWING,
    Category,
    Filed,
    FiledWritten,
    SearchQuery,
    answer_field,
    verb,
)
from ledger.commands import AdvanceConversion, BeginConversion, WithdrawConversion
from ledger.desk import Done
from ledger.events import ConversionStage
from ledger.units import new_id
from projections import field_shelves as view
from projections import shelves

Standing = Literal["active", "withdrawn"]


class ConversionAsk(Ask):
    """A supervisor has intervened in a category of service."""

    entering = ("category", "ref")

    organisation: Code | None = None
    unit: Code
    category: Text
    supervisor_id: Annotated[Uuid, Field(description="Appointed as a supervisor on that date.")]
    on: Day
    ref: Text


class ConversionStageAsk(Ask):
    """The training was given, then the process redesigned."""

    entering = ("ref",)

    stage: Literal["training", "redesign"]
    on: Day
    ref: Text


async def begin_conversion(call: Call) -> web.Response:
    """Begin a conversion with the supervisor's intervention."""
    asked: ConversionAsk = call.body
    command = BeginConversion(
        **call.stamp(),
        conversion_id=new_id(),
        organisation=call.acting_organisation(),
        unit=asked.unit,
        category=asked.category,
        supervisor_id=asked.supervisor_id,
        on=asked.on,
        ref=asked.ref,
    )
    return await call.write(command, lambda done: (201, _conversion(done)))


async def advance_conversion(call: Call) -> web.Response:
    """Say that the training was given, or the process redesigned."""
    asked: ConversionStageAsk = call.body
    command = AdvanceConversion(
        **verb(call, "conversion_id"), stage=asked.stage, on=asked.on, ref=asked.ref
    )
    return await call.write(command, lambda done: (200, _conversion(done)))


async def withdraw_conversion(call: Call) -> web.Response:
    """Let a conversion count no more."""
    asked: ReasonNeededAsk = call.body
    command = WithdrawConversion(**verb(call, "conversion_id"), reason=asked.reason)
    return await call.write(command, lambda done: (200, _conversion(done)))


def _conversion(done: Done) -> Fields:
    conversion = done.states["conversion"]
    begun = conversion.begun
    return {
        "id": begun.conversion_id,
        "unit": begun.unit,
        "category": begun.category,
        "supervisor_id": begun.supervisor_id,
        "stage": conversion.stage,
        "done": conversion.done,
        "status": "withdrawn" if conversion.withdrawn else "active",
        "position": conversion.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class ConversionsQuery(SearchQuery):
    """A search in the category: all that is given holds."""

    category: Category = None
    stage: ConversionStage | None = None
    status: Standing | None = None
    supervisor_id: Uuid | None = None


async def conversions(call: Call) -> web.Response:
    """The conversions: everybody may search all of them."""
    names = ("category", "stage", "status", "supervisor_id")
    return await answer_field(call, view.CONVERSIONS, *names)


async def conversion(call: Call) -> web.Response:
    """One conversion."""
    return await call.read(shelves.item, view.CONVERSIONS, call.path["id"])


# --- answers -------------------------------------------------------------------------------------


class ConversionWritten(FiledWritten):
    """A conversion after what was just written."""

    unit: Code
    category: str
    supervisor_id: Uuid
    stage: ConversionStage
    done: bool
    status: Standing


class ConversionStep(BaseModel):
    """A step of a conversion that was made."""

    stage: ConversionStage
    on: DayText
    ref: str


class Conversion(Filed):
    """A conversion as it stands."""

    unit: Code
    category: str
    supervisor_id: Uuid
    stage: ConversionStage
    steps: Annotated[list[ConversionStep], Field(description="The steps so far.")]
    done: Annotated[bool, Field(description="Whether all three steps are made.")]
    status: Standing


class ConversionPage(Page):
    """Conversions, oldest first."""

    data: list[Conversion]


TAG = "Conversions"

ROUTES = [
    Route(
        method="POST",
        path="/v1/conversions",
        handler=begin_conversion,
        operation="begin_conversion",
        tag=TAG,
        summary_zh="服务转化：督导介入",
        summary_en="Begin a conversion with the supervisor's intervention",
        roles=VERIFIERS,
        write=True,
        body=ConversionAsk,
        example={
            "unit": "west-coast",
            "category": "elderly",
            "supervisor_id": "019f0000-0000-7000-8000-00000000000a",
            "on": "2026-03-01",
            "ref": "督导-8",
        },
        answers={201: ConversionWritten},
        problems=(*FILING, "in_the_future", "not_appointed"),
    ),
    Route(
        method="POST",
        path="/v1/conversions/{id}/advance",
        handler=advance_conversion,
        operation="advance_conversion",
        tag=TAG,
        summary_zh="服务转化：培训、流程再造",
        summary_en="Say that the training was given, or the process redesigned",
        roles=VERIFIERS,
        write=True,
        body=ConversionStageAsk,
        example={"stage": "training", "on": "2026-03-20", "ref": "培训-2"},
        answers={200: ConversionWritten},
        problems=STEPPING,
    ),
    Route(
        method="POST",
        path="/v1/conversions/{id}/withdraw",
        handler=withdraw_conversion,
        operation="withdraw_conversion",
        tag=TAG,
        summary_zh="撤回服务转化",
        summary_en="Let a conversion count no more",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "重复登记"},
        answers={200: ConversionWritten},
        problems=WITHDRAWING,
    ),
    Route(
        method="GET",
        path="/v1/conversions",
        handler=conversions,
        operation="list_conversions",
        tag=TAG,
        summary_zh="服务转化列表",
        summary_en="Search the conversions",
        roles=EVERYONE,
        query=ConversionsQuery,
        answers={200: ConversionPage},
    ),
    Route(
        method="GET",
        path="/v1/conversions/{id}",
        handler=conversion,
        operation="get_conversion",
        tag=TAG,
        summary_zh="一项服务转化",
        summary_en="Get a conversion",
        roles=EVERYONE,
        answers={200: Conversion},
    ),
]
