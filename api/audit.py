"""For auditors: the events as they stand in the journal, and the trial balance."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Instant, Text, Uuid
from api.call import Call
from api.contract import (
    AUDITORS,
    READERS,
    Fields,
    InstantInQuery,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
    Whole,
)
from api.lists import link_to_next, page_of
from api.problems import FieldError, Invalid
from api.replies import Reply
from ledger import store
from ledger.events import EVENT_TYPES
from ledger.units import Refused
from projections import journal_lines, trail

NDJSON = "application/x-ndjson"
LIFTED = ("recorded_at", "actor", "correlation_id")


class Event(BaseModel):
    """An entry of the journal; what all have in common is lifted out of the stored data."""

    position: Annotated[int, Field(ge=1)]
    stream: str
    version: int
    type: str
    recorded_at: InstantText | None
    actor: str | None
    correlation_id: str | None
    data: Annotated[
        dict[str, Any] | str, Field(description="Base64 text where the type is not ours.")
    ]


class EventPage(Page):
    """Events, oldest first."""

    data: list[Event]


class Account(BaseModel):
    """An account of the double entry."""

    account: str
    credits: int


class TrialBalance(BaseModel):
    """Every account, and their sum, which is 0."""

    position: Annotated[int, Field(ge=0)]
    accounts: list[Account]
    sum: int


class EventQuery(PageQuery):
    """Which events."""

    behind: Annotated[
        Whole | None,
        Field(alias="after", description="A position; `cursor` goes before it."),
    ] = None
    stream: Text | None = None
    type: Annotated[
        str | None,
        Field(max_length=4_000, description="One type, or several with commas between."),
    ] = None
    member_id: Uuid | None = None
    record_id: Uuid | None = None
    correlation_id: Text | None = None
    actor: Text | None = None
    until: Annotated[Whole | None, Field(description="The last position.")] = None
    format: Literal["json", "ndjson"] = "json"

    @property
    def after(self) -> int:
        """What the page begins behind."""
        return self.behind or 0 if self.cursor is None else self.cursor


class PointQuery(ReadQuery):
    """As of when: a position, or an instant."""

    position: Whole | None = None
    as_of: InstantInQuery | None = None


async def events(call: Call) -> web.Response:
    """The events that answer to the filters; an organisation sees its own."""
    query: EventQuery = call.query
    position = call.views.position
    page = await call.look_up(
        trail.entries,
        query.after,
        query.limit,
        stream=query.stream,
        types=None if query.type is None else query.type.split(","),
        until=query.until,
        member_id=query.member_id,
        record_id=query.record_id,
        correlation_id=query.correlation_id,
        actor=query.actor,
        organisation=call.key.organisation,
    )
    positions = [entry["position"] for entry in page.items]
    found = await call.in_thread(read_events, call.ledger.store, positions)
    if query.format == "json":
        return page_of(call, found, page.next, position)
    headers = call.headers(NDJSON, position) | link_to_next(call, page.next)
    return Reply(200, headers, b"".join(orjson.dumps(e) + b"\n" for e in found))


async def event(call: Call) -> web.Response:
    """One event."""
    position = int(call.path["position"])
    read_to = call.views.position
    page = await call.look_up(
        trail.entries, position - 1, 1, until=position, organisation=call.key.organisation
    )
    if not page.items:
        raise Refused("not_found")
    (found,) = await call.in_thread(read_events, call.ledger.store, [position])
    return call.answer(found, position=read_to)


async def trial_balance(call: Call) -> web.Response:
    """Every account at a position or an instant."""
    query: PointQuery = call.query
    if query.position is not None and query.as_of is not None:
        names = {"first": "position", "second": "as_of"}
        raise Invalid([FieldError("/as_of", "one_of_two", names, "query")])
    return await call.read(_trial_balance, query.position, query.as_of)


def _trial_balance(connection: Connection, position: int | None, as_of: Instant | None) -> Fields:
    if as_of is not None:
        position = trail.position_at(connection, as_of)
    return journal_lines.trial_balance(connection, position)


def read_events(journal: store.Store, positions: Sequence[int]) -> list[Fields]:
    with journal.reading() as connection:
        return [event_told(row) for row in store.read_positions(connection, positions)]


def event_told(row: store.Row) -> Fields:
    """An entry as it is shown."""
    said: Fields = {
        "position": row.position,
        "stream": row.stream,
        "version": row.version,
        "type": row.type,
    }
    if row.type not in EVENT_TYPES:
        said |= dict.fromkeys(LIFTED)
        said["data"] = base64.b64encode(row.data).decode()
        return said
    data = orjson.loads(row.data)
    said |= {name: data.pop(name) for name in LIFTED}
    said["data"] = data
    return said


ROUTES = [
    Route(
        method="GET",
        path="/v1/audit/events",
        handler=events,
        operation="list_events",
        tag="Audit",
        summary_zh="事件列表",
        summary_en="List events; an organisation sees its own",
        roles=READERS,
        query=EventQuery,
        answers={200: EventPage},
        also=(NDJSON,),
    ),
    Route(
        method="GET",
        path="/v1/audit/events/{position}",
        handler=event,
        operation="get_event",
        tag="Audit",
        summary_zh="一个事件",
        summary_en="Get an event",
        roles=READERS,
        answers={200: Event},
    ),
    Route(
        method="GET",
        path="/v1/audit/trial-balance",
        handler=trial_balance,
        operation="trial_balance",
        tag="Audit",
        summary_zh="试算平衡",
        summary_en="Every account and their sum, now or as of then",
        roles=AUDITORS,
        query=PointQuery,
        answers={200: TrialBalance},
    ),
]
