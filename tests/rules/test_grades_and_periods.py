"""Grade overrides and closed months: what they refuse, and how records wait because of them."""

from datetime import date

import pytest

from ledger import commands
from ledger.events import (
    GradeOverridden,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    PeriodClosed,
    PeriodReopened,
    SubmittedHoursVerified,
)
from ledger.units import new_id
from tests.rules.asked import ADMIN, correct, reject, reverse, verify
from tests.rules.town import STAMP, ZHANG, town, visit

ADMIN_ASKS = {**ADMIN, "organisation": None}


def graded(grade, until="2026-12-31", subject="organisation:org-a"):
    return commands.OverrideGrade(
        **ADMIN, subject=subject, grade=grade, reason="抽查", until=date.fromisoformat(until)
    )


def close(month="2026-02"):
    return commands.ClosePeriod(**ADMIN, month=month, reason="月结")


def reopen(month="2026-02"):
    return commands.ReopenPeriod(**ADMIN, month=month)


# --- grades --------------------------------------------------------------------------------------


@pytest.mark.parametrize("grade", ["G1", "G2"])
def test_at_g1_and_g2_good_evidence_counts_at_once(grade):
    town().given(graded(grade)).when(visit()).then(HoursVerified)


@pytest.mark.parametrize("evidence", ["checked", "attested", "backfilled"])
def test_at_g3_every_record_waits_for_another_actor(evidence):
    given = town().given(graded("G3"))
    fact = given.when(visit(evidence=evidence)).then(HoursSubmitted, admin_needed=None)
    given.when(verify(fact.record_id, **STAMP)).then_refused("second_person_needed")
    given.when(verify(fact.record_id)).then(SubmittedHoursVerified, minutes=120)


def test_at_g4_records_are_accepted_and_wait_for_an_administrator():
    given = town().given(graded("G4"))
    fact = given.when(visit()).then(HoursSubmitted, admin_needed=True)
    given.when(verify(fact.record_id)).then_refused("forbidden")
    given.when(verify(fact.record_id, **ADMIN_ASKS)).then(SubmittedHoursVerified)


def test_what_was_posted_at_g4_waits_for_an_administrator_when_the_grade_has_risen_too():
    given = town().given(graded("G4"))
    fact = given.when(visit()).then(HoursSubmitted)
    given.given(graded("G1"))
    given.when(verify(fact.record_id)).then_refused("forbidden")
    given.when(reject(fact.record_id)).then(HoursRejected)  # it may still say no itself


def test_what_waited_when_the_organisation_fell_to_g4_waits_for_an_administrator():
    given = town()
    fact = given.when(visit(evidence="backfilled")).then(HoursSubmitted, admin_needed=None)
    given.given(graded("G4"))
    given.when(verify(fact.record_id)).then_refused("forbidden")


def test_a_correction_needs_whom_the_grade_asks_for():
    given = town()
    record = given.when(visit()).then(HoursVerified)
    given.given(graded("G3"))
    given.when(correct(record.record_id, end="15:00", stamp=STAMP)).then_refused(
        "second_person_needed"
    )
    given.given(graded("G4"))
    given.when(correct(record.record_id, end="15:00")).then_refused("forbidden")
    given.when(correct(record.record_id, end="15:00", stamp=ADMIN, organisation=None)).then_both(
        (HoursReversed, {}), (HoursVerified, {})
    )


def test_another_organisation_s_grade_is_its_own():
    town().given(graded("G4", subject="organisation:org-b")).when(visit()).then(HoursVerified)


def test_an_override_holds_on_its_last_date_and_no_longer():
    given = town().given(graded("G3", until="2026-03-10"))
    grade = given.state("grade:organisation:org-a")
    assert grade.in_force(date(2026, 3, 10)) == "G3"
    assert grade.in_force(date(2026, 3, 11)) is None
    given.given(graded("G2"))
    assert grade.in_force(date(2026, 3, 10)) == "G2"


def test_what_cannot_be_graded_is_refused():
    given = town()
    given.when(graded("G1", until="2026-03-09")).then_refused("over_already")
    given.when(graded("G1", until="2026-03-10")).then(GradeOverridden, subject="organisation:org-a")
    given.when(graded("G1", subject=f"member:{ZHANG}")).then(GradeOverridden)
    for subject in ("organisation:org-z", f"member:{new_id()}", f"project:{new_id()}"):
        given.when(graded("G1", subject=subject)).then_refused("not_found")


# --- closed months -------------------------------------------------------------------------------


def test_a_closed_month_takes_no_post_and_no_verification():
    given = town()
    waiting = given.when(visit(on="2026-02-27", evidence="backfilled")).then(HoursSubmitted)
    given.when(close()).then(PeriodClosed, month="2026-02", reason="月结")
    given.when(visit(on="2026-02-28")).then_refused("period_closed")
    given.when(visit(on="2026-02-28", stamp=ADMIN)).then_refused("period_closed")
    given.when(verify(waiting.record_id)).then_refused("period_closed")
    given.when(verify(waiting.record_id, **ADMIN_ASKS)).then_refused("period_closed")
    given.when(visit(on="2026-03-01")).then(HoursVerified)
    given.when(reopen()).then(PeriodReopened)
    given.when(verify(waiting.record_id)).then(SubmittedHoursVerified)


def test_after_its_close_only_an_administrator_reverses_and_it_is_marked():
    given = town()
    record = given.when(visit(on="2026-02-28")).then(HoursVerified)
    given.given(close())
    given.when(reverse(record.record_id)).then_refused("period_closed")
    given.when(reverse(record.record_id, **ADMIN_ASKS)).then(HoursReversed, after_close=True)


def test_after_its_close_only_an_administrator_corrects_and_it_is_marked():
    given = town()
    record = given.when(visit(on="2026-02-28")).then(HoursVerified)
    given.given(close())
    asked = {"end": "15:00", "on": "2026-02-28"}
    given.when(correct(record.record_id, **asked)).then_refused("period_closed")
    admin = {"stamp": ADMIN, "organisation": None}
    given.when(correct(record.record_id, **asked, **admin)).then_both(
        (HoursReversed, {"after_close": True}), (HoursVerified, {"after_close": True})
    )


def test_a_correction_into_a_closed_month_is_the_administrator_s_too():
    given = town()
    record = given.when(visit(on="2026-03-01")).then(HoursVerified)
    given.given(close())
    asked = {"start": "14:00", "end": "15:00", "on": "2026-02-28"}
    given.when(correct(record.record_id, **asked)).then_refused("period_closed")
    admin = {"stamp": ADMIN, "organisation": None}
    given.when(correct(record.record_id, **asked, **admin)).then_both(
        (HoursReversed, {"after_close": None}), (HoursVerified, {"after_close": True})
    )


@pytest.mark.parametrize("month", ["2026-03", "2026-04", "2027-01"])
def test_a_month_that_is_not_over_is_not_closed(month):
    town().when(close(month)).then_refused("period_not_over")


def test_a_month_is_closed_once_and_reopened_once():
    given = town()
    given.when(reopen()).then_refused("wrong_state")
    given.given(close())
    given.when(close()).then_refused("wrong_state")
    given.given(reopen())
    given.when(reopen()).then_refused("wrong_state")
    given.when(close()).then(PeriodClosed)
