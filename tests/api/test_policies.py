"""Policies over HTTP."""

from tests.api.house import House

JUNE = {"effective_on": "2026-06-01", "changes": {"rounding": "hour_floor"}, "note": "夏季"}


async def test_a_version_is_published_and_found(each_house: House) -> None:
    published = await each_house.admin.post("/v1/policies", JUNE)
    assert published.status == 201
    assert published.json == {**JUNE, "version": 2, "position": each_house.position}
    path = f"/v1/policies/2?min_position={each_house.position}"
    assert JUNE.items() <= (await each_house.poster.get(path)).json.items()


async def test_each_date_has_the_values_of_its_day(each_house: House) -> None:
    await each_house.admin.post("/v1/policies", JUNE)
    seen = f"min_position={each_house.position}"
    may = await each_house.auditor.get(f"/v1/policies/at?date=2026-05-31&{seen}")
    june = await each_house.auditor.get(f"/v1/policies/at?date=2026-06-01&{seen}")
    assert (may.json["date"], may.json["values"]["rounding"]) == ("2026-05-31", "exact")
    assert (june.json["version"], june.json["values"]["rounding"]) == (2, "hour_floor")


async def test_the_defaults_are_the_first_version(house: House) -> None:
    listed = await house.member.get("/v1/policies")
    (first,) = listed.json["data"]
    assert (first["version"], first["effective_on"]) == (1, None)
    assert first["changes"]["zone"] == "Asia/Shanghai"
    assert (await house.member.get("/v1/policies/1")).json == first
    assert (await house.member.get("/v1/policies/2")).status == 404


async def test_every_value_that_does_not_fit_is_named(house: House) -> None:
    changes = {"zone": "Mars/Olympus", "no_such_key": 1, "credit_rate": {"default": -1}}
    refused = await house.admin.post("/v1/policies", {**JUNE, "changes": changes})
    assert (refused.status, refused.code) == (422, "invalid")
    assert refused.pointers == {
        "/changes/zone": "invalid_policy",
        "/changes/no_such_key": "invalid_policy",
        "/changes/credit_rate/default": "invalid_policy",
    }


async def test_a_policy_that_changes_nothing_is_refused(house: House) -> None:
    refused = await house.admin.post("/v1/policies", {**JUNE, "changes": {}})
    assert (refused.status, list(refused.pointers)) == (422, ["/changes"])


async def test_a_category_holds_no_personal_data(house: House) -> None:
    rates = {"credit_rate": {"by_category": {"13800138000": 10_000}}}
    refused = await house.admin.post("/v1/policies", {**JUNE, "changes": rates})
    assert (refused.status, refused.code) == (422, "personal_data_in_text")


async def test_a_date_is_asked_for(house: House) -> None:
    refused = await house.admin.get("/v1/policies/at")
    assert (refused.status, refused.pointers) == (422, {"/date": "missing"})
    refused = await house.admin.get("/v1/policies/at?date=2026-02-30")
    assert (refused.status, refused.pointers) == (422, {"/date": "not_a_date"})
