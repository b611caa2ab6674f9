"""The application: every route in one table, before one open house."""

import gc
from collections.abc import AsyncIterator, Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import hdrs, web, web_response

from api import (
    accounts,
    achievements,
    agreements,
    audit,
    batches,
    books,
    careers,
    cases,
    certifications,
    consents,
    conversions,
    corrections,
    credentials,
    docs,
    erasure,
    feeds,
    grades,
    groups,
    health,
    held,
    imports,
    issuers,
    kpis,
    meetings,
    members,
    needs,
    openapi,
    orders,
    organisations,
    partners,
    passbooks,
    periods,
    policies,
    programmes,
    projects,
    proofs,
    redemptions,
    relations,
    rewards,
    service_records,
    statements,
    supervision,
    targets,
    transfers,
    units,
    verification,
    webhooks,
    what_if,
)
from api.call import SERVER, Call
from api.contract import Handler, Route
from api.gauges import watch
from api.guard import Door
from api.metrics import Metrics
from api.replies import Reply
from ledger.units import Refused

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from ledger.settings import Settings
    from projections.views import Views

ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *docs.ROUTES,
    *units.ROUTES,
    *organisations.ROUTES,
    *members.ROUTES,
    *erasure.ROUTES,
    *relations.ROUTES,
    *consents.ROUTES,
    *accounts.ROUTES,
    *passbooks.ROUTES,
    *transfers.ROUTES,
    *rewards.ROUTES,
    *redemptions.ROUTES,
    *needs.ROUTES,
    *orders.ROUTES,
    *certifications.ROUTES,
    *achievements.ROUTES,
    *supervision.ROUTES,
    *cases.ROUTES,
    *projects.ROUTES,
    *conversions.ROUTES,
    *programmes.ROUTES,
    *targets.ROUTES,
    *agreements.ROUTES,
    *meetings.ROUTES,
    *partners.ROUTES,
    *careers.ROUTES,
    *groups.ROUTES,
    *service_records.ROUTES,
    *statements.ROUTES,
    *credentials.ROUTES,
    *verification.ROUTES,
    *issuers.ROUTES,
    *corrections.ROUTES,
    *batches.ROUTES,
    *imports.ROUTES,
    *policies.ROUTES,
    *grades.ROUTES,
    *kpis.ROUTES,
    *periods.ROUTES,
    *what_if.ROUTES,
    *audit.ROUTES,
    *feeds.ROUTES,
    *webhooks.ROUTES,
    *books.ROUTES,
    *proofs.ROUTES,
    *held.ROUTES,
)

DOOR = web.AppKey("door", Door)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of all routes."""
    try:
        released = version("timebank")
    except PackageNotFoundError:  # run from a folder, not installed
        released = "0"
    return openapi.document(ROUTES, released)


@cache
def _page() -> str:
    """The same as a page."""
    return docs.docs_page(document())


def make_app(
    ledger: "Ledger", views: "Views", settings: "Settings", metrics: Metrics | None = None
) -> web.Application:
    """The application before an open ledger, which it does not close.

    aiohttp's own unpacking of bodies is off: a packed body is refused, so no gzip bomb goes off.
    Its access log is off: the guard writes one line for each request.
    """
    vars(web_response)["SERVER_SOFTWARE"] = SERVER  # what is no HTTP is answered by aiohttp itself
    app = web.Application(
        handler_args={
            "auto_decompress": False,
            "access_log": None,
            "keepalive_timeout": settings.idle_seconds,
        }
    )
    metrics = metrics or Metrics()
    door = Door(ledger, views, settings, metrics)
    app[DOOR] = door
    app[openapi.DOCUMENT] = orjson.dumps(document())
    app[docs.PAGE] = _page()
    by_path: dict[str, list[Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, []).append(route)
    for path, there in by_path.items():
        path = there[0].pattern
        for route in there:
            handler = door.guarded(route)
            if route.method == "GET":
                app.router.add_get(path, handler, expect_handler=door.expected)
            else:
                app.router.add_route(route.method, path, handler, expect_handler=door.expected)
        app.router.add_route("*", path, door.edge(_other_methods(there)))
    app.router.add_route("*", "/{rest:.*}", door.edge(_unlisted("*", _nowhere)))
    app.cleanup_ctx.append(_doors_life)
    app.on_shutdown.append(door.feeds.end)
    return app


def spare_the_collector() -> None:
    """Let the garbage collector pass over what stands at the start, and look less often.

    Requests leave no rings behind to speak of; measured at 64 connections, walking a hundred
    thousand lasting objects again and again cost a fifth of the rate and four times the p99.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def _doors_life(app: web.Application) -> AsyncIterator[None]:
    door = app[DOOR]
    finished = door.metrics.committed
    door.ledger.desk.finished = finished if door.traces is None else door.traces.committed(finished)
    door.metrics.gauge("open_feeds", "Feeds that are open.", lambda: door.feeds.count)
    door.metrics.gauge(
        "webhooks_failing",
        "Webhooks that are disabled, or whose receiver takes nothing now.",
        partial(webhooks.failing, door.ledger.store),
    )
    watch(door.metrics, door.ledger, door.views)
    async with door.open():
        yield


def _other_methods(there: Sequence[Route]) -> Route:
    """What answers a path's other methods: OPTIONS is told them, the rest are refused."""
    allowed: set[str] = {route.method for route in there} | {"OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    allow = ", ".join(sorted(allowed))

    async def refuse(call: Call) -> web.Response:
        if call.request.method == hdrs.METH_OPTIONS:
            return Reply(204, call.headers(None) | {"Allow": allow})
        response = call.refuse(Refused("method_not_allowed"))
        response.headers["Allow"] = allow
        return response

    return _unlisted(there[0].path, refuse)


async def _nowhere(call: Call) -> web.Response:
    raise Refused("not_found")


def _unlisted(path: str, handler: Handler) -> Route:
    return Route(
        method="GET", path=path, handler=handler, operation="", tag="", summary_zh="", summary_en=""
    )
