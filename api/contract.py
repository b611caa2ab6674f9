"""What a route is, and the parts of the contract that many routes share: roles, queries, pages."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from api.asks import CODE_PATTERN, UUID_PATTERN, Instant
from api.problems import wrong
from ledger.keys import ROLES, Role

if TYPE_CHECKING:
    from api.call import Call

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Handler = Callable[["Call"], Awaitable[web.StreamResponse]]

NO_KEY: frozenset[Role] = frozenset()
EVERYONE: frozenset[Role] = frozenset(ROLES)
POSTERS: frozenset[Role] = frozenset({"poster", "verifier", "admin"})
VERIFIERS: frozenset[Role] = frozenset({"verifier", "admin"})
READERS: frozenset[Role] = POSTERS | {"auditor"}
AUDITORS: frozenset[Role] = frozenset({"auditor", "admin"})
ADMINS: frozenset[Role] = frozenset({"admin"})

IDEMPOTENCY_KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"
CURSOR_PATTERN = r"^c[0-9a-f]{1,15}$"
LAST_EVENT_ID_PATTERN = r"^[0-9]{0,18}$"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class PathPart:
    """What may stand at a named place of a path; anything else is not found."""

    pattern: str
    description: str
    example: str
    goes_on: bool = False  # it may have slashes in it

    def holds(self, text: str) -> bool:
        """Does the text fit?"""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None


PATH_PARTS: dict[str, PathPart] = {
    "id": PathPart(UUID_PATTERN, "UUID", "019f0000-0000-7000-8000-00000000000a"),
    "request_id": PathPart(UUID_PATTERN, "UUID", "019f0000-0000-7000-8000-00000000000b"),
    "to": PathPart(UUID_PATTERN, "UUID", "019f0000-0000-7000-8000-00000000000b"),
    "purpose": PathPart(r"^(publication|sharing)$", "What is consented to", "publication"),
    "code": PathPart(CODE_PATTERN, "Code", "west-coast"),
    "version": PathPart(r"^[1-9][0-9]{0,8}$", "Version of a policy", "1"),
    "position": PathPart(r"^[1-9][0-9]{0,17}$", "Position in the journal", "1"),
    "month": PathPart(r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$", "Month", "2026-03"),
    "subject": PathPart(
        rf"^((member|project):{UUID_PATTERN[1:-1]}|organisation:{CODE_PATTERN[1:-1]})$",
        "`member:<id>`, `organisation:<code>` or `project:<id>`",
        "organisation:west-coast",
    ),
    "account": PathPart(
        r"^[a-z]+(:[A-Za-z0-9_-]{1,60}){1,2}$", "Account of the double entry", "pool:donation"
    ),
    "kpi": PathPart(r"^[a-z_]{2,60}$", "Id of an indicator", "certification_rate"),
    "number": PathPart(
        r"^[0-9A-Za-z -]{4,40}$", "Number of a paper, as printed or typed", "ST-7K3M-9QX4-T2BC"
    ),
    "list": PathPart(r"^(0|[1-9][0-9]{0,12})$", "Number of a status list", "0"),
    "size": PathPart(r"^(0|[1-9][0-9]{0,17})$", "Entries that a checkpoint covers", "0"),
    "tile": PathPart(
        r"^(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/){0,5}[0-9]{3}"
        r"(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$",
        "`<level>/<place>`, or `entries/<place>`; `.p/<width>` behind it where it is not full",
        "0/000.p/1",
        goes_on=True,
    ),
    "problem": PathPart(r"^[a-z_]{2,60}$", "Code of a problem", "receipt_reused"),
}
"""The named places of our paths; a further name is added here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path: who may, what is asked, what is answered, and by whom."""

    method: Method
    path: str
    handler: Handler
    operation: str  # operationId: what generated clients call it
    tag: str
    summary_zh: str
    summary_en: str
    roles: frozenset[Role] = NO_KEY  # empty: no key is asked for
    write: bool = False  # asks the desk: takes dry_run and, on POST, an Idempotency-Key
    query: "type[Query] | None" = None  # none: what every read or every write takes
    body: type[BaseModel] | None = None  # what the body is validated by and documented with
    example: "Fields | None" = None  # a body
    media: tuple[str, ...] = (JSON,)  # media types of the body that are taken
    acts_for: bool = True  # an `organisation` in the body is whom a write acts for
    stream: bool = False  # the answer goes on until one of the two goes away
    raw: bool = False  # the handler gets the body's bytes in `call.body`, not the model
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    also: tuple[str, ...] = ()  # media types that a 200 may have beside JSON
    pages: tuple[int, ...] = ()  # statuses of refusals that are a page, for people
    problems: tuple[str, ...] = ()  # codes beyond those that follow from the fields above

    @property
    def path_names(self) -> tuple[str, ...]:
        """The named places in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def pattern(self) -> str:
        """The path as aiohttp takes it: a named place ends at the next slash, or goes on."""
        path = self.path
        for name in self.path_names:
            if PATH_PARTS[name].goes_on:
                path = path.replace(f"{{{name}}}", f"{{{name}:.+}}")
        return path

    @property
    def query_model(self) -> "type[Query]":
        """The model of the query: the route's own, or what every route of its kind takes."""
        if self.query is not None:
            return self.query
        if not self.roles:
            return Query
        return WriteQuery if self.write else ReadQuery

    @property
    def takes_body(self) -> bool:
        """Is a body read at all?"""
        return self.raw or self.body is not None


# --- queries -------------------------------------------------------------------------------------


def _flag(text: object) -> object:
    match text:
        case "true" | True:
            return True
        case "false" | False:
            return False
        case _:
            raise wrong("wrong_value", expected="true, false")


def _whole(text: object) -> object:
    if isinstance(text, int):
        return text
    if not isinstance(text, str) or re.fullmatch(r"\d{1,18}", text, re.ASCII) is None:
        raise wrong("wrong_type", expected="integer")
    return int(text)


def cursor_text(position: int) -> str:
    """The cursor of a walk that has come to a position; what is in it is our own affair."""
    return f"c{position:x}"


def _cursor(text: object) -> object:
    if isinstance(text, int):
        return text
    if re.fullmatch(CURSOR_PATTERN, str(text), re.ASCII) is None:
        raise wrong("wrong_value", expected="next_cursor")
    return int(str(text)[1:], 16)


def _plus(text: object) -> object:
    """In a query a plus that was not encoded arrives as a space: `...T14:00:00 08:00`."""
    if isinstance(text, str) and re.search(r"\d \d\d:\d\d$", text, re.ASCII):
        return text[:-6] + "+" + text[-5:]
    return text


InstantInQuery = Annotated[Instant, BeforeValidator(_plus)]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Whole = Annotated[int, Field(ge=0, lt=10**18), BeforeValidator(_whole)]
Position = Annotated[int, Field(ge=1, lt=10**18), BeforeValidator(_whole)]
Cursor = Annotated[
    int, BeforeValidator(_cursor), WithJsonSchema({"type": "string", "pattern": CURSOR_PATTERN})
]


class Query(BaseModel):
    """The query parameters of a route; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ReadQuery(Query):
    """What every read takes."""

    min_position: Annotated[
        Whole | None,
        Field(description="Wait (up to 5 s) until the view has read to this position."),
    ] = None


class PageQuery(ReadQuery):
    """What every list takes."""

    limit: Annotated[int, Field(ge=1, le=500), BeforeValidator(_whole)] = 50
    cursor: Annotated[Cursor | None, Field(description="`next_cursor` of the page before.")] = None

    @property
    def after(self) -> int:
        """What the page begins behind: a position, or what else the list is in order of."""
        return self.cursor or 0


class WriteQuery(Query):
    """What every write takes."""

    dry_run: Annotated[
        Flag, Field(description="Answer what it would answer now; write nothing.")
    ] = False


# --- answers -------------------------------------------------------------------------------------

Fields = dict[str, Any]
"""A JSON object on its way out."""


def _without_default(schema: Fields) -> None:
    schema.pop("default", None)


InstantText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""An instant as answers spell it: RFC 3339, UTC, `Z`."""
DayText = Annotated[str, Field(json_schema_extra={"format": "date"})]


class Written(BaseModel):
    """What every write answers beside what it wrote."""

    position: Annotated[
        Annotated[int, Field(ge=1)] | SkipJsonSchema[None],
        Field(
            description="Of the command's last entry; absent in a dry run.",
            json_schema_extra=_without_default,
        ),
    ] = None
    dry_run: Annotated[
        Literal[True] | SkipJsonSchema[None], Field(json_schema_extra=_without_default)
    ] = None


class Page(BaseModel):
    """A page of a list: a subclass says of what."""

    next_cursor: str | None
