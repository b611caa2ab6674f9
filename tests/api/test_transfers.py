"""Transfers, relations, freezing and closing over HTTP: who may, what moves, what is refused."""

import asyncio
from typing import Any

import pytest

from ledger.units import new_id
from tests.api.house import House, Said
from tests.api.people import added
from tests.api.visits import visit

TRANSFERS = "/v1/transfers"
CREDITS = 120


async def people(house: House) -> tuple[str, str]:
    """A daughter with 120 credits and her mother, both at home in org-a."""
    daughter = house.member_id
    mother = await added(house, external_ref="V-2", person=None)
    related = await house.verifier.post(
        f"/v1/members/{daughter}/relations",
        {"relation": "parent", "to": mother, "evidence_ref": "户口簿-7"},
    )
    assert related.status == 201, related.body
    assert (await house.poster.post("/v1/service-records", visit(member_id=daughter))).status == 201
    return daughter, mother


def gift(credits: int, to: str, **other: Any) -> dict[str, Any]:
    return {"kind": "gift", "to": to, "credits": credits, "reason": "孝亲"} | other


async def available(house: House, member_id: str) -> int:
    path = f"/v1/members/{member_id}/balance?min_position={house.position}"
    found: int = (await house.admin.get(path)).json["credits"]["available"]
    return found


async def test_a_member_gives_of_her_own_to_her_mother(each_house: House) -> None:
    house = each_house
    daughter, mother = await people(house)
    said = await house.member.post(TRANSFERS, gift(50, mother))
    assert said.status == 201
    assert said.json == {
        "id": said.json["id"],
        "status": "done",
        "entries": [[f"person:{daughter}:available", -50], [f"person:{mother}:available", 50]],
        "position": house.position,
    }
    assert (await available(house, daughter), await available(house, mother)) == (70, 50)
    lines = await house.admin.get(f"/v1/members/{mother}/passbook")
    assert [(one["kind"], one["credits"], one["ref"]) for one in lines.json["data"]] == [
        ("gift", 50, said.json["id"])
    ]
    found = await house.member.get(f"{TRANSFERS}/{said.json['id']}")
    assert (found.json["kind"], found.json["credits"]) == ("gift", 50)
    assert [one["id"] for one in (await house.member.get(TRANSFERS)).json["data"]] == [
        said.json["id"]
    ]
    refused = await house.member.post(TRANSFERS, gift(71, mother))
    assert (refused.status, refused.code) == (409, "not_enough_credits")


async def test_a_verifier_gives_and_donates_for_a_member(house: House) -> None:
    daughter, mother = await people(house)
    assert (
        await house.verifier.post(TRANSFERS, gift(10, mother, **{"from": daughter}))
    ).status == 201
    body = {"kind": "donation", "from": daughter, "credits": 20, "reason": "捐赠"}
    donated = await house.verifier.post(TRANSFERS, body)
    assert donated.json["entries"][1] == ["pool:donation", 20]
    to_pool = await house.verifier.post(TRANSFERS, body | {"to": "org-b"})
    assert to_pool.json["entries"][1] == ["org:org-b:pool", 20]
    assert await available(house, daughter) == CREDITS - 50


async def test_an_administrator_allocates_grants_and_settles_an_estate(each_house: House) -> None:
    house = each_house
    daughter, mother = await people(house)
    other_admin = house.caller(role="admin", actor="Second")
    await house.member.post(TRANSFERS, {"kind": "donation", "credits": 100, "reason": "捐赠"})
    halves = [{"to": daughter, "weight": 1}, {"to": mother, "weight": 1}]
    dealt = await house.admin.post(
        TRANSFERS, {"kind": "allocation", "credits": 7, "shares": halves, "reason": "慰问"}
    )
    assert [line[1] for line in dealt.json["entries"]] == [-7, 4, 3]
    await house.admin.post(
        "/v1/policies", {"effective_on": "2026-01-01", "changes": {"grants": {"elders": 500}}}
    )
    wanted = {"kind": "grant", "fund": "elders", "to": mother, "credits": 400, "reason": "补助"}
    proposed = await house.admin.post(TRANSFERS, wanted)
    assert (proposed.status, proposed.json["status"], proposed.json["entries"]) == (
        *(201, "proposed", []),
    )
    approving = f"{TRANSFERS}/{proposed.json['id']}/approve"
    alone = await house.admin.post(approving)
    assert (alone.status, alone.code) == (409, "second_person_needed")
    approved = await other_admin.post(approving)
    assert (approved.status, approved.json["status"]) == (200, "done")
    listed = await house.auditor.get(f"{TRANSFERS}?kind=grant&min_position={house.position}")
    assert [one["status"] for one in listed.json["data"]] == ["done"]
    refused = await house.admin.post(TRANSFERS, wanted | {"credits": 101})
    assert (refused.status, refused.code) == (409, "fund_exhausted")
    inherited = await house.admin.post(
        TRANSFERS,
        {"kind": "inheritance", "from": mother, "credits": 403, "to": daughter, "reason": "公证"},
    )
    assert inherited.status == 201
    assert (await available(house, mother), await available(house, daughter)) == (0, 427)
    closed = await house.admin.post(f"/v1/members/{mother}/close", {"reason": "身故"})
    assert (closed.status, closed.json["status"]) == (200, "closed")
    refused = await house.member.post(TRANSFERS, gift(1, mother))
    assert (refused.status, refused.code) == (409, "member_closed")
    books = await house.auditor.get(f"/v1/audit/trial-balance?min_position={house.position}")
    assert books.json["sum"] == 0


async def test_credits_are_frozen_and_unfrozen(house: House) -> None:
    daughter, mother = await people(house)
    frozen = await house.admin.post(
        f"/v1/members/{daughter}/freeze", {"credits": 100, "reason": "核查"}
    )
    assert (frozen.json["available"], frozen.json["frozen"]) == (20, 100)
    refused = await house.member.post(TRANSFERS, gift(21, mother))
    assert refused.code == "not_enough_credits"
    unfrozen = await house.admin.post(f"/v1/members/{daughter}/unfreeze")
    assert (unfrozen.json["available"], unfrozen.json["frozen"]) == (120, 0)
    refused = await house.admin.post(f"/v1/members/{daughter}/close", {"reason": "注销"})
    assert (refused.status, refused.code) == (409, "balance_not_settled")


async def test_a_hundred_who_spend_one_balance_spend_what_is_there(each_house: House) -> None:
    house = each_house
    daughter, mother = await people(house)
    said = await asyncio.gather(
        *(house.member.post(TRANSFERS, gift(7, mother)) for _ in range(100))
    )
    taken = [one for one in said if one.status == 201]
    assert len(taken) == CREDITS // 7
    assert {one.code for one in said if one.status != 201} == {"not_enough_credits"}
    assert await available(house, daughter) == CREDITS % 7
    assert await available(house, mother) == CREDITS - CREDITS % 7


OTHER = "019f0000-0000-7000-8000-0000000000ff"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"kind": "gift", "to": None}, {"/to": "missing"}),
        ({"kind": "gift", "to": "org-a"}, {"/to": "not_a_uuid"}),
        ({"kind": "gift", "to": OTHER}, {"/to": "not_found"}),
        ({"kind": "gift", "fund": "elders"}, {"/fund": "unknown_field"}),
        ({"kind": "gift", "credits": 0}, {"/credits": "wrong_value"}),
        ({"kind": "gift", "credits": 1.5}, {"/credits": "wrong_type"}),
        ({"kind": "loan"}, {"/kind": "wrong_value"}),
        ({"kind": "donation", "to": OTHER}, {"/to": "wrong_value"}),
        ({"kind": "donation", "to": "org-z"}, {"/to": "not_found"}),
        ({"kind": "donation", "reason": "13812345678"}, {"/reason": "personal_data_in_text"}),
        ({"kind": "allocation", "to": None}, {"/to": "one_of_two"}),
        ({"kind": "allocation", "from": OTHER}, {"/from": "wrong_value"}),
        (
            {"kind": "allocation", "to": None, "shares": [{"to": OTHER, "weight": 0}]},
            {"/shares": "wrong_value"},
        ),
        (
            {"kind": "allocation", "to": None, "shares": [{"to": "org-a", "weight": 1}] * 2},
            {"/shares": "given_twice"},
        ),
        ({"kind": "allocation", "to": "pool:donation"}, {"/shares/0/to": "to_oneself"}),
        ({"kind": "grant", "from": "org-a"}, {"/from": "unknown_field", "/fund": "missing"}),
        ({"kind": "grant", "fund": "moon"}, {"/fund": "not_found"}),
        ({"kind": "inheritance", "from": None}, {"/from": "missing"}),
    ],
)
async def test_what_makes_no_transfer_is_named_and_nothing_is_written(
    house: House, body: dict[str, Any], pointers: dict[str, str]
) -> None:
    daughter, mother = await people(house)
    before = house.position
    given = {"from": daughter} if body["kind"] in ("gift", "donation", "inheritance") else {}
    to = {} if body["kind"] == "donation" else {"to": mother}
    sent = {"credits": 1, "reason": "x", **given, **to, **body}
    refused = await house.admin.post(
        TRANSFERS, {name: value for name, value in sent.items() if value is not None}
    )
    assert (refused.status, refused.pointers) == (422, pointers)
    assert house.position == before


async def test_who_may_not_move_credits(house: House) -> None:
    daughter, mother = await people(house)
    to_herself = await house.member.post(TRANSFERS, gift(1, daughter))
    assert (to_herself.status, to_herself.pointers) == (422, {"/to": "to_oneself"})
    anothers = await house.member.post(TRANSFERS, gift(1, daughter, **{"from": mother}))
    assert (anothers.status, anothers.pointers) == (422, {"/from": "not_found"})
    stranger = house.caller(role="verifier", actor="Sun", organisation="org-b")
    refused = await stranger.post(TRANSFERS, gift(1, mother, **{"from": daughter}))
    assert (refused.status, refused.pointers) == (422, {"/from": "not_found"})
    for caller in (house.poster, house.auditor):
        assert (await caller.post(TRANSFERS, gift(1, mother, **{"from": daughter}))).status == 403
    for kind in ("allocation", "inheritance", "grant"):
        body = {"kind": kind, "to": mother, "credits": 1, "reason": "x"}
        extra = {"grant": {"fund": "elders"}, "inheritance": {"from": daughter}}.get(kind, {})
        for caller in (house.verifier, house.member):
            assert (await caller.post(TRANSFERS, body | extra)).status == 403
    for verb in ("freeze", "unfreeze", "close"):
        path = f"/v1/members/{daughter}/{verb}"
        for caller in (house.verifier, house.member, house.auditor):
            assert (await caller.post(path, {"reason": "x"})).status == 403
    unknown: Said = await house.admin.post(f"/v1/members/{new_id()}/freeze", {"reason": "x"})
    assert unknown.status == 404
    relation = {"relation": "parent", "to": mother, "evidence_ref": "7"}
    assert (await house.poster.post(f"/v1/members/{daughter}/relations", relation)).status == 403
    again = await house.verifier.post(f"/v1/members/{daughter}/relations", relation)
    assert again.status == 200


async def test_transfers_are_seen_by_whom_they_concern(house: House) -> None:
    _, mother = await people(house)
    said = await house.member.post(TRANSFERS, gift(10, mother))
    path = f"{TRANSFERS}/{said.json['id']}?min_position={house.position}"
    received = house.caller(role="member", actor="Mother", member_id=mother)
    for caller, status in (
        (house.member, 200),
        (received, 200),
        (house.verifier, 200),
        (house.auditor, 200),
        (house.other_poster, 404),
    ):
        assert (await caller.get(path)).status == status
        assert len((await caller.get(TRANSFERS)).json["data"]) == (status == 200)
