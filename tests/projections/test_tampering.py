"""Whoever rewrites the log is found out by its checkpoints, and the first wrong position told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import checkpoints, journal, store
from ledger.checkpoints import Kept
from ledger.commands import RotateSigningKey
from ledger.events import SigningKeyRotated, encode
from ledger.faults import Wrong
from ledger.keys_file import KeysUnusable, Secrets
from ledger.merkle import Tree
from ledger.notes import Checkpoint, Note, SigningKey, VerifierKey, read_notes
from ledger.settings import Settings
from ledger.store import Store
from ledger.verification import Verdict, verify
from projections.signing import Forked, OtherSigningKey, Signer
from projections.views import Views
from tests.desk.bureau import Bureau
from tests.ledger.test_verification import alter, data_at, write_leaf
from tests.projections.history import another_ledger
from tests.rules.town import STAMP, policy, visit

SEED, OTHER_SEED = bytes([1]) * 32, bytes([2]) * 32
SIGNED = (8, 10, 11, 14)  # sizes of the checkpoints: before the visits, and now and then since
POLICY = 9
VISIT = 12
LAST = 15  # no checkpoint covers it


def settings(tmp_path: Path) -> Settings:
    return Settings(keys_file=tmp_path / "none.json", checkpoint_file=tmp_path / "checkpoints")


@dataclass
class Sealed:
    """A journal with checkpoints, what an auditor has pinned, and the log's public key."""

    store: Store
    signer: Signer
    pinned: list[Note] = field(default_factory=list)

    def verified(self, *, pinned: bool = False, keys: bool = True, **other: Any) -> Verdict:
        trusted = [self.log_key] if keys else []
        return verify(self.store, pinned=self.pinned if pinned else (), trusted=trusted, **other)

    @property
    def log_key(self) -> VerifierKey:
        return SigningKey(self.pinned[0].checkpoint.origin, SEED).verifier

    def wrong(self, **other: Any) -> Wrong | None:
        return self.verified(**other).wrong

    def cut(self, after: int, last: str) -> None:
        """Take away the tail, and all that tells of it."""
        alter(
            self.store,
            "DELETE FROM entries WHERE position > :after",
            "DELETE FROM record_entries WHERE position > :after",
            "DELETE FROM checkpoints WHERE size > :after",
            after=after,
        )
        alter(self.store, "DELETE FROM receipts WHERE receipt > :last", last=last)


@pytest.fixture
def sealed(store: Store, views: Views, tmp_path: Path) -> Iterator[Sealed]:
    """Sixteen entries under four checkpoints, of which an auditor has pinned three."""
    signer = Signer(views, settings(tmp_path), Secrets(SEED, bytes(32)))
    made = Sealed(store, signer)
    write_history(store, lambda: seal(views, signer))
    with store.reading() as connection:
        kept = list(checkpoints.every(connection))
    assert tuple(each.size for each in kept) == SIGNED
    made.pinned = [Note.parse(each.note) for each in kept if each.size != 11]
    assert made.verified(pinned=True)[4:] == (None, made.verified().root, 4, 14, 3, 0)
    yield made
    signer.close()


def write_history(store: Store, seal: Callable[[], None]) -> None:
    bureau = Bureau(store)
    bureau.settle()
    seal()
    bureau.ask(policy("2026-01-01", stock_cap=600))
    bureau.ask(visit("08:00", "08:50", receipt="r-08"))
    seal()
    bureau.ask(visit("09:00", "09:50", receipt="r-09"))
    seal()
    for hour in (11, 12):
        bureau.ask(visit(f"{hour}:00", f"{hour}:50", receipt=f"r-{hour}"))
    bureau.clock.at += timedelta(minutes=1)
    bureau.ask(visit("00:00", "00:50", receipt="r-13"))
    seal()
    bureau.ask(visit("01:00", "01:50", receipt="r-14"))
    bureau.close()


def seal(views: Views, signer: Signer) -> None:
    views.catch_up()
    signer.sign()


def rewrite(sealed: Sealed, size: int, **changes: Any) -> None:
    """Put another row in a checkpoint's place."""
    with sealed.store.reading() as connection:
        kept = checkpoints.at(connection, size)
    assert kept is not None
    alter(sealed.store, "DELETE FROM checkpoints WHERE size = :size", size=size)
    with sealed.store.writing() as connection:
        checkpoints.keep(connection, kept._replace(**changes))


def kept_at(sealed: Sealed, size: int) -> Kept:
    with sealed.store.reading() as connection:
        kept = checkpoints.at(connection, size)
    assert kept is not None
    return kept


def shift_in(sealed: Sealed, position: int) -> None:
    """Insert an entry amid the others, and move those behind it, with their leaves."""
    with sealed.store.reading() as connection:
        rows = store.read(connection, position - 1, 100)
    taken = rows[0]
    forged = taken._replace(stream="other:1", version=1, type="Else", data=b"{}")
    moved = [forged, *rows]
    alter(
        sealed.store,
        "DELETE FROM entries WHERE position >= :from",
        "UPDATE record_entries SET position = -position - 1 WHERE position >= :from",
        "UPDATE record_entries SET position = -position WHERE position < :from AND position < 0",
        **{"from": position},
    )
    placed = [
        (place, *row[1:5], store.leaf_hash(store.entry_bytes(place, *row[1:5])))
        for place, row in enumerate(moved, position)
    ]
    with sealed.store.writing() as connection:
        store.insert_many(connection, store.entries, placed)


# --- hands in the journal -------------------------------------------------------------------------


def a_byte_in_an_event(sealed: Sealed) -> None:
    data = data_at(sealed.store, VISIT)
    change = store.entries.update().where(store.entries.c.position == VISIT)
    alter(sealed.store)
    with sealed.store.writing() as connection:
        connection.execute(change.values(data=data.replace(b"50", b"51", 1)))


def a_byte_in_an_event_and_its_leaf(sealed: Sealed) -> None:
    data = data_at(sealed.store, VISIT)
    write_leaf(sealed.store, VISIT, data=data.replace(b'"place":"', b'"place":"x', 1))


def an_edited_policy(sealed: Sealed) -> None:
    data = data_at(sealed.store, POLICY)
    assert b"600" in data
    write_leaf(sealed.store, POLICY, data=data.replace(b"600", b"900"))


def swapped_rows(sealed: Sealed) -> None:
    alter(
        sealed.store,
        "UPDATE entries SET position = 99 WHERE position = 10",
        "UPDATE entries SET position = 10 WHERE position = 12",
        "UPDATE entries SET position = 12 WHERE position = 99",
    )


def swapped_rows_and_their_leaves(sealed: Sealed) -> None:
    one, other = data_at(sealed.store, 12), data_at(sealed.store, 13)
    write_leaf(sealed.store, 12, data=other)
    write_leaf(sealed.store, 13, data=one)
    with sealed.store.writing() as connection:
        records = [journal.to_entry(row).event for row in store.read(connection, 11, 2)]
    for position, event in zip((12, 13), records, strict=True):
        alter(
            sealed.store,
            "UPDATE record_entries SET position = :position WHERE record_id = :record",
            position=position,
            record=bytes.fromhex(event.record_id.replace("-", "")),
        )


def a_statement(statement: str) -> Callable[[Sealed], None]:
    return lambda sealed: alter(sealed.store, statement)


def a_checkpoint_of_another_root(sealed: Sealed) -> None:
    rewrite(sealed, 11, root=bytes(32))


def a_checkpoint_signed_anew_over_another_root(sealed: Sealed) -> None:
    kept = kept_at(sealed, 11)
    said = Note.parse(kept.note).checkpoint._replace(root=bytes(32))
    line = SigningKey(said.origin, SEED).sign(said.text)
    rewrite(sealed, 11, root=bytes(32), note=str(Note.of(said, [line])))


def a_forged_signature(sealed: Sealed) -> None:
    note = Note.parse(kept_at(sealed, 11).note)
    line = note.signatures[0]
    bent = line._replace(signature=bytes([line.signature[0] ^ 1]) + line.signature[1:])
    rewrite(sealed, 11, note=str(Note.of(note.checkpoint, [bent])))


def a_checkpoint_signed_by_another(sealed: Sealed) -> None:
    note = Note.parse(kept_at(sealed, 11).note)
    key = SigningKey(note.checkpoint.origin, OTHER_SEED)
    signed = Note.of(note.checkpoint, [key.sign(note.text)])
    rewrite(sealed, 11, key=str(key.verifier), note=str(signed))


def a_checkpoint_of_another_log(sealed: Sealed) -> None:
    said = Note.parse(kept_at(sealed, 11).note).checkpoint._replace(origin="other/log")
    line = SigningKey(said.origin, SEED).sign(said.text)
    rewrite(sealed, 11, note=str(Note.of(said, [line])))


def no_note_at_all(sealed: Sealed) -> None:
    rewrite(sealed, 11, note="nothing")


def a_checkpoint_of_more_than_there_is(sealed: Sealed) -> None:
    said = Checkpoint(sealed.log_key.name, 40, bytes(32))
    line = SigningKey(said.origin, SEED).sign(said.text)
    note = str(Note.of(said, [line]))
    with sealed.store.writing() as connection:
        checkpoints.keep(connection, Kept(40, bytes(32), str(sealed.log_key), note, "2026"))


def a_witness_who_did_not_sign(sealed: Sealed) -> None:
    witness = SigningKey("witness/1", OTHER_SEED, cosigns=True)
    line = str(witness.sign("another text\n"))
    with sealed.store.writing() as connection:
        checkpoints.add_cosignature(connection, 11, witness.verifier, line, "2026")


def a_witness_whose_key_is_none(sealed: Sealed) -> None:
    alter(
        sealed.store,
        "INSERT INTO cosignatures (size, key, line, added_at) VALUES (11, 'nobody', 'x', '2026')",
    )


def a_deleted_tail(sealed: Sealed) -> None:
    alter(sealed.store, "DELETE FROM entries WHERE position > 12")


HANDS: list[tuple[Callable[[Sealed], None], Wrong]] = [
    (a_byte_in_an_event, Wrong(VISIT, "leaf")),
    (a_byte_in_an_event_and_its_leaf, Wrong(VISIT, "checkpoint", 14)),
    (an_edited_policy, Wrong(POLICY, "checkpoint", 10)),
    (swapped_rows, Wrong(10, "leaf")),
    (swapped_rows_and_their_leaves, Wrong(12, "checkpoint", 14)),
    (lambda sealed: shift_in(sealed, 11), Wrong(11, "checkpoint", 11)),
    (
        a_statement("UPDATE entries SET type = 'HoursSubmitted' WHERE position = 13"),
        Wrong(13, "leaf"),
    ),
    (a_statement("UPDATE entries SET stream = 'account:x' WHERE position = 13"), Wrong(13, "leaf")),
    (a_statement("UPDATE entries SET version = 77 WHERE position = 13"), Wrong(13, "leaf")),
    (
        a_statement("UPDATE entries SET position = 30 WHERE position = 15"),
        Wrong(15, "position_missing"),
    ),
    (a_statement("DELETE FROM entries WHERE position = 11"), Wrong(11, "position_missing")),
    (a_deleted_tail, Wrong(13, "cut_off", 14)),
    (a_statement("DELETE FROM receipts WHERE receipt = 'r-11'"), Wrong(12, "receipt")),
    (a_statement("DELETE FROM record_entries WHERE position = 13"), Wrong(13, "record_entry")),
    (a_checkpoint_of_another_root, Wrong(11, "checkpoint", 11)),
    (a_checkpoint_signed_anew_over_another_root, Wrong(11, "checkpoint", 11)),
    (a_forged_signature, Wrong(11, "signature", 11)),
    (a_checkpoint_signed_by_another, Wrong(11, "unknown_key", 11)),
    (a_checkpoint_of_another_log, Wrong(11, "checkpoint", 11)),
    (no_note_at_all, Wrong(11, "checkpoint", 11)),
    (a_checkpoint_of_more_than_there_is, Wrong(LAST + 1, "cut_off", 40)),
    (a_witness_who_did_not_sign, Wrong(11, "cosignature", 11)),
    (a_witness_whose_key_is_none, Wrong(11, "cosignature", 11)),
]


@pytest.mark.parametrize(("hand", "wrong"), HANDS, ids=range(1, len(HANDS) + 1))
@pytest.mark.parametrize("page", [3, 5_000])
def test_a_hand_in_the_journal_is_found_at_the_first_wrong_position(
    sealed, hand, wrong, page, monkeypatch
):
    monkeypatch.setattr(journal, "PAGE", page)
    hand(sealed)
    assert sealed.wrong() == wrong


def test_a_history_written_and_signed_anew_is_found_by_a_pinned_checkpoint(
    sealed, database_url, tmp_path
):
    with another_ledger(database_url) as views:
        signer = Signer(views, settings(tmp_path / "elsewhere"), Secrets(SEED, bytes(32)))
        (tmp_path / "elsewhere").mkdir()
        write_history(views.store, lambda: seal(views, signer))
        anew = Sealed(views.store, signer, sealed.pinned)
        assert anew.wrong() is None  # nothing inside tells
        assert anew.wrong(pinned=True) == Wrong(9, "pinned", 10)


def test_a_tail_cut_off_with_its_checkpoints_is_found_by_a_pinned_one(sealed):
    sealed.cut(11, "r-09")
    assert sealed.wrong() is None  # nothing inside tells
    assert sealed.wrong(pinned=True) == Wrong(12, "cut_off", 14)


def test_what_no_checkpoint_covers_can_be_cut_off_unseen(sealed):
    sealed.cut(14, "r-13")
    assert sealed.wrong(pinned=True) is None


def test_a_pinned_checkpoint_that_somebody_else_signed_is_not_believed(sealed):
    said = sealed.pinned[-1].checkpoint
    line = SigningKey(said.origin, OTHER_SEED).sign(said.text)
    sealed.pinned[-1] = Note.of(said, [line])
    assert sealed.wrong(pinned=True) == Wrong(14, "unknown_key", 14)
    assert sealed.wrong(pinned=True, keys=False) is None  # who pins it may know where it is from


def test_since_a_pinned_checkpoint_leaves_are_hashed_and_facts_are_not_read_again(sealed):
    assert sealed.verified(pinned=True, since=14)[:5] == (15, 15, 8, 0, None)
    write_leaf(sealed.store, VISIT, data=b'{"minutes":"many"}')
    assert sealed.wrong(since=14) == Wrong(12, "checkpoint", 14)
    assert sealed.wrong() == Wrong(12, "unreadable")


def test_up_to_a_position_later_checkpoints_are_not_asked(sealed):
    a_forged_signature(sealed)
    assert sealed.verified(until=10, pinned=True)[4:9:2] == (None, 2, 2)
    assert sealed.wrong(until=11) == Wrong(11, "signature", 11)


# --- the signer -----------------------------------------------------------------------------------


def test_nothing_is_signed_over_a_history_that_is_another_than_was_signed(sealed):
    write_leaf(sealed.store, VISIT, data=data_at(sealed.store, VISIT).replace(b"50", b"49"))
    sealed.signer.views.rebuild()
    with pytest.raises(Forked) as forked:
        sealed.signer.sign()
    assert forked.value.size == 14
    assert sealed.signer.fresh().size == 14  # whoever asks still gets what stands


def rewritten(sealed: Sealed, *, checkpoint: str) -> None:
    """Who has the whole database but not the key rewrites it, and all that tells of it there."""
    data = data_at(sealed.store, VISIT).replace(b'"place":"', b'"place":"x', 1)
    write_leaf(sealed.store, VISIT, data=data)
    sealed.signer.views.rebuild()
    if checkpoint == "deleted":
        alter(sealed.store, "DELETE FROM checkpoints")
        return
    with sealed.store.reading() as connection:
        tree = Tree()
        tree.extend(store.read_leaves(connection, 0, 14))
    said = Note.parse(kept_at(sealed, 14).note).checkpoint._replace(root=tree.root())
    note = str(Note.of(said, [SigningKey(said.origin, OTHER_SEED).sign(said.text)]))
    rewrite(sealed, 14, root=said.root, note=note)


@pytest.mark.parametrize("checkpoint", ["deleted", "forged"])
def test_the_signer_remembers_what_it_signed_whatever_the_database_says(sealed, checkpoint):
    rewritten(sealed, checkpoint=checkpoint)
    with pytest.raises(Forked):
        sealed.signer.sign()


@pytest.mark.parametrize("checkpoint", ["deleted", "forged"])
def test_so_does_the_file_outside_the_database(sealed, checkpoint, tmp_path):
    rewritten(sealed, checkpoint=checkpoint)
    started_again = Signer(sealed.signer.views, settings(tmp_path), Secrets(SEED, bytes(32)))
    with pytest.raises(Forked):
        started_again.sign()


@pytest.mark.parametrize(
    "change", [{"root": bytes(32)}, {"note": "nothing"}, {"key": "nobody"}], ids=str
)
def test_a_checkpoint_whose_row_was_altered_is_not_followed(sealed, change):
    rewrite(sealed, 14, **change)
    started_again = Signer(sealed.signer.views, Settings(), Secrets(SEED, bytes(32)))
    started_again.views.catch_up()
    with pytest.raises(Forked) as forked:
        started_again.sign()
    assert forked.value.size == 14


def test_a_checkpoint_that_the_key_did_not_sign_is_not_followed(sealed):
    """Neither memory nor file: the signature alone tells."""
    rewritten(sealed, checkpoint="forged")
    started_again = Signer(sealed.signer.views, Settings(), Secrets(SEED, bytes(32)))
    with pytest.raises(Forked):
        started_again.sign()


def test_nothing_is_signed_over_a_history_that_was_longer_once(sealed):
    sealed.cut(11, "r-09")
    a_checkpoint_of_more_than_there_is(sealed)
    sealed.signer.views.rebuild()
    with pytest.raises(Forked):
        sealed.signer.sign()


def test_a_rebuild_of_the_views_leads_to_the_same_checkpoint(sealed):
    sealed.signer.views.catch_up()
    before = sealed.signer.sign()
    assert before.size == LAST
    alter(sealed.store, "DELETE FROM checkpoints WHERE size = :size", size=LAST)
    sealed.signer.views.rebuild()
    assert sealed.signer.sign()[:4] == before[:4]


def test_every_checkpoint_stands_in_the_file_outside_the_database(sealed, tmp_path):
    path = tmp_path / "checkpoints"
    assert [note.checkpoint.size for note in read_notes(path.read_text())] == list(SIGNED)
    path.unlink()
    sealed.signer.views.catch_up()
    sealed.signer.sign()
    assert [note.checkpoint.size for note in read_notes(path.read_text())] == [*SIGNED, LAST]


# --- keys that follow each other ------------------------------------------------------------------


def rotate(sealed: Sealed, tmp_path: Path, *, lost: bool = False) -> VerifierKey:
    before = sealed.log_key
    after = SigningKey(before.name, OTHER_SEED).verifier
    bureau = Bureau(sealed.store)
    bureau.clock.at += timedelta(hours=1)
    bureau.ask(
        RotateSigningKey(**STAMP, key=str(after), replaces=str(before), lost=lost),
    )
    bureau.close()
    views = sealed.signer.views
    views.catch_up()
    secrets = Secrets(OTHER_SEED, bytes(32), None if lost else SEED)
    sealed.signer = Signer(views, settings(tmp_path), secrets)
    sealed.signer.sign()
    return after


def test_whoever_trusts_either_key_trusts_both_once_one_has_handed_over(sealed, tmp_path):
    after = rotate(sealed, tmp_path)
    for trusted in ([sealed.log_key], [after], [sealed.log_key, after]):
        verdict = verify(sealed.store, trusted=trusted)
        assert (verdict.wrong, verdict.checkpoints, verdict.attested) == (None, 5, 16)
    stranger = SigningKey(after.name, bytes([9]) * 32).verifier
    assert verify(sealed.store, trusted=[stranger]).wrong == Wrong(8, "unknown_key", 8)


def test_a_key_that_was_lost_hands_nothing_over(sealed, tmp_path):
    after = rotate(sealed, tmp_path, lost=True)
    assert verify(sealed.store, trusted=[after]).wrong is None
    assert sealed.wrong() == Wrong(16, "unknown_key", 16)


def test_a_key_that_had_its_time_signs_nothing_more(sealed, tmp_path):
    after = rotate(sealed, tmp_path)
    old = Signer(sealed.signer.views, settings(tmp_path), Secrets(SEED, bytes(32)))
    bureau = Bureau(sealed.store)
    bureau.clock.at += timedelta(hours=2)
    bureau.ask(visit("02:00", "02:50", receipt="r-15"))
    bureau.close()
    sealed.signer.views.catch_up()
    with pytest.raises((OtherSigningKey, KeysUnusable)):
        old.sign()
    kept = sealed.signer.sign()
    said = Note.parse(kept.note)
    forged = Note.of(said.checkpoint, [SigningKey(after.name, SEED).sign(said.text)])
    rewrite(sealed, kept.size, note=str(forged))
    assert sealed.wrong() == Wrong(17, "signature", 17)


def test_a_key_that_had_its_time_is_not_named_again(sealed, tmp_path):
    """Who stole the old key tries to have it back, by a fact and with both signatures."""
    after = rotate(sealed, tmp_path)
    row = SigningKeyRotated(
        actor="cli",
        recorded_at="2027-01-01T00:00:00.000000Z",
        correlation_id="chain",
        key=str(sealed.log_key),
        replaces=str(after),
    )
    with sealed.store.writing() as connection:
        store.append(connection, [("signing_keys", 2, "SigningKeyRotated", encode(row))], 16)
    sealed.signer.views.catch_up()
    with sealed.store.reading() as connection:
        root = Tree()
        root.extend(store.read_leaves(connection, 0, 17))
    said = Checkpoint(after.name, 17, root.root())
    lines = [SigningKey(after.name, seed).sign(said.text) for seed in (SEED, OTHER_SEED)]
    with sealed.store.writing() as connection:
        note = str(Note.of(said, lines))
        checkpoints.keep(connection, Kept(17, said.root, str(sealed.log_key), note, "2027"))
    for trusted in (sealed.log_key, after):
        assert verify(sealed.store, trusted=[trusted]).wrong == Wrong(17, "signature", 17)


def test_the_first_checkpoint_of_a_new_key_must_bear_the_old_one_too(sealed, tmp_path):
    rotate(sealed, tmp_path)
    note = Note.parse(kept_at(sealed, 16).note)
    rewrite(sealed, 16, note=str(Note.of(note.checkpoint, note.signatures[:1])))
    assert sealed.wrong() == Wrong(16, "signature", 16)
