"""A receiver of webhooks on this machine, and a deliverer whose clock the test has in hand."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.deliveries import Deliverer
from api.receivers import Receivers
from api.sending import Sender
from tests.api.house import Caller, House

GIVE_UP = timedelta(hours=2)


@dataclass
class Clock:
    """Stands still but for what the test says."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, seconds: float) -> None:
        """So much later."""
        self.now += timedelta(seconds=seconds)


@dataclass
class Got:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """What a receiver knows a repeat by."""
        return self.headers["webhook-id"]

    @property
    def position(self) -> int:
        """Of the event in it."""
        return int(orjson.loads(self.body)["data"]["position"])

    def is_signed_with(self, secret: str) -> bool:
        """Whether one of its signatures is by this secret (computed here, by hand)."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return f"v1,{mac}" in self.headers["webhook-signature"].split(" ")


Answer = Callable[[Got, web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """Answers as the test says, and remembers what it was sent and what it took."""

    def __init__(self) -> None:
        self.seen: list[Got] = []
        self.taken: list[Got] = []
        self.answer: Answer = answering(200)
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def positions(self) -> list[int]:
        """Of what it took."""
        return [got.position for got in self.taken]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(headers, await request.read())
        self.seen.append(got)
        response = await self.answer(got, request)
        if 200 <= response.status < 300:
            self.taken.append(got)
        return response


def answering(status: int, **headers: str) -> Answer:
    """Always so."""

    async def answer(got: Got, request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return answer


@asynccontextmanager
async def receiving(house: House) -> AsyncIterator[Receiver]:
    """A receiver that the house may call."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with TestServer(app) as server:
        assert server.port is not None
        receiver.port = server.port
        house.door.receivers = Receivers(f"127.0.0.1:{receiver.port}")
        yield receiver


@asynccontextmanager
async def deliverer(house: House, clock: Clock) -> AsyncIterator[Deliverer]:
    """Somebody who delivers, step by step."""
    async with Sender(house.door.receivers) as sender:
        made = Deliverer(house.ledger, house.views, sender, give_up_after=GIVE_UP, now=clock)
        try:
            yield made
        finally:
            made.close()


async def hook_to(caller: Caller, receiver: Receiver, **body: Any) -> dict[str, Any]:
    """A webhook to the receiver, from the beginning if nothing else is said."""
    said = await caller.post("/v1/webhooks", {"url": receiver.url, "position": 0, **body})
    assert said.status == 201, said.body
    found: dict[str, Any] = said.json
    return found


async def deliver(
    house: House,
    made: Deliverer,
    clock: Clock,
    webhook_id: str,
    steps: int = 1_000,
    after_each: Callable[[], None] = lambda: None,
) -> int:
    """Step on, the clock going as far as there is to wait, until all is told; the steps it took.

    Ends too where the webhook is not active, or after so many steps.
    """
    assert await house.views.wait_for(house.position, 30)
    for step in range(1, steps + 1):
        following = await made.step(webhook_id)
        after_each()
        if following is None:
            return step
        if following.seconds is None:
            if following.looked_to >= house.position:
                return step
            assert await house.views.wait_for(house.position, 30)
        else:
            clock.go_on(following.seconds)
    return steps
