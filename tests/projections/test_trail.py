"""The trail: every filter, alone and with others, and the position that an instant maps to."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from ledger.databases import reading
from ledger.store import Store, append
from projections import trail
from projections.views import Views
from tests.projections.history import (
    FIRST,
    LI,
    ZHANG,
    facts_of,
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
def connection(store: Store, views: Views) -> Iterator[Connection]:
    """The views after a few facts, one of them by another key, in another chain."""
    write(
        store,
        [
            *FIELD,
            verified(1),
            submitted(2, LI, actor="key00002", correlation_id="another"),
            verified(3, LI, organisation="org-b"),
            then_verified(2, LI),
        ],
    )
    views.catch_up()
    with reading(views.engine) as connection:
        yield connection


REGISTERED = len(FIELD)  # Li, as the last of the field
FIRST_HOURS, WAITING, SECOND_HOURS, SETTLED = range(len(FIELD) + 1, LAST + 1)


@pytest.mark.parametrize(
    ("filters", "positions"),
    [
        ({"member_id": LI}, [REGISTERED, WAITING, SECOND_HOURS, SETTLED]),
        ({"record_id": number(1_002)}, [WAITING, SETTLED]),
        ({"record_id": number(1_002), "types": ["HoursSubmitted"]}, [WAITING]),
        ({"record_id": number(77)}, []),
        ({"member_id": number(77)}, []),
        ({"correlation_id": "another"}, [WAITING]),
        ({"actor": "key00002"}, [WAITING]),
        ({"stream": f"account:{ZHANG}"}, [FIRST_HOURS]),
        ({"stream": "unit:east"}, [3]),
        ({"stream": "organisation:org-b"}, [5]),
        ({"stream": "policies"}, []),
        ({"stream": f"member:{LI}", "organisation": "org-a"}, [REGISTERED]),
        ({"types": ["HoursVerified"]}, [FIRST_HOURS, SECOND_HOURS]),
        ({"types": ["HoursVerified"], "member_id": LI}, [SECOND_HOURS]),
        ({"types": ["HoursVerified"], "organisation": "org-b"}, [SECOND_HOURS]),
        ({"types": ["HoursVerified", "UnitAdded"], "until": 3}, [1, 2, 3]),
        ({"organisation": "org-b"}, [SECOND_HOURS]),
        ({"member_id": LI, "until": SECOND_HOURS}, [REGISTERED, WAITING, SECOND_HOURS]),
        ({"member_id": LI, "after": WAITING}, [SECOND_HOURS, SETTLED]),
        ({"member_id": LI, "limit": 1}, [REGISTERED]),
    ],
)
def test_every_filter_finds_its_entries(
    connection: Connection, filters: dict[str, Any], positions: list[int]
) -> None:
    found = [entry["position"] for entry in trail.entries(connection, **filters).items]
    assert found == positions


def test_an_entry_says_who_recorded_what_about_whom(connection: Connection, store: Store) -> None:
    (entry,) = trail.entries(connection, correlation_id="another").items
    assert entry == {
        "position": LAST - 2,
        "recorded_at": facts_of(store)[LAST - 3].event.recorded_at,
        "type": "HoursSubmitted",
        "stream": f"account:{LI}",
        "actor": "key00002",
        "correlation_id": "another",
        "member_id": LI,
        "record_id": number(1_002),
        "organisation": "org-a",
    }


def test_a_walk_of_the_trail_is_the_journal(connection: Connection) -> None:
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = trail.entries(connection, after, 3)
        seen += [entry["position"] for entry in page.items]
        after = page.next
    assert seen == list(range(1, LAST + 1))


def test_every_instant_maps_to_the_last_position_recorded_by_then(connection: Connection) -> None:
    for halves in range(-2, 2 * LAST + 3):
        as_of = FIRST + timedelta(minutes=30 * halves)
        assert trail.position_at(connection, as_of) == max(0, min(LAST, 1 + halves // 2))


def test_before_the_first_entry_there_is_no_position(views: Views) -> None:
    views.catch_up()
    with reading(views.engine) as connection:
        assert trail.position_at(connection, FIRST) == 0
        assert trail.recorded_at(connection, 0) is None


def test_what_another_program_appended_has_the_time_of_the_entry_before(
    store: Store, views: Views
) -> None:
    write(store, FIELD)
    views.catch_up()
    with store.writing() as connection:
        append(connection, [("elsewhere", 1, "Unheard", b"\x00")], len(FIELD))
    views.catch_up()
    with reading(views.engine) as connection:
        before, foreign = trail.entries(connection, len(FIELD) - 1).items
    assert foreign["type"] == "Unheard"
    assert foreign["recorded_at"] == before["recorded_at"]
