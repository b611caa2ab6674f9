"""For those who watch the server: is it alive, is it ready, what has it counted."""

from ipaddress import ip_address

from aiohttp import web
from pydantic import BaseModel

from api.call import Call
from api.contract import Route
from api.metrics import CONTENT_TYPE
from api.replies import Reply
from ledger import store
from ledger.units import Refused

READY_BEHIND_MAX = 100_000
"""Entries that the views may lag behind and the server still be called ready."""

STUCK_SECONDS = 10.0
"""For how long a batch may be under way: a writer's turn has come by then, a standby's word too."""


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """The ledger takes writes, and its views are near."""

    status: str
    position: int
    views_position: int


async def healthz(call: Call) -> web.Response:
    """Answer at once, whatever the stores do."""
    return call.answer({"status": "ok"})


async def readyz(call: Call) -> web.Response:
    """Ask the journal and the views where they stand, and whether what is written comes through."""
    if call.ledger.desk.under_way_seconds > STUCK_SECONDS:
        raise Refused("busy")
    position = await call.in_thread(_last_position, call.ledger.store)
    read = call.views.position
    if not call.views.standing or position - read > READY_BEHIND_MAX:
        raise Refused("view_behind", position=read)
    return call.answer({"status": "ready", "position": position, "views_position": read})


async def metrics(call: Call) -> web.Response:
    """The counters, for this machine alone unless the settings open them."""
    if not (call.door.metrics_open or _is_from_here(call.request)):
        raise Refused("forbidden")
    text = await call.in_thread(call.door.metrics.text)
    return Reply(200, call.headers(CONTENT_TYPE), text)


def _last_position(journal: store.Store) -> int:
    with journal.reading() as connection:
        return store.last_position(connection)


def _is_from_here(request: web.Request) -> bool:
    """From the loopback, and not handed on by a proxy that stands there."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


ROUTES = [
    Route(
        method="GET",
        path="/healthz",
        handler=healthz,
        operation="healthz",
        tag="Health",
        summary_zh="进程是否存活",
        summary_en="Is the process alive?",
        answers={200: Alive},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=readyz,
        operation="readyz",
        tag="Health",
        summary_zh="账本是否可用",
        summary_en="Does the ledger take requests?",
        answers={200: Ready},
        problems=("busy", "view_behind"),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        operation="metrics",
        tag="Health",
        summary_zh="运行指标（默认仅限本机）",
        summary_en="What the server counts (loopback only unless configured)",
        answers={200: None},
        also=("text/plain",),
        problems=("forbidden",),
    ),
]
