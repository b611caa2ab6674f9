"""The ledger's tree is the reference tree, which Go and the npm package agree with."""

import hashlib

import pytest

from ledger.merkle import Tree, consistency_proof, inclusion_proof, root_at
from tests.ledger.test_merkle import nodes_over
from tests.proof import reference

ENTRIES = [b"entry %d" % number for number in range(140)]
LEAVES = [hashlib.sha256(b"\0" + entry).digest() for entry in ENTRIES]


@pytest.mark.parametrize("size", [*range(1, 40), 63, 64, 65, 127, 128, 129, 140])
def test_roots_and_proofs_are_the_same(size: int) -> None:
    entries, nodes = ENTRIES[:size], nodes_over(LEAVES[:size])
    tree = Tree()
    tree.extend(LEAVES[:size])
    assert tree.root() == root_at(size, nodes) == reference.root(entries)
    for index in range(size):
        assert inclusion_proof(index, size, nodes) == reference.inclusion(index, entries)
    for old in range(1, size + 1):
        assert consistency_proof(old, size, nodes) == reference.consistency(old, entries)
