"""An Idempotency-Key makes a request one request, however often it is sent."""

import asyncio
from pathlib import Path

import pytest

from ledger.settings import Settings
from tests.api.house import House, made, opened
from tests.api.test_audit import VISIT

CREEK = {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"}
POND = {**CREEK, "code": "pond"}


async def test_the_same_request_gets_the_first_answer_byte_for_byte(each_house: House) -> None:
    first = await each_house.admin.post("/v1/units", CREEK, once="key one")
    assert (first.status, "Idempotent-Replayed" in first.headers) == (201, False)
    position = each_house.position
    again = await each_house.admin.post("/v1/units", CREEK, once="key one")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Ledger-Position"] == first.headers["Ledger-Position"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert each_house.position == position


async def test_without_a_key_the_rule_decides(house: House) -> None:
    assert (await house.admin.post("/v1/units", CREEK)).status == 201
    assert (await house.admin.post("/v1/units", CREEK)).code == "code_taken"


async def test_a_hundred_at_once_make_one_event_and_a_hundred_equal_answers(
    each_house: House,
) -> None:
    before = each_house.position
    visit = {**VISIT, "member_id": each_house.member_id}
    answers = await asyncio.gather(
        *(each_house.poster.post("/v1/service-records", visit, once="same") for _ in range(100))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 99
    assert each_house.position == before + 1


async def test_another_request_under_the_key_is_refused(each_house: House) -> None:
    await each_house.admin.post("/v1/units", CREEK, once="k")
    position = each_house.position
    for method, path, body in (
        ("POST", "/v1/units", POND),
        ("POST", "/v1/units", {**CREEK, "name": "溪谷 "}),
        ("POST", "/v1/units?dry_run=false", CREEK),
        ("POST", "/v1/organisations/org-a/resume", None),
        ("POST", "/v1/units", {"nonsense": True}),  # even one that could not be taken
    ):
        refused = await each_house.admin.ask(method, path, body, once="k")
        assert (refused.status, refused.code) == (422, "idempotency_key_reused"), path
        assert refused.json["errors"]
    assert each_house.position == position


async def test_a_refusal_leaves_no_trace_and_may_be_sent_again(each_house: House) -> None:
    refused = await each_house.admin.post("/v1/units", {**CREEK, "parent": "pond"}, once="k")
    assert refused.status == 422
    await each_house.admin.post("/v1/units", {**POND, "level": "street", "parent": "west"})
    taken = await each_house.admin.post("/v1/units", {**CREEK, "parent": "pond"}, once="k")
    assert (taken.status, "Idempotent-Replayed" in taken.headers) == (201, False)


async def test_a_dry_run_leaves_no_trace(each_house: House) -> None:
    before = each_house.position
    dry = await each_house.admin.post("/v1/units?dry_run=true", CREEK, once="k")
    assert (dry.status, dry.json) == (201, {**CREEK, "dry_run": True})
    assert "Ledger-Position" not in dry.headers
    assert each_house.position == before
    taken = await each_house.admin.post("/v1/units", CREEK, once="k")
    assert (taken.status, "Idempotent-Replayed" in taken.headers) == (201, False)


async def test_a_dry_run_answers_what_would_be_refused(house: House) -> None:
    dry = await house.admin.post("/v1/units?dry_run=true", {**CREEK, "code": "lake"})
    assert (dry.status, dry.code) == (409, "code_taken")


async def test_the_key_belongs_to_the_organisation(each_house: House) -> None:
    visit = {**VISIT, "member_id": each_house.member_id}
    path = "/v1/service-records"
    first = await each_house.poster.post(path, visit, once="k")
    colleague = await each_house.verifier.post(path, visit, once="k")
    assert colleague.body == first.body
    assert colleague.headers["Idempotent-Replayed"] == "true"
    stranger = await each_house.other_poster.post(path, visit, once="k")
    assert stranger.status == 422  # another organisation's key, and a member it does not know
    assert stranger.code == "not_found"


async def test_the_key_of_an_administrator_belongs_to_their_key(house: House) -> None:
    first = await house.admin.post("/v1/units", CREEK, once="k")
    other = house.caller(role="admin", actor="Admin")
    assert (await other.post("/v1/units", CREEK, once="k")).code == "code_taken"
    assert (await house.admin.post("/v1/units", CREEK, once="k")).body == first.body


async def test_a_kept_answer_comes_before_what_the_door_would_refuse_now(
    each_house: House,
) -> None:
    reference = {"external_ref": "V-1", "roles": ["volunteer"], "unit": "lake"}
    member = await each_house.poster.post("/v1/members", reference)
    visit = {**VISIT, "member_ref": "V-1"}
    first = await each_house.poster.post("/v1/service-records", visit, once="k")
    assert first.status == 201
    each_house.ledger.vault.erase(member.json["id"])  # its reference leads to nobody now
    assert (await each_house.poster.post("/v1/service-records", visit)).status == 422
    again = await each_house.poster.post("/v1/service-records", visit, once="k")
    assert (again.status, again.body) == (201, first.body)


async def test_authorisation_comes_before_a_kept_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.admin.post("/v1/units", CREEK, once="k")
    assert first.status == 201
    assert house.admin.key
    house.revoke(house.admin.key)
    monkeypatch.setattr(house.ledger.keyring, "_clock", lambda: float("inf"))
    assert (await house.admin.post("/v1/units", CREEK, once="k")).status == 401


async def test_kept_answers_outlive_the_server(database_url: str, tmp_path: Path) -> None:
    settings = Settings(
        database_url=database_url, keys_file=tmp_path / "keys.json", log_level="warning"
    )
    made(settings)
    async with opened(settings) as house:
        key = house.admin.text
        first = await house.admin.post("/v1/units", CREEK, once="k")
        position = house.position
    assert key
    async with opened(settings) as house:
        again = await house.with_key(key).post("/v1/units", CREEK, once="k")
        assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
        listed = await house.with_key(key).get(f"/v1/units?min_position={position}")
        assert sum(unit["code"] == "creek" for unit in listed.json["data"]) == 1


async def test_a_read_takes_no_notice_of_a_key(house: House) -> None:
    for _ in range(2):
        said = await house.admin.get("/v1/units", headers={"Idempotency-Key": "k"})
        assert (said.status, "Idempotent-Replayed" in said.headers) == (200, False)
