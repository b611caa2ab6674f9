"""Balances and passbooks of organisations and units over HTTP, as of when, and who sees them."""

from api.groups import GroupBalance, GroupLine
from tests.api.house import House
from tests.api.people import added
from tests.api.visits import day, visit

ORG, UNIT = "/v1/organisations/org-a", "/v1/units/west"


async def lived(house: House) -> str:
    """Zhang at home in org-a with an hour of nine days ago and one of two days ago."""
    member_id = await added(house)
    for days_ago in (9, 2):
        body = visit("14:00", "15:00", days_ago=days_ago, member_id=member_id)
        assert (await house.poster.post("/v1/service-records", body)).status == 201
    return member_id


async def test_what_members_have_is_told_together(each_house: House) -> None:
    house = each_house
    member_id = await lived(house)
    seen = f"min_position={house.position}"
    for path, name, code in ((ORG, "organisation", "org-a"), (UNIT, "unit", "west")):
        said = await house.admin.get(f"{path}/balance?{seen}")
        assert said.status == 200
        GroupBalance.model_validate(said.json, extra="forbid")
        assert (said.json[name], said.json["members"]) == (code, 2)
        assert (said.json["service_minutes"], said.json["credits"]["available"]) == (120, 120)
        earlier = await house.auditor.get(f"{path}/balance?served_until={day(3)}")
        assert (earlier.json["service_minutes"], earlier.json["served_until"]) == (60, day(3))
        before = await house.auditor.get(f"{path}/balance?position={house.position - 1}")
        assert before.json["service_minutes"] == 60
        long_ago = await house.auditor.get(f"{path}/balance?as_of=2020-01-01T00:00:00Z")
        assert (long_ago.json["members"], long_ago.json["as_of"]) == (0, "2020-01-01T00:00:00Z")
        first = await house.auditor.get(f"{path}/passbook?limit=1")
        assert len(first.json["data"]) == 1
        rest = await house.auditor.get(f"{path}/passbook?cursor={first.json['next_cursor']}")
        lines = [*first.json["data"], *rest.json["data"]]
        assert [(line["member_id"], line["balance_after"]) for line in lines] == [
            (member_id, 60),
            (member_id, 120),
        ]
        GroupLine.model_validate(lines[0], extra="forbid")
        early = await house.auditor.get(f"{path}/passbook?served_until={day(3)}")
        assert [line["balance_after"] for line in early.json["data"]] == [None]


async def test_totals_are_for_those_who_may_know_them(house: House) -> None:
    await lived(house)
    seen = f"?min_position={house.position}"
    for what in ("balance", "passbook"):
        for caller, org, unit in (
            (house.poster, 200, 403),
            (house.verifier, 200, 403),
            (house.other_poster, 403, 403),
            (house.member, 403, 403),
            (house.auditor, 200, 200),
            (house.admin, 200, 200),
        ):
            assert (await caller.get(f"{ORG}/{what}{seen}")).status == org
            assert (await caller.get(f"{UNIT}/{what}")).status == unit


async def test_what_does_not_exist_has_no_totals(house: House) -> None:
    for said in (
        await house.admin.get("/v1/organisations/org-z/balance"),
        await house.admin.get("/v1/organisations/org-z/passbook"),
        await house.admin.get("/v1/units/moon/balance"),
        await house.admin.get("/v1/units/moon/passbook"),
    ):
        assert (said.status, said.code) == (404, "not_found")


async def test_a_passbook_is_read_as_of_then(house: House) -> None:
    member_id = await lived(house)
    path = f"/v1/members/{member_id}/passbook?min_position={house.position}"
    known = await house.poster.get(f"{path}&position={house.position - 1}")
    assert [line["served_on"] for line in known.json["data"]] == [day(9)]
    served = await house.poster.get(f"{path}&served_until={day(3)}&format=csv")
    assert served.body.decode().count(day(9)) == 1
    assert day(2) not in served.body.decode().replace(day(2) + "T", "")
    nothing = await house.poster.get(f"{path}&as_of=2020-01-01T00:00:00Z")
    assert nothing.json["data"] == []
