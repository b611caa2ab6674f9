"""What-if: the other life of a journal, told its facts once more under other numbers."""

from datetime import date

import pytest

from ledger.events import Entry, HoursSubmitted, HoursVerified
from ledger.what_if import Compared, WhatIf
from tests.rules.asked import correct, expire, finish, reverse, verify
from tests.rules.test_redemptions import cancel, donate, fulfil, held, reward
from tests.rules.test_transfers import freeze, gift, related, unfreeze
from tests.rules.town import LI, ZHANG, Town, policy, shanghai, town, visit

MARCH = (date(2026, 3, 1), date(2026, 3, 31))


def replayed(given: Town, changes: dict[str, object], span=MARCH) -> dict[str, Compared]:
    """What each member's credits are and would be; under no changes they are the same."""
    for tried, wanted in (({}, True), (changes, False)):
        replay = WhatIf(tried, *span)
        replay.tell(
            Entry(position, fact.stream, 0, type(fact).__name__, fact)
            for position, fact in enumerate(given.facts, 1)
        )
        if wanted:
            assert {one.difference for one in replay.members.values()} <= {0}
    return replay.members


def test_a_lower_cap_would_take_what_is_over_it():
    given = town().given(
        policy("2026-01-01", daily_cap=480),
        visit("08:00", "16:00"),
        visit("08:00", "12:00", member_id=LI, receipt="li"),
    )
    members = replayed(given, {"daily_cap": 360})
    assert members == {ZHANG: Compared(480, 360), LI: Compared(240, 240)}
    assert members[ZHANG].difference == -120


def test_a_policy_for_the_past_changes_nothing_and_what_if_shows_what_it_would():
    given = town().given(visit("08:00", "16:00"), policy("2026-03-01", daily_cap=360))
    assert given.state(f"account:{ZHANG}").available == 480
    assert replayed(given, {"daily_cap": 360}) == {ZHANG: Compared(480, 360)}


def test_only_services_in_the_span_are_compared_and_changed():
    given = town().given(visit("08:00", "16:00", on="2026-02-28"), visit("08:00", "16:00"))
    assert replayed(given, {"rounding": "exact", "daily_cap": 1}) == {ZHANG: Compared(480, 1)}


def test_what_fills_the_stock_before_the_span_leaves_less_room_in_it():
    given = town().given(
        policy("2026-01-01", stock_cap=600),
        visit("08:00", "16:00", on="2026-02-28"),
        visit("08:00", "16:00"),
    )
    assert replayed(given, {"stock_cap": 700}) == {ZHANG: Compared(120, 220)}


def test_a_record_that_waited_counts_from_its_verification():
    given = town()
    waiting = given.when(visit("08:00", "12:00", evidence="backfilled")).then(HoursSubmitted)
    given.given(visit("13:00", "17:00", evidence="backfilled", receipt="never verified"))
    given.given(verify(waiting.record_id))
    assert replayed(given, {"daily_cap": 60}) == {ZHANG: Compared(240, 60)}


def test_reversed_and_corrected_records_count_as_they_stand():
    given = town()
    first = given.when(visit("08:00", "10:00")).then(HoursVerified)
    second = given.when(visit("10:00", "12:00")).then(HoursVerified)
    given.given(reverse(first.record_id), correct(second.record_id, start="10:00", end="13:00"))
    rate = {"default": 20_000, "by_category": {}}
    assert replayed(given, {"credit_rate": rate}) == {ZHANG: Compared(180, 360)}


def test_a_receivable_of_the_other_life_does_not_change_what_is_granted():
    given = town()
    first = given.when(visit("08:00", "10:00")).then(HoursVerified)
    given.given(reverse(first.record_id), visit("14:00", "15:00"))
    assert replayed(given, {"rounding": "hour_floor"}) == {ZHANG: Compared(60, 60)}


@pytest.mark.parametrize(
    ("changes", "would_be"),
    [
        ({"late_recording": {"working_days": 3, "effect": "no_credit"}}, 0),
        ({"late_recording": {"working_days": 4, "effect": "no_credit"}}, 120),
        ({"late_recording": {"working_days": 3, "effect": "flag"}}, 120),
        (
            {
                "late_recording": {"working_days": 4, "effect": "no_credit"},
                "calendar": {"holidays": [], "workdays": ["2026-03-07", "2026-03-08"]},
            },
            0,
        ),
    ],
)
def test_lateness_is_judged_anew_where_its_numbers_change(changes, would_be):
    given = town(shanghai("2026-03-11 12:00")).given(visit(on="2026-03-05"))
    assert replayed(given, changes) == {ZHANG: Compared(120, would_be)}


def test_another_zone_may_put_services_on_another_day():
    given = town().given(
        policy("2026-01-01", daily_cap=60),
        visit("06:00", "07:00"),  # in New York it is the evening before
        visit("22:00", "23:00"),
    )
    assert replayed(given, {"zone": "Asia/Karachi"}) == {ZHANG: Compared(60, 60)}
    assert replayed(given, {"zone": "America/New_York"}) == {ZHANG: Compared(60, 120)}


def test_lots_that_would_have_expired_leave_room_below_the_stock_cap():
    given = town().given(
        policy("2025-01-01", stock_cap=300, expiry={"months": 1}),
        visit("08:00", "12:00", on="2026-02-02"),
        visit("08:00", "12:00", on="2026-03-02"),
    )
    given.given(expire("2026-03-03"), finish("2026-03-03"), visit("08:00", "12:00"))
    members = replayed(given, {"expiry": None}, (date(2026, 2, 1), date(2026, 3, 31)))
    assert members == {ZHANG: Compared(240 + 60 + 240, 240 + 60)}


def test_what_was_spent_in_this_life_is_spent_in_the_other_as_far_as_it_goes():
    given = town().given(
        policy("2026-01-01", stock_cap=300),
        related(),
        visit("08:00", "12:00", on="2026-03-06"),
        gift(200),
        freeze(30),
        unfreeze(10),
        visit("08:00", "14:00", on="2026-03-07"),
    )
    assert replayed(given, {"stock_cap": 300}) == {ZHANG: Compared(240 + 260, 240 + 260)}
    assert replayed(given, {"daily_cap": 100}) == {ZHANG: Compared(500, 200)}


def test_holds_payments_and_what_they_paid_for_are_lived_again():
    given = town().given(reward(), visit("08:00", "14:00", on="2026-03-06"))
    given.given(cancel(held(given)), fulfil(held(given), 90), fulfil(held(given, quantity=1)))
    paid = [fact.redemption_id for fact in given.facts if type(fact).__name__.endswith("Fulfilled")]
    first, second = (
        visit(start, end, member_id=LI, redemption_id=id)
        for start, end, id in (("08:00", "10:00", paid[0]), ("12:00", "13:00", paid[1]))
    )
    given.given(first, second, donate(100, LI))
    given.given(correct(first.record_id, start="08:00", end="09:00"), reverse(second.record_id))
    assert replayed(given, {"rounding": "exact"})[LI] == Compared(60, 60)
    halved = {"credit_rate": {"default": 5_000, "by_category": {}}}
    assert replayed(given, halved) == {ZHANG: Compared(360, 180), LI: Compared(60, 30)}


def test_nothing_is_paid_for_a_correction_of_what_earned_nothing_in_the_other_life():
    given = town().given(reward(), visit("08:00", "14:00", on="2026-03-06"))
    found = held(given)
    asked = visit("08:00", "10:00", member_id=LI, redemption_id=found)
    given.given(fulfil(found), asked, correct(asked.record_id, start="08:00", end="09:00"))
    nothing = {"credit_rate": {"default": 0, "by_category": {}}}
    assert replayed(given, nothing)[LI] == Compared(60, 0)
