"""The edge of the house: every request is let in or refused, answered once, counted and logged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import perf_counter
from traceback import format_tb
from typing import TYPE_CHECKING

import structlog
from aiohttp import hdrs, web
from sqlalchemy.exc import DBAPIError

from api.access_log import AccessLog
from api.call import Call
from api.callers import Callers
from api.contract import Handler, Route
from api.entrance import entrance
from api.limits import KeyLimits
from api.log_lines import RequestLog
from api.metrics import Metrics
from api.open_feeds import OpenFeeds
from api.ordinary_writes import kept_answer
from api.problems import Invalid, No, code_of
from api.receivers import Receivers
from api.traces import traces_of
from api.wrong_codes import WrongCodes
from ledger import databases, store
from ledger.desk import Answer, Busy, Job, Once
from ledger.units import Refused
from ledger.vault import WrongVaultKey
from projections.papers.linked_data import Document
from projections.papers.office import Office
from projections.signing import Signer

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from ledger.settings import Settings
    from projections.views import Views

READERS_MAX = 8
LOOP_LOOK_SECONDS = 0.5
USES_SECONDS = 180.0  # between two writings of when keys were last used

log = structlog.stdlib.get_logger("timebank.http")


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
        self.body_seconds = settings.body_seconds
        self.wrong_codes = WrongCodes()
        self.status_lists: dict[object, Document] = {}  # that were signed this minute
        self.readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="reader")
        self.request_log = RequestLog(settings)
        self.feeds = OpenFeeds()
        self.receivers = Receivers(settings.webhook_allow)
        self.access_log = AccessLog(ledger.store, self.readers)
        self.traces = traces_of(settings)
        self.signer = Signer(views, settings, ledger.secrets, ledger.committer.clock)
        self.office = Office(ledger, self.signer, settings.address)
        self.callers = Callers(ledger.keyring, self.readers, settings)
        self.limits = KeyLimits(
            settings.key_requests_per_minute, settings.key_requests_at_once, self.body_bytes_max
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Do what has to be done now and then, beside the requests; at last, all of it."""
        wanted = (self._keep_uses_now_and_then, self._watch_the_loop, *self.callers.chores)
        chores = [asyncio.ensure_future(chore()) for chore in wanted]
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            self.close()

    async def _watch_the_loop(self) -> None:
        """See by how much what is due comes late: the loop is busy for so long at a time."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOP_LOOK_SECONDS
            await asyncio.sleep(LOOP_LOOK_SECONDS)
            self.metrics.loop_late_seconds.add(max(0.0, loop.time() - due))

    def close(self) -> None:
        """End the readers' threads, write what was noted and the log's last lines."""
        self.request_log.flush()  # the database may keep a thread for longer than we stay
        self.readers.shutdown()
        self.feeds.close()
        self.keep_uses()
        self.request_log.flush()
        if self.traces is not None:
            self.traces.close()

    def keep_uses(self) -> None:
        """Write when keys were last used; what cannot be written now waits for the next time."""
        try:
            self.ledger.keyring.uses.keep(self.ledger.store.writing)
        except DBAPIError as away:
            if not databases.is_away(away):
                raise
            log.warning("uses_not_kept", error=type(away.orig).__name__)

    async def _keep_uses_now_and_then(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(USES_SECONDS)
            await loop.run_in_executor(self.readers, self.keep_uses)

    def guarded(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The route's handler as aiohttp calls it, behind all that the route asks for."""
        return self.edge(route, entrance(route))

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
        limits = self.limits

        async def handle(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            call = Call(self, route, request)
            metrics.under_way += 1
            try:
                try:
                    response = await enter(call)
                except (Refused, Invalid) as no:
                    response = await self._say_no(call, no)
            except Busy:
                response = call.refuse(Refused("busy"))
            except WrongVaultKey:
                log.error("vault_key_changed", request_id=call.request_id)
                response = call.refuse(Refused("vault_key_changed"))
            except ConnectionError:
                raise  # the client went away
            except Exception as error:  # the edge: logged, and answered once
                away = databases.is_away(error)  # its doing, not ours
                _log(
                    log.warning if away else log.error,
                    "database_away" if away else "bug",
                    call,
                    error,
                )
                response = call.refuse(Refused("busy" if away else "internal"))
            finally:
                metrics.under_way -= 1
                if call.use is not None:
                    limits.leave(call.use, call.held_bytes)
            status = response.status
            seconds = perf_counter() - started
            answered[status] += 1
            if not route.stream:  # how long it lasted is the client's choice
                spread.add(seconds)
            note(call.request_id, method, label, status, seconds, call.key.id, call.refused)
            return response

        return handle if self.traces is None else self.traces.around(method, label, handle)

    async def ask(self, job: Job) -> Answer:
        """What the desk answers; in a span of its own where there are traces."""
        if self.traces is None:
            return await self.ledger.desk.ask(job)
        with self.traces.within("desk"):
            return await self.ledger.desk.ask(job)

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


def _log(tell: Callable[..., None], event: str, call: Call, error: Exception) -> None:
    """Where it happened, and what kind it is; its message is left out, for it may quote a value."""
    tell(
        event,
        request_id=call.request_id,
        route=call.route.path,
        error=type(error).__name__,
        frames="".join(format_tb(error.__traceback__)),
    )


def _kept_answer(journal: store.Store, once: Once) -> Answer | Refused | None:
    """The answer kept for this very request, or the no to another under the same key."""
    with journal.reading() as connection:
        try:
            kept = kept_answer(connection, once)
        except Refused as reused:
            return reused
    if kept is not None:
        journal.confirm()
    return kept
