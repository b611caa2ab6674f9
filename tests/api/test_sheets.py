"""CSV and XLSX as people send them, and as hostile people do."""

import csv
import io
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, date, datetime
from typing import Any

import pytest
import xlsxwriter

from api import sheets, xlsx_rows
from api.asks import MemberAsk, ServiceRecordAsk
from api.imports import MEMBER_SHEET, RECORD_SHEET, read_items
from api.problems import Invalid
from api.sheets import Column, Line, csv_text, fields, read_sheet, write_xlsx
from ledger.units import Refused

KNOWN = {"receipt", "activity", "place"}
HEADER = ["receipt", "activity", "place"]
RECORD_HEADER = (
    "receipt,member_ref,activity,category,place,responsible,started_at,ended_at,break_minutes"
)
RECORD_LINE = "R-1,V-1,陪伴,elderly,lake,s-7,2026-03-09T14:00:00+08:00,2026-03-09T16:00:00+08:00,"


def lines(data: bytes, known: set[str] = KNOWN, charset: str | None = None) -> list[Line]:
    return list(read_sheet(data, known, charset).lines)


def cells(data: bytes) -> list[dict[str, Any]]:
    return [line.cells for line in lines(data)]


def workbook(*rows: list[Any], formats: dict[int, str] | None = None) -> bytes:
    """An XLSX of these rows; what is a date is written as a sheet keeps dates."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True, "remove_timezone": True})
    sheet = book.add_worksheet()
    shown = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            match value:
                case None:
                    continue
                case datetime() | date():
                    sheet.write_datetime(number, place, value, shown)
                case ("formula", formula, result):
                    sheet.write_formula(number, place, formula, None, result)
                case _:
                    sheet.write(number, place, value)
    book.close()
    return file.getvalue()


# --- CSV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_is_read_in_the_encodings_that_sheets_write(encoding: str) -> None:
    data = "receipt,activity,place\nR-1,陪伴就医𠮷,lake\n".encode(encoding)
    assert cells(data) == [{"receipt": "R-1", "activity": "陪伴就医𠮷", "place": "lake"}]


def test_a_charset_that_is_told_decides_between_two_readings() -> None:
    data = b"receipt,activity\n1," + "隆".encode("gb18030")
    assert lines(data)[0].cells["activity"] != "隆"  # as UTF-8 it is something else
    assert lines(data, charset="GBK")[0].cells["activity"] == "隆"


def test_a_text_in_no_known_encoding_is_refused() -> None:
    for data in (b"receipt\ncaf\xe9,", "receipt\n".encode("utf-16")):
        with pytest.raises(Refused, match="bad_encoding"):
            lines(data)


def test_lines_are_counted_from_the_header_and_over_blank_and_broken_ones() -> None:
    data = b'receipt,activity\r\n\r\nR-1,a\r\n,\r\nR-2,"two\r\nlines"\r\nR-3,c\r\n'
    assert [line.number for line in lines(data)] == [3, 5, 7]


def test_white_space_around_a_cell_is_none_of_it_and_an_empty_cell_is_not_given() -> None:
    assert cells(b" receipt ,activity,place\n R-1 ,  ,\tlake\n") == [
        {"receipt": "R-1", "place": "lake"}
    ]


def test_a_line_longer_than_the_header_overhangs() -> None:
    (line, plain) = lines(b"receipt,activity\nR-1,a,b\nR-2,a,\n")
    assert (line.overhangs, plain.overhangs) == (True, False)


@pytest.mark.parametrize("data", [b"", b"\n\n", b",,\n1,2,3", b'receipt\n"open', b'receipt\n"a"b'])
def test_what_is_no_sheet_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="unreadable_sheet"):
        lines(data)


def test_columns_that_nobody_knows_are_refused_by_their_names() -> None:
    with pytest.raises(Invalid) as caught:
        lines(b"receipt,colour,activity,,activity\n")
    said = [(error.code, error.params["column"]) for error in caught.value.errors]
    assert said == [
        ("unknown_column", "'colour'"),
        ("unknown_column", "''"),
        ("column_given_twice", "activity"),
    ]


# --- XLSX ----------------------------------------------------------------------------------------


def test_an_xlsx_is_read_like_a_csv() -> None:
    data = workbook(HEADER, ["R-1", "陪伴", "lake"], [], [None, " x "])
    assert [(line.number, line.cells) for line in lines(data)] == [
        (2, {"receipt": "R-1", "activity": "陪伴", "place": "lake"}),
        (4, {"activity": "x"}),
    ]


def test_a_formula_stands_for_its_value() -> None:
    data = workbook(HEADER, ["R-1", ("formula", '="t"&"x"', "tx"), ("formula", "=1+1", 2)])
    assert cells(data) == [{"receipt": "R-1", "activity": "tx", "place": 2.0}]


def test_a_number_in_a_text_column_is_written_without_a_fraction() -> None:
    columns = {name: Column() for name in HEADER}
    (line,) = lines(workbook(HEADER, [1001, 12.5, True]))
    read = fields(line, columns)
    assert read.value == {"receipt": "1001", "activity": "12.5", "place": True}


def test_only_the_first_sheet_is_read() -> None:
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    for name in ("one", "two"):
        sheet = book.add_worksheet(name)
        sheet.write_row(0, 0, HEADER)
        sheet.write(1, 0, name)
    book.close()
    assert cells(file.getvalue()) == [{"receipt": "one"}]


def test_what_only_looks_like_an_xlsx_is_refused() -> None:
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "no sheet")
    for data in (b"PK\x03\x04 and no more", other.getvalue(), workbook(HEADER)[:1000]):
        with pytest.raises(Refused, match="unreadable_sheet"):
            lines(data)


def test_a_small_sheet_that_claims_a_far_corner_harms_nobody() -> None:
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write(0, 0, "receipt")
    sheet.write(1_048_575, 16_383, "far away")  # 500 GB, if all between were kept
    book.close()
    assert len(file.getvalue()) < 10_000
    with pytest.raises(Refused, match="unreadable_sheet"):
        lines(file.getvalue())


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """An XLSX of a megabyte and a half in which one text has a gigabyte and a half."""
    swollen = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(HEADER, ["R-1"]))) as archive,
        zipfile.ZipFile(swollen, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as written,
    ):
        for name in archive.namelist():
            if name == "xl/sharedStrings.xml":
                with written.open(name, "w", force_zip64=True) as entry:
                    entry.write(b'<?xml version="1.0"?><sst><si><t>')
                    for _ in range(1_500):
                        entry.write(b"a" * 1024 * 1024)
            else:
                written.writestr(name, archive.read(name))
    return swollen.getvalue()


def test_a_zip_bomb_harms_nobody(bomb: bytes) -> None:
    assert len(bomb) < 16 * 1024 * 1024
    with pytest.raises(Refused, match="unreadable_sheet"):
        lines(bomb)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a program to its memory")
def test_two_workbooks_are_read_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = threading.BoundedSemaphore(sheets.XLSX_AT_ONCE)
    monkeypatch.setattr(sheets, "_reading", reading)
    book = workbook(HEADER, ["r-1", "a", "lake"])
    assert reading.acquire()
    assert len(lines(book)) == 1
    with pytest.raises(Refused, match="unreadable_sheet"):
        lines(b"PK\x03\x04junk")
    assert reading.acquire()
    monkeypatch.setattr(sheets, "XLSX_SECONDS_MAX", 0)
    with pytest.raises(Refused, match="busy"):
        lines(book)
    reading.release()
    reading.release()
    with pytest.raises(ValueError, match="released too many times"):
        reading.release()


def test_a_zip_bomb_ends_its_reader_before_it_has_the_machines_memory(bomb: bytes) -> None:
    program = [sys.executable, "-P", xlsx_rows.__file__]
    ended = subprocess.run(program, input=bomb, capture_output=True, check=False)
    assert ended.returncode != 0
    assert b"memory" in ended.stderr.lower()


# --- lines as asks -------------------------------------------------------------------------------


def test_a_line_becomes_an_ask() -> None:
    data = f"{RECORD_HEADER},professional\n{RECORD_LINE}15,TRUE\n".encode()
    (item,) = read_items(data, RECORD_SHEET, ServiceRecordAsk)
    assert item.no is None
    assert item.ask is not None
    assert (item.line, item.ask.break_minutes, item.ask.professional) == (2, 15, True)
    assert item.ask.started_at == datetime(2026, 3, 9, 6, tzinfo=UTC)
    assert item.ask.capacity == "volunteer"


def test_a_member_is_read_from_flat_columns() -> None:
    data = (
        "external_ref,roles,unit,name,birth_date\nV-1,volunteer | resident,lake,张三,1950-01-02\n"
    )
    (item,) = read_items(data.encode(), MEMBER_SHEET, MemberAsk)
    assert item.ask is not None
    assert item.ask.roles == ("volunteer", "resident")
    assert item.ask.person is not None
    assert (item.ask.person.name, item.ask.person.birth_date) == ("张三", date(1950, 1, 2))


def test_a_member_without_person_columns_has_no_person() -> None:
    (item,) = read_items(b"roles,unit,name\nvolunteer,lake,\n", MEMBER_SHEET, MemberAsk)
    assert item.ask is not None
    assert item.ask.person is None


def test_columns_that_are_missing_are_said_together() -> None:
    with pytest.raises(Invalid) as caught:
        read_items(b"receipt,activity,category,place\n", RECORD_SHEET, ServiceRecordAsk)
    said = [(error.code, *error.params.values()) for error in caught.value.errors]
    assert said == [
        ("missing_column", "responsible"),
        ("missing_column", "started_at"),
        ("missing_column", "ended_at"),
        ("one_of_two", "member_id", "member_ref"),
    ]


def test_a_date_cell_says_that_it_has_no_offset_and_a_long_number_that_it_was_rounded() -> None:
    header = [*RECORD_HEADER.split(",")]
    row: list[Any] = RECORD_LINE.split(",")
    row[6] = datetime(2026, 3, 9, 14)  # noqa: DTZ001  (a sheet knows no zone)
    row[0] = 370212199001011234
    row[8] = 12.5
    (item,) = read_items(workbook(header, row), RECORD_SHEET, ServiceRecordAsk)
    assert isinstance(item.no, Invalid)
    assert {error.pointer: error.code for error in item.no.errors} == {
        "/started_at": "cell_without_offset",
        "/receipt": "cell_rounded",
        "/break_minutes": "wrong_type",
    }


def test_a_date_cell_is_a_birth_date() -> None:
    data = workbook(
        ["roles", "unit", "name", "birth_date"], ["volunteer", "lake", "李", date(1950, 1, 2)]
    )
    (item,) = read_items(data, MEMBER_SHEET, MemberAsk)
    assert item.ask is not None
    assert item.ask.person is not None
    assert item.ask.person.birth_date == date(1950, 1, 2)


def test_a_broken_line_stands_beside_sound_ones() -> None:
    data = f"{RECORD_HEADER}\n{RECORD_LINE}\n{RECORD_LINE}x,y\n{RECORD_LINE}\n".encode()
    items = read_items(data, RECORD_SHEET, ServiceRecordAsk)
    assert [(item.line, item.no is None) for item in items] == [(2, True), (3, False), (4, True)]
    assert isinstance(items[1].no, Invalid)
    assert [error.code for error in items[1].no.errors] == ["beyond_the_columns", "wrong_type"]


def test_too_many_lines_are_too_much() -> None:
    data = (RECORD_HEADER + "\n" + f"{RECORD_LINE}\n" * 3).encode()
    assert len(read_items(data, RECORD_SHEET, ServiceRecordAsk, lines_max=3)) == 3
    with pytest.raises(Refused, match="too_large"):
        read_items(data, RECORD_SHEET, ServiceRecordAsk, lines_max=2)


def test_a_sheet_has_two_hundred_and_fifty_six_columns_and_no_more() -> None:
    def header(count: int) -> bytes:
        return ",".join(f"c{number}" for number in range(count)).encode() + b"\n"

    known = {f"c{number}" for number in range(300)}
    assert len(read_sheet(header(256), known).columns) == 256
    with pytest.raises(Invalid) as no:
        read_sheet(header(257), known)
    assert [error.params for error in no.value.errors] == [{"expected": "≤ 256"}]


# --- writing -------------------------------------------------------------------------------------


def test_no_text_of_a_written_sheet_can_be_taken_for_a_formula() -> None:
    texts = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        "＝1",
        "＋1",
        "－1",
        "＠A",
        "a=b",
        "",
    ]
    written = csv_text([["ref", "credits"], *([text, -60] for text in texts)])
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert [row[0] for row in rows[1:]] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@SUM(A1)",
        "'\tx",
        "'\rx",
        "'\nx",
        "'＝1",
        "'＋1",
        "'－1",
        "'＠A",
        "a=b",
        "",
    ]
    assert {row[1] for row in rows[1:]} == {"-60"}


def test_a_written_xlsx_keeps_texts_as_texts_and_numbers_as_numbers() -> None:
    file = io.BytesIO()
    write_xlsx(file, "passbook", [HEADER, ["=1+1", "https://example.org", "007"], [1, -2, None]])
    assert cells(file.getvalue()) == [
        {"receipt": "'=1+1", "activity": "https://example.org", "place": "007"},
        {"receipt": 1.0, "activity": -2.0},
    ]
    with zipfile.ZipFile(io.BytesIO(file.getvalue())) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
