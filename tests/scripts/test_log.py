"""The transparency log at the command line: checkpoints, proofs, witnesses, keys, samples."""

import base64
import hashlib
import shutil
from pathlib import Path

import pytest

from ledger.merkle import is_consistent, root_by_inclusion
from ledger.notes import Note, VerifierKey, read_notes
from scripts.printing import Exit
from tests.scripts.test_audit import alter, fill
from tests.scripts.typed import timebank


@pytest.fixture
def written(made: Path, field) -> Path:
    """A ledger on SQLite with a field, a member and three records, the last of which waits."""
    field()
    fill(made)
    return made


def ok(line: str) -> object:
    said = timebank(f"{line} --json")
    assert said.code == 0, said.out + said.err
    return said.json


def note(line: str = "log checkpoint") -> Note:
    return Note.parse(ok(line)["note"])  # type: ignore[index]


def test_init_names_the_log_and_tells_its_key(folder):
    said = ok("init --admin-key-file k")
    (key,) = ok("log keys")["keys"]
    assert said["log_key"] == key["key"]
    assert ok("audit verify")["checkpoints"] == 1
    assert timebank("init").code == Exit.REFUSED


def test_a_checkpoint_is_printed_as_it_is_kept_and_signed_once(written):
    first, again = timebank("log checkpoint"), timebank("log checkpoint")
    assert first.out == again.out
    said = Note.parse(first.out)
    assert said.checkpoint.size == 8
    assert VerifierKey.parse(ok("log keys")["keys"][0]["key"]).signed(said)


def test_a_copy_without_keys_prints_the_last_that_was_kept(written, monkeypatch):
    kept = timebank("log checkpoint").out
    elsewhere = written / "copy"
    elsewhere.mkdir()
    shutil.copy(written / "timebank.db", elsewhere)
    monkeypatch.chdir(elsewhere)
    said = timebank("log checkpoint")
    assert said.out == kept
    assert "No new checkpoint is signed" in said.err
    assert ok("audit verify")["keys"] == "journal"


def test_a_proof_stands_by_itself(written):
    said = ok("log prove --position 3")
    text = timebank("log prove --position 3").out
    assert text == said["proof"]
    head, index, *hashes = text.partition("\n\n")[0].split("\n")
    assert (head, index) == ("c2sp.org/tlog-proof@v1", "index 2")
    checkpoint = Note.parse(text.partition("\n\n")[2]).checkpoint
    leaf = base64.b64decode(said["leaf"])
    path = [base64.b64decode(each) for each in hashes]
    assert root_by_inclusion(leaf, 2, checkpoint.size, path) == checkpoint.root


def test_growth_is_proved_between_two_checkpoints(written):
    before = note().checkpoint
    timebank("unit add east --name 东 --level district")
    after = note().checkpoint
    said = ok(f"log prove --from {before.size} --to {after.size}")
    path = [base64.b64decode(each) for each in said["hashes"]]
    assert is_consistent(before.size, after.size, before.root, after.root, path)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("", Exit.USAGE),
        ("--position 1 --from 1", Exit.USAGE),
        ("--position 99", Exit.REFUSED),
        ("--position 8 --size 3", Exit.REFUSED),
        ("--from 99", Exit.REFUSED),
        ("--from 5 --to 4", Exit.REFUSED),
    ],
)
def test_what_cannot_be_proved_is_said(written, options, code):
    assert timebank(f"log prove {options}").code == code


# --- pinned checkpoints, and what they show -------------------------------------------------------


def test_every_checkpoint_is_appended_to_the_file_that_is_named(written, monkeypatch):
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", "outside.txt")
    note()
    timebank("unit add east --name 东 --level district")
    note()
    sizes = [each.checkpoint.size for each in read_notes(Path("outside.txt").read_text())]
    assert sizes == [0, 8, 9]
    said = ok("audit verify --pinned outside.txt")
    assert (said["pinned"], said["checkpoints"]) == (3, 3)
    since = ok("audit verify --pinned outside.txt --since-pinned")
    assert since == said


def test_a_ledger_that_was_put_back_is_found_by_the_file_and_signs_nothing(written, monkeypatch):
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", "outside.txt")
    note()
    shutil.copy("timebank.db", "older.db")
    timebank("unit add east --name 东 --level district")
    note()
    for beside in ("", "-wal", "-shm"):
        Path(f"timebank.db{beside}").unlink(missing_ok=True)
    shutil.copy("older.db", "timebank.db")
    said = timebank("audit verify --pinned outside.txt --json")
    assert said.code == Exit.WRONG
    assert said.json["first_wrong"]["fault"] == "cut_off"
    assert said.json["first_wrong"]["position"] == 9
    signed = timebank("log checkpoint")
    assert signed.code == Exit.WRONG
    assert "nothing is signed over it" in signed.err
    assert timebank("doctor --json").code == Exit.WRONG


def test_a_rewritten_ledger_is_not_signed_and_not_cosigned(written):
    note()
    alter("timebank.db", "UPDATE entries SET leaf_hash = zeroblob(32) WHERE position = 5")
    timebank("views rebuild")
    timebank("unit add east --name 东 --level district")
    assert timebank("log checkpoint").code == Exit.WRONG
    assert timebank("log cosign --name w/1 --key-file w.key").code == Exit.WRONG


@pytest.mark.parametrize(
    "options",
    ["--since-pinned", "--file e --until 3", "--file e --pinned p --since-pinned"],
)
def test_what_would_have_no_effect_is_refused(written, options):
    assert timebank(f"audit verify {options}").code == Exit.USAGE


# --- witnesses ------------------------------------------------------------------------------------


def test_a_witness_verifies_cosigns_and_keeps_what_it_saw(written):
    log = ok("log keys")["keys"][0]["key"]
    line = f"log cosign --name witness.example/w1 --key-file w.key --pinned seen.txt --key {log}"
    note()
    first = ok(line)
    witness = VerifierKey.parse(first["witness"])
    assert Path("w.key").stat().st_mode & 0o777 == 0o600
    timebank("unit add east --name 东 --level district")
    note()
    second = ok(line)
    assert second["witness"] == first["witness"]
    seen = list(read_notes(Path("seen.txt").read_text()))
    assert [each.checkpoint.size for each in seen] == [8, 9]
    assert all(witness.signed(each) for each in seen)
    assert witness.signed(note())  # the ledger hands it on
    verified = ok("audit verify --pinned seen.txt")
    assert (verified["cosignatures"], verified["pinned"]) == (2, 2)


def test_a_cosignature_made_elsewhere_is_kept_once_and_only_if_it_is_good(written, tmp_path):
    note()
    said = ok("log cosign --name w/1 --key-file w.key")
    Path("cosigned.txt").write_text(said["note"])
    stranger = ok("log cosign --name w/2 --key-file w2.key")["witness"]
    assert ok(f"log cosign --add cosigned.txt --witness {said['witness']}")["added"] == []
    assert timebank(f"log cosign --add cosigned.txt --witness {stranger}").code == Exit.REFUSED
    other = said["note"].replace("\n8\n", "\n7\n")
    Path("other.txt").write_text(other)
    refused = timebank(f"log cosign --add other.txt --witness {said['witness']}")
    assert refused.code == Exit.REFUSED


@pytest.mark.parametrize(
    "options", ["--name w/1", "--key-file w", "--add seen.txt", "--name 'a b' --key-file w"]
)
def test_what_a_witness_lacks_is_said(written, options):
    Path("seen.txt").write_text("")
    assert timebank(f"log cosign {options}").code == Exit.USAGE


@pytest.mark.parametrize("content", ["nothing", "a\n1\nx\n\nb\n", "\ufeff"])
def test_what_is_no_checkpoint_is_said(written, content):
    Path("p.txt").write_text(content)
    assert timebank("audit verify --pinned p.txt").code == Exit.USAGE
    assert timebank("audit verify --pinned none.txt").code == Exit.USAGE
    assert timebank("audit verify --key nonsense").code == Exit.USAGE


# --- keys --------------------------------------------------------------------------------------


def test_a_key_is_followed_by_another_and_both_stand_behind_the_log(written):
    before = ok("log keys")["keys"][0]["key"]
    said = ok("key rotate-signing")
    after = said["key"]
    assert said["replaces"] == before
    both = Note.parse(said["note"])
    assert all(VerifierKey.parse(key).signed(both) for key in (before, after))
    assert [each["key"] for each in ok("log keys")["keys"]] == [before, after]
    for key in (before, after):
        assert ok(f"audit verify --key {key}")["keys"] == "given"
    third = ok("key rotate-signing")["key"]
    assert ok(f"audit verify --key {before} --key {third}")["ok"]
    assert Path("timebank-keys.json").stat().st_mode & 0o777 == 0o600
    assert ok("doctor")["ok"]


def test_a_rotation_that_broke_off_is_finished_by_the_next(written, monkeypatch):
    ok("log checkpoint")

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scripts.api_keys.ask", broken)
        assert timebank("key rotate-signing").code == 130
    assert timebank("log checkpoint").code == 0  # nothing is new, nothing is to be signed
    timebank("unit add east --name 东 --level district")
    assert timebank("log checkpoint").code == 0  # by the key before, which is still in force
    ok("key rotate-signing")
    assert ok("audit verify")["ok"]


def test_a_key_that_was_lost_is_followed_without_its_help(written):
    before = ok("log keys")["keys"][0]["key"]
    after = ok("key rotate-signing --lost")["key"]
    assert ok(f"audit verify --key {after}")["ok"]
    said = timebank(f"audit verify --key {before} --json")
    assert (said.code, said.json["first_wrong"]["fault"]) == (Exit.WRONG, "unknown_key")


def test_a_key_that_the_settings_give_is_changed_there(written, monkeypatch):
    monkeypatch.setenv("TIMEBANK_SIGNING_KEY", base64.b64encode(bytes(32)).decode())
    refused = timebank("log checkpoint")
    assert refused.code == Exit.UNAVAILABLE
    assert "not the one in force" in refused.err
    assert timebank("key rotate-signing --lost").code == Exit.UNAVAILABLE


# --- differences, samples -------------------------------------------------------------------------


def test_what_changed_between_two_points_is_told_by_account(written):
    said = ok("audit diff --from 0 --to 2030-01-01")
    assert sum(each["count"] for each in said["events"]) == 8
    assert sum(each["change"] for each in said["accounts"]) == 0
    later = ok("audit diff --from 6 --to 7")
    assert [each["type"] for each in later["events"]] == ["HoursVerified"]
    assert {each["change"] for each in later["accounts"]} == {60, -60}
    by_date = ok("audit diff --from 2000-01-01 --to 2030-01-01T00:00:00Z")
    assert by_date == said
    assert timebank("audit diff --from 7 --to 6").code == Exit.USAGE
    assert timebank("audit diff --from yesterday --to 6").code == Exit.USAGE


def test_a_sample_is_drawn_by_digests_that_anybody_can_compute(written):
    said = ok("audit sample --seed spring --n 2")
    assert said["population"] == 3
    drawn = [each["record_id"] for each in said["records"]]
    posted = [
        event["data"]["record_id"]
        for event in ok("audit trail --limit 100")["data"]
        if event["type"] in ("HoursVerified", "HoursSubmitted")
    ]
    by_digest = sorted(posted, key=lambda id: hashlib.sha256(f"spring:{id}".encode()).digest())
    assert drawn == by_digest[:2]
    for record in said["records"]:
        assert record["record_id"] in {event["data"].get("record_id") for event in record["events"]}
    assert ok("audit sample --seed spring --n 2 --position 6")["population"] == 1
    assert ok("audit sample --seed spring --n 2") == said
