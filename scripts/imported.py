"""What became of a sheet: how many lines, and why the refused ones were refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from scripts.door import opened, stamp
from scripts.printing import Exit, Told, fields, progress
from scripts.sayings import explained, languages, said

REFUSED_LINES_SHOWN = 50

FILE = click.argument("file", type=click.Path(path_type=Path))
ORG = click.option("--org", required=True, help=explained("组织代码", "code of the organisation"))
DRY_RUN = click.option(
    "--dry-run", is_flag=True, help=explained("只检查，不登记", "say what would be, write nothing")
)


def imported(importer: Callable[..., dict[str, Any]], data: bytes, org: str, **how: Any) -> Told:
    """Import a sheet's bytes, and tell it: 3 where nothing was taken, 4 where a part was."""
    with opened() as ledger, progress("importing") as shown:

        def heard(done: int, total: int) -> None:
            shown.total = total
            shown.to(done)

        told = importer(ledger, org, stamp(), data, language=languages()[0], progress=heard, **how)
    return Told(told, list(_lines(told)), exit_code(told))


def exit_code(told: dict[str, Any]) -> Exit:
    """What a batch's answer means to the shell."""
    if not told["refused"]:
        return Exit.OK
    return Exit.PARTLY if told["accepted"] or told["replayed"] else Exit.REFUSED


def _lines(told: dict[str, Any]) -> Iterator[Any]:
    yield fields(
        {
            name: told[name]
            for name in ("accepted", "replayed", "refused", "position", "dry_run")
            if name in told
        }
    )
    refused = [result for result in told["results"] if result["status"] == "refused"]
    for result in refused[:REFUSED_LINES_SHOWN]:
        problem = result["problem"]
        for error in problem.get("errors") or [{"pointer": "", **problem}]:
            yield said(
                "bad_line_field" if error["pointer"] else "bad_line",
                line=result["line"],
                pointer=error["pointer"],
                detail=error["detail"],
            ).splitlines()[0]
    if len(refused) > REFUSED_LINES_SHOWN:
        yield said("more_lines", count=len(refused) - REFUSED_LINES_SHOWN)
