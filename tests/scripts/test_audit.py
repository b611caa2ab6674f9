"""What an auditor does at the command line, on a live ledger and on a mere copy of one."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scripts.printing import Exit
from tests.scripts.typed import timebank

HOURS = (
    "receipt,member_ref,activity,category,place,responsible,started_at,ended_at,evidence\n"
    "r-1,V1,陪伴就医,elderly,lake,staff-7,2026-03-06T09:00:00+08:00,2026-03-06T11:00:00+08:00,\n"
    "r-2,V1,陪伴就医,elderly,lake,staff-7,2026-03-07T09:00:00+08:00,2026-03-07T10:00:00+08:00,\n"
    "r-3,V1,补录,elderly,lake,staff-7,2026-03-08T09:00:00+08:00,2026-03-08T10:00:00+08:00,backfilled\n"
)


def fill(folder: Path) -> None:
    (folder / "p.json").write_text('{"backfill_window_days": 36000}')
    (folder / "h.csv").write_text(HOURS)
    for typed in (
        "policy publish p.json --effective-on 2020-01-01",
        "member add --org org-a --roles volunteer --unit lake --external-ref V1",
        "hours import h.csv --org org-a",
    ):
        said = timebank(typed)
        assert said.code == 0, said.err


@pytest.fixture
def written(made: Path, field) -> Path:
    """A ledger on SQLite with a field, a member and three records, the last of which waits."""
    field()
    fill(made)
    return made


def alter(path: str, *statements: str) -> None:
    """What whoever has the file can do to it, triggers or not."""
    with closing(sqlite3.connect(path)) as database, database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)


# --- verify --------------------------------------------------------------------------------------


def test_an_honest_ledger_is_verified(made_anywhere, field):
    field()
    fill(made_anywhere)
    said = timebank("audit verify --json")
    assert said.code == 0
    assert said.json == {
        "ok": True,
        "entries": 8,
        "last_position": 8,
        "streams": 6,
        "foreign": 0,
        "root": said.json["root"],
        "checkpoints": 1,
        "attested": 0,
        "pinned": 0,
        "cosignatures": 0,
        "keys": "keys file",
        "first_wrong": None,
    }
    assert timebank("audit verify").out.startswith("All 8 entries are as they were written.\n")


def test_an_altered_ledger_ends_with_5_and_names_the_first_wrong_position(written):
    alter("timebank.db", "UPDATE entries SET type = 'HoursRejected' WHERE position = 7")
    said = timebank("audit verify")
    assert said.code == Exit.WRONG
    assert "First wrong position: 7." in said.out
    wrong = timebank("audit verify --json").json["first_wrong"]
    assert (wrong["position"], wrong["fault"]) == (7, "leaf")
    assert timebank("audit verify --until 6").code == 0


def test_a_copy_is_verified_without_server_secrets_or_views(written, monkeypatch):
    elsewhere = written / "copy"
    elsewhere.mkdir()
    shutil.copy(written / "timebank.db", elsewhere)
    monkeypatch.chdir(elsewhere)
    assert timebank("audit verify --json").json["entries"] == 8
    assert timebank("audit trial-balance --json").json["sum"] == 0
    replayed = timebank("audit replay --json")
    assert (replayed.code, replayed.json["position"]) == (0, 8)
    assert timebank("audit trail --json").json["data"][0]["position"] == 1


# --- replay --------------------------------------------------------------------------------------


def test_a_replay_prints_both_digests_and_they_are_equal(made_anywhere, field):
    field()
    fill(made_anywhere)
    said = timebank("audit replay --json")
    assert said.code == 0
    assert said.json["live"] == said.json["replayed"]
    assert (said.json["position"], said.json["equal"], said.json["difference"]) == (8, True, None)
    assert timebank("audit replay").out.count(said.json["live"]) == 2


def test_a_view_that_was_altered_ends_with_5_and_the_row_is_named(written):
    assert timebank("views rebuild").code == 0
    alter("timebank-views.db", "UPDATE service_records SET minutes = 900 WHERE minutes = 120")
    said = timebank("audit replay --json")
    assert said.code == Exit.WRONG
    assert said.json["live"] != said.json["replayed"]
    difference = said.json["difference"]
    assert difference["view"] == "service_records"
    assert (difference["live"]["minutes"], difference["replayed"]["minutes"]) == (900, 120)
    people = timebank("audit replay")
    assert people.code == Exit.WRONG
    assert "service_records, position=6" in people.out
    assert timebank("views rebuild").code == 0
    assert timebank("audit replay").code == 0


def test_a_replay_goes_up_to_a_position(written):
    said = timebank("audit replay --until 6 --json")
    assert (said.code, said.json["position"]) == (0, 6)


# --- trail and trial balance ---------------------------------------------------------------------


def test_the_trail_is_filtered_and_paged(written):
    everything = timebank("audit trail --json").json
    assert [event["position"] for event in everything["data"]] == list(range(1, 9))
    member = everything["data"][4]["data"]["member_id"]
    about = timebank(f"audit trail --member {member} --json").json["data"]
    assert [event["position"] for event in about] == [5, 6, 7, 8]
    record = about[1]["data"]["record_id"]
    (posted,) = timebank(f"audit trail --record {record} --json").json["data"]
    assert (posted["type"], posted["data"]["minutes"]) == ("HoursVerified", 120)
    chain = posted["correlation_id"]
    assert len(timebank(f"audit trail --correlation {chain} --json").json["data"]) == 3
    assert timebank("audit trail --actor nobody --json").json == {"data": [], "next": None}
    first = timebank("audit trail --limit 3 --json").json
    assert first["next"] == 3
    assert timebank("audit trail --after 3 --limit 1 --json").json["data"][0]["position"] == 4
    assert "HoursSubmitted" in timebank("audit trail").out


def test_the_trial_balance_is_folded_from_the_journal_at_any_position(made_anywhere, field):
    field()
    fill(made_anywhere)
    now = timebank("audit trial-balance --json").json
    assert (now["position"], now["sum"]) == (8, 0)
    balances = {line["account"].split(":")[0]: line["credits"] for line in now["accounts"]}
    assert balances == {"issue": -180, "person": 180}
    before = timebank("audit trial-balance --position 6 --json").json
    assert [line["credits"] for line in before["accounts"]] == [-120, 120]
    assert timebank("audit trial-balance --position 0 --json").json["accounts"] == []
    assert "sum       0" in timebank("audit trial-balance").out


def test_a_trial_balance_that_does_not_balance_ends_with_5(written):
    alter(
        "timebank.db",
        """UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), ':available",120]',
           ':available",9120]') AS BLOB) WHERE position = 6""",
    )
    said = timebank("audit trial-balance --json")
    assert (said.code, said.json["sum"]) == (Exit.WRONG, 9_000)


def test_an_account_s_lines_and_what_the_bank_owes_are_told(written):
    lines = timebank("audit account issue:service --json").json
    assert [line["balance_after"] for line in lines["data"]] == [-120, -180]
    first = timebank("audit account issue:service --limit 1 --json").json
    rest = timebank(f"audit account issue:service --after {first['next']} --json").json
    assert first["data"] + rest["data"] == lines["data"]
    unknown = timebank("audit account pool:moon")
    assert (unknown.code, "has never had a line" in unknown.err) == (Exit.REFUSED, True)
    owed = timebank("audit solvency --day 2026-03-08 --json").json
    assert (owed["outstanding"], owed["lot_age_days"]) == (180, 167)
    assert "outstanding" in timebank("audit solvency").out
