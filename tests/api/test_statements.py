"""Service statements over HTTP: issued, handed out, superseded, revoked, verified by anybody."""

from io import BytesIO
from typing import Any

from pypdf import PdfReader

from api.wrong_codes import TRIES, WINDOW_SECONDS, WrongCodes
from ledger.commands import ErasePerson
from ledger.paper_numbers import new_number
from ledger.units import Refused
from tests.api.house import CLI, Caller, House, Said
from tests.api.people import added, joined
from tests.api.visits import day, visit

PERIOD = {"from": day(30), "to": day(0)}


async def posted(house: House, member_id: str, *visits: dict[str, Any]) -> list[str]:
    """The ids of some records of org-a."""
    ids = []
    for body in visits:
        said = await house.poster.post("/v1/service-records", body | {"member_id": member_id})
        assert said.status == 201, said.body
        ids.append(said.json["id"])
    return ids


async def issued(caller: Caller, member_id: str, **other: Any) -> Said:
    return await caller.post(f"/v1/members/{member_id}/statements", PERIOD | other)


async def served(house: House) -> tuple[str, list[str]]:
    """Zhang, with verified 120 + 90 + 100 of which the 90 are reversed, and 60 that wait."""
    member_id = await added(house)
    records = await posted(
        house,
        member_id,
        visit("08:00", "10:00", days_ago=5),
        visit("08:00", "09:30", days_ago=4),
        visit("08:00", "09:40", days_ago=3, activity="社区巡逻", category="safety"),
        visit("08:00", "09:00", days_ago=2, evidence="backfilled"),
    )
    reversal = f"/v1/service-records/{records[1]}/reverse"
    assert (await house.verifier.post(reversal, {"reason": "录入有误"})).status == 200
    return member_id, records


async def stated(house: House) -> tuple[dict[str, Any], str, list[str]]:
    member_id, records = await served(house)
    said = await issued(house.verifier, member_id)
    assert said.status == 201, said.body
    return said.json, member_id, records


def path_of(statement: dict[str, Any]) -> str:
    return f"/v1/statements/{statement['number']}"


async def verification(house: House, number: str, code: str) -> Said:
    query = f"?code={code}"
    return await house.stranger.get(f"/v1/statements/{number}/verification{query}")


async def test_a_statement_of_220_minutes_is_superseded_by_a_later_reversal(
    each_house: House,
) -> None:
    house = each_house
    statement, member_id, records = await stated(house)
    assert statement["minutes"] == 220
    assert statement["status"] == "valid"
    assert statement["left_out"]["pending"] == {"records": 1, "minutes": 60}
    assert [line["minutes"] for line in statement["activities"]] == [120, 100]
    number, code = statement["number"], statement["code"]
    wait = f"?min_position={house.position}"
    item = (await house.verifier.get(path_of(statement) + wait)).json
    assert {name: item[name] for name in statement if name != "position"} == {
        name: said for name, said in statement.items() if name != "position"
    }
    assert item["issued_position"] == statement["position"]

    found = await verification(house, number, code)
    assert found.status == 200
    assert set(found.json) == {
        *("number", "status", "title", "organisation", "organisation_name", "from", "to"),
        *("minutes", "issued_on", "as_of", "position", "leaf_hash"),
    }
    assert (found.json["minutes"], found.json["status"]) == (220, "valid")
    assert member_id not in found.body.decode()
    page = await house.stranger.get(f"/verify/{number}?code={code}")
    assert page.status == 200
    assert "3 小时 40 分（220 分钟）" in page.body.decode()
    assert "有效" in page.body.decode()
    assert "张" not in page.body.decode()

    reversal = f"/v1/service-records/{records[0]}/reverse"
    said = await house.verifier.post(reversal, {"reason": "录入有误"})
    assert said.json["position"] == house.position  # of the last of its facts
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    assert (await verification(house, number, code)).json["status"] == "superseded"
    page = await house.stranger.get(f"/verify/{number}?code={code}&language=en")
    assert "Superseded" in page.body.decode()
    assert 'lang="en"' in page.body.decode()
    item = (await house.verifier.get(path_of(statement))).json
    assert item["superseded_by"] == records[0]


async def test_the_leaf_hash_is_the_one_that_an_inclusion_proof_tells(house: House) -> None:
    statement, _, _ = await stated(house)
    said = await house.verifier.get(f"{path_of(statement)}?min_position={house.position}")
    place = said.json["issued_position"]
    proof = await house.auditor.get(f"/v1/audit/proofs/inclusion?position={place}")
    assert proof.json["leaf"] == said.json["leaf_hash"]
    events = await house.auditor.get(said.json["events"])
    minutes = [entry["data"]["minutes"] for entry in events.json["data"]]
    assert sum(minutes) == statement["minutes"]


async def test_a_wrong_code_is_404_and_guessing_is_limited(house: House) -> None:
    statement, _, _ = await stated(house)
    number, code = statement["number"], statement["code"]
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    bare = await house.stranger.get(f"/v1/statements/{number}/verification")
    assert (bare.status, bare.code) == (404, "not_found")
    unknown = await verification(house, new_number("ST"), code)
    assert (unknown.status, unknown.code) == (404, "not_found")
    assert unknown.json["detail"] == bare.json["detail"]
    typed = await verification(house, number.lower(), f"%20{code.replace('-', '').lower()}")
    assert typed.status == 200
    for _ in range(TRIES - 1):
        assert (await verification(house, number, "0" * 16)).status == 404
    for wrong_or_right in ("0" * 16, code):
        said = await verification(house, number, wrong_or_right)
        assert (said.status, said.code) == (429, "too_many_requests")
        assert WINDOW_SECONDS - 60 < int(said.headers["Retry-After"]) <= WINDOW_SECONDS
    page = await house.stranger.get(f"/verify/{number}?code={code}")
    assert page.status == 429


def test_after_a_while_codes_are_tried_again_and_memory_is_bounded() -> None:
    now = [0.0]
    wrong = WrongCodes(lambda: now[0])

    def too_many(number: str) -> int:
        """The seconds to wait."""
        try:
            wrong.refuse_too_many(number)
        except Refused as no:
            return int(str(no.params["seconds"]))
        return 0

    for _ in range(TRIES):
        assert not too_many("ST-1")
        wrong.count("ST-1")
    assert too_many("ST-1") == WINDOW_SECONDS
    assert not too_many("ST-2")
    now[0] = WINDOW_SECONDS - 10.5
    assert too_many("ST-1") == 11
    now[0] = WINDOW_SECONDS
    assert not too_many("ST-1")
    wrong.count("ST-1")
    assert not too_many("ST-1")
    for place in range(10_001):
        wrong.count(f"ST-X-{place}")
    assert len(wrong._tried) == 10_000


async def test_the_page_asks_for_number_and_code_in_both_languages(house: House) -> None:
    statement, _, _ = await stated(house)
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    empty = await house.stranger.get("/verify")
    assert empty.status == 200
    assert "查验服务记录证明" in empty.body.decode()
    english = await house.stranger.get("/verify", headers={"Accept-Language": "en"})
    assert "Verify a service statement" in english.body.decode()
    asked = f"/verify?number={statement['number']}&code={statement['code']}&language=en"
    assert "3 h 40 min (220 minutes)" in (await house.stranger.get(asked)).body.decode()
    missing = await house.stranger.get("/verify?number=%3Cscript%3E&code=x")
    assert missing.status == 404
    assert "<script>" not in missing.body.decode()
    assert missing.headers["Referrer-Policy"] == "no-referrer"
    assert "form-action 'self'" in missing.headers["Content-Security-Policy"]


async def test_a_member_asks_for_a_statement_and_reads_it(house: House) -> None:
    member_id, _ = await served(house)
    zhang = house.caller(role="member", actor="Zhang", member_id=member_id)
    said = await issued(zhang, member_id)
    assert (said.status, said.json["organisation"]) == (201, "org-a")
    mine = await zhang.get(f"/v1/statements?min_position={house.position}")
    assert [each["number"] for each in mine.json["data"]] == [said.json["number"]]
    assert (await zhang.get(path_of(said.json))).json["code"] == said.json["code"]
    assert (await issued(house.member, member_id)).status == 404
    assert (await house.member.get(path_of(said.json))).status == 404
    assert (await house.member.get("/v1/statements")).json["data"] == []
    assert (await issued(house.poster, member_id)).status == 403


async def test_each_organisation_states_and_sees_its_own(house: House) -> None:
    member_id = await joined(house)
    await posted(house, member_id, visit())
    body = visit("17:00", "18:00") | {"member_id": member_id}
    assert (await house.other_poster.post("/v1/service-records", body)).status == 201
    other = house.caller(role="verifier", actor="Qian", organisation="org-b")
    theirs = (await issued(other, member_id)).json
    ours = (await issued(house.verifier, member_id)).json
    assert (theirs["minutes"], ours["minutes"]) == (60, 120)
    wait = f"?min_position={house.position}"
    assert (await other.get(path_of(ours) + wait)).status == 404
    assert (await house.verifier.get(path_of(theirs))).status == 404
    listed = (await other.get("/v1/statements")).json["data"]
    assert [each["number"] for each in listed] == [theirs["number"]]
    narrowed = await other.get("/v1/statements?organisation=org-a")
    assert narrowed.json["data"] == []
    everything = (await house.auditor.get(f"/v1/members/{member_id}/statements")).json["data"]
    assert [each["number"] for each in everything] == [theirs["number"], ours["number"]]
    strangers = house.caller(role="verifier", actor="Wu", organisation="org-c")
    for caller in (strangers, house.member):
        assert (await caller.get(f"/v1/members/{member_id}/statements")).status == 404
    of_one = await house.admin.get(f"/v1/members/{member_id}/statements?organisation=org-b")
    assert len(of_one.json["data"]) == 1
    assert (await issued(strangers, member_id)).status == 404


async def test_an_administrator_names_the_organisation(house: House) -> None:
    member_id, _ = await served(house)
    said = await issued(house.admin, member_id)
    assert said.pointers == {"/organisation": "missing"}
    said = await issued(house.admin, member_id, organisation="org-b")
    assert said.pointers == {"/organisation": "not_found"}
    assert (await issued(house.admin, member_id, organisation="org-a")).status == 201


async def test_an_auditor_is_not_told_the_code(house: House) -> None:
    statement, _, _ = await stated(house)
    said = await house.auditor.get(f"{path_of(statement)}?min_position={house.position}")
    assert (said.json["code"], said.json["verify_url"]) == (None, None)
    assert said.json["minutes"] == 220
    said = await house.auditor.get("/v1/audit/events?type=StatementIssued")
    assert len(said.json["data"]) == 1
    assert statement["code"] not in said.body.decode()


async def test_a_revoked_statement_says_so_to_everybody(house: House) -> None:
    statement, _, _ = await stated(house)
    revoke = f"/v1/statements/{statement['number']}/revoke"
    assert (await house.verifier.post(revoke, {})).pointers == {"/reason": "missing"}
    assert (await house.other_poster.post(revoke, {"reason": "x"})).status == 403
    other = house.caller(role="verifier", actor="Qian", organisation="org-b")
    assert (await other.post(revoke, {"reason": "误发"})).status == 404
    said = await house.verifier.post(revoke, {"reason": "误发"})
    assert (said.status, said.json["status"]) == (200, "revoked")
    assert (await house.verifier.post(revoke, {"reason": "误发"})).code == "wrong_state"
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    found = await verification(house, statement["number"], statement["code"])
    assert found.json["status"] == "revoked"
    assert "误发" not in found.body.decode()
    listed = await house.verifier.get("/v1/statements?status=revoked")
    assert [each["reason"] for each in listed.json["data"]] == ["误发"]


async def test_what_a_statement_request_alone_shows_wrong(house: House) -> None:
    member_id, _ = await served(house)
    path = f"/v1/members/{member_id}/statements"
    assert (await house.verifier.post(path, {})).pointers == {"/from": "missing", "/to": "missing"}
    turned = await house.verifier.post(path, {"from": day(0), "to": day(9)})
    assert turned.pointers == {"/to": "ends_before_start"}
    nothing = await house.verifier.post(path, {"from": day(300), "to": day(200)})
    assert (nothing.status, nothing.code) == (409, "nothing_to_state")
    dry = await house.verifier.post(f"{path}?dry_run=true", PERIOD)
    assert (dry.status, dry.json["minutes"], dry.json["dry_run"]) == (201, 220, True)
    listed = await house.verifier.get(f"/v1/statements?min_position={house.position}")
    assert listed.json["data"] == []


async def test_a_repeated_request_is_answered_with_the_first_statement(house: House) -> None:
    member_id, _ = await served(house)
    path = f"/v1/members/{member_id}/statements"
    first = await house.verifier.post(path, PERIOD, once="once")
    again = await house.verifier.post(path, PERIOD, once="once")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"


async def printed(caller: Caller, house: House, statement: dict[str, Any], more: str = "") -> str:
    query = f"?format=pdf&min_position={house.position}{more}"
    said = await caller.get(path_of(statement) + query)
    assert said.status == 200, said.body
    assert said.headers["Content-Type"] == "application/pdf"
    again = await caller.get(path_of(statement) + query)
    assert again.body == said.body
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(said.body)).pages)
    return " ".join(text.split())


async def test_a_statement_is_printed_with_the_name_for_those_who_may_know_it(
    house: House,
) -> None:
    member_id = await joined(house)
    await posted(house, member_id, visit("08:00", "11:40"))
    body = visit("17:00", "18:00") | {"member_id": member_id}
    assert (await house.other_poster.post("/v1/service-records", body)).status == 201
    statement = (await issued(house.verifier, member_id)).json
    zhang = house.caller(role="member", actor="Zhang", member_id=member_id)
    for caller in (house.verifier, house.admin, zhang):
        text = await printed(caller, house, statement)
        for part in ("张三", "3702**********1234", "3 小时 40 分", statement["number"]):
            assert part in text
        assert statement["code"] in text
    text = await printed(zhang, house, statement, "&language=en")
    assert "3 h 40" in text
    assert "Platform service statement" in text
    assert "张三" not in await printed(house.poster, house, statement)

    other = house.caller(role="verifier", actor="Qian", organisation="org-b")
    theirs = (await issued(other, member_id)).json
    assert "张三" not in await printed(other, house, theirs)
    refused = await house.auditor.get(f"{path_of(statement)}?format=pdf")
    assert refused.status == 403
    assert (await house.admin.get(f"{path_of(statement)}?format=docx")).status == 422
    assert house.ledger.vault.erase(member_id)
    gone = await house.verifier.get(f"{path_of(statement)}?format=pdf")
    assert (gone.status, gone.code) == (409, "person_erased")


async def test_codes_outlive_a_change_of_the_vault_key(house: House) -> None:
    statement, _, _ = await stated(house)
    house.ledger.vault.rotate(bytes(range(32)))
    said = await house.verifier.get(f"{path_of(statement)}?min_position={house.position}")
    assert said.json["code"] == statement["code"]


async def test_a_paper_is_verified_after_its_holder_was_erased(each_house: House) -> None:
    house = each_house
    statement, member_id, _ = await stated(house)
    erased = await house.admin.ask("DELETE", f"/v1/members/{member_id}/personal-data")
    assert erased.status == 204
    said = await house.verifier.get(f"{path_of(statement)}?min_position={house.position}")
    assert (said.json["code"], said.json["minutes"]) == (None, 220)
    found = await verification(house, statement["number"], statement["code"])
    assert (found.status, found.json["minutes"]) == (200, 220)


async def test_who_was_erased_is_not_named_though_an_old_vault_is_back(house: House) -> None:
    statement, member_id, _ = await stated(house)
    house.write(ErasePerson(**CLI, member_id=member_id, reason="request"))  # the vault holds them
    wait = f"?min_position={house.position}"
    said = await house.admin.get(path_of(statement) + wait)
    assert (said.json["code"], said.json["verify_url"]) == (None, None)
    assert (await house.admin.get(f"{path_of(statement)}?format=pdf")).code == "person_erased"
    assert (await issued(house.verifier, member_id)).code == "person_erased"


async def test_nobody_who_is_not_held_gets_a_statement(house: House) -> None:
    member_id, _ = await served(house)
    assert house.ledger.vault.erase(member_id)
    said = await issued(house.verifier, member_id)
    assert (said.status, said.code) == (409, "person_erased")


async def test_no_number_that_is_none_is_found(house: House) -> None:
    for number in ("x", "ST-0000-0000-0000", "%2F", "ST-" + "0" * 60):
        said = await house.verifier.get(f"/v1/statements/{number}")
        assert (said.status, said.code) == (404, "not_found")
        said = await house.stranger.get(f"/v1/statements/{number}/verification")
        assert (said.status, said.code) == (404, "not_found")
