"""The log's tree agrees with pymerkle, and its proofs prove what they say and nothing else."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.merkle import (
    EMPTY_ROOT,
    Nodes,
    Tree,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    node_hash,
    root_at,
    root_by_inclusion,
)

SIZES = 3_000
LEAVES = [hashlib.sha256(b"\0%d" % number).digest() for number in range(SIZES)]


def nodes_over(leaves: list[bytes]) -> Nodes:
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(*pair) for pair in zip(below[::2], below[1::2], strict=False)])
    return lambda level, place: levels[level][place]


NODES = nodes_over(LEAVES)


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for number in range(SIZES):
        tree.append_entry(b"%d" % number)
    return tree


def test_the_root_of_every_size_is_what_pymerkle_says(oracle):
    tree = Tree()
    assert tree.root() == EMPTY_ROOT == root_at(0, NODES)
    for size in range(1, SIZES + 1):
        tree.extend(LEAVES[size - 1 : size])
        assert tree.root() == root_at(size, NODES) == oracle.get_root(size)


def test_proofs_of_random_leaves_and_sizes_are_what_pymerkle_makes(oracle):
    chosen = random.Random(7)  # noqa: S311  (a draw, no secret)
    for _ in range(3_000):
        size = chosen.randint(1, SIZES)
        index = chosen.randrange(size)
        path = inclusion_proof(index, size, NODES)
        assert path == oracle.prove_inclusion(index + 1, size).path[1:]
        assert root_by_inclusion(LEAVES[index], index, size, path) == oracle.get_root(size)
        old = chosen.randint(1, size)
        proof = consistency_proof(old, size, NODES)
        assert is_consistent(old, size, oracle.get_root(old), oracle.get_root(size), proof)


@given(st.lists(st.integers(0, 250), max_size=12), st.data())
def test_a_tree_is_the_same_in_whatever_portions_it_grew(portions, data):
    tree, size = Tree(), 0
    for portion in portions:
        grown = tree.extend(LEAVES[size : size + portion])
        for level, found in enumerate(grown):
            first = size >> level
            assert list(found) == [NODES(level, first + place) for place in range(len(found))]
        size += portion
        if data.draw(st.booleans()):
            tree = Tree(tree.size, tree.edge)  # as it is read again
    assert (tree.size, tree.root()) == (size, root_at(size, NODES))


@given(st.data())
def test_a_path_leads_from_no_other_leaf_place_or_size_to_the_root(data):
    size = data.draw(st.integers(2, 200))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, NODES)
    root = root_at(size, NODES)
    assert root_by_inclusion(LEAVES[index], index, size, path) == root
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index))
    assert root_by_inclusion(LEAVES[other], index, size, path) != root
    assert root_by_inclusion(LEAVES[index], other, size, path) != root
    assert root_by_inclusion(LEAVES[index], index, size, path[:-1]) != root
    assert root_by_inclusion(LEAVES[index], index, size, [*path, root]) != root
    turned = data.draw(st.integers(0, len(path) - 1))
    bent = [bytes(32) if at == turned else node for at, node in enumerate(path)]
    assert root_by_inclusion(LEAVES[index], index, size, bent) != root


@given(st.data())
def test_no_other_history_is_consistent(data):
    new = data.draw(st.integers(2, 200))
    old = data.draw(st.integers(1, new - 1))
    proof = consistency_proof(old, new, NODES)
    roots = root_at(old, NODES), root_at(new, NODES)
    assert is_consistent(old, new, *roots, proof)
    assert not is_consistent(old, new, bytes(32), roots[1], proof)
    assert not is_consistent(old, new, roots[0], bytes(32), proof)
    assert not is_consistent(old, new, *roots, [*proof, roots[0]])
    assert not is_consistent(old, new, *roots, proof[:-1])
    at = data.draw(st.integers(0, len(proof) - 1))
    bent = [bytes(32) if place == at else node for place, node in enumerate(proof)]
    assert not is_consistent(old, new, *roots, bent)


def test_a_tree_is_consistent_with_itself_and_with_the_empty_one():
    root = root_at(9, NODES)
    assert is_consistent(9, 9, root, root, [])
    assert is_consistent(0, 9, EMPTY_ROOT, root, consistency_proof(0, 9, NODES))
    assert not is_consistent(9, 9, root, root, [root])
    assert not is_consistent(0, 9, root, root, [])
    assert not is_consistent(9, 8, root, root, [])
    assert not is_consistent(3, 9, root_at(3, NODES), root, [])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index, size):
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, NODES)
    assert root_by_inclusion(LEAVES[0], index, size, []) is None


def test_there_is_no_proof_from_a_larger_tree_to_a_smaller():
    with pytest.raises(ValueError, match="does not begin"):
        consistency_proof(5, 4, NODES)
