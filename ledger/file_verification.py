"""The verification of an exported log: a file of entries, with nothing of the ledger at hand."""

import base64
import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import NamedTuple

import msgspec
import orjson

from ledger import journal, store
from ledger.attestation import Attestation, Succession
from ledger.checkpoints import Kept, Rotation
from ledger.events import SigningKeyRotated, decode
from ledger.faults import Fault, Wrong, first
from ledger.merkle import root_by_inclusion
from ledger.notes import Checkpoint, NotANote, Note, VerifierKey
from ledger.soundness import Soundness
from ledger.verification import Verdict

_ROTATION = b'"type":"SigningKeyRotated"'


Lines = Callable[[], Iterable[bytes]]
"""Reads a file's lines from the first on, each with its LF."""


class Export(NamedTuple):
    """What `timebank export --format ndjson` wrote of a whole log."""

    lines: Lines
    notes: Sequence[Note]  # the checkpoints, the smallest first
    trial_balance: str | None  # CSV: account,credits


class Part(NamedTuple):
    """What it wrote of some entries: a line of proof for each, in the tree of one checkpoint."""

    lines: Lines
    proofs: Lines
    checkpoint: Note


class _Walk:
    def __init__(self) -> None:
        self.soundness = Soundness()
        self.versions: dict[str, int] = {}
        self.balances: dict[str, int] = {}

    def read(self, rows: Sequence[store.Row]) -> Wrong | None:
        """Take in the rows that follow."""
        events, wrong = self.soundness.read(rows)
        for event in events:
            for account, credits in getattr(event, "entries", ()):
                self.balances[account] = self.balances.get(account, 0) + credits
        return first(wrong, self._versions(rows[: len(events)]))

    def _versions(self, rows: Sequence[store.Row]) -> Wrong | None:
        versions = self.versions
        for row in rows:
            following = versions.get(row.stream, 0) + 1
            if row.version != following:
                return Wrong(row.position, "version")
            versions[row.stream] = following
        return None


def verify_export(
    export: Export,
    heard: Callable[[int], None] = lambda position: None,
    *,
    pinned: Sequence[Note] = (),
    trusted: Sequence[VerifierKey] = (),
) -> Verdict:
    """Verify what was exported of a whole log: entries, checkpoints, balances."""
    succession = Succession(list(_rotations(export.lines())), trusted) if trusted else None
    attestation = Attestation(map(_kept, export.notes), pinned, succession)
    walk = _Walk()
    wrong: Wrong | None = None
    for rows, broken in _pages(export.lines()):
        before = walk.soundness.position
        wrong = walk.read(rows)
        sound = rows[: walk.soundness.position - before]
        wrong = first(broken, wrong, attestation.extend([row.leaf_hash for row in sound]))
        if wrong is not None:
            break
        heard(walk.soundness.position)
    last = walk.soundness.position
    if wrong is None:
        wrong = attestation.end(last)
    if wrong is None and export.trial_balance is not None:
        wrong = _trial_balance(export.trial_balance, walk.balances, last)
    right = last if wrong is None else min(last, wrong.position - 1)
    return Verdict(
        right,
        last,
        len(walk.versions),
        walk.soundness.foreign,
        wrong,
        attestation.tree.root(),
        attestation.checkpoints,
        attestation.attested,
        attestation.pinned,
    )


def verify_part(
    part: Part,
    heard: Callable[[int], None] = lambda position: None,
    *,
    pinned: Sequence[Note] = (),
    trusted: Sequence[VerifierKey] = (),
) -> Verdict:
    """Verify some entries: each is in the log of the checkpoint, whatever else may be in it.

    Of signing keys that were rotated such a file tells nothing, so the key in force has to be
    trusted; a pinned checkpoint can be compared where it is of the same size.
    """
    said = part.checkpoint.checkpoint
    wrong = _signed(part.checkpoint, trusted) if trusted else None
    agreeing = [note for note in pinned if note.checkpoint.size == said.size]
    if any(note.checkpoint.root != said.root for note in agreeing):
        wrong = Wrong(1, "pinned", said.size)
    entries, streams, position = 0, set(), 0
    pairs = zip_longest(_pages(part.lines()), _batches(part.proofs()), fillvalue=None)
    for page, batch in pairs:
        rows, broken = page or ([], None)
        proofs = batch or []
        for row, proof in zip_longest(rows, proofs if broken is None else proofs[: len(rows)]):
            fault: Fault | None = None
            if row is None or proof is None or not _leads(row, proof, said):
                fault = "proof"
            elif row.position <= position:
                fault = "position_missing"
            if fault is not None:
                broken = Wrong(position + 1 if row is None else row.position, fault)
                break
            position = row.position
            streams.add(row.stream)
            entries += 1
        wrong = first(wrong, broken)
        if wrong is not None:
            break
        heard(position)
    return Verdict(
        entries,
        position,
        len(streams),
        0,
        wrong,
        said.root,
        int(wrong is None),
        said.size,
        len(agreeing),
    )


def _leads(row: store.Row, proof: bytes, said: Checkpoint) -> bool:
    """Does the line of proof lead from the entry to the checkpoint's root?"""
    try:
        told = orjson.loads(proof)
        hashes = [base64.b64decode(each, validate=True) for each in told["hashes"]]
        position = told["position"]
    except (ValueError, KeyError, TypeError):
        return False
    if position != row.position:
        return False
    return root_by_inclusion(row.leaf_hash, position - 1, said.size, hashes) == said.root


def _signed(note: Note, trusted: Sequence[VerifierKey]) -> Wrong | None:
    size = note.checkpoint.size
    fault = Succession((), trusted).fault(note, size)
    return None if fault is None else Wrong(1, fault, size)


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    reading = iter(lines)
    while batch := list(islice(reading, journal.PAGE)):
        yield batch


def _pages(lines: Iterable[bytes]) -> Iterator[tuple[list[store.Row], Wrong | None]]:
    """The rows of some lines at a time, and the first line that is no entry."""
    place = 0
    for page in _batches(lines):
        rows: list[store.Row] = []
        for line in page:
            place += 1
            try:
                if not line.endswith(b"\n"):
                    raise store.NotAnEntry("the line does not end")
                rows.append(store.parse_entry(line[:-1]))
            except (store.NotAnEntry, store.EntryTooLarge):
                yield rows, Wrong(place, "spelling")
                return
        yield rows, None


def _rotations(lines: Iterable[bytes]) -> Iterator[Rotation]:
    """The successions of signing keys that the lines tell; whether they are right is seen later."""
    for line in lines:
        if _ROTATION not in line:
            continue
        try:
            row = store.parse_entry(line.rstrip(b"\n"))
            event = decode(row.type, row.data)
            if isinstance(event, SigningKeyRotated):
                yield Rotation.of(row.position, event)
        except (store.NotAnEntry, msgspec.MsgspecError, NotANote):
            continue  # the verification will come to it


def _kept(note: Note) -> Kept:
    said = note.checkpoint
    return Kept(said.size, said.root, "", str(note), "")


def _trial_balance(said: str, balances: dict[str, int], last: int) -> Wrong | None:
    """Nothing, where the balances are the sums of the lines, no less and no more."""
    rows = list(csv.reader(said.splitlines()))
    told = {account: credits for account, credits in rows[1:] if account}
    computed = {account: str(credits) for account, credits in balances.items()}
    fault: Fault = "trial_balance"
    wrong = rows[:1] != [["account", "credits"]] or told != computed
    return Wrong(last, fault) if wrong else None
