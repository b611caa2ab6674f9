"""`timebank jobs`: what time does to the ledger, once, as of an instant."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from scripts.door import AsOf, now, opened
from scripts.printing import Exit, Stopped, Told, progress, table, verb
from scripts.sayings import explained

if TYPE_CHECKING:
    from scripts.due_jobs import Ran


@verb(
    click.option(
        "--as-of",
        type=AsOf(),
        help=explained("日期或时刻，默认现在", "a date or an instant; default: now"),
    ),
    click.option(
        "--allow-future",
        is_flag=True,
        help=explained("允许未来的时刻", "let it lie in the future"),
    ),
    click.option("--only", help=explained("只运行此作业", "run this job alone")),
)
def run(as_of: date | datetime | None, allow_future: bool, only: str | None) -> Told:
    """Do all that is due; a job at or before its last instant does nothing."""
    from projections.views import Views
    from scripts.due_jobs import JOBS, as_of_day, run_job

    if only is not None and only not in JOBS:
        raise Stopped("not_one_of", Exit.USAGE, name="--only", allowed=", ".join(JOBS))
    ran: list[Ran] = []
    with opened() as ledger:
        views = Views(ledger.store, ledger.views_engine)
        with progress("reading") as shown:

            def heard(position: int, last: int) -> None:
                shown.total = last
                shown.to(position)

            views.catch_up(progress=heard)
        if as_of is None:
            as_of = now()
        elif not isinstance(as_of, datetime):
            as_of = as_of_day(views, as_of)
        for job in JOBS if only is None else (only,):
            with progress("running_jobs") as shown:
                ran.append(
                    run_job(ledger, views, job, as_of, allow_future=allow_future, heard=shown.to)
                )
    jobs = [_said(one) for one in ran]
    return Told({"jobs": jobs}, [table(("job", "as_of", "facts", "position"), jobs)])


def _said(ran: "Ran") -> dict[str, Any]:
    from ledger.units import instant_text

    return {
        "job": ran.job,
        "as_of": instant_text(ran.as_of),
        "facts": ran.facts,
        "position": ran.position,
        "done_before": ran.position is None,
    }
