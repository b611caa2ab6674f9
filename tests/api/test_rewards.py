"""The catalogue over HTTP: what is offered, by whom it is changed, and what makes no reward."""

from typing import Any

import pytest

from tests.api.house import House

REWARDS = "/v1/rewards"
RICE: dict[str, Any] = {
    "code": "rice-5kg",
    "name": "大米 5 千克",
    "kind": "benefit",
    "credits": 60,
    "stock": 10,
}


async def test_a_reward_is_offered_restocked_and_withdrawn(each_house: House) -> None:
    house = each_house
    gates = {"min_age": 60, "min_stars": 1, "grade": "G2", "organisations": ["org-a"]}
    said = await house.verifier.post(REWARDS, RICE | {"eligibility": gates})
    assert (said.status, said.json) == (
        201,
        {"code": "rice-5kg", "status": "offered", "stock": 10, "position": house.position},
    )
    more = await house.verifier.post(f"{REWARDS}/rice-5kg/restock", {"quantity": 5})
    assert (more.status, more.json["stock"]) == (200, 15)
    seen = await house.member.get(f"{REWARDS}/rice-5kg?min_position={house.position}")
    assert {name: seen.json[name] for name in ("organisation", "stock", "eligibility")} == {
        "organisation": "org-a",
        "stock": 15,
        "eligibility": gates,
    }
    gone = await house.verifier.post(f"{REWARDS}/rice-5kg/withdraw", {"reason": "停止合作"})
    assert (gone.status, gone.json["status"]) == (200, "withdrawn")
    again = await house.verifier.post(f"{REWARDS}/rice-5kg/restock", {"quantity": 5})
    assert (again.status, again.code) == (409, "wrong_state")
    assert "已下架" in again.json["detail"]


async def test_the_catalogue_is_listed_by_organisation_kind_and_status(house: House) -> None:
    care = {"code": "care", "name": "陪护", "kind": "peer_service", "credits": 60}
    assert (await house.verifier.post(REWARDS, RICE)).status == 201
    assert (await house.admin.post(REWARDS, care)).status == 201
    offered = {"organisation": "org-b", "code": "bus", "kind": "benefit"}
    assert (await house.admin.post(REWARDS, RICE | offered)).status == 201
    await house.admin.post(f"{REWARDS}/bus/withdraw", {"reason": "停运"})
    for query, codes in (
        ("", ["rice-5kg", "care", "bus"]),
        ("organisation=org-b", ["bus"]),
        ("kind=benefit", ["rice-5kg", "bus"]),
        ("status=offered", ["rice-5kg", "care"]),
        ("kind=benefit&status=withdrawn", ["bus"]),
    ):
        listed = await house.member.get(f"{REWARDS}?min_position={house.position}&{query}")
        assert [one["code"] for one in listed.json["data"]] == codes
    bank = await house.auditor.get(f"{REWARDS}/care")
    assert (bank.json["organisation"], bank.json["stock"], bank.json["eligibility"]) == (
        *(None, None),
        {},
    )


async def test_only_its_own_organisation_and_administrators_change_a_reward(house: House) -> None:
    await house.verifier.post(REWARDS, RICE)
    stranger = house.caller(role="verifier", actor="Qian", organisation="org-b")
    for caller in (stranger, house.poster, house.member, house.auditor):
        refused = await caller.post(f"{REWARDS}/rice-5kg/restock", {"quantity": 5})
        assert refused.status == 403
    for caller in (house.poster, house.member, house.auditor):
        assert (await caller.post(REWARDS, RICE | {"code": "x1"})).status == 403
    taken = await stranger.post(REWARDS, RICE)
    assert (taken.status, taken.code) == (409, "code_taken")
    anothers = await stranger.post(REWARDS, RICE | {"code": "x1", "organisation": "org-a"})
    assert (anothers.status, anothers.pointers) == (422, {"/organisation": "not_found"})
    assert (await house.admin.post(f"{REWARDS}/rice-5kg/restock", {"quantity": 1})).status == 200
    unknown = await house.admin.post(f"{REWARDS}/bread/restock", {"quantity": 1})
    assert unknown.status == 404
    assert (await house.member.get(f"{REWARDS}/bread")).status == 404


async def test_a_dry_run_offers_nothing(house: House) -> None:
    before = house.position
    said = await house.verifier.post(f"{REWARDS}?dry_run=true", RICE)
    assert (said.status, said.json["stock"], said.json["dry_run"]) == (201, 10, True)
    assert house.position == before


async def test_what_has_no_stock_is_not_restocked(house: House) -> None:
    await house.verifier.post(REWARDS, RICE | {"stock": None})
    refused = await house.verifier.post(f"{REWARDS}/rice-5kg/restock", {"quantity": 5})
    assert (refused.status, refused.code) == (409, "no_stock_counted")


@pytest.mark.parametrize(
    ("other", "pointers"),
    [
        ({"code": "Rice"}, {"/code": "not_a_code"}),
        ({"name": " "}, {"/name": "not_a_text"}),
        ({"name": "找 13812345678"}, {"/name": "personal_data_in_text"}),
        ({"kind": "loan"}, {"/kind": "wrong_value"}),
        ({"credits": 0}, {"/credits": "wrong_value"}),
        ({"credits": 1.5}, {"/credits": "wrong_type"}),
        ({"stock": -1}, {"/stock": "wrong_value"}),
        ({"price": 3}, {"/price": "unknown_field"}),
        ({"eligibility": {"min_age": -1}}, {"/eligibility/min_age": "wrong_value"}),
        ({"eligibility": {"tier": "BOSS"}}, {"/eligibility/tier": "wrong_value"}),
        ({"eligibility": {"shoe": 43}}, {"/eligibility/shoe": "unknown_field"}),
        ({"eligibility": {"organisations": []}}, {"/eligibility/organisations": "wrong_value"}),
        (
            {"eligibility": {"organisations": ["org-a", "org-z"]}},
            {"/eligibility/organisations/1": "not_found"},
        ),
    ],
)
async def test_what_makes_no_reward_is_named(
    house: House, other: dict[str, Any], pointers: dict[str, str]
) -> None:
    before = house.position
    refused = await house.verifier.post(REWARDS, RICE | other)
    assert (refused.status, refused.pointers) == (422, pointers)
    assert house.position == before


@pytest.mark.parametrize("quantity", [0, -1, None, "5", 10**9 + 1])
async def test_a_restocking_needs_a_quantity(house: House, quantity: object) -> None:
    await house.verifier.post(REWARDS, RICE)
    refused = await house.verifier.post(f"{REWARDS}/rice-5kg/restock", {"quantity": quantity})
    assert refused.status == 422
    assert list(refused.pointers) == ["/quantity"]
