"""Service orders until somebody serves: placed, dispatched, accepted or not, checked in, cancelled.

The organisation that places an order dispatches it, cancels and rates it; the one that it is
dispatched to accepts and serves it. Credits of the recipient may be held for it from the first.
"""

from datetime import timedelta

from ledger.commands import (
    AcceptOrder,
    CancelOrder,
    CheckInOrder,
    CloseOrder,
    DeclineOrder,
    DispatchOrder,
    OrderCommand,
    PlaceOrder,
    TimeOutOrder,
)
from ledger.events import (
    Event,
    HoursReversed,
    Level,
    Line,
    OrderAccepted,
    OrderCancelled,
    OrderCheckedIn,
    OrderClosed,
    OrderCompleted,
    OrderDecided,
    OrderDeclined,
    OrderDispatched,
    OrderDisputed,
    OrderEvent,
    OrderPlaced,
    OrderRated,
    OrderSettled,
    OrderTimedOut,
    PostedContent,
    order_receipt,
)
from ledger.policy import Policies, Recording, lot_end
from ledger.rules.career import LEVELS, Career
from ledger.rules.filing import seated_or_refuse
from ledger.rules.jobs import Job
from ledger.rules.members import Member
from ledger.rules.needs import Need, active_or_refuse, step_at
from ledger.rules.organisations import Organisation
from ledger.rules.payments import Payment
from ledger.rules.projects import Project
from ledger.rules.time_account import TimeAccount
from ledger.rules.units import Unit
from ledger.units import Refused, instant, instant_text, minutes_between

BEFORE_SERVICE = ("placed", "dispatched", "declined", "timed_out", "accepted")
CLOSES_AFTER = timedelta(days=7)
"""After its rating an order is closed (DOMAIN, section 6)."""

STATUS = {
    OrderPlaced: "placed",
    OrderDispatched: "dispatched",
    OrderAccepted: "accepted",
    OrderDeclined: "declined",
    OrderTimedOut: "timed_out",
    OrderCheckedIn: "in_service",
    OrderCompleted: "completed",
    OrderRated: "rated",
    OrderDisputed: "disputed",
    OrderDecided: "closed",
    OrderClosed: "closed",
    OrderCancelled: "cancelled",
}
"""What an order has become by each of its steps."""


class Order:
    """One order as it stands."""

    def __init__(self) -> None:
        self.placed: OrderPlaced | None = None
        self.status = ""
        self.at = ""  # of the last step
        self.dispatched_to: str | None = None
        self.accept_by = ""
        self.dispatched_at = ""
        self.member_id: str | None = None  # the volunteer
        self.checked_in_at = ""
        self.record_id: str | None = None  # of the service, or of what has replaced it
        self.held = 0  # credits of the recipient
        self.paid = 0  # and not given back
        self.payment: Payment | None = None
        self.rated: OrderRated | None = None
        self.disputed: OrderDisputed | None = None  # and not decided
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next step, or what becomes of the record."""
        match event:
            case OrderPlaced():
                self.placed, self.held = event, event.hold_credits or 0
            case OrderDispatched():
                self.dispatched_to, self.accept_by = event.dispatched_to, event.accept_by
                self.dispatched_at = event.at
            case OrderAccepted():
                self.member_id = event.member_id
            case OrderCheckedIn():
                self.checked_in_at = event.at
            case OrderCompleted():
                self.record_id = event.record_id
            case OrderSettled():
                self.held = 0
                self.paid += event.credits
                if event.credits:
                    self.payment = Payment(event.on, position)
                return
            case OrderRated():
                self.rated = event
            case OrderDisputed():
                self.disputed = event
            case OrderDecided():
                self.disputed = None
            case OrderCancelled():
                self.held = 0
            case PostedContent():
                self.record_id = event.record_id
                return
            case HoursReversed():
                self.paid += event.paid_from_hold or 0
                return
        if isinstance(event, OrderEvent):
            self.status = STATUS.get(type(event), self.status)
            self.at, self.position = event.at, position

    @property
    def receipt(self) -> str:
        """The receipt of the service record that its check-out posts."""
        return "" if self.placed is None else order_receipt(self.placed.order_id)

    def has_made(self, record_id: str) -> bool:
        """Is a record the one that its check-out has posted, or what has replaced that?"""
        return self.record_id == record_id

    def is_seen_by(self, organisation: str | None) -> bool:
        """Does an organisation see it: as who placed it, or as who is to serve?"""
        if self.placed is None:
            return False
        return organisation in (None, self.placed.organisation, self.dispatched_to)

    @property
    def payer_id(self) -> str | None:
        """The recipient."""
        return None if self.placed is None else self.placed.member_id

    def pay_again(
        self,
        credits: int,
        held: int,
        provider_id: str,
        account: TimeAccount,
        recording: Recording,
        corrects: str,
    ) -> OrderSettled:
        """The fact that so much of what a reversal just gave back pays for the replacement."""
        return settled(self, credits, held, provider_id, account, recording, corrects, corrects)


NO_ORDER = Order()
"""It stands for that of a record that names none, which no rule comes to read."""


def place_order(
    command: PlaceOrder,
    order: Order,  # empty until the fact is written; the answer tells it
    placing: Organisation,
    recipient: Member,
    account: TimeAccount,
    seat: Unit,
    need: Need | None = None,
    supervisor: Member | None = None,
    project: Project | None = None,
) -> list[Event]:
    """Ask for a service, perhaps for a need that was assessed; perhaps hold credits for it."""
    active_or_refuse(placing, command.organisation)
    if command.organisation not in recipient.organisations:
        raise Refused("not_found", pointer="/recipient_id", what=command.recipient_id)
    seated_or_refuse(command.unit, seat)
    if supervisor is not None and supervisor.home is None:
        raise Refused("not_found", pointer="/supervisor_id", what=command.supervisor_id)
    if project is not None and project.begun is None:
        raise Refused("not_found", pointer="/project_id", what=command.project_id)
    if need is not None:
        reported = need.reported
        if reported is None or reported.organisation != command.organisation:
            raise Refused("not_found", pointer="/need_id", what=command.need_id)
        if need.status not in ("assessed", "ordered"):
            raise Refused("wrong_state", before=need.status, after="ordered")
    if recipient.closed:
        raise Refused("member_closed")
    if command.hold_credits and recipient.home != command.organisation:
        raise Refused("forbidden")  # spending is the home organisation's affair
    if command.hold_credits > account.available:
        raise Refused(
            "not_enough_credits", credits=command.hold_credits, available=account.available
        )
    mine = f"person:{command.recipient_id}"
    lines = ((f"{mine}:available", -command.hold_credits), (f"{mine}:held", command.hold_credits))
    return [
        OrderPlaced(
            correlation_id="" if need is None else need.chain,
            order_id=command.order_id,
            organisation=command.organisation,
            at=step_at(command.happened_at, command.at, "" if need is None else need.at),
            member_id=command.recipient_id,
            entries=lines if command.hold_credits else (),
            activity=command.activity,
            category=command.category,
            unit=command.unit,
            responsible=command.responsible,
            planned_from=instant_text(command.planned_from),
            planned_to=instant_text(command.planned_to),
            need_id=command.need_id,
            hold_credits=command.hold_credits or None,
            certification_level=_level_needed(command.certification_level, need),
            supervisor_id=command.supervisor_id,
            project_id=command.project_id,
        )
    ]


def dispatch_order(
    command: DispatchOrder, order: Order, asked: Organisation, policies: Policies
) -> list[Event]:
    """Ask an organisation to serve; another one where the one before did not."""
    placed = placed_by(command, order)
    if order.status not in ("placed", "declined", "timed_out"):
        raise Refused("wrong_state", before=order.status, after="dispatched")
    active_or_refuse(asked, command.dispatched_to, "/organisation")
    at = step_at(command.happened_at, command.at, order.at)
    minutes: int = policies.recording(command.at).values["order_sla"]["accept_minutes"]
    return [
        OrderDispatched(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=placed.organisation,
            at=at,
            dispatched_to=command.dispatched_to,
            accept_by=instant_text(instant(at) + timedelta(minutes=minutes)),
        )
    ]


def accept_order(
    command: AcceptOrder,
    order: Order,
    member: Member,
    career: Career,
    policies: Policies,
    serving: Organisation | None = None,
) -> list[Event]:
    """Say which volunteer will serve: one who is registered at the level that the order asks."""
    placed = served_by(command, order, ("dispatched",), "accepted")
    assert order.dispatched_to is not None  # noqa: S101  (it is dispatched)
    assert serving is not None  # noqa: S101
    if order.dispatched_to not in member.organisations:
        raise Refused("not_found", pointer="/member_id", what=command.member_id)
    if command.member_id == placed.member_id:
        raise Refused("to_oneself", pointer="/member_id")
    active_or_refuse(serving, order.dispatched_to)
    if member.closed:
        raise Refused("member_closed")
    at = step_at(command.happened_at, command.at, order.at)
    if placed.certification_level is not None:
        zone = policies.recording(command.at).zone
        day = instant(at).astimezone(zone).date()
        found = career.registration(day)
        needed = placed.certification_level
        if found is None or LEVELS.index(found.level) < LEVELS.index(needed):
            raise Refused("not_registered", level=needed, day=day.isoformat())
    return [
        OrderAccepted(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=order.dispatched_to,
            at=at,
            member_id=command.member_id,
            waited_minutes=minutes_between(order.dispatched_at, at),
        )
    ]


def decline_order(command: DeclineOrder, order: Order) -> list[Event]:
    """Say that the organisation does not serve."""
    placed = served_by(command, order, ("dispatched",), "declined")
    assert order.dispatched_to is not None  # noqa: S101  (it is dispatched)
    return [
        OrderDeclined(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=order.dispatched_to,
            at=step_at(command.happened_at, command.at, order.at),
            reason=command.reason,
        )
    ]


def time_out_order(command: TimeOutOrder, order: Order, job: Job) -> list[Event]:
    """Let an organisation be asked no longer; nothing new where it is not due, or has answered."""
    placed = order.placed
    if placed is None or order.status != "dispatched" or job.is_past(command.as_of):
        return []
    due = instant(order.accept_by)
    if command.as_of < due:
        return []
    assert order.dispatched_to is not None  # noqa: S101  (it is dispatched)
    return [
        OrderTimedOut(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=order.dispatched_to,
            at=instant_text(min(due, command.at)),
            as_of=instant_text(command.as_of),
        )
    ]


def check_in_order(command: CheckInOrder, order: Order, policies: Policies) -> list[Event]:
    """Say that the volunteer has begun, in time or later than the policy lets."""
    placed = served_by(command, order, ("accepted",), "in_service")
    assert order.dispatched_to is not None  # noqa: S101  (it is accepted)
    assert order.member_id is not None  # noqa: S101
    at = step_at(command.happened_at, command.at, order.at)
    minutes: int = policies.recording(command.at).values["order_sla"]["punctual_minutes"]
    return [
        OrderCheckedIn(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=order.dispatched_to,
            at=at,
            member_id=order.member_id,
            punctual=instant(at) <= instant(placed.planned_from) + timedelta(minutes=minutes),
            project_id=placed.project_id,
        )
    ]


def cancel_order(command: CancelOrder, order: Order) -> list[Event]:
    """Let nobody serve; what was held is available again."""
    placed = placed_by(command, order)
    if order.status not in BEFORE_SERVICE:
        raise Refused("wrong_state", before=order.status, after="cancelled")
    mine = f"person:{placed.member_id}"
    lines = ((f"{mine}:held", -order.held), (f"{mine}:available", order.held))
    return [
        OrderCancelled(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=placed.organisation,
            at=step_at(command.happened_at, command.at, order.at),
            member_id=placed.member_id,
            entries=lines if order.held else (),
            reason=command.reason,
            released=order.held or None,
        )
    ]


def close_order(command: CloseOrder, order: Order, job: Job) -> list[Event]:
    """Close what was rated long enough ago; nothing new where it is not, or is disputed."""
    placed = order.placed
    if placed is None or order.status != "rated" or job.is_past(command.as_of):
        return []
    due = instant(order.at) + CLOSES_AFTER
    if command.as_of < due:
        return []
    return [
        OrderClosed(
            correlation_id=placed.correlation_id,
            order_id=placed.order_id,
            organisation=placed.organisation,
            at=instant_text(min(due, command.at)),
            as_of=instant_text(command.as_of),
        )
    ]


def settled(
    order: Order,
    credits: int,
    held: int,
    provider_id: str,
    account: TimeAccount,
    recording: Recording,
    record_id: str,
    corrects: str | None = None,
) -> OrderSettled:
    """The fact that so much of what is held pays for a record; the rest is available again."""
    placed = order.placed
    assert placed is not None  # noqa: S101  (something is held for it)
    mine, repaid = f"person:{placed.member_id}", min(credits, account.receivable)
    lines: tuple[Line, ...] = (
        (f"{mine}:held", -held),
        (f"person:{provider_id}:receivable", repaid),
        (f"person:{provider_id}:available", credits - repaid),
        (f"{mine}:available", held - credits),
    )
    today = recording.today
    is_lot = credits > repaid
    return OrderSettled(
        correlation_id=placed.correlation_id,
        order_id=placed.order_id,
        organisation=order.dispatched_to or placed.organisation,
        at=instant_text(recording.at),
        member_id=placed.member_id,
        entries=tuple(line for line in lines if line[1]),
        record_id=record_id,
        credits=credits,
        released=held - credits or None,
        provider_id=provider_id if credits else None,
        on=today.isoformat(),
        expires_on=lot_end(today, recording.values) if is_lot else None,
        corrects=corrects,
    )


def undisputed_or_refuse(order: Order, record_id: str, after: str) -> None:
    """Pass where no dispute is open about a record: it is decided first."""
    if order.disputed is not None and order.has_made(record_id):
        raise Refused("wrong_state", before="disputed", after=after)


def placed_by(command: OrderCommand, order: Order) -> OrderPlaced:
    """The order, where the asker has placed it; who is to serve sees it, and may not."""
    placed = _seen_or_refuse(command, order)
    if command.organisation not in (None, placed.organisation):
        raise Refused("forbidden")
    return placed


def served_by(
    command: OrderCommand, order: Order, states: tuple[str, ...], after: str
) -> OrderPlaced:
    """The order, where it is in the state to go on from, and the asker is to serve."""
    placed = _seen_or_refuse(command, order)
    if order.dispatched_to is not None and command.organisation not in (None, order.dispatched_to):
        raise Refused("forbidden")
    if order.status not in states:
        raise Refused("wrong_state", before=order.status, after=after)
    return placed


def _seen_or_refuse(command: OrderCommand, order: Order) -> OrderPlaced:
    if order.placed is None or not order.is_seen_by(command.organisation):
        raise Refused("not_found", what=command.order_id)
    return order.placed


def _level_needed(asked: Level | None, need: Need | None) -> Level | None:
    """The higher of what the order asks and what the assessment of its need did."""
    assessed = None if need is None else need.assessed
    levels = [level for level in (asked, assessed and assessed.certification_level) if level]
    return max(levels, key=LEVELS.index, default=None)
