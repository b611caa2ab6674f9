"""Members over HTTP: registered once, joined by consent, seen by those who may."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import pytest

from api.asks import MemberAsk
from api.imports import import_members
from api.members import MemberItem, MemberWritten
from api.registration import Registration, register_one
from ledger import journal
from ledger.commands import Stamp, SuspendOrganisation
from ledger.desk import Answer, Busy, Job, Mode, Once
from ledger.units import new_id
from ledger.vault import Newcomer, Person, Vault
from tests.api.house import Caller, House
from tests.api.people import DOCUMENT, ZHANG, add, added, joined
from tests.api.visits import visit

STAMP: Stamp = {
    "actor": "cli",
    "actor_name": "cli",
    "actor_member": None,
    "by_admin": True,
    "correlation_id": "chain",
}
NOBODY = "019f0000-0000-7000-8000-00000000dead"


def facts(house: House) -> list[str]:
    """The types of all facts about members, but for the one that the house stands with."""
    with house.ledger.store.reading() as connection:
        found = [e for page in journal.all_entries(connection) for e in page]
    return [entry.type for entry in found if entry.stream.startswith("member:")][1:]


def held(house: House) -> dict[str, str]:
    """Everyone in the vault: id -> status."""
    return {known.member_id: known.status for known in house.ledger.vault.everyone()}


# --- registering ---------------------------------------------------------------------------------


async def test_a_newcomer_becomes_a_member(each_house: House) -> None:
    said = await add(each_house.poster)
    assert said.status == 201
    MemberWritten.model_validate(said.json, extra="forbid")
    assert said.json == {
        "id": said.json["id"],
        "roles": ["volunteer"],
        "unit": "lake",
        "home_organisation": "org-a",
        "position": each_house.position,
    }
    assert held(each_house) == {said.json["id"]: "active"}


async def test_the_same_reference_again_is_the_same_member_and_changes_nothing(
    each_house: House,
) -> None:
    first = await add(each_house.poster)
    other = {"roles": ["resident"], "unit": "west", "person": {"name": "李四"}}
    again = await add(each_house.poster, **other)
    assert (again.status, again.json) == (200, first.json)
    assert facts(each_house) == ["MemberRegistered"]
    path = f"/v1/members/{first.json['id']}?min_position={each_house.position}"
    found = await each_house.poster.get(path)
    assert found.json["person"]["name"] == "张*"


async def test_a_hundred_requests_at_once_make_one_member(each_house: House) -> None:
    answers = await asyncio.gather(*(add(each_house.poster) for _ in range(100)))
    assert {answer.status for answer in answers} == {200, 201}
    assert [answer.status for answer in answers].count(201) == 1
    assert len({answer.json["id"] for answer in answers}) == 1
    assert facts(each_house) == ["MemberRegistered"]
    assert list(held(each_house).values()) == ["active"]


async def test_a_half_made_member_is_finished_under_the_same_id(each_house: House) -> None:
    begun = Newcomer(new_id(), "V-1", Person(name="张三"))
    each_house.ledger.vault.begin("org-a", [begun], datetime.now(UTC))
    assert each_house.ledger.vault.find_refs("org-a", ["V-1"]) == {}
    said = await add(each_house.poster)
    assert said.json["id"] == begun.member_id
    assert held(each_house) == {begun.member_id: "active"}
    assert (await add(each_house.poster)).status == 200


async def test_a_member_whose_fact_stands_but_whose_row_waits_is_finished(house: House) -> None:
    member_id = await added(house)
    with house.ledger.vault_engine.connect() as db:
        db.exec_driver_sql("UPDATE people SET status = 'pending'")
        db.commit()
    said = await add(house.poster)
    assert (said.status, said.json["id"]) == (200, member_id)
    assert held(house) == {member_id: "active"}


async def test_a_row_stays_where_nobody_knows_whether_the_fact_was_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = house.ledger.desk.ask_now

    def lose_the_answer(job: Job) -> Answer:
        answer = ask(job)
        if not job.dry_run:
            raise Busy
        return answer

    monkeypatch.setattr(house.ledger.desk, "ask_now", lose_the_answer)
    assert (await add(house.poster)).status == 503
    assert list(held(house).values()) == ["pending"]
    monkeypatch.undo()
    said = await add(house.poster)
    assert said.status == 200
    assert held(house) == {said.json["id"]: "active"}
    assert facts(house) == ["MemberRegistered"]


async def test_a_row_that_another_dropped_meanwhile_is_begun_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = house.ledger.desk.ask_now

    def drop_after(job: Job) -> Answer:
        answer = ask(job)
        if not job.dry_run:
            house.ledger.vault.drop(job.commands[0].member_id)  # type: ignore[attr-defined]
        return answer

    monkeypatch.setattr(house.ledger.desk, "ask_now", drop_after)
    said = await add(house.poster)
    assert said.status == 201
    assert held(house) == {said.json["id"]: "active"}
    assert house.ledger.vault.find_refs("org-a", ["V-1"]) == {"V-1": said.json["id"]}


def meanwhile(house: House, monkeypatch: pytest.MonkeyPatch, happen: Callable[[], object]) -> None:
    """Let something happen once, between the desk's first word and the fact."""
    ask, happened = house.ledger.desk.ask_now, []

    def after_that(job: Job) -> Answer:
        if not job.dry_run and not happened:
            happened.append(True)
            happen()
        return ask(job)

    monkeypatch.setattr(house.ledger.desk, "ask_now", after_that)


async def test_who_was_answered_by_the_same_request_elsewhere_leaves_no_row(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Once("organisation:org-a", "k-1", b"f" * 32)

    def ask() -> Registration:
        body = MemberAsk.model_validate({"roles": ["volunteer"], "unit": "lake"})
        return Registration("org-a", (body,), STAMP, once=once)

    meanwhile(house, monkeypatch, lambda: register_one(house.ledger, ask()))
    answer = register_one(house.ledger, ask())
    assert answer.replayed
    assert held(house) == {orjson.loads(answer.body)["id"]: "active"}


@pytest.mark.parametrize("mode", ["one", "each", "all"])
async def test_who_is_refused_only_at_the_second_word_leaves_no_row(
    house: House, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    suspended = SuspendOrganisation(**STAMP, code="org-a", reason="x")
    meanwhile(house, monkeypatch, lambda: house.write(suspended))
    if mode == "one":
        refused = await add(house.poster)
        assert (refused.status, refused.code) == (409, "organisation_suspended")
    else:
        said = import_members(
            house.ledger, "org-a", STAMP, b"roles,unit\nvolunteer,lake\n", mode=mode
        )
        assert said["refused"] == 1
    assert held(house) == {}


async def test_a_replay_finishes_what_broke_off_before_its_row_was_active(house: House) -> None:
    first = await house.poster.post("/v1/members", ZHANG, once="k-1")
    with house.ledger.vault_engine.connect() as db:
        db.exec_driver_sql("UPDATE people SET status = 'pending'")
        db.commit()
    again = await house.poster.post("/v1/members", ZHANG, once="k-1")
    assert (again.status, again.body) == (201, first.body)
    assert held(house) == {first.json["id"]: "active"}


async def test_people_without_a_reference_are_each_a_member(house: House) -> None:
    person = {"name": "李"}
    first = await add(house.poster, external_ref=None, person=person)
    second = await add(house.poster, external_ref=None, person=person)
    assert (first.status, second.status) == (201, 201)
    assert first.json["id"] != second.json["id"]


async def test_replays_under_an_idempotency_key_leave_no_orphans(each_house: House) -> None:
    body = {"roles": ["volunteer"], "unit": "lake", "person": {"name": "李"}}
    first = await each_house.poster.post("/v1/members", body, once="k-1")
    answers = await asyncio.gather(
        *(each_house.poster.post("/v1/members", body, once="k-1") for _ in range(20))
    )
    assert {(answer.status, answer.body) for answer in answers} == {(201, first.body)}
    assert held(each_house) == {first.json["id"]: "active"}


async def test_requests_at_once_under_one_key_leave_no_orphans(each_house: House) -> None:
    body = {"roles": ["volunteer"], "unit": "lake", "person": {"name": "李"}}
    answers = await asyncio.gather(
        *(each_house.poster.post("/v1/members", body, once="k-1") for _ in range(20))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert facts(each_house) == ["MemberRegistered"]
    assert list(held(each_house).values()) == ["active"]


async def test_a_refusal_leaves_no_trace(each_house: House) -> None:
    refused = await add(each_house.poster, unit="nowhere")
    assert (refused.status, refused.pointers) == (422, {"/unit": "not_found"})
    await each_house.admin.post("/v1/organisations/org-a/suspend", {"reason": "x"})
    refused = await add(each_house.poster)
    assert (refused.status, refused.code) == (409, "organisation_suspended")
    assert held(each_house) == {}


async def test_a_dry_run_leaves_no_trace(house: House) -> None:
    said = await house.poster.post("/v1/members?dry_run=true", ZHANG)
    assert (said.status, said.json["dry_run"]) == (201, True)
    assert "position" not in said.json
    assert (held(house), facts(house)) == ({}, [])


async def test_an_administrator_names_the_organisation(house: House) -> None:
    refused = await add(house.admin)
    assert (refused.status, refused.pointers) == (422, {"/organisation": "missing"})
    refused = await add(house.admin, organisation="org-z")
    assert (refused.status, refused.pointers) == (422, {"/organisation": "not_found"})
    said = await add(house.admin, organisation="org-b")
    assert (said.status, said.json["home_organisation"]) == (201, "org-b")


@pytest.mark.parametrize("role", ["member", "auditor"])
async def test_neither_members_nor_auditors_register(house: House, role: str) -> None:
    assert (await add(house.callers[role])).status == 403


async def test_no_personal_data_enters_the_journal(house: House) -> None:
    await joined(house)
    with house.ledger.store.reading() as connection:
        kept = repr([e for page in journal.all_entries(connection) for e in page])
    for secret in ("张三", DOCUMENT, "13812345678", "1990-01-01", "V-1", "B-9"):
        assert secret not in kept


# --- joining -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "title"), [("zh", "需要本人同意"), ("en", "Consent needed")])
async def test_a_known_document_joins_only_by_consent(
    house: House, language: str, title: str
) -> None:
    member_id = await added(house)
    refused = await house.other_poster.post(
        "/v1/members", ZHANG | {"external_ref": "B-9"}, headers={"Accept-Language": language}
    )
    assert (refused.status, refused.code, refused.json["title"]) == (409, "consent_needed", title)
    for secret in (member_id, "org-a", "张"):
        assert secret.encode() not in refused.body
    assert facts(house) == ["MemberRegistered"]
    assert house.ledger.vault.find_ref("org-b", "B-9") is None


async def test_joining_answers_the_same_id_and_nothing_else(each_house: House) -> None:
    member_id = await added(each_house)
    said = await add(each_house.other_poster, external_ref="B-9", consent_ref="c-1")
    assert said.status == 200
    assert said.json == {"id": member_id, "position": each_house.position}
    assert facts(each_house) == ["MemberRegistered", "MemberJoined"]

    posted = await each_house.other_poster.post("/v1/service-records", visit(member_ref="B-9"))
    assert posted.status == 201


async def test_joining_again_is_nothing_new(house: House) -> None:
    member_id = await joined(house)
    for other in ({"external_ref": "B-9"}, {"external_ref": None}, {"external_ref": "B-10"}):
        again = await add(house.other_poster, **other)
        assert (again.status, again.json["id"]) == (200, member_id)
    assert facts(house) == ["MemberRegistered", "MemberJoined"]
    assert house.ledger.vault.find_refs("org-b", ["B-9", "B-10"]) == {
        "B-9": member_id,
        "B-10": member_id,
    }


async def test_the_home_organisation_meets_its_own_member_by_the_document(house: House) -> None:
    member_id = await added(house)
    again = await add(house.poster, external_ref="V-2")
    assert (again.status, again.json["id"]) == (200, member_id)
    assert again.json["home_organisation"] == "org-a"
    assert facts(house) == ["MemberRegistered"]


async def test_a_document_is_known_in_any_spelling(house: House) -> None:
    await added(house, person={"name": "张三", "document_number": "37021219900101123x"})
    spelled = {"name": "张三", "document_number": "３７０２１２ 19900101 123Ｘ"}
    refused = await add(house.other_poster, external_ref="B-9", person=spelled)
    assert (refused.status, refused.code) == (409, "consent_needed")


async def test_two_organisations_that_register_one_person_at_once_make_one_member(
    each_house: House,
) -> None:
    house = each_house
    answers = await asyncio.gather(
        *(add(house.poster, consent_ref="c") for _ in range(5)),
        *(add(house.other_poster, external_ref="B-9", consent_ref="c") for _ in range(5)),
    )
    assert {answer.status for answer in answers} <= {200, 201, 503}
    assert len({answer.json["id"] for answer in answers if answer.status < 300}) == 1
    assert facts(house).count("MemberRegistered") == 1
    assert list(held(house).values()) == ["active"]


# --- looking up ----------------------------------------------------------------------------------


async def test_a_person_is_shown_masked_to_home_member_and_admin_alone(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)
    herself = house.caller(role="member", actor="Zhang", member_id=member_id)
    masked = {
        "name": "张*",
        "document_kind": "resident_id",
        "document_number": "3702**********1234",
        "birth_date": "1990-**-**",
        "phone": "138****5678",
    }
    path = f"/v1/members/{member_id}?min_position={house.position}"
    for caller in (house.poster, house.verifier, house.admin, herself):
        said = await caller.get(path)
        MemberItem.model_validate(said.json, extra="forbid")
        assert said.json["person"] == masked
        assert said.json["home_organisation"] == "org-a"
    for caller in (house.other_poster, house.auditor):
        said = await caller.get(path)
        assert said.status == 200
        assert "person" not in said.json


async def test_a_joined_organisation_is_told_of_no_other(house: House) -> None:
    member_id = await joined(house)
    said = await house.other_poster.get(f"/v1/members/{member_id}?min_position={house.position}")
    assert said.json["home_organisation"] is None
    assert b"org-a" not in said.body
    said = await house.poster.get(f"/v1/members/{member_id}")
    assert b"org-b" not in said.body


async def test_a_member_whom_one_may_not_see_is_not_found(house: House) -> None:
    member_id = await added(house)
    path = f"/v1/members/{member_id}"
    for tail in ("", "/balance", "/passbook"):
        at = f"{path}{tail}?min_position={house.position}"
        assert (await house.other_poster.get(at)).status == 404
        assert (await house.member.get(at)).status == 404
        assert (await house.admin.get(f"/v1/members/{NOBODY}{tail}")).status == 404
    assert (await house.other_poster.ask("PATCH", path, {"unit": "west"})).status == 404


async def test_members_are_listed_to_those_who_know_them(house: House) -> None:
    member_id = await joined(house)
    path = f"/v1/members?min_position={house.position}"

    async def listed(caller: Caller, query: str = "") -> list[str]:
        said = await caller.get(path + query)
        assert said.status == 200
        return [member["id"] for member in said.json["data"]]

    both = [house.member_id, member_id]
    assert await listed(house.poster) == both
    assert await listed(house.other_poster) == [member_id]
    assert await listed(house.other_poster, "&organisation=org-a") == []
    assert await listed(house.admin) == both
    assert await listed(house.admin, "&organisation=org-b") == [member_id]
    assert await listed(house.auditor) == both
    assert await listed(house.member) == [house.member_id]
    said = await house.poster.get("/v1/members?limit=1")
    assert (len(said.json["data"]), said.json["data"][0].get("person")) == (1, None)
    assert 'rel="next"' in said.headers["Link"]


async def test_a_member_is_found_by_the_organisations_own_reference(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)

    async def found(caller: Caller, query: str) -> list[str]:
        said = await caller.get(f"/v1/members?{query}&min_position={house.position}")
        assert said.status == 200, said.body
        return [member["id"] for member in said.json["data"]]

    assert await found(house.poster, "external_ref=V-1") == [member_id]
    assert await found(house.poster, "external_ref=B-9") == []
    assert await found(house.other_poster, "external_ref=B-9") == [member_id]
    assert await found(house.other_poster, "external_ref=V-1&organisation=org-a") == []
    assert await found(house.admin, "external_ref=V-1&organisation=org-a") == [member_id]
    assert await found(house.member, "external_ref=V-1") == []
    refused = await house.admin.get("/v1/members?external_ref=V-1")
    assert (refused.status, refused.pointers) == (422, {"/organisation": "missing"})
    assert (await house.auditor.get("/v1/members?external_ref=V-1")).status == 403


# --- changing ------------------------------------------------------------------------------------


async def test_roles_unit_and_person_are_changed_and_the_rest_stays(each_house: House) -> None:
    house = each_house
    member_id = await added(house)
    change = {"roles": ["grid_worker"], "person": {"name": "李四四", "phone": None}}
    said = await house.poster.ask("PATCH", f"/v1/members/{member_id}", change)
    assert said.status == 200
    MemberWritten.model_validate(said.json, extra="forbid")
    assert said.json == {
        "id": member_id,
        "roles": ["grid_worker"],
        "unit": "lake",
        "home_organisation": "org-a",
        "position": house.position,
    }
    found = await house.poster.get(f"/v1/members/{member_id}?min_position={house.position}")
    assert found.json["roles"] == ["grid_worker"]
    assert found.json["person"] == {
        "name": "李**",
        "document_kind": "resident_id",
        "document_number": "3702**********1234",
        "birth_date": "1990-**-**",
    }


async def test_a_change_to_what_is_so_already_is_nothing_new(house: House) -> None:
    member_id = await added(house)
    position = house.position
    change = {"roles": ["volunteer"], "unit": "lake", "person": ZHANG["person"]}
    said = await house.poster.ask("PATCH", f"/v1/members/{member_id}", change)
    assert (said.status, said.json["position"]) == (200, position)
    assert house.position == position


async def test_a_joined_organisation_changes_nobody(house: House) -> None:
    member_id = await joined(house)
    refused = await house.other_poster.ask("PATCH", f"/v1/members/{member_id}", {"unit": "west"})
    assert (refused.status, refused.code) == (403, "forbidden")


async def test_a_change_does_not_take_another_ones_document(house: House) -> None:
    await added(house)
    other = await added(house, external_ref="V-2", person={"name": "李"})
    change = {"person": {"document_number": DOCUMENT}}
    refused = await house.poster.ask("PATCH", f"/v1/members/{other}", change)
    assert (refused.status, refused.code) == (409, "person_known_otherwise")
    found = await house.poster.get(f"/v1/members/{other}?min_position={house.position}")
    assert "document_number" not in found.json["person"]


async def test_a_change_that_is_refused_or_only_tried_changes_nobody(house: House) -> None:
    member_id = await added(house)
    path = f"/v1/members/{member_id}"
    change = {"unit": "nowhere", "person": {"name": "李"}}
    refused = await house.poster.ask("PATCH", path, change)
    assert (refused.status, refused.pointers) == (422, {"/unit": "not_found"})
    said = await house.poster.ask("PATCH", f"{path}?dry_run=true", {"person": {"name": "李"}})
    assert (said.status, said.json["dry_run"]) == (200, True)
    found = await house.poster.get(f"{path}?min_position={house.position}")
    assert found.json["person"]["name"] == "张*"


async def test_an_administrator_changes_anybody(house: House) -> None:
    member_id = await added(house)
    said = await house.admin.ask("PATCH", f"/v1/members/{member_id}", {"unit": "west"})
    assert (said.status, said.json["unit"]) == (200, "west")


# --- the vault's key -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_server_with_the_key_before_writes_nothing_and_knows_nobody_less(
    each_house: House, language: str
) -> None:
    house = each_house
    member_id = await added(house)
    vault = house.ledger.vault
    with house.ledger.vault_engine.connect():
        Vault(house.ledger.vault_engine, house.ledger.secrets.vault_key).rotate(bytes(32))
    asked = {"Accept-Language": language}
    path = f"/v1/members/{member_id}"
    for refused in (
        await house.poster.post("/v1/service-records", visit(member_ref="V-9"), headers=asked),
        await house.poster.post("/v1/members", ZHANG, headers=asked),
        await house.poster.get("/v1/members?external_ref=V-9", headers=asked),
        await house.poster.get(f"{path}?min_position={house.position}", headers=asked),
        await house.poster.ask("PATCH", path, {"person": {"name": "李"}}, headers=asked),
        await house.admin.ask("DELETE", f"{path}/personal-data", headers=asked),
    ):
        assert (refused.status, refused.code) == (503, "vault_key_changed")
        assert refused.headers["Retry-After"] == "30"
    assert refused.json["title"] == (
        "保险库密钥已更换" if language == "zh" else "Vault key changed"
    )
    posted = await house.poster.post("/v1/service-records", visit(member_id=member_id))
    assert posted.status == 201  # no reference is asked for
    assert [known.status for known in vault.everyone()] == ["active"]
    assert Vault(house.ledger.vault_engine, bytes(32)).find_refs("org-a", ["V-1"]) == {
        "V-1": member_id
    }
