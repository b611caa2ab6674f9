"""Every no is a problem after RFC 9457, in the caller's language."""

import pytest

from api.problems import STATUS, FieldError, Invalid, code_of, language_of, problem, status_of
from ledger.refusals import REFUSALS
from ledger.units import Refused
from tests.api.house import House

UNIT = {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"}


async def test_a_problem_says_what_where_and_in_which_request(house: House) -> None:
    body = {"code": "NO", "name": 7, "level": "planet", "extra": 1}
    said = await house.admin.post("/v1/units?strange=1", body, headers={"X-Request-Id": "req-1"})
    problem = said.json
    assert said.headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "/problems/invalid"
    assert (problem["status"], problem["code"]) == (said.status, "invalid") == (422, "invalid")
    assert problem["request_id"] == said.headers["X-Request-Id"] == "req-1"
    assert said.pointers == {
        "/strange": "unknown_parameter",
        "/code": "not_a_code",
        "/name": "wrong_type",
        "/level": "wrong_value",
        "/extra": "unknown_field",
    }
    (strange,) = [error for error in problem["errors"] if error["pointer"] == "/strange"]
    assert strange["in"] == "query"
    assert "5" in problem["detail"]


async def test_problems_are_chinese_unless_english_is_wanted(house: House) -> None:
    titles = {}
    for wanted in (None, "en", "zh-CN,zh;q=0.9,en;q=0.8", "en-GB, zh;q=0.1", "fr", "*", ";;;q="):
        headers = {} if wanted is None else {"Accept-Language": wanted}
        said = await house.stranger.get("/v1/units", headers=headers)
        titles[wanted] = said.json["title"]
        english = wanted in ("en", "en-GB, zh;q=0.1")
        assert said.headers["Content-Language"] == ("en" if english else "zh")
    assert titles["en"] == titles["en-GB, zh;q=0.1"] == REFUSALS["unauthenticated"].title_en
    chinese = {title for wanted, title in titles.items() if title != titles["en"]}
    assert chinese == {REFUSALS["unauthenticated"].title_zh}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "zh"),
        ("en;q=0.5, zh;q=0.9", "zh"),
        ("en;q=0.9, zh;q=0.5", "en"),
        ("EN-us", "en"),
        ("en;q=0", "zh"),
        ("de, en;q=0.7", "en"),
        ("en;q=nonsense", "zh"),
    ],
)
def test_the_heavier_language_wins(header: str | None, language: str) -> None:
    assert language_of(header) == language


async def test_a_request_id_is_taken_where_it_is_usable_else_made(house: House) -> None:
    kept = await house.stranger.get("/healthz", headers={"X-Request-Id": "abc-123_4"})
    assert kept.headers["X-Request-Id"] == "abc-123_4"
    for strange in ('"quoted"', "with space", "x" * 129, "中文", "{}", "-leading"):
        made = await house.stranger.get("/healthz", headers={"X-Request-Id": strange})
        assert made.headers["X-Request-Id"] != strange
        assert len(made.headers["X-Request-Id"]) == 36


def test_every_code_has_a_status_that_the_contract_gives_it() -> None:
    assert set(STATUS) <= set(REFUSALS)
    rules = {code for code in REFUSALS if status_of(Refused(code)) == 409}
    assert {
        *("receipt_reused", "overlapping_service", "service_in_the_future", "too_old"),
        *("organisation_suspended", "second_person_needed", "wrong_state", "own_hours"),
        *("consent_needed", "idempotency_key_in_flight"),
    } <= rules
    assert status_of(Refused("idempotency_key_reused")) == 422
    assert status_of(Refused("not_found")) == 404
    assert status_of(Refused("not_found", pointer="/place")) == 422


def test_one_kind_of_error_names_the_problem_and_many_are_invalid() -> None:
    personal = FieldError("/a", "personal_data_in_text")
    assert code_of(Invalid([personal, personal._replace(pointer="/b")])) == "personal_data_in_text"
    assert code_of(Invalid([personal, FieldError("/b", "missing")])) == "invalid"
    assert code_of(Invalid([FieldError("/b", "missing")])) == "invalid"


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_refusal_can_be_worded(code: str, language: str) -> None:
    names = ("receipt", "ended_at", "now", "served_on", "oldest", "organisation", "before", "after")
    names += ("what", "level", "parent", "count", "problem", "refused", "limit", "position")
    names += ("column", "expected", "first", "second", "month", "today", "until", "as_of")
    names += ("credits", "available", "fund", "left", "most", "year", "quantity", "unmet", "day")
    names += ("opens", "closes", "hours", "needed", "said", "earliest", "last", "seconds")
    said = problem(Refused(code, **dict.fromkeys(names, "X")), language, "r")  # type: ignore[arg-type]
    assert said["title"]
    assert "{" not in said["detail"]
