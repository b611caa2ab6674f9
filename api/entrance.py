"""The way in: key, role, path, query and body of a request, checked before its handler runs."""

import asyncio
import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from api import bodies
from api.call import Call
from api.contract import IDEMPOTENCY_KEY_PATTERN, PATH_PARTS, Handler, Query, Route
from api.limits import HELD_BYTES_MIN, KIB, Use
from api.problems import FieldError, Invalid, errors_of
from ledger.desk import Once
from ledger.units import Refused

WAIT_SECONDS = 5.0  # that a read waits for `min_position`
QUERY_PARAMETERS_MAX = 64
LARGE_BYTES = 16 * 1024  # of a body, from which it is parsed in a thread

_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN, re.ASCII)


def entrance(route: Route) -> Handler:
    """All that happens between the request's head and the handler, resolved once per route."""
    handler, roles, write = route.handler, route.roles, route.write
    patterns = [(name, re.compile(PATH_PARTS[name].pattern, re.ASCII)) for name in route.path_names]
    query_model = route.query_model
    plain_query = _plain(query_model)
    body_model = route.body
    takes_body, raw, media = route.takes_body, route.raw, route.media
    empty_body = _plain(body_model) if body_model is not None and not raw else None
    takes_once = write and route.method == "POST"
    organisation_in_body = (
        route.acts_for
        and body_model is not None
        and not raw
        and "organisation" in body_model.model_fields
    )
    organisation_in_query = "organisation" in query_model.model_fields

    async def enter(call: Call) -> web.StreamResponse:
        request = call.request
        if roles:
            shown, door = _presented(request), call.door
            key = call.ledger.keyring.recall(shown)
            if key is None:
                key = await door.callers.find(shown, call.request_id)
                if key is None:
                    raise Refused("unauthenticated")
            call.key = key
            call.use = door.limits.enter(key.id)  # the edge lets it leave
            if key.role not in roles:
                raise Refused("forbidden")
            if key.role == "auditor":
                await door.access_log.note(call)
        if patterns:
            call.path = dict(request.match_info)
            for name, pattern in patterns:
                if pattern.fullmatch(call.path[name]) is None:
                    raise Refused("not_found")
        content = b""
        if takes_body:
            call.media = bodies.media_type(request, media)
            content = await _body(call)
        if takes_once:
            call.once = _once(call, content)

        errors: list[FieldError] = []
        raw_query = request.raw_path.partition("?")[2]
        if not raw_query and plain_query is not None:
            call.query = plain_query
        else:
            call.query = _parse_query(query_model, raw_query, errors)
        if raw:
            call.body = content
        elif body_model is not None:
            if not content and empty_body is not None:
                call.body = empty_body
            elif len(content) > LARGE_BYTES:  # others are answered meanwhile
                call.body = await call.in_thread(_parse_body, body_model, content, errors)
            else:
                call.body = _parse_body(body_model, content, errors)
        if errors:
            raise Invalid(errors)

        if write:
            call.dry_run = call.query.dry_run
            named = call.body.organisation if organisation_in_body else None
            if named is None and organisation_in_query:
                named = call.query.organisation
            own = call.key.organisation
            if own is not None and named not in (None, own):
                raise Refused("not_found", pointer="/organisation", what=named)
            call.organisation = own or named
        elif roles and call.query.min_position is not None:
            await _wait(call, call.query.min_position)
        return await handler(call)

    return enter


def _plain(model: type[BaseModel]) -> Any:
    """The model with nothing said, where nothing has to be."""
    try:
        return model.model_validate({})
    except ValidationError:
        return None


def _presented(request: web.Request) -> str:
    """The key or token in the request's head (RFC 6750, section 2.1)."""
    scheme, _, presented = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme not in ("Bearer", "bearer"):
        raise Refused("unauthenticated")
    return presented


async def _body(call: Call) -> bytes:
    """All of the body, as far as the key may have so much in memory; the key is charged for it."""
    bytes_max, limits, use = call.door.body_bytes_max, call.door.limits, call.use or Use()

    def hold(more: int) -> None:
        limits.hold(use, more)
        call.held_bytes += more

    content = bodies.body_at_hand(call.request, bytes_max)
    if content is None:
        seconds = call.door.body_seconds
        try:
            async with asyncio.timeout(seconds):
                content = await bodies.read_body(call.request, bytes_max, hold)
        except TimeoutError:
            raise Refused("too_slow", seconds=seconds) from None
    elif len(content) >= HELD_BYTES_MIN:
        hold(len(content))
    if len(content) > KIB:
        limits.charge(use, len(content))
    return content


def _once(call: Call, content: bytes) -> Once | None:
    said = call.request.headers.get("Idempotency-Key")
    if said is None:
        return None
    if _IDEMPOTENCY_KEY.fullmatch(said) is None:
        expected = "1-255 printable characters"
        raise Invalid([FieldError("", "wrong_value", {"expected": expected}, "header")])
    key = call.key
    if key.member_id is not None and key.role == "member":
        scope = f"member:{key.member_id}"
    elif key.organisation is not None:
        scope = f"organisation:{key.organisation}"
    else:
        scope = f"key:{key.id}"
    asked = f"{call.request.method}\n{call.request.raw_path}\n".encode(errors="surrogateescape")
    return Once(scope, said, hashlib.sha256(asked + content).digest())


def _parse_query(model: type[Query], raw_query: str, errors: list[FieldError]) -> Query | None:
    try:
        raw_query.encode()  # bytes that are no UTF-8 have arrived as surrogates
        pairs = parse_qsl(
            raw_query,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except UnicodeError:
        raise Refused("bad_encoding") from None
    except ValueError:  # more fields than any route has
        errors.append(FieldError("", "unknown_parameter", {}, "query"))
        return None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            errors.append(FieldError(f"/{name}", "wrong_value", {"expected": "once"}, "query"))
        values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors += errors_of(error, "query")
        return None


def _parse_body(
    model: type[BaseModel], content: bytes, errors: list[FieldError]
) -> BaseModel | None:
    try:
        return model.model_validate(bodies.parse_json(content))
    except ValidationError as error:
        errors += errors_of(error)
        return None


async def _wait(call: Call, position: int) -> None:
    if not await call.views.wait_for(position, WAIT_SECONDS):
        raise Refused("view_behind", position=call.views.position)
