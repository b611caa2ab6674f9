"""`timebank serve` in processes of their own, which may be killed, stopped and started anew."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic, sleep

import orjson

from scripts.bench_houses import House, free_port, make_house
from tests.forks import FORKS

STARTS_SECONDS = 90.0
STOPS_SECONDS = 15.0


def serve() -> None:
    """What a server's process does."""
    from scripts.cli import main

    main(["serve"])


def serve_in_a_hurry() -> None:
    """The same, whose patience with a database is a twentieth of what it is."""
    from api import health
    from ledger import desk
    from scripts import serve as serving
    from scripts import work

    desk.ANSWER_SECONDS /= 20
    health.STUCK_SECONDS /= 20
    serving.DRAIN_SECONDS /= 20
    work.LEAVE_SECONDS /= 20
    serve()


class Server:
    """One server of a house; it keeps its port and its log whatever becomes of the process."""

    def __init__(self, house: House, program: Callable[[], None] = serve, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = house.folder / f"serve-{self.port}.log"
        self.process: BaseProcess | None = None
        self._program = program
        self._variables = {
            "TIMEBANK_DATABASE_URL": house.settings.database_url,
            "TIMEBANK_LEDGER": house.settings.ledger,
            "TIMEBANK_KEYS_FILE": str(house.settings.keys_file),
            "TIMEBANK_PORT": str(self.port),
            "TIMEBANK_LOG_FORMAT": "json",
            **variables,
        }

    def start(self) -> None:
        """Start the process, and wait until it is ready."""
        self.process = FORKS.Process(
            target=_run, args=(self._program, self._variables, str(self.log))
        )
        self.process.start()
        until = monotonic() + STARTS_SECONDS
        while self.status("/readyz") != 200:
            assert self.process.exitcode is None, self.log.read_text()
            assert monotonic() < until, self.log.read_text()
            sleep(0.02)

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    def status(self, path: str) -> int:
        """What a GET answers; 0: no answer."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as said:  # noqa: S310  (ours)
                return int(said.status)
        except urllib.error.HTTPError as said:
            return said.code
        except OSError:
            return 0

    def kill(self) -> None:
        """As the power does."""
        assert self.process is not None
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """As the system's manager does; it ends in time, and as it should."""
        assert self.process is not None
        self.process.terminate()
        self.process.join(STOPS_SECONDS)
        assert self.process.exitcode == 0, self.log.read_text()[-2_000:]

    def bugs(self) -> list[bytes]:
        """The lines of the log that tell of a bug: a 500, a traceback, a thread that ended."""
        return [line for line in self.log.read_bytes().splitlines() if _is_bug(line)]


@contextmanager
def serving(
    house: House, servers: int = 1, program: Callable[[], None] = serve, **variables: str
) -> Iterator[list[Server]]:
    """Servers that are ready; in the end they are stopped, and none has a bug in its log."""
    started = [Server(house, program, **variables) for _ in range(servers)]
    try:
        for server in started:
            server.start()
        yield started
        for server in started:
            server.stop()
    finally:
        for server in started:
            if server.process is not None and server.process.exitcode is None:
                server.kill()
    bugs = [line.decode() for server in started for line in server.bugs()]
    assert not bugs, "\n".join(line[:2_000] for line in bugs[:5])


def house_of(tmp_path: Path, database_url: str | None = None) -> House:
    """A ledger with an organisation and its members; on SQLite where no database is named."""
    folder = tmp_path / "house"
    url = database_url or f"sqlite:///{folder / 'timebank.db'}"
    return make_house("faults", folder, url, members=100)


def _is_bug(line: bytes) -> bool:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return b"Traceback" in line or b"Error" in line
    if said.get("logger", "").startswith("sqlalchemy.pool"):  # of a connection that is gone
        return False
    return said.get("status") == 500 or said.get("level") in ("error", "critical")


def _run(program: Callable[[], None], variables: dict[str, str], log: str) -> None:
    os.environ.update(variables)
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever forks us ignores it
    program()
