"""Of an erased person neither the key nor what it sealed is in a file of the vault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, select

from ledger import vault_rows
from ledger.personal_data import Person
from ledger.vault import Erased, Vault
from tests.ledger.test_vault import LI, VAULT_KEY, opened, registered


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = opened(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def vault(engine: Engine) -> Vault:
    return Vault(engine, VAULT_KEY)


def sealed_of(engine: Engine, member_id: str) -> list[bytes]:
    """The wrapped key of a member, every ciphertext, every digest."""
    people, fields, lookups = vault_rows.people.c, vault_rows.fields.c, vault_rows.lookups.c
    with engine.connect() as db:
        found = [
            *db.scalars(select(people.wrapped_key).where(people.member_id == member_id)),
            *db.scalars(select(fields.ciphertext).where(fields.member_id == member_id)),
            *db.scalars(select(lookups.digest).where(lookups.member_id == member_id)),
        ]
    return [bytes(each) for each in found]


def in_files(database_url: str, folder: Path, wanted: list[bytes]) -> int:
    """How many of the values stand in a file of the store: `base` alone where it is PostgreSQL."""
    if database_url.startswith("sqlite"):
        files = [file for file in folder.iterdir() if file.is_file()]
    else:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            (where,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        files = [file for file in (Path(where) / "base").rglob("*") if file.is_file()]
    contents = [file.read_bytes() for file in files]
    return sum(any(value in content for content in contents) for value in wanted)


@contextmanager
def reading(engine: Engine) -> Iterator[None]:
    """Somebody who began to read and has not ended."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as db:
            db.execute(select(vault_rows.people)).all()
            yield
    else:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as db:
            db.exec_driver_sql("SELECT 1").all()
            yield


def test_of_an_erased_person_no_byte_is_left_in_the_files(
    vault: Vault, engine: Engine, database_url: str, tmp_path: Path
) -> None:
    member, other = registered(vault, "org-a", "R1", LI), registered(vault, "org-a", "R2")
    vault.change(member, {"phone": "13900001111"})
    gone, kept = sealed_of(engine, member), sealed_of(engine, other)
    assert in_files(database_url, tmp_path, gone + kept) == len(gone) + len(kept)
    vault.erase(member)
    assert vault.sweep()
    assert in_files(database_url, tmp_path, gone) == 0
    assert in_files(database_url, tmp_path, kept) == len(kept)
    assert vault.find_refs("org-a", ["R2"]) == {"R2": other}


def test_a_reader_in_the_way_of_sweeping_is_told_and_the_next_sweep_does_it(
    vault: Vault, engine: Engine, database_url: str, tmp_path: Path
) -> None:
    member = registered(vault, "org-a", "R1", LI)
    gone = sealed_of(engine, member)
    with reading(engine):
        assert vault.erase(member)
        assert not vault.sweep()
        assert in_files(database_url, tmp_path, gone)
    assert vault.sweep()
    assert in_files(database_url, tmp_path, gone) == 0


def test_of_who_is_erased_nothing_is_held_ever_again(vault: Vault) -> None:
    member = registered(vault, "org-a", "R1", LI)
    assert not vault.is_erased(member)
    vault.erase(member)
    assert vault.is_erased(member)
    with pytest.raises(Erased):
        vault.change(member, {"name": "李"})
    with pytest.raises(Erased):
        vault.add_ref("org-b", member, "B-1")
    assert vault.read_in_full(member) is None


def test_the_document_of_an_erased_person_is_registered_anew(vault: Vault) -> None:
    member = registered(vault, "org-a", "R1", LI)
    vault.erase(member)
    again = registered(vault, "org-b", "B-1", Person(document_number=LI.document_number))
    assert again != member
