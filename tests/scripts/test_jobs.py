"""Jobs from the command line and within a server: what is due is done once."""

from datetime import date, timedelta
from typing import Any

import pytest

from ledger.commands import (
    AddReward,
    CloseAccount,
    PostHours,
    PublishPolicy,
    RegisterMember,
    ReserveRedemption,
)
from ledger.units import instant, new_id
from ledger.vault import Newcomer, Person
from scripts.door import ask, now, opened, stamp
from scripts.due_jobs import JOBS
from scripts.people_jobs import years_before
from scripts.printing import Exit
from tests.api.visits import day
from tests.scripts.test_serve import get, served
from tests.scripts.typed import timebank


def saved(field, expiry_months: int = 1) -> str:
    """A member with 60 credits of a service 90 days ago, which expire a month after it."""
    field()
    with opened() as ledger:
        ask(
            ledger,
            PublishPolicy(
                **stamp(),
                effective_on=date(2020, 1, 1),
                changes={"expiry": {"months": expiry_months}},
            ),
        )
    member = timebank("member add --org org-a --roles volunteer --unit lake --json").json["id"]
    served_on = day(90)
    with opened() as ledger:
        command = PostHours(
            **stamp(),
            record_id=new_id(),
            organisation="org-a",
            receipt="R-1",
            member_id=member,
            activity="送餐",
            category="meals",
            place="lake",
            responsible="staff-7",
            started_at=instant(f"{served_on}T01:00:00Z"),
            ended_at=instant(f"{served_on}T02:00:00Z"),
        )
        ask(ledger, command)
    return member


def expired() -> int:
    accounts = timebank("audit trial-balance --json").json["accounts"]
    return {one["account"]: one["credits"] for one in accounts}.get("sink:expired", 0)


def test_what_is_due_expires_once(made_anywhere, field):
    member = saved(field)
    jobs = timebank("jobs run --json").json["jobs"]
    assert [job["job"] for job in jobs] == list(JOBS)
    assert {job["job"]: job["facts"] for job in jobs if job["facts"]} == {"expiry": 1}
    ran = jobs[list(JOBS).index("expiry")]
    assert not ran["done_before"]
    assert expired() == 60
    before = jobs[-1]["position"]
    for again in timebank(f"jobs run --as-of {ran['as_of']} --json").json["jobs"]:
        assert (again["facts"], again["position"], again["done_before"]) == (0, None, True)
    (later,) = timebank("jobs run --only expiry --json").json["jobs"]
    assert (later["facts"], later["position"]) == (0, before + 1)
    trail = timebank(f"audit trail --member {member} --json").json["data"]
    assert [event["actor"] for event in trail if event["type"] == "CreditsExpired"] == ["jobs"]
    assert timebank("audit replay").code == 0
    assert timebank("audit verify").code == 0


def test_a_job_knows_only_what_is_due_by_its_date(made, field):
    saved(field)
    timebank(f"jobs run --as-of {day(70)}")
    assert expired() == 0
    timebank(f"jobs run --as-of {day(40)}")
    assert expired() == 60
    earlier = timebank(f"jobs run --as-of {day(41)} --json").json["jobs"]
    assert {job["done_before"] for job in earlier} == {True}


def test_what_a_hold_gives_back_expires_in_the_same_run(made_anywhere, field):
    member = saved(field, expiry_months=4)  # the lot of 90 days ago has a month to go
    said = {"actor": "cli", "actor_name": "cli", "by_admin": True, "correlation_id": "c"}
    held = new_id()
    with opened() as ledger:
        ask(
            ledger,
            AddReward(
                **said, code="care", organisation=None, name="陪护", kind="benefit", credits=40
            ),
        )
        ask(
            ledger,
            ReserveRedemption(
                **said, redemption_id=held, member_id=member, organisation=None, reward="care"
            ),
        )
    ahead = day(-60)
    (holds,) = timebank("jobs run --only holds --json").json["jobs"]
    assert holds["facts"] == 0
    run = timebank(f"jobs run --as-of {ahead} --allow-future --json").json["jobs"]
    facts = {job["job"]: job["facts"] for job in run if job["facts"]}
    assert facts == {"holds": 1, "expiry": 1}
    assert expired() == 60
    trail = timebank(f"audit trail --member {member} --json").json["data"]
    ended = [event for event in trail if event["stream"] == f"redemption:{held}"]
    assert [event["type"] for event in ended] == ["RedemptionReserved", "RedemptionExpired"]
    assert ended[-1]["actor"] == "jobs"
    assert timebank("audit replay").code == 0


def test_a_job_runs_ahead_of_time_only_where_that_is_allowed(made, field):
    saved(field, expiry_months=12)
    said = timebank("jobs run --as-of 2199-01-01")
    assert (said.code, "has not come yet" in said.err) == (Exit.REFUSED, True)
    assert expired() == 0
    assert timebank("jobs run --as-of 2199-01-01T00:00:00+08:00 --allow-future").code == 0
    assert expired() == 60


@pytest.mark.parametrize(
    "typed", ["--as-of yesterday", "--as-of 2026-02-30", "--as-of 2026-02-03T12:00", "--only x"]
)
def test_what_is_no_date_or_no_job_is_usage(made, typed):
    assert timebank(f"jobs run {typed}").code == Exit.USAGE


def test_a_server_that_finds_nothing_due_records_nothing(made):
    with served(made) as server:
        assert get(f"{server['address']}/healthz")["status"] == "ok"
    assert timebank("audit verify --json").json["entries"] == 0


@pytest.mark.parametrize(("minutes", "runs"), [(60, True), (0, False)])
def test_a_server_runs_the_jobs_unless_that_is_off(made, field, monkeypatch, minutes, runs):
    member = saved(field)
    key = (made / "admin.key").read_text().strip()
    monkeypatch.setenv("TIMEBANK_JOBS_EVERY_MINUTES", str(minutes))
    with served(made) as server:
        # what the jobs write behind this comes before it in the journal, or not at all
        asked = f"{server['address']}/v1/members/{member}/balance?min_position="
        position = 6 + 2 * runs  # the field, a policy, a member, a record; then expiry and its job
        balance = get(f"{asked}{position}", key)
        assert balance["credits"]["available"] == (0 if runs else 60)


# --- kept long enough ----------------------------------------------------------------------------


def closed(number: int) -> str:
    """A member with a name, whose account was closed just now."""
    typed = "member add --org org-a --roles volunteer --unit lake --name 张三 --json"
    member = str(timebank(f"{typed} --external-ref V-{number}").json["id"])
    with opened() as ledger:
        ask(ledger, CloseAccount(**stamp(), member_id=member, reason="本人注销"))
    return member


def held() -> dict[str, str]:
    with opened() as ledger:
        return {known.member_id: known.status for known in ledger.vault.everyone()}


def ten_years_on(days: int = 0, years: int = 10) -> str:
    today = date.fromisoformat(day(0))
    on = today.replace(year=today.year + years, day=min(today.day, 28)) + timedelta(days)
    return (on + timedelta(today.day - min(today.day, 28))).isoformat()


def retention(as_of: str) -> dict[str, Any]:
    said = timebank(f"jobs run --only retention --as-of {as_of} --allow-future --json")
    assert said.code == 0, said.err
    (job,) = said.json["jobs"]
    return dict(job)


def test_who_closed_the_account_ten_years_ago_is_erased_and_nobody_else(made_anywhere, field):
    field()
    gone = closed(1)
    still = timebank("member add --org org-a --roles volunteer --unit lake --json").json["id"]
    assert retention(ten_years_on(-1))["facts"] == 0
    assert held() == {gone: "active", still: "active"}
    ran = retention(ten_years_on())
    assert (ran["facts"], ran["done_before"]) == (1, False)
    assert held() == {gone: "erased", still: "active"}
    trail = timebank(f"audit trail --member {gone} --json").json["data"]
    assert (trail[-1]["type"], trail[-1]["data"]["reason"]) == ("PersonDataErased", "retention")
    assert trail[-1]["actor"] == "jobs"
    assert retention(ten_years_on())["done_before"]
    assert retention(ten_years_on(1))["facts"] == 0
    assert timebank("audit replay").code == 0


def test_how_long_is_the_policy_of_the_day_on_which_it_runs(made, field):
    field()
    gone = closed(1)
    with opened() as ledger:
        changes = {"retention_years": 3}
        since = date.fromisoformat(ten_years_on(-1, years=3))
        ask(ledger, PublishPolicy(**stamp(), effective_on=since, changes=changes))
    assert retention(ten_years_on(-1, years=3))["facts"] == 0
    assert retention(ten_years_on(years=3))["facts"] == 1
    assert held() == {gone: "erased"}


def test_a_retention_that_was_broken_off_is_finished_by_the_next_run(made, field, monkeypatch):
    field()
    gone = closed(1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.erasure.Erasure.command", killed)
    assert timebank(f"jobs run --as-of {ten_years_on()} --allow-future").code == 130
    monkeypatch.undo()
    monkeypatch.setenv("TIMEBANK_LANG", "en")
    monkeypatch.chdir(made)
    assert held() == {gone: "erased"}
    assert retention(ten_years_on())["facts"] == 1


@pytest.mark.parametrize(
    ("today", "years", "before"),
    [
        ("2026-03-06", 10, "2016-03-06"),
        ("2028-02-29", 10, "2018-02-28"),
        ("2026-02-28", 10, "2016-02-28"),
        ("2026-03-01", 10, "2016-03-01"),
        ("2028-02-29", 4, "2024-02-29"),
    ],
)
def test_years_are_counted_back_and_a_leap_day_is_not_early(today, years, before):
    assert years_before(date.fromisoformat(today), years) == date.fromisoformat(before)


# --- ages ----------------------------------------------------------------------------------------


def ages(as_of: str) -> int:
    said = timebank(f"jobs run --only ages --as-of {as_of} --allow-future --json")
    assert said.code == 0, said.err
    return int(said.json["jobs"][0]["facts"])


def test_a_band_is_reached_by_the_job_on_the_birthday_and_once(made_anywhere, field, monkeypatch):
    monkeypatch.setattr("scripts.people_jobs.PEOPLE_AT_ONCE", 2)
    field()
    soon = date.fromisoformat(day(-10))
    born = soon.replace(year=soon.year - 60, day=min(soon.day, 28)).isoformat()
    typed = "member add --org org-a --roles resident --unit lake --name 李 --json"
    member = timebank(f"{typed} --birth-date {born}").json["id"]
    for other in ("", "--birth-date 1990-01-01", "--document-number 370212195003011234"):
        timebank(f"{typed} {other}")
    on = soon.replace(day=min(soon.day, 28))
    assert ages((on - timedelta(1)).isoformat()) == 0
    assert ages(on.isoformat()) == 1
    assert ages((on + timedelta(1)).isoformat()) == 0
    trail = timebank(f"audit trail --member {member} --json").json["data"]
    assert [event["data"]["age_band"] for event in trail] == ["18_59", "60_69"]
    assert (trail[-1]["type"], trail[-1]["actor"]) == ("AgeBandReached", "jobs")
    assert born not in str(trail)
    assert timebank("audit replay").code == 0


def test_who_was_registered_before_there_were_bands_is_told_one(made, field):
    field()
    with opened() as ledger:
        born = Person(name="李", birth_date="1950-01-01")
        (known,) = ledger.vault.begin("org-a", [Newcomer(new_id(), None, born)], now())
        seat = {"organisation": "org-a", "roles": ("resident",), "unit": "lake"}
        ask(ledger, RegisterMember(**stamp(), member_id=known.member_id, **seat))
        ledger.vault.activate([known.member_id])
    assert ages(day(-1)) == 1
    with opened() as ledger:
        ledger.vault.begin("org-a", [Newcomer(new_id(), None, born)], now())  # half registered
    assert ages(day(-2)) == 0
