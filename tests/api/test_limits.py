"""Every limit of a request: what is at it passes, what is one over is refused with its code."""

import asyncio
from typing import Any

import orjson
import pytest

from api.batches import ITEMS_MAX
from api.batches import NAMES_MAX as ITEM_NAMES_MAX
from api.bodies import DEPTH_MAX, NAMES_MAX, VALUES_MAX, parse_json
from ledger.units import Refused
from tests.api.house import House

MIB = 1024 * 1024

# --- JSON ----------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def named(count: int) -> dict[str, int]:
    return {f"n{number}": 1 for number in range(count)}


@pytest.mark.parametrize(
    ("at_it", "over_it"),
    [
        (nested(DEPTH_MAX), nested(DEPTH_MAX + 1)),
        (b'{"a":' + nested(DEPTH_MAX - 1) + b"}", b'{"a":' + nested(DEPTH_MAX) + b"}"),
    ],
)
def test_json_is_so_deep(at_it: bytes, over_it: bytes) -> None:
    assert parse_json(at_it) == orjson.loads(at_it)
    with pytest.raises(Refused, match="malformed_json"):
        parse_json(over_it)


@pytest.mark.parametrize(
    ("at_it", "over_it"),
    [
        (named(NAMES_MAX), named(NAMES_MAX + 1)),
        ([named(NAMES_MAX)], [named(NAMES_MAX + 1)]),
        ([0] * VALUES_MAX, [0] * (VALUES_MAX + 1)),
        ([[0] * (VALUES_MAX - 2), {}], [[0] * (VALUES_MAX - 2), {"a": 1}]),
    ],
)
def test_json_is_so_wide(at_it: object, over_it: object) -> None:
    assert parse_json(orjson.dumps(at_it)) == at_it
    with pytest.raises(Refused, match="too_large"):
        parse_json(orjson.dumps(over_it))


async def test_a_body_in_which_all_is_wrong_is_refused_before_all_of_it_is_told(
    house: House,
) -> None:
    """Of a body of 14 MiB 1.5 million names were told: 32 seconds, and 3 GB of memory."""
    names = b"{" + b",".join(b'"%x":1' % number for number in range(1_500_000)) + b"}"
    roles = b'{"unit":"lake","roles":[' + b",".join([b"1"] * 5_000_000) + b"]}"
    for path, raw in (("/v1/units", names), ("/v1/members", roles)):
        said = await asyncio.wait_for(house.admin.post(path, raw=raw), 30)
        assert (said.status, said.code, len(said.body) < 1_000) == (413, "too_large", True), path


async def test_what_is_at_the_limit_is_told_in_full(house: House) -> None:
    said = await house.admin.post("/v1/units", named(NAMES_MAX))
    assert (said.status, len(said.json["errors"])) == (422, NAMES_MAX + 3)
    said = await house.admin.post("/v1/units", named(NAMES_MAX + 1))
    assert (said.status, said.code) == (413, "too_large")


async def test_an_item_of_a_batch_has_no_more_names_than_three_times_what_there_are(
    house: House,
) -> None:
    async def post(*items: dict[str, Any], **more: Any) -> Any:
        body = {"items": items, **more}
        return await house.poster.post("/v1/service-record-batches", body)

    results = (await post(named(ITEM_NAMES_MAX), named(ITEM_NAMES_MAX + 1), {})).json["results"]
    assert [result["problem"]["code"] for result in results] == ["invalid", "too_large", "invalid"]
    assert (await post(**named(ITEM_NAMES_MAX - 1))).status == 422
    assert (await post(**named(ITEM_NAMES_MAX))).code == "too_large"


async def test_a_batch_takes_ten_thousand_items_and_no_more(house: House) -> None:
    full: list[Any] = [named(ITEM_NAMES_MAX)] + [{}] * (ITEMS_MAX - 1)
    path = "/v1/service-record-batches"
    said = await house.poster.post(path, {"items": full})
    assert (said.status, said.json["refused"]) == (200, ITEMS_MAX)
    said = await house.poster.post(path, {"items": [*full, {}]})
    assert (said.status, said.pointers) == (422, {"/items": "wrong_value"})
    lines = b"\n".join(map(orjson.dumps, full))
    media = "application/x-ndjson"
    said = await house.poster.post(path, raw=lines, media=media)
    assert (said.status, said.json["refused"]) == (200, ITEMS_MAX)
    said = await house.poster.post(path, raw=lines + b"\n{}", media=media)
    assert (said.status, said.code) == (422, "invalid")
