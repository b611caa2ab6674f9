"""A store's database: a SQLite file or a schema of PostgreSQL, opened, read, and written by one.

The address of a PostgreSQL goes to libpq as it is, so that several hosts, service files and TLS
work as libpq documents them. Tables are unqualified everywhere: the schema is the search path.
"""

import hashlib
import os
import select
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeGuard

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError

WAIT_SECONDS = 10
"""How long a writer waits for another before it gives up."""

ABANDONED_SECONDS = 60
"""A writer that says nothing for so long within its transaction is cut off, and its lock freed."""

PATIENCE: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""What libpq is told where nobody else tells it: a host that vanished is given up in seconds, in 5
where it is called and in 25 amid a transaction; the system's own patience is many minutes."""


class NotReplicated(OperationalError):
    """The commit stands here, but its wait for the standby was cut short: acknowledge nothing.

    The next transaction of `writing` waits for the standby, and so for this one too.
    """


def no_turn() -> OperationalError:
    """What a writer is told whose own process has another writer under way for too long."""
    return OperationalError("BEGIN", None, psycopg.errors.LockNotAvailable("another one writes"))


def is_away(error: BaseException) -> TypeGuard[DBAPIError]:
    """Whether it is the database that is away, full or busy: its doing, no bug of ours."""
    return isinstance(error, DBAPIError) and (
        isinstance(error, OperationalError) or error.connection_invalidated
    )


# --- opening -------------------------------------------------------------------------------------


def open_engine(url: str, schema: str, *, durable: bool) -> Engine:
    """The engine of one store.

    `schema` is where its tables stand on PostgreSQL; on SQLite the file is the store's alone.
    `durable`: what is committed outlives a power cut. A store that can be made again need not.
    """
    if is_sqlite(url):
        return _open_sqlite(url, schema, durable)
    return _open_postgresql(url, schema, durable)


def is_sqlite(url: str) -> bool:
    """Whether the address names a SQLite file; ValueError where it names no database of ours."""
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme not in ("sqlite", "postgresql", "postgres"):
        raise ValueError("a database is sqlite:///FILE or postgresql://...")
    return scheme == "sqlite"


def schema_name(engine: Engine) -> str:
    """The schema that the engine was opened for."""
    name: str = engine.get_execution_options()["schema"]
    return name


def sibling_url(url: str, store: Literal["views", "vault"]) -> str:
    """The address of another store of the ledger: the file beside the journal's, or the same."""
    if not is_sqlite(url):
        return url
    journal = make_url(url)
    path = Path(_file(url))
    beside = path.with_name(f"{path.stem}-{store}{path.suffix}")
    return journal.set(database=str(beside)).render_as_string()


def server_of(connection: Connection) -> str:
    """Which server answers: another after a failover, and after a restart; of SQLite always one.

    What was read of one may never have come to the next: nothing remembered holds there.
    """
    server: str = connection.info.get("server", "")
    return server


def create_schema(connection: Connection) -> None:
    """Make the schema that the connection's tables are to stand in, if there is none."""
    if connection.dialect.name == "postgresql":
        name = schema_name(connection.engine)
        there = connection.exec_driver_sql(
            "SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)
        ).first()
        if not there:  # IF NOT EXISTS wants the right to create even where nothing is to be made
            connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')


def _file(url: str) -> str:
    name = make_url(url).database
    if not name or name == ":memory:":
        raise ValueError("a ledger on SQLite is a file: sqlite:///FILE")
    return name


def _open_sqlite(url: str, schema: str, durable: bool) -> Engine:
    _file(url)
    engine = create_engine(
        url,
        connect_args={"timeout": WAIT_SECONDS},
        max_overflow=-1,  # never more than there are threads, and none waits for another
        execution_options={"schema": schema},
        hide_parameters=True,  # an error is logged, and a value may be a name
    )

    @event.listens_for(engine, "connect")
    def configure(driver: sqlite3.Connection, record: object) -> None:
        driver.isolation_level = None  # transactions begin where `begin` below says so
        if driver.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            driver.execute("PRAGMA journal_mode = WAL")
        driver.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        if not durable:  # some builds overwrite what is freed: a tenth of the work of a rebuild
            driver.execute("PRAGMA secure_delete = OFF")
            # Pages that many commits change are copied from the log to the file once for all.
            driver.execute("PRAGMA wal_autocheckpoint = 4000")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _open_postgresql(url: str, schema: str, durable: bool) -> Engine:
    conninfo = url.replace("+psycopg", "", 1) if "+psycopg" in url.partition(":")[0] else url
    try:
        conninfo = make_conninfo(conninfo, **_patience(conninfo_to_dict(conninfo)))
    except psycopg.ProgrammingError:  # what it says may quote the password
        raise ValueError("libpq cannot read the address of the database") from None
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(conninfo, fallback_application_name="timebank"),
        max_overflow=-1,  # as above
        execution_options={"schema": schema},
        hide_parameters=True,  # an error is logged, and a value may be a name
        use_native_hstore=False,  # saves a question at each new connection
    )

    @event.listens_for(engine, "connect", insert=True)  # before SQLAlchemy asks for the schema
    def configure(driver: psycopg.Connection[Any], record: Any) -> None:
        # Whatever the server's own setting: a journal's commit is on disk, a view's need not be.
        cursor = driver.execute(
            "SELECT pg_postmaster_start_time()::text,"
            " set_config('search_path', quote_ident(%s), false),"
            " set_config('synchronous_commit', CASE"
            " WHEN NOT %s THEN 'off'"
            " WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'"
            " ELSE current_setting('synchronous_commit') END, false)",
            (schema, durable),
        )
        record.info["server"], *_ = cursor.fetchall()[0]
        driver.commit()
        warnings: list[str] = []
        record.info["warnings"] = warnings

        def warned(diagnostic: Diagnostic) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                warnings.append(diagnostic.message_primary or "")

        driver.add_notice_handler(warned)

    @event.listens_for(engine, "checkout")
    def check(driver: psycopg.Connection[Any], record: object, proxy: object) -> None:
        # An idle connection has nothing to say but that the server closed it: it is replaced.
        poll = select.poll()
        poll.register(driver.fileno(), select.POLLIN)
        if poll.poll(0):
            raise DisconnectionError

    return engine


def _patience(given: Mapping[str, Any]) -> dict[str, str | int]:
    """Of PATIENCE what neither the address nor the environment tells; nothing beside a service."""
    if "service" in given or "PGSERVICE" in os.environ:
        return {}
    told = {*given, *(["connect_timeout"] if "PGCONNECT_TIMEOUT" in os.environ else [])}
    return {name: value for name, value in PATIENCE.items() if name not in told}


# --- transactions --------------------------------------------------------------------------------


@contextmanager
def writing(
    engine: Engine, committed: Callable[[Connection], None] = lambda connection: None
) -> Iterator[Connection]:
    """A transaction that commits at the end; one at a time among all processes on the store.

    `committed` is called after the commit, which it cannot undo. NotReplicated where the standby
    that the server waits for may not have it.
    """
    with engine.connect() as connection:
        connection.execution_options(writing=True)
        with _replicated(connection, _take_turn):
            yield connection
        committed(connection)


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """The same on PostgreSQL for rows that need no turn: any number at a time."""
    with engine.connect() as connection, _replicated(connection, _look):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the store throughout, and changes nothing."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


def notify(connection: Connection, channel: str) -> None:
    """Say at once on PostgreSQL that there is something new; whether it is heard is not known."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.autocommit = True
        driver.execute(
            f'BEGIN; SET LOCAL synchronous_commit = off; NOTIFY "{channel}"; COMMIT', prepare=False
        )
        driver.autocommit = False
    except psycopg.OperationalError as error:
        connection.invalidate(error)


def advisory_key(schema: str) -> int:
    """The number of the lock that orders the writers of a schema."""
    return int.from_bytes(hashlib.sha256(b"timebank:" + schema.encode()).digest()[:8], signed=True)


@contextmanager
def _replicated(
    connection: Connection, begun: Callable[[Connection], tuple[str, str]]
) -> Iterator[None]:
    """A transaction after whose commit the standby has all that it has read or written.

    `begun` tells whom this server waits for at each commit, and whether it only reads.
    """
    with connection.begin():
        standbys, read_only = begun(connection)
        if read_only == "on":  # it is no primary any more, and the next connection is a new one
            connection.engine.dispose()  # the others lead to the same server
            connection.invalidate()
            raise OperationalError("BEGIN", None, psycopg.OperationalError("the server only reads"))
        yield
        if standbys:
            connection.exec_driver_sql(_WAIT_EVEN_IF_NOTHING_WAS_WRITTEN)
        warnings: list[str] = connection.info.get("warnings", [])
        warnings.clear()
    if warnings:
        raise NotReplicated("COMMIT", None, psycopg.OperationalError(warnings[0]))


def _take_turn(connection: Connection) -> tuple[str, str]:
    """Wait for the writers before us."""
    if connection.dialect.name == "sqlite":
        return "", "off"  # BEGIN IMMEDIATE has waited
    key = advisory_key(schema_name(connection.engine))
    *_, standbys, read_only = connection.exec_driver_sql(_TAKE_TURN, (key,)).one()
    return standbys, read_only


def _look(connection: Connection) -> tuple[str, str]:
    standbys, read_only = connection.exec_driver_sql(f"SELECT {_STANDBYS_AND_READ_ONLY}").one()
    return standbys, read_only


_STANDBYS_AND_READ_ONLY = (
    "current_setting('synchronous_standby_names'), current_setting('transaction_read_only')"
)

_TAKE_TURN = (
    f"SELECT set_config('lock_timeout', '{WAIT_SECONDS}s', true),"
    f" set_config('idle_in_transaction_session_timeout', '{ABANDONED_SECONDS}s', true),"
    f" pg_advisory_xact_lock(%s), {_STANDBYS_AND_READ_ONLY}"
)

_WAIT_EVEN_IF_NOTHING_WAS_WRITTEN = (
    # What this transaction has read, and may now be told, can be a commit that the standby does
    # not have yet. A commit that writes waits for the standby, and so for all commits before it.
    "SELECT pg_logical_emit_message(true, 'timebank', '')"
    " WHERE pg_current_xact_id_if_assigned() IS NULL"
)
