"""Whoever waits for a standby is told nothing before it has that, however often it is asked."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from api.guard import _kept_answer
from ledger import migrations, webhooks
from ledger.desk import Busy
from ledger.keys_file import Secrets
from ledger.notes import Note
from ledger.personal_data import Person
from ledger.settings import Settings
from ledger.store import NotReplicated, Store, append, last_position, open_engine
from ledger.units import new_id
from ledger.vault import Newcomer, Vault
from projections.signing import Signer, last_in_file
from projections.views import Views
from tests.desk.bureau import Bureau, once
from tests.faults.standbys import cut_short, standby_away, waiting_for_the_standby
from tests.rules.town import visit

pytestmark = pytest.mark.postgresql

NOW = datetime(2026, 3, 6, 10, tzinfo=UTC)


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    opened = Store(postgresql_url)
    opened.create()
    yield opened
    opened.close()


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    opened = open_engine(postgresql_url, "main_vault", durable=True)
    migrations.upgrade(opened, "vault")
    yield opened
    opened.dispose()


NEWCOMER = Newcomer(new_id(), "V-1", Person(name="李秀英"))

WRITES: dict[str, Callable[[Vault, str], Any]] = {
    "begin": lambda vault, member: vault.begin("org-a", [NEWCOMER], NOW),
    "activate": lambda vault, member: vault.activate([member]),
    "add_ref": lambda vault, member: vault.add_ref("org-b", member, "B-1"),
    "change": lambda vault, member: vault.change(member, {"phone": "13800005678"}),
    "erase": lambda vault, member: vault.erase(member),
}


@pytest.mark.parametrize("write", WRITES)
def test_what_the_vault_wrote_is_not_acknowledged_nor_when_it_is_said_again(
    engine: Engine, postgresql_url: str, write: str
) -> None:
    vault = Vault(engine, bytes(32))
    held = Newcomer(new_id(), "V-2", Person(name="王芳"))
    vault.begin("org-a", [held], NOW)
    with ThreadPoolExecutor() as pool:
        with standby_away(postgresql_url) as admin:
            for _ in range(2):
                asked = cut_short(admin, pool, WRITES[write], vault, held.member_id)
                with pytest.raises(NotReplicated):
                    asked.result()
            again = pool.submit(WRITES[write], vault, held.member_id)
            assert waiting_for_the_standby(admin, again)
        again.result()


def test_a_job_is_not_answered_nor_is_its_answer_found_again(
    store: Store, postgresql_url: str
) -> None:
    bureau = Bureau(store)
    bureau.settle()
    with ThreadPoolExecutor() as pool:
        with standby_away(postgresql_url) as admin:
            asked = cut_short(admin, pool, lambda: bureau.answer(visit(), once=once("k-1")))
            waiting = waiting_for_the_standby(admin, asked)  # whether it stands: looked up, waiting
            admin.execute("SELECT pg_cancel_backend(%s)", (waiting,))
            with pytest.raises(Busy):
                asked.result()
            stands = bureau.entries()[-1].position
            kept = pool.submit(_kept_answer, store, once("k-1"))
            assert waiting_for_the_standby(admin, kept)
            admin.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
            with pytest.raises(NotReplicated):
                kept.result()
            again = pool.submit(lambda: bureau.answer(visit(), once=once("k-1")))
            assert waiting_for_the_standby(admin, again)
        assert again.result().replayed
    assert bureau.entries()[-1].position == stands
    assert _kept_answer(store, once("k-1")) == again.result()
    bureau.close()


def test_a_checkpoint_is_not_shown_nor_is_one_that_stands_already(
    store: Store, postgresql_url: str, tmp_path: Path
) -> None:
    engine = open_engine(postgresql_url, "main_views", durable=False)
    views = Views(store, engine)
    with store.writing() as connection:
        append(connection, [("o:1", 1, "Else", b"x")], last_position(connection))
    views.catch_up()
    file = tmp_path / "checkpoints"
    settings = Settings(keys_file=Path("none"), checkpoint_file=file)
    signer = Signer(views, settings, Secrets(bytes(32), bytes(32)))
    with ThreadPoolExecutor() as pool:
        with standby_away(postgresql_url) as admin:
            for ask in (signer.sign, signer.fresh, signer.sign):
                asked = cut_short(admin, pool, ask)
                with pytest.raises(NotReplicated):
                    asked.result()
            assert not file.exists()
            assert signer.signed == 0
            shown = pool.submit(signer.fresh)
            assert waiting_for_the_standby(admin, shown)
        assert Note.parse(shown.result().note).checkpoint.size == 1
    assert signer.sign() == shown.result()
    assert last_in_file(file) == Note.parse(shown.result().note).checkpoint
    engine.dispose()


def test_a_webhook_is_not_changed_nor_found_changed(store: Store, postgresql_url: str) -> None:
    def change() -> bool:
        with webhooks.changing(store) as db:
            hook = webhooks.set_status(db, "w-1", "paused")
        return hook is not None

    def look() -> str:
        with webhooks.changing(store) as db:
            hook = webhooks.find(db, "w-1")
        assert hook is not None
        return hook.status

    with store.writing() as db:
        webhooks.create(
            db,
            id="w-1",
            organisation=None,
            url="https://example.org",
            types=None,
            position=0,
            at=NOW,
            created_by="k",
        )
    with ThreadPoolExecutor() as pool:
        with standby_away(postgresql_url) as admin:
            for ask in (change, change, look):
                asked = cut_short(admin, pool, ask)
                with pytest.raises(NotReplicated):
                    asked.result()
            looked = pool.submit(look)
            assert waiting_for_the_standby(admin, looked)
        assert looked.result() == "paused"
