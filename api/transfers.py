"""Transfers over HTTP: gifts, donations, allocations, grants and inheritances."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import CODE_PATTERN, UUID_PATTERN, Ask, Code, FieldNo, Reason, ReasonAsk, Uuid
from api.call import Call
from api.contract import (
    ADMINS,
    EVERYONE,
    VERIFIERS,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.service_records import sight
from ledger.commands import (
    AllocateCredits,
    ApproveGrant,
    Command,
    DonateCredits,
    GiveCredits,
    InheritCredits,
    ProposeGrant,
    Share,
)
from ledger.desk import Done
from ledger.events import DONATION_POOL, GrantProposed, Moved
from ledger.keys import Role
from ledger.units import Refused, new_id
from projections import transfers as view

Kind = Literal["gift", "donation", "allocation", "grant", "inheritance"]
Standing = Literal["done", "proposed"]

GIVERS: frozenset[Role] = VERIFIERS | {"member"}
BY_ADMIN = ("allocation", "grant", "inheritance")
CREDITS_MAX = 10**12
ADDRESS_PATTERN = rf"^({UUID_PATTERN[1:-1]}|{CODE_PATTERN[1:-1]}|{DONATION_POOL})$"

Address = Annotated[str, Field(pattern=ADDRESS_PATTERN)]
"""A member's id, an organisation's code (its pool), or `pool:donation`."""


class ShareAsk(Ask):
    """One of those who receive, with a weight among them."""

    to: Address
    weight: Annotated[int, Field(ge=0, le=10**9)]


class TransferAsk(Ask):
    """Credits are to change hands."""

    entering = ("reason",)

    kind: Kind
    source: Annotated[
        Address | None,
        Field(
            alias="from",
            description="Whose credits; of an allocation a pool, `pool:donation` if none is named.",
        ),
    ] = None
    to: Annotated[
        Address | None, Field(description="Who receives; of a donation `pool:donation` if none is.")
    ] = None
    credits: Annotated[int, Field(ge=1, le=CREDITS_MAX)]
    fund: Code | None = None
    shares: Annotated[list[ShareAsk] | None, Field(min_length=1, max_length=500)] = None
    reason: Reason

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """Each kind has its own fields, and weights have a sum."""
        kind, shares = values.get("kind"), values.get("shares")
        for name, kinds in _FIELDS.items():
            if values.get(name) is not None and kind is not None and kind not in kinds:
                yield (_SPELLED.get(name, name),), "unknown_field", {}
        source, to = values.get("source"), values.get("to")
        if kind == "gift" and "to" in values and not _is_member(to):
            yield ("to",), "not_a_uuid" if to else "missing", {}
        if kind == "donation" and _is_member(to):
            yield ("to",), "wrong_value", {"expected": "pool:donation, code"}
        if kind == "inheritance" and "source" in values and not _is_member(source):
            yield ("from",), "not_a_uuid" if source else "missing", {}
        if kind == "allocation" and _is_member(source):
            yield ("from",), "wrong_value", {"expected": "pool:donation, code"}
        if kind == "grant" and "fund" in values and values["fund"] is None:
            yield ("fund",), "missing", {}
        if (
            kind in BY_ADMIN
            and "to" in values
            and "shares" in values
            and (to is None) == (shares is None)
        ):
            yield ("to",), "one_of_two", {"first": "to", "second": "shares"}
        if shares and len({share.to for share in shares}) < len(shares):
            yield ("shares",), "given_twice", {}
        if shares and not any(share.weight for share in shares):
            yield ("shares",), "wrong_value", {"expected": "weight > 0"}

    def dealt(self) -> tuple[Share, ...]:
        """Those who receive, by their accounts."""
        if self.shares is None:
            return (Share(account(self.to or ""), 1),)
        return tuple(Share(account(share.to), share.weight) for share in self.shares)


_SPELLED = {"source": "from"}
_FIELDS: dict[str, tuple[Kind, ...]] = {
    "source": ("gift", "donation", "allocation", "inheritance"),
    "fund": ("grant",),
    "shares": ("allocation", "grant", "inheritance"),
}
"""Which kinds have which field."""


def account(address: str) -> str:
    """The account that an address names."""
    if address == DONATION_POOL:
        return address
    return f"person:{address}:available" if _is_member(address) else f"org:{address}:pool"


def _is_member(address: object) -> bool:
    return isinstance(address, str) and re.fullmatch(UUID_PATTERN, address) is not None


# --- asking --------------------------------------------------------------------------------------


async def post(call: Call) -> web.Response:
    """Move credits, or propose a grant."""
    asked: TransferAsk = call.body
    if asked.kind in BY_ADMIN and call.key.role != "admin":
        raise Refused("forbidden")
    return await call.write(_command(call, asked), _answered)


def _command(call: Call, asked: TransferAsk) -> Command:
    said: dict[str, Any] = {
        **call.stamp(),
        "transfer_id": new_id(),
        "credits": asked.credits,
        "reason": asked.reason,
    }
    match asked.kind:
        case "gift":
            return GiveCredits(**said, **_giver(call, asked), to=asked.to or "")
        case "donation":
            return DonateCredits(
                **said, **_giver(call, asked), to=account(asked.to or DONATION_POOL)
            )
        case "inheritance":
            return InheritCredits(**said, member_id=asked.source or "", shares=asked.dealt())
        case "allocation":
            source = account(asked.source or DONATION_POOL)
            return AllocateCredits(**said, source=source, shares=asked.dealt())
        case "grant":
            return ProposeGrant(**said, fund=asked.fund or "", shares=asked.dealt())


def _giver(call: Call, asked: TransferAsk) -> dict[str, Any]:
    """Whose credits they are: a member's own, or those of whom is named."""
    own = call.key.member_id if call.key.role == "member" else None
    named = asked.source or own
    if named is None or not _is_member(named) or own not in (None, named):
        raise Refused("not_found", pointer="/from", what=named)
    return {"member_id": named, "organisation": call.key.organisation}


async def approve(call: Call) -> web.Response:
    """Let a fund issue what another administrator has proposed."""
    asked: ReasonAsk = call.body
    command = ApproveGrant(**call.stamp(), transfer_id=call.path["id"], reason=asked.reason)
    return await call.write(command, lambda done: (200, _answered(done)[1]))


def _answered(done: Done) -> tuple[int, Fields]:
    event = done.entries[-1].event
    if isinstance(event, GrantProposed):
        return 201, {"id": event.transfer_id, "status": "proposed", "entries": []}
    assert isinstance(event, Moved)  # noqa: S101  (the rules make nothing else)
    return 201, {"id": event.transfer_id, "status": "done", "entries": event.entries}


# --- looking up ----------------------------------------------------------------------------------


class TransfersQuery(PageQuery):
    """Filters; all that are given hold."""

    kind: Kind | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The transfers that the caller may see."""
    organisation, member_id = sight(call)
    query: TransfersQuery = call.query
    return await answer_page(
        call,
        view.listing,
        query.after,
        query.limit,
        member_id=member_id,
        organisation=organisation,
        kind=query.kind,
        status=query.status,
    )


async def item(call: Call) -> web.Response:
    """One transfer."""
    organisation, member_id = sight(call)
    return await call.read(view.transfer, call.path["id"], member_id, organisation)


# --- answers -------------------------------------------------------------------------------------

EntryLine = tuple[str, int]


class TransferWritten(Written):
    """A transfer after what was just written."""

    id: Uuid
    status: Standing
    entries: Annotated[list[EntryLine], Field(description="None while it is proposed.")]


class Transfer(BaseModel):
    """A transfer as it stands."""

    id: Uuid
    kind: Kind
    status: Standing
    member_id: Annotated[Uuid | None, Field(description="Whose credits they were.")]
    credits: int
    fund: str | None
    entries: list[EntryLine]
    shares: Annotated[list[EntryLine], Field(description="What a proposed grant would be.")]
    reason: str
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class TransferPage(Page):
    """Transfers, oldest first."""

    data: list[Transfer]


TAG = "Transfers"

ROUTES = [
    Route(
        method="POST",
        path="/v1/transfers",
        handler=post,
        operation="post_transfer",
        tag=TAG,
        summary_zh="转赠、捐赠、分配、专项发放（提议）、继承",
        summary_en="Give, donate, allocate, inherit, or propose a grant",
        roles=GIVERS,
        write=True,
        body=TransferAsk,
        example={
            "kind": "donation",
            "from": "019f0000-0000-7000-8000-00000000000a",
            "credits": 60,
            "reason": "捐给有需要的老人",
        },
        answers={201: TransferWritten},
        problems=(
            *("not_enough_credits", "relation_unknown", "yearly_maximum", "fund_exhausted"),
            *("member_closed", "to_oneself", "not_found", "personal_data_in_text"),
        ),
    ),
    Route(
        method="POST",
        path="/v1/transfers/{id}/approve",
        handler=approve,
        operation="approve_grant",
        tag=TAG,
        summary_zh="批准专项发放（须另一管理员）",
        summary_en="Approve a grant that another administrator has proposed",
        roles=ADMINS,
        write=True,
        body=ReasonAsk,
        example={"reason": "名单已复核"},
        answers={200: TransferWritten},
        problems=(
            *("wrong_state", "second_person_needed", "fund_exhausted", "member_closed"),
            "personal_data_in_text",
        ),
    ),
    Route(
        method="GET",
        path="/v1/transfers",
        handler=listing,
        operation="list_transfers",
        tag=TAG,
        summary_zh="转移列表",
        summary_en="List transfers",
        roles=EVERYONE,
        query=TransfersQuery,
        answers={200: TransferPage},
    ),
    Route(
        method="GET",
        path="/v1/transfers/{id}",
        handler=item,
        operation="get_transfer",
        tag=TAG,
        summary_zh="一笔转移",
        summary_en="Get a transfer",
        roles=EVERYONE,
        answers={200: Transfer},
    ),
]
