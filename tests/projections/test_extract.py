"""An extract holds what the journal says, on both engines, however it is read."""

from datetime import date, timedelta
from typing import Any

import pytest

from ledger import journal
from ledger.store import Store, last_position
from projections import extract_tables
from projections.extract import Extract, Scope
from projections.extract_tables import TABLES, rows
from projections.sums import sums
from tests.desk.bureau import Bureau
from tests.rules.asked import correct, reverse, verify
from tests.rules.test_transfers import gift, related
from tests.rules.town import policy, visit

TODAY = date(2026, 3, 10)  # at which the bureau opens


@pytest.fixture
def lived(store: Store) -> Store:
    """A week in which one served for two organisations, gave, was corrected and reversed."""
    bureau = Bureau(store)
    bureau.settle()
    bureau.ask(related())
    first = visit("08:00", "10:00", receipt="r-1")
    waits = visit("10:00", "11:00", receipt="r-2", evidence="backfilled")
    taken_back = visit("12:00", "12:50", receipt="r-3")
    for command in (first, waits, taken_back):
        bureau.ask(command)
    bureau.clock.at += timedelta(days=3)
    for command in (gift(60), verify(waits.record_id)):
        bureau.ask(command)
    bureau.clock.at += timedelta(days=3)
    bureau.ask(correct(first.record_id, start="08:00", end="09:30"))
    bureau.ask(reverse(taken_back.record_id))
    bureau.close()
    return store


def extracted(store: Store, **scope: Any) -> dict[str, list[dict[str, Any]]]:
    names = {table.name: [column.name for column in table.columns] for table in TABLES}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with store.reading() as connection:
        extract = Extract(connection, Scope(**scope), last_position(connection))
        for name, row in rows(extract):
            found[name].append(dict(zip(names[name], row, strict=True)))
    return found


def statuses(found: dict[str, list[dict[str, Any]]]) -> list[tuple[str, int | None]]:
    return [(row["status"], row["minutes"]) for row in found["service_records"]]


def test_the_lines_come_to_what_the_accounts_hold(lived):
    found = extracted(lived)
    with lived.reading() as connection:
        held = sums(connection)
    assert {row["account"]: row["closing"] for row in found["accounts"]} == held.accounts
    after: dict[str, int] = {}
    for line in found["lines"]:
        account = line["account"]
        assert line["balance_after"] == after.get(account, 0) + line["credits"]
        after[account] = line["balance_after"]
    assert after == held.accounts
    assert [row["position"] for row in found["events"]] == list(range(1, held.position + 1))


def test_a_record_stands_as_it_does_at_the_end(lived):
    assert statuses(extracted(lived)) == [
        ("corrected", 120),
        ("verified", 60),
        ("reversed", 50),
        ("verified", 90),
    ]


def test_of_some_days_a_record_that_was_posted_then_stands_as_it_does_at_the_end(lived):
    found = extracted(lived, last=TODAY)
    assert statuses(found) == [("corrected", 120), ("verified", 60), ("reversed", 50)]
    assert {row["recorded_on"] for row in found["events"]} == {TODAY.isoformat()}


@pytest.mark.parametrize("page", [1, 3, 5_000])
def test_it_is_the_same_however_much_is_read_at_a_time(lived, page, monkeypatch):
    whole = extracted(lived)
    monkeypatch.setattr(journal, "PAGE", page)
    monkeypatch.setattr(journal, "STREAMS_AT_ONCE", page)
    monkeypatch.setattr(extract_tables, "RECORDS_AT_ONCE", page)
    assert extracted(lived) == whole


def test_what_is_taken_back_comes_with_what_takes_it_back(lived):
    for scope in ({"organisation": "org-a"}, {"unit": "lake"}, {"unit": "west"}):
        found = extracted(lived, **scope)
        took = {row["record_id"] for row in found["events"] if row["type"] == "HoursReversed"}
        gave = {row["record_id"] for row in found["service_records"]}
        assert took
        assert took <= gave
        assert sum(row["closing"] for row in found["accounts"]) == 0


def test_no_date_comes_before_an_earlier_one_where_the_zone_moves_to_the_west(store):
    bureau = Bureau(store)
    bureau.settle()
    bureau.clock.at = bureau.clock.at.replace(hour=20)  # the day after, in Shanghai
    bureau.ask(visit("08:00", "09:00", receipt="r-1"))
    bureau.ask(policy("2026-01-01", zone="America/Los_Angeles"))
    bureau.ask(visit("10:00", "11:00", receipt="r-2"))
    bureau.close()
    days = [row["recorded_on"] for row in extracted(store)["events"]]
    assert days == sorted(days)
    assert days[-1] == "2026-03-11"


def test_an_entry_of_another_program_has_the_date_of_the_one_before(lived):
    from ledger.store import append

    with lived.writing() as connection:
        append(connection, [("other:1", 1, "Else", b"raw")], last_position(connection))
    last = extracted(lived)["events"][-1]
    assert (last["type"], last["recorded_at"], last["actor"]) == ("Else", None, None)
    assert last["recorded_on"] == (TODAY + timedelta(days=6)).isoformat()
