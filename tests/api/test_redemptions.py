"""Redemptions over HTTP: held, fulfilled, cancelled; hours that cite them; each refusal."""

import asyncio
from typing import Any

import pytest

from ledger.units import new_id
from tests.api.house import Caller, House, Said
from tests.api.people import added
from tests.api.visits import visit

REDEMPTIONS = "/v1/redemptions"
REWARDS = "/v1/rewards"
CREDITS = 300


async def offered(house: House, **rice: Any) -> tuple[str, str]:
    """A member with 300 credits and a helper; care costs 60, and there are ten rices at 60."""
    redeemer = house.member_id
    helper = await added(house, external_ref="V-2", person=None)
    care = {"code": "care", "name": "陪护", "kind": "peer_service", "credits": 60}
    goods = {"code": "rice", "name": "大米", "kind": "benefit", "credits": 60, "stock": 10}
    for body in (care, goods | rice):
        assert (await house.verifier.post(REWARDS, body)).status == 201
    earned = visit("09:00", "14:00", member_id=redeemer)
    assert (await house.poster.post("/v1/service-records", earned)).status == 201
    return redeemer, helper


async def reserve(
    caller: Caller, member_id: str, reward: str = "care", quantity: int = 2, **other: Any
) -> Said:
    body = {"member_id": member_id, "reward": reward, "quantity": quantity} | other
    return await caller.post(REDEMPTIONS, body)


async def held(house: House, reward: str = "care", quantity: int = 2, **other: Any) -> str:
    said = await reserve(house.member, house.member_id, reward, quantity, **other)
    assert said.status == 201, said.body
    found: str = said.json["id"]
    return found


async def fulfil(caller: Caller, redemption_id: str, **body: Any) -> Said:
    return await caller.post(f"{REDEMPTIONS}/{redemption_id}/fulfil", body)


async def cancel(caller: Caller, redemption_id: str, reason: str = "临时有事") -> Said:
    return await caller.post(f"{REDEMPTIONS}/{redemption_id}/cancel", {"reason": reason})


async def balance(house: House, member_id: str) -> dict[str, int]:
    path = f"/v1/members/{member_id}/balance?min_position={house.position}"
    found: dict[str, int] = (await house.admin.get(path)).json["credits"]
    return found


async def test_a_member_redeems_what_another_member_serves(each_house: House) -> None:
    house = each_house
    redeemer, helper = await offered(house)
    said = await reserve(house.member, redeemer, provider_id=helper)
    assert said.status == 201
    found = said.json["id"]
    assert said.json == {
        "id": found,
        "status": "reserved",
        "member_id": redeemer,
        "reward": "care",
        "quantity": 2,
        "credits": 120,
        "paid": 0,
        "released": 0,
        "provider_id": helper,
        "expires_on": said.json["expires_on"],
        "position": house.position,
    }
    assert await balance(house, redeemer) == {
        **dict.fromkeys(("frozen", "receivable"), 0),
        "available": 180,
        "held": 120,
    }
    paid = await fulfil(house.poster, found, credits=90)
    assert (paid.status, paid.json["status"]) == (200, "fulfilled")
    assert (paid.json["paid"], paid.json["released"]) == (90, 30)
    assert (await balance(house, redeemer))["available"] == 210
    assert (await balance(house, helper))["available"] == 90
    hours = visit("09:00", "11:00", member_id=helper, redemption_id=found)
    posted = await house.poster.post("/v1/service-records", hours)
    assert (posted.json["credits"], posted.json["paid_from_hold"]) == (120, 90)
    assert (await balance(house, helper))["available"] == 120
    lines = await house.member.get(f"/v1/members/{redeemer}/passbook")
    assert [(one["kind"], one["credits"], one["ref"]) for one in lines.json["data"][1:]] == [
        ("reserve", -120, found),
        ("fulfil", 30, found),
    ]
    seen = await house.member.get(f"{REDEMPTIONS}/{found}")
    assert (seen.json["status"], seen.json["paid"], seen.json["record_id"]) == (
        *("fulfilled", 90),
        posted.json["id"],
    )
    books = await house.auditor.get(f"/v1/audit/trial-balance?min_position={house.position}")
    assert books.json["sum"] == 0
    assert {one["account"]: one["credits"] for one in books.json["accounts"]} == {
        "issue:service": -330,
        f"person:{redeemer}:available": 210,
        f"person:{redeemer}:held": 0,
        f"person:{helper}:available": 120,
    }
    solvent = await house.auditor.get("/v1/audit/solvency")
    assert solvent.json["redeemed_peer_services"] == 90
    assert solvent.json["redemption_ratio"] == 90 * 10_000 // 330


async def test_a_benefit_leaves_the_stock_and_the_credits_are_gone(each_house: House) -> None:
    house = each_house
    redeemer, _ = await offered(house)
    found = await held(house, "rice", 3)
    left = await house.member.get(f"{REWARDS}/rice?min_position={house.position}")
    assert left.json["stock"] == 7
    assert (await fulfil(house.poster, found)).status == 200
    events = await house.auditor.get(
        f"/v1/audit/events?stream=redemption:{found}&min_position={house.position}"
    )
    assert [one["type"] for one in events.json["data"]] == [
        *("RedemptionReserved", "RedemptionFulfilled"),
    ]
    assert events.json["data"][1]["data"]["entries"][1] == ["sink:redeemed", 180]
    second = await held(house, "rice", 2)
    cancelled = await cancel(house.poster, second)
    assert (cancelled.json["status"], cancelled.json["released"]) == ("cancelled", 120)
    left = await house.member.get(f"{REWARDS}/rice?min_position={house.position}")
    assert left.json["stock"] == 7
    assert (await balance(house, redeemer))["available"] == CREDITS - 180


async def test_a_reversal_returns_the_payment(each_house: House) -> None:
    house = each_house
    redeemer, helper = await offered(house)
    found = await held(house, provider_id=helper)
    await fulfil(house.poster, found)
    hours = visit("09:00", "11:30", member_id=helper, redemption_id=found)
    record = (await house.poster.post("/v1/service-records", hours)).json["id"]
    longer = {"reason": "结束时间录错", "ended_at": visit("09:00", "12:00")["ended_at"]}
    corrected = await house.verifier.post(f"/v1/service-records/{record}/correct", longer)
    replacement = corrected.json["replacement"]
    assert (replacement["credits"], replacement["paid_from_hold"]) == (180, 120)
    lines = await house.member.get(f"/v1/members/{redeemer}/passbook?min_position={house.position}")
    kinds = [(one["kind"], one["credits"]) for one in lines.json["data"][2:]]
    assert kinds == [("fulfil", 0), ("reverse", 0), ("fulfil", 0)]
    undone = await house.verifier.post(
        f"/v1/service-records/{replacement['id']}/reverse", {"reason": "未服务"}
    )
    assert undone.status == 200
    assert (await balance(house, redeemer))["available"] == CREDITS
    assert (await balance(house, helper))["available"] == 0
    seen = await house.auditor.get(f"{REDEMPTIONS}/{found}")
    assert (seen.json["status"], seen.json["paid"]) == ("fulfilled", 0)
    events = await house.auditor.get(
        f"/v1/audit/events?stream=redemption:{found}&min_position={house.position}"
    )
    assert len(events.json["data"]) == 3


async def test_a_hundred_who_want_the_last_ten_get_ten(each_house: House) -> None:
    house = each_house
    redeemer, _ = await offered(house, credits=1)
    said = await asyncio.gather(*(reserve(house.member, redeemer, "rice", 1) for _ in range(100)))
    assert sum(one.status == 201 for one in said) == 10
    assert {one.code for one in said if one.status != 201} == {"out_of_stock"}
    left = await house.auditor.get(f"{REWARDS}/rice?min_position={house.position}")
    assert left.json["stock"] == 0
    assert (await balance(house, redeemer))["held"] == 10


async def test_every_hold_ends_once_in_a_storm(each_house: House) -> None:
    house = each_house
    redeemer, helper = await offered(house)
    holds = [await held(house, quantity=1) for _ in range(5)]
    storm = [
        ending
        for hold in holds
        for _ in range(4)
        for ending in (
            fulfil(house.poster, hold, credits=45, provider_id=helper),
            cancel(house.verifier, hold),
        )
    ]
    said = await asyncio.gather(*storm)
    ended = [one for one in said if one.status == 200]
    assert sorted(one.json["id"] for one in ended) == sorted(holds)
    assert {one.code for one in said if one.status != 200} == {"wrong_state"}
    paid = sum(one.json["paid"] for one in ended)
    assert (await balance(house, redeemer))["available"] == CREDITS - paid
    assert (await balance(house, redeemer))["held"] == 0
    assert (await balance(house, helper))["available"] == paid


async def test_a_hold_of_long_ago_is_not_fulfilled(house: House) -> None:
    await offered(house)
    found = await held(house)
    await cancel(house.poster, found)
    refused = await fulfil(house.poster, found)
    assert (refused.status, refused.code) == (409, "wrong_state")
    assert "已取消" in refused.json["detail"]


async def test_an_age_is_answered_by_the_vault_with_yes_or_no(house: House) -> None:
    elder = await added(
        house, external_ref="E-1", person={"name": "王五", "birth_date": "1950-02-03"}
    )
    by_document = await added(
        house,
        external_ref="E-2",
        person={"name": "赵六", "document_number": "370212195002031235"},
    )
    young = await added(
        house, external_ref="E-3", person={"name": "钱七", "birth_date": "2001-02-03"}
    )
    unknown = await added(house, external_ref="E-4", person=None)
    goods = {"code": "rice", "name": "大米", "kind": "benefit", "credits": 1}
    await house.verifier.post(REWARDS, goods | {"eligibility": {"min_age": 60}})
    for number, member_id in enumerate((elder, by_document, young, unknown)):
        earned = visit("09:00", "10:00", member_id=member_id, receipt=f"E-{number}")
        assert (await house.poster.post("/v1/service-records", earned)).status == 201
    for member_id in (elder, by_document):
        said = await reserve(house.poster, member_id, "rice", 1)
        assert said.status == 201
        event = await house.auditor.get(
            f"/v1/audit/events?after={said.json['position'] - 1}&min_position={house.position}"
        )
        data = event.json["data"][0]["data"]
        assert data["age_met"] is True
        assert "1950" not in str(data)
    for member_id in (young, unknown):
        refused = await reserve(house.poster, member_id, "rice", 1)
        assert (refused.status, refused.code) == (409, "not_eligible")
        assert "min_age 60" in refused.json["detail"]


async def test_members_redeem_for_themselves_alone(house: House) -> None:
    redeemer, helper = await offered(house)
    other = house.caller(role="member", actor="Helper", member_id=helper)
    refused = await reserve(other, redeemer)
    assert (refused.status, refused.pointers) == (422, {"/member_id": "not_found"})
    found = await held(house)
    for verb in (fulfil, cancel):
        assert (await verb(house.member, found)).status == 403
        assert (await verb(house.auditor, found)).status == 403
    assert (await reserve(house.auditor, redeemer)).status == 403
    assert (await other.get(f"{REDEMPTIONS}/{found}")).status == 404


async def test_redemptions_are_seen_by_whom_they_concern(house: House) -> None:
    redeemer, helper = await offered(house)
    served = house.caller(role="member", actor="Helper", member_id=helper)
    found = await held(house, provider_id=helper)
    for caller, seen in (
        (house.member, True),
        (served, True),
        (house.poster, True),
        (house.auditor, True),
        (house.admin, True),
        (house.other_poster, False),
    ):
        path = f"{REDEMPTIONS}?min_position={house.position}"
        assert len((await caller.get(path)).json["data"]) == seen
        assert (await caller.get(f"{REDEMPTIONS}/{found}")).status == (200 if seen else 404)
    for query, count in (
        (f"member_id={redeemer}", 1),
        (f"member_id={helper}", 0),
        ("reward=care", 1),
        (f"reward=care&member_id={redeemer}", 1),
        ("reward=rice", 0),
        ("status=reserved", 1),
        ("status=expired", 0),
    ):
        listed = await house.auditor.get(f"{REDEMPTIONS}?{query}")
        assert len(listed.json["data"]) == count
    for verb in (fulfil, cancel):
        assert (await verb(house.other_poster, found)).status == 404


async def test_the_owner_of_a_reward_fulfils_it(house: House) -> None:
    await offered(house)
    theirs = {"code": "bus", "name": "乘车", "kind": "benefit", "credits": 5}
    await house.admin.post(REWARDS, theirs | {"organisation": "org-b"})
    found = await held(house, "bus")
    assert (await fulfil(house.other_poster, found)).status == 200
    path = f"{REDEMPTIONS}/{found}?min_position={house.position}"
    assert (await house.other_poster.get(path)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"quantity": 0}, 422, {"/quantity": "wrong_value"}),
        ({"quantity": 1.0}, 422, {"/quantity": "wrong_type"}),
        ({"reward": "bread"}, 422, {"/reward": "not_found"}),
        ({"member_id": "019f0000-0000-7000-8000-0000000000ff"}, 422, {"/member_id": "not_found"}),
        ({"provider_id": "Li"}, 422, {"/provider_id": "not_a_uuid"}),
        ({"credits": 5}, 422, {"/credits": "unknown_field"}),
        ({"quantity": 6}, 409, "not_enough_credits"),
        ({"reward": "rice", "quantity": 11}, 409, "out_of_stock"),
    ],
)
async def test_what_is_not_reserved_is_said(
    house: House, body: dict[str, Any], status: int, code: Any
) -> None:
    redeemer, _ = await offered(house)
    before = house.position
    refused = await house.poster.post(
        REDEMPTIONS, {"member_id": redeemer, "reward": "care", "quantity": 1} | body
    )
    assert refused.status == status
    assert (refused.pointers if status == 422 else refused.code) == code
    assert house.position == before


async def test_what_is_not_fulfilled_is_said(house: House) -> None:
    redeemer, helper = await offered(house)
    care, rice = await held(house), await held(house, "rice")
    before = house.position
    for found, body, status, code in (
        (care, {}, 409, "provider_needed"),
        (care, {"provider_id": redeemer}, 422, "to_oneself"),
        (care, {"provider_id": new_id()}, 422, "not_found"),
        (rice, {"provider_id": helper}, 409, "no_provider"),
        (care, {"provider_id": helper, "credits": 121}, 409, "not_enough_credits"),
        (care, {"provider_id": helper, "credits": 0}, 422, "wrong_value"),
        (new_id(), {}, 404, "not_found"),
    ):
        refused = await fulfil(house.poster, found, **body)
        assert refused.status == status, refused.body
        said = [*refused.pointers.values()] if status == 422 else [refused.code]
        assert said == [code]
    assert house.position == before


async def test_a_dry_run_holds_nothing(house: House) -> None:
    redeemer, _ = await offered(house)
    before = house.position
    body = {"member_id": redeemer, "reward": "rice", "quantity": 3}
    said = await house.member.post(f"{REDEMPTIONS}?dry_run=true", body)
    assert (said.status, said.json["credits"]) == (201, 180)
    assert "position" not in said.json
    assert house.position == before
    assert (await balance(house, redeemer))["held"] == 0


async def test_a_key_of_the_provider_does_not_fulfil(house: House) -> None:
    _, helper = await offered(house)
    found = await held(house, provider_id=helper)
    own = house.caller(role="poster", actor="Helper", organisation="org-a", member_id=helper)
    refused = await fulfil(own, found)
    assert (refused.status, refused.code) == (409, "own_hours")


async def test_the_same_request_holds_once(house: House) -> None:
    redeemer, _ = await offered(house)
    body = {"member_id": redeemer, "reward": "care"}
    first = await house.member.post(REDEMPTIONS, body, once="k-1")
    again = await house.member.post(REDEMPTIONS, body, once="k-1")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await balance(house, redeemer))["held"] == 60
