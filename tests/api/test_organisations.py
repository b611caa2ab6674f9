"""Organisations over HTTP."""

from tests.api.house import House

UNIVERSITY = {"code": "uni", "name": "大学志愿者协会", "kind": "university", "unit": "lake"}


async def test_an_organisation_is_added_and_found(each_house: House) -> None:
    added = await each_house.admin.post("/v1/organisations", UNIVERSITY)
    assert added.status == 201
    assert added.json == {**UNIVERSITY, "status": "active", "position": each_house.position}
    path = f"/v1/organisations/uni?min_position={each_house.position}"
    found = await each_house.member.get(path)
    assert {**UNIVERSITY, "status": "active"}.items() <= found.json.items()


async def test_it_is_suspended_with_a_reason_and_resumed(each_house: House) -> None:
    suspended = await each_house.admin.post("/v1/organisations/org-a/suspend", {"reason": "待核查"})
    assert (suspended.status, suspended.json["status"]) == (200, "suspended")
    assert suspended.json["position"] == each_house.position
    path = f"/v1/organisations/org-a?min_position={each_house.position}"
    assert (await each_house.auditor.get(path)).json["status"] == "suspended"

    resumed = await each_house.admin.post("/v1/organisations/org-a/resume")
    assert (resumed.status, resumed.json["status"]) == (200, "active")


async def test_suspending_needs_a_reason(house: House) -> None:
    for body in ({}, None):
        refused = await house.admin.post("/v1/organisations/org-a/suspend", body)
        assert refused.status in (400, 422)
    refused = await house.admin.post("/v1/organisations/org-a/suspend", {"reason": " "})
    assert refused.pointers == {"/reason": "not_a_text"}


async def test_what_is_suspended_is_not_suspended_again(house: House) -> None:
    path = "/v1/organisations/org-a/suspend"
    await house.admin.post(path, {"reason": "待核查"})
    refused = await house.admin.post(path, {"reason": "待核查"})
    assert (refused.status, refused.code) == (409, "wrong_state")
    refused = await house.admin.post("/v1/organisations/org-b/resume")
    assert (refused.status, refused.code) == (409, "wrong_state")


async def test_an_unknown_organisation_is_not_found(house: House) -> None:
    refused = await house.admin.post("/v1/organisations/nobody/suspend", {"reason": "x"})
    assert (refused.status, refused.code) == (404, "not_found")
    assert (await house.admin.get("/v1/organisations/nobody")).status == 404


async def test_its_seat_has_to_exist(house: House) -> None:
    refused = await house.admin.post("/v1/organisations", {**UNIVERSITY, "unit": "nowhere"})
    assert (refused.status, refused.pointers) == (422, {"/unit": "not_found"})


async def test_organisations_are_listed_in_the_order_in_which_they_were_added(house: House) -> None:
    await house.admin.post("/v1/organisations", UNIVERSITY)
    listed = await house.auditor.get(f"/v1/organisations?min_position={house.position}")
    assert [one["code"] for one in listed.json["data"]] == ["org-a", "org-b", "uni"]
