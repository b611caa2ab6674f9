"""Service records over HTTP: posted once, seen by those who may, verified by somebody else."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.service_records import RecordWritten, ServiceRecord
from ledger.commands import JoinMember
from ledger.units import new_id
from tests.api.house import CLI, Caller, House, Said, register
from tests.api.visits import day, visit

NOBODY = "019f0000-0000-7000-8000-00000000dead"
WHY = {"reason": "没有这次服务"}


async def post(caller: Caller, **other: Any) -> Said:
    return await caller.post("/v1/service-records", visit(**other))


async def posted(house: House, **other: Any) -> dict[str, Any]:
    said = await post(house.poster, **{"member_id": house.member_id, **other})
    assert said.status == 201, said.body
    found: dict[str, Any] = said.json
    return found


def join(house: House, organisation: str = "org-b") -> None:
    """Let another organisation know the member too."""
    stamp = {**CLI, "correlation_id": new_id(), "actor_member": None}
    member = {"member_id": house.member_id, "organisation": organisation, "consent_ref": "c-1"}
    house.write(JoinMember(**stamp, **member))


# --- posting -------------------------------------------------------------------------------------


async def test_a_visit_becomes_a_verified_record_with_its_figures(each_house: House) -> None:
    said = await post(each_house.poster, member_id=each_house.member_id)
    assert said.status == 201
    record = said.json
    RecordWritten.model_validate(record, extra="forbid")
    assert record == {
        "id": record["id"],
        "position": each_house.position,
        "organisation": "org-a",
        "receipt": "R-2-14:00-16:00",
        "status": "verified",
        "served_on": day(),
        "minutes": 120,
        "overlap_minutes": 0,
        "credits": 120,
        "capped": 0,
        "overflowed": 0,
        "paid_from_hold": 0,
        "points": 0,
        "certified": False,
        "late": False,
        "policy_version": 1,
        "replaces": None,
        "replaced_by": None,
    }
    assert said.headers["Ledger-Position"] == str(record["position"])


async def test_the_same_receipt_again_is_answered_with_the_record_as_it_stands(
    each_house: House,
) -> None:
    first = await posted(each_house)
    position = each_house.position
    again = await post(each_house.poster, member_id=each_house.member_id)
    assert (again.status, again.json) == (200, first)
    assert each_house.position == position


async def test_a_receipt_with_other_content_is_refused(house: House) -> None:
    await posted(house)
    again = await post(house.poster, member_id=house.member_id, activity="打扫")
    assert (again.status, again.code) == (409, "receipt_reused")


async def test_a_receipt_is_the_organisations_own(house: House) -> None:
    await posted(house)
    join(house)
    other = visit("17:00", "18:00", member_id=house.member_id, receipt="R-2-14:00-16:00")
    assert (await house.other_poster.post("/v1/service-records", other)).status == 201


async def test_a_member_is_named_by_the_organisations_own_reference(each_house: House) -> None:
    member = {"external_ref": "V-7", "roles": ["volunteer"], "unit": "lake"}
    made = await each_house.poster.post("/v1/members", member)
    assert (await post(each_house.poster, member_ref="V-7")).status == 201
    found = await each_house.poster.get(
        f"/v1/service-records?member_id={made.json['id']}&min_position={each_house.position}"
    )
    assert len(found.json["data"]) == 1


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        ({"member_ref": "V-404"}, "/member_ref"),
        ({"member_id": NOBODY}, "/member_id"),
        ({"place": "nowhere"}, "/place"),
        ({"supervisor_id": NOBODY}, "/supervisor_id"),
        ({"certification_id": NOBODY}, "/certification_id"),
        ({"order_id": NOBODY}, "/order_id"),
        ({"project_id": NOBODY}, "/project_id"),
        ({"programme_id": NOBODY}, "/programme_id"),
        ({"redemption_id": NOBODY}, "/redemption_id"),
    ],
)
async def test_what_a_body_names_and_nobody_finds_is_told_at_its_field(
    house: House, other: dict[str, Any], pointer: str
) -> None:
    whom = {} if {"member_id", "member_ref"} & other.keys() else {"member_id": house.member_id}
    refused = await post(house.poster, **whom, **other)
    assert (refused.status, refused.code) == (422, "not_found")
    assert refused.pointers == {pointer: "not_found"}


async def test_a_member_whom_the_organisation_does_not_know_is_not_found(house: House) -> None:
    refused = await post(house.other_poster, member_id=house.member_id)
    assert (refused.status, refused.pointers) == (422, {"/member_id": "not_found"})


async def test_a_reference_is_no_other_organisations(house: House) -> None:
    member = {"external_ref": "V-7", "roles": ["volunteer"], "unit": "lake"}
    await house.poster.post("/v1/members", member)
    refused = await post(house.other_poster, member_ref="V-7")
    assert (refused.status, refused.pointers) == (422, {"/member_ref": "not_found"})


async def test_an_administrator_names_the_organisation(house: House) -> None:
    missing = await post(house.admin, member_id=house.member_id)
    assert (missing.status, missing.pointers) == (422, {"/organisation": "missing"})
    unknown = await post(house.admin, member_id=house.member_id, organisation="org-z")
    assert (unknown.status, unknown.pointers) == (422, {"/organisation": "not_found"})
    said = await post(house.admin, member_id=house.member_id, organisation="org-a")
    assert (said.status, said.json["organisation"]) == (201, "org-a")


async def test_nobody_posts_for_another_organisation(house: House) -> None:
    refused = await post(house.poster, member_id=house.member_id, organisation="org-b")
    assert (refused.status, refused.pointers) == (422, {"/organisation": "not_found"})


async def test_everything_that_is_wrong_with_a_post_is_said_at_once(house: House) -> None:
    body = visit("16:00", "14:00", member_id=house.member_id, activity="13812345678", colour=1)
    del body["place"]
    refused = await house.poster.post("/v1/service-records", body)
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.pointers == {
        "/place": "missing",
        "/colour": "unknown_field",
        "/ended_at": "ends_before_start",
        "/activity": "personal_data_in_text",
    }
    assert house.position == 5


@pytest.mark.parametrize(
    ("language", "title"), [("zh", "文本含个人信息"), ("en", "Personal data in text")]
)
async def test_personal_data_in_a_text_is_refused_by_its_name(
    house: House, language: str, title: str
) -> None:
    body = visit(member_id=house.member_id, activity="联系13812345678")
    refused = await house.poster.post(
        "/v1/service-records", body, headers={"Accept-Language": language}
    )
    assert (refused.status, refused.code) == (422, "personal_data_in_text")
    assert refused.json["title"] == title
    assert b"13812345678" not in refused.body


@pytest.mark.parametrize(
    ("language", "title"), [("zh", "服务时间重复"), ("en", "Service time counted already")]
)
async def test_minutes_that_are_counted_already_are_refused(
    house: House, language: str, title: str
) -> None:
    await posted(house)
    body = visit("14:30", "15:30", member_id=house.member_id)
    refused = await house.poster.post(
        "/v1/service-records", body, headers={"Accept-Language": language}
    )
    assert (refused.status, refused.code, refused.json["title"]) == (
        409,
        "overlapping_service",
        title,
    )


async def test_what_clock_and_history_say_is_a_conflict(house: House) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    now = datetime.now(UTC).isoformat()
    future = visit(member_id=house.member_id) | {"started_at": now, "ended_at": soon}
    refused = await house.poster.post("/v1/service-records", future)
    assert (refused.status, refused.code) == (409, "service_in_the_future")
    refused = await post(house.poster, member_id=house.member_id, days_ago=400)
    assert (refused.status, refused.code) == (409, "too_old")
    await house.admin.post("/v1/organisations/org-a/suspend", {"reason": "x"})
    refused = await post(house.poster, member_id=house.member_id)
    assert (refused.status, refused.code) == (409, "organisation_suspended")


async def test_paid_work_earns_no_credits(house: House) -> None:
    record = await posted(house, capacity="on_duty")
    assert (record["status"], record["minutes"], record["credits"]) == ("verified", 0, 0)


async def test_a_dry_run_answers_as_it_would_and_writes_nothing(house: House) -> None:
    position = house.position
    body = visit(member_id=house.member_id)
    said = await house.poster.post("/v1/service-records?dry_run=true", body, once="k-1")
    assert (said.status, said.json["dry_run"], said.json["minutes"]) == (201, True, 120)
    assert "position" not in said.json
    assert "Ledger-Position" not in said.headers
    assert house.position == position
    assert (await house.poster.post("/v1/service-records", body, once="k-1")).status == 201


async def test_a_request_under_an_idempotency_key_is_answered_as_the_first_time(
    each_house: House,
) -> None:
    body = visit(member_id=each_house.member_id)
    answers = await asyncio.gather(
        *(each_house.poster.post("/v1/service-records", body, once="k-1") for _ in range(20))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    made = {answer.body for answer in answers if answer.status == 201}
    assert len(made) == 1
    again = await each_house.poster.post("/v1/service-records", body, once="k-1")
    assert (again.status, again.body) == (201, made.pop())
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("role", ["member", "auditor"])
async def test_neither_members_nor_auditors_post(house: House, role: str) -> None:
    refused = await post(house.callers[role], member_id=house.member_id)
    assert (refused.status, refused.code) == (403, "forbidden")


# --- verifying -----------------------------------------------------------------------------------


async def test_a_backfilled_record_waits_for_another_actor(each_house: House) -> None:
    house = each_house
    waiting = await posted(house, evidence="backfilled")
    assert waiting["status"] == "submitted"
    figures = ("minutes", "overlap_minutes", "credits", "capped", "overflowed", "points")
    assert [waiting[name] for name in figures] == [None] * 6

    said = await house.verifier.post(f"/v1/service-records/{waiting['id']}/verify")
    assert said.status == 200
    RecordWritten.model_validate(said.json, extra="forbid")
    assert (said.json["status"], said.json["minutes"], said.json["credits"]) == (
        "verified",
        120,
        120,
    )
    assert said.json["position"] == house.position
    again = await post(house.poster, member_id=house.member_id, evidence="backfilled")
    assert (again.status, again.json) == (200, said.json)


async def test_who_submitted_does_not_verify(house: House) -> None:
    both = house.caller(role="verifier", actor="Wang", organisation="org-a")
    waiting = await posted(house, evidence="backfilled")
    refused = await both.post(f"/v1/service-records/{waiting['id']}/verify")
    assert (refused.status, refused.code) == (409, "second_person_needed")


async def test_nobody_verifies_their_own_hours(house: House) -> None:
    waiting = await posted(house, evidence="backfilled")
    herself = house.caller(
        role="verifier", actor="Zhang", organisation="org-a", member_id=house.member_id
    )
    refused = await herself.post(f"/v1/service-records/{waiting['id']}/verify")
    assert (refused.status, refused.code) == (409, "own_hours")
    refused = await herself.post(f"/v1/service-records/{waiting['id']}/reject", {"reason": "x"})
    assert (refused.status, refused.code) == (409, "own_hours")


async def test_hours_that_one_posts_for_oneself_wait(house: House) -> None:
    herself = house.caller(
        role="poster", actor="Zhang", organisation="org-a", member_id=house.member_id
    )
    said = await post(herself, member_id=house.member_id)
    assert (said.status, said.json["status"]) == (201, "submitted")


async def test_a_rejected_record_counts_for_nothing_and_keeps_its_receipt(house: House) -> None:
    waiting = await posted(house, evidence="backfilled")
    path = f"/v1/service-records/{waiting['id']}"
    said = await house.verifier.post(
        f"/v1/service-records/{waiting['id']}/reject", {"reason": "无"}
    )
    assert (said.status, said.json["status"], said.json["minutes"]) == (200, "rejected", None)
    again = await post(house.poster, member_id=house.member_id, evidence="backfilled")
    assert (again.status, again.json["status"]) == (200, "rejected")
    refused = await house.verifier.post(f"{path}/verify")
    assert (refused.status, refused.code) == (409, "wrong_state")


async def test_a_rejection_has_a_reason_and_a_verification_may(house: House) -> None:
    waiting = await posted(house, evidence="backfilled")
    path = f"/v1/service-records/{waiting['id']}"
    for body in ({}, {"reason": ""}, {"reason": None}):
        refused = await house.verifier.post(f"{path}/reject", body)
        assert (refused.status, list(refused.pointers)) == (422, ["/reason"])
    refused = await house.verifier.post(f"{path}/verify", {"reason": "13812345678"})
    assert (refused.status, refused.code) == (422, "personal_data_in_text")
    said = await house.verifier.post(f"{path}/verify", {"reason": "已核实", "for_cause": False})
    assert said.status == 200


async def test_an_administrator_may_verify_and_others_do_not_see_it(house: House) -> None:
    waiting = await posted(house, evidence="backfilled")
    path = f"/v1/service-records/{waiting['id']}/verify"
    stranger = house.caller(role="verifier", actor="Sun", organisation="org-b")
    assert (await stranger.post(path)).status == 404
    assert (await house.poster.post(path)).status == 403
    assert (await house.admin.post(path)).status == 200
    unknown = f"/v1/service-records/{NOBODY}/verify"
    assert (await house.admin.post(unknown)).status == 404


# --- looking up ----------------------------------------------------------------------------------


async def test_a_record_is_read_as_it_was_posted(each_house: House) -> None:
    made = await posted(each_house, break_minutes=30, evidence="checked")
    path = f"/v1/service-records/{made['id']}?min_position={made['position']}"
    said = await each_house.poster.get(path)
    assert said.status == 200
    assert int(said.headers["Ledger-Position"]) >= made["position"]
    ServiceRecord.model_validate(said.json, extra="forbid")
    assert made.items() <= said.json.items()
    assert said.json["member_id"] == each_house.member_id
    assert (said.json["break_minutes"], said.json["minutes"]) == (30, 90)
    assert said.json["started_at"] == f"{day()}T06:00:00Z"


async def test_a_record_is_seen_by_its_organisation_its_member_auditors_and_admins(
    house: House,
) -> None:
    join(house)
    made = await posted(house)
    other = await house.other_poster.post(
        "/v1/service-records", visit("17:00", "18:00", member_id=house.member_id)
    )
    item = f"/v1/service-records/{made['id']}?min_position={other.json['position']}"
    assert {role: (await caller.get(item)).status for role, caller in house.callers.items()} == {
        role: 200 for role in house.callers
    }
    assert (await house.other_poster.get(item)).status == 404
    someone = new_id()
    register(house, someone)
    elsewhere = house.caller(role="member", actor="Li", member_id=someone)
    assert (await elsewhere.get(item)).status == 404

    async def listed(caller: Caller) -> list[str]:
        said = await caller.get("/v1/service-records")
        return [record["id"] for record in said.json["data"]]

    assert await listed(house.poster) == [made["id"]]
    assert await listed(house.other_poster) == [other.json["id"]]
    assert await listed(elsewhere) == []
    for caller in (house.member, house.auditor, house.admin):
        assert await listed(caller) == [made["id"], other.json["id"]]


async def test_records_are_found_by_every_filter(each_house: House) -> None:
    house = each_house
    early = await posted(house, days_ago=9, category="children", receipt="early")
    waiting = await posted(house, days_ago=5, evidence="backfilled", receipt="waiting")
    late = await posted(house, days_ago=2, place="west", receipt="late")

    async def found(query: str) -> list[str]:
        path = f"/v1/service-records?min_position={late['position']}&{query}"
        said = await house.admin.get(path)
        assert said.status == 200, said.body
        return [record["receipt"] for record in said.json["data"]]

    assert waiting["status"] == "submitted"
    assert early["status"] == "verified"
    assert await found(f"member_id={house.member_id}") == ["early", "waiting", "late"]
    assert await found(f"member_id={NOBODY}") == []
    assert await found("organisation=org-a") == ["early", "waiting", "late"]
    assert await found("organisation=org-b") == []
    assert await found("status=submitted") == ["waiting"]
    assert await found("status=verified&category=children") == ["early"]
    assert await found(f"served_from={day(5)}") == ["waiting", "late"]
    assert await found(f"served_to={day(5)}") == ["early", "waiting"]
    assert await found("unit=west") == ["early", "waiting", "late"]
    assert await found("unit=lake") == ["early", "waiting"]


async def test_a_list_is_walked_by_its_cursor(house: House) -> None:
    receipts = [f"r{number}" for number in range(5)]
    for number, receipt in enumerate(receipts):
        made = await posted(house, days_ago=number + 2, receipt=receipt)
    path = f"/v1/service-records?limit=2&min_position={made['position']}&organisation=org-a"
    walked: list[str] = []
    while True:
        said = await house.poster.get(path)
        walked += [record["receipt"] for record in said.json["data"]]
        if said.json["next_cursor"] is None:
            assert "Link" not in said.headers
            break
        path = said.headers["Link"].partition(">")[0].removeprefix("<")
        assert said.json["next_cursor"] in path
        assert "organisation=org-a" in path
    assert walked == receipts


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("status=lost", "wrong_value"),
        ("member_id=x", "not_a_uuid"),
        ("served_from=2026-2-1", "not_a_date"),
        ("unit=The+Lake", "not_a_code"),
        ("colour=red", "unknown_parameter"),
    ],
)
async def test_a_filter_that_does_not_fit_is_refused(house: House, query: str, code: str) -> None:
    refused = await house.poster.get(f"/v1/service-records?{query}")
    assert (refused.status, list(refused.pointers.values())) == (422, [code])


async def test_a_poster_who_asks_for_another_organisation_finds_nothing(house: House) -> None:
    await posted(house)
    said = await house.poster.get("/v1/service-records?organisation=org-b")
    assert (said.status, said.json["data"]) == (200, [])
