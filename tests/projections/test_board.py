"""The board as of any past date equals a count by hand over what was recorded by then."""

from datetime import date, timedelta
from random import Random
from typing import Any

import orjson
import pytest
from msgspec.structs import replace
from sqlalchemy import select

from ledger import commands
from ledger.databases import reading
from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementSubmitted,
    AgreementAmended,
    AgreementSigned,
    CertificationSubmitted,
    CertificationVerified,
    Event,
    MemberRegistered,
    OrderCompleted,
    OrderPlaced,
    OrderRated,
    OrganisationAdded,
    ProjectAdvanced,
    ProjectBegun,
    UnitAdded,
    encode,
)
from ledger.store import Store
from ledger.units import Refused, instant, new_id
from projections import board, kept_rows, schema
from projections import views as loop
from projections.replay import replay
from projections.solvency import solvency
from projections.views import Views
from tests.projections.history import number, write
from tests.recount import differences
from tests.rounds import rounds
from tests.rules.asked import reverse
from tests.rules.test_careers import approve, certified, did, put_to_use, revoke
from tests.rules.test_orders import accept, check_in, check_out, decide, dispatch, place, rate
from tests.rules.town import LI, NOW, OTHER, STAMP, ZHANG, Town, policy, town, visit

DAYS = 30


def quarter(seed: int) -> list[Event]:
    """A month of a town's life, recorded as it went: whatever is refused did not happen."""
    rng = Random(seed)  # noqa: S311  (a story, no secret)
    given = town(NOW - timedelta(days=DAYS))
    worker, records, certificates = new_id(), [], []
    given.given(
        commands.AddUnit(**STAMP, code="hill", name="山街", level="street", parent="west"),
        commands.RegisterMember(
            **STAMP,
            member_id=worker,
            organisation="org-a",
            roles=("community_worker", "social_worker"),
            unit="lake",
        ),
        policy("2026-01-01", daily_cap=200),
    )

    def attempt(*asked: commands.Command) -> None:
        for command in asked:
            try:
                given.ask(command)
            except Refused:
                return

    for gone in range(DAYS):
        given.at = NOW - timedelta(days=DAYS - gone, hours=rng.randint(0, 20))
        day = (given.at - timedelta(days=rng.randint(1, 25))).date().isoformat()
        start = rng.randint(6, 18)
        post = visit(
            f"{start:02}:00",
            f"{start + rng.randint(1, 5):02}:30",
            on=day,
            member_id=rng.choice([ZHANG, LI]),
            place=rng.choice(["lake", "hill"]),
            evidence=rng.choice(["attested", "attested", "backfilled"]),
        )
        records.append(post.record_id)
        attempt(post)
        attempt(commands.VerifyHours(**OTHER, record_id=rng.choice(records), organisation="org-a"))
        match rng.randint(0, 9):
            case 0:
                attempt(reverse(rng.choice(records)))
            case 1:
                unit, who = rng.choice(["lake", "hill"]), rng.choice([ZHANG, LI, worker])
                roles = rng.choice([(), ("community_worker",), ("volunteer",)])
                attempt(
                    commands.ChangeMember(
                        **STAMP, member_id=who, organisation="org-a", roles=roles, unit=unit
                    )
                )
            case 2:
                id = certified(
                    given, member_id=rng.choice([worker, ZHANG]), registered="2025-09-01"
                )
                certificates.append(id)
            case 3 if certificates:
                attempt(revoke(certificates.pop(), "2026-02-20"))
            case 4:
                asked = did(rng.choice(["training", "lecture"]), "2025-09-01", hours=3)
                attempt(asked, approve(asked.achievement_id))
                if rng.random() < 0.5:
                    attempt(
                        put_to_use(asked.achievement_id, rng.choice(["2025-10-01", "2026-02-08"]))
                    )
            case 5 | 6 | 7:
                order = place(None, hold_credits=rng.choice([0, 30]), **_planned(given))
                id = order.order_id
                attempt(order, dispatch(id, None))
                if rng.random() < 0.3:
                    attempt(_step(commands.DeclineOrder, id))
                    continue
                attempt(accept(id, None))
                begun = check_in(id, None)
                attempt(begun)
                given.at += timedelta(minutes=rng.randint(5, 90))
                attempt(check_out(id, None), rate(id, rng.randint(1, 5), None))
                if rng.random() < 0.5:
                    attempt(decide(id, rng.choice(["upheld", "dismissed"])))
            case _:
                spent = {"member_id": ZHANG, "organisation": "org-a", "credits": 20}
                attempt(
                    commands.DonateCredits(
                        **STAMP, transfer_id=new_id(), to="pool:donation", reason="捐", **spent
                    )
                )
    return [replace(fact) for fact in given.facts]


def _planned(given: Town) -> dict[str, Any]:
    return {"planned_from": given.at, "planned_to": given.at + timedelta(hours=1)}


def _step(kind: type, order: str) -> Any:
    return kind(**STAMP, order_id=order, organisation="org-b", reason="忙")


@pytest.mark.parametrize("seed", range(rounds(3)))
@pytest.mark.parametrize("page", [1, 500])
def test_the_board_of_each_day_is_what_its_events_come_to(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, seed: int, page: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    monkeypatch.setattr(kept_rows, "KEPT_MAX", 3)
    facts = quarter(seed)
    views.prepare()
    write(store, facts)
    views.catch_up()
    events = [
        {"type": type(fact).__name__, "position": at, "data": orjson.loads(encode(fact))}
        for at, fact in enumerate(facts, 1)
    ]
    first = instant(facts[0].recorded_at).date()
    with reading(views.engine) as connection:
        for after in range(0, DAYS + 3, 4):
            day = first + timedelta(days=after)
            until = board.position_at(connection, day)
            for unit in (None, "west", "lake", "hill"):
                found = board.read(connection, list(board.KPIS), unit, day)
                if found is None:
                    assert unit == "hill" or until == 0
                    continue
                wrong = differences(found, lambda link: _behind(link, events), "lot_age_days")
                assert wrong == []
        (age,) = board.read(connection, ["lot_age_days"], None, NOW.date()) or ()
        assert age["value"] == solvency(connection, NOW.date())["lot_age_days"]
        ends = dict(map(tuple, connection.execute(select(schema.days))))
    assert ends[max(ends)] == len(facts)
    assert replay(store, views).difference is None


def _behind(link: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    types, _, until = link.partition("type=")[2].partition("&until=")
    wanted = types.split(",")
    return [e for e in events if e["type"] in wanted and e["position"] <= int(until)]


def test_before_the_first_fact_the_board_is_empty(views: Views) -> None:
    views.catch_up()
    with reading(views.engine) as connection:
        found = board.read(connection, [*board.KPIS, board.TARGETS], None, date(2026, 3, 1))
        assert found is not None
        assert {kpi["value"] for kpi in found} == {0, None}
        assert board.read(connection, ["cases"], "west", date(2026, 3, 1)) is None


def test_an_agreement_is_in_force_as_it_was_known_before_it_was_amended(
    store: Store, views: Views
) -> None:
    about = {"agreement_id": number(7), "organisation": "org-a", "version": "1", "hash": "ab" * 32}
    signed = AgreementSigned(
        **about, unit="lake", agency="org-a", first="2026-03-01", last="2026-03-02"
    )
    amended = AgreementAmended(**about | {"version": "2"}, last="2026-12-31")
    facts = [
        UnitAdded(code="lake", name="湖街", level="district"),
        OrganisationAdded(code="org-a", name="甲", kind="social_work", unit="lake"),
        signed,
        amended,
    ]
    write(store, facts, every=timedelta(days=2))  # the agreement on the 5th, amended on the 7th
    views.catch_up()
    with reading(views.engine) as connection:
        pairs = {}
        for day in (4, 5, 6, 7, 8):
            (found,) = board.read(connection, ["pairs"], "lake", date(2026, 3, day)) or ()
            pairs[day] = found["value"]
    assert pairs == {4: 0, 5: 0, 6: 0, 7: 1, 8: 1}


def test_the_worked_shares_of_the_domain(store: Store, views: Views) -> None:
    """1 142 of 2 500, 46 of 50, 493 of 500, 6 of 30 (DOMAIN, section 9)."""
    people = [number(n) for n in range(2_500)]
    facts: list[Event] = [UnitAdded(code="lake", name="湖街", level="district")]
    facts.append(OrganisationAdded(code="org-a", name="甲", kind="volunteer", unit="lake"))
    at, ours = "2026-03-01T04:00:00Z", {"organisation": "org-a"}
    for nth, member in enumerate(people):
        said = {**ours, "member_id": member}
        facts.append(MemberRegistered(**said, roles=("community_worker",), unit="lake"))
        if nth < 1_142:
            id, on = number(10_000 + nth), "2020-05-01"
            facts.append(
                CertificationSubmitted(
                    **said,
                    certification_id=id,
                    level="assistant",
                    certificate_ref="c",
                    obtained_on=on,
                )
            )
            facts.append(
                CertificationVerified(
                    **said,
                    certification_id=id,
                    level="assistant",
                    source="certificate",
                    points=100,
                    worth=100,
                    on=on,
                    policy_version=1,
                )
            )
        if nth < 50:
            id = number(20_000 + nth)
            about = {**said, "achievement_id": id, "on": "2025-03-01"}
            facts.append(AchievementSubmitted(**about, kind="training", ref="t", hours=1))
            facts.append(
                AchievementApproved(**about, source="training", points=1, policy_version=1)
            )
            if nth < 46:
                facts.append(AchievementApplied(**about | {"on": "2025-04-01"}, ref="u"))
        if nth < 500:
            about = {**ours, "order_id": number(30_000 + nth), "at": at, "member_id": member}
            plan = {"planned_from": at, "planned_to": at, "responsible": "s"}
            facts.append(OrderPlaced(**about, **plan, activity="a", category="c", unit="lake"))
            facts.append(OrderCompleted(**about, record_id=number(40_000 + nth)))
            stars = 4 if nth < 493 else 3
            facts.append(OrderRated(**about, dispatched_to="org-a", unit="lake", stars=stars))
        if nth < 30:
            about = {**ours, "project_id": number(50_000 + nth)}
            facts.append(
                ProjectBegun(**about, title="p", unit="lake", category="c", on="2026-01-01")
            )
            stages = ("design", "implementation", "incubated", "promoted")[: 3 + (nth < 6)]
            facts += [ProjectAdvanced(**about, stage=one, on="2026-01-02") for one in stages]
    write(store, facts, every=timedelta(seconds=1))
    views.catch_up()
    wanted = {
        "certification_rate": (4_568, 1_142, 2_500),
        "training_conversion_rate": (9_200, 46, 50),
        "satisfaction_rate": (9_860, 493, 500),
        "promotion_rate": (2_000, 6, 30),
        "rating_coverage": (10_000, 500, 500),
    }
    with reading(views.engine) as connection:
        found = board.read(connection, list(wanted), "lake", date(2026, 3, 2))
    assert found is not None
    assert {
        kpi["id"]: (kpi["value"], kpi["numerator"], kpi["denominator"]) for kpi in found
    } == wanted
