"""Deliveries: everything in order, once a receiver is there again; and what becomes of failures."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest
from aiohttp import web
from sqlalchemy.exc import OperationalError
from standardwebhooks import Webhook, WebhookVerificationError

from api import deliveries, sending
from api.deliveries import Deliverer, delivering
from api.receivers import Receivers
from api.sending import Sender
from ledger import webhooks
from ledger.commands import AddUnit
from ledger.settings import Settings
from ledger.turns import turn
from ledger.units import new_id
from ledger.webhooks import Status
from projections import trail
from tests.api.house import CLI, House, register
from tests.api.listening import walked
from tests.api.receiving import (
    GIVE_UP,
    Clock,
    Got,
    Receiver,
    answering,
    deliver,
    deliverer,
    hook_to,
    receiving,
)

HOUR = 3_600.0


@pytest.fixture
async def receiver(each_house: House) -> AsyncIterator[Receiver]:
    async with receiving(each_house) as receiver:
        yield receiver


def stored(house: House, webhook_id: str) -> webhooks.Webhook:
    with house.ledger.store.reading() as db:
        found = webhooks.find(db, webhook_id)
    assert found is not None
    return found


def set_status(house: House, webhook_id: str, status: Status) -> None:
    with house.ledger.store.writing() as db:
        webhooks.set_status(db, webhook_id, status)


def members(house: House, count: int, organisation: str = "org-a") -> None:
    for _ in range(count):
        register(house, new_id(), organisation)


# --- what is delivered ---------------------------------------------------------------------------


async def test_a_receiver_that_was_down_for_an_hour_gets_everything_once_and_in_order(
    each_house: House, receiver: Receiver
) -> None:
    clock = Clock()
    went_down, back_at = clock.now, clock.now + timedelta(hours=1)

    async def down_for_an_hour(got: Got, request: web.Request) -> web.StreamResponse:
        since = (clock.now - went_down).total_seconds()
        if since < HOUR / 3:
            assert request.transport
            request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=503 if clock.now < back_at else 204)

    receiver.answer = down_for_an_hour
    hook = await hook_to(each_house.verifier, receiver)
    everything = await hook_to(each_house.admin, receiver)
    members(each_house, 60)

    def writers_go_on() -> None:
        if clock.now < back_at:
            members(each_house, 2)
            members(each_house, 1, "org-b")

    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"], after_each=writers_go_on)
        assert clock.now >= back_at
        expected = await walked(each_house.verifier, each_house.position)
        assert len(expected) > 80
        assert receiver.positions == [event["position"] for event in expected]
        assert [orjson.loads(got.body)["data"] for got in receiver.taken] == expected
        assert len({got.id for got in receiver.taken}) == len(expected)
        tries = len(receiver.seen) - len(receiver.taken)
        assert 14 < tries < 30  # 5, 10, 20, ... 300 seconds, and then every 300
        assert {got.position for got in receiver.seen[:tries]} == {expected[0]["position"]}
        assert clock.now < back_at + timedelta(seconds=300)  # it was served soon

        receiver.taken.clear()
        await deliver(each_house, made, clock, everything["id"])
        assert receiver.positions == list(range(1, each_house.position + 1))
    assert stored(each_house, hook["id"]).position == expected[-1]["position"]


async def test_a_message_is_as_standard_webhooks_has_it(
    each_house: House, receiver: Receiver
) -> None:
    clock = Clock()
    hook = await hook_to(each_house.verifier, receiver)
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"])
    (event,) = await walked(each_house.verifier, each_house.position)
    (got,) = receiver.taken
    assert Webhook(hook["secret"]).verify(got.body, got.headers) == {
        "type": "MemberRegistered",
        "timestamp": event["recorded_at"],
        "data": event,
    }
    assert got.id == f"{hook['id']}-{event['position']}"
    assert got.headers["content-type"] == "application/json"
    assert abs(int(got.headers["webhook-timestamp"]) - clock.now.timestamp()) < 1
    assert "cookie" not in got.headers
    assert got.is_signed_with(hook["secret"])
    for altered in (got.body + b" ", got.body.replace(b"org-a", b"org-b")):
        with pytest.raises(WebhookVerificationError):
            Webhook(hook["secret"]).verify(altered, got.headers)


def test_a_signature_is_that_of_the_published_example() -> None:
    """The vector in the tests of https://github.com/standard-webhooks/standard-webhooks."""
    sent = sending.Message("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    secret = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")._whsecret
    headers = sending.signed_headers(sent, datetime.fromtimestamp(1614265330, UTC), [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


async def test_what_an_organisation_may_not_see_is_not_delivered(
    each_house: House, receiver: Receiver
) -> None:
    planted, mine = new_id(), new_id()
    register(each_house, planted, "org-b")
    register(each_house, mine, "org-a")
    each_house.write(AddUnit(**CLI, code="pond", name="池", level="community", parent="lake"))
    clock = Clock()
    some = await hook_to(each_house.verifier, receiver, types=["MemberRegistered", "UnitAdded"])
    units = await hook_to(each_house.admin, receiver, types=["UnitAdded"])
    for_b = await hook_to(each_house.admin, receiver, organisation="org-b")
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, some["id"])
        subjects = [orjson.loads(got.body)["data"]["data"]["member_id"] for got in receiver.taken]
        assert subjects == [each_house.member_id, mine]
        assert not any(planted.encode() in got.body for got in receiver.seen)
        receiver.taken.clear()
        await deliver(each_house, made, clock, units["id"])
        assert {orjson.loads(got.body)["type"] for got in receiver.taken} == {"UnitAdded"}
        assert len(receiver.taken) == 3
        receiver.taken.clear()
        await deliver(each_house, made, clock, for_b["id"])
        (got,) = receiver.taken
        assert planted.encode() in got.body


async def test_both_secrets_sign_while_they_overlap(each_house: House, receiver: Receiver) -> None:
    clock = Clock()
    hook = await hook_to(each_house.verifier, receiver)
    rotated = await each_house.verifier.post(f"/v1/webhooks/{hook['id']}/rotate-secret")
    before, after = hook["secret"], rotated.json["secret"]
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"])
        for secret in (before, after):
            Webhook(secret).verify(receiver.taken[0].body, receiver.taken[0].headers)
            assert receiver.taken[0].is_signed_with(secret)
        clock.go_on(24 * HOUR + 60)
        members(each_house, 1)
        await deliver(each_house, made, clock, hook["id"])
    assert receiver.taken[1].is_signed_with(after)
    assert not receiver.taken[1].is_signed_with(before)


# --- what goes wrong -----------------------------------------------------------------------------


async def hangs(got: Got, request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def garbage(got: Got, request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.write(b"\x00\x01nonsense\r\n\r\n")  # type: ignore[attr-defined]
    request.transport.close()
    await asyncio.sleep(60)
    return web.Response(status=500)


async def closes_before_the_head(got: Got, request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Le")  # type: ignore[attr-defined]
    request.transport.close()
    await asyncio.sleep(60)
    return web.Response(status=500)


async def resets(got: Got, request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.abort()
    return web.Response(status=500)


FAILURES: list[tuple[Any, int | None, str]] = [
    (answering(500), 500, "status"),
    (answering(404), 404, "status"),
    (answering(401), 401, "status"),
    (answering(429), 429, "status"),
    (answering(302, Location="/elsewhere"), 302, "redirect"),
    (answering(304), 304, "redirect"),
    (hangs, None, "timeout"),
    (garbage, None, "no_http"),
    (closes_before_the_head, None, "no_connection"),
    (resets, None, "no_connection"),
]


@pytest.mark.parametrize(("answer", "status", "reason"), FAILURES, ids=lambda each: str(each)[:20])
async def test_what_was_not_taken_is_sent_again_before_anything_else(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    status: int | None,
    reason: str,
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.5)
    clock = Clock()
    members(house, 3)
    async with receiving(house) as receiver, deliverer(house, clock) as made:
        hook = await hook_to(house.verifier, receiver)
        receiver.answer = answer
        following = await made.step(hook["id"])
        assert following
        assert following.seconds is not None
        assert 4 <= following.seconds <= 5
        assert (len(receiver.seen), receiver.taken) == (1, [])
        shown = (await house.verifier.get(f"/v1/webhooks/{hook['id']}")).json
        assert (shown["status"], shown["position"], shown["attempts"]) == ("active", 0, 1)
        assert shown["lag"] == 4
        (attempt,) = shown["last_attempts"]
        assert (attempt["status"], attempt["reason"]) == (status, reason)
        early = await made.step(hook["id"])  # before its time nothing is sent
        assert early
        assert len(receiver.seen) == 1
        receiver.answer = answering(200)
        await deliver(house, made, clock, hook["id"])
        assert len(receiver.taken) == 4
        assert receiver.seen[0].id == receiver.seen[1].id
        assert receiver.positions == sorted(receiver.positions)
    assert stored(house, hook["id"]).attempts == 0


async def test_a_receiver_that_is_not_there_is_asked_again(house: House) -> None:
    clock = Clock()
    async with receiving(house) as receiver:
        hook = await hook_to(house.verifier, receiver)
    async with deliverer(house, clock) as made:
        assert await made.step(hook["id"])
    with house.ledger.store.reading() as db:
        (attempt,) = webhooks.last_attempts(db, hook["id"], 5)
    assert (attempt["status"], attempt["reason"]) == (None, "no_connection")


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = self_signed(tmp_path_factory.mktemp("tls"))
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=certificate)
    port = server.sockets[0].getsockname()[1]
    async with server, Sender(Receivers(f"127.0.0.1:{port}")) as sender:
        outcome = await sender.send(
            f"https://127.0.0.1:{port}/",
            sending.Message("m", b"{}"),
            datetime.now(UTC),
            [b"s" * 32],
        )
    assert (outcome.status, outcome.reason) == (None, "tls")
    assert b"".join(got) == b""


def self_signed(folder: Any) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    both = folder / "both.pem"
    both.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


async def test_an_answer_without_end_is_not_listened_to(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "READ_SECONDS", 0.1)
    sent = [0]

    async def endless(got: Got, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65_536)
                sent[0] += 65_536
        return response

    async def silent(got: Got, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    clock = Clock()
    for answer in (endless, silent):
        async with receiving(house) as receiver, deliverer(house, clock) as made:
            receiver.answer = answer
            hook = await hook_to(house.verifier, receiver)
            members(house, 2)
            expected = [event["position"] for event in await walked(house.verifier, house.position)]
            await deliver(house, made, clock, hook["id"])
            assert [got.position for got in receiver.seen] == expected  # its 200 was heard
    assert sent[0] < 100 * 1024 * 1024


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("60", 60), ("0", 4), ("99999999999999", 300), ("nonsense", 4), ("-5", 4), ("１", 4)],
)
async def test_a_receiver_that_asks_for_a_pause_has_it_up_to_five_minutes(
    house: House, said: str, seconds: int
) -> None:
    clock = Clock()
    async with receiving(house) as receiver, deliverer(house, clock) as made:
        receiver.answer = answering(503, Retry_After=said)
        hook = await hook_to(house.verifier, receiver)
        following = await made.step(hook["id"])
        assert following
        assert following.seconds is not None
        assert seconds <= following.seconds <= max(5, seconds)


def test_a_pause_may_be_given_as_a_date() -> None:
    now = datetime(2026, 3, 6, 12, tzinfo=UTC)
    assert sending._retry_after("Fri, 06 Mar 2026 12:01:00 GMT", now) == 60
    assert sending._retry_after("Fri, 06 Mar 2026 11:00:00 GMT", now) == 0
    assert sending._retry_after("Fri, 06 Mar 2026 12:01:00", now) == 0


async def test_a_receiver_that_is_gone_is_asked_no_more_and_nothing_is_lost(
    each_house: House, receiver: Receiver
) -> None:
    clock = Clock()
    members(each_house, 2)
    hook = await hook_to(each_house.verifier, receiver)
    receiver.answer = answering(410)
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"])
        assert (len(receiver.seen), stored(each_house, hook["id"]).status) == (1, "disabled")
        metrics = (await each_house.admin.get("/metrics")).body
        assert b"timebank_webhooks_failing 1.0" in metrics
        assert await made.step(hook["id"]) is None
        receiver.answer = answering(200)
        resumed = await each_house.verifier.post(f"/v1/webhooks/{hook['id']}/resume")
        assert resumed.json["status"] == "active"
        await deliver(each_house, made, clock, hook["id"])
    assert len(receiver.taken) == 3


async def test_a_message_that_a_receiver_stumbles_over_is_given_up_on_and_can_be_asked_for(
    each_house: House, receiver: Receiver
) -> None:
    clock, path = Clock(), "/v1/webhooks"
    began = clock.now
    members(each_house, 4)
    hook = await hook_to(each_house.verifier, receiver)
    path = f"/v1/webhooks/{hook['id']}"
    expected = [e["position"] for e in await walked(each_house.verifier, each_house.position)]
    poison = [expected[1], expected[4]]  # the last one has nothing behind it, at first

    async def stumble(got: Got, request: web.Request) -> web.StreamResponse:
        return web.Response(status=500 if got.position in poison else 200)

    receiver.answer = stumble
    async with deliverer(each_house, clock) as made:
        while receiver.positions != [expected[0], *expected[2:4]]:
            await deliver(each_house, made, clock, hook["id"], steps=1)
        assert GIVE_UP <= clock.now - began < GIVE_UP + timedelta(minutes=6)
        (letter,) = (await each_house.verifier.get(f"{path}/dead-letters")).json["data"]
        assert (letter["position"], letter["reason"]) == (expected[1], "status")
        assert letter["attempts"] > 20
        assert stored(each_house, hook["id"]).position == expected[3]

        members(each_house, 1)  # now something is behind the last
        await deliver(each_house, made, clock, hook["id"])
        assert receiver.positions == [expected[0], *expected[2:4], each_house.position]
        shown = (await each_house.verifier.get(path)).json
        assert (shown["status"], shown["dead_letters"], shown["lag"]) == ("active", 2, 0)
        assert len(shown["last_attempts"]) == 10

        asked = await each_house.verifier.post(f"{path}/dead-letters/{expected[1]}/retry")
        assert asked.status == 202
        await deliver(each_house, made, clock, hook["id"])
        letters = (await each_house.verifier.get(f"{path}/dead-letters")).json["data"]
        assert [each["attempts"] for each in letters if each["position"] == expected[1]] == [1]
        poison.clear()
        seen = len(receiver.seen)
        await deliver(each_house, made, clock, hook["id"])
        assert len(receiver.seen) == seen  # nobody asked
        await each_house.verifier.post(f"{path}/dead-letters/{expected[1]}/retry")
        await deliver(each_house, made, clock, hook["id"])
    assert receiver.positions[-1] == expected[1]
    assert stored(each_house, hook["id"]).position == each_house.position
    (letter,) = (await each_house.verifier.get(f"{path}/dead-letters")).json["data"]
    assert letter["position"] == expected[4]


async def test_a_receiver_that_takes_nothing_for_so_long_is_asked_no_more_and_nothing_is_lost(
    each_house: House, receiver: Receiver
) -> None:
    clock = Clock()
    began = clock.now
    members(each_house, 4)
    hook = await hook_to(each_house.verifier, receiver)
    receiver.answer = answering(404)
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"], steps=2_000)
        assert GIVE_UP <= clock.now - began < GIVE_UP + timedelta(minutes=6)
        shown = (await each_house.verifier.get(f"/v1/webhooks/{hook['id']}")).json
        assert (shown["status"], shown["position"], shown["dead_letters"]) == ("disabled", 0, 0)
        assert shown["failing_since"] is not None
        receiver.answer = answering(200)
        await each_house.verifier.post(f"/v1/webhooks/{hook['id']}/resume")
        await deliver(each_house, made, clock, hook["id"])
    expected = await walked(each_house.verifier, each_house.position)
    assert receiver.positions == [event["position"] for event in expected]


async def test_nothing_is_sent_that_is_not_signed(each_house: House, receiver: Receiver) -> None:
    clock = Clock()
    hook = await hook_to(each_house.verifier, receiver)
    each_house.ledger.vault.drop_webhook_secrets(hook["id"])
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"])
        assert receiver.seen == []
        shown = (await each_house.verifier.get(f"/v1/webhooks/{hook['id']}")).json
        assert (shown["status"], shown["last_attempts"][0]["reason"]) == ("disabled", "no_secret")
        await each_house.verifier.post(f"/v1/webhooks/{hook['id']}/rotate-secret")
        await each_house.verifier.post(f"/v1/webhooks/{hook['id']}/resume")
        await deliver(each_house, made, clock, hook["id"])
    assert len(receiver.taken) == 1


# --- what operators do meanwhile -----------------------------------------------------------------


async def test_what_is_replayed_comes_again_with_the_same_ids(
    each_house: House, receiver: Receiver
) -> None:
    clock = Clock()
    members(each_house, 3)
    hook = await hook_to(each_house.verifier, receiver)
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"])
        first = list(receiver.taken)
        behind = first[1].position
        replayed = await each_house.verifier.post(
            f"/v1/webhooks/{hook['id']}/replay", {"position": behind}
        )
        assert replayed.json["position"] == behind
        await deliver(each_house, made, clock, hook["id"])
    again = receiver.taken[len(first) :]
    assert [got.id for got in again] == [got.id for got in first[2:]]
    assert [got.body for got in again] == [got.body for got in first[2:]]


@pytest.mark.parametrize("verb", ["pause", "replay", "DELETE"])
async def test_what_is_done_while_a_message_is_under_way_holds_at_once(
    each_house: House, receiver: Receiver, verb: str
) -> None:
    clock = Clock()
    members(each_house, 4)
    hook = await hook_to(each_house.verifier, receiver)
    path = f"/v1/webhooks/{hook['id']}"

    async def meanwhile(got: Got, request: web.Request) -> web.StreamResponse:
        if len(receiver.seen) == 2:
            if verb == "DELETE":
                await each_house.verifier.ask("DELETE", path)
            else:
                body = {"position": 0} if verb == "replay" else None
                said = await each_house.verifier.post(f"{path}/{verb}", body)
                assert said.status == 200
        return web.Response()

    receiver.answer = meanwhile
    async with deliverer(each_house, clock) as made:
        await deliver(each_house, made, clock, hook["id"])
        expected = [e["position"] for e in await walked(each_house.verifier, each_house.position)]
        if verb == "DELETE":
            assert receiver.positions == expected[:2]
        elif verb == "pause":
            assert receiver.positions == expected[:2]
            assert stored(each_house, hook["id"]).position == expected[1]  # it was taken
            set_status(each_house, hook["id"], "active")
            await deliver(each_house, made, clock, hook["id"])
            assert receiver.positions == expected
        else:
            assert receiver.positions == expected[:2] + expected


async def test_a_test_message_is_sent_at_once_and_told_of(
    each_house: House, receiver: Receiver
) -> None:
    hook = await hook_to(each_house.verifier, receiver)
    path = f"/v1/webhooks/{hook['id']}/test"
    said = await each_house.verifier.post(path)
    assert said.json.items() >= {"delivered": True, "status": 200, "reason": None}.items()
    (got,) = receiver.taken
    sent = Webhook(hook["secret"]).verify(got.body, got.headers)
    assert (sent["type"], sent["data"]) == ("webhook.test", {"id": hook["id"]})
    receiver.answer = answering(500)
    vain = await each_house.verifier.post(path, once="k")
    assert vain.json.items() >= {"delivered": False, "status": 500, "reason": "status"}.items()
    again = await each_house.verifier.post(path, once="k")
    assert (again.body, len(receiver.seen)) == (vain.body, 2)
    dry = await each_house.verifier.post(f"{path}?dry_run=true")
    assert (dry.json["delivered"], len(receiver.seen)) == (None, 2)
    assert stored(each_house, hook["id"]).position == 0


async def test_a_test_message_does_not_go_to_a_private_address(house: House) -> None:
    async with receiving(house) as receiver:
        hook = await hook_to(house.verifier, receiver)
        house.door.receivers = Receivers("")
        said = await house.verifier.post(f"/v1/webhooks/{hook['id']}/test")
        assert (said.status, said.pointers) == (422, {"/url": "address_not_public"})
        assert receiver.seen == []


# --- who delivers --------------------------------------------------------------------------------


async def test_a_stretch_with_nothing_in_it_is_walked_once_and_written_down_rarely(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SKIPPED_MIN", 20)
    clock = Clock()
    async with receiving(house) as receiver, deliverer(house, clock) as made:
        hook = await hook_to(house.verifier, receiver, types=["HoursVerified"])
        for position, written in ((15, 0), (19, 0), (20, 20), (30, 20), (40, 40)):
            members(house, position - house.position)
            await deliver(house, made, clock, hook["id"])
            assert stored(house, hook["id"]).position == written
        assert receiver.seen == []
        assert made._looked[hook["id"]] == (40, 40)


async def test_two_who_would_deliver_take_turns(each_house: House, receiver: Receiver) -> None:
    members(each_house, 30)
    expected = [e["position"] for e in await walked(each_house.verifier, each_house.position)]
    hook = await hook_to(each_house.verifier, receiver)
    at_work: set[asyncio.Task[None]] = set()
    overlaps: list[int] = []
    under_way = [0]

    async def counted(got: Got, request: web.Request) -> web.StreamResponse:
        under_way[0] += 1
        overlaps.append(under_way[0])
        await asyncio.sleep(0)
        under_way[0] -= 1
        return web.Response()

    receiver.answer = counted
    async with (
        deliverer(each_house, Clock()) as one,
        deliverer(each_house, Clock()) as other,
        asyncio.TaskGroup() as group,
    ):
        at_work = {group.create_task(one.run()), group.create_task(other.run())}
        await taken(receiver, len(expected))
        members(each_house, 5)
        one.end()
        await asyncio.wait(at_work, return_when=asyncio.FIRST_COMPLETED)
        members(each_house, 5)  # the other delivers on
        await taken(receiver, len(expected) + 10)
        other.end()
    expected = [e["position"] for e in await walked(each_house.verifier, each_house.position)]
    assert receiver.positions == expected
    assert max(overlaps) == 1
    assert stored(each_house, hook["id"]).position == expected[-1]


async def taken(receiver: Receiver, count: int) -> None:
    """Wait until the receiver has so many."""
    for _ in range(6_000):
        if len(receiver.taken) >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(receiver.taken)} of {count} were delivered")


async def test_where_two_deliver_all_the_same_nothing_is_missing_and_a_repeat_has_the_same_id(
    each_house: House, receiver: Receiver
) -> None:
    """As where a connection broke, and with it the lock, while a message was under way."""
    members(each_house, 20)
    expected = [e["position"] for e in await walked(each_house.verifier, each_house.position)]
    hook = await hook_to(each_house.verifier, receiver)
    clock = Clock()
    async with deliverer(each_house, clock) as one, deliverer(each_house, clock) as other:
        await asyncio.gather(
            deliver(each_house, one, clock, hook["id"]),
            deliver(each_house, other, clock, hook["id"]),
        )
    once = list({got.id: got.position for got in receiver.taken}.values())
    assert once == expected
    assert stored(each_house, hook["id"]).position == expected[-1]


def test_a_turn_is_one_process_s_and_is_given_back(each_turn: tuple[Any, Any]) -> None:
    one, other = each_turn
    with turn(one, "webhooks") as mine:
        assert mine
        assert mine()
        with turn(other, "webhooks") as theirs:
            assert theirs is None
        with turn(other, "other work") as theirs:
            assert theirs
    with turn(other, "webhooks") as theirs:
        assert theirs


@pytest.fixture
def each_turn(database_url: str) -> Iterator[tuple[Any, Any]]:
    from ledger.store import Store

    one, other = Store(database_url), Store(database_url)
    one.create()
    yield one, other
    one.close()
    other.close()


@pytest.mark.postgresql
def test_a_turn_ends_with_its_connection(postgresql_url: str) -> None:
    from ledger.store import Store

    one, other = Store(postgresql_url), Store(postgresql_url)
    one.create()
    with turn(one, "webhooks") as mine:
        assert mine
        with other.engine.connect() as db:
            db.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        assert not mine()
        with turn(other, "webhooks") as theirs:
            assert theirs
    one.close()
    other.close()


async def test_deliveries_go_on_when_the_database_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(deliveries, "LOOK_SECONDS", 0.01)
    away = [3]
    read = Deliverer._find

    def find(self: Deliverer, webhook_id: str) -> webhooks.Webhook | None:
        if away[0]:
            away[0] -= 1
            raise OperationalError("SELECT", None, Exception("away"))
        return read(self, webhook_id)

    monkeypatch.setattr(Deliverer, "_find", find)
    members(house, 3)
    async with receiving(house) as receiver, deliverer(house, Clock()) as made:
        await hook_to(house.verifier, receiver)
        async with asyncio.TaskGroup() as group:
            group.create_task(made.run())
            await taken(receiver, 4)
            made.end()
    assert away == [0]
    assert len(receiver.taken) == 4


async def test_secrets_without_a_webhook_are_dropped_after_a_while(house: House) -> None:
    clock, vault = Clock(), house.ledger.vault
    async with receiving(house) as receiver, deliverer(house, clock) as made:
        hook = await hook_to(house.verifier, receiver)
        orphan = new_id()
        vault.new_webhook_secret(orphan)
        made._drop_orphans()
        assert vault.webhook_ids() == [hook["id"], orphan]  # its webhook may be about to be
        clock.go_on(2 * HOUR)
        made._drop_orphans()
        assert vault.webhook_ids() == [hook["id"]]


async def test_a_rebuild_that_stands_further_back_costs_no_message(
    each_house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    members(each_house, 3)
    hook = await hook_to(each_house.admin, receiver)
    assert await each_house.views.wait_for(each_house.position, 30)
    asked, rebuilt = trail.entries, list[int]()

    def entries(connection: Any, *args: Any, **filters: Any) -> Any:
        if not rebuilt:
            rebuilt.append(each_house.views.rebuild(each_house.position - 2))
        return asked(connection, *args, **filters)

    monkeypatch.setattr(trail, "entries", entries)
    clock = Clock()
    async with deliverer(each_house, clock) as made:
        first = await made.step(hook["id"])
        assert first
        each_house.views.catch_up()
        await deliver(each_house, made, clock, hook["id"])
    assert rebuilt
    assert receiver.positions == list(range(1, each_house.position + 1))


async def test_deliveries_run_in_a_thread_while_the_block_lasts(
    each_house: House, receiver: Receiver
) -> None:
    given = Settings(webhook_allow=f"127.0.0.1:{receiver.port}")
    members(each_house, 5)
    await hook_to(each_house.verifier, receiver)
    running = delivering(each_house.ledger, each_house.views, given)
    thread = await asyncio.to_thread(running.__enter__)
    assert thread in threading.enumerate()
    await taken(receiver, 6)
    await asyncio.to_thread(running.__exit__, None, None, None)
    assert thread not in threading.enumerate()
    assert all(after > before for before, after in pairwise(receiver.positions))
    with delivering(
        each_house.ledger, each_house.views, given.model_copy(update={"work": "views,jobs"})
    ) as nobody:
        assert nobody is None


async def test_a_message_under_way_is_not_waited_for_beyond_the_grace(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(deliveries, "LOOK_SECONDS", 0.01)
    async with receiving(house) as receiver, deliverer(house, Clock()) as made:
        came = asyncio.Event()

        async def slow(got: Got, request: web.Request) -> web.StreamResponse:
            came.set()
            await asyncio.sleep(60)
            return web.Response()

        receiver.answer = slow
        hook = await hook_to(house.verifier, receiver)
        async with asyncio.TaskGroup() as group:
            group.create_task(made.run())
            await came.wait()
            made.end()
    assert stored(house, hook["id"]) == replace(stored(house, hook["id"]), position=0, attempts=0)
