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
