"""Service records: as they stand after each fact, found by every filter, walked page by page."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from ledger.databases import reading
from ledger.store import Store
from projections import service_records
from projections import views as loop
from projections.views import Views
from tests.projections.history import (
    LI,
    ZHANG,
    facts_of,
    field,
    number,
    submitted,
    then_rejected,
    then_reversed,
    then_verified,
    verified,
    write,
)

FIELD = field(ZHANG, LI)
DAY = timedelta(days=1)
SUPERVISOR = number(50)


@pytest.fixture
def connection(store: Store, views: Views) -> Iterator[Connection]:
    """The views after records of every kind, read in two pages."""
    write(
        store,
        [
            *FIELD,
            verified(1, late=True, professional=True, supervisor_id=SUPERVISOR, capped=5),
            submitted(2, LI, policy_version=2),
            submitted(3, break_minutes=15),
            verified(4, LI, served_on="2026-02-20", place="east", category="youth"),
            then_rejected(3),
        ],
    )
    views.catch_up()
    write(
        store,
        [
            then_verified(2, LI, minutes=30, policy_version=4),
            submitted(5, organisation="org-b", place="west"),
        ],
    )
    views.catch_up()
    with reading(views.engine) as connection:
        yield connection


def found(connection: Connection, **filters: Any) -> list[str]:
    return [row["receipt"] for row in service_records.listing(connection, **filters).items]


def test_a_verified_record_says_what_was_posted_and_what_it_came_to(
    connection: Connection, store: Store
) -> None:
    assert service_records.service_record(connection, number(1_001)) == {
        "id": number(1_001),
        "position": len(FIELD) + 1,
        "recorded_at": facts_of(store)[len(FIELD)].event.recorded_at,
        "organisation": "org-a",
        "receipt": "R-1",
        "member_id": ZHANG,
        "status": "verified",
        "activity": "陪伴就医",
        "category": "elderly",
        "place": "lake",
        "responsible": "staff-7",
        "started_at": "2026-02-28T01:00:00Z",
        "ended_at": "2026-02-28T02:30:00Z",
        "served_on": "2026-02-28",
        "break_minutes": 0,
        "capacity": "volunteer",
        "evidence": "attested",
        "professional": True,
        "supervisor_id": SUPERVISOR,
        "certification_id": None,
        "order_id": None,
        "project_id": None,
        "programme_id": None,
        "redemption_id": None,
        "late": True,
        "policy_version": 1,
        "replaces": None,
        "replaced_by": None,
        "minutes": 90,
        "overlap_minutes": 0,
        "credits": 90,
        "duty_minutes": 0,
        "capped": 5,
        "overflowed": 0,
        "paid_from_hold": 0,
        "points": 0,
        "certified": False,
    }


def test_the_figures_of_a_record_that_waits_or_was_rejected_are_none(
    connection: Connection,
) -> None:
    for receipt, status in ((3, "rejected"), (5, "submitted")):
        record = service_records.service_record(connection, number(1_000 + receipt))
        assert record is not None
        assert record["status"] == status
        assert {record[name] for name in service_records.FIGURES} == {None}


def test_a_record_that_waited_has_the_figures_of_its_verification(connection: Connection) -> None:
    record = service_records.service_record(connection, number(1_002))
    assert record is not None
    assert record["status"] == "verified"
    assert record["position"] == len(FIELD) + 6
    assert (record["minutes"], record["credits"], record["policy_version"]) == (30, 30, 4)


def test_a_record_rejected_on_the_page_of_its_posting_keeps_what_was_posted(
    connection: Connection,
) -> None:
    record = service_records.service_record(connection, number(1_003))
    assert record is not None
    assert (record["position"], record["break_minutes"]) == (len(FIELD) + 5, 15)


def test_what_nobody_posted_is_not_found(connection: Connection) -> None:
    assert service_records.service_record(connection, number(77)) is None
    assert found(connection, member_id=number(77)) == []
    assert found(connection, unit="nowhere") == []


@pytest.mark.parametrize(
    ("filters", "receipts"),
    [
        ({}, "R-1 R-2 R-3 R-4 R-5"),
        ({"member_id": LI}, "R-2 R-4"),
        ({"organisation": "org-b"}, "R-5"),
        ({"status": "verified"}, "R-1 R-2 R-4"),
        ({"status": "submitted"}, "R-5"),
        ({"status": "submitted", "organisation": "org-a"}, ""),
        ({"status": "rejected", "organisation": "org-a"}, "R-3"),
        ({"status": "rejected", "member_id": ZHANG}, "R-3"),
        ({"served_from": date(2026, 2, 21)}, "R-1 R-2 R-3 R-5"),
        ({"served_to": date(2026, 2, 21)}, "R-4"),
        ({"served_from": date(2026, 2, 20), "served_to": date(2026, 2, 20)}, "R-4"),
        ({"unit": "west"}, "R-1 R-2 R-3 R-5"),
        ({"unit": "lake"}, "R-1 R-2 R-3"),
        ({"unit": "east", "category": "youth"}, "R-4"),
        ({"category": "elderly", "member_id": LI, "unit": "west"}, "R-2"),
        ({"organisation": "org-a", "member_id": ZHANG, "served_from": date(2026, 2, 1)}, "R-1 R-3"),
    ],
)
def test_every_filter_finds_its_own(
    connection: Connection, filters: dict[str, Any], receipts: str
) -> None:
    assert found(connection, **filters) == receipts.split()


def test_what_is_recorded_on_the_day_of_service_is_found_by_that_day(
    store: Store, views: Views
) -> None:
    days = [f"2026-03-0{day}" for day in (1, 1, 2, 3)]
    write(store, [*FIELD, *(verified(n, served_on=day) for n, day in enumerate(days))], DAY / 4)
    views.catch_up()
    with reading(views.engine) as connection:
        assert found(connection, served_from=date(2026, 3, 1)) == ["R-0", "R-1", "R-2", "R-3"]
        assert found(connection, served_from=date(2026, 3, 2)) == ["R-2", "R-3"]
        assert found(connection, served_from=date(2026, 3, 4)) == []


def test_a_walk_meets_every_record_once_although_they_change_meanwhile(
    store: Store, views: Views
) -> None:
    write(store, [*FIELD, *(submitted(n) for n in range(7))])
    views.catch_up()
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        with reading(views.engine) as connection:
            page = service_records.listing(connection, after, 2)
        seen += [row["receipt"] for row in page.items]
        after = page.next
        if len(seen) == 4:
            write(store, [then_verified(1), then_rejected(5), submitted(7)])
            views.catch_up()
    assert seen == [f"R-{n}" for n in range(8)]


# --- reversals and corrections -------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 500])
def test_a_reversed_and_a_corrected_record_keep_what_they_came_to(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    write(
        store,
        [
            *field(ZHANG),
            verified(1, minutes=60),
            submitted(2, evidence="self_reported"),
            then_verified(2, minutes=90, evidence="attested"),
            then_reversed(2, minutes=90),
            then_reversed(1, minutes=60, replaced_by=number(1_003)),
            verified(3, minutes=30, replaces=number(1_001), receipt="R-1"),
        ],
    )
    views.catch_up()
    with reading(views.engine) as connection:
        found = service_records.listing(connection).items
        assert [(one["status"], one["minutes"], one["replaced_by"]) for one in found] == [
            ("corrected", 60, number(1_003)),
            ("reversed", 90, None),
            ("verified", 30, None),
        ]
        assert [one["replaces"] for one in found] == [None, None, number(1_001)]
        assert [one["evidence"] for one in found] == ["attested", "attested", "attested"]
        assert [one["position"] for one in found] == [11, 10, 12]
        for status, records in (("reversed", 1), ("corrected", 1), ("verified", 1)):
            assert len(service_records.listing(connection, status=status).items) == records
