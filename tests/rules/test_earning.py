"""The arithmetic of credits: rounding, rate, caps, receivable and lots, in their order."""

import pytest

from ledger.events import HoursVerified
from tests.rules.asked import reverse
from tests.rules.test_transfers import freeze
from tests.rules.town import ZHANG, policy, town, visit

AVAILABLE = f"person:{ZHANG}:available"


def account(given):
    return given.state(f"account:{ZHANG}")


@pytest.mark.parametrize(
    ("rounding", "credits"),
    [("exact", 50), ("half_hour_floor", 30), ("hour_floor", 0), ("min_one_hour", 60)],
)
def test_rounding_is_for_credits_and_leaves_the_minutes(rounding, credits):
    given = town().given(policy("2026-01-01", rounding=rounding))
    given.when(visit("14:00", "14:50")).then(HoursVerified, minutes=50, credits=credits)


@pytest.mark.parametrize(
    ("until", "rate_bps", "credits"), [("15:15", 12_500, 93), ("14:50", 11_500, 57)]
)
def test_the_part_of_a_credit_that_a_rate_makes_is_dropped(until, rate_bps, credits):
    rate = {"default": 10_000, "by_category": {"elderly": rate_bps}}
    given = town().given(policy("2026-01-01", credit_rate=rate))
    given.when(visit("14:00", until)).then(HoursVerified, credits=credits, rate_bps=rate_bps)


def test_rounding_comes_before_the_rate_and_the_cap_after_it():
    rate = {"default": 15_000, "by_category": {}}
    given = town().given(
        policy("2026-01-01", rounding="half_hour_floor", credit_rate=rate, daily_cap=100)
    )
    given.when(visit("14:00", "15:20")).then(HoursVerified, credits=90, capped=None)  # 60 * 1.5
    given.when(visit("16:00", "16:59")).then(HoursVerified, credits=10, capped=35)  # 30 * 1.5


# --- the daily cap -------------------------------------------------------------------------------


def test_a_daily_cap_holds_over_all_organisations_and_leaves_the_minutes():
    given = town().given(policy("2026-01-01", daily_cap=480))
    given.when(visit("08:00", "13:00")).then(HoursVerified, minutes=300, credits=300, capped=None)
    given.when(visit("13:00", "17:30", by="org-b")).then(
        HoursVerified, minutes=270, credits=180, capped=90
    )
    assert account(given).minutes == 570
    given.when(visit("18:00", "19:00")).then(
        HoursVerified, minutes=60, credits=0, capped=60, entries=()
    )


def test_one_long_record_is_capped_alone():
    given = town().given(policy("2026-01-01", daily_cap=120))
    given.when(visit("08:00", "11:20")).then(HoursVerified, minutes=200, credits=120, capped=80)


def test_a_day_is_that_of_the_start_and_each_day_has_its_own_cap():
    given = town().given(policy("2026-01-01", daily_cap=120))
    given.given(visit("23:00", "01:00", on="2026-03-07"))
    given.when(visit("08:00", "10:00", on="2026-03-07")).then(HoursVerified, credits=0, capped=120)
    given.when(visit("08:00", "10:00", on="2026-03-08")).then(HoursVerified, credits=120)


def test_what_a_reversal_frees_of_a_cap_serves_later_records_alone():
    given = town().given(policy("2026-01-01", daily_cap=120))
    first = given.when(visit("08:00", "10:00")).then(HoursVerified, credits=120)
    second = given.when(visit("10:00", "12:00")).then(HoursVerified, credits=0)
    given.given(reverse(first.record_id))
    assert account(given).available == 0
    assert given.state(f"record:{second.record_id}").figures.credits == 0
    given.when(visit("13:00", "15:00")).then(HoursVerified, credits=120)


def test_a_lower_cap_from_june_on_leaves_may_as_it_was():
    given = town().given(policy("2026-01-01", daily_cap=480), policy("2026-03-08", daily_cap=360))
    given.when(visit("08:00", "16:00", on="2026-03-07")).then(HoursVerified, credits=480)
    given.when(visit("08:00", "16:00", on="2026-03-08")).then(HoursVerified, credits=360)


# --- the stock cap -------------------------------------------------------------------------------


def nearly_full(**changes):
    """A member with 180 minutes' room below a stock cap."""
    given = town().given(policy("2026-01-01", stock_cap=1_200, **changes))
    return given.given(*(visit("08:00", "13:24", on=f"2026-03-0{day}") for day in (2, 3, 4)))


def test_what_is_over_the_stock_cap_goes_to_the_donation_pool():
    given = nearly_full(overflow_to="pool")
    assert account(given).available == 972
    fact = given.when(visit("08:00", "14:00")).then(
        HoursVerified, minutes=360, credits=228, overflowed=132, capped=None
    )
    assert fact.entries == (("issue:service", -360), (AVAILABLE, 228), ("pool:donation", 132))
    assert given.state("balance:pool:donation").credits == 132


def test_what_is_over_the_stock_cap_is_discarded_where_the_policy_says_so():
    given = nearly_full()
    given.when(visit("08:00", "14:00")).then(
        HoursVerified, minutes=360, credits=228, overflowed=None, capped=132
    )


def test_a_stock_of_1498_hours_takes_two_of_five():
    given = town().given(policy("2026-01-01", stock_cap=90_000, overflow_to="pool"))
    account(given).available = 1_498 * 60
    given.when(visit("08:00", "13:00")).then(
        HoursVerified, minutes=300, credits=120, overflowed=180
    )


def test_both_caps_cut_one_after_the_other():
    given = nearly_full(daily_cap=320)  # of three days 960
    given.when(visit("08:00", "14:00")).then(HoursVerified, credits=240, capped=40 + 80)
    assert account(given).available == 1_200


def test_what_is_frozen_counts_for_the_stock_cap():
    given = town().given(policy("2026-01-01", stock_cap=100), visit("08:00", "09:00"), freeze(50))
    given.when(visit("10:00", "12:00")).then(HoursVerified, credits=40, capped=80)


# --- the receivable ------------------------------------------------------------------------------


def test_a_receivable_is_repaid_before_anything_is_kept():
    given = town()
    account(given).receivable = 70
    fact = given.when(visit("14:00", "15:40")).then(HoursVerified, credits=100)
    assert fact.entries == (
        ("issue:service", -100),
        (AVAILABLE, 30),
        (f"person:{ZHANG}:receivable", 70),
    )
    assert (account(given).receivable, account(given).available) == (0, 30)


def test_what_repays_a_receivable_is_not_cut_by_the_stock_cap():
    given = town().given(policy("2026-01-01", stock_cap=10))
    account(given).receivable = 70
    given.when(visit("14:00", "15:40")).then(HoursVerified, credits=80, capped=20)
    assert account(given).available == 10


# --- lots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "months", "expires_on"),
    [
        ("2026-03-09", 12, "2027-03-09"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2026-01-31", 3, "2026-04-30"),
    ],
)
def test_a_lot_expires_months_after_its_service_date_and_no_later_than_that_month(
    on, months, expires_on
):
    given = town().given(policy("2025-01-01", expiry={"months": months}))
    given.when(visit(on=on)).then(HoursVerified, expires_on=expires_on)


def test_the_end_of_a_lot_is_fixed_when_it_is_earned():
    given = town().given(policy("2025-01-01", expiry={"months": 12}), visit())
    given.given(policy("2025-01-01", expiry=None))
    (lot,) = account(given).lots.open
    assert lot.expires_on == "2027-03-09"


def test_lots_stand_in_the_order_of_their_dates_however_late_they_came():
    given = town().given(*(visit(on=f"2026-03-0{day}") for day in (5, 2, 9, 2 + 1)))
    dates = [lot.dated for lot in account(given).lots.open]
    assert dates == ["2026-03-02", "2026-03-03", "2026-03-05", "2026-03-09"]
