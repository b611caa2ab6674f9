"""Rules about members as such: their age bands, and that an erased person stays erased."""

from datetime import UTC, date, datetime

import pytest

from ledger import commands
from ledger.events import AgeBandReached, MemberChanged, MemberRegistered, PersonDataErased
from ledger.rules.ages import age_band
from ledger.units import new_id
from tests.rules.asked import finish
from tests.rules.town import OTHER, STAMP, ZHANG, policy, shanghai, town


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


# --- age bands -----------------------------------------------------------------------------------

NEW = "019f0000-0000-7000-8000-00000000000c"


def register(born_on: str | None, member_id: str = NEW) -> commands.RegisterMember:
    return commands.RegisterMember(
        **STAMP,
        member_id=member_id,
        organisation="org-a",
        roles=("volunteer",),
        unit="lake",
        born_on=None if born_on is None else date.fromisoformat(born_on),
    )


def reach(born_on: str, as_of: str, member_id: str = NEW) -> commands.ReachAgeBand:
    return commands.ReachAgeBand(
        **STAMP,
        member_id=member_id,
        born_on=date.fromisoformat(born_on),
        as_of=shanghai(f"{as_of} 00:00"),
    )


@pytest.mark.parametrize(
    ("born_on", "band"),
    [
        ("2026-03-11", "under_18"),
        ("2008-03-11", "under_18"),
        ("2008-03-10", "18_59"),
        ("1966-03-11", "18_59"),
        ("1966-03-10", "60_69"),
        ("1956-03-11", "60_69"),
        ("1956-03-10", "70_79"),
        ("1946-03-11", "70_79"),
        ("1946-03-10", "80_plus"),
        ("1900-01-01", "80_plus"),
    ],
)
def test_a_band_is_reached_on_the_birthday(born_on: str, band: str) -> None:
    assert age_band(date.fromisoformat(born_on), date(2026, 3, 10)) == band
    fact = town().when(register(born_on)).then(MemberRegistered, age_band=band)
    assert born_on not in repr(fact)


def test_who_was_born_on_a_leap_day_reaches_it_on_the_first_of_march() -> None:
    born_on = date(1968, 2, 29)
    assert age_band(born_on, date(2028, 2, 29)) == "60_69"
    assert age_band(date(1966, 2, 28), date(2026, 2, 28)) == "60_69"
    assert age_band(date(1964, 2, 29), date(2034, 2, 28)) == "60_69"
    assert age_band(date(1964, 2, 29), date(2034, 3, 1)) == "70_79"


def test_the_day_is_the_ledgers_own() -> None:
    late = datetime(2026, 3, 9, 17, tzinfo=UTC)  # already the tenth in Shanghai
    town(late).when(register("1966-03-10")).then(MemberRegistered, age_band="60_69")
    west = town(late).given(policy("2020-01-01", zone="America/New_York"))
    west.when(register("1966-03-10")).then(MemberRegistered, age_band="18_59")


def test_of_whom_no_date_is_held_no_band_is_told() -> None:
    town().when(register(None)).then(MemberRegistered, age_band=None)


def test_a_changed_date_changes_the_band_and_one_taken_away_leaves_none() -> None:
    known = town().given(register("1966-03-10"))
    said = {**STAMP, "member_id": NEW, "organisation": "org-a", "person": True}
    same = commands.ChangeMember(**said, born_on=date(1960, 1, 1))
    known.when(same).then(MemberChanged, age_band=None, age_unknown=None)
    older = commands.ChangeMember(**said, born_on=date(1940, 1, 1))
    known.when(older).then(MemberChanged, age_band="80_plus", age_unknown=None)
    known.when(commands.ChangeMember(**said)).then(MemberChanged, age_band=None, age_unknown=True)
    known.when(commands.ChangeMember(**said)).then(MemberChanged, age_unknown=None)
    roles = commands.ChangeMember(**STAMP, member_id=NEW, organisation="org-a", roles=("resident",))
    town().given(register("1966-03-10")).when(roles).then(
        MemberChanged, age_band=None, age_unknown=None
    )


def test_a_band_is_reached_once() -> None:
    known = town().given(register("1966-03-20"))
    known.when(reach("1966-03-20", "2026-03-19")).then_nothing_new()
    known.when(reach("1966-03-20", "2026-03-20")).then(
        AgeBandReached, age_band="60_69", as_of="2026-03-19T16:00:00Z"
    )
    known.when(reach("1966-03-20", "2026-03-21")).then_nothing_new()


def test_what_was_told_later_is_not_told_again_for_an_earlier_day() -> None:
    known = town().given(register("1966-03-10"))
    known.when(reach("1966-03-10", "2026-03-09")).then_nothing_new()
    known.given(reach("1966-03-10", "2036-03-10"))
    known.when(reach("1966-03-10", "2036-03-09")).then_nothing_new()


def test_a_day_that_the_job_has_done_is_done() -> None:
    known = town().given(register("1966-03-05"), finish("2026-03-10", job="ages"))
    known.when(reach("1940-03-05", "2026-03-10")).then_nothing_new()


def test_nobody_unknown_or_erased_comes_to_an_age() -> None:
    known = town()
    known.when(reach("1940-01-01", "2026-03-11")).then_nothing_new()
    known.given(register("1966-03-20"), erase(NEW))
    known.when(reach("1966-03-20", "2026-03-20")).then_nothing_new()
    assert known.state(f"member:{NEW}").age_band is None
