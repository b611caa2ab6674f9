"""Agreements, meetings, partners, experts: terms and resolutions; each refusal once."""

from datetime import date

import pytest

from ledger import commands
from ledger.commands import Command
from ledger.events import (
    AgreementAmended,
    AgreementEnded,
    AgreementSigned,
    ExpertEnded,
    ExpertNamed,
    MeetingHeld,
    PartnerAdded,
    PartnerEnded,
    Resolution,
    ResolutionClosed,
)
from ledger.units import new_id
from tests.rules.asked import ADMIN
from tests.rules.town import OTHER, STAMP, ZHANG, Town, town

NOBODY = "019f0000-0000-7000-8000-0000000000ff"
PAPER, OTHER_PAPER = "ab" * 32, "0c" * 32
SUSPENSION = commands.SuspendOrganisation(**ADMIN, code="org-b", reason="整改")


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def with_agency() -> Town:
    """The town, with an agency of social work."""
    return town().given(
        commands.AddOrganisation(
            **STAMP, code="agency", name="社工机构", kind="social_work", unit="lake"
        )
    )


def sign(first: str = "2026-01-01", last: str = "2026-12-31", **other: object):
    said = {**OTHER, "agreement_id": new_id(), "organisation": "org-a", "community": "lake"}
    return commands.SignAgreement(
        **said
        | {"agency": "agency", "version": "2026-1", "hash": PAPER}
        | {"first": day(first), "last": day(last)}
        | other
    )


def amend(agreement_id: str, last: str = "2027-06-30", **other: object) -> commands.AmendAgreement:
    said = {**OTHER, "organisation": "org-a", "agreement_id": agreement_id} | other
    return commands.AmendAgreement(version="2026-2", hash=OTHER_PAPER, last=day(last), **said)


def hold(on: str = "2026-02-20", *resolved: str, **other: object) -> commands.HoldMeeting:
    said = {**OTHER, "meeting_id": new_id(), "organisation": "org-a", "unit": "lake"}
    resolutions = tuple(Resolution(text=text, responsible="社区") for text in resolved)
    return commands.HoldMeeting(
        **said | {"on": day(on), "topic": "高空抛物", "resolutions": resolutions} | other
    )


def see_to(meeting_id: str, number: int, on: str | None = None, **other: object):
    said = {**OTHER, "organisation": "org-a", "meeting_id": meeting_id} | other
    return commands.CloseResolution(number=number, on=day(on), ref="照片-5", **said)


def add(first: str = "2026-01-01", **other: object) -> commands.AddPartner:
    said = {**OTHER, "partner_id": new_id(), "organisation": "org-a", "unit": "lake"}
    return commands.AddPartner(
        **said | {"name": "实训基地", "kind": "base", "first": day(first)} | other
    )


def name(first: str = "2026-01-01", last: str = "2026-12-31", **other: object):
    said = {**OTHER, "expert_id": new_id(), "organisation": "org-a", "unit": "lake"}
    return commands.NameExpert(
        **said
        | {"member_id": ZHANG, "speciality": "老年社会工作"}
        | {"first": day(first), "last": day(last)}
        | other
    )


# --- agreements ----------------------------------------------------------------------------------


def test_a_community_is_paired_with_an_agency_and_the_paper_amended():
    given = with_agency()
    asked = sign()
    given.when(asked).then(AgreementSigned, unit="lake", agency="agency", hash=PAPER)
    given.when(amend(asked.agreement_id)).then(
        AgreementAmended, version="2026-2", hash=OTHER_PAPER, last="2027-06-30"
    )
    agreement = given.state(f"agreement:{asked.agreement_id}")
    assert (agreement.version, agreement.last) == ("2026-2", "2027-06-30")
    given.when(amend(asked.agreement_id, "2025-12-31")).then_refused("out_of_order")
    given.when(amend(asked.agreement_id, organisation="org-b")).then_refused("not_found")
    end = commands.EndAgreement(**OTHER, organisation="org-a", agreement_id=asked.agreement_id)
    given.when(end).then(AgreementEnded, last="2026-03-10")
    given.when(amend(asked.agreement_id)).then_refused("wrong_state")


def test_an_agreement_is_between_a_unit_and_an_agency_that_are_there():
    given = with_agency().given(SUSPENSION)
    given.when(sign(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(sign(organisation="org-b")).then_refused("organisation_suspended")
    given.when(sign(community="moon")).then_refused("not_found", "/community")
    given.when(sign(community="west")).then_refused("not_found", "/community")  # a district
    given.when(sign(agency="org-z")).then_refused("not_found", "/agency")
    given.when(sign(agency="org-a")).then_refused("not_found", "/agency")


# --- what has a term -----------------------------------------------------------------------------


def ending(asked: Command, on: str | None, **other: object) -> Command:
    """The verb that ends what was asked for."""
    said = {**OTHER, "organisation": "org-a", "last": day(on), "reason": "搬迁"} | other
    match asked:
        case commands.SignAgreement():
            return commands.EndAgreement(**{"agreement_id": asked.agreement_id} | said)
        case commands.AddPartner():
            return commands.EndPartner(**{"partner_id": asked.partner_id} | said)
        case commands.NameExpert():
            return commands.EndExpert(**{"expert_id": asked.expert_id} | said)
    raise AssertionError(asked)


TERMS = [(sign, AgreementEnded), (add, PartnerEnded), (name, ExpertEnded)]


@pytest.mark.parametrize(("file", "ended"), TERMS)
def test_a_term_is_ended_before_its_last_day_and_once(file, ended):
    given = with_agency()
    asked = file()
    given.given(asked)
    given.when(ending(asked, "2026-03-11")).then_refused("in_the_future")
    given.when(ending(asked, "2025-12-31")).then_refused("out_of_order")
    given.when(ending(asked, None, organisation="org-b")).then_refused("not_found")
    given.when(ending(asked, "2026-03-01")).then(ended, last="2026-03-01", reason="搬迁")
    given.when(ending(asked, "2026-02-01")).then_refused("wrong_state")
    over = file("2025-01-01")
    over.last = day("2025-12-31")
    given.given(over)
    given.when(ending(over, "2026-01-01")).then_refused("wrong_state")
    given.when(ending(file(), None)).then_refused("not_found")  # it was never filed


def test_administrators_end_what_others_filed():
    given = town()
    asked = add()
    given.given(asked)
    given.when(ending(asked, None, **ADMIN, organisation=None)).then(
        PartnerEnded, organisation="org-a", last="2026-03-10"
    )


def test_a_partner_is_at_a_unit_with_an_end_or_without_one():
    given = town().given(SUSPENSION)
    given.when(add()).then(PartnerAdded, kind="base", last=None)
    given.when(add(last=day("2026-12-31"))).then(PartnerAdded, last="2026-12-31")
    given.when(add(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(add(organisation="org-b")).then_refused("organisation_suspended")
    given.when(add(unit="moon")).then_refused("not_found", "/unit")


def test_an_expert_is_a_member_whom_the_organisation_knows():
    given = town()
    given.when(name()).then(ExpertNamed, member_id=ZHANG, speciality="老年社会工作")
    given.when(name(member_id=NOBODY)).then_refused("not_found", "/member_id")
    given.when(name(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(name(unit="moon")).then_refused("not_found", "/unit")
    given.given(SUSPENSION)
    given.when(name(organisation="org-b")).then_refused("organisation_suspended")
    given.given(commands.CloseAccount(**ADMIN, member_id=ZHANG, reason="迁出"))
    given.when(name()).then_refused("member_closed")


# --- meetings ------------------------------------------------------------------------------------


def test_a_meeting_resolves_and_each_resolution_is_seen_to_once():
    given = town()
    asked = hold("2026-02-20", "装监控", "入户宣传", participants=("org-a", "org-b"))
    held = given.when(asked).then(MeetingHeld, participants=("org-a", "org-b"))
    assert [one.text for one in held.resolutions] == ["装监控", "入户宣传"]
    found = asked.meeting_id
    given.when(see_to(found, 3)).then_refused("not_found", "/number")
    given.when(see_to(found, 2, "2026-02-19")).then_refused("out_of_order")
    given.when(see_to(found, 2, "2026-03-11")).then_refused("in_the_future")
    given.when(see_to(found, 2, organisation="org-b")).then_refused("not_found")
    given.when(see_to(NOBODY, 1)).then_refused("not_found")
    given.when(see_to(found, 2, "2026-03-02")).then(ResolutionClosed, number=2, on="2026-03-02")
    given.when(see_to(found, 2)).then_refused("wrong_state")
    given.when(see_to(found, 1)).then(ResolutionClosed, number=1, on="2026-03-10")


def test_a_meeting_was_held_at_a_unit_by_organisations_that_are_there():
    given = town().given(SUSPENSION)
    given.when(hold()).then(MeetingHeld, resolutions=(), participants=())
    given.when(hold("2026-03-11")).then_refused("in_the_future")
    given.when(hold(unit="moon")).then_refused("not_found", "/unit")
    given.when(hold(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(hold(organisation="org-b")).then_refused("organisation_suspended")
    given.when(hold(participants=("org-a", "org-z"))).then_refused("not_found", "/participants/1")
