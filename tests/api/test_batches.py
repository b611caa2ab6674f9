"""Batches: many service records in one commit, one answer about each."""

import asyncio
from typing import Any

import orjson
import pytest

from api.batches import ITEMS_MAX, BatchRefused, BatchWritten
from tests.api.house import Caller, House, Said
from tests.api.visits import visit

NDJSON = "application/x-ndjson"
NOBODY = "019f0000-0000-7000-8000-00000000dead"


def visits(house: House, count: int = 3) -> list[dict[str, Any]]:
    """So many visits of half an hour, one after the other."""
    return [
        visit(
            f"{number // 2:02}:{number % 2 * 30:02}",
            f"{(number + 1) // 2:02}:{(number + 1) % 2 * 30:02}",
            member_id=house.member_id,
            receipt=f"b-{number}",
        )
        for number in range(count)
    ]


async def post(caller: Caller, items: list[Any], mode: str = "each", **other: Any) -> Said:
    return await caller.post("/v1/service-record-batches", {"mode": mode, "items": items}, **other)


async def post_lines(caller: Caller, lines: list[Any], query: str = "", **other: Any) -> Said:
    raw = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    path = "/v1/service-record-batches" + query
    return await caller.post(path, raw=raw, media=NDJSON, **other)


def codes(said: Said) -> dict[int, str]:
    """The problems' codes by index."""
    return {
        result["index"]: result["problem"]["code"]
        for result in said.json["results"]
        if "problem" in result
    }


async def test_a_batch_is_recorded_and_each_item_answered(each_house: House) -> None:
    said = await post(each_house.poster, visits(each_house))
    assert said.status == 200
    BatchWritten.model_validate(said.json, extra="forbid")
    assert said.json["position"] == each_house.position
    assert said.headers["Ledger-Position"] == str(each_house.position)
    assert {name: said.json[name] for name in ("accepted", "replayed", "refused")} == {
        "accepted": 3,
        "replayed": 0,
        "refused": 0,
    }
    results = said.json["results"]
    assert [(result["index"], result["status"]) for result in results] == [
        (0, "accepted"),
        (1, "accepted"),
        (2, "accepted"),
    ]
    path = f"/v1/service-records?min_position={each_house.position}"
    found = (await each_house.poster.get(path)).json["data"]
    assert [record["id"] for record in found] == [result["id"] for result in results]


async def test_what_was_said_before_is_told_with_the_record_that_stands(each_house: House) -> None:
    first = await post(each_house.poster, visits(each_house, 2))
    position = each_house.position
    again = await post(each_house.poster, visits(each_house, 2))
    assert (again.json["accepted"], again.json["replayed"]) == (0, 2)
    assert [result["id"] for result in again.json["results"]] == [
        result["id"] for result in first.json["results"]
    ]
    assert again.json["position"] == each_house.position == position


async def test_the_second_of_two_equal_items_is_a_replay_of_the_first(house: House) -> None:
    (one,) = visits(house, 1)
    said = await post(house.poster, [one, one, one | {"activity": "其他"}])
    assert [result["status"] for result in said.json["results"]] == [
        "accepted",
        "replayed",
        "refused",
    ]
    assert codes(said) == {2: "receipt_reused"}


async def test_each_refusal_stands_beside_what_is_accepted(each_house: House) -> None:
    house = each_house
    good, overlapping, unknown = visits(house)
    overlapping |= {"started_at": good["started_at"], "ended_at": good["ended_at"]}
    unknown |= {"member_id": NOBODY}
    said = await post(
        house.poster, [good, overlapping, unknown, 5, {"receipt": "x"}, good | {"colour": 1}]
    )
    assert said.status == 200
    BatchWritten.model_validate(said.json, extra="forbid")
    assert (said.json["accepted"], said.json["refused"]) == (1, 5)
    assert codes(said) == {
        1: "overlapping_service",
        2: "not_found",
        3: "invalid",
        4: "invalid",
        5: "invalid",
    }
    problems = [result.get("problem", {}) for result in said.json["results"]]
    assert problems[1]["status"] == 409
    assert problems[2]["errors"][0]["pointer"] == "/member_id"
    assert problems[3]["errors"][0]["pointer"] == ""
    assert {error["pointer"] for error in problems[4]["errors"]} >= {"/activity", "/member_id"}
    assert problems[5]["errors"][0]["pointer"] == "/colour"


async def test_all_takes_nothing_where_something_is_refused(each_house: House) -> None:
    house = each_house
    position = house.position
    good, other, bad = visits(house)
    for spoiler in (bad | {"place": "nowhere"}, bad | {"place": "?"}, bad | {"member_ref": "x"}):
        refused = await post(house.poster, [good, spoiler, other], mode="all")
        assert (refused.status, refused.code) == (409, "batch_refused")
        BatchRefused.model_validate(refused.json, extra="forbid")
        assert (refused.json["accepted"], refused.json["refused"]) == (0, 1)
        assert [result["status"] for result in refused.json["results"]] == [
            "accepted",
            "refused",
            "accepted",
        ]
        assert not any("id" in result for result in refused.json["results"])
        assert house.position == position
    said = await post(house.poster, [good, other, bad], mode="all")
    assert (said.status, said.json["accepted"]) == (200, 3)


async def test_a_batch_is_read_from_ndjson(each_house: House) -> None:
    house = each_house
    first, second, third = visits(house)
    lines = [first, b"", b"{broken", b'{"receipt": "\xff"}', second, b"   ", third, b""]
    said = await post_lines(house.poster, lines)
    assert said.status == 200
    assert (said.json["accepted"], said.json["refused"]) == (3, 2)
    assert codes(said) == {1: "malformed_json", 2: "bad_encoding"}
    refused = await post_lines(house.poster, lines, "?mode=all")
    assert (refused.status, refused.json["replayed"]) == (409, 3)


async def test_a_batch_under_an_idempotency_key_is_answered_as_the_first_time(
    each_house: House,
) -> None:
    house = each_house
    items = [*visits(house), {"receipt": "x"}]
    answers = await asyncio.gather(*(post(house.poster, items, once="k-1") for _ in range(10)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    again = await post(house.poster, items, once="k-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["accepted"] == 3
    other = await post(house.poster, items[:1], once="k-1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_a_refused_batch_may_be_sent_again_under_its_key(house: House) -> None:
    items = visits(house)
    items[1] |= {"place": "creek"}
    assert (await post(house.poster, items, mode="all", once="k-1")).status == 409
    unit = {"code": "creek", "name": "溪谷社区", "level": "community", "parent": "lake"}
    await house.admin.post("/v1/units", unit)
    assert (await post(house.poster, items, mode="all", once="k-1")).status == 200


@pytest.mark.parametrize("mode", ["each", "all"])
async def test_a_dry_run_of_a_batch_writes_nothing(house: House, mode: str) -> None:
    position = house.position
    path = "/v1/service-record-batches?dry_run=true"
    body = {"mode": mode, "items": visits(house)}
    said = await house.poster.post(path, body)
    assert (said.status, said.json["dry_run"], said.json["accepted"]) == (200, True, 3)
    assert "position" not in said.json
    body["items"][1]["place"] = "nowhere"  # type: ignore[index]
    said = await house.poster.post(path, body)
    assert (said.status, said.json["dry_run"]) == (409 if mode == "all" else 200, True)
    assert house.position == position


async def test_an_administrator_posts_for_organisations_by_name(house: House) -> None:
    first, second, third = visits(house)
    refused = await post(house.admin, [first])
    assert refused.json["results"][0]["problem"]["errors"][0] == {
        "pointer": "/organisation",
        "code": "missing",
        "detail": "缺少必填字段。",
    }
    body = {"mode": "each", "organisation": "org-a", "items": [first]}
    assert (await house.admin.post("/v1/service-record-batches", body)).json["accepted"] == 1
    said = await post_lines(house.admin, [second], "?organisation=org-a")
    assert said.json["accepted"] == 1
    assert (await post(house.admin, [third | {"organisation": "org-a"}])).json["accepted"] == 1


async def test_nobody_posts_for_another_organisation(house: House) -> None:
    (one,) = visits(house, 1)
    said = await post(house.poster, [one | {"organisation": "org-b"}])
    assert said.json["results"][0]["problem"]["errors"][0]["pointer"] == "/organisation"
    body = {"mode": "each", "organisation": "org-b", "items": [one]}
    refused = await house.poster.post("/v1/service-record-batches", body)
    assert (refused.status, refused.pointers) == (422, {"/organisation": "not_found"})
    refused = await post_lines(house.poster, [one], "?organisation=org-b")
    assert (refused.status, refused.pointers) == (422, {"/organisation": "not_found"})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"mode": "some", "items": []}, "/mode"),
        ({"mode": "each"}, "/items"),
        ({"mode": "each", "items": {}}, "/items"),
        ({"mode": "each", "items": [], "colour": 1}, "/colour"),
        ({"mode": "each", "items": [0] * (ITEMS_MAX + 1)}, "/items"),
        ([], ""),
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(house: House, body: Any, pointer: str) -> None:
    refused = await house.poster.post("/v1/service-record-batches", body)
    assert (refused.status, list(refused.pointers)) == (422, [pointer])


async def test_more_lines_than_a_batch_may_have_are_refused_whole(house: House) -> None:
    refused = await post_lines(house.poster, [b"0"] * (ITEMS_MAX + 1))
    assert (refused.status, refused.code) == (422, "invalid")


async def test_an_empty_batch_is_answered_with_nothing(house: House) -> None:
    said = await post(house.poster, [])
    assert (said.status, said.json["results"], said.json["position"]) == (200, [], 0)


async def test_problems_within_a_batch_speak_the_callers_language(house: House) -> None:
    headers = {"Accept-Language": "en"}
    said = await post(house.poster, [{}], headers=headers)
    assert said.json["results"][0]["problem"]["title"] == "Invalid request"
    said = await post(house.poster, [{}], mode="all", headers=headers)
    assert (said.status, said.json["title"]) == (409, "Batch refused")


async def test_a_refused_item_repeats_nothing_that_was_given(house: House) -> None:
    (one,) = visits(house, 1)
    said = await post(house.poster, [one | {"activity": "电话13812345678"}])
    assert codes(said) == {0: "personal_data_in_text"}
    assert b"13812345678" not in said.body
