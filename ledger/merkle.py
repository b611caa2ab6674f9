"""The log's Merkle tree over leaf hashes: roots, proofs, and what tiles are made of (RFC 6962).

A node is named by its level (0: leaves) and its place in it from the left; complete nodes, those
over 2**level leaves, never change. Proofs are made of complete nodes alone, wherever they lie.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()  # section 2.1
TILE_LEVELS = 8  # a tile is a subtree of so many levels (C2SP tlog-tiles)
TILE_WIDTH = 1 << TILE_LEVELS

Nodes = Callable[[int, int], bytes]
"""The complete node at a level and place."""

_sha256 = hashlib.sha256


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children (section 2.1)."""
    return _sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows at its right edge; it holds one hash for each complete subtree of it."""

    __slots__ = ("_edge", "size")

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """A tree of `size` leaves, where it is known already, with the `edge` it had."""
        self.size = size
        self._edge: list[bytes | None] = []  # by level: a subtree that waits for its sibling
        left = iter(edge)
        for level in range(size.bit_length()):
            self._edge.append(next(left) if size >> level & 1 else None)

    @property
    def edge(self) -> list[bytes]:
        """The complete subtrees that the tree consists of, the smallest (rightmost) first."""
        return [node for node in self._edge if node is not None]

    def extend(self, leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
        """Add leaf hashes; the complete nodes that are new, at each level from the leaves up."""
        self.size += len(leaves)
        edge, new, grown = self._edge, leaves, []
        level = 0
        while new:
            grown.append(new)
            if level == len(edge):
                edge.append(None)
            before = edge[level]
            if before is not None:
                new = [before, *new]
            edge[level] = new[-1] if len(new) & 1 else None
            new = [
                _sha256(b"\1" + left + right).digest()
                for left, right in zip(new[::2], new[1::2], strict=False)  # the odd one waits
            ]
            level += 1
        return grown

    def root(self) -> bytes:
        """The root as the tree stands."""
        root: bytes | None = None
        for node in self._edge:
            if node is not None:
                root = node if root is None else node_hash(node, root)
        return EMPTY_ROOT if root is None else root


def root_at(size: int, nodes: Nodes) -> bytes:
    """The root of the first `size` leaves."""
    return _hash_of(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The audit path of a leaf in the tree of `size` leaves (section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left_of(end - begin)
        if index < middle:
            path.append(_hash_of(middle, end, nodes))
            end = middle
        else:
            path.append(_hash_of(begin, middle, nodes))
            begin = middle
    return path[::-1]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """That the tree of `new` leaves begins with the one of `old` (section 2.1.2)."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} does not begin with one of {old}")
    if not old:
        return []
    path: list[bytes] = []
    begin, end = 0, new
    while end != old:
        middle = begin + _left_of(end - begin)
        if old <= middle:
            path.append(_hash_of(middle, end, nodes))
            end = middle
        else:
            path.append(_hash_of(begin, middle, nodes))
            begin = middle
    if begin:
        path.append(_hash_of(begin, end, nodes))
    return path[::-1]


def root_by_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path leads to; None where it leads nowhere (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, root = index, size - 1, leaf
    for node in path:
        if not last:
            return None
        if place & 1 or place == last:
            root = node_hash(node, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, node)
        place, last = place >> 1, last >> 1
    return root if not last else None


def is_consistent(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Does the proof show that the new tree begins with the old one (RFC 9162, 2.1.4.2)?"""
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        return not path and (old_root == (new_root if old else EMPTY_ROOT))
    if old & (old - 1) == 0:
        path = [old_root, *path]
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for node in path[1:]:
        if not last:
            return False
        if place & 1 or place == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, node)
        place, last = place >> 1, last >> 1
    return not last and first == old_root and second == new_root


def _left_of(size: int) -> int:
    """How many of `size` leaves stand left of the root: a power of two, and fewer than all."""
    return 1 << (size - 1).bit_length() - 1


def _hash_of(begin: int, end: int, nodes: Nodes) -> bytes:
    """The hash over leaves that begin where a subtree of their number may begin."""
    size = end - begin
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, begin >> level)
    middle = begin + _left_of(size)
    return node_hash(_hash_of(begin, middle, nodes), _hash_of(middle, end, nodes))
