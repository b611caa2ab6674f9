"""Facts about service records, from the post to the correction."""

from ledger.events.facts import Capacity, Event, Evidence, Line, account_streams

ORDER_RECEIPT = "order:"
"""How the receipts begin that nobody but an order's check-out posts under."""


class RecordEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one service record, in the account of the person who served."""

    stream_prefix, stream_key = "account", "member_id"
    record_id: str
    member_id: str
    organisation: str


class PostedContent(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """What an organisation said of one service: one person, one interval, one activity."""

    receipt: str
    activity: str
    category: str
    place: str  # a unit's code
    responsible: str  # a staff code
    started_at: str  # RFC 3339, UTC
    ended_at: str
    served_on: str  # date of started_at in the zone
    capacity: Capacity
    evidence: Evidence
    late: bool
    policy_version: int
    break_minutes: int | None = None
    professional: bool | None = None
    supervisor_id: str | None = None
    certification_id: str | None = None
    order_id: str | None = None
    project_id: str | None = None
    programme_id: str | None = None
    redemption_id: str | None = None
    no_credit: bool | None = None  # late, when the policy grants nothing for that
    replaces: str | None = None  # the record that this one corrects
    after_close: bool | None = None  # it corrects one of a month that is closed

    @property
    def own_order(self) -> str | None:
        """The order whose check-out made the record; another that it cites is a reference only."""
        order_id = self.order_id
        is_own = order_id is not None and self.receipt == order_receipt(order_id)
        return order_id if is_own else None

    @property
    def chain(self) -> str:
        """The correlation that further facts about the record share; empty: none of their own."""
        return "" if self.own_order is None else self.correlation_id

    @property
    def also_in(self) -> tuple[str, ...]:
        heard = () if self.redemption_id is None else (f"redemption:{self.redemption_id}",)
        return heard if self.own_order is None else (*heard, f"order:{self.own_order}")


class HoursSubmitted(PostedContent, frozen=True, kw_only=True, omit_defaults=True):
    """A service record waits for another actor's word; it counts for nothing yet."""

    own_hours: bool | None = None  # posted by the very person who served
    admin_needed: bool | None = (
        None  # of an organisation at G4: only an administrator's word counts
    )


class HoursVerified(PostedContent, frozen=True, kw_only=True, omit_defaults=True):
    """A service record that counts from the moment it was posted, with what it came to."""

    minutes: int  # service minutes; 0 where the capacity is on_duty
    overlap_minutes: int
    credits: int  # granted after the caps; what repaid a receivable is in it
    rate_bps: int
    entries: tuple[Line, ...]
    duty_minutes: int | None = None  # minutes counted on duty, which are no service minutes
    capped: int | None = None  # what a cap cut off, and nobody got
    overflowed: int | None = None  # what the stock cap sent to the donation pool
    paid_from_hold: int | None = None  # of the credits: what the redemption has paid
    points: int | None = None
    expires_on: str | None = None  # of the lot that it earned
    certified: bool | None = None  # professional, with a registration in force on the date
    points_per_hour: int | None = None  # of a professional service, whether certified or not

    @property
    def also_in(self) -> tuple[str, ...]:
        heard = super().also_in
        if self.points_per_hour is None:  # no professional service, or of a time before points
            return heard
        return (*heard, f"career:{self.member_id}")


class SubmittedHoursVerified(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A record that waited counts now, with what it came to; its content stands as submitted."""

    served_on: str
    minutes: int
    overlap_minutes: int
    credits: int
    rate_bps: int
    entries: tuple[Line, ...]
    policy_version: int
    duty_minutes: int | None = None
    capped: int | None = None
    overflowed: int | None = None
    paid_from_hold: int | None = None
    points: int | None = None
    reason: str | None = None
    expires_on: str | None = None
    evidence: Evidence | None = None  # what it counts as, where that is not what was posted
    professional: bool | None = None
    certified: bool | None = None
    points_per_hour: int | None = None

    @property
    def also_in(self) -> tuple[str, ...]:
        return () if self.points_per_hour is None else (f"career:{self.member_id}",)


class HoursRejected(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A record that waited never counts; its receipt stays bound."""

    served_on: str
    reason: str
    redemption_id: str | None = None  # that it had cited

    @property
    def also_in(self) -> tuple[str, ...]:
        return () if self.redemption_id is None else (f"redemption:{self.redemption_id}",)


class HoursReversed(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A verified record counts no more: its minutes are off, its credits taken back.

    The lines tell whom from: the donation pool what had overflowed (what the pool lacks is written
    off), the expired part, what is available, and a receivable for what is left. What a redemption
    had paid goes back to who redeemed, as a new lot or held for the payment of the correction.
    """

    started_at: str  # the time that is free again
    ended_at: str
    served_on: str
    reason: str
    reverses: int  # the position of the fact that had let it count
    minutes: int  # how much this and the following change: none is above zero
    credits: int
    entries: tuple[Line, ...]
    overflowed: int | None = None
    points: int | None = None
    for_cause: bool | None = None
    after_close: bool | None = None  # of a month that is closed, by an administrator
    replaced_by: str | None = None  # the record that corrects it, in the next fact
    request_id: str | None = None  # the member's request for it
    redemption_id: str | None = None  # that the record had cited
    order_id: str | None = None  # whose check-out had made it
    paid_from_hold: int | None = None  # how much that changes: it went back to who redeemed
    paid_at: int | None = None  # the position of the payment, and its date
    paid_on: str | None = None
    on: str | None = None  # the local date of recording, where a payment went back
    expires_on: str | None = None  # of the lot that went back
    professional: bool | None = None

    @property
    def lots(self) -> tuple[tuple[str, int], ...]:
        """The lots that it takes back first: date and position of what the record had earned."""
        earned = (self.served_on, self.reverses)
        if self.paid_at is None or self.paid_on is None:
            return (earned,)
        return (earned, (self.paid_on, self.paid_at))

    @property
    def also_in(self) -> tuple[str, ...]:
        career = (f"career:{self.member_id}",) if self.professional else ()
        if self.redemption_id is not None:
            paying = f"redemption:{self.redemption_id}"
        elif self.order_id is not None:
            paying = f"order:{self.order_id}"
        else:
            return career
        own = self.stream
        others = (stream for stream in account_streams(self.entries) if stream != own)
        return (*career, paying, *others)


def order_receipt(order_id: str) -> str:
    """The receipt of the record that an order's check-out posts."""
    return f"{ORDER_RECEIPT}{order_id}"


class CorrectionRequested(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A member says that a record of theirs is wrong; it stands until somebody decides."""

    request_id: str
    reason: str


class CorrectionDeclined(RecordEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The record stays as it is, for this reason."""

    request_id: str
    reason: str
