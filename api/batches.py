"""Many asks decided together: what stands in a batch or a sheet, and one answer about each.

An item that is malformed is one refused result; the others are decided. `each` takes what can be
taken, `all` takes all or nothing. Everything that is taken becomes durable in one commit.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from api.asks import Ask, BatchAsk, Code, ServiceRecordAsk
from api.bodies import parse_json, refuse_many_names
from api.call import Call
from api.contract import JSON, POSTERS, Fields, Route, WriteQuery
from api.problems import FieldError, Invalid, No, errors_of, problem
from api.service_records import POSTING_PROBLEMS, TAG, VISIT, post_hours
from ledger.commands import Command, PostHours, Stamp
from ledger.desk import Answer, Done, Job, Mode, Once, Outcome
from ledger.refusals import Language
from ledger.units import Refused

if TYPE_CHECKING:
    from ledger.opening import Ledger

NDJSON = "application/x-ndjson"
ITEMS_MAX = 10_000
NAMES_MAX = 64  # of an item, and of what holds the items: three times what there are

AskT = TypeVar("AskT", bound=Ask)


@dataclass(slots=True)
class Item(Generic[AskT]):
    """One of many: what is asked, or why it is refused already; where it stands in a sheet."""

    ask: AskT | None = None
    no: No | None = None
    line: int | None = None


@dataclass(slots=True)
class Together(Generic[AskT]):
    """All items of a batch, and those of them that the desk is asked about."""

    items: list[Item[AskT]]
    mode: Mode
    language: Language
    asked: list[Item[AskT]] = field(default_factory=list)
    position: int | None = None  # once the desk has decided

    @property
    def spoilt(self) -> bool:
        """Is something refused before the desk is asked?"""
        return len(self.asked) < len(self.items)

    def job(
        self,
        commands: Sequence[Command],
        id_of: Callable[[Done], str],
        once: Once | None = None,
        *,
        dry_run: bool = False,
    ) -> Job:
        """What the desk is asked, and how its decision is answered."""

        def answer(outcome: Outcome) -> Answer:
            status, body = self.word(outcome, id_of)
            self.position = body.get("position")
            if dry_run:
                body.pop("position", None)
                body["dry_run"] = True
            return Answer(status, orjson.dumps(body))

        return Job(commands, answer, self.mode, once, dry_run, self.spoilt)

    def word(self, outcome: Outcome, id_of: Callable[[Done], str]) -> tuple[int, Fields]:
        """The answer, once the desk has decided."""
        decided = iter(outcome.results)
        results: list[Fields] = []
        counts = {"accepted": 0, "replayed": 0, "refused": 0}
        met = 0  # the position that stands for what was said before
        for index, item in enumerate(self.items):
            result = next(decided) if item.no is None else item.no
            said: Fields = {"index": index}
            if item.line is not None:
                said["line"] = item.line
            if isinstance(result, Done):
                status = "accepted" if result.entries else "replayed"
                said["status"] = status
                said["id"] = id_of(result)
                if status == "replayed":
                    met = max(met, _position_of(result))
            else:
                status = said["status"] = "refused"
                said["problem"] = problem(result, self.language)
            counts[status] += 1
            results.append(said)
        if self.mode != "all" or not counts["refused"]:
            return 200, {**counts, "position": outcome.position or met, "results": results}
        refused = Refused("batch_refused", refused=counts["refused"])
        for said in results:
            if said["status"] == "accepted":  # as it would have been, had all been in order
                del said["id"]
        counts["accepted"] = 0
        return 409, {**problem(refused, self.language), **counts, "results": results}


def _position_of(done: Done) -> int:
    state = done.states.get("before") or done.states["member"]
    position: int = state.position
    return position


# --- service records -----------------------------------------------------------------------------


def validated(values: Iterable[Any | No]) -> Iterator[Item[ServiceRecordAsk]]:
    """An item for each value of a batch, which may be a no already."""
    validate = ServiceRecordAsk.__pydantic_validator__.validate_python
    for value in values:
        if isinstance(value, (Refused, Invalid)):
            yield Item(no=value)
            continue
        try:
            refuse_many_names(value, NAMES_MAX)
            yield Item(validate(value))
        except Refused as no:
            yield Item(no=no)
        except ValidationError as error:
            yield Item(no=Invalid(errors_of(error)))


def commands_for(
    ledger: "Ledger",
    together: Together[ServiceRecordAsk],
    stamp: Stamp,
    organisation: str | None,
    own: str | None,
) -> list[PostHours]:
    """The commands for the items that are sound; the others get their no.

    `organisation` is for whom is posted where an item does not say; `own` is the caller's, who may
    post for no other.
    """
    wanted: dict[str, set[str]] = {}
    for item in together.items:
        if item.ask is None:
            continue
        named = item.ask.organisation or organisation
        if named is None:
            item.no = Invalid([FieldError("/organisation", "missing")])
        elif own is not None and named != own:
            item.no = Refused("not_found", pointer="/organisation")
        elif item.ask.member_ref is not None:
            wanted.setdefault(named, set()).add(item.ask.member_ref)
    found = {named: ledger.vault.find_refs(named, refs) for named, refs in wanted.items()}
    commands: list[PostHours] = []
    for item in together.items:
        ask = item.ask
        if ask is None or item.no is not None:
            continue
        named = ask.organisation or organisation or ""
        member_id = ask.member_id
        if ask.member_ref is not None:
            member_id = found[named].get(ask.member_ref)
        if member_id is None:
            item.no = Refused("not_found", pointer="/member_ref")
            continue
        together.asked.append(item)
        commands.append(post_hours(ask, named, member_id, stamp))
    return commands


def record_id(done: Done) -> str:
    """The id of the record that a command made or met."""
    content = done.states["before"].content
    found: str = content.record_id
    return found


# --- HTTP ----------------------------------------------------------------------------------------


class BatchQuery(WriteQuery):
    """How a batch is taken, where its body does not say."""

    mode: Annotated[
        Literal["each", "all"] | None,
        Field(description="Take what can be taken (the default), or all or nothing."),
    ] = None
    organisation: Annotated[
        Code | None, Field(description="For whom; an administrator says it.")
    ] = None


@dataclass(slots=True)
class _Read:
    items: list[Item[ServiceRecordAsk]]
    mode: Mode
    organisation: str | None


async def post_batch(call: Call) -> web.Response:
    """Record many services in one commit."""
    readers = call.door.readers
    together, job = await asyncio.get_running_loop().run_in_executor(readers, _prepare, call)
    said = await call.ledger.desk.ask(job)
    return call.deliver(said, None if call.dry_run else together.position)


def _prepare(call: Call) -> tuple[Together[ServiceRecordAsk], Job]:
    """Read, validate and look up: all that needs no turn at the desk."""
    read = _read_ndjson(call) if call.media == NDJSON else _read_json(call)
    together = Together(read.items, read.mode, call.language)
    own = call.key.organisation
    commands = commands_for(call.ledger, together, call.stamp(), read.organisation, own)
    job = together.job(commands, record_id, call.once, dry_run=call.dry_run)
    return together, job


class _Envelope(Ask):
    """A batch's body, its items not yet looked at."""

    mode: Literal["each", "all"] | None = None
    organisation: Code | None = None
    items: Annotated[list[Any], Field(max_length=ITEMS_MAX)]


def _read_json(call: Call) -> _Read:
    body = parse_json(call.body, ITEMS_MAX * (NAMES_MAX + 1) + NAMES_MAX)
    refuse_many_names(body, NAMES_MAX)
    try:
        envelope = _Envelope.model_validate(body)
    except ValidationError as error:
        raise Invalid(errors_of(error)) from None
    own = call.key.organisation
    if own is not None and envelope.organisation not in (None, own):
        raise Refused("not_found", pointer="/organisation")
    return _Read(
        list(validated(envelope.items)),
        envelope.mode or call.query.mode or "each",
        call.organisation or envelope.organisation,
    )


def _read_ndjson(call: Call) -> _Read:
    lines = [line for line in call.body.split(b"\n") if line.strip()]
    if len(lines) > ITEMS_MAX:
        raise Invalid([FieldError("", "wrong_value", {"expected": f"≤ {ITEMS_MAX}"})])
    return _Read(
        list(validated(map(_parse_line, lines))), call.query.mode or "each", call.organisation
    )


def _parse_line(line: bytes) -> Any | No:
    try:
        return parse_json(line)
    except Refused as no:
        return no


# --- answers -------------------------------------------------------------------------------------


class Result(BaseModel):
    """What became of one item; in a batch that was refused, what would have."""

    index: int
    line: Annotated[int | None, Field(description="In a sheet; the header is line 1.")] = None
    status: Literal["accepted", "replayed", "refused"]
    id: str | None = None
    problem: dict[str, Any] | None = None


class BatchFields(BaseModel):
    """What became of a batch."""

    accepted: int
    replayed: int
    refused: int
    results: list[Result]


class BatchWritten(BatchFields):
    """What became of a batch."""

    position: Annotated[
        int | None,
        Field(ge=0, description="Of the last entry; 0 where all was refused; none in a dry run."),
    ] = None
    dry_run: bool | None = None


class BatchRefused(BatchFields):
    """Nothing was recorded, because not everything could be (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str


ROUTES = [
    Route(
        method="POST",
        path="/v1/service-record-batches",
        handler=post_batch,
        operation="post_service_record_batch",
        tag=TAG,
        summary_zh="一次登记多条服务记录",
        summary_en="Record many services in one commit",
        roles=POSTERS,
        write=True,
        raw=True,
        body=BatchAsk,
        example={"mode": "each", "items": [VISIT]},
        query=BatchQuery,
        media=(JSON, NDJSON),
        answers={200: BatchWritten, 409: BatchRefused},
        problems=("batch_refused", *POSTING_PROBLEMS),
    ),
]
