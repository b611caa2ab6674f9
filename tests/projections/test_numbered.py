"""Running rows: few stay in memory, and those let go of are read again."""

import pytest

from ledger.store import Store
from projections import numbered
from projections.replay import replay
from projections.views import Views
from tests.projections.history import field, number, verified, write


def test_members_by_the_thousand_do_not_stay_in_memory(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbered, "KEPT_MAX", 10)
    monkeypatch.setattr(numbered, "CHUNK", 7)
    monkeypatch.setattr("projections.views.PAGE", 20)
    members = [number(n) for n in range(60)]
    write(store, field(*members))
    for turn in range(3):
        write(store, [verified(100 * turn + n, member) for n, member in enumerate(members)])
        views.catch_up()
        assert len(views._memory.balances._kept) <= 20
    monkeypatch.setattr("projections.views.HELD_MAX", 15)
    assert replay(store, views).difference is None  # which has few in memory, too
