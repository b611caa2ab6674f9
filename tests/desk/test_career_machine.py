"""Everything that may be asked of careers, in any order, against a model that counts anew."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import insert

from ledger import commands, databases, journal, verification
from ledger.commands import Command
from ledger.desk import Answer, Committer, Done, Job, Outcome
from ledger.rules.career import Career
from ledger.store import Store, keys, open_engine, sibling_url
from ledger.units import Refused, new_id, recorded_text
from projections import passbook, replay
from projections.views import Views
from tests.desk.bureau import Clock
from tests.rounds import rounds
from tests.rules.town import OTHER, STAMP, ZHANG
from tests.rules.town import field as settled

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
TODAY = date(2026, 3, 10)
LEVEL_POINTS = {"assistant": 100, "social_worker": 200, "senior": 400}
PER_HOUR = {"training": 1, "supervision_given": 2, "supervision_received": 1}
YEARLY = {"training": 30, "supervision_given": 100, "supervision_received": 24}
FLAT = {"case": 20, "lecture": 10, "competition": 5, "project": 50}


class No(Exception):
    """What is refused, by its code."""


@dataclass
class Certificate:
    """A certificate as it stands."""

    level: str
    obtained_on: date
    status: str = "submitted"
    terms: list[tuple[date, date]] = field(default_factory=list)
    revoked_from: date | None = None

    def covers(self, day: date) -> bool:
        if self.revoked_from is not None and day >= self.revoked_from:
            return False
        return any(first <= day <= last for first, last in self.terms)


@dataclass
class Deed:
    """An achievement as it stands."""

    kind: str
    on: date
    hours: int
    status: str = "submitted"


@dataclass
class Service:
    """A professional service record that counts, or no more."""

    on: date
    minutes: int
    counts: bool = True


class Model:
    """Plain lists, counted anew whenever it is asked."""

    def __init__(self) -> None:
        self.certificates: dict[str, Certificate] = {}
        self.deeds: dict[str, Deed] = {}
        self.services: dict[str, Service] = {}

    def points(self) -> int:
        stands = [one for one in self.certificates.values() if one.revoked_from is None]
        levels = [LEVEL_POINTS[one.level] for one in stands if one.status != "submitted"]
        total = max(levels, default=0)
        for kind, points in FLAT.items():
            total += points * len(self.counted(kind))
        years = {deed.on.year for deed in self.deeds.values()}
        for kind, per_hour in PER_HOUR.items():
            for year in years:
                hours = sum(d.hours for d in self.counted(kind) if d.on.year == year)
                total += min(YEARLY[kind], hours * per_hour)
        for year in {service.on.year for service in self.services.values()}:
            minutes = [
                service.minutes
                for service in self.services.values()
                if service.counts and service.on.year == year and self.is_certified(service.on)
            ]
            total += sum(minutes) // 60
        return total

    def counted(self, kind: str) -> list[Deed]:
        return [
            deed
            for deed in self.deeds.values()
            if deed.kind == kind and deed.status in ("approved", "applied")
        ]

    def is_certified(self, day: date) -> bool:
        return any(one.covers(day) for one in self.certificates.values())

    def tier(self, day: date) -> str | None:
        in_force = [one for one in self.certificates.values() if one.covers(day)]
        if not in_force:
            return None
        upper = any(one.level != "assistant" for one in in_force)
        projects = [deed for deed in self.counted("project") if deed.on <= day]
        professional = self.points() >= 300 and upper and projects
        return "PROFESSIONAL" if professional else "CERTIFIED"  # nobody is appointed here

    def step(self, id: str, states: tuple[str, ...]) -> Certificate:
        found = self.certificates[id]
        if found.status not in states:
            raise No("wrong_state")
        return found

    def verify(self, id: str) -> None:
        self.step(id, ("submitted",)).status = "verified"

    def register(self, id: str, on: date) -> None:
        found = self.certificates[id]
        over = bool(found.terms) and on > found.terms[-1][1]
        states = ("verified", "lapsed", *(("registered", "renewed") if over else ()))
        self.step(id, states)
        if on > TODAY:
            raise No("in_the_future")
        if on < found.obtained_on or (found.terms and on < found.terms[-1][1]):
            raise No("out_of_order")
        found.status = "registered"
        found.terms.append((on, three_years(on)))

    def renew(self, id: str, on: date, hours: int) -> None:
        found = self.step(id, ("registered", "renewed"))
        if on > TODAY:
            raise No("in_the_future")
        last = found.terms[-1][1]
        following = last + timedelta(days=1)
        months = following.year * 12 + following.month - 1 - 3
        opens = clamped(months // 12, months % 12 + 1, following.day)
        if not opens <= on <= last:
            raise No("outside_renewal_window")
        if hours < (72 if found.level == "assistant" else 90):
            raise No("not_enough_education")
        found.status = "renewed"
        found.terms.append((following, three_years(following)))

    def lapse(self, id: str, as_of: date) -> None:
        found = self.certificates[id]
        if found.status in ("registered", "renewed") and as_of > found.terms[-1][1]:
            found.status = "lapsed"

    def revoke(self, id: str, on: date) -> None:
        found = self.step(id, ("verified", "registered", "renewed", "lapsed"))
        if on > TODAY:
            raise No("in_the_future")
        if on < found.obtained_on:
            raise No("out_of_order")
        found.status, found.revoked_from = "revoked", on

    def approve(self, id: str) -> None:
        if self.deeds[id].status != "submitted":
            raise No("wrong_state")
        self.deeds[id].status = "approved"

    def apply(self, id: str, on: date) -> None:
        deed = self.deeds[id]
        if deed.status != "approved" or deed.kind != "training":
            raise No("wrong_state")
        if on < deed.on:
            raise No("out_of_order")
        deed.status = "applied"

    def reverse(self, id: str) -> None:
        if self.deeds[id].status not in ("approved", "applied"):
            raise No("wrong_state")
        self.deeds[id].status = "reversed"


def clamped(year: int, month: int, day: int) -> date:
    while True:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1


def three_years(on: date) -> date:
    """To the day before the same date; where there is none, to the end of that month."""
    same = clamped(on.year + 3, on.month, on.day)
    return same - timedelta(days=1) if same.day == on.day else same


DATES = st.one_of(
    st.dates(date(2019, 1, 1), date(2026, 4, 1)),
    st.sampled_from([date(2024, 2, 29), date(2023, 3, 1), date(2025, 12, 31), date(2026, 1, 1)]),
)
LEVELS = st.sampled_from(["assistant", "assistant", "social_worker", "senior"])


class Careers(RuleBasedStateMachine):
    """One member's career at a desk; the model is asked the same."""

    url = ""  # of a PostgreSQL; none: a SQLite file

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.name = f"c{new_id().replace('-', '')[12:]}"
        self.place = self.url or f"sqlite:///{Path(self.folder.name) / 'timebank.db'}"
        self.store = Store(self.place, self.name)
        self.store.create()
        self.desk = Committer(self.store, Clock(NOON))
        with self.store.writing() as connection:
            for stamp in (STAMP, OTHER):
                said = {"id": stamp["actor"], "actor": stamp["actor_name"], "role": "admin"}
                said |= {"hash": stamp["actor"].encode(), "created_at": recorded_text(NOON)}
                connection.execute(insert(keys).values(**said))
        for command in (*settled(), WINDOW):
            self.ask(command)
        self.model = Model()
        self.posted = 0

    def teardown(self) -> None:
        try:
            self.viewed()
        finally:
            self.store.close()
            self.folder.cleanup()

    def ask(self, command: Command) -> Done | str:
        outcomes: list[Outcome] = []

        def answer(outcome: Outcome) -> Answer:
            outcomes.append(outcome)
            return Answer(200, b"")

        (said,) = self.desk.commit([Job([command], answer)])
        if isinstance(said, Refused):
            return said.code
        assert isinstance(said, Answer), said
        (done,) = outcomes[-1].results
        assert isinstance(done, Done)
        return done

    def expect(self, command: Command, modelled: Callable[[], object]) -> Done | None:
        refused = None
        try:
            modelled()
        except No as no:
            refused = str(no)
        done = self.ask(command)
        if refused is not None:
            assert done == refused, f"came to {done}, where the model says {refused}"
            return None
        assert isinstance(done, Done), f"refused: {done}"
        return done

    # -- steps ---------------------------------------------------------------------------------

    @rule(
        level=LEVELS,
        obtained_on=DATES.filter(lambda day: day <= TODAY),
        steps=st.sampled_from([0, 1, 2, 2, 3, 3]),
        after=st.integers(0, 900),
    )
    def submit(self, level: str, obtained_on: date, steps: int, after: int) -> None:
        """A certificate, and perhaps it is seen, registered and renewed at once."""
        id = new_id()
        command = commands.SubmitCertification(
            **STAMP,
            certification_id=id,
            member_id=ZHANG,
            organisation="org-a",
            level=level,  # type: ignore[arg-type]
            certificate_ref="证书",
            obtained_on=obtained_on,
        )
        self.expect(
            command, lambda: self.model.certificates.update({id: Certificate(level, obtained_on)})
        )
        if steps:
            self.certificate_step(id, "verify", obtained_on, 0)
        if steps > 1:
            registered_on = min(TODAY, obtained_on + timedelta(days=after))
            self.certificate_step(id, "register", registered_on, 0)
        if steps > 2:
            end = self.model.certificates[id].terms[-1][1]
            self.certificate_step(id, "renew", end - timedelta(days=after // 10), 90)

    @precondition(lambda self: self.model.certificates)
    @rule(
        data=st.data(),
        verb=st.sampled_from(["verify", "register", "register", "renew", "lapse", "revoke"]),
        on=DATES,
        near=st.integers(-120, 20),
        hours=st.sampled_from([70, 72, 90]),
    )
    def step(self, data: st.DataObject, verb: str, on: date, near: int, hours: int) -> None:
        id = data.draw(st.sampled_from(list(self.model.certificates)))
        terms = self.model.certificates[id].terms
        if verb in ("renew", "lapse") and terms:  # about the end of the term
            on = terms[-1][1] + timedelta(days=near)
        self.certificate_step(id, verb, on, hours)

    def certificate_step(self, id: str, verb: str, on: date, hours: int) -> None:
        said: dict[str, Any] = {**OTHER, "certification_id": id}
        own = {**said, "organisation": "org-a"}
        model = self.model
        match verb:
            case "verify":
                self.expect(commands.VerifyCertification(**own), lambda: model.verify(id))
            case "register":
                command: Command = commands.RegisterCertification(**own, registered_on=on)
                self.expect(command, lambda: model.register(id, on))
            case "renew":
                command = commands.RenewCertification(**own, renewed_on=on, education_hours=hours)
                self.expect(command, lambda: model.renew(id, on, hours))
            case "lapse":
                as_of = datetime(on.year, on.month, on.day, tzinfo=UTC) - timedelta(hours=8)
                command = commands.LapseCertification(**said, as_of=as_of)
                self.expect(command, lambda: model.lapse(id, on))
            case _:
                command = commands.RevokeCertification(**own, effective_on=on, reason="无效")
                self.expect(command, lambda: model.revoke(id, on))

    @rule(
        kind=st.sampled_from([*PER_HOUR, *PER_HOUR, *FLAT]),
        on=DATES.filter(lambda day: day <= TODAY),
        hours=st.integers(1, 60),
        at_once=st.booleans(),
    )
    def achieve(self, kind: str, on: date, hours: int, at_once: bool) -> None:
        id = new_id()
        command = commands.SubmitAchievement(
            **STAMP,
            achievement_id=id,
            member_id=ZHANG,
            organisation="org-a",
            kind=kind,  # type: ignore[arg-type]
            on=on,
            ref="证明",
            hours=hours if kind in PER_HOUR else None,
            outcome="good" if kind == "project" else None,
        )
        self.expect(command, lambda: self.model.deeds.update({id: Deed(kind, on, hours)}))
        if at_once:
            self.deed_step(id, "approve", on)

    @precondition(lambda self: self.model.deeds)
    @rule(data=st.data(), verb=st.sampled_from(["approve", "apply", "reverse"]), on=DATES)
    def decide(self, data: st.DataObject, verb: str, on: date) -> None:
        id = data.draw(st.sampled_from(list(self.model.deeds)))
        self.deed_step(id, verb, min(on, TODAY))

    def deed_step(self, id: str, verb: str, on: date) -> None:
        own: dict[str, Any] = {**OTHER, "achievement_id": id, "organisation": "org-a"}
        if verb == "approve":
            self.expect(commands.ApproveAchievement(**own), lambda: self.model.approve(id))
        elif verb == "apply":
            applying = commands.ApplyAchievement(**own, on=on, ref="个案")
            self.expect(applying, lambda: self.model.apply(id, on))
        else:
            reversing = commands.ReverseAchievement(**own, reason="有误")
            self.expect(reversing, lambda: self.model.reverse(id))

    @rule(
        days_ago=st.one_of(st.integers(1, 2_500), st.sampled_from([68, 69, 70, 434, 435])),
        minutes=st.integers(1, 200),
        on_duty=st.booleans(),
    )
    def serve(self, days_ago: int, minutes: int, on_duty: bool) -> None:
        self.posted += 1
        start = NOON - timedelta(days=days_ago)
        on = (start + timedelta(hours=8)).date()
        if any(service.on == on for service in self.model.services.values()):
            return  # the time is taken
        id = new_id()
        command = commands.PostHours(
            **STAMP,
            record_id=id,
            organisation="org-a",
            receipt=f"r-{self.posted}",
            member_id=ZHANG,
            activity="个案",
            category="casework",
            place="lake",
            responsible="staff-7",
            started_at=start,
            ended_at=start + timedelta(minutes=minutes),
            professional=True,
            capacity="on_duty" if on_duty else "volunteer",
        )
        self.expect(command, lambda: self.model.services.update({id: Service(on, minutes)}))

    @precondition(lambda self: any(one.counts for one in self.model.services.values()))
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        counted = [id for id, one in self.model.services.items() if one.counts]
        id = data.draw(st.sampled_from(counted))
        command = commands.ReverseHours(**OTHER, record_id=id, organisation="org-a", reason="有误")
        self.expect(command, lambda: setattr(self.model.services[id], "counts", False))

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def careers_are_the_models(self) -> None:
        """As the desk holds it, and folded anew."""
        with self.store.reading() as connection:
            entries = journal.streams(connection, [f"career:{ZHANG}"])
        fresh = Career()
        for entry in entries.get(f"career:{ZHANG}", ()):
            fresh.apply(entry.event, entry.position)
        held = self.desk._cache.get(f"career:{ZHANG}")
        if held is not None:
            assert vars(held.state) == vars(fresh)
        assert fresh.points == self.model.points() >= 0
        for id, service in self.model.services.items():
            if service.counts:
                assert fresh.services[id].certified == self.model.is_certified(service.on)
            else:
                assert id not in fresh.services

    def viewed(self) -> None:
        """The views say the same, read on page by page or built, and every number adds up."""
        assert verification.verify(self.store).wrong is None
        engine = open_engine(sibling_url(self.place, "views"), f"{self.name}_views", durable=False)
        views = Views(self.store, engine)
        try:
            views.rebuild(until=9)
            views.catch_up()
            with databases.reading(engine) as connection:
                live = replay.digests(connection)
                balance = passbook.balance(connection, ZHANG, served_until=TODAY)
                stood = passbook.standing_of(connection, ZHANG, served_until=TODAY)
                lines = passbook.lines(connection, ZHANG, limit=500).items
            assert balance is not None
            assert stood is not None
            assert balance["points"] == stood.points["total"] == self.model.points()
            assert sum(line["points"] for line in lines) == self.model.points()
            assert balance["tier"] == stood.where.tier == self.model.tier(TODAY)
            for sums in (stood.points["by_source"], stood.points["by_year"]):
                assert sum(sums.values()) == self.model.points()
            for source, cap in YEARLY.items():
                years = len({deed.on.year for deed in self.model.deeds.values()})
                assert 0 <= stood.points["by_source"].get(source, 0) <= cap * years
            views.rebuild()
            with databases.reading(engine) as connection:
                assert replay.digests(connection) == live
        finally:
            views.close()
            engine.dispose()


WINDOW = commands.PublishPolicy(
    **STAMP, effective_on=date(2015, 1, 1), changes={"backfill_window_days": 5_000}
)
SLOW: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_careers_come_to_what_the_model_counts_on_sqlite() -> None:
    run_state_machine_as_test(
        Careers, settings=settings(max_examples=rounds(30), stateful_step_count=40, **SLOW)
    )


@pytest.mark.postgresql
def test_careers_come_to_what_the_model_counts_on_postgresql(postgresql_url: str) -> None:
    on_postgresql = type("OnPostgreSQL", (Careers,), {"url": postgresql_url})
    run_state_machine_as_test(
        on_postgresql, settings=settings(max_examples=rounds(5), stateful_step_count=30, **SLOW)
    )
