"""Verification: whoever alters a journal is found out, at the first position that is wrong."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger import derived, journal, journal_schema, store
from ledger.commands import VerifyHours
from ledger.faults import Wrong
from ledger.store import Store
from ledger.units import id_bytes, new_id
from ledger.verification import verify
from tests.desk.bureau import Bureau
from tests.rules.asked import correct
from tests.rules.test_transfers import gift, related
from tests.rules.town import LI, OTHER, policy, visit

FIRST_VISIT = 9  # what stands before it: two units, two organisations, two members who joined


@pytest.fixture
def written(store: Store) -> Iterator[Store]:
    """A journal with a field and some visits, one of which waited and was verified."""
    bureau = Bureau(store)
    bureau.settle()
    bureau.clock.at += timedelta(minutes=5)
    for hour in range(8, 12):
        bureau.ask(visit(f"{hour:02}:00", f"{hour:02}:50", receipt=f"r-{hour}"))
    waiting = new_id()
    bureau.ask(visit("12:00", "12:50", receipt="r-12", record_id=waiting, evidence="backfilled"))
    bureau.ask(VerifyHours(**OTHER, record_id=waiting, organisation="org-a"))
    bureau.close()
    assert verify(store).wrong is None
    return store


def alter(altered: Store, *statements: str, **params: Any) -> None:
    """What somebody with the database's password can do, whatever the triggers say."""
    with altered.writing() as connection:
        if altered.is_sqlite:
            triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for name in connection.scalars(triggers).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in ("entries", *journal_schema.APPEND_ONLY):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            connection.execute(text(statement), params)


def write_leaf(altered: Store, position: int, **columns: Any) -> None:
    """Alter a row and give it the leaf that it must have then."""
    with altered.reading() as connection:
        (row,) = store.read_positions(connection, [position])
    row = row._replace(**columns)
    leaf = store.leaf_hash(store.entry_bytes(*row[:5]))
    alter(altered, "DELETE FROM entries WHERE position = :position", position=position)
    with altered.writing() as connection:
        store.insert_many(connection, store.entries, [(*row[:5], leaf)])


def data_at(read: Store, position: int) -> bytes:
    with read.reading() as connection:
        return bytes(store.read_positions(connection, [position])[0].data)


def test_an_honest_journal_is_verified_whole(written):
    verdict = verify(written)
    assert verdict.entries == verdict.last_position == FIRST_VISIT + 5
    assert verdict.streams == 7  # two units, two organisations, two members, one account
    assert verdict.wrong is None


def test_an_index_over_the_entries_that_is_of_others_is_damage(written, monkeypatch):
    """A hand in the pages of the index alone, which no statement can reach."""
    honest = derived._sum

    def bent(connection: Any, columns: str, table: str) -> int:
        return honest(connection, columns, table) + (table == "entries")

    monkeypatch.setattr(derived, "_sum", bent)
    assert verify(written).wrong == Wrong(0, "damaged")


def test_an_empty_journal_is_right(store):
    assert verify(store)[:2] == (0, 0)


def test_it_is_the_same_however_few_entries_are_read_at_a_time(written, monkeypatch):
    whole = verify(written)
    monkeypatch.setattr(journal, "PAGE", 2)
    heard: list[int] = []
    assert verify(written, heard=heard.append) == whole
    assert heard == [2, 4, 6, 8, 10, 12, 14]


def test_a_journal_is_verified_up_to_a_position(written):
    alter(written, "UPDATE entries SET type = 'HoursRejected' WHERE position = 12")
    assert verify(written, until=11).wrong is None
    assert verify(written).wrong == Wrong(12, "leaf")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("type", "HoursSubmitted"),
        ("stream", "account:somebody"),
        ("version", 99),
        ("data", b'{"minutes":51}'),
    ],
)
def test_an_altered_column_shows_in_the_leaf(written, column, value):
    change = store.entries.update().where(store.entries.c.position == 11)
    alter(written)
    with written.writing() as connection:
        connection.execute(change.values({column: value}))
    assert verify(written).wrong == Wrong(11, "leaf")


def test_an_altered_leaf_shows(written):
    alter(written, "UPDATE entries SET leaf_hash = :leaf WHERE position = 3", leaf=bytes(32))
    assert verify(written).wrong == Wrong(3, "leaf")


def test_an_entry_that_was_taken_out_is_missed(written):
    alter(written, "DELETE FROM entries WHERE position = 10")
    assert verify(written).wrong == Wrong(10, "position_missing")
    assert verify(written, until=10).wrong == Wrong(10, "position_missing")


def test_an_entry_before_the_first_is_no_entry(written):
    alter(written, "UPDATE entries SET position = 0 WHERE position = 1")
    assert verify(written).wrong == Wrong(0, "position_missing")


def test_two_entries_that_changed_places_show(written):
    alter(
        written,
        "UPDATE entries SET position = 99 WHERE position = 10",
        "UPDATE entries SET position = 10 WHERE position = 11",
        "UPDATE entries SET position = 11 WHERE position = 99",
    )
    assert verify(written).wrong == Wrong(10, "leaf")


def test_a_leaf_that_was_written_anew_does_not_hide_a_version_left_out(written):
    write_leaf(written, 12, version=40)
    assert verify(written).wrong == Wrong(12, "version")


def test_a_leaf_that_was_written_anew_does_not_hide_data_that_say_nothing(written):
    write_leaf(written, 12, data=b'{"minutes":"many"}')
    assert verify(written).wrong == Wrong(12, "unreadable")


def test_a_leaf_that_was_written_anew_does_not_hide_another_stream(written):
    write_leaf(written, 12, stream=f"account:{LI}", version=1)
    assert verify(written).wrong == Wrong(12, "stream")


def test_a_leaf_that_was_written_anew_does_not_hide_credits_from_nowhere(written):
    data = data_at(written, 12)
    more = data.replace(b':available",50]', b':available",500]')
    assert more != data
    write_leaf(written, 12, data=more)
    assert verify(written).wrong == Wrong(12, "sum")


def test_a_leaf_that_was_written_anew_does_not_hide_a_time_that_runs_backwards(written):
    data = data_at(written, 12)
    write_leaf(written, 12, data=data.replace(b'"2026-03-10T04:05', b'"2026-03-10T03:05'))
    assert verify(written).wrong == Wrong(12, "recorded_at")


def test_a_receipt_that_leads_elsewhere_shows_at_its_record(written):
    alter(written, "UPDATE receipts SET record_id = :other WHERE receipt = 'r-9'", other=bytes(16))
    assert verify(written).wrong == Wrong(FIRST_VISIT + 1, "receipt")


def test_a_receipt_that_is_not_in_its_index_shows_at_its_record(written):
    alter(written, "DELETE FROM receipts WHERE receipt = 'r-8'")
    assert verify(written).wrong == Wrong(FIRST_VISIT, "receipt")


def test_a_receipt_that_no_entry_posted_shows(written):
    alter(
        written,
        "INSERT INTO receipts SELECT 'org-b', 'r-9', record_id FROM receipts WHERE receipt = 'r-9'",
    )
    assert verify(written).wrong == Wrong(FIRST_VISIT + 1, "receipt")


def test_a_receipt_of_a_record_that_never_was_shows(written):
    alter(written, "INSERT INTO receipts VALUES ('org-b', 'r-9', :nobody)", nobody=bytes(16))
    assert verify(written).wrong == Wrong(0, "receipt")


def test_an_entry_that_its_record_does_not_lead_to_shows(written):
    alter(written, "DELETE FROM record_entries WHERE position = 14")
    assert verify(written).wrong == Wrong(14, "record_entry")


def test_a_record_that_leads_to_an_entry_about_another_shows(written):
    alter(
        written,
        "INSERT INTO record_entries SELECT record_id, 3 FROM record_entries WHERE position = 14",
    )
    assert verify(written).wrong == Wrong(3, "record_entry")


def test_entries_of_other_programs_are_verified_by_leaf_and_version_alone(written):
    with written.writing() as connection:
        store.append(connection, [("other:1", 1, "SomethingElse", b"\x80\x00raw")], 14)
    verdict = verify(written)
    assert (verdict.foreign, verdict.wrong) == (1, None)
    alter(written, "UPDATE entries SET stream = 'other:2' WHERE position = 15")
    assert verify(written).wrong == Wrong(15, "leaf")


def test_the_lowest_wrong_position_is_named(written):
    alter(
        written,
        "DELETE FROM record_entries WHERE position = 11",
        "UPDATE entries SET type = 'X' WHERE position = 13",
        "DELETE FROM entries WHERE position = 12",
    )
    assert verify(written).wrong == Wrong(11, "record_entry")


def test_posting_goes_on_while_a_journal_is_verified(written):
    def post_meanwhile(position: int) -> None:
        bureau = Bureau(written)
        bureau.clock.at += timedelta(hours=1)
        bureau.ask(visit("10:00", "10:40", receipt=new_id(), member_id=LI))
        bureau.close()

    verdict = verify(written, heard=post_meanwhile)
    assert (verdict.last_position, verdict.wrong) == (14, None)


def test_a_damaged_file_is_wrong_from_where_it_cannot_be_read(tmp_path: Path):
    made = Store(f"sqlite:///{tmp_path / 'timebank.db'}")
    made.create()
    with made.writing() as connection:
        rows = [(f"other:{n}", 1, "Else", b"x" * 4_000) for n in range(1, 60)]
        store.append(connection, rows, 0)
    with made.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    path = tmp_path / "timebank.db"
    content = bytearray(path.read_bytes())
    content[80 * 1024 : 100 * 1024] = b"\xff" * 20 * 1024
    path.write_bytes(content)
    wrong = verify(made).wrong
    made.close()
    assert wrong is not None
    assert wrong.fault in ("damaged", "leaf")


# --- corrections and pools -----------------------------------------------------------------------


@pytest.fixture
def corrected(store: Store) -> Iterator[tuple[Store, list[str]]]:
    """A record that was corrected twice, what overflowed to the pool; and the three records."""
    bureau = Bureau(store)
    bureau.settle()
    bureau.ask(policy("2026-01-01", stock_cap=60, overflow_to="pool"))
    first = visit("08:00", "10:00", receipt="r-1")
    second = correct(first.record_id, start="08:00", end="11:00")
    third = correct(second.replacement_id, start="08:00", end="10:30")
    for command in (first, second, third, visit("13:00", "14:00", receipt="r-2")):
        bureau.ask(command)
    bureau.close()
    return store, [first.record_id, second.replacement_id, third.replacement_id]


def test_a_receipt_may_stand_for_the_record_that_corrects_the_one_posted(corrected):
    journal_store, (_, _, third) = corrected
    assert verify(journal_store).wrong is None
    with journal_store.reading() as connection:
        assert journal.records_under(connection, [("org-a", "r-1")])["org-a", "r-1"] == third
        assert journal.shared_balances(connection, ["pool:donation"]) == {"pool:donation": 150}


@pytest.mark.parametrize(("stands", "wrong_at"), [(0, 12), (1, 14)])
@pytest.mark.parametrize("page", [2, 5_000])
def test_a_receipt_that_stands_for_a_record_replaced_since_shows(
    corrected, stands, wrong_at, page, monkeypatch
):
    monkeypatch.setattr(journal, "PAGE", page)
    journal_store, records = corrected
    alter(
        journal_store,
        "UPDATE receipts SET record_id = :record WHERE receipt = 'r-1'",
        record=id_bytes(records[stands]),
    )
    assert verify(journal_store).wrong == Wrong(wrong_at, "receipt")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shared_balances SET credits = credits + 1",
        "DELETE FROM shared_balances",
        "INSERT INTO shared_balances VALUES ('pool:moon', 0)",
    ],
)
def test_a_kept_balance_that_is_not_the_sum_of_its_lines_shows(corrected, statement):
    journal_store, _ = corrected
    alter(journal_store, statement)
    wrong = verify(journal_store).wrong
    assert wrong is not None
    assert wrong.fault == "shared_balance"


def test_a_transfer_that_its_receiver_does_not_hear_of_shows(store):
    bureau = Bureau(store)
    bureau.settle()
    for command in (related(), visit(), gift(60)):
        bureau.ask(command)
    bureau.close()
    assert verify(store).wrong is None
    alter(store, "UPDATE heard SET stream = 'account:nobody'")
    assert verify(store).wrong == Wrong(11, "heard")
    alter(store, "DELETE FROM heard")
    assert verify(store).wrong == Wrong(11, "heard")
