"""`timebank log`: checkpoints, proofs and cosignatures of the transparency log."""

import base64
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.notes import NotANote
from scripts.door import now, opened_journal, opened_views, read_file, settings
from scripts.printing import Exit, Stopped, Told, note, progress, table, verb
from scripts.sayings import explained, said
from scripts.verifying import (
    FILE,
    first_wrong,
    is_part,
    key_of,
    log_note,
    notes_of,
    verified,
    verified_file,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ledger.checkpoints import Kept
    from ledger.notes import Note, SigningKey, VerifierKey
    from ledger.store import Store
    from projections.proofs import Inclusion
    from projections.signing import Signer
    from projections.views import Views


@verb()
def checkpoint() -> Told:
    """Sign all entries that there are, unless that is done; print the newest signed note."""
    from ledger.checkpoints import cosigned

    with opened_views() as views:
        kept = newest(views)
        with views.store.reading() as connection:
            (found,) = cosigned(connection, [kept])
    value = {
        "size": kept.size,
        "root": base64.b64encode(kept.root).decode(),
        "signed_at": kept.signed_at,
        "key": kept.key,
        "note": str(found),
    }
    return Told(value, [str(found).rstrip("\n")])


@verb()
def keys() -> Told:
    """The public keys that have signed, in their turn: what an auditor has to be handed."""
    from ledger.checkpoints import keys_in_turn

    with opened_journal() as store, store.reading() as connection:
        turns = keys_in_turn(connection)
    shown = [{"first_size": first, "key": str(key)} for first, key in turns]
    return Told({"keys": shown}, [table(("first_size", "key"), shown)])


@verb(
    click.option(
        "--position",
        type=click.IntRange(min=1),
        help=explained("证明此记录在日志之中", "prove that this entry is in the log"),
    ),
    click.option(
        "--size",
        type=click.IntRange(min=1),
        help=explained("对此检查点", "in the tree of this checkpoint; default: the newest"),
    ),
    click.option(
        "--from",
        "begins",
        type=click.IntRange(min=0),
        help=explained("证明日志自此检查点起只增不改", "prove that the log only grew from here"),
    ),
    click.option("--to", "ends", type=click.IntRange(min=0), help=explained("至此", "to here")),
)
def prove(position: int | None, size: int | None, begins: int | None, ends: int | None) -> Told:
    """A proof of inclusion, which stands by itself (C2SP tlog-proof), or of consistency."""
    from ledger.checkpoints import cosigned
    from projections import proofs

    if (position is None) == (begins is None):
        raise Stopped("one_of_two_options", Exit.USAGE, first="--position", second="--from")
    with opened_views() as views:
        views.catch_up()
        kept = None if position is None else checkpoint_over(views, position, size)
        with proofs.grown(views) as (journal, tree):
            try:
                if position is None:
                    assert begins is not None  # noqa: S101  (one of the two is given)
                    told = proofs.consistency(tree, begins, ends).told()
                    return Told(told)
                found = proofs.inclusion(tree, journal, position, kept.size if kept else size)
            except proofs.NotInTheTree as no:
                raise Stopped(
                    "not_in_the_tree", Exit.REFUSED, name=f"--{no.name}", value=no.value
                ) from None
        if kept is None:
            return Told(found.told())
        with views.store.reading() as connection:
            (cosigned_note,) = cosigned(connection, [kept])
        text = tlog_proof(found, cosigned_note)
    return Told({**found.told(), "proof": text}, [text.rstrip("\n")])


@verb(
    click.option("--name", help=explained("见证人名称", "the witness's name")),
    click.option(
        "--key-file",
        type=FILE,
        help=explained("见证人私钥文件，没有则新建", "the witness's secret; made if missing"),
    ),
    click.option(
        "--pinned",
        type=FILE,
        help=explained("见证人保存的检查点", "the checkpoints that the witness has kept"),
    ),
    click.option(
        "--file",
        "export",
        type=FILE,
        help=explained("核验此导出文件而非数据库", "verify this export, not the database"),
    ),
    click.option(
        "--add",
        type=FILE,
        help=explained("收存他处见证签名的检查点", "keep a note that was cosigned elsewhere"),
    ),
    click.option("--witness", help=explained("见证人公钥", "the witness's public key, with --add")),
    click.option(
        "--key",
        "trusted",
        multiple=True,
        help=explained("账本公钥", "the ledger's public key, as it was handed to the witness"),
    ),
)
def cosign(
    name: str | None,
    key_file: Path | None,
    pinned: Path | None,
    export: Path | None,
    add: Path | None,
    witness: str | None,
    trusted: tuple[str, ...],
) -> Told:
    """Verify the log and cosign its newest checkpoint as a witness; or keep such a signature."""
    if add is not None:
        if witness is None:
            raise Stopped("missing_parameter", Exit.USAGE, name="--witness")
        return _added(notes_of(add), key_of(witness))
    if name is None or key_file is None:
        missing = "--name" if name is None else "--key-file"
        raise Stopped("missing_parameter", Exit.USAGE, name=missing)
    return _cosigned(
        witness_key(name, key_file), pinned, export, [key_of(each) for each in trusted]
    )


# --- checkpoints at hand -------------------------------------------------------------------------


def newest(views: "Views") -> "Kept":
    """A checkpoint of all entries; of a copy without its signing key the last that was kept."""
    from ledger.checkpoints import last
    from ledger.keys_file import KeysUnusable

    views.catch_up()
    try:
        return signer(views).sign()
    except KeysUnusable as unusable:
        with views.store.reading() as connection:
            kept = last(connection)
        if kept is None:
            raise
        note(said("nothing_signed", reason=unusable))
        return kept


def signer(views: "Views") -> "Signer":
    """Who signs here; KeysUnusable where the key is not at hand."""
    from ledger.keys_file import load_secrets
    from projections.signing import Signer

    given = settings()
    return Signer(views, given, load_secrets(given))


def checkpoint_over(views: "Views", position: int, size: int | None) -> "Kept | None":
    """The checkpoint that a proof is to lead to; None where there is none of this size."""
    from ledger.checkpoints import at, last

    with views.store.reading() as connection:
        kept = last(connection) if size is None else at(connection, size)
    if size is None and (kept is None or kept.size < position):
        return newest(views)
    return kept


def tlog_proof(found: "Inclusion", checkpoint_note: "Note") -> str:
    """A proof that stands by itself (C2SP tlog-proof)."""
    hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in found.hashes)
    return f"c2sp.org/tlog-proof@v1\nindex {found.index}\n{hashes}\n{checkpoint_note}"


# --- witnesses -----------------------------------------------------------------------------------


def witness_key(name: str, path: Path) -> "SigningKey":
    """The witness's key; a file that is not there yet gets a fresh one."""
    import secrets

    from ledger.keys_file import SECRET_BYTES
    from ledger.notes import SigningKey
    from scripts.init import write_secret

    if not path.exists():
        write_secret(path, base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
    try:
        seed = base64.b64decode(read_file(path), validate=False)
        key = SigningKey(name, seed, cosigns=True)
    except (NotANote, ValueError) as wrong:
        raise Stopped("bad_parameter", Exit.USAGE, name="--key-file", reason=wrong) from None
    return key


def _cosigned(
    key: "SigningKey", pinned: Path | None, export: Path | None, trusted: "list[VerifierKey]"
) -> Told:
    if export is not None and is_part(export):
        raise Stopped("part_not_cosigned", Exit.REFUSED, path=export)
    kept = notes_of(pinned) if pinned is not None and pinned.exists() else []
    source: AbstractContextManager[Store | None]
    source = opened_journal() if export is None else nullcontext(None)
    with source as store, progress("verifying") as shown:
        if store is None:
            assert export is not None  # noqa: S101  (there is no store)
            verdict, newest_note = verified_file(export, kept, trusted, shown.to)
        else:
            verdict = verified(store, kept, trusted, shown.to).verdict
            newest_note = log_note(store)
        if verdict.wrong is not None:
            return Told(
                {"ok": False, "first_wrong": first_wrong(verdict.wrong)},
                [said("not_cosigned")],
                Exit.WRONG,
            )
        if newest_note is None:
            raise Stopped("no_checkpoint", Exit.REFUSED)
        line = key.sign(newest_note.text, int(now().timestamp()))
        signed = type(newest_note).of(newest_note.checkpoint, [*newest_note.signatures, line])
        if store is not None:
            _keep(store, signed, key.verifier, str(line))
    if pinned is not None:
        with pinned.open("a", encoding="utf-8") as file:
            file.write(f"{signed}\n")
    value = {"size": signed.checkpoint.size, "witness": str(key.verifier), "note": str(signed)}
    note(said("cosigned", size=signed.checkpoint.size, witness=key.verifier))
    return Told(value, [str(signed).rstrip("\n")])


def _added(notes: "list[Note]", witness: "VerifierKey") -> Told:
    added = []
    with opened_journal() as store:
        for each in notes:
            lines = [str(line) for line in each.signatures if line.key_id == witness.key_id]
            if not lines or not witness.signed(each):
                raise Stopped("not_the_witness", Exit.REFUSED, size=each.checkpoint.size)
            if _keep(store, each, witness, lines[0]):
                added.append(each.checkpoint.size)
    return Told({"added": added, "witness": str(witness)})


def _keep(store: "Store", signed: "Note", witness: "VerifierKey", line: str) -> bool:
    from ledger.checkpoints import add_cosignature, at
    from ledger.notes import Note
    from ledger.units import recorded_text

    size = signed.checkpoint.size
    with store.writing() as connection:
        kept = at(connection, size)
        if kept is None or Note.parse(kept.note).text != signed.text:
            raise Stopped("other_checkpoint", Exit.REFUSED, size=size)
        return add_cosignature(connection, size, witness, line, recorded_text(now()))
