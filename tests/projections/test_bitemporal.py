"""Answers as of a service date and as they were known, against brute force over the events."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
import pytest
from sqlalchemy import Connection

from ledger import commands, store
from ledger.databases import reading
from ledger.events import Event, HoursSubmitted, HoursVerified
from ledger.units import Refused, instant, new_id
from projections import groups, passbook
from projections.groups import Group
from tests.projections.history import another_ledger, write
from tests.rounds import rounds
from tests.rules.asked import ADMIN, correct, expire, reverse, verify
from tests.rules.town import STAMP, Town, policy, shanghai, visit

UNITS = {"west": None, "lake": "west", "hill": "west", "pond": "lake", "east": None}
ORGANISATIONS = ("org-a", "org-b")
PARTS = ("available", "held", "frozen", "receivable", "minutes", "points")
FIRST = date(2026, 1, 5)
DAYS = 80
CASES = {"sqlite": (rounds(4), 5_000), "postgresql": (rounds(1), 1_500)}
"""Histories, and cases of each: on SQLite a hundred thousand in all, in five rounds."""


# --- a history -----------------------------------------------------------------------------------


def lived(chance: random.Random) -> tuple[list[Event], list[str]]:
    """Some weeks of a town: hours, verdicts, corrections, expiry, members who move."""
    town = Town(shanghai("2026-01-05 08:00"))
    levels = {None: "district", "west": "street", "lake": "community"}
    for code, parent in UNITS.items():
        level = levels[parent]
        town.ask(commands.AddUnit(**STAMP, code=code, name=code, level=level, parent=parent))
    for code in ORGANISATIONS:
        town.ask(
            commands.AddOrganisation(**STAMP, code=code, name=code, kind="volunteer", unit="lake")
        )
    members = [new_id() for _ in range(6)]
    for member in members:
        town.ask(
            commands.RegisterMember(
                **STAMP,
                member_id=member,
                organisation=chance.choice(ORGANISATIONS),
                roles=("volunteer",),
                unit=chance.choice(list(UNITS)),
            )
        )
    town.ask(
        policy("2025-01-01", expiry={"months": 1}, stock_cap=900, overflow_to="pool", daily_cap=400)
    )
    for _ in range(140):
        town.at += timedelta(minutes=chance.randrange(1, 1_500))
        try:
            town.ask(something(town, chance, members))
        except Refused:
            continue
    return town.facts, members


def something(town: Town, chance: random.Random, members: list[str]) -> commands.Command:
    """Any command, whether or not it will be refused."""
    today = town.at.astimezone(UTC).date()
    counted = [fact for fact in town.facts if isinstance(fact, HoursVerified)]
    waiting = [fact for fact in town.facts if isinstance(fact, HoursSubmitted)]
    admin = {**ADMIN, "organisation": None}
    match chance.randrange(12):
        case 0 if counted:
            return reverse(chance.choice(counted).record_id, **admin)
        case 1 if counted:
            record = chance.choice(counted)
            start = instant(record.started_at)
            asked = correct(record.record_id, stamp=ADMIN, organisation=None)
            asked.corrected["ended_at"] = start + timedelta(minutes=chance.randrange(10, 200))
            return asked
        case 2 | 3 if waiting:
            return verify(chance.choice(waiting).record_id, **admin)
        case 4:
            return commands.ChangeMember(
                **STAMP,
                member_id=chance.choice(members),
                organisation=None,
                unit=chance.choice(list(UNITS)),
            )
        case 5:
            return expire(today.isoformat(), chance.choice(members))
    member = chance.choice(members)
    home = town.state(f"member:{member}").home
    on = today - timedelta(days=chance.randrange(40))
    start = f"{chance.randrange(6, 20):02}:{chance.randrange(60):02}"
    asked = visit(start, "23:00", on=on.isoformat(), by=home, member_id=member, receipt=new_id())
    asked.ended_at = asked.started_at + timedelta(minutes=chance.randrange(1, 240))
    asked.evidence = chance.choice(["attested", "checked", "backfilled"])
    return asked


# --- brute force ---------------------------------------------------------------------------------


class Change(NamedTuple):
    """What one event changes of one member."""

    position: int
    recorded_at: str
    served_on: str
    member: str
    parts: tuple[int, ...]


class Told:
    """All events, read as any program would read them."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.last = len(events)
        self.recorded = [event["recorded_at"] for event in events]
        self.changes = [
            change for n, event in enumerate(events, 1) for change in _changes(n, event)
        ]
        self.homes = {e["member_id"]: e["organisation"] for e in events if "roles" in e}
        self.moves = [
            (n, event["member_id"], event["unit"])
            for n, event in enumerate(events, 1)
            if "unit" in event and "member_id" in event
        ]

    def known(self, position: int | None, as_of: datetime | None) -> int:
        until = self.last if position is None else min(position, self.last)
        if as_of is None:
            return until
        text = as_of.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return min(until, sum(recorded <= text for recorded in self.recorded))

    def sums(self, members: set[str], until: int, served_until: date | None) -> tuple[int, ...]:
        total = [0] * len(PARTS)
        last = "9999" if served_until is None else served_until.isoformat()
        for change in self.changes:
            if change.position > until:
                break
            if change.member in members and change.served_on <= last:
                for place, part in enumerate(change.parts):
                    total[place] += part
        return tuple(total)

    def at_home(self, organisation: str, until: int) -> set[str]:
        known = {member for n, member, _ in self.moves if n <= until}
        return {member for member in known if self.homes[member] == organisation}

    def living(self, unit: str, until: int) -> set[str]:
        seats = {member: where for n, member, where in self.moves if n <= until}
        return {member for member, where in seats.items() if _lies_in(where, unit)}


def _changes(position: int, event: dict[str, Any]) -> Iterator[Change]:
    if "entries" not in event:
        return
    parts: dict[str, dict[str, int]] = {event["member_id"]: dict.fromkeys(PARTS, 0)}
    parts[event["member_id"]]["minutes"] = event.get("minutes", 0)
    for account, credits in event["entries"]:
        kind, _, rest = account.partition(":")
        if kind == "person":
            member, _, pocket = rest.partition(":")
            sign = -1 if pocket == "receivable" else 1
            parts.setdefault(member, dict.fromkeys(PARTS, 0))[pocket] += sign * credits
    recorded = datetime.fromisoformat(event["recorded_at"])
    day = event.get("served_on") or (recorded + timedelta(hours=8)).date().isoformat()
    for member, changed in parts.items():
        yield Change(position, event["recorded_at"], day, member, tuple(changed.values()))


def _lies_in(unit: str | None, wanted: str) -> bool:
    while unit is not None:
        if unit == wanted:
            return True
        unit = UNITS[unit]
    return False


# --- both ----------------------------------------------------------------------------------------


def asked(
    connection: Connection, chance: random.Random, told: Told, members: list[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """One random question: what the views answer, and what brute force finds."""
    position = chance.choice([None, chance.randrange(told.last + 2)])
    as_of = None
    if chance.random() < 0.5:
        recorded = datetime.fromisoformat(chance.choice(told.recorded))
        as_of = recorded + timedelta(microseconds=chance.choice([-1, 0, 1]))
    served_until = None
    if chance.random() < 0.7:
        served_until = FIRST + timedelta(days=chance.randrange(-40, DAYS + 60))
    until = told.known(position, as_of)
    match chance.randrange(3):
        case 0:
            member = chance.choice(members)
            found = passbook.balance(
                connection, member, position=position, as_of=as_of, served_until=served_until
            )
            assert found is not None
            whose = {member}
        case 1:
            organisation = chance.choice(ORGANISATIONS)
            group = Group(organisation=organisation)
            whose = told.at_home(organisation, until)
            found = _together(connection, group, position, as_of, served_until)
            assert found["members"] == len(whose)
        case _:
            unit = chance.choice(list(UNITS))
            whose = told.living(unit, until)
            found = _together(connection, Group(unit=unit), position, as_of, served_until)
            assert found["members"] == len(whose)
    answer = (*found["credits"].values(), found["service_minutes"], found["points"])
    return answer, told.sums(whose, until, served_until)


def _together(
    connection: Connection,
    group: Group,
    position: int | None,
    as_of: datetime | None,
    served_until: date | None,
) -> dict[str, Any]:
    until = passbook.known_until(connection, position, as_of)
    return groups.balance(connection, group, until, served_until)


@pytest.mark.parametrize(
    "backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_every_answer_about_the_past_is_what_brute_force_finds(
    request: pytest.FixtureRequest, backend: str
) -> None:
    url = request.getfixturevalue(f"{backend}_url")
    histories, cases = CASES[backend]
    kinds: set[str] = set()
    for seed in range(histories):
        chance = random.Random(seed)  # noqa: S311  (no secret)
        facts, members = lived(chance)
        kinds |= {type(fact).__name__ for fact in facts}
        with another_ledger(url) as views:
            write(views.store, facts)
            views.catch_up()
            with views.store.reading() as connection:
                rows = store.read(connection, 0, len(facts))
            told = Told([orjson.loads(row.data) for row in rows])
            with reading(views.engine) as connection:
                for case in range(cases):
                    answer, found = asked(connection, chance, told, members)
                    assert answer == found, f"history {seed}, case {case}"
    moving = {"HoursVerified", "SubmittedHoursVerified", "HoursReversed", "CreditsExpired"}
    assert moving <= kinds


def test_lines_of_the_past_add_up_to_the_balance_of_the_past(sqlite_url: str) -> None:
    chance = random.Random(7)  # noqa: S311  (no secret)
    facts, members = lived(chance)
    with another_ledger(sqlite_url) as views:
        write(views.store, facts)
        views.catch_up()
        with reading(views.engine) as connection:
            for _ in range(150):
                until = chance.randrange(len(facts) + 1)
                day = chance.choice([None, FIRST + timedelta(days=chance.randrange(DAYS))])
                unit = Group(unit=chance.choice(list(UNITS)))
                sums = groups.balance(connection, unit, until, day)
                walked = list(_walk(connection, unit, until, day))
                assert sum(line["credits"] for line in walked) == sums["credits"]["available"]
                assert sum(line["minutes"] for line in walked) == sums["service_minutes"]
                places = [(line["position"], line["member_id"]) for line in walked]
                assert len(set(places)) == len(places)
                member = chance.choice(members)
                page = passbook.lines(connection, member, 0, 500, until=until, served_until=day)
                stands = passbook.balance(connection, member, position=until, served_until=day)
                assert stands is not None
                last = page.items[-1]["balance_after"] if page.items else 0
                assert last == stands["credits"]["available"]


def _walk(
    connection: Connection, group: Group, until: int, day: date | None
) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    while after is not None:
        page = groups.lines(connection, group, after, 7, until=until, served_until=day)
        yield from page.items
        after = page.next
