"""A program of its own: reads an XLSX on standard input, prints its rows as JSON lines.

A hostile sheet of 5 kB can name its last cell `XFD1048576`, and the reader then asks for 500 GB
and ends its process. So it is not ours: this one has little memory and little time, and what
becomes of it harms nobody. It imports nothing of the house.
"""

import json
import sys
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

MEMORY_BYTES_MAX = 1024 * 1024 * 1024
CPU_SECONDS_MAX = 30
OUTPUT_CHARACTERS_MAX = 128 * 1024 * 1024


def main() -> None:
    """Print `[line, [cell, ...]]` for each row of the first sheet that has a cell in it."""
    _limit()
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    workbook = CalamineWorkbook.from_filelike(BytesIO(sys.stdin.buffer.read()))
    first = next(
        index
        for index, sheet in enumerate(workbook.sheets_metadata)
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
    )
    sheet = workbook.get_sheet_by_index(first)
    if sheet.start is None:
        return
    above, before = sheet.start
    left = OUTPUT_CHARACTERS_MAX
    for line, row in enumerate(sheet.iter_rows(), start=above + 1):
        while row and row[-1] == "":
            row.pop()
        if not row:
            continue
        said = json.dumps([line, [""] * before + [_plain(cell) for cell in row]])
        left -= len(said)
        if left < 0:
            sys.exit("too long")
        print(said)  # noqa: T201  (this is what it is for)


def _plain(cell: Any) -> object:
    """Text, numbers and truths as they are; what JSON has no word for under its kind."""
    match cell:
        case datetime():
            return {"datetime": cell.isoformat()}
        case date():
            return {"date": cell.isoformat()}
        case time() | timedelta():
            return str(cell)
    return cell


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not a Unix
        return
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_SECONDS_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(limit, (most, most))
        except (ValueError, OSError):  # the system has no such limit, or already a lower one
            continue


if __name__ == "__main__":
    main()
