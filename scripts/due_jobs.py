"""The jobs: what time does to a ledger, by explicit commands as of an instant.

A job asks the desk for all that is due, in commands that decide for themselves, and at last says
that it is done up to there. Whoever runs it again, or beside another, finds nothing left to do.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DBAPIError

from ledger import journal, quality
from ledger.commands import (
    AGES,
    EXPIRY,
    GRADES,
    HOLDS,
    INDEX,
    LAPSES,
    ORDERS,
    RETENTION,
    CloseOrder,
    Command,
    ComputeGrade,
    ComputeSupervisionIndex,
    Counts,
    ExpireCredits,
    ExpireRedemption,
    FinishJob,
    IndexCounts,
    LapseCertification,
    Stamp,
    TimeOutOrder,
)
from ledger.desk import Answer, Busy, Done, Job, Mode, Outcome
from ledger.units import new_id
from ledger.vault import WrongVaultKey
from projections import lots, orders, redemptions, shelves
from projections.page import published
from projections.views import OtherShape
from scripts.door import now
from scripts.people_jobs import ages, retention

if TYPE_CHECKING:
    from api.metrics import Metrics
    from ledger.opening import Ledger
    from projections.views import Views

log = logging.getLogger("timebank.jobs")

ACTOR = "jobs"
COMMANDS_AT_ONCE = 500
MINUTE_SECONDS = 60.0
AGAIN_SECONDS = 30.0  # after a failure
END_SECONDS = 10.0
"""How long a job under way may take to come to an end of a chunk; what it has done stands."""

Commands = Callable[["Ledger", "Views", datetime, Stamp], Iterator[Command]]


class Ran(NamedTuple):
    """What became of a job."""

    job: str
    as_of: datetime
    facts: int
    position: int | None  # None: nothing was recorded


def _holds(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """A command for every hold whose date has come."""
    with views.engine.connect() as connection:
        day = published(connection).recording(as_of).today
        ending = redemptions.due(connection, day)
    for redemption_id in ending:
        yield ExpireRedemption(**stamp, redemption_id=redemption_id, as_of=as_of)


def _expiry(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """A command for everybody who has a lot that is due."""
    with views.engine.connect() as connection:
        day = published(connection).recording(as_of).today
        members = lots.due_members(connection, day)
    for member_id in members:
        yield ExpireCredits(**stamp, member_id=member_id, as_of=as_of)


def _lapses(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """A command for every registration whose last day is over."""
    with views.engine.connect() as connection:
        day = published(connection).recording(as_of).today
        ending = shelves.due_to_lapse(connection, day)
    for certification_id in ending:
        yield LapseCertification(**stamp, certification_id=certification_id, as_of=as_of)


def _orders(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """Whatever was not accepted in time, and whatever was rated long enough ago."""
    with views.engine.connect() as connection:
        unanswered = orders.due(connection, "dispatched", as_of)
        rated = orders.due(connection, "rated", as_of)
    for order_id in unanswered:
        yield TimeOutOrder(**stamp, order_id=order_id, as_of=as_of)
    for order_id in rated:
        yield CloseOrder(**stamp, order_id=order_id, as_of=as_of)


def _grades(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """Whoever has a grade, or may come to one, counted from the journal."""
    with views.store.reading() as connection:
        policies = journal.policies(connection)
        last = policies.recording(as_of).today
        numbers = policies.on(last)["grade"]
        window, found = quality.counted(connection, policies, last, numbers["window_days"])
        known = quality.graded(connection)
    enough = {subject for subject, counts in found.items() if counts.ratings}
    for subject in sorted(known | enough):
        yield ComputeGrade(
            **stamp,
            subject=subject,
            as_of=as_of,
            window_from=window.first,
            counts=found.get(subject, Counts()),
            counted_to=window.counted_to,
        )


def _index(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """Every unit's month before the one that the instant lies in, counted from the journal."""
    with views.store.reading() as connection:
        policies = journal.policies(connection)
        last = policies.recording(as_of).today.replace(day=1) - timedelta(days=1)
        month = f"{last:%Y-%m}"
        counted_to, found = quality.month_counted(connection, policies, month)
    for unit, counts in sorted(found.items()):
        if counts != IndexCounts():
            yield ComputeSupervisionIndex(
                **stamp, unit=unit, month=month, as_of=as_of, counts=counts, counted_to=counted_to
            )


JOBS: dict[str, Commands] = {
    HOLDS: _holds,
    EXPIRY: _expiry,
    ORDERS: _orders,
    LAPSES: _lapses,
    GRADES: _grades,
    INDEX: _index,
    AGES: ages,
    RETENTION: retention,
}
"""The job -> the commands for all that is due, as the views know it once they have read on.

In this order: what a hold gives back may have expired meanwhile.
"""


def run_job(
    ledger: "Ledger",
    views: "Views",
    job: str,
    as_of: datetime,
    *,
    allow_future: bool = False,
    only_if_due: bool = False,
    heard: Callable[[int], None] = lambda done: None,
) -> Ran:
    """Do all that is due as of an instant; Refused (`in_the_future`) where it has not come yet.

    That it was done is recorded even if nothing was due, unless `only_if_due`.
    """
    stamp: Stamp = {
        "actor": ACTOR,
        "actor_name": ACTOR,
        "actor_member": None,
        "by_admin": True,
        "correlation_id": new_id(),
    }
    finish = FinishJob(**stamp, job=job, as_of=as_of, allow_future=allow_future)
    if not _facts(_decide(ledger, [finish], dry_run=True)):
        return Ran(job, as_of, 0, None)
    views.catch_up()
    due = JOBS[job](ledger, views, as_of, stamp)
    facts = done = 0
    while some := list(islice(due, COMMANDS_AT_ONCE)):
        facts += _facts(_decide(ledger, some, "all"))
        done += len(some)
        heard(done)
    if only_if_due and not facts:
        return Ran(job, as_of, 0, None)
    (finished,) = _decide(ledger, [finish])
    return Ran(job, as_of, facts, finished.position)


def as_of_day(views: "Views", day: date) -> datetime:
    """The instant at which a date begins in the policy's zone."""
    with views.engine.connect() as connection:
        return published(connection).begin(day)


@contextmanager
def scheduled(
    ledger: "Ledger", views: "Views", every_minutes: int, metrics: "Metrics"
) -> Iterator[threading.Thread | None]:
    """Have every job run while the block lasts, as of the beginning of the day; 0: none.

    At the end the job under way is broken off between two chunks: it goes on the next time.
    """
    if not every_minutes:
        yield None
        return
    ending = threading.Event()
    pause = every_minutes * MINUTE_SECONDS
    thread = threading.Thread(
        target=_keep, args=(ledger, views, pause, ending, metrics), name="jobs", daemon=True
    )
    thread.start()
    try:
        yield thread
    finally:
        ending.set()
        thread.join(END_SECONDS)


class _BrokenOff(Exception):
    """The process is to end amid a job."""


def _keep(
    ledger: "Ledger", views: "Views", pause: float, ending: threading.Event, metrics: "Metrics"
) -> None:
    def heard(done: int) -> None:
        if ending.is_set():
            raise _BrokenOff

    while not ending.is_set():
        wait = pause
        try:
            views.catch_up()
            with views.engine.connect() as connection:
                today = published(connection).recording(now()).today
            for job in JOBS:
                run_job(ledger, views, job, as_of_day(views, today), only_if_due=True, heard=heard)
                metrics.job_done(job)
                heard(0)
        except _BrokenOff:
            return
        except (
            Busy,
            DBAPIError,
            OtherShape,
            WrongVaultKey,
        ) as away:  # tried again in its time, and nothing is half done
            metrics.jobs_failed[type(away).__name__] += 1
            log.warning("jobs not run: %s", type(away).__name__)
            wait = min(pause, AGAIN_SECONDS)
        ending.wait(wait)


def _decide(
    ledger: "Ledger", commands: Sequence[Command], mode: Mode = "one", *, dry_run: bool = False
) -> list[Done]:
    outcomes: list[Outcome] = []

    def answer(outcome: Outcome) -> Answer:
        outcomes.append(outcome)
        return Answer(200, b"")

    ledger.desk.ask_now(Job(commands, answer, mode, dry_run=dry_run))
    return [done for done in outcomes[-1].results if isinstance(done, Done)]


def _facts(decided: Sequence[Done]) -> int:
    return sum(len(done.entries) for done in decided)
