"""Needs and orders over HTTP: every step by who may take it, the record, the payment, the views."""

from typing import Any

import pytest

from tests.api.house import Caller, House, Said
from tests.api.people import added, joined
from tests.api.visits import instant, visit

NEEDS = "/v1/needs"
ORDERS = "/v1/orders"
NOBODY = "019f0000-0000-7000-8000-0000000000ff"


async def worker(house: House) -> str:
    return await added(house, external_ref="W-1", person=None, roles=["social_worker"])


async def volunteer(house: House) -> str:
    """A member of org-b."""
    said = await house.other_poster.post(
        "/v1/members", {"external_ref": "B-1", "roles": ["volunteer"], "unit": "lake"}
    )
    found: str = said.json["id"]
    return found


def need(reported_by: str, **other: Any) -> dict[str, Any]:
    said = {"unit": "lake", "category": "elderly", "reported_by": reported_by}
    return said | {"at": instant("09:00")} | other


def order(recipient_id: str, **other: Any) -> dict[str, Any]:
    said = {
        "recipient_id": recipient_id,
        "activity": "陪伴就医",
        "category": "elderly",
        "unit": "lake",
        "responsible": "staff-7",
        "planned_from": instant("14:00"),
        "planned_to": instant("16:00"),
    }
    return said | {"at": instant("10:45")} | other


async def done(said: Said, status: int = 200) -> Any:
    assert said.status == status, said.body
    return said.json


async def with_credits(house: House) -> str:
    """The house's member, with 180 credits."""
    body = visit("09:00", "12:00", days_ago=5, member_id=house.member_id)
    await done(await house.poster.post("/v1/service-records", body), 201)
    return house.member_id


async def accepted(house: House, **other: Any) -> tuple[str, str]:
    """An order that a volunteer of org-b has accepted; both ids."""
    member_id = await volunteer(house)
    placed = await done(await house.poster.post(ORDERS, order(house.member_id, **other)), 201)
    id = placed["id"]
    body = {"organisation": "org-b", "at": instant("11:00")}
    await done(await house.poster.post(f"/v1/orders/{id}/dispatch", body))
    body = {"member_id": member_id, "at": instant("11:20")}
    await done(await house.other_poster.post(f"/v1/orders/{id}/accept", body))
    return id, member_id


async def served(house: House, **other: Any) -> tuple[str, str]:
    id, member_id = await accepted(house, **other)
    by = house.other_poster
    await done(await by.post(f"/v1/orders/{id}/check-in", {"at": instant("14:00")}))
    await done(await by.post(f"/v1/orders/{id}/check-out", {"at": instant("15:40")}))
    return id, member_id


async def look(caller: Caller, house: House, path: str) -> Any:
    mark = "&" if "?" in path else "?"
    return (await caller.get(f"{path}{mark}min_position={house.position}")).json


async def balance(house: House, member_id: str) -> dict[str, int]:
    said = await look(house.auditor, house, f"/v1/members/{member_id}/balance")
    return dict(said["credits"])


async def test_from_the_need_to_the_payment(house: House) -> None:
    await with_credits(house)
    assessor = await worker(house)
    found = await done(await house.poster.post("/v1/needs", need("org-a")), 201)
    assert found["status"] == "reported"
    body = {"assessor_id": assessor, "route": "volunteer", "at": instant("10:30")}
    said = await done(await house.poster.post(f"/v1/needs/{found['id']}/assess", body))
    assert (said["waited_minutes"], said["correlation_id"]) == (90, found["correlation_id"])
    id, member_id = await accepted(house, need_id=found["id"], hold_credits=120)
    assert (await balance(house, house.member_id))["held"] == 120
    by = house.other_poster
    await done(await by.post(f"/v1/orders/{id}/check-in", {"at": instant("14:00")}))
    out = await done(await by.post(f"/v1/orders/{id}/check-out", {"at": instant("15:40")}))
    record = out["service_record"]
    assert (out["status"], out["paid"], out["held"]) == ("completed", 100, 0)
    assert {
        "receipt": f"order:{id}",
        "status": "verified",
        "minutes": 100,
        "credits": 100,
        "paid_from_hold": 100,
    }.items() <= record.items()
    assert (await balance(house, house.member_id))["available"] == 80
    assert (await balance(house, member_id))["available"] == 100
    await done(await house.poster.post(f"/v1/needs/{found['id']}/resolve", {"reason": "办结"}))
    item = await look(house.poster, house, f"/v1/needs/{found['id']}")
    assert [step["status"] for step in item["steps"]] == [
        *("reported", "assessed", "ordered", "resolved")
    ]
    chain = f"/v1/audit/events?correlation_id={found['correlation_id']}"
    events = await look(house.auditor, house, chain)
    assert [event["type"] for event in events["data"]] == [
        *("NeedReported", "NeedAssessed", "OrderPlaced", "OrderDispatched", "OrderAccepted"),
        *("OrderCheckedIn", "OrderCompleted", "OrderSettled", "HoursVerified", "NeedResolved"),
    ]
    stream = await look(house.auditor, house, f"/v1/audit/events?stream=order:{id}")
    assert len(stream["data"]) == 6
    assert (await look(house.auditor, house, "/v1/audit/trial-balance"))["sum"] == 0


async def test_who_sees_an_order(house: House) -> None:
    await with_credits(house)
    id, member_id = await served(house)
    server = house.caller(role="member", actor="Li", member_id=member_id)
    other = house.caller(role="member", actor="Xu", member_id=NOBODY)
    stranger = house.caller(role="verifier", actor="Ma", organisation="org-c")
    for caller in (house.poster, house.other_poster, house.member, server, house.admin):
        item = await look(caller, house, f"/v1/orders/{id}")
        assert (item["status"], item["punctual"], item["stars"]) == ("completed", True, None)
        assert [step["at"] for step in item["steps"]][-1].endswith("T07:40:00Z")
        page = await look(caller, house, "/v1/orders?status=completed&unit=west")
        assert [one["id"] for one in page["data"]] == [id]
    for caller in (other, stranger):
        assert (await caller.get(f"/v1/orders/{id}")).status == 404
        assert (await look(caller, house, "/v1/orders"))["data"] == []
    for query in (
        *(f"recipient_id={house.member_id}", f"member_id={member_id}", "dispatched_to=org-b"),
        *("organisation=org-a", "category=elderly&status=completed"),
    ):
        page = await look(house.auditor, house, f"/v1/orders?{query}")
        assert [one["id"] for one in page["data"]] == [id], query
    page = await look(house.auditor, house, "/v1/orders?status=rated")
    assert page["data"] == []


async def test_needs_are_listed_by_filters_to_who_reported_them(house: House) -> None:
    for unit, category in (("lake", "elderly"), ("west", "children")):
        body = need("org-a", unit=unit, category=category, description_ref="网格-17")
        await done(await house.poster.post(NEEDS, body), 201)
    page = await look(house.poster, house, "/v1/needs?unit=lake")
    assert [one["category"] for one in page["data"]] == ["elderly"]
    page = await look(house.poster, house, "/v1/needs?unit=west&status=reported&limit=1")
    assert [one["category"] for one in page["data"]] == ["elderly"]
    page = await look(house.auditor, house, "/v1/needs?category=children&organisation=org-a")
    assert [one["unit"] for one in page["data"]] == ["west"]
    assert (await look(house.poster, house, "/v1/needs?route=refer"))["data"] == []
    assert (await look(house.other_poster, house, "/v1/needs"))["data"] == []
    assert (await look(house.poster, house, "/v1/needs?organisation=org-b"))["data"] == []
    one = page["data"][0]["id"]
    assert (await house.other_poster.get(f"/v1/needs/{one}")).status == 404
    said = await house.poster.post(f"/v1/needs/{one}/reject", {"reason": "重复上报"})
    assert (await done(said))["status"] == "rejected"


async def test_a_member_rates_and_disputes_their_own_order(house: House) -> None:
    await with_credits(house)
    id, member_id = await served(house, hold_credits=120)
    server = house.caller(role="member", actor="Li", member_id=member_id)
    said = await server.post(f"/v1/orders/{id}/rate", {"stars": 5})
    assert (said.status, said.code) == (409, "own_hours")
    said = await done(await house.member.post(f"/v1/orders/{id}/rate", {"stars": 1}))
    assert (said["status"], said["frozen"], said["stars"]) == ("disputed", 100, 1)
    assert (await balance(house, member_id))["frozen"] == 100
    body = {"outcome": "upheld", "reason": "查实未到场"}
    said = await done(await house.verifier.post(f"/v1/orders/{id}/decide", body))
    assert (said["status"], said["paid"]) == ("closed", 0)
    assert said["service_record"]["status"] == "reversed"
    assert (await balance(house, house.member_id))["available"] == 180
    assert set((await balance(house, member_id)).values()) == {0}
    item = await look(house.poster, house, f"/v1/orders/{id}")
    assert (item["outcome"], item["stars"], item["paid"]) == ("upheld", 1, 0)


async def test_a_dispute_is_dismissed(house: House) -> None:
    await with_credits(house)
    id, _ = await served(house)
    said = await house.member.post(f"/v1/orders/{id}/dispute", {"reason": "未到场"})
    assert (await done(said))["status"] == "disputed"
    body = {"outcome": "dismissed", "reason": "查无此事"}
    assert (await house.poster.post(f"/v1/orders/{id}/decide", body)).status == 403
    said = await done(await house.verifier.post(f"/v1/orders/{id}/decide", body))
    assert said["service_record"]["status"] == "verified"


async def test_who_does_not_serve_declines_and_who_placed_it_cancels(house: House) -> None:
    await with_credits(house)
    placed = await done(
        await house.poster.post(ORDERS, order(house.member_id, hold_credits=120)), 201
    )
    id = placed["id"]
    body = {"organisation": "org-b", "at": instant("11:00")}
    await done(await house.poster.post(f"/v1/orders/{id}/dispatch", body))
    said = await house.other_poster.post(f"/v1/orders/{id}/decline", {"reason": "人手不足"})
    assert (await done(said))["status"] == "declined"
    said = await house.poster.post(f"/v1/orders/{id}/cancel", {})
    assert said.pointers == {"/reason": "missing"}
    said = await house.poster.post(f"/v1/orders/{id}/cancel", {"reason": "临时有事"})
    assert (await done(said))["held"] == 0
    assert (await balance(house, house.member_id))["available"] == 180


async def test_what_a_body_alone_shows_wrong(house: House) -> None:
    body = order(
        "x", planned_to=instant("13:00"), hold_credits=-1, activity="13812345678", at="now"
    )
    said = await house.poster.post(ORDERS, body)
    assert said.pointers == {
        "/recipient_id": "not_a_uuid",
        "/hold_credits": "wrong_value",
        "/planned_to": "ends_before_start",
        "/activity": "personal_data_in_text",
        "/at": "not_an_instant",
    }
    said = await house.poster.post(NEEDS, need("13812345678"))
    assert said.pointers == {"/reported_by": "personal_data_in_text"}
    id, _ = await accepted(house)
    said = await house.poster.post(f"/v1/orders/{id}/rate", {"stars": 6})
    assert said.pointers == {"/stars": "wrong_value"}


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/needs"])
async def test_a_member_and_an_auditor_place_nothing(house: House, path: str) -> None:
    body = order(house.member_id) if path == ORDERS else need("org-a")
    for caller in (house.member, house.auditor):
        assert (await caller.post(path, body)).status == 403
    assert (await house.member.get("/v1/needs")).status == 403
    assert (await house.member.get("/v1/orders")).json["data"] == []


async def test_a_dry_run_of_a_check_out_writes_nothing(house: House) -> None:
    await with_credits(house)
    id, _ = await accepted(house, hold_credits=120)
    by = house.other_poster
    await done(await by.post(f"/v1/orders/{id}/check-in", {"at": instant("14:00")}))
    path, body = f"/v1/orders/{id}/check-out", {"at": instant("15:40")}
    before = house.position
    dry = await done(await by.post(f"{path}?dry_run=true", body))
    assert (dry["dry_run"], dry["status"], house.position) == (True, "completed", before)
    out = await done(await by.post(path, body))
    assert out["service_record"]["minutes"] == dry["service_record"]["minutes"] == 100


async def test_the_recipient_is_known_to_who_places_the_order(house: House) -> None:
    member_id = await joined(house)
    said = await house.other_poster.post(ORDERS, order(member_id, hold_credits=10))
    assert (said.status, said.code) == (403, "forbidden")
    said = await house.other_poster.post(ORDERS, order(NOBODY))
    assert said.pointers == {"/recipient_id": "not_found"}
