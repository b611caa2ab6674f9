"""The open house: the three stores of a ledger, its keys and its desk, from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, inspect
from sqlalchemy.engine import make_url

from ledger import databases, vault, vault_rows
from ledger.desk import Committer, Desk
from ledger.journal_schema import REVISION
from ledger.keyring import Keyring
from ledger.keys_file import Secrets, load_secrets, settle_vault_key
from ledger.settings import Settings
from ledger.store import Store, open_engine, sibling_url


class NotMade(Exception):
    """There is no ledger here yet: `timebank init` makes one."""


class OtherSchema(Exception):
    """A store is at another revision than this program: `timebank db upgrade` mends it."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(f"{found} != {wanted}")
        self.found = found
        self.wanted = wanted


@dataclass(slots=True)
class Ledger:
    """A ledger whose stores are open. `close` it, or use it in a `with`."""

    settings: Settings
    secrets: Secrets
    store: Store
    vault_engine: Engine
    views_engine: Engine
    vault: vault.Vault
    keyring: Keyring
    committer: Committer
    desk: Desk

    def close(self) -> None:
        """Finish what waits at the desk, then give back every connection."""
        self.desk.close()
        self.store.close()
        self.vault_engine.dispose()
        self.views_engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_made(settings: Settings) -> bool:
    """Is there a journal at the settings' place? Makes none by looking."""
    if settings.database_url.startswith("sqlite"):
        path = Path(make_url(settings.database_url).database or "")
        if not path.exists():
            return False
    store = Store(settings.database_url, settings.ledger)
    try:
        return inspect(store.engine).has_table("entries")
    finally:
        store.close()


def refuse_other_schema(engine: Engine, wanted: str = REVISION) -> None:
    """Pass where a store's schema is the one that this program knows; else OtherSchema."""
    with databases.reading(engine) as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    if found != wanted:
        raise OtherSchema(found, wanted)


def make_files(settings: Settings) -> None:
    """On SQLite, empty files for the stores that have none, for their owner alone.

    What stands beside a file later (its log) has the file's mode.
    """
    url = settings.database_url
    if url.startswith("sqlite"):
        for each in (url, sibling_url(url, "vault"), sibling_url(url, "views")):
            Path(make_url(each).database or "").touch(mode=0o600, exist_ok=True)


def make_ledger(settings: Settings) -> None:
    """Make the journal and the vault, or bring them to the newest schema; views make themselves."""
    from ledger import migrations  # alembic is slow to load, and needed here alone

    make_files(settings)
    store = Store(settings.database_url, settings.ledger)
    vault_engine = open_vault_engine(settings)
    try:
        store.create()
        migrations.upgrade(vault_engine, "vault")
    finally:
        store.close()
        vault_engine.dispose()


def open_ledger(
    settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Ledger:
    """Open what `make_ledger` made; else NotMade, OtherSchema, KeysUnusable or WrongVaultKey."""
    if not is_made(settings):
        raise NotMade
    secrets = load_secrets(settings)
    store = Store(settings.database_url, settings.ledger)
    vault_engine = open_vault_engine(settings)
    views_engine = open_engine(
        sibling_url(settings.database_url, "views"), f"{settings.ledger}_views", durable=False
    )
    try:
        refuse_other_schema(store.engine)
        refuse_other_schema(vault_engine, vault_rows.REVISION)
        opened_vault = open_vault(settings, secrets, vault_engine)
    except BaseException:
        store.close()
        vault_engine.dispose()
        views_engine.dispose()
        raise
    committer = Committer(store, clock)
    return Ledger(
        settings=settings,
        secrets=secrets,
        store=store,
        vault_engine=vault_engine,
        views_engine=views_engine,
        vault=opened_vault,
        keyring=Keyring(store.engine),
        committer=committer,
        desk=Desk(committer),
    )


def open_vault(settings: Settings, secrets: Secrets, engine: Engine) -> vault.Vault:
    """The vault under its key; a change of the key that was broken off is finished here."""
    try:
        return vault.Vault(engine, secrets.vault_key)
    except vault.WrongVaultKey:
        if secrets.vault_key_next is None:
            raise
    opened = vault.Vault(engine, secrets.vault_key_next)
    settle_vault_key(settings)
    return opened


def open_vault_engine(settings: Settings) -> Engine:
    """The vault's engine alone."""
    return open_engine(
        sibling_url(settings.database_url, "vault"), f"{settings.ledger}_vault", durable=True
    )
