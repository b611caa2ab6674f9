"""The demo: alive, the same for the same seed, there at once the second time."""

import re
import shutil
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.demo_past import SIZES
from scripts.printing import Exit
from tests.scripts.test_serve import get, served
from tests.scripts.typed import run, timebank


@pytest.fixture(scope="session")
def seeded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of the small size."""
    folder = tmp_path_factory.mktemp("demo")
    said = run("demo --seed-only --json", folder)
    assert said.code == 0, said.err
    return folder


@pytest.fixture
def seeded(folder: Path, seeded_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    shutil.copytree(seeded_once, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def inside(seeded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with the settings pointing at its ledger."""
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", "sqlite:///.demo/timebank.db")
    monkeypatch.setenv("TIMEBANK_KEYS_FILE", ".demo/timebank-keys.json")
    return seeded


def events() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = timebank("audit trail --limit 10000 --json").json["data"]
    return found


def test_the_small_demo_is_a_district_that_lived_some_months(inside):
    said = timebank("demo --seed-only --json").json
    assert said["members"] == SIZES["small"].members
    records = said["records"]
    assert records["verified"] > 200
    assert min(records["rejected"], records["waiting"]) > 0
    history = events()
    assert {e["type"] for e in history} >= {
        "UnitAdded",
        "OrganisationAdded",
        "PolicyPublished",
        "MemberRegistered",
        "MemberJoined",
        "HoursSubmitted",
        "HoursVerified",
        "SubmittedHoursVerified",
        "HoursRejected",
    }
    posted = [e["data"] for e in history if e["type"] in ("HoursVerified", "HoursSubmitted")]
    assert any(data["late"] for data in posted)
    kinds = {event["type"] for event in history}
    assert {"HoursReversed", "CreditsDonated", "RewardAdded", "PeriodClosed"} <= kinds
    assert {"RedemptionReserved", "RedemptionFulfilled", "JobRan"} <= kinds
    assert any(data.get("paid_from_hold") for data in posted)
    assert {"CertificationRegistered", "AchievementSubmitted"} <= kinds
    assert any("replaces" in data for data in posted)
    assert any(data.get("overlap_minutes") for data in posted)
    assert {data["capacity"] for data in posted} == {"volunteer", "on_duty"}
    assert len({data["served_on"][:7] for data in posted}) >= 4
    assert {e["data"]["kind"] for e in history if e["type"] == "OrganisationAdded"} == {
        "volunteer",
        "social_work",
        "studio",
        "university",
        "partner",
    }
    assert len({event["recorded_at"][:10] for event in history}) > 60


def test_the_demo_stands_every_test_of_a_ledger(inside):
    assert timebank("audit verify").code == 0
    assert timebank("audit replay").code == 0
    assert timebank("audit trial-balance --json").json["sum"] == 0
    assert timebank("db check").code == 0


def test_nobody_in_the_demo_exists(inside):
    """The numbers are such as nobody can have, and none stands outside the vault."""
    said = timebank("audit trail --limit 10000").out + str(events())
    assert not re.search(r"\b(9999|100)\d{8,}", said)


def test_its_secrets_are_for_its_owner_alone(seeded):
    for name in ("demo.json", "timebank-keys.json"):
        assert stat.S_IMODE((seeded / ".demo" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((seeded / ".demo").stat().st_mode) == 0o700
    assert (seeded / ".demo" / ".gitignore").read_text() == "*\n"


def test_the_same_seed_on_the_same_day_lives_the_same_past(folder):
    """But for ids and keys, which are fresh each time."""

    def lived(name: str, seed: int) -> Counter[tuple[Any, ...]]:
        line = f"demo --seed-only --seed {seed} --folder {name} --json"
        assert timebank(line).code == 0
        where = f"--database-url sqlite:///{name}/timebank.db"
        history = timebank(f"{where} audit trail --limit 10000 --json").json["data"]
        return Counter(
            (
                e["type"],
                e["recorded_at"],
                # of an order's own record the receipt names the order: another id in each life
                (e["data"].get("receipt") or "").partition(":")[0],
                *(e["data"].get(f) for f in ("activity", "started_at", "minutes")),
            )
            for e in history
        )

    first = lived("one", 7)
    assert lived("two", 7) == first
    assert lived("three", 8) != first


def test_a_second_start_uses_what_is_there(seeded):
    before = (seeded / ".demo" / "timebank.db").stat().st_mtime_ns
    said = timebank("demo --seed-only --json")
    assert said.code == 0
    assert "there already" in said.err
    assert (seeded / ".demo" / "timebank.db").stat().st_mtime_ns == before


def test_it_is_served_with_its_address_and_keys(seeded):
    with served(seeded, "demo --port 0 --json") as demo:
        keys = {key["role"]: key["key"] for key in demo["keys"]}
        assert set(keys) == {"admin", "auditor", "poster", "verifier"}
        records = get(f"{demo['address']}/v1/service-records?status=submitted", keys["verifier"])
        members = get(f"{demo['address']}/v1/members?limit=1", keys["admin"])
        assert isinstance(records["data"], list)
        assert members["data"][0]["id"]


def test_a_port_that_is_taken_is_no_hindrance_where_none_was_asked_for(seeded):
    with served(seeded, "demo --json") as first:
        other = seeded / "other"
        shutil.copytree(seeded / ".demo", other / ".demo")
        with served(other, "demo --json") as second:
            assert first["address"] != second["address"]


def test_a_second_demo_in_the_same_folder_is_refused(seeded):
    with served(seeded, "demo --port 0 --json"):
        said = run("demo --port 0", seeded)
    assert said.code == Exit.REFUSED


def test_another_size_or_seed_does_not_replace_what_is_there(seeded):
    said = timebank("demo --seed-only --seed 2")
    assert said.code == Exit.REFUSED
    assert "size small and seed 1" in said.err


def test_a_demo_never_writes_into_a_ledger_that_is_none(made, monkeypatch):
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", "sqlite:///timebank.db")
    said = timebank("demo --seed-only")
    assert said.code == Exit.REFUSED
    assert timebank("audit verify --json").json["entries"] == 0


def test_a_seeding_that_broke_off_begins_anew(seeded):
    note = seeded / ".demo" / "demo.json"
    note.write_text(note.read_text().replace('"finished": true', '"finished": false'))
    said = timebank("demo --seed-only --json")
    assert said.code == 0
    assert "there already" not in said.err
    assert said.json["finished"] is True


@pytest.mark.postgresql
def test_a_demo_lives_on_postgresql_too(folder, postgresql_url, monkeypatch):
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", postgresql_url)
    assert timebank("--ledger demo demo --seed-only").code == 0
    assert timebank("--ledger demo demo --seed-only").code == 0
    monkeypatch.setenv("TIMEBANK_KEYS_FILE", ".demo/timebank-keys.json")
    assert timebank("--ledger demo audit verify").code == 0


def test_a_district_is_no_larger_than_what_is_invented_and_stays_in_the_window():
    for size in SIZES.values():
        assert size.streets <= 12
        assert size.communities <= 10
        assert size.days < 365
        assert size.members < 100_000
