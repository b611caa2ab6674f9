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


class NoVault(Exception):
    """The journal stands, and no vault: it was lost, or making the ledger was broken off."""


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
    return _stands(settings.database_url, f"{settings.ledger}_journal", "entries")


def refuse_no_vault(settings: Settings) -> None:
    """Pass where there is a vault beside the journal; else NoVault. Makes none by looking."""
    url = sibling_url(settings.database_url, "vault")
    if not _stands(url, f"{settings.ledger}_vault", "people"):
        raise NoVault


def _stands(url: str, schema: str, table: str) -> bool:
    if url.startswith("sqlite") and not Path(make_url(url).database or "").exists():
        return False
    engine = open_engine(url, schema, durable=True)
    try:
        return inspect(engine).has_table(table)
    finally:
        engine.dispose()


def refuse_other_schema(engine: Engine, wanted: str = REVISION) -> None:
    """Pass where a store's schema is the one that this program knows; else OtherSchema."""
    with databases.reading(engine) as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    if found != wanted:
        raise OtherSchema(found, wanted)


def make_files(settings: Settings) -> None:
    """On SQLite, empty files for the stores that have none, for their owner alone."""
    url = settings.database_url
    for each in (url, sibling_url(url, "vault"), sibling_url(url, "views")):
        make_file(each)


def make_file(url: str) -> None:
    """On SQLite, an empty file for a store that has none, for its owner alone.

    What stands beside a file later (its log) has the file's mode.
    """
    if url.startswith("sqlite"):
        Path(make_url(url).database or "").touch(mode=0o600, exist_ok=True)


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
    """Open what `make_ledger` made.

    Else NotMade, NoVault, OtherSchema, KeysUnusable or WrongVaultKey.
    """
    if not is_made(settings):
        raise NotMade
    refuse_no_vault(settings)
    secrets = load_secrets(settings)
    store = Store(settings.database_url, settings.ledger)
    vault_engine = open_vault_engine(settings)
    views_url = sibling_url(settings.database_url, "views")
    make_file(views_url)  # they may have been taken away
    views_engine = open_engine(views_url, f"{settings.ledger}_views", durable=False)
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
