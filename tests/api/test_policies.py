"""Policies over HTTP."""

from api.policies import Pack
from tests.api.house import House
from tests.api.visits import day, visit

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


async def test_a_name_of_the_publishers_own_is_told_as_a_pointer(house: House) -> None:
    changes = {"credit_rate": {"by_category": {"a/b~": -1}}, "grants": {"A": 1}, "x/y": 1}
    refused = await house.admin.post("/v1/policies", {**JUNE, "changes": changes})
    assert list(refused.pointers) == [
        "/changes/credit_rate/by_category/a~1b~0",
        "/changes/grants/A",
        "/changes/x~1y",
    ]


async def test_what_is_wrong_is_said_in_the_callers_language(house: House) -> None:
    body = {**JUNE, "changes": {"stars": [2, 1]}}
    for language, said in (("zh", "应大于前一项"), ("en", "not above the one before")):
        refused = await house.admin.post(
            "/v1/policies", body, headers={"Accept-Language": language}
        )
        (error,) = refused.json["errors"]
        assert error["pointer"] == "/changes/stars/1"
        assert said in error["detail"]


async def test_a_refused_policy_leaves_nothing_behind(house: House) -> None:
    before = house.position
    changes = {"rounding": "hour_floor", "daily_cap": -1}
    assert (await house.admin.post("/v1/policies", {**JUNE, "changes": changes})).status == 422
    assert house.position == before
    assert len((await house.admin.get("/v1/policies")).json["data"]) == 1


async def test_a_part_of_an_object_is_published_and_the_rest_is_the_default(house: House) -> None:
    changes = {"gift": {"yearly_max": 600}, "expiry": {"months": 24}, "stock_cap": None}
    published = await house.admin.post("/v1/policies", {**JUNE, "changes": changes})
    assert published.status == 201
    assert published.json["changes"]["gift"]["relations"][0] == "spouse"
    seen = f"min_position={house.position}"
    values = (await house.auditor.get(f"/v1/policies/at?date=2026-06-01&{seen}")).json["values"]
    assert (values["expiry"], values["stock_cap"]) == ({"months": 24}, None)
    values = (await house.auditor.get("/v1/policies/at?date=2026-05-31")).json["values"]
    assert (values["expiry"], values["gift"]["yearly_max"]) == (None, None)


async def test_a_policy_may_begin_in_the_past_and_in_the_future(house: House) -> None:
    for effective_on, hold_days in (("2016-01-01", 7), ("2199-01-01", 30)):
        body = {"effective_on": effective_on, "changes": {"hold_days": hold_days}}
        assert (await house.admin.post("/v1/policies", body)).status == 201
    seen = f"min_position={house.position}"
    for on, version, hold_days in (
        ("2015-12-31", 1, 14),
        ("2016-01-01", 2, 7),
        ("2198-12-31", 2, 7),
        ("2199-01-01", 3, 30),
    ):
        said = (await house.auditor.get(f"/v1/policies/at?date={on}&{seen}")).json
        assert (said["version"], said["values"]["hold_days"]) == (version, hold_days)


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


# --- packs ---------------------------------------------------------------------------------------

CITIES = ["beijing", "changning", "guangzhou", "nanjing"]


async def test_packs_come_with_their_sources(house: House) -> None:
    said = await house.member.get("/v1/policies/packs")
    assert [pack["name"] for pack in said.json] == CITIES
    for pack in said.json:
        Pack.model_validate(pack, extra="forbid")
        assert pack["source"]
        assert pack["changes"]
    assert said.headers["Ledger-Position"].isdecimal()
    assert (await house.member.get("/v1/policies/packs?limit=1")).status == 422


async def test_a_source_is_told_in_the_callers_language(house: House) -> None:
    for language in ("zh", "en"):
        said = await house.auditor.get("/v1/policies/packs", headers={"Accept-Language": language})
        assert said.headers["Content-Language"] == language
        assert {pack["source"].isascii() for pack in said.json} == {language == "en"}


async def test_a_pack_is_published_as_it_is_listed(house: House) -> None:
    for pack in (await house.admin.get("/v1/policies/packs")).json:
        body = {"effective_on": "2026-06-01", "changes": pack["changes"]}
        assert (await house.admin.post("/v1/policies", body)).status == 201


# --- what-if -------------------------------------------------------------------------------------


async def test_what_if_shows_what_other_numbers_would_come_to_and_changes_nothing(
    each_house: House,
) -> None:
    member_id = each_house.member_id
    await each_house.poster.post("/v1/service-records", visit(member_id=member_id))
    before = each_house.position
    asked = {"changes": {"daily_cap": 50}, "from": day(2), "to": day(2)}
    for caller in (each_house.admin, each_house.auditor):
        said = await caller.post("/v1/policies/what-if", asked)
        assert said.status == 200
        difference = {"credits": 120, "would_be": 50, "difference": -70}
        members = [{"member_id": member_id, **difference}]
        assert said.json == {"members": members, "total": difference}
    asked |= {"from": day(5), "to": day(3)}
    assert (await each_house.admin.post("/v1/policies/what-if", asked)).json["members"] == []
    assert each_house.position == before


async def test_a_what_if_that_makes_no_sense_is_told_in_full(house: House) -> None:
    body = {"changes": {"daily_cap": -1, "x": 1}, "from": "2026-03-02", "to": "2026-03-01"}
    refused = await house.admin.post("/v1/policies/what-if", body)
    assert refused.pointers == {
        "/changes/daily_cap": "invalid_policy",
        "/changes/x": "invalid_policy",
        "/to": "wrong_value",
    }
    refused = await house.admin.post("/v1/policies/what-if", {**body, "from": "2026-13-01"})
    assert refused.pointers["/from"] == "not_a_date"
    assert (await house.poster.post("/v1/policies/what-if", body)).status == 403
