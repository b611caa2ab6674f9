"""`timebank serve`: the HTTP interface before an open ledger, until it is told to stop."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from scripts.door import is_sqlite, opened, place, settings, sqlite_file
from scripts.printing import Exit, Stopped, note, print_json, print_lines, progress, verb
from scripts.sayings import explained, said

if TYPE_CHECKING:
    from aiohttp import web

    from ledger.settings import Settings

DRAIN_SECONDS = 15.0
"""How long requests under way may take once the server was told to stop: longer than a writer waits
for its turn. A body that has not arrived by then never will; nothing of it was acknowledged."""

BACKLOG = 1_024

HOST = click.option("--host", help=explained("监听地址", "address to listen at"))
PORT = click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help=explained("端口，0 为任意空闲端口", "0: any that is free"),
)


@verb(HOST, PORT)
def serve(host: str | None, port: int | None, as_json: bool) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished."""

    def announce(address: str) -> None:
        if as_json:
            print_json({"address": address, "pid": os.getpid()})
        else:
            print_lines([said("serving", address=address)])

    serve_ledger(settings(host=host, port=port), announce)


def serve_ledger(given: "Settings", announce: Callable[[str], None]) -> None:
    """Open the ledger, bring its views up to date, and serve; `announce` is told the address."""
    import uvloop

    from api.app import DOOR, make_app, spare_the_collector
    from api.log_lines import configure
    from projections.views import Views
    from scripts.due_jobs import scheduled

    configure(given)
    with only_server(given), opened(given) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        with progress("reading") as shown:

            def heard(position: int, last: int) -> None:
                shown.total = last
                shown.to(position)

            views.catch_up(progress=heard)
        views.start()
        jobs = scheduled(ledger, views, given.jobs_every_minutes)
        try:
            app = make_app(ledger, views, given)

            def announced(address: str) -> None:
                if given.public_url is None:
                    app[DOOR].office.address = address
                announce(address)

            signer = app[DOOR].signer
            signer.start()
            spare_the_collector()
            with jobs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(app, given.host, given.port, announced))
            signer.close()
        finally:
            views.close()


@contextmanager
def only_server(given: "Settings") -> Iterator[None]:
    """The lock of the one server that a SQLite file may have; the system frees it with us.

    Two would be correct, since each decision is made under the writer's lock, but slow: each would
    fold what the other wrote. PostgreSQL has as many servers as one likes.
    """
    if not is_sqlite(given) or not sqlite_file(given).exists():
        yield
        return
    database = sqlite_file(given)
    lock = database.with_name(f"{database.name}-serving")
    with lock.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "?"
            raise Stopped("served_already", Exit.REFUSED, pid=pid, where=place(given)) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


async def _serve(
    app: "web.Application", host: str, port: int, announce: Callable[[str], None]
) -> None:
    from aiohttp import web

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise Stopped(
                "address_taken",
                Exit.UNAVAILABLE,
                address=_address(host, port),
                reason=os.strerror(error.errno) if error.errno and error.errno > 0 else error,
            ) from None
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, told.set)
        announce(_address(host, runner.addresses[0][1]))
        await told.wait()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)  # told twice, we leave at once
        note(said("stopping"))
    finally:
        await runner.cleanup()


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
