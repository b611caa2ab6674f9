"""Consents: given once, withdrawn where they stand, by who may speak for the member."""

from ledger import commands
from ledger.events import ConsentGiven, ConsentWithdrawn
from ledger.units import new_id
from tests.rules.test_members import erase
from tests.rules.town import STAMP, ZHANG, town


def give(ref: str = "c-1", asker: str | None = "org-a", **other: object) -> commands.GiveConsent:
    said = {"member_id": ZHANG, "purpose": "publication"} | other
    return commands.GiveConsent(**STAMP, consent_ref=ref, asker=asker, **said)


def withdraw(asker: str | None = "org-a", **other: object) -> commands.WithdrawConsent:
    said = {"member_id": ZHANG, "purpose": "publication"} | other
    return commands.WithdrawConsent(**STAMP, asker=asker, **said)


def test_a_consent_is_given_once_under_one_reference() -> None:
    asked = town()
    asked.when(give()).then(
        ConsentGiven, organisation="org-a", purpose="publication", consent_ref="c-1"
    )
    asked.when(give()).then_nothing_new()
    asked.when(give("c-2")).then(ConsentGiven, consent_ref="c-2")
    asked.when(give(purpose="sharing")).then(ConsentGiven, purpose="sharing")
    asked.when(give(asker="org-b")).then(ConsentGiven, organisation="org-b")


def test_where_nobody_is_named_it_is_the_home_organisation() -> None:
    town().when(give(asker=None)).then(ConsentGiven, organisation="org-a")
    town().when(give(asker=None, organisation="org-b")).then(ConsentGiven, organisation="org-b")


def test_who_does_not_know_the_member_is_given_none() -> None:
    town().when(give(asker="org-z")).then_refused("not_found")
    town().when(give(asker=None, organisation="org-z")).then_refused("not_found", "/organisation")
    town().when(give(member_id=new_id())).then_refused("not_found")
    town().when(withdraw(asker="org-z")).then_refused("not_found")
    town().when(withdraw(member_id=new_id())).then_refused("not_found")


def test_an_erased_person_consents_to_nothing_and_may_withdraw() -> None:
    erased = town().given(give(), erase())
    erased.when(give("c-2")).then_refused("person_erased")
    erased.when(withdraw()).then(ConsentWithdrawn)


def test_a_consent_is_withdrawn_and_may_be_given_again() -> None:
    asked = town().given(give())
    asked.when(withdraw()).then(ConsentWithdrawn, organisation="org-a", purpose="publication")
    asked.when(withdraw()).then_nothing_new()
    asked.when(give()).then(ConsentGiven, consent_ref="c-1")


def test_what_was_never_given_is_not_withdrawn() -> None:
    town().given(give()).when(withdraw(purpose="sharing")).then_refused("wrong_state")
    town().given(give()).when(withdraw(asker="org-b")).then_refused("wrong_state")


def test_who_names_no_organisation_withdraws_from_all() -> None:
    asked = town().given(give(), give(asker="org-b"), withdraw(asker="org-b"), give(asker="org-b"))
    asked.when(withdraw(asker=None)).then_both(
        (ConsentWithdrawn, {"organisation": "org-a"}), (ConsentWithdrawn, {"organisation": "org-b"})
    )
