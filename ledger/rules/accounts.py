"""Accounts as a whole: credits are frozen and unfrozen, and an empty account is closed."""

from ledger.commands import CloseAccount, FreezeCredits, UnfreezeCredits
from ledger.events import AccountClosed, CreditsFrozen, CreditsUnfrozen, Event
from ledger.rules.members import Member
from ledger.rules.time_account import TimeAccount
from ledger.units import Refused


def freeze_credits(command: FreezeCredits, member: Member, account: TimeAccount) -> list[Event]:
    """Keep some of what is available from being spent; its lots are kept."""
    _known_or_refuse(member, command.member_id)
    credits = account.available if command.credits is None else command.credits
    if not credits or credits > account.available:
        raise Refused("not_enough_credits", credits=credits, available=account.available)
    mine = f"person:{command.member_id}"
    return [
        CreditsFrozen(
            member_id=command.member_id,
            credits=credits,
            reason=command.reason,
            entries=((f"{mine}:available", -credits), (f"{mine}:frozen", credits)),
        )
    ]


def unfreeze_credits(command: UnfreezeCredits, member: Member, account: TimeAccount) -> list[Event]:
    """Make some of what is frozen available again."""
    _known_or_refuse(member, command.member_id)
    frozen = account.frozen_by_hand
    credits = frozen if command.credits is None else command.credits
    if not credits or credits > frozen:
        raise Refused("not_enough_credits", credits=credits, available=frozen)
    mine = f"person:{command.member_id}"
    return [
        CreditsUnfrozen(
            member_id=command.member_id,
            credits=credits,
            reason=command.reason,
            entries=((f"{mine}:frozen", -credits), (f"{mine}:available", credits)),
        )
    ]


def close_account(command: CloseAccount, member: Member, account: TimeAccount) -> list[Event]:
    """End an account on which nothing is left and no record waits."""
    _known_or_refuse(member, command.member_id)
    if member.closed:
        raise Refused("wrong_state", before="closed", after="closed")
    if account.stock or account.receivable or account.waiting:
        raise Refused("balance_not_settled")
    return [AccountClosed(member_id=command.member_id, reason=command.reason)]


def _known_or_refuse(member: Member, member_id: str) -> None:
    if member.home is None:
        raise Refused("not_found", what=member_id)
