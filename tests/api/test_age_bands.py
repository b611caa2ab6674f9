"""Age bands over HTTP: told to those who know who it is, never to who has joined."""

from datetime import date
from typing import Any

import pytest

from api.members import MemberItem, MemberPage
from ledger import journal
from tests.api.house import Caller, House
from tests.api.people import added, joined
from tests.api.visits import day


def born(years: int) -> str:
    """A date of birth so many years ago today."""
    today = date.fromisoformat(day(0))
    return today.replace(year=today.year - years, day=min(today.day, 28)).isoformat()


def person(**fields: str | None) -> dict[str, Any]:
    return {"person": {"name": "张三", **fields}}


async def band_of(house: House, member_id: str, caller: Caller | None = None) -> str | None:
    at = f"/v1/members/{member_id}?min_position={house.position}"
    said = await (caller or house.poster).get(at)
    MemberItem.model_validate(said.json, extra="forbid")
    band: str | None = said.json["age_band"]
    return band


def resident_id(born_on: str) -> str:
    return f"370212{born_on.replace('-', '')}1234"


@pytest.mark.parametrize(
    ("held", "band"),
    [
        ({"birth_date": born(61)}, "60_69"),
        ({"document_number": resident_id(born(75))}, "70_79"),
        ({"document_number": resident_id(born(75)), "birth_date": born(30)}, "18_59"),
        ({"document_kind": "passport", "document_number": "E12345678"}, None),
        ({}, None),
    ],
)
async def test_a_band_comes_from_the_date_or_the_resident_id(
    each_house: House, held: dict[str, str], band: str | None
) -> None:
    member_id = await added(each_house, **person(**held))
    assert await band_of(each_house, member_id) == band
    with each_house.ledger.store.reading() as connection:
        kept = repr([e for page in journal.all_entries(connection) for e in page])
    assert not any(value in kept for value in held.values() if value != "passport")


async def test_a_band_follows_the_person_as_changed(house: House) -> None:
    member_id = await added(house, **person(birth_date=born(61)))
    path = f"/v1/members/{member_id}"

    async def changed(**fields: str | None) -> str | None:
        said = await house.poster.ask("PATCH", path, {"person": fields})
        assert said.status == 200, said.body
        return await band_of(house, member_id)

    assert await changed(phone="13812345678") == "60_69"
    assert await changed(birth_date=born(81)) == "80_plus"
    assert await changed(birth_date=None) is None
    assert await changed(document_number=resident_id(born(17))) == "under_18"


async def test_who_has_joined_is_told_no_age(house: House) -> None:
    member_id = await joined(house)
    for caller in (house.poster, house.admin, house.auditor):
        assert await band_of(house, member_id, caller) == "18_59"
    assert await band_of(house, member_id, house.other_poster) is None
    path = f"/v1/audit/events?min_position={house.position}&limit=500"
    said = await house.other_poster.get(path)
    assert b"age_band" not in said.body


async def test_members_of_a_band_are_listed_to_those_who_may_know(each_house: House) -> None:
    house = each_house
    member_id = await joined(house)
    old = await added(house, external_ref="V-2", **person(birth_date=born(82)))

    async def listed(caller: Caller, query: str) -> list[str]:
        said = await caller.get(f"/v1/members?{query}&min_position={house.position}")
        assert said.status == 200, said.body
        MemberPage.model_validate(said.json, extra="forbid")
        return [member["id"] for member in said.json["data"]]

    for caller in (house.poster, house.admin, house.auditor):
        assert await listed(caller, "age_band=80_plus") == [old]
        assert await listed(caller, "age_band=18_59") == [member_id]
        assert await listed(caller, "age_band=60_69") == []
    assert await listed(house.other_poster, "age_band=18_59") == []
    assert await listed(house.admin, "age_band=18_59&organisation=org-b") == [member_id]
    assert await listed(house.poster, "external_ref=V-2&age_band=80_plus") == [old]
    assert await listed(house.poster, "external_ref=V-2&age_band=18_59") == []
    assert await listed(house.other_poster, "external_ref=B-9&age_band=18_59") == []
    assert await listed(house.member, "age_band=18_59") == []
    herself = house.caller(role="member", actor="Li", member_id=old)
    assert await listed(herself, "age_band=80_plus") == [old]
    refused = await house.poster.get("/v1/members?age_band=old")
    assert (refused.status, refused.pointers) == (422, {"/age_band": "wrong_value"})


async def test_an_erased_member_has_no_age(house: House) -> None:
    member_id = await added(house)
    await house.admin.ask("DELETE", f"/v1/members/{member_id}/personal-data")
    assert await band_of(house, member_id) is None
