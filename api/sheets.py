"""Sheets: CSV and XLSX read into lines of named cells, and passbooks written as either.

Reading judges nothing but the sheet itself: which columns there are, and what stands on which
line (the header's is line 1). `fields` gives a line's cells as the JSON that they stand for.
"""

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import xlsxwriter  # type: ignore[import-untyped]  # it brings no types

from api.problems import FieldError, Invalid
from ledger.units import Refused

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OCTETS = "application/octet-stream"

XLSX_SECONDS_MAX = 60
XLSX_AT_ONCE = 2  # programs that read one, each with up to a GiB of memory
COLUMNS_MAX = 256
NAME_MAX = 100  # of a column that nobody knows, as it is repeated
EXACT_MAX = 10**15  # a sheet keeps a number of 16 digits or more only about

XLSX_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
"""One row in memory at a time, and every text stays a text."""

_reading = threading.BoundedSemaphore(XLSX_AT_ONCE)

Cell = str | int | float | bool | date | datetime
Kind = Literal["text", "whole", "flag", "list", "instant", "day"]
"""What a column's cells stand for."""


class Column(NamedTuple):
    """A column that a sheet may have: its kind, and the field it fills."""

    kind: Kind = "text"
    place: tuple[str, ...] = ()  # where it is not the column's own name


class Line(NamedTuple):
    """One line of a sheet: its number, its cells that are not empty, and whether it overhangs."""

    number: int
    cells: dict[str, Cell]
    overhangs: bool = False  # a cell stands beyond the last column


class Sheet(NamedTuple):
    """A sheet with a header."""

    columns: list[str]
    lines: Iterator[Line]


class Read(NamedTuple):
    """A line as JSON, and what else there is to say where a field is refused."""

    value: dict[str, Any]
    hints: dict[str, str]  # pointer -> the code that tells more


# --- reading -------------------------------------------------------------------------------------


def read_sheet(data: bytes, known: Container[str], charset: str | None = None) -> Sheet:
    """The sheet in the bytes, which tell themselves whether they are XLSX or CSV.

    Invalid names every column that is unknown, unnamed or there twice.
    """
    is_xlsx = data.startswith(b"PK\x03\x04")
    rows = _xlsx_rows(data) if is_xlsx else _csv_rows(_text(data, charset))
    first = next(rows, None)
    if first is None:
        raise Refused("unreadable_sheet")
    columns = [str(cell).strip() for cell in first[1]]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise Refused("unreadable_sheet")
    _check(columns, known)
    return Sheet(columns, _lines(columns, rows))


def fields(line: Line, columns: Mapping[str, Column]) -> Read:
    """The JSON that a line stands for; cells that fit no kind are left for the model to refuse."""
    value: dict[str, Any] = {}
    hints: dict[str, str] = {}
    for name, cell in line.cells.items():
        kind, place = columns[name]
        said, hint = _value(cell, kind)
        where = value
        for outer in place[:-1]:
            where = where.setdefault(outer, {})
        where[place[-1] if place else name] = said
        if hint:
            hints["/" + "/".join(place or (name,))] = hint
    return Read(value, hints)


def _text(data: bytes, charset: str | None) -> str:
    """UTF-8, with or without its mark, else GB18030."""
    encodings = ("utf-8-sig", "gb18030")
    if charset is not None and charset.lower() in ("gbk", "gb2312", "gb18030"):
        encodings = ("gb18030", "utf-8-sig")  # some short texts can be read as both
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refused("bad_encoding")


def _csv_rows(text: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Refused("unreadable_sheet") from None
        yield begins, row
        begins = reader.line_num + 1  # a quoted cell may go over several lines


def _xlsx_rows(data: bytes) -> Iterator[tuple[int, Sequence[Cell]]]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("xlsx_rows.py"))]
    if not _reading.acquire(timeout=XLSX_SECONDS_MAX):
        raise Refused("busy")
    try:
        done = subprocess.run(  # noqa: S603  (our own program, no argument from outside)
            command, input=data, capture_output=True, timeout=XLSX_SECONDS_MAX, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise Refused("unreadable_sheet") from None
    finally:
        _reading.release()
    for said in done.stdout.splitlines():
        line, row = json.loads(said)
        yield line, [_cell(cell) for cell in row]


def _cell(said: Any) -> Cell:
    match said:
        case {"datetime": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
    cell: Cell = said
    return cell


def _check(columns: Sequence[str], known: Container[str]) -> None:
    wrong: list[FieldError] = []
    if len(columns) > COLUMNS_MAX:
        wrong.append(FieldError("", "wrong_value", {"expected": f"≤ {COLUMNS_MAX}"}))
    for place, name in enumerate(columns[:COLUMNS_MAX]):
        if name not in known:
            wrong.append(FieldError("", "unknown_column", {"column": _shown(name)}))
        elif name in columns[:place]:
            wrong.append(FieldError("", "column_given_twice", {"column": name}))
    if wrong:
        raise Invalid(wrong)


def _shown(name: str) -> str:
    return repr(name if len(name) <= NAME_MAX else name[:NAME_MAX] + "…")


def _lines(columns: Sequence[str], rows: Iterable[tuple[int, Sequence[Cell]]]) -> Iterator[Line]:
    for number, row in rows:
        cells: dict[str, Cell] = {}
        for name, cell in zip(columns, row, strict=False):
            if isinstance(cell, str):
                cell = cell.strip(" \t")
            if cell != "":
                cells[name] = cell
        overhangs = any(not isinstance(c, str) or c.strip() for c in row[len(columns) :])
        if cells or overhangs:
            yield Line(number, cells, overhangs)


def _value(cell: Cell, kind: Kind) -> tuple[object, str]:
    """What a cell stands for, and the hint that belongs to it if it is refused."""
    match kind, cell:
        case "whole", str() if cell.isascii() and cell.isdigit() and len(cell) < 10:
            return int(cell), ""
        case "whole", float() if cell.is_integer() and abs(cell) < EXACT_MAX:
            return int(cell), ""
        case "flag", str() if cell.lower() in ("true", "false"):
            return cell.lower() == "true", ""
        case "list", str():
            return [part.strip() for part in cell.split("|")], ""
        case "instant", date():  # a date and time too
            return cell.isoformat(), "cell_without_offset"
        case "day", datetime() if cell.time() == datetime.min.time():
            return cell.date().isoformat(), ""
        case "day", date() if not isinstance(cell, datetime):
            return cell.isoformat(), ""
        case "text", bool():
            return cell, ""
        case "text", int() | float() if isfinite(cell):
            if abs(cell) >= EXACT_MAX:
                return cell, "cell_rounded"
            return str(int(cell)) if cell == int(cell) else repr(cell), ""
    return cell, ""


# --- writing -------------------------------------------------------------------------------------

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What begins a formula; in programs of sheets in Chinese and Japanese the wide signs too."""


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180) in which no text can be taken for a formula."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    for row in rows:
        writer.writerow([harmless(value) for value in row])
    return written.getvalue()


def write_xlsx(file: IO[bytes], name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Rows as the only sheet of an XLSX, one row in memory at a time; every text stays a text."""
    book = xlsxwriter.Workbook(file, XLSX_OPTIONS)
    sheet = book.add_worksheet(name)
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            if isinstance(value, str):
                sheet.write_string(number, place, harmless(value))
            elif value is not None:
                sheet.write(number, place, value)
    book.close()


def harmless(value: Any) -> Any:
    """A text with which a formula could begin gets an apostrophe; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value
