"""The feed: events as they are recorded, in one open answer (server-sent events), with resume.

After the WHATWG's HTML standard, section 9.2. An event's `id` is its position, and they come in the
order of their positions, so whoever says with `Last-Event-ID` how far it has come misses nothing
and sees nothing twice. What is told are the pages of `/v1/audit/events`, with the same visibility;
a page is sent before the next is read, so a slow reader costs the memory of one.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar

import orjson
import structlog
from aiohttp import hdrs, web
from pydantic import Field
from sqlalchemy.exc import DBAPIError

from api.asks import Text, Uuid
from api.audit import read_events
from api.call import Call
from api.contract import EVENT_STREAM, LAST_EVENT_ID_PATTERN, READERS, ReadQuery, Route, Whole
from api.problems import FieldError, Invalid
from ledger import store
from ledger.keys import find_key
from ledger.units import Refused
from projections import trail
from projections.views import MANY, REST_SECONDS, stored_mark

PAGE = 200
LOOK_SECONDS = 1.0  # a feed that has nothing to tell looks so often whether it should end
HEARTBEAT_SECONDS = 15.0  # proxies commonly close what is silent for 30 or 60
KEY_SECONDS = 5.0  # a silent feed asks so often whether its key still works
LONGEST_SECONDS = 3_600.0  # then whoever listens shows the key anew
STALLED_SECONDS = 60.0  # that a page may take to be read
RETRY_MS = 2_000
RETRY_AFTER_SECONDS = 5

_POSITION = re.compile(LAST_EVENT_ID_PATTERN, re.ASCII)

Said = TypeVar("Said")
Args = ParamSpec("Args")

log = structlog.stdlib.get_logger("timebank.feeds")


class FeedQuery(ReadQuery):
    """Which events, from where on."""

    after: Annotated[
        Whole | None, Field(description="A position; `Last-Event-ID` goes before it.")
    ] = None
    stream: Text | None = None
    type: Annotated[
        str | None,
        Field(max_length=4_000, description="One type, or several with commas between."),
    ] = None
    member_id: Uuid | None = None


class Page(NamedTuple):
    """The next events, each spelled as it is sent, and how far was looked for them."""

    events: list[bytes]
    looked_to: int
    more: bool


async def feed(call: Call) -> web.StreamResponse:
    """Tell every event behind a position, and then each as it comes, until the client has gone."""
    feeds, request, key = call.door.feeds, call.request, call.key
    after = _resumed_at(call)
    if not call.views.standing:
        raise Refused("view_behind", position=call.views.position)
    if after > call.views.position:
        last = await call.in_thread(_last_position, call.ledger.store)
        if after > last:  # an older backup was restored, or it is another ledger's
            raise Refused("beyond_the_end", position=after, last=last)
    if not feeds.has_room(key.id):
        raise Refused("too_many_requests", seconds=RETRY_AFTER_SECONDS)
    if request.transport is None:
        raise ConnectionResetError
    headers = call.headers(EVENT_STREAM, call.views.position)
    response = web.StreamResponse(headers=headers | {"X-Accel-Buffering": "no"})
    with feeds.opened(key.id, request.transport):
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            await _tell(call, response, after)
        except (ConnectionError, TimeoutError):  # the client has gone, or does not read
            _cut(request)
        except DBAPIError as away:  # the client comes back by itself
            log.warning("feed_cut", request_id=call.request_id, error=type(away).__name__)
            _cut(request)
        except BaseException:
            _cut(request)  # no other answer may follow in the middle of this one
            raise
    return response


async def _tell(call: Call, response: web.StreamResponse, after: int) -> None:
    """Write pages as they come; ends with the server, with the key, or when it is time."""
    feeds, views, query, key = call.door.feeds, call.views, call.query, call.key
    clock = asyncio.get_running_loop().time
    asked: Mapping[str, Any] = {
        "stream": query.stream,
        "types": None if query.type is None else query.type.split(","),
        "member_id": query.member_id,
        "organisation": key.organisation,
    }
    ends_at = clock() + LONGEST_SECONDS
    told = after
    await _write(response, b"retry: %d\n\n" % RETRY_MS)
    written_at = looked_at = clock()
    while not feeds.ended and clock() < ends_at:
        page = Page([], after, False)
        if views.position > after or clock() - looked_at >= KEY_SECONDS:
            if not await _in_thread(call, _works, call.ledger.store, key.id):
                return
            looked_at = clock()
            if views.position > after:
                page = await _in_thread(call, _next_page, call, after, asked)
        before, after = after, page.looked_to
        if page.events:
            told = after
            await _write(response, b"".join(page.events))
            written_at = clock()
        elif clock() - written_at >= HEARTBEAT_SECONDS:
            # An id without data moves where the client resumes, and is no event (section 9.2.6).
            await _write(response, b"id: %d\n\n" % after if after > told else b":\n\n")
            told, written_at = after, clock()
        if _is_gone(call.request):
            return
        if not page.more:
            if after - before >= MANY:  # the views hurry while somebody waits for them
                await feeds.pause(REST_SECONDS)
            await views.wait_for(after + 1, LOOK_SECONDS)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await response.write(data)


def _next_page(call: Call, after: int, asked: Mapping[str, Any]) -> Page:
    """What follows a position, as far as the views have read; looks again where they were replaced.

    Where they stand is asked in the same build as what they hold: a rebuild may stand further back.
    """
    with call.ledger.views_engine.connect() as connection:
        mark = stored_mark(connection)
        if mark is None or mark.position <= after:
            return Page([], after, False)
        found = trail.entries(connection, after, PAGE, until=mark.position, **asked)
        again = stored_mark(connection)
        if again is None or again.build != mark.build:
            return Page([], after, True)
    positions = [entry["position"] for entry in found.items]
    events = [_spelled(event) for event in read_events(call.ledger.store, positions)]
    return Page(events, found.next or mark.position, found.next is not None)


def _spelled(event: Mapping[str, Any]) -> bytes:
    """One event; JSON has no line end in it."""
    return b"id: %d\ndata: %s\n\n" % (event["position"], orjson.dumps(event))


def _works(journal: store.Store, key_id: str) -> bool:
    with journal.reading() as connection:
        key = find_key(connection, key_id)
    return key is not None and key.works_on(datetime.now(UTC).date())


def _last_position(journal: store.Store) -> int:
    with journal.reading() as connection:
        return store.last_position(connection)


async def _in_thread(
    call: Call, work: Callable[Args, Said], *args: Args.args, **kwargs: Args.kwargs
) -> Said:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(call.door.feeds.threads, partial(work, *args, **kwargs))


def _resumed_at(call: Call) -> int:
    """Behind which position: what the client heard last goes before what its address says."""
    said = call.request.headers.get("Last-Event-ID", "")
    if _POSITION.fullmatch(said) is None:
        expected = {"expected": "integer"}
        raise Invalid([FieldError("/Last-Event-ID", "wrong_type", expected, "header")])
    return int(said) if said else call.query.after or 0


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


ROUTES = [
    Route(
        method="GET",
        path="/v1/audit/feed",
        handler=feed,
        operation="follow_events",
        tag="Audit",
        summary_zh="事件流（服务器推送）",
        summary_en="Follow the events as they come; an organisation sees its own",
        roles=READERS,
        stream=True,
        query=FeedQuery,
        answers={200: None},
        also=(EVENT_STREAM,),
        problems=("beyond_the_end", "too_many_requests"),
    ),
]
