"""`timebank db backup|restore`: a ledger copied while it is served, and one made of the copy."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.door import now, opened_journal, place, settings
from scripts.exporting import draft_of
from scripts.printing import Exit, Stopped, Told, fields, note, progress, table, verb
from scripts.sayings import explained, said
from scripts.verifying import keys_named, notes_of, own_key, verified

if TYPE_CHECKING:
    from ledger.backups import Manifest
    from ledger.notes import Note
    from ledger.settings import Settings
    from ledger.store import Store
    from ledger.verification import Verdict

FOLDER = click.argument("path", type=click.Path(path_type=Path), metavar="PATH")


@verb(
    FOLDER,
    click.option(
        "--without-vault",
        is_flag=True,
        help=explained("不含个人信息库", "leave out who the members are"),
    ),
)
def backup(path: Path, without_vault: bool) -> Told:
    """Copy journal and vault into a new folder while they are in use; verified before it stands."""
    from ledger.backups import opened_journal_file, seal, take
    from ledger.opening import open_vault_engine, refuse_no_vault

    given = settings()
    with draft_of(path) as draft:
        with opened_journal(given, any_schema=True) as store, progress("backing_up") as shown:
            if not without_vault:
                refuse_no_vault(given)
            vault = None if without_vault else open_vault_engine(given)
            try:
                left_out = take(store.engine, vault, draft, shown.of)
            finally:
                if vault is not None:
                    vault.dispose()
        with opened_journal_file(draft) as copy:
            verdict = _verified(copy, given)
        if verdict.wrong is not None:
            _refuse(verdict)
        manifest = seal(draft, given.ledger, verdict.root, now())
    note(said("backup_has_no_keys", path=given.keys_file))
    if without_vault:
        note(said("backup_has_no_vault"))
    about, stores = _told(manifest)
    about = {"path": str(path), **about, "left_out": left_out}
    return Told({**about, "stores": stores}, [fields(about), _drawn(stores)])


@verb(
    FOLDER,
    click.option(
        "--vault-only",
        is_flag=True,
        help=explained("只恢复个人信息库", "the vault alone, beside a journal that stands"),
    ),
)
def restore(path: Path, vault_only: bool) -> Told:
    """Make a ledger of a backup, where none stands; nothing is written unless it verifies."""
    from ledger.backups import Place, faults, opened_journal_file, read_manifest, root_text
    from ledger.backups import restore as restored
    from ledger.opening import is_made, make_files, open_vault_engine
    from ledger.store import Store

    given = settings()
    if not vault_only and is_made(given):
        raise Stopped("made_already", Exit.REFUSED, where=place(given))
    manifest = read_manifest(path)
    if vault_only and manifest.vault is None:
        raise Stopped("backup_has_no_vault", Exit.REFUSED)
    if wrong := [each for store in manifest.stores() for each in faults(path, manifest, store)]:
        raise Stopped("backup_damaged", Exit.WRONG, what="; ".join(wrong))
    pinned = _pinned(given)
    with opened_journal_file(path) as copy:
        verdict = _verified(copy, given, pinned)
    if verdict.wrong is not None:
        _refuse(verdict)
    if root_text(verdict.root) != manifest.root:
        raise Stopped("backup_damaged", Exit.WRONG, what="root")
    if vault_only:
        with opened_journal(given, any_schema=True):  # or there is nothing that it belongs to
            pass
    make_files(given)
    store = Store(given.database_url, given.ledger)
    vault = open_vault_engine(given)
    try:
        target = Place(None if vault_only else store.engine, vault)
        with progress("restoring") as shown:
            restored(path, manifest, target, shown.of)
        vault_key = _vault_key(given, vault) if manifest.vault is not None else None
        signing_key = _signing_key(store)
    finally:
        vault.dispose()
        store.close()
    signed = max((each.checkpoint.size for each in pinned), default=0)
    lost = max(0, signed - manifest.position)
    if manifest.vault is None:
        note(said("restored_without_vault"))
    elif vault_key != "fits":
        note(said("restored_vault_key", path=given.keys_file))
    if signing_key == "other":
        note(said("other_signing_key"))
    if lost and not vault_only:
        note(said("restored_behind", signed=signed, position=manifest.position, lost=lost))
    about, stores = _told(manifest)
    about |= {"vault_key": vault_key, "signing_key": signing_key, "signed_since": lost}
    about = {"database_url": place(given), **about}
    shown_lines = [fields(about), _drawn(stores), said("restored")]
    return Told({**about, "stores": stores}, shown_lines)


def check_backup(path: Path) -> Told:
    """Is a backup what its manifest says, and its journal what was written?"""
    from ledger.backups import faults, opened_journal_file, read_manifest, root_text

    manifest = read_manifest(path)
    found: list[dict[str, Any]] = []
    for store, copied in manifest.stores().items():
        wrong = faults(path, manifest, store)
        if store == "journal" and not wrong:
            with opened_journal_file(path) as copy:
                verdict = _verified(copy, settings())
            if verdict.wrong is not None:
                at = verdict.wrong
                wrong = [said("first_wrong", position=at.position, what=said(f"wrong_{at.fault}"))]
            elif root_text(verdict.root) != manifest.root:
                wrong = ["the root is another than the manifest's"]
        found.append({"store": store, "revision": copied.revision, "faults": wrong})
    sound = not any(each["faults"] for each in found)
    about, _ = _told(manifest)
    return Told(
        {"ok": sound, **about, "stores": found},
        [fields(about), table(("store", "revision", "faults"), found)],
        Exit.OK if sound else Exit.WRONG,
    )


def _verified(store: "Store", given: "Settings", pinned: "list[Note] | None" = None) -> "Verdict":
    """The verdict on a copy, with the checkpoints kept outside as far as the copy reaches.

    Signatures are checked with the keys that the copy names: those at hand may be later ones.
    """
    from ledger.store import last_position

    with store.reading() as connection:
        last = last_position(connection)
    kept = _pinned(given) if pinned is None else pinned
    reached = [each for each in kept if each.checkpoint.size <= last]
    with progress("verifying", last) as shown:
        verdict, _ = verified(store, reached, keys_named(store), shown.to)
    return verdict


def _pinned(given: "Settings") -> "list[Note]":
    path = given.checkpoint_file
    return notes_of(path) if path is not None and path.exists() else []


def _refuse(verdict: "Verdict") -> None:
    assert verdict.wrong is not None  # noqa: S101  (asked before)
    what = said(f"wrong_{verdict.wrong.fault}")
    raise Stopped("not_verified", Exit.WRONG, position=verdict.wrong.position, what=what)


def _vault_key(given: "Settings", vault: Any) -> str | None:
    """Does the key at hand open the vault? None: there is none at hand."""
    from ledger.keys_file import KeysUnusable, load_secrets
    from ledger.opening import open_vault
    from ledger.vault import WrongVaultKey

    try:
        open_vault(given, load_secrets(given), vault)
    except KeysUnusable:
        return None
    except WrongVaultKey:
        return "other"
    return "fits"


def _signing_key(store: "Store") -> str | None:
    """Does the key at hand sign this journal? None: there is none at hand, or nothing is signed."""
    from ledger.keys_file import KeysUnusable

    try:
        own = own_key(store)
    except KeysUnusable:
        return None
    if own is None:
        return None
    return "fits" if own == keys_named(store)[-1] else "other"


def _told(manifest: "Manifest") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a backup is of, and what it holds of each store."""
    stores = [
        {
            "store": store,
            "revision": copied.revision,
            "bytes": copied.bytes,
            "sha256": copied.sha256,
            "rows": copied.rows,
        }
        for store, copied in manifest.stores().items()
    ]
    about = {name: getattr(manifest, name) for name in ("ledger", "made_at", "position", "root")}
    return {**about, "vault": manifest.vault is not None}, stores


def _drawn(stores: list[dict[str, Any]]) -> Any:
    rows = [{**each, "rows": sum(each["rows"].values())} for each in stores]
    return table(("store", "revision", "bytes", "rows", "sha256"), rows)
