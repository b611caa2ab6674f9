"""A dry run answers what the write then answers at the same position, and writes nothing."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from ledger import journal
from ledger.commands import Command
from ledger.desk import Answer, Committer, Done, Job, Outcome
from ledger.events import HoursSubmitted, PostedContent
from ledger.store import Store, last_position
from ledger.units import Refused, new_id
from tests.desk.bureau import Clock
from tests.rules.asked import correct, reject, reverse, verify
from tests.rules.town import LI, NOW, ZHANG, field, policy, visit

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["post", "post", "verify", "reject", "reverse", "correct", "policy"]),
        st.integers(0, 1_000),
    ),
    max_size=14,
)


class Half:
    """A desk that is asked everything twice: dry first, then in earnest."""

    def __init__(self, folder: str) -> None:
        self.store = Store(f"sqlite:///{Path(folder) / 'timebank.db'}")
        self.store.create()
        self.desk = Committer(self.store, Clock(NOW))
        self.records: list[str] = []
        for command in field():
            self.ask(command, dry_run=False)

    def ask(self, command: Command, *, dry_run: bool) -> Any:
        """What is decided: facts without ids and stamps, or the code of the no."""
        outcomes: list[Outcome] = []

        def answer(outcome: Outcome) -> Answer:
            outcomes.append(outcome)
            return Answer(200, b"")

        (said,) = self.desk.commit([Job([command], answer, dry_run=dry_run)])
        if isinstance(said, Refused):
            return said.code, said.pointer, said.params
        (done,) = outcomes[-1].results
        assert isinstance(done, Done)
        if not dry_run:
            posted = (entry.event for entry in done.entries)
            self.records += [e.record_id for e in posted if isinstance(e, PostedContent)]
        return [
            (entry.position, entry.stream, entry.version, type(entry.event), asdict(entry.event))
            for entry in done.entries
        ]

    def written(self) -> Any:
        """All that a write could leave behind."""
        with self.store.reading() as connection:
            tables = ("entries", "receipts", "record_entries", "shared_balances", "answers")
            return last_position(connection), [
                connection.exec_driver_sql(f"SELECT * FROM {table}").fetchall()  # noqa: S608  (ours)
                for table in tables
            ]


def command(kind: str, n: int, records: list[str]) -> Command:
    """Some command; most are taken, some refused."""
    record = records[n % len(records)] if records else new_id()
    hour = 6 + n % 12
    match kind:
        case "verify":
            return verify(record)
        case "reject":
            return reject(record)
        case "reverse":
            return reverse(record)
        case "correct":
            return correct(record, start=f"{hour:02}:00", end=f"{hour + 1:02}:{n % 60:02}")
        case "policy":
            return policy("2026-01-01", daily_cap=60 + n, stock_cap=100 + n, overflow_to="pool")
    return visit(
        f"{hour:02}:00",
        f"{hour + 1 + n % 3:02}:{n % 60:02}",
        receipt=f"r-{n % 9}",
        member_id=(ZHANG, LI)[n % 2],
        evidence=("attested", "backfilled")[n % 3 == 0],
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_a_dry_run_answers_what_the_write_then_answers(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        half = Half(folder)
        for kind, n in steps:
            asked = command(kind, n, half.records)
            before = half.written()
            dry = half.ask(asked, dry_run=True)
            assert half.written() == before
            assert half.ask(asked, dry_run=False) == dry
        half.store.close()


def test_what_dry_runs_decide_is_forgotten_within_one_batch() -> None:
    """The dry run and the write stand in one transaction, over a pool and a replaced receipt."""
    with tempfile.TemporaryDirectory() as folder:
        half = Half(folder)
        half.ask(policy("2026-01-01", stock_cap=60, overflow_to="pool"), dry_run=False)
        posted = visit("08:00", "10:00", receipt="r-1")
        half.ask(posted, dry_run=False)
        again = visit("08:00", "11:00", receipt="r-1", record_id=new_id())
        jobs = [
            Job([correct(posted.record_id, end="11:00", start="08:00")], _ok, dry_run=True),
            Job([again], _ok),  # other content than stands there: the dry run is forgotten
            Job([reverse(posted.record_id)], _ok, dry_run=True),
            Job([correct(posted.record_id, end="11:00", start="08:00")], _ok),
            Job([again], _ok),  # what the correction has put there
        ]
        said = half.desk.commit(jobs)
        assert [one.code if isinstance(one, Refused) else one.status for one in said] == [  # type: ignore[union-attr]
            *(200, "receipt_reused", 200, 200, 200),
        ]
        with half.store.reading() as connection:
            assert journal.shared_balances(connection, ["pool:donation"]) == {"pool:donation": 120}
            page = journal.entries_after(connection, 0)
        assert not any(isinstance(entry.event, HoursSubmitted) for entry in page)
        half.store.close()


def _ok(outcome: Outcome) -> Answer:
    return Answer(200, b"")
