"""Units over HTTP."""

from tests.api.house import House

CREEK = {"code": "creek", "name": "溪谷社区", "level": "community", "parent": "lake"}


async def test_a_unit_is_added_and_found(each_house: House) -> None:
    added = await each_house.admin.post("/v1/units", CREEK)
    assert added.status == 201
    assert added.json == {**CREEK, "position": each_house.position}
    assert added.headers["Ledger-Position"] == str(each_house.position)

    found = await each_house.poster.get(f"/v1/units/creek?min_position={added.json['position']}")
    assert found.status == 200
    assert found.json["name"] == "溪谷社区"
    assert found.json["recorded_at"].endswith("Z")
    assert int(found.headers["Ledger-Position"]) >= added.json["position"]


async def test_a_code_is_given_once(house: House) -> None:
    refused = await house.admin.post("/v1/units", {**CREEK, "code": "lake"})
    assert (refused.status, refused.code) == (409, "code_taken")
    assert refused.pointers == {"/code": "code_taken"}


async def test_a_parent_that_does_not_exist_is_told_at_its_field(house: House) -> None:
    refused = await house.admin.post("/v1/units", {**CREEK, "parent": "nowhere"})
    assert (refused.status, refused.code) == (422, "not_found")
    assert refused.pointers == {"/parent": "not_found"}


async def test_a_street_does_not_stand_below_a_community(house: House) -> None:
    await house.admin.post("/v1/units", CREEK)
    below = {"code": "deep", "name": "深", "level": "street", "parent": "creek"}
    refused = await house.admin.post("/v1/units", below)
    assert (refused.status, refused.code) == (409, "wrong_level")


async def test_an_unknown_unit_is_not_found(house: House) -> None:
    assert (await house.admin.get("/v1/units/nowhere")).status == 404
    assert (await house.admin.get("/v1/units/NO%20CODE")).status == 404


async def test_a_name_holds_no_personal_data(house: House) -> None:
    refused = await house.admin.post("/v1/units", {**CREEK, "name": "电话13800138000"})
    assert (refused.status, refused.code) == (422, "personal_data_in_text")
    assert refused.pointers == {"/name": "personal_data_in_text"}


async def test_units_are_listed_in_the_order_in_which_they_were_added(house: House) -> None:
    await house.admin.post("/v1/units", CREEK)
    listed = await house.auditor.get(f"/v1/units?min_position={house.position}")
    assert [unit["code"] for unit in listed.json["data"]] == ["west", "lake", "creek"]
    assert listed.json["next_cursor"] is None
    assert "Link" not in listed.headers
