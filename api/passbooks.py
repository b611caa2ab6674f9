"""Balance and passbook over HTTP: what stands to a member's name, now and then, line by line."""

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Day, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    DayText,
    Fields,
    InstantInQuery,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
    Whole,
)
from api.lists import answer_page
from api.members import TAG, sight_of
from api.sheets import CSV, XLSX, csv_text, write_xlsx
from ledger.keys import Key
from ledger.units import Refused, instant_text
from projections import passbook
from projections.listing import Listed

LINES_AT_ONCE = 2_000
CHUNK_BYTES = 64 * 1024

# --- the balance ---------------------------------------------------------------------------------


class AsOf(BaseModel):
    """As of when; what is given holds together."""

    as_of: Annotated[
        InstantInQuery | None, Field(description="As it was known at this instant.")
    ] = None
    served_until: Annotated[
        Day | None, Field(description="Of services until this date, and what else happened by it.")
    ] = None
    position: Annotated[Whole | None, Field(description="As it was known at this position.")] = None


class BalanceQuery(AsOf, ReadQuery):
    """A balance, as of when."""


async def balance(call: Call) -> web.Response:
    """What stands to the member's name."""
    return await call.read(_visible_balance, call.key, call.path["id"], call.query)


def _visible_balance(
    connection: Connection, key: Key, member_id: str, query: BalanceQuery
) -> Fields | None:
    sight = sight_of(connection, key, member_id)
    if sight is None:
        return None
    if sight == "joined":
        raise Refused("forbidden")
    found = passbook.balance(
        connection,
        member_id,
        position=query.position,
        as_of=query.as_of,
        served_until=query.served_until,
    )
    if found is not None and query.as_of is not None:
        found["as_of"] = instant_text(query.as_of)
    return found


# --- the passbook --------------------------------------------------------------------------------


class PassbookQuery(AsOf, PageQuery):
    """A page as JSON, or the whole book as a sheet; as of when."""

    format: Literal["json", "csv", "xlsx"] = "json"


async def read_passbook(call: Call) -> web.StreamResponse:
    """The member's lines; a joined organisation sees its own, without balances."""
    position = call.views.position
    member_id, query = call.path["id"], call.query
    sight = await call.look_up(sight_of, call.key, member_id)
    if sight is None:
        raise Refused("not_found")
    organisation = call.key.organisation if sight == "joined" else None
    if call.request.method == "HEAD" and query.format != "json":
        return await _send_head(call, position)
    match query.format:
        case "csv":
            return await _stream_csv(call, member_id, organisation, position)
        case "xlsx":
            return await _send_xlsx(call, member_id, organisation, position)
    return await answer_page(
        call, passbook_lines, member_id, query.after, query.limit, organisation, query
    )


COLUMNS = (
    *("position", "recorded_at", "served_on", "kind", "credits", "minutes", "points"),
    *("balance_after", "ref", "record_id"),
)


def passbook_lines(
    connection: Connection,
    member_id: str,
    after: int,
    limit: int,
    organisation: str | None,
    query: AsOf,
) -> Listed:
    """A page of the member's lines; for an organisation that has joined, its own."""
    page = passbook.lines(
        connection,
        member_id,
        after,
        limit,
        organisation=organisation,
        until=passbook.known_until(connection, query.position, query.as_of),
        served_until=query.served_until,
    )
    lines = [{name: line[name] for name in COLUMNS} for line in page.items]
    if organisation is not None:
        for line in lines:
            line["balance_after"] = None
    return page._replace(items=lines)


async def _stream_csv(
    call: Call, member_id: str, organisation: str | None, position: int
) -> web.StreamResponse:
    """The whole book, a page in memory at a time."""
    response = web.StreamResponse(headers=_file_headers(call, position))
    await response.prepare(call.request)
    text = csv_text([COLUMNS])
    after: int | None = 0
    while after is not None:
        page = await call.look_up(
            passbook_lines, member_id, after, LINES_AT_ONCE, organisation, call.query
        )
        text += csv_text(tuple(line.values()) for line in page.items)
        await response.write(text.encode())
        text, after = "", page.next
    await response.write_eof()
    return response


async def _send_xlsx(
    call: Call, member_id: str, organisation: str | None, position: int
) -> web.StreamResponse:
    """The whole book, written to a file without a name first."""
    with TemporaryFile() as file:
        await call.look_up(_write_passbook, file, member_id, organisation, call.query)
        response = web.StreamResponse(headers=_file_headers(call, position))
        response.content_length = file.tell()
        await response.prepare(call.request)
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            await response.write(chunk)
        await response.write_eof()
    return response


def _write_passbook(
    connection: Connection,
    file: IO[bytes],
    member_id: str,
    organisation: str | None,
    query: AsOf,
) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        yield COLUMNS
        after: int | None = 0
        while after is not None:
            page = passbook_lines(connection, member_id, after, LINES_AT_ONCE, organisation, query)
            for line in page.items:
                yield tuple(line.values())
            after = page.next

    write_xlsx(file, "passbook", rows())
    file.seek(0, 2)


async def _send_head(call: Call, position: int) -> web.StreamResponse:
    """The head alone (RFC 9110, section 9.3.2): what is streamed behind it would be sent too."""
    response = web.StreamResponse(headers=_file_headers(call, position))
    await response.prepare(call.request)
    await response.write_eof()
    return response


def _file_headers(call: Call, position: int) -> dict[str, str]:
    form = call.query.format
    name = f"passbook-{call.path['id']}.{form}"
    headers = call.headers(XLSX if form == "xlsx" else f"{CSV}; charset=utf-8", position)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return headers


# --- answers -------------------------------------------------------------------------------------


class CreditBalances(BaseModel):
    """Credit-minutes by what may be done with them."""

    available: int
    held: int
    frozen: int
    receivable: Annotated[int, Field(description="What the member owes, positive.")]


TierName = Annotated[
    Literal["CERTIFIED", "PROFESSIONAL", "SUPERVISING_EXPERT"] | None,
    Field(description="The rung held on the date asked for."),
]


class Registration(BaseModel):
    """A registration of a certificate that is in force."""

    certification_id: Uuid
    level: Literal["assistant", "social_worker", "senior"]
    in_force_from: DayText
    in_force_to: DayText


class Balance(BaseModel):
    """What stands to a member's name, as of a moment."""

    member_id: Uuid
    position: int
    as_of: InstantText | None
    service_minutes: int
    credits: CreditBalances
    coins: Annotated[str, Field(description="`available` / 60, floored to two decimals.")]
    points: int
    tier: TierName
    stars: Annotated[int, Field(description="By the policy `stars` of the date asked for.")]
    grade: Literal["G1", "G2", "G3", "G4", "UNGRADED"]
    registration: Annotated[
        Registration | None, Field(description="In force on the date asked for, the highest.")
    ]


class PassbookLine(BaseModel):
    """One event that concerns the member's account."""

    position: int
    recorded_at: InstantText
    served_on: DayText
    kind: str
    credits: Annotated[int, Field(description="The change of what is available.")]
    minutes: int
    points: int
    balance_after: Annotated[
        int | None,
        Field(
            description="What is available after it; with `served_until` the sum of the lines so "
            "far. Null for an organisation that is not the member's home."
        ),
    ]
    ref: Annotated[str | None, Field(description="The receipt, or the id of the transfer.")]
    record_id: Uuid | None


class Passbook(Page):
    """The member's lines, oldest first."""

    data: list[PassbookLine]


ROUTES = [
    Route(
        method="GET",
        path="/v1/members/{id}/balance",
        handler=balance,
        operation="get_balance",
        tag=TAG,
        summary_zh="余额：现在，或截至某时刻、位置、服务日期",
        summary_en="Get a balance: now, or as of an instant, a position, a service date",
        roles=EVERYONE,
        query=BalanceQuery,
        answers={200: Balance},
    ),
    Route(
        method="GET",
        path="/v1/members/{id}/passbook",
        handler=read_passbook,
        operation="get_passbook",
        tag=TAG,
        summary_zh="存折",
        summary_en="Get a passbook",
        roles=EVERYONE,
        query=PassbookQuery,
        answers={200: Passbook},
        also=(CSV, XLSX),
    ),
]
