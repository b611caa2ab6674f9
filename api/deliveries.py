"""Delivers events to webhooks: each on its own, in order of position, one message at a time.

A webhook's position moves, durably, when its receiver has taken a message, and the next is sent
then. So nothing is left out, and what may come twice is one message, with the same `webhook-id`:
where we were broken off after it was taken and before that was written down. Among all processes
one delivers; the others wait for its turn.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from api.audit import read_events
from api.receivers import Receivers
from api.sending import GONE, Message, Outcome, Sender, message
from ledger import webhooks
from ledger.turns import turn
from ledger.units import instant, recorded_text
from ledger.vault import WrongVaultKey
from ledger.webhooks import Attempt, DeadLetter, Webhook
from projections import trail
from projections.views import MANY, REST_SECONDS, stored_mark

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from ledger.settings import Settings
    from projections.views import Views

Said = TypeVar("Said")
Args = ParamSpec("Args")

log = logging.getLogger("timebank.webhooks")

PAGE = 50
FIRST_PAUSE_SECONDS = 5.0  # after a message that was not taken; doubled until the longest
LONGEST_PAUSE_SECONDS = 300.0  # so that a receiver that is back is served soon
JITTER_PERCENT = 20  # that a pause may be shorter, so that receivers are not called in step
LOOK_SECONDS = 1.0  # a webhook is looked at so often: it may have been paused, resumed, replayed
AGAIN_SECONDS = 5.0  # after a store that was away
SKIPPED_MIN = 1_000  # entries with nothing for a webhook, after which its position is written
GRACE_SECONDS = 3.0  # for messages under way, once we are told to end
PRUNE_EVERY = 100  # messages
ORPHANED_FOR = timedelta(hours=1)  # a secret whose webhook has not come to be
THREADS = 4


class Next(NamedTuple):
    """When there is something to do for a webhook again."""

    seconds: float | None  # None: when there are entries behind `looked_to`
    looked_to: int


class _Page(NamedTuple):
    """The next messages, with their positions, and how far was looked for them."""

    messages: list[tuple[int, Message]]
    looked_to: int
    more: bool


class Deliverer:
    """Delivers for one ledger, in one event loop."""

    def __init__(
        self,
        ledger: "Ledger",
        views: "Views",
        sender: Sender,
        *,
        give_up_after: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._sender = sender
        self._give_up_after = give_up_after
        self._now = now
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
        self._looked: dict[str, tuple[int, int]] = {}  # by webhook: where it stood, looked to
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Send nothing more."""
        self._ending.set()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    # -- one webhook ---------------------------------------------------------------------------

    async def step(self, webhook_id: str) -> Next | None:
        """Send all that can be sent to a webhook now; None where it is not active."""
        hook = await self._in_thread(self._find, webhook_id)
        if hook is None or hook.status != "active":
            return None
        wait = self._until_next_attempt(hook)
        if wait > 0:
            return Next(wait, hook.position)
        if not hook.attempts:
            await self._try_letters(hook)
        page = await self._in_thread(self._page, hook, self._looked_to(hook), PAGE)
        signing = await self._signing(hook) if page.messages else []
        for place, (position, sent) in enumerate(page.messages):
            if self._ending.is_set():
                return Next(0, hook.position)
            outcome, attempt = await self._send(hook, position, sent, signing)
            if outcome.delivered:
                moved = await self._write(webhooks.delivered, hook, attempt)
                await self._prune_now_and_then(hook, position)
            else:
                following = page.messages[place + 1] if place + 1 < len(page.messages) else None
                return await self._not_delivered(hook, attempt, outcome, following, signing)
            if moved is None or moved.status != "active":  # somebody has moved it, or paused it
                return Next(0, hook.position)
            hook = moved
        return await self._looked_through(hook, page)

    async def _looked_through(self, hook: Webhook, page: _Page) -> Next:
        """All of a page was told, or there was nothing in it."""
        if page.looked_to - hook.position >= SKIPPED_MIN:
            moved = await self._write(webhooks.skipped, hook, page.looked_to)
            if moved is None:
                return Next(0, hook.position)
            hook = moved
        self._looked[hook.id] = hook.position, page.looked_to
        return Next(0 if page.more else None, page.looked_to)

    async def _not_delivered(
        self,
        hook: Webhook,
        attempt: Attempt,
        outcome: Outcome,
        following: tuple[int, Message] | None,
        signing: list[bytes],
    ) -> Next:
        """Ask again after a pause; give up on what failed too long, or on the receiver."""
        if outcome.status == GONE or outcome.reason == "no_secret":
            await self._disable(hook, attempt)
            return Next(0, hook.position)
        since = instant(hook.failing_since) if hook.failing_since else attempt.at
        if attempt.at - since >= self._give_up_after:
            return await self._give_up(hook, attempt, following, signing)
        pause = min(LONGEST_PAUSE_SECONDS, max(_pause(hook.attempts), outcome.retry_after_seconds))
        again = attempt.at + timedelta(seconds=pause)
        await self._write(webhooks.failed, hook, attempt, again)
        return Next(pause, hook.position)

    async def _give_up(
        self,
        hook: Webhook,
        attempt: Attempt,
        following: tuple[int, Message] | None,
        signing: list[bytes],
    ) -> Next:
        """Try what comes behind: taken, the one before is a dead letter; if not, all of it waits.

        So a message that a receiver stumbles over is left out, and of a receiver that takes
        nothing at all nothing is left out.
        """
        if following is None:
            page = await self._in_thread(self._page, hook, attempt.position, 1)
            following = page.messages[0] if page.messages else None
        if following is not None:
            outcome, later = await self._send(hook, *following, signing)
            if outcome.delivered:
                letter = DeadLetter(
                    attempt.position,
                    recorded_text(attempt.at),
                    hook.attempts + 1,
                    attempt.reason or "",
                )
                await self._write(webhooks.given_up, hook, attempt, letter, later)
                log.warning("webhook %s: position %s is a dead letter", hook.id, attempt.position)
                return Next(0, hook.position)
        await self._disable(hook, attempt)
        return Next(0, hook.position)

    async def _disable(self, hook: Webhook, attempt: Attempt) -> None:
        await self._write(webhooks.disable, hook, attempt)
        log.warning("webhook %s is disabled at position %s", hook.id, hook.position)

    async def _try_letters(self, hook: Webhook) -> None:
        """Send what was given up on and is asked for again, once each."""
        for position in await self._in_thread(self._asked_again, hook.id):
            page = await self._in_thread(self._page, hook, position - 1, 1)
            if not page.messages or page.messages[0][0] != position or self._ending.is_set():
                continue
            signing = await self._signing(hook)
            _, attempt = await self._send(hook, *page.messages[0], signing)
            await self._write(webhooks.letter_tried, hook.id, attempt)

    async def _send(
        self, hook: Webhook, position: int, sent: Message, signing: list[bytes]
    ) -> tuple[Outcome, Attempt]:
        at = self._now()
        outcome = await self._sender.send(hook.url, sent, at, signing)
        return outcome, Attempt(position, at, outcome.status, outcome.reason, outcome.milliseconds)

    async def _signing(self, hook: Webhook) -> list[bytes]:
        vault = self._ledger.vault
        return await self._in_thread(vault.webhook_secrets, hook.id, self._now())

    def _until_next_attempt(self, hook: Webhook) -> float:
        if hook.next_attempt_at is None:
            return 0.0
        return (instant(hook.next_attempt_at) - self._now()).total_seconds()

    def _looked_to(self, hook: Webhook) -> int:
        """From where on to look: no further back than there was nothing for it."""
        stood, looked_to = self._looked.get(hook.id, (hook.position, hook.position))
        return looked_to if stood == hook.position else hook.position

    async def _prune_now_and_then(self, hook: Webhook, position: int) -> None:
        if position % PRUNE_EVERY == 0:
            await self._write(webhooks.prune_attempts, hook.id)

    # -- all of them ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver while it is our turn, until told to end."""
        while not self._ending.is_set():
            our_turn = turn(self._ledger.store, "webhooks")
            try:
                still_ours = await self._in_thread(our_turn.__enter__)
            except DBAPIError as away:
                log.warning("webhooks: %s", type(away).__name__)
            else:
                try:
                    if still_ours is not None:
                        await self._deliver_all(still_ours)
                finally:
                    await self._in_thread(our_turn.__exit__, None, None, None)
            await self._pause(LOOK_SECONDS)

    async def _deliver_all(self, still_ours: Callable[[], bool]) -> None:
        """Keep a task for each webhook that is active, until told to end or the turn is lost."""
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            await self._in_thread(self._drop_orphans)
            while not self._ending.is_set() and await self._in_thread(still_ours):
                for webhook_id in await self._in_thread(self._active):
                    if webhook_id not in tasks:
                        tasks[webhook_id] = asyncio.create_task(self._keep(webhook_id))
                for webhook_id in [id for id, task in tasks.items() if task.done()]:
                    tasks.pop(webhook_id).result()  # a bug is raised here, and ends all of it
                await self._pause(LOOK_SECONDS)
        except (DBAPIError, WrongVaultKey) as away:
            log.warning("webhooks: %s", type(away).__name__)
        finally:
            if tasks:
                _, late = await asyncio.wait(
                    tasks.values(), timeout=GRACE_SECONDS if self._ending.is_set() else 0
                )
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _keep(self, webhook_id: str) -> None:
        """Deliver to one webhook while it is active."""
        looked_to = 0
        while not self._ending.is_set():
            try:
                following = await self.step(webhook_id)
            except (DBAPIError, WrongVaultKey) as away:  # nothing is half done
                log.warning("webhook %s waits: %s", webhook_id, type(away).__name__)
                await self._pause(AGAIN_SECONDS)
                continue
            if following is None:
                return
            before, looked_to = looked_to, following.looked_to
            if following.seconds is None:
                if looked_to - before >= MANY:
                    await self._pause(REST_SECONDS)
                await self._views.wait_for(looked_to + 1, LOOK_SECONDS)
            else:
                await self._pause(min(following.seconds, LOOK_SECONDS))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return

    # -- the stores ----------------------------------------------------------------------------

    async def _in_thread(
        self, work: Callable[Args, Said], *args: Args.args, **kwargs: Args.kwargs
    ) -> Said:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def _write(self, change: Callable[..., Said], *args: object) -> Said:
        def work() -> Said:
            with webhooks.changing(self._ledger.store) as db:
                return change(db, *args)

        return await asyncio.shield(self._in_thread(work))

    def _find(self, webhook_id: str) -> Webhook | None:
        with self._ledger.store.reading() as db:
            return webhooks.find(db, webhook_id)

    def _active(self) -> list[str]:
        with self._ledger.store.reading() as db:
            return webhooks.active_ids(db)

    def _asked_again(self, webhook_id: str) -> list[int]:
        with self._ledger.store.reading() as db:
            return webhooks.asked_again(db, webhook_id)

    def _page(self, hook: Webhook, after: int, limit: int) -> _Page:
        """What follows a position, with the visibility of `/v1/audit/events`."""
        with self._ledger.views_engine.connect() as connection:
            mark = stored_mark(connection)
            if mark is None or mark.position <= after:
                return _Page([], after, False)
            found = trail.entries(
                connection,
                after,
                limit,
                types=hook.types,
                organisation=hook.organisation,
                until=mark.position,
            )
            again = stored_mark(connection)
            if again is None or again.build != mark.build:  # they were replaced meanwhile
                return _Page([], after, True)
        recorded = {entry["position"]: entry["recorded_at"] for entry in found.items}
        messages = [
            (
                event["position"],
                message(
                    f"{hook.id}-{event['position']}",
                    event["type"],
                    recorded[event["position"]],
                    event,
                ),
            )
            for event in read_events(self._ledger.store, list(recorded))
        ]
        return _Page(messages, found.next or mark.position, found.next is not None)

    def _drop_orphans(self) -> None:
        """Forget the secrets of webhooks that are no more, or never came to be."""
        held = self._ledger.vault.webhook_ids()
        with self._ledger.store.reading() as db:
            known = {hook.id for hook in webhooks.listing(db, None)}
        oldest = int((self._now() - ORPHANED_FOR).timestamp() * 1_000)
        for webhook_id in held:
            made = int(webhook_id.replace("-", "")[:12], 16)  # RFC 9562, section 5.7
            if webhook_id not in known and made < oldest:
                self._ledger.vault.drop_webhook_secrets(webhook_id)


@contextmanager
def delivering(
    ledger: "Ledger", views: "Views", settings: "Settings"
) -> Iterator[threading.Thread | None]:
    """Have webhooks delivered while the block lasts, in the thread that is yielded.

    None where the settings leave it to others.
    """
    if "webhooks" not in settings.works:
        yield None
        return
    started = threading.Event()
    ends: list[Callable[[], object]] = []

    async def run() -> None:
        async with Sender(Receivers(settings.webhook_allow)) as sender:
            deliverer = Deliverer(
                ledger,
                views,
                sender,
                give_up_after=timedelta(hours=settings.webhook_give_up_hours),
            )
            loop = asyncio.get_running_loop()
            ends.append(lambda: loop.call_soon_threadsafe(deliverer.end))
            started.set()
            try:
                await deliverer.run()
            finally:
                deliverer.close()

    thread = threading.Thread(target=_in_a_loop, args=(run, started), name="webhooks")
    thread.start()
    started.wait()
    try:
        yield thread
    finally:
        if thread.is_alive():
            for end in ends:
                end()
        thread.join()


def _in_a_loop(run: Callable[[], Coroutine[None, None, None]], started: threading.Event) -> None:
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except BaseException:
        log.exception("webhooks are delivered no more")
        raise
    finally:
        started.set()


def _pause(failures: int) -> float:
    """Seconds after a message was not taken once more; a little less, by chance."""
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * (1 << min(failures, 10)))
    return pause * (100 - secrets.randbelow(JITTER_PERCENT + 1)) / 100
