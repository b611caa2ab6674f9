"""What an ask takes, and everything that it says of one that is wrong."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from api.asks import (
    Ask,
    Code,
    Day,
    Instant,
    MemberAsk,
    MemberChangeAsk,
    ReasonNeededAsk,
    ServiceRecordAsk,
    Text,
    UnitAsk,
    Uuid,
    holds_personal_data,
)
from api.problems import Invalid, errors_of, problem
from ledger.refusals import Language
from tests.rules.town import ZHANG

RECORD: dict[str, Any] = {
    "receipt": "R-1",
    "member_id": ZHANG,
    "activity": "陪伴就医",
    "category": "elderly",
    "place": "lake",
    "responsible": "staff-7",
    "started_at": "2026-03-09T14:00:00+08:00",
    "ended_at": "2026-03-09T16:00:00+08:00",
}


def wrong(model: type[Ask], value: Any) -> dict[str, str]:
    """Pointer -> code, of everything that is wrong."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return {error.pointer: error.code for error in errors_of(caught.value)}


def record(without: tuple[str, ...] = (), **other: Any) -> dict[str, Any]:
    return {name: value for name, value in (RECORD | other).items() if name not in without}


# --- service records -----------------------------------------------------------------------------


def test_a_service_record_is_read_with_its_defaults() -> None:
    asked = ServiceRecordAsk.model_validate(RECORD)
    assert asked.started_at == datetime(2026, 3, 9, 6, tzinfo=UTC)
    assert asked.started_at.tzinfo is UTC
    assert (asked.break_minutes, asked.capacity, asked.evidence) == (0, "volunteer", "attested")
    assert asked.professional is False


def test_everything_that_is_wrong_is_said_at_once() -> None:
    value = record(
        without=("place", "responsible"),
        receipt="电话13812345678联系",
        capacity="boss",
        ended_at="2026-03-09T13:00:00+08:00",
        member_ref="V-1",
        colour="red",
    )
    assert wrong(ServiceRecordAsk, value) == {
        "/place": "missing",
        "/responsible": "missing",
        "/capacity": "wrong_value",
        "/colour": "unknown_field",
        "/member_ref": "one_of_two",
        "/ended_at": "ends_before_start",
        "/receipt": "personal_data_in_text",
    }


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"ended_at": RECORD["started_at"]}, {"/ended_at": "ends_before_start"}),
        ({"ended_at": "2026-03-09T05:59:00Z"}, {"/ended_at": "ends_before_start"}),
        ({"ended_at": "2026-03-10T14:00:01+08:00"}, {"/ended_at": "longer_than_a_day"}),
        ({"ended_at": "2026-03-09T14:00:59+08:00"}, {"/ended_at": "less_than_a_minute"}),
        ({"break_minutes": 120}, {"/break_minutes": "break_too_long"}),
        ({"break_minutes": 1440}, {"/break_minutes": "break_too_long"}),
        (
            {"ended_at": "2026-03-09T14:01:30+08:00", "break_minutes": 1},
            {"/break_minutes": "less_than_a_minute"},
        ),
        ({"break_minutes": -1}, {"/break_minutes": "wrong_value"}),
        ({"break_minutes": "5"}, {"/break_minutes": "wrong_type"}),
        ({"break_minutes": 5.0}, {"/break_minutes": "wrong_type"}),
        ({"break_minutes": True}, {"/break_minutes": "wrong_type"}),
        ({"break_minutes": None}, {"/break_minutes": "wrong_type"}),
        ({"professional": "true"}, {"/professional": "wrong_type"}),
        ({"receipt": 17}, {"/receipt": "wrong_type"}),
        ({"receipt": ""}, {"/receipt": "wrong_value"}),
        ({"receipt": "  "}, {"/receipt": "not_a_text"}),
        ({"activity": "a\u0000b"}, {"/activity": "not_a_text"}),
        ({"activity": "a\nb"}, {"/activity": "not_a_text"}),
        ({"activity": "a" * 201}, {"/activity": "wrong_value"}),
        ({"place": "The Lake"}, {"/place": "not_a_code"}),
        ({"member_id": ZHANG.upper()}, {"/member_id": "not_a_uuid"}),
        ({"supervisor_id": ZHANG.replace("-", "")}, {"/supervisor_id": "not_a_uuid"}),
        ({"started_at": 1_700_000_000}, {"/started_at": "not_an_instant"}),
        ({"started_at": None}, {"/started_at": "not_an_instant"}),
    ],
)
def test_a_field_that_does_not_fit_is_refused(other: dict[str, Any], found: dict[str, str]) -> None:
    assert wrong(ServiceRecordAsk, record(**other)) == found


def test_a_day_is_not_too_long_and_a_minute_not_too_short() -> None:
    ServiceRecordAsk.model_validate(record(ended_at="2026-03-10T14:00:00+08:00"))
    ServiceRecordAsk.model_validate(record(ended_at="2026-03-09T14:01:00+08:00"))
    ServiceRecordAsk.model_validate(record(break_minutes=119))


def test_a_record_names_one_member_in_one_way() -> None:
    assert wrong(ServiceRecordAsk, record(without=("member_id",))) == {"/member_id": "one_of_two"}
    assert wrong(ServiceRecordAsk, record(member_ref="V-1")) == {"/member_ref": "one_of_two"}
    ServiceRecordAsk.model_validate(record(without=("member_id",), member_ref="V-1"))
    ServiceRecordAsk.model_validate(record(member_ref=None))


@pytest.mark.parametrize("value", [None, 5, "x", [RECORD]])
def test_a_body_that_is_no_object_is_said_to_be_none(value: Any) -> None:
    assert wrong(ServiceRecordAsk, value) == {"": "wrong_type"}


# --- kinds of fields -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-09T14:00:00Z", "2026-03-09T14:00:00+00:00"),
        ("2026-03-09t14:00:00z", "2026-03-09T14:00:00+00:00"),
        ("2026-03-09T14:00:00+08:00", "2026-03-09T06:00:00+00:00"),
        ("2026-03-09T14:00:00-00:00", "2026-03-09T14:00:00+00:00"),
        ("2026-03-09T00:00:00.5-09:30", "2026-03-09T09:30:00.500000+00:00"),
        ("2026-03-09T14:00:00.123456789Z", "2026-03-09T14:00:00.123456+00:00"),
        ("2024-02-29T23:59:59+00:00", "2024-02-29T23:59:59+00:00"),
    ],
)
def test_an_instant_is_rfc_3339_and_becomes_utc(text: str, utc: str) -> None:
    instant = TypeAdapter(Instant).validate_python(text)
    assert instant.isoformat() == utc


@pytest.mark.parametrize(
    "said",
    [
        "2026-03-09T14:00:00",
        "2026-03-09T14:00Z",
        "2026-03-09 14:00:00Z",
        "2026-03-09",
        "2026-03-09T14:00:60Z",
        "2026-03-09T24:00:00Z",
        "2026-02-29T14:00:00Z",
        "2026-3-9T14:00:00Z",
        "20260309T140000Z",
        "2026-W11-1T14:00:00Z",
        "2026-03-09T14:00:00+0800",
        "2026-03-09T14:00:00+08",
        "2026-03-09T14:00:00+24:00",
        "2026-03-09T14:00:00+08:60",
        "2026-03-09T14:00:00.Z",
        "2026-03-09T14:00:00,5Z",
        " 2026-03-09T14:00:00Z",
        "2026-03-09T14:00:00Z\n",
        "０026-03-09T14:00:00Z",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-08:00",
        "1773064800",
        "now",
        "",
        1773064800,
        1773064800.5,
        True,
        None,
        ["2026-03-09T14:00:00Z"],
    ],
)
def test_what_is_no_instant_with_its_offset_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Instant).validate_python(said)
    assert [error["type"] for error in caught.value.errors()] == ["not_an_instant"]


@pytest.mark.parametrize("said", ["2026-02-29", "26-03-09", "2026-03-09T00:00:00", "", 20260309])
def test_what_is_no_date_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Day).validate_python(said)
    assert [error["type"] for error in caught.value.errors()] == ["not_a_date"]


def test_a_text_is_kept_as_it_was_given() -> None:
    assert TypeAdapter(Text).validate_python(" 陪伴 ½ é ") == " 陪伴 ½ é "


@pytest.mark.parametrize("code", ["a", "A-b", "a_b", "a" * 41, "湖", "lake\n", ""])
def test_a_code_is_lower_case_letters_digits_and_hyphens(code: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Code).validate_python(code)


def test_an_id_has_one_spelling() -> None:
    assert TypeAdapter(Uuid).validate_python(ZHANG) == ZHANG
    for other in (ZHANG.upper(), "{" + ZHANG + "}", ZHANG[:-1], ZHANG.replace("-", "")):
        with pytest.raises(ValidationError):
            TypeAdapter(Uuid).validate_python(other)


# --- personal data -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "电话13812345678联系",
        "call 19912345678.",
        "(13812345678)",
        "+8613812345678",
        "_13812345678_",
        "１３８１２３４５６７８",
        "证件37021219900101123X",
        "370212199001011234",
        "３７０２１２１９９００１０１１２３ｘ",
        "a 12 13812345678",
    ],
)
def test_a_mobile_number_or_resident_id_is_found_where_it_stands_alone(text: str) -> None:
    assert holds_personal_data(text)


@pytest.mark.parametrize(
    "text",
    [
        "R-2026-000123",
        "12812345678",
        "1381234567",
        "138123456789",
        "a13812345678",
        "13812345678b",
        "2026030913812345678",
        "3702121990010112345",
        "37021219900101123Xa",
        "019f0000-0000-7000-8000-00000000000a",
        "rosterfy-1381-2345",
    ],
)
def test_other_numbers_are_no_personal_data(text: str) -> None:
    assert not holds_personal_data(text)


@pytest.mark.parametrize("name", ["receipt", "activity", "category", "responsible"])
def test_no_text_of_a_record_may_hold_personal_data(name: str) -> None:
    found = wrong(ServiceRecordAsk, record(**{name: "x 13812345678"}))
    assert found == {f"/{name}": "personal_data_in_text"}


def test_references_that_stay_in_the_vault_may_be_anything() -> None:
    ServiceRecordAsk.model_validate(record(without=("member_id",), member_ref="13812345678"))
    MemberAsk.model_validate(
        {"roles": ["volunteer"], "unit": "lake", "external_ref": "370212199001011234"}
    )


def test_a_reason_and_a_name_may_not_hold_personal_data() -> None:
    assert wrong(ReasonNeededAsk, {"reason": "13812345678"}) == {"/reason": "personal_data_in_text"}
    unit = {"code": "lake", "name": "湖街 13812345678", "level": "street"}
    assert wrong(UnitAsk, unit) == {"/name": "personal_data_in_text"}


# --- members -------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_a_member_is_said_with_the_person_in_it() -> None:
    value = {
        "roles": ["volunteer", "volunteer"],
        "unit": "Lake",
        "consent_ref": "13812345678",
        "person": {"name": " ", "birth_date": "1950-02-30", "address": "x"},
    }
    assert wrong(MemberAsk, value) == {
        "/roles": "given_twice",
        "/unit": "not_a_code",
        "/consent_ref": "personal_data_in_text",
        "/person/name": "not_a_text",
        "/person/birth_date": "not_a_date",
        "/person/address": "unknown_field",
    }


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        ([], "wrong_value"),
        ("volunteer", "wrong_type"),
        (None, "wrong_type"),
        (["boss"], "wrong_value"),
    ],
)
def test_a_member_has_one_role_at_least(roles: Any, code: str) -> None:
    found = wrong(MemberAsk, {"roles": roles, "unit": "lake"})
    assert list(found.values()) == [code]


def test_a_change_tells_null_from_left_out() -> None:
    asked = MemberChangeAsk.model_validate({"person": {"phone": None}})
    assert asked.person is not None
    assert asked.person.model_fields_set == {"phone"}


# --- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "said"), [("zh", "必须且只能给出"), ("en", "only one of them")]
)
def test_errors_are_said_in_chinese_and_english(language: Language, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ServiceRecordAsk.model_validate(record(member_ref="V-1", break_minutes="5"))
    body = problem(Invalid(errors_of(caught.value)), language)
    assert body["status"] == 422
    assert body["code"] == "invalid"
    assert len(body["errors"]) == 2
    assert any(said in error["detail"] for error in body["errors"])


def test_no_error_repeats_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        ServiceRecordAsk.model_validate(record(activity="secret\n", receipt="13812345678"))
    assert "secret" not in str(caught.value)
    assert "13812345678" not in str(caught.value)
