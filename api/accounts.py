"""A member's account as a whole over HTTP: freezing, closing."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from api.asks import Ask, Reason, ReasonNeededAsk, Uuid
from api.call import Call
from api.contract import ADMINS, Fields, Route, Written
from api.members import TAG
from api.transfers import CREDITS_MAX
from ledger.commands import CloseAccount, FreezeCredits, UnfreezeCredits
from ledger.desk import Done

Credits = Annotated[
    int | None, Field(ge=1, le=CREDITS_MAX, description="All that there are, if none are named.")
]


class FreezeAsk(ReasonNeededAsk):
    """Keep credits from being spent."""

    credits: Credits = None


class UnfreezeAsk(Ask):
    """Make frozen credits available again."""

    entering = ("reason",)

    credits: Credits = None
    reason: Reason | None = None


class AccountWritten(Written):
    """An account after what was just written."""

    member_id: Uuid
    status: Literal["open", "closed"]
    available: int
    frozen: int


async def freeze(call: Call) -> web.Response:
    """Keep credits from being spent."""
    asked: FreezeAsk = call.body
    command = FreezeCredits(
        **call.stamp(), member_id=call.path["id"], credits=asked.credits, reason=asked.reason
    )
    return await call.write(command, lambda done: (200, _account(done, command.member_id)))


async def unfreeze(call: Call) -> web.Response:
    """Make frozen credits available again."""
    asked: UnfreezeAsk = call.body
    command = UnfreezeCredits(
        **call.stamp(), member_id=call.path["id"], credits=asked.credits, reason=asked.reason
    )
    return await call.write(command, lambda done: (200, _account(done, command.member_id)))


async def close(call: Call) -> web.Response:
    """End an account on which nothing is left."""
    asked: ReasonNeededAsk = call.body
    command = CloseAccount(**call.stamp(), member_id=call.path["id"], reason=asked.reason)
    return await call.write(command, lambda done: (200, _account(done, command.member_id)))


def _account(done: Done, member_id: str) -> Fields:
    account = done.states["account"]
    return {
        "member_id": member_id,
        "status": "closed" if done.states["member"].closed else "open",
        "available": account.available,
        "frozen": account.frozen,
    }


ROUTES = [
    Route(
        method="POST",
        path="/v1/members/{id}/freeze",
        handler=freeze,
        operation="freeze_credits",
        tag=TAG,
        summary_zh="冻结时间币",
        summary_en="Keep credits from being spent",
        roles=ADMINS,
        write=True,
        body=FreezeAsk,
        example={"credits": 60, "reason": "核查中"},
        answers={200: AccountWritten},
        problems=("not_enough_credits", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/members/{id}/unfreeze",
        handler=unfreeze,
        operation="unfreeze_credits",
        tag=TAG,
        summary_zh="解冻时间币",
        summary_en="Make frozen credits available again",
        roles=ADMINS,
        write=True,
        body=UnfreezeAsk,
        example={"reason": "核查结束"},
        answers={200: AccountWritten},
        problems=("not_enough_credits", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/members/{id}/close",
        handler=close,
        operation="close_account",
        tag=TAG,
        summary_zh="关闭账户",
        summary_en="End an account on which nothing is left",
        roles=ADMINS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "本人注销"},
        answers={200: AccountWritten},
        problems=("balance_not_settled", "wrong_state", "personal_data_in_text"),
    ),
]
