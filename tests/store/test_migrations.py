"""The schemas of journal and vault: what the migrations make is what the program wants."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from ledger import databases, journal_schema, migrations, vault_rows
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
