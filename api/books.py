"""The books over HTTP: every account with its lines, and what the bank owes."""

from datetime import UTC, datetime
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Day
from api.audit import Account
from api.call import Call
from api.contract import (
    AUDITORS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
)
from api.lists import answer_page
from ledger.units import Refused
from projections import journal_lines
from projections import solvency as view
from projections.listing import Listed
from projections.page import published


class SolvencyQuery(ReadQuery):
    """Of which date ages are told."""

    day: Annotated[Day | None, Field(description="Ages are as of this date; default today.")] = None


async def accounts(call: Call) -> web.Response:
    """Every account that has had a line."""
    return await answer_page(
        call, journal_lines.accounts_listed, call.query.after, call.query.limit
    )


async def lines(call: Call) -> web.Response:
    """An account's lines."""
    return await answer_page(call, _lines, call.path["account"], call.query.after, call.query.limit)


async def solvency(call: Call) -> web.Response:
    """What the bank owes, how old it is, and where the rest has gone."""
    return await call.read(_solvency, call.query)


def _lines(connection: Connection, account: str, after: int, limit: int) -> Listed:
    found = journal_lines.account_lines(connection, account, after, limit)
    if found is None:
        raise Refused("not_found")
    return found


def _solvency(connection: Connection, query: SolvencyQuery) -> Fields:
    day = query.day or published(connection).recording(datetime.now(UTC)).today
    return view.solvency(connection, day)


# --- answers -------------------------------------------------------------------------------------


class AccountPage(Page):
    """Accounts: first those that are no person's, then each member's."""

    data: list[Account]


class AccountLine(BaseModel):
    """One event's line on an account."""

    position: int
    recorded_at: InstantText
    type: str
    served_on: DayText
    credits: int
    balance_after: int


class AccountLinePage(Page):
    """Lines, oldest first."""

    data: list[AccountLine]


class Age(BaseModel):
    """Lots of an age."""

    from_days: int
    to_days: Annotated[int | None, Field(description="Not in it; null: however old.")]
    credits: int


class Solvency(BaseModel):
    """What the bank owes, in credit-minutes."""

    position: int
    day: DayText
    outstanding: Annotated[int, Field(description="What persons, pools and estates hold.")]
    available: int
    held: int
    frozen: int
    receivable: Annotated[int, Field(description="What persons owe, positive.")]
    pools: int
    estates: int
    earned: Annotated[int, Field(description="Issued for services, reversals taken off.")]
    granted: int
    redeemed: Annotated[int, Field(description="Benefits: what is in `sink:redeemed`.")]
    redeemed_peer_services: Annotated[int, Field(description="Paid by members to members.")]
    expired: int
    written_off: int
    redemption_ratio: Annotated[
        int | None, Field(description="Both redeemed / earned, in hundredths of a percent.")
    ]
    lot_age_days: Annotated[
        int | None, Field(description="Mean age of lots by credits, in hundredths of a day.")
    ]
    ages: list[Age]


ROUTES = [
    Route(
        method="GET",
        path="/v1/audit/accounts",
        handler=accounts,
        operation="list_accounts",
        tag="Audit",
        summary_zh="全部账户及余额",
        summary_en="List the accounts with their balances",
        roles=AUDITORS,
        query=PageQuery,
        answers={200: AccountPage},
    ),
    Route(
        method="GET",
        path="/v1/audit/accounts/{account}/lines",
        handler=lines,
        operation="list_account_lines",
        tag="Audit",
        summary_zh="一个账户的分录",
        summary_en="List an account's lines",
        roles=AUDITORS,
        query=PageQuery,
        answers={200: AccountLinePage},
    ),
    Route(
        method="GET",
        path="/v1/audit/solvency",
        handler=solvency,
        operation="solvency",
        tag="Audit",
        summary_zh="偿付能力：在外时间币、账龄、兑换率",
        summary_en="What the bank owes, how old it is, and where the rest has gone",
        roles=AUDITORS,
        query=SolvencyQuery,
        answers={200: Solvency},
    ),
]
