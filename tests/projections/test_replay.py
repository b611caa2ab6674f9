"""Replay: views that are what the journal says agree with it, and others are found out."""

import pytest
from sqlalchemy import text

from ledger.databases import writing
from ledger.store import Store
from projections.replay import Difference, Rebuilt, replay
from projections.views import Views
from tests.projections.history import (
    LI,
    ZHANG,
    field,
    number,
    submitted,
    then_verified,
    verified,
    write,
)

FIELD = field(ZHANG, LI)
LAST = len(FIELD) + 4


@pytest.fixture
def read_views(store: Store, views: Views) -> Views:
    """The views after a few facts."""
    write(store, [*FIELD, verified(1), submitted(2), then_verified(2, minutes=60), verified(3, LI)])
    views.catch_up()
    return views


def tamper(views: Views, statement: str, **said: int | str) -> None:
    with writing(views.engine) as connection:
        connection.execute(text(statement), said)


def difference(store: Store, views: Views, until: int | None = None) -> Difference:
    found = replay(store, views, until).difference
    assert found is not None
    return found


def test_untouched_views_are_what_the_journal_says(store: Store, read_views: Views) -> None:
    found = replay(store, read_views)
    assert found.difference is None
    assert found.position == LAST
    assert found.live == found.replayed
    assert found.live["passbook"].rows == 3
    ours, theirs = found.digests
    assert ours == theirs
    assert len(ours) == 64


def test_an_altered_row_is_named(store: Store, read_views: Views) -> None:
    tamper(read_views, "UPDATE balances SET available = available + 1 WHERE id = 2")
    found = difference(store, read_views)
    assert (found.view, found.key) == ("balances", {"id": 2})
    assert found.live is not None
    assert found.replayed is not None
    assert found.live["member_id"] == LI
    assert (found.live["available"], found.replayed["available"]) == (91, 90)
    ours, theirs = replay(store, read_views).digests
    assert ours != theirs


@pytest.mark.parametrize("position", [LAST - 3, LAST])
def test_a_row_that_is_gone_is_named(store: Store, read_views: Views, position: int) -> None:
    tamper(read_views, "DELETE FROM passbook WHERE position = :at", at=position)
    found = difference(store, read_views)
    assert found.view == "passbook"
    assert found.key["position"] == position
    assert found.live is None
    assert found.replayed is not None


def test_a_row_too_many_is_named(store: Store, read_views: Views) -> None:
    too_many = "INSERT INTO member_organisations VALUES (:at, 'org-x', :member)"
    tamper(read_views, too_many, at=LAST, member=number(9))
    found = difference(store, read_views)
    assert (found.view, found.key) == ("member_organisations", {"position": LAST})
    assert found.live is not None
    assert found.replayed is None


def test_up_to_an_earlier_position_every_line_is_compared(store: Store, read_views: Views) -> None:
    early = replay(store, read_views, LAST - 2)
    assert early.difference is None
    assert early.position == LAST - 2
    assert early.live["trail"].rows == LAST - 2
    tamper(read_views, "UPDATE trail SET actor = 'nobody' WHERE position = :at", at=LAST - 1)
    assert replay(store, read_views, LAST - 2).difference is None
    assert difference(store, read_views, LAST - 1).key == {"position": LAST - 1}


def test_views_that_are_behind_are_compared_where_they_stand(
    store: Store, read_views: Views
) -> None:
    write(store, [verified(4)])
    found = replay(store, read_views, LAST + 100)
    assert (found.position, found.difference) == (LAST, None)


def test_views_that_were_rebuilt_meanwhile_are_not_judged(store: Store, read_views: Views) -> None:
    rebuilt = False

    def rebuild_once(position: int, last: int) -> None:
        nonlocal rebuilt
        if not rebuilt:
            rebuilt = True
            read_views.rebuild()

    with pytest.raises(Rebuilt):
        replay(store, read_views, progress=rebuild_once)
