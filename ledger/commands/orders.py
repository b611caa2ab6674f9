"""What may be asked of needs and of service orders, step by step."""

from datetime import datetime
from typing import Any

from ledger.commands.ask import ORDERS, Command, Keys
from ledger.events import DONATION_POOL, Level, NeedRoute, Verdict

# -- needs ----------------------------------------------------------------------------------------


class ReportNeed(Command, kw_only=True):
    """Say that somebody needs something."""

    need_id: str
    organisation: str
    unit: str
    category: str
    reported_by: str  # a member's id, or an organisation's code
    by_organisation: bool  # which of both it is
    description_ref: str | None = None
    happened_at: datetime | None = None  # None: now

    def relies_on(self) -> Keys:
        keys = {
            "need": f"need:{self.need_id}",
            "reporting": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
        }
        if not self.by_organisation:
            keys["reporter"] = f"member:{self.reported_by}"
        return keys


class NeedCommand(Command, kw_only=True):
    """A step of one need."""

    need_id: str
    organisation: str | None  # None: asked by an administrator
    happened_at: datetime | None = None  # None: now

    def relies_on(self) -> Keys:
        return {"need": f"need:{self.need_id}"}


class AssessNeed(NeedCommand, kw_only=True):
    """Say what a social worker makes of it."""

    assessor_id: str
    route: NeedRoute
    certification_level: Level | None = None

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "assessor": f"member:{self.assessor_id}"}


class RejectNeed(NeedCommand, kw_only=True):
    """Do nothing about it."""

    reason: str


class ResolveNeed(NeedCommand, kw_only=True):
    """Say that it is met."""

    reason: str | None = None


# -- orders ---------------------------------------------------------------------------------------


class PlaceOrder(Command, kw_only=True):
    """Ask for a service."""

    order_id: str
    organisation: str
    recipient_id: str
    activity: str
    category: str
    unit: str
    responsible: str
    planned_from: datetime
    planned_to: datetime
    need_id: str | None = None
    hold_credits: int = 0
    certification_level: Level | None = None
    supervisor_id: str | None = None
    project_id: str | None = None
    happened_at: datetime | None = None  # None: now

    def relies_on(self) -> Keys:
        keys = {
            "order": f"order:{self.order_id}",
            "placing": f"organisation:{self.organisation}",
            "recipient": f"member:{self.recipient_id}",
            "account": f"account:{self.recipient_id}",
            "seat": f"unit:{self.unit}",
        }
        if self.need_id is not None:
            keys["need"] = f"need:{self.need_id}"
        if self.supervisor_id is not None:
            keys["supervisor"] = f"member:{self.supervisor_id}"
        if self.project_id is not None:
            keys["project"] = f"project:{self.project_id}"
        return keys


class OrderCommand(Command, kw_only=True):
    """A step of one order."""

    order_id: str
    organisation: str | None  # None: asked by the recipient, or by an administrator
    happened_at: datetime | None = None  # None: now

    def relies_on(self) -> Keys:
        return {"order": f"order:{self.order_id}"}


class DispatchOrder(OrderCommand, kw_only=True):
    """Ask an organisation to serve."""

    dispatched_to: str

    def relies_on(self) -> Keys:
        return {
            **super().relies_on(),
            "asked": f"organisation:{self.dispatched_to}",
            "policies": "policies",
        }


class AcceptOrder(OrderCommand, kw_only=True):
    """Say which volunteer will serve."""

    member_id: str

    def relies_on(self) -> Keys:
        return {
            **super().relies_on(),
            "member": f"member:{self.member_id}",
            "career": f"career:{self.member_id}",
            "policies": "policies",
        }

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        return _asked(states)


class DeclineOrder(OrderCommand, kw_only=True):
    """Say that the organisation does not serve."""

    reason: str | None = None


class CheckInOrder(OrderCommand, kw_only=True):
    """Say that the volunteer has begun."""

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "policies": "policies"}


class CheckOutOrder(OrderCommand, kw_only=True):
    """Say that the volunteer is done: the record is posted and the hold settled with it."""

    record_id: str

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "policies": "policies", "periods": "periods"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        order = states["order"]
        if order.member_id is None or "before" in states:
            return {}
        placed, member_id, serving = order.placed, order.member_id, order.dispatched_to
        keys = {
            "before": f"receipt:{serving}/{order.receipt}",
            "organisation": f"organisation:{serving}",
            "member": f"member:{member_id}",
            "account": f"account:{member_id}",
            "place": f"unit:{placed.unit}",
            "grade": f"grade:organisation:{serving}",
        }
        if placed.certification_level is not None:
            keys["career"] = f"career:{member_id}"
        return keys


class RateOrder(OrderCommand, kw_only=True):
    """Say how it was; a low rating opens a dispute."""

    stars: int
    comment_ref: str | None = None

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        return _served(states)


class CancelOrder(OrderCommand, kw_only=True):
    """Let nobody serve."""

    reason: str


class DisputeOrder(OrderCommand, kw_only=True):
    """Object to what is told of it."""

    reason: str

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        return _served(states)


class DecideOrder(OrderCommand, kw_only=True):
    """Decide a dispute."""

    outcome: Verdict
    reason: str

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "policies": "policies", "periods": "periods"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        keys, disputed = _served(states), states["order"].disputed
        if not keys or disputed is None:
            return keys
        placed = states["order"].placed
        if placed.certification_level is not None:
            keys["career"] = f"career:{states['order'].member_id}"
        return keys | {
            "pool": f"balance:{DONATION_POOL}",
            "opener": f"actor:{disputed.actor}",
            "statements": f"statements:{states['order'].member_id}",
        }


class TimeOutOrder(Command, kw_only=True):
    """Let an organisation be asked no longer, as the job does."""

    order_id: str
    as_of: datetime

    def relies_on(self) -> Keys:
        return {"order": f"order:{self.order_id}", "job": f"job:{ORDERS}"}


class CloseOrder(Command, kw_only=True):
    """Close an order that was rated long enough ago, as the job does."""

    order_id: str
    as_of: datetime

    def relies_on(self) -> Keys:
        return {"order": f"order:{self.order_id}", "job": f"job:{ORDERS}"}


def _asked(states: dict[str, Any]) -> Keys:
    """The organisation that an order is dispatched to."""
    dispatched_to = states["order"].dispatched_to
    if dispatched_to is None or "serving" in states:
        return {}
    return {"serving": f"organisation:{dispatched_to}"}


def _served(states: dict[str, Any]) -> Keys:
    """The record that an order has come to, and the account of who served."""
    order = states["order"]
    if order.record_id is None or "record" in states:
        return {}
    return {"record": f"record:{order.record_id}", "account": f"account:{order.member_id}"}
