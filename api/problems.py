"""Problems (RFC 9457): every no of the house as HTTP says it, in Chinese or English."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ledger.refusals import REFUSALS, Language, detail, title
from ledger.units import Refused

Place = Literal["body", "query", "header"]

STATUS: dict[str, int] = {
    "malformed_json": 400,
    "bad_encoding": 400,
    "unreadable_sheet": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,  # in a path; at a field of the request it is 422
    "method_not_allowed": 405,
    "too_slow": 408,
    "stale": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "invalid": 422,
    "invalid_policy": 422,
    "personal_data_in_text": 422,
    "idempotency_key_reused": 422,
    "missing": 422,
    "unknown_field": 422,
    "unknown_parameter": 422,
    "unknown_column": 422,
    "missing_column": 422,
    "column_given_twice": 422,
    "beyond_the_columns": 422,
    "cell_without_offset": 422,
    "cell_rounded": 422,
    "wrong_type": 422,
    "wrong_value": 422,
    "not_a_text": 422,
    "not_a_code": 422,
    "not_a_uuid": 422,
    "given_twice": 422,
    "not_an_instant": 422,
    "not_a_date": 422,
    "ends_before_start": 422,
    "longer_than_a_day": 422,
    "break_too_long": 422,
    "less_than_a_minute": 422,
    "one_of_two": 422,
    "to_oneself": 422,
    "nothing_corrected": 422,
    "not_a_url": 422,
    "not_https": 422,
    "address_not_public": 422,
    "internal": 500,
    "busy": 503,
    "issuer_unreachable": 503,
    "view_behind": 503,
    "vault_key_changed": 503,
}
"""Code -> status, where it is not 409: what needs clock, policy or history."""

RULE_STATUS = 409
RETRY_AFTER_SECONDS = {
    "busy": "1",
    "issuer_unreachable": "30",
    "view_behind": "1",
    "vault_key_changed": "30",
}
RETRIED = {*RETRY_AFTER_SECONDS, "too_many_requests"}
"""What is answered with `Retry-After`; too many requests are told how long by who counts them."""

WORDS: dict[str, tuple[str, str]] = {
    "string": ("字符串", "a string"),
    "integer": ("整数", "an integer"),
    "boolean": ("布尔值", "a boolean"),
    "object": ("对象", "an object"),
    "list": ("列表", "a list"),
    "text": ("文本", "text"),
    "once": ("只能给出一次", "given once"),
    "next_cursor": ("上一页的 next_cursor", "the next_cursor of a page before"),
}
"""What a field should have been, where it takes a word."""


class FieldError(NamedTuple):
    """One thing wrong with a request: where (RFC 6901), and which no."""

    pointer: str
    code: str
    params: Mapping[str, object] = {}
    place: Place = "body"


class Invalid(Exception):
    """What the request alone shows wrong: all of it."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = list(errors)
        super().__init__(self.errors)


No = Refused | Invalid


def wrong(code: str, /, **params: object) -> PydanticCustomError:
    """What a validator of ours raises: a code of `ledger.refusals` with its params.

    A model's validator says with `pointer` (from the model on) which field it is about.
    """
    return PydanticCustomError(code, "{code}", {"code": code, **params})


def errors_of(error: ValidationError, place: Place = "body", prefix: str = "") -> list[FieldError]:
    """Everything that pydantic found wrong, in our words."""
    found = error.errors(include_url=False, include_input=False)
    return [_field_error(each, place, prefix) for each in found]


def status_of(no: No) -> int:
    """The HTTP status of a no."""
    if isinstance(no, Invalid):
        return 422
    if no.code == "not_found" and no.pointer is not None:
        return 422
    return STATUS.get(no.code, RULE_STATUS)


def retry_after(no: No) -> str | None:
    """The seconds after which to try again, where that may help."""
    code = code_of(no)
    if code == "too_many_requests" and isinstance(no, Refused):
        return str(no.params["seconds"])
    return RETRY_AFTER_SECONDS.get(code)


def code_of(no: No) -> str:
    """The problem's code: that of its errors where they all have one that programs know."""
    if isinstance(no, Refused):
        return no.code
    codes = {error.code for error in no.errors}
    if len(codes) == 1 and codes <= {"personal_data_in_text", "not_found"}:
        return codes.pop()
    return "invalid"


def problem(no: No, language: Language, request_id: str | None = None) -> dict[str, Any]:
    """The problem document of a no."""
    code, status = code_of(no), status_of(no)
    errors: list[dict[str, str]] = []
    params: Mapping[str, object] = {}
    if isinstance(no, Invalid):
        errors = [_word(error, language) for error in no.errors]
        params = {"count": len(errors)}
    else:
        params = no.params
        if no.pointer is not None or status in (400, 422):
            errors = [_word(FieldError(no.pointer or "", code, params), language)]
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": title(code, language),
        "status": status,
        "code": code,
        "detail": detail(code, language, _worded(params, language)),
    }
    if request_id is not None:
        body["request_id"] = request_id
    if errors:
        body["errors"] = errors
    return body


def language_of(accept_language: str | None) -> Language:
    """Chinese, unless the header (RFC 9110, section 12.5.4) prefers English."""
    if not accept_language:
        return "zh"
    best: Language = "zh"
    weight = 0.0
    for part in accept_language.split(","):
        name, _, parameter = part.strip().partition(";")
        primary = name.strip().lower().partition("-")[0]
        if primary not in ("zh", "en"):
            continue
        said = _weight(parameter)
        if said > weight:
            best, weight = "en" if primary == "en" else "zh", said
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _word(error: FieldError, language: Language) -> dict[str, str]:
    said = {
        "pointer": error.pointer,
        "code": error.code,
        "detail": detail(error.code, language, _worded(error.params, language)),
    }
    if error.place != "body":
        said["in"] = error.place
    return said


def _worded(params: Mapping[str, object], language: Language) -> Mapping[str, object]:
    expected = params.get("expected")
    if isinstance(expected, str) and expected in WORDS:
        return {**params, "expected": WORDS[expected][0 if language == "zh" else 1]}
    return params


def _field_error(found: ErrorDetails, place: Place, prefix: str) -> FieldError:
    kind = found["type"]
    context: Mapping[str, Any] = found.get("ctx", {})
    pointer = prefix + "".join(f"/{_escape(str(part))}" for part in found["loc"])
    if kind in REFUSALS:
        params = {name: value for name, value in context.items() if name not in ("code", "pointer")}
        return FieldError(pointer + str(context.get("pointer", "")), kind, params, place)
    if kind == "missing":
        return FieldError(pointer, "missing", {}, place)
    if kind == "extra_forbidden":
        unknown = "unknown_field" if place == "body" else "unknown_parameter"
        return FieldError(pointer, unknown, {}, place)
    if kind in _TYPES:
        return FieldError(pointer, "wrong_type", {"expected": _TYPES[kind]}, place)
    return FieldError(pointer, "wrong_value", {"expected": _expected(kind, context)}, place)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    """What pydantic says it wanted, in signs that need no language."""
    for name, sign in _SIGNS.items():
        if name in context:
            return f"{sign}{context[name]}"
    return kind.replace("_", " ")


_SIGNS = {
    "expected": "",
    "pattern": "",
    "ge": "≥ ",
    "gt": "> ",
    "le": "≤ ",
    "lt": "< ",
    "min_length": "≥ ",
    "max_length": "≤ ",
}
_TYPES = {
    "string_type": "string",
    "int_type": "integer",
    "int_parsing": "integer",
    "int_from_float": "integer",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "list_type": "list",
    "tuple_type": "list",
}
