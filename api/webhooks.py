"""Webhooks over HTTP: where events are delivered to, from where on, and what became of it.

A webhook is what an operator sets, as a key is: it stands in tables beside the journal, and what is
done to it leaves a line in the log and no fact. Its secret is told in the answer that made it. That
answer is kept without it, and completed from the vault when the same request comes again.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal

import orjson
import structlog
from aiohttp import web
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Code, ReasonAsk, Uuid
from api.call import Call
from api.contract import VERIFIERS, Fields, Handler, InstantText, Page, PageQuery, Route, Written
from api.lists import page_of
from api.ordinary_writes import kept_before, write_beside
from api.problems import FieldError, Invalid, wrong
from api.receivers import URL_MAX, URL_PATTERN, NotAllowed
from api.replies import Reply
from api.sending import Sender, message, secret_text
from ledger import journal, store, webhooks
from ledger.desk import Answer
from ledger.events import EVENT_TYPES
from ledger.units import Refused, instant_text, new_id
from ledger.webhooks import Webhook
from projections import trail

OVERLAP = timedelta(hours=24)  # in which the secret before signs too
LAG_COUNTED_MAX = 500
LAST_ATTEMPTS = 10

log = structlog.stdlib.get_logger("timebank.webhooks")

Standing = Literal["active", "paused", "disabled"]


def _known_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise wrong("wrong_value", expected="a type of /v1/audit/events")
    return name


EventType = Annotated[
    str, AfterValidator(_known_type), Field(json_schema_extra={"enum": sorted(EVENT_TYPES)})
]


class WebhookAsk(Ask):
    """Where to deliver which events, from where on."""

    url: Annotated[
        str,
        Field(
            max_length=URL_MAX,
            pattern=URL_PATTERN,
            description="`https`, at a public address, unless the settings allow another.",
        ),
    ]
    types: Annotated[
        tuple[EventType, ...] | None,
        Field(strict=False, min_length=1, max_length=100, description="None: all."),
    ] = None
    organisation: Annotated[
        Code | None, Field(description="Whose events; of an administrator, none: all.")
    ] = None
    position: Annotated[
        int | None,
        Field(ge=0, lt=10**18, description="What follows it is delivered; default: the last."),
    ] = None


class ReplayAsk(ReasonAsk):
    """Deliver again what follows a position."""

    position: Annotated[int, Field(ge=0, lt=10**18)]


# --- changing ------------------------------------------------------------------------------------


async def add(call: Call) -> web.Response:
    """Keep a webhook; its secret is told here."""
    asked: WebhookAsk = call.body
    if kept := await call.in_thread(kept_before, call):
        return await _deliver(call, kept)
    await _refuse_unless_public(call, asked.url)

    def work(db: Connection) -> tuple[int, Fields]:
        organisation = call.organisation
        if organisation is not None and not journal.streams(db, [f"organisation:{organisation}"]):
            raise Refused("not_found", pointer="/organisation", what=organisation)
        made = webhooks.create(
            db,
            id=new_id(),
            organisation=organisation,
            url=asked.url,
            types=None if asked.types is None else sorted(set(asked.types)),
            position=_position(db, asked.position),
            at=call.ledger.committer.clock(),
            created_by=call.key.id,
        )
        if not call.dry_run:
            call.ledger.vault.new_webhook_secret(made.id)
            _log(call, "webhook_added", made)
        return 201, shown(made) | {"secret": None}

    return await _deliver(call, await call.beside(write_beside, call, work))


async def pause(call: Call) -> web.Response:
    """Deliver nothing more until it is resumed."""
    return await _change(
        call, "webhook_paused", lambda db, id: webhooks.set_status(db, id, "paused")
    )


async def resume(call: Call) -> web.Response:
    """Deliver from where it stands, at once; one that was disabled too."""
    return await _change(
        call, "webhook_resumed", lambda db, id: webhooks.set_status(db, id, "active")
    )


async def replay(call: Call) -> web.Response:
    """Let it stand elsewhere: what follows is delivered, again or for the first time."""
    asked: ReplayAsk = call.body
    return await _change(
        call,
        "webhook_replayed",
        lambda db, id: webhooks.replay(db, id, _position(db, asked.position)),
    )


async def rotate_secret(call: Call) -> web.Response:
    """Sign with another secret; for a day messages bear the signature of the one before too."""

    def work(db: Connection) -> tuple[int, Fields]:
        hook = _visible(call, db)
        until = call.ledger.committer.clock() + OVERLAP
        if not call.dry_run:
            try:
                call.ledger.vault.replace_webhook_secret(hook.id, until)
            except KeyError:  # it was taken from the vault
                call.ledger.vault.new_webhook_secret(hook.id)
            _log(call, "webhook_secret_rotated", hook)
        told = {"secret": None, "previous_until": instant_text(until)}
        return 200, shown(hook) | told

    return await _deliver(call, await call.beside(write_beside, call, work))


async def test(call: Call) -> web.Response:
    """Send a message of type `webhook.test`, now and once, and tell what came of it."""
    if kept := await call.in_thread(kept_before, call):
        return call.deliver(kept)
    hook = await call.in_thread(_found, call)
    await _refuse_unless_public(call, hook.url)
    at = call.ledger.committer.clock()
    told: Fields = {"id": hook.id, "delivered": None, "status": None, "reason": None}
    if not call.dry_run:
        secrets = await call.in_thread(call.ledger.vault.webhook_secrets, hook.id, at)
        sent = message(
            f"{hook.id}-test-{new_id()}", "webhook.test", instant_text(at), {"id": hook.id}
        )
        async with Sender(call.door.receivers) as sender:
            outcome = await sender.send(hook.url, sent, at, secrets)
        told |= {
            "delivered": outcome.delivered,
            "status": outcome.status,
            "reason": outcome.reason,
            "milliseconds": outcome.milliseconds,
        }
    answer = await call.beside(write_beside, call, lambda db: (200, told))
    return call.deliver(answer)


async def remove(call: Call) -> web.Response:
    """Forget a webhook, its secret, and what was tried."""

    def work() -> None:
        with webhooks.changing(call.ledger.store) as db:
            hook = _visible(call, db)
            if call.dry_run:
                return
            webhooks.remove(db, hook.id)
            _log(call, "webhook_removed", hook)
        call.ledger.vault.drop_webhook_secrets(hook.id)  # nothing is signed with it any more

    await call.beside(work)
    return Reply(204, call.headers(None))


async def retry(call: Call) -> web.Response:
    """Have what was given up on delivered once more, beside what is delivered in order."""
    position = int(call.path["position"])

    def work(db: Connection) -> tuple[int, Fields]:
        hook = _visible(call, db)
        if not webhooks.ask_again(db, hook.id, position):
            raise Refused("not_found")
        (letter,) = webhooks.dead_letters(db, hook.id, position - 1, 1)
        return 202, letter._asdict()

    return call.deliver(await call.beside(write_beside, call, work))


async def _change(
    call: Call, said: str, change: Callable[[Connection, str], Webhook | None]
) -> web.Response:
    def work(db: Connection) -> tuple[int, Fields]:
        changed = change(db, _visible(call, db).id)
        if changed is None:
            raise Refused("not_found")
        if not call.dry_run:
            _log(call, said, changed)
        return 200, shown(changed)

    return await _deliver(call, await call.beside(write_beside, call, work))


async def _deliver(call: Call, said: Answer) -> web.Response:
    """The answer; where a secret belongs in it, the one that signs now."""
    body = orjson.loads(said.body)
    if "secret" in body and not call.dry_run:
        at = call.ledger.committer.clock()
        signing = await call.in_thread(call.ledger.vault.webhook_secrets, body["id"], at)
        body["secret"] = secret_text(signing[0]) if signing else None
        said = said._replace(body=orjson.dumps(body))
    return call.deliver(said, body.get("position"))


async def _refuse_unless_public(call: Call, url: str) -> None:
    try:
        await call.door.receivers.check(url)
    except NotAllowed as no:
        raise Invalid([FieldError("/url", no.code)]) from None


def _position(db: Connection, asked: int | None) -> int:
    last = store.last_position(db)
    if asked is not None and asked > last:
        raise Invalid([FieldError("/position", "wrong_value", {"expected": f"≤ {last}"})])
    return last if asked is None else asked


def _log(call: Call, said: str, hook: Webhook) -> None:
    log.info(said, request_id=call.request_id, webhook=hook.id, key=call.key.id)


# --- looking up ----------------------------------------------------------------------------------


async def listing(call: Call) -> web.Response:
    """The webhooks that the caller may see."""
    query: PageQuery = call.query
    position = call.views.position

    def work() -> tuple[list[Webhook], dict[str, int]]:
        with call.ledger.store.reading() as db:
            found = webhooks.listing(db, call.key.organisation, query.after, query.limit + 1)
            return found, webhooks.count_dead_letters(db, [hook.id for hook in found])

    found, letters = await call.in_thread(work)
    page = found[: query.limit]
    items = [shown(hook) | {"dead_letters": letters.get(hook.id, 0)} for hook in page]
    following = page[-1].cursor if len(found) > len(page) else None
    return page_of(call, items, following, position)


async def item(call: Call) -> web.Response:
    """One webhook, how far it is behind, and what was tried last."""
    position = call.views.position

    def work() -> tuple[Webhook, Fields]:
        with call.ledger.store.reading() as db:
            hook = _visible(call, db)
            letters = webhooks.count_dead_letters(db, [hook.id]).get(hook.id, 0)
            last = webhooks.last_attempts(db, hook.id, LAST_ATTEMPTS)
        return hook, {"dead_letters": letters, "last_attempts": last}

    hook, more = await call.in_thread(work)
    waiting = await call.look_up(
        trail.entries,
        hook.position,
        LAG_COUNTED_MAX,
        types=hook.types,
        organisation=hook.organisation,
    )
    return call.answer(shown(hook) | {"lag": len(waiting.items)} | more, position=position)


async def attempts(call: Call) -> web.Response:
    """What was tried, as far as it is kept."""
    query: PageQuery = call.query

    def work() -> list[tuple[int, Fields]]:
        with call.ledger.store.reading() as db:
            hook = _visible(call, db)
            return webhooks.attempts_of(db, hook.id, query.after, query.limit + 1)

    found = await call.in_thread(work)
    page = found[: query.limit]
    following = page[-1][0] if len(found) > len(page) else None
    return page_of(call, [attempt for _, attempt in page], following, call.views.position)


async def dead_letters(call: Call) -> web.Response:
    """What was given up on, in order of position."""
    query: PageQuery = call.query

    def work() -> list[webhooks.DeadLetter]:
        with call.ledger.store.reading() as db:
            hook = _visible(call, db)
            return webhooks.dead_letters(db, hook.id, query.after, query.limit + 1)

    found = await call.in_thread(work)
    page = found[: query.limit]
    following = page[-1].position if len(found) > len(page) else None
    return page_of(call, [letter._asdict() for letter in page], following, call.views.position)


async def dead_letter(call: Call) -> web.Response:
    """One of them."""
    position = int(call.path["position"])

    def work() -> list[webhooks.DeadLetter]:
        with call.ledger.store.reading() as db:
            return webhooks.dead_letters(db, _visible(call, db).id, position - 1, 1)

    found = await call.in_thread(work)
    if not found or found[0].position != position:
        raise Refused("not_found")
    return call.answer(found[0]._asdict(), position=call.views.position)


def shown(hook: Webhook) -> Fields:
    """A webhook as it is told, without its secret."""
    return {
        "id": hook.id,
        "organisation": hook.organisation,
        "url": hook.url,
        "types": hook.types,
        "status": hook.status,
        "position": hook.position,
        "attempts": hook.attempts,
        "failing_since": hook.failing_since,
        "next_attempt_at": hook.next_attempt_at,
        "created_at": hook.created_at,
        "created_by": hook.created_by,
    }


def failing(journal: store.Store) -> int:
    """How many are disabled, or wait because nothing was taken."""
    with journal.reading() as db:
        return webhooks.count_failing(db)


def _found(call: Call) -> Webhook:
    with call.ledger.store.reading() as db:
        return _visible(call, db)


def _visible(call: Call, db: Connection) -> Webhook:
    """The webhook in the path, if it is the caller's organisation's, or the caller of none."""
    hook = webhooks.find(db, call.path["id"])
    own = call.key.organisation
    if hook is None or (own is not None and hook.organisation != own):
        raise Refused("not_found")
    return hook


# --- answers -------------------------------------------------------------------------------------

Told = Annotated[int, Field(ge=0, description="Told, or a dead letter, up to here.")]


class _Webhook(BaseModel):
    id: Uuid
    organisation: Annotated[Code | None, Field(description="Whose events; none: all.")]
    url: str
    types: Annotated[list[str] | None, Field(description="None: all.")]
    status: Standing
    attempts: Annotated[int, Field(ge=0, description="Of what comes next, so far in vain.")]
    failing_since: InstantText | None
    next_attempt_at: InstantText | None
    created_at: InstantText
    created_by: Annotated[str, Field(description="The key.")]


class WebhookWritten(_Webhook, Written):
    """A webhook after what was just done; in a dry run without its position."""

    position: Annotated[
        int | None, Field(ge=0, description="Told, or a dead letter, up to here.")
    ] = None


class WebhookWithSecret(WebhookWritten):
    """A webhook with what its messages are signed with, told here alone."""

    secret: Annotated[str | None, Field(description="`whsec_` and base64; none in a dry run.")] = (
        None
    )
    previous_until: Annotated[
        InstantText | None, Field(description="Until then the one before signs too.")
    ] = None


class WebhookListed(_Webhook):
    """A webhook in a list."""

    position: Told
    dead_letters: Annotated[int, Field(ge=0, description="How many there are.")]


class Attempt(BaseModel):
    """One request to the receiver."""

    position: Annotated[int, Field(ge=1, description="Of the event that was sent.")]
    at: InstantText
    status: Annotated[int | None, Field(description="That was answered, if anything was.")]
    reason: Annotated[str | None, Field(description="Why it failed; none: it was taken.")]
    milliseconds: Annotated[int, Field(ge=0)]


class WebhookItem(WebhookListed):
    """A webhook, and how it goes."""

    lag: Annotated[
        int, Field(ge=0, le=LAG_COUNTED_MAX, description="Events that wait; no more are counted.")
    ]
    last_attempts: list[Attempt]


class WebhookPage(Page):
    """Webhooks, oldest first."""

    data: list[WebhookListed]


class AttemptPage(Page):
    """Attempts, oldest first."""

    data: list[Attempt]


class _DeadLetter(BaseModel):
    at: InstantText
    attempts: Annotated[int, Field(ge=0, description="0: it is to be tried once more.")]
    reason: str


class DeadLetter(_DeadLetter):
    """An event that was given up on."""

    position: Annotated[int, Field(ge=1)]


class DeadLetterWritten(_DeadLetter, Written):
    """The same after it was asked for again; in a dry run without its position."""


class DeadLetterPage(Page):
    """Dead letters, in order of position."""

    data: list[DeadLetter]


class Tested(Written):
    """What came of a message of type `webhook.test`."""

    id: Uuid
    delivered: Annotated[bool | None, Field(description="None in a dry run.")]
    status: int | None
    reason: str | None
    milliseconds: Annotated[int | None, Field(ge=0)] = None


TAG = "Webhooks"
EXAMPLE_URL = "https://receiver.example.org/timebank"


def _verb(
    name: str,
    operation: str,
    handler: Handler,
    zh: str,
    en: str,
    answer: type[BaseModel] = WebhookWritten,
    body: type[Ask] = ReasonAsk,
    example: Fields | None = None,
) -> Route:
    return Route(
        method="POST",
        path=f"/v1/webhooks/{{id}}/{name}",
        handler=handler,
        operation=operation,
        tag=TAG,
        summary_zh=zh,
        summary_en=en,
        roles=VERIFIERS,
        write=True,
        body=body,
        example=example or {},
        answers={200: answer},
    )


ROUTES = [
    Route(
        method="POST",
        path="/v1/webhooks",
        handler=add,
        operation="add_webhook",
        tag=TAG,
        summary_zh="登记推送地址",
        summary_en="Have events delivered to an address",
        roles=VERIFIERS,
        write=True,
        body=WebhookAsk,
        example={"url": EXAMPLE_URL, "types": ["HoursVerified", "HoursReversed"]},
        answers={201: WebhookWithSecret},
        problems=("too_many_webhooks",),
    ),
    Route(
        method="GET",
        path="/v1/webhooks",
        handler=listing,
        operation="list_webhooks",
        tag=TAG,
        summary_zh="推送地址列表",
        summary_en="List the webhooks; an organisation sees its own",
        roles=VERIFIERS,
        query=PageQuery,
        answers={200: WebhookPage},
    ),
    Route(
        method="GET",
        path="/v1/webhooks/{id}",
        handler=item,
        operation="get_webhook",
        tag=TAG,
        summary_zh="一个推送地址及其状况",
        summary_en="Get a webhook, and how it goes",
        roles=VERIFIERS,
        answers={200: WebhookItem},
    ),
    Route(
        method="DELETE",
        path="/v1/webhooks/{id}",
        handler=remove,
        operation="remove_webhook",
        tag=TAG,
        summary_zh="删除推送地址",
        summary_en="Forget a webhook and its secret",
        roles=VERIFIERS,
        write=True,
        answers={204: None},
    ),
    _verb("pause", "pause_webhook", pause, "暂停推送", "Deliver nothing until it is resumed"),
    _verb("resume", "resume_webhook", resume, "恢复推送", "Deliver from where it stands, at once"),
    _verb(
        "replay",
        "replay_webhook",
        replay,
        "从某一位置起重新推送",
        "Deliver again what follows a position",
        body=ReplayAsk,
        example={"position": 0},
    ),
    _verb(
        "rotate-secret",
        "rotate_webhook_secret",
        rotate_secret,
        "更换签名密钥",
        "Sign with another secret, for a day beside the one before",
        answer=WebhookWithSecret,
    ),
    _verb(
        "test",
        "test_webhook",
        test,
        "发送测试消息",
        "Send a test message now, and tell what came of it",
        answer=Tested,
    ),
    Route(
        method="GET",
        path="/v1/webhooks/{id}/attempts",
        handler=attempts,
        operation="list_webhook_attempts",
        tag=TAG,
        summary_zh="推送尝试记录",
        summary_en="What was tried, the newest hundred",
        roles=VERIFIERS,
        query=PageQuery,
        answers={200: AttemptPage},
    ),
    Route(
        method="GET",
        path="/v1/webhooks/{id}/dead-letters",
        handler=dead_letters,
        operation="list_dead_letters",
        tag=TAG,
        summary_zh="放弃推送的事件",
        summary_en="Events that were given up on",
        roles=VERIFIERS,
        query=PageQuery,
        answers={200: DeadLetterPage},
    ),
    Route(
        method="GET",
        path="/v1/webhooks/{id}/dead-letters/{position}",
        handler=dead_letter,
        operation="get_dead_letter",
        tag=TAG,
        summary_zh="一个放弃推送的事件",
        summary_en="Get an event that was given up on",
        roles=VERIFIERS,
        answers={200: DeadLetter},
    ),
    Route(
        method="POST",
        path="/v1/webhooks/{id}/dead-letters/{position}/retry",
        handler=retry,
        operation="retry_dead_letter",
        tag=TAG,
        summary_zh="再次推送一个已放弃的事件",
        summary_en="Have an event delivered that was given up on",
        roles=VERIFIERS,
        write=True,
        body=ReasonAsk,
        example={},
        answers={202: DeadLetterWritten},
    ),
]
