"""The books: every account with its lines, and what the bank owes."""

from datetime import date

import pytest

from ledger.databases import reading
from ledger.store import Store
from projections import journal_lines, solvency
from projections.views import Views
from tests.projections.history import LI, ZHANG, field, then_reversed, verified, write

AVAILABLE, OWED = (f"person:{ZHANG}:{name}" for name in ("available", "receivable"))
HISTORY = [
    *field(ZHANG, LI),  # to position 7
    verified(1, minutes=100, served_on="2026-02-10"),
    verified(
        2,
        LI,
        credits=60,
        overflowed=40,
        served_on="2026-01-11",
        entries=(
            ("issue:service", -100),
            (f"person:{LI}:available", 60),
            ("pool:donation", 40),
        ),
    ),
    then_reversed(
        1,
        credits=100,
        served_on="2026-02-10",
        reverses=8,
        entries=(("issue:service", 100), (AVAILABLE, -100)),
    ),
    verified(3, minutes=30, served_on="2026-02-20"),
    then_reversed(
        4, credits=10, minutes=10, entries=(("issue:service", 10), (OWED, -10)), reverses=8
    ),
]


def filled(store: Store, views: Views) -> None:
    write(store, HISTORY)
    views.catch_up()


def test_an_account_s_lines_tell_what_it_held_after_each(store: Store, views: Views) -> None:
    filled(store, views)
    with reading(views.engine) as connection:
        for account, moves in (
            ("issue:service", [(-100, -100), (-100, -200), (100, -100), (-30, -130), (10, -120)]),
            ("pool:donation", [(40, 40)]),
            (AVAILABLE, [(100, 100), (-100, 0), (30, 30)]),
            (OWED, [(-10, -10)]),
        ):
            page = journal_lines.account_lines(connection, account)
            assert page is not None
            assert [(line["credits"], line["balance_after"]) for line in page.items] == moves
            assert page.items[-1]["balance_after"] == journal_lines.balance(connection, account)
        first = journal_lines.account_lines(connection, AVAILABLE, limit=2)
        assert first is not None
        rest = journal_lines.account_lines(connection, AVAILABLE, first.next or 0)
        assert rest is not None
        assert [line["type"] for line in [*first.items, *rest.items]] == [
            *("HoursVerified", "HoursReversed", "HoursVerified"),
        ]


@pytest.mark.parametrize("account", ["pool:org", f"person:{LI}:receivable", f"person:{OWED}:held"])
def test_an_account_without_a_line_is_none(store: Store, views: Views, account: str) -> None:
    filled(store, views)
    with reading(views.engine) as connection:
        assert journal_lines.account_lines(connection, account) is None


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_walk_over_all_accounts_finds_each_once(store: Store, views: Views, limit: int) -> None:
    filled(store, views)
    walked: list[tuple[str, int]] = []
    after: int | None = 0
    with reading(views.engine) as connection:
        while after is not None:
            page = journal_lines.accounts_listed(connection, after, limit)
            assert len(page.items) <= limit
            walked += [(item["account"], item["credits"]) for item in page.items]
            after = page.next
        assert sorted(walked) == sorted(journal_lines.account_balances(connection))


def test_what_the_bank_owes_is_told_with_its_age(store: Store, views: Views) -> None:
    filled(store, views)
    with reading(views.engine) as connection:
        found = solvency.solvency(connection, date(2026, 3, 12))
    assert (found["outstanding"], found["pools"], found["receivable"]) == (60 + 30 + 40, 40, 10)
    assert (found["earned"], found["redeemed"], found["redemption_ratio"]) == (120, 0, 0)
    assert found["lot_age_days"] == 4_667  # (60 * 60 + 30 * 20) / 90
    assert [(age["from_days"], age["credits"]) for age in found["ages"] if age["credits"]] == [
        (0, 30),
        (30, 60),
    ]


def test_a_bank_that_owes_nothing_has_no_age_and_no_ratio(store: Store, views: Views) -> None:
    views.catch_up()
    with reading(views.engine) as connection:
        found = solvency.solvency(connection, date(2026, 3, 12))
    assert (found["outstanding"], found["lot_age_days"], found["redemption_ratio"]) == (
        0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("numerator", "denominator", "said"),
    [
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (7, 3, 2),
        (8, 3, 3),
        (0, 5, 0),
        (5, 0, None),
        (456_800, 100, 4_568),
    ],
)
def test_a_ratio_is_rounded_half_to_even(
    numerator: int, denominator: int, said: int | None
) -> None:
    assert solvency.ratio(numerator, denominator) == said
