"""What was deleted leaves the files of a store too, as far as a program can see to it.

SQLite overwrites what it frees (`secure_delete`), yet the pages before the change stand in the
write-ahead log until that is emptied. PostgreSQL leaves dead rows in the table's file until it is
written anew. What neither reaches: PostgreSQL's own WAL segments in `pg_wal` hold the rows until
the server recycles or removes them (some checkpoints later; an archive or a standby as long as it
keeps them), a file system may keep blocks that a file has given up, and a backup what it has.
"""

from typing import Any, Literal

import psycopg
from sqlalchemy import Engine

SQLITE_WAIT_MS = 1_000
POSTGRESQL_WAIT = "SET lock_timeout = '5s'"

What = Literal["vault", "keys"]

_WRITE_ANEW: dict[What, str] = {
    "vault": "VACUUM (FULL) people, fields, lookups",
    "keys": "VACUUM (FULL) keys",
}
_WHO_STILL_SEES: dict[What, str] = {
    # The row of `vault` is written by every erasure, so its age is that of the last one.
    "vault": "SELECT count(*) FROM pg_stat_activity"
    " WHERE age(backend_xmin) >= (SELECT age(xmin) FROM vault)",
    "keys": "SELECT count(*) FROM pg_stat_activity"
    " WHERE age(backend_xmin) >= (SELECT min(age(xmin)) FROM keys)",
}


def sweep(engine: Engine, what: What) -> bool:
    """Have what was deleted leave the files; False where a reader is in the way: ask again later.

    It runs outside any transaction, and on PostgreSQL locks the tables while it writes them anew.
    """
    raw = engine.raw_connection()
    try:
        driver: Any = raw.driver_connection
        if engine.dialect.name == "sqlite":
            return _empty_the_log(driver)
        return _write_anew(driver, what)
    finally:
        raw.close()


def _empty_the_log(driver: Any) -> bool:
    """Copy the write-ahead log into the file, and cut it to nothing (sqlite.org/pragma.html)."""
    (waits,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_MS}")  # writers wait as long
    try:
        (in_the_way, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not in_the_way
    finally:
        driver.execute(f"PRAGMA busy_timeout = {waits}")


def _write_anew(driver: Any, what: What) -> bool:
    driver.autocommit = True
    try:
        driver.execute(POSTGRESQL_WAIT)
        (still_seen,) = driver.execute(_WHO_STILL_SEES[what]).fetchone()
        driver.execute(_WRITE_ANEW[what])
    except psycopg.errors.LockNotAvailable:
        return False
    else:
        return not still_seen
    finally:
        driver.execute("RESET lock_timeout")
        driver.autocommit = False
