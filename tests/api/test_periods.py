"""Closed months over HTTP."""

from datetime import UTC, datetime

import pytest

from tests.api.house import House
from tests.api.visits import day, visit

REASON = {"reason": "月结"}


async def test_a_month_is_closed_and_reopened(each_house: House) -> None:
    house = each_house
    closed = await house.admin.post("/v1/periods/2026-01/close", REASON)
    assert closed.status == 200
    assert closed.json == {
        "month": "2026-01",
        "status": "closed",
        "reason": "月结",
        "position": house.position,
    }
    seen = f"min_position={house.position}"
    listed = await house.member.get(f"/v1/periods?{seen}")
    assert [(one["month"], one["status"]) for one in listed.json["data"]] == [("2026-01", "closed")]
    reopened = await house.admin.post("/v1/periods/2026-01/reopen")
    assert reopened.json["status"] == "open"
    found = await house.auditor.get(f"/v1/periods/2026-01?min_position={house.position}")
    assert (found.json["status"], found.json["reason"]) == ("open", None)


async def test_nothing_is_posted_into_a_closed_month(house: House) -> None:
    months_ago = 40
    served = day(months_ago)
    await house.admin.post(f"/v1/periods/{served[:7]}/close", REASON)
    before = house.position
    refused = await house.poster.post(
        "/v1/service-records", visit(days_ago=months_ago, member_id=house.member_id)
    )
    assert (refused.status, refused.code) == (409, "period_closed")
    assert served[:7] in refused.json["detail"]
    assert house.position == before


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("{now}/close", REASON, 409, "period_not_over"),
        ("2999-01/close", REASON, 409, "period_not_over"),
        ("2026-01/reopen", None, 409, "wrong_state"),
        ("2026-01/close", {}, 422, "invalid"),
        ("2026-01/close", {"reason": "电话13812345678"}, 422, "personal_data_in_text"),
        ("2026-13/close", REASON, 404, "not_found"),
        ("2026-1/close", REASON, 404, "not_found"),
    ],
)
async def test_what_is_not_closed_is_refused_and_nothing_is_written(
    house: House, path: str, body: object, status: int, code: str
) -> None:
    before = house.position
    now = f"{datetime.now(UTC):%Y-%m}"
    refused = await house.admin.post(f"/v1/periods/{path.format(now=now)}", body)
    assert (refused.status, refused.code) == (status, code)
    assert house.position == before


async def test_only_an_administrator_closes(house: House) -> None:
    for caller in (house.poster, house.verifier, house.auditor, house.member):
        for asked in ("/v1/periods/2026-01/close", "/v1/periods/2026-01/reopen"):
            assert (await caller.post(asked, REASON)).status == 403
    assert (await house.member.get("/v1/periods/2026-01")).status == 404


async def test_a_dry_run_closes_nothing(house: House) -> None:
    said = await house.admin.post("/v1/periods/2026-01/close?dry_run=true", REASON)
    assert (said.status, said.json["dry_run"], "position" in said.json) == (200, True, False)
    assert (await house.admin.get("/v1/periods")).json["data"] == []
