"""Track 2: certificates and their terms, achievements and points, the ladder; each refusal once."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import permutations

import pytest
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import commands
from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    AchievementSubmitted,
    AppointmentEnded,
    CaseFiled,
    CaseWithdrawn,
    CertificationLapsed,
    CertificationRegistered,
    CertificationRenewed,
    CertificationRevoked,
    CertificationSubmitted,
    CertificationVerified,
    HoursReversed,
    HoursVerified,
    MentorshipBegun,
    MentorshipEnded,
    RedemptionReserved,
    ServiceCertified,
    ServiceUncertified,
    SubmittedHoursVerified,
    SupervisorAppointed,
)
from ledger.policy import DEFAULTS
from ledger.rules.career import Career
from ledger.rules.certifications import renewal_opens, term_end
from ledger.rules.ladder import standing
from ledger.units import new_id
from tests.rules.asked import ADMIN, correct, finish, reverse, verify
from tests.rules.town import LI, OTHER, STAMP, ZHANG, Town, policy, shanghai, town, visit

NOBODY = "019f0000-0000-7000-8000-0000000000ff"


def day(text: str) -> date:
    return date.fromisoformat(text)


def submit(level: str = "assistant", obtained_on: str = "2025-08-20", **other: object):
    said = {**STAMP, "member_id": ZHANG, "organisation": "org-a", "certificate_ref": "证书-117"}
    return commands.SubmitCertification(
        **said
        | {"certification_id": new_id(), "level": level, "obtained_on": day(obtained_on)}
        | other
    )


def verified(certification_id: str, **other: object):
    said = {**OTHER, "organisation": "org-a", "certification_id": certification_id} | other
    return commands.VerifyCertification(**said)


def register(certification_id: str, on: str = "2025-09-01", **other: object):
    said = {**OTHER, "organisation": "org-a", "certification_id": certification_id} | other
    return commands.RegisterCertification(registered_on=day(on), **said)


def renew(certification_id: str, on: str, hours: int = 72, **other: object):
    said = {**OTHER, "organisation": "org-a", "certification_id": certification_id} | other
    return commands.RenewCertification(renewed_on=day(on), education_hours=hours, **said)


def revoke(certification_id: str, on: str, **other: object):
    said = {**OTHER, "organisation": "org-a", "certification_id": certification_id} | other
    return commands.RevokeCertification(effective_on=day(on), reason="证书无效", **said)


def lapse(certification_id: str, as_of: str):
    return commands.LapseCertification(
        **STAMP, certification_id=certification_id, as_of=shanghai(f"{as_of} 00:00")
    )


def certified(
    given: Town, level: str = "assistant", registered: str | None = "2025-09-01", **other: object
) -> str:
    """A certificate that was seen, and perhaps registered."""
    asked = submit(level, **other)
    given.given(asked, verified(asked.certification_id))
    if registered is not None:
        given.given(register(asked.certification_id, registered))
    return asked.certification_id


def did(kind: str, on: str = "2026-02-10", **other: object):
    said = {**STAMP, "member_id": ZHANG, "organisation": "org-a", "ref": f"{kind}-1"}
    return commands.SubmitAchievement(
        **said | {"achievement_id": new_id(), "kind": kind, "on": day(on)} | other
    )


def approve(achievement_id: str, **other: object):
    said = {**OTHER, "organisation": "org-a"} | other
    return commands.ApproveAchievement(achievement_id=achievement_id, **said)


def take_back(achievement_id: str, **other: object):
    said = {**OTHER, "organisation": "org-a", "reason": "证明有误"} | other
    return commands.ReverseAchievement(achievement_id=achievement_id, **said)


def put_to_use(achievement_id: str, on: str = "2026-03-01", **other: object):
    said = {**OTHER, "organisation": "org-a", "ref": "个案-31"} | other
    return commands.ApplyAchievement(achievement_id=achievement_id, on=day(on), **said)


def approved(given: Town, kind: str, on: str = "2026-02-10", **other: object) -> str:
    asked = did(kind, on, **other)
    given.given(asked, approve(asked.achievement_id))
    return asked.achievement_id


def career(given: Town, member: str = ZHANG) -> Career:
    return given.state(f"career:{member}")


def stands(given: Town, on: str = "2026-03-10", grade: str | None = None):
    mine = career(given)
    return standing(mine, DEFAULTS["ladder"], day(on), mine.points, grade)


# --- terms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2025-09-01", "2028-08-31"),  # the worked cases of DOMAIN, section 7
        ("2024-02-29", "2027-02-28"),
        ("2029-03-01", "2032-02-29"),
        ("2025-01-01", "2027-12-31"),
        ("2025-03-01", "2028-02-29"),
        ("2025-12-31", "2028-12-30"),
        ("2021-02-28", "2024-02-27"),
    ],
)
def test_a_term_ends_the_day_before_three_years_on(first: str, last: str):
    assert term_end(day(first)) == day(last)


@pytest.mark.parametrize(
    ("last", "opens"),
    [
        ("2028-08-31", "2028-06-01"),
        ("2027-02-28", "2026-12-01"),
        ("2028-02-29", "2027-12-01"),
        ("2028-05-30", "2028-02-29"),  # February has no 31st
        ("2027-05-30", "2027-02-28"),
        ("2028-12-31", "2028-10-01"),
    ],
)
def test_the_window_opens_three_months_before_the_day_after_the_end(last: str, opens: str):
    assert renewal_opens(day(last)) == day(opens)


def test_a_certificate_is_seen_by_another_and_registered_for_three_years():
    given = town()
    asked = submit()
    given.when(asked).then(CertificationSubmitted, level="assistant", obtained_on="2025-08-20")
    given.when(verified(asked.certification_id, **STAMP)).then_refused("second_person_needed")
    given.when(verified(asked.certification_id)).then(
        CertificationVerified, points=100, worth=100, on="2025-08-20", source="certificate"
    )
    given.when(register(asked.certification_id)).then(
        CertificationRegistered, in_force_from="2025-09-01", in_force_to="2028-08-31"
    )
    assert career(given).registration("2028-08-31") is not None
    assert career(given).registration("2028-09-01") is None
    assert career(given).registration("2025-08-31") is None


def test_seventy_hours_are_refused_and_seventy_two_accepted():
    given = town()
    found = certified(given)
    given.at = shanghai("2028-07-15 12:00")
    given.when(renew(found, "2028-07-01", 70)).then_refused("not_enough_education")
    given.when(renew(found, "2028-05-31")).then_refused("outside_renewal_window")
    given.when(renew(found, "2028-06-01")).then(
        CertificationRenewed, in_force_from="2028-09-01", in_force_to="2031-08-31"
    )


@pytest.mark.parametrize("level", ["social_worker", "senior"])
def test_the_other_levels_need_ninety_hours(level: str):
    given = town()
    found = certified(given, level)
    given.at = shanghai("2028-07-15 12:00")
    given.when(renew(found, "2028-07-01", 89)).then_refused("not_enough_education")
    given.when(renew(found, "2028-07-01", 90)).then(CertificationRenewed)


def test_a_renewal_after_the_end_comes_too_late_and_the_certificate_is_registered_anew():
    given = town()
    found = certified(given)
    given.at = shanghai("2028-09-02 12:00")
    given.when(renew(found, "2028-09-01")).then_refused("outside_renewal_window")
    given.when(lapse(found, "2028-08-31")).then_nothing_new()
    given.when(lapse(found, "2028-09-01")).then(CertificationLapsed, as_of="2028-09-01")
    given.when(lapse(found, "2028-09-02")).then_nothing_new()
    given.when(renew(found, "2028-08-31")).then_refused("wrong_state")
    given.when(register(found, "2028-08-31")).then(CertificationRegistered)


def test_a_registration_that_is_over_is_made_anew_though_no_job_has_run():
    given = town()
    found = certified(given)
    given.at = shanghai("2028-09-02 12:00")
    given.when(register(found, "2028-08-31")).then_refused("wrong_state")
    given.when(register(found, "2028-09-01")).then(
        CertificationRegistered, in_force_to="2031-08-31"
    )


def test_a_job_of_lapses_at_or_before_its_last_instant_does_nothing():
    given = town()
    found = certified(given)
    given.at = shanghai("2028-10-01 12:00")
    given.given(finish("2028-09-10", job="lapses"))
    given.when(lapse(found, "2028-09-10")).then_nothing_new()
    given.when(lapse(found, "2028-09-11")).then(CertificationLapsed)


def test_a_renewed_registration_lapses_at_its_new_end():
    given = town()
    found = certified(given)
    given.at = shanghai("2028-07-15 12:00")
    given.given(renew(found, "2028-07-01"))
    given.when(lapse(found, "2028-09-01")).then_nothing_new()
    assert career(given).registration("2031-08-31") is not None


# --- professional service ------------------------------------------------------------------------


def test_service_is_certified_by_the_registration_in_force_on_its_date():
    """Service on 2028-09-02 is uncertified; a late post for 2028-08-30 is certified."""
    given = town()
    certified(given)
    given.at = shanghai("2028-09-03 12:00")
    given.when(visit(on="2028-09-02", professional=True)).then(
        HoursVerified, certified=None, points=None, points_per_hour=1, credits=120
    )
    given.when(visit(on="2028-08-30", professional=True)).then(
        HoursVerified, certified=True, points=2, minutes=120, credits=120
    )


def test_on_duty_service_earns_points_alone():
    given = town()
    certified(given)
    given.when(visit(professional=True, capacity="on_duty")).then(
        HoursVerified, points=2, minutes=0, credits=0, duty_minutes=120, certified=True
    )


def test_what_is_not_professional_earns_no_points():
    given = town()
    certified(given)
    given.when(visit()).then(HoursVerified, points=None, certified=None, points_per_hour=None)


def test_an_award_is_what_one_more_makes_of_the_years_floor():
    given = town()
    certified(given)
    points = [
        given.ask(visit("08:00", "08:40", on=on, professional=True))[0].points
        for on in ("2025-12-30", "2025-12-31", "2026-01-01", "2026-01-02", "2026-01-03")
    ]
    assert points == [None, 1, None, 1, 1]  # 40 | 80 of 2025; 40 | 80 | 120 of 2026


def test_a_reversal_takes_back_what_one_less_makes_of_it():
    given = town()
    certified(given)
    first, second = (
        given.ask(visit(start, end, professional=True))[0]
        for start, end in (("08:00", "08:30"), ("09:00", "09:30"))
    )
    assert (first.points, second.points) == (None, 1)
    given.when(reverse(first.record_id)).then(HoursReversed, points=-1, minutes=-30)
    assert career(given).points == 100


def test_a_correction_moves_the_points_with_the_hours():
    given = town()
    certified(given)
    fact = given.ask(visit(professional=True))[0]
    given.when(correct(fact.record_id, start="14:00", end="17:00")).then_both(
        (HoursReversed, {"points": -2}), (HoursVerified, {"points": 3, "certified": True})
    )
    last = given.facts[-1]
    given.when(correct(last.record_id, professional=False)).then_both(
        (HoursReversed, {"points": -3}), (HoursVerified, {"points": None, "certified": None})
    )
    last = given.facts[-1]
    given.when(correct(last.record_id, professional=True)).then_both(
        (HoursReversed, {"points": None}), (HoursVerified, {"points": 3})
    )
    assert career(given).points == 103


def test_a_replacement_is_counted_in_the_place_of_what_it_replaces():
    given = town()
    certified(given)
    fact = given.ask(visit("08:00", "08:40", professional=True))[0]
    given.when(correct(fact.record_id, start="08:00", end="08:50")).then_both(
        (HoursReversed, {"points": None}), (HoursVerified, {"points": None, "certified": True})
    )
    assert career(given).points == 100


def test_hours_that_wait_are_awarded_when_they_count():
    given = town()
    certified(given)
    asked = visit(professional=True, evidence="backfilled")
    given.given(asked)
    assert career(given).points == 100
    given.when(verify(asked.record_id)).then(
        SubmittedHoursVerified, points=2, certified=True, professional=True
    )
    assert career(given).points == 102


def test_a_registration_recorded_late_awards_the_services_of_its_term():
    given = town()
    asked = [
        visit("08:00", "08:40", on=on, professional=True)
        for on in ("2026-03-01", "2026-03-02", "2025-08-31")
    ]
    given.given(*asked)
    found = certified(given, registered=None)
    facts = given.ask(register(found))
    marked = [fact for fact in facts if isinstance(fact, ServiceCertified)]
    assert [(fact.served_on, fact.points) for fact in marked] == [
        ("2026-03-01", 0),
        ("2026-03-02", 1),
    ]
    assert career(given).points == 101
    record = given.state(f"record:{marked[1].record_id}")
    assert (record.points, record.certified) == (1, True)


def test_a_revocation_takes_later_points_and_marks_and_no_minute():
    given = town()
    found = certified(given)
    for on in ("2026-03-01", "2026-03-02", "2026-03-03"):
        given.given(visit("08:00", "09:00", on=on, professional=True))
    minutes = given.state(f"account:{ZHANG}").minutes
    facts = given.ask(revoke(found, "2026-03-02"))
    assert isinstance(facts[0], CertificationRevoked)
    assert (facts[0].points, facts[0].on) == (-100, "2026-03-02")
    assert [(fact.served_on, fact.points) for fact in facts[1:]] == [
        ("2026-03-02", -1),
        ("2026-03-03", -1),
    ]
    assert all(isinstance(fact, ServiceUncertified) for fact in facts[1:])
    assert career(given).points == 1
    assert given.state(f"account:{ZHANG}").minutes == minutes == 180
    for on, still in (("2026-03-01", True), ("2026-03-02", None), ("2026-03-04", None)):
        given.when(visit("10:00", "11:00", on=on, professional=True)).then(
            HoursVerified, certified=still, points=still and 1
        )
    given.when(reverse(facts[1].record_id)).then(HoursReversed, points=None)


def test_another_registration_in_force_keeps_the_marks():
    given = town()
    found = certified(given)
    certified(given, "social_worker", "2026-01-01", obtained_on="2025-12-01")
    given.given(
        visit(on="2026-03-02", professional=True), visit(on="2025-12-30", professional=True)
    )
    facts = given.ask(revoke(found, "2025-09-01"))
    assert [fact.served_on for fact in facts[1:]] == ["2025-12-30"]
    assert facts[0].points == 0  # the higher level stands
    assert career(given).points == 202


def test_what_was_recorded_before_there_were_points_is_in_no_career():
    """Of journals that an earlier release wrote: what is derived from them stays what it was."""
    given = town()
    fact = given.ask(visit(professional=True))[0]
    assert fact.also_in == (f"career:{ZHANG}",)
    earlier = replace(fact, points_per_hour=None)
    assert earlier.also_in == ()
    given.take_in(replace(earlier, record_id=new_id(), receipt="before"))
    found = certified(given, registered=None)
    given.when(register(found)).then_both(
        (CertificationRegistered, {}), (ServiceCertified, {"record_id": fact.record_id})
    )


def test_an_upgrade_awards_the_difference_and_a_lower_level_nothing():
    given = town()
    certified(given)
    upgrade = submit("social_worker")
    given.given(upgrade)
    given.when(verified(upgrade.certification_id)).then(CertificationVerified, points=100)
    lower = submit("assistant")
    given.given(lower)
    given.when(verified(lower.certification_id)).then(CertificationVerified, points=0)
    assert career(given).points == 200
    given.ask(revoke(upgrade.certification_id, "2026-01-01"))
    assert career(given).points == 100


def test_a_record_cites_a_certificate_of_its_member():
    given = town()
    found = certified(given)
    given.when(visit(certification_id=found)).then(HoursVerified, certification_id=found)
    other = visit("08:00", "09:00", member_id=LI, certification_id=found)
    given.when(other).then_refused("not_found", "/certification_id")
    nobody = visit("08:00", "09:00", certification_id=NOBODY)
    given.when(nobody).then_refused("not_found", "/certification_id")


# --- achievements --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said", "points"),
    [
        ("training", {"hours": 18}, 18),
        ("training", {"hours": 31}, 30),
        ("supervision_given", {"hours": 20}, 40),
        ("supervision_given", {"hours": 51}, 100),
        ("supervision_received", {"hours": 25}, 24),
        ("project", {"outcome": "basic"}, 40),
        ("project", {"outcome": "good"}, 50),
        ("project", {"outcome": "excellent"}, 60),
        ("project", {"outcome": "excellent", "promoted": True}, 90),
        ("case", {}, 20),
        ("competition", {}, 5),
        ("competition", {"prize": "third"}, 15),
        ("competition", {"prize": "second"}, 25),
        ("competition", {"prize": "first"}, 35),
        ("lecture", {}, 10),
    ],
)
def test_each_source_has_its_points(kind: str, said: dict[str, object], points: int):
    given = town()
    asked = did(kind, **said)
    given.when(asked).then(AchievementSubmitted, kind=kind)
    given.when(approve(asked.achievement_id)).then(AchievementApproved, points=points, source=kind)
    given.when(take_back(asked.achievement_id)).then(AchievementReversed, points=-points)
    assert career(given).points == 0


def test_three_hundred_and_sixty_five_points_are_235_short_of_the_next_rung():
    """The worked case of DOMAIN, section 7."""
    given = town()
    certified(given)
    certified(given, "social_worker", "2026-01-10", obtained_on="2026-01-05")
    approved(given, "training", hours=36)
    approved(given, "project", outcome="excellent", promoted=True)
    approved(given, "case")
    approved(given, "competition", prize="second")
    assert career(given).points == 365
    where = stands(given)
    assert (where.tier, where.gap) == ("PROFESSIONAL", 235)
    missing = [gate.name for gate in where.reached if not gate.is_met]
    assert missing == [
        *("expert_points", "expert_supervision_hours", "expert_cases", "expert_appointment"),
    ]


def test_a_cap_is_of_the_calendar_year_of_the_date():
    given = town()
    approved(given, "training", "2025-12-31", hours=25)
    approved(given, "training", "2026-01-01", hours=25)
    assert career(given).points == 50
    approved(given, "training", "2025-01-01", hours=25)
    assert career(given).points == 55


def test_what_is_reversed_makes_room_for_the_rest_of_its_year():
    given = town()
    first = approved(given, "training", hours=20)
    approved(given, "training", hours=20)
    assert career(given).points == 30
    given.when(take_back(first)).then(AchievementReversed, points=-10)
    assert career(given).points == 20


def test_points_go_by_the_policy_of_the_date():
    changed = {**DEFAULTS["points"], "case": 7, "education_yearly_cap": 40}
    given = town().given(policy("2026-02-01", points=changed))
    approved(given, "case", "2026-01-31")
    approved(given, "case", "2026-02-01")
    assert career(given).points == 27
    approved(given, "training", "2026-01-31", hours=35)
    approved(given, "training", "2026-02-01", hours=35)
    assert career(given).points == 67


@pytest.mark.parametrize(("cap", "points"), [(60, 60), (20, 30)])
def test_the_order_of_arrival_does_not_matter(cap: int, points: int):
    """Also where a cap changes within the year: what was reached before stays reached."""
    changed = {**DEFAULTS["points"], "education_yearly_cap": cap}
    ends = set()
    items = [("2025-03-01", 40), ("2025-09-01", 10), ("2025-10-01", 25)]
    for order in permutations(items):
        given = town().given(policy("2025-07-01", points=changed))
        for on, hours in order:
            approved(given, "training", on, hours=hours)
            assert given.facts[-1].points >= 0
        ends.add(career(given).points)
    assert ends == {points}


@settings(max_examples=150, deadline=None)
@given_that(data=st.data())
def test_two_careers_recorded_in_any_order_end_equal(data: st.DataObject):
    """Each thing's own steps keep their order; what is between them does not matter."""
    chains = data.draw(st.lists(st.one_of(CERTIFICATES, DEEDS, SERVICES), min_size=2, max_size=9))
    ends = []
    for _ in range(2):
        given = town().given(policy("2015-01-01", backfill_window_days=5_000))
        steps = [number for number, chain in enumerate(chains) for _ in range(len(chain))]
        taken = [0] * len(chains)
        ids = [new_id() for _ in chains]
        for number in data.draw(st.permutations(steps)):
            given.when(chains[number][taken[number]](ids[number], number))
            taken[number] += 1
        mine, sources, years = career(given), Counter[str](), Counter[tuple[str, str]]()
        for fact in given.facts:
            source = getattr(fact, "source", "professional_service")
            points = getattr(fact, "points", None) or 0
            on = getattr(fact, "on", None) or getattr(fact, "served_on", "")
            sources[source] += points
            if source != "certificate":
                years[source, on[:4]] += points
        marks = sorted((one.on, one.minutes, one.certified) for one in mine.services.values())
        tier = stands(given).tier
        ends.append((mine.points, +sources, +years, marks, tier))
    assert ends[0] == ends[1]


Step = Callable[[str, int], commands.Command]
ON = st.dates(date(2022, 1, 1), date(2026, 3, 9)).map(str)


def _certificate(level: str, on: str, revoked: bool) -> list[Step]:
    steps: list[Step] = [
        lambda id, _: submit(level, on, certification_id=id),
        lambda id, _: verified(id),
        lambda id, _: register(id, on),
    ]
    return steps + ([lambda id, _: revoke(id, "2026-03-01")] if revoked else [])


def _deed(kind: str, on: str, hours: int, reversed_: bool) -> list[Step]:
    said = {"hours": hours} if kind in ("training", "supervision_given") else {}
    steps: list[Step] = [
        lambda id, _: did(kind, on, achievement_id=id, **said),
        lambda id, _: approve(id),
    ]
    return steps + ([lambda id, _: take_back(id)] if reversed_ else [])


def _service(on: str, minutes: int, reversed_: bool) -> list[Step]:
    def post(id: str, number: int) -> commands.Command:
        start, end = f"{number:02}:00", f"{number:02}:{minutes:02}"  # an hour of its own
        return visit(start, end, on=on, record_id=id, receipt=f"r-{number}", professional=True)

    steps: list[Step] = [post]
    return steps + ([lambda id, _: reverse(id)] if reversed_ else [])


CERTIFICATES = st.builds(
    _certificate, st.sampled_from(["assistant", "social_worker"]), ON, st.booleans()
)
DEEDS = st.builds(
    _deed,
    st.sampled_from(["training", "training", "supervision_given", "case", "lecture"]),
    ON,
    st.integers(1, 60),
    st.booleans(),
)
SERVICES = st.builds(_service, ON, st.integers(1, 59), st.booleans())


def test_an_achievement_is_approved_once_by_another():
    given = town()
    asked = did("case")
    given.given(asked)
    given.when(approve(asked.achievement_id, **STAMP)).then_refused("second_person_needed")
    own = approve(asked.achievement_id, actor_member=ZHANG)
    given.when(own).then_refused("second_person_needed")
    given.given(approve(asked.achievement_id))
    given.when(approve(asked.achievement_id)).then_refused("wrong_state")
    given.given(take_back(asked.achievement_id))
    given.when(take_back(asked.achievement_id)).then_refused("wrong_state")
    given.when(approve(asked.achievement_id)).then_refused("wrong_state")


def test_a_training_is_put_to_use_once_and_not_before_it():
    given = town()
    found = approved(given, "training", hours=8)
    given.when(put_to_use(found, "2026-02-09")).then_refused("out_of_order")
    given.when(put_to_use(found, "2026-03-11")).then_refused("in_the_future")
    given.when(put_to_use(found)).then(AchievementApplied, on="2026-03-01", ref="个案-31")
    given.when(put_to_use(found)).then_refused("wrong_state")
    given.when(put_to_use(approved(given, "case"))).then_refused("wrong_state")
    given.when(take_back(found)).then(AchievementReversed, points=-8)


# --- the ladder ----------------------------------------------------------------------------------


def expert(given: Town) -> str:
    """Everything that the highest rung asks for; the certificate."""
    found = certified(given, "senior", "2025-09-01")
    approved(given, "project", outcome="excellent", promoted=True)
    for on in ("2025-03-10", "2026-01-10"):
        approved(given, "supervision_given", on, hours=30)
    for _ in range(2):
        approved(given, "case")
    given.given(appoint("2026-03-01"))
    return found


def appoint(first: str = "2026-01-01", last: str = "2026-12-31", **other: object):
    said = {**OTHER, "organisation": "org-a", "member_id": ZHANG, "unit": "lake"} | other
    return commands.AppointSupervisor(
        appointment_id=new_id(), first=day(first), last=day(last), **said
    )


def test_each_rung_is_held_while_its_gates_hold():
    given = town()
    assert stands(given)[::2] == (None, 0)
    expert(given)
    assert career(given).points == 400 + 90 + 60 + 60 + 40
    assert stands(given).tier == "SUPERVISING_EXPERT"
    assert stands(given).gap == 0
    assert stands(given, grade="G4").tier == "PROFESSIONAL"
    assert stands(given, grade="G3").tier == "SUPERVISING_EXPERT"
    assert stands(given, "2026-02-28").tier == "PROFESSIONAL"  # not yet appointed
    assert stands(given, "2027-01-01").tier == "PROFESSIONAL"  # the appointment is over
    assert stands(given, "2028-09-01").tier is None  # so is the registration
    assert stands(given, "2025-08-31").tier is None


def test_no_rung_is_held_above_one_that_is_not():
    given = town()
    certified(given, "senior", "2025-09-01")
    for on in ("2025-03-10", "2026-01-10"):
        approved(given, "supervision_given", on, hours=30)
    for kind in ("case", "case", *["lecture"] * 4):
        approved(given, kind)
    given.given(appoint("2026-03-01"))
    where = stands(given)
    assert career(given).points == 600
    assert all(gate.is_met for gate in where.gates if gate.rung == "SUPERVISING_EXPERT")
    assert (where.tier, where.gap) == ("CERTIFIED", 0)
    approved(given, "project", outcome="basic")
    assert stands(given).tier == "SUPERVISING_EXPERT"


def test_supervision_counts_for_twenty_four_months():
    given = town()
    expert(given)
    given.given(appoint("2027-01-01", "2028-12-31"))
    assert stands(given, "2027-03-09").tier == "SUPERVISING_EXPERT"
    assert stands(given, "2027-03-10").tier == "PROFESSIONAL"  # 30 hours of 2025-03-10 are out


def test_a_reversal_cascades_through_the_tier():
    given = town()
    certified(given, "social_worker")
    project = approved(given, "project", outcome="excellent", promoted=True)
    case = approved(given, "case")
    assert stands(given).tier == "PROFESSIONAL"
    given.given(take_back(case))
    assert (stands(given).tier, stands(given).gap) == ("CERTIFIED", 10)
    case = approved(given, "case")
    given.given(take_back(project))
    where = stands(given)
    assert (where.tier, where.gap) == ("CERTIFIED", 80)
    missing = [gate.name for gate in where.reached if not gate.is_met]
    assert missing == ["professional_points", "professional_projects"]


def test_the_tier_is_lost_with_the_registration_and_comes_back_with_it():
    given = town()
    found = certified(given, "social_worker")
    approved(given, "project", outcome="excellent", promoted=True)
    approved(given, "case")
    given.at = shanghai("2028-10-01 12:00")
    given.given(lapse(found, "2028-09-01"))
    assert stands(given, "2028-09-15").tier is None
    given.given(register(found, "2028-09-20"))
    assert stands(given, "2028-09-19").tier is None
    assert stands(given, "2028-09-20").tier == "PROFESSIONAL"


def test_an_assistant_does_not_become_a_professional():
    given = town()
    certified(given)
    for _ in range(4):
        approved(given, "project", outcome="excellent", promoted=True)
    where = stands(given)
    assert (where.tier, where.gap) == ("CERTIFIED", 0)
    assert [g.name for g in where.reached if not g.is_met] == ["professional_level"]


def test_a_reward_is_for_whoever_stands_high_enough():
    given = town().given(
        commands.AddReward(
            **OTHER,
            organisation="org-a",
            code="books",
            name="专业书",
            kind="benefit",
            credits=60,
            tier="PROFESSIONAL",
        ),
        visit(),
    )

    def wanted() -> commands.ReserveRedemption:
        return commands.ReserveRedemption(
            **STAMP, redemption_id=new_id(), member_id=ZHANG, organisation="org-a", reward="books"
        )

    certified(given, "social_worker")
    given.when(wanted()).then_refused("not_eligible")
    approved(given, "project", outcome="excellent", promoted=True)
    approved(given, "case")
    given.when(wanted()).then(RedemptionReserved)


# --- refusals ------------------------------------------------------------------------------------


def test_a_certificate_is_of_a_known_member_and_of_a_date_that_has_come():
    given = town()
    given.when(submit(member_id=NOBODY)).then_refused("not_found", "/member_id")
    given.when(submit(organisation="org-z")).then_refused("not_found", "/organisation")
    given.when(submit(obtained_on="2026-03-11")).then_refused("in_the_future")
    given.given(commands.SuspendOrganisation(**ADMIN, code="org-b", reason="整改"))
    given.when(submit(organisation="org-b")).then_refused("organisation_suspended")
    given.given(commands.CloseAccount(**ADMIN, member_id=ZHANG, reason="迁出"))
    given.when(submit()).then_refused("member_closed")
    given.when(did("case")).then_refused("member_closed")


def test_each_step_has_its_state():
    given = town()
    asked = submit()
    found = asked.certification_id
    given.given(asked)
    for step in (register(found), renew(found, "2026-01-01"), revoke(found, "2026-01-01")):
        given.when(step).then_refused("wrong_state")
    given.given(verified(found))
    given.when(verified(found)).then_refused("wrong_state")
    given.when(renew(found, "2026-01-01")).then_refused("wrong_state")
    given.given(register(found))
    given.when(register(found)).then_refused("wrong_state")
    given.given(revoke(found, "2026-01-01"))
    for step in (register(found), renew(found, "2026-01-01"), revoke(found, "2026-01-01")):
        given.when(step).then_refused("wrong_state")


def test_a_step_has_a_date_that_fits():
    given = town()
    found = certified(given, registered=None)
    given.when(register(found, "2026-03-11")).then_refused("in_the_future")
    given.when(register(found, "2025-08-19")).then_refused("out_of_order")
    given.given(register(found))
    given.when(renew(found, "2026-03-11")).then_refused("in_the_future")
    given.when(revoke(found, "2026-03-11")).then_refused("in_the_future")
    given.when(revoke(found, "2025-08-19")).then_refused("out_of_order")


def test_a_certificate_is_the_organisations_that_submitted_it():
    given = town()
    found = certified(given, registered=None)
    given.when(register(found, organisation="org-b")).then_refused("not_found")
    given.when(register(new_id())).then_refused("not_found")
    given.when(register(found, **ADMIN, organisation=None)).then(CertificationRegistered)
    given.when(approve(new_id())).then_refused("not_found")
    asked = did("case")
    given.given(asked)
    given.when(approve(asked.achievement_id, organisation="org-b")).then_refused("not_found")


def test_an_achievement_is_of_a_known_member_and_of_a_date_that_has_come():
    given = town()
    given.when(did("case", member_id=NOBODY)).then_refused("not_found", "/member_id")
    given.when(did("case", "2026-03-11")).then_refused("in_the_future")
    given.when(did("project", outcome="good", project_id=NOBODY)).then_refused(
        "not_found", "/project_id"
    )


# --- appointments, mentorships, cases ------------------------------------------------------------


def test_an_appointment_is_ended_before_its_term_and_once():
    given = town()
    asked = appoint()
    given.when(asked).then(SupervisorAppointed, first="2026-01-01", last="2026-12-31")

    def end(last: str | None = None, **other: object) -> commands.EndAppointment:
        said = {**OTHER, "organisation": "org-a", "appointment_id": asked.appointment_id} | other
        return commands.EndAppointment(last=last and day(last), **said)

    given.when(end("2026-03-11")).then_refused("in_the_future")
    given.when(end("2025-12-31")).then_refused("out_of_order")
    given.when(end(organisation="org-b")).then_refused("not_found")
    given.when(end()).then(AppointmentEnded, last="2026-03-10")
    given.when(end()).then_refused("wrong_state")
    assert career(given).has_appointment(day("2026-03-10"))
    assert not career(given).has_appointment(day("2026-03-11"))
    over = appoint("2025-01-01", "2025-12-31")
    given.given(over)
    given.when(end(appointment_id=over.appointment_id)).then_refused("wrong_state")
    given.when(appoint(unit="moon")).then_refused("not_found", "/unit")
    given.when(appoint(member_id=NOBODY)).then_refused("not_found", "/member_id")


def test_a_mentorship_is_of_two_and_ends_once():
    given = town()

    def begin(**other: object) -> commands.BeginMentorship:
        said = {"mentorship_id": new_id(), "mentor_id": ZHANG, "mentee_id": LI} | other
        return commands.BeginMentorship(
            **OTHER, organisation="org-a", first=day("2026-02-01"), **said
        )

    asked = begin()
    given.when(begin(mentee_id=ZHANG)).then_refused("to_oneself", "/mentee_id")
    given.when(begin(mentee_id=NOBODY)).then_refused("not_found", "/mentee_id")
    given.when(begin(mentor_id=NOBODY)).then_refused("not_found", "/mentor_id")
    given.when(asked).then(MentorshipBegun, mentee_id=LI)

    def end(last: str | None = None, **other: object) -> commands.EndMentorship:
        said = {**OTHER, "organisation": "org-a", "mentorship_id": asked.mentorship_id} | other
        return commands.EndMentorship(last=last and day(last), **said)

    given.when(end("2026-01-31")).then_refused("out_of_order")
    given.when(end("2026-03-11")).then_refused("in_the_future")
    given.when(end(organisation="org-b")).then_refused("not_found")
    given.when(end()).then(MentorshipEnded, last="2026-03-10")
    given.when(end()).then_refused("wrong_state")


def test_a_case_is_filed_with_its_achievement_and_withdrawn_once():
    given = town()

    def file(**other: object) -> commands.FileCase:
        said = {"case_id": new_id(), "member_id": ZHANG, "on": day("2026-02-10")} | other
        return commands.FileCase(
            **OTHER, organisation="org-a", title="小组", category="elderly", summary="摘要", **said
        )

    pending = did("case")
    given.given(pending)
    given.when(file(achievement_id=pending.achievement_id)).then_refused("wrong_state")
    given.given(approve(pending.achievement_id))
    asked = file(achievement_id=pending.achievement_id)
    given.when(asked).then(CaseFiled, title="小组", achievement_id=pending.achievement_id)
    lecture = approved(given, "lecture")
    given.when(file(achievement_id=lecture)).then_refused("not_found", "/achievement_id")
    given.when(file(member_id=LI, achievement_id=pending.achievement_id)).then_refused(
        "not_found", "/achievement_id"
    )
    given.when(file(on=day("2026-03-11"))).then_refused("in_the_future")
    given.when(file(member_id=NOBODY)).then_refused("not_found", "/member_id")

    def gone(**other: object) -> commands.WithdrawCase:
        said = {**OTHER, "organisation": "org-a", "case_id": asked.case_id} | other
        return commands.WithdrawCase(reason="内容有误", **said)

    given.when(gone(organisation="org-b")).then_refused("not_found")
    given.when(gone()).then(CaseWithdrawn)
    given.when(gone()).then_refused("wrong_state")
