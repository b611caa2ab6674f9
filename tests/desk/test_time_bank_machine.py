"""Everything that may be asked of track 1, in any order, on two desks, against the model."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import insert

from ledger import commands, databases, journal, verification
from ledger.commands import Command
from ledger.desk import Answer, Committer, Done, Job, Outcome
from ledger.rules import STATES
from ledger.store import Store, keys, open_engine, sibling_url
from ledger.units import Refused, new_id, recorded_text
from projections import journal_lines, kept_lots, passbook, redemptions, replay, rewards
from projections import views as loop
from projections.views import Views
from tests.desk.bureau import Clock
from tests.desk.model import (
    MONDAY,
    TICK_SECONDS,
    TICKS_A_DAY,
    Actor,
    Model,
    Person,
    Record,
    Redemption,
    Reward,
    Service,
    answered,
)
from tests.rounds import rounds
from tests.rules.town import LI, ZHANG, field

WANG, ZHAO = Actor("Wang"), Actor("Zhao")
ADMIN = Actor("Admin", admin=True)
ZHANG_HERSELF = Actor("Zhang", member=ZHANG)
ACTORS = {WANG: "key00001", ZHAO: "key00002", ADMIN: "key00009", ZHANG_HERSELF: "key00003"}

MIDNIGHT = datetime(2026, 3, 1, 16, tzinfo=UTC)  # before that Monday, in Shanghai
ORGANISATIONS = ("org-a", "org-b")
ORG_POOL = "org:org-a:pool"
RECEIPTS = [f"r-{n}" for n in range(30)]
EVIDENCE = ["attested", "checked", "attested", "backfilled", "self_reported"]
CAPACITY = ["volunteer", "volunteer", "volunteer", "on_duty"]
CATEGORIES = ["elderly", "medical"]
DAYS = 5  # of services, from the Wednesday before the Monday on: two months are touched
FIRST_TICK = -4 * TICKS_A_DAY
EXPIRING: dict[str, Any] = {"expiry": {"months": 1}}
OVERFLOWING: dict[str, Any] = {"stock_cap": 150, "overflow_to": "pool"}
REWARDS = {"care": Reward(12, True, None), "rice": Reward(20, False, 4)}
CHANGES: list[dict[str, Any]] = [
    {"hold_days": 2},
    {"grants": {"elders": 300}},
    {"grants": {"elders": 500, "others": 5}},
    {"rounding": "half_hour_floor"},
    {"rounding": "hour_floor"},
    {"rounding": "min_one_hour"},
    {"rounding": "exact"},
    {"credit_rate": {"default": 10_000, "by_category": {"medical": 12_500}}},
    {"credit_rate": {"default": 3_333, "by_category": {}}},
    {"daily_cap": 100},
    {"daily_cap": 250},
    {"daily_cap": None},
    OVERFLOWING,
    {"stock_cap": 300, "overflow_to": "discard"},
    {"stock_cap": None},
    EXPIRING,
    {"expiry": None},
    {"late_recording": {"working_days": 3, "effect": "no_credit"}},
    {"late_recording": {"working_days": 3, "effect": "flag"}},
    {"daily_cap": 120, "stock_cap": 200, "overflow_to": "pool", "expiry": {"months": 1}},
]

DUE_DAYS = st.sampled_from([-3, 24, 28, 32, 40, 60, 60])
"""After the Monday: before, while and after lots of a month expire."""

services = st.builds(
    Service,
    member=st.sampled_from([ZHANG, ZHANG, LI]),
    start=st.integers(0, DAYS * 12 - 1).map(lambda n: FIRST_TICK + n * TICKS_A_DAY // 12),
    length=st.integers(3, 900),
    break_minutes=st.sampled_from([0, 0, 0, 1, 30]),
    category=st.sampled_from(CATEGORIES),
    capacity=st.sampled_from(CAPACITY),
    evidence=st.sampled_from(EVIDENCE),
).filter(lambda said: said.length * TICK_SECONDS - said.break_minutes * 60 >= 60)


class TimeBank(RuleBasedStateMachine):
    """Two desks on one journal; each step goes to one of them."""

    url = ""  # of a PostgreSQL; none: a SQLite file

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.name = f"l{uuid4().hex[:20]}"
        self.place = self.url or f"sqlite:///{Path(self.folder.name) / 'timebank.db'}"
        self.store = Store(self.place, self.name)
        self.store.create()
        self.clock = Clock(MIDNIGHT + timedelta(days=8, hours=12))
        self.desks = [Committer(self.store, self.clock) for _ in range(2)]
        with self.store.writing() as connection:
            for actor, key in ACTORS.items():
                connection.execute(
                    insert(keys).values(
                        id=key,
                        hash=key.encode(),
                        role="admin",
                        actor=actor.name,
                        created_at=recorded_text(self.clock.at),
                    )
                )
        self.turn = 0
        for command in field():
            self.ask(command)
        self.ask(
            commands.RecordRelation(
                **self.stamp(ADMIN),
                member_id=ZHANG,
                organisation=None,
                relation="spouse",
                to=LI,
                evidence_ref="结婚证-7",
            )
        )
        self.model = Model({ZHANG: Person(), LI: Person()}, MONDAY, 0)
        for code, offered in REWARDS.items():
            self.model.rewards[code] = replace(offered)
            added = commands.AddReward(
                **self.stamp(ADMIN),
                code=code,
                organisation=None,
                name=code,
                kind="peer_service" if offered.peer_service else "benefit",
                credits=offered.price,
                stock=offered.stock,
            )
            assert isinstance(self.ask(added), Done)
        self.pass_time(0)

    def teardown(self) -> None:
        try:
            self.verified()
            self.viewed()
        finally:
            self.store.close()
            self.folder.cleanup()

    # -- asking --------------------------------------------------------------------------------

    def ask(self, command: Command) -> Done | str:
        """What one of the desks says: the command decided, or the code of its no."""
        self.turn += 1
        outcomes: list[Outcome] = []

        def answer(outcome: Outcome) -> Answer:
            outcomes.append(outcome)
            return Answer(200, b"")

        (said,) = self.desks[self.turn % 2].commit([Job([command], answer)])
        if isinstance(said, Refused):
            return said.code
        assert isinstance(said, Answer), said
        (done,) = outcomes[-1].results
        assert isinstance(done, Done)
        for entry in done.entries:
            assert sum(credits for _, credits in getattr(entry.event, "entries", ())) == 0
        return done

    def stamp(self, actor: Actor) -> dict[str, Any]:
        return {
            "actor": ACTORS[actor],
            "actor_name": actor.name,
            "actor_member": actor.member,
            "by_admin": actor.admin,
            "correlation_id": "chain",
        }

    def expect(self, command: Command, modelled: Any) -> Done | None:
        """The desk and the model say the same; what the desk decided, where it did."""
        wanted, refused = answered(modelled)
        done = self.ask(command)
        if refused is not None:
            assert done == refused, f"came to {done}, where the model says {refused}"
            return None
        assert isinstance(done, Done), f"refused: {done}; the model says {wanted}"
        return done

    def same_record(self, stands: Any, record: Any) -> None:
        """A record's state at the desk is the model's."""
        assert stands.status == record.status
        assert stands.content.record_id == record.id
        assert stands.content.late == record.late
        if record.figures:
            told = {name: getattr(stands.figures, name) for name in record.figures}
            zero = dict.fromkeys(("overflowed", "capped", "paid_from_hold"), 0)
            assert {**told, **{n: told[n] or 0 for n in zero}} == record.figures

    # -- steps ---------------------------------------------------------------------------------

    @rule(days=st.sampled_from([0, 0, 1, 3, 20]))
    def pass_time(self, days: int) -> None:
        self.clock.at += timedelta(days=days)
        local = self.clock.at + timedelta(hours=8)
        self.model.today = local.date()
        self.model.now = int((self.clock.at - MIDNIGHT).total_seconds()) // TICK_SECONDS

    @initialize(
        published=st.lists(st.sampled_from(CHANGES), max_size=4),
        posted=st.lists(services, max_size=4),
        expiring=st.booleans(),
    )
    def begin(self, published: list[dict[str, Any]], posted: list[Service], expiring: bool) -> None:
        for changes in [*published, *[{"expiry": {"months": 1}}] * expiring]:
            self.publish(changes, -10)
        for number, said in enumerate(posted):
            self.post_one(WANG, "org-a", RECEIPTS[number], said)

    @rule(
        actor=st.sampled_from([WANG, WANG, ZHAO, ZHANG_HERSELF]),
        organisation=st.sampled_from(ORGANISATIONS),
        posted=st.lists(st.tuples(st.sampled_from(RECEIPTS), services), min_size=1, max_size=4),
        again=st.booleans(),
    )
    def post(
        self,
        actor: Actor,
        organisation: str,
        posted: list[tuple[str, Service]],
        again: bool,
    ) -> None:
        for receipt, said in posted:
            before = self.model.receipts.get((organisation, receipt))
            same = again and before is not None
            self.post_one(
                actor, organisation, receipt, self.model.records[before].said if same else said
            )

    def post_one(self, actor: Actor, organisation: str, receipt: str, said: Service) -> None:
        before = self.model.receipts.get((organisation, receipt))
        id = new_id()
        command = commands.PostHours(
            **self.stamp(actor),
            record_id=id,
            organisation=organisation,
            receipt=receipt,
            member_id=said.member,
            activity="陪伴",
            category=said.category,
            place="lake",
            responsible="staff-7",
            started_at=at_tick(said.start),
            ended_at=at_tick(said.start + said.length),
            break_minutes=said.break_minutes,
            capacity=said.capacity,  # type: ignore[arg-type]
            evidence=said.evidence,  # type: ignore[arg-type]
            redemption_id=said.redemption,
        )
        done = self.expect(command, lambda: self.model.post(actor, organisation, receipt, id, said))
        if done is not None:
            assert bool(done.entries) == (before is None)
            stands = self.model.records[self.model.receipts[organisation, receipt]]
            self.same_record(done.states["before"], stands)

    @precondition(lambda self: self.model.records)
    @rule(
        data=st.data(),
        actor=st.sampled_from([WANG, ZHAO, ZHAO, ADMIN, ZHANG_HERSELF]),
        verb=st.sampled_from(["verify", "verify", "reject", "reverse"]),
    )
    def decide(self, data: st.DataObject, actor: Actor, verb: str) -> None:
        self.decide_one(actor, verb, self.drawn(data))

    def decide_one(self, actor: Actor, verb: str, record: Record) -> None:
        said = {"record_id": record.id, "organisation": None, "reason": "核对"}
        kind = {
            "verify": commands.VerifyHours,
            "reject": commands.RejectHours,
            "reverse": commands.ReverseHours,
        }[verb]
        done = self.expect(
            kind(**self.stamp(actor), **said),  # type: ignore[arg-type]
            lambda: getattr(self.model, verb)(actor, record.id),
        )
        if done is not None:
            self.same_record(done.states["record"], record)

    @precondition(lambda self: self.model.records)
    @rule(
        data=st.data(),
        actor=st.sampled_from([WANG, ZHAO, ZHAO, ADMIN, ZHANG_HERSELF]),
        other=services,
        names=st.sets(
            st.sampled_from(
                [
                    *("start", "length", "break_minutes", "category"),
                    *("capacity", "evidence", "member", "redemption"),
                ]
            ),
            min_size=1,
        ),
    )
    def correct(self, data: st.DataObject, actor: Actor, other: Service, names: set[str]) -> None:
        record = self.drawn(data)
        changed = {name: getattr(other, name) for name in names}
        if "redemption" in names:
            changed["redemption"] = data.draw(st.sampled_from([None, *self.model.redemptions]))
        self.correct_one(actor, record, changed)

    def correct_one(self, actor: Actor, record: Record, changed: dict[str, Any]) -> None:
        start = changed.get("start", record.said.start)
        length = changed.get("length", record.said.length)
        corrected: dict[str, Any] = {
            name: changed[name]
            for name in changed.keys() & {"break_minutes", "category", "capacity", "evidence"}
        }
        if "member" in changed:
            corrected["member_id"] = changed["member"]
        if "redemption" in changed:
            corrected["redemption_id"] = changed["redemption"]
        if changed.keys() & {"start", "length"}:
            corrected["started_at"], corrected["ended_at"] = at_tick(start), at_tick(start + length)
        id = new_id()
        command = commands.CorrectHours(
            **self.stamp(actor),
            record_id=record.id,
            organisation=None,
            reason="更正",
            replacement_id=id,
            corrected=corrected,  # type: ignore[arg-type]
        )
        done = self.expect(command, lambda: self.model.correct(actor, record.id, id, changed))
        if done is not None:
            assert len(done.entries) in (2, 3)  # a payment is taken again between the two
            assert done.states["record"].status == "corrected"
            self.same_record(done.states["replacement"], self.model.records[id])

    @precondition(lambda self: self.model.records)
    @rule(data=st.data(), asking=st.booleans())
    def ask_for_correction(self, data: st.DataObject, asking: bool) -> None:
        record = self.drawn(data)
        about = {"record_id": record.id, "organisation": None, "reason": "有误"}
        if asking:
            id = new_id()
            command: Command = commands.RequestCorrection(
                **self.stamp(ZHANG_HERSELF), **about, request_id=id, member_id=None
            )
            self.expect(command, lambda: self.model.request(record.id, id))
        else:
            asked = record.request or new_id()
            command = commands.DeclineCorrection(**self.stamp(ZHAO), **about, request_id=asked)
            self.expect(command, lambda: self.model.decline(record.id))

    @rule(changes=st.sampled_from(CHANGES), days=st.integers(-8, 5))
    def publish(self, changes: dict[str, Any], days: int) -> None:
        effective_on = MONDAY + timedelta(days=days)
        command = commands.PublishPolicy(
            **self.stamp(ADMIN), effective_on=effective_on, changes=changes
        )
        self.expect(command, lambda: self.model.policies.append((effective_on, changes)))

    @rule(organisation=st.sampled_from(ORGANISATIONS), grade=st.sampled_from(["G1", "G3", "G4"]))
    def grade(self, organisation: str, grade: str) -> None:
        command = commands.OverrideGrade(
            **self.stamp(ADMIN),
            subject=f"organisation:{organisation}",
            grade=grade,  # type: ignore[arg-type]
            reason="抽查",
            until=date(9_000, 1, 1),
        )
        self.expect(command, lambda: self.model.grades.update({organisation: grade}))

    @rule(month=st.sampled_from(["2026-02", "2026-02", "2026-03", "2026-04"]), close=st.booleans())
    def close_or_reopen(self, month: str, close: bool) -> None:
        kind = commands.ClosePeriod if close else commands.ReopenPeriod
        modelled = self.model.close if close else self.model.reopen
        self.expect(kind(**self.stamp(ADMIN), month=month), lambda: modelled(month))

    @rule(
        credits=st.sampled_from([1, 20, 60, 100, 150]),
        member=st.sampled_from([ZHANG, LI]),
        verb=st.sampled_from(["give", "donate", "donate", "freeze", "unfreeze"]),
    )
    def spend(self, credits: int, member: str, verb: str) -> None:
        to = LI if member == ZHANG else ZHANG
        said = {"credits": credits, "reason": "孝亲"}
        asked = {"member_id": member, **said, **self.stamp(ADMIN)}
        moved = {**asked, "transfer_id": new_id(), "organisation": None}
        command: Command = {
            "give": lambda: commands.GiveCredits(**moved, to=to),
            "donate": lambda: commands.DonateCredits(**moved, to="pool:donation"),
            "freeze": lambda: commands.FreezeCredits(**asked),
            "unfreeze": lambda: commands.UnfreezeCredits(**asked),
        }[verb]()
        names = (member, to) if verb == "give" else (member,)
        self.expect(command, lambda: getattr(self.model, verb)(*names, credits))

    @rule(credits=st.integers(1, 200), weights=st.tuples(st.integers(0, 5), st.integers(1, 5)))
    def allocate(self, credits: int, weights: tuple[int, int]) -> None:
        named = dict(zip((ZHANG, LI), weights, strict=True))
        command = commands.AllocateCredits(
            **self.stamp(ADMIN),
            transfer_id=new_id(),
            source="pool:donation",
            credits=credits,
            shares=tuple(commands.Share(f"person:{m}:available", w) for m, w in named.items()),
            reason="慰问",
        )
        self.expect(command, lambda: self.model.allocate(credits, named))

    @rule(
        credits=st.integers(1, 200),
        weights=st.tuples(st.integers(0, 5), st.integers(1, 5)),
        member=st.sampled_from([ZHANG, LI]),
    )
    def inherit(self, credits: int, weights: tuple[int, int], member: str) -> None:
        heir = LI if member == ZHANG else ZHANG
        command = commands.InheritCredits(
            **self.stamp(ADMIN),
            transfer_id=new_id(),
            member_id=member,
            credits=credits,
            shares=tuple(map(commands.Share, (f"person:{heir}:available", ORG_POOL), weights)),
            reason="公证",
        )
        named = dict(zip((heir, ORG_POOL), weights, strict=True))
        self.expect(command, lambda: self.model.inherit(member, credits, named))

    @rule(
        credits=st.integers(1, 150),
        weights=st.tuples(st.integers(0, 5), st.integers(1, 5)),
        approving=st.sampled_from([ADMIN, ADMIN, WANG]),
    )
    def grant(self, credits: int, weights: tuple[int, int], approving: Actor) -> None:
        id, named = new_id(), dict(zip((ZHANG, LI), weights, strict=True))
        command = commands.ProposeGrant(
            **self.stamp(WANG),
            transfer_id=id,
            fund="elders",
            credits=credits,
            shares=tuple(commands.Share(f"person:{m}:available", w) for m, w in named.items()),
            reason="高龄补助",
        )
        proposed = self.ask(command)
        approval = commands.ApproveGrant(**self.stamp(approving), transfer_id=id)
        if isinstance(proposed, str):
            assert answered(lambda: self.model.grant(credits, named))[1] == proposed
        elif approving is WANG:
            assert self.ask(approval) == "second_person_needed"
        else:
            self.expect(approval, lambda: self.model.grant(credits, named))

    @rule(days=DUE_DAYS, member=st.sampled_from([ZHANG, ZHANG, LI]))
    def expire(self, days: int, member: str) -> None:
        as_of = MONDAY + timedelta(days=days)
        command = commands.ExpireCredits(
            **self.stamp(ADMIN), member_id=member, as_of=_at_day(as_of)
        )
        wanted: list[int] = []
        done = self.expect(command, lambda: wanted.append(self.model.expire(member, as_of)))
        assert done is not None
        assert sum(entry.event.credits for entry in done.entries) == wanted[0]  # type: ignore[attr-defined]

    @rule(
        member=st.sampled_from([ZHANG, LI]),
        reward=st.sampled_from(["care", "care", "rice"]),
        quantity=st.integers(1, 3),
    )
    def reserve(self, member: str, reward: str, quantity: int) -> None:
        self.reserved(member, reward, quantity)

    def reserved(self, member: str, reward: str, quantity: int) -> str | None:
        id = new_id()
        command = commands.ReserveRedemption(
            **self.stamp(ADMIN),
            redemption_id=id,
            member_id=member,
            organisation=None,
            reward=reward,
            quantity=quantity,
        )
        done = self.expect(command, lambda: self.model.reserve(id, member, reward, quantity))
        return None if done is None else id

    @rule(
        member=st.sampled_from([ZHANG, LI]),
        quantity=st.integers(1, 4),
        credits=st.sampled_from([None, None, 7, 20, 40]),
        earned=services,
        said=services,
        after=st.lists(
            st.sampled_from(["verify", "correct", "correct", "donate", "reverse"]), max_size=4
        ),
        data=st.data(),
    )
    def redeem_and_serve(
        self,
        member: str,
        quantity: int,
        credits: int | None,
        earned: Service,
        said: Service,
        after: list[str],
        data: st.DataObject,
    ) -> None:
        """A member earns and redeems, another serves, and what often follows follows."""
        receipt = f"paid-{len(self.model.redemptions)}"
        self.post_one(WANG, "org-a", f"for-{receipt}", replace(earned, member=member))
        id = self.reserved(member, "care", quantity)
        provider = LI if member == ZHANG else ZHANG
        if id is None or self.pay(id, credits, provider) is None:
            return
        before = set(self.model.records)
        self.post_one(WANG, "org-a", receipt, replace(said, member=provider, redemption=id))
        for record_id in self.model.records.keys() - before:
            for verb in after:
                record = self.model.records[self.model.receipts["org-a", receipt]]
                match verb:
                    case "correct":
                        length = data.draw(st.integers(3, 900))
                        self.correct_one(ADMIN, record, {"length": length})
                    case "donate":
                        self.spend(data.draw(st.sampled_from([10, 40])), provider, "donate")
                    case _:
                        self.decide_one(ADMIN, verb, record)
            assert record_id in self.model.records

    def pay(self, id: str, credits: int | None, provider: str | None) -> Done | None:
        command = commands.FulfilRedemption(
            **self.stamp(ADMIN),
            redemption_id=id,
            organisation=None,
            credits=credits,
            provider_id=provider,
        )
        return self.expect(command, lambda: self.model.fulfil(id, credits, provider))

    @precondition(lambda self: self.model.redemptions)
    @rule(
        data=st.data(),
        verb=st.sampled_from(["fulfil", "fulfil", "cancel", "expire"]),
        credits=st.sampled_from([None, None, 1, 25, 45, 100]),
        days=DUE_DAYS,
    )
    def end_hold(self, data: st.DataObject, verb: str, credits: int | None, days: int) -> None:
        found = self.drawn_redemption(data)
        said = {**self.stamp(ADMIN), "redemption_id": found.id}
        if verb == "expire":
            as_of = MONDAY + timedelta(days=days)
            ended: list[bool] = []
            expiring = commands.ExpireRedemption(**said, as_of=_at_day(as_of))
            done = self.expect(
                expiring, lambda: ended.append(self.model.expire_hold(found.id, as_of))
            )
            assert done is not None
            assert bool(done.entries) == ended[0]
        elif verb == "cancel":
            cancelling = commands.CancelRedemption(**said, organisation=None, reason="有事")
            self.expect(cancelling, lambda: self.model.cancel(found.id))
        else:
            other = LI if found.member == ZHANG else ZHANG
            provider = data.draw(st.sampled_from([other, other, other, None, found.member]))
            if found.reward == "rice":
                provider = data.draw(st.sampled_from([None, None, other]))
            self.pay(found.id, credits, provider)

    @rule(reward=st.sampled_from(["rice", "rice", "care"]), quantity=st.integers(1, 3))
    def restock(self, reward: str, quantity: int) -> None:
        command = commands.RestockReward(
            **self.stamp(ADMIN), code=reward, organisation=None, quantity=quantity
        )
        self.expect(command, lambda: self.model.restock(reward, quantity))

    @precondition(lambda self: self.model.redemptions)
    @rule(
        data=st.data(),
        receipt=st.sampled_from(RECEIPTS),
        said=services,
        served=st.sampled_from([True, True, True, False]),
    )
    def post_what_was_paid(
        self, data: st.DataObject, receipt: str, said: Service, served: bool
    ) -> None:
        found = self.drawn_redemption(data)
        member = found.provider if served and found.provider else said.member
        self.post_one(WANG, "org-a", receipt, replace(said, member=member, redemption=found.id))

    @rule(
        job=st.sampled_from(["expiry", "expiry", "holds"]),
        days=DUE_DAYS,
        allow_future=st.booleans(),
    )
    def finish(self, job: str, days: int, allow_future: bool) -> None:
        as_of = MONDAY + timedelta(days=days)
        is_future = _at_day(as_of) > self.clock.at and not allow_future
        command = commands.FinishJob(
            **self.stamp(ADMIN), job=job, as_of=_at_day(as_of), allow_future=allow_future
        )
        wanted: list[bool] = []
        done = self.expect(
            command, lambda: wanted.append(self.model.finish(job, as_of, is_future=is_future))
        )
        if done is not None:
            assert bool(done.entries) == wanted[0]

    def drawn(self, data: st.DataObject) -> Any:
        ids = list(self.model.records)
        return self.model.records[data.draw(st.sampled_from(ids))]

    def drawn_redemption(self, data: st.DataObject) -> Redemption:
        ids = list(self.model.redemptions)
        return self.model.redemptions[data.draw(st.sampled_from(ids))]

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def accounts_are_the_models(self) -> None:
        names = [f"account:{member}" for member in self.model.people]
        with self.store.reading() as connection:
            streams = journal.streams(connection, names)
            shared = journal.shared_balances(connection, ["pool:donation", "stock:rice"])
        for member, person in self.model.people.items():
            account = STATES["account"](member)
            for entry in streams.get(f"account:{member}", ()):
                account.apply(entry.event, entry.position)
            assert account.minutes == person.minutes
            assert (account.available, account.receivable) == (person.available, person.receivable)
            assert account.frozen == person.frozen >= 0
            assert account.held == person.held >= 0
            assert {
                name: [(lot.dated, lot.left) for lot in hold.open]
                for name, hold in account.holds.items()
            } == {
                name: [
                    (lot.dated.isoformat(), lot.left)
                    for lot in sorted(hold, key=lambda lot: (lot.dated, lot.order))
                ]
                for name, hold in person.holds.items()
            }
            frozen = sorted(person.frozen_lots, key=lambda lot: (lot.dated, lot.order))
            assert [(lot.dated, lot.left) for lot in account.frozen_lots.open] == [
                (lot.dated.isoformat(), lot.left) for lot in frozen
            ]
            assert account.available >= 0
            assert account.receivable >= 0
            lots = sorted(person.lots, key=lambda lot: (lot.dated, lot.order))
            assert [(lot.dated, lot.left, lot.expires_on) for lot in account.lots.open] == [
                (lot.dated.isoformat(), lot.left, lot.expires_on and lot.expires_on.isoformat())
                for lot in lots
            ]
            assert sum(lot.left for lot in account.lots.open) == account.available
            assert sorted(account.lots.expired.values()) == sorted(person.expired.values())
        assert shared.get("pool:donation", 0) == self.model.pool >= 0
        assert shared.get("stock:rice", 0) == (self.model.rewards["rice"].stock or 0) >= 0

    def verified(self) -> None:
        """The journal holds what it should, and a fresh desk folds it to the same states."""
        assert verification.verify(self.store).wrong is None
        with self.store.reading() as connection:
            for desk in self.desks:
                for key, held in desk._cache.items():
                    if key.startswith("account:") and held.version:
                        fresh = STATES["account"](key.partition(":")[2])
                        for entry in journal.streams(connection, [key])[key]:
                            if entry.position <= desk._read_to:
                                fresh.apply(entry.event, entry.position)
                        assert vars(fresh.lots) == vars(held.state.lots)
                        assert vars(fresh.frozen_lots) == vars(held.state.frozen_lots)
                        assert {name: vars(hold) for name, hold in fresh.holds.items()} == {
                            name: vars(hold) for name, hold in held.state.holds.items()
                        }
                        assert _plain(fresh) == _plain(held.state)

    def viewed(self) -> None:
        """Views that read on page by page are those that a rebuild makes, and say what is true."""
        with _views(self.store, self.place, self.name) as views:
            usual = loop.PAGE, kept_lots.KEPT_MAX
            loop.PAGE, kept_lots.KEPT_MAX = 7, 0
            try:
                views.rebuild(until=10)
                views.catch_up()
            finally:
                loop.PAGE, kept_lots.KEPT_MAX = usual
            with databases.reading(views.engine) as connection:
                live = replay.digests(connection)
                for member, person in self.model.people.items():
                    found = passbook.balance(connection, member)
                    assert found is not None
                    assert found["service_minutes"] == person.minutes
                    assert found["credits"]["available"] == person.available
                    assert found["credits"]["receivable"] == person.receivable
                    assert found["credits"]["frozen"] == person.frozen
                    assert found["credits"]["held"] == person.held
                for id, redeemed in self.model.redemptions.items():
                    row = redemptions.redemption(connection, id)
                    assert row is not None
                    told = (row["status"], row["paid"], row["provider_id"], row["record_id"])
                    assert told == (
                        *(redeemed.status, redeemed.paid),
                        *(redeemed.provider, redeemed.cited_by),
                    )
                rice = rewards.reward(connection, "rice")
                assert rice is not None
                assert rice["stock"] == self.model.rewards["rice"].stock
                books = dict(journal_lines.account_balances(connection))
            views.rebuild()
            with databases.reading(views.engine) as connection:
                assert replay.digests(connection) == live
        model = self.model
        added: dict[str, int] = {}
        with self.store.reading() as connection:
            for page in journal.all_entries(connection):
                for entry in page:
                    for name, credits in getattr(entry.event, "entries", ()):
                        added[name] = added.get(name, 0) + credits
        assert books == added  # account by account, as whoever adds up the facts finds it
        assert sum(books.values()) == 0
        assert books.get(ORG_POOL, 0) == model.org_pool
        assert books.get("issue:grant:elders", 0) == -model.granted
        assert books.get("issue:service", 0) == -model.issued
        assert books.get("sink:expired", 0) == model.sunk
        assert books.get("sink:redeemed", 0) == model.redeemed
        assert books.get("sink:written_off", 0) == model.written_off
        assert books.get("pool:donation", 0) == model.pool


def at_tick(tick: int) -> datetime:
    """The instant of a tick of the model."""
    return MIDNIGHT + timedelta(seconds=tick * TICK_SECONDS)


def _at_day(day: date) -> datetime:
    return datetime.combine(day, time(), UTC) - timedelta(hours=8)


def _plain(account: Any) -> dict[str, Any]:
    apart = ("lots", "frozen_lots", "holds", "longest")
    return {name: value for name, value in vars(account).items() if name not in apart}


@contextmanager
def _views(store: Store, place: str, name: str) -> Iterator[Views]:
    engine = open_engine(sibling_url(place, "views"), f"{name}_views", durable=False)
    views = Views(store, engine)
    try:
        yield views
    finally:
        views.close()
        engine.dispose()


SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_track_1_does_what_the_model_says_on_sqlite() -> None:
    run_state_machine_as_test(
        TimeBank, settings=settings(max_examples=rounds(50), stateful_step_count=50, **SLOW)
    )


@pytest.mark.postgresql
def test_track_1_does_what_the_model_says_on_postgresql(postgresql_url: str) -> None:
    on_postgresql = type("OnPostgreSQL", (TimeBank,), {"url": postgresql_url})
    run_state_machine_as_test(
        on_postgresql, settings=settings(max_examples=rounds(6), stateful_step_count=40, **SLOW)
    )
