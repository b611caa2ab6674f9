"""Units: the tree of districts, streets and communities."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Code, UnitAsk
from api.call import Call
from api.contract import ADMINS, EVERYONE, Fields, InstantText, Page, PageQuery, Route, Written
from api.lists import answer_page
from ledger.commands import AddUnit
from ledger.desk import Done
from ledger.events import UnitLevel
from projections import directory


class UnitAdded(Written):
    """A unit that was just put into the tree."""

    code: Code
    name: str
    level: UnitLevel
    parent: Code | None


class Unit(BaseModel):
    """A unit of the tree."""

    code: Code
    name: str
    level: UnitLevel
    parent: Code | None
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1)]


class UnitPage(Page):
    """Units, in the order in which they were added."""

    data: list[Unit]


async def add(call: Call) -> web.Response:
    """Put a unit into the tree."""
    asked: UnitAsk = call.body
    command = AddUnit(
        **call.stamp(),
        code=asked.code,
        name=asked.name,
        level=asked.level,
        parent=asked.parent,
    )
    return await call.write(command, _added)


def _added(done: Done) -> tuple[int, Fields]:
    unit = done.states["unit"].added
    said = {"code": unit.code, "name": unit.name, "level": unit.level, "parent": unit.parent}
    return 201, said


async def listing(call: Call) -> web.Response:
    """All units."""
    return await answer_page(call, directory.units_listed, call.query.after, call.query.limit)


async def item(call: Call) -> web.Response:
    """One unit."""
    return await call.read(directory.unit, call.path["code"])


ROUTES = [
    Route(
        method="POST",
        path="/v1/units",
        handler=add,
        operation="add_unit",
        tag="Units",
        summary_zh="新增区划单位",
        summary_en="Add a unit",
        roles=ADMINS,
        write=True,
        body=UnitAsk,
        example={"code": "creek", "name": "溪谷社区", "level": "community", "parent": "lake"},
        answers={201: UnitAdded},
        problems=("code_taken", "wrong_level", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/units",
        handler=listing,
        operation="list_units",
        tag="Units",
        summary_zh="区划单位列表",
        summary_en="List units",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: UnitPage},
    ),
    Route(
        method="GET",
        path="/v1/units/{code}",
        handler=item,
        operation="get_unit",
        tag="Units",
        summary_zh="一个区划单位",
        summary_en="Get a unit",
        roles=EVERYONE,
        answers={200: Unit},
    ),
]
