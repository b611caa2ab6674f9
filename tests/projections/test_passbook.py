"""The passbook and the balances: events in, rows out, as of a position, an instant, a date."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.databases import reading
from ledger.events import EVENT_TYPES, CreditsFrozen, HoursVerified, PolicyPublished
from ledger.store import Store
from projections import passbook
from projections.views import Views
from tests.projections.history import (
    FIRST,
    LI,
    ZHANG,
    another_ledger,
    facts_of,
    field,
    number,
    submitted,
    then_rejected,
    then_verified,
    verified,
    write,
)
from tests.rounds import rounds

FIELD = len(field(ZHANG, LI))


def balance(views: Views, member: str = ZHANG, **asked: Any) -> dict[str, Any]:
    with reading(views.engine) as connection:
        found = passbook.balance(connection, member, **asked)
    assert found is not None
    return found


def lines(views: Views, member: str = ZHANG, **asked: Any) -> list[dict[str, Any]]:
    with reading(views.engine) as connection:
        return passbook.lines(connection, member, **asked).items


def test_a_balance_says_everything_that_the_contract_names(store: Store, views: Views) -> None:
    write(store, [*field(ZHANG, LI), verified(1, minutes=100)])
    views.catch_up()
    assert balance(views) == {
        "member_id": ZHANG,
        "position": FIELD + 1,
        "as_of": facts_of(store)[-1].event.recorded_at,
        "service_minutes": 100,
        "credits": {"available": 100, "held": 0, "frozen": 0, "receivable": 0},
        "coins": "1.66",
        "points": 0,
        "tier": None,
        "stars": 0,
        "grade": "UNGRADED",
        "registration": None,
    }


def test_a_member_who_has_done_nothing_yet_has_an_empty_account(store: Store, views: Views) -> None:
    write(store, field(ZHANG, LI))
    views.catch_up()
    assert balance(views, LI)["credits"]["available"] == 0
    assert balance(views, LI)["service_minutes"] == 0
    assert lines(views, LI) == []


def test_nobody_has_no_balance(store: Store, views: Views) -> None:
    write(store, field(ZHANG))
    views.catch_up()
    with reading(views.engine) as connection:
        assert passbook.balance(connection, number(77)) is None
        assert passbook.lines(connection, number(77)).items == []


def test_only_what_changes_the_account_makes_a_line(store: Store, views: Views) -> None:
    write(
        store,
        [
            *field(ZHANG, LI),
            submitted(1),
            submitted(2),
            then_rejected(1),
            then_verified(2, minutes=45),
            verified(3, minutes=0, credits=0, capacity="on_duty", duty_minutes=90),
        ],
    )
    views.catch_up()
    found = lines(views)
    assert [(line["position"] - FIELD, line["minutes"], line["ref"]) for line in found] == [
        (4, 45, "R-2"),
        (5, 0, "R-3"),
    ]
    assert found[0] == {
        "position": FIELD + 4,
        "recorded_at": facts_of(store)[-2].event.recorded_at,
        "served_on": "2026-02-28",
        "kind": "earn",
        "credits": 45,
        "minutes": 45,
        "points": 0,
        "balance_after": 45,
        "ref": "R-2",
        "organisation": "org-a",
        "record_id": number(1_002),
        "changes": {"available": 45, "held": 0, "frozen": 0, "receivable": 0},
        "after": {
            "available": 45,
            "held": 0,
            "frozen": 0,
            "receivable": 0,
            "service_minutes": 45,
            "points": 0,
        },
    }


def test_an_event_that_moves_the_credits_of_two_makes_a_line_for_each(
    store: Store, views: Views
) -> None:
    from_hold = [
        (f"person:{LI}:held", -60),
        (f"person:{ZHANG}:available", 80),
        ("issue:service", -20),
    ]
    owed = [(f"person:{LI}:held", 60), (f"person:{LI}:receivable", -60)]
    write(
        store,
        [
            *field(ZHANG, LI),
            verified(1, LI, minutes=5, points=3, entries=owed),
            verified(2, minutes=80, paid_from_hold=60, entries=from_hold),
        ],
    )
    views.catch_up()
    assert balance(views, LI, position=FIELD + 1)["credits"] == {
        "available": 0,
        "held": 60,
        "frozen": 0,
        "receivable": 60,
    }
    assert balance(views, LI)["credits"]["held"] == 0
    assert balance(views, LI)["points"] == 3
    assert balance(views, LI)["service_minutes"] == 5
    assert balance(views)["credits"]["available"] == 80
    assert [line["changes"]["held"] for line in lines(views, LI)] == [60, -60]


def test_what_is_no_service_has_the_date_of_its_recording_in_the_zone_then_in_force(
    store: Store, views: Views
) -> None:
    def move(n: int) -> CreditsFrozen:
        lines = ((f"person:{ZHANG}:available", -1), (f"person:{ZHANG}:frozen", 1))
        at = f"2026-03-0{n}T17:00:00.000000Z"
        return CreditsFrozen(
            member_id=ZHANG, credits=1, reason="核查", entries=lines, recorded_at=at
        )

    lima = PolicyPublished(version=2, effective_on="2026-03-01", changes={"zone": "America/Lima"})
    lima = replace(lima, recorded_at="2026-03-02T18:00:00.000000Z")
    earned = verified(1, recorded_at="2026-03-01T04:00:00.000000Z")
    write(store, [*field(ZHANG), earned, move(1), move(2), lima, move(3)])
    views.catch_up()
    write(store, [move(4)])
    Views(store, views.engine).catch_up()  # which knows of the policy from the views alone
    days = [line["served_on"] for line in lines(views)[1:]]
    assert days == ["2026-03-02", "2026-03-03", "2026-03-03", "2026-03-04"]


def test_an_organisation_sees_its_own_lines_page_by_page(store: Store, views: Views) -> None:
    posted = [verified(n, organisation="org-b" if n % 3 else "org-a") for n in range(1, 10)]
    write(store, [*field(ZHANG), *posted])
    views.catch_up()
    seen: list[str] = []
    after: int | None = 0
    with reading(views.engine) as connection:
        while after is not None:
            page = passbook.lines(connection, ZHANG, after, 2, organisation="org-b")
            seen += [line["ref"] for line in page.items]
            after = page.next
    assert seen == [f"R-{n}" for n in range(1, 10) if n % 3]


@pytest.mark.parametrize(
    ("credits", "said"),
    [(0, "0.00"), (60, "1.00"), (61, "1.01"), (59, "0.98"), (-1, "-0.02"), (-90, "-1.50")],
)
def test_coins_are_floored_to_two_decimals(credits: int, said: str) -> None:
    assert passbook.coins(credits) == said


def test_stars_are_the_thresholds_reached(store: Store, views: Views) -> None:
    write(store, [*field(ZHANG), verified(1, minutes=5_999), verified(2, minutes=1)])
    views.catch_up()
    assert balance(views, position=views.position - 1)["stars"] == 0
    assert balance(views)["stars"] == 1


def test_stars_go_by_the_policy_of_the_date_that_is_asked_for(store: Store, views: Views) -> None:
    def stars_from(effective_on: str, version: int, *stars: int) -> PolicyPublished:
        changes = {"stars": list(stars)}
        return PolicyPublished(version=version, effective_on=effective_on, changes=changes)

    write(
        store,
        [
            *field(ZHANG),
            verified(1, minutes=100),
            stars_from("2026-03-01", 2, 100),
            stars_from("2026-02-01", 3, 50, 100),
            stars_from("9000-01-01", 4, 1, 2, 3),
        ],
    )
    views.catch_up()
    last = views.position
    assert balance(views)["stars"] == 1
    assert balance(views, served_until=date(2026, 2, 28))["stars"] == 2
    assert balance(views, served_until=date(2026, 3, 1))["stars"] == 1
    assert balance(views, served_until=date(9000, 1, 1))["stars"] == 3
    assert balance(views, as_of=datetime(9000, 1, 1, tzinfo=UTC))["stars"] == 3
    assert balance(views, position=last)["stars"] == 1
    known_before = balance(views, position=last - 2, served_until=date(2026, 2, 28))
    assert known_before["stars"] == 0
    assert balance(views, position=last - 3)["stars"] == 0
    assert balance(views, position=0)["stars"] == 0


def test_the_day_of_a_star_is_that_of_the_zone(store: Store, views: Views) -> None:
    stars = {"stars": [1]}
    published = PolicyPublished(version=2, effective_on="2027-01-01", changes=stars)
    write(store, [*field(ZHANG), verified(1, minutes=100), published])
    views.catch_up()
    in_shanghai = datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert balance(views, as_of=in_shanghai)["stars"] == 1
    assert balance(views, as_of=in_shanghai - timedelta(seconds=1))["stars"] == 0


def test_every_event_with_lines_has_a_kind() -> None:
    moving = {
        name
        for name, event in EVENT_TYPES.items()
        if {"entries", "points"} & set(event.__struct_fields__)
    }
    assert moving == set(passbook.KINDS)


DAYS = [f"2026-02-{day:02}" for day in (1, 2, 3, 4)]
POSTED = st.tuples(st.sampled_from([ZHANG, LI]), st.integers(1, 500), st.sampled_from(DAYS))
POSITIONS = st.none() | st.integers(0, 20)


@settings(
    max_examples=rounds(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    posted=st.lists(POSTED, max_size=12),
    position=POSITIONS,
    hours=POSITIONS,
    served_until=st.none() | st.sampled_from(["2026-01-31", *DAYS]),
)
def test_any_balance_in_two_times_is_the_sum_of_the_facts(
    database_url: str,
    posted: list[tuple[str, int, str]],
    position: int | None,
    hours: int | None,
    served_until: str | None,
) -> None:
    as_of = None if hours is None else FIRST + timedelta(hours=hours, minutes=30)
    with another_ledger(database_url) as views:
        facts = [verified(n, who, minutes, on) for n, (who, minutes, on) in enumerate(posted)]
        write(views.store, [*field(ZHANG, LI), *facts])
        views.catch_up()
        found = balance(
            views,
            position=position,
            as_of=as_of,
            served_until=None if served_until is None else date.fromisoformat(served_until),
        )
        counted = [
            entry.event.minutes
            for entry in facts_of(views.store)
            if isinstance(entry.event, HoursVerified)
            and entry.event.member_id == ZHANG
            and (position is None or entry.position <= position)
            and (as_of is None or datetime.fromisoformat(entry.event.recorded_at) <= as_of)
            and (served_until is None or entry.event.served_on <= served_until)
        ]
    assert found["service_minutes"] == sum(counted)
    assert found["credits"]["available"] == sum(counted)
