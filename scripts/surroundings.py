"""The doctor's checks of what a ledger stands on: files, the server, copies kept elsewhere."""

import os
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.door import is_sqlite, now, opened_journal, sqlite_file
from scripts.findings import Finding, ok, warning, wrong

if TYPE_CHECKING:
    from ledger.settings import Settings

OPEN_TO_OTHERS = 0o077
STORES_BESIDE = ("vault", "views")
POOL = 15
"""Threads of a process that may ask one store at once: eight readers and some more."""
LISTENING = 2  # of a process, for the journal and for the views
PROCESS_CONNECTIONS_MAX = 3 * POOL + LISTENING
SERVER_MIN = 130_000  # pg_current_xact_id_if_assigned came with PostgreSQL 13
BACKUP_AGE_MAX = timedelta(hours=26)  # one a day, and the time that it takes


def files(given: "Settings") -> Finding:
    """What holds the ledger is open to its owner alone."""
    if not is_sqlite(given):
        return ok("doctor_no_files")
    journal = sqlite_file(given)
    stores = [journal, *(journal.with_stem(f"{journal.stem}-{name}") for name in STORES_BESIDE)]
    named = [path.with_name(path.name + more) for path in stores for more in ("", "-wal", "-shm")]
    there = [path for path in named if path.exists()]
    shut_not = [path for path in there if path.stat().st_mode & OPEN_TO_OTHERS]
    if shut_not:
        return warning("doctor_files_open", paths=" ".join(map(str, shut_not)))
    return ok("doctor_files", count=len(there))


def writable(given: "Settings") -> Finding:
    """The database takes writes: it can be locked, or it is the primary and lets us in."""
    from ledger import databases

    with opened_journal(given, any_schema=True) as store:
        if is_sqlite(given):
            with databases.writing(store.engine):
                return ok("doctor_writable")
        with databases.reading(store.engine) as connection:
            is_standby, is_read_only, may = connection.exec_driver_sql(_MAY_WRITE).one()
    if is_standby:
        return wrong("doctor_standby")
    if is_read_only:
        return wrong("doctor_read_only")
    return ok("doctor_writable") if may else wrong("doctor_may_not_write")


def server(given: "Settings") -> Finding:
    """Which database it is, and whether a commit waits for another machine."""
    if is_sqlite(given):
        return ok("doctor_sqlite", version=sqlite3.sqlite_version)
    version, number, standbys, may_ask, connected = _one(given, _SERVER)
    if number < SERVER_MIN:
        return wrong("doctor_server_old", version=version)
    if not standbys:
        return ok("doctor_server_alone", version=version)
    if may_ask and not connected:
        return warning("doctor_standbys_away", version=version, standbys=standbys)
    return ok("doctor_server", version=version, standbys=standbys)


def connections(given: "Settings") -> Finding:
    """The server has room for the connections of one more process."""
    if is_sqlite(given):
        return ok("doctor_no_connections")
    most, used = _one(given, _CONNECTIONS)
    told = {"most": most, "used": used, "process": PROCESS_CONNECTIONS_MAX}
    if most - used < PROCESS_CONNECTIONS_MAX:
        return warning("doctor_connections_few", **told)
    return ok("doctor_connections", **told)


def checkpoint_file(given: "Settings") -> Finding:
    """What was signed is also kept where the database's administrators do not write."""
    from ledger.checkpoints import last
    from ledger.store import last_position
    from projections.signing import last_in_file

    path = given.checkpoint_file
    if path is None:
        return warning("doctor_no_checkpoint_file")
    with opened_journal(given) as store, store.reading() as connection:
        kept, position = last(connection), last_position(connection)
    signed = 0 if kept is None else kept.size
    told = last_in_file(path)
    if told is None:
        return warning("doctor_checkpoint_file_empty", path=path)
    if told.size > position:
        return wrong("doctor_cut_off", path=path, size=told.size, position=position)
    if told.size < signed:
        return warning("doctor_checkpoint_file_behind", path=path, size=told.size, signed=signed)
    if not os.access(path, os.W_OK):
        return warning("doctor_checkpoint_file_shut", path=path)
    return ok("doctor_checkpoint_file", path=path, size=told.size)


def backups(folder: Path, given: "Settings") -> Finding:
    """There is a backup of this ledger that is not old; how old the oldest vault among them is."""
    from ledger.backups import MANIFEST, read_manifest
    from ledger.units import instant

    found = [
        read_manifest(path.parent)
        for path in sorted(folder.glob(f"*/{MANIFEST}"))
        if not path.parent.name.startswith(".")  # half made, and left behind
    ]
    mine = sorted(
        (each for each in found if each.ledger == given.ledger), key=lambda each: each.made_at
    )
    if not mine:
        return wrong("doctor_no_backup", folder=folder)
    vaults = [each.made_at for each in mine if each.vault is not None]
    told = {
        "count": len(mine),
        "newest": mine[-1].made_at,
        "position": mine[-1].position,
        "vault": vaults[0] if vaults else "-",
    }
    is_old = now() - instant(mine[-1].made_at) > BACKUP_AGE_MAX
    return (warning if is_old else ok)("doctor_backup_old" if is_old else "doctor_backups", **told)


_MAY_WRITE = (
    "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',"
    " has_table_privilege('entries', 'INSERT')"
)
_SERVER = (
    "SELECT current_setting('server_version'), current_setting('server_version_num')::integer,"
    " current_setting('synchronous_standby_names'),"
    " pg_has_role(current_user, 'pg_read_all_stats', 'member'),"
    " (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))"
)
_CONNECTIONS = (
    "SELECT current_setting('max_connections')::integer"
    " - current_setting('superuser_reserved_connections')::integer"
    " - coalesce(current_setting('reserved_connections', true)::integer, 0),"
    " (SELECT sum(numbackends)::integer FROM pg_stat_database)"
)


def _one(given: "Settings", question: str) -> Any:
    with opened_journal(given, any_schema=True) as store, store.engine.connect() as connection:
        return connection.exec_driver_sql(question).one()
