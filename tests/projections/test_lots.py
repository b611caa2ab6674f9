"""Lots in the views: what is left of each earning, however the journal is cut into pages."""

from datetime import date

import pytest
from sqlalchemy import select

from ledger.databases import reading
from ledger.events import CreditsExpired, Event, HoursReversed
from ledger.store import Store
from projections import kept_lots, lots, schema
from projections import views as loop
from projections.views import Views
from tests.projections.history import LI, ZHANG, field, then_reversed, verified, write


def rows(views: Views) -> list[tuple[object, ...]]:
    """Position, date, end, credits, left, expired."""
    table = schema.lots.c
    query = select(
        *(table.position, table.dated, table.expires_on, table.credits, table.left, table.expired)
    )
    with reading(views.engine) as connection:
        return [tuple(row) for row in connection.execute(query.order_by(table.position))]


def reversed_hours(record: int, reverses: int, credits: int, **taken: int) -> HoursReversed:
    """A reversal that takes so much of what is available or expired."""
    accounts = {"available": f"person:{ZHANG}:available", "expired": "sink:expired"}
    lines = [("issue:service", credits)]
    lines += [(accounts[name], -part) for name, part in taken.items()]
    return then_reversed(record, minutes=credits, entries=lines, reverses=reverses)


def expired(as_of: str, credits: int) -> CreditsExpired:
    lines = ((f"person:{ZHANG}:available", -credits), ("sink:expired", credits))
    return CreditsExpired(member_id=ZHANG, as_of=as_of, credits=credits, entries=lines)


HISTORY: list[Event] = [
    *field(ZHANG, LI),  # to position 7
    verified(1, minutes=60, served_on="2026-02-20", expires_on="2026-03-20"),  # 8
    verified(2, minutes=90, served_on="2026-02-28"),  # 9
    verified(3, minutes=30, served_on="2026-02-10", expires_on="2026-03-10"),  # 10
    verified(4, LI, minutes=50, served_on="2026-02-10", expires_on="2026-03-10"),  # 11
    expired("2026-03-10", 30),  # 12
    verified(5, minutes=40, served_on="2026-02-28"),  # 13
    reversed_hours(2, 9, 90, available=90),  # 14: its own lot
    reversed_hours(3, 10, 30, expired=30),  # 15: out of the sink
]
LEFT = [
    (8, "2026-02-20", "2026-03-20", 60, 60, 0),
    (9, "2026-02-28", None, 90, 0, 0),
    (10, "2026-02-10", "2026-03-10", 30, 0, 0),
    (11, "2026-02-10", "2026-03-10", 50, 50, 0),
    (13, "2026-02-28", None, 40, 40, 0),
]


@pytest.mark.parametrize("kept", [0, 50_000])
@pytest.mark.parametrize("page", [1, 3, 500])
def test_what_is_left_of_a_lot_does_not_hang_on_pages_nor_on_memory(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int, kept: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    monkeypatch.setattr(kept_lots, "KEPT_MAX", kept)
    views.prepare()  # what comes now is read on, not built
    write(store, HISTORY)
    views.catch_up()
    assert rows(views) == LEFT


def test_what_a_reversal_needs_beyond_its_own_lot_comes_from_the_oldest(
    store: Store, views: Views
) -> None:
    write(store, HISTORY)
    views.catch_up()
    write(store, [reversed_hours(5, 13, 70, available=70)])
    views.catch_up()
    assert [row[4] for row in rows(views)] == [30, 0, 0, 50, 0]


def test_whose_lots_are_due_is_found_by_date(store: Store, views: Views) -> None:
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        assert lots.due_members(connection, date(2026, 3, 9)) == []
        assert lots.due_members(connection, date(2026, 3, 10)) == [LI]
        assert lots.due_members(connection, date(2026, 3, 20)) == [ZHANG, LI]


def test_a_members_lots_add_up_to_what_is_available(store: Store, views: Views) -> None:
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        for member, available in connection.execute(
            select(schema.balances.c.id, schema.balances.c.available)
        ):
            held = select(schema.lots.c.left).where(schema.lots.c.member == member)
            assert sum(connection.execute(held).scalars()) == available
