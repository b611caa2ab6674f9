"""Periods over HTTP: months are closed, and reopened where that was too early."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import ReasonAsk, ReasonNeededAsk
from api.call import Call
from api.contract import (
    ADMINS,
    EVERYONE,
    PATH_PARTS,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from ledger.commands import ClosePeriod, ReopenPeriod
from ledger.desk import Done
from ledger.events import PeriodEvent
from projections import periods

TAG = "Periods"

Month = Annotated[str, Field(pattern=PATH_PARTS["month"].pattern)]
Standing = Literal["open", "closed"]


class PeriodWritten(Written):
    """A month after what was just written."""

    month: Month
    status: Standing
    reason: str | None


class Period(BaseModel):
    """A month of service dates that was closed at some time."""

    month: Month
    status: Standing
    reason: Annotated[str | None, Field(description="Of its last change.")]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of its last change.")]


class PeriodPage(Page):
    """Months, in the order in which they were first closed."""

    data: list[Period]


async def close(call: Call) -> web.Response:
    """Close a month that is over."""
    asked: ReasonNeededAsk = call.body
    command = ClosePeriod(**call.stamp(), month=call.path["month"], reason=asked.reason)
    return await call.write(command, lambda done: (200, _written(done, "closed")))


async def reopen(call: Call) -> web.Response:
    """Let a closed month be posted to again."""
    asked: ReasonAsk = call.body
    command = ReopenPeriod(**call.stamp(), month=call.path["month"], reason=asked.reason)
    return await call.write(command, lambda done: (200, _written(done, "open")))


def _written(done: Done, status: Standing) -> Fields:
    event = done.entries[-1].event
    assert isinstance(event, PeriodEvent)  # noqa: S101  (the rules make nothing else)
    return {"month": event.month, "status": status, "reason": event.reason}


async def listing(call: Call) -> web.Response:
    """The months that were ever closed."""
    return await answer_page(call, periods.listing, call.query.after, call.query.limit)


async def item(call: Call) -> web.Response:
    """One month."""
    return await call.read(periods.period, call.path["month"])


ROUTES = [
    Route(
        method="POST",
        path="/v1/periods/{month}/close",
        handler=close,
        operation="close_period",
        tag=TAG,
        summary_zh="关账：该月不再登记、确认",
        summary_en="Close a month: nothing is posted or verified in it any more",
        roles=ADMINS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "月结"},
        answers={200: PeriodWritten},
        problems=("period_not_over", "wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/periods/{month}/reopen",
        handler=reopen,
        operation="reopen_period",
        tag=TAG,
        summary_zh="取消关账",
        summary_en="Open a closed month again",
        roles=ADMINS,
        write=True,
        body=ReasonAsk,
        example={"reason": "补录漏报"},
        answers={200: PeriodWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/periods",
        handler=listing,
        operation="list_periods",
        tag=TAG,
        summary_zh="关账月份列表",
        summary_en="List the months that were ever closed",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: PeriodPage},
    ),
    Route(
        method="GET",
        path="/v1/periods/{month}",
        handler=item,
        operation="get_period",
        tag=TAG,
        summary_zh="一个月份",
        summary_en="Get a month",
        roles=EVERYONE,
        answers={200: Period},
    ),
]
