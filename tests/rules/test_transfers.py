"""Transfers, freezing and closing: what moves where, and each refusal once."""

from datetime import date, timedelta

import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st

from ledger import commands
from ledger.events import (
    AccountClosed,
    CreditsAllocated,
    CreditsDonated,
    CreditsFrozen,
    CreditsGiven,
    CreditsInherited,
    CreditsUnfrozen,
    GrantApproved,
    GrantProposed,
    HoursReversed,
    HoursVerified,
    RelationRecorded,
)
from ledger.rules.transfers import split
from ledger.units import new_id
from tests.rules.asked import ADMIN, correct, expire, reverse, verify
from tests.rules.town import LI, OTHER, STAMP, ZHANG, Town, policy, town, visit

NOBODY = new_id()


def available(member: str) -> str:
    return f"person:{member}:available"


def account(given: Town, member: str = ZHANG):
    return given.state(f"account:{member}")


def saved(*changes: commands.Command) -> Town:
    """Zhang has 300 credits of two days, and Li is the parent."""
    given = town().given(*changes, related())
    return given.given(visit("08:00", "11:00", on="2026-03-06"), visit("14:00", "16:00"))


def related(relation: str = "parent", member_id: str = ZHANG, to: str = LI):
    return commands.RecordRelation(
        **STAMP,
        member_id=member_id,
        organisation="org-a",
        relation=relation,
        to=to,
        evidence_ref="户口簿-7",
    )


def gift(credits: int, member_id: str = ZHANG, to: str = LI, **other: object):
    said = {**STAMP, "organisation": "org-a"} | other
    return commands.GiveCredits(
        transfer_id=new_id(), member_id=member_id, to=to, credits=credits, reason="孝亲", **said
    )


def donation(credits: int, to: str = "pool:donation", **other: object):
    said = {**STAMP, "organisation": "org-a", "member_id": ZHANG} | other
    return commands.DonateCredits(
        transfer_id=new_id(), to=to, credits=credits, reason="捐赠", **said
    )


def shares(*parts: tuple[str, int]) -> tuple[commands.Share, ...]:
    return tuple(commands.Share(to, weight) for to, weight in parts)


def allocation(credits: int, *parts: tuple[str, int], source: str = "pool:donation"):
    return commands.AllocateCredits(
        **ADMIN,
        transfer_id=new_id(),
        source=source,
        credits=credits,
        shares=shares(*parts),
        reason="慰问",
    )


def estate(credits: int, *parts: tuple[str, int], member_id: str = ZHANG):
    return commands.InheritCredits(
        **ADMIN,
        transfer_id=new_id(),
        member_id=member_id,
        credits=credits,
        shares=shares(*parts),
        reason="继承公证",
    )


def grant(credits: int, *parts: tuple[str, int], fund: str = "elders"):
    return commands.ProposeGrant(
        **ADMIN,
        transfer_id=new_id(),
        fund=fund,
        credits=credits,
        shares=shares(*parts),
        reason="高龄补助",
    )


def approval(transfer_id: str, stamp=OTHER):
    return commands.ApproveGrant(**stamp | {"by_admin": True}, transfer_id=transfer_id)


# --- splits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credits", "weights", "parts"),
    [
        (1_001, [1, 1], [501, 500]),
        (1_000, [5, 3, 2], [500, 300, 200]),
        (7, [1, 1, 1], [3, 2, 2]),
        (5, [1], [5]),
        (10, [10**9, 1], [10, 0]),
        (100, [10**9, 10**9 - 1], [50, 50]),
        (3, [0, 1], [0, 3]),
        (11, [1, 2, 4], [2, 3, 6]),  # 1.57, 3.14, 6.29: the one left over goes to the first
    ],
)
def test_parts_are_whole_and_the_largest_fraction_then_the_first_takes_the_rest(
    credits, weights, parts
):
    assert split(credits, weights) == parts


@given_that(
    credits=st.integers(1, 10**12),
    weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any),
)
def test_parts_add_up_and_are_within_one_of_the_exact_share(credits, weights):
    parts, total = split(credits, weights), sum(weights)
    assert sum(parts) == credits
    assert all(
        abs(part * total - credits * weight) < total
        for part, weight in zip(parts, weights, strict=True)
    )


# --- gifts ---------------------------------------------------------------------------------------


def test_a_gift_to_a_relation_is_a_lot_of_the_day_it_is_received():
    given = saved(policy("2026-01-01", expiry={"months": 12}))
    fact = given.when(gift(180)).then(CreditsGiven, relation="parent", on="2026-03-10")
    assert fact.entries == ((available(ZHANG), -180), (available(LI), 180))
    assert [(lot.dated, lot.left) for lot in account(given).lots.open] == [("2026-03-09", 120)]
    (lot,) = account(given, LI).lots.open
    assert (lot.dated, lot.left, lot.expires_on) == ("2026-03-10", 180, "2027-03-10")


def test_what_one_is_to_the_other_holds_the_other_way_too():
    given = saved().given(gift(100))
    given.when(gift(50, member_id=LI, to=ZHANG)).then(CreditsGiven, relation="child")


def test_a_gift_to_a_stranger_or_to_a_relation_the_policy_leaves_out_is_refused():
    given = town().given(visit())
    given.when(gift(10)).then_refused("relation_unknown")
    given.given(related("neighbour"))
    given.when(gift(10)).then_refused("relation_unknown")
    given.given(policy("2026-01-01", gift={"relations": ["neighbour"]}))
    given.when(gift(10)).then(CreditsGiven)


def test_gifts_of_a_year_have_a_maximum():
    given = saved(policy("2026-01-01", gift={"yearly_max": 100}))
    given.given(gift(60))
    given.when(gift(41)).then_refused("yearly_maximum")
    given.when(gift(40)).then(CreditsGiven)
    given.at += timedelta(days=300)
    given.when(gift(100)).then(CreditsGiven, on="2027-01-04")


def test_more_than_is_there_is_not_given():
    given = saved()
    given.when(gift(301)).then_refused("not_enough_credits")
    given.when(gift(300)).then(CreditsGiven)
    given.when(gift(1)).then_refused("not_enough_credits")


def test_only_the_home_organisation_gives_for_its_members():
    given = saved()
    given.when(gift(1, organisation="org-b")).then_refused("forbidden")
    given.when(gift(1, organisation="org-z")).then_refused("not_found", "/from")
    given.when(gift(1, to=NOBODY)).then_refused("not_found", "/to")
    given.when(gift(1, organisation=None)).then(CreditsGiven)


def test_a_relation_is_recorded_once():
    given = town()
    given.when(related()).then(RelationRecorded, relation="parent", to=LI)
    given.when(related()).then_nothing_new()
    given.when(related("spouse")).then(RelationRecorded)
    given.when(related(to=NOBODY)).then_refused("not_found", "/to")
    given.when(related(member_id=NOBODY)).then_refused("not_found")


# --- donations and allocations -------------------------------------------------------------------


def test_a_donation_goes_to_a_pool():
    given = saved()
    given.when(donation(60)).then(CreditsDonated, to="pool:donation")
    given.when(donation(40, to="org:org-b:pool")).then(CreditsDonated)
    assert given.state("balance:pool:donation").credits == 60
    assert given.state("balance:org:org-b:pool").credits == 40
    given.when(donation(1, to="org:org-z:pool")).then_refused("not_found", "/to")
    given.when(donation(201)).then_refused("not_enough_credits")


def test_a_pool_is_dealt_out_by_weights_and_never_below_zero():
    given = saved().given(donation(200))
    fact = given.when(
        allocation(101, (available(LI), 1), (available(ZHANG), 1), ("org:org-b:pool", 0))
    ).then(CreditsAllocated)
    assert fact.entries == (
        ("pool:donation", -101),
        (available(LI), 51),
        (available(ZHANG), 50),
    )
    assert account(given, LI).available == 51
    given.when(allocation(100, (available(LI), 1))).then_refused("not_enough_credits")
    given.when(allocation(1, (available(NOBODY), 1))).then_refused("not_found", "/shares/0/to")
    given.when(allocation(1, (available(LI), 1), ("org:org-z:pool", 1))).then_refused(
        "not_found", "/shares/1/to"
    )
    given.when(allocation(1, (available(LI), 1), source="org:org-z:pool")).then_refused(
        "not_found", "/from"
    )


def test_a_reversal_takes_what_overflowed_from_a_pool_that_was_dealt_out():
    given = town().given(policy("2026-01-01", stock_cap=60, overflow_to="pool"))
    record = given.when(visit()).then(HoursVerified, overflowed=60)
    given.given(allocation(40, (available(LI), 1)))
    fact = given.when(reverse(record.record_id)).then(HoursReversed)
    assert fact.entries[1:3] == (("pool:donation", -20), ("sink:written_off", -40))


def test_spending_leaves_a_receivable_when_what_was_spent_is_reversed():
    given = town().given(related())
    given.given(visit("08:00", "11:00", on="2026-03-06"))
    record = given.when(visit("12:00", "14:00", on="2026-03-06")).then(HoursVerified)
    given.given(gift(250), reverse(record.record_id))
    assert (account(given).available, account(given).receivable) == (0, 70)
    given.given(visit("14:00", "15:40"))
    assert (account(given).available, account(given).receivable) == (30, 0)


def test_receivables_are_not_repaid_from_gifts_and_allocations():
    given = town().given(related(), related("child", LI, ZHANG))
    record = given.when(visit()).then(HoursVerified)
    given.given(gift(120), reverse(record.record_id))
    assert account(given).receivable == 120
    given.given(gift(50, member_id=LI, to=ZHANG))
    assert (account(given).available, account(given).receivable) == (50, 120)


# --- inheritance ---------------------------------------------------------------------------------


def test_an_estate_goes_to_the_heirs_in_their_shares():
    given = town().given(visit("08:00", "20:01", on="2026-03-06"), visit("08:00", "12:40"))
    fact = given.when(estate(1_001, (available(LI), 1), ("org:org-a:pool", 1))).then(
        CreditsInherited
    )
    assert fact.entries[1:] == ((available(LI), 501), ("org:org-a:pool", 500))
    assert account(given).available == 0
    given.when(estate(1, (available(LI), 1))).then_refused("not_enough_credits")
    given.when(estate(1, (available(LI), 1), member_id=NOBODY)).then_refused("not_found", "/from")


# --- grants --------------------------------------------------------------------------------------


def test_a_grant_is_proposed_by_one_and_approved_by_another():
    given = town().given(policy("2026-01-01", grants={"elders": 1_000}))
    proposed = given.when(grant(600, (available(LI), 1))).then(GrantProposed, fund="elders")
    assert account(given, LI).available == 0
    given.names["key00009"] = "Admin"
    given.when(approval(proposed.transfer_id, ADMIN)).then_refused("second_person_needed")
    fact = given.when(approval(proposed.transfer_id)).then(GrantApproved)
    assert fact.entries == (("issue:grant:elders", -600), (available(LI), 600))
    assert account(given, LI).available == 600
    given.when(approval(proposed.transfer_id)).then_refused("wrong_state")
    given.when(approval(new_id())).then_refused("not_found")


def test_a_fund_has_a_ceiling():
    given = town().given(policy("2026-01-01", grants={"elders": 1_000}))
    given.when(grant(1_001, (available(LI), 1))).then_refused("fund_exhausted")
    given.when(grant(1, (available(LI), 1), fund="moon")).then_refused("not_found", "/fund")
    first = given.when(grant(600, (available(LI), 1))).then(GrantProposed)
    second = given.when(grant(600, (available(ZHANG), 1))).then(GrantProposed)
    given.given(approval(first.transfer_id))
    given.when(approval(second.transfer_id)).then_refused("fund_exhausted")


# --- freezing and closing ------------------------------------------------------------------------


def freeze(credits: int | None = None, member_id: str = ZHANG):
    return commands.FreezeCredits(**ADMIN, member_id=member_id, credits=credits, reason="核查")


def unfreeze(credits: int | None = None, member_id: str = ZHANG):
    return commands.UnfreezeCredits(**ADMIN, member_id=member_id, credits=credits)


def close(member_id: str = ZHANG):
    return commands.CloseAccount(**ADMIN, member_id=member_id, reason="本人注销")


def test_what_is_frozen_is_not_spent_and_comes_back_as_the_lots_it_was():
    given = saved()
    before = [(lot.dated, lot.left) for lot in account(given).lots.open]
    fact = given.when(freeze(200)).then(CreditsFrozen)
    assert fact.entries == ((available(ZHANG), -200), (f"person:{ZHANG}:frozen", 200))
    given.when(gift(101)).then_refused("not_enough_credits")
    given.when(unfreeze(50)).then(CreditsUnfrozen)
    assert (account(given).available, account(given).frozen) == (150, 150)
    given.when(unfreeze()).then(CreditsUnfrozen, credits=150)
    assert [(lot.dated, lot.left) for lot in account(given).lots.open] == before
    given.when(unfreeze()).then_refused("not_enough_credits")
    given.when(freeze(301)).then_refused("not_enough_credits")
    given.when(freeze(1, NOBODY)).then_refused("not_found")


def test_what_is_frozen_is_never_taken_back_and_expires_after_its_release():
    given = town().given(policy("2025-01-01", expiry={"months": 1}))
    record = given.when(visit(on="2026-02-02")).then(HoursVerified)
    given.given(freeze(100))
    given.given(expire("2026-03-02"))
    assert (account(given).available, account(given).frozen) == (0, 100)
    fact = given.when(reverse(record.record_id)).then(HoursReversed)
    assert dict(fact.entries)[f"person:{ZHANG}:receivable"] == -100
    given.given(unfreeze(), expire("2026-03-03"))
    assert (account(given).available, account(given).frozen) == (0, 0)


def test_an_account_is_closed_when_nothing_is_left_on_it():
    given = saved()
    given.when(close()).then_refused("balance_not_settled")
    given.given(donation(300))
    waiting = given.when(visit("18:00", "19:00", evidence="backfilled"))
    given.when(close()).then_refused("balance_not_settled")
    given.given(verify(waiting.facts[0].record_id), donation(60))
    given.when(close()).then(AccountClosed)
    given.when(close()).then_refused("wrong_state")
    given.when(close(NOBODY)).then_refused("not_found")


def test_nothing_is_moved_to_or_from_a_closed_account():
    given = town().given(related("child", LI, ZHANG), visit(member_id=LI), close())
    given.when(visit(receipt="another")).then_refused("member_closed")
    given.when(gift(10, member_id=LI, to=ZHANG)).then_refused("member_closed")
    given.when(gift(10)).then_refused("member_closed")
    given.when(donation(10)).then_refused("member_closed")
    given.given(donation(50, member_id=LI))
    given.when(allocation(10, (available(ZHANG), 1))).then_refused("member_closed")
    record = given.when(visit("10:00", "11:00", member_id=LI)).then(HoursVerified)
    given.when(correct(record.record_id, member_id=ZHANG)).then_refused("member_closed")


def test_a_grant_to_an_account_that_was_closed_meanwhile_is_not_approved():
    given = town().given(policy("2026-01-01", grants={"elders": 1_000}))
    proposed = given.when(grant(600, (available(ZHANG), 1))).then(GrantProposed)
    given.given(close())
    given.when(approval(proposed.transfer_id)).then_refused("member_closed")


# --- the worked case -----------------------------------------------------------------------------


def test_zhang_s_year_of_double_entry():
    """DOMAIN, section 4, but for the reservation, which waits for redemptions."""
    given = town().given(policy("2025-01-01", expiry={"months": 1}), related())
    given.given(visit("08:00", "14:00", on="2026-02-09"))
    record = given.when(visit("08:00", "12:00", on="2026-03-02")).then(HoursVerified, credits=240)
    given.given(
        gift(180),
        donation(60),
        correct(record.record_id, start="08:00", end="11:00", on="2026-03-02"),
    )
    given.given(expire("2026-03-10"))
    assert account(given).available == 180
    assert account(given, LI).available == 180
    assert date.fromisoformat(account(given).lots.open[0].dated) == date(2026, 3, 2)
    totals: dict[str, int] = {}
    for fact in given.facts:
        for name, credits in getattr(fact, "entries", ()):
            totals[name] = totals.get(name, 0) + credits
    assert sum(totals.values()) == 0
    assert (totals["pool:donation"], totals["sink:expired"]) == (60, 120)
    assert totals["issue:service"] == -540
