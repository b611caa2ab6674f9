"""Reversals, corrections and the requests for them over HTTP."""

import asyncio
from typing import Any

import pytest

from ledger.units import new_id
from tests.api.house import House, Said
from tests.api.people import joined
from tests.api.visits import day, instant, visit

RECORDS = "/v1/service-records"
REASON = {"reason": "录入有误"}


async def posted(house: House, *span: str, **other: Any) -> str:
    """A record of the house's member, 14:00 to 16:00 if nothing else is said."""
    said = await house.poster.post(RECORDS, visit(*span, **{"member_id": house.member_id} | other))
    assert said.status == 201, said.body
    found: str = said.json["id"]
    return found


async def reverse(house: House, record: str, **other: Any) -> Said:
    return await house.verifier.post(f"{RECORDS}/{record}/reverse", REASON | other)


async def correct(house: House, record: str, **other: Any) -> Said:
    return await house.verifier.post(f"{RECORDS}/{record}/correct", REASON | other)


async def balance(house: House) -> dict[str, Any]:
    path = f"/v1/members/{house.member_id}/balance?min_position={house.position}"
    found: dict[str, Any] = (await house.auditor.get(path)).json
    return found


# --- reversal ------------------------------------------------------------------------------------


async def test_a_reversed_record_counts_no_more_and_can_be_seen(each_house: House) -> None:
    house = each_house
    record = await posted(house)
    said = await reverse(house, record, for_cause=True)
    assert said.status == 200
    assert (said.json["status"], said.json["minutes"]) == ("reversed", 120)
    assert said.json["position"] == house.position
    stands = await balance(house)
    assert (stands["service_minutes"], stands["credits"]["available"]) == (0, 0)
    found = await house.poster.get(f"{RECORDS}/{record}?min_position={house.position}")
    assert (found.json["status"], found.json["replaced_by"]) == ("reversed", None)
    listed = await house.poster.get(f"{RECORDS}?status=reversed")
    assert [one["id"] for one in listed.json["data"]] == [record]
    again = await reverse(house, record)
    assert (again.status, again.code) == (409, "wrong_state")
    assert "冲正" in again.json["detail"]
    lines = await house.auditor.get(f"/v1/members/{house.member_id}/passbook")
    assert [(one["kind"], one["credits"], one["minutes"]) for one in lines.json["data"]] == [
        ("earn", 120, 120),
        ("reverse", -120, -120),
    ]
    assert {one["served_on"] for one in lines.json["data"]} == {day(2)}
    again = await house.poster.post(RECORDS, visit(member_id=house.member_id))
    assert (again.status, again.json["status"]) == (200, "reversed")


# --- correction ----------------------------------------------------------------------------------


async def test_a_correction_answers_both_records_and_the_receipt_stands_for_the_new_one(
    each_house: House,
) -> None:
    house = each_house
    record = await posted(house)
    said = await correct(house, record, ended_at=instant("15:00"), activity="陪伴散步")
    assert said.status == 200
    old, new = said.json["reversed"], said.json["replacement"]
    assert (old["id"], old["status"], old["replaced_by"]) == (record, "corrected", new["id"])
    assert (new["status"], new["minutes"], new["credits"]) == ("verified", 60, 60)
    assert (new["replaces"], new["receipt"]) == (record, old["receipt"])
    assert (old["position"] + 1, new["position"]) == (new["position"], said.json["position"])
    stands = await balance(house)
    assert (stands["service_minutes"], stands["credits"]["available"]) == (60, 60)
    found = (await house.poster.get(f"{RECORDS}/{new['id']}")).json
    assert (found["activity"], found["category"]) == ("陪伴散步", "elderly")
    corrected = visit("14:00", "15:00", member_id=house.member_id, activity="陪伴散步")
    corrected["receipt"] = old["receipt"]
    again = await house.poster.post(RECORDS, corrected)
    assert (again.status, again.json["id"]) == (200, new["id"])
    before = await house.poster.post(RECORDS, visit(member_id=house.member_id))
    assert (before.status, before.code) == (409, "receipt_reused")
    again = await correct(house, new["id"], ended_at=instant("14:30"))
    assert again.json["replacement"]["minutes"] == 30
    batch = await house.poster.post(
        "/v1/service-record-batches",
        {"items": [corrected | {"ended_at": instant("14:30")}, corrected]},
    )
    results = batch.json["results"]
    assert [one["status"] for one in results] == ["replayed", "refused"]
    assert results[0]["id"] == again.json["replacement"]["id"]


async def test_a_correction_under_a_key_is_answered_once_more_byte_for_byte(house: House) -> None:
    record = await posted(house)
    path, body = f"{RECORDS}/{record}/correct", REASON | {"ended_at": instant("15:00")}
    first = await house.verifier.post(path, body, once="k-1")
    again = await house.verifier.post(path, body, once="k-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.body, again.headers["Ledger-Position"]) == (
        first.body,
        first.headers["Ledger-Position"],
    )


async def test_two_who_correct_one_record_at_once_do_not_both(house: House) -> None:
    record = await posted(house)
    said = await asyncio.gather(
        *(correct(house, record, ended_at=instant(f"15:{minute}")) for minute in range(10, 30))
    )
    assert sorted(one.status for one in said) == [200] + [409] * 19
    assert {one.code for one in said if one.status == 409} == {"wrong_state"}


async def test_a_member_of_ones_own_is_named_by_reference_too(house: House) -> None:
    member_id = await joined(house)
    record = await posted(house)
    said = await correct(house, record, member_ref="V-1")
    assert said.status == 200
    found = await house.poster.get(
        f"{RECORDS}/{said.json['replacement']['id']}?min_position={house.position}"
    )
    assert found.json["member_id"] == member_id
    refused = await correct(house, said.json["replacement"]["id"], member_ref="V-9")
    assert (refused.status, refused.pointers) == (422, {"/member_ref": "not_found"})


async def test_a_citation_that_is_null_stands_no_longer(house: House) -> None:
    record = await posted(house, supervisor_id=house.member_id)
    said = await correct(house, record, supervisor_id=None)
    found = await house.poster.get(
        f"{RECORDS}/{said.json['replacement']['id']}?min_position={house.position}"
    )
    assert found.json["supervisor_id"] is None


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"": "nothing_corrected"}),
        ({"reason": None, "activity": None}, {"/reason": "wrong_type", "/activity": "wrong_type"}),
        ({"receipt": "R-9"}, {"/receipt": "unknown_field"}),
        ({"organisation": "org-b"}, {"/organisation": "unknown_field"}),
        ({"activity": "13812345678"}, {"/activity": "personal_data_in_text"}),
        ({"member_id": new_id(), "member_ref": "V-1"}, {"/member_ref": "one_of_two"}),
        ({"member_id": new_id()}, {"/member_id": "not_found"}),
        ({"place": "moon"}, {"/place": "not_found"}),
        (
            {"started_at": instant("15:00"), "ended_at": instant("14:00"), "x": 1},
            {"/x": "unknown_field", "/ended_at": "ends_before_start"},
        ),
        ({"ended_at": instant("13:00")}, {"/ended_at": "ends_before_start"}),
        ({"break_minutes": 120}, {"/break_minutes": "break_too_long"}),
        ({"break_minutes": -1}, {"/break_minutes": "wrong_value"}),
    ],
)
async def test_what_a_record_cannot_become_is_named_and_nothing_is_written(
    house: House, body: dict[str, Any], pointers: dict[str, str]
) -> None:
    record = await posted(house)
    before = house.position
    refused = await correct(house, record, **body)
    assert (refused.status, refused.pointers) == (422, pointers)
    assert house.position == before


async def test_a_correction_into_time_that_is_counted_is_refused(house: House) -> None:
    record = await posted(house)
    await posted(house, "17:00", "18:00")
    span = {"started_at": instant("17:00"), "ended_at": instant("18:00")}
    refused = await correct(house, record, **span)
    assert (refused.status, refused.code) == (409, "overlapping_service")


async def test_who_may_not_reverse_or_correct(house: House) -> None:
    record = await posted(house)
    other = house.caller(role="verifier", actor="Sun", organisation="org-b")
    for verb in ("reverse", "correct"):
        path = f"{RECORDS}/{record}/{verb}"
        asked = REASON if verb == "reverse" else {**REASON, "activity": "送餐"}
        for caller in (house.poster, house.auditor, house.member):
            assert (await caller.post(path, asked)).status == 403
        assert (await other.post(path, asked)).status == 404
        assert (await house.verifier.post(f"{RECORDS}/{new_id()}/{verb}", asked)).status == 404
    assert (await house.admin.post(f"{RECORDS}/{record}/reverse", REASON)).status == 200


# --- requests ------------------------------------------------------------------------------------


async def test_a_member_asks_and_a_verifier_corrects(each_house: House) -> None:
    house = each_house
    record = await posted(house)
    path = f"{RECORDS}/{record}/correction-requests"
    asked = await house.member.post(path, {"reason": "服务到四点半"})
    assert (asked.status, asked.json["status"]) == (201, "open")
    seen = f"min_position={house.position}"
    queue = await house.verifier.get(f"/v1/correction-requests?status=open&{seen}")
    assert [one["id"] for one in queue.json["data"]] == [asked.json["id"]]
    await correct(house, record, ended_at=instant("16:30"))
    found = await house.member.get(
        f"/v1/correction-requests/{asked.json['id']}?min_position={house.position}"
    )
    assert (found.json["status"], found.json["decided_reason"]) == ("granted", "录入有误")
    assert (await house.member.get(path)).json["data"] == [found.json]


async def test_a_request_is_declined_with_a_reason(house: House) -> None:
    record = await posted(house)
    path = f"{RECORDS}/{record}/correction-requests"
    asked = await house.member.post(path, {"reason": "服务到四点半"})
    twice = await house.member.post(path, {"reason": "服务到四点半"})
    assert (twice.status, twice.code) == (409, "wrong_state")
    declining = f"{path}/{asked.json['id']}/decline"
    assert (await house.verifier.post(declining, {})).status == 422
    declined = await house.verifier.post(declining, {"reason": "签退记录为四点"})
    assert (declined.status, declined.json["status"]) == (200, "declined")
    again = await house.verifier.post(declining, {"reason": "签退记录为四点"})
    assert (again.status, again.code) == (409, "wrong_state")


async def test_requests_are_seen_by_whom_they_concern(house: House) -> None:
    member_id = await joined(house)
    zhang = house.caller(role="member", actor="Zhang", member_id=member_id)
    record = await posted(house, member_id=member_id)
    path = f"{RECORDS}/{record}/correction-requests"
    assert (await house.member.post(path, REASON)).status == 404
    for caller in (house.poster, house.verifier, house.auditor):
        assert (await caller.post(path, REASON)).status == 403
    asked = await zhang.post(path, REASON)
    item = f"/v1/correction-requests/{asked.json['id']}"
    seen = f"?min_position={house.position}"
    for caller, status in (
        (zhang, 200),
        (house.poster, 200),
        (house.auditor, 200),
        (house.other_poster, 404),
        (house.member, 404),
    ):
        assert (await caller.get(item + seen)).status == status
        assert (await caller.get(path)).status == status
        listed = (await caller.get("/v1/correction-requests")).json["data"]
        assert len(listed) == (status == 200)
    declining = f"{path}/{asked.json['id']}/decline"
    other = house.caller(role="verifier", actor="Sun", organisation="org-b")
    assert (await other.post(declining, REASON)).status == 404
    assert (await house.poster.post(declining, REASON)).status == 403
