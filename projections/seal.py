"""The log's tree over all leaves: its edge as it stands, the hashes of tiles, and proofs from them.

The tile of level L and place N holds the hashes of 256 subtrees of 256**L leaves (C2SP tlog-tiles).
Those of level 0 are the leaves, which the journal keeps; all above them are kept here, one for each
complete tile below.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from ledger import store
from ledger.merkle import HASH_BYTES, TILE_LEVELS, TILE_WIDTH, Nodes, Tree, node_hash
from projections.page import Page
from projections.schema import log_hashes, log_tree

Leaves = Callable[[int, int], list[bytes]]
"""The leaf hashes from an index on, so many."""


class Tile(NamedTuple):
    """Which hashes: those from `place * 256` on of the subtrees of 256**level leaves."""

    level: int
    place: int
    width: int = TILE_WIDTH


def project(page: Page) -> None:
    """Let the tree grow by the page's leaves."""
    tree = page.tree
    rows = page.new(log_hashes)
    before = tree.size
    for height, nodes in enumerate(tree.extend(page.leaves)):
        if height and height % TILE_LEVELS == 0:
            first = before >> height
            rows += [
                (height // TILE_LEVELS, place, (place + 1) << height, node.hex())
                for place, node in enumerate(nodes, first)
            ]


def read_tree(connection: Connection) -> Tree:
    """The tree as it stands at the bookmark."""
    row = connection.execute(select(log_tree.c.size, log_tree.c.edge)).first()
    if row is None:
        return Tree()
    edge = bytes.fromhex(row.edge)
    return Tree(row.size, [edge[at : at + HASH_BYTES] for at in range(0, len(edge), HASH_BYTES)])


def write_tree(connection: Connection, tree: Tree) -> None:
    """Keep the tree as it stands."""
    values = {"size": tree.size, "edge": b"".join(tree.edge).hex()}
    if not connection.execute(update(log_tree).values(values)).rowcount:
        connection.execute(log_tree.insert().values(id=1, **values))


def tile(connection: Connection, wanted: Tile, leaves: Leaves) -> list[bytes]:
    """The hashes of a tile, as many as there are of its width."""
    first = wanted.place * TILE_WIDTH
    if not wanted.level:
        return leaves(first, wanted.width)
    query = (
        select(log_hashes.c.hash)
        .where(
            log_hashes.c.level == wanted.level,
            log_hashes.c.place.between(first, first + wanted.width - 1),
        )
        .order_by(log_hashes.c.place)
    )
    return [bytes.fromhex(said) for said in connection.execute(query).scalars()]


def nodes(connection: Connection, leaves: Leaves) -> Nodes:
    """The complete nodes of the tree, computed from tiles; each tile is read once."""

    @lru_cache(maxsize=64)
    def hashes(level: int, place: int) -> list[bytes]:
        return tile(connection, Tile(level, place), leaves)

    def node(level: int, place: int) -> bytes:
        tile_level, height = divmod(level, TILE_LEVELS)
        first = place << height
        within = hashes(tile_level, first // TILE_WIDTH)
        start = first % TILE_WIDTH
        found = within[start : start + (1 << height)]
        if len(found) != 1 << height:
            raise LookupError(f"the tree has no node {place} of level {level} yet")
        while len(found) > 1:
            found = [node_hash(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
        return found[0]

    return node


def leaves_of(journal: Connection) -> Leaves:
    """The leaf hashes as the journal keeps them."""
    return lambda first, count: store.read_leaves(journal, first, first + count)
