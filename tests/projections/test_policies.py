"""The policies: versions in their order, and what every key says for a date."""

from datetime import date

from ledger.databases import reading
from ledger.events import PolicyPublished
from ledger.policy import DEFAULTS
from ledger.store import Store
from projections import policies
from projections.views import Views
from tests.projections.history import facts_of, write

PUBLISHED = [
    PolicyPublished(version=2, effective_on="2026-06-01", changes={"rounding": "hour_floor"}),
    PolicyPublished(
        version=3,
        effective_on="2026-04-01",
        changes={"rounding": "half_hour_floor", "backfill_window_days": 30},
        note="补录",
    ),
]


def test_the_versions_begin_with_the_defaults(store: Store, views: Views) -> None:
    write(store, PUBLISHED)
    views.catch_up()
    with reading(views.engine) as connection:
        first = policies.listing(connection, limit=2)
        rest = policies.listing(connection, first.next or 0)
    assert [version["version"] for version in first.items] == [1, 2]
    assert first.items[0]["changes"] == DEFAULTS
    assert first.next == 2
    assert rest.next is None
    assert rest.items == [
        {
            "version": 3,
            "effective_on": "2026-04-01",
            "changes": {"rounding": "half_hour_floor", "backfill_window_days": 30},
            "note": "补录",
            "recorded_at": facts_of(store)[1].event.recorded_at,
        }
    ]


def test_each_key_has_its_own_history(store: Store, views: Views) -> None:
    write(store, PUBLISHED)
    views.catch_up()
    with reading(views.engine) as connection:
        march, may, july = (policies.at(connection, date(2026, month, 1)) for month in (3, 5, 7))
    assert (march["date"], march["version"], march["values"]) == ("2026-03-01", 1, DEFAULTS)
    assert (may["version"], may["values"]["rounding"]) == (3, "half_hour_floor")
    assert july["values"]["rounding"] == "hour_floor"
    assert july["values"]["backfill_window_days"] == 30
