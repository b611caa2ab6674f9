"""What stands in a body may be another's too: org-b asks, all is its own but for one id."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio

from api.app import ROUTES
from api.asks import UUID_PATTERN
from ledger.units import new_id
from tests.api.asked import ROWS, Asked, Row, ask, asked_of
from tests.api.house import Said
from tests.api.planted import MARK, REF, Town, mirrored

FREE = "free"
"""A member who supervises comes from an agency, not from who posts: whoever knows the id may name
it. A chain of events is nobody's. Nothing of theirs is told in the answer."""
PUBLIC = "public"
"""Everybody may see it, and so name it."""
ADMINS = "admins alone"

NAMED: dict[str, dict[str, str]] = {
    "record_relation": {"/to": "kin"},
    "post_transfer": {"/from": "me", "/to": ADMINS, "/shares/0/to": ADMINS},
    "post_transfer gift": {"/to": "kin"},
    "reserve_redemption": {"/member_id": "me", "/provider_id": "server"},
    "fulfil_redemption": {"/provider_id": "server"},
    "report_need": {"/reported_by": "me", "/correlation_id": FREE},
    "assess_need": {"/assessor_id": "worker"},
    "place_order": {
        **{"/recipient_id": "me", "/need_id": "need"},
        **{"/project_id": PUBLIC, "/supervisor_id": FREE},
    },
    "accept_order": {"/member_id": "other"},
    "submit_certification": {"/member_id": "me"},
    "submit_achievement": {"/member_id": "me", "/project_id": PUBLIC},
    "appoint_supervisor": {"/member_id": "me"},
    "begin_mentorship": {"/mentor_id": "me", "/mentee_id": "me"},
    "file_case": {"/member_id": "me", "/achievement_id": "achievement"},
    "begin_project": {"/programme_id": PUBLIC},
    "begin_conversion": {"/supervisor_id": FREE},
    "enrol_member": {"/member_id": "me"},
    "complete_programme": {"/member_id": "me"},
    "name_expert": {"/member_id": "me"},
    "post_service_record": {
        **{"/member_id": "me", "/member_ref": "ref", "/certification_id": "certification"},
        **{"/order_id": "order", "/redemption_id": "redemption"},
        **{"/project_id": PUBLIC, "/programme_id": PUBLIC, "/supervisor_id": FREE},
    },
    "correct_service_record": {
        **{"/member_id": "me", "/member_ref": "ref", "/certification_id": "certification"},
        **{"/order_id": "order", "/redemption_id": "redemption"},
        **{"/project_id": PUBLIC, "/programme_id": PUBLIC, "/supervisor_id": FREE},
    },
    "post_service_record_batch": {
        **{"/items/0/member_id": "me", "/items/0/member_ref": "ref"},
        **{"/items/0/certification_id": "certification", "/items/0/order_id": "order"},
        **{"/items/0/redemption_id": "redemption", "/items/0/project_id": PUBLIC},
        **{"/items/0/programme_id": PUBLIC, "/items/0/supervisor_id": FREE},
    },
}
"""Every place of a body where an id or a reference may stand, and which of org-a's is put there."""

FOREIGN = [
    (name, pointer, which)
    for name, places in NAMED.items()
    for pointer, which in places.items()
    if which not in (FREE, PUBLIC, ADMINS)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(town: Town) -> dict[str, str]:
    return await mirrored(town)


def test_every_place_of_a_body_that_takes_an_id_is_named() -> None:
    places = {
        (route.operation, pointer)
        for route in ROUTES
        if route.write and route.body is not None
        for pointer in _places(route.body.model_json_schema(by_alias=True))
    }
    named = {(name.partition(" ")[0], pointer) for name, said in NAMED.items() for pointer in said}
    assert places == named


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMED)
async def test_what_is_org_bs_may_be_asked(town: Town, own: dict[str, str], name: str) -> None:
    """So that the one foreign id is what the others are refused for."""
    said = await ask(town.callers["B verifier"], row_of(name), own, dry_run=True)
    assert said.status in (200, 201), said.body


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "pointer", "which"), FOREIGN)
async def test_anothers_id_in_a_body_is_nobodys(
    town: Town, own: dict[str, str], name: str, pointer: str, which: str
) -> None:
    before = town.house.position
    told: list[tuple[int, str, dict[str, str]]] = []
    for id in (
        REF if which == "ref" else town.ids[which],
        "nobody" if which == "ref" else new_id(),
    ):
        row = put(asked_of(row_of(name), own), pointer, id)
        said = await ask(town.callers["B verifier"], row_of(name, row), own, once=new_id())
        assert MARK not in said.body.decode(), said.body
        told.append(problem_of(said))
    theirs, nobodys = told
    assert theirs == nobodys
    assert theirs == (422, "not_found", {pointer.removeprefix("/items/0"): "not_found"})
    assert town.house.position == before


def row_of(name: str, asked: Asked | None = None) -> Row:
    """The row, or another request to its route."""
    return ROWS[name] if asked is None else ROWS[name]._replace(asked=asked)


def put(asked: Asked, pointer: str, id: str) -> Asked:
    """The request with an id at a place of its body."""
    body = asked.body
    *path, last = pointer[1:].split("/")
    here: Any = body
    for step in path:
        here = here[int(step) if step.isdigit() else step]
    here[last] = id
    if last == "member_ref":
        here.pop("member_id", None)
    return asked._replace(body=body)


def problem_of(said: Said) -> tuple[int, str, dict[str, str]]:
    """The status, code and places of a no; of a batch those of its item."""
    assert said.status >= 400, said.body
    problem = said.json
    if said.code == "batch_refused":
        problem = problem["results"][0]["problem"]
    errors = {error["pointer"]: error["code"] for error in problem.get("errors", ())}
    return problem["status"], problem["code"], errors


def _places(schema: dict[str, Any]) -> Iterator[str]:
    """Where an id, or an organisation's own reference to a member, may stand."""
    yield from _walk(schema, "", schema.get("$defs", {}))


def _walk(node: dict[str, Any], path: str, defs: dict[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        node = defs[node["$ref"].rpartition("/")[2]]
    if UUID_PATTERN[1:-1] in node.get("pattern", ""):
        yield path
    for name, inner in node.get("properties", {}).items():
        if name in ("member_ref", "reported_by"):
            yield f"{path}/{name}"
        yield from _walk(inner, f"{path}/{name}", defs)
    for inner in node.get("anyOf", ()):
        yield from _walk(inner, path, defs)
    if "items" in node:
        yield from _walk(node["items"], f"{path}/0", defs)
