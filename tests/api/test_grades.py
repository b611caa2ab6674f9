"""Grade overrides over HTTP, and how they change who must verify."""

from typing import Any

import pytest

from tests.api.house import House
from tests.api.people import joined
from tests.api.visits import visit

G3: dict[str, Any] = {"grade": "G3", "reason": "抽查发现代签", "until": "2999-12-31"}
ORG = "/v1/grades/organisation:org-a"
NOBODY = "019f0000-0000-7000-8000-00000000dead"


async def test_an_organisation_at_g3_waits_for_a_second_person_and_at_g4_for_an_admin(
    each_house: House,
) -> None:
    house = each_house
    said = await house.admin.post(f"{ORG}/override", G3)
    assert said.status == 201
    assert said.json == {"subject": "organisation:org-a", **G3, "position": house.position}
    posted = await house.poster.post("/v1/service-records", visit(member_id=house.member_id))
    assert (posted.json["status"], posted.json["credits"]) == ("submitted", None)
    verified = await house.verifier.post(f"/v1/service-records/{posted.json['id']}/verify")
    assert (verified.status, verified.json["credits"]) == (200, 120)

    await house.admin.post(f"{ORG}/override", {**G3, "grade": "G4"})
    body = visit("08:00", "09:00", member_id=house.member_id)
    posted = await house.poster.post("/v1/service-records", body)
    path = f"/v1/service-records/{posted.json['id']}/verify"
    refused = await house.verifier.post(path)
    assert (refused.status, refused.code) == (403, "forbidden")
    assert (await house.admin.post(path)).json["status"] == "verified"


async def test_grades_are_seen_by_whom_they_concern(house: House) -> None:
    member_id = await joined(house)
    member = house.caller(role="member", actor="Zhang", member_id=member_id)
    await house.admin.post(f"/v1/grades/member:{member_id}/override", {**G3, "grade": "G1"})
    await house.admin.post(f"{ORG}/override", G3)
    seen = f"min_position={house.position}"
    of_member, of_org = f"/v1/grades/member:{member_id}", ORG
    for caller, visible in (
        (house.admin, {of_member, of_org}),
        (house.auditor, {of_member, of_org}),
        (house.poster, {of_member, of_org}),
        (house.other_poster, {of_member}),
        (member, {of_member}),
        (house.member, set()),
    ):
        for path in (of_member, of_org):
            said = await caller.get(f"{path}?{seen}")
            assert said.status == (200 if path in visible else 404)
    assert (await member.get(f"{of_member}?{seen}")).json["value"] == "G1"
    listed = await house.auditor.get(f"/v1/grades?{seen}")
    assert [one["value"] for one in listed.json["data"]] == ["G1", "G3"]
    (own,) = (await house.poster.get("/v1/grades")).json["data"]
    assert own["override"]["reason"] == G3["reason"]
    asked = f"/v1/grades?subject=member:{member_id}"
    assert (await house.member.get(asked)).json["data"] == []
    balance = await member.get(f"/v1/members/{member_id}/balance?{seen}")
    assert balance.json["grade"] == "G1"


async def test_a_subject_without_an_override_is_ungraded(house: House) -> None:
    found = await house.admin.get("/v1/grades/organisation:org-b")
    assert found.json == {
        "subject": "organisation:org-b",
        "value": "UNGRADED",
        "override": None,
        "position": None,
    }


@pytest.mark.parametrize(
    ("subject", "body", "status", "code"),
    [
        ("organisation:org-a", {"until": "2020-01-01"}, 409, "over_already"),
        ("organisation:org-a", {"grade": "G5"}, 422, "invalid"),
        ("organisation:org-a", {"reason": None}, 422, "invalid"),
        ("organisation:org-a", {"reason": "110101199003071234"}, 422, "personal_data_in_text"),
        ("organisation:org-z", {}, 404, "not_found"),
        (f"member:{NOBODY}", {}, 404, "not_found"),
        (f"project:{NOBODY}", {}, 404, "not_found"),
        ("planet:mars", {}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_graded_is_refused_and_nothing_is_written(
    house: House, subject: str, body: dict[str, Any], status: int, code: str
) -> None:
    before = house.position
    refused = await house.admin.post(f"/v1/grades/{subject}/override", G3 | body)
    assert (refused.status, refused.code) == (status, code)
    assert house.position == before


async def test_only_an_administrator_overrides(house: House) -> None:
    for caller in (house.poster, house.verifier, house.auditor, house.member):
        assert (await caller.post(f"{ORG}/override", G3)).status == 403
