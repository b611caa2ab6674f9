"""Service orders from the check-out on: the record and its payment, rating, dispute, decision."""

from datetime import date

from ledger.commands import (
    CheckOutOrder,
    DecideOrder,
    DisputeOrder,
    OrderCommand,
    PostHours,
    RateOrder,
)
from ledger.events import (
    Event,
    HoursReversed,
    OrderCompleted,
    OrderDecided,
    OrderDisputed,
    OrderPlaced,
    OrderRated,
)
from ledger.policy import Policies
from ledger.rules.career import Career
from ledger.rules.corrections import (
    NO_ORGANISATION,
    NO_POOL,
    SERVICE_MAX,
    paid_back,
    reversal,
)
from ledger.rules.grading import Grade
from ledger.rules.members import Member
from ledger.rules.needs import active_or_refuse, step_at
from ledger.rules.orders import Order, served_by
from ledger.rules.organisations import Organisation
from ledger.rules.periods import Periods
from ledger.rules.redemptions import NO_ACCOUNT, NO_MEMBER
from ledger.rules.service_records import NO_GRADE, Record, recorded, rejected
from ledger.rules.shared_balances import SharedBalance
from ledger.rules.statements import NO_STATEMENTS, Statements
from ledger.rules.time_account import TimeAccount, interval
from ledger.rules.units import Unit
from ledger.units import MINUTE, Refused, instant

LOW_STARS = 2
"""A rating of so many, or fewer, opens a dispute (DOMAIN, section 6)."""

# They stand for those of an order that nobody has accepted, which no rule comes to read.
NO_RECORD = Record()
NO_UNIT = Unit()


def check_out_order(
    command: CheckOutOrder,
    order: Order,
    policies: Policies,
    periods: Periods,
    before: Record = NO_RECORD,  # under the order's receipt: empty until the facts are written
    organisation: Organisation = NO_ORGANISATION,
    member: Member = NO_MEMBER,
    account: TimeAccount = NO_ACCOUNT,
    place: Unit = NO_UNIT,
    grade: Grade = NO_GRADE,
    career: Career | None = None,
) -> list[Event]:
    """Say that the volunteer is done: the record is posted and what was held pays for it, at once.

    A service that asks for a level of certification is a professional one.
    """
    placed = served_by(command, order, ("in_service",), "completed")
    assert order.dispatched_to is not None  # noqa: S101  (it is in service)
    assert order.member_id is not None  # noqa: S101
    active_or_refuse(organisation, order.dispatched_to)
    if member.closed:
        raise Refused("member_closed")
    at = step_at(command.happened_at, command.at, order.at)
    start, end = interval(order.checked_in_at, at)
    if end - start < MINUTE:
        raise Refused("less_than_a_minute", pointer="/at")
    if end - start > SERVICE_MAX:
        raise Refused("longer_than_a_day", pointer="/at")
    post = PostHours(
        actor=command.actor,
        actor_name=command.actor_name,
        actor_member=command.actor_member,
        by_admin=command.by_admin,
        correlation_id=placed.correlation_id,
        at=command.at,
        record_id=command.record_id,
        organisation=order.dispatched_to,
        receipt=order.receipt,
        member_id=order.member_id,
        activity=placed.activity,
        category=placed.category,
        place=placed.unit,
        responsible=placed.responsible,
        started_at=instant(order.checked_in_at),
        ended_at=instant(at),
        evidence="checked",
        professional=placed.certification_level is not None,
        supervisor_id=placed.supervisor_id,
        order_id=placed.order_id,
        project_id=placed.project_id,
    )
    completed = OrderCompleted(
        correlation_id=placed.correlation_id,
        order_id=placed.order_id,
        organisation=order.dispatched_to,
        at=at,
        member_id=order.member_id,
        record_id=command.record_id,
    )
    served = recorded(post, account, policies, periods, grade, career, serving=order)
    return [completed, *served]


def rate_order(
    command: RateOrder,
    order: Order,
    record: Record = NO_RECORD,
    account: TimeAccount = NO_ACCOUNT,
) -> list[Event]:
    """Say how it was: the recipient, or who placed the order; a low rating opens a dispute."""
    placed = _concerned_or_refuse(command, order)
    if command.organisation not in (None, placed.organisation):
        raise Refused("forbidden")  # who served does not rate it
    if order.status != "completed":
        raise Refused("wrong_state", before=order.status, after="rated")
    assert order.dispatched_to is not None  # noqa: S101  (it is completed)
    assert order.member_id is not None  # noqa: S101
    at = step_at(command.happened_at, command.at, order.at)
    rated = OrderRated(
        correlation_id=placed.correlation_id,
        order_id=placed.order_id,
        organisation=placed.organisation,
        at=at,
        member_id=order.member_id,
        dispatched_to=order.dispatched_to,
        unit=placed.unit,
        stars=command.stars,
        comment_ref=command.comment_ref,
        project_id=placed.project_id,
    )
    if command.stars > LOW_STARS:
        return [rated]
    return [rated, _disputed(order, placed, record, account, at, None)]


def dispute_order(
    command: DisputeOrder,
    order: Order,
    record: Record = NO_RECORD,
    account: TimeAccount = NO_ACCOUNT,
) -> list[Event]:
    """Object: the volunteer's credits of the record are frozen, as far as they are available."""
    placed = _concerned_or_refuse(command, order)
    if order.status not in ("completed", "rated"):
        raise Refused("wrong_state", before=order.status, after="disputed")
    at = step_at(command.happened_at, command.at, order.at)
    return [_disputed(order, placed, record, account, at, command.reason)]


def decide_order(
    command: DecideOrder,
    order: Order,
    policies: Policies,
    periods: Periods,
    record: Record = NO_RECORD,
    account: TimeAccount = NO_ACCOUNT,
    pool: SharedBalance = NO_POOL,
    career: Career | None = None,
    opener: str = "",
    statements: Statements = NO_STATEMENTS,
) -> list[Event]:
    """Decide a dispute: another actor than who opened it, and not the volunteer.

    What was frozen is available again; where the dispute is upheld, the record counts no more.
    """
    placed, disputed = order.placed, order.disputed
    if placed is None or not order.is_seen_by(command.organisation):
        raise Refused("not_found", what=command.order_id)
    if disputed is None:
        raise Refused("wrong_state", before=order.status, after="closed")
    if command.actor_member == order.member_id:
        raise Refused("own_hours")
    if command.actor_name == opener:
        raise Refused("second_person_needed")
    content = record.content
    assert content is not None  # noqa: S101  (it is completed)
    mine, frozen = f"person:{disputed.member_id}", disputed.credits or 0
    lines = ((f"{mine}:frozen", -frozen), (f"{mine}:available", frozen))
    decided = OrderDecided(
        correlation_id=placed.correlation_id,
        order_id=placed.order_id,
        organisation=command.organisation or placed.organisation,
        at=step_at(command.happened_at, command.at, order.at),
        member_id=disputed.member_id,
        entries=lines if frozen else (),
        dispatched_to=disputed.dispatched_to,
        outcome=command.outcome,
        reason=command.reason,
        credits=frozen or None,
        project_id=placed.project_id,
    )
    if command.outcome == "dismissed":
        return [decided]
    recording = policies.recording(command.at)
    if record.status == "submitted":
        return [decided, *rejected(content, command.reason, order, recording)]
    if record.status != "verified":
        return [decided]
    if periods.is_closed(date.fromisoformat(content.served_on)) and not command.by_admin:
        raise Refused("period_closed", month=content.served_on[:7])
    if frozen:
        account = account.copied()
        account.apply(decided, 0)
    back = paid_back(order, recording, "available")
    undone: HoursReversed = reversal(
        *(record, periods, account, pool, back, career), reason=command.reason
    )
    return [decided, undone, *statements.superseded_by(undone)]


def _disputed(
    order: Order,
    placed: OrderPlaced,
    record: Record,
    account: TimeAccount,
    at: str,
    reason: str | None,
) -> OrderDisputed:
    """The fact that somebody objects, with what is frozen of the record's credits."""
    assert order.dispatched_to is not None  # noqa: S101  (it is completed)
    assert order.member_id is not None  # noqa: S101
    figures = record.figures if record.status == "verified" else None
    frozen = 0 if figures is None else min(figures.credits, account.available)
    mine = f"person:{order.member_id}"
    lines = ((f"{mine}:available", -frozen), (f"{mine}:frozen", frozen))
    payment = order.payment if frozen else None
    return OrderDisputed(
        correlation_id=placed.correlation_id,
        order_id=placed.order_id,
        organisation=placed.organisation,
        at=at,
        member_id=order.member_id,
        entries=lines if frozen else (),
        dispatched_to=order.dispatched_to,
        by_rating=reason is None or None,
        reason=reason,
        credits=frozen or None,
        served_on=figures.served_on if figures is not None and frozen else None,
        figured_at=record.figured_position if frozen else None,
        paid_on=None if payment is None else payment.on,
        paid_at=None if payment is None else payment.position,
    )


def _concerned_or_refuse(command: OrderCommand, order: Order) -> OrderPlaced:
    """The order, where the asker is its recipient, or one of its organisations."""
    placed = order.placed
    if placed is None or not order.is_seen_by(command.organisation):
        raise Refused("not_found", what=command.order_id)
    if command.organisation is None and not command.by_admin:  # a member's own key
        if command.actor_member == order.member_id:
            raise Refused("own_hours")
        if command.actor_member != placed.member_id:
            raise Refused("not_found", what=command.order_id)
    elif command.actor_member is not None and command.actor_member == order.member_id:
        raise Refused("own_hours")
    return placed
