"""Service orders over HTTP: place, dispatch, accept, serve, rate, dispute, decide, look up."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, FieldNo, Instant, Reason, Text, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    POSTERS,
    VERIFIERS,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.needs import At, Step, StepReasonAsk, StepReasonNeededAsk
from api.service_records import RecordWritten, sight, told
from api.transfers import CREDITS_MAX
from ledger.commands import (
    AcceptOrder,
    CancelOrder,
    CheckInOrder,
    CheckOutOrder,
    DecideOrder,
    DeclineOrder,
    DispatchOrder,
    DisputeOrder,
    PlaceOrder,
    RateOrder,
)
from ledger.desk import Done
from ledger.events import Level, Verdict
from ledger.keys import Role
from ledger.units import new_id
from projections import orders as view

Standing = Literal[
    "placed",
    "dispatched",
    "accepted",
    "declined",
    "timed_out",
    "in_service",
    "completed",
    "rated",
    "disputed",
    "closed",
    "cancelled",
]

CONCERNED: frozenset[Role] = POSTERS | {"member"}


class OrderAsk(Ask):
    """A service is asked for."""

    entering = ("activity", "category", "responsible")

    organisation: Code | None = None
    need_id: Uuid | None = None
    recipient_id: Uuid
    activity: Text
    category: Text
    unit: Code
    responsible: Text
    planned_from: Instant
    planned_to: Instant
    hold_credits: Annotated[
        int, Field(ge=0, le=CREDITS_MAX, description="Of the recipient, to pay for it.")
    ] = 0
    certification_level: Annotated[
        Level | None, Field(description="That whoever serves must be registered with.")
    ] = None
    supervisor_id: Uuid | None = None
    project_id: Uuid | None = None
    at: At = None

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """A plan does not end before it begins."""
        first, last = values.get("planned_from"), values.get("planned_to")
        if first is not None and last is not None and last <= first:
            yield ("planned_to",), "ends_before_start", {}


class DispatchAsk(Ask):
    """Which organisation is asked to serve."""

    organisation: Code
    at: At = None


class AcceptanceAsk(Ask):
    """Which volunteer will serve."""

    member_id: Uuid
    at: At = None


class StepAsk(Ask):
    """A step of which only the time may be said."""

    at: At = None


class RatingAsk(Ask):
    """How it was."""

    entering = ("comment_ref",)

    stars: Annotated[int, Field(ge=1, le=5)]
    comment_ref: Text | None = None
    at: At = None


class DecisionAsk(Ask):
    """What is decided of a dispute."""

    entering = ("reason",)

    outcome: Verdict
    reason: Reason
    at: At = None


async def place(call: Call) -> web.Response:
    """Ask for a service."""
    asked: OrderAsk = call.body
    command = PlaceOrder(
        **call.stamp(),
        order_id=new_id(),
        organisation=call.acting_organisation(),
        recipient_id=asked.recipient_id,
        activity=asked.activity,
        category=asked.category,
        unit=asked.unit,
        responsible=asked.responsible,
        planned_from=asked.planned_from,
        planned_to=asked.planned_to,
        need_id=asked.need_id,
        hold_credits=asked.hold_credits,
        certification_level=asked.certification_level,
        supervisor_id=asked.supervisor_id,
        project_id=asked.project_id,
        happened_at=asked.at,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def dispatch(call: Call) -> web.Response:
    """Ask an organisation to serve."""
    asked: DispatchAsk = call.body
    command = DispatchOrder(**_about(call), dispatched_to=asked.organisation)
    return await call.write(command, lambda done: (200, _told(done)))


async def accept(call: Call) -> web.Response:
    """Say which volunteer will serve."""
    asked: AcceptanceAsk = call.body
    command = AcceptOrder(**_about(call), member_id=asked.member_id)
    return await call.write(command, lambda done: (200, _told(done)))


async def decline(call: Call) -> web.Response:
    """Say that the organisation does not serve."""
    asked: StepReasonAsk = call.body
    command = DeclineOrder(**_about(call), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


async def check_in(call: Call) -> web.Response:
    """Say that the volunteer has begun."""
    return await call.write(CheckInOrder(**_about(call)), lambda done: (200, _told(done)))


async def check_out(call: Call) -> web.Response:
    """Say that the volunteer is done: the record is posted and paid at once."""
    command = CheckOutOrder(**_about(call), record_id=new_id())
    return await call.write(command, lambda done: (200, _told_with_record(done, "before")))


async def rate(call: Call) -> web.Response:
    """Say how it was."""
    asked: RatingAsk = call.body
    command = RateOrder(**_about(call), stars=asked.stars, comment_ref=asked.comment_ref)
    return await call.write(command, lambda done: (200, _told(done)))


async def cancel(call: Call) -> web.Response:
    """Let nobody serve."""
    asked: StepReasonNeededAsk = call.body
    command = CancelOrder(**_about(call), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


async def dispute(call: Call) -> web.Response:
    """Object to what is told of it."""
    asked: StepReasonNeededAsk = call.body
    command = DisputeOrder(**_about(call), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


async def decide(call: Call) -> web.Response:
    """Decide a dispute."""
    asked: DecisionAsk = call.body
    command = DecideOrder(**_about(call), outcome=asked.outcome, reason=asked.reason)
    return await call.write(command, lambda done: (200, _told_with_record(done, "record")))


def _about(call: Call) -> dict[str, Any]:
    return {
        **call.stamp(),
        "order_id": call.path["id"],
        "organisation": call.key.organisation,
        "happened_at": call.body.at,
    }


def _told(done: Done) -> Fields:
    order = done.states["order"]
    placed, disputed = order.placed, order.disputed
    return {
        "id": placed.order_id,
        "status": order.status,
        "organisation": placed.organisation,
        "dispatched_to": order.dispatched_to,
        "need_id": placed.need_id,
        "recipient_id": placed.member_id,
        "member_id": order.member_id,
        "hold_credits": placed.hold_credits or 0,
        "held": order.held,
        "paid": order.paid,
        "frozen": (disputed and disputed.credits) or 0,
        "accept_by": order.accept_by or None,
        "stars": order.rated and order.rated.stars,
        "record_id": order.record_id,
        "at": order.at,
        "correlation_id": placed.correlation_id,
        "position": order.position,
    }


def _told_with_record(done: Done, name: str) -> Fields:
    said = _told(done)
    said["service_record"] = told(done.states[name])
    return said


# --- looking up ----------------------------------------------------------------------------------


class OrdersQuery(PageQuery):
    """Filters; all that are given hold."""

    need_id: Uuid | None = None
    recipient_id: Uuid | None = None
    member_id: Annotated[Uuid | None, Field(description="The volunteer.")] = None
    organisation: Annotated[Code | None, Field(description="That placed it.")] = None
    dispatched_to: Code | None = None
    project_id: Uuid | None = None
    status: Standing | None = None
    category: Annotated[str | None, Field(max_length=200)] = None
    unit: Annotated[Code | None, Field(description="A unit, and all that lie in it.")] = None


_FILTERS = (
    *("need_id", "recipient_id", "member_id", "project_id", "organisation", "dispatched_to"),
    *("status", "category"),
)
"""The narrowest first."""


async def listing(call: Call) -> web.Response:
    """The orders that the caller may see."""
    query: OrdersQuery = call.query
    organisation, member_id = sight(call)
    said = {name: getattr(query, name) for name in _FILTERS}
    return await answer_page(
        call,
        view.orders_listed,
        query.after,
        query.limit,
        organisation=organisation,
        seen_by=member_id,
        unit=query.unit,
        filters={name: wanted for name, wanted in said.items() if wanted is not None},
    )


async def item(call: Call) -> web.Response:
    """One order."""
    return await call.read(view.order, call.path["id"], *sight(call))


# --- answers -------------------------------------------------------------------------------------


class OrderWritten(Written):
    """An order after what was just written."""

    id: Uuid
    status: Standing
    organisation: Annotated[Code, Field(description="That placed it.")]
    dispatched_to: Code | None
    need_id: Uuid | None
    recipient_id: Uuid
    member_id: Annotated[Uuid | None, Field(description="The volunteer.")]
    hold_credits: Annotated[int, Field(description="What was held at first.")]
    held: int
    paid: int
    frozen: Annotated[int, Field(description="Of the volunteer's credits, by an open dispute.")]
    accept_by: InstantText | None
    stars: int | None
    record_id: Uuid | None
    at: Annotated[InstantText, Field(description="When the last step happened.")]
    correlation_id: str


class OrderServed(OrderWritten):
    """An order after its check-out or its decision, with the service record."""

    service_record: RecordWritten


class Order(BaseModel):
    """An order as it stands."""

    id: Uuid
    organisation: Annotated[Code, Field(description="That placed it.")]
    dispatched_to: Code | None
    need_id: Uuid | None
    recipient_id: Uuid
    member_id: Annotated[Uuid | None, Field(description="The volunteer.")]
    activity: str
    category: str
    unit: Code
    responsible: str
    planned_from: InstantText
    planned_to: InstantText
    hold_credits: Annotated[int, Field(description="What was held at first.")]
    certification_level: Level | None
    supervisor_id: Uuid | None
    project_id: Uuid | None
    status: Standing
    waited_minutes: Annotated[
        int | None, Field(description="From the last dispatch to the acceptance.")
    ]
    punctual: bool | None
    record_id: Uuid | None
    paid: Annotated[int, Field(description="Out of what was held, and not given back.")]
    stars: int | None
    comment_ref: str | None
    outcome: Annotated[Verdict | None, Field(description="Of its dispute.")]
    reason: Annotated[str | None, Field(description="Of the last step that has one.")]
    steps: list[Step]
    correlation_id: str
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class OrderPage(Page):
    """Orders, oldest first."""

    data: list[Order]


TAG = "Orders"
_ITEM = "/v1/orders/{id}"
_STEP = ("wrong_state", "in_the_future", "out_of_order", "forbidden")
_SPAN = ("less_than_a_minute", "longer_than_a_day")

ROUTES = [
    Route(
        method="POST",
        path="/v1/orders",
        handler=place,
        operation="place_order",
        tag=TAG,
        summary_zh="点单：登记服务工单，可预先冻结服务对象的时间币",
        summary_en="Ask for a service; credits of the recipient may be held for it",
        roles=POSTERS,
        write=True,
        body=OrderAsk,
        example={
            "recipient_id": "019f0000-0000-7000-8000-00000000000a",
            "activity": "陪伴就医",
            "category": "elder-care",
            "unit": "lake",
            "responsible": "staff-01",
            "planned_from": "2026-03-06T14:00:00+08:00",
            "planned_to": "2026-03-06T16:00:00+08:00",
            "hold_credits": 120,
        },
        answers={201: OrderWritten},
        problems=(
            *("not_enough_credits", "wrong_state", "in_the_future", "out_of_order"),
            *("member_closed", "organisation_suspended", "not_found", "forbidden"),
            "personal_data_in_text",
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/dispatch",
        handler=dispatch,
        operation="dispatch_order",
        tag=TAG,
        summary_zh="派单",
        summary_en="Ask an organisation to serve",
        roles=POSTERS,
        write=True,
        body=DispatchAsk,
        acts_for=False,
        example={"organisation": "lake-volunteers"},
        answers={200: OrderWritten},
        problems=(*_STEP, "organisation_suspended", "not_found"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/accept",
        handler=accept,
        operation="accept_order",
        tag=TAG,
        summary_zh="接单",
        summary_en="Say which volunteer will serve",
        roles=POSTERS,
        write=True,
        body=AcceptanceAsk,
        example={"member_id": "019f0000-0000-7000-8000-00000000000b"},
        answers={200: OrderWritten},
        problems=(
            *_STEP,
            *("not_registered", "organisation_suspended", "member_closed", "to_oneself"),
            "not_found",
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/decline",
        handler=decline,
        operation="decline_order",
        tag=TAG,
        summary_zh="谢绝派单",
        summary_en="Say that the organisation does not serve",
        roles=POSTERS,
        write=True,
        body=StepReasonAsk,
        example={"reason": "人手不足"},
        answers={200: OrderWritten},
        problems=(*_STEP, "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/check-in",
        handler=check_in,
        operation="check_in_order",
        tag=TAG,
        summary_zh="签到",
        summary_en="Say that the volunteer has begun",
        roles=POSTERS,
        write=True,
        body=StepAsk,
        example={"at": "2026-03-06T14:00:00+08:00"},
        answers={200: OrderWritten},
        problems=_STEP,
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/check-out",
        handler=check_out,
        operation="check_out_order",
        tag=TAG,
        summary_zh="签退：同时登记服务记录并结清冻结",
        summary_en="Say that the volunteer is done: the record is posted, the hold settled",
        roles=POSTERS,
        write=True,
        body=StepAsk,
        example={"at": "2026-03-06T15:40:00+08:00"},
        answers={200: OrderServed},
        problems=(
            *_STEP,
            *("overlapping_service", "too_old", "period_closed", "organisation_suspended"),
            *("member_closed", *_SPAN),
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/rate",
        handler=rate,
        operation="rate_order",
        tag=TAG,
        summary_zh="评单；1、2 星自动转为争议",
        summary_en="Say how it was; one or two stars open a dispute",
        roles=CONCERNED,
        write=True,
        body=RatingAsk,
        example={"stars": 5},
        answers={200: OrderWritten},
        problems=(*_STEP, "own_hours", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/cancel",
        handler=cancel,
        operation="cancel_order",
        tag=TAG,
        summary_zh="取消工单，退回冻结",
        summary_en="Let nobody serve; what was held is available again",
        roles=POSTERS,
        write=True,
        body=StepReasonNeededAsk,
        example={"reason": "服务对象临时有事"},
        answers={200: OrderWritten},
        problems=(*_STEP, "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/dispute",
        handler=dispute,
        operation="dispute_order",
        tag=TAG,
        summary_zh="提出争议，冻结该单所得",
        summary_en="Object; the volunteer's credits of it are frozen",
        roles=CONCERNED,
        write=True,
        body=StepReasonNeededAsk,
        example={"reason": "未到场"},
        answers={200: OrderWritten},
        problems=(*_STEP, "own_hours", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/decide",
        handler=decide,
        operation="decide_order",
        tag=TAG,
        summary_zh="裁决争议（须另一人）",
        summary_en="Decide a dispute; another actor than who opened it",
        roles=VERIFIERS,
        write=True,
        body=DecisionAsk,
        example={"outcome": "upheld", "reason": "查实未到场"},
        answers={200: OrderServed},
        problems=(
            *("wrong_state", "in_the_future", "out_of_order", "own_hours"),
            *("second_person_needed", "period_closed", "personal_data_in_text"),
        ),
    ),
    Route(
        method="GET",
        path="/v1/orders",
        handler=listing,
        operation="list_orders",
        tag=TAG,
        summary_zh="工单列表",
        summary_en="List orders",
        roles=EVERYONE,
        query=OrdersQuery,
        answers={200: OrderPage},
    ),
    Route(
        method="GET",
        path=_ITEM,
        handler=item,
        operation="get_order",
        tag=TAG,
        summary_zh="一张工单",
        summary_en="Get an order",
        roles=EVERYONE,
        answers={200: Order},
    ),
]
