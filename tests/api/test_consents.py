"""Consents and relations over HTTP: told to whom they concern, and to nobody else."""

from typing import Any

import pytest

from api.consents import Consent, ConsentPage, ConsentWritten
from api.relations import Relation, RelationPage
from tests.api.house import Caller, House, Said
from tests.api.people import added, joined
from tests.api.test_members import NOBODY, facts

PUBLICATION = {"purpose": "publication", "consent_ref": "同意书-17"}


async def give(caller: Caller, member_id: str, **other: Any) -> Said:
    return await caller.post(f"/v1/members/{member_id}/consents", PUBLICATION | other)


async def withdraw(caller: Caller, member_id: str, **body: Any) -> Said:
    path = f"/v1/members/{member_id}/consents/publication/withdraw"
    return await caller.post(path, body or None)


async def told(house: House, caller: Caller, member_id: str, query: str = "") -> list[Any]:
    path = f"/v1/members/{member_id}/consents?min_position={house.position}{query}"
    said = await caller.get(path)
    assert said.status == 200, said.body
    ConsentPage.model_validate(said.json, extra="forbid")
    return [(one["organisation"], one["purpose"], one["status"]) for one in said.json["data"]]


def herself_of(house: House, member_id: str) -> Caller:
    return house.caller(role="member", actor="Zhang", member_id=member_id)


async def test_a_consent_is_given_withdrawn_and_kept_as_it_was(each_house: House) -> None:
    house = each_house
    member_id = await added(house)
    said = await give(house.verifier, member_id)
    assert said.status == 201
    ConsentWritten.model_validate(said.json, extra="forbid")
    body = {"member_id": member_id, "organisation": "org-a", "purpose": "publication"}
    assert said.json == body | {"status": "given", "position": house.position}
    again = await give(house.verifier, member_id)
    assert (again.status, again.json) == (200, said.json)
    assert (await give(house.verifier, member_id, consent_ref="c-2")).status == 201
    gone = await withdraw(house.verifier, member_id)
    assert (gone.status, gone.json["status"]) == (200, "withdrawn")
    assert (await withdraw(house.verifier, member_id)).json == gone.json
    assert facts(house)[1:] == ["ConsentGiven", "ConsentGiven", "ConsentWithdrawn"]
    assert await told(house, house.poster, member_id) == [
        ("org-a", "publication", "replaced"),
        ("org-a", "publication", "withdrawn"),
    ]
    at = said.json["position"]
    one = await house.poster.get(f"/v1/members/{member_id}/consents/{at}")
    Consent.model_validate(one.json, extra="forbid")
    assert (one.json["consent_ref"], one.json["given_position"]) == ("同意书-17", at)
    assert one.json["ended_at"] is not None
    assert (await house.poster.get(f"/v1/members/{member_id}/consents/1")).status == 404


async def test_an_organisation_is_told_of_its_own_consents_alone(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)
    herself = herself_of(house, member_id)
    await give(house.verifier, member_id)
    given = await give(herself, member_id, organisation="org-b", purpose="sharing")
    assert (given.status, given.json["organisation"]) == (201, "org-b")
    own = [("org-a", "publication", "given")]
    others = [("org-b", "joining", "given"), ("org-b", "sharing", "given")]
    assert await told(house, house.poster, member_id) == own
    assert await told(house, house.other_poster, member_id) == others
    for caller in (house.admin, house.auditor, herself):
        assert sorted(await told(house, caller, member_id)) == own + others
    assert await told(house, herself, member_id, "&purpose=joining") == others[:1]
    at = given.json["position"]
    path = f"/v1/members/{member_id}/consents/{at}"
    statuses = [(await caller.get(path)).status for caller in (house.other_poster, house.poster)]
    assert statuses == [200, 404]
    page = await herself.get(f"/v1/members/{member_id}/consents?limit=2")
    assert len(page.json["data"]) == 2
    assert 'rel="next"' in page.headers["Link"]


async def test_the_member_withdraws_from_everyone_at_once(house: House) -> None:
    member_id = await joined(house)
    herself = herself_of(house, member_id)
    await give(house.verifier, member_id)
    await give(house.admin, member_id, organisation="org-b")
    said = await withdraw(herself, member_id)
    assert (said.status, said.json["organisation"]) == (200, None)
    assert said.json["position"] == house.position
    assert await told(house, herself, member_id, "&purpose=publication") == [
        ("org-a", "publication", "withdrawn"),
        ("org-b", "publication", "withdrawn"),
    ]


async def test_the_member_withdraws_from_one(house: House) -> None:
    member_id = await joined(house)
    await give(house.verifier, member_id)
    await give(house.admin, member_id, organisation="org-b")
    said = await withdraw(herself_of(house, member_id), member_id, organisation="org-b")
    assert (said.status, said.json["organisation"]) == (200, "org-b")
    assert await told(house, house.poster, member_id) == [("org-a", "publication", "given")]


async def test_who_may_not_gives_and_is_told_nothing(house: House) -> None:
    member_id = await added(house)
    other = house.caller(role="verifier", actor="Sun", organisation="org-b")
    for caller, status in (
        (house.poster, 403),
        (house.auditor, 403),
        (other, 404),
        (house.member, 404),
    ):
        assert (await give(caller, member_id)).status == status
        assert (await withdraw(caller, member_id)).status == status
    for tail in ("", "/5"):
        path = f"/v1/members/{member_id}/consents{tail}?min_position={house.position}"
        assert (await house.other_poster.get(path)).status == 404
        assert (await house.member.get(path)).status == 404
    assert (await house.admin.get(f"/v1/members/{NOBODY}/consents")).status == 404
    assert (await house.admin.get(f"/v1/members/{NOBODY}/consents/5")).status == 404


async def test_what_is_wrong_with_a_consent_is_told(house: House) -> None:
    member_id = await added(house)
    for other, errors in (
        ({"consent_ref": "电话 13812345678"}, {"/consent_ref": "personal_data_in_text"}),
        ({"purpose": "joining"}, {"/purpose": "wrong_value"}),
        ({"organisation": "org-b"}, {"/organisation": "not_found"}),
    ):
        refused = await give(house.verifier, member_id, **other)
        assert (refused.status, refused.pointers) == (422, errors)
    refused = await give(house.admin, member_id, organisation="org-b")
    assert (refused.status, refused.pointers) == (422, {"/organisation": "not_found"})
    refused = await withdraw(house.verifier, member_id)
    assert (refused.status, refused.code) == (409, "wrong_state")
    path = f"/v1/members/{member_id}/consents/joining/withdraw"
    assert (await house.verifier.post(path)).status == 404
    await house.admin.ask("DELETE", f"/v1/members/{member_id}/personal-data")
    refused = await give(house.verifier, member_id)
    assert (refused.status, refused.code) == (409, "person_erased")


async def test_a_dry_run_of_a_consent_is_kept_nowhere(house: House) -> None:
    member_id = await added(house)
    path = f"/v1/members/{member_id}/consents?dry_run=true"
    said = await house.verifier.post(path, PUBLICATION)
    assert (said.status, said.json["dry_run"]) == (201, True)
    assert facts(house) == ["MemberRegistered"]


# --- relations -----------------------------------------------------------------------------------


async def relate(house: House, member_id: str, to: str, relation: str) -> None:
    path = f"/v1/members/{member_id}/relations"
    body = {"relation": relation, "to": to, "evidence_ref": "户口簿-17"}
    assert (await house.verifier.post(path, body)).status == 201


async def test_relations_are_listed_as_they_were_said_last(each_house: House) -> None:
    house = each_house
    mother, daughter = await joined(house), house.member_id
    await relate(house, mother, daughter, "sibling")
    await relate(house, mother, daughter, "child")
    listed = f"/v1/members/{mother}/relations?min_position={house.position}"
    for caller in (house.poster, house.admin, house.auditor, herself_of(house, mother)):
        said = await caller.get(listed)
        RelationPage.model_validate(said.json, extra="forbid")
        (one,) = said.json["data"]
        assert (one["to"], one["relation"], one["position"]) == (daughter, "child", house.position)
        item = await caller.get(f"/v1/members/{mother}/relations/{daughter}")
        Relation.model_validate(item.json, extra="forbid")
        assert item.json == one
    said = await house.other_poster.get(listed)  # knows the mother, and not the daughter
    assert (said.status, said.json["data"]) == (200, [])
    item = f"/v1/members/{mother}/relations/{daughter}"
    assert (await house.other_poster.get(item)).status == 404
    for path in (listed, item):
        assert (await house.member.get(path)).status == 404
    assert (await house.admin.get(f"/v1/members/{NOBODY}/relations")).status == 404


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_what_was_never_given_is_said_in_the_readers_language(
    house: House, language: str
) -> None:
    member_id = await added(house)
    path = f"/v1/members/{member_id}/consents/sharing/withdraw"
    refused = await house.verifier.post(path, headers={"Accept-Language": language})
    assert ("not given" if language == "en" else "未给出") in refused.json["detail"]
