"""Signed notes: the published examples, and what is no note, no key and no signature."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.notes import Checkpoint, NotANote, Note, SigningKey, VerifierKey, read_notes

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
"""The key of the example in the documentation of golang.org/x/mod/sumdb/note."""

ROOT = bytes(range(32))
LOG = SigningKey("example.org/log", bytes(32))
WITNESS = SigningKey("witness.example/w1", bytes([7]) * 32, cosigns=True)
CHECKPOINT = Checkpoint("example.org/log", 9, ROOT)


def note(*keys: SigningKey, checkpoint: Checkpoint = CHECKPOINT) -> Note:
    return Note.of(checkpoint, [key.sign(checkpoint.text, 1_679_315_147) for key in keys])


def test_a_key_of_another_program_is_read_and_told_the_same():
    assert str(VerifierKey.parse(PETER)) == PETER


@given(st.binary(min_size=32, max_size=32), st.booleans())
def test_every_key_is_read_as_it_was_told(seed, cosigns):
    key = SigningKey("a/b", seed, cosigns=cosigns).verifier
    assert VerifierKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+c74f20a3",
        "other" + PETER,
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER[:-4],
        "name+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        "a b+00000000+AAAA",
        "a+b+*",
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(NotANote):
        VerifierKey.parse(text)


def test_a_checkpoint_is_spelled_as_the_format_has_it():
    lines = str(note(LOG)).split("\n")
    assert lines[:4] == ["example.org/log", "9", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith("\N{EM DASH} example.org/log ")
    assert lines[5:] == [""]


def test_a_note_is_read_as_it_was_written():
    written = note(LOG, WITNESS)
    assert Note.parse(str(written)) == written
    assert list(read_notes(f"{written}\n{note(LOG)}\n")) == [written, note(LOG)]


def test_who_signed_is_known_by_key_and_nobody_else():
    written = note(LOG, WITNESS)
    assert LOG.verifier.signed(written)
    assert WITNESS.verifier.signed(written)
    assert not SigningKey("example.org/log", bytes([1]) * 32).verifier.signed(written)
    assert not SigningKey("example.org/other", bytes(32)).verifier.signed(written)
    assert not SigningKey("example.org/log", bytes(32), cosigns=True).verifier.signed(written)


def test_a_signature_is_of_this_text_alone():
    other = CHECKPOINT._replace(size=10)
    moved = Note.of(other, note(LOG, WITNESS).signatures)
    assert not LOG.verifier.signed(moved)
    assert not WITNESS.verifier.signed(moved)


def test_one_bad_signature_of_a_key_spoils_the_good_one():
    good = note(LOG)
    bad = good.signatures[0]._replace(signature=bytes(64))
    assert not LOG.verifier.signed(Note.of(CHECKPOINT, [*good.signatures, bad]))


def test_a_witness_signs_the_time_too():
    line = WITNESS.sign(CHECKPOINT.text, 5)
    later = line._replace(signature=(6).to_bytes(8) + line.signature[8:])
    assert WITNESS.verifier.signed(Note.of(CHECKPOINT, [line]))
    assert not WITNESS.verifier.signed(Note.of(CHECKPOINT, [later]))


@pytest.mark.parametrize("cut", [0, 4, 8])
def test_a_signature_that_is_cut_short_is_not_good(cut):
    for key in (LOG, WITNESS):
        line = key.sign(CHECKPOINT.text)
        assert not key.verifier.signed(
            Note.of(CHECKPOINT, [line._replace(signature=line.signature[:cut])])
        )


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("9\n", "09\n", 1),
        lambda text: text.replace("9\n", "-9\n", 1),
        lambda text: text.replace("9\n", "9.0\n", 1),
        lambda text: text.replace("example.org/log\n", "example.org log\n", 1),
        lambda text: text.replace("example.org/log\n", "\n", 1),
        lambda text: text.replace("\N{EM DASH}", "-"),
        lambda text: text.replace("AAEC", "AAE", 1),
        lambda text: text.replace("AAEC", "A*EC", 1),
        lambda text: text.replace("\n\n", "\n" + "x" * 70_000 + "\n\n", 1),
    ],
)
def test_what_is_no_checkpoint_is_refused(broken):
    with pytest.raises(NotANote):
        Note.parse(broken(str(note(LOG))))


@given(st.text(max_size=200))
def test_no_text_at_all_is_a_bug(text):
    for read in (Note.parse, VerifierKey.parse, lambda said: list(read_notes(said))):
        try:
            read(text)
        except NotANote:
            continue


def test_a_name_has_no_space_and_no_plus():
    for name in ("", "a b", "a+b", "a\u00a0b", "x" * 201):
        with pytest.raises(NotANote):
            SigningKey(name, bytes(32))
