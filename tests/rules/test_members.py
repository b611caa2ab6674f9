"""Rules about members as such: erased once, and then nobody whose person changes."""

from ledger import commands
from ledger.events import MemberChanged, PersonDataErased
from ledger.units import new_id
from tests.rules.town import OTHER, STAMP, ZHANG, town


def erase(member_id: str = ZHANG) -> commands.ErasePerson:
    return commands.ErasePerson(**STAMP, member_id=member_id, reason="request")


def change(**other: object) -> commands.ChangeMember:
    return commands.ChangeMember(**STAMP, member_id=ZHANG, organisation="org-a", **other)


def test_a_person_is_erased_once() -> None:
    town().when(erase()).then(PersonDataErased, member_id=ZHANG, reason="request")
    town().given(erase()).when(erase()).then_nothing_new()


def test_nobody_is_erased_who_is_no_member() -> None:
    town().when(erase(new_id())).then_refused("not_found")


def test_of_an_erased_member_roles_change_and_the_person_does_not() -> None:
    erased = town().given(erase())
    erased.when(change(person=True)).then_refused("person_erased")
    erased.when(change(roles=("resident",))).then(MemberChanged, roles=("resident",))


def test_nobody_joins_an_erased_member() -> None:
    asked = commands.AddOrganisation(
        **STAMP, code="org-c", name="丙", kind="volunteer", unit="lake"
    )
    join = commands.JoinMember(**OTHER, member_id=ZHANG, organisation="org-c", consent_ref="c-2")
    town().given(asked, erase()).when(join).then_refused("person_erased")
    again = commands.JoinMember(**OTHER, member_id=ZHANG, organisation="org-b")
    town().given(erase()).when(again).then_nothing_new()
