"""The stand-alone verification: honest exports are accepted, and every tampering is named."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.store import Store
from tests.proof.exports import (
    KEY,
    NEXT_KEY,
    ORIGIN,
    STRANGER,
    WITNESS,
    Export,
    real_entries,
    rotation,
    spelled,
)
from tests.proof.reference import Signer, checkpoint, root
from tests.rules.town import LI, ZHANG

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_export.py"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[bytes]]:
    """The history that every export here is of."""
    folder = tmp_path_factory.mktemp("journal")
    journal = Store(f"sqlite:///{folder / 'timebank.db'}")
    journal.create()
    yield real_entries(journal)
    journal.close()


@pytest.fixture
def export(entries: list[bytes]) -> Export:
    return Export(entries)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The script, alone in a folder and cut off from the repository."""
    alone = Path(shutil.copy(SCRIPT, tmp_path / "verify_export.py"))

    def started(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-X", "utf8", str(alone), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)

    return started


@pytest.fixture
def verify(run, tmp_path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Exit code and report on an export, by whoever trusts the first key."""

    def verified(export: Export, *more: object, key: Signer = KEY) -> tuple[int, dict[str, Any]]:
        done = run(export.write(tmp_path), "--key", key.vkey, "--json", *more)
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    return verified


@pytest.fixture
def refused(verify) -> Callable[..., None]:
    """Asserts where an export is found wrong, and what is wrong there."""

    def found(export: Export, position: int, fault: str, *more: object, key: Signer = KEY) -> None:
        code, report = verify(export, *more, key=key)
        assert (code, report.get("position"), report.get("fault")) == (5, position, fault)
        assert report["zh"] != report["en"]

    return found


@pytest.fixture
def pinned(tmp_path) -> Callable[..., Path]:
    """A file of notes that an auditor has kept."""

    def kept(*notes: str) -> Path:
        path = tmp_path / "pinned.txt"
        path.write_text("\n".join(notes), encoding="utf-8")
        return path

    return kept


def change(export: Export, place: int, /, **fields: Any) -> None:
    """Alter an entry, and spell it as it must be spelled."""
    entry = json.loads(export.entries[place - 1])
    entry["data"] |= fields.pop("data", {})
    export.entries[place - 1] = spelled(entry | fields)


def replace(export: Export, position: int, old: bytes, new: bytes) -> None:
    entry = export.entries[position - 1]
    assert old in entry
    export.entries[position - 1] = entry.replace(old, new, 1)


# --- honest exports ------------------------------------------------------------------------------


def test_it_imports_the_standard_library_and_cryptography_alone():
    tree = ast.parse(SCRIPT.read_bytes())
    imported = set()
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            imported |= {name.name.partition(".")[0] for name in found.names}
        if isinstance(found, ast.ImportFrom):
            imported.add((found.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cryptography"}
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) < 300


def test_an_honest_export_is_accepted(verify, export):
    code, report = verify(export)
    assert code == 0
    assert report == {
        "right": True,
        "part": False,
        "entries": len(export.entries),
        "position": len(export.entries),
        "checkpoints": 3,
        "root": export.notes[-1].splitlines()[2],
        "accounts": len(export.rows),
        "sum": 0,
    }


def test_a_member_s_balance_and_minutes_are_told(verify, export):
    for member, minutes in ((ZHANG, 5 * 50 + 90), (LI, 0)):
        held = dict(export.rows)
        _, report = verify(export, "--member", member)
        for pocket in ("available", "held", "frozen", "receivable"):
            assert report[pocket] == held.get(f"person:{member}:{pocket}", 0)
        assert report["minutes"] == minutes


def test_people_read_the_report_in_chinese_and_english(run, export, tmp_path):
    done = run(export.write(tmp_path), "--key", KEY.vkey)
    assert done.stdout.startswith("核验通过 right\n")
    replace(export, 4, b'"position":4', b'"position":5')
    done = run(export.write(tmp_path), "--key", KEY.vkey)
    assert done.stdout.startswith("核验未通过 wrong\n")
    assert "position: 4\n" in done.stdout


def test_witnesses_and_unknown_keys_may_sign_too(verify, export, entries):
    text = export.notes[0].split("\n\n")[0] + "\n"
    export.notes[0] += WITNESS.line(text) + STRANGER.line(text)
    export.notes.insert(1, export.note(5, KEY))  # of the same size again
    assert verify(export)[0] == 0


@pytest.mark.parametrize("size", range(1, 10))
def test_a_checkpoint_may_stand_at_any_size(verify, entries, size):
    assert verify(Export(entries[:size], range(size + 1)))[0] == 0


def test_an_empty_ledger_is_verified(verify):
    assert verify(Export([], [0]))[0] == 0


def test_pinned_checkpoints_are_found_in_the_history(verify, export, pinned):
    notes = pinned(export.note(7), export.notes[0], export.note(0))
    assert verify(export, "--pinned", notes)[0] == 0


@pytest.mark.parametrize(
    "arguments", [[], ["--key", "nonsense"], ["--key", KEY.vkey.replace("+", "+0", 1)]]
)
def test_without_a_key_nothing_is_verified(run, export, tmp_path, arguments):
    assert run(export.write(tmp_path), *arguments).returncode == 2


@pytest.mark.parametrize("missing", ["", ".checkpoints", ".trial-balance.csv"])
def test_a_file_that_is_not_there_is_named(run, export, tmp_path, missing):
    path = export.write(tmp_path)
    Path(f"{path}{missing}").unlink()
    done = run(path, "--key", KEY.vkey)
    assert done.returncode == 2
    assert f"books.ndjson{missing}" in done.stderr


# --- entries -------------------------------------------------------------------------------------


def test_a_changed_byte_shows_at_the_next_checkpoint(refused, export):
    replace(export, 10, b"staff-7", b"staff-8")
    refused(export, 12, "root")


def test_lines_that_changed_places(refused, export):
    export.entries[6], export.entries[7] = export.entries[7], export.entries[6]
    refused(export, 7, "position")


def test_a_line_taken_out(refused, export):
    del export.entries[8]
    refused(export, 9, "position")


def test_a_line_taken_out_and_the_rest_numbered_anew(refused, export):
    del export.entries[10]  # a visit of Zhang's
    for place in range(11, len(export.entries)):
        change(export, place, position=place)
    refused(export, 11, "version")


def test_the_last_line_taken_out(refused, export):
    size = len(export.entries)
    del export.entries[-1]
    refused(export, size, "cut")


def test_a_line_put_in(refused, export):
    export.entries.insert(10, export.entries[3])
    refused(export, 11, "position")


def test_a_line_twice(refused, export):
    export.entries.insert(10, export.entries[9])
    refused(export, 11, "position")


def test_a_line_put_at_the_end(refused, export):
    more = rotation(len(export.entries) + 1, NEXT_KEY, KEY)
    export.entries.append(more.replace(b"SigningKeyRotated", b"SomethingElse"))
    refused(export, len(export.entries), "uncovered")


def test_another_position(refused, export):
    change(export, 6, position=60)
    refused(export, 6, "position")


def test_another_version(refused, export):
    change(export, 12, version=9)
    refused(export, 12, "version")


def test_credits_from_nowhere(refused, export):
    replace(export, 11, b':available",50]', b':available",500]')
    refused(export, 11, "sum")


def test_credits_that_nobody_had(refused, export):
    lines = [[f"person:{LI}:available", -5], [f"person:{ZHANG}:available", 5]]
    change(export, 11, data={"entries": lines})
    refused(export, 11, "negative")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"position":', b'"position": '),
        (b",50]", b",5e1]"),
        (b",50]", b",50.0]"),
        (b",50]", b",050]"),
        (b",-50]", b",-50,0]"),
        (b'"staff-7"', b'"\\u0073taff-7"'),
        (b'"staff-7"', b'"staff-7\xff"'),
        (b'"responsible"', b'"minutes":50,"responsible"'),
        (b'"late":false', b'"late":NaN'),
        (b'"version":', b'"versions":'),
        (b'"version":', b'"type":'),
        (b'{"data":', b'[{"data":'),
        (b'"late":false', b'"late":' + b"[" * 30_000),
    ],
)
def test_a_second_spelling(refused, export, old, new):
    replace(export, 11, old, new)
    refused(export, 11, "spelling")


def test_another_order_of_the_keys(refused, export):
    entry = json.loads(export.entries[3])
    reordered = dict(reversed(entry.items()))
    export.entries[3] = json.dumps(reordered, ensure_ascii=False, separators=(",", ":")).encode()
    refused(export, 4, "spelling")


@pytest.mark.parametrize("fields", [{"position": True}, {"version": True}, {"type": 1}])
def test_what_only_looks_like_a_number_or_a_text(refused, export, fields):
    change(export, 1, **fields)
    refused(export, 1, "spelling")


def test_an_entry_of_another_program_is_base64_in_one_spelling(refused, export):
    size = len(export.entries)
    assert b'"data":"gAByYXc="' in export.entries[-1]
    for data in ("gAByYXd=", "gAByYXc", "gAByYXc=!", 7, None):
        entry = json.loads(export.entries[-1])
        tampered = Export([*export.entries[:-1], spelled(entry | {"data": data})])
        refused(tampered, size, "spelling")


def test_an_entry_has_at_most_65_535_bytes(verify, refused, entries):
    entry = json.loads(entries[0])
    spare = 65_535 - len(spelled(entry | {"stream": ""}))
    assert verify(Export([spelled(entry | {"stream": "s" * spare})], [1]))[0] == 0
    refused(Export([spelled(entry | {"stream": "s" * (spare + 1)})], [1]), 1, "spelling")


@pytest.mark.parametrize("lines", [7, [7], [["a", 1, 2]], [["a", "0"]], [["a", True]], [[1, 0]]])
def test_lines_that_are_none(refused, export, lines):
    change(export, 11, data={"entries": lines})
    refused(export, 11, "spelling")


def test_a_last_line_without_its_end(run, export, tmp_path):
    path = export.write(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    done = run(path, "--key", KEY.vkey, "--json")
    report = json.loads(done.stdout)
    assert (report["position"], report["fault"]) == (len(export.entries), "spelling")


def test_a_time_that_runs_backwards(refused, export):
    change(export, 12, data={"recorded_at": "2026-01-01T00:00:00.000000Z"})
    refused(export, 12, "recorded_at")


# --- checkpoints ---------------------------------------------------------------------------------


def test_another_root_in_a_checkpoint(refused, export):
    export.notes[1] = checkpoint(ORIGIN, 12, root([b"other"]), KEY)
    refused(export, 12, "root")


def test_a_forged_signature(refused, export):
    text, _, signature = export.notes[1].partition("\n\n")
    export.notes[1] = f"{text}\n\n" + KEY.line(text.replace("12", "13") + "\n")
    assert signature not in export.notes[1]
    refused(export, 12, "forged")


def test_the_signature_of_an_unknown_key(refused, export):
    export.notes[1] = export.note(12, STRANGER)
    refused(export, 12, "unsigned")
    refused(Export(export.entries), 5, "unsigned", key=STRANGER)


def test_a_checkpoint_of_another_origin(refused, export):
    export.notes[1] = checkpoint("timebank/else/0123456789ab", 12, root(export.entries[:12]), KEY)
    refused(export, 5, "note")


def test_a_checkpoint_that_cannot_be_read(refused, export):
    for garbled in ("no note\n", export.notes[1].replace("\n\n", "\n"), export.notes[1][:60]):
        tampered = Export(export.entries)
        tampered.notes[1] = garbled
        refused(tampered, 5, "note")


def test_checkpoints_out_of_order(refused, export):
    export.notes[0], export.notes[1] = export.notes[1], export.notes[0]
    refused(export, 12, "note")


def test_a_checkpoint_of_more_than_there_is(refused, export):
    size = len(export.entries)
    export.notes.append(checkpoint(ORIGIN, size + 7, root([]), KEY))
    refused(export, size + 1, "cut")


@pytest.mark.parametrize(("kept", "position"), [(0, 1), (1, 6), (2, 13)])
def test_missing_checkpoints(refused, export, kept, position):
    del export.notes[kept:]
    refused(export, position, "uncovered")


# --- the trial balance ---------------------------------------------------------------------------


def test_a_trial_balance_with_another_figure(refused, export):
    account, credits = export.rows[2]
    export.rows[2] = (account, credits + 1)
    refused(export, len(export.entries), "trial_balance")


def test_a_trial_balance_with_a_row_missing(refused, export):
    del export.rows[-1]
    refused(export, len(export.entries), "trial_balance")


def test_a_trial_balance_with_a_row_too_many(refused, export):
    export.rows.append(("sink:nobody", 0))
    refused(export, len(export.entries), "trial_balance")


def test_a_trial_balance_that_cannot_be_read(run, export, tmp_path):
    path = export.write(tmp_path)
    for garbled in (b"", b"account,credits\n\xff\n", b'account,credits\n"'):
        Path(f"{path}.trial-balance.csv").write_bytes(garbled)
        done = run(path, "--key", KEY.vkey, "--json")
        report = json.loads(done.stdout)
        assert (done.returncode, report["fault"]) == (5, "trial_balance")


# --- what only a pinned checkpoint shows ---------------------------------------------------------


def test_a_history_written_anew_shows_only_against_a_pinned_checkpoint(
    verify, refused, export, pinned
):
    notes = pinned(export.notes[1])
    rewritten = Export(export.entries)
    replace(rewritten, 10, b"staff-7", b"staff-8")
    rewritten = Export(rewritten.entries)
    assert verify(rewritten)[0] == 0
    refused(rewritten, 12, "pinned", "--pinned", notes)


def test_a_cut_tail_shows_only_against_a_pinned_checkpoint(verify, refused, export, pinned):
    notes = pinned(*export.notes)
    cut = Export(export.entries[:12], [5, 12])
    assert verify(cut)[0] == 0
    refused(cut, 13, "cut", "--pinned", notes)


def test_a_pinned_checkpoint_that_nobody_trusted_has_signed(refused, export, pinned):
    refused(export, 12, "unsigned", "--pinned", pinned(export.note(12, STRANGER)))


# --- a new signing key ---------------------------------------------------------------------------


def rotated(entries: list[bytes], **more: Any) -> Export:
    """The export with a change of keys in the middle, and checkpoints before and after it."""
    place = len(entries) + 1
    export = Export([*entries, rotation(place, NEXT_KEY, KEY, **more)], [5, 12, place])
    last = (
        export.entries[-1]
        .replace(b"signing_keys", b"log:else")
        .replace(b"SigningKey", b"Something")
    )
    export.entries.append(last.replace(b'"position":%d' % place, b'"position":%d' % (place + 1)))
    both = () if more else (KEY,)
    export.notes[2] = export.note(place, *both, NEXT_KEY)
    export.notes.append(export.note(place + 1, NEXT_KEY))
    return export


@pytest.mark.parametrize("key", [KEY, NEXT_KEY])
def test_a_change_of_keys_is_followed_from_either_key(verify, entries, key, pinned):
    export = rotated(entries)
    assert verify(export, "--pinned", pinned(*export.notes), key=key)[0] == 0


def test_a_change_of_keys_that_the_log_does_not_announce(refused, export):
    export.notes[2] = export.note(len(export.entries), KEY, NEXT_KEY)
    export.notes[1] = export.note(12, NEXT_KEY)
    refused(export, 12, "unsigned")


def test_a_change_of_keys_that_the_old_key_has_not_signed(refused, entries):
    export = rotated(entries)
    place = len(entries) + 1
    export.notes[2] = export.note(place, NEXT_KEY)
    for key in (KEY, NEXT_KEY):
        refused(export, place, "unsigned", key=key)


def test_a_checkpoint_of_the_old_key_after_the_change(refused, entries):
    export = rotated(entries)
    export.notes[3] = export.note(len(entries) + 2, KEY)
    refused(export, len(entries) + 2, "unsigned")


def test_a_lost_key_is_not_followed_but_its_successor_vouches_for_it(verify, refused, entries):
    export = rotated(entries, lost=True)
    assert verify(export, key=NEXT_KEY)[0] == 0
    assert verify(export, "--key", NEXT_KEY.vkey)[0] == 0
    refused(export, len(entries) + 1, "unsigned")


def test_a_thief_of_a_lost_key_is_not_followed(refused, entries):
    """Whoever has the old key alone cannot make the new one name another."""
    thief = Signer(ORIGIN, b"thief")
    export = rotated(entries, lost=True)
    size = len(export.entries) + 1
    export.entries.append(rotation(size, KEY, NEXT_KEY, version=2, lost=True))
    export.notes.append(export.note(size, KEY))
    refused(export, size, "unsigned", key=NEXT_KEY)
    export.entries[-1] = rotation(size, thief, KEY, version=2)
    export.notes[-1] = export.note(size, KEY, thief)
    refused(export, size, "rotation", key=NEXT_KEY)


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("nonsense", "spelling"),
        (7, "spelling"),
        (NEXT_KEY.vkey.replace("+", "+0", 1), "spelling"),
        (Signer("timebank/else", b"first").vkey, "rotation"),
    ],
)
def test_a_change_to_what_is_no_key_of_the_log(refused, entries, key, fault):
    export = rotated(entries)
    change(export, len(entries) + 1, data={"key": key})
    export.notes = [export.note(5), export.note(len(export.entries))]
    refused(export, len(entries) + 1, fault)


def test_two_changes_of_keys(verify, entries):
    third = Signer(ORIGIN, b"third")
    export = rotated(entries)
    size = len(export.entries) + 1
    export.entries.append(rotation(size, third, NEXT_KEY, version=2))
    export.notes.append(export.note(size, third, NEXT_KEY))
    for key in (KEY, NEXT_KEY, third):
        assert verify(export, key=key)[0] == 0


# --- parts of a ledger ---------------------------------------------------------------------------

PART = (2, 5, 9, 10, 15)


@pytest.fixture
def part(export: Export) -> Export:
    export.part(PART)
    return export


def test_a_part_is_accepted_by_its_proofs(verify, part):
    code, report = verify(part)
    assert (code, report["part"], report["entries"], report["position"]) == (0, True, 5, 15)


@pytest.mark.parametrize("size", [*range(1, 9), 16, 17, 20])
def test_each_entry_of_the_whole_has_its_proof(verify, entries, size):
    whole = Export(entries[:size], [size])
    whole.part(range(1, size + 1))
    assert verify(whole)[0] == 0


def test_a_proof_of_another_entry(refused, part):
    assert part.proofs is not None
    part.proofs[2] = part.proofs[3].replace('"position": 10', '"position": 9')
    refused(part, 9, "proof")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"position": 9', '"position": 8'),
        ('{"position"', '{"place"'),
        ('["', '["' + "A" * 43 + '=", "'),
        ('["', '["!'),
        ("[", "7, ["),
    ],
)
def test_a_wrong_proof(refused, part, old, new):
    assert part.proofs is not None
    assert old in part.proofs[2]
    part.proofs[2] = part.proofs[2].replace(old, new, 1)
    refused(part, 9, "proof")


def test_a_part_with_a_line_replaced(refused, part):
    replace(part, 4, b"staff-7", b"staff-8")
    refused(part, 10, "proof")


def test_a_part_with_a_line_or_a_proof_too_many(refused, part):
    assert part.proofs is not None
    part.proofs.pop()
    refused(part, 15, "proof")
    part.entries.pop()
    part.entries.pop()
    refused(part, 10, "spelling")


def test_a_part_out_of_order(refused, part):
    part.entries[1], part.entries[2] = part.entries[2], part.entries[1]
    assert part.proofs is not None
    part.proofs[1], part.proofs[2] = part.proofs[2], part.proofs[1]
    refused(part, 10, "position")


def test_a_part_whose_last_checkpoint_nobody_trusted_has_signed(refused, part):
    last = part.notes[-1].split("\n\n")[0] + "\n"
    part.notes[-1] = f"{last}\n{STRANGER.line(last)}"
    refused(part, int(last.split("\n")[1]), "unsigned")
