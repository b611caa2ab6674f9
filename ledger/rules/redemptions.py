"""Redemptions: credits are held for a reward, and paid, or given back, exactly once."""

from datetime import timedelta

from ledger.commands import (
    CancelRedemption,
    ExpireRedemption,
    FulfilRedemption,
    RedemptionCommand,
    ReserveRedemption,
)
from ledger.events import (
    REDEEMED,
    Event,
    HoursRejected,
    HoursReversed,
    Line,
    PostedContent,
    RedemptionCancelled,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
)
from ledger.policy import Policies, Recording, lot_end
from ledger.rules.career import Career
from ledger.rules.grading import Grade
from ledger.rules.jobs import Job
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.payments import Payment
from ledger.rules.rewards import Reward, unmet_gates
from ledger.rules.shared_balances import SharedBalance
from ledger.rules.time_account import TimeAccount
from ledger.units import Refused


class Redemption:
    """One redemption: what is held, what became of it, and which record cites it."""

    def __init__(self) -> None:
        self.reserved: RedemptionReserved | None = None
        self.ended: RedemptionFulfilled | RedemptionCancelled | RedemptionExpired | None = None
        self.status = ""
        self.provider_id: str | None = None
        self.paid = 0  # and not given back
        self.payment: Payment | None = None  # the last one
        self.cited_by: str | None = None  # the service record
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this redemption, or about a record that cites it."""
        match event:
            case RedemptionReserved():
                self.reserved, self.status = event, "reserved"
                self.provider_id = event.provider_id
            case RedemptionFulfilled():
                self.ended, self.status = event, "fulfilled"
                self.provider_id = event.provider_id
                self.paid += event.credits
                self.payment = Payment(event.on, position)
            case RedemptionCancelled():
                self.ended, self.status = event, "cancelled"
            case RedemptionExpired():
                self.ended, self.status = event, "expired"
            case PostedContent():
                self.cited_by = event.record_id
                return
            case HoursRejected():
                self.cited_by = None
                return
            case HoursReversed():
                self.paid += event.paid_from_hold or 0
                return
        self.position = position

    @property
    def payer_id(self) -> str | None:
        """Who redeems."""
        return None if self.reserved is None else self.reserved.member_id

    def pay_again(
        self,
        credits: int,
        held: int,
        provider_id: str,
        account: TimeAccount,
        recording: Recording,
        corrects: str,
    ) -> RedemptionFulfilled:
        """The fact that so much of what a reversal just gave back pays for the replacement."""
        assert self.reserved is not None  # noqa: S101  (it has paid before)
        return paid_out(
            self.reserved, credits, held, provider_id, account, recording, corrects=corrects
        )

    def is_seen_by(self, organisation: str | None) -> bool:
        """Does an organisation see it: as the member's home, or as the reward's owner?"""
        reserved = self.reserved
        if reserved is None:
            return False
        return organisation in (None, reserved.organisation, reserved.reward_organisation)


# States that stand for those of what does not exist or is not named, which no rule comes to read.
NO_REDEMPTION = Redemption()
NO_MEMBER = Member()
NO_ACCOUNT = TimeAccount()


def reserve_redemption(
    command: ReserveRedemption,
    redemption: Redemption,  # empty until the fact is written; the answer tells it
    member: Member,
    account: TimeAccount,
    reward: Reward,
    stock: SharedBalance,
    grade: Grade,
    career: Career,
    policies: Policies,
    provider: Member | None = None,
    asking: Organisation | None = None,
) -> list[Event]:
    """Hold the price for whoever may redeem, and take the quantity out of the stock."""
    if member.home is None or command.organisation not in (None, *member.organisations):
        raise Refused("not_found", pointer="/member_id", what=command.member_id)
    if command.organisation not in (None, member.home):
        raise Refused("forbidden")
    _active_or_refuse(asking, command.organisation)
    added = reward.added
    if added is None:
        raise Refused("not_found", pointer="/reward", what=command.reward)
    if member.closed:
        raise Refused("member_closed")
    if reward.withdrawn:
        raise Refused("wrong_state", before="withdrawn", after="reserved")
    if command.provider_id is not None:
        if added.kind == "benefit":
            raise Refused("no_provider", pointer="/provider_id")
        if provider is None or not _may_serve(provider, member, command):
            raise Refused("not_found", pointer="/provider_id", what=command.provider_id)
        if command.provider_id == command.member_id:
            raise Refused("to_oneself", pointer="/provider_id")
        if provider.closed:
            raise Refused("member_closed")
    recording = policies.recording(command.at)
    unmet = unmet_gates(added, member, account, grade, career, recording, command.born_on)
    if unmet:
        raise Refused("not_eligible", unmet=", ".join(unmet))
    if added.stock is not None and command.quantity > stock.credits:
        raise Refused("out_of_stock", quantity=command.quantity, left=stock.credits)
    credits = added.credits * command.quantity
    if credits > account.available:
        raise Refused("not_enough_credits", credits=credits, available=account.available)
    mine = f"person:{command.member_id}"
    return [
        RedemptionReserved(
            redemption_id=command.redemption_id,
            member_id=command.member_id,
            organisation=member.home,
            reward=command.reward,
            reward_organisation=added.organisation,
            kind=added.kind,
            quantity=command.quantity,
            credits=credits,
            expires_on=_hold_end(recording),
            provider_id=command.provider_id,
            age_met=_age_was_asked(added.min_age, recording) or None,
            counted=added.stock is not None or None,
            entries=((f"{mine}:available", -credits), (f"{mine}:held", credits)),
        )
    ]


def fulfil_redemption(
    command: FulfilRedemption,
    redemption: Redemption,
    policies: Policies,
    provider: Member = NO_MEMBER,
    paid: TimeAccount = NO_ACCOUNT,
    asking: Organisation | None = None,
) -> list[Event]:
    """Pay what is held, or a part; the provider's receivable is repaid first."""
    reserved = _reserved_or_refuse(redemption, command, command.organisation, "fulfilled")
    _active_or_refuse(asking, command.organisation)
    provider_id = command.provider_id or reserved.provider_id
    if reserved.kind == "benefit":
        if provider_id is not None:
            raise Refused("no_provider", pointer="/provider_id")
    elif provider_id is None:
        raise Refused("provider_needed", pointer="/provider_id")
    else:
        if provider.home is None or (
            command.provider_id is not None
            and command.organisation not in (None, *provider.organisations)
        ):
            raise Refused("not_found", pointer="/provider_id", what=provider_id)
        if provider_id == reserved.member_id:
            raise Refused("to_oneself", pointer="/provider_id")
        if provider_id == command.actor_member:
            raise Refused("own_hours")
        if provider.closed:
            raise Refused("member_closed")
    credits = reserved.credits if command.credits is None else command.credits
    if credits > reserved.credits:
        raise Refused("not_enough_credits", credits=credits, available=reserved.credits)
    recording = policies.recording(command.at)
    price = reserved.credits // reserved.quantity
    left = reserved.quantity - -(-credits // price)  # whoever pays for a part has taken the item
    return [
        paid_out(
            reserved,
            credits,
            reserved.credits,
            provider_id,
            paid,
            recording,
            restocked=left if reserved.counted else 0,
        )
    ]


def paid_out(
    reserved: RedemptionReserved,
    credits: int,
    held: int,
    provider_id: str | None,
    paid: TimeAccount,
    recording: Recording,
    *,
    restocked: int = 0,
    corrects: str | None = None,
) -> RedemptionFulfilled:
    """The fact that so much of what is held is paid, and the rest available again."""
    mine, released = f"person:{reserved.member_id}", held - credits
    repaid = min(credits, paid.receivable)
    if provider_id is None:
        received: tuple[Line, ...] = ((REDEEMED, credits),)
    else:
        received = (
            (f"person:{provider_id}:receivable", repaid),
            (f"person:{provider_id}:available", credits - repaid),
        )
    lines = ((f"{mine}:held", -held), *received, (f"{mine}:available", released))
    today = recording.today
    is_lot = provider_id is not None and credits > repaid
    return RedemptionFulfilled(
        redemption_id=reserved.redemption_id,
        member_id=reserved.member_id,
        organisation=reserved.organisation,
        reward=reserved.reward,
        credits=credits,
        released=released or None,
        restocked=restocked or None,
        provider_id=provider_id,
        on=today.isoformat(),
        expires_on=lot_end(today, recording.values) if is_lot else None,
        corrects=corrects,
        entries=tuple(line for line in lines if line[1]),
    )


def cancel_redemption(command: CancelRedemption, redemption: Redemption) -> list[Event]:
    """Give back what is held, to its lots and to the stock."""
    reserved = _reserved_or_refuse(redemption, command, command.organisation, "cancelled")
    return [
        RedemptionCancelled(
            redemption_id=reserved.redemption_id,
            member_id=reserved.member_id,
            organisation=reserved.organisation,
            reward=reserved.reward,
            reason=command.reason,
            released=reserved.credits,
            restocked=reserved.quantity if reserved.counted else None,
            entries=_given_back(reserved),
        )
    ]


def expire_redemption(
    command: ExpireRedemption, redemption: Redemption, job: Job, policies: Policies
) -> list[Event]:
    """Give back what was held for too long; nothing new where it is not due, or ended already."""
    reserved = redemption.reserved
    as_of = policies.recording(command.as_of).today.isoformat()
    if reserved is None or redemption.status != "reserved" or job.is_past(command.as_of):
        return []
    if as_of < reserved.expires_on:
        return []
    return [
        RedemptionExpired(
            redemption_id=reserved.redemption_id,
            member_id=reserved.member_id,
            organisation=reserved.organisation,
            reward=reserved.reward,
            as_of=as_of,
            released=reserved.credits,
            restocked=reserved.quantity if reserved.counted else None,
            entries=_given_back(reserved),
        )
    ]


def citable_or_refuse(
    redemption: Redemption, redemption_id: str, member_id: str, organisation: str
) -> None:
    """Pass where a record of the member may cite it: fulfilled with them, and cited by none yet."""
    served = redemption.status == "fulfilled" and redemption.provider_id == member_id
    if redemption.reserved is None or not (served or redemption.is_seen_by(organisation)):
        raise Refused("not_found", pointer="/redemption_id", what=redemption_id)
    if not served:
        raise Refused("wrong_state", before=redemption.status, after="cited")
    if redemption.cited_by is not None:
        raise Refused("wrong_state", before="cited", after="cited")


def _reserved_or_refuse(
    redemption: Redemption, command: RedemptionCommand, organisation: str | None, after: str
) -> RedemptionReserved:
    reserved = redemption.reserved
    if reserved is None or not redemption.is_seen_by(organisation):
        raise Refused("not_found", what=command.redemption_id)
    if redemption.status != "reserved":
        raise Refused("wrong_state", before=redemption.status, after=after)
    return reserved


def _active_or_refuse(asking: Organisation | None, code: str | None) -> None:
    if asking is not None and asking.suspended:
        raise Refused("organisation_suspended", organisation=code)


def _may_serve(provider: Member, member: Member, command: ReserveRedemption) -> bool:
    """Is the provider known where it is asked: to the organisation, or to one of the member's?"""
    if provider.home is None:
        return False
    if command.by_admin:
        return True
    known_to = member.organisations if command.organisation is None else (command.organisation,)
    return bool(set(known_to) & set(provider.organisations))


def _hold_end(recording: Recording) -> str:
    return (recording.today + timedelta(days=recording.values["hold_days"])).isoformat()


def _age_was_asked(min_age: int | None, recording: Recording) -> bool:
    return min_age is not None or recording.values["redeem_eligibility"].get("min_age") is not None


def _given_back(reserved: RedemptionReserved) -> tuple[Line, ...]:
    mine = f"person:{reserved.member_id}"
    return (f"{mine}:held", -reserved.credits), (f"{mine}:available", reserved.credits)
