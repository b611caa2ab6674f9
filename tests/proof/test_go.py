"""Go's own tree and signed notes agree: docs/auditors/verify.go, built from Debian's packages."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proof import reference
from tests.proof.exports import KEY, ORIGIN, STRANGER, WITNESS, Export
from tests.proof.reference import Signer, b64
from tests.proof.tools import GO_SOURCES, needs_go

PROGRAM = Path(__file__).resolve().parents[2] / "docs" / "auditors" / "verify.go"
ENTRIES = [f'{{"entry":{n}}}'.encode() for n in range(1, 38)]
SIZES = (1, 2, 7, 8, 21, 37)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built without the network and without modules."""
    needs_go()
    folder = tmp_path_factory.mktemp("go")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOCACHE": str(folder / "cache"),
        "GO111MODULE": "off",
        "GOPATH": str(GO_SOURCES),
    }
    built = folder / "verify"
    command = ["go", "build", "-o", str(built), str(PROGRAM)]
    subprocess.run(command, env=environment, cwd=folder, check=True)
    return built


@pytest.fixture
def says(program) -> Callable[..., str]:
    """What the program says; a first word of `right` or `WRONG`."""

    def said(*arguments: object) -> str:
        command = [str(program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == (0 if done.stdout else 1)
        return done.stdout or done.stderr

    return said


@pytest.fixture
def log(says, tmp_path) -> Callable[..., str]:
    """What the program says of an export."""

    def said(export: Export, key: Signer = KEY) -> str:
        path = export.write(tmp_path)
        return says("log", path, f"{path}.checkpoints", key.vkey)

    return said


@pytest.fixture
def export() -> Export:
    return Export([entry.replace(b"{", b'{"data":{},') for entry in ENTRIES], SIZES)


def test_an_honest_log_is_right(log, export):
    root = export.notes[-1].splitlines()[2]
    assert log(export) == f"right: 37 entries under 6 checkpoints, root {root}\n"


def test_other_signatures_do_not_disturb(log, export):
    text = export.notes[-1].split("\n\n")[0] + "\n"
    export.notes[-1] += WITNESS.line(text)
    assert log(export).startswith("right")


@pytest.mark.parametrize("position", [1, 5, 21, 37])
def test_an_altered_byte_shows_at_the_next_checkpoint(log, export, position):
    export.entries[position - 1] += b" "
    size = next(size for size in SIZES if size >= position)
    assert log(export).startswith(f"WRONG: the first {size} lines")


def test_lines_taken_out_or_put_in(log, export):
    export.entries.append(export.entries[-1])
    assert log(export) == "WRONG: line 38 is wrong: the last checkpoint covers 37\n"
    del export.entries[-2:]
    assert log(export) == "WRONG: line 37 is wrong: the last checkpoint covers 37\n"


def test_an_altered_root(log, export):
    export.notes[2] = reference.checkpoint(ORIGIN, 7, reference.root([b"other"]), KEY)
    assert log(export).startswith("WRONG: the first 7 lines")


def test_a_forged_signature(log, export):
    text = export.notes[-1].split("\n\n")[0] + "\n"
    export.notes[-1] = f"{text}\n{KEY.line(text + 'more')}"
    assert log(export).startswith("WRONG: the last checkpoint: invalid signature")


def test_the_signature_of_another_key(log, export):
    assert log(export, STRANGER).startswith("WRONG: the last checkpoint: note has no verifiable")


# --- proofs as the API answers them --------------------------------------------------------------


def note_file(folder: Path, size: int) -> Path:
    path = folder / f"checkpoint-{size}"
    head = reference.root(ENTRIES[:size])
    path.write_text(reference.checkpoint(ORIGIN, size, head, KEY), encoding="utf-8")
    return path


def test_inclusion_proofs_are_right_and_altered_ones_are_not(says, tmp_path):
    proof = tmp_path / "proof.json"
    for index, size in ((0, 1), (0, 37), (20, 37), (36, 37), (7, 8), (4, 21)):
        answer = {
            "leaf": b64(reference.leaf(ENTRIES[index])),
            "index": index,
            "size": size,
            "hashes": [b64(one) for one in reference.inclusion(index, ENTRIES[:size])],
            "root": b64(reference.root(ENTRIES[:size])),
        }
        note = note_file(tmp_path, size)
        proof.write_text(json.dumps(answer))
        right = f"right: entry {index + 1} is in the signed tree of {size}\n"
        assert says("inclusion", proof, note, KEY.vkey) == right
        for wrong in (
            {"leaf": b64(bytes(32))},
            {"root": b64(bytes(32))},
            {"index": index + 1},
            {"size": size + 1},
            {"hashes": [*answer["hashes"][:-1], b64(bytes(32)), b64(bytes(32))]},
        ):
            proof.write_text(json.dumps(answer | wrong))
            assert says("inclusion", proof, note, KEY.vkey).startswith("WRONG")


def test_consistency_proofs_are_right_and_altered_ones_are_not(says, tmp_path):
    proof = tmp_path / "proof.json"
    for older, newer in ((1, 2), (7, 8), (7, 37), (8, 21), (21, 37), (37, 37)):
        hashes = [b64(one) for one in reference.consistency(older, ENTRIES[:newer])]
        answer = {"from": older, "to": newer, "hashes": hashes}
        notes = note_file(tmp_path, older), note_file(tmp_path, newer)
        proof.write_text(json.dumps(answer))
        right = f"right: the tree of {newer} begins with the tree of {older}\n"
        assert says("consistency", proof, *notes, KEY.vkey) == right
        for wrong in (
            {"hashes": [*hashes[:-1], b64(bytes(32)), b64(bytes(32))]},
            {"hashes": [*hashes, b64(bytes(32))]},
            {"from": older + 1},
        ):
            proof.write_text(json.dumps(answer | wrong))
            assert says("consistency", proof, *notes, KEY.vkey).startswith("WRONG")


def test_a_proof_that_no_signed_checkpoint_stands_behind(says, tmp_path):
    proof = tmp_path / "proof.json"
    proof.write_text(json.dumps({"from": 7, "to": 8, "hashes": []}))
    notes = note_file(tmp_path, 7), note_file(tmp_path, 8)
    assert "no verifiable" in says("consistency", proof, *notes, STRANGER.vkey)
