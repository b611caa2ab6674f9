"""Verification for verbs: with which keys and pinned checkpoints, and how its verdict is told."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ledger.notes import NotANote
from scripts.door import read_file, settings
from scripts.printing import Exit, Stopped
from scripts.sayings import said

if TYPE_CHECKING:
    from ledger.faults import Wrong
    from ledger.notes import Note, VerifierKey
    from ledger.store import Store
    from ledger.verification import Verdict

FILE = click.Path(path_type=Path, dir_okay=False)
Heard = Callable[[int], None]


class Verified(NamedTuple):
    """A verdict, and where the keys came from that its signatures were checked with."""

    verdict: "Verdict"
    keys: str | None  # given, keys file, journal; None: signatures were not checked


def verified(
    store: "Store",
    pinned: "Sequence[Note]",
    given: "Sequence[VerifierKey]",
    heard: Heard,
    *,
    until: int | None = None,
    since: int = 0,
) -> Verified:
    """Verify a journal; without keys that were given, with those of the house."""
    from ledger.verification import verify

    keys, source = _keys(store, given)
    verdict = verify(store, until, heard, pinned=pinned, trusted=keys, since=since)
    return Verified(verdict, source)


def verified_file(
    export: Path, pinned: "Sequence[Note]", given: "Sequence[VerifierKey]", heard: Heard
) -> "tuple[Verdict, Note | None]":
    """Verify an exported log, whole or in part; its last checkpoint."""
    from ledger.file_verification import Export, Part, verify_export, verify_part

    def lines() -> Any:
        with export.open("rb") as file:
            yield from file

    if not export.is_file():
        read_file(export)  # says why not
    notes = notes_of(beside) if (beside := _beside(export, "checkpoints")).exists() else []
    newest = notes[-1] if notes else None
    if is_part(export):
        proofs = _beside(export, "proofs")
        if newest is None:
            raise Stopped("no_such_file", Exit.USAGE, name="--file", path=beside)

        def told() -> Any:
            with proofs.open("rb") as file:
                yield from file

        part = Part(lines, told, newest)
        return verify_part(part, heard, pinned=pinned, trusted=given), newest
    balances = _beside(export, "trial-balance.csv")
    said_balances = read_file(balances).decode(errors="replace") if balances.exists() else None
    whole = Export(lines, notes, said_balances)
    return verify_export(whole, heard, pinned=pinned, trusted=given), newest


def is_part(export: Path) -> bool:
    """Is it of some entries alone, each with its proof?"""
    return _beside(export, "proofs").exists()


def notes_of(path: Path) -> "list[Note]":
    """The signed notes in a file."""
    from ledger.notes import read_notes

    try:
        return list(read_notes(read_file(path).decode()))
    except (UnicodeDecodeError, NotANote) as wrong:
        raise Stopped("not_a_note", Exit.USAGE, path=path, reason=wrong) from None


def key_of(text: str) -> "VerifierKey":
    """A public key that was typed."""
    from ledger.notes import VerifierKey

    try:
        return VerifierKey.parse(text)
    except NotANote as wrong:
        raise Stopped("bad_parameter", Exit.USAGE, name="--key", reason=wrong) from None


def log_note(store: "Store") -> "Note | None":
    """The journal's newest checkpoint."""
    from ledger.checkpoints import last
    from ledger.notes import Note

    with store.reading() as connection:
        kept = last(connection)
    return None if kept is None else Note.parse(kept.note)


def first_wrong(wrong: "Wrong") -> dict[str, Any]:
    """What is wrong, as JSON tells it."""
    told = {
        "position": wrong.position,
        "fault": wrong.fault,
        "detail": said(f"wrong_{wrong.fault}"),
    }
    return told if wrong.checkpoint is None else {**told, "checkpoint": wrong.checkpoint}


def _beside(export: Path, what: str) -> Path:
    return export.with_name(f"{export.name}.{what}")


def keys_named(store: "Store") -> "list[VerifierKey]":
    """The keys that the journal names itself: with them it is shown to agree with itself alone."""
    from ledger.checkpoints import keys_in_turn

    with store.reading() as connection:
        try:
            return [key for _, key in keys_in_turn(connection)]
        except NotANote:
            return []  # the verification will come to it


def own_key(store: "Store") -> "VerifierKey | None":
    """The key at hand that signs the journal's checkpoints; None where none is, or none is signed.

    KeysUnusable where no secret is at hand.
    """
    from ledger.keys_file import load_secrets
    from ledger.notes import SigningKey

    seed = load_secrets(settings()).signing_key
    note = log_note(store)
    return None if note is None else SigningKey(note.checkpoint.origin, seed).verifier


def _keys(
    store: "Store", given: "Sequence[VerifierKey]"
) -> "tuple[Sequence[VerifierKey], str | None]":
    """The keys to check signatures with."""
    from ledger.keys_file import KeysUnusable

    if given:
        return given, "given"
    named = keys_named(store)
    if not named:
        return [], None
    try:
        own = own_key(store)
    except NotANote:
        return [], None  # the verification will come to it
    except KeysUnusable:
        return named, "journal"
    return ([own], "keys file") if own is not None else (named, "journal")
