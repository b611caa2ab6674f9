"""The copy of all that is held about a person: whole, for that person and administrators alone."""

from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from api.held import HeldData
from api.held_pdf import LEFT_OUT, TABLES, WORDS
from api.members import MaskedPerson, Member
from api.passbooks import Balance, CreditBalances, Registration
from ledger.refusals import Language
from tests.api.house import Caller, House, Said
from tests.api.people import DOCUMENT, added, joined
from tests.api.test_consents import give, relate
from tests.api.test_members import NOBODY
from tests.api.visits import day, visit


async def copy_of(
    house: House, member_id: str, caller: Caller | None = None, more: str = ""
) -> Said:
    path = f"/v1/members/{member_id}/personal-data?min_position={house.position}{more}"
    return await (caller or house.admin).get(path)


async def lived(house: House) -> str:
    """A member about whom something is held of every kind that one can make by a few posts."""
    member_id = await joined(house)
    for number in range(3):
        body = visit(member_id=member_id, days_ago=2 + number)
        assert (await house.poster.post("/v1/service-records", body)).status == 201
    assert (await give(house.verifier, member_id)).status == 201
    await relate(house, member_id, house.member_id, "child")
    gift = {"kind": "donation", "from": member_id, "credits": 30, "reason": "x"}
    assert (await house.verifier.post("/v1/transfers", gift)).status == 201
    reward = {"code": "care", "name": "陪护", "kind": "benefit", "credits": 60}
    assert (await house.verifier.post("/v1/rewards", reward)).status == 201
    redeem = {"member_id": member_id, "reward": "care"}
    assert (await house.poster.post("/v1/redemptions", redeem)).status == 201
    order = {
        "recipient_id": member_id,
        "activity": "陪伴就医",
        "category": "elderly",
        "unit": "lake",
        "responsible": "staff-7",
        "planned_from": f"{day(-2)}T10:00:00+08:00",
        "planned_to": f"{day(-2)}T11:00:00+08:00",
    }
    assert (await house.poster.post("/v1/orders", order)).status == 201
    certificate = {
        "member_id": member_id,
        "level": "assistant",
        "certificate_ref": "c-7",
        "obtained_on": "2020-01-01",
    }
    said = await house.verifier.post("/v1/certifications", certificate)
    assert said.status == 201
    seen = house.caller(role="verifier", actor="Chen", organisation="org-a")
    path = f"/v1/certifications/{said.json['id']}"
    assert (await seen.post(f"{path}/verify", {})).status == 200
    assert (await seen.post(f"{path}/credential")).status == 201
    statement = {"from": day(9), "to": day(0)}
    path = f"/v1/members/{member_id}/statements"
    assert (await house.verifier.post(path, statement)).status == 201
    return member_id


async def test_the_copy_is_whole(each_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.held.AT_ONCE", 2)
    house = each_house
    member_id = await lived(house)
    herself = house.caller(role="member", actor="张三", member_id=member_id)
    said = await copy_of(house, member_id)
    assert said.status == 200
    HeldData.model_validate(said.json, extra="forbid")
    held = said.json
    assert held["position"] == house.position == int(said.headers["Ledger-Position"])
    assert held["person"] == {
        "name": "张三",
        "document_kind": "resident_id",
        "document_number": DOCUMENT,
        "birth_date": "1990-01-01",
        "phone": "13812345678",
    }
    assert held["external_refs"] == {"org-a": ["V-1"], "org-b": ["B-9"]}
    assert held["member"]["organisations"] == ["org-a", "org-b"]
    assert held["member"]["age_band"] == "18_59"
    counts = {
        "consents": 2,
        "relations": 1,
        "records": 3,
        "redemptions": 1,
        "orders": 1,
        "certifications": 1,
        "statements": 1,
        "credentials": 1,
        "keys": 1,
    }
    assert {name: len(held[name]) for name in counts} == counts
    (key,) = held["keys"]
    assert herself.key is not None
    assert (key["id"], key["actor"], key["last_recorded_at"]) == (herself.key.id, "张三", None)
    for name, path in (
        ("balance", f"/v1/members/{member_id}/balance"),
        ("career", f"/v1/members/{member_id}/career"),
        ("grade", f"/v1/grades/member:{member_id}"),
    ):
        assert held[name] == (await house.admin.get(path)).json, name
    for name, path in (
        ("passbook", f"/v1/members/{member_id}/passbook"),
        ("records", f"/v1/service-records?member_id={member_id}"),
        ("consents", f"/v1/members/{member_id}/consents"),
        ("relations", f"/v1/members/{member_id}/relations"),
        ("redemptions", "/v1/redemptions"),
        ("orders", "/v1/orders"),
        ("certifications", "/v1/certifications"),
        ("statements", "/v1/statements"),
        ("credentials", "/v1/credentials"),
    ):
        assert held[name] == (await house.admin.get(path)).json["data"], name


async def test_every_entry_that_names_the_member_is_in_it(each_house: House) -> None:
    house = each_house
    member_id = await lived(house)
    other = await added(house, external_ref="V-7", person=None)
    await relate(house, other, member_id, "parent")  # named as the other
    held = (await copy_of(house, member_id)).json
    events = (await house.admin.get("/v1/audit/events?limit=500")).json["data"]
    naming = [event for event in events if member_id in str(event)]
    assert held["events"] == naming
    assert {"RelationRecorded", "OrderPlaced", "MemberJoined"} <= {e["type"] for e in naming}
    assert other in str(held["events"])


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_copy_can_be_read_as_a_pdf(house: House, language: Language) -> None:
    member_id = await lived(house)
    said = await copy_of(house, member_id, more=f"&format=pdf&language={language}")
    assert said.headers["Content-Type"] == "application/pdf"
    pages = PdfReader(BytesIO(said.body)).pages
    text = " ".join("".join(page.extract_text() for page in pages).split())
    for part in ("张三", DOCUMENT, "13812345678", "V-1", "c-7", "陪伴就医"):
        assert part in text
    assert ("已确认" if language == "zh" else "verified") in text
    held = (await copy_of(house, member_id)).json
    for name in TABLES:
        assert bool(held[name]) == (WORDS[name][language == "en"] in text), name


def test_every_table_and_column_of_the_copy_has_its_words() -> None:
    lists = {name for name in HeldData.model_fields if name not in ("career", "grade", "events")}
    assert set(TABLES) == lists - {"member_id", "generated_at", "position"}
    for name, columns in TABLES.items():
        assert {name, *columns} <= set(WORDS)
    told = [MaskedPerson, Member, Balance, CreditBalances, Registration]
    names = {name for model in told for name in model.model_fields}
    assert names - LEFT_OUT <= set(WORDS)


async def test_the_copy_is_for_the_member_and_administrators_alone(house: House) -> None:
    member_id = await joined(house)
    herself = house.caller(role="member", actor="Zhang", member_id=member_id)
    assert (await copy_of(house, member_id, herself)).json["person"]["name"] == "张三"
    for caller, status in (
        (house.member, 404),
        (house.poster, 403),
        (house.verifier, 403),
        (house.other_poster, 403),
        (house.auditor, 403),
    ):
        assert (await copy_of(house, member_id, caller)).status == status
    assert (await copy_of(house, NOBODY)).status == 404


async def test_of_an_erased_member_the_facts_are_left(each_house: House) -> None:
    house = each_house
    member_id = await lived(house)
    before: Any = (await copy_of(house, member_id)).json
    await house.admin.ask("DELETE", f"/v1/members/{member_id}/personal-data")
    after: Any = (await copy_of(house, member_id)).json
    HeldData.model_validate(after, extra="forbid")
    assert (after["person"], after["external_refs"]) == (None, {})
    assert after["member"]["erased_at"] is not None
    assert after["records"] == before["records"]
    assert after["events"][:-1] == before["events"]
    for secret in ("张三", DOCUMENT, "13812345678", "'V-1'", "'B-9'"):  # a hash may end in B-9
        assert secret not in str(after)


async def test_of_a_member_without_a_row_in_the_vault_the_rest_is_told(house: House) -> None:
    said = await copy_of(house, house.member_id, house.member)
    HeldData.model_validate(said.json, extra="forbid")
    assert said.json["person"] is None
