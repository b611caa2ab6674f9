"""The books: any account at any position, and a trial balance that is the sum of all lines."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from ledger.databases import reading
from ledger.events import Line, PolicyPublished
from ledger.policy import Policies
from ledger.store import Store
from projections import journal_lines
from projections.page import local_date
from projections.views import Views
from tests.projections.history import LI, ZHANG, facts_of, field, verified, write

FIELD = field(ZHANG, LI)
POOL = "org:org-a:pool"
MOVES: tuple[tuple[Line, ...], ...] = (
    (("issue:service", -90), (f"person:{ZHANG}:available", 90)),
    ((f"person:{ZHANG}:available", -60), (f"person:{ZHANG}:held", 60)),
    ((f"person:{ZHANG}:held", -60), (f"person:{LI}:available", 50), (POOL, 10)),
    ((POOL, -4), (POOL, -6), (f"person:{LI}:frozen", 30), (f"person:{LI}:receivable", -20)),
    (),
    (("issue:service", -5), ("issue:grant:spring", -5), (POOL, 10)),
)


@pytest.fixture
def read_views(store: Store, views: Views) -> Views:
    """The views after credits went here and there."""
    write(store, [*FIELD, *(verified(n, entries=lines) for n, lines in enumerate(MOVES))])
    views.catch_up()
    return views


def folded(store: Store, position: int) -> dict[str, int]:
    """Every account that has had a line by then, by brute force."""
    accounts: Counter[str] = Counter()
    for entry in facts_of(store):
        if entry.position <= position:
            for account, credits in getattr(entry.event, "entries", ()):
                accounts[account] += credits
    return dict(accounts)


def test_the_trial_balance_of_every_position_is_the_sum_of_its_lines(
    store: Store, read_views: Views
) -> None:
    last = read_views.position
    with reading(read_views.engine) as connection:
        for position in range(last + 1):
            found = journal_lines.trial_balance(connection, position)
            assert found["position"] == position
            assert found["sum"] == 0
            names = [account["account"] for account in found["accounts"]]
            assert names == sorted(names)
            assert {one["account"]: one["credits"] for one in found["accounts"]} == folded(
                store, position
            )


def test_the_trial_balance_of_now_is_that_of_the_last_position(read_views: Views) -> None:
    last = read_views.position
    with reading(read_views.engine) as connection:
        now = journal_lines.trial_balance(connection)
        assert now == journal_lines.trial_balance(connection, last)
        assert now == journal_lines.trial_balance(connection, last + 100)
        assert now["position"] == last


def test_any_account_can_be_asked_at_any_position(store: Store, read_views: Views) -> None:
    with reading(read_views.engine) as connection:
        for position in range(read_views.position + 1):
            expected = folded(store, position)
            for account in [*folded(store, read_views.position), "pool:donation", "person:x:held"]:
                found = journal_lines.balance(connection, account, position)
                assert found == expected.get(account, 0)
        now = folded(store, read_views.position)
        assert {name: journal_lines.balance(connection, name) for name in now} == now


def test_what_is_no_service_is_dated_by_the_zone_then_in_force() -> None:
    policies = Policies()
    policies.apply(
        PolicyPublished(
            version=2, effective_on="2026-03-05", changes={"zone": "America/Lima"}, note=None
        ),
        1,
    )
    for day, hour, expected in ((4, 17, 5), (5, 17, 5), (6, 3, 5)):
        at = datetime(2026, 3, day, hour, tzinfo=UTC)
        event = verified(1, recorded_at=at.isoformat())
        assert local_date(event, policies) == date(2026, 3, expected).isoformat()
