"""`timebank hours`: service records from a sheet."""

from pathlib import Path

import click

from scripts.door import read_file
from scripts.imported import DRY_RUN, FILE, ORG, imported
from scripts.printing import Told, verb
from scripts.sayings import explained


@verb(
    FILE,
    ORG,
    DRY_RUN,
    click.option(
        "--mode",
        type=click.Choice(["each", "all"]),
        default="each",
        show_default=True,
        help=explained("逐条登记，或全部成功才登记", "what can be posted, or all or nothing"),
    ),
)
def import_file(file: Path, org: str, dry_run: bool, mode: str) -> Told:
    """Post every service record of a CSV or XLSX."""
    from api.imports import import_service_records

    return imported(import_service_records, read_file(file), org, dry_run=dry_run, mode=mode)
