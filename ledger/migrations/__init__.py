"""The journal's and the vault's schemas, brought up to date by alembic from the program itself."""

from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from ledger import databases, journal_schema, vault_rows

MigratedStore = Literal["journal", "vault"]

NEWEST = "head"

_HERE = Path(__file__).parent
_METADATA = {"journal": journal_schema.metadata, "vault": vault_rows.metadata}


def upgrade(engine: Engine, store: MigratedStore, to: str = NEWEST) -> None:
    """Bring the store's schema to a revision, in one transaction, or make it."""
    with databases.writing(engine) as connection:
        upgrade_within(connection, store, to)


def upgrade_within(connection: Connection, store: MigratedStore, to: str = NEWEST) -> None:
    """The same, in a transaction that is the caller's."""
    databases.create_schema(connection)
    command.upgrade(_config(store, connection), to)


def current(engine: Engine, store: MigratedStore) -> str | None:
    """The revision that the store is at; None before the first."""
    with databases.reading(engine) as connection:
        return current_within(connection)


def current_within(connection: Connection) -> str | None:
    """The same, as a transaction of the caller's sees it."""
    return MigrationContext.configure(connection).get_current_revision()


def revisions(store: MigratedStore) -> list[str]:
    """Every revision that this program knows, the first one first."""
    walked = ScriptDirectory.from_config(_config(store)).walk_revisions()
    return [script.revision for script in walked][::-1]


def newest(store: MigratedStore) -> str:
    """The revision that this program wants."""
    head = ScriptDirectory.from_config(_config(store)).get_current_head()
    assert head is not None  # noqa: S101  (each store has a first migration)
    return head


def check(engine: Engine, store: MigratedStore) -> list[str]:
    """What the store's schema lacks or has beside what this program wants; empty where all is well.

    What the library's recorders made beside our tables is no difference.
    """
    said: list[str] = []
    with databases.reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_ours(store)})
        at, wanted = context.get_current_revision(), newest(store)
        if at != wanted:
            said.append(f"the {store} is at revision {at}, this program wants {wanted}")
        said += [
            f"the {store} differs: {one}"
            for one in _flat(compare_metadata(context, _METADATA[store]))
        ]
        if store == "journal":
            there = set(connection.exec_driver_sql(_TRIGGERS[engine.dialect.name]).scalars())
            missing = journal_schema.TRIGGER_NAMES[engine.dialect.name] - there
            said += [f"the journal lacks the trigger {name}" for name in sorted(missing)]
    return said


_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE relnamespace = current_schema()::regnamespace AND tgenabled = 'A'",
}


def _is_ours(store: MigratedStore) -> Any:
    ours = set(_METADATA[store].tables)

    def include(of: object, name: str | None, kind: str, reflected: bool, *_: object) -> bool:
        return kind != "table" or not reflected or name in ours

    return include


def _flat(differences: list[Any]) -> list[str]:
    """Alembic groups changes of one column in a list of their own."""
    flat: list[str] = []
    for one in differences:
        if isinstance(one, list):
            flat += _flat(one)
        else:
            flat.append(" ".join(str(part) for part in one))
    return flat


def _config(store: MigratedStore, connection: Connection | None = None) -> Config:
    config = Config()
    for name, value in (
        ("script_location", _HERE),
        ("version_locations", _HERE / store),
        ("path_separator", "newline"),
    ):
        config.set_main_option(name, str(value).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
