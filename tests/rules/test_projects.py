"""Projects, conversions, programmes, targets: their stages in order; each refusal once."""

from datetime import date

import pytest

from ledger import commands
from ledger.events import (
    AchievementSubmitted,
    ConversionAdvanced,
    ConversionBegun,
    ConversionWithdrawn,
    ProgrammeClosed,
    ProgrammeCompleted,
    ProgrammeEnrolled,
    ProgrammeOpened,
    ProjectAdvanced,
    ProjectBegun,
    ProjectWithdrawn,
    TargetSet,
    TargetWithdrawn,
)
from ledger.units import new_id
from tests.rules.asked import ADMIN
from tests.rules.town import LI, OTHER, STAMP, ZHANG, Town, town

NOBODY = "019f0000-0000-7000-8000-0000000000ff"
SUSPENSION = commands.SuspendOrganisation(**ADMIN, code="org-b", reason="整改")


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def begin(on: str | None = "2026-01-05", **other: object) -> commands.BeginProject:
    said = {**OTHER, "project_id": new_id(), "organisation": "org-a", "unit": "lake"}
    return commands.BeginProject(
        **said | {"title": "互助养老", "category": "elderly", "on": day(on)} | other
    )


def advance(project_id: str, stage: str, on: str | None = None, **other: object):
    said = {**OTHER, "organisation": "org-a", "project_id": project_id} | other
    return commands.AdvanceProject(stage=stage, on=day(on), **said)


def give_up(project_id: str, **other: object) -> commands.WithdrawProject:
    said = {**OTHER, "organisation": "org-a", "project_id": project_id} | other
    return commands.WithdrawProject(reason="并入另一项目", **said)


def appoint(first: str = "2026-01-01", last: str = "2026-12-31") -> commands.AppointSupervisor:
    return commands.AppointSupervisor(
        **OTHER,
        appointment_id=new_id(),
        member_id=ZHANG,
        organisation="org-a",
        unit="lake",
        first=day(first),
        last=day(last),
    )


def intervene(on: str = "2026-02-01", **other: object) -> commands.BeginConversion:
    said = {**OTHER, "conversion_id": new_id(), "organisation": "org-a", "unit": "lake"}
    return commands.BeginConversion(
        **said
        | {"category": "elderly", "supervisor_id": ZHANG, "on": day(on), "ref": "督导-8"}
        | other
    )


def convert(conversion_id: str, stage: str, on: str = "2026-03-01", **other: object):
    said = {**OTHER, "organisation": "org-a", "conversion_id": conversion_id} | other
    return commands.AdvanceConversion(stage=stage, on=day(on), ref="培训-2", **said)


def start(first: str = "2026-01-01", **other: object) -> commands.OpenProgramme:
    said = {**OTHER, "programme_id": new_id(), "organisation": "org-a", "unit": "west"}
    return commands.OpenProgramme(
        **said | {"name": "督导能力提升", "tags": ("1+6+N:6",), "first": day(first)} | other
    )


def enrol(programme_id: str, member_id: str = ZHANG, on: str | None = None, **other: object):
    said = {**OTHER, "organisation": "org-a", "programme_id": programme_id} | other
    return commands.EnrolMember(member_id=member_id, on=day(on), **said)


def complete(programme_id: str, member_id: str = ZHANG, on: str | None = None, **other: object):
    said = {**OTHER, "organisation": "org-a", "programme_id": programme_id} | other
    return commands.CompleteProgramme(member_id=member_id, on=day(on), **said)


def close(programme_id: str, on: str | None = None, **other: object) -> commands.CloseProgramme:
    said = {**OTHER, "organisation": "org-a", "programme_id": programme_id} | other
    return commands.CloseProgramme(last=day(on), reason="任务完成", **said)


def begun(given: Town, *stages: str) -> str:
    """A project that has come through some stages."""
    asked = begin()
    given.given(asked, *(advance(asked.project_id, stage) for stage in stages))
    return asked.project_id


# --- projects ------------------------------------------------------------------------------------


def test_a_project_goes_from_the_needs_assessment_to_its_promotion():
    given = town()
    asked = begin(summary="社区食堂", tags=("12345:3",))
    given.when(asked).then(ProjectBegun, on="2026-01-05", summary="社区食堂", tags=("12345:3",))
    found = asked.project_id
    assert given.state(f"project:{found}").stage == "needs_assessment"
    given.when(advance(found, "design", "2026-02-01", ref="方案-3", reason="评审通过")).then(
        ProjectAdvanced, stage="design", on="2026-02-01", ref="方案-3", reason="评审通过"
    )
    given.when(advance(found, "implementation")).then(ProjectAdvanced, on="2026-03-10")
    given.when(advance(found, "incubated")).then(ProjectAdvanced)
    given.when(advance(found, "promoted")).then(ProjectAdvanced)
    given.when(give_up(found)).then_refused("wrong_state")
    given.when(advance(found, "promoted")).then_refused("wrong_state")


@pytest.mark.parametrize("stage", ["implementation", "incubated", "promoted"])
def test_a_project_leaves_no_stage_out(stage: str):
    given = town()
    given.when(advance(begun(given), stage)).then_refused("wrong_state")


def test_a_project_does_not_go_back():
    given = town()
    found = begun(given, "design", "implementation")
    given.when(advance(found, "design")).then_refused("wrong_state")
    given.when(advance(found, "implementation")).then_refused("wrong_state")


def test_a_project_is_given_up_once():
    given = town()
    found = begun(given, "design")
    given.when(give_up(found)).then(ProjectWithdrawn, reason="并入另一项目")
    given.when(give_up(found)).then_refused("wrong_state")
    given.when(advance(found, "implementation")).then_refused("wrong_state")


def test_a_project_is_of_an_organisation_at_a_unit_and_perhaps_of_a_programme():
    given = town().given(SUSPENSION)
    given.when(begin(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(begin(organisation="org-b")).then_refused("organisation_suspended")
    given.when(begin(unit="moon")).then_refused("not_found", "/unit")
    given.when(begin(programme_id=NOBODY)).then_refused("not_found", "/programme_id")
    asked = start()
    given.given(asked)
    given.when(begin(None, programme_id=asked.programme_id)).then(
        ProjectBegun, programme_id=asked.programme_id, on="2026-03-10"
    )


def test_a_project_has_dates_that_have_come_in_their_order():
    given = town()
    given.when(begin("2026-03-11")).then_refused("in_the_future")
    found = begun(given)
    given.when(advance(found, "design", "2026-03-11")).then_refused("in_the_future")
    given.when(advance(found, "design", "2026-01-04")).then_refused("out_of_order")
    given.given(advance(found, "design", "2026-02-01"))
    given.when(advance(found, "implementation", "2026-01-31")).then_refused("out_of_order")


def test_a_project_is_the_organisations_that_began_it():
    given = town()
    found = begun(given)
    for verb in (advance(found, "design", organisation="org-b"), advance(NOBODY, "design")):
        given.when(verb).then_refused("not_found")
    given.when(give_up(found, organisation="org-b")).then_refused("not_found")
    given.when(advance(found, "design", **ADMIN, organisation=None)).then(ProjectAdvanced)


def test_an_achievement_names_a_project_that_goes_on():
    given = town()
    found = begun(given)

    def did(project_id: str) -> commands.SubmitAchievement:
        return commands.SubmitAchievement(
            **STAMP,
            achievement_id=new_id(),
            member_id=ZHANG,
            organisation="org-a",
            kind="project",
            on=day("2026-02-10"),
            ref="项目-1",
            outcome="good",
            project_id=project_id,
        )

    given.when(did(NOBODY)).then_refused("not_found", "/project_id")
    given.when(did(found)).then(AchievementSubmitted, project_id=found)
    given.given(give_up(found))
    given.when(did(found)).then_refused("not_found", "/project_id")


# --- conversions ---------------------------------------------------------------------------------


def test_a_conversion_is_done_after_intervention_training_and_redesign():
    given = town().given(appoint())
    asked = intervene()
    given.when(asked).then(ConversionBegun, category="elderly", supervisor_id=ZHANG)
    found = asked.conversion_id
    given.when(convert(found, "redesign")).then_refused("wrong_state")
    given.when(convert(found, "training")).then(ConversionAdvanced, stage="training")
    assert not given.state(f"conversion:{found}").done
    given.when(convert(found, "training")).then_refused("wrong_state")
    given.when(convert(found, "redesign")).then(ConversionAdvanced, stage="redesign")
    assert given.state(f"conversion:{found}").done
    given.when(convert(found, "redesign")).then_refused("wrong_state")


def test_a_conversion_begins_with_a_supervisor_who_was_appointed_on_that_date():
    given = town()
    given.when(intervene(supervisor_id=NOBODY)).then_refused("not_found", "/supervisor_id")
    given.when(intervene()).then_refused("not_appointed")
    given.given(appoint("2026-02-01", "2026-02-28"), SUSPENSION)
    given.when(intervene("2026-01-31")).then_refused("not_appointed")
    given.when(intervene("2026-03-01")).then_refused("not_appointed")
    given.when(intervene("2026-03-11")).then_refused("in_the_future")
    given.when(intervene(unit="moon")).then_refused("not_found", "/unit")
    given.when(intervene(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(intervene(organisation="org-b")).then_refused("organisation_suspended")
    given.when(intervene("2026-02-28")).then(ConversionBegun)


def test_a_conversion_has_its_order_of_dates_and_its_organisation():
    given = town().given(appoint())
    asked = intervene()
    given.given(asked)
    found = asked.conversion_id
    given.when(convert(found, "training", "2026-01-31")).then_refused("out_of_order")
    given.when(convert(found, "training", "2026-03-11")).then_refused("in_the_future")
    given.when(convert(found, "training", organisation="org-b")).then_refused("not_found")

    def withdraw(**other: object) -> commands.WithdrawConversion:
        said = {**OTHER, "organisation": "org-a", "conversion_id": found} | other
        return commands.WithdrawConversion(reason="重复登记", **said)

    given.when(withdraw(organisation="org-b")).then_refused("not_found")
    given.when(withdraw()).then(ConversionWithdrawn)
    given.when(withdraw()).then_refused("wrong_state")
    given.when(convert(found, "training")).then_refused("wrong_state")


# --- programmes ----------------------------------------------------------------------------------


def test_members_are_enrolled_in_a_programme_and_complete_it():
    given = town()
    asked = start(last=day("2026-12-31"))
    given.when(asked).then(ProgrammeOpened, first="2026-01-01", last="2026-12-31")
    found = asked.programme_id
    given.when(complete(found)).then_refused("wrong_state")
    given.when(complete(found, NOBODY)).then_refused("not_found", "/member_id")
    given.when(enrol(found, on="2026-01-15")).then(
        ProgrammeEnrolled, member_id=ZHANG, on="2026-01-15"
    )
    given.when(enrol(found)).then_refused("wrong_state")
    given.when(enrol(found, LI)).then(ProgrammeEnrolled, member_id=LI, on="2026-03-10")
    given.when(complete(found, on="2026-01-14")).then_refused("out_of_order")
    given.when(complete(found, on="2026-03-11")).then_refused("in_the_future")
    given.when(complete(found, on="2026-03-01")).then(ProgrammeCompleted, on="2026-03-01")
    given.when(complete(found)).then_refused("wrong_state")
    given.when(enrol(found)).then_refused("wrong_state")


def test_a_programme_enrols_whom_its_organisation_knows():
    given = town()
    asked = start()
    given.given(asked)
    found = asked.programme_id
    given.when(enrol(found, NOBODY)).then_refused("not_found", "/member_id")
    given.when(enrol(found, on="2025-12-31")).then_refused("out_of_order")
    given.when(enrol(found, on="2026-03-11")).then_refused("in_the_future")
    given.when(enrol(found, organisation="org-b")).then_refused("not_found")
    given.when(enrol(NOBODY)).then_refused("not_found")
    given.when(enrol(found, LI, **ADMIN, organisation=None)).then(ProgrammeEnrolled)
    given.given(commands.CloseAccount(**ADMIN, member_id=ZHANG, reason="迁出"))
    given.when(enrol(found)).then_refused("member_closed")
    given.given(commands.SuspendOrganisation(**ADMIN, code="org-a", reason="整改"))
    given.when(enrol(found)).then_refused("organisation_suspended")


def test_a_programme_is_closed_once_and_nobody_comes_afterwards():
    given = town()
    asked = start()
    found = asked.programme_id
    given.given(asked, enrol(found, on="2026-02-01"))
    given.when(close(found, organisation="org-b")).then_refused("not_found")
    given.when(close(found, "2026-01-31")).then_refused("out_of_order")
    given.when(close(found, "2026-03-11")).then_refused("in_the_future")
    given.when(close(found)).then(ProgrammeClosed, last="2026-03-10", reason="任务完成")
    for verb in (close(found), enrol(found, LI), complete(found)):
        given.when(verb).then_refused("wrong_state")


def test_a_programme_is_of_an_organisation_at_a_unit():
    given = town().given(SUSPENSION)
    given.when(start(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(start(organisation="org-b")).then_refused("organisation_suspended")
    given.when(start(unit="moon")).then_refused("not_found", "/unit")


# --- targets -------------------------------------------------------------------------------------


def aim(**other: object) -> commands.SetTarget:
    said = {**OTHER, "target_id": new_id(), "organisation": "org-a", "kpi": "certification_rate"}
    return commands.SetTarget(**said | {"value": 5_000, "due_on": day("2026-12-31")} | other)


def aim_no_more(target_id: str, **other: object) -> commands.WithdrawTarget:
    said = {**OTHER, "organisation": "org-a", "target_id": target_id} | other
    return commands.WithdrawTarget(reason="口径调整", **said)


def test_a_target_is_set_and_withdrawn_once():
    given = town()
    asked = aim(unit="lake")
    given.when(asked).then(TargetSet, value=5_000, unit="lake", due_on="2026-12-31")
    given.when(aim_no_more(asked.target_id, organisation="org-b")).then_refused("not_found")
    given.when(aim_no_more(NOBODY)).then_refused("not_found")
    given.when(aim_no_more(asked.target_id)).then(TargetWithdrawn)
    given.when(aim_no_more(asked.target_id)).then_refused("wrong_state")


def test_a_target_may_be_nobodys_in_particular_and_then_administrators_withdraw_it():
    given = town()
    asked = aim(**ADMIN, organisation=None)
    given.when(asked).then(TargetSet, organisation=None, unit=None)
    given.when(aim_no_more(asked.target_id)).then_refused("not_found")
    given.when(aim_no_more(asked.target_id, **ADMIN, organisation=None)).then(TargetWithdrawn)


def test_a_target_names_what_is_there():
    given = town().given(SUSPENSION)
    given.when(aim(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(aim(organisation="org-b")).then_refused("organisation_suspended")
    given.when(aim(unit="moon")).then_refused("not_found", "/unit")
