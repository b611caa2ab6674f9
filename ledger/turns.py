"""Whose turn it is: work that one process at a time does for a ledger, however many would.

On PostgreSQL the turn is a lock of a connection, and ends with it; on SQLite it is a lock of a file
beside the journal's, and ends with the process. Neither is left behind by who was killed.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ledger.databases import advisory_key
from ledger.store import Store

StillMine = Callable[[], bool]


@contextmanager
def turn(journal: Store, work: str) -> Iterator[StillMine | None]:
    """Have the turn while the block lasts; None: it is another's.

    What is yielded tells whether it is still ours: a connection may break, and another takes over.
    """
    if journal.is_sqlite:
        with _locked_file(journal, work) as mine:
            yield (lambda: True) if mine else None
        return
    with journal.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        key = advisory_key(f"{journal.schema}:{work}")
        mine = connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar_one()
        if not mine:
            yield None
            return
        try:
            yield lambda: _answers(connection)
        finally:
            connection.invalidate()  # closed, not given to another: the lock is its own


def _answers(connection: Connection) -> bool:
    try:
        connection.exec_driver_sql("SELECT 1")
    except DBAPIError:
        return False
    return not connection.invalidated


@contextmanager
def _locked_file(journal: Store, work: str) -> Iterator[bool]:
    database = Path(journal.engine.url.database or "")
    with database.with_name(f"{database.name}-{work}").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
