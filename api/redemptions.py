"""Redemptions over HTTP: hold credits for a reward, fulfil, cancel, look up."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, ReasonNeededAsk, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    POSTERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.service_records import sight
from api.transfers import CREDITS_MAX
from ledger.commands import CancelRedemption, FulfilRedemption, ReserveRedemption
from ledger.desk import Done
from ledger.events import RedemptionFulfilled, RewardKind
from ledger.keys import Role
from ledger.units import Refused, new_id
from projections import redemptions as view

Standing = Literal["reserved", "fulfilled", "cancelled", "expired"]

REDEEMERS: frozenset[Role] = POSTERS | {"member"}
QUANTITY_MAX = 10_000


class RedemptionAsk(Ask):
    """Hold a member's credits for a reward."""

    member_id: Uuid
    reward: Code
    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX)] = 1
    provider_id: Annotated[
        Uuid | None, Field(description="Who will serve, where that is known already.")
    ] = None


class FulfilmentAsk(Ask):
    """Pay what is held, or a part of it."""

    credits: Annotated[
        int | None, Field(ge=1, le=CREDITS_MAX, description="All that is held, if none are named.")
    ] = None
    provider_id: Annotated[
        Uuid | None, Field(description="Who served, where that is not who was to.")
    ] = None


async def reserve(call: Call) -> web.Response:
    """Hold a member's credits for a reward."""
    asked: RedemptionAsk = call.body
    if call.key.role == "member" and asked.member_id != call.key.member_id:
        raise Refused("not_found", pointer="/member_id")
    held = await call.in_thread(call.ledger.vault.read_in_full, asked.member_id)
    command = ReserveRedemption(
        **call.stamp(),
        redemption_id=new_id(),
        member_id=asked.member_id,
        organisation=call.key.organisation,
        reward=asked.reward,
        quantity=asked.quantity,
        provider_id=asked.provider_id,
        born_on=None if held is None else held.person.born_on(),
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def fulfil(call: Call) -> web.Response:
    """Pay what is held, or a part of it."""
    asked: FulfilmentAsk = call.body
    command = FulfilRedemption(
        **call.stamp(),
        redemption_id=call.path["id"],
        organisation=call.key.organisation,
        credits=asked.credits,
        provider_id=asked.provider_id,
    )
    return await call.write(command, lambda done: (200, _told(done)))


async def cancel(call: Call) -> web.Response:
    """Let what is held be available again."""
    asked: ReasonNeededAsk = call.body
    command = CancelRedemption(
        **call.stamp(),
        redemption_id=call.path["id"],
        organisation=call.key.organisation,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _told(done)))


def _told(done: Done) -> Fields:
    redemption = done.states["redemption"]
    reserved, ended = redemption.reserved, redemption.ended
    return {
        "id": reserved.redemption_id,
        "status": redemption.status,
        "member_id": reserved.member_id,
        "reward": reserved.reward,
        "quantity": reserved.quantity,
        "credits": reserved.credits,
        "paid": ended.credits if isinstance(ended, RedemptionFulfilled) else 0,
        "released": 0 if ended is None else ended.released or 0,
        "provider_id": redemption.provider_id,
        "expires_on": reserved.expires_on,
        "position": redemption.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class RedemptionsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Annotated[Uuid | None, Field(description="Who redeems.")] = None
    reward: Code | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The redemptions that the caller may see."""
    organisation, member_id = sight(call)
    query: RedemptionsQuery = call.query
    return await answer_page(
        call,
        view.listing,
        query.after,
        query.limit,
        member_id=member_id,
        organisation=organisation,
        of=query.member_id,
        reward=query.reward,
        status=query.status,
    )


async def item(call: Call) -> web.Response:
    """One redemption."""
    organisation, member_id = sight(call)
    return await call.read(view.redemption, call.path["id"], member_id, organisation)


# --- answers -------------------------------------------------------------------------------------


class RedemptionWritten(Written):
    """A redemption after what was just written."""

    id: Uuid
    status: Standing
    member_id: Uuid
    reward: Code
    quantity: int
    credits: Annotated[int, Field(description="What was reserved.")]
    paid: int
    released: Annotated[int, Field(description="What is available again.")]
    provider_id: Uuid | None
    expires_on: Annotated[DayText, Field(description="From then on a job may end the hold.")]


class Redemption(BaseModel):
    """A redemption as it stands."""

    id: Uuid
    member_id: Annotated[Uuid, Field(description="Who redeems.")]
    organisation: Annotated[Code, Field(description="The member's home organisation.")]
    reward: Code
    kind: RewardKind
    quantity: int
    status: Standing
    credits: Annotated[int, Field(description="What was reserved.")]
    paid: Annotated[int, Field(description="What was paid, and not given back by a reversal.")]
    released: int
    provider_id: Uuid | None
    record_id: Annotated[Uuid | None, Field(description="The service record that cites it.")]
    expires_on: DayText
    reason: Annotated[str | None, Field(description="Why it was cancelled.")]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class RedemptionPage(Page):
    """Redemptions, oldest first."""

    data: list[Redemption]


TAG = "Redemptions"

ROUTES = [
    Route(
        method="POST",
        path="/v1/redemptions",
        handler=reserve,
        operation="reserve_redemption",
        tag=TAG,
        summary_zh="预约兑换：冻结时间币",
        summary_en="Hold a member's credits for a reward",
        roles=REDEEMERS,
        write=True,
        body=RedemptionAsk,
        example={
            "member_id": "019f0000-0000-7000-8000-00000000000a",
            "reward": "rice-5kg",
            "quantity": 1,
        },
        answers={201: RedemptionWritten},
        problems=(
            *("not_enough_credits", "out_of_stock", "not_eligible", "member_closed"),
            *("wrong_state", "organisation_suspended", "to_oneself", "no_provider", "not_found"),
        ),
    ),
    Route(
        method="POST",
        path="/v1/redemptions/{id}/fulfil",
        handler=fulfil,
        operation="fulfil_redemption",
        tag=TAG,
        summary_zh="核销：全部或部分支付，其余退回",
        summary_en="Pay what is held, or a part; the rest is available again",
        roles=POSTERS,
        write=True,
        body=FulfilmentAsk,
        example={"credits": 90, "provider_id": "019f0000-0000-7000-8000-00000000000b"},
        answers={200: RedemptionWritten},
        problems=(
            *("wrong_state", "not_enough_credits", "provider_needed", "no_provider"),
            *("own_hours", "member_closed", "organisation_suspended", "to_oneself", "not_found"),
        ),
    ),
    Route(
        method="POST",
        path="/v1/redemptions/{id}/cancel",
        handler=cancel,
        operation="cancel_redemption",
        tag=TAG,
        summary_zh="取消预约，退回时间币",
        summary_en="Let what is held be available again",
        roles=POSTERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "服务对象临时有事"},
        answers={200: RedemptionWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/redemptions",
        handler=listing,
        operation="list_redemptions",
        tag=TAG,
        summary_zh="兑换列表",
        summary_en="List redemptions",
        roles=EVERYONE,
        query=RedemptionsQuery,
        answers={200: RedemptionPage},
    ),
    Route(
        method="GET",
        path="/v1/redemptions/{id}",
        handler=item,
        operation="get_redemption",
        tag=TAG,
        summary_zh="一笔兑换",
        summary_en="Get a redemption",
        roles=EVERYONE,
        answers={200: Redemption},
    ),
]
