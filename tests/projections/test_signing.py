"""When a checkpoint is signed, and by how many at once."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger import checkpoints
from ledger.keys_file import Secrets
from ledger.notes import Note, read_notes
from ledger.settings import Settings
from projections import signing
from projections.signing import Signer
from projections.views import Views
from tests.desk.bureau import Clock
from tests.projections.test_seal import fill

SECRETS = Secrets(bytes(32), bytes(32))
NOW = datetime(2026, 3, 6, 10, tzinfo=UTC)


def signer(views: Views, clock: Clock | None = None, **given: object) -> Signer:
    settings = Settings(keys_file=Path("none"), **given)  # type: ignore[arg-type]
    return Signer(views, settings, SECRETS, clock or Clock(NOW))


def sizes(views: Views) -> list[int]:
    with views.store.reading() as connection:
        return [kept.size for kept in checkpoints.every(connection)]


def grow(views: Views, to: int) -> None:
    from ledger.store import append, last_position

    with views.store.writing() as connection:
        last = last_position(connection)
        append(connection, [(f"o:{n}", 1, "Else", b"x") for n in range(last, to)], last)
    views.catch_up()


def test_a_ledgers_first_checkpoint_is_of_nothing_and_names_the_log(views):
    views.catch_up()
    kept = signer(views).sign()
    said = Note.parse(kept.note).checkpoint
    assert (kept.size, said.size) == (0, 0)
    assert said.origin.startswith("timebank/main/")


def test_the_name_is_the_one_given_and_stays_what_it_was(views):
    views.catch_up()
    signer(views, log_origin="bank.example/west").sign()
    grow(views, 3)
    kept = signer(views, log_origin="bank.example/east").sign()
    assert Note.parse(kept.note).checkpoint.origin == "bank.example/west"


def test_it_is_due_when_the_log_has_grown_and_the_last_is_old_enough(views):
    views.catch_up()
    clock = Clock(NOW)
    made = signer(views, clock, checkpoint_seconds=60)
    assert made.is_due()  # the first
    made.sign()
    clock.at += timedelta(hours=1)
    assert not made.is_due()  # nothing new
    grow(views, 2)
    assert made.is_due()
    made.sign()
    grow(views, 4)
    assert not made.is_due()
    clock.at += timedelta(seconds=60)
    assert made.is_due()
    assert not signer(views, clock, checkpoint_seconds=0).is_due()


def test_whoever_asks_gets_a_fresh_one_within_measure(views, monkeypatch):
    monkeypatch.setattr(signing, "ASKED_EACH_HOUR", 3)
    views.catch_up()
    clock = Clock(NOW)
    made = signer(views, clock)
    for size in range(1, 8):
        grow(views, size)
        made.fresh()
        made.fresh()
        clock.at += timedelta(seconds=2)
    assert sizes(views) == [1, 2, 3]
    clock.at += timedelta(hours=1)
    assert made.fresh().size == 7


def test_one_so_fresh_is_not_followed_at_once(views):
    views.catch_up()
    made = signer(views)
    grow(views, 1)
    made.fresh()
    grow(views, 2)
    assert made.fresh().size == 1


def test_many_who_sign_at_once_sign_one(views):
    views.catch_up()
    fill(views.store, 40)
    views.catch_up()
    many = [signer(views) for _ in range(4)]
    found: list[object] = []
    threads = [threading.Thread(target=lambda s=each: found.append(s.sign())) for each in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert sizes(views) == [40]


def test_the_thread_signs_and_ends(views, tmp_path):
    views.catch_up()
    path = tmp_path / "checkpoints"
    made = signer(views, checkpoint_file=path)
    made.start()
    made.close()
    assert sizes(views) == [0]
    assert [note.checkpoint.size for note in read_notes(path.read_text())] == [0]


def test_a_file_that_somebody_cut_is_completed_from_its_last_whole_note(views, tmp_path):
    views.catch_up()
    path = tmp_path / "checkpoints"
    made = signer(views, checkpoint_file=path)
    for size in (1, 2, 3):
        grow(views, size)
        made.sign()
    whole = path.read_text()
    notes = list(read_notes(whole))
    path.write_text("".join(f"{note}\n" for note in notes[:1]))
    grow(views, 4)
    made.sign()
    assert path.read_text().startswith(whole)
    assert [note.checkpoint.size for note in read_notes(path.read_text())] == [1, 2, 3, 4]


def test_half_a_note_that_a_killed_process_left_is_cut_off(views, tmp_path):
    views.catch_up()
    path = tmp_path / "checkpoints"
    made = signer(views, checkpoint_file=path)
    for size in (1, 2, 3):
        grow(views, size)
        made.sign()
    whole = path.read_bytes()
    third = whole.rindex(b"\n3\n")
    for cut in range(third, len(whole) + 1):  # at any byte of the last
        path.write_bytes(whole[:cut])
        signer(views, checkpoint_file=path).sign()
        assert path.read_bytes() == whole
    path.write_bytes(b"tim")
    signer(views, checkpoint_file=path).sign()
    assert path.read_bytes() == whole


def test_a_file_that_is_away_or_another_stops_the_signer_and_nobody_who_asks(views, tmp_path):
    views.catch_up()
    first = signer(views).sign()
    grow(views, 1)
    clock = Clock(NOW + timedelta(minutes=5))
    other = tmp_path / "other"
    other.write_text("a\nb\nc\n\n\N{EM DASH} d\n\n")
    for path in (tmp_path / "away" / "checkpoints", other):
        made = signer(views, clock, checkpoint_file=path)
        with pytest.raises(OSError, match=path.name):
            made.sign()
        assert made.fresh().size in (0, 1)
    assert other.read_text().startswith("a\nb\n")
    assert first.size == 0


def test_a_file_that_is_named_later_gets_what_was_signed_before(views, tmp_path):
    views.catch_up()
    signer(views).sign()
    path = tmp_path / "checkpoints"
    signer(views, checkpoint_file=path).sign()
    assert [note.checkpoint.size for note in read_notes(path.read_text())] == [0]


def test_checkpoints_of_a_longer_history_in_the_file_are_refused_to_be_followed(views, tmp_path):
    """The database was put back to an older state, and the file tells."""
    views.catch_up()
    path = tmp_path / "checkpoints"
    made = signer(views, checkpoint_file=path)
    grow(views, 3)
    kept = made.sign()
    path.write_text(kept.note.replace("\n3\n", "\n30\n") + "\n")
    grow(views, 4)
    with pytest.raises(signing.Forked) as forked:
        signer(views, checkpoint_file=path).sign()
    assert forked.value.size == 30
