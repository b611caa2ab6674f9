"""Balances and passbooks of many together: of an organisation, of a unit and all below it."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Uuid
from api.call import Call
from api.contract import AUDITORS, READERS, DayText, Fields, InstantText, Page, PageQuery, Route
from api.lists import answer_page
from api.passbooks import AsOf, BalanceQuery, CreditBalances, PassbookLine
from ledger.units import Refused, instant_text
from projections import groups, passbook, trail
from projections.groups import Group
from projections.listing import Listed


class LinesQuery(AsOf, PageQuery):
    """A page of lines; as of when."""


async def organisation_balance(call: Call) -> web.Response:
    """What stands to the names of the members at home in an organisation."""
    return await _balance(call, _own_organisation(call))


async def organisation_passbook(call: Call) -> web.Response:
    """Their lines."""
    return await _passbook(call, _own_organisation(call))


async def unit_balance(call: Call) -> web.Response:
    """What stands to the names of the members in a unit and below it."""
    return await _balance(call, Group(unit=call.path["code"]))


async def unit_passbook(call: Call) -> web.Response:
    """Their lines."""
    return await _passbook(call, Group(unit=call.path["code"]))


def _own_organisation(call: Call) -> Group:
    code = call.path["code"]
    if call.key.organisation not in (None, code):
        raise Refused("forbidden")
    return Group(organisation=code)


async def _balance(call: Call, group: Group) -> web.Response:
    return await call.read(_group_balance, group, call.query)


async def _passbook(call: Call, group: Group) -> web.Response:
    query: LinesQuery = call.query
    return await answer_page(call, _group_lines, group, query.after, query.limit, query)


def _group_balance(connection: Connection, group: Group, query: AsOf) -> Fields | None:
    if not group.is_known(connection):
        return None
    until = passbook.known_until(connection, query.position, query.as_of)
    if query.as_of is not None:
        as_of: str | None = instant_text(query.as_of)
    else:
        as_of = trail.recorded_at(connection, until)
    served_until = query.served_until
    return {
        "organisation": group.organisation,
        "unit": group.unit,
        "position": until,
        "as_of": as_of,
        "served_until": served_until and served_until.isoformat(),
        **groups.balance(connection, group, until, served_until),
    }


def _group_lines(
    connection: Connection, group: Group, after: int, limit: int, query: AsOf
) -> Listed:
    if not group.is_known(connection):
        raise Refused("not_found")
    until = passbook.known_until(connection, query.position, query.as_of)
    page = groups.lines(
        connection, group, after, limit, until=until, served_until=query.served_until
    )
    shown = GroupLine.model_fields
    return page._replace(items=[{name: line[name] for name in shown} for line in page.items])


# --- answers -------------------------------------------------------------------------------------


class GroupBalance(BaseModel):
    """What stands to the members' names together, as of a moment."""

    organisation: str | None
    unit: str | None
    position: int
    as_of: InstantText | None
    served_until: DayText | None
    members: Annotated[int, Field(description="How many they are.")]
    service_minutes: int
    credits: CreditBalances
    points: int


class GroupLine(PassbookLine):
    """One event that concerns a member's account; `balance_after` is the member's own."""

    member_id: Uuid


class GroupPassbook(Page):
    """The members' lines, oldest first."""

    data: list[GroupLine]


ROUTES = [
    Route(
        method="GET",
        path="/v1/organisations/{code}/balance",
        handler=organisation_balance,
        operation="get_organisation_balance",
        tag="Organisations",
        summary_zh="组织（归属成员）合计，可截至某时刻、位置、服务日期",
        summary_en="Get the balance of the members at home in an organisation, as of when",
        roles=READERS,
        query=BalanceQuery,
        answers={200: GroupBalance},
    ),
    Route(
        method="GET",
        path="/v1/organisations/{code}/passbook",
        handler=organisation_passbook,
        operation="get_organisation_passbook",
        tag="Organisations",
        summary_zh="组织（归属成员）明细",
        summary_en="Get the lines of the members at home in an organisation",
        roles=READERS,
        query=LinesQuery,
        answers={200: GroupPassbook},
    ),
    Route(
        method="GET",
        path="/v1/units/{code}/balance",
        handler=unit_balance,
        operation="get_unit_balance",
        tag="Units",
        summary_zh="单位及下级（所在成员）合计",
        summary_en="Get the balance of the members in a unit and below it, as of when",
        roles=AUDITORS,
        query=BalanceQuery,
        answers={200: GroupBalance},
    ),
    Route(
        method="GET",
        path="/v1/units/{code}/passbook",
        handler=unit_passbook,
        operation="get_unit_passbook",
        tag="Units",
        summary_zh="单位及下级（所在成员）明细",
        summary_en="Get the lines of the members in a unit and below it",
        roles=AUDITORS,
        query=LinesQuery,
        answers={200: GroupPassbook},
    ),
]
