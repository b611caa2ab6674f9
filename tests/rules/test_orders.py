"""Needs and orders: the worked case of DOMAIN 6, each step, each refusal, what is paid once."""

from collections import Counter
from datetime import date, datetime, timedelta
from random import Random

import pytest

from ledger import commands
from ledger.events import (
    Entry,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    NeedAssessed,
    NeedRejected,
    NeedReported,
    NeedResolved,
    OrderAccepted,
    OrderCancelled,
    OrderCheckedIn,
    OrderClosed,
    OrderCompleted,
    OrderDecided,
    OrderDeclined,
    OrderDispatched,
    OrderDisputed,
    OrderPlaced,
    OrderRated,
    OrderSettled,
    OrderTimedOut,
    SubmittedHoursVerified,
)
from ledger.units import new_id
from ledger.what_if import WhatIf
from tests.rules.asked import ADMIN, correct, reject, reverse, verify
from tests.rules.test_careers import certified
from tests.rules.town import LI, NOW, OTHER, STAMP, ZHANG, Town, policy, shanghai, town, visit

WORKER = "019f0000-0000-7000-8000-00000000000c"
NOBODY = "019f0000-0000-7000-8000-0000000000ff"
DAY = "2026-03-09"


def at(clock: str | None, on: str = DAY) -> datetime | None:
    """A time of the day; None: now."""
    return None if clock is None else shanghai(f"{on} {clock}")


def report(clock: str = "09:00", **other: object) -> commands.ReportNeed:
    said = {**STAMP, "need_id": new_id(), "organisation": "org-a", "unit": "lake"}
    said |= {"category": "elderly", "reported_by": WORKER, "by_organisation": False}
    return commands.ReportNeed(**said | {"happened_at": at(clock)} | other)


def assess(need: str, clock: str = "10:30", **other: object) -> commands.AssessNeed:
    said = {**STAMP, "need_id": need, "organisation": "org-a", "assessor_id": WORKER}
    return commands.AssessNeed(**said | {"route": "volunteer", "happened_at": at(clock)} | other)


def resolve(need: str, **other: object) -> commands.ResolveNeed:
    said = {**STAMP, "need_id": need, "organisation": "org-a"} | other
    return commands.ResolveNeed(**said)


def turn_down(need: str, **other: object) -> commands.RejectNeed:
    said = {**STAMP, "need_id": need, "organisation": "org-a", "reason": "重复上报"} | other
    return commands.RejectNeed(**said)


def place(clock: str | None = "10:45", **other: object) -> commands.PlaceOrder:
    """An order for Zhang, from 14 to 16 on Monday."""
    said = {**STAMP, "order_id": new_id(), "organisation": "org-a", "recipient_id": ZHANG}
    said |= {"activity": "陪伴就医", "category": "elderly", "unit": "lake"}
    said |= {"responsible": "staff-7", "planned_from": at("14:00"), "planned_to": at("16:00")}
    return commands.PlaceOrder(**said | {"happened_at": at(clock)} | other)


def step(kind: type, order: str, clock: str | None, *, by: str = "org-a", **other: object):
    said = {**STAMP, "order_id": order, "organisation": by}
    return kind(**said | {"happened_at": at(clock)} | other)


def dispatch(order: str, clock: str | None = "11:00", **other: object):
    return step(commands.DispatchOrder, order, clock, **{"dispatched_to": "org-b"} | other)


def accept(order: str, clock: str | None = "11:20", **other: object):
    said = {"by": "org-b", "member_id": LI} | other
    return step(commands.AcceptOrder, order, clock, **said)


def check_in(order: str, clock: str | None = "14:00", **other: object):
    return step(commands.CheckInOrder, order, clock, **{"by": "org-b"} | other)


def check_out(order: str, clock: str | None = "15:40", **other: object):
    said = {"by": "org-b", "record_id": new_id()} | other
    return step(commands.CheckOutOrder, order, clock, **said)


def rate(order: str, stars: int = 5, clock: str | None = "18:00", **other: object):
    return step(commands.RateOrder, order, clock, stars=stars, **other)


def dispute(order: str, **other: object):
    return step(commands.DisputeOrder, order, "19:00", reason="未到场", **other)


def decide(order: str, outcome: str = "upheld", **other: object):
    said = {**OTHER, "order_id": order, "organisation": "org-a", "reason": "查实"}
    return commands.DecideOrder(**said | {"outcome": outcome} | other)


def time_out(order: str, as_of: datetime):
    return commands.TimeOutOrder(**STAMP, order_id=order, as_of=as_of)


def close(order: str, as_of: datetime):
    return commands.CloseOrder(**STAMP, order_id=order, as_of=as_of)


def parish() -> Town:
    """The town, with a social worker, and 180 credits of Zhang's."""
    return town().given(
        commands.RegisterMember(
            **STAMP,
            member_id=WORKER,
            organisation="org-a",
            roles=("social_worker", "grid_worker"),
            unit="lake",
        ),
        visit("09:00", "12:00", on="2026-03-06"),
    )


def dispatched(given: Town, **other: object) -> str:
    asked = place(**other)
    given.given(asked, dispatch(asked.order_id))
    return asked.order_id


def completed(given: Town, **other: object) -> str:
    """An order of 100 minutes, 120 held for it where nothing else is said."""
    order = dispatched(given, **{"hold_credits": 120} | other)
    given.given(accept(order), check_in(order), check_out(order))
    return order


def pockets(given: Town, member: str) -> tuple[int, int, int, int]:
    account = given.state(f"account:{member}")
    return account.available, account.held, account.frozen, account.receivable


def balanced(given: Town) -> None:
    """All lines sum to zero, and no account is where it may not be."""
    sums: Counter[str] = Counter()
    for fact in given.facts:
        lines = getattr(fact, "entries", ())
        assert sum(credits for _, credits in lines) == 0
        sums.update(dict(lines))
    for account, credits in sums.items():
        if account.startswith("person:") and not account.endswith(":receivable"):
            assert credits >= 0, account


# -- the worked case ------------------------------------------------------------------------------


def test_a_service_is_paid_once_out_of_what_was_held() -> None:
    given = parish()
    need = report()
    given.given(need)
    given.when(assess(need.need_id)).then(NeedAssessed, waited_minutes=90)
    asked = place(need_id=need.need_id, hold_credits=120)
    given.when(asked).then(OrderPlaced, hold_credits=120)
    assert pockets(given, ZHANG) == (60, 120, 0, 0)
    given.given(dispatch(asked.order_id))
    given.when(accept(asked.order_id)).then(OrderAccepted, waited_minutes=20)
    given.given(check_in(asked.order_id))
    issued = given.state("balance:issue:service").credits
    answered = given.when(check_out(asked.order_id))
    completed_, settled, verified = answered.facts
    assert isinstance(completed_, OrderCompleted)
    assert isinstance(settled, OrderSettled)
    assert (settled.credits, settled.released) == (100, 20)
    assert isinstance(verified, HoursVerified)
    assert (verified.minutes, verified.credits, verified.paid_from_hold) == (100, 100, 100)
    assert verified.entries == ()  # nothing is minted
    assert verified.receipt == f"order:{asked.order_id}"
    assert pockets(given, ZHANG) == (80, 0, 0, 0)
    assert pockets(given, LI) == (100, 0, 0, 0)
    assert given.state("balance:issue:service").credits == issued
    given.when(resolve(need.need_id)).then(NeedResolved)
    balanced(given)


def test_one_chain_runs_from_the_need_to_the_reversal() -> None:
    given = parish()
    need = report(correlation_id="from-the-grid")
    given.given(need, assess(need.need_id))
    order = completed(given, need_id=need.need_id)
    given.given(rate(order, 2), decide(order))
    chained = [fact for fact in given.facts if fact.correlation_id == "from-the-grid"]
    assert [type(fact).__name__ for fact in chained] == [
        *("NeedReported", "NeedAssessed", "OrderPlaced", "OrderDispatched", "OrderAccepted"),
        *("OrderCheckedIn", "OrderCompleted", "OrderSettled", "HoursVerified", "OrderRated"),
        *("OrderDisputed", "OrderDecided", "HoursReversed"),
    ]


# -- needs ----------------------------------------------------------------------------------------


def test_an_organisation_reports_for_itself() -> None:
    parish().when(report(reported_by="org-a", by_organisation=True)).then(NeedReported)


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        ({"reported_by": NOBODY}, "/reported_by"),
        ({"reported_by": "org-b", "by_organisation": True}, "/reported_by"),
        ({"unit": "moon"}, "/unit"),
        ({"organisation": "org-x"}, "/organisation"),
    ],
)
def test_a_need_names_what_is_there(other: dict[str, object], pointer: str) -> None:
    parish().when(report(**other)).then_refused("not_found", pointer)


def test_a_suspended_organisation_reports_nothing() -> None:
    given = parish().given(commands.SuspendOrganisation(**ADMIN, code="org-a", reason="核查"))
    given.when(report()).then_refused("organisation_suspended")


def test_only_a_social_worker_assesses() -> None:
    given = parish()
    need = report()
    given.given(need)
    given.when(assess(need.need_id, assessor_id=ZHANG)).then_refused("not_eligible")
    given.when(assess(need.need_id, assessor_id=NOBODY)).then_refused("not_found", "/assessor_id")
    given.when(assess(need.need_id, organisation="org-b")).then_refused("not_found")
    given.when(assess(need.need_id, "08:59")).then_refused("out_of_order")
    given.when(assess(need.need_id, happened_at=NOW + timedelta(seconds=1))).then_refused(
        "in_the_future"
    )
    given.given(assess(need.need_id))
    given.when(assess(need.need_id)).then_refused("wrong_state")


def test_a_need_is_resolved_when_something_was_ordered_or_it_was_referred() -> None:
    given = parish()
    need, other = report(), report()
    given.given(need, other, assess(need.need_id), assess(other.need_id, route="refer"))
    given.when(resolve(need.need_id)).then_refused("wrong_state")
    given.when(resolve(other.need_id)).then(NeedResolved)
    given.when(turn_down(other.need_id)).then_refused("wrong_state")
    given.when(turn_down(need.need_id)).then(NeedRejected)
    given.when(place(need_id=need.need_id)).then_refused("wrong_state")


def test_a_need_that_nobody_has_assessed_is_not_ordered_for() -> None:
    given = parish()
    need = report()
    given.given(need)
    given.when(place(need_id=need.need_id)).then_refused("wrong_state")


# -- placing, dispatching, accepting --------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "code", "pointer"),
    [
        ({"recipient_id": NOBODY}, "not_found", "/recipient_id"),
        ({"unit": "moon"}, "not_found", "/unit"),
        ({"need_id": NOBODY}, "not_found", "/need_id"),
        ({"supervisor_id": NOBODY}, "not_found", "/supervisor_id"),
        ({"project_id": NOBODY}, "not_found", "/project_id"),
        ({"hold_credits": 181}, "not_enough_credits", None),
        ({"organisation": "org-b", "hold_credits": 1}, "forbidden", None),
    ],
)
def test_an_order_is_refused(other: dict[str, object], code: str, pointer: str | None) -> None:
    parish().when(place(**other)).then_refused(code, pointer)


def test_another_organisation_orders_for_a_member_that_it_knows_without_their_credits() -> None:
    parish().when(place(organisation="org-b")).then(OrderPlaced, organisation="org-b")


def test_an_order_is_dispatched_again_after_a_decline_and_a_time_out() -> None:
    given = parish()
    order = dispatched(given)
    given.when(dispatch(order)).then_refused("wrong_state")
    given.when(step(commands.DeclineOrder, order, "11:10", by="org-b")).then(OrderDeclined)
    given.when(dispatch(order, "11:30")).then(OrderDispatched, accept_by="2026-03-09T05:30:00Z")
    given.when(time_out(order, at("13:29"))).then_nothing_new()
    given.when(time_out(order, at("13:30"))).then(OrderTimedOut, at="2026-03-09T05:30:00Z")
    given.when(time_out(order, at("13:31"))).then_nothing_new()
    given.when(accept(order, "13:40")).then_refused("wrong_state")
    given.when(dispatch(order, "13:40", dispatched_to="org-a")).then(OrderDispatched)
    given.when(accept(order, "13:45", by="org-b")).then_refused("not_found")
    given.when(accept(order, "13:45", by="org-a")).then(OrderAccepted, waited_minutes=5)
    given.when(accept(order, "13:50", by="org-a")).then_refused("wrong_state")


def test_a_time_out_asked_for_the_future_happens_now() -> None:
    given = parish()
    order = dispatched(given)
    given.given(step(commands.DeclineOrder, order, "11:10", by="org-b"), dispatch(order, None))
    given.when(time_out(order, NOW + timedelta(days=9))).then(
        OrderTimedOut, at="2026-03-10T04:00:00Z"
    )
    given.when(dispatch(order, None)).then(OrderDispatched)


def test_who_is_to_serve_does_not_dispatch_and_who_placed_it_does_not_accept() -> None:
    given = parish()
    order = dispatched(given)
    given.when(dispatch(order, by="org-b")).then_refused("forbidden")
    given.when(accept(order, by="org-a")).then_refused("forbidden")
    given.when(accept(order, by="org-c")).then_refused("not_found")
    given.when(accept(order, member_id=NOBODY)).then_refused("not_found", "/member_id")
    given.when(accept(order, member_id=ZHANG)).then_refused("to_oneself", "/member_id")
    given.when(dispatch(NOBODY)).then_refused("not_found")


def test_an_order_is_dispatched_to_an_organisation_that_is_there_and_active() -> None:
    given = parish()
    asked = place()
    given.given(asked)
    given.when(dispatch(asked.order_id, dispatched_to="org-x")).then_refused(
        "not_found", "/organisation"
    )
    given.given(commands.SuspendOrganisation(**ADMIN, code="org-b", reason="核查"))
    given.when(dispatch(asked.order_id)).then_refused("organisation_suspended")


def test_only_who_is_registered_at_the_level_accepts() -> None:
    given = parish()
    need = report()
    given.given(need, assess(need.need_id, certification_level="assistant"))
    order = dispatched(given, need_id=need.need_id)
    assert given.state(f"order:{order}").placed.certification_level == "assistant"
    given.when(accept(order)).then_refused("not_registered")
    certified(given, member_id=LI, registered="2026-03-10")
    given.when(accept(order)).then_refused("not_registered")  # from tomorrow
    certified(given, member_id=LI, registered="2026-03-09")
    given.when(accept(order)).then(OrderAccepted)
    given.given(check_in(order))
    *_, verified = given.ask(check_out(order))
    assert (verified.professional, verified.certified, verified.points) == (True, True, 1)
    higher = dispatched(given, certification_level="senior")
    given.when(accept(higher)).then_refused("not_registered")


# -- serving --------------------------------------------------------------------------------------


def test_a_late_check_in_is_not_punctual() -> None:
    given = parish()
    first, second = dispatched(given), dispatched(given)
    given.given(accept(first), accept(second))
    given.when(check_in(first, "14:10")).then(OrderCheckedIn, punctual=True)
    given.when(check_in(second, "14:11")).then(OrderCheckedIn, punctual=False)


def test_nobody_checks_out_before_the_check_in() -> None:
    given = parish()
    order = dispatched(given)
    given.given(accept(order))
    given.when(check_out(order)).then_refused("wrong_state")
    given.given(check_in(order))
    given.when(check_out(order, "13:59")).then_refused("out_of_order")
    given.when(check_out(order, "14:00")).then_refused("less_than_a_minute", "/at")
    given.when(rate(order)).then_refused("wrong_state")
    given.given(check_out(order))
    given.when(check_out(order)).then_refused("wrong_state")


def test_a_service_is_no_longer_than_a_day() -> None:
    given = parish()
    given.at = NOW + timedelta(days=2)
    order = dispatched(given)
    given.given(accept(order), check_in(order))
    given.when(check_out(order, happened_at=at("14:01", "2026-03-10"))).then_refused(
        "longer_than_a_day", "/at"
    )


def test_what_the_hold_does_not_pay_is_minted() -> None:
    given = parish()
    order = dispatched(given, hold_credits=40)
    given.given(accept(order), check_in(order))
    _, settled, verified = given.ask(check_out(order))
    assert (settled.credits, settled.released) == (40, None)
    assert (verified.credits, verified.paid_from_hold) == (100, 40)
    assert dict(verified.entries)["issue:service"] == -60
    balanced(given)


def test_the_cap_of_the_day_leaves_the_rest_to_the_recipient() -> None:
    given = parish().given(policy("2026-01-01", daily_cap=30))
    order = dispatched(given, hold_credits=60)
    given.given(accept(order), check_in(order))
    _, settled, verified = given.ask(check_out(order))
    assert (settled.credits, settled.released) == (30, 30)
    assert (verified.credits, verified.capped, verified.minutes) == (30, 70, 100)


def test_a_receivable_is_repaid_out_of_what_was_held_first() -> None:
    given = parish()
    earned = visit("09:00", "10:30", on="2026-03-05", by="org-b", member_id=LI)
    given.given(earned)
    gift = commands.DonateCredits(
        **STAMP,
        transfer_id=new_id(),
        member_id=LI,
        organisation="org-a",
        to="pool:donation",
        credits=90,
        reason="捐",
    )
    given.given(gift, reverse(earned.record_id, organisation="org-b"))
    assert pockets(given, LI) == (0, 0, 0, 90)
    completed(given)
    assert pockets(given, LI) == (10, 0, 0, 0)
    balanced(given)


def test_at_g3_the_hold_waits_for_the_second_person() -> None:
    given = parish().given(
        commands.OverrideGrade(
            **ADMIN,
            subject="organisation:org-b",
            grade="G3",
            reason="抽查",
            until=at("12:00", "2026-12-31").date(),
        )
    )
    order = dispatched(given, hold_credits=120)
    given.given(accept(order), check_in(order))
    asked = check_out(order)
    done, submitted = given.ask(asked)
    assert isinstance(done, OrderCompleted)
    assert isinstance(submitted, HoursSubmitted)
    assert pockets(given, ZHANG) == (60, 120, 0, 0)
    second = completed(given, planned_from=at("14:00"), hold_credits=60)
    given.when(verify(asked.record_id, organisation="org-b")).then_both(
        (OrderSettled, {"credits": 100, "released": 20}),
        (SubmittedHoursVerified, {"credits": 100, "paid_from_hold": 100}),
    )
    record = given.state(f"order:{second}").record_id
    given.when(reject(record, organisation="org-b")).then_both(
        (OrderSettled, {"credits": 0, "released": 60}), (HoursRejected, {})
    )
    assert pockets(given, ZHANG) == (80, 0, 0, 0)
    assert pockets(given, LI) == (100, 0, 0, 0)
    balanced(given)


def test_nobody_posts_under_an_orders_receipt() -> None:
    given = parish()
    order = completed(given)
    given.when(visit("16:00", "17:00", by="org-b", receipt=f"order:{order}")).then_refused(
        "receipt_reused"
    )
    given.when(visit("16:00", "17:00", receipt=f"order:{order}")).then_refused("receipt_reserved")


def test_an_order_in_a_post_is_a_reference_only() -> None:
    given = parish()
    order = dispatched(given, hold_credits=120)
    given.when(visit("09:00", "10:00", order_id=order)).then(
        HoursVerified, order_id=order, paid_from_hold=None
    )
    assert pockets(given, ZHANG) == (120, 120, 0, 0)
    given.when(visit("10:00", "11:00", order_id=NOBODY)).then_refused("not_found", "/order_id")


# -- cancelling, rating, disputes -----------------------------------------------------------------


def test_a_cancelled_order_gives_back_what_was_held() -> None:
    given = parish()
    order = dispatched(given, hold_credits=120)
    cancel = step(commands.CancelOrder, order, "12:00", reason="临时有事")
    given.when(step(commands.CancelOrder, order, "12:00", by="org-b", reason="忙")).then_refused(
        "forbidden"
    )
    given.when(cancel).then(OrderCancelled, released=120)
    assert pockets(given, ZHANG) == (180, 0, 0, 0)
    given.when(cancel).then_refused("wrong_state")


def test_an_order_in_service_is_not_cancelled() -> None:
    given = parish()
    order = dispatched(given)
    given.given(accept(order), check_in(order))
    given.when(step(commands.CancelOrder, order, "15:00", reason="忙")).then_refused("wrong_state")


def test_seven_days_after_a_good_rating_the_order_is_closed() -> None:
    given = parish()
    order = completed(given)
    given.when(rate(order, 4)).then(OrderRated, stars=4, member_id=LI)
    given.when(rate(order, 4)).then_refused("wrong_state")
    given.when(close(order, at("17:59", "2026-03-16"))).then_nothing_new()
    given.when(close(order, at("18:00", "2026-03-16"))).then(OrderClosed)
    given.when(dispute(order)).then_refused("wrong_state")


def test_a_low_rating_opens_a_dispute_that_freezes_what_was_earned() -> None:
    given = parish()
    order = completed(given)
    given.when(rate(order, 2)).then_both(
        (OrderRated, {"stars": 2}), (OrderDisputed, {"by_rating": True, "credits": 100})
    )
    assert pockets(given, LI) == (0, 0, 100, 0)
    given.when(commands.UnfreezeCredits(**ADMIN, member_id=LI, credits=None)).then_refused(
        "not_enough_credits"
    )
    given.when(decide(order, actor="key00001", actor_name="Wang")).then_refused(
        "second_person_needed"
    )
    given.when(decide(order, actor_member=LI)).then_refused("own_hours")
    decided, undone = given.ask(decide(order))
    assert isinstance(decided, OrderDecided)
    assert isinstance(undone, HoursReversed)
    assert undone.for_cause is None  # the dispute counts for itself
    assert pockets(given, ZHANG) == (180, 0, 0, 0)
    assert pockets(given, LI) == (0, 0, 0, 0)
    assert given.state(f"account:{LI}").minutes == 0
    given.when(decide(order)).then_refused("wrong_state")
    balanced(given)


def test_a_dismissed_dispute_changes_nothing() -> None:
    given = parish()
    order = completed(given)
    given.given(rate(order, 5))
    given.when(dispute(order)).then(OrderDisputed, credits=100)
    given.when(decide(order, "dismissed")).then(OrderDecided, outcome="dismissed")
    assert pockets(given, LI) == (100, 0, 0, 0)
    assert given.state(f"order:{order}").status == "closed"


def test_a_dispute_freezes_what_the_service_was_worth_and_its_own_lots_first() -> None:
    given = parish().given(visit("09:00", "12:00", on="2026-03-05", by="org-b", member_id=LI))
    order = completed(given)
    given.given(dispute(order))
    assert pockets(given, LI) == (180, 0, 100, 0)
    account = given.state(f"account:{LI}")
    assert [lot.dated for lot in account.lots.open] == ["2026-03-05"]
    assert [lot.dated for lot in account.disputed[order].open] == ["2026-03-10"]  # as it was paid
    given.given(decide(order, "dismissed"))
    assert [lot.left for lot in account.lots.open] == [180, 100]


def test_what_is_spent_already_is_not_frozen_and_is_owed_in_the_end() -> None:
    given = parish()
    order = completed(given)
    spent = commands.DonateCredits(
        **STAMP,
        transfer_id=new_id(),
        member_id=LI,
        organisation="org-a",
        to="pool:donation",
        credits=70,
        reason="捐",
    )
    given.given(spent)
    given.when(dispute(order)).then(OrderDisputed, credits=30)
    given.given(decide(order))
    assert pockets(given, LI) == (0, 0, 0, 70)
    assert pockets(given, ZHANG) == (180, 0, 0, 0)
    balanced(given)


def test_while_a_dispute_is_open_the_record_stands_as_it_is() -> None:
    given = parish()
    order = completed(given)
    record = given.state(f"order:{order}").record_id
    given.given(dispute(order))
    given.when(reverse(record, organisation="org-b")).then_refused("wrong_state")
    given.when(correct(record, organisation="org-b", end="15:00")).then_refused("wrong_state")


def test_a_dispute_about_a_record_that_waits_rejects_it() -> None:
    given = parish()
    order = dispatched(given, hold_credits=120)
    given.given(accept(order), check_in(order))
    given.given(check_out(order, actor_member=LI))  # posted by the very person
    record = given.state(f"order:{order}").record_id
    given.when(dispute(order)).then(OrderDisputed, credits=None)
    given.when(verify(record, organisation="org-b")).then_refused("wrong_state")
    given.when(reject(record, organisation="org-b")).then_refused("wrong_state")
    assert [type(fact) for fact in given.ask(decide(order))] == [
        *(OrderDecided, OrderSettled, HoursRejected)
    ]
    assert pockets(given, ZHANG) == (180, 0, 0, 0)


def test_a_record_that_was_reversed_before_is_not_reversed_again() -> None:
    given = parish()
    order = completed(given)
    record = given.state(f"order:{order}").record_id
    given.when(reverse(record, organisation="org-b")).then(HoursReversed, paid_from_hold=-100)
    assert pockets(given, ZHANG) == (180, 0, 0, 0)
    given.given(dispute(order))
    given.when(decide(order)).then(OrderDecided)


def test_only_who_is_concerned_rates_and_disputes() -> None:
    given = parish()
    order = completed(given)
    given.when(rate(order, by="org-b")).then_refused("forbidden")
    given.when(rate(order, by="org-c")).then_refused("not_found")
    given.when(rate(order, by=None, actor_member=LI)).then_refused("own_hours")
    given.when(rate(order, by=None, actor_member=WORKER)).then_refused("not_found")
    given.when(dispute(order, by="org-b", actor_member=LI)).then_refused("own_hours")
    given.when(rate(order, by=None, actor_member=ZHANG)).then(OrderRated)
    given.when(dispute(order, by="org-b")).then(OrderDisputed)


def test_a_decision_in_a_closed_month_is_an_administrators() -> None:
    given = parish()
    order = completed(given)
    given.given(dispute(order))
    given.at = NOW + timedelta(days=30)
    given.given(commands.ClosePeriod(**ADMIN, month="2026-03"))
    given.when(decide(order)).then_refused("period_closed")
    _, undone = given.ask(decide(order, **ADMIN, organisation=None))
    assert undone.after_close


def test_a_corrected_record_takes_the_payment_again_first() -> None:
    given = parish()
    order = completed(given)
    record = given.state(f"order:{order}").record_id
    asked = correct(record, organisation="org-b", end="15:00")
    undone, paid, verified = given.ask(asked)
    assert isinstance(undone, HoursReversed)
    assert isinstance(paid, OrderSettled)
    assert (paid.credits, paid.released, paid.corrects) == (60, 40, record)
    assert (verified.minutes, verified.paid_from_hold, verified.entries) == (60, 60, ())
    assert pockets(given, ZHANG) == (120, 0, 0, 0)
    assert pockets(given, LI) == (60, 0, 0, 0)
    assert given.state(f"order:{order}").record_id == asked.replacement_id
    given.given(dispute(order))
    given.given(decide(order))
    assert pockets(given, ZHANG) == (180, 0, 0, 0)
    assert pockets(given, LI) == (0, 0, 0, 0)
    for other in ({"order_id": None}, {"member_id": ZHANG}):
        again = completed(given)
        record = given.state(f"order:{again}").record_id
        given.when(correct(record, organisation="org-b", **other)).then_refused("wrong_state")
        given.given(reverse(record, organisation="org-b"))
    balanced(given)


# -- whatever is asked, in whatever order ---------------------------------------------------------


def anything(rng: Random, given: Town, orders: list[str]) -> commands.Command:
    """Something that somebody may ask next; mostly it is not the time for it."""
    order = rng.choice(orders[-2:]) if orders else NOBODY
    stands = given.state(f"order:{order}")
    record = stands.record_id or NOBODY
    member = rng.choice([LI, LI, WORKER])
    number = rng.randint(0, 15)
    if rng.random() < 0.6:
        number = NEXT.get(stands.status, number)
    match number:
        case 0 | 1:
            asked = place(None, hold_credits=rng.choice([0, 20, 50]), **_hour(given))
            orders.append(asked.order_id)
            return asked
        case 2:
            return dispatch(order, None)
        case 3:
            return accept(order, None, member_id=member)
        case 4:
            return check_in(order, None)
        case 5 | 6:
            given.at += timedelta(minutes=rng.randint(1, 70))
            waits = {"actor_member": stands.member_id} if rng.random() < 0.3 else {}
            return check_out(order, None, **waits)
        case 7:
            return rate(order, rng.randint(1, 5), None)
        case 8:
            return step(commands.DisputeOrder, order, None, reason="未到场")
        case 9 | 10:
            return decide(order, rng.choice(["upheld", "dismissed"]))
        case 11:
            return verify(record, organisation="org-b")
        case 12:
            return rng.choice([reject, reverse])(record, organisation="org-b")
        case 13:
            end = given.at - timedelta(minutes=rng.randint(0, 30))
            said = {**OTHER, "record_id": record, "organisation": "org-b", "reason": "有误"}
            return commands.CorrectHours(
                **said, replacement_id=new_id(), corrected={"ended_at": end}
            )
        case 14:
            return step(commands.CancelOrder, order, None, reason="有事")
        case _:
            spent = {"member_id": rng.choice([LI, ZHANG]), "organisation": "org-a"}
            return commands.DonateCredits(
                **STAMP,
                transfer_id=new_id(),
                to="pool:donation",
                credits=rng.randint(1, 60),
                reason="捐",
                **spent,
            )


NEXT = {
    **{"placed": 2, "declined": 2, "timed_out": 2, "dispatched": 3, "accepted": 4},
    **{"in_service": 5, "completed": 7, "disputed": 9, "closed": 0, "cancelled": 0},
}
"""The state of an order -> the number of what is mostly asked then."""


def _hour(given: Town) -> dict[str, object]:
    return {"planned_from": given.at, "planned_to": given.at + timedelta(hours=1)}


@pytest.mark.parametrize("seed", range(60))
def test_credits_come_from_somewhere_and_go_nowhere_twice(seed: int) -> None:
    rng, given, orders = Random(seed), parish(), list[str]()  # noqa: S311  (a story, no secret)
    given.given(
        commands.JoinMember(**STAMP, member_id=WORKER, organisation="org-b", consent_ref="c-1")
    )
    given.given(policy("2026-01-01", daily_cap=rng.choice([40, 100_000]), expiry={"months": 12}))
    for _ in range(80):
        given.at += timedelta(minutes=rng.randint(0, 5))
        given.when(anything(rng, given, orders))
    balanced(given)
    same_again = WhatIf({}, date(2020, 1, 1), date(2030, 1, 1))
    same_again.tell(
        Entry(position, fact.stream, 0, type(fact).__name__, fact)
        for position, fact in enumerate(given.facts, 1)
    )
    assert same_again.total.difference == 0
    for member in (ZHANG, LI, WORKER):
        account = given.state(f"account:{member}")
        assert sum(lot.left for lot in account.lots.open) == account.available
        frozen = [account.frozen_lots, *account.disputed.values()]
        assert sum(lot.left for lots in frozen for lot in lots.open) == account.frozen
        held = sum(lot.left for lots in account.holds.values() for lot in lots.open)
        assert held == account.held
        lines = Counter[str]()
        for fact in given.facts:
            lines.update(dict(getattr(fact, "entries", ())))
        mine = [lines[f"person:{member}:{name}"] for name in ("available", "held", "frozen")]
        assert pockets(given, member) == (*mine, -lines[f"person:{member}:receivable"])
    for order in orders:
        stands = given.state(f"order:{order}")
        if stands.placed is None:
            continue
        record = given.state(f"record:{stands.record_id}") if stands.record_id else None
        if record is not None and record.status == "verified":
            assert (record.figures.paid_from_hold or 0) == stands.paid
            assert stands.held == 0
        elif record is None or record.status != "submitted":
            assert stands.paid == 0
        if stands.status in ("cancelled", "closed") and record is None:
            assert stands.held == 0


def test_a_dispute_that_is_upheld_supersedes_the_statement_that_counted_the_service() -> None:
    given = parish()
    order = completed(given)
    record = given.state(f"order:{order}")
    asked = commands.IssueStatement(
        **STAMP,
        number="ST-1",
        code_digest="d",
        member_id=record.member_id,
        organisation="org-b",
        first=date(2026, 1, 1),
        last=date(2026, 12, 31),
    )
    given.given(asked, dispute(order))
    assert given.state("statement:ST-1").status == "valid"
    given.given(decide(order))
    assert given.state("statement:ST-1").status == "superseded"
