"""Webhooks over HTTP: added, looked at, changed and forgotten; their secret is told once."""

import base64
import logging
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from ledger import store, webhooks
from ledger.units import new_id
from ledger.vault_rows import webhook_secrets
from ledger.webhooks import Attempt, DeadLetter
from tests.api.house import Caller, House, register
from tests.ledger.test_vault_erasure import in_files

URL = "https://receiver.example.org/timebank"
VERBS = ("pause", "resume", "replay", "rotate-secret", "test")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def no_names(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the world for a name's address."""

    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr("api.receivers._look_up", nowhere)


@pytest.fixture
async def hooked(no_names: None, each_house: House) -> tuple[House, dict[str, Any]]:
    """A house, and a webhook of org-a in it."""
    return each_house, await added(each_house.verifier)


async def added(caller: Caller, **body: Any) -> dict[str, Any]:
    said = await caller.post("/v1/webhooks", {"url": URL, **body})
    assert said.status == 201, said.body
    found: dict[str, Any] = said.json
    return found


def rows(house: House) -> tuple[int, int]:
    """How many webhooks, and how many secrets."""
    with house.ledger.store.reading() as journal, house.ledger.vault_engine.connect() as vault:
        return (
            journal.execute(select(func.count()).select_from(store.webhooks)).scalar_one(),
            vault.execute(select(func.count()).select_from(webhook_secrets)).scalar_one(),
        )


def stored(house: House, webhook_id: str) -> webhooks.Webhook:
    with house.ledger.store.reading() as db:
        found = webhooks.find(db, webhook_id)
    assert found is not None
    return found


async def test_a_webhook_is_added_and_looked_up(each_house: House) -> None:
    types = ["HoursReversed", "HoursVerified"]
    said = await each_house.verifier.post("/v1/webhooks", {"url": URL, "types": types[::-1]})
    made = said.json
    assert said.status == 201
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert made.pop("created_at") > "2026"
    webhook_id = made.pop("id")
    assert each_house.verifier.key
    assert made == {
        "organisation": "org-a",
        "url": URL,
        "types": types,
        "status": "active",
        "position": each_house.position,  # what comes from now on
        "attempts": 0,
        "failing_since": None,
        "next_attempt_at": None,
        "created_by": each_house.verifier.key.id,
    }
    assert said.headers["Ledger-Position"] == str(made["position"])
    item = await each_house.verifier.get(f"/v1/webhooks/{webhook_id}")
    assert secret.encode() not in item.body
    assert item.json.items() >= made.items()
    assert (item.json["lag"], item.json["dead_letters"]) == (0, 0)
    assert item.json["last_attempts"] == []
    (listed,) = (await each_house.verifier.get("/v1/webhooks")).json["data"]
    assert listed["id"] == webhook_id


async def test_the_lag_is_what_the_organisation_may_see(hooked: tuple[House, Any]) -> None:
    house, hook = hooked
    for organisation in ("org-b", "org-a", "org-b", "org-a"):
        register(house, new_id(), organisation)
    path = f"/v1/webhooks/{hook['id']}?min_position={house.position}"
    assert (await house.verifier.get(path)).json["lag"] == 2
    everything = await added(house.admin, position=house.position - 4)
    assert (await house.admin.get(f"/v1/webhooks/{everything['id']}")).json["lag"] == 4


async def test_a_verifier_sees_the_webhooks_of_its_organisation(each_house: House) -> None:
    other = each_house.caller(role="verifier", actor="Qian", organisation="org-b")
    mine, theirs = await added(each_house.verifier), await added(other)
    everything = await added(each_house.admin)
    for_a = await added(each_house.admin, organisation="org-a")
    assert (everything["organisation"], for_a["organisation"]) == (None, "org-a")
    for caller, expected in (
        (each_house.verifier, [mine, for_a]),
        (other, [theirs]),
        (each_house.admin, [mine, theirs, everything, for_a]),
    ):
        listed = (await caller.get("/v1/webhooks")).json["data"]
        assert [hook["id"] for hook in listed] == [hook["id"] for hook in expected]
    for hook in (theirs, everything):
        path = f"/v1/webhooks/{hook['id']}"
        for method, asked in (
            ("GET", f"{path}"),
            ("DELETE", f"{path}"),
            ("POST", f"{path}/pause"),
            ("POST", f"{path}/resume"),
            ("POST", f"{path}/replay"),
            ("POST", f"{path}/rotate-secret"),
            ("POST", f"{path}/test"),
            ("GET", f"{path}/attempts"),
            ("GET", f"{path}/dead-letters"),
            ("GET", f"{path}/dead-letters/1"),
            ("POST", f"{path}/dead-letters/1/retry"),
        ):
            body = {"position": 0} if asked.endswith("replay") else None
            said = await each_house.verifier.ask(method, asked, body)
            assert (said.status, said.code) == (404, "not_found"), asked
    assert rows(each_house) == (4, 4)


async def test_webhooks_are_for_verifiers_and_administrators(house: House) -> None:
    for caller in (house.poster, house.member, house.auditor):
        assert (await caller.post("/v1/webhooks", {"url": URL})).code == "forbidden"
        assert (await caller.get("/v1/webhooks")).code == "forbidden"
    assert (await house.stranger.post("/v1/webhooks", {"url": URL})).status == 401


async def test_a_list_is_walked_by_its_cursor(each_house: House) -> None:
    made = [(await added(each_house.verifier))["id"] for _ in range(5)]
    path, found = "/v1/webhooks?limit=2", []
    while path:
        page = (await each_house.verifier.get(path)).json
        found += [hook["id"] for hook in page["data"]]
        following = page["next_cursor"]
        path = following and f"/v1/webhooks?limit=2&cursor={following}"
    assert found == made


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/url": "missing"}),
        ({"url": 7}, {"/url": "wrong_type"}),
        ({"url": "receiver"}, {"/url": "wrong_value"}),
        ({"url": URL, "types": []}, {"/types": "wrong_value"}),
        ({"url": URL, "types": ["HoursVerified", "Nonsense"]}, {"/types/1": "wrong_value"}),
        ({"url": URL, "position": -1}, {"/position": "wrong_value"}),
        ({"url": URL, "position": 999_999}, {"/position": "wrong_value"}),
        ({"url": URL, "organisation": "org-b"}, {"/organisation": "not_found"}),
        ({"url": URL, "secret": "whsec_"}, {"/secret": "unknown_field"}),
    ],
)
async def test_what_is_wrong_is_named(
    house: House, body: dict[str, Any], pointers: dict[str, str]
) -> None:
    refused = await house.verifier.post("/v1/webhooks", body)
    assert (refused.status, refused.pointers) == (422, pointers)
    assert rows(house) == (0, 0)


async def test_an_organisation_that_is_not_there_has_no_webhook(house: House) -> None:
    refused = await house.admin.post("/v1/webhooks", {"url": URL, "organisation": "nobody"})
    assert (refused.status, refused.pointers) == (422, {"/organisation": "not_found"})


async def test_an_organisation_has_so_many_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "WEBHOOKS_MAX", 2)
    for _ in range(2):
        await added(house.verifier)
    refused = await house.verifier.post("/v1/webhooks", {"url": URL})
    assert (refused.status, refused.code) == (409, "too_many_webhooks")
    assert rows(house) == (2, 2)
    await added(house.admin)


async def test_the_same_request_is_answered_byte_for_byte_with_its_secret(
    each_house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = await each_house.verifier.post("/v1/webhooks", {"url": URL}, once="k")
    again = await each_house.verifier.post("/v1/webhooks", {"url": URL}, once="k")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert (first.headers["Ledger-Position"], "Idempotent-Replayed" in first.headers) == (
        again.headers["Ledger-Position"],
        False,
    )
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows(each_house) == (1, 1)
    other = await each_house.verifier.post("/v1/webhooks", {"url": f"{URL}/2"}, once="k")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    pausing = f"/v1/webhooks/{first.json['id']}/pause"
    assert (await each_house.verifier.post(pausing, once="k")).code == "idempotency_key_reused"

    secret = first.json["secret"]
    words = [secret.encode(), base64.b64decode(secret.removeprefix("whsec_"))]
    url = each_house.ledger.settings.database_url
    assert in_files(url, tmp_path, [first.json["id"].encode()]) == 1
    assert in_files(url, tmp_path, words) == 0
    with each_house.ledger.store.reading() as db:
        kept = b"".join(db.execute(select(store.answers.c.body)).scalars())
    assert first.json["id"].encode() in kept
    assert not any(word in kept for word in words)
    assert secret.removeprefix("whsec_") not in caplog.text


async def test_a_kept_answer_comes_before_what_the_door_would_refuse_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.verifier.post("/v1/webhooks", {"url": URL}, once="k")

    async def private(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    monkeypatch.setattr(house.door.receivers, "_look_up", private)
    assert (await house.verifier.post("/v1/webhooks", {"url": URL})).status == 422
    again = await house.verifier.post("/v1/webhooks", {"url": URL}, once="k")
    assert (again.status, again.body) == (201, first.body)


async def test_a_dry_run_changes_nothing(hooked: tuple[House, dict[str, Any]]) -> None:
    house, hook = hooked
    dry = await house.verifier.post("/v1/webhooks?dry_run=true", {"url": URL}, once="k")
    assert (dry.status, dry.json["dry_run"], dry.json["secret"]) == (201, True, None)
    assert "position" not in dry.json
    assert "Ledger-Position" not in dry.headers
    before, path = stored(house, hook["id"]), f"/v1/webhooks/{hook['id']}"
    secrets = house.ledger.vault.webhook_secrets(hook["id"], NOW)
    for verb in VERBS:
        body = {"position": 0} if verb == "replay" else None
        said = await house.verifier.post(f"{path}/{verb}?dry_run=true", body)
        assert (said.status, said.json["dry_run"]) == (200, True), verb
        assert "position" not in said.json
    assert (await house.verifier.ask("DELETE", f"{path}?dry_run=true")).status == 204
    assert stored(house, hook["id"]) == before
    assert house.ledger.vault.webhook_secrets(hook["id"], NOW) == secrets
    assert rows(house) == (1, 1)
    taken = await house.verifier.post("/v1/webhooks", {"url": URL}, once="k")
    assert (taken.status, "Idempotent-Replayed" in taken.headers) == (201, False)


async def test_a_webhook_is_paused_resumed_and_replayed(
    hooked: tuple[House, dict[str, Any]],
) -> None:
    house, hook = hooked
    path = f"/v1/webhooks/{hook['id']}"
    failing(house, hook["id"])
    for verb, body, expected in (
        ("pause", {"reason": "维护"}, {"status": "paused", "position": hook["position"]}),
        ("pause", None, {"status": "paused"}),
        ("replay", {"position": 3}, {"status": "paused", "position": 3}),
        ("resume", None, {"status": "active", "position": 3}),
        ("replay", {"position": 0}, {"status": "active", "position": 0}),
    ):
        said = await house.verifier.post(f"{path}/{verb}", body)
        assert said.status == 200, said.body
        assert said.json.items() >= expected.items()
        assert said.json.items() >= {"attempts": 0, "failing_since": None}.items()
        assert (await house.verifier.get(path)).json.items() >= expected.items()
    refused = await house.verifier.post(f"{path}/replay", {"position": 999_999})
    assert (refused.status, refused.pointers) == (422, {"/position": "wrong_value"})


def failing(house: House, webhook_id: str) -> None:
    with house.ledger.store.writing() as db:
        hook = webhooks.find(db, webhook_id)
        assert hook
        attempt = Attempt(hook.position + 1, NOW, 500, "status", 12)
        assert webhooks.failed(db, hook, attempt, NOW + timedelta(seconds=5))


async def test_a_secret_is_replaced_and_the_one_before_signs_for_a_day_more(
    hooked: tuple[House, dict[str, Any]],
) -> None:
    house, hook = hooked
    path = f"/v1/webhooks/{hook['id']}/rotate-secret"
    said = await house.verifier.post(path, once="k")
    until = datetime.fromisoformat(said.json["previous_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    vault = house.ledger.vault
    words = [
        base64.b64decode(answer["secret"].removeprefix("whsec_")) for answer in (said.json, hook)
    ]
    assert vault.webhook_secrets(hook["id"], until - timedelta(seconds=1)) == words
    assert vault.webhook_secrets(hook["id"], until) == words[:1]
    again = await house.verifier.post(path, once="k")
    assert again.body == said.body
    third = await house.verifier.post(path)
    now = datetime.now(UTC)
    assert len(vault.webhook_secrets(hook["id"], now)) == 2
    assert words[1] not in vault.webhook_secrets(hook["id"], now)
    assert third.json["secret"] not in (said.json["secret"], hook["secret"])


async def test_a_secret_that_was_lost_is_made_anew(hooked: tuple[House, dict[str, Any]]) -> None:
    house, hook = hooked
    house.ledger.vault.drop_webhook_secrets(hook["id"])
    said = await house.verifier.post(f"/v1/webhooks/{hook['id']}/rotate-secret")
    assert said.json["secret"].startswith("whsec_")
    assert len(house.ledger.vault.webhook_secrets(hook["id"], datetime.now(UTC))) == 1


async def test_a_webhook_is_forgotten_with_its_secret(
    hooked: tuple[House, dict[str, Any]],
) -> None:
    house, hook = hooked
    path = f"/v1/webhooks/{hook['id']}"
    failing(house, hook["id"])
    said = await house.verifier.ask("DELETE", path)
    assert (said.status, said.body) == (204, b"")
    assert rows(house) == (0, 0)
    with house.ledger.store.reading() as db:
        assert webhooks.attempts_of(db, hook["id"]) == []
    assert (await house.verifier.get(path)).status == 404
    assert (await house.verifier.ask("DELETE", path)).status == 404


async def test_what_was_tried_is_told_and_only_the_newest_is_kept(
    hooked: tuple[House, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, hook = hooked
    path = f"/v1/webhooks/{hook['id']}"
    for _ in range(12):
        failing(house, hook["id"])
    page = (await house.verifier.get(f"{path}/attempts?limit=7")).json
    rest = (await house.verifier.get(f"{path}/attempts?cursor={page['next_cursor']}")).json
    assert (len(page["data"]), len(rest["data"]), rest["next_cursor"]) == (7, 5, None)
    item = (await house.verifier.get(path)).json
    assert len(item["last_attempts"]) == 10
    assert item["last_attempts"][0] == {
        "position": hook["position"] + 1,
        "at": "2026-11-01T12:00:00.000000Z",
        "status": 500,
        "reason": "status",
        "milliseconds": 12,
    }
    assert (item["attempts"], item["failing_since"]) == (12, "2026-11-01T12:00:00.000000Z")
    assert item["next_attempt_at"] == "2026-11-01T12:00:05.000000Z"
    monkeypatch.setattr(webhooks, "ATTEMPTS_KEPT", 5)
    with house.ledger.store.writing() as db:
        before = webhooks.attempts_of(db, hook["id"])
        webhooks.prune_attempts(db, hook["id"])
        webhooks.prune_attempts(db, hook["id"])
        assert webhooks.attempts_of(db, hook["id"]) == before[-5:]


async def test_dead_letters_are_told_and_asked_for_again(
    hooked: tuple[House, dict[str, Any]],
) -> None:
    house, hook = hooked
    path = f"/v1/webhooks/{hook['id']}/dead-letters"
    for _ in range(6):
        register(house, new_id())
    for position in (5, 7, 9):
        with house.ledger.store.writing() as db:
            kept = webhooks.find(db, hook["id"])
            assert kept
            vain, taken = (Attempt(at, NOW, 500, "status", 1) for at in (position, position + 1))
            letter = DeadLetter(position, "2026-11-01T12:00:00.000000Z", 40, "status")
            assert webhooks.given_up(db, kept, vain, letter, taken)
    page = (await house.verifier.get(f"{path}?limit=2")).json
    rest = (await house.verifier.get(f"{path}?cursor={page['next_cursor']}")).json
    assert [each["position"] for each in page["data"] + rest["data"]] == [5, 7, 9]
    assert (await house.verifier.get(f"/v1/webhooks/{hook['id']}")).json["dead_letters"] == 3
    expected = {"at": "2026-11-01T12:00:00.000000Z", "attempts": 40, "reason": "status"}
    assert (await house.verifier.get(f"{path}/7")).json == {"position": 7, **expected}
    for absent in (6, 8, 999_999):
        assert (await house.verifier.get(f"{path}/{absent}")).status == 404
        assert (await house.verifier.post(f"{path}/{absent}/retry")).status == 404
    dry = await house.verifier.post(f"{path}/7/retry?dry_run=true")
    assert (dry.status, dry.json["attempts"]) == (202, 0)
    asked = await house.verifier.post(f"{path}/7/retry", once="k")
    assert (asked.status, asked.json["attempts"], asked.json["position"]) == (202, 0, 7)
    with house.ledger.store.reading() as db:
        assert webhooks.asked_again(db, hook["id"]) == [7]
    again = await house.verifier.post(f"{path}/7/retry", once="k")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (asked.body, "true")

    replayed = await house.verifier.post(f"/v1/webhooks/{hook['id']}/replay", {"position": 6})
    assert replayed.status == 200
    left = (await house.verifier.get(path)).json["data"]
    assert [each["position"] for each in left] == [5]  # the others are before it again


async def test_a_webhook_leaves_no_fact(hooked: tuple[House, dict[str, Any]]) -> None:
    house, hook = hooked
    before = house.position
    for verb in VERBS:
        body = {"position": 0} if verb == "replay" else None
        said = await house.verifier.post(f"/v1/webhooks/{hook['id']}/{verb}", body)
        assert said.status == 200
    assert (await house.verifier.ask("DELETE", f"/v1/webhooks/{hook['id']}")).status == 204
    assert house.position == before


async def test_secrets_open_under_another_vault_key(
    hooked: tuple[House, dict[str, Any]],
) -> None:
    house, hook = hooked
    await house.verifier.post(f"/v1/webhooks/{hook['id']}/rotate-secret")
    other = await added(house.admin)
    now, vault = datetime.now(UTC), house.ledger.vault
    before = [vault.webhook_secrets(id, now) for id in (hook["id"], other["id"])]
    assert [len(each) for each in before] == [2, 1]
    sealed = [row.sealed for row in vault_rows(house)]
    vault.rotate(bytes(range(32)))
    assert [vault.webhook_secrets(id, now) for id in (hook["id"], other["id"])] == before
    assert not {row.sealed for row in vault_rows(house)} & set(sealed)


def vault_rows(house: House) -> list[Any]:
    with house.ledger.vault_engine.connect() as db:
        return list(db.execute(select(webhook_secrets)))
