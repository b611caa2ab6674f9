"""Erasing who a member is: gone everywhere but for the id, and the account lives on."""

from pathlib import Path

import pytest

from api.erasure import Erasure, held_again
from api.members import MemberItem
from ledger import keys
from ledger.commands import Stamp
from ledger.desk import Answer, Busy, Job
from ledger.vault import Newcomer, Person, Vault
from tests.api.house import CLI, Caller, House, Said
from tests.api.people import ZHANG, add, added, joined
from tests.api.test_members import NOBODY, facts, held
from tests.api.visits import visit
from tests.ledger.test_vault_erasure import in_files, sealed_of

STAMP: Stamp = CLI


async def erase(house: House, member_id: str, by: Caller | None = None, query: str = "") -> Said:
    path = f"/v1/members/{member_id}/personal-data{query}"
    return await (by or house.admin).ask("DELETE", path)


async def shown(house: House, member_id: str, by: Caller | None = None) -> Said:
    return await (by or house.poster).get(f"/v1/members/{member_id}?min_position={house.position}")


async def test_an_erased_member_is_nobody_and_keeps_the_account(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)
    posted = await house.poster.post("/v1/service-records", visit(member_id=member_id))
    assert posted.status == 201
    path = f"/v1/members/{member_id}/balance?min_position={house.position}"
    before = await house.poster.get(path)

    said = await erase(house, member_id)
    assert (said.status, said.body) == (204, b"")
    assert said.headers["Ledger-Position"] == str(house.position)
    assert facts(house) == ["MemberRegistered", "MemberJoined", "PersonDataErased"]
    assert held(house) == {member_id: "erased"}
    for caller in (house.poster, house.admin):
        found = await shown(house, member_id, caller)
        MemberItem.model_validate(found.json, extra="forbid")
        assert found.json["person"] is None
        assert found.json["erased_at"] is not None
    after = await house.poster.get(f"/v1/members/{member_id}/balance")
    same = {"position": 0, "as_of": 0}
    assert after.json | same == before.json | same
    more = visit(member_id=member_id, days_ago=3)
    assert (await house.poster.post("/v1/service-records", more)).status == 201


async def test_erased_again_it_is_done_and_nothing_is_new(each_house: House) -> None:
    member_id = await added(each_house)
    first, again = [await erase(each_house, member_id) for _ in range(2)]
    assert (first.status, again.status) == (204, 204)
    assert first.headers["Ledger-Position"] == again.headers["Ledger-Position"]
    assert facts(each_house).count("PersonDataErased") == 1


async def test_a_dry_run_erases_nothing(house: House) -> None:
    member_id = await added(house)
    said = await erase(house, member_id, query="?dry_run=true")
    assert (said.status, "Ledger-Position" in said.headers) == (204, False)
    assert held(house) == {member_id: "active"}
    assert (await erase(house, NOBODY, query="?dry_run=true")).status == 404


async def test_a_member_who_is_none_is_not_found(house: House) -> None:
    refused = await house.admin.ask("DELETE", f"/v1/members/{NOBODY}/personal-data")
    assert (refused.status, refused.code) == (404, "not_found")


@pytest.mark.parametrize("role", ["poster", "verifier", "member", "auditor"])
async def test_nobody_but_an_administrator_erases(house: House, role: str) -> None:
    member_id = await added(house)
    assert (await erase(house, member_id, house.callers[role])).status == 403
    assert held(house) == {member_id: "active"}


@pytest.mark.parametrize("step", ["vault", "fact", "keys", "sweep"])
async def test_broken_off_anywhere_the_next_request_does_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    member_id = await added(house)
    herself = house.caller(role="member", actor="张三", member_id=member_id)
    ask = house.ledger.desk.ask_now

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt(step)

    def killed_at_the_fact(job: Job) -> Answer:
        if not job.dry_run:
            killed()
        return ask(job)

    match step:
        case "vault":
            monkeypatch.setattr(house.ledger.vault, "erase", killed)
        case "fact":
            monkeypatch.setattr(house.ledger.desk, "ask_now", killed_at_the_fact)
        case "keys":
            monkeypatch.setattr("api.erasure.forget_member", killed)
        case _:
            monkeypatch.setattr(house.ledger.vault, "sweep", killed)

    def erased_and_swept() -> None:
        erasure = Erasure(house.ledger, STAMP)
        erasure.erase(member_id)
        erasure.sweep()

    with pytest.raises(KeyboardInterrupt):
        erased_and_swept()
    monkeypatch.undo()
    assert (await erase(house, member_id)).status == 204
    assert held(house) == {member_id: "erased"}
    assert facts(house) == ["MemberRegistered", "PersonDataErased"]
    assert (await herself.get(f"/v1/members/{member_id}")).status == 401


async def test_a_refused_erasure_leaves_the_person(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_id = await added(house)

    def busy(job: Job) -> Answer:
        raise Busy

    monkeypatch.setattr(house.ledger.desk, "ask_now", busy)
    refused = await erase(house, member_id)
    assert (refused.status, refused.code) == (503, "busy")
    assert held(house) == {member_id: "active"}


# --- what follows --------------------------------------------------------------------------------


async def test_the_members_own_keys_are_revoked_and_bear_no_name(each_house: House) -> None:
    house = each_house
    member_id = await added(house)
    herself = house.caller(role="member", actor="张三丰", member_id=member_id)
    at_work = house.caller(
        role="poster", actor="张三丰（登记）", organisation="org-a", member_id=member_id
    )
    await erase(house, member_id)
    with house.ledger.store.reading() as connection:
        by_id = {key.id: key for key in keys.list_keys(connection)}
    assert herself.key is not None
    assert at_work.key is not None
    assert by_id[herself.key.id].actor == ""
    assert by_id[herself.key.id].revoked_at is not None
    assert by_id[at_work.key.id].actor == "张三丰（登记）"
    assert by_id[at_work.key.id].revoked_at is None
    assert (await house.member.get(f"/v1/members/{house.member_id}")).status == 200


async def test_no_name_of_an_erased_members_key_is_left_in_a_file(
    each_house: House, database_url: str, tmp_path: Path
) -> None:
    house = each_house
    member_id = await added(house)
    name = "planted-actor-张三丰".encode()
    house.new_key(role="member", actor=name.decode(), member_id=member_id)
    gone = [name, *sealed_of(house.ledger.vault_engine, member_id)]
    assert in_files(database_url, tmp_path, gone) == len(gone)
    await erase(house, member_id)
    assert in_files(database_url, tmp_path, gone) == 0


async def test_nothing_more_is_held_about_an_erased_person(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)
    await erase(house, member_id)
    path = f"/v1/members/{member_id}"
    for person in ({"name": "李四"}, {"phone": None}):
        for query in ("", "?dry_run=true"):
            refused = await house.poster.ask("PATCH", path + query, {"person": person})
            assert (refused.status, refused.code) == (409, "person_erased")
    assert (await house.other_poster.ask("PATCH", path, {"person": {"name": "李"}})).status == 403
    changed = await house.poster.ask("PATCH", path, {"unit": "west"})
    assert (changed.status, changed.json["unit"]) == (200, "west")


async def test_while_the_fact_has_not_come_the_person_is_erased_all_the_same(house: House) -> None:
    member_id = await added(house)
    house.ledger.vault.erase(member_id)
    refused = await house.poster.ask(
        "PATCH", f"/v1/members/{member_id}", {"person": {"name": "李"}}
    )
    assert (refused.status, refused.code) == (409, "person_erased")


async def test_a_person_erased_while_they_are_changed_is_not_held(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_id = await added(house)
    change = house.ledger.vault.change

    def erased_meanwhile(*args: object) -> object:
        house.ledger.vault.erase(member_id)
        return change(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(house.ledger.vault, "change", erased_meanwhile)
    refused = await house.poster.ask(
        "PATCH", f"/v1/members/{member_id}", {"person": {"name": "李"}}
    )
    assert (refused.status, refused.code) == (409, "person_erased")


async def test_the_same_document_and_reference_are_registered_anew(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)
    await erase(house, member_id)
    unknown = await house.poster.post("/v1/service-records", visit(member_ref="V-1"))
    assert (unknown.status, unknown.pointers) == (422, {"/member_ref": "not_found"})
    again = await add(house.other_poster, external_ref="B-9")
    assert again.status == 201
    assert again.json["id"] != member_id
    assert again.json["home_organisation"] == "org-b"
    assert (await add(house.poster, consent_ref="c-2")).json["id"] == again.json["id"]


@pytest.mark.parametrize("when", ["joining", "adding the reference"])
async def test_who_joins_somebody_who_is_erased_meanwhile_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    member_id = await added(house)
    ask, add_ref = house.ledger.desk.ask_now, house.ledger.vault.add_ref

    def erased_before(job: Job) -> Answer:
        if not job.dry_run:
            monkeypatch.undo()
            Erasure(house.ledger, STAMP).erase(member_id)
        return ask(job)

    def erased_at_last(*args: str) -> object:
        house.ledger.vault.erase(member_id)
        return add_ref(*args)

    if when == "joining":
        monkeypatch.setattr(house.ledger.desk, "ask_now", erased_before)
    else:
        monkeypatch.setattr(house.ledger.vault, "add_ref", erased_at_last)
    refused = await add(house.other_poster, external_ref="B-9", consent_ref="c-1")
    assert (refused.status, refused.code) == (409, "person_erased")


async def test_who_is_erased_before_the_row_is_active_stays_erased(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate = house.ledger.vault.activate

    def erased_meanwhile(ids: set[str]) -> set[str]:
        for member_id in ids:
            Erasure(house.ledger, STAMP).erase(member_id)
        return activate(ids)

    monkeypatch.setattr(house.ledger.vault, "activate", erased_meanwhile)
    assert (await add(house.poster)).status == 201
    assert list(held(house).values()) == ["erased"]


async def test_of_whom_an_old_vault_is_restored_nothing_is_shown_and_the_log_tells_who(
    house: House,
) -> None:
    member_id, other = await added(house), await added(house, external_ref="V-2", person=None)
    await erase(house, member_id)
    vault: Vault = house.ledger.vault
    with house.ledger.vault_engine.connect() as db:
        db.exec_driver_sql("DELETE FROM people WHERE status = 'erased'")
        db.commit()
    newcomer = Newcomer(member_id, "V-1", Person(**ZHANG["person"]))
    vault.begin("org-a", [newcomer], house.ledger.committer.clock())
    vault.activate([member_id])
    assert vault.read_masked(member_id) is not None
    assert (await shown(house, member_id)).json["person"] is None
    assert list(held_again(house.ledger)) == [member_id]
    assert (await erase(house, member_id)).status == 204
    assert list(held_again(house.ledger)) == []
    assert held(house) == {member_id: "erased", other: "active"}
