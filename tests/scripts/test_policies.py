"""Policies from the command line."""

import json

import pytest

from ledger.policy import DEFAULTS
from scripts.printing import Exit
from tests.api.visits import day
from tests.scripts.typed import timebank


def test_before_any_publication_the_defaults_hold(made):
    assert timebank("policy list --json").json["policies"][0]["changes"] == DEFAULTS
    shown = timebank("policy show --at 2026-03-06 --json").json
    assert shown == {"date": "2026-03-06", "version": 1, "values": DEFAULTS}
    assert timebank("policy show").code == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", '{"rounding": "hour_floor", "calendar": {"holidays": ["2026-10-01"]}}'),
        ("p.toml", 'rounding = "hour_floor"\n[calendar]\nholidays = [2026-10-01]\n'),
    ],
)
def test_a_file_of_changes_is_published_from_a_date_on(made_anywhere, name, content):
    (made_anywhere / name).write_text(content)
    said = timebank(f"policy publish {name} --effective-on 2026-03-01 --note 'whole hours' --json")
    assert said.json == {
        "version": 2,
        "effective_on": "2026-03-01",
        "changes": {
            "rounding": "hour_floor",
            "calendar": {"holidays": ["2026-10-01"], "workdays": []},
        },
        "note": "whole hours",
        "position": 1,
    }
    before, after = (
        timebank(f"policy show --at {day} --json").json["values"]["rounding"]
        for day in ("2026-02-28", "2026-03-01")
    )
    assert (before, after) == ("exact", "hour_floor")
    assert [each["version"] for each in timebank("policy list --json").json["policies"]] == [1, 2]


def test_all_that_is_wrong_with_the_changes_is_named(made):
    changes = {"zone": "Mars/Olympus", "rouding": "exact", "backfill_window_days": -1}
    (made / "p.json").write_text(json.dumps(changes))
    said = timebank("policy publish p.json --effective-on 2026-03-01 --json")
    assert said.code == Exit.REFUSED
    pointers = {error["pointer"] for error in said.json["error"]["errors"]}
    assert pointers == {f"/changes/{key}" for key in changes}
    assert timebank("audit verify --json").json["entries"] == 0


@pytest.mark.parametrize("content", ["{", "[1]", "\x00", "null"])
def test_a_file_without_changes_is_usage(made, content):
    (made / "p.json").write_text(content)
    said = timebank("policy publish p.json --effective-on 2026-03-01")
    assert said.code == Exit.USAGE
    assert "p.json" in said.err


def test_a_toml_that_is_none_is_usage(made):
    (made / "p.toml").write_bytes(b"zone = \xff")
    assert timebank("policy publish p.toml --effective-on 2026-03-01").code == Exit.USAGE


def test_nothing_to_change_is_usage(made):
    (made / "p.json").write_text("{}")
    assert timebank("policy publish p.json --effective-on 2026-03-01").code == Exit.USAGE


@pytest.mark.parametrize("effective_on", ["2016-01-01", "2199-01-01"])
def test_a_policy_begins_in_the_past_or_in_the_future(made, effective_on):
    (made / "p.json").write_text('{"daily_cap": 480, "stock_cap": null}')
    said = timebank(f"policy publish p.json --effective-on {effective_on} --json")
    assert said.json["changes"] == {"daily_cap": 480, "stock_cap": None}
    shown = timebank(f"policy show --at {effective_on} --json").json
    assert (shown["version"], shown["values"]["daily_cap"]) == (2, 480)


# --- packs ---------------------------------------------------------------------------------------


def test_packs_are_listed_with_their_sources_before_there_is_a_ledger(folder):
    listed = timebank("policy packs --json").json
    assert [pack["name"] for pack in listed] == ["beijing", "changning", "guangzhou", "nanjing"]
    assert all(pack["source"].isascii() for pack in listed)
    assert "Nanjing" in timebank("policy packs").out


def test_a_pack_is_published_from_a_date_on(made):
    said = timebank("policy publish-pack nanjing --effective-on 2026-06-01 --json").json
    assert said["changes"] == {
        "stock_cap": 90_000,
        "overflow_to": "pool",
        "redeem_eligibility": {"min_age": 60},
    }
    assert "nanjing" in said["note"]
    before, after = (
        timebank(f"policy show --at {day} --json").json["values"]["stock_cap"]
        for day in ("2026-05-31", "2026-06-01")
    )
    assert (before, after) == (None, 90_000)


@pytest.mark.parametrize(("language", "word"), [("zh", "应为"), ("en", "expected one of")])
def test_a_pack_that_is_none_is_usage_and_those_that_are_get_named(
    made, monkeypatch, language, word
):
    monkeypatch.setenv("TIMEBANK_LANG", language)
    said = timebank("policy publish-pack atlantis --effective-on 2026-06-01 --json")
    assert said.code == Exit.USAGE
    assert word in said.json["error"]["detail"]
    assert "beijing" in said.json["error"]["detail"]
    assert timebank("audit verify --json").json["entries"] == 0


def test_what_if_tells_the_difference_for_each_member_and_in_all(made, field):
    field()
    member = timebank(
        "member add --org org-a --roles volunteer --unit lake --external-ref V-1 --json"
    ).json["id"]
    header = "receipt,member_ref,activity,category,place,responsible,started_at,ended_at"
    served = f"{day(2)}T08:00:00+08:00,{day(2)}T12:00:00+08:00"
    (made / "hours.csv").write_text(f"{header}\nR-1,V-1,a,b,lake,s,{served}\n")
    assert timebank("hours import hours.csv --org org-a").code == 0
    (made / "caps.toml").write_text("daily_cap = 100\n")
    asked = f"policy what-if caps.toml --from {day(2)} --to {day(2)}"
    total = {"credits": 240, "would_be": 100, "difference": -140}
    assert timebank(f"{asked} --json").json == {
        "members": [{"member_id": member, **total}],
        "total": total,
    }
    assert "-140" in timebank(asked).out
    assert len(timebank("policy list --json").json["policies"]) == 1


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("--from 2026-03-02 --to 2026-03-01", Exit.USAGE),
        ("--from 2026-03-02", Exit.USAGE),
        ("--from x --to 2026-03-01", Exit.USAGE),
    ],
)
def test_a_what_if_without_a_span_is_usage(made, typed, code):
    (made / "caps.json").write_text('{"daily_cap": 100}')
    assert timebank(f"policy what-if caps.json {typed}").code == code
