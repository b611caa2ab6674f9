"""The rules of posting hours: each worked case of DOMAIN section 4, each refusal once."""

from datetime import UTC, timedelta

import pytest

from ledger import commands
from ledger.events import HoursRejected, HoursSubmitted, HoursVerified, SubmittedHoursVerified
from ledger.policy import last_day_on_time
from ledger.units import new_id
from tests.rules.asked import reject, verify
from tests.rules.town import LI, STAMP, ZHANG, Town, policy, shanghai, town, visit

# --- minutes and credits ---------------------------------------------------------------------


def test_an_hour_served_is_an_hour_counted_and_credited_in_balanced_entries():
    fact = (
        town()
        .when(visit("14:00", "15:00"))
        .then(
            HoursVerified, minutes=60, credits=60, overlap_minutes=0, late=False, policy_version=1
        )
    )
    assert fact.entries == (("issue:service", -60), (f"person:{ZHANG}:available", 60))


def test_the_break_is_not_served():
    town().when(visit("14:00", "16:00", break_minutes=30)).then(HoursVerified, minutes=90)


def test_a_part_of_a_minute_is_not_a_minute():
    command = visit("14:00", "14:10")
    command.ended_at += timedelta(seconds=59, microseconds=999_999)
    town().when(command).then(HoursVerified, minutes=10)


def test_minutes_that_two_organisations_claim_are_counted_once():
    given = town().given(visit("14:00", "16:00", by="org-a"))
    given.when(visit("15:30", "17:00", by="org-b")).then(
        HoursVerified, minutes=60, overlap_minutes=30, credits=60
    )


def test_a_service_that_begins_as_another_ends_does_not_overlap():
    given = town().given(visit("14:00", "16:00"))
    given.when(visit("16:00", "17:00", by="org-b")).then(
        HoursVerified, minutes=60, overlap_minutes=0
    )


def test_a_service_around_two_others_counts_the_time_before_between_and_after():
    given = town().given(visit("10:00", "11:00"), visit("12:00", "13:00"))
    given.when(visit("09:30", "13:30", by="org-b")).then(
        HoursVerified, minutes=120, overlap_minutes=120
    )


def test_the_break_is_taken_from_the_time_that_is_not_occupied():
    given = town().given(visit("14:00", "15:00"))
    given.when(visit("14:00", "16:00", by="org-b", break_minutes=20)).then(
        HoursVerified, minutes=40, overlap_minutes=60
    )


def test_a_service_over_midnight_keeps_the_date_it_began_on_and_occupies_the_next_day():
    given = town().given(visit("23:00", "01:00", on="2026-03-08"))
    assert given.facts[-1].served_on == "2026-03-08"
    given.when(visit("00:30", "02:00", on="2026-03-09", by="org-b")).then(
        HoursVerified, minutes=60, overlap_minutes=30, served_on="2026-03-09"
    )


def test_the_service_date_is_that_of_the_zone():
    moscow = town().given(policy("2026-01-01", zone="Europe/Moscow"))
    moscow.when(visit("04:00", "04:30")).then(HoursVerified, served_on="2026-03-08")


@pytest.mark.parametrize(
    ("minutes", "rate_bps", "credits"), [(75, 12_500, 93), (50, 11_500, 57), (60, 10_000, 60)]
)
def test_credits_are_minutes_times_the_rate_with_the_part_of_a_credit_dropped(
    minutes, rate_bps, credits
):
    given = town().given(
        policy("2026-01-01", credit_rate={"default": 10_000, "by_category": {"medical": rate_bps}})
    )
    end = f"{14 + minutes // 60}:{minutes % 60:02d}"
    given.when(visit("14:00", end, category="medical")).then(
        HoursVerified, minutes=minutes, credits=credits, rate_bps=rate_bps
    )


@pytest.mark.parametrize(
    ("rounding", "credits"),
    [("exact", 50), ("half_hour_floor", 30), ("hour_floor", 0), ("min_one_hour", 60)],
)
def test_rounding_changes_credits_and_never_minutes(rounding, credits):
    given = town().given(policy("2026-01-01", rounding=rounding))
    fact = given.when(visit("14:00", "14:50")).then(HoursVerified, minutes=50, credits=credits)
    assert bool(fact.entries) == bool(credits)


def test_time_on_duty_earns_no_minutes_and_no_credits_but_occupies_its_interval():
    given = town()
    given.when(visit("14:00", "16:00", capacity="on_duty")).then(
        HoursVerified, minutes=0, duty_minutes=120, credits=0, entries=()
    )
    given.when(visit("15:00", "17:00", by="org-b")).then(
        HoursVerified, minutes=60, overlap_minutes=60
    )


# --- policies in time ------------------------------------------------------------------------


def test_figures_go_by_the_policy_of_the_service_date():
    given = town().given(policy("2026-03-09", credit_rate={"default": 20_000, "by_category": {}}))
    given.when(visit(on="2026-03-08")).then(HoursVerified, credits=120, policy_version=2)
    given.when(visit(on="2026-03-09")).then(HoursVerified, credits=240, policy_version=2)


def test_a_policy_for_the_past_changes_nothing_already_recorded():
    given = town().given(visit(), policy("2026-01-01", rounding="hour_floor"))
    assert given.state(f"account:{ZHANG}").available == 120
    given.when(visit("17:00", "17:50")).then(HoursVerified, credits=0)


def test_each_key_takes_the_latest_date_then_the_later_version():
    given = town().given(
        policy("2026-02-01", rounding="hour_floor"),
        policy("2026-01-01", rounding="min_one_hour", backfill_window_days=30),
        policy("2026-02-01", rounding="half_hour_floor"),
    )
    on = given.state("policies").on
    assert on(shanghai("2026-03-01 00:00").date())["rounding"] == "half_hour_floor"
    assert on(shanghai("2026-01-15 00:00").date())["rounding"] == "min_one_hour"
    assert on(shanghai("2025-12-31 00:00").date())["rounding"] == "exact"
    assert on(shanghai("2026-03-01 00:00").date())["backfill_window_days"] == 30


# --- late ------------------------------------------------------------------------------------


def recorded_on(day: str) -> Town:
    return town(shanghai(f"{day} 23:59").astimezone(UTC))


@pytest.mark.parametrize(("day", "late"), [("2026-03-20", False), ("2026-03-21", True)])
def test_ten_working_days_after_its_end_a_service_is_still_recorded_on_time(day, late):
    recorded_on(day).when(visit(on="2026-03-06")).then(HoursVerified, late=late)


def test_late_counts_from_the_day_the_service_ended():
    given = recorded_on("2026-03-23")
    given.when(visit("22:00", "01:00", on="2026-03-08")).then(HoursVerified, late=False)


def test_holidays_and_working_weekends_are_listed_in_the_calendar():
    march_6 = shanghai("2026-03-06 00:00").date()
    plain = {"calendar": {"holidays": [], "workdays": []}}
    listed = {"calendar": {"holidays": ["2026-03-09"], "workdays": ["2026-03-07", "2026-03-08"]}}
    assert last_day_on_time(march_6, 10, plain).isoformat() == "2026-03-20"
    assert last_day_on_time(march_6, 10, listed).isoformat() == "2026-03-19"


def test_a_late_record_earns_no_credit_where_the_policy_says_so_and_keeps_its_minutes():
    given = recorded_on("2026-03-21").given(
        policy("2026-01-01", late_recording={"working_days": 10, "effect": "no_credit"})
    )
    given.when(visit(on="2026-03-06")).then(
        HoursVerified, late=True, minutes=120, credits=0, entries=()
    )


# --- waiting for another's word --------------------------------------------------------------


@pytest.mark.parametrize("evidence", ["backfilled", "self_reported"])
def test_a_backfilled_or_self_reported_record_waits(evidence):
    given = town()
    fact = given.when(visit(evidence=evidence)).then(HoursSubmitted)
    assert given.state(f"account:{ZHANG}").minutes == 0
    given.when(verify(fact.record_id)).then(SubmittedHoursVerified, minutes=120, credits=120)
    assert given.state(f"account:{ZHANG}").minutes == 120


def test_a_record_that_waits_is_counted_when_it_is_verified():
    given = town()
    waiting = given.when(visit("14:00", "16:00", evidence="backfilled")).then(HoursSubmitted)
    given.given(visit("15:00", "17:00", by="org-b"))
    given.when(verify(waiting.record_id)).then(
        SubmittedHoursVerified, minutes=60, overlap_minutes=60
    )


def test_a_record_whose_time_was_counted_meanwhile_is_not_verified():
    given = town()
    waiting = given.when(visit(evidence="backfilled")).then(HoursSubmitted)
    given.given(visit(by="org-b"))
    given.when(verify(waiting.record_id)).then_refused("overlapping_service")


def test_a_record_keeps_the_verdict_on_lateness_of_the_day_it_was_posted():
    given = recorded_on("2026-03-20")
    waiting = given.when(visit(on="2026-03-06", evidence="backfilled")).then(
        HoursSubmitted, late=False
    )
    given.at += timedelta(days=30)
    given.when(verify(waiting.record_id)).then(SubmittedHoursVerified, credits=120)


def test_one_s_own_hours_wait_for_another():
    given = town()
    fact = given.when(visit(stamp={**STAMP, "actor_member": ZHANG})).then(
        HoursSubmitted, own_hours=True
    )
    given.when(verify(fact.record_id, actor_member=ZHANG)).then_refused("own_hours")
    given.when(reject(fact.record_id, actor_member=ZHANG)).then_refused("own_hours")


def test_who_posted_a_record_does_not_verify_it_whatever_key_is_used():
    given = town()
    given.names["key00003"] = "Wang"
    fact = given.when(visit(evidence="backfilled")).then(HoursSubmitted)
    same_name = {"actor": "key00003", "actor_name": "Wang"}
    given.when(verify(fact.record_id, **same_name)).then_refused("second_person_needed")
    given.when(reject(fact.record_id, **same_name)).then_refused("second_person_needed")


def test_a_rejected_record_never_counts_and_keeps_its_receipt():
    given = town()
    command = visit(evidence="backfilled")
    fact = given.when(command).then(HoursSubmitted)
    given.when(reject(fact.record_id)).then(HoursRejected, reason="重复录入")
    given.when(verify(fact.record_id)).then_refused("wrong_state")
    given.when(visit("10:00", "11:00", receipt=command.receipt)).then_refused("receipt_reused")
    given.when(visit(by="org-b")).then(HoursVerified, minutes=120)


def test_a_verified_record_is_not_verified_again():
    given = town()
    fact = given.when(visit()).then(HoursVerified)
    given.when(verify(fact.record_id)).then_refused("wrong_state")
    given.when(reject(fact.record_id)).then_refused("wrong_state")


def test_another_organisation_s_record_cannot_be_found():
    given = town()
    fact = given.when(visit(evidence="backfilled")).then(HoursSubmitted)
    given.when(verify(fact.record_id, organisation="org-b")).then_refused("not_found")
    given.when(verify(new_id())).then_refused("not_found")
    given.when(verify(fact.record_id, organisation=None, by_admin=True)).then(
        SubmittedHoursVerified
    )


# --- receipts --------------------------------------------------------------------------------


def test_the_same_receipt_with_the_same_content_is_nothing_new():
    town().given(visit(receipt="r-1")).when(visit(receipt="r-1")).then_nothing_new()


def test_the_same_instant_in_another_offset_is_the_same_content():
    again = visit(receipt="r-1")
    again.started_at = again.started_at.astimezone(UTC)
    town().given(visit(receipt="r-1")).when(again).then_nothing_new()


@pytest.mark.parametrize(
    "other",
    [
        {"activity": "送餐"},
        {"category": "meals"},
        {"place": "west"},
        {"responsible": "staff-8"},
        {"break_minutes": 1},
        {"capacity": "on_duty"},
        {"evidence": "checked"},
        {"professional": True},
        {"member_id": LI},
        {"start": "14:01"},
        {"end": "16:01"},
        {"supervisor_id": LI},
    ],
)
def test_a_receipt_reused_for_other_content_is_refused(other):
    given = town().given(visit(receipt="r-1"))
    given.when(visit(**{"receipt": "r-1", **other})).then_refused("receipt_reused")


def test_a_receipt_belongs_to_its_organisation():
    given = town().given(visit("10:00", "11:00", receipt="r-1"))
    given.when(visit(receipt="r-1", by="org-b")).then(HoursVerified)


# --- refusals --------------------------------------------------------------------------------


def test_time_that_is_counted_already_is_refused():
    given = town().given(visit("14:00", "16:00"))
    given.when(visit("14:30", "15:30", by="org-b")).then_refused("overlapping_service")


def test_a_service_that_is_not_over_is_refused():
    given = town()
    given.when(visit("11:00", "12:00", on="2026-03-10")).then(HoursVerified)
    given.when(visit("12:00", "12:01", on="2026-03-10")).then_refused("service_in_the_future")


def test_a_service_before_the_backfill_window_is_refused():
    given = town()
    given.when(visit(on="2025-03-10")).then(HoursVerified, late=True)
    given.when(visit(on="2025-03-09")).then_refused("too_old")


def test_a_suspended_organisation_does_not_post_until_it_is_resumed():
    given = town().given(commands.SuspendOrganisation(**STAMP, code="org-a", reason="核查"))
    given.when(visit()).then_refused("organisation_suspended")
    given.given(commands.ResumeOrganisation(**STAMP, code="org-a"))
    given.when(visit()).then(HoursVerified)


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        ({"member_id": new_id()}, "/member_id"),
        ({"member_id": new_id(), "member_pointer": "/member_ref"}, "/member_ref"),
        ({"place": "moon"}, "/place"),
        ({"supervisor_id": new_id()}, "/supervisor_id"),
        ({"certification_id": new_id()}, "/certification_id"),
        ({"order_id": new_id()}, "/order_id"),
        ({"project_id": new_id()}, "/project_id"),
        ({"programme_id": new_id()}, "/programme_id"),
        ({"redemption_id": new_id()}, "/redemption_id"),
        ({"by": "org-z"}, "/organisation"),
    ],
)
def test_what_the_ledger_does_not_know_is_named_by_its_field(other, pointer):
    town().when(visit(**other)).then_refused("not_found", pointer)


def test_an_organisation_posts_only_for_members_that_it_knows():
    given = town().given(
        commands.AddOrganisation(**STAMP, code="org-c", name="C", kind="studio", unit="lake")
    )
    given.when(visit(by="org-c")).then_refused("not_found", "/member_id")
