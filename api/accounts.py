"""A member's account as a whole over HTTP: relations, freezing, closing."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from api.asks import Ask, Reason, ReasonNeededAsk, Text, Uuid
from api.call import Call
from api.contract import ADMINS, VERIFIERS, Fields, Route, Written
from api.members import TAG
from api.transfers import CREDITS_MAX
from ledger.commands import CloseAccount, FreezeCredits, RecordRelation, UnfreezeCredits
from ledger.desk import Done

Credits = Annotated[
    int | None, Field(ge=1, le=CREDITS_MAX, description="All that there are, if none are named.")
]


class RelationAsk(Ask):
    """What another member is to the member."""

    entering = ("relation", "evidence_ref")

    relation: Annotated[Text, Field(examples=["spouse", "parent", "child"])]
    to: Uuid
    evidence_ref: Text


class FreezeAsk(ReasonNeededAsk):
    """Keep credits from being spent."""

    credits: Credits = None


class UnfreezeAsk(Ask):
    """Make frozen credits available again."""

    entering = ("reason",)

    credits: Credits = None
    reason: Reason | None = None


class RelationWritten(Written):
    """A relation as it stands."""

    member_id: Uuid
    relation: str
    to: Uuid


class AccountWritten(Written):
    """An account after what was just written."""

    member_id: Uuid
    status: Literal["open", "closed"]
    available: int
    frozen: int


async def relate(call: Call) -> web.Response:
    """Say what another member is to the member."""
    asked: RelationAsk = call.body
    command = RecordRelation(
        **call.stamp(),
        member_id=call.path["id"],
        organisation=call.key.organisation,
        relation=asked.relation,
        to=asked.to,
        evidence_ref=asked.evidence_ref,
    )
    said = {"member_id": command.member_id, "relation": command.relation, "to": command.to}

    def answered(done: Done) -> tuple[int, Fields]:
        if done.entries:
            return 201, dict(said)
        return 200, {**said, "position": done.states["member"].position}

    return await call.write(command, answered)


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
        path="/v1/members/{id}/relations",
        handler=relate,
        operation="record_relation",
        tag=TAG,
        summary_zh="登记与另一成员的关系",
        summary_en="Say what another member is to the member",
        roles=VERIFIERS,
        write=True,
        body=RelationAsk,
        example={
            "relation": "parent",
            "to": "019f0000-0000-7000-8000-00000000000b",
            "evidence_ref": "户口簿-2026-17",
        },
        answers={201: RelationWritten, 200: RelationWritten},
        problems=("not_found", "personal_data_in_text"),
    ),
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
