"""The KPI board over HTTP: every indicator of a unit as of a date, as JSON or CSV."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Code, Day
from api.call import Call
from api.contract import EVERYONE, DayText, Fields, ReadQuery, Route
from api.replies import Reply
from api.sheets import csv_text
from ledger.units import Refused
from projections import board
from projections.page import published

CSV = "text/csv; charset=utf-8"
COLUMNS = (
    *("id", "value", "numerator", "denominator", "definition", "policy_version"),
    *("unit", "as_of", "position", "name_zh", "name_en", "inputs", "events"),
)


class KpisQuery(ReadQuery):
    """Of which unit, with all that lie in it, and as of when."""

    unit: Annotated[
        Code | None, Field(description="A unit, and all that lie in it; default: the ledger.")
    ] = None
    as_of: Annotated[
        Day | None,
        Field(description="What was recorded by the end of that date; default: today."),
    ] = None
    format: Literal["json", "csv"] = "json"


class Named(BaseModel):
    """What an indicator is called."""

    zh: str
    en: str


class Kpi(BaseModel):
    """An indicator, and what it was made from."""

    id: str
    name: Named
    value: Annotated[
        int | None,
        Field(
            description="Ratios in hundredths of a percent, half to even; indexes, medians and "
            "means in hundredths; counts as they are. Null: there is nothing to divide by."
        ),
    ]
    definition: Annotated[str, Field(description="The id with the version of its definition.")]
    numerator: int | None
    denominator: int | None
    inputs: dict[str, Any]
    policy_version: int
    unit: Code | None
    as_of: DayText
    position: Annotated[int, Field(description="The last that was counted.")]
    events: Annotated[str, Field(description="The events that it was counted from.")]


class Kpis(BaseModel):
    """The board."""

    data: list[Kpi]
    next_cursor: None


async def listing(call: Call) -> web.Response:
    """Every indicator."""
    return await _answer(
        call, [*board.KPIS, board.TARGETS], lambda found: {"data": found, "next_cursor": None}
    )


async def item(call: Call) -> web.Response:
    """One indicator."""
    name = call.path["kpi"]
    if name not in board.KPIS and name != board.TARGETS:
        raise Refused("not_found")
    return await _answer(call, [name], lambda found: found[0])


async def _answer(
    call: Call, names: list[str], told: Callable[[list[Fields]], Fields]
) -> web.Response:
    query: KpisQuery = call.query
    position = call.views.position  # at least this far: it is taken before the read begins
    found = await call.look_up(_read, names, query)
    if query.format == "csv":
        return Reply(200, call.headers(CSV, position), _csv(found))
    return call.answer(told(found), position=position)


def _read(connection: Connection, names: list[str], query: KpisQuery) -> list[Fields]:
    today = published(connection).recording(datetime.now(UTC)).today
    found = board.read(connection, names, query.unit, query.as_of or today)
    if found is None:
        raise Refused("not_found")
    return found


def _csv(found: list[Fields]) -> bytes:
    rows = [COLUMNS]
    for kpi in found:
        said = {
            **kpi,
            "name_zh": kpi["name"]["zh"],
            "name_en": kpi["name"]["en"],
            "inputs": orjson.dumps(kpi["inputs"]).decode(),
        }
        rows.append(tuple(said[name] for name in COLUMNS))
    return csv_text(rows).encode("utf-8-sig")


TAG = "Board"

ROUTES = [
    Route(
        method="GET",
        path="/v1/kpis",
        handler=listing,
        operation="list_kpis",
        tag=TAG,
        summary_zh="指标看板：全部指标及其依据",
        summary_en="Every indicator with what made it, of a unit, as of a date",
        roles=EVERYONE,
        query=KpisQuery,
        answers={200: Kpis},
        also=("text/csv",),
        problems=("not_found",),
    ),
    Route(
        method="GET",
        path="/v1/kpis/{kpi}",
        handler=item,
        operation="get_kpi",
        tag=TAG,
        summary_zh="一项指标",
        summary_en="Get an indicator",
        roles=EVERYONE,
        query=KpisQuery,
        answers={200: Kpi},
        also=("text/csv",),
    ),
]
