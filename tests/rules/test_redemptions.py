"""Rewards and redemptions: what is held, paid and given back, who may, and each refusal once."""

from datetime import date

import pytest

from ledger import commands
from ledger.events import (
    CreditsExpired,
    CreditsInherited,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    RedemptionCancelled,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    RewardAdded,
    RewardRestocked,
    RewardWithdrawn,
    SubmittedHoursVerified,
)
from ledger.rules.rewards import age
from ledger.units import new_id
from tests.rules.asked import ADMIN, correct, expire, finish, reject, reverse, verify
from tests.rules.town import LI, OTHER, STAMP, ZHANG, Town, policy, shanghai, town, visit

MOTHER = "019f0000-0000-7000-8000-00000000000c"
NOBODY = "019f0000-0000-7000-8000-0000000000ff"


def account(given: Town, member: str = ZHANG):
    return given.state(f"account:{member}")


def redemption(given: Town, redemption_id: str):
    return given.state(f"redemption:{redemption_id}")


def lots(given: Town, member: str = ZHANG) -> list[tuple[str, int]]:
    return [(lot.dated, lot.left) for lot in account(given, member).lots.open]


def reward(code: str = "care", **other: object) -> commands.AddReward:
    said = {
        **OTHER,
        "organisation": "org-a",
        "name": "陪护",
        "kind": "peer_service",
        "credits": 60,
    }
    return commands.AddReward(code=code, **said | other)


def rice(**other: object) -> commands.AddReward:
    return reward(**{"code": "rice", "name": "大米", "kind": "benefit", "stock": 10} | other)


def reserve(code: str = "care", quantity: int = 2, **other: object) -> commands.ReserveRedemption:
    said = {**STAMP, "member_id": ZHANG, "organisation": "org-a", "redemption_id": new_id()}
    return commands.ReserveRedemption(reward=code, quantity=quantity, **said | other)


def fulfil(redemption_id: str, credits: int | None = None, provider_id: str | None = LI, **other):
    said = {**STAMP, "organisation": "org-a"} | other
    return commands.FulfilRedemption(
        redemption_id=redemption_id, credits=credits, provider_id=provider_id, **said
    )


def cancel(redemption_id: str, **other: object) -> commands.CancelRedemption:
    said = {**STAMP, "organisation": "org-a", "reason": "临时有事"} | other
    return commands.CancelRedemption(redemption_id=redemption_id, **said)


def end_hold(redemption_id: str, as_of: str) -> commands.ExpireRedemption:
    return commands.ExpireRedemption(
        **STAMP, redemption_id=redemption_id, as_of=shanghai(f"{as_of} 00:00")
    )


def saved(*changes: commands.Command) -> Town:
    """Zhang has 180 credits of Friday and 120 of Monday; care costs 60, and there are ten rices."""
    given = town().given(*changes, reward(), rice())
    return given.given(visit("08:00", "11:00", on="2026-03-06"), visit("14:00", "16:00"))


def held(given: Town, code: str = "care", quantity: int = 2, **other: object) -> str:
    asked = reserve(code, quantity, **other)
    given.given(asked)
    return asked.redemption_id


def served(given: Town, credits: int = 120) -> str:
    """Li has served Zhang, who had reserved 120."""
    found = held(given)
    given.given(fulfil(found, credits))
    return found


# --- holds ---------------------------------------------------------------------------------------


def test_a_reservation_holds_the_price_and_takes_the_stock():
    given = saved()
    fact = given.when(reserve("rice", 3)).then(
        RedemptionReserved,
        kind="benefit",
        quantity=3,
        credits=180,
        expires_on="2026-03-24",
        organisation="org-a",
        reward_organisation="org-a",
        counted=True,
        age_met=None,
    )
    mine = f"person:{ZHANG}"
    assert fact.entries == ((f"{mine}:available", -180), (f"{mine}:held", 180))
    assert (account(given).available, account(given).held) == (120, 180)
    assert given.state("balance:stock:rice").credits == 7
    assert lots(given) == [("2026-03-09", 120)]


def test_a_benefit_is_paid_to_the_sink():
    given = saved()
    found = held(given, "rice", 2)
    fact = given.when(fulfil(found, provider_id=None)).then(
        RedemptionFulfilled, credits=120, released=None, restocked=None, provider_id=None
    )
    assert fact.entries == ((f"person:{ZHANG}:held", -120), ("sink:redeemed", 120))
    assert (account(given).available, account(given).held) == (180, 0)


def test_a_peer_service_moves_credits_and_mints_nothing():
    given = saved(policy("2026-01-01", expiry={"months": 12}))
    found = held(given)
    fact = given.when(fulfil(found)).then(
        RedemptionFulfilled, credits=120, provider_id=LI, on="2026-03-10", expires_on="2027-03-10"
    )
    assert fact.entries == ((f"person:{ZHANG}:held", -120), (f"person:{LI}:available", 120))
    assert lots(given, LI) == [("2026-03-10", 120)]


def test_a_part_is_paid_out_of_the_oldest_lots_and_the_rest_returns_to_its_own():
    given = saved()
    found = held(given, quantity=4)  # 240: 180 of Friday, 60 of Monday
    assert lots(given) == [("2026-03-09", 60)]
    given.when(fulfil(found, 100)).then(RedemptionFulfilled, credits=100, released=140)
    assert lots(given) == [("2026-03-06", 80), ("2026-03-09", 120)]
    assert (account(given).available, account(given).held) == (200, 0)


def test_what_a_part_did_not_pay_for_is_in_stock_again():
    given = saved()
    found = held(given, "rice", 4)
    fact = given.when(fulfil(found, 61, provider_id=None)).then(RedemptionFulfilled, released=179)
    assert fact.restocked == 2  # a part of the second one is paid: it is taken
    assert given.state("balance:stock:rice").credits == 8


def test_a_provider_repays_what_they_owe_first():
    given = saved().given(visit("09:00", "10:00", member_id=LI))
    given.given(donate(60, LI), reverse(given.facts[-1].record_id))
    assert account(given, LI).receivable == 60
    fact = given.when(fulfil(held(given))).then(RedemptionFulfilled)
    assert fact.entries[1:] == ((f"person:{LI}:receivable", 60), (f"person:{LI}:available", 60))
    assert (account(given, LI).receivable, account(given, LI).available) == (0, 60)


def donate(credits: int, member_id: str) -> commands.DonateCredits:
    return commands.DonateCredits(
        **ADMIN,
        transfer_id=new_id(),
        member_id=member_id,
        organisation=None,
        to="pool:donation",
        credits=credits,
        reason="捐赠",
    )


def test_a_cancelled_hold_returns_to_its_lots_and_to_the_stock():
    given = saved()
    before = lots(given)
    found = held(given, "rice", 4)
    given.when(cancel(found)).then(RedemptionCancelled, released=240, restocked=4)
    assert lots(given) == before
    assert given.state("balance:stock:rice").credits == 10
    assert account(given).held == 0


def test_a_hold_expires_on_its_date_by_the_job_and_not_before():
    given = saved()
    found = held(given)
    given.at = shanghai("2026-04-01 12:00")
    given.when(end_hold(found, "2026-03-23")).then_nothing_new()
    given.when(end_hold(found, "2026-03-24")).then(
        RedemptionExpired, as_of="2026-03-24", released=120, restocked=None
    )
    given.when(end_hold(found, "2026-03-25")).then_nothing_new()
    assert (account(given).available, account(given).held) == (300, 0)


def test_the_days_of_a_hold_are_those_of_the_day_it_was_reserved():
    given = saved(policy("2026-01-01", hold_days=3))
    asked = reserve()
    given.when(asked).then(RedemptionReserved, expires_on="2026-03-13")
    given.given(policy("2026-01-02", hold_days=30))
    assert redemption(given, asked.redemption_id).reserved.expires_on == "2026-03-13"


def test_a_job_of_holds_at_or_before_its_last_instant_does_nothing():
    given = saved(policy("2026-01-01", hold_days=0))
    found = held(given)
    given.at = shanghai("2026-04-01 12:00")
    given.given(finish("2026-03-30", job="holds"))
    given.when(end_hold(found, "2026-03-30")).then_nothing_new()
    given.when(end_hold(found, "2026-03-31")).then(RedemptionExpired)


def test_what_was_held_expires_after_its_release():
    given = saved(policy("2026-01-01", expiry={"months": 1}))  # the lots end on April 6th and 9th
    found = held(given)
    given.when(expire("2026-04-09")).then(CreditsExpired, credits=180)  # 120 of Friday are held
    given.given(cancel(found))
    given.when(expire("2026-04-09")).then(CreditsExpired, credits=120)


def test_a_lot_that_expired_in_two_parts_is_taken_back_from_both():
    given = saved(policy("2026-01-01", expiry={"months": 1}))
    friday = next(fact for fact in given.facts if isinstance(fact, HoursVerified)).record_id
    found = held(given)
    given.given(expire("2026-04-06"), cancel(found), expire("2026-04-07"))
    assert list(account(given).lots.expired.values()) == [180]
    fact = given.when(reverse(friday)).then(HoursReversed)
    assert dict(fact.entries) == {"issue:service": 180, "sink:expired": -180}


@pytest.mark.parametrize("ending", ["fulfilled", "cancelled", "expired"])
def test_a_hold_ends_exactly_once(ending: str):
    given = saved()
    found = held(given)
    given.given(
        {
            "fulfilled": fulfil(found),
            "cancelled": cancel(found),
            "expired": end_hold(found, "2026-03-24"),
        }[ending]
    )
    given.when(fulfil(found)).then_refused("wrong_state")
    given.when(cancel(found)).then_refused("wrong_state")
    given.when(end_hold(found, "2026-03-30")).then_nothing_new()


def test_zhang_earns_holds_gives_donates_is_corrected_and_lets_the_rest_expire():
    """The worked case of DOMAIN, section 4."""
    given = town().given(
        policy("2026-01-01", expiry={"months": 1}),
        commands.RegisterMember(
            **STAMP, member_id=MOTHER, organisation="org-a", roles=("resident",), unit="lake"
        ),
        commands.RecordRelation(
            **STAMP,
            member_id=ZHANG,
            organisation="org-a",
            relation="parent",
            to=MOTHER,
            evidence_ref="户口簿-7",
        ),
        reward(),
        visit("08:00", "14:00", on="2026-03-02"),
        visit("08:00", "12:00", on="2026-03-09"),
    )
    four_hours = given.facts[-1].record_id
    given.given(
        fulfil(held(given), 90),
        commands.GiveCredits(
            **ADMIN,
            transfer_id=new_id(),
            member_id=ZHANG,
            organisation=None,
            to=MOTHER,
            credits=180,
            reason="孝亲",
        ),
        donate(60, ZHANG),
        correct(four_hours, start="08:00", end="11:00"),
        expire("2026-04-02"),
    )
    moved: dict[str, int] = {}
    for fact in given.facts:
        for name, credits in getattr(fact, "entries", ()):
            moved[name] = moved.get(name, 0) + credits
    assert {name: credits for name, credits in moved.items() if credits} == {
        f"person:{ZHANG}:available": 180,
        f"person:{LI}:available": 90,
        f"person:{MOTHER}:available": 180,
        "pool:donation": 60,
        "sink:expired": 30,
        "issue:service": -540,
    }
    assert sum(moved.values()) == 0


def test_eighty_of_two_lots_redeemed_leave_twenty_to_expire():
    """The worked case of DOMAIN, section 4: lots 100 (expires 2026-01-10) and 60."""
    given = town().given(policy("2025-01-01", expiry={"months": 12}), rice(credits=80))
    given.at = shanghai("2025-12-01 12:00")
    given.given(visit("08:00", "09:40", on="2025-01-10"), visit("08:00", "09:00", on="2025-03-10"))
    given.given(fulfil(held(given, "rice", 1), provider_id=None))
    given.when(expire("2026-01-10")).then(CreditsExpired, credits=20)
    assert account(given).available == 60


# --- hours that a redemption has paid ------------------------------------------------------------


def li_serves(found: str, end: str = "11:00", **other: object) -> commands.PostHours:
    return visit("09:00", end, member_id=LI, redemption_id=found, **other)


def test_hours_of_a_redemption_mint_only_what_it_did_not_pay():
    given = saved()
    found = served(given, 90)
    fact = given.when(li_serves(found)).then(
        HoursVerified, minutes=120, credits=120, paid_from_hold=90, capped=None
    )
    assert fact.entries == (("issue:service", -30), (f"person:{LI}:available", 30))
    assert account(given, LI).available == 120
    assert redemption(given, found).cited_by == fact.record_id


def test_hours_that_were_paid_in_full_mint_nothing():
    given = saved()
    fact = given.when(li_serves(served(given), "10:00")).then(
        HoursVerified, minutes=60, credits=60, paid_from_hold=60, expires_on=None
    )
    assert fact.entries == ()


def test_who_owes_more_than_was_paid_repays_out_of_what_is_minted_too():
    given = saved().given(visit("05:00", "08:20", member_id=LI))
    given.given(donate(200, LI), reverse(given.facts[-1].record_id))
    found = served(given, 90)
    assert (account(given, LI).receivable, account(given, LI).available) == (110, 0)
    fact = given.when(li_serves(found)).then(HoursVerified, credits=120, paid_from_hold=90)
    assert fact.entries == (("issue:service", -30), (f"person:{LI}:receivable", 30))
    assert account(given, LI).receivable == 80


def test_the_daily_cap_comes_before_the_payment():
    given = saved(policy("2026-01-01", daily_cap=100))
    given.given(donate(1, ZHANG))
    found = served(given, 60)
    given.when(li_serves(found, "11:00")).then(
        HoursVerified, credits=100, paid_from_hold=60, capped=20
    )
    given.when(visit("18:00", "19:00", member_id=LI)).then(HoursVerified, credits=0, capped=60)


def test_what_was_paid_in_full_counts_for_the_daily_cap():
    given = saved(policy("2026-01-01", daily_cap=100))
    given.given(li_serves(served(given, 60), "10:00"))
    given.when(visit("18:00", "19:00", member_id=LI)).then(HoursVerified, credits=40, capped=20)


def test_the_stock_cap_cuts_only_what_is_minted():
    given = saved()
    found = served(given, 90)
    given.given(policy("2026-01-01", stock_cap=100))
    given.when(li_serves(found)).then(HoursVerified, credits=100, paid_from_hold=90, capped=20)
    assert account(given, LI).available == 100


def test_hours_that_wait_cite_at_once_and_are_paid_when_they_count():
    given = saved()
    found = served(given, 90)
    asked = li_serves(found, evidence="backfilled")
    given.when(asked).then(HoursSubmitted, redemption_id=found)
    again = li_serves(found, "12:00", receipt="other")
    given.when(again).then_refused("wrong_state")
    given.when(verify(asked.record_id)).then(SubmittedHoursVerified, credits=120, paid_from_hold=90)


def test_rejected_hours_leave_the_redemption_to_others():
    given = saved()
    found = served(given)
    asked = li_serves(found, evidence="backfilled")
    given.given(asked)
    given.when(reject(asked.record_id)).then(HoursRejected, redemption_id=found)
    given.when(li_serves(found, receipt="other")).then(HoursVerified, paid_from_hold=120)


def test_the_same_post_again_is_nothing_new():
    given = saved()
    found = served(given)
    given.given(li_serves(found))
    given.when(li_serves(found)).then_nothing_new()
    other = visit("09:00", "11:00", member_id=LI)
    given.when(other).then_refused("receipt_reused")


@pytest.mark.parametrize(
    "ended", [cancel, lambda found: end_hold(found, "2026-03-24")], ids=["cancelled", "expired"]
)
def test_hours_cite_no_redemption_that_was_not_fulfilled(ended):
    given = saved()
    found = held(given)
    given.when(li_serves(found)).then_refused("wrong_state")
    given.given(ended(found))
    given.when(li_serves(found)).then_refused("wrong_state")


def test_hours_cite_no_redemption_of_another_provider():
    given = saved()
    found = served(given)
    given.when(visit("09:00", "10:00", redemption_id=found)).then_refused("wrong_state")
    given.when(li_serves(new_id())).then_refused("not_found", "/redemption_id")
    unseen = visit("09:00", "10:00", by="org-b", redemption_id=found)
    given.when(unseen).then_refused("not_found", "/redemption_id")


def test_another_organisation_of_the_provider_may_post_the_hours():
    given = saved()
    given.when(li_serves(served(given), by="org-b")).then(HoursVerified, paid_from_hold=120)


def test_a_reversal_gives_the_payment_back_and_the_rest_to_the_issue():
    given = saved(policy("2026-01-01", expiry={"months": 12}))
    found = served(given, 90)
    asked = li_serves(found)
    given.given(asked)
    fact = given.when(reverse(asked.record_id)).then(
        HoursReversed,
        credits=-120,
        paid_from_hold=-90,
        paid_on="2026-03-10",
        on="2026-03-10",
        expires_on="2027-03-10",
        redemption_id=found,
    )
    assert set(fact.entries) == {
        ("issue:service", 30),
        (f"person:{ZHANG}:available", 90),
        (f"person:{LI}:available", -120),
    }
    assert account(given).available == 300
    assert account(given, LI).available == 0
    assert lots(given) == [("2026-03-06", 90), ("2026-03-09", 120), ("2026-03-10", 90)]
    again = li_serves(found, receipt="other")
    given.when(again).then_refused("wrong_state")  # it is cited once, for ever


def test_what_comes_back_to_a_closed_account_goes_to_the_heirs():
    given = saved()
    asked = li_serves(served(given))
    given.given(
        asked,
        donate(180, ZHANG),
        commands.CloseAccount(**ADMIN, member_id=ZHANG, reason="身故"),
        reverse(asked.record_id),
    )
    assert account(given).available == 120
    estate = commands.InheritCredits(
        **ADMIN,
        transfer_id=new_id(),
        member_id=ZHANG,
        credits=120,
        shares=(commands.Share(f"person:{LI}:available", 1),),
        reason="继承公证",
    )
    given.when(estate).then(CreditsInherited, credits=120)
    assert (account(given).available, account(given, LI).available) == (0, 120)


def test_a_reversal_takes_the_lots_of_the_service_before_older_ones():
    given = saved()
    given.given(visit("09:00", "10:00", on="2026-03-02", member_id=LI))
    found = served(given, 90)
    asked = li_serves(found)
    given.given(asked, reverse(asked.record_id))
    assert lots(given, LI) == [("2026-03-02", 60)]


def test_a_reversal_of_a_spent_payment_leaves_a_receivable():
    given = saved()
    found = served(given)
    asked = li_serves(found)
    given.given(asked, donate(100, LI))
    given.given(reverse(asked.record_id))
    assert (account(given, LI).available, account(given, LI).receivable) == (0, 100)
    assert account(given).available == 300


def test_a_reversal_takes_back_what_expired_of_the_payment():
    given = saved(policy("2026-01-01", expiry={"months": 1}))
    found = served(given, 90)
    asked = li_serves(found)
    given.given(asked)
    given.at = shanghai("2026-05-01 12:00")
    given.given(expire("2026-05-01", LI))
    fact = given.when(reverse(asked.record_id)).then(HoursReversed)
    assert dict(fact.entries) == {
        "issue:service": 30,
        f"person:{ZHANG}:available": 90,
        "sink:expired": -120,
    }
    assert account(given, LI).lots.expired == {}


@pytest.mark.parametrize(
    ("end", "paid", "minted"), [("10:00", 60, 0), ("10:30", 90, 0), ("12:00", 90, 90)]
)
def test_a_correction_takes_the_payment_again_first(end: str, paid: int, minted: int):
    given = saved()
    found = served(given, 90)
    asked = li_serves(found)
    given.given(asked)
    facts = given.ask(correct(asked.record_id, start="09:00", end=end))
    assert [type(fact) for fact in facts] == [HoursReversed, RedemptionFulfilled, HoursVerified]
    reversal, payment, replacement = facts
    assert (f"person:{ZHANG}:held", 90) in reversal.entries
    assert (payment.credits, payment.released or 0) == (paid, 90 - paid)
    assert payment.corrects == asked.record_id
    assert (replacement.paid_from_hold, replacement.credits) == (paid, paid + minted)
    assert (account(given, LI).available, account(given).available) == (paid + minted, 300 - paid)
    assert (account(given).held, account(given).holds) == (0, {})
    assert redemption(given, found).cited_by == replacement.record_id
    given.given(reverse(replacement.record_id))
    assert (account(given, LI).available, account(given).available) == (0, 300)


def test_a_payment_that_is_taken_again_repays_what_the_provider_owes_first():
    given = saved()
    asked = li_serves(served(given, 90))
    given.given(asked, donate(100, LI))  # 20 of 120 are left
    *_, payment, replacement = given.ask(correct(asked.record_id, start="09:00", end="12:00"))
    assert payment.entries[1:] == ((f"person:{LI}:receivable", 90),)
    assert dict(replacement.entries) == {
        "issue:service": -90,
        f"person:{LI}:receivable": 10,
        f"person:{LI}:available": 80,
    }
    assert (account(given, LI).available, account(given, LI).receivable) == (80, 0)


def test_what_a_payment_had_over_counts_for_a_longer_correction():
    given = saved()
    found = served(given, 120)
    asked = li_serves(found, "10:00")  # 60 of the 120 that were paid
    given.given(asked)
    *_, replacement = given.ask(correct(asked.record_id, start="09:00", end="11:30"))
    assert (replacement.paid_from_hold, replacement.credits) == (120, 150)
    assert (account(given, LI).available, account(given).available) == (150, 180)


def test_a_correction_to_nothing_leaves_the_payment_where_it_went():
    given = saved(policy("2026-01-01", rounding="hour_floor"))
    found = served(given, 60)
    asked = li_serves(found)
    given.given(asked)
    facts = given.ask(correct(asked.record_id, start="09:00", end="09:30"))
    assert [type(fact) for fact in facts] == [HoursReversed, HoursVerified]
    assert (account(given).available, account(given).held) == (300, 0)
    assert account(given, LI).available == 0


def test_a_correction_may_cite_a_redemption_or_none():
    given = saved()
    found, other = served(given, 90), held(given, quantity=1)
    given.given(fulfil(other))
    asked = li_serves(found)
    given.given(asked)
    first = given.ask(correct(asked.record_id, redemption_id=other))[-1]
    assert (first.redemption_id, first.paid_from_hold, first.credits) == (other, 60, 120)
    second = given.ask(correct(first.record_id, redemption_id=None))[-1]
    assert (second.redemption_id, second.paid_from_hold, second.credits) == (None, None, 120)
    assert account(given).available == 300
    given.when(correct(second.record_id, redemption_id=found)).then_refused("wrong_state")
    given.when(correct(second.record_id, redemption_id=NOBODY)).then_refused(
        "not_found", "/redemption_id"
    )


def test_a_correction_to_another_member_does_not_keep_the_redemption():
    given = saved()
    asked = li_serves(served(given))
    given.given(asked)
    given.when(correct(asked.record_id, member_id=ZHANG)).then_refused("wrong_state")
    given.when(correct(asked.record_id, member_id=ZHANG, redemption_id=None)).then_both(
        (HoursReversed, {"paid_from_hold": -120}), (HoursVerified, {"paid_from_hold": None})
    )


def test_a_record_that_moves_to_who_had_paid_for_it_meets_the_cap_with_what_came_back():
    given = saved()
    asked = li_serves(served(given, 90))
    given.given(asked, policy("2026-01-01", stock_cap=330))
    given.when(correct(asked.record_id, member_id=ZHANG, redemption_id=None)).then_both(
        (HoursReversed, {"paid_from_hold": -90}), (HoursVerified, {"credits": 30, "capped": 90})
    )
    assert account(given).available == 330


# --- who may redeem ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "unmet"),
    [
        ({"min_stars": 1}, "min_stars 1"),
        ({"min_age": 60}, "min_age 60"),
        ({"tier": "CERTIFIED"}, "tier CERTIFIED"),
        ({"grade": "G3"}, "grade G3"),
        ({"organisations": ("org-c",)}, "organisations"),
        ({"min_stars": 1, "min_age": 60}, "min_stars 1, min_age 60"),
    ],
)
def test_a_reward_is_for_whoever_meets_its_gates(asked: dict[str, object], unmet: str):
    given = saved().given(
        commands.AddOrganisation(**STAMP, code="org-c", name="丙", kind="partner", unit="lake"),
        reward("gated", **asked),
    )
    answered = given.when(reserve("gated", 1, born_on=date(1980, 1, 1)))
    answered.then_refused("not_eligible")
    assert answered.refused.params == {"unmet": unmet}


def test_who_meets_every_gate_may_redeem():
    given = saved(policy("2026-01-01", stars=[300])).given(
        reward("gated", min_age=60, min_stars=1, grade="G2", organisations=("org-b", "org-a")),
        commands.OverrideGrade(
            **STAMP, subject=f"member:{ZHANG}", grade="G1", reason="抽查", until=date(2027, 1, 1)
        ),
    )
    fact = given.when(reserve("gated", 1, born_on=date(1966, 3, 10))).then(RedemptionReserved)
    assert fact.age_met is True
    given.when(reserve("gated", 1, born_on=date(1966, 3, 11))).then_refused("not_eligible")
    given.when(reserve("gated", 1)).then_refused("not_eligible")


def test_the_policy_says_who_may_redeem_at_all():
    """The Guangzhou pack: from one star, which is 6 000 service minutes."""
    given = saved(policy("2026-01-01", redeem_eligibility={"min_stars": 1}))
    given.when(reserve()).then_refused("not_eligible")
    account(given).minutes = 5_999
    given.when(reserve()).then_refused("not_eligible")
    account(given).minutes = 6_000
    given.when(reserve()).then(RedemptionReserved)


def test_the_policys_age_holds_beside_the_rewards():
    given = saved(policy("2026-01-01", redeem_eligibility={"min_age": 60}))
    given.when(reserve(born_on=date(1967, 1, 1))).then_refused("not_eligible")
    given.when(reserve(born_on=date(1966, 1, 1))).then(RedemptionReserved, age_met=True)


@pytest.mark.parametrize(
    ("born_on", "today", "years"),
    [
        ("1966-03-10", "2026-03-09", 59),
        ("1966-03-10", "2026-03-10", 60),
        ("1964-02-29", "2024-02-28", 59),
        ("1964-02-29", "2024-02-29", 60),
        ("1964-02-29", "2025-02-28", 60),
        ("1964-02-29", "2025-03-01", 61),
    ],
)
def test_an_age_is_counted_in_full_years(born_on: str, today: str, years: int):
    assert age(date.fromisoformat(born_on), date.fromisoformat(today)) == years


# --- refusals ------------------------------------------------------------------------------------


def test_a_reservation_holds_no_more_than_there_is():
    given = saved()
    given.when(reserve(quantity=6)).then_refused("not_enough_credits")
    given.when(reserve(quantity=5)).then(RedemptionReserved)
    given.when(reserve("rice", 1)).then_refused("not_enough_credits")


def test_a_reservation_takes_no_more_than_the_stock():
    given = saved().given(rice(code="last", stock=1, credits=1))
    given.when(reserve("last", 2)).then_refused("out_of_stock")
    given.when(reserve("last", 1)).then(RedemptionReserved)
    given.when(reserve("last", 1)).then_refused("out_of_stock")


def test_only_the_home_organisation_spends_for_a_member():
    given = saved()
    given.when(reserve(organisation="org-b")).then_refused("forbidden")
    given.when(reserve(organisation="org-c")).then_refused("not_found", "/member_id")
    given.when(reserve(member_id=NOBODY)).then_refused("not_found", "/member_id")
    given.when(reserve(organisation=None, actor_member=ZHANG)).then(RedemptionReserved)
    given.when(reserve(**ADMIN, organisation=None)).then(RedemptionReserved)


def test_what_is_asked_for_must_be_there():
    given = saved()
    given.when(reserve("bread")).then_refused("not_found", "/reward")
    given.when(reserve(provider_id=NOBODY)).then_refused("not_found", "/provider_id")
    given.when(reserve(provider_id=ZHANG)).then_refused("to_oneself", "/provider_id")
    given.when(reserve("rice", provider_id=LI)).then_refused("no_provider", "/provider_id")


def test_a_provider_is_somebody_known_where_it_is_asked():
    stranger = commands.RegisterMember(
        **STAMP, member_id=MOTHER, organisation="org-b", roles=("volunteer",), unit="lake"
    )
    alone = commands.RegisterMember(
        **STAMP, member_id=NOBODY, organisation="org-a", roles=("volunteer",), unit="lake"
    )
    given = saved(stranger, alone)
    given.when(reserve(provider_id=MOTHER)).then_refused("not_found", "/provider_id")
    found = held(given)
    given.when(fulfil(found, provider_id=MOTHER)).then_refused("not_found", "/provider_id")
    own = {"organisation": None, "actor_member": ZHANG, "provider_id": MOTHER}
    given.when(reserve(quantity=1, **own)).then(RedemptionReserved)  # Zhang is known to org-b too
    given.when(fulfil(found, provider_id=NOBODY)).then(RedemptionFulfilled)


def test_a_withdrawn_reward_is_redeemed_by_nobody_and_what_is_held_stays():
    given = saved()
    found = held(given)
    given.given(withdraw())
    given.when(reserve()).then_refused("wrong_state")
    given.when(fulfil(found)).then(RedemptionFulfilled)


def test_closed_accounts_neither_redeem_nor_serve():
    given = town().given(reward(), visit())
    given.given(commands.CloseAccount(**ADMIN, member_id=LI, reason="迁出"))
    given.when(reserve(provider_id=LI)).then_refused("member_closed")
    given.when(fulfil(held(given))).then_refused("member_closed")
    given.when(reserve(member_id=LI)).then_refused("member_closed")


def test_a_suspended_organisation_neither_reserves_nor_fulfils():
    given = saved()
    found = held(given)
    given.given(commands.SuspendOrganisation(**ADMIN, code="org-a", reason="整改"))
    given.when(reserve()).then_refused("organisation_suspended")
    given.when(fulfil(found)).then_refused("organisation_suspended")
    given.when(fulfil(found, **ADMIN, organisation=None)).then(RedemptionFulfilled)


def test_a_fulfilment_names_who_served():
    given = saved()
    found = held(given)
    given.when(fulfil(found, provider_id=None)).then_refused("provider_needed", "/provider_id")
    given.when(fulfil(found, provider_id=ZHANG)).then_refused("to_oneself", "/provider_id")
    given.when(fulfil(found, provider_id=NOBODY)).then_refused("not_found", "/provider_id")
    given.when(fulfil(found, actor_member=LI)).then_refused("own_hours")
    given.when(fulfil(held(given, "rice"))).then_refused("no_provider", "/provider_id")
    given.when(fulfil(found)).then(RedemptionFulfilled, provider_id=LI)


def test_a_fulfilment_pays_no_more_than_is_held():
    given = saved()
    given.when(fulfil(held(given), 121)).then_refused("not_enough_credits")


def test_a_redemption_is_the_homes_and_the_rewards_organisations():
    given = saved().given(reward("theirs", organisation="org-b"))
    own, theirs = held(given), held(given, "theirs")
    given.when(cancel(own, organisation="org-b")).then_refused("not_found")
    given.when(fulfil(own, organisation="org-b")).then_refused("not_found")
    given.when(fulfil(theirs, organisation="org-b")).then(RedemptionFulfilled)
    given.when(cancel(new_id())).then_refused("not_found")


def test_an_account_with_a_hold_is_not_closed():
    given = saved()
    held(given, quantity=5)
    closing = commands.CloseAccount(**ADMIN, member_id=ZHANG, reason="迁出")
    given.when(closing).then_refused("balance_not_settled")


# --- the catalogue -------------------------------------------------------------------------------


def restock(quantity: int = 5, code: str = "rice", **other: object) -> commands.RestockReward:
    said = {**OTHER, "organisation": "org-a"} | other
    return commands.RestockReward(code=code, quantity=quantity, **said)


def withdraw(code: str = "care", **other: object) -> commands.WithdrawReward:
    said = {**OTHER, "organisation": "org-a", "reason": "停止合作"} | other
    return commands.WithdrawReward(code=code, **said)


def test_a_reward_is_added_restocked_and_withdrawn():
    given = town()
    given.when(rice(min_age=60)).then(RewardAdded, stock=10, min_age=60, organisation="org-a")
    given.when(restock(5)).then(RewardRestocked, quantity=5, organisation="org-a")
    assert given.state("balance:stock:rice").credits == 15
    given.when(withdraw("rice")).then(RewardWithdrawn)
    given.when(withdraw("rice")).then_refused("wrong_state")
    given.when(restock(5)).then_refused("wrong_state")


def test_an_administrators_reward_is_the_banks():
    given = town()
    given.when(rice(**ADMIN, organisation=None)).then(RewardAdded, organisation=None)
    given.when(restock()).then_refused("forbidden")
    given.when(restock(**ADMIN, organisation=None)).then(RewardRestocked, organisation=None)


def test_a_reward_is_changed_by_its_own_organisation_alone():
    given = town().given(rice())
    given.when(restock(organisation="org-b")).then_refused("forbidden")
    given.when(withdraw("rice", organisation="org-b")).then_refused("forbidden")
    given.when(restock(code="bread")).then_refused("not_found")
    given.when(restock(**ADMIN, organisation=None)).then(RewardRestocked, organisation="org-a")


def test_a_code_names_one_reward():
    town().given(rice()).when(rice(organisation="org-b")).then_refused("code_taken", "/code")


def test_a_reward_without_a_stock_is_not_restocked():
    town().given(reward()).when(restock(code="care")).then_refused("no_stock_counted")


def test_a_reward_is_for_organisations_that_exist():
    asked = reward(organisations=("org-a", "org-z"))
    town().when(asked).then_refused("not_found", "/eligibility/organisations/1")
    town().when(rice(organisation="org-z")).then_refused("not_found", "/organisation")


def test_a_suspended_organisation_offers_nothing():
    given = town().given(commands.SuspendOrganisation(**ADMIN, code="org-a", reason="整改"))
    given.when(rice()).then_refused("organisation_suspended")
