"""Proofs from the log's tree: that an entry is in it, and that it only ever grew (RFC 6962)."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ledger import databases, store
from ledger.merkle import (
    Nodes,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    root_at,
    root_by_inclusion,
)
from projections import seal
from projections.views import Views


class NotInTheTree(Exception):
    """The tree that was asked for has no such leaf, or is not so large yet."""

    def __init__(self, name: str, value: int) -> None:
        super().__init__(f"{name} {value}")
        self.name = name  # of what was asked: position, size, from, to
        self.value = value


class Broken(Exception):
    """The hashes at hand make no proof: the views are to be rebuilt, or the log was altered."""


class Grown(NamedTuple):
    """The tree as the views have it."""

    size: int
    nodes: Nodes


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That a leaf is in the tree of so many."""

    leaf: bytes
    index: int
    size: int
    hashes: list[bytes]
    root: bytes

    def told(self) -> dict[str, Any]:
        """As it is answered: hashes in base64."""
        return {
            "leaf": _text(self.leaf),
            "index": self.index,
            "size": self.size,
            "hashes": [_text(each) for each in self.hashes],
            "root": _text(self.root),
        }


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the tree of `old` leaves is how the one of `new` leaves begins."""

    old: int
    new: int
    hashes: list[bytes]

    def told(self) -> dict[str, Any]:
        """As it is answered: hashes in base64."""
        hashes = [_text(each) for each in self.hashes]
        return {"from": self.old, "to": self.new, "hashes": hashes}


@contextmanager
def grown(views: Views) -> Iterator[tuple[Connection, Grown]]:
    """The tree, with the journal that its leaves are read from."""
    with databases.reading(views.engine) as connection, views.store.reading() as journal:
        size = seal.read_tree(connection).size
        yield journal, Grown(size, seal.nodes(connection, seal.leaves_of(journal)))


def inclusion(tree: Grown, journal: Connection, position: int, size: int | None) -> Inclusion:
    """The proof for the entry at a position in the tree of `size` leaves, else in all of it."""
    wanted = tree.size if size is None else size
    if not 1 <= position <= tree.size:
        raise NotInTheTree("position", position)
    if not position <= wanted <= tree.size:
        raise NotInTheTree("size", wanted)
    (leaf,) = store.read_leaves(journal, position - 1, position)
    hashes = inclusion_proof(position - 1, wanted, tree.nodes)
    root = root_at(wanted, tree.nodes)
    if root_by_inclusion(leaf, position - 1, wanted, hashes) != root:
        raise Broken
    return Inclusion(leaf, position - 1, wanted, hashes, root)


def consistency(tree: Grown, old: int, new: int | None) -> Consistency:
    """The proof from one size to another, else to all of the tree."""
    wanted = tree.size if new is None else new
    if wanted > tree.size:
        raise NotInTheTree("to", wanted)
    if old > wanted:
        raise NotInTheTree("from", old)
    hashes = consistency_proof(old, wanted, tree.nodes)
    roots = root_at(old, tree.nodes), root_at(wanted, tree.nodes)
    if not is_consistent(old, wanted, *roots, hashes):
        raise Broken
    return Consistency(old, wanted, hashes)


def _text(hashed: bytes) -> str:
    return base64.b64encode(hashed).decode()
