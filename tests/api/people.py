"""People as organisations register them, and the ways to have them as members."""

from typing import Any

from tests.api.house import Caller, House, Said

DOCUMENT = "370212199001011234"
ZHANG: dict[str, Any] = {
    "external_ref": "V-1",
    "roles": ["volunteer"],
    "unit": "lake",
    "person": {
        "name": "张三",
        "document_number": DOCUMENT,
        "birth_date": "1990-01-01",
        "phone": "13812345678",
    },
}


async def add(caller: Caller, **other: Any) -> Said:
    body = {name: value for name, value in (ZHANG | other).items() if value is not None}
    return await caller.post("/v1/members", body)


async def added(house: House, **other: Any) -> str:
    said = await add(house.poster, **other)
    assert said.status == 201, said.body
    found: str = said.json["id"]
    return found


async def joined(house: House) -> str:
    """Zhang, at home with org-a and joined by org-b."""
    member_id = await added(house)
    said = await add(house.other_poster, external_ref="B-9", consent_ref="c-1")
    assert said.json["id"] == member_id
    return member_id
