"""Backups: both stores as SQLite files of our own schema, whatever engine they come from.

A backup is a folder with `journal.db`, `vault.db` (unless it was left out) and `manifest.json`,
which says of which ledger and from when it is, how far it reaches, and the SHA-256 of both files.
It is taken while others write, from one moment of the journal and a later one of the vault: a
member's row stands in the vault before the fact stands in the journal, so nobody whom the journal
knows is missing. Each store is as the migrations make it at the store's own revision.

Whoever can write a backup can write its manifest too. What a backup is worth as proof is what
`verification` finds in it, with checkpoints that were kept elsewhere.
"""

import base64
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError

from ledger import checkpoints, databases, migrations
from ledger.copied_rows import Heard, are_same, copy_rows, count_rows, is_empty, tables_in
from ledger.migrations import MigratedStore
from ledger.store import Store, last
from ledger.store import checkpoints as checkpoints_table
from ledger.units import instant_text

FORMAT = 1
MANIFEST = "manifest.json"
FILES: dict[MigratedStore, str] = {"journal": "journal.db", "vault": "vault.db"}


class NotABackup(Exception):
    """A folder holds no backup: there is no manifest in it."""


class NewerBackup(Exception):
    """A backup is of a form, or of a schema, that a later program has made."""


class Damaged(Exception):
    """A backup is not what its manifest says; says what is wrong."""


class PlaceTaken(Exception):
    """Where a store was to be restored to, there stands something already."""


class Copied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says of one store."""

    file: str
    revision: str
    sha256: str  # of the file, in hex
    bytes: int
    rows: dict[str, int]  # by table


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says of itself."""

    format: int
    ledger: str
    made_at: str
    position: int  # of the last entry; 0: none
    leaf_hash: str | None  # of the last entry, in hex
    root: str  # of the tree over all entries, in base64
    checkpoint: str | None  # the last one that was signed, as a note
    journal: Copied
    vault: Copied | None  # None: it was left out

    def stores(self) -> dict[MigratedStore, Copied]:
        """The stores that are in it."""
        return {
            "journal": self.journal,
            **({"vault": self.vault} if self.vault is not None else {}),
        }


# --- taking --------------------------------------------------------------------------------------


def take(
    journal: Engine, vault: Engine | None, folder: Path, heard: Callable[[int, int], None]
) -> list[str]:
    """Copy the stores into a new folder; `seal` makes a backup of it.

    `heard` is told how many rows are copied, and how many there are. The stores are only read, each
    in one state; no writer waits. Answers what is left out, being no part of our schema: tables
    that the library's recorders have made, above all.
    """
    folder.mkdir(mode=0o700)
    with ExitStack() as states:
        sources: dict[MigratedStore, Connection] = {}
        # Both moments are chosen at once, the journal's first, however long the copying takes.
        engines: dict[MigratedStore, Engine | None] = {"journal": journal, "vault": vault}
        for store, engine in engines.items():
            if engine is not None:
                sources[store] = states.enter_context(databases.reading(engine))
                migrations.current_within(sources[store])
        total = sum(
            sum(count_rows(source, tables_in(source)).values()) for source in sources.values()
        )
        done = 0

        def more(rows: int) -> None:
            nonlocal done
            done += rows
            heard(done, total)

        return [
            f"{store}.{name}"
            for store, source in sources.items()
            for name in _write_file(folder / FILES[store], store, source, more)
        ]


def seal(folder: Path, ledger: str, root: bytes, made_at: datetime) -> Manifest:
    """Write the manifest of what `take` has copied, once it was verified."""
    stores = {store: _described(folder, store) for store in FILES if _file(folder, store).exists()}
    with opened_file(folder, "journal") as engine, databases.reading(engine) as connection:
        newest, signed = last(connection), None
        if checkpoints_table.name in tables_in(connection):  # the first schema had none
            signed = checkpoints.last(connection)
    manifest = Manifest(
        format=FORMAT,
        ledger=ledger,
        made_at=instant_text(made_at),
        position=newest.position if newest else 0,
        leaf_hash=newest.leaf_hash.hex() if newest else None,
        root=root_text(root),
        checkpoint=signed.note if signed else None,
        journal=stores["journal"],
        vault=stores.get("vault"),
    )
    path = folder / MANIFEST
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return manifest


def _write_file(path: Path, store: MigratedStore, source: Connection, heard: Heard) -> list[str]:
    path.touch(mode=0o600)
    address = URL.create("sqlite", database=str(path)).render_as_string()
    engine = databases.open_engine(address, store, durable=False)
    try:
        with databases.writing(engine) as target:
            revision = migrations.current_within(source)
            assert revision is not None  # noqa: S101  (its tables were made by migrations)
            migrations.upgrade_within(target, store, revision)
            left_out = copy_rows(source, target, heard)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        engine.dispose()
    return left_out


def _described(folder: Path, store: MigratedStore) -> Copied:
    with opened_file(folder, store) as engine, databases.reading(engine) as connection:
        revision = migrations.current_within(connection)
        rows = count_rows(connection, tables_in(connection))
    path = _file(folder, store)
    return Copied(path.name, revision or "", _sha256(path), path.stat().st_size, rows)


def root_text(root: bytes) -> str:
    """As `Manifest.root` and checkpoints have it."""
    return base64.b64encode(root).decode()


# --- reading -------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """What a backup says of itself; NotABackup, NewerBackup, or Damaged where it is no manifest."""
    try:
        said = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotABackup(str(folder)) from None
    try:
        if msgspec.json.decode(said, type=_Form).format > FORMAT:
            raise NewerBackup(f"{MANIFEST}: format > {FORMAT}")
        manifest = msgspec.json.decode(said, type=Manifest)
    except msgspec.MsgspecError as wrong:
        raise Damaged(f"{MANIFEST}: {wrong}") from None
    for store, copied in manifest.stores().items():
        if copied.file != FILES[store]:  # no path of a manifest's choice is followed
            raise Damaged(f"{MANIFEST}: {copied.file!r}")
        known = migrations.revisions(store)
        if copied.revision not in known:
            raise NewerBackup(f"{store}: {copied.revision} > {known[-1]}")
    return manifest


def faults(folder: Path, manifest: Manifest, store: MigratedStore) -> list[str]:
    """In what a store's file is not as the manifest says; empty where all is well."""
    copied, path = manifest.stores()[store], _file(folder, store)
    if not path.is_file():
        return [f"{copied.file} is missing"]
    if (size := path.stat().st_size) != copied.bytes:
        return [f"{copied.file} has {size} bytes instead of {copied.bytes}"]
    if _sha256(path) != copied.sha256:
        return [f"{copied.file} has another SHA-256 than the manifest"]
    try:
        with opened_file(folder, store) as engine, databases.reading(engine) as connection:
            return list(_unlike(connection, copied, manifest if store == "journal" else None))
    except DatabaseError as error:
        return [f"{copied.file} cannot be read: {error.orig}"]


def _unlike(connection: Connection, copied: Copied, reach: Manifest | None) -> Iterator[str]:
    said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    if said != ["ok"]:
        yield from map(str, said)
        return
    if (revision := migrations.current_within(connection)) != copied.revision:
        yield f"{copied.file} is at revision {revision} instead of {copied.revision}"
    if count_rows(connection, tables_in(connection)) != copied.rows:
        yield f"{copied.file} has other numbers of rows than the manifest"
    if reach is not None:
        newest = last(connection)
        here = (newest.position, newest.leaf_hash.hex()) if newest else (0, None)
        if here != (reach.position, reach.leaf_hash):
            yield f"{copied.file} ends at {here[0]} and not as the manifest says"


@contextmanager
def opened_file(folder: Path, store: MigratedStore) -> Iterator[Engine]:
    """A store's file, to be read alone: nothing is written beside it, on read-only media too."""
    engine = databases.open_engine(_read_only(folder, store), store, durable=False)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_journal_file(folder: Path) -> Iterator[Store]:
    """The journal of a backup, for whoever verifies it: of an older schema, an upgraded copy."""
    with opened_file(folder, "journal") as engine:
        is_newest = migrations.current(engine, "journal") == migrations.newest("journal")
    with TemporaryDirectory() as spare:
        address = _read_only(folder, "journal")
        if not is_newest:
            copied = Path(spare) / FILES["journal"]
            shutil.copyfile(_file(folder, "journal"), copied)
            address = URL.create("sqlite", database=str(copied)).render_as_string()
        store = Store(address)
        try:
            if not is_newest:
                migrations.upgrade(store.engine, "journal")
            yield store
        finally:
            store.close()


# --- restoring -----------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a ledger is to stand: one engine for each store that is to be restored."""

    journal: Engine | None
    vault: Engine


def restore(
    folder: Path, manifest: Manifest, place: Place, heard: Callable[[int, int], None]
) -> None:
    """Load the stores into a place that holds nothing, each in one transaction, and upgrade them.

    The vault comes first, so that there is a ledger only once there is all of it; one that a
    restore before this left behind, with the same rows, is taken as it is. Every row is compared
    before the commit. PlaceTaken where something else stands.
    """
    chosen: dict[MigratedStore, Engine] = {"vault": place.vault}
    if place.journal is not None:
        chosen["journal"] = place.journal
    counts = manifest.stores()
    total = 2 * sum(sum(counts[store].rows.values()) for store in chosen if store in counts)
    done = 0

    def more(rows: int) -> None:
        nonlocal done
        done += rows
        heard(done, total)

    if place.journal is not None:
        with databases.reading(place.journal) as connection:
            if not is_empty(connection):
                raise PlaceTaken("journal")
    for store, engine in chosen.items():
        with databases.writing(engine) as target:
            if store not in counts:
                _make_empty(target, store)
                continue
            with opened_file(folder, store) as file, databases.reading(file) as source:
                _load(source, target, store, counts[store].revision, more)


def _load(
    source: Connection, target: Connection, store: MigratedStore, revision: str, heard: Heard
) -> None:
    if not is_empty(target):
        if not are_same(source, target, heard):
            raise PlaceTaken(store)
        return
    migrations.upgrade_within(target, store, revision)
    copy_rows(source, target, heard)
    if not are_same(source, target, heard):
        raise Damaged(f"{store}: what was loaded is not what was read")
    migrations.upgrade_within(target, store)


def _make_empty(target: Connection, store: MigratedStore) -> None:
    if not is_empty(target) and any(count_rows(target, tables_in(target)).values()):
        raise PlaceTaken(store)
    migrations.upgrade_within(target, store)


# --- files ---------------------------------------------------------------------------------------


class _Form(msgspec.Struct):
    format: int


def _file(folder: Path, store: MigratedStore) -> Path:
    return folder / FILES[store]


def _read_only(folder: Path, store: MigratedStore) -> str:
    """As SQLite opens what nobody changes, without a log or a lock (sqlite.org/uri.html)."""
    name = f"file:{quote(str(_file(folder, store).absolute()))}"
    query = {"immutable": "1", "uri": "true"}
    return URL.create("sqlite", database=name, query=query).render_as_string()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
