"""The application: every route in one table, before one open house."""

from collections.abc import AsyncIterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import hdrs, web

from api import (
    audit,
    batches,
    docs,
    health,
    imports,
    members,
    openapi,
    organisations,
    policies,
    service_records,
    units,
)
from api.contract import Handler, Route
from api.guard import Call, Door
from api.metrics import Metrics
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
    *service_records.ROUTES,
    *batches.ROUTES,
    *imports.ROUTES,
    *policies.ROUTES,
    *audit.ROUTES,
)

DOOR = web.AppKey("door", Door)


def document(routes: Sequence[Route] = ROUTES) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    try:
        released = version("timebank")
    except PackageNotFoundError:  # run from a folder, not installed
        released = "0"
    return openapi.document(routes, released)


def make_app(
    ledger: "Ledger", views: "Views", settings: "Settings", routes: Sequence[Route] = ROUTES
) -> web.Application:
    """The application before an open ledger, which it does not close.

    aiohttp's own unpacking of bodies is off: a packed body is refused, so no gzip bomb goes off.
    Its access log is off: the guard writes one line for each request.
    """
    app = web.Application(handler_args={"auto_decompress": False, "access_log": None})
    metrics = Metrics()
    door = Door(ledger, views, settings, metrics)
    described = document(routes)
    app[DOOR] = door
    app[openapi.DOCUMENT] = orjson.dumps(described)
    app[docs.PAGE] = docs.docs_page(described)
    by_path: dict[str, list[Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    for path, there in by_path.items():
        for route in there:
            handler = door.guarded(route)
            if route.method == "GET":
                app.router.add_get(path, handler, expect_handler=door.expected)
            else:
                app.router.add_route(route.method, path, handler, expect_handler=door.expected)
        app.router.add_route("*", path, door.edge(_other_methods(there)))
    app.router.add_route("*", "/{rest:.*}", door.edge(_unlisted("*", _nowhere)))
    app.cleanup_ctx.append(_doors_life)
    return app


async def _doors_life(app: web.Application) -> AsyncIterator[None]:
    yield
    app[DOOR].close()


def _other_methods(there: Sequence[Route]) -> Route:
    """What answers a path's other methods: OPTIONS is told them, the rest are refused."""
    allowed: set[str] = {route.method for route in there} | {"OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    allow = ", ".join(sorted(allowed))

    async def refuse(call: Call) -> web.Response:
        if call.request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers=call.headers(None) | {"Allow": allow})
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
