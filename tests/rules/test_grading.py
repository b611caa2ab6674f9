"""Computed grades and supervision indexes: the worked cases of DOMAIN 8, appeals, each refusal."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st

from ledger import commands
from ledger.commands import Counts, IndexCounts
from ledger.events import (
    GradeAppealDecided,
    GradeAppealed,
    GradeComputed,
    GradeOverridden,
    HoursSubmitted,
    HoursVerified,
    SupervisionIndexComputed,
)
from ledger.policy import DEFAULTS
from ledger.rules.grading import GRADES, scored
from ledger.rules.supervision_index import indexed
from ledger.units import new_id
from tests.rules.asked import ADMIN, finish
from tests.rules.town import LI, OTHER, STAMP, ZHANG, Town, policy, shanghai, town, visit

ORG, MEMBER = "organisation:org-a", f"member:{ZHANG}"
NUMBERS = DEFAULTS["grade"]

# 96 / 92 / 75 / 100; 80 / 85 / 60 / 90 has 90 for compliance, which is no multiple of 25
FIRST = Counts(
    ratings=25, stars=120, served=25, punctual=23, minutes=900, volunteers=1, upheld=0, for_cause=0
)
SECOND = Counts(
    ratings=10, stars=40, served=20, punctual=17, minutes=720, volunteers=1, upheld=1, for_cause=0
)
BETTER = Counts(
    ratings=10, stars=47, served=10, punctual=9, minutes=744, volunteers=1, upheld=1, for_cause=0
)


def compute(as_of: str, counts: Counts, subject: str = MEMBER) -> commands.ComputeGrade:
    at = shanghai(f"{as_of} 00:00")
    return commands.ComputeGrade(
        **STAMP,
        subject=subject,
        as_of=at,
        window_from=at.date() - timedelta(days=89),
        counts=counts,
        counted_to=7,
    )


def appeal(subject: str = MEMBER, **other: object) -> commands.AppealGrade:
    said = {**STAMP, "appeal_id": new_id(), "subject": subject, "reason": "系统故障"}
    return commands.AppealGrade(**said | {"organisation": "org-a"} | other)


def decide(outcome: str = "upheld", subject: str = MEMBER, **other: object):
    said = {**ADMIN, "subject": subject, "outcome": outcome, "reason": "属实"}
    return commands.DecideAppeal(**said | other)


def with_deduction(percent: int) -> commands.PublishPolicy:
    """A dispute upheld costs so much: the worked case has a compliance of 90."""
    return policy("2026-01-01", grade={**NUMBERS, "compliance_deduction": percent})


# -- the worked case ------------------------------------------------------------------------------


def test_a_fall_counts_at_once_and_a_rise_at_the_second_time() -> None:
    given = town().given(with_deduction(10))
    first = given.when(compute("2026-03-01", FIRST)).then(GradeComputed, score=9_100, grade="G1")
    assert (first.satisfaction, first.punctuality) == (9_600, 9_200)
    assert (first.activity, first.compliance) == (7_500, 10_000)
    second = given.when(compute("2026-03-02", SECOND)).then(
        GradeComputed, score=7_850, grade="G2", rising=None
    )
    assert (second.satisfaction, second.punctuality) == (8_000, 8_500)
    assert (second.activity, second.compliance) == (6_000, 9_000)
    given.when(compute("2026-03-03", BETTER)).then(
        GradeComputed, score=8_600, grade="G2", rising="G1"
    )
    given.when(compute("2026-03-04", FIRST)).then(GradeComputed, grade="G1", rising=None)


def test_the_same_date_is_not_a_second_time() -> None:
    given = town().given(with_deduction(10))
    given.given(compute("2026-03-01", SECOND), compute("2026-03-02", FIRST))
    later = compute("2026-03-02", FIRST)
    later.as_of += timedelta(hours=9)
    given.when(later).then_nothing_new()
    given.when(compute("2026-03-03", FIRST)).then(GradeComputed, grade="G1")


def test_a_rise_goes_to_the_lower_of_the_two_and_starts_anew_where_it_breaks_off() -> None:
    given = town()
    poor = Counts(ratings=3, stars=3, served=3, punctual=0, minutes=600, volunteers=1, upheld=4)
    fair = Counts(ratings=3, stars=11, served=3, punctual=2, minutes=1_200, volunteers=1)
    good = Counts(ratings=3, stars=15, served=3, punctual=3, minutes=1_200, volunteers=1)
    assert [scored(one, "member", NUMBERS).grade for one in (poor, fair, good)] == [
        *("G4", "G2", "G1")
    ]
    given.when(compute("2026-03-01", poor)).then(GradeComputed, grade="G4")
    given.when(compute("2026-03-02", good)).then(GradeComputed, grade="G4", rising="G1")
    given.when(compute("2026-03-03", fair)).then(GradeComputed, grade="G2", rising=None)
    given.when(compute("2026-03-04", good)).then(GradeComputed, grade="G2", rising="G1")
    given.when(compute("2026-03-05", fair)).then(GradeComputed, grade="G2", rising=None)
    given.when(compute("2026-03-06", good)).then(GradeComputed, grade="G2", rising="G1")
    given.when(compute("2026-03-07", poor)).then(GradeComputed, grade="G4", rising=None)


def test_too_few_ratings_or_hours_are_ungraded() -> None:
    assert scored(Counts(ratings=2, stars=10, minutes=6_000, volunteers=1), "member", NUMBERS)[
        4:
    ] == (None, "UNGRADED")
    assert scored(Counts(ratings=3, stars=15, minutes=599, volunteers=1), "member", NUMBERS)[
        4:
    ] == (None, "UNGRADED")
    given = town()
    given.when(compute("2026-03-01", Counts())).then_nothing_new()
    given.given(compute("2026-03-02", FIRST))
    given.when(compute("2026-03-03", Counts())).then(GradeComputed, grade="UNGRADED", score=None)
    given.when(compute("2026-03-04", FIRST)).then(GradeComputed, grade="G1")  # as the first


def test_a_component_without_data_drops_out_and_the_others_weigh_more() -> None:
    found = scored(Counts(ratings=4, stars=16, minutes=600, volunteers=1), "member", NUMBERS)
    assert found.punctuality is None
    assert found.score == round((80 * 40 + 50 * 20 + 100 * 10) / 70 * 100)


def test_an_organisation_s_activity_is_that_of_its_active_volunteers() -> None:
    counts = Counts(ratings=4, stars=16, minutes=2_400, volunteers=4)
    assert scored(counts, "organisation", NUMBERS).activity == 5_000
    assert scored(counts, "project", NUMBERS).activity == 10_000


def test_of_a_member_a_change_of_grade_is_told_and_of_an_organisation_each_score() -> None:
    given = town().given(compute("2026-03-01", FIRST), compute("2026-03-01", FIRST, ORG))
    other = Counts(ratings=26, stars=125, served=25, punctual=23, minutes=900, volunteers=1)
    given.when(compute("2026-03-02", other)).then_nothing_new()
    given.when(compute("2026-03-02", other, ORG)).then(GradeComputed, grade="G1")
    given.when(compute("2026-03-03", other, ORG)).then_nothing_new()


def test_a_job_that_was_done_computes_nothing() -> None:
    given = town().given(finish("2026-03-02", job="grades"))
    given.when(compute("2026-03-02", FIRST)).then_nothing_new()


def test_a_computed_g3_lets_records_wait() -> None:
    weak = Counts(ratings=3, stars=9, served=3, punctual=1, minutes=1_200, volunteers=1)
    assert scored(weak, "organisation", NUMBERS).grade == "G3"
    given = town()
    given.when(visit("09:00", "10:00")).then(HoursVerified)
    given.given(compute("2026-03-10", weak, ORG))
    given.when(visit("10:00", "11:00")).then(HoursSubmitted, admin_needed=None)


@given_that(
    st.builds(
        Counts,
        ratings=st.integers(0, 50),
        stars=st.integers(0, 50),
        served=st.integers(0, 50),
        punctual=st.integers(0, 50),
        minutes=st.integers(0, 5_000),
        volunteers=st.integers(0, 5),
        upheld=st.integers(0, 5),
        for_cause=st.integers(0, 5),
    )
)
def test_a_score_is_what_its_components_say(counts: Counts) -> None:
    counts.stars, counts.punctual = (
        counts.stars + counts.ratings,
        min(counts.punctual, counts.served),
    )
    found = scored(counts, "member", NUMBERS)
    if found.score is None:
        assert found.grade == "UNGRADED"
        return
    floors = [NUMBERS["floors_hundredths"].get(name, 0) for name in GRADES]
    assert found.score >= floors[GRADES.index(found.grade)]
    if found.grade != "G1":
        assert found.score < floors[GRADES.index(found.grade) - 1]


# -- appeals --------------------------------------------------------------------------------------


def test_an_appeal_is_decided_by_another_actor_and_may_say_which_grade_holds() -> None:
    given = town().given(compute("2026-03-01", SECOND))
    given.when(appeal()).then(GradeAppealed)
    given.when(appeal()).then_refused("wrong_state")
    given.when(decide(actor="key00001", actor_name="Wang")).then_refused("second_person_needed")
    given.when(decide(grade_name="G1", until=date(2026, 3, 9))).then_refused("over_already")
    given.when(decide(grade_name="G1", until=date(2026, 12, 31))).then_both(
        (GradeAppealDecided, {"outcome": "upheld"}), (GradeOverridden, {"grade": "G1"})
    )
    assert given.state(f"grade:{MEMBER}").in_force(date(2026, 3, 10)) == "G1"
    given.when(decide()).then_refused("wrong_state")
    given.given(appeal())
    given.when(decide("dismissed")).then(GradeAppealDecided, outcome="dismissed")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (appeal("member:019f0000-0000-7000-8000-0000000000ff"), "not_found"),
        (appeal("project:019f0000-0000-7000-8000-0000000000ff"), "not_found"),
        (appeal("organisation:org-x"), "not_found"),
        (appeal(ORG, organisation="org-b"), "not_found"),
        (appeal(organisation="org-c"), "not_found"),
        (
            appeal(organisation=None, actor_member=LI),
            "not_found",
        ),
        (appeal(ORG), "wrong_state"),  # it has no grade
    ],
)
def test_an_appeal_is_refused(asked: commands.AppealGrade, code: str) -> None:
    town().given(compute("2026-03-01", SECOND)).when(asked).then_refused(code)


def test_a_member_appeals_with_their_own_key() -> None:
    given = town().given(compute("2026-03-01", SECOND))
    given.when(appeal(organisation=None, actor_member=ZHANG)).then(GradeAppealed)


# -- the supervision index ------------------------------------------------------------------------

WORKED = IndexCounts(
    supervised_volunteers=132,
    active_volunteers=150,
    supervision_hours=35,
    service_minutes=60_000,
    trainings_applied=20,
    trainings_due=25,
    satisfied_ratings=986,
    ratings=1_000,
    registered_supervisors=48,
    supervisors=53,
)


def index(counts: IndexCounts, as_of: str = "2026-04-01") -> commands.ComputeSupervisionIndex:
    return commands.ComputeSupervisionIndex(
        **OTHER,
        unit="lake",
        month="2026-03",
        as_of=shanghai(f"{as_of} 00:00"),
        counts=counts,
        counted_to=9,
    )


def test_five_ratios_make_the_index() -> None:
    given = Town(datetime.fromisoformat("2026-04-02T00:00:00+00:00"))
    given.when(index(WORKED)).then(SupervisionIndexComputed, value=8_958)
    given.when(index(WORKED)).then_nothing_new()
    given.given(finish("2026-04-01", job="index"))
    given.when(index(IndexCounts(ratings=1))).then_nothing_new()
    given.when(index(IndexCounts(ratings=1), "2026-04-02")).then(SupervisionIndexComputed, value=0)


def test_a_ratio_without_data_drops_out() -> None:
    numbers = DEFAULTS["supervision_index"]
    assert indexed(IndexCounts(), numbers) is None
    only = IndexCounts(satisfied_ratings=19, ratings=40, supervisors=2, registered_supervisors=1)
    assert indexed(only, numbers) == 5_000
    assert indexed(IndexCounts(ratings=3, satisfied_ratings=3), numbers) == 10_000
