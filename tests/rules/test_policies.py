"""The rule book of numbers: every key, its shape, and what holds on a date."""

from datetime import date
from typing import Any

import pytest

from ledger.events import PolicyPublished
from ledger.policy import DEFAULTS, completed, wrong_shapes
from ledger.policy_packs import packs
from ledger.refusals import WORDS
from tests.rules.town import Town, policy, town


def test_policies_are_numbered_from_two():
    given = town()
    given.when(policy("2026-01-01", rounding="hour_floor")).then(PolicyPublished, version=2)
    given.when(policy("2020-01-01", zone="Europe/London")).then(PolicyPublished, version=3)


# --- defaults ------------------------------------------------------------------------------------


def test_every_key_of_the_rule_book_has_its_default():
    simple = {
        "zone": "Asia/Shanghai",
        "credit_rate": {"default": 10_000, "by_category": {}},
        "rounding": "exact",
        "daily_cap": None,
        "stock_cap": None,
        "overflow_to": "discard",
        "expiry": None,
        "redeem_eligibility": {},
        "gift": {
            "relations": ["spouse", "parent", "child", "sibling", "grandparent", "grandchild"],
            "yearly_max": None,
        },
        "late_recording": {"working_days": 10, "effect": "flag"},
        "calendar": {"holidays": [], "workdays": []},
        "backfill_window_days": 365,
        "hold_days": 14,
        "order_sla": {"accept_minutes": 120, "punctual_minutes": 10},
        "stars": [6_000, 18_000, 36_000, 60_000, 90_000],
        "grants": {},
        "proof_title": {"zh": "平台服务记录", "en": "Platform service statement"},
        "idempotency_hours": 72,
        "retention_years": 10,
    }
    assert {key: DEFAULTS[key] for key in simple} == simple
    assert DEFAULTS.keys() - simple.keys() == {
        "points",
        "ladder",
        "grade",
        "supervision_index",
        "kpi",
    }


def test_the_defaults_themselves_have_the_shapes_they_ask_for():
    assert wrong_shapes(DEFAULTS) == []
    assert completed(DEFAULTS) == DEFAULTS


def test_the_weights_of_a_score_are_ten_thousand_together():
    assert sum(DEFAULTS["grade"]["weights"].values()) == 10_000
    assert sum(DEFAULTS["supervision_index"]["weights"].values()) == 10_000
    index = DEFAULTS["supervision_index"]
    assert index["weights"].keys() == index["targets_bps"].keys()


def test_no_default_is_a_float():
    def values(value: Any) -> Any:
        match value:
            case dict():
                return [each for inner in value.values() for each in values(inner)]
            case list():
                return [each for inner in value for each in values(inner)]
        return [value]

    assert {type(each) for each in values(DEFAULTS)} == {int, str, type(None)}


# --- what may be published -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"late_recording": {"effect": "no_credit"}}, {"working_days": 10, "effect": "no_credit"}),
        (
            {"credit_rate": {"by_category": {"medical": 12_500}}},
            {"default": 10_000, "by_category": {"medical": 12_500}},
        ),
        ({"gift": {"yearly_max": 600}}, {**DEFAULTS["gift"], "yearly_max": 600}),
        ({"gift": {"relations": []}}, {"relations": [], "yearly_max": None}),
        ({"expiry": {"months": 24}}, {"months": 24}),
        ({"expiry": None}, None),
        ({"redeem_eligibility": {"min_age": 60}}, {"min_age": 60}),
        ({"grants": {"elders-2026": 120_000}}, {"elders-2026": 120_000}),
        ({"daily_cap": 0}, 0),
        ({"daily_cap": None}, None),
        ({"stock_cap": 90_000}, 90_000),
        ({"overflow_to": "pool"}, "pool"),
        ({"stars": [1]}, [1]),
        ({"stars": list(range(1, 11))}, list(range(1, 11))),
        ({"proof_title": {"zh": "服务记录"}}, {**DEFAULTS["proof_title"], "zh": "服务记录"}),
        ({"idempotency_hours": 1}, 1),
        ({"hold_days": 0}, 0),
        ({"order_sla": {"accept_minutes": 30}}, {"accept_minutes": 30, "punctual_minutes": 10}),
    ],
)
def test_a_change_is_stored_with_its_objects_whole(changes, stored):
    fact = town().when(policy("2026-01-01", **changes)).then(PolicyPublished, version=2)
    (key,) = changes
    assert fact.changes == {key: stored}


def test_an_object_is_made_whole_to_any_depth():
    changes = {
        "points": {"certificate": {"senior": 500}, "lecture": 0},
        "grade": {"floors_hundredths": {"G1": 9_000}, "colours": {"G4": "黑"}},
        "supervision_index": {"targets_bps": {"satisfaction": 9_000}},
    }
    stored = completed(changes)
    assert stored["points"]["certificate"] == {
        "assistant": 100,
        "social_worker": 200,
        "senior": 500,
    }
    assert stored["points"] == {
        **DEFAULTS["points"],
        "certificate": stored["points"]["certificate"],
        "lecture": 0,
    }
    assert stored["grade"]["floors_hundredths"] == {"G1": 9_000, "G2": 7_000, "G3": 6_000}
    assert stored["grade"]["window_days"] == 90
    assert stored["supervision_index"]["targets_bps"]["training_conversion"] == 8_000
    assert DEFAULTS["points"]["certificate"]["senior"] == 400


# --- what may not --------------------------------------------------------------------------------

NUMBERS = [
    "backfill_window_days",
    "hold_days",
    "idempotency_hours",
    "retention_years",
    "daily_cap",
    "stock_cap",
    "late_recording/working_days",
    "order_sla/accept_minutes",
    "order_sla/punctual_minutes",
    "redeem_eligibility/min_stars",
    "redeem_eligibility/min_age",
    "gift/yearly_max",
    "expiry/months",
    "credit_rate/default",
    "credit_rate/by_category/medical",
    "grants/elders",
    "points/lecture",
    "points/certificate/senior",
    "points/competition_prize/first",
    "points/project_outcome_bps/excellent",
    "ladder/expert_points",
    "grade/window_days",
    "grade/weights/activity",
    "grade/floors_hundredths/G3",
    "supervision_index/weights/satisfaction",
    "supervision_index/targets_bps/satisfaction",
    "kpi/conversion_days",
]


def at(path: str, value: object) -> dict[str, Any]:
    """The value at its place: `grade/weights/activity` is three objects deep."""
    first, *rest = path.split("/")
    for name in reversed(rest):
        value = {name: value}
    return {first: value}


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", [-1, 1.0, True, "1", [1], {}, 10**13])
def test_a_number_is_whole_and_never_below_zero(path, value):
    town().when(policy("2026-01-01", **at(path, value))).then_refused(
        "invalid_policy", f"/changes/{path}"
    )


@pytest.mark.parametrize(
    "path", [path for path in NUMBERS if path not in ("daily_cap", "stock_cap")]
)
def test_null_is_a_value_only_where_it_means_that_there_is_none(path):
    refused = wrong_shapes(at(path, None))
    assert [wrong.path for wrong in refused] == ([] if path == "gift/yearly_max" else [f"/{path}"])


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"colour": "red"}, "/colour", "unknown_key"),
    ({"a/b~": 1}, "/a~1b~0", "unknown_key"),
    ({"zone": "Mars/Olympus"}, "/zone", "unknown_zone"),
    ({"zone": "asia/shanghai"}, "/zone", "unknown_zone"),
    ({"zone": 8}, "/zone", "unknown_zone"),
    ({"zone": None}, "/zone", "unknown_zone"),
    ({"rounding": "up"}, "/rounding", "not_one_of_the_allowed"),
    ({"rounding": ["exact"]}, "/rounding", "not_one_of_the_allowed"),
    ({"overflow_to": "org"}, "/overflow_to", "not_one_of_the_allowed"),
    ({"late_recording": {"effect": "shame"}}, "/late_recording/effect", "not_one_of_the_allowed"),
    ({"credit_rate": 10_000}, "/credit_rate", "object_expected"),
    ({"credit_rate": None}, "/credit_rate", "object_expected"),
    ({"credit_rate": {"rate": 1}}, "/credit_rate/rate", "unknown_key"),
    ({"credit_rate": {"by_category": []}}, "/credit_rate/by_category", "object_expected"),
    (
        {"credit_rate": {"by_category": {"a/b~": -1}}},
        "/credit_rate/by_category/a~1b~0",
        "out_of_range",
    ),
    ({"calendar": {"holidays": "2026-01-01"}}, "/calendar/holidays", "list_expected"),
    ({"calendar": {"holidays": ["2026-13-01"]}}, "/calendar/holidays/0", "date_expected"),
    ({"calendar": {"holidays": ["2026-W10-5"]}}, "/calendar/holidays/0", "date_expected"),
    ({"calendar": {"holidays": ["20260101"]}}, "/calendar/holidays/0", "date_expected"),
    (
        {"calendar": {"workdays": ["2026-01-01", 20260102]}},
        "/calendar/workdays/1",
        "date_expected",
    ),
    ({"expiry": {}}, "/expiry/months", "value_needed"),
    ({"expiry": {"months": 1, "years": 1}}, "/expiry/years", "unknown_key"),
    ({"expiry": {"months": 0}}, "/expiry/months", "out_of_range"),
    ({"expiry": "none"}, "/expiry", "object_expected"),
    ({"expiry": 24}, "/expiry", "object_expected"),
    ({"redeem_eligibility": {"min_tier": 1}}, "/redeem_eligibility/min_tier", "unknown_key"),
    ({"redeem_eligibility": None}, "/redeem_eligibility", "object_expected"),
    ({"gift": {"relations": "child"}}, "/gift/relations", "list_expected"),
    ({"gift": {"relations": ["child", " "]}}, "/gift/relations/1", "text_expected"),
    ({"gift": {"relations": ["child", 7]}}, "/gift/relations/1", "text_expected"),
    ({"gift": {"relations": ["child\n"]}}, "/gift/relations/0", "text_expected"),
    ({"gift": {"relations": ["x" * 41]}}, "/gift/relations/0", "too_long"),
    ({"gift": {"relations": ["child", "child"]}}, "/gift/relations/1", "named_twice"),
    ({"stars": 6_000}, "/stars", "list_expected"),
    ({"stars": []}, "/stars", "wrong_length"),
    ({"stars": list(range(1, 12))}, "/stars", "wrong_length"),
    ({"stars": [0]}, "/stars/0", "out_of_range"),
    ({"stars": [10, True]}, "/stars/1", "whole_number_expected"),
    ({"stars": [10, 10]}, "/stars/1", "not_above_the_one_before"),
    ({"grade": {"weights": {"satisfaction": 4_001}}}, "/grade/weights", "wrong_total"),
    (
        {"supervision_index": {"weights": {"satisfaction": 0}}},
        "/supervision_index/weights",
        "wrong_total",
    ),
    ({"stars": [10, 20, 15]}, "/stars/2", "not_above_the_one_before"),
    ({"grants": {"E": 1}}, "/grants/E", "code_expected"),
    ({"grants": {"a/b": 1}}, "/grants/a~1b", "code_expected"),
    ({"grants": {"elders\n": 1}}, "/grants/elders\n", "code_expected"),
    ({"grants": [["elders", 1]]}, "/grants", "object_expected"),
    ({"points": {"referral": 1}}, "/points/referral", "unknown_key"),
    ({"points": {"certificate": 100}}, "/points/certificate", "object_expected"),
    ({"points": {"certificate": {"master": 1}}}, "/points/certificate/master", "unknown_key"),
    (
        {"ladder": {"expert_supervision_months": 0}},
        "/ladder/expert_supervision_months",
        "out_of_range",
    ),
    ({"grade": {"window_days": 0}}, "/grade/window_days", "out_of_range"),
    ({"grade": {"activity_hours": 0}}, "/grade/activity_hours", "out_of_range"),
    ({"grade": {"floors_hundredths": {"G4": 0}}}, "/grade/floors_hundredths/G4", "unknown_key"),
    ({"grade": {"colours": {"G1": ""}}}, "/grade/colours/G1", "text_expected"),
    ({"grade": {"colours": {"G1": None}}}, "/grade/colours/G1", "text_expected"),
    (
        {"supervision_index": {"targets_bps": {"satisfaction": 0}}},
        "/supervision_index/targets_bps/satisfaction",
        "out_of_range",
    ),
    ({"kpi": []}, "/kpi", "object_expected"),
    ({"proof_title": "证明"}, "/proof_title", "object_expected"),
    ({"proof_title": {"fr": "x"}}, "/proof_title/fr", "unknown_key"),
    ({"proof_title": {"zh": "x" * 201}}, "/proof_title/zh", "too_long"),
    ({"proof_title": {"zh": 1}}, "/proof_title/zh", "text_expected"),
    ({"idempotency_hours": 0}, "/idempotency_hours", "out_of_range"),
    ({"retention_years": 0}, "/retention_years", "out_of_range"),
]


@pytest.mark.parametrize(("changes", "path", "problem"), WRONG)
def test_a_policy_of_the_wrong_shape_is_refused_at_its_place(changes, path, problem):
    assert [(wrong.path, wrong.problem) for wrong in wrong_shapes(changes)] == [(path, problem)]
    town().when(policy("2026-01-01", **changes)).then_refused("invalid_policy", f"/changes{path}")


def test_everything_that_is_wrong_is_found():
    changes = {"stars": [5, 4, 0, "x"], "zone": 1, "grade": {"weights": {"x": 1, "activity": -1}}}
    assert [wrong.path for wrong in wrong_shapes(changes)] == [
        "/stars/1",
        "/stars/2",
        "/stars/3",
        "/zone",
        "/grade/weights/x",
        "/grade/weights/activity",
    ]


@pytest.mark.parametrize("problem", sorted({problem for _, _, problem in WRONG}))
def test_what_is_wrong_is_said_in_chinese_and_english(problem):
    zh, en = WORDS[problem]
    assert not zh.isascii()
    assert en.isascii()


# --- policies in time ----------------------------------------------------------------------------


def on(given: Town, day: str) -> Any:
    return given.state("policies").on(date.fromisoformat(day))


def test_a_cap_of_june_leaves_may_as_it_was():
    given = town().given(policy("2026-01-01", daily_cap=480), policy("2026-06-01", daily_cap=360))
    caps = [on(given, day)["daily_cap"] for day in ("2025-12-31", "2026-05-31", "2026-06-01")]
    assert caps == [None, 480, 360]


def test_each_key_has_a_history_of_its_own():
    given = town().given(
        policy("2026-01-01", daily_cap=480, stock_cap=90_000),
        policy("2026-06-01", daily_cap=360),
        policy("2026-03-01", stock_cap=36_000, overflow_to="pool"),
    )
    july = on(given, "2026-07-01")
    assert (july["daily_cap"], july["stock_cap"], july["overflow_to"]) == (360, 36_000, "pool")
    february = on(given, "2026-02-01")
    assert (february["daily_cap"], february["stock_cap"], february["overflow_to"]) == (
        480,
        90_000,
        "discard",
    )


def test_the_latest_date_goes_before_the_later_version():
    given = town().given(policy("2026-06-01", hold_days=7), policy("2026-01-01", hold_days=30))
    assert on(given, "2026-05-31")["hold_days"] == 30
    assert on(given, "2026-06-01")["hold_days"] == 7


def test_of_one_date_the_later_version_counts():
    given = town().given(policy("2026-06-01", hold_days=7), policy("2026-06-01", hold_days=21))
    assert on(given, "2026-06-01")["hold_days"] == 21


def test_a_cap_is_lifted_by_null():
    given = town().given(policy("2026-01-01", daily_cap=480), policy("2026-06-01", daily_cap=None))
    assert on(given, "2026-05-31")["daily_cap"] == 480
    assert on(given, "2026-06-01")["daily_cap"] is None


def test_a_later_publication_of_an_object_starts_again_from_the_default():
    given = town().given(
        policy("2026-01-01", order_sla={"accept_minutes": 30}),
        policy("2026-06-01", order_sla={"punctual_minutes": 5}),
    )
    assert on(given, "2026-06-01")["order_sla"] == {"accept_minutes": 120, "punctual_minutes": 5}


# --- packs ---------------------------------------------------------------------------------------

CLAIMS = ("official", "standard", "certified", "complian", "官方", "标准", "认证", "合规")


@pytest.mark.parametrize("name", ["beijing", "nanjing", "changning", "guangzhou"])
def test_a_pack_is_published_like_any_other_changes_and_claims_no_authority(name):
    pack = packs()[name]
    assert wrong_shapes(pack.changes) == []
    given = town().given(policy("2026-06-01", **pack.changes))
    assert {key: on(given, "2026-06-01")[key] for key in pack.changes} == completed(pack.changes)
    assert pack.source.keys() == {"zh", "en"}
    for source in pack.source.values():
        assert not any(claim in source.lower() for claim in CLAIMS)


def test_the_packs_have_the_numbers_that_are_known_of_their_cities():
    changes = {name: pack.changes for name, pack in packs().items()}
    assert changes.keys() == {"beijing", "nanjing", "changning", "guangzhou"}
    assert changes["beijing"]["redeem_eligibility"] == {"min_age": 60}
    assert "sibling" not in changes["beijing"]["gift"]["relations"]
    assert (changes["nanjing"]["stock_cap"], changes["nanjing"]["overflow_to"]) == (90_000, "pool")
    assert changes["changning"] == {"daily_cap": 120, "stock_cap": 36_000}
    assert changes["guangzhou"]["rounding"] == "hour_floor"
    assert changes["guangzhou"]["redeem_eligibility"] == {"min_stars": 1}
    assert changes["guangzhou"]["stars"][0] == 6_000
