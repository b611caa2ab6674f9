"""`timebank work`: what is done beside answering requests, in a process of its own."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ledger.settings import WORK
from scripts.door import opened, settings
from scripts.printing import Exit, Stopped, note, print_json, print_lines, progress, verb
from scripts.sayings import said

if TYPE_CHECKING:
    from api.metrics import Metrics
    from ledger.opening import Ledger
    from ledger.settings import Settings
    from projections.views import Views

LOOK_SECONDS = 1.0
LEAVE_SECONDS = 14.0
"""After being told to stop; then the process ends, whatever it still waits for."""

log = logging.getLogger("timebank.work")


@verb(
    click.argument("what", nargs=-1, type=click.Choice(WORK)),
)
def work(what: tuple[str, ...], as_json: bool) -> None:
    """Do this work, or what the settings say, until SIGTERM or SIGINT."""
    from api.gauges import watch
    from api.log_lines import configure
    from api.metrics import Metrics
    from projections.signing import Signer
    from projections.views import Views

    given = settings(work=",".join(what) or None)
    if not given.works:
        raise Stopped("no_work", Exit.USAGE)
    configure(given)
    told = threading.Event()
    with leaving_in_time() as leaving, opened(given) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        signer = Signer(views, given, ledger.secrets, ledger.committer.clock)
        metrics = Metrics()
        ledger.desk.finished = metrics.committed
        watch(metrics, ledger, views)
        if given.metrics_port is not None:
            metrics.serve(given.metrics_port)
        with working(ledger, views, given, metrics) as threads:
            if "views" in given.works:
                signer.start()
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, lambda *_: told.set())
            parts = [part for part in WORK if part in given.works]
            if as_json:
                print_json({"pid": os.getpid(), "work": parts})
            else:
                print_lines([said("working", parts=", ".join(parts))])
            while not told.wait(LOOK_SECONDS):
                ended = [thread.name for thread in threads if not thread.is_alive()]
                if ended:  # whoever watches over us starts us anew
                    raise Stopped("work_ended", Exit.UNAVAILABLE, parts=", ".join(ended))
            leaving.start()
            note(said("stopping"))
            signer.close()


@contextmanager
def leaving_in_time() -> Iterator[threading.Timer]:
    """Once the timer is started, the process ends in LEAVE_SECONDS though the block does not.

    A commit waits for its standby for as long as that is away. What is left under way was
    acknowledged to nobody, and the journal is none the worse: it is as after a kill.
    """

    def leave() -> None:
        log.warning("left with something under way, which was acknowledged to nobody")
        os._exit(Exit.OK)

    timer = threading.Timer(LEAVE_SECONDS, leave)
    timer.daemon = True
    try:
        yield timer
    finally:
        timer.cancel()


@contextmanager
def working(
    ledger: "Ledger", views: "Views", given: "Settings", metrics: "Metrics"
) -> Iterator[list[threading.Thread]]:
    """Do the settings' work while the block lasts, in these threads.

    Whoever does not read on for the views follows those who do.
    """
    from api.deliveries import delivering
    from scripts.due_jobs import scheduled

    if "views" in given.works:
        with progress("reading") as shown:

            def heard(position: int, last: int) -> None:
                shown.total = last
                shown.to(position)

            views.catch_up(progress=heard)
        views.start()
    else:
        views.follow()
    every_minutes = given.jobs_every_minutes if "jobs" in given.works else 0
    try:
        with (
            scheduled(ledger, views, every_minutes, metrics) as jobs,
            delivering(ledger, views, given) as deliveries,
        ):
            threads = (views.thread, jobs, deliveries)
            yield [thread for thread in threads if thread is not None]
    finally:
        views.close()
