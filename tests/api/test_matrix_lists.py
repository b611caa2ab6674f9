"""What lists, filters, cursors and kept answers tell of another's: nothing; and who may no more."""

import re

import pytest

from api.app import ROUTES
from api.contract import PageQuery, Route
from ledger.units import new_id
from tests.api.asked import ROWS, ask
from tests.api.planted import MARK, PERSONAL, REASON, REF, Town
from tests.api.visits import instant

LISTS = [route for route in ROUTES if route.query and issubclass(route.query, PageQuery)]

NOBODY_IN_IT = {
    *("limit", "cursor", "min_position", "format", "as_of", "served_from", "served_to"),
    *("served_until", "status", "kind", "level", "route", "month", "unit", "category", "q"),
    *("age_band", "purpose", "stage", "kpi", "position", "type", "behind", "until", "language"),
}
"""Filters that name neither somebody nor a thing of somebody's."""

FILTERS: dict[str, dict[str, str]] = {
    "list_members": {"external_ref": REF, "organisation": "org-a"},
    "list_members_statements": {"organisation": "org-a"},
    "list_redemptions": {"member_id": "{me}", "reward": "tea-a"},
    "list_needs": {"organisation": "org-a"},
    "list_orders": {
        **{"organisation": "org-a", "dispatched_to": "org-a", "member_id": "{server}"},
        **{"recipient_id": "{me}", "need_id": "{ordered need}", "project_id": "{served project}"},
    },
    "list_certifications": {"member_id": "{me}", "organisation": "org-a"},
    "list_achievements": {"member_id": "{me}", "organisation": "org-a"},
    "list_appointments": {"member_id": "{me}", "organisation": "org-a"},
    "list_mentorships": {"member_id": "{me}", "organisation": "org-a"},
    "list_service_records": {"member_id": "{me}", "organisation": "org-a"},
    "list_statements": {"member_id": "{me}", "organisation": "org-a"},
    "list_credentials": {
        **{"member_id": "{me}", "organisation": "org-a"},
        "certification_id": "{registered certification}",
    },
    "list_grades": {"subject": "member:{me}"},
    "list_events": {
        **{"stream": "member:{me}", "member_id": "{me}", "record_id": "{record}"},
        **{"actor": "{maker}", "correlation_id": "{chain}"},
    },
}
"""What names org-a's, by the list and the filter: others find nothing with it."""

OPEN: dict[str, set[str]] = {
    "list_rewards": {"organisation"},
    "list_cases": {"organisation", "member_id"},
    "list_projects": {"organisation", "programme_id"},
    "list_conversions": {"organisation", "supervisor_id"},
    "list_programmes": {"organisation"},
    "list_targets": {"organisation"},
    "list_agreements": {"organisation", "agency"},
    "list_meetings": {"organisation"},
    "list_partners": {"organisation"},
    "list_experts": {"organisation", "member_id"},
}
"""Filters of what everybody may search."""

ASKED_FOR = [(name, filter) for name, filters in FILTERS.items() for filter in filters]
STRANGERS = ("B poster", "B verifier", "D verifier", "other", "closed")


def test_every_filter_that_names_somebody_is_in_a_table() -> None:
    named = {
        (route.operation, field.alias or name)
        for route in LISTS
        for name, field in (route.query or PageQuery).model_fields.items()
        if name not in NOBODY_IN_IT
    }
    known = {
        (name, each) for table in (FILTERS, OPEN) for name, said in table.items() for each in said
    }
    assert named == known


@pytest.fixture
def names(town: Town) -> dict[str, str]:
    """The town's ids, the key that made org-a's, and a chain of its events."""
    maker = town.callers["maker"].key
    assert maker is not None
    with town.house.ledger.views_engine.connect() as connection:
        chain = connection.exec_driver_sql(
            "SELECT correlation_id FROM trail WHERE type = 'OrderPlaced' LIMIT 1"
        ).scalar_one()
    return town.ids | {"maker": maker.id, "chain": chain}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "filter"), ASKED_FOR)
async def test_a_filter_finds_nothing_of_anothers(
    town: Town, names: dict[str, str], name: str, filter: str
) -> None:
    path = ROWS[name].asked.path.partition("?")[0]
    asked = f"{path}?{filter}={FILTERS[name][filter]}".format(**names)
    found = await town.house.admin.get(
        asked if filter != "external_ref" else f"{asked}&organisation=org-a"
    )
    assert found.json["data"], "the filter finds something where it may"
    for caller in STRANGERS:
        said = await town.callers[caller].get(asked)
        assert said.status in (200, 403, 404), (caller, said.body)
        if said.status == 200:
            own = caller == "other" and {"data": [{"member_id": names["other"]}]}
            found = {"data": [{"member_id": each["member_id"]} for each in said.json["data"]]}
            assert found in ({"data": []}, own), caller


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.operation)
async def test_a_walk_from_anothers_cursor_tells_nothing_of_theirs(
    town: Town, route: Route
) -> None:
    path = ROWS[route.operation].asked.path.partition("?")[0].format(**town.ids)
    private = [
        id for name, id in town.private().items() if name not in ("other", "record of other")
    ]
    for owner in ("A verifier", "admin"):
        first = await town.callers[owner].get(f"{path}?limit=1")
        if first.status != 200 or first.json["next_cursor"] is None:
            continue
        cursor = first.json["next_cursor"]
        for caller in ("B verifier", "D poster", "other"):
            said = await town.callers[caller].get(f"{path}?cursor={cursor}&limit=500")
            text = said.body.decode()
            secrets = [*private, *PERSONAL, MARK]
            assert [word for word in secrets if word in text and word not in path] == [], caller


# --- kept answers --------------------------------------------------------------------------------


def need(reporter: str) -> dict[str, str]:
    said = {"unit": "lake", "category": "elderly", "reported_by": reporter}
    return said | {"at": instant("15:00", 8)}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_used_key_is_nothing_to_another_organisation(town: Town) -> None:
    first = await town.callers["A verifier"].post(
        "/v1/needs", need("org-a"), once="one and the same"
    )
    assert first.status == 201
    again = await town.callers["A poster"].post("/v1/needs", need("org-a"), once="one and the same")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    for caller, organisation in (("B verifier", "org-b"), ("C poster", "org-c")):
        asked = need(organisation)
        said = await town.callers[caller].post("/v1/needs", asked, once="one and the same")
        assert said.status == 201
        assert "Idempotent-Replayed" not in said.headers
        assert said.json["id"] != first.json["id"]
    for caller in ("me", "auditor"):
        said = await town.callers[caller].post("/v1/needs", need("org-a"), once="one and the same")
        assert (said.status, said.code) == (403, "forbidden")
    for caller in ("revoked", "expired", "erased", "no key"):
        said = await town.callers[caller].post("/v1/needs", need("org-a"), once="one and the same")
        assert (said.status, said.code) == (401, "unauthenticated")
    asked = need("org-a") | {"organisation": "org-a"}
    said = await town.house.admin.post("/v1/needs", asked, once="one and the same")
    assert (said.status, "Idempotent-Replayed" in said.headers) == (201, False)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_used_key_opens_nothing_that_the_role_may_not(town: Town) -> None:
    path = f"/v1/achievements/{town.ids['approved achievement']}/reverse"
    first = await town.callers["A verifier"].post(path, REASON, once="reversed")
    assert first.status == 200
    again = await town.callers["A poster"].post(path, REASON, once="reversed")
    assert (again.status, again.code) == (403, "forbidden")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_members_used_key_is_nothing_to_another_member(town: Town) -> None:
    asked = {"kind": "donation", "credits": 1} | REASON
    first = await town.callers["me"].post("/v1/transfers", asked, once="mine")
    assert first.status == 201
    said = await town.callers["other"].post("/v1/transfers", asked, once="mine")
    assert (said.status, "Idempotent-Replayed" in said.headers) == (201, False)
    assert said.json["id"] != first.json["id"]


# --- who may no more -----------------------------------------------------------------------------

POSTS = (
    *("add_member", "report_need", "place_order", "submit_certification", "submit_achievement"),
    *("appoint_supervisor", "file_case", "begin_project", "begin_conversion", "open_programme"),
    *("set_target", "sign_agreement", "hold_meeting", "add_partner", "name_expert", "add_reward"),
    "post_service_record",
)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", POSTS)
async def test_a_suspended_organisation_posts_nothing_about_its_own(town: Town, name: str) -> None:
    before = town.house.position
    own = dict.fromkeys(("me", "other", "worker"), town.ids["member of D"])
    said = await ask(town.callers["D verifier"], ROWS[name], town.ids | own, once=new_id())
    assert (said.status, said.code) == (409, "organisation_suspended"), said.body
    assert town.house.position == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_suspended_organisation_reads_its_own(town: Town) -> None:
    said = await town.callers["D poster"].get("/v1/service-records")
    assert [one["id"] for one in said.json["data"]] == [town.ids["record of D"]]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("caller", "code"), [("frozen", "not_enough_credits"), ("closed", "member_closed")]
)
async def test_frozen_and_closed_members_spend_nothing_and_see_their_own(
    town: Town, caller: str, code: str
) -> None:
    before, ids = town.house.position, town.ids
    member = town.callers[caller]
    donation = {"kind": "donation", "credits": 1} | REASON
    redemption = {"member_id": ids[caller], "reward": "tea-a"}
    for path, body in (("/v1/transfers", donation), ("/v1/redemptions", redemption)):
        said = await member.post(path, body, once=new_id())
        assert (said.status, said.code) == (409, code), said.body
    assert town.house.position == before
    for path in ("", "/balance", "/passbook", "/career", "/statements"):
        assert (await member.get(f"/v1/members/{ids[caller]}{path}")).status == 200, path


# --- methods and waiting -------------------------------------------------------------------------


PATHS = sorted({route.path for route in ROUTES})


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", PATHS)
async def test_options_tell_the_methods_of_a_path_and_whether_nothing_else(
    town: Town, path: str
) -> None:
    methods = {route.method for route in ROUTES if route.path == path}
    asked = re.sub(r"{\w+}", town.ids["me"], path)
    said = await town.house.stranger.ask("OPTIONS", asked)
    expected = {"OPTIONS", *methods} | ({"HEAD"} if "GET" in methods else set())
    assert (said.status, said.body) == (204, b"")
    assert set(said.headers["Allow"].split(", ")) == expected
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
        said = await town.house.stranger.ask(method, asked)
        assert (said.status, said.code) == (405, "method_not_allowed"), method
        assert MARK not in said.body.decode()


@pytest.mark.asyncio(loop_scope="module")
async def test_who_is_refused_does_not_make_the_server_wait(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(position: int, seconds: float) -> bool:
        raise AssertionError("waited for a caller who may not")

    monkeypatch.setattr(town.house.views, "wait_for", never)
    for caller, status in (("no key", 401), ("revoked", 401), ("B poster", 403)):
        said = await town.callers[caller].get(f"/v1/audit/accounts?min_position={10**17}")
        assert said.status == status
