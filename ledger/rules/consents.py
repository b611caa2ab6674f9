"""Consents: what a person lets an organisation do with what it knows of them."""

from ledger.commands import GiveConsent, WithdrawConsent
from ledger.events import ConsentGiven, ConsentWithdrawn, Event
from ledger.rules.members import Member
from ledger.units import Refused


def give_consent(command: GiveConsent, member: Member) -> list[Event]:
    """Let an organisation do something; said again with the same reference, nothing new."""
    _known_or_refuse(command, member)
    organisation = command.organisation or command.asker or member.home or ""
    if member.erased:
        raise Refused("person_erased")
    if member.consents.get((organisation, command.purpose)) == command.consent_ref:
        return []
    return [
        ConsentGiven(
            member_id=command.member_id,
            organisation=organisation,
            purpose=command.purpose,
            consent_ref=command.consent_ref,
        )
    ]


def withdraw_consent(command: WithdrawConsent, member: Member) -> list[Event]:
    """Let it do that no more; where none is named, every organisation. Again: nothing new."""
    _known_or_refuse(command, member)
    one = command.organisation or command.asker
    told = {
        organisation: ref
        for (organisation, purpose), ref in member.consents.items()
        if purpose == command.purpose and one in (None, organisation)
    }
    if not told:
        raise Refused("wrong_state", before="not_given", after="taken_back")
    return [
        ConsentWithdrawn(
            member_id=command.member_id, organisation=organisation, purpose=command.purpose
        )
        for organisation, ref in told.items()
        if ref is not None
    ]


def _known_or_refuse(command: GiveConsent | WithdrawConsent, member: Member) -> None:
    if member.home is None or command.asker not in (None, *member.organisations):
        raise Refused("not_found", what=command.member_id)
    if command.organisation not in (None, *member.organisations):
        raise Refused("not_found", pointer="/organisation", what=command.organisation)
