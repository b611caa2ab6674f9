"""What may be asked: the strict models of request bodies, for HTTP, sheets and CLI alike.

A model says everything that is wrong with a body at once: its fields, what they are beside each
other, and personal data in texts that would enter the ledger. Nothing is coerced: a number is no
text, a text no number, and an instant has its offset. Fields are checked in pydantic's core, so
that a service record takes a few microseconds.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from operator import attrgetter, methodcaller
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError
from pydantic_core import core_schema as core

from ledger.events import Capacity, Evidence, MemberRole, OrganisationKind, UnitLevel
from ledger.units import MINUTE

TEXT_MAX = 200
REASON_MAX = 1_000
SERVICE_MAX = timedelta(hours=24)

# --- kinds of fields -----------------------------------------------------------------------------

_PLAIN = r"[^\u0000-\u001F\u007F-\u009F\u2028\u2029]"  # no control characters, no line ends
_PLAIN_AND_SEEN = r"[^\s\u0000-\u001F\u007F-\u009F\u2028\u2029]"
TEXT_PATTERN = rf"^{_PLAIN}*{_PLAIN_AND_SEEN}{_PLAIN}*$"
CODE_PATTERN = r"^[a-z0-9-]{2,40}$"
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
DAY_PATTERN = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
INSTANT_PATTERN = (
    # RFC 3339, section 5.6; years from which no zone leads out of the calendar
    r"^([1-8][0-9]{3}|9[0-8][0-9]{2})-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)


def _no(schema: CoreSchema, code: str) -> CoreSchema:
    """The schema, which says one no of ours whatever is wrong."""
    return core.custom_error_schema(schema, code, custom_error_message=code)


def _patterned(pattern: str, code: str) -> GetPydanticSchema:
    """A string of one shape; what is no string at all is said to be of a wrong type."""
    schema = core.chain_schema(
        [core.str_schema(strict=True), _no(core.str_schema(pattern=pattern), code)]
    )
    return GetPydanticSchema(lambda source, handler: schema)


def _line(longest: int) -> GetPydanticSchema:
    """A line of text of at most so many characters."""
    schema = core.chain_schema(
        [
            core.str_schema(strict=True, min_length=1, max_length=longest),
            _no(core.str_schema(pattern=TEXT_PATTERN), "not_a_text"),
        ]
    )
    said = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": TEXT_PATTERN}
    return GetPydanticSchema(lambda source, handler: schema, lambda source, handler: said)


_INSTANT = core.no_info_after_validator_function(
    methodcaller("astimezone", UTC),
    _no(
        core.chain_schema(
            [
                core.str_schema(strict=True, pattern=INSTANT_PATTERN),
                core.datetime_schema(strict=False, tz_constraint="aware"),
            ]
        ),
        "not_an_instant",
    ),
)
_DAY = _no(
    core.chain_schema(
        [core.str_schema(strict=True, pattern=DAY_PATTERN), core.date_schema(strict=False)]
    ),
    "not_a_date",
)

Text = Annotated[str, _line(TEXT_MAX)]
"""A line of text as it was given: something to see in it, and no control characters."""
Reason = Annotated[str, _line(REASON_MAX)]
"""Why something is done."""
Code = Annotated[
    str,
    _patterned(CODE_PATTERN, "not_a_code"),
    WithJsonSchema({"type": "string", "pattern": CODE_PATTERN}),
]
"""The code of a unit or an organisation."""
Uuid = Annotated[
    str,
    _patterned(UUID_PATTERN, "not_a_uuid"),
    WithJsonSchema({"type": "string", "format": "uuid", "pattern": UUID_PATTERN}),
]
"""An id that the ledger made: lower case, with hyphens."""
Instant = Annotated[
    datetime,
    GetPydanticSchema(lambda source, handler: _INSTANT),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}),
]
"""RFC 3339 with its offset, as the UTC instant it names; digits after the microsecond are cut."""
Day = Annotated[
    date,
    GetPydanticSchema(lambda source, handler: _DAY),
    WithJsonSchema({"type": "string", "format": "date", "pattern": DAY_PATTERN}),
]
"""An ISO 8601 date."""


def _each_once(roles: tuple[MemberRole, ...]) -> tuple[MemberRole, ...]:
    if not roles:
        raise PydanticCustomError("wrong_value", "wrong_value", {"expected": "≥ 1"})
    if len(set(roles)) != len(roles):
        raise PydanticCustomError("given_twice", "given_twice")
    return roles


Roles = Annotated[
    tuple[MemberRole, ...],
    Field(strict=False, json_schema_extra={"minItems": 1, "uniqueItems": True}),
    AfterValidator(_each_once),
]

# --- personal data -------------------------------------------------------------------------------

_LONG_NUMBER = re.compile(r"\d{11}")  # \d takes digits of every script and width
_PERSONAL = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:\+86)?1[3-9][0-9]{9}|[0-9]{17}[0-9Xx])(?![0-9A-Za-z])"
)


def holds_personal_data(text: str) -> bool:
    """Does a mobile number or a resident id stand alone in the text, full-width digits too?

    Alone is: beside no further Latin letter or digit; Chinese writes no space before a number.
    """
    if _LONG_NUMBER.search(text) is None:
        return False
    return _PERSONAL.search(unicodedata.normalize("NFKC", text)) is not None


def _impersonal(text: str) -> str:
    if holds_personal_data(text):
        raise PydanticCustomError("personal_data_in_text", "personal_data_in_text")
    return text


Texts = Annotated[
    tuple[Annotated[Text, AfterValidator(_impersonal)], ...], Field(strict=False, max_length=20)
]
"""Some lines of text that enter the ledger."""

# --- models --------------------------------------------------------------------------------------

FieldNo = tuple[tuple[str, ...], str, dict[str, Any]]
"""Where, which no, and its params."""


class Ask(BaseModel):
    """A request's body: unknown fields are refused, and all that is wrong is said."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    entering: ClassVar[tuple[str, ...]] = ()
    """The texts that enter the ledger: no personal data may stand in them."""

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """What is wrong with fields beside each other; only fields that are sound are given."""
        return iter(())

    @model_validator(mode="wrap")
    @classmethod
    def _all_that_is_wrong(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            asked = handler(value)
        except ValidationError as error:
            if not isinstance(value, dict):
                raise
            found = error.errors(include_url=False)
            sound = _sound_fields(cls, value, {str(each["loc"][0]) for each in found})
            raise _refusal(cls, [*map(_again, found), *_details(cls, sound)]) from None
        values = asked.__dict__
        suspicious = _LONG_NUMBER.search(_joined(cls)(asked)) or any(cls.amiss(values))
        if suspicious and (wrong := _details(cls, values)):
            raise _refusal(cls, wrong)
        return asked


@cache
def _joined(model: type[Ask]) -> Any:
    """A function that joins the entering texts of an ask, so that one search sees them all."""
    if not model.entering:
        return lambda asked: ""
    read = attrgetter(*model.entering)
    if len(model.entering) == 1:
        return lambda asked: read(asked) or ""
    return lambda asked: "\n".join(filter(None, read(asked)))


@cache
def _field_validators(model: type[Ask]) -> dict[str, TypeAdapter[Any]]:
    return {
        name: TypeAdapter(cast(Any, Annotated[field.annotation, *field.metadata, "a field"]))
        for name, field in model.model_fields.items()
    }


def _sound_fields(model: type[Ask], value: dict[Any, Any], broken: set[str]) -> dict[str, Any]:
    """The fields that are as they should be, where others are not."""
    sound: dict[str, Any] = {}
    for name, validator in _field_validators(model).items():
        field = model.model_fields[name]
        said = field.alias or name
        if said in broken:
            continue
        given = said in value
        sound[name] = validator.validate_python(value[said]) if given else field.get_default()
    return sound


def _details(model: type[Ask], values: Mapping[str, Any]) -> list[InitErrorDetails]:
    wrong = list(model.amiss(values))
    wrong += [
        ((name,), "personal_data_in_text", {})
        for name in model.entering
        if (text := values.get(name)) and holds_personal_data(text)
    ]
    return [
        {"type": PydanticCustomError(code, code, params), "loc": place, "input": None}
        for place, code, params in wrong
    ]


def _again(found: Any) -> InitErrorDetails:
    """An error of pydantic's, to be raised once more among others."""
    kind, context = found["type"], found.get("ctx", {})
    known = found["msg"] != kind  # a no of ours says its code and nothing else
    said = kind if known else PydanticCustomError(kind, kind, context)
    return {"type": said, "loc": found["loc"], "input": None, "ctx": context}


def _refusal(model: type[Ask], wrong: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data(model.__name__, wrong, hide_input=True)


# --- the field -----------------------------------------------------------------------------------


class UnitAsk(Ask):
    """Put a unit into the tree."""

    entering = ("name",)

    code: Code
    name: Text
    level: UnitLevel
    parent: Code | None = None


class OrganisationAsk(Ask):
    """Register an organisation at a unit."""

    entering = ("name",)

    code: Code
    name: Text
    kind: OrganisationKind
    unit: Code


class ReasonAsk(Ask):
    """A verb that needs no reason, and may have one."""

    entering: ClassVar[tuple[str, ...]] = ("reason",)

    reason: Reason | None = None


class ReasonNeededAsk(Ask):
    """A verb that needs its reason."""

    entering: ClassVar[tuple[str, ...]] = ("reason",)

    reason: Reason


# --- members -------------------------------------------------------------------------------------


class PersonAsk(Ask):
    """Who somebody is; kept in the vault alone."""

    name: Text
    document_kind: Text | None = None
    document_number: Text | None = None
    birth_date: Day | None = None
    phone: Text | None = None


class PersonChangeAsk(Ask):
    """What is other now about a person; null: no longer held."""

    name: Text | None = None
    document_kind: Text | None = None
    document_number: Text | None = None
    birth_date: Day | None = None
    phone: Text | None = None


class MemberAsk(Ask):
    """Register a person, or join one who is known."""

    entering = ("consent_ref",)

    organisation: Code | None = None
    external_ref: Text | None = None
    roles: Roles
    unit: Code
    person: PersonAsk | None = None
    consent_ref: Text | None = None


class MemberChangeAsk(Ask):
    """Change a member; what is left out stays."""

    roles: Roles | None = None
    unit: Code | None = None
    person: PersonChangeAsk | None = None


# --- service records -----------------------------------------------------------------------------


class ServiceRecordAsk(Ask):
    """One service: one person, one interval, one activity, under the organisation's own receipt."""

    entering = ("receipt", "activity", "category", "responsible")

    organisation: Code | None = None
    receipt: Text
    member_id: Uuid | None = None
    member_ref: Text | None = None
    activity: Text
    category: Text
    place: Code
    responsible: Text
    started_at: Instant
    ended_at: Instant
    break_minutes: Annotated[int, Field(ge=0, le=1_440)] = 0
    capacity: Capacity = "volunteer"
    evidence: Evidence = "attested"
    professional: bool = False
    supervisor_id: Uuid | None = None
    certification_id: Uuid | None = None
    order_id: Uuid | None = None
    project_id: Uuid | None = None
    programme_id: Uuid | None = None
    redemption_id: Uuid | None = None

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """One member, and a span of time that a service can have."""
        if "member_id" in values and "member_ref" in values:
            by_id, by_ref = values["member_id"], values["member_ref"]
            if (by_id is None) == (by_ref is None):
                names = {"first": "member_id", "second": "member_ref"}
                yield ("member_id" if by_id is None else "member_ref",), "one_of_two", names
        yield from _amiss_with_span(values)


class VerdictAsk(ReasonAsk):
    """Let a record that waits count."""

    for_cause: bool = False


class RejectionAsk(ReasonNeededAsk):
    """Say that a record that waits never counts."""

    for_cause: bool = False


class ReversalAsk(ReasonNeededAsk):
    """Let a verified record count no more."""

    for_cause: Annotated[bool, Field(description="It tells against who posted it.")] = False


def _left_out(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


_SAME: Any = Field(default=None, json_schema_extra=_left_out)
"""A field that may be left out, and is not null."""


class CorrectionAsk(ReversalAsk):
    """What of a record is other; a citation that is null stands no longer."""

    entering = ("reason", "activity", "category", "responsible")

    member_id: Uuid = _SAME
    member_ref: Text = _SAME
    activity: Text = _SAME
    category: Text = _SAME
    place: Code = _SAME
    responsible: Text = _SAME
    started_at: Instant = _SAME
    ended_at: Instant = _SAME
    break_minutes: Annotated[int, Field(ge=0, le=1_440)] = _SAME
    capacity: Capacity = _SAME
    evidence: Evidence = _SAME
    professional: bool = _SAME
    supervisor_id: Uuid | None = None
    certification_id: Uuid | None = None
    order_id: Uuid | None = None
    project_id: Uuid | None = None
    programme_id: Uuid | None = None
    redemption_id: Uuid | None = None

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """At most one member, and a span that a service can have where both its ends are given."""
        if values.get("member_id") is not None and values.get("member_ref") is not None:
            yield ("member_ref",), "one_of_two", {"first": "member_id", "second": "member_ref"}
        yield from _amiss_with_span(values)


class BatchAsk(BaseModel):
    """Many service records in one commit."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    mode: Literal["each", "all"] | None = None
    organisation: Code | None = None
    items: Annotated[list[ServiceRecordAsk], Field(max_length=10_000)]


def _amiss_with_span(values: Mapping[str, Any]) -> Iterator[FieldNo]:
    """A span of time that a service can have; where a side is not given, it is not judged."""
    if values.get("started_at") is None or values.get("ended_at") is None:
        return
    span = values["ended_at"] - values["started_at"]
    if span <= _NO_TIME:
        yield ("ended_at",), "ends_before_start", {}
    elif span > SERVICE_MAX:
        yield ("ended_at",), "longer_than_a_day", {}
    elif span < _A_MINUTE:
        yield ("ended_at",), "less_than_a_minute", {}
    elif values.get("break_minutes"):
        left = span - timedelta(minutes=values["break_minutes"])
        if left <= _NO_TIME:
            yield ("break_minutes",), "break_too_long", {}
        elif left < _A_MINUTE:
            yield ("break_minutes",), "less_than_a_minute", {}


_NO_TIME = timedelta(0)
_A_MINUTE = timedelta(microseconds=MINUTE)
