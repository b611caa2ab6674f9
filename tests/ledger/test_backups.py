"""Backups by the stores alone: every table is carried, from and to either engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Engine, LargeBinary, MetaData, Table, insert, select

from ledger import backups, copied_rows, databases, journal_schema, migrations, vault_rows
from ledger.backups import Manifest, Place
from ledger.copied_rows import OtherTables, are_same, copy_rows
from ledger.migrations import MigratedStore
from ledger.units import instant
from tests.conftest import BACKENDS

METADATA: dict[MigratedStore, MetaData] = {
    "journal": journal_schema.metadata,
    "vault": vault_rows.metadata,
}
ROWS = 7
AT = instant("2026-11-27T08:00:00Z")

FIXED: dict[str, dict[str, Any]] = {
    "vault": {"id": 1},
    "people": {"status": "active", "wrapped_key": b"wrapped"},
}
"""What a constraint asks of a row of these."""
ONE_ROW = {"vault"}


def value(column: Column[Any], row: int) -> Any:
    """Something that such a column may hold and that is easily lost: nothing, nulls, width."""
    if column.nullable and row == 2:
        return None
    match column.type:
        case LargeBinary():
            return bytes([row, 0, 255]) * (row if column.nullable else row + 1)
        case BigInteger():
            return row + 1 if column.primary_key else (1 << 40) + row
        case kind if kind.python_type is int:
            return row + 1
        case kind if kind.python_type is str:
            return f"{row} 湖街 '\"\\ \n\t𠮷" if row != 3 or column.primary_key else ""
    raise TypeError(column.type)


def row_of(table: Table, row: int) -> dict[str, Any]:
    said = {column.name: value(column, row) for column in table.columns}
    return {**said, **FIXED.get(table.name, {})}


def fill(engine: Engine, store: MigratedStore) -> None:
    with databases.writing(engine) as connection:
        for table in METADATA[store].sorted_tables:
            many = 1 if table.name in ONE_ROW else ROWS
            connection.execute(insert(table), [row_of(table, row) for row in range(many)])


def held(engine: Engine, store: MigratedStore) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that the program defines."""
    with databases.reading(engine) as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in METADATA[store].sorted_tables
        }


class Stores:
    """Both stores at one place."""

    def __init__(self, url: str, ledger: str) -> None:
        vault = databases.sibling_url(url, "vault")
        self.journal = databases.open_engine(url, f"{ledger}_journal", durable=True)
        self.vault = databases.open_engine(vault, f"{ledger}_vault", durable=True)
        self.engines: dict[MigratedStore, Engine] = {"journal": self.journal, "vault": self.vault}
        self.place = Place(self.journal, self.vault)

    def make(self) -> None:
        for store, engine in self.engines.items():
            migrations.upgrade(engine, store)
            fill(engine, store)


def nobody(done: int, total: int) -> None:
    """Who is told how far it has come."""


def taken(stores: Stores, folder: Path) -> Manifest:
    backups.take(stores.journal, stores.vault, folder, nobody)
    return backups.seal(folder, "main", b"\0" * 32, AT)


@pytest.fixture
def source(database_url: str) -> Iterator[Stores]:
    opened = Stores(database_url, "main")
    opened.make()
    yield opened
    for engine in opened.engines.values():
        engine.dispose()


@pytest.fixture(params=BACKENDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    opened = Stores(url, "elsewhere")
    yield opened
    for engine in opened.engines.values():
        engine.dispose()


def test_every_table_of_both_stores_is_carried_row_for_row(source, target, tmp_path):
    manifest = taken(source, tmp_path / "b")
    backups.restore(tmp_path / "b", manifest, target.place, nobody)
    for store in METADATA:
        before, after = (held(place.engines[store], store) for place in (source, target))
        assert after == before
        assert set(before) == set(METADATA[store].tables)
        assert all(before.values()), "a table without a row shows nothing"
        assert manifest.stores()[store].rows == {name: len(rows) for name, rows in before.items()}
        assert migrations.check(target.engines[store], store) == []


def test_no_table_counts_by_itself(source):
    """Else what a restore leaves behind would begin again at 1."""
    with databases.reading(source.journal) as connection:
        if connection.dialect.name == "sqlite":
            words = "SELECT sql FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
        else:
            words = (  # the vault has one row, which says of itself that it is the first
                "SELECT relname FROM pg_class WHERE relkind = 'S' AND relname <> 'vault_id_seq'"
            )
        assert connection.exec_driver_sql(words).all() == []


def test_progress_ends_where_it_was_to_end(source, target, tmp_path):
    heard: list[tuple[int, int]] = []
    backups.take(source.journal, source.vault, tmp_path / "b", lambda *so_far: heard.append(so_far))
    manifest = backups.seal(tmp_path / "b", "main", b"\0" * 32, AT)
    rows = sum(sum(copied.rows.values()) for copied in manifest.stores().values())
    assert heard[-1] == (rows, rows)
    heard.clear()
    backups.restore(tmp_path / "b", manifest, target.place, lambda *so_far: heard.append(so_far))
    assert heard[-1] == (2 * rows, 2 * rows)  # copied, then compared


def test_what_is_no_part_of_the_schema_is_left_out_and_told(source, tmp_path):
    with databases.writing(source.journal) as connection:
        connection.exec_driver_sql("CREATE TABLE stored_snapshots (id TEXT PRIMARY KEY)")
        connection.exec_driver_sql("ALTER TABLE keys ADD COLUMN colour TEXT")
    left_out = backups.take(source.journal, source.vault, tmp_path / "b", nobody)
    assert left_out == [
        "journal.keys.colour",
        "journal.stored_snapshots",
        "journal.stored_snapshots.id",
    ]


def test_a_store_without_one_of_its_tables_makes_no_backup(source, tmp_path):
    with databases.writing(source.journal) as connection:
        connection.exec_driver_sql("DROP TABLE tracking")
    with pytest.raises(OtherTables, match="tracking"):
        backups.take(source.journal, source.vault, tmp_path / "b", nobody)


def test_a_place_with_any_table_is_taken(source, target, tmp_path):
    manifest = taken(source, tmp_path / "b")
    with databases.writing(target.journal) as connection:
        databases.create_schema(connection)
        connection.exec_driver_sql("CREATE TABLE somebody_elses (id TEXT PRIMARY KEY)")
    with pytest.raises(backups.PlaceTaken, match="journal"):
        backups.restore(tmp_path / "b", manifest, target.place, nobody)
    with databases.reading(target.vault) as connection:
        assert not migrations.current_within(connection), "the vault was touched"


def test_a_row_that_is_lost_on_the_way_is_found_before_the_commit(
    source, target, tmp_path, monkeypatch
):
    manifest = taken(source, tmp_path / "b")
    insert_all = copied_rows.insert_many
    monkeypatch.setattr(
        copied_rows, "insert_many", lambda to, table, rows: insert_all(to, table, rows[:-1])
    )
    with pytest.raises(backups.Damaged, match="vault"):
        backups.restore(tmp_path / "b", manifest, target.place, nobody)
    for engine in target.engines.values():
        with databases.reading(engine) as connection:
            assert not migrations.current_within(connection)


def test_a_vault_that_is_there_with_the_same_rows_is_gone_on_from(source, target, tmp_path):
    manifest = taken(source, tmp_path / "b")
    alone = Place(None, target.vault)
    backups.restore(tmp_path / "b", manifest, alone, nobody)
    backups.restore(tmp_path / "b", manifest, target.place, nobody)
    assert held(target.journal, "journal") == held(source.journal, "journal")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fields SET ciphertext = wrapped_key FROM people WHERE field LIKE '6%'",
        "DELETE FROM lookups WHERE kind LIKE '6%'",
        "INSERT INTO webhook_secrets SELECT 'more', sealed FROM webhook_secrets LIMIT 1",
    ],
)
def test_a_vault_with_any_other_row_is_not_overwritten(source, target, tmp_path, statement):
    manifest = taken(source, tmp_path / "b")
    backups.restore(tmp_path / "b", manifest, Place(None, target.vault), nobody)
    if statement.startswith("INSERT"):
        statement = statement.replace("secrets SELECT", "secrets (webhook_id, sealed) SELECT")
    with databases.writing(target.vault) as connection:
        assert connection.exec_driver_sql(statement.replace("%", "%%")).rowcount > 0
    before = held(target.vault, "vault")
    with pytest.raises(backups.PlaceTaken, match="vault"):
        backups.restore(tmp_path / "b", manifest, target.place, nobody)
    assert held(target.vault, "vault") == before
    with databases.reading(target.journal) as connection:
        assert not migrations.current_within(connection), "the journal was touched"


@pytest.mark.parametrize("step", ["count_rows", "copy_rows"])
def test_a_backup_of_one_moment_is_taken_while_others_write(source, tmp_path, monkeypatch, step):
    """Both moments come before any row is counted or copied, however long that takes."""
    asked = 0
    counted_or_copied = getattr(backups, step)

    def meanwhile(*given):
        nonlocal asked
        asked += 1
        for store, engine in source.engines.items():
            table = METADATA[store].tables["tracking" if store == "journal" else "lookups"]
            with databases.writing(engine) as connection:
                row = {**row_of(table, 0), table.columns.keys()[0]: f"late {asked}"}
                connection.execute(insert(table), row)
        return counted_or_copied(*given)

    with monkeypatch.context() as patched:
        patched.setattr(backups, step, meanwhile)
        backups.take(source.journal, source.vault, tmp_path / "b", nobody)
    manifest = backups.seal(tmp_path / "b", "main", b"\0" * 32, AT)
    assert asked == 2
    assert manifest.journal.rows["tracking"] == ROWS
    assert manifest.vault is not None
    assert manifest.vault.rows["lookups"] == ROWS
    assert len(held(source.vault, "vault")["lookups"]) == ROWS + 2


def test_the_journals_moment_comes_before_the_vaults(source, tmp_path, monkeypatch):
    moments: list[str] = []
    asked = migrations.current_within

    def noted(connection):
        moments.append(databases.schema_name(connection.engine))
        return asked(connection)

    monkeypatch.setattr(migrations, "current_within", noted)
    backups.take(source.journal, source.vault, tmp_path / "b", nobody)
    assert moments[:2] == ["main_journal", "main_vault"]


def test_a_backup_is_read_without_a_file_beside_it(source, tmp_path):
    """As it must be on media that cannot be written to, where no log and no index can stand."""
    manifest = taken(source, tmp_path / "b")
    before = sorted(path.name for path in (tmp_path / "b").iterdir())
    for store in METADATA:
        with (
            backups.opened_file(tmp_path / "b", store) as engine,
            databases.reading(engine) as connection,
        ):
            assert migrations.current_within(connection) == migrations.newest(store)
            assert sorted(path.name for path in (tmp_path / "b").iterdir()) == before
        assert backups.faults(tmp_path / "b", manifest, store) == []


def test_rows_that_differ_anywhere_are_not_the_same(source, target):
    for store in METADATA:
        migrations.upgrade(target.engines[store], store)
        with (
            databases.reading(source.engines[store]) as theirs,
            databases.writing(target.engines[store]) as ours,
        ):
            copy_rows(theirs, ours, lambda rows: None)
    for store, metadata in METADATA.items():
        for table in metadata.sorted_tables:
            if table.name in ("entries", *journal_schema.APPEND_ONLY):
                continue
            for change in (table.delete(), _altered(table)):
                if change is None:
                    continue
                with (
                    databases.reading(source.engines[store]) as theirs,
                    target.engines[store].connect() as ours,
                ):
                    assert are_same(theirs, ours, lambda rows: None)
                    ours.execute(change)
                    assert not are_same(theirs, ours, lambda rows: None), (table.name, change)
                    ours.rollback()


def _altered(table: Table) -> Any:
    """Another value in a column that is no key, without breaking a constraint."""
    free = [c for c in table.columns if not c.primary_key and c.name not in ("status", "id")]
    if not free:
        return None
    column = free[-1]
    return table.update().values({column: value(column, ROWS + 1)})
