"""Balances alone, straight from the journal: they agree with the views, and find what is wrong."""

from ledger.databases import reading
from ledger.events import EVENT_TYPES
from ledger.store import Store, append
from projections import journal_lines, passbook, sums
from projections.views import Views
from tests.projections.history import (
    LI,
    ZHANG,
    field,
    submitted,
    then_verified,
    verified,
    write,
)

FIELD = field(ZHANG, LI)


def test_the_sums_are_what_the_views_say(store: Store, views: Views) -> None:
    write(store, [*FIELD, verified(1), submitted(2, LI), then_verified(2, LI), verified(3, LI)])
    with store.writing() as connection:
        append(connection, [("elsewhere", 1, "Unheard", b"\x00")], len(FIELD) + 4)
    views.catch_up()
    with store.reading() as connection:
        found = sums.sums(connection)
    assert found.position == views.position
    assert found.total == 0
    assert found.unbalanced is None
    with reading(views.engine) as connection:
        assert found.accounts == dict(journal_lines.account_balances(connection))
        for member in (ZHANG, LI):
            balance = passbook.balance(connection, member)
            assert balance is not None
            assert found.minutes[member] == balance["service_minutes"]


def test_sums_end_where_they_are_told(store: Store) -> None:
    write(store, [*FIELD, verified(1), verified(2)])
    with store.reading() as connection:
        found = sums.sums(connection, len(FIELD) + 1)
    assert found.position == len(FIELD) + 1
    assert found.minutes == {ZHANG: 90}


def test_lines_that_do_not_sum_to_zero_are_named(store: Store) -> None:
    crooked = [(f"person:{ZHANG}:available", 90), ("issue:service", -91)]
    write(store, [*FIELD, verified(1), verified(2, entries=crooked), verified(3, entries=crooked)])
    with store.reading() as connection:
        found = sums.sums(connection)
    assert found.unbalanced == len(FIELD) + 2
    assert found.total == -2


def test_events_with_lines_are_known_by_their_fields() -> None:
    assert {
        name for name, event in EVENT_TYPES.items() if "entries" in event.__struct_fields__
    } == sums.MOVING
