"""The catalogue of rewards over HTTP: add, restock, withdraw, look up."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, ReasonNeededAsk, Text
from api.call import Call
from api.contract import (
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
from api.transfers import CREDITS_MAX
from ledger.commands import AddReward, RestockReward, WithdrawReward
from ledger.desk import Done
from ledger.events import GradeName, RewardKind, Tier
from projections import rewards as view

Standing = Literal["offered", "withdrawn"]

ITEMS_MAX = 10**9

Quantity = Annotated[int, Field(ge=1, le=ITEMS_MAX)]


class EligibilityAsk(Ask):
    """Who may redeem it, beside what the policy asks of everybody; all that is given holds."""

    min_age: Annotated[
        int | None,
        Field(ge=0, le=150, description="In years; the vault answers with yes or no."),
    ] = None
    min_stars: Annotated[int | None, Field(ge=0, le=10)] = None
    tier: Annotated[Tier | None, Field(description="This rung or a higher one.")] = None
    grade: Annotated[GradeName | None, Field(description="This grade or a better one.")] = None
    organisations: Annotated[
        list[Code] | None,
        Field(min_length=1, max_length=100, description="One of which knows the member."),
    ] = None


class RewardAsk(Ask):
    """Put a reward into the catalogue."""

    entering = ("name",)

    organisation: Annotated[
        Code | None, Field(description="Whose reward it is; an administrator's is the bank's.")
    ] = None
    code: Code
    name: Text
    kind: RewardKind
    credits: Annotated[int, Field(ge=1, le=CREDITS_MAX, description="The price of one.")]
    stock: Annotated[
        int | None, Field(ge=0, le=ITEMS_MAX, description="How many there are; none: no end.")
    ] = None
    eligibility: EligibilityAsk = EligibilityAsk()


class RestockAsk(Ask):
    """There are so many more of a reward."""

    organisation: Code | None = None
    quantity: Quantity


class WithdrawalAsk(ReasonNeededAsk):
    """Let nobody redeem a reward any more."""

    organisation: Code | None = None


async def add(call: Call) -> web.Response:
    """Put a reward into the catalogue."""
    asked: RewardAsk = call.body
    gates = asked.eligibility
    command = AddReward(
        **call.stamp(),
        code=asked.code,
        organisation=call.organisation,
        name=asked.name,
        kind=asked.kind,
        credits=asked.credits,
        stock=asked.stock,
        min_age=gates.min_age,
        min_stars=gates.min_stars,
        tier=gates.tier,
        grade=gates.grade,
        organisations=None if gates.organisations is None else tuple(gates.organisations),
    )
    return await call.write(command, lambda done: (201, _told(done) | {"stock": command.stock}))


async def restock(call: Call) -> web.Response:
    """There are so many more of a reward."""
    asked: RestockAsk = call.body
    command = RestockReward(
        **call.stamp(),
        code=call.path["code"],
        organisation=call.organisation,
        quantity=asked.quantity,
    )

    def answered(done: Done) -> tuple[int, Fields]:
        return 200, _told(done) | {"stock": done.states["stock"].credits}

    return await call.write(command, answered)


async def withdraw(call: Call) -> web.Response:
    """Let nobody redeem a reward any more."""
    asked: WithdrawalAsk = call.body
    command = WithdrawReward(
        **call.stamp(),
        code=call.path["code"],
        organisation=call.organisation,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _told(done)))


def _told(done: Done) -> Fields:
    reward = done.states["reward"]
    return {
        "code": reward.added.code,
        "status": "withdrawn" if reward.withdrawn else "offered",
    }


class RewardsQuery(PageQuery):
    """Filters; all that are given hold."""

    organisation: Code | None = None
    kind: RewardKind | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The catalogue."""
    query: RewardsQuery = call.query
    return await answer_page(
        call,
        view.listing,
        query.after,
        query.limit,
        organisation=query.organisation,
        kind=query.kind,
        status=query.status,
    )


async def item(call: Call) -> web.Response:
    """One reward."""
    return await call.read(view.reward, call.path["code"])


# --- answers -------------------------------------------------------------------------------------


class RewardWritten(Written):
    """A reward after what was just written."""

    code: Code
    status: Standing
    stock: Annotated[int | None, Field(description="What is left; null where none is counted.")] = (
        None
    )


class Eligibility(BaseModel):
    """Who may redeem it, beside what the policy asks of everybody."""

    min_age: int | None = None
    min_stars: int | None = None
    tier: Tier | None = None
    grade: GradeName | None = None
    organisations: list[Code] | None = None


class Reward(BaseModel):
    """A reward as it stands."""

    code: Code
    organisation: Annotated[Code | None, Field(description="Whose it is; none: the bank's.")]
    name: str
    kind: RewardKind
    credits: Annotated[int, Field(description="The price of one.")]
    stock: Annotated[int | None, Field(description="What is left; null: no end.")]
    eligibility: Eligibility
    status: Standing
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class RewardPage(Page):
    """Rewards, oldest first."""

    data: list[Reward]


TAG = "Rewards"

ROUTES = [
    Route(
        method="POST",
        path="/v1/rewards",
        handler=add,
        operation="add_reward",
        tag=TAG,
        summary_zh="上架奖励（互助服务或权益）",
        summary_en="Put a reward into the catalogue",
        roles=VERIFIERS,
        write=True,
        body=RewardAsk,
        example={
            "code": "rice-5kg",
            "name": "大米 5 千克",
            "kind": "benefit",
            "credits": 300,
            "stock": 100,
            "eligibility": {"min_age": 60},
        },
        answers={201: RewardWritten},
        problems=("code_taken", "organisation_suspended", "not_found", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/rewards/{code}/restock",
        handler=restock,
        operation="restock_reward",
        tag=TAG,
        summary_zh="补货",
        summary_en="Add to a reward's stock",
        roles=VERIFIERS,
        write=True,
        body=RestockAsk,
        example={"quantity": 50},
        answers={200: RewardWritten},
        problems=("wrong_state", "no_stock_counted", "organisation_suspended"),
    ),
    Route(
        method="POST",
        path="/v1/rewards/{code}/withdraw",
        handler=withdraw,
        operation="withdraw_reward",
        tag=TAG,
        summary_zh="下架奖励；已预约的不受影响",
        summary_en="Let nobody redeem a reward any more; what is reserved stays so",
        roles=VERIFIERS,
        write=True,
        body=WithdrawalAsk,
        example={"reason": "供应商停止合作"},
        answers={200: RewardWritten},
        problems=("wrong_state", "organisation_suspended", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/rewards",
        handler=listing,
        operation="list_rewards",
        tag=TAG,
        summary_zh="奖励目录",
        summary_en="The catalogue of rewards",
        roles=EVERYONE,
        query=RewardsQuery,
        answers={200: RewardPage},
    ),
    Route(
        method="GET",
        path="/v1/rewards/{code}",
        handler=item,
        operation="get_reward",
        tag=TAG,
        summary_zh="一项奖励",
        summary_en="Get a reward",
        roles=EVERYONE,
        answers={200: Reward},
    ),
]
