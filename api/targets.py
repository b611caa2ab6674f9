"""Targets of figures over HTTP: set, withdraw, look up."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from api.asks import Ask, Code, Day, ReasonNeededAsk
from api.call import Call
from api.contract import EVERYONE, VERIFIERS, DayText, Fields, Page, Route
from api.field_facts import (
    WITHDRAWING,
    FieldQuery,
    Filed,
    FiledWritten,
    verb,
)
from api.lists import answer_page
from ledger.commands import SetTarget, WithdrawTarget
from ledger.desk import Done
from ledger.events import KpiId
from ledger.units import new_id
from projections import board, shelves
from projections import field_shelves as view
from projections.listing import Item, Listed
from projections.page import published

Aimed = Literal["set", "withdrawn"]


class TargetAsk(Ask):
    """What a figure is to come to by a date."""

    organisation: Code | None = None
    kpi: KpiId
    unit: Code | None = None
    value: Annotated[int, Field(ge=0, lt=10**15, description="As the figure itself is told.")]
    due_on: Day


async def set_target(call: Call) -> web.Response:
    """Say what a figure is to come to; an administrator's target may be nobody's in particular."""
    asked: TargetAsk = call.body
    command = SetTarget(
        **call.stamp(),
        target_id=new_id(),
        organisation=call.organisation,
        kpi=asked.kpi,
        unit=asked.unit,
        value=asked.value,
        due_on=asked.due_on,
    )
    return await call.write(command, lambda done: (201, _target(done)))


async def withdraw_target(call: Call) -> web.Response:
    """Aim at it no more."""
    asked: ReasonNeededAsk = call.body
    command = WithdrawTarget(**verb(call, "target_id"), reason=asked.reason)
    return await call.write(command, lambda done: (200, _target(done)))


def _target(done: Done) -> Fields:
    target = done.states["target"]
    aimed = target.set
    return {
        "id": aimed.target_id,
        "kpi": aimed.kpi,
        "unit": aimed.unit,
        "value": aimed.value,
        "due_on": aimed.due_on,
        "status": "withdrawn" if target.withdrawn else "set",
        "position": target.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class TargetsQuery(FieldQuery):
    """Filters; all that are given hold."""

    kpi: KpiId | None = None
    status: Aimed | None = None


async def targets(call: Call) -> web.Response:
    """The targets, each with what its figure comes to today."""
    return await answer_page(call, _aimed, call.query)


async def target(call: Call) -> web.Response:
    """One target."""
    return await call.read(_target_of, call.path["id"])


def _aimed(connection: Connection, query: TargetsQuery) -> Listed:
    said = {"unit": query.unit, "kpi": query.kpi, "status": query.status}
    filters = {name: wanted for name, wanted in said.items() if wanted is not None}
    page = shelves.listing(
        connection,
        view.TARGETS,
        query.after,
        query.limit,
        organisation=query.organisation,
        filters=filters,
    )
    _add_actuals(connection, page.items)
    return page


def _target_of(connection: Connection, id: str) -> Item | None:
    found = shelves.item(connection, view.TARGETS, id)
    _add_actuals(connection, [] if found is None else [found])
    return found


def _add_actuals(connection: Connection, found: list[Item]) -> None:
    today = published(connection).recording(datetime.now(UTC)).today
    said = board.actuals(connection, [(one["kpi"], one["unit"]) for one in found], today)
    for one, actual in zip(found, said, strict=True):
        one["actual"] = actual


# --- answers -------------------------------------------------------------------------------------


class TargetWritten(FiledWritten):
    """A target after what was just written."""

    kpi: KpiId
    unit: Code | None
    value: int
    due_on: DayText
    status: Aimed


class Target(Filed):
    """A target as it stands."""

    organisation: Annotated[Code | None, Field(description="Whose it is.")]  # type: ignore[assignment]
    unit: Annotated[Code | None, Field(description="None: of the whole field.")]
    kpi: KpiId
    value: Annotated[int, Field(description="As the figure itself is told.")]
    actual: Annotated[int | None, Field(description="What the figure comes to today.")]
    due_on: DayText
    status: Aimed


class TargetPage(Page):
    """Targets, oldest first."""

    data: list[Target]


TAG = "Targets"

ROUTES = [
    Route(
        method="POST",
        path="/v1/targets",
        handler=set_target,
        operation="set_target",
        tag=TAG,
        summary_zh="设定指标目标",
        summary_en="Say what a figure is to come to by a date",
        roles=VERIFIERS,
        write=True,
        body=TargetAsk,
        example={
            "kpi": "certification_rate",
            "unit": "west-coast",
            "value": 5000,
            "due_on": "2026-12-31",
        },
        answers={201: TargetWritten},
        problems=("organisation_suspended", "not_found"),
    ),
    Route(
        method="POST",
        path="/v1/targets/{id}/withdraw",
        handler=withdraw_target,
        operation="withdraw_target",
        tag=TAG,
        summary_zh="撤回目标",
        summary_en="Aim at it no more",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "口径调整"},
        answers={200: TargetWritten},
        problems=WITHDRAWING,
    ),
    Route(
        method="GET",
        path="/v1/targets",
        handler=targets,
        operation="list_targets",
        tag=TAG,
        summary_zh="目标列表",
        summary_en="List targets",
        roles=EVERYONE,
        query=TargetsQuery,
        answers={200: TargetPage},
    ),
    Route(
        method="GET",
        path="/v1/targets/{id}",
        handler=target,
        operation="get_target",
        tag=TAG,
        summary_zh="一个目标",
        summary_en="Get a target",
        roles=EVERYONE,
        answers={200: Target},
    ),
]
