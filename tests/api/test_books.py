"""The books over HTTP: accounts, their lines, solvency."""

from api.books import Solvency
from tests.api.house import House
from tests.api.visits import day, visit


async def test_the_books_are_open_to_auditors(each_house: House) -> None:
    house = each_house
    await house.poster.post("/v1/service-records", visit(member_id=house.member_id))
    available = f"person:{house.member_id}:available"
    seen = f"min_position={house.position}"
    listed = await house.auditor.get(f"/v1/audit/accounts?{seen}")
    assert listed.json["data"] == [
        {"account": "issue:service", "credits": -120},
        {"account": available, "credits": 120},
    ]
    first = await house.admin.get("/v1/audit/accounts?limit=1")
    rest = await house.admin.get(f"/v1/audit/accounts?cursor={first.json['next_cursor']}")
    assert first.json["data"] + rest.json["data"] == listed.json["data"]
    lines = await house.auditor.get(f"/v1/audit/accounts/{available}/lines")
    (line,) = lines.json["data"]
    assert (line["credits"], line["balance_after"], line["served_on"]) == (120, 120, day(2))
    solvency = await house.auditor.get(f"/v1/audit/solvency?day={day(0)}")
    Solvency.model_validate(solvency.json, extra="forbid")
    assert (solvency.json["outstanding"], solvency.json["lot_age_days"]) == (120, 200)
    assert (await house.auditor.get("/v1/audit/solvency")).json == solvency.json


async def test_the_books_are_closed_to_others(house: House) -> None:
    for caller in (house.poster, house.verifier, house.member):
        for said in (
            await caller.get("/v1/audit/accounts"),
            await caller.get("/v1/audit/accounts/pool:donation/lines"),
            await caller.get("/v1/audit/solvency"),
        ):
            assert said.status == 403
    for account in ("pool:donation", "x", "a:b:c:d", f"person:{house.member_id}:held"):
        said = await house.auditor.get(f"/v1/audit/accounts/{account}/lines")
        assert (said.status, said.code) == (404, "not_found")
