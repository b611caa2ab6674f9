"""Imports of CSV and XLSX, over HTTP and from the command line."""

import io
from typing import Any

import pytest
import xlsxwriter

from api.batches import BatchRefused, BatchWritten
from api.imports import import_members, import_service_records
from api.problems import Invalid
from ledger import journal
from ledger.commands import Stamp
from tests.api.house import Caller, House, Said
from tests.api.visits import visit

RECORDS = "/v1/imports/service-records"
MEMBERS = "/v1/imports/members"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OCTETS = "application/octet-stream"
STAMP: Stamp = {
    "actor": "cli",
    "actor_name": "cli",
    "actor_member": None,
    "by_admin": True,
    "correlation_id": "chain",
}
PEOPLE = """\
external_ref,roles,unit,name,document_number,birth_date,phone
V-1,volunteer,lake,张三,370212199001011234,1990-01-01,13812345678
V-2,volunteer|resident,west,李四,,,
V-3,resident,lake,,,,
"""


def table(rows: list[dict[str, Any]]) -> str:
    header = list(rows[0])
    lines = [",".join(str(row.get(name, "")) for name in header) for row in rows]
    return "\n".join([",".join(header), *lines, ""])


def visits(count: int = 3, **other: Any) -> list[dict[str, Any]]:
    return [
        visit(f"{hour:02}:00", f"{hour:02}:30", member_ref="V-1", **other) for hour in range(count)
    ]


def book(text: str) -> bytes:
    """The same table as an XLSX."""
    file = io.BytesIO()
    made = xlsxwriter.Workbook(file, {"in_memory": True})
    sheet = made.add_worksheet()
    for number, line in enumerate(text.splitlines()):
        sheet.write_row(number, 0, line.split(","))
    made.close()
    return file.getvalue()


async def post(
    caller: Caller, path: str, data: str | bytes, media: str = "text/csv", **other: Any
) -> Said:
    raw = data.encode() if isinstance(data, str) else data
    return await caller.post(path, raw=raw, media=media, **other)


async def peopled(house: House) -> list[str]:
    said = await post(house.poster, MEMBERS, PEOPLE)
    assert said.json["accepted"] == 3, said.body
    return [result["id"] for result in said.json["results"]]


# --- members -------------------------------------------------------------------------------------


async def test_members_are_registered_from_a_sheet(each_house: House) -> None:
    house = each_house
    said = await post(house.poster, "/v1/imports/members", PEOPLE)
    assert said.status == 200
    BatchWritten.model_validate(said.json, extra="forbid")
    assert said.json["accepted"] == 3
    assert said.json["position"] == house.position
    assert [(result["index"], result["line"]) for result in said.json["results"]] == [
        (0, 2),
        (1, 3),
        (2, 4),
    ]
    first, second, third = (result["id"] for result in said.json["results"])
    refs = house.ledger.vault.find_refs("org-a", ["V-1", "V-2", "V-3"])
    assert refs == {"V-1": first, "V-2": second, "V-3": third}
    found = await house.poster.get(f"/v1/members/{first}?min_position={house.position}")
    assert found.json["person"]["document_number"] == "3702**********1234"
    found = await house.poster.get(f"/v1/members/{second}")
    assert (found.json["roles"], found.json["unit"]) == (["volunteer", "resident"], "west")


async def test_the_same_sheet_of_members_again_changes_nothing(each_house: House) -> None:
    ids = await peopled(each_house)
    position = each_house.position
    again = await post(each_house.poster, MEMBERS, PEOPLE)
    assert (again.json["accepted"], again.json["replayed"]) == (0, 3)
    assert [result["id"] for result in again.json["results"]] == ids
    assert each_house.position == position
    assert len(list(each_house.ledger.vault.everyone())) == 3


async def test_somebody_who_stands_twice_in_a_sheet_is_one_member(house: House) -> None:
    twice = PEOPLE + "V-1,resident,west,,,,\nV-9,volunteer,lake,张三,370212199001011234,,\n"
    for path in (f"{MEMBERS}?dry_run=true", MEMBERS):
        said = await post(house.poster, path, twice)
        results = said.json["results"]
        assert [result["status"] for result in results] == ["accepted"] * 3 + ["replayed"] * 2
        assert results[0]["id"] == results[3]["id"] == results[4]["id"]
    found = house.ledger.vault.find_refs("org-a", ["V-1", "V-9"])
    assert found["V-1"] == found["V-9"]


async def test_a_line_that_is_refused_leaves_nothing_in_the_vault(each_house: House) -> None:
    house = each_house
    sheet = PEOPLE + "V-4,volunteer,nowhere,王五,,,\nV-5,boss,lake,赵六,,,\n"
    said = await post(house.poster, MEMBERS, sheet)
    assert (said.json["accepted"], said.json["refused"]) == (3, 2)
    assert len(list(house.ledger.vault.everyone())) == 3
    problems = {r["line"]: r["problem"] for r in said.json["results"] if "problem" in r}
    assert problems[5]["errors"][0]["pointer"] == "/unit"
    assert problems[6]["errors"][0]["pointer"] == "/roles/0"


async def test_all_members_or_none(each_house: House) -> None:
    house = each_house
    for bad in ("V-4,volunteer,nowhere,,,,\n", "V-4,boss,lake,,,,\n"):
        refused = await post(house.poster, f"{MEMBERS}?mode=all", PEOPLE + bad)
        assert (refused.status, refused.code) == (409, "batch_refused")
        BatchRefused.model_validate(refused.json, extra="forbid")
        assert list(house.ledger.vault.everyone()) == []
    assert (await post(house.poster, f"{MEMBERS}?mode=all", PEOPLE)).json["accepted"] == 3


async def test_a_known_person_joins_from_a_sheet_only_by_consent(house: House) -> None:
    (zhang, *_) = await peopled(house)
    header = "external_ref,roles,unit,name,document_number,consent_ref"
    person = "volunteer,lake,张三,370212199001011234"
    sheet = f"{header}\nB-1,{person},\nB-2,{person},c-1\nB-3,{person},\n"
    said = await post(house.other_poster, MEMBERS, sheet)
    statuses = [result["status"] for result in said.json["results"]]
    assert statuses == ["refused", "accepted", "replayed"]
    assert said.json["results"][0]["problem"]["code"] == "consent_needed"
    assert said.json["results"][1]["id"] == zhang


async def test_a_sheet_of_members_is_for_one_organisation(house: House) -> None:
    header, *lines = PEOPLE.splitlines()
    sheet = "\n".join(
        [
            f"organisation,{header}",
            *(f"{name},{line}" for name, line in zip(("org-b", "", "org-a"), lines, strict=True)),
        ]
    )
    said = await post(house.admin, MEMBERS, sheet)
    assert [result["status"] for result in said.json["results"]] == [
        "accepted",
        "accepted",
        "refused",
    ]
    missing = await post(house.admin, MEMBERS, PEOPLE)
    assert (missing.json["refused"], missing.json["position"]) == (3, 0)
    assert (await post(house.admin, f"{MEMBERS}?organisation=org-a", PEOPLE)).json["refused"] == 1


async def test_an_import_under_an_idempotency_key_makes_nobody_twice(house: House) -> None:
    sheet = "roles,unit,name\nvolunteer,lake,张三\n"
    first = await post(house.poster, MEMBERS, sheet, once="k-1")
    again = await post(house.poster, MEMBERS, sheet, once="k-1")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    assert len(list(house.ledger.vault.everyone())) == 1


# --- service records -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "media"),
    [
        ("utf-8", "text/csv"),
        ("utf-8-sig", "text/csv; charset=utf-8"),
        ("gb18030", "text/csv"),
        ("gb18030", "text/csv; charset=gb18030"),
        ("gb18030", OCTETS),
        ("xlsx", XLSX),
        ("xlsx", OCTETS),
    ],
)
async def test_service_records_are_posted_from_a_sheet(
    house: House, encoding: str, media: str
) -> None:
    await peopled(house)
    text = table(visits(break_minutes=5))
    data = book(text) if encoding == "xlsx" else text.encode(encoding)
    said = await post(house.poster, "/v1/imports/service-records", data, media)
    assert said.status == 200, said.body
    BatchWritten.model_validate(said.json, extra="forbid")
    assert (said.json["accepted"], said.json["refused"]) == (3, 0)
    assert [result["line"] for result in said.json["results"]] == [2, 3, 4]
    path = f"/v1/service-records?min_position={said.json['position']}"
    found = (await house.poster.get(path)).json["data"]
    assert {(record["activity"], record["minutes"]) for record in found} == {("陪伴就医", 25)}


async def test_the_same_sheet_again_changes_nothing(each_house: House) -> None:
    await peopled(each_house)
    sheet = table(visits())
    first = await post(each_house.poster, RECORDS, sheet)
    position = each_house.position
    again = await post(each_house.poster, RECORDS, book(sheet), XLSX)
    assert (again.json["accepted"], again.json["replayed"]) == (0, 3)
    assert [r["id"] for r in again.json["results"]] == [r["id"] for r in first.json["results"]]
    assert each_house.position == position


async def test_broken_lines_stand_beside_sound_ones(house: House) -> None:
    await peopled(house)
    rows = visits(4)
    rows[1]["member_ref"] = "V-404"
    rows[2]["ended_at"] = "2026-01-01T10:00:00"
    said = await post(house.poster, RECORDS, table(rows))
    assert (said.json["accepted"], said.json["refused"]) == (2, 2)
    problems = {r["line"]: r["problem"] for r in said.json["results"] if "problem" in r}
    assert {error["pointer"] for error in problems[3]["errors"]} == {"/member_ref"}
    assert {error["pointer"] for error in problems[4]["errors"]} == {"/ended_at"}
    refused = await post(house.poster, f"{RECORDS}?mode=all", table(rows))
    assert (refused.status, refused.json["results"][2]["line"]) == (409, 4)


async def test_a_dry_run_of_an_import_writes_nothing(house: House) -> None:
    await peopled(house)
    position = house.position
    said = await post(house.poster, f"{RECORDS}?dry_run=true", table(visits()))
    assert (said.status, said.json["accepted"], said.json["dry_run"]) == (200, 3, True)
    assert house.position == position


@pytest.mark.parametrize(
    ("language", "says"), [("zh", "没有名为 'colour' 的列"), ("en", "'colour'")]
)
async def test_columns_that_nobody_knows_are_refused_by_their_names(
    house: House, language: str, says: str
) -> None:
    rows = [row | {"colour": "red"} for row in visits()]
    headers = {"Accept-Language": language}
    refused = await post(house.poster, RECORDS, table(rows), headers=headers)
    assert (refused.status, refused.code) == (422, "invalid")
    (error,) = refused.json["errors"]
    assert error["code"] == "unknown_column"
    assert says in error["detail"]


async def test_columns_that_are_missing_are_said_together(house: House) -> None:
    refused = await post(house.poster, RECORDS, "receipt,activity\n")
    assert refused.status == 422
    assert {error["code"] for error in refused.json["errors"]} == {"missing_column", "one_of_two"}
    assert len(refused.json["errors"]) == 6


@pytest.mark.parametrize(
    ("data", "media", "status", "code"),
    [
        (b"", "text/csv", 400, "unreadable_sheet"),
        (b"PK\x03\x04junk", XLSX, 400, "unreadable_sheet"),
        (b"receipt\ncaf\xe9,", "text/csv", 400, "bad_encoding"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
    ],
)
async def test_what_is_no_sheet_is_refused(
    house: House, data: bytes, media: str, status: int, code: str
) -> None:
    for path in (RECORDS, MEMBERS):
        refused = await post(house.poster, path, data, media)
        assert (refused.status, refused.code) == (status, code)


async def test_a_sheet_longer_than_a_batch_is_too_large_over_http(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.imports.ITEMS_MAX", 2)
    await peopled_by_hand(house)
    refused = await post(house.poster, RECORDS, table(visits(3)))
    assert (refused.status, refused.code) == (413, "too_large")


async def peopled_by_hand(house: House) -> None:
    member = {"external_ref": "V-1", "roles": ["volunteer"], "unit": "lake"}
    await house.poster.post("/v1/members", member)


# --- from the command line -----------------------------------------------------------------------


async def test_the_command_line_imports_in_parts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.imports.LINES_AT_ONCE", 2)
    told: list[tuple[int, int]] = []

    def progress(done: int, of: int) -> None:
        told.append((done, of))

    made = import_members(house.ledger, "org-a", STAMP, PEOPLE.encode(), progress=progress)
    assert (made["accepted"], told) == (3, [(2, 3), (3, 3)])
    rows = visits(5)
    rows[3]["place"] = "nowhere"
    said = import_service_records(house.ledger, "org-a", STAMP, table(rows).encode())
    assert (said["accepted"], said["replayed"], said["refused"]) == (4, 0, 1)
    assert [(r["index"], r["line"]) for r in said["results"]] == [(n, n + 2) for n in range(5)]
    assert said["position"] == house.position
    with house.ledger.store.reading() as connection:
        last = journal.entries_after(connection, house.position - 1)[0]
    assert last.event.actor == "cli"
    again = import_service_records(house.ledger, "org-a", STAMP, table(rows).encode())
    assert (again["accepted"], again["replayed"], again["refused"]) == (0, 4, 1)


async def test_the_command_line_takes_all_or_nothing_and_tries(house: House) -> None:
    import_members(house.ledger, "org-a", STAMP, PEOPLE.encode())
    position = house.position
    rows = visits(3)
    tried = import_service_records(house.ledger, "org-a", STAMP, table(rows).encode(), dry_run=True)
    assert (tried["accepted"], tried["dry_run"], "position" in tried) == (3, True, False)
    rows[1]["place"] = "nowhere"
    refused = import_service_records(
        house.ledger, "org-a", STAMP, table(rows).encode(), mode="all", language="en"
    )
    assert (refused["code"], refused["title"]) == ("batch_refused", "Batch refused")
    assert house.position == position
    with pytest.raises(Invalid):
        import_service_records(house.ledger, "org-a", STAMP, b"receipt\n")
