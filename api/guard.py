"""The guard before every handler: who calls, may they, what do they ask; and every no answered.

`Door` holds what all requests share, `Door.guarded` wraps a route's handler once at the start, and
`Call` is one request as the handler meets it: authorised, parsed, validated.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from traceback import format_tb
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl

import orjson
import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from api import bodies
from api.contract import (
    IDEMPOTENCY_KEY_PATTERN,
    JSON,
    PATH_PARTS,
    PROBLEM_JSON,
    Fields,
    Handler,
    Query,
    Route,
)
from api.log_lines import RequestLog
from api.metrics import Metrics
from api.problems import (
    RETRY_AFTER_SECONDS,
    FieldError,
    Invalid,
    No,
    code_of,
    errors_of,
    language_of,
    problem,
)
from api.replies import Reply
from ledger import store
from ledger.commands import Command, Stamp
from ledger.desk import Answer, Busy, Done, Job, Mode, Once, Outcome
from ledger.keys import Key
from ledger.refusals import Language
from ledger.units import Refused, new_id

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from ledger.settings import Settings
    from projections.views import Views

Said = TypeVar("Said")
Args = ParamSpec("Args")

WAIT_SECONDS = 5.0  # that a read waits for `min_position`
READERS_MAX = 8
QUERY_PARAMETERS_MAX = 64
LARGE_BYTES = 256 * 1024  # of a body, from which it is parsed in a thread

log = structlog.stdlib.get_logger("timebank.http")

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN, re.ASCII)
_NO_QUERY = Query()
_NO_PATH: Mapping[str, str] = {}
_NOBODY = Key("", "member", "")


class Call:
    """One request, authorised and validated, and the ways to answer it."""

    __slots__ = (
        "body",
        "chain",
        "door",
        "dry_run",
        "key",
        "media",
        "once",
        "organisation",
        "path",
        "position",
        "query",
        "request",
        "request_id",
        "route",
    )

    def __init__(self, door: "Door", route: Route, request: web.Request) -> None:
        self.door = door
        self.route = route
        self.request = request
        said = request.headers.get("X-Request-Id")
        if said is None or _REQUEST_ID.fullmatch(said) is None:
            self.request_id = self.chain = new_id()
        else:
            self.request_id = said
            self.chain = said if _UUID.fullmatch(said) else new_id()
        self.key: Key = _NOBODY  # of a route without a key: nobody's
        self.organisation: str | None = None  # for which a write acts
        self.path: Mapping[str, str] = _NO_PATH
        self.query: Any = _NO_QUERY  # the route's query model
        self.body: Any = None  # the route's body model, or bytes where the route is raw
        self.media = ""  # the body's media type
        self.once: Once | None = None
        self.dry_run = False
        self.position: int | None = None  # of what was written

    @property
    def ledger(self) -> "Ledger":
        """The open house."""
        return self.door.ledger

    @property
    def views(self) -> "Views":
        """The loop that keeps the views."""
        return self.door.views

    @property
    def language(self) -> Language:
        """What the caller reads."""
        return language_of(self.request.headers.get(hdrs.ACCEPT_LANGUAGE))

    def stamp(self) -> Stamp:
        """Who asks, for commands; the chain of facts is the request, if its id can be a UUID."""
        key = self.key
        return {
            "actor": key.id,
            "actor_name": key.actor,
            "actor_member": key.member_id,
            "by_admin": key.role == "admin",
            "correlation_id": self.chain,
        }

    def acting_organisation(self) -> str:
        """The organisation that a write is for; an administrator has to name it."""
        if self.organisation is None:
            raise Invalid([FieldError("/organisation", "missing")])
        return self.organisation

    # -- writes --------------------------------------------------------------------------------

    async def write(
        self, command: Command, answer: Callable[[Done], tuple[int, Fields]]
    ) -> web.Response:
        """Ask the desk for one thing; `answer` words what came of it: status and body.

        It runs in the committer's thread before the commit: pure and quick. The position of the
        command's last entry is added; where there is none, the body brings its own.
        """

        def word(outcome: Outcome) -> Answer:
            (done,) = outcome.results
            return self._word(outcome, *answer(done))  # type: ignore[arg-type]  # no refusal

        job = Job((command,), word, "one", self.once, self.dry_run)
        said = await self.door.ledger.desk.ask(job)
        return self.deliver(said, self.position)

    async def write_many(
        self,
        commands: Sequence[Command],
        mode: Mode,
        answer: Callable[[Outcome], tuple[int, Fields]],
    ) -> web.Response:
        """Ask the desk for several things in one transaction; `answer` words what came of them."""

        def word(outcome: Outcome) -> Answer:
            return self._word(outcome, *answer(outcome))

        job = Job(commands, word, mode, self.once, self.dry_run)
        said = await self.door.ledger.desk.ask(job)
        return self.deliver(said, self.position)

    def _word(self, outcome: Outcome, status: int, body: Fields) -> Answer:
        if self.dry_run:
            body.pop("position", None)
            body["dry_run"] = True
        else:
            if outcome.position is not None:
                body["position"] = outcome.position
            self.position = body.get("position")
        return Answer(status, orjson.dumps(body))

    def deliver(self, said: Answer, position: int | None = None) -> web.Response:
        """The desk's answer; one that was kept is the first one's, byte for byte."""
        if said.replayed:
            position = orjson.loads(said.body).get("position")
        headers = self.headers(JSON if said.status < 400 else PROBLEM_JSON, position)
        if said.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Reply(said.status, headers, said.body)

    # -- reads ---------------------------------------------------------------------------------

    async def in_thread(
        self, work: Callable[Args, Said], *args: Args.args, **kwargs: Args.kwargs
    ) -> Said:
        """What a function finds that waits for a database, in a thread of the readers."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.door.readers, partial(work, *args, **kwargs))

    async def look_up(
        self,
        read: Callable[Concatenate[Connection, Args], Said],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> Said:
        """What a read function finds in the views."""

        def work() -> Said:
            with self.ledger.views_engine.connect() as connection:
                return read(connection, *args, **kwargs)

        return await self.in_thread(work)

    async def read(
        self,
        read: Callable[Concatenate[Connection, Args], Fields | None],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> web.Response:
        """Answer what a read function finds; None is not found."""
        position = self.views.position  # at least this far: it is taken before the read begins
        found = await self.look_up(read, *args, **kwargs)
        if found is None:
            raise Refused("not_found")
        return self.answer(found, position=position)

    # -- answers -------------------------------------------------------------------------------

    def answer(
        self, body: Fields, status: int = 200, *, position: int | None = None
    ) -> web.Response:
        """A JSON answer."""
        return Reply(status, self.headers(JSON, position), orjson.dumps(body))

    def headers(self, content_type: str | None, position: int | None = None) -> dict[str, str]:
        """The headers that every answer has."""
        headers = {
            "X-Request-Id": self.request_id,
            "Cache-Control": "no-store",
            "Server": "timebank",  # and not which versions it runs on
        }
        if content_type is not None:
            headers["Content-Type"] = content_type
        if position is not None:
            headers["Ledger-Position"] = str(position)
        return headers

    def refuse(self, no: No) -> web.Response:
        """The problem that says no."""
        code = code_of(no)
        language = self.language
        self.door.metrics.refusals[code] += 1
        body = problem(no, language, self.request_id)
        headers = self.headers(PROBLEM_JSON)
        headers["Content-Language"] = language
        if code in RETRY_AFTER_SECONDS:
            headers["Retry-After"] = RETRY_AFTER_SECONDS[code]
        if body["status"] == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="timebank"'
        return Reply(body["status"], headers, orjson.dumps(body))


class Door:
    """What all requests share: the open house, its views, the readers' threads, the counters."""

    def __init__(
        self, ledger: "Ledger", views: "Views", settings: "Settings", metrics: Metrics
    ) -> None:
        self.ledger = ledger
        self.views = views
        self.metrics = metrics
        self.metrics_open = settings.metrics_open
        self.body_bytes_max = settings.body_bytes_max
        self.readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="reader")
        self.request_log = RequestLog(settings)
        self._asked_keys: dict[str, asyncio.Future[Key | None]] = {}

    def close(self) -> None:
        """End the readers' threads, write the log's last lines."""
        self.readers.shutdown()
        self.request_log.flush()

    def guarded(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The route's handler as aiohttp calls it, behind all that the route asks for."""
        return self.edge(route, _entrance(route))

    async def expected(self, request: web.Request) -> None:
        """Let a client that asks first (RFC 9110, section 10.1.1) send what may be sent."""
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            said = request.headers.get(hdrs.CONTENT_LENGTH)
            if said is None or int(said) <= self.body_bytes_max:
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def edge(
        self, route: Route, handler: Handler | None = None
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The edge of the house, without the door: every no is answered, counted and logged."""
        enter = handler or route.handler
        label, method = route.path, route.method if handler else "*"
        metrics = self.metrics
        answered = metrics.answered(method, label)
        spread = metrics.write_seconds if route.write else metrics.read_seconds
        note = self.request_log.add

        async def handle(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            call = Call(self, route, request)
            try:
                response = await enter(call)
            except (Refused, Invalid) as no:
                response = await self._say_no(call, no)
            except Busy:
                response = call.refuse(Refused("busy"))
            except ConnectionError:
                raise  # the client went away
            except OperationalError as away:  # the database's doing, not ours
                _log_bug(call, away)
                response = call.refuse(Refused("busy"))
            except Exception as bug:  # the edge: logged, and answered once
                _log_bug(call, bug)
                response = call.refuse(Refused("internal"))
            status = response.status
            seconds = perf_counter() - started
            answered[status] += 1
            spread.add(seconds)
            note(call.request_id, method, label, status, seconds, call.key.id)
            return response

        return handle

    async def find_key(self, presented: str) -> Key | None:
        """Ask the table in a thread, once for all who present the same key meanwhile."""
        asked = self._asked_keys.get(presented)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self.readers, self.ledger.keyring.find, presented)
            self._asked_keys[presented] = asked
            asked.add_done_callback(lambda _: self._asked_keys.pop(presented, None))
        return await asyncio.shield(asked)

    async def _say_no(self, call: Call, no: No) -> web.Response:
        """The no, unless the key was used before: what was kept comes before any rule.

        The desk looks for kept answers too; here those are found that the request did not get to.
        """
        if call.once is None or code_of(no) == "idempotency_key_reused":
            return call.refuse(no)
        kept = await call.in_thread(_kept_answer, self.ledger.store, call.once)
        match kept:
            case None:
                return call.refuse(no)
            case Refused():
                return call.refuse(kept)
            case Answer():
                return call.deliver(kept)


def _entrance(route: Route) -> Handler:
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
        body_model is not None and not raw and "organisation" in body_model.model_fields
    )
    organisation_in_query = "organisation" in query_model.model_fields

    async def enter(call: Call) -> web.StreamResponse:
        request = call.request
        if roles:
            presented = _presented(request)
            key = call.ledger.keyring.recall(presented) or await call.door.find_key(presented)
            if key is None:
                raise Refused("unauthenticated")
            call.key = key
            if key.role not in roles:
                raise Refused("forbidden")
        if patterns:
            call.path = dict(request.match_info)
            for name, pattern in patterns:
                if pattern.fullmatch(call.path[name]) is None:
                    raise Refused("not_found")
        content = b""
        if takes_body:
            call.media = bodies.media_type(request, media)
            limit = call.door.body_bytes_max
            at_hand = bodies.body_at_hand(request, limit)
            content = await bodies.read_body(request, limit) if at_hand is None else at_hand
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


def _log_bug(call: Call, bug: Exception) -> None:
    """Where it happened, and what kind it is; its message is left out, for it may quote a value."""
    log.error(
        "bug",
        request_id=call.request_id,
        route=call.route.path,
        error=type(bug).__name__,
        frames="".join(format_tb(bug.__traceback__)),
    )


def _kept_answer(journal: store.Store, once: Once) -> Answer | Refused | None:
    """The answer kept for this very request, or the no to another under the same key."""
    kept = store.answers.c
    query = select(kept.fingerprint, kept.status, kept.body).where(
        kept.scope == once.scope, kept.key == once.key
    )
    with journal.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if bytes(row.fingerprint) != once.fingerprint:
        return Refused("idempotency_key_reused")
    return Answer(row.status, bytes(row.body), replayed=True)


def _plain(model: type[BaseModel]) -> Any:
    """The model with nothing said, where nothing has to be."""
    try:
        return model.model_validate({})
    except ValidationError:
        return None


def _presented(request: web.Request) -> str:
    """The key in the request's head (RFC 6750, section 2.1)."""
    scheme, _, presented = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme not in ("Bearer", "bearer"):
        raise Refused("unauthenticated")
    return presented


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
    asked = f"{call.request.method}\n{call.request.raw_path}\n".encode()
    return Once(scope, said, hashlib.sha256(asked + content).digest())


def _parse_query(model: type[Query], raw_query: str, errors: list[FieldError]) -> Query | None:
    try:
        pairs = parse_qsl(
            raw_query,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except UnicodeDecodeError:
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
