"""An implementation of RFC 9162 by others agrees with the tests' own tree (npm, under node)."""

import json
import random
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.proof import reference
from tests.proof.reference import b64
from tests.proof.tools import needs_node

INDEPENDENT = Path(__file__).resolve().parent / "independent"
ENTRIES = [f"entry {n}".encode() for n in range(700)]
SMALL = range(1, 71)
LARGE = sorted(random.Random(6962).sample(range(71, 700), 5))  # noqa: S311  (no secret)

Case = dict[str, Any]


@pytest.fixture(scope="module")
def answers() -> Callable[[list[Case]], list[Any]]:
    """What the package makes of cases."""
    needs_node(INDEPENDENT)

    def asked(cases: list[Case]) -> list[Any]:
        command = ["node", str(INDEPENDENT / "check.cjs")]
        done = subprocess.run(command, input=json.dumps(cases), stdout=-1, text=True, check=True)
        return json.loads(done.stdout)

    return asked


def test_roots_and_leaves_are_the_same(answers):
    sizes = [0, *SMALL, *LARGE]
    roots = [{"ask": "root", "entries": [b64(one) for one in ENTRIES[:size]]} for size in sizes]
    assert answers(roots) == [b64(reference.root(ENTRIES[:size])) for size in sizes]
    leaves = [{"ask": "leaf", "entry": b64(one)} for one in ENTRIES[:9]]
    assert answers(leaves) == [b64(reference.leaf(one)) for one in ENTRIES[:9]]


def test_every_inclusion_proof_holds(answers):
    cases = [inclusion(index, size) for size in SMALL for index in range(size)]
    cases += [inclusion(index, size) for size in LARGE for index in (0, size // 2, size - 1)]
    assert answers(cases) == [True] * len(cases)


def test_no_altered_inclusion_proof_holds(answers):
    cases = []
    for size in SMALL:
        index = size * 5 // 7
        case = inclusion(index, size)
        cases += [case | {"leaf": b64(bytes(32))}, case | {"root": b64(bytes(32))}]
        cases += [case | {"hashes": hashes} for hashes in altered(case["hashes"])]
    assert answers(cases) == [False] * len(cases)


def test_every_consistency_proof_holds(answers):
    cases = [consistency(older, newer) for newer in SMALL for older in range(1, newer)]
    cases += [consistency(older, newer) for older, newer in pairwise(LARGE)]
    assert answers(cases) == [True] * len(cases)


def test_no_altered_consistency_proof_holds(answers):
    cases = []
    for newer in SMALL[1:]:
        case = consistency(newer - (newer + 1) // 3, newer)
        cases += [case | {"older": b64(bytes(32))}, case | {"newer": b64(bytes(32))}]
        cases += [case | {"hashes": hashes} for hashes in altered(case["hashes"])]
    assert answers(cases) == [False] * len(cases)


def inclusion(index: int, size: int) -> Case:
    tree = ENTRIES[:size]
    return {
        "ask": "inclusion",
        "root": b64(reference.root(tree)),
        "leaf": b64(reference.leaf(tree[index])),
        "index": index,
        "size": size,
        "hashes": [b64(one) for one in reference.inclusion(index, tree)],
    }


def consistency(older: int, newer: int) -> Case:
    """The package's case. A tree with itself, and the empty tree, it does not know.

    Where the older size is a power of two it expects the older head in front of the proof: RFC 9162
    has the verifier put it there (section 2.1.4.2, step 2), and the package leaves that out.
    """
    proof = reference.consistency(older, ENTRIES[:newer])
    head = reference.root(ENTRIES[:older])
    if older & (older - 1) == 0:
        proof = [head, *proof]
    return {
        "ask": "consistency",
        "older": b64(head),
        "newer": b64(reference.root(ENTRIES[:newer])),
        "from": older,
        "to": newer,
        "hashes": [b64(one) for one in proof],
    }


def altered(hashes: list[str]) -> list[list[str]]:
    """The proof with each hash altered, with one more, and with one less where there is one."""
    nought = b64(bytes(32))
    changed = [[*hashes[:place], nought, *hashes[place + 1 :]] for place in range(len(hashes))]
    return [*changed, [*hashes, nought], *([hashes[:-1]] if hashes else [])]
