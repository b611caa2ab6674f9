"""Expiry by the job: which lots are gone as of when, and that nothing goes twice."""

from datetime import timedelta

import pytest

from ledger.events import CreditsExpired, JobRan
from tests.rules.asked import expire, finish
from tests.rules.town import ZHANG, policy, shanghai, town, visit


def account(given):
    return given.state(f"account:{ZHANG}")


def saved():
    """100 credits that expire on 2026-01-10, and 60 that expire two months later."""
    given = town().given(policy("2025-01-01", expiry={"months": 12}))
    given.at = shanghai("2025-11-01 12:00")
    return given.given(
        visit("08:00", "09:40", on="2025-01-10"), visit("08:00", "09:00", on="2025-03-10")
    )


def test_what_is_left_of_the_oldest_lot_expires_and_the_younger_stays():
    given = saved()
    account(given).available -= 80
    account(given).lots.take(80)
    fact = given.when(expire("2026-01-10")).then(CreditsExpired, credits=20, as_of="2026-01-10")
    assert fact.entries == ((f"person:{ZHANG}:available", -20), ("sink:expired", 20))
    assert account(given).available == 60


def test_a_lot_is_gone_on_the_day_it_expires_and_not_before():
    given = saved()
    given.when(expire("2026-01-09")).then_nothing_new()
    given.when(expire("2026-01-10")).then(CreditsExpired, credits=100)
    given.when(expire("2026-01-10")).then_nothing_new()
    given.when(expire("2026-03-10")).then(CreditsExpired, credits=60)


def test_the_date_of_a_job_is_that_of_its_instant_in_the_zone():
    given = saved()
    asked = expire("2026-01-10")
    asked.as_of -= timedelta(seconds=1)
    given.when(asked).then_nothing_new()


def test_without_an_expiry_nothing_expires():
    town().given(visit()).when(expire("2036-01-01")).then_nothing_new()


def test_a_job_at_or_before_its_last_instant_does_nothing():
    given = saved()
    given.at = shanghai("2026-02-01 12:00")
    given.when(finish("2026-01-10")).then(JobRan, job="expiry", as_of="2026-01-09T16:00:00Z")
    for as_of in ("2026-01-09", "2026-01-10"):
        given.when(finish(as_of)).then_nothing_new()
        given.when(expire(as_of)).then_nothing_new()
    given.when(expire("2026-01-11")).then(CreditsExpired, credits=100)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_job_runs_ahead_of_the_clock_only_where_that_is_allowed(allowed):
    given = town()
    answered = given.when(finish("2026-03-11", allow_future=allowed))
    if allowed:
        answered.then(JobRan)
    else:
        answered.then_refused("in_the_future")
