"""Facts about needs and service orders, from what was found in the grid to the rating.

Every step has the instant at which it happened, `at`, beside the one at which it was recorded. All
facts from the need on belong to one chain: they share its `correlation_id`.
"""

from ledger.events.facts import Event, Level, Line, NeedRoute, Verdict, account_streams

# -- needs ----------------------------------------------------------------------------------------


class NeedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step of one need."""

    stream_prefix, stream_key = "need", "need_id"
    need_id: str
    organisation: str  # that reported it
    at: str


class NeedReported(NeedEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody needs something: a grid worker, a resident or an organisation says so."""

    unit: str
    category: str
    reported_by: str  # a member's id, or an organisation's code
    description_ref: str | None = None


class NeedAssessed(NeedEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A social worker has looked at it, and says who should help."""

    assessor_id: str
    route: NeedRoute
    waited_minutes: int  # since it was reported
    certification_level: Level | None = None  # that whoever helps must be registered with


class NeedRejected(NeedEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing is done about it."""

    reason: str


class NeedResolved(NeedEvent, frozen=True, kw_only=True, omit_defaults=True):
    """It is met."""

    reason: str | None = None


# -- orders ---------------------------------------------------------------------------------------


class OrderEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step of one order."""

    stream_prefix, stream_key = "order", "order_id"
    order_id: str
    organisation: str  # whose step it is
    at: str


class OrderMoved(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A step that may move credits."""

    member_id: str  # whose they were
    entries: tuple[Line, ...] = ()

    @property
    def also_in(self) -> tuple[str, ...]:
        return account_streams(self.entries)


class OrderPlaced(OrderMoved, frozen=True, kw_only=True, omit_defaults=True):
    """A service is asked for; credits of the recipient, who is `member_id`, may be held for it."""

    activity: str
    category: str
    unit: str
    responsible: str
    planned_from: str
    planned_to: str
    need_id: str | None = None
    hold_credits: int | None = None
    certification_level: Level | None = None
    supervisor_id: str | None = None
    project_id: str | None = None

    @property
    def also_in(self) -> tuple[str, ...]:
        needed = () if self.need_id is None else (f"need:{self.need_id}",)
        return (*needed, *account_streams(self.entries))


class OrderDispatched(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation is asked to serve, and has until an instant to accept."""

    dispatched_to: str
    accept_by: str


class OrderAccepted(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A volunteer of the organisation will serve."""

    member_id: str  # the volunteer
    waited_minutes: int  # since it was dispatched


class OrderDeclined(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The organisation does not serve."""

    reason: str | None = None


class OrderTimedOut(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The organisation has not accepted in time."""

    as_of: str  # an instant


class OrderCheckedIn(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The volunteer has begun."""

    member_id: str
    punctual: bool  # no later after the planned start than the policy lets
    project_id: str | None = None


class OrderCompleted(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The volunteer has checked out; the service record is the next fact but for the payment."""

    member_id: str
    record_id: str


class OrderSettled(OrderMoved, frozen=True, kw_only=True, omit_defaults=True):
    """What was held has paid for the service, or for a part of it; the rest is available again."""

    record_id: str
    credits: int  # what was paid
    on: str  # the local date of recording
    released: int | None = None
    provider_id: str | None = None
    expires_on: str | None = None  # of the lot that the provider received
    corrects: str | None = None  # the record whose reversal, just before, gave the payment back


class OrderRated(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The recipient, or who placed it, says how it was."""

    member_id: str  # the volunteer
    dispatched_to: str
    unit: str  # where it was
    stars: int  # 1 to 5
    comment_ref: str | None = None
    project_id: str | None = None


class OrderDisputed(OrderMoved, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody objects; the volunteer's credits of it are frozen, as far as they are available."""

    dispatched_to: str
    by_rating: bool | None = None  # a low one opened it
    reason: str | None = None
    credits: int | None = None  # frozen
    served_on: str | None = None  # the lots that are frozen first: of the record,
    figured_at: int | None = None  # by the position of its figures,
    paid_on: str | None = None  # and of the payment
    paid_at: int | None = None

    @property
    def lots(self) -> tuple[tuple[str, int], ...]:
        """The lots that are frozen first, by date and position."""
        own = ((self.served_on, self.figured_at), (self.paid_on, self.paid_at))
        return tuple((on, at) for on, at in own if on is not None and at is not None)


class OrderDecided(OrderMoved, frozen=True, kw_only=True, omit_defaults=True):
    """Another actor has decided the dispute; what was frozen is available again.

    Where it is upheld, the reversal of the record, or its rejection, is the next fact.
    """

    dispatched_to: str
    outcome: Verdict
    reason: str
    credits: int | None = None  # no longer frozen
    project_id: str | None = None


class OrderClosed(OrderEvent, frozen=True, kw_only=True, omit_defaults=True):
    """It was rated long enough ago."""

    as_of: str  # an instant


class OrderCancelled(OrderMoved, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody serves; what was held is available again to the recipient, who is `member_id`."""

    reason: str
    released: int | None = None
