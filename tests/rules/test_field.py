"""The rules of units, organisations and members, each refusal once."""

import pytest

from ledger import commands
from ledger.events import (
    MemberChanged,
    MemberJoined,
    MemberRegistered,
    OrganisationAdded,
    UnitAdded,
)
from ledger.units import new_id
from tests.rules.town import STAMP, ZHANG, town


def unit(code: str, level: str, parent: str | None = None) -> commands.AddUnit:
    return commands.AddUnit(**STAMP, code=code, name=code, level=level, parent=parent)


def test_a_unit_stands_below_its_parent():
    given = town()
    given.when(unit("hill", "community", "lake")).then(UnitAdded, parent="lake")
    given.when(unit("isle", "community", "west")).then(UnitAdded)
    given.when(unit("alone", "community")).then(UnitAdded, parent=None)


@pytest.mark.parametrize(("level", "parent"), [("district", "lake"), ("street", "lake")])
def test_a_unit_does_not_stand_below_one_of_its_level_or_lower(level, parent):
    town().when(unit("odd", level, parent)).then_refused("wrong_level")


def test_a_code_is_used_once():
    town().when(unit("lake", "street")).then_refused("code_taken", "/code")
    town().when(
        commands.AddOrganisation(**STAMP, code="org-a", name="A", kind="studio", unit="lake")
    ).then_refused("code_taken", "/code")


def test_a_parent_or_a_seat_must_be_there():
    town().when(unit("odd", "street", "moon")).then_refused("not_found", "/parent")
    organisation = commands.AddOrganisation(
        **STAMP, code="org-c", name="C", kind="studio", unit="moon"
    )
    town().when(organisation).then_refused("not_found", "/unit")
    organisation.unit = "lake"
    town().when(organisation).then(OrganisationAdded)


def test_only_an_active_organisation_is_suspended_and_only_a_suspended_one_resumed():
    suspend = commands.SuspendOrganisation(**STAMP, code="org-a", reason="核查")
    resume = commands.ResumeOrganisation(**STAMP, code="org-a")
    town().when(resume).then_refused("wrong_state")
    town().given(suspend).when(suspend).then_refused("wrong_state")
    suspend.code = resume.code = "org-z"
    town().when(suspend).then_refused("not_found")
    town().when(resume).then_refused("not_found")


def register(**other: object) -> commands.RegisterMember:
    said = {
        "member_id": new_id(),
        "organisation": "org-a",
        "roles": ("volunteer",),
        "unit": "lake",
    }
    return commands.RegisterMember(**STAMP, **(said | other))


def test_a_member_is_registered_once():
    given = town()
    command = register()
    given.when(command).then(MemberRegistered)
    given.when(command).then_nothing_new()


def test_a_member_needs_an_active_organisation_and_a_unit():
    town().when(register(organisation="org-z")).then_refused("not_found", "/organisation")
    town().when(register(unit="moon")).then_refused("not_found", "/unit")
    town().given(commands.SuspendOrganisation(**STAMP, code="org-a", reason="核查")).when(
        register()
    ).then_refused("organisation_suspended")


def test_a_member_joins_a_further_organisation_once():
    given = town().given(
        commands.AddOrganisation(**STAMP, code="org-c", name="C", kind="studio", unit="lake")
    )
    join = commands.JoinMember(**STAMP, member_id=ZHANG, organisation="org-c", consent_ref="c-9")
    given.when(join).then(MemberJoined, consent_ref="c-9")
    given.when(join).then_nothing_new()


def test_joining_needs_a_member_and_an_active_organisation():
    join = commands.JoinMember(**STAMP, member_id=ZHANG, organisation="org-z", consent_ref="c-9")
    town().when(join).then_refused("not_found", "/organisation")
    join.member_id = new_id()
    town().when(join).then_refused("not_found")
    given = town().given(
        commands.AddOrganisation(**STAMP, code="org-c", name="C", kind="studio", unit="lake"),
        commands.SuspendOrganisation(**STAMP, code="org-c", reason="核查"),
    )
    join.member_id, join.organisation = ZHANG, "org-c"
    given.when(join).then_refused("organisation_suspended")


def change(**other: object) -> commands.ChangeMember:
    return commands.ChangeMember(**STAMP, **({"member_id": ZHANG, "organisation": "org-a"} | other))


def test_the_home_organisation_changes_roles_and_unit():
    given = town()
    given.when(change(roles=("volunteer", "grid_worker"))).then(
        MemberChanged, roles=("volunteer", "grid_worker"), unit=None
    )
    given.when(change(roles=("volunteer", "grid_worker"), unit="lake")).then_nothing_new()
    given.when(change(unit="west")).then(MemberChanged, unit="west", roles=None)
    given.when(change(person=True)).then(MemberChanged, person=True)
    given.when(change(organisation=None, unit="lake")).then(MemberChanged, unit="lake")


def test_who_may_not_change_a_member_does_not():
    town().when(change(organisation="org-b", unit="west")).then_refused("forbidden")
    town().when(change(organisation="org-z", unit="west")).then_refused("not_found")
    town().when(change(member_id=new_id(), unit="west")).then_refused("not_found")
    town().when(change(unit="moon")).then_refused("not_found", "/unit")
