"""Rewards and redemptions in the views: the same rows however the journal is cut into pages."""

from datetime import date

import pytest
from sqlalchemy import select

from ledger.databases import reading
from ledger.events import (
    Event,
    HoursReversed,
    RedemptionCancelled,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    RewardAdded,
    RewardRestocked,
    RewardWithdrawn,
)
from ledger.store import Store
from projections import kept_lots, passbook, redemptions, rewards, schema, solvency
from projections import views as loop
from projections.views import Views
from tests.projections.history import (
    LI,
    ZHANG,
    earned,
    field,
    number,
    then_reversed,
    verified,
    write,
)

FIRST, SECOND, THIRD = (number(n) for n in (901, 902, 903))
ON = "2026-03-01"
RECORD = 5  # Li's, of which the first redemption has paid a part


def available(member: str) -> str:
    return f"person:{member}:available"


def held(member: str) -> str:
    return f"person:{member}:held"


def about(redemption_id: str) -> dict[str, str]:
    return {
        "redemption_id": redemption_id,
        "member_id": ZHANG,
        "organisation": "org-a",
        "reward": "care" if redemption_id == FIRST else "rice",
    }


def reserved(redemption_id: str, credits: int, quantity: int) -> RedemptionReserved:
    counted = redemption_id != FIRST
    return RedemptionReserved(
        **about(redemption_id),
        kind="benefit" if counted else "peer_service",
        quantity=quantity,
        credits=credits,
        expires_on="2026-03-15",
        counted=counted or None,
        entries=((available(ZHANG), -credits), (held(ZHANG), credits)),
    )


def reversed_hours() -> HoursReversed:
    """Li's record, of which 70 were paid: these are held again, for the correction."""
    lines = [("issue:service", 20), (held(ZHANG), 70), (available(LI), -90)]
    return then_reversed(
        RECORD,
        LI,
        minutes=90,
        entries=lines,
        reverses=14,
        redemption_id=FIRST,
        paid_from_hold=-70,
        paid_at=13,
        paid_on=ON,
        on=ON,
        expires_on="2027-03-01",
    )


HISTORY: list[Event] = [
    *field(ZHANG, LI),  # to position 7
    verified(1, minutes=60, served_on="2026-02-20", expires_on="2026-03-20"),  # 8
    verified(2, minutes=90, served_on="2026-02-28"),  # 9
    RewardAdded(code="care", name="陪护", kind="peer_service", credits=50),  # 10
    RewardAdded(code="rice", name="大米", kind="benefit", credits=10, stock=9, min_age=60),  # 11
    reserved(FIRST, 100, 2),  # 12: 60 of the first lot, 40 of the second
    RedemptionFulfilled(
        **about(FIRST),
        credits=70,
        released=30,
        provider_id=LI,
        on=ON,
        entries=((held(ZHANG), -100), (available(LI), 70), (available(ZHANG), 30)),
    ),  # 13
    verified(RECORD, LI, entries=earned(LI, 20), redemption_id=FIRST, paid_from_hold=70),  # 14
    reserved(SECOND, 40, 4),  # 15
    RewardRestocked(code="rice", quantity=2),  # 16
    RedemptionCancelled(
        **about(SECOND),
        reason="临时有事",
        released=40,
        restocked=4,
        entries=((held(ZHANG), -40), (available(ZHANG), 40)),
    ),  # 17
    reserved(THIRD, 30, 3),  # 18
    reversed_hours(),  # 19
    RedemptionFulfilled(
        **about(FIRST),
        credits=45,
        released=25,
        provider_id=LI,
        on=ON,
        corrects=number(1_000 + RECORD),
        entries=((held(ZHANG), -70), (available(LI), 45), (available(ZHANG), 25)),
    ),  # 20
    RewardWithdrawn(code="rice", reason="停止合作"),  # 21
]
LOTS = [  # position, left, held
    (8, 0, 0),
    (9, 50, 30),
    (19, 25, 0),
]


@pytest.mark.parametrize("kept", [0, 50_000])
@pytest.mark.parametrize("page", [1, 2, 3, 5, 500])
def test_what_is_held_and_paid_does_not_hang_on_pages_nor_on_memory(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int, kept: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    monkeypatch.setattr(kept_lots, "KEPT_MAX", kept)
    views.prepare()  # what comes now is read on, not built
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        lots = schema.lots.c
        query = select(lots.position, lots.left, lots.held).join(
            schema.balances, schema.balances.c.id == lots.member
        )
        mine = query.where(schema.balances.c.member_id == ZHANG).order_by(lots.position)
        assert [tuple(row) for row in connection.execute(mine)] == LOTS
        holds = connection.execute(select(schema.hold_lots)).all()
        assert [(row.held_for, row.position, row.credits) for row in holds] == [(THIRD, 9, 30)]
        first = redemptions.redemption(connection, FIRST)
        assert first is not None
        assert {name: first[name] for name in ("status", "paid", "released", "provider_id")} == {
            "status": "fulfilled",
            "paid": 45,
            "released": 25,
            "provider_id": LI,
        }
        assert (first["record_id"], first["position"]) == (number(1_000 + RECORD), 20)
        second = redemptions.redemption(connection, SECOND)
        assert second is not None
        assert (second["status"], second["reason"], second["released"]) == (
            *("cancelled", "临时有事"),
            40,
        )
        rice = rewards.reward(connection, "rice")
        assert rice is not None
        assert (rice["stock"], rice["status"], rice["eligibility"]) == (
            *(8, "withdrawn"),
            {"min_age": 60},
        )
        found = passbook.balance(connection, ZHANG)
        assert found is not None
        assert found["credits"] == {"available": 75, "held": 30, "frozen": 0, "receivable": 0}
        figures = solvency.solvency(connection, date(2026, 3, 2))
        assert (figures["redeemed_peer_services"], figures["held"]) == (45, 30)
        assert sum(age["credits"] for age in figures["ages"]) == 75 + 30 + 45


def test_a_rebuild_makes_the_same_holds(store: Store, views: Views) -> None:
    write(store, HISTORY)
    views.catch_up()
    live = everything(views)
    views.rebuild()
    assert everything(views) == live


def everything(views: Views) -> list[list[tuple[object, ...]]]:
    tables = (schema.lots, schema.hold_lots, schema.redemptions, schema.rewards)
    with reading(views.engine) as connection:
        return [sorted(map(tuple, connection.execute(select(table)))) for table in tables]


def test_holds_are_due_from_their_date_on(store: Store, views: Views) -> None:
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        assert redemptions.due(connection, date(2026, 3, 14)) == []
        assert redemptions.due(connection, date(2026, 3, 15)) == [THIRD]
    back = ((held(ZHANG), -30), (available(ZHANG), 30))
    ended = RedemptionExpired(
        **about(THIRD), as_of="2026-03-15", released=30, restocked=3, entries=back
    )
    write(store, [ended])
    views.catch_up()
    with reading(views.engine) as connection:
        assert redemptions.due(connection, date(2026, 3, 15)) == []
        assert connection.execute(select(schema.hold_lots)).all() == []
        lines = passbook.lines(connection, ZHANG, limit=100).items
    assert [(line["kind"], line["credits"], line["changes"]["held"]) for line in lines] == [
        ("earn", 60, 0),
        ("earn", 90, 0),
        ("reserve", -100, 100),
        ("fulfil", 30, -100),
        ("reserve", -40, 40),
        ("cancel", 40, -40),
        ("reserve", -30, 30),
        ("reverse", 0, 70),
        ("fulfil", 25, -70),
        ("release", 30, -30),
    ]
    assert lines[-1]["ref"] == THIRD
