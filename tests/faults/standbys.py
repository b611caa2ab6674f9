"""A standby that never comes: each commit waits for it until the wait is cut short."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg

LONG = 60.0  # seconds that no test waits for unless it fails


@contextmanager
def standby_away(url: str) -> Iterator[psycopg.Connection]:
    """The server waits for a standby at each commit, and there is none."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SET synchronous_commit = local")
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        admin.execute("SELECT pg_reload_conf()")
        try:
            _wait_until_it_is_waited_for(url, admin)
            yield admin
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")  # whoever waits need not wait any longer


def _wait_until_it_is_waited_for(url: str, admin: psycopg.Connection) -> None:
    """The server takes a moment to read its settings."""
    with psycopg.connect(url, autocommit=True) as connection, ThreadPoolExecutor() as pool:
        pid = None
        while pid is None:
            probe = pool.submit(
                connection.execute, "SELECT pg_logical_emit_message(true, 'probe', '')"
            )
            pid = waiting_for_the_standby(admin, probe)
        admin.execute("SELECT pg_cancel_backend(%s)", (pid,))


def cut_short(
    admin: psycopg.Connection, pool: ThreadPoolExecutor, work: Callable[..., Any], *given: Any
) -> "Future[Any]":
    """The work under way in a thread, whose wait for the standby was cut short by an operator."""
    asked = pool.submit(work, *given)
    pid = waiting_for_the_standby(admin, asked)
    assert pid is not None, f"did not wait: {asked.exception() or asked.result()}"
    admin.execute("SELECT pg_cancel_backend(%s)", (pid,))
    return asked


def waiting_for_the_standby(admin: psycopg.Connection, future: "Future[Any]") -> int | None:
    """The backend that waits for the standby; None where its commit did not have to."""
    until = monotonic() + LONG
    while not future.done() and monotonic() < until:
        row = admin.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event = 'SyncRep'"
        ).fetchone()
        if row:
            return int(row[0])
    return None
