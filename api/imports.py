"""Imports: service records and members from a CSV or XLSX, over HTTP and from the command line.

A sheet is a batch whose items are lines: the columns have the names of the JSON fields, an empty
cell is a field that is not given, and each result says its line (the header is line 1).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson
from aiohttp import web
from pydantic import ValidationError

from api.asks import Ask, MemberAsk, PersonAsk, ServiceRecordAsk
from api.batches import (
    ITEMS_MAX,
    BatchQuery,
    BatchRefused,
    BatchWritten,
    Item,
    Together,
    commands_for,
    record_id,
)
from api.call import Call
from api.contract import POSTERS, Fields, Route
from api.members import JOINING_PROBLEMS
from api.members import TAG as MEMBERS
from api.problems import FieldError, Invalid, errors_of
from api.registration import Registration, position_in, register
from api.service_records import POSTING_PROBLEMS
from api.service_records import TAG as RECORDS
from api.sheets import CSV, OCTETS, XLSX, Column, Kind, fields, read_sheet
from ledger.commands import Stamp
from ledger.desk import Answer, Done, Mode, Once, Outcome
from ledger.refusals import Language
from ledger.units import Refused

if TYPE_CHECKING:
    from ledger.opening import Ledger

AskT = TypeVar("AskT", bound=Ask)

LINES_AT_ONCE = 2_000
"""Lines that the command line hands the desk together, so that others get their turn between."""

Progress = Callable[[int, int], None]
"""Told how many lines are done, and of how many."""


class Sheeted(NamedTuple):
    """What a sheet may hold: its columns, those it must have, and one of two."""

    columns: Mapping[str, Column]
    required: Sequence[str]
    one_of: tuple[str, ...] = ()


def _columns(model: type[Ask], kinds: Mapping[str, Kind], inside: str = "") -> dict[str, Column]:
    return {
        name: Column(kinds.get(name, "text"), (inside, name) if inside else ())
        for name in model.model_fields
        if name != "person"
    }


RECORD_SHEET = Sheeted(
    _columns(
        ServiceRecordAsk,
        {
            "started_at": "instant",
            "ended_at": "instant",
            "break_minutes": "whole",
            "professional": "flag",
        },
    ),
    ("receipt", "activity", "category", "place", "responsible", "started_at", "ended_at"),
    ("member_id", "member_ref"),
)
MEMBER_SHEET = Sheeted(
    {
        **_columns(MemberAsk, {"roles": "list"}),
        **_columns(PersonAsk, {"birth_date": "day"}, inside="person"),
    },
    ("roles", "unit"),
)


class Importing(NamedTuple):
    """Who imports, for whom, and how."""

    organisation: str | None  # where a line does not say
    stamp: Stamp
    own: str | None = None  # the caller's organisation, which may import for no other
    mode: Mode = "each"
    dry_run: bool = False
    language: Language = "zh"
    once: Once | None = None


# --- from the command line -----------------------------------------------------------------------


def import_service_records(
    ledger: "Ledger",
    organisation: str,
    stamp: Stamp,
    data: bytes,
    *,
    mode: Mode = "each",
    dry_run: bool = False,
    language: Language = "zh",
    progress: Progress | None = None,
) -> Fields:
    """Post the service records of a sheet of any length; what became of each line.

    With `each` in commits of some thousand lines. Raises Refused or Invalid where the sheet as a
    whole cannot be read; with `all`, `code` is `batch_refused` where nothing was recorded.
    """
    how = Importing(organisation, stamp, organisation, mode, dry_run, language)
    items = read_items(data, RECORD_SHEET, ServiceRecordAsk)
    return _in_parts(ledger, how, items, post_items, progress)


def import_members(
    ledger: "Ledger",
    organisation: str,
    stamp: Stamp,
    data: bytes,
    *,
    mode: Mode = "each",
    dry_run: bool = False,
    language: Language = "zh",
    progress: Progress | None = None,
) -> Fields:
    """Register the members of a sheet of any length; as `import_service_records`."""
    how = Importing(organisation, stamp, organisation, mode, dry_run, language)
    items = read_items(data, MEMBER_SHEET, MemberAsk)
    return _in_parts(ledger, how, items, register_items, progress)


def _in_parts(
    ledger: "Ledger",
    how: Importing,
    items: list[Item[AskT]],
    take: Callable[["Ledger", Importing, list[Item[AskT]]], Answer],
    progress: Progress | None,
) -> Fields:
    at_once = LINES_AT_ONCE if how.mode == "each" else max(len(items), 1)
    told: Fields = {"accepted": 0, "replayed": 0, "refused": 0, "position": 0, "results": []}
    remaining = iter(items)
    while part := list(islice(remaining, at_once)):
        said = orjson.loads(take(ledger, how, part).body)
        before = len(told["results"])
        for result in said["results"]:
            result["index"] += before
        results = told["results"] + said["results"]
        counts = {name: told[name] + said[name] for name in ("accepted", "replayed", "refused")}
        position = max(told["position"], said.get("position", 0))
        told = {**told, **said, **counts, "position": position, "results": results}
        if progress is not None:
            progress(len(results), len(items))
    if how.dry_run:
        del told["position"]
        told["dry_run"] = True
    return told


# --- what both do --------------------------------------------------------------------------------


def read_items(
    data: bytes,
    sheeted: Sheeted,
    model: type[AskT],
    *,
    charset: str | None = None,
    lines_max: int | None = None,
) -> list[Item[AskT]]:
    """An item for each line; Invalid says everything that is wrong with the columns."""
    sheet = read_sheet(data, sheeted.columns, charset)
    wrong = [
        FieldError("", "missing_column", {"column": name})
        for name in sheeted.required
        if name not in sheet.columns
    ]
    if sheeted.one_of and not set(sheeted.one_of) & set(sheet.columns):
        first, second = sheeted.one_of
        wrong.append(FieldError("", "one_of_two", {"first": first, "second": second}))
    if wrong:
        raise Invalid(wrong)
    validate: Callable[[Any], AskT] = model.__pydantic_validator__.validate_python
    items: list[Item[AskT]] = []
    for line in sheet.lines:
        if lines_max is not None and len(items) == lines_max:
            raise Refused("too_large", limit=f"{lines_max} lines")
        value, hints = fields(line, sheeted.columns)
        errors = [FieldError("", "beyond_the_columns")] if line.overhangs else []
        ask: AskT | None = None
        try:
            ask = validate(value)
        except ValidationError as error:
            errors += [_hinted(found, hints) for found in errors_of(error)]
        no = Invalid(errors) if errors else None
        items.append(Item(None if no else ask, no, line.number))
    return items


def post_items(ledger: "Ledger", how: Importing, items: list[Item[ServiceRecordAsk]]) -> Answer:
    """Post service records in one commit."""
    together = Together(items, how.mode, how.language)
    commands = commands_for(ledger, together, how.stamp, how.organisation, how.own)
    job = together.job(commands, record_id, how.once, dry_run=how.dry_run)
    return ledger.desk.ask_now(job)


def register_items(ledger: "Ledger", how: Importing, items: list[Item[MemberAsk]]) -> Answer:
    """Register members in one commit; all for one organisation."""
    together = Together(items, how.mode, how.language)
    asks: list[MemberAsk] = []
    organisation = how.organisation
    for item in items:
        if item.ask is None:
            continue
        organisation = organisation or item.ask.organisation
        if organisation is None:
            item.no = Invalid([FieldError("/organisation", "missing")])
        elif item.ask.organisation not in (None, organisation):
            item.no = Refused("not_found", pointer="/organisation")
        else:
            asks.append(item.ask)
            together.asked.append(item)
    asked = Registration(
        organisation or "",
        asks,
        how.stamp,
        how.mode,
        how.once,
        how.dry_run,
        together.spoilt,
    )

    def word(outcome: Outcome) -> tuple[int, Fields]:
        return together.word(outcome, _member_id)

    return register(ledger, asked, word)


def _member_id(done: Done) -> str:
    found: str = done.command.member_id  # type: ignore[attr-defined]  # each command here has one
    return found


def _hinted(error: FieldError, hints: Mapping[str, str]) -> FieldError:
    """The error, or what more is known about its cell."""
    hint = hints.get(error.pointer)
    return error if hint is None else FieldError(error.pointer, hint)


# --- HTTP ----------------------------------------------------------------------------------------


async def service_records(call: Call) -> web.Response:
    """Post the service records of a sheet."""

    def take() -> Answer:
        items = read_items(call.body, RECORD_SHEET, ServiceRecordAsk, **_bounds(call))
        return post_items(call.ledger, _how(call), items)

    said = await asyncio.to_thread(take)
    return call.deliver(said, position_in(said))


async def members(call: Call) -> web.Response:
    """Register the members of a sheet."""

    def take() -> Answer:
        items = read_items(call.body, MEMBER_SHEET, MemberAsk, **_bounds(call))
        return register_items(call.ledger, _how(call), items)

    said = await asyncio.to_thread(take)
    return call.deliver(said, position_in(said))


def _how(call: Call) -> Importing:
    return Importing(
        call.organisation,
        call.stamp(),
        call.key.organisation,
        call.query.mode or "each",
        call.dry_run,
        call.language,
        call.once,
    )


def _bounds(call: Call) -> dict[str, Any]:
    return {"charset": call.request.charset, "lines_max": ITEMS_MAX}


_SHEET_PROBLEMS = ("unreadable_sheet", "batch_refused")

ROUTES = [
    Route(
        method="POST",
        path="/v1/imports/service-records",
        handler=service_records,
        operation="import_service_records",
        tag=RECORDS,
        summary_zh="从 CSV 或 XLSX 导入服务记录",
        summary_en="Post the service records of a CSV or XLSX",
        roles=POSTERS,
        write=True,
        raw=True,
        query=BatchQuery,
        media=(CSV, OCTETS, XLSX),
        answers={200: BatchWritten, 409: BatchRefused},
        problems=(*_SHEET_PROBLEMS, *POSTING_PROBLEMS),
    ),
    Route(
        method="POST",
        path="/v1/imports/members",
        handler=members,
        operation="import_members",
        tag=MEMBERS,
        summary_zh="从 CSV 或 XLSX 登记成员",
        summary_en="Register the members of a CSV or XLSX",
        roles=POSTERS,
        write=True,
        raw=True,
        query=BatchQuery,
        media=(CSV, OCTETS, XLSX),
        answers={200: BatchWritten, 409: BatchRefused},
        problems=(*_SHEET_PROBLEMS, *JOINING_PROBLEMS),
    ),
]
