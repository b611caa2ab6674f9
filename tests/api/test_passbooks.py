"""Balance and passbook over HTTP: the totals for those who may know them, lines for the others."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, event

from api.passbooks import Balance, PassbookLine
from tests.api.house import House
from tests.api.people import joined
from tests.api.visits import day, visit


async def lived(house: House) -> tuple[str, int]:
    """Zhang with a record of each organisation, and the position after the last."""
    member_id = await joined(house)
    first = visit(days_ago=9, member_ref="V-1", receipt="=1+1")
    second = visit("09:00", "09:30", days_ago=2, member_ref="B-9", receipt="B-r")
    await house.poster.post("/v1/service-records", first)
    said = await house.other_poster.post("/v1/service-records", second)
    return member_id, said.json["position"]


async def test_a_balance_tells_what_stands_to_the_members_name(each_house: House) -> None:
    house = each_house
    member_id, position = await lived(house)
    said = await house.poster.get(f"/v1/members/{member_id}/balance?min_position={position}")
    assert said.status == 200
    Balance.model_validate(said.json, extra="forbid")
    assert said.json == {
        "member_id": member_id,
        "position": position,
        "as_of": said.json["as_of"],
        "service_minutes": 150,
        "credits": {"available": 150, "held": 0, "frozen": 0, "receivable": 0},
        "coins": "2.50",
        "points": 0,
        "tier": None,
        "stars": 0,
        "grade": "UNGRADED",
        "registration": None,
    }
    assert said.headers["Ledger-Position"] == str(position)


async def test_a_balance_is_told_as_of_a_position_an_instant_and_a_service_date(
    each_house: House,
) -> None:
    house = each_house
    member_id, position = await lived(house)
    await house.admin.get(f"/v1/units?min_position={position}")

    async def minutes(query: str) -> int:
        said = await house.admin.get(f"/v1/members/{member_id}/balance?{query}")
        assert said.status == 200, said.body
        found: int = said.json["service_minutes"]
        return found

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await minutes(f"position={position - 1}") == 120
    assert await minutes("position=1") == 0
    assert await minutes(f"served_until={day(3)}") == 120
    assert await minutes(f"served_until={day(3)}&position=1") == 0
    assert await minutes("as_of=2020-01-01T00:00:00Z") == 0
    assert await minutes("as_of=2199-01-01T00:00:00%2B08:00") == 150
    said = await house.admin.get(f"/v1/members/{member_id}/balance?as_of={now}")
    assert said.json["as_of"] == now
    refused = await house.admin.get(f"/v1/members/{member_id}/balance?as_of=2026-01-01")
    assert (refused.status, refused.pointers) == (422, {"/as_of": "not_an_instant"})


async def test_publishing_other_stars_changes_the_stars_shown(each_house: House) -> None:
    house = each_house
    member_id, position = await lived(house)
    for effective_on, stars in ((day(5), [100, 150]), (day(3), [10, 20, 30]), (day(-9), [1_000])):
        body = {"effective_on": effective_on, "changes": {"stars": stars}}
        position = (await house.admin.post("/v1/policies", body)).json["position"]
    path = f"/v1/members/{member_id}/balance?min_position={position}"
    for query, stars in (
        ("", 3),
        (f"&served_until={day(4)}", 1),
        (f"&served_until={day(6)}", 0),
        (f"&position={position - 3}", 0),
        ("&as_of=2199-01-01T00:00:00Z", 0),
    ):
        assert (await house.poster.get(path + query)).json["stars"] == stars, query


async def test_totals_are_for_home_member_auditors_and_admins(house: House) -> None:
    member_id, position = await lived(house)
    path = f"/v1/members/{member_id}/balance?min_position={position}"
    herself = house.caller(role="member", actor="Zhang", member_id=member_id)
    for caller in (house.poster, house.verifier, house.admin, house.auditor, herself):
        assert (await caller.get(path)).status == 200
    refused = await house.other_poster.get(path)
    assert (refused.status, refused.code) == (403, "forbidden")


async def test_a_passbook_has_a_line_for_each_event(each_house: House) -> None:
    house = each_house
    member_id, position = await lived(house)
    said = await house.poster.get(f"/v1/members/{member_id}/passbook?min_position={position}")
    first, second = said.json["data"]
    PassbookLine.model_validate(first, extra="forbid")
    assert first == {
        "position": position - 1,
        "recorded_at": first["recorded_at"],
        "served_on": day(9),
        "kind": "earn",
        "credits": 120,
        "minutes": 120,
        "points": 0,
        "balance_after": 120,
        "ref": "=1+1",
        "record_id": first["record_id"],
    }
    assert (second["ref"], second["credits"], second["balance_after"]) == ("B-r", 30, 150)
    said = await house.poster.get(f"/v1/members/{member_id}/passbook?limit=1")
    assert said.json["data"] == [first]
    following = said.headers["Link"].partition(">")[0].removeprefix("<")
    assert (await house.poster.get(following)).json["data"] == [second]


async def test_a_joined_organisation_sees_its_own_lines_without_totals(house: House) -> None:
    member_id, position = await lived(house)
    path = f"/v1/members/{member_id}/passbook?min_position={position}"
    (line,) = (await house.other_poster.get(path)).json["data"]
    assert (line["ref"], line["credits"], line["balance_after"]) == ("B-r", 30, None)
    said = await house.other_poster.get(f"{path}&format=csv")
    assert b"=1+1" not in said.body


async def test_a_passbook_is_a_csv_in_which_nothing_is_a_formula(each_house: House) -> None:
    house = each_house
    member_id, position = await lived(house)
    path = f"/v1/members/{member_id}/passbook?format=csv&min_position={position}"
    said = await house.poster.get(path)
    assert said.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert said.headers["Ledger-Position"] == str(position)
    assert member_id in said.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(said.body.decode(), newline="")))
    assert [(row["ref"], row["credits"], row["balance_after"]) for row in rows] == [
        ("'=1+1", "120", "120"),
        ("B-r", "30", "150"),
    ]


async def test_a_passbook_is_an_xlsx(each_house: House) -> None:
    house = each_house
    member_id, position = await lived(house)
    path = f"/v1/members/{member_id}/passbook?format=xlsx&min_position={position}"
    said = await house.poster.get(path)
    assert said.headers["Content-Type"].endswith("spreadsheetml.sheet")
    header, *rows = (
        CalamineWorkbook.from_object(io.BytesIO(said.body)).get_sheet_by_index(0).to_python()
    )
    assert [dict(zip(header, row, strict=True))["balance_after"] for row in rows] == [120, 150]


async def test_a_long_passbook_is_read_a_page_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.passbooks.LINES_AT_ONCE", 2)
    items = [
        visit(f"{hour:02}:00", f"{hour:02}:30", member_id=house.member_id) for hour in range(5)
    ]
    said = await house.poster.post("/v1/service-record-batches", {"mode": "all", "items": items})
    path = f"/v1/members/{house.member_id}/passbook?min_position={said.json['position']}"
    asked = _queries(house.ledger.views_engine)
    written = (await house.member.get(f"{path}&format=csv")).body.decode()
    assert [row["balance_after"] for row in csv.DictReader(io.StringIO(written))] == [
        "30",
        "60",
        "90",
        "120",
        "150",
    ]
    assert len([query for query in asked if "FROM passbook" in query]) == 3
    book = (await house.member.get(f"{path}&format=xlsx")).body
    assert CalamineWorkbook.from_object(io.BytesIO(book)).get_sheet_by_index(0).height == 6


def _queries(engine: Engine) -> list[str]:
    asked: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    return asked


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_a_head_of_a_book_has_no_body_that_the_next_answer_is_mistaken_for(
    house: House, form: str
) -> None:
    member_id, position = await lived(house)
    host, _, port = house.poster.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = f" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.poster.text}\r\n".encode()
    path = f"/v1/members/{member_id}/passbook?format={form}&min_position={position}"
    writer.write(f"HEAD {path}".encode() + key + b"\r\n")
    writer.write(b"GET /v1/units/lake" + key + b"Connection: close\r\n\r\n")
    answered = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    first, second, third = answered.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Disposition: attachment" in first
    assert second.startswith(b"HTTP/1.1 200 ")
    assert third.startswith(b'{"code":"lake"')
