"""The schemas of journal and vault: what the migrations make is what the program wants."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from sqlalchemy import Connection, Engine, insert, select

from ledger import databases, journal_schema, migrations, vault_rows
from ledger.copied_rows import tables_in
from ledger.databases import open_engine, sibling_url
from ledger.migrations import MigratedStore
from ledger.store import Store

STORES: tuple[MigratedStore, ...] = ("journal", "vault")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url, "by_migrations", durable=True)
    yield opened
    opened.dispose()


@pytest.fixture
def created(database_url: str) -> Iterator[Engine]:
    """Another place, for tables that are made without migrations."""
    opened = open_engine(sibling_url(database_url, "vault"), "by_definition", durable=True)
    yield opened
    opened.dispose()


def schema(connection: Connection) -> set[str]:
    """Everything that was defined, as the database itself words it."""
    if connection.dialect.name == "sqlite":
        words = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
        ).scalars()
    else:
        words = connection.exec_driver_sql(POSTGRESQL_SCHEMA).scalars()
    name = databases.schema_name(connection.engine)
    defined = {re.sub(r"\s+", " ", word).replace(name, "HERE").replace('"', "") for word in words}
    return {word for word in defined if "alembic_version" not in word}


POSTGRESQL_SCHEMA = """
SELECT concat_ws(' ',
        table_name, column_name, data_type, is_nullable, collation_name, column_default)
    FROM information_schema.columns WHERE table_schema = current_schema()
UNION SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()
UNION SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
UNION SELECT concat_ws(' ', tgenabled, pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal
UNION SELECT pg_get_functiondef(oid)
    FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
"""


def made(engine: Engine, store: MigratedStore) -> None:
    with databases.writing(engine) as connection:
        databases.create_schema(connection)
        if store == "journal":
            journal_schema.create_tables(connection)
        else:
            vault_rows.metadata.create_all(connection)


@pytest.mark.parametrize("store", STORES)
def test_the_migrations_make_what_the_program_defines(
    store: MigratedStore, engine: Engine, created: Engine
) -> None:
    migrations.upgrade(engine, store)
    made(created, store)
    with databases.reading(engine) as migrated, databases.reading(created) as wanted:
        assert schema(migrated) == schema(wanted) != set()


@pytest.mark.parametrize("store", STORES)
def test_a_store_is_migrated_once_and_then_stands(store: MigratedStore, engine: Engine) -> None:
    assert migrations.check(engine, store) != []
    assert migrations.current(engine, store) is None
    for _ in range(2):
        migrations.upgrade(engine, store)
        assert migrations.current(engine, store) == migrations.newest(store)
        assert migrations.check(engine, store) == []


def test_a_journal_made_without_migrations_is_at_the_newest_revision(store: Store) -> None:
    assert migrations.newest("journal") == journal_schema.REVISION
    assert migrations.newest("vault") == vault_rows.REVISION
    assert migrations.check(store.engine, "journal") == []
    migrations.upgrade(store.engine, "journal")


def test_tables_of_the_librarys_recorders_are_no_difference(store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE stored_snapshots (stream TEXT)")
    assert migrations.check(store.engine, "journal") == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE tracking", "tracking"),
        ("ALTER TABLE keys ADD COLUMN more TEXT", "more"),
        ("DROP INDEX answers_kept_at", "answers_kept_at"),
    ],
)
def test_a_changed_schema_is_told(store: Store, statement: str, said: str) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql(statement)
    (difference,) = migrations.check(store.engine, "journal")
    assert said in difference


def test_a_missing_trigger_is_told(store: Store) -> None:
    where = "" if store.is_sqlite else " ON entries"
    with store.writing() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER entries_refuse_gap{where}")
    assert migrations.check(store.engine, "journal") == [
        "the journal lacks the trigger entries_refuse_gap"
    ]


def test_a_disabled_trigger_is_told(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    store.create()
    with store.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE entries DISABLE TRIGGER entries_refuse_change")
    assert migrations.check(store.engine, "journal") == [
        "the journal lacks the trigger entries_refuse_change"
    ]
    store.close()


# --- upgrades ------------------------------------------------------------------------------------

FAILING = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade():
    op.create_table("half", sa.Column("id", sa.Text, primary_key=True))
    op.drop_table("{doomed}")
    raise RuntimeError("the power went")
"""
DOOMED: dict[MigratedStore, str] = {"journal": "answers", "vault": "fields"}


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more migration behind the newest: it fails when half of it is done."""
    configured = migrations._config

    def config(store: MigratedStore, connection: Connection | None = None) -> Config:
        known = configured(store, connection)
        script = FAILING.format(newest=ours[store], doomed=DOOMED[store])
        more = tmp_path / f"more-{store}"
        more.mkdir(exist_ok=True)
        (more / "v9999.py").write_text(script)
        places = known.get_main_option("version_locations")
        known.set_main_option("version_locations", f"{places}\n{more}")
        return known

    ours = {store: migrations.newest(store) for store in STORES}
    monkeypatch.setattr(migrations, "_config", config)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("first", ["0001", None], ids=["from the first", "from the newest"])
def test_an_upgrade_that_fails_half_way_leaves_the_old_schema_and_its_rows(
    store: MigratedStore, first: str | None, engine: Engine, failing: None
) -> None:
    at = first or migrations.revisions(store)[-2]
    migrations.upgrade(engine, store, at)
    with databases.writing(engine) as connection:
        doomed = tables_in(connection)[DOOMED[store]]
        row = {c.name: 1 if c.type.python_type is int else "x" for c in doomed.columns}
        row |= {c.name: b"x" for c in doomed.columns if c.type.python_type is bytes}
        connection.execute(insert(doomed).values(row))
    with databases.reading(engine) as connection:
        before = schema(connection)
    with pytest.raises(RuntimeError, match="the power went"):
        migrations.upgrade(engine, store)
    assert migrations.current(engine, store) == at
    with databases.reading(engine) as connection:
        assert schema(connection) == before
        assert [tuple(each) for each in connection.execute(select(doomed))] == [tuple(row.values())]


WRITTEN: dict[MigratedStore, dict[str, str]] = {
    "journal": {
        "0001": "366ea40526f469ea2c7947f38775c34c784247bfd59aa3624ec31aecf041ad3e",
        "0002": "8be7bc8bdd7857526953132f93a5c55fe354ac3eedf0840b10ddea24ff716f78",
        "0003": "d135298b7551cbf581556bdcc596309e0c8b6e22d4ddcefce9ffadb044291a48",
    },
    "vault": {
        "0001": "03e7b5f080ee8b4bca4f56f80b0f452f0d680001feb942d1a7c50c89f1b41c92",
    },
}
"""SHA-256 of each migration but the newest, which may not have left this house yet."""


@pytest.mark.parametrize("store", STORES)
def test_a_migration_that_was_written_is_never_edited(store: MigratedStore) -> None:
    """Whoever ran it would not run it again: what has to be other is a further migration."""
    folder = Path(migrations.__file__).parent / store
    *older, _ = migrations.revisions(store)
    assert list(WRITTEN[store]) == older
    for revision, digest in WRITTEN[store].items():
        content = (folder / f"v{revision}.py").read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, revision
