"""The real shifts of a city's culture year come out exactly as they must, from the command line."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ledger import journal
from ledger.events import HoursVerified
from ledger.store import Store

HOUSE = Path(__file__).parents[2]
DATA = HOUSE.parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real shifts lie in shared/ beside the project; it is not here"
)


class Ledger:
    """A ledger in a folder of its own, used as an administrator does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *verb: str, exit_code: int = 0) -> dict:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE)}
        ran = subprocess.run(
            [sys.executable, "-m", "scripts.cli", *verb, "--json"],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == exit_code, ran.stdout + ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def shifts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shifts")
    subprocess.run([sys.executable, DATA / "make_leeds_import.py", folder], check=True)
    return folder


def test_the_real_shifts_come_out_to_the_minute_and_a_second_time_change_nothing(shifts, tmp_path):
    ledger = Ledger(tmp_path)
    expected = json.loads((shifts / "expected.json").read_text())
    window = (datetime.now(UTC).date() - date(2022, 1, 1)).days
    (tmp_path / "london.json").write_text(
        json.dumps({"zone": "Europe/London", "backfill_window_days": window})
    )
    ledger.run("init", "--admin-key-file", "admin.key")
    ledger.run("unit", "add", "leeds", "--name", "Leeds", "--level", "district")
    ledger.run(
        "org",
        "add",
        "leeds-2023",
        "--name",
        "LEEDS 2023",
        "--kind",
        "volunteer",
        "--unit",
        "leeds",
    )
    ledger.run("policy", "publish", "london.json", "--effective-on", "2022-01-01")

    for turn in ("accepted", "replayed"):
        members = ledger.run("member", "import", str(shifts / "members.csv"), "--org", "leeds-2023")
        assert (members[turn], members["refused"]) == (expected["members"], 0)
        hours = ledger.run("hours", "import", str(shifts / "hours.csv"), "--org", "leeds-2023")
        assert (hours[turn], hours["refused"]) == (expected["records"], 0)

    ledger.run("audit", "verify")
    ledger.run("audit", "replay")
    books = ledger.run("audit", "trial-balance")
    assert books["sum"] == 0
    accounts = {row["account"]: row["credits"] for row in books["accounts"]}
    assert accounts["issue:service"] == -expected["minutes"]
    with (shifts / "members.csv").open(encoding="utf-8") as file:
        references = [row["external_ref"] for row in csv.DictReader(file)]
    by_member, by_month = minutes_in_the_journal(tmp_path)
    assert by_month == expected["minutes_by_month"]
    for result in members["results"]:
        minutes = expected["minutes_by_member"][references[result["line"] - 2]]
        assert by_member[result["id"]] == minutes
        assert accounts[f"person:{result['id']}:available"] == minutes


def minutes_in_the_journal(folder: Path) -> tuple[Counter[str], dict[str, int]]:
    by_member: Counter[str] = Counter()
    by_month: Counter[str] = Counter()
    store = Store(f"sqlite:///{folder / 'timebank.db'}")
    with store.reading() as connection:
        for page in journal.all_entries(connection):
            for entry in page:
                if isinstance(entry.event, HoursVerified):
                    by_member[entry.event.member_id] += entry.event.minutes
                    by_month[entry.event.served_on[:7]] += entry.event.minutes
    store.close()
    return by_member, dict(sorted(by_month.items()))
