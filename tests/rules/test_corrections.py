"""Reversal, correction and the request for one: what comes back, in which order, and who may."""

from datetime import timedelta

import pytest

from ledger import commands
from ledger.events import (
    CorrectionDeclined,
    CorrectionRequested,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    SubmittedHoursVerified,
)
from ledger.units import new_id
from tests.rules.asked import ADMIN, correct, expire, reject, reverse, verify
from tests.rules.town import LI, OTHER, STAMP, ZHANG, policy, town, visit

AVAILABLE, RECEIVABLE = (f"person:{ZHANG}:{name}" for name in ("available", "receivable"))


def account(given, member=ZHANG):
    return given.state(f"account:{member}")


def earned(minutes_until="16:00", **other):
    """A town, and a record of Zhang's in it."""
    given = town()
    return given, given.when(visit("14:00", minutes_until, **other)).then(HoursVerified)


def spend(given, credits):
    """Take credits away as a spending would, without the rules of spending."""
    account(given).available -= credits
    account(given).lots.take(credits)


# --- reversal ------------------------------------------------------------------------------------


def test_a_reversal_takes_minutes_and_credits_back_and_frees_the_time():
    given, record = earned()
    fact = given.when(reverse(record.record_id, for_cause=True)).then(
        HoursReversed,
        minutes=-120,
        credits=-120,
        served_on="2026-03-09",
        for_cause=True,
        reverses=9,
    )
    assert fact.entries == (("issue:service", 120), (AVAILABLE, -120))
    assert (account(given).minutes, account(given).available) == (0, 0)
    assert account(given).lots.open == []
    given.when(visit("15:00", "16:00", by="org-b")).then(HoursVerified, overlap_minutes=0)


def test_earn_300_spend_250_reverse_120_earn_100():
    given = town()
    given.given(visit("08:00", "11:00", on="2026-03-06"))
    record = given.when(visit("12:00", "14:00", on="2026-03-06")).then(HoursVerified, credits=120)
    spend(given, 250)
    given.given(reverse(record.record_id))
    assert (account(given).available, account(given).receivable) == (0, 70)
    given.given(visit("14:00", "15:40"))
    assert (account(given).available, account(given).receivable) == (30, 0)


def test_what_is_left_of_its_own_lot_goes_first_then_the_oldest():
    given = town()
    given.given(visit("08:00", "09:00", on="2026-03-05"), visit("08:00", "09:00", on="2026-03-06"))
    record = given.when(visit("08:00", "09:00", on="2026-03-07")).then(HoursVerified)
    given.given(visit("08:00", "09:00", on="2026-03-08"))
    given.given(reverse(record.record_id))
    assert [lot.dated[-1] for lot in account(given).lots.open] == ["5", "6", "8"]
    youngest = given.facts[-2]
    spend(given, 90)
    account(given).lots.open[-1].left -= 20  # of its own lot 40 are left
    account(given).available -= 20
    given.given(reverse(youngest.record_id))
    assert [(lot.dated[-1], lot.left) for lot in account(given).lots.open] == [("6", 10)]


def test_what_had_overflowed_comes_out_of_the_pool_and_what_it_lacks_is_written_off():
    given = town().given(policy("2026-01-01", stock_cap=60, overflow_to="pool"))
    record = given.when(visit()).then(HoursVerified, credits=60, overflowed=60)
    given.state("balance:pool:donation").credits = 50
    fact = given.when(reverse(record.record_id)).then(HoursReversed, credits=-60, overflowed=-60)
    assert fact.entries == (
        ("issue:service", 120),
        ("pool:donation", -50),
        ("sink:written_off", -10),
        (AVAILABLE, -60),
    )
    assert account(given).granted == {}


def test_what_had_expired_comes_out_of_the_sink():
    given = town().given(policy("2025-01-01", expiry={"months": 1}))
    old = given.when(visit("08:00", "10:00", on="2026-02-02")).then(HoursVerified, credits=120)
    given.given(visit("08:00", "09:00", on="2026-03-02"))
    spend(given, 50)
    given.given(expire("2026-03-02"))
    assert account(given).available == 60
    fact = given.when(reverse(old.record_id)).then(HoursReversed)
    assert fact.entries == (("issue:service", 120), ("sink:expired", -70), (AVAILABLE, -50))
    assert account(given).lots.expired == {}


def test_on_duty_minutes_and_a_record_without_credits_are_reversed_too():
    given, record = earned(capacity="on_duty")
    given.when(reverse(record.record_id)).then(HoursReversed, minutes=0, credits=0, entries=())
    given.when(visit("14:00", "15:00", by="org-b")).then(HoursVerified, overlap_minutes=0)


def test_a_reversal_has_the_service_date_of_what_it_reverses():
    given, record = earned(on="2026-02-10")
    given.when(reverse(record.record_id)).then(HoursReversed, served_on="2026-02-10")


def test_a_reversal_of_a_reversal_is_refused():
    given, record = earned()
    given.given(reverse(record.record_id))
    given.when(reverse(record.record_id)).then_refused("wrong_state")
    given.when(correct(record.record_id, end="15:00")).then_refused("wrong_state")


def test_what_waits_or_was_rejected_is_not_reversed():
    given = town()
    waiting = given.when(visit(evidence="backfilled")).then(HoursSubmitted)
    given.when(reverse(waiting.record_id)).then_refused("wrong_state")
    given.given(reject(waiting.record_id))
    given.when(reverse(waiting.record_id)).then_refused("wrong_state")


def test_who_posted_a_record_may_reverse_it():
    given, record = earned()
    given.when(reverse(record.record_id, **STAMP)).then(HoursReversed)


def test_another_organisation_finds_no_record_to_reverse_or_correct():
    given, record = earned()
    given.when(reverse(record.record_id, organisation="org-b")).then_refused("not_found")
    given.when(reverse(new_id())).then_refused("not_found")
    given.when(correct(record.record_id, organisation="org-b", end="15:00")).then_refused(
        "not_found"
    )


def test_a_receipt_stays_bound_after_a_reversal():
    given, record = earned(receipt="r-1")
    given.given(reverse(record.record_id))
    given.when(visit(receipt="r-1")).then_nothing_new()
    given.when(visit("10:00", "11:00", receipt="r-1")).then_refused("receipt_reused")


# --- correction ----------------------------------------------------------------------------------


def test_a_correction_is_a_reversal_and_a_replacement_that_cites_it():
    given, record = earned("17:00", receipt="r-1", category="medical")
    reversal, replacement = given.when(correct(record.record_id, end="15:30")).then_both(
        (HoursReversed, {"minutes": -180, "credits": -180}),
        (HoursVerified, {"minutes": 90, "credits": 90, "receipt": "r-1", "category": "medical"}),
    )
    assert reversal.replaced_by == replacement.record_id
    assert replacement.replaces == record.record_id
    assert (account(given).minutes, account(given).available) == (90, 90)
    assert given.state(f"record:{record.record_id}").status == "corrected"


def test_after_a_correction_the_receipt_stands_for_the_replacement():
    given, record = earned(receipt="r-1")
    given.given(correct(record.record_id, end="15:00"))
    given.when(visit("14:00", "15:00", receipt="r-1")).then_nothing_new()
    given.when(visit("14:00", "16:00", receipt="r-1")).then_refused("receipt_reused")


def test_a_replacement_is_corrected_once_more():
    given, record = earned(receipt="r-1")
    _, second = given.when(correct(record.record_id, end="15:00")).then_both(
        (HoursReversed, {}), (HoursVerified, {})
    )
    given.when(correct(second.record_id, end="15:30")).then_both(
        (HoursReversed, {}), (HoursVerified, {"minutes": 90, "replaces": second.record_id})
    )
    given.when(correct(record.record_id, end="15:30")).then_refused("wrong_state")


def test_a_correction_into_an_overlap_counts_what_is_left_or_is_refused():
    given, record = earned("15:00")
    given.given(visit("15:00", "17:00", by="org-b"))
    given.when(correct(record.record_id, start="15:00", end="16:00")).then_refused(
        "overlapping_service"
    )
    assert account(given).minutes == 180
    given.when(correct(record.record_id, end="15:30")).then_both(
        (HoursReversed, {}), (HoursVerified, {"minutes": 60, "overlap_minutes": 30})
    )


def test_a_replacement_keeps_the_verdict_on_lateness_and_is_never_too_old():
    given, record = earned(on="2026-02-27")
    assert record.late is False
    given.at += timedelta(days=500)
    given.when(correct(record.record_id, end="15:00", on="2026-02-27")).then_both(
        (HoursReversed, {}), (HoursVerified, {"late": False, "credits": 60})
    )


def test_a_late_record_without_credit_is_replaced_without_credit():
    given = town().given(
        policy("2026-01-01", late_recording={"working_days": 1, "effect": "no_credit"})
    )
    record = given.when(visit(on="2026-03-02")).then(HoursVerified, credits=0, no_credit=True)
    given.given(policy("2026-01-01", late_recording={"working_days": 1, "effect": "flag"}))
    given.when(correct(record.record_id, end="15:00", on="2026-03-02")).then_both(
        (HoursReversed, {}), (HoursVerified, {"late": True, "no_credit": True, "credits": 0})
    )


def test_a_correction_may_say_that_somebody_else_served():
    given, record = earned()
    given.when(correct(record.record_id, member_id=LI)).then_both(
        (HoursReversed, {"member_id": ZHANG}), (HoursVerified, {"member_id": LI, "minutes": 120})
    )
    assert (account(given).available, account(given, LI).available) == (0, 120)


def test_a_correction_moves_the_service_date_with_its_start():
    given, record = earned()
    given.when(correct(record.record_id, start="14:00", end="15:00", on="2026-03-08")).then_both(
        (HoursReversed, {"served_on": "2026-03-09"}), (HoursVerified, {"served_on": "2026-03-08"})
    )


@pytest.mark.parametrize(
    ("corrected", "code", "pointer"),
    [
        ({"end": "14:00"}, "ends_before_start", "/ended_at"),
        ({"start": "17:00"}, "ends_before_start", "/ended_at"),
        ({"start": "01:00", "on": "2026-03-08"}, "longer_than_a_day", "/ended_at"),
        ({"break_minutes": 120}, "break_too_long", "/break_minutes"),
        ({"end": "23:00", "on": "2026-03-10"}, "longer_than_a_day", "/ended_at"),
        ({"start": "11:30", "end": "12:30", "on": "2026-03-10"}, "service_in_the_future", None),
        ({"member_id": new_id()}, "not_found", "/member_id"),
        ({"place": "moon"}, "not_found", "/place"),
        ({"supervisor_id": new_id()}, "not_found", "/supervisor_id"),
        ({"order_id": new_id()}, "not_found", "/order_id"),
    ],
)
def test_what_a_record_cannot_become_is_refused(corrected, code, pointer):
    given, record = earned()
    given.when(correct(record.record_id, **corrected)).then_refused(code, pointer)
    assert account(given).minutes == 120


def test_a_span_with_less_than_a_minute_is_no_replacement():
    given, record = earned()
    asked = correct(record.record_id, end="14:02", break_minutes=1)
    asked.corrected["ended_at"] -= timedelta(seconds=1)
    given.when(asked).then_refused("less_than_a_minute", "/ended_at")


@pytest.mark.parametrize("evidence", ["backfilled", "self_reported"])
def test_a_correction_whose_evidence_asks_for_two_is_not_its_poster_s(evidence):
    given, record = earned()
    asked = correct(record.record_id, evidence=evidence, stamp=STAMP)
    given.when(asked).then_refused("second_person_needed")
    given.when(correct(record.record_id, evidence=evidence)).then_both(
        (HoursReversed, {}), (HoursVerified, {"evidence": evidence})
    )


def test_a_replacement_of_what_was_verified_as_attested_is_attested():
    given = town()
    waiting = given.when(visit(evidence="self_reported")).then(HoursSubmitted)
    given.given(verify(waiting.record_id))
    asked = correct(waiting.record_id, end="15:00", stamp=STAMP)
    given.when(asked).then_refused("second_person_needed")
    given.when(correct(waiting.record_id, end="15:00")).then_both(
        (HoursReversed, {}), (HoursVerified, {"evidence": "attested", "minutes": 60})
    )


def test_who_posted_on_good_evidence_may_correct_it():
    given, record = earned()
    given.when(correct(record.record_id, end="15:00", stamp=STAMP)).then_both(
        (HoursReversed, {}), (HoursVerified, {})
    )


def test_nobody_corrects_their_own_hours_nor_gives_themselves_another_s():
    given, record = earned()
    for member in (ZHANG, LI):
        asked = correct(record.record_id, member_id=LI, stamp={**OTHER, "actor_member": member})
        given.when(asked).then_refused("own_hours")


def test_a_suspended_organisation_corrects_nothing_an_administrator_does():
    given, record = earned()
    given.given(commands.SuspendOrganisation(**STAMP, code="org-a", reason="核查"))
    given.when(correct(record.record_id, end="15:00")).then_refused("organisation_suspended")
    given.when(correct(record.record_id, end="15:00", stamp=ADMIN, organisation=None)).then_both(
        (HoursReversed, {}), (HoursVerified, {})
    )


# --- the member's request ------------------------------------------------------------------------


def ask_for_correction(record_id, member_id=ZHANG, request_id=None):
    return commands.RequestCorrection(
        **STAMP,
        record_id=record_id,
        organisation=None,
        member_id=member_id,
        request_id=request_id or new_id(),
        reason="服务到四点半",
    )


def decline(record_id, request_id, **other):
    said = {**OTHER, "organisation": "org-a", "reason": "签退记录为四点"} | other
    return commands.DeclineCorrection(record_id=record_id, request_id=request_id, **said)


def test_a_member_asks_for_a_correction_and_a_verifier_grants_it():
    given, record = earned()
    request = given.when(ask_for_correction(record.record_id)).then(CorrectionRequested)
    assert account(given).minutes == 120
    given.when(correct(record.record_id, end="16:30")).then_both(
        (HoursReversed, {"request_id": request.request_id}), (HoursVerified, {"minutes": 150})
    )


def test_a_request_is_declined_and_may_be_made_anew():
    given, record = earned()
    request = given.when(ask_for_correction(record.record_id)).then(CorrectionRequested)
    given.when(ask_for_correction(record.record_id)).then_refused("wrong_state")
    given.when(decline(record.record_id, request.request_id)).then(CorrectionDeclined)
    answered = given.when(decline(record.record_id, request.request_id))
    answered.then_refused("wrong_state")
    assert answered.refused.params == {"before": "declined", "after": "declined"}
    given.when(ask_for_correction(record.record_id)).then(CorrectionRequested)


def test_a_request_that_was_granted_is_not_declined():
    given, record = earned()
    request = given.when(ask_for_correction(record.record_id)).then(CorrectionRequested)
    given.given(reverse(record.record_id))
    answered = given.when(decline(record.record_id, request.request_id))
    answered.then_refused("wrong_state")
    assert answered.refused.params == {"before": "granted", "after": "declined"}


def test_a_request_that_nobody_made_is_not_found():
    given, record = earned()
    given.when(decline(record.record_id, new_id())).then_refused("not_found")
    request = given.when(ask_for_correction(record.record_id)).then(CorrectionRequested)
    other = given.when(visit("17:00", "18:00")).then(HoursVerified)
    given.when(decline(other.record_id, request.request_id)).then_refused("not_found")


def test_only_who_served_asks_and_only_another_declines():
    given, record = earned()
    given.when(ask_for_correction(record.record_id, member_id=LI)).then_refused("not_found")
    given.when(ask_for_correction(new_id())).then_refused("not_found")
    request = given.when(ask_for_correction(record.record_id)).then(CorrectionRequested)
    given.when(decline(record.record_id, request.request_id, organisation="org-b")).then_refused(
        "not_found"
    )
    given.when(decline(record.record_id, request.request_id, actor_member=ZHANG)).then_refused(
        "own_hours"
    )


def test_what_waits_is_not_asked_to_be_corrected():
    given = town()
    waiting = given.when(visit(evidence="backfilled")).then(HoursSubmitted)
    given.when(ask_for_correction(waiting.record_id)).then_refused("wrong_state")


# --- verification --------------------------------------------------------------------------------


def test_a_self_reported_record_counts_as_attested_once_verified():
    given = town()
    fact = given.when(visit(evidence="self_reported")).then(HoursSubmitted)
    given.when(verify(fact.record_id)).then(SubmittedHoursVerified, evidence="attested")
    backfilled = given.when(visit("17:00", "18:00", evidence="backfilled")).then(HoursSubmitted)
    given.when(verify(backfilled.record_id)).then(SubmittedHoursVerified, evidence=None)
