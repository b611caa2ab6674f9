"""One request as its handler meets it: authorised, parsed, validated; and the ways to answer it."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import orjson
from aiohttp import hdrs, web
from sqlalchemy import Connection

from api.contract import JSON, PROBLEM_JSON, Fields, Query, Route
from api.problems import (
    FieldError,
    Invalid,
    No,
    code_of,
    language_of,
    problem,
    retry_after,
)
from api.replies import Reply
from ledger import desk
from ledger.commands import Command, Stamp
from ledger.desk import Answer, Busy, Done, Job, Mode, Once, Outcome
from ledger.keys import Key
from ledger.refusals import Language
from ledger.units import Refused, new_id

if TYPE_CHECKING:
    from api.guard import Door
    from api.limits import Use
    from ledger.opening import Ledger
    from projections.views import Views

Said = TypeVar("Said")
Args = ParamSpec("Args")

SERVER = "timebank"  # and not which versions it runs on
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
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
        "held_bytes",
        "key",
        "media",
        "once",
        "organisation",
        "path",
        "position",
        "query",
        "refused",
        "request",
        "request_id",
        "route",
        "use",
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
        self.refused = ""  # the code of the no, if it came to one
        self.use: Use | None = None  # what the key has under way: this, among others
        self.held_bytes = 0  # of the body, as they are counted there

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
        said = await self.door.ask(job)
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
        said = await self.door.ask(job)
        return self.deliver(said, self.position)

    async def beside(
        self, work: Callable[Args, Said], *args: Args.args, **kwargs: Args.kwargs
    ) -> Said:
        """What comes of writing beside the desk, in a thread; Busy where it takes too long.

        As at the desk: what was begun goes on, what was not is never begun.
        """
        try:
            async with asyncio.timeout(desk.ANSWER_SECONDS) as patience:
                return await asyncio.to_thread(work, *args, **kwargs)
        except TimeoutError:
            if patience.expired():
                raise Busy from None
            raise

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
        """What a read function finds in the views; `view_behind` while they are being made."""
        if not self.views.standing:
            raise Refused("view_behind", position=self.views.position)

        def work() -> Said:
            with self.ledger.views_engine.connect() as connection:
                return read(connection, *args, **kwargs)

        traces = self.door.traces
        if traces is None:
            return await self.in_thread(work)
        with traces.within("look-up"):
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
            "X-Content-Type-Options": "nosniff",  # JSON and sheets are never read as a page
            "Server": SERVER,
        }
        if content_type is not None:
            headers["Content-Type"] = content_type
        if position is not None:
            headers["Ledger-Position"] = str(position)
        return headers

    def refuse(self, no: No) -> web.Response:
        """The problem that says no."""
        code = self.refused = code_of(no)
        language = self.language
        self.door.metrics.refusals[code] += 1
        body = problem(no, language, self.request_id)
        headers = self.headers(PROBLEM_JSON)
        headers["Content-Language"] = language
        if seconds := retry_after(no):
            headers["Retry-After"] = seconds
        if body["status"] == 401:
            shown = self.request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")[0]
            said = ', error="invalid_token"' if shown.lower() == "bearer" else ""
            headers["WWW-Authenticate"] = f'Bearer realm="timebank"{said}'  # RFC 6750, section 3
        return Reply(body["status"], headers, orjson.dumps(body))
