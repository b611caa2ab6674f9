"""Tables as CSV with their schema, Parquet, sheets of XLSX, or a SQLite database."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from scripts.exporting import Export
from scripts.printing import Exit, Stopped

AT_ONCE = 10_000  # rows in a row group or a statement
XLSX_ROWS_MAX = 1_048_576  # in a sheet, its header among them
SCHEMA_FILE = "datapackage.json"

Row = tuple[Any, ...]


def csv_files(export: Export) -> None:
    """A folder with a CSV for each table and a Data Package that describes them.

    A text with which a formula could begin has an apostrophe before it, as the schema says.
    """
    from api.sheets import csv_text
    from projections.extract_tables import TABLES

    export.path.mkdir()
    files = {}
    counts = dict.fromkeys((table.name for table in TABLES), 0)
    hashes = {name: hashlib.sha256() for name in counts}
    try:
        for table in TABLES:
            files[table.name] = (export.path / f"{table.name}.csv").open("wb")
            _add(
                files,
                hashes,
                table.name,
                [tuple(column.name for column in table.columns)],
                csv_text,
            )
        for name, rows in _batches(export):
            counts[name] += len(rows)
            _add(files, hashes, name, rows, csv_text)
    finally:
        for file in files.values():
            file.close()
    schema = _package(export, counts, {name: each.hexdigest() for name, each in hashes.items()})
    (export.path / SCHEMA_FILE).write_bytes(orjson.dumps(schema, option=orjson.OPT_INDENT_2))


def parquet_files(export: Export) -> None:
    """A folder with a Parquet file for each table; integers are 64 bits, instants UTC."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # it brings no types
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise Stopped("not_installed", Exit.UNAVAILABLE, package="pyarrow") from None
    from projections.extract_tables import TABLES

    kinds = {
        "integer": pa.int64(),
        "string": pa.string(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us", "UTC"),
    }
    about = {name: str(value) for name, value in export.about().items() if value is not None}
    export.path.mkdir()
    schemas, writers = {}, {}
    try:
        for table in TABLES:
            fields = [
                pa.field(each.name, kinds[each.kind], nullable=not each.required)
                for each in table.columns
            ]
            schemas[table.name] = pa.schema(fields, metadata=about)
            path = export.path / f"{table.name}.parquet"
            writers[table.name] = pq.ParquetWriter(path, schemas[table.name], compression="zstd")
        for name, rows in _batches(export):
            schema = schemas[name]
            columns = []
            for field, values in zip(schema, zip(*rows, strict=True), strict=True):
                texts = pa.types.is_date(field.type) or pa.types.is_timestamp(field.type)
                column = pa.array(values, pa.string() if texts else field.type)
                columns.append(column.cast(field.type))
            writers[name].write_table(pa.Table.from_arrays(columns, schema=schema))
    finally:
        for writer in writers.values():
            writer.close()


def xlsx_file(export: Export) -> None:
    """A workbook with a sheet for each table, and further ones where a sheet is full."""
    import xlsxwriter  # type: ignore[import-untyped]  # it brings no types

    from api.sheets import XLSX_OPTIONS, harmless
    from projections.extract_tables import TABLES

    # What waits for its place in the file lies in the draft's folder, and goes with it.
    options = {**XLSX_OPTIONS, "tmpdir": str(export.path.parent)}
    book = xlsxwriter.Workbook(export.path, options)
    try:
        headers = {table.name: tuple(each.name for each in table.columns) for table in TABLES}
        sheets = {name: _Sheets(book, name, header, harmless) for name, header in headers.items()}
        for name, rows in _batches(export):
            for row in rows:
                sheets[name].write(row)
    finally:
        book.close()


class _Sheets:
    """A table's sheets in a workbook: the next begins where one is full."""

    def __init__(self, book: Any, name: str, header: Row, harmless: Callable[[str], str]) -> None:
        self._book, self._name, self._header, self._harmless = book, name, header, harmless
        self._sheet: Any = None
        self._count = 0
        self._begin()

    def write(self, row: Row) -> None:
        """The next row, in a further sheet where this one is full."""
        if self._next_row == XLSX_ROWS_MAX:
            self._begin()
        for place, value in enumerate(row):
            if isinstance(value, str):
                self._sheet.write_string(self._next_row, place, self._harmless(value))
            elif value is not None:
                self._sheet.write(self._next_row, place, value)
        self._next_row += 1

    def _begin(self) -> None:
        self._count += 1
        name = self._name if self._count == 1 else f"{self._name} {self._count}"
        self._sheet = self._book.add_worksheet(name)
        self._next_row = 0
        self.write(self._header)


def sqlite_file(export: Export) -> None:
    """A SQLite database with a strict table for each, keys, indexes, and a table `export`."""
    from projections.extract_tables import TABLES

    kinds = {"integer": "INTEGER", "boolean": "INTEGER"}
    with closing(sqlite3.connect(export.path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # it is whole, or it is thrown away
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        for table in TABLES:
            columns = ", ".join(
                f"{each.name} {kinds.get(each.kind, 'TEXT')}{' NOT NULL' if each.required else ''}"
                for each in table.columns
            )
            key = ", ".join(table.key)
            database.execute(f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({key})) STRICT")
        for name, rows in _batches(export):
            places = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {name} VALUES ({places})", rows)  # noqa: S608  (ours)
        for table in TABLES:
            for column in table.lookups:
                index = f"{table.name}_by_{column}"
                database.execute(f"CREATE INDEX {index} ON {table.name} ({column})")
        about = export.about()
        database.execute(f"CREATE TABLE export ({', '.join(about)}) ")
        places = ", ".join("?" * len(about))
        database.execute(f"INSERT INTO export VALUES ({places})", tuple(about.values()))  # noqa: S608
        database.execute("COMMIT")


def _batches(export: Export) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each table, many at a time."""
    from projections.extract_tables import rows

    waiting: dict[str, list[Row]] = {}
    for name, row in rows(export.extract):
        batch = waiting.setdefault(name, [])
        batch.append(row)
        if len(batch) >= AT_ONCE:
            export.heard(export.extract.position)
            yield name, batch
            waiting[name] = []
    for name, batch in waiting.items():
        if batch:
            yield name, batch


def _add(
    files: dict[str, Any],
    hashes: dict[str, Any],
    name: str,
    rows: list[Row],
    csv_text: Callable[[list[Row]], str],
) -> None:
    text = csv_text([tuple(_plain(value) for value in row) for row in rows]).encode()
    files[name].write(text)
    hashes[name].update(text)


def _plain(value: Any) -> Any:
    """As CSV has it: true and false as JSON spells them."""
    return str(value).lower() if isinstance(value, bool) else value


def _package(export: Export, counts: dict[str, int], hashes: dict[str, str]) -> dict[str, Any]:
    """The schema file (Data Package with Table Schema, datapackage.org)."""
    from projections.extract_tables import TABLES

    resources = []
    for table in TABLES:
        fields = [
            {
                "name": each.name,
                "type": each.kind,
                "title": each.zh,
                "description": each.en,
                **({"constraints": {"required": True}} if each.required else {}),
            }
            for each in table.columns
        ]
        resources.append(
            {
                "name": table.name,
                "path": f"{table.name}.csv",
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "bytes": Path(export.path / f"{table.name}.csv").stat().st_size,
                "hash": f"sha256:{hashes[table.name]}",
                "rows": counts[table.name],
                "dialect": {"lineTerminator": "\r\n"},
                "schema": {
                    "fields": fields,
                    "primaryKey": list(table.key),
                    "missingValues": [""],
                },
            }
        )
    return {
        "profile": "tabular-data-package",
        "name": "timebank",
        "description": "A text that begins with = + - @, a tab or a line end has an apostrophe"
        " before it. 以 = + - @、制表符或换行开头的文本前有一个撇号。",
        "export": export.about(),
        "resources": resources,
    }
