"""The log's tree in the views: tiles as the format has them, whatever the pages were."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, select

from ledger.databases import reading
from ledger.merkle import Tree, inclusion_proof, root_at, root_by_inclusion
from ledger.store import Store, append
from projections import seal
from projections import views as module
from projections.proofs import NotInTheTree, consistency, grown, inclusion
from projections.schema import log_hashes
from projections.seal import Tile
from projections.views import Views

EXAMPLE = 70_000
"""The size of the example in C2SP tlog-tiles: 273 full tiles and one of 112; 1 and 17; 1."""


def fill(store: Store, count: int) -> list[bytes]:
    with store.writing() as connection:
        rows = [(f"other:{number}", 1, "Else", b"x") for number in range(count)]
        return append(connection, rows, 0)


@contextmanager
def both(views: Views) -> Iterator[tuple[Connection, seal.Leaves]]:
    with reading(views.engine) as connection, views.store.reading() as journal:
        yield connection, seal.leaves_of(journal)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Views, list[bytes]]]:
    from ledger.store import open_engine

    folder = tmp_path_factory.mktemp("tiles")
    store = Store(f"sqlite:///{folder / 'timebank.db'}")
    store.create()
    engine = open_engine(f"sqlite:///{folder / 'views.db'}", "views", durable=False)
    leaves = fill(store, EXAMPLE)
    views = Views(store, engine)
    views.prepare()
    yield views, leaves
    views.close()
    engine.dispose()
    store.close()


def subtree(leaves: list[bytes], first: int, count: int) -> bytes:
    tree = Tree()
    tree.extend(leaves[first : first + count])
    return tree.root()


@pytest.mark.parametrize(
    ("tile", "width"),
    [
        (Tile(0, 0), 256),
        (Tile(0, 272), 256),
        (Tile(0, 273, 112), 112),
        (Tile(0, 273), 112),
        (Tile(1, 0), 256),
        (Tile(1, 1, 17), 17),
        (Tile(1, 1, 5), 5),
        (Tile(2, 0, 1), 1),
        (Tile(2, 1), 0),
        (Tile(3, 0), 0),
    ],
)
def test_a_tile_holds_the_hashes_of_the_subtrees_below_it(example, tile, width):
    views, leaves = example
    with both(views) as (connection, read):
        hashes = seal.tile(connection, tile, read)
    span = 256**tile.level
    first = tile.place * 256
    expected = [subtree(leaves, place * span, span) for place in range(first, first + width)]
    assert hashes == expected


def test_roots_and_paths_of_any_size_come_from_tiles(example):
    views, leaves = example
    chosen = random.Random(3)  # noqa: S311  (a draw, no secret)
    with both(views) as (connection, read):
        nodes = seal.nodes(connection, read)
        for size in (1, 255, 256, 257, 65_536, 65_537, EXAMPLE, *chosen.sample(range(EXAMPLE), 9)):
            root = root_at(size, nodes)
            assert root == subtree(leaves, 0, size)
            index = chosen.randrange(size)
            path = inclusion_proof(index, size, nodes)
            assert root_by_inclusion(leaves[index], index, size, path) == root


@pytest.mark.parametrize("page", [1, 7, 300])
def test_pages_of_any_size_and_a_rebuild_keep_the_same_tree(store, views, page, monkeypatch):
    monkeypatch.setattr(module, "PAGE", page)
    views.prepare()
    leaves = fill(store, 700)
    for until in (3, 256, 300, 700):
        views.catch_up(until)
        with reading(views.engine) as connection:
            tree = seal.read_tree(connection)
            assert (tree.size, tree.root()) == (until, subtree(leaves, 0, until))
        views._memory.forget()  # another process went on meanwhile
    with both(views) as (connection, read):
        live = seal.tile(connection, Tile(1, 0), read)
    views.rebuild()
    with both(views) as (connection, read):
        assert seal.tile(connection, Tile(1, 0), read) == live
        assert live == [subtree(leaves, first, 256) for first in (0, 256)]
        ends = connection.execute(select(log_hashes.c.position).order_by(log_hashes.c.position))
        assert ends.scalars().all() == [256, 512]  # a replay up to 300 compares the first alone


def test_proofs_are_of_the_whole_tree_unless_a_size_is_named(store, views):
    fill(store, 9)
    views.catch_up()
    with grown(views) as (journal, tree):
        assert inclusion(tree, journal, 4, None) == inclusion(tree, journal, 4, 9)
        assert consistency(tree, 4, None) == consistency(tree, 4, 9)
        assert consistency(tree, 0, 9).hashes == consistency(tree, 9, 9).hashes == []
        assert inclusion(tree, journal, 4, 4).told()["index"] == 3


@pytest.mark.parametrize(
    ("position", "size", "name"), [(0, None, "position"), (10, None, "position"), (4, 3, "size")]
)
def test_there_is_no_proof_of_what_is_not_there(store, views, position, size, name):
    fill(store, 9)
    views.catch_up()
    with grown(views) as (journal, tree), pytest.raises(NotInTheTree, match=name):
        inclusion(tree, journal, position, size)


def test_an_empty_log_has_the_root_of_nothing(store, views):
    views.catch_up()
    with reading(views.engine) as connection:
        assert seal.read_tree(connection).root() == hashlib.sha256().digest()
