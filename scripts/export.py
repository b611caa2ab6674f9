"""`timebank export`: the books as other programs read them, whole or in part, streamed."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import click

from scripts import export_books, export_log, export_tables
from scripts.door import Day, must_stand, opened_views
from scripts.exporting import Export, draft_of
from scripts.printing import Exit, Stopped, Told, progress, verb
from scripts.sayings import explained

FORMATS: dict[str, Callable[[Export], None]] = {
    "beancount": export_books.beancount,
    "hledger": export_books.hledger,
    "csv": export_tables.csv_files,
    "ndjson": export_log.ndjson,
    "parquet": export_tables.parquet_files,
    "xlsx": export_tables.xlsx_file,
    "sqlite": export_tables.sqlite_file,
}
"""The format -> what writes it."""


@verb(
    click.option("--format", "form", required=True, type=click.Choice(list(FORMATS))),
    click.option(
        "--out",
        required=True,
        type=click.Path(path_type=Path),
        help=explained("输出文件或目录", "a file; for csv and parquet a folder"),
    ),
    click.option("--org", help=explained("只导出此组织", "of this organisation alone")),
    click.option("--unit", help=explained("只导出此单位及其下级", "of this unit and those below")),
    click.option(
        "--from", "first", type=Day(), help=explained("登记日期自", "recorded on or after")
    ),
    click.option("--to", "last", type=Day(), help=explained("登记日期至", "recorded on or before")),
)
def export(
    form: str,
    out: Path,
    org: str | None,
    unit: str | None,
    first: date | None,
    last: date | None,
) -> Told:
    """Write everything up to now, of a scope, in flat memory; nothing is overwritten."""
    from ledger.store import last_position
    from projections.extract import Extract, Scope

    if first is not None and last is not None and first > last:
        raise Stopped("ends_before_it_begins", Exit.USAGE, first=first, last=last)
    scope = Scope(org, unit, first, last)
    with opened_views() as views, draft_of(out) as path:
        if form == "ndjson":
            export_log.sign(views)
        with views.store.reading() as connection:
            if org is not None:
                must_stand(connection, f"organisation:{org}", "/org", org)
            if unit is not None:
                must_stand(connection, f"unit:{unit}", "/unit", unit)
            reach = export_log.signed_to if form == "ndjson" else last_position
            extract = Extract(connection, scope, reach(connection))
            with progress("exporting", extract.until) as shown:
                under_way = Export(views, extract, path, shown.to)
                FORMATS[form](under_way)
    value = {"format": form, "out": str(out), "entries": extract.exported, **under_way.about()}
    return Told(value)
