"""Transfers: credits change hands, and nothing is minted but by a fund with a ceiling."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ledger.commands import (
    AllocateCredits,
    ApproveGrant,
    Deal,
    DonateCredits,
    GiveCredits,
    InheritCredits,
    ProposeGrant,
    RecordRelation,
)
from ledger.events import (
    CreditsAllocated,
    CreditsDonated,
    CreditsGiven,
    CreditsInherited,
    Event,
    GrantApproved,
    GrantProposed,
    Line,
    RelationRecorded,
)
from ledger.policy import Policies, lot_end
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.shared_balances import SharedBalance
from ledger.rules.time_account import TimeAccount
from ledger.units import Refused

INVERSE = {
    "spouse": "spouse",
    "sibling": "sibling",
    "parent": "child",
    "child": "parent",
    "grandparent": "grandchild",
    "grandchild": "grandparent",
}
"""What the member is to the other, where the other is that to the member."""

Receiver = Member | Organisation

NO_BALANCE = SharedBalance("")


class Grant:
    """A proposal, and whether it was approved."""

    def __init__(self) -> None:
        self.proposed: GrantProposed | None = None
        self.approved: GrantApproved | None = None

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this transfer."""
        match event:
            case GrantProposed():
                self.proposed = event
            case GrantApproved():
                self.approved = event


class _Day(NamedTuple):
    """When credits move, and until when what is received lasts."""

    on: str
    expires_on: str | None


def split(credits: int, weights: Sequence[int]) -> list[int]:
    """Whole parts by weights: what is left over goes to the largest fractions, then the first.

    `credits * weight // total`; the remainders decide (Hamilton's method of largest remainder).
    """
    total = sum(weights)
    parts = [credits * weight // total for weight in weights]
    largest = sorted(
        range(len(weights)), key=lambda place: (-(credits * weights[place] % total), place)
    )
    for place in largest[: credits - sum(parts)]:
        parts[place] += 1
    return parts


def record_relation(command: RecordRelation, member: Member, other: Member) -> list[Event]:
    """Say what another member is to a member; said again, nothing new."""
    if member.home is None or command.organisation not in (None, *member.organisations):
        raise Refused("not_found", what=command.member_id)
    if other.home is None or command.organisation not in (None, *other.organisations):
        raise Refused("not_found", pointer="/to", what=command.to)
    if member.relations.get(command.to) == command.relation:
        return []
    return [
        RelationRecorded(
            member_id=command.member_id,
            organisation=member.home,
            relation=command.relation,
            to=command.to,
            evidence_ref=command.evidence_ref,
        )
    ]


def give_credits(
    command: GiveCredits, member: Member, other: Member, account: TimeAccount, policies: Policies
) -> list[Event]:
    """A gift to a relation that the policy allows, up to a yearly maximum."""
    _giver_or_refuse(command.organisation, member, command.member_id)
    if command.to == command.member_id:
        raise Refused("to_oneself", pointer="/to")
    relation = member.relations.get(command.to)
    if relation is None and command.member_id in other.relations:
        said = other.relations[command.member_id]
        relation = INVERSE.get(said, said)
    known = relation is not None or command.organisation in (None, *other.organisations)
    if other.home is None or not known:  # an organisation is not told of others' members
        raise Refused("not_found", pointer="/to", what=command.to)
    if other.closed:
        raise Refused("member_closed")
    recording = policies.recording(command.at)
    allowed = recording.values["gift"]
    if relation is None or relation not in allowed["relations"]:
        raise Refused("relation_unknown")
    day = _day(command, policies)
    given = account.given.get(day.on[:4], 0) + command.credits
    if allowed["yearly_max"] is not None and given > allowed["yearly_max"]:
        raise Refused("yearly_maximum", most=allowed["yearly_max"], year=day.on[:4])
    _enough_or_refuse(command.credits, account.available)
    return [
        CreditsGiven(
            transfer_id=command.transfer_id,
            member_id=command.member_id,
            to=command.to,
            relation=relation,
            credits=command.credits,
            reason=command.reason,
            on=day.on,
            expires_on=day.expires_on,
            entries=(
                (f"person:{command.member_id}:available", -command.credits),
                (f"person:{command.to}:available", command.credits),
            ),
        )
    ]


def donate_credits(
    command: DonateCredits,
    member: Member,
    account: TimeAccount,
    policies: Policies,
    owner: Organisation | None = None,
) -> list[Event]:
    """A gift to the donation pool, or to an organisation's."""
    _giver_or_refuse(command.organisation, member, command.member_id)
    if owner is not None and owner.added is None:
        raise Refused("not_found", pointer="/to", what=command.to)
    _enough_or_refuse(command.credits, account.available)
    return [
        CreditsDonated(
            transfer_id=command.transfer_id,
            member_id=command.member_id,
            to=command.to,
            credits=command.credits,
            reason=command.reason,
            on=_day(command, policies).on,
            entries=(
                (f"person:{command.member_id}:available", -command.credits),
                (command.to, command.credits),
            ),
        )
    ]


def inherit_credits(
    command: InheritCredits,
    member: Member,
    account: TimeAccount,
    policies: Policies,
    **receivers: Receiver,
) -> list[Event]:
    """The credits of a person who has died go to the heirs by their shares."""
    if member.home is None:
        raise Refused("not_found", pointer="/from", what=command.member_id)
    lines = _shared(command, receivers, f"person:{command.member_id}:available")
    _enough_or_refuse(command.credits, account.available)
    day = _day(command, policies)
    return [
        CreditsInherited(
            transfer_id=command.transfer_id,
            member_id=command.member_id,
            credits=command.credits,
            reason=command.reason,
            on=day.on,
            expires_on=day.expires_on,
            entries=((f"person:{command.member_id}:available", -command.credits), *lines),
        )
    ]


def allocate_credits(
    command: AllocateCredits,
    pool: SharedBalance,
    policies: Policies,
    owner: Organisation | None = None,
    **receivers: Receiver,
) -> list[Event]:
    """A pool's credits go to persons or other pools by their shares."""
    if owner is not None and owner.added is None:
        raise Refused("not_found", pointer="/from", what=command.source)
    lines = _shared(command, receivers, command.source)
    _enough_or_refuse(command.credits, pool.credits)
    day = _day(command, policies)
    return [
        CreditsAllocated(
            transfer_id=command.transfer_id,
            source=command.source,
            credits=command.credits,
            reason=command.reason,
            on=day.on,
            expires_on=day.expires_on,
            entries=((command.source, -command.credits), *lines),
        )
    ]


def propose_grant(
    command: ProposeGrant, issued: SharedBalance, policies: Policies, **receivers: Receiver
) -> list[Event]:
    """One administrator wants a fund to issue credits."""
    shares = _shared(command, receivers)
    _fund_or_refuse(command.fund, command.credits, issued, policies.recording(command.at).values)
    return [
        GrantProposed(
            transfer_id=command.transfer_id,
            fund=command.fund,
            credits=command.credits,
            reason=command.reason,
            shares=shares,
        )
    ]


def approve_grant(
    command: ApproveGrant,
    grant: Grant,
    policies: Policies,
    issued: SharedBalance = NO_BALANCE,
    proposer: str = "",
    **receivers: Receiver,
) -> list[Event]:
    """Another administrator lets the fund issue them, if its ceiling still allows it."""
    proposed = grant.proposed
    if proposed is None:
        raise Refused("not_found", what=command.transfer_id)
    if grant.approved is not None:
        raise Refused("wrong_state", before="approved", after="approved")
    if command.actor_name == proposer:
        raise Refused("second_person_needed")
    for receiver in receivers.values():
        if isinstance(receiver, Member) and receiver.closed:
            raise Refused("member_closed")
    recording = policies.recording(command.at)
    _fund_or_refuse(proposed.fund, proposed.credits, issued, recording.values)
    return [
        GrantApproved(
            transfer_id=proposed.transfer_id,
            fund=proposed.fund,
            credits=proposed.credits,
            reason=command.reason or proposed.reason,
            on=recording.today.isoformat(),
            expires_on=lot_end(recording.today, recording.values),
            entries=((f"issue:grant:{proposed.fund}", -proposed.credits), *proposed.shares),
        )
    ]


def _day(command: GiveCredits | DonateCredits | Deal, policies: Policies) -> _Day:
    recording = policies.recording(command.at)
    return _Day(recording.today.isoformat(), lot_end(recording.today, recording.values))


def _giver_or_refuse(organisation: str | None, member: Member, member_id: str) -> None:
    """Pass where the giver is there, and at home where a verifier asks."""
    if member.home is None or organisation not in (None, *member.organisations):
        raise Refused("not_found", pointer="/from", what=member_id)
    if organisation not in (None, member.home):
        raise Refused("forbidden")
    if member.closed:
        raise Refused("member_closed")


def _enough_or_refuse(credits: int, available: int) -> None:
    if credits > available:
        raise Refused("not_enough_credits", credits=credits, available=available)


def _fund_or_refuse(
    fund: str, credits: int, issued: SharedBalance, values: Mapping[str, object]
) -> None:
    """Pass where a fund may issue so much more."""
    funds = values["grants"]
    assert isinstance(funds, dict)  # noqa: S101  (its shape says so)
    ceiling = funds.get(fund)
    if ceiling is None:
        raise Refused("not_found", pointer="/fund", what=fund)
    if credits - issued.credits > ceiling:  # what was issued stands there below zero
        raise Refused("fund_exhausted", fund=fund, left=ceiling + issued.credits)


def _shared(command: Deal, receivers: Mapping[str, Receiver], source: str = "") -> tuple[Line, ...]:
    """What each of those named receives; whoever cannot is named by the place of the share."""
    for number, share in enumerate(command.shares):
        if share.to == source:
            raise Refused("to_oneself", pointer=f"/shares/{number}/to")
        receiver = receivers.get(f"receiver_{number}")
        pointer = f"/shares/{number}/to"
        match receiver:
            case Member(home=None) | Organisation(added=None):
                raise Refused("not_found", pointer=pointer, what=share.to)
            case Member(closed=True):
                raise Refused("member_closed")
    parts = split(command.credits, [share.weight for share in command.shares])
    return tuple(
        (share.to, part) for share, part in zip(command.shares, parts, strict=True) if part
    )
