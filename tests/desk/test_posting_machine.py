"""Posting, verifying and rejecting in any order, on two desks, against sets of seconds."""

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger import commands, journal
from ledger.rules import STATES
from ledger.store import Store
from ledger.units import Refused, new_id
from tests.desk.bureau import Bureau, Clock
from tests.rules.town import LI, NOW, OTHER, STAMP, ZHANG, shanghai, visit

TICK = 20  # seconds: services start and end on ticks, so parts of minutes occur
MORNING = shanghai("2026-03-09 08:00")


@dataclass
class Said:
    """One record, as the model knows it."""

    record_id: str
    content: tuple[object, ...]
    status: str
    ticks: frozenset[int]
    break_minutes: int
    volunteer: bool
    member: str
    minutes: int | None = None


@dataclass
class Model:
    """What must be true: who has which ticks counted, and what stands under which receipt."""

    occupied: dict[str, set[int]] = field(default_factory=lambda: {ZHANG: set(), LI: set()})
    service_minutes: dict[str, int] = field(default_factory=lambda: {ZHANG: 0, LI: 0})
    receipts: dict[tuple[str, str], Said] = field(default_factory=dict)

    def count(self, said: Said) -> bool:
        """Count a record's ticks; False where nothing of it is left to count."""
        free = len(said.ticks - self.occupied[said.member]) * TICK
        minutes = (free - said.break_minutes * 60) // 60
        if minutes < 1:
            return False
        self.occupied[said.member] |= said.ticks
        said.status, said.minutes = "verified", minutes if said.volunteer else 0
        self.service_minutes[said.member] += said.minutes
        return True


class Posting(RuleBasedStateMachine):
    """Two desks on one journal; each step goes to one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(f"sqlite:///{Path(self.folder.name) / 'timebank.db'}")
        self.store.create()
        self.clock = Clock(NOW)
        self.desks = [Bureau(self.store, self.clock), Bureau(self.store, self.clock)]
        self.desks[0].settle()
        self.model = Model()

    def teardown(self) -> None:
        for desk in self.desks:
            desk.close()
        self.store.close()
        self.folder.cleanup()

    @rule(
        desk=st.integers(0, 1),
        organisation=st.sampled_from(["org-a", "org-b"]),
        receipt=st.sampled_from([f"r-{n}" for n in range(12)]),
        member=st.sampled_from([ZHANG, LI]),
        start=st.integers(0, 60),
        length=st.integers(1, 40),
        break_minutes=st.integers(0, 3),
        evidence=st.sampled_from(["attested", "checked", "backfilled", "self_reported"]),
        capacity=st.sampled_from(["volunteer", "volunteer", "on_duty"]),
    )
    def post(
        self, desk, organisation, receipt, member, start, length, break_minutes, evidence, capacity
    ):
        if length * TICK // 60 - break_minutes < 1:
            return  # the door refuses it
        content = (member, start, length, break_minutes, evidence, capacity)
        said = Said(
            new_id(),
            content,
            "submitted",
            frozenset(range(start, start + length)),
            break_minutes,
            capacity == "volunteer",
            member,
        )
        before = self.model.receipts.get((organisation, receipt))
        one_step = evidence in ("attested", "checked")
        if before is not None:
            expected = before.status if before.content == content else "receipt_reused"
        elif one_step and not self.model.count(said):
            expected = "overlapping_service"
        else:
            self.model.receipts[organisation, receipt] = said
            expected = said.status
        command = visit(
            by=organisation,
            record_id=said.record_id,
            receipt=receipt,
            member_id=member,
            break_minutes=break_minutes,
            evidence=evidence,
            capacity=capacity,
        )
        command.started_at = MORNING + timedelta(seconds=start * TICK)
        command.ended_at = command.started_at + timedelta(seconds=length * TICK)
        self.expect(desk, command, expected, before or said)

    @precondition(lambda self: self.model.receipts)
    @rule(desk=st.integers(0, 1), data=st.data(), accept=st.booleans(), poster=st.booleans())
    def decide(self, desk, data, accept, poster):
        place = data.draw(st.sampled_from(sorted(self.model.receipts)))
        said = self.model.receipts[place]
        if said.status != "submitted":
            expected = "wrong_state"
        elif poster:
            expected = "second_person_needed"
        elif accept and not self.model.count(said):
            expected = "overlapping_service"
        else:
            said.status = expected = "verified" if accept else "rejected"
        stamp = STAMP if poster else OTHER
        asked = {"record_id": said.record_id, "organisation": place[0], "reason": "核对"}
        kind = commands.VerifyHours if accept else commands.RejectHours
        self.expect(desk, kind(**stamp, **asked), expected, said)

    @rule(desk=st.integers(0, 1), minutes=st.integers(-5, 5))
    def the_desk_starts_anew_and_the_clock_jumps(self, desk, minutes):
        self.desks[desk].close()
        self.clock.at += timedelta(minutes=minutes)
        self.desks[desk] = Bureau(self.store, self.clock)

    def expect(self, desk: int, command: commands.Command, expected: str, said: Said) -> None:
        dry = self.outcome(desk, command, dry_run=True)
        assert dry == self.outcome(desk, command, dry_run=False)
        assert dry[0] == expected
        if expected == "verified":
            assert dry[1] == said.minutes

    def outcome(self, desk: int, command: commands.Command, *, dry_run: bool) -> tuple:
        try:
            (one,) = self.desks[desk].ask(command, dry_run=dry_run)["results"]
        except Refused as refused:
            return refused.code, None
        return one["record"], one["minutes"]

    @invariant()
    def the_journal_is_dense_and_in_balance(self):
        entries = self.desks[0].entries()
        assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
        instants = [entry.event.recorded_at for entry in entries]
        assert instants == sorted(instants)
        lines = [line for entry in entries for line in getattr(entry.event, "entries", ())]
        assert sum(credits for _, credits in lines) == 0
        for member, minutes in self.model.service_minutes.items():
            account = STATES["account"]()
            for entry in entries:
                if entry.stream == f"account:{member}":
                    account.apply(entry.event, entry.position)
            assert account.minutes == minutes
            assert account.available == minutes
            available = f"person:{member}:available"
            assert sum(credits for name, credits in lines if name == available) == minutes
        with self.store.reading() as connection:
            standing = journal.records_under(connection, self.model.receipts)
        assert standing == {at: said.record_id for at, said in self.model.receipts.items()}


Posting.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestNoHistoryCountsAMinuteTwice = Posting.TestCase
