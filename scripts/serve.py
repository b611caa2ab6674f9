"""`timebank serve`: the HTTP interface before an open ledger, until it is told to stop."""

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from scripts.door import is_sqlite, opened, place, settings, sqlite_file
from scripts.printing import Exit, Stopped, note, print_json, print_lines, verb
from scripts.sayings import explained, said
from scripts.work import leaving_in_time

if TYPE_CHECKING:
    from aiohttp import web

    from ledger.settings import Settings

DRAIN_SECONDS = 12.0
"""How long requests under way may take once the server was told to stop: longer than a writer waits
for its turn. A body that has not arrived by then never will; nothing of it was acknowledged."""

BACKLOG = 1_024
UNREAD_SECONDS = 60.0
"""How long a client may read nothing of what it was answered, before it is cut off."""

HOST = click.option("--host", help=explained("监听地址", "address to listen at"))
PORT = click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help=explained("端口，0 为任意空闲端口", "0: any that is free"),
)


FIRST_PASSED_FD = 3
"""Where a socket stands that the system's manager has opened for us (sd_listen_fds(3))."""


@verb(
    HOST,
    PORT,
    click.option(
        "--work",
        help=explained(
            "同时承担的后台工作，逗号分隔，none 为不承担",
            "what to do beside: views,jobs,webhooks or none",
        ),
    ),
)
def serve(host: str | None, port: int | None, work: str | None, as_json: bool) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished."""

    def announce(address: str) -> None:
        if as_json:
            print_json({"address": address, "pid": os.getpid()})
        else:
            print_lines([said("serving", address=address)])

    serve_ledger(settings(host=host, port=port, work=work), announce)


def serve_ledger(given: "Settings", announce: Callable[[str], None]) -> None:
    """Open the ledger, do its work beside, and serve; `announce` is told the address."""
    import uvloop

    from api.app import DOOR, make_app, spare_the_collector
    from api.log_lines import configure
    from api.metrics import Metrics
    from projections.views import Views
    from scripts.work import working

    configure(given)
    with leaving_in_time() as leaving, only_server(given), opened(given) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        metrics = Metrics()
        with working(ledger, views, given, metrics):
            app = make_app(ledger, views, given, metrics)

            def announced(address: str) -> None:
                if given.public_url is None and address.startswith("http"):
                    app[DOOR].office.address = address
                announce(address)

            signer = app[DOOR].signer
            if "views" in given.works:
                signer.start()
            spare_the_collector()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(app, given.host, given.port, announced, leaving.start))
            signer.close()


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
    app: "web.Application",
    host: str,
    port: int,
    announce: Callable[[str], None],
    leave: Callable[[], None],
) -> None:
    """Serve until told to stop; `leave` is told then, before what is under way is finished."""
    from aiohttp import web

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        try:
            for listening in _passed_sockets() or _sockets(host, port):
                _bound(listening)
                await web.SockSite(runner, listening, backlog=BACKLOG).start()
        except OSError as error:
            raise Stopped(
                "address_taken",
                Exit.UNAVAILABLE,
                address=_address(host, port),
                reason=os.strerror(error.errno) if error.errno and error.errno > 0 else error,
            ) from None
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, told.set)
        here = runner.addresses[0]
        announce(f"unix:{here}" if isinstance(here, str) else _address(here[0], here[1]))
        await told.wait()
        leave()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)  # told twice, we leave at once
        note(said("stopping"))
    finally:
        await runner.cleanup()


def _passed_sockets() -> list[socket.socket]:
    """The listening sockets that whoever started us holds open: no caller meets a shut door.

    After sd_listen_fds(3): LISTEN_FDS says how many there are, LISTEN_PID whom they are for.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    many = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=FIRST_PASSED_FD + number) for number in range(many)]


def _sockets(host: str, port: int) -> list[socket.socket]:
    """A socket at each address of the host; OSError where one is taken or not ours."""
    made: list[socket.socket] = []
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in found:
        taken = made[0].getsockname()[1] if made and port == 0 else port
        made.append(
            socket.create_server(
                (str(address[0]), taken), family=family, backlog=BACKLOG, dualstack_ipv6=False
            )
        )
    return made


def _bound(listening: socket.socket) -> None:
    """Have the system cut off whoever reads nothing of an answer for so long (tcp(7), RFC 5482).

    What is accepted inherits it.
    """
    if listening.family in (socket.AF_INET, socket.AF_INET6) and hasattr(
        socket, "TCP_USER_TIMEOUT"
    ):
        milliseconds = int(UNREAD_SECONDS * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
