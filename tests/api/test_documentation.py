"""The contract as a document, as a page, and every problem as a page."""

import re

import orjson
import pytest

from api.app import ROUTES, document
from api.contract import PATH_PARTS
from ledger.refusals import REFUSALS
from tests.api.house import House

of_the_module = pytest.mark.asyncio(loop_scope="module")

OUTSIDE = re.compile(r'(src|href|action)=(?!"[#/](?!/))|url\(|@import|<(script|link|img|iframe)')


@of_the_module
async def test_every_route_is_in_the_document(still_house: House) -> None:
    said = await still_house.stranger.get("/v1/openapi.json")
    assert said.headers["Content-Type"] == "application/json"
    assert said.json == document()
    assert said.json["openapi"].startswith("3.1")
    for route in ROUTES:
        operation = said.json["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.operation
        assert operation["summary"]
        assert operation["x-summary-zh"]
        assert bool(operation["security"]) == bool(route.roles)


def test_operations_have_names_of_their_own() -> None:
    names = [route.operation for route in ROUTES]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)


def test_every_reference_leads_somewhere() -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            for name, inner in node.items():
                if name == "$ref":
                    found: object = document()
                    for part in inner.removeprefix("#/").split("/"):
                        assert isinstance(found, dict)
                        found = found[part]
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(document())


def test_limits_are_spelled_as_json_schema_spells_them() -> None:
    parameters = document()["paths"]["/v1/units"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    spelled = orjson.dumps(document())
    for name in (b'"ge"', b'"gt"', b'"le"', b'"lt"', b'"min_length"', b'"max_length"'):
        assert name not in spelled


def test_every_place_of_a_path_is_described() -> None:
    for route in ROUTES:
        assert set(route.path_names) <= set(PATH_PARTS)
        for name in route.path_names:
            assert PATH_PARTS[name].holds(PATH_PARTS[name].example)


def test_every_problem_of_a_route_has_its_texts() -> None:
    for route in ROUTES:
        assert set(route.problems) <= set(REFUSALS), route.path


def test_every_json_body_has_an_example_that_can_be_taken() -> None:
    for route in ROUTES:
        if route.body is not None:
            assert route.example is not None, route.path
            route.body.model_validate(route.example)


def test_writes_take_a_dry_run_and_posts_a_key() -> None:
    for route in ROUTES:
        operation = document()["paths"][route.path][route.method.lower()]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert ("dry_run" in names) == route.write
        assert ("Idempotency-Key" in names) == (route.write and route.method == "POST")
        assert ("min_position" in names) == (bool(route.roles) and not route.write), route.path


@of_the_module
async def test_the_page_loads_nothing_from_outside(still_house: House) -> None:
    said = await still_house.stranger.get("/docs")
    text = said.body.decode()
    assert said.headers["Content-Type"] == "text/html; charset=utf-8"
    assert OUTSIDE.search(text) is None
    policy = said.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for route in ROUTES:
        assert f'id="{route.operation}"' in text
        assert route.summary_zh in text


@of_the_module
async def test_every_problem_has_its_page(still_house: House) -> None:
    for code, refusal in REFUSALS.items():
        said = await still_house.stranger.get(f"/problems/{code}")
        text = said.body.decode()
        assert said.status == 200
        assert OUTSIDE.search(text) is None
        assert refusal.title_zh in text


@of_the_module
async def test_a_problem_that_is_none_has_no_page(still_house: House) -> None:
    for code in ("no_such_problem", "%3Cscript%3E", "A"):
        said = await still_house.stranger.get(f"/problems/{code}")
        assert (said.status, said.code) == (404, "not_found")
