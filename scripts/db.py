"""`timebank db`: the schemas of the stores, and whether their files are sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.backups import check_backup
from scripts.door import is_sqlite, opened_journal, opened_views, settings
from scripts.printing import Exit, Told, table, verb

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ledger.migrations import MigratedStore


@verb()
def upgrade() -> Told:
    """Bring journal and vault to the newest revision; the views make themselves."""
    from ledger.migrations import current
    from ledger.migrations import upgrade as upgraded

    done: list[dict[str, str | None]] = []
    with migrated() as engines:
        for store, engine in engines.items():
            before = current(engine, store)
            upgraded(engine, store)
            done.append({"store": store, "before": before, "after": current(engine, store)})
    return Told({"stores": done}, [table(("store", "before", "after"), done)])


@verb(click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[BACKUP]"))
def check(path: Path | None) -> Told:
    """Compare the schemas with what this program wants, and let SQLite look through its files.

    Of a backup: its hashes, its files, and that its journal verifies.
    """
    from ledger.migrations import check as checked
    from ledger.migrations import current
    from ledger.opening import refuse_no_vault

    if path is not None:
        return check_backup(path)
    with opened_journal(any_schema=True):
        refuse_no_vault(settings())
    found: list[dict[str, object]] = []
    with migrated() as engines, opened_views(any_schema=True) as views:
        for store, engine in engines.items():
            faults = checked(engine, store) + unsound(engine)
            found.append({"store": store, "revision": current(engine, store), "faults": faults})
        found.append({"store": "views", "revision": None, "faults": unsound(views.engine)})
    sound = not any(each["faults"] for each in found)
    return Told(
        {"ok": sound, "stores": found},
        [table(("store", "revision", "faults"), found)],
        Exit.OK if sound else Exit.WRONG,
    )


@contextmanager
def migrated() -> Iterator[dict["MigratedStore", "Engine"]]:
    """The engines of the stores that have migrations."""
    from ledger.opening import make_files, open_vault_engine

    given = settings()
    with opened_views(given, any_schema=True) as views:
        make_files(given)  # of a vault that was lost
        vault = open_vault_engine(given)
        try:
            yield {"journal": views.store.engine, "vault": vault}
        finally:
            vault.dispose()


def unsound(engine: "Engine") -> list[str]:
    """What SQLite finds wrong in a file of its own; PostgreSQL looks after its files itself."""
    if not is_sqlite(settings()):
        return []
    with engine.connect() as connection:
        said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    return [] if said == ["ok"] else [str(each) for each in said]
