"""The desk: decided together, durable before the answer, exact with several desks."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from ledger import commands, databases, desk, journal, rules
from ledger.desk import Answer, Busy, Desk
from ledger.store import Store
from ledger.units import Refused, new_id
from tests.desk.bureau import Bureau, Clock, job, later, once
from tests.rules.town import NOW, OTHER, STAMP, ZHANG, policy, visit


@pytest.fixture
def bureau(store: Store):
    made = Bureau(store)
    made.settle()
    yield made
    made.close()


def positions(bureau: Bureau) -> list[int]:
    return [entry.position for entry in bureau.entries()]


def test_an_answer_names_the_position_that_stands_in_the_journal(bureau):
    answer = bureau.ask(visit())
    assert bureau.entries()[-1].position == answer["position"]
    assert bureau.entries()[-1].event.actor == STAMP["actor"]
    assert positions(bureau) == list(range(1, answer["position"] + 1))


def test_every_fact_is_stamped_with_the_instant_of_its_batch(bureau):
    bureau.clock.at = later(7)
    bureau.ask(visit())
    assert bureau.entries()[-1].event.recorded_at == "2026-03-10T04:07:00.000000Z"
    assert bureau.entries()[-1].event.correlation_id == "chain"


def test_the_recording_time_never_decreases_though_the_clock_does(bureau):
    bureau.clock.at = later(7)
    bureau.ask(visit("10:00", "11:00"))
    bureau.clock.at = later(3)
    bureau.ask(visit("14:00", "15:00"))
    assert bureau.entries()[-1].event.recorded_at == "2026-03-10T04:07:00.000000Z"


def test_the_recording_time_never_decreases_across_a_restart(store):
    first = Bureau(store, Clock(later(7)))
    first.settle()
    first.close()
    second = Bureau(store, Clock(later(3)))
    second.ask(visit())
    second.close()
    assert second.entries()[-1].event.recorded_at == "2026-03-10T04:07:00.000000Z"


def test_the_clock_of_the_desk_counts_and_not_that_of_the_asker(bureau):
    command = visit("11:00", "12:30", on="2026-03-10")  # half an hour is still to come
    command.at = later(45)
    with pytest.raises(Refused, match="service_in_the_future"):
        bureau.ask(command)


def test_a_refused_command_writes_nothing_and_poisons_nobody(bureau):
    before = len(bureau.entries())
    good, bad, other = job(visit("10:00", "11:00")), job(visit(place="moon")), job(visit())
    answers = bureau.ask_together([good, bad, other])
    assert [type(answer) for answer in answers] == [Answer, Refused, Answer]
    assert len(bureau.entries()) == before + 2


def test_a_bug_in_one_job_takes_no_other_with_it(bureau, monkeypatch):
    def broken(command, **states):
        raise ZeroDivisionError

    monkeypatch.setitem(rules.RULEBOOK, commands.PublishPolicy, broken)
    answers = bureau.ask_together(
        [job(visit()), job(policy("2026-01-01")), job(visit("09:00", "10:00"))]
    )
    assert [type(answer) for answer in answers] == [Answer, ZeroDivisionError, Answer]
    assert positions(bureau) == list(range(1, len(bureau.entries()) + 1))


def test_commands_of_one_batch_see_each_other_s_facts(bureau):
    answers = bureau.ask_together(
        [
            job(visit("14:00", "16:00", by="org-a", receipt="r-1")),
            job(visit("15:30", "17:00", by="org-b")),
            job(visit("14:00", "16:00", by="org-a", receipt="r-1")),
            job(visit("14:00", "15:00", by="org-a", receipt="r-1")),
        ]
    )
    assert b'"minutes":120' in answers[0].body
    assert b'"minutes":60' in answers[1].body
    assert b'"facts":[]' in answers[2].body
    assert b'"minutes":120' in answers[2].body
    assert answers[3].code == "receipt_reused"


def test_a_statement_counts_what_was_recorded_in_the_same_batch(bureau):
    stated = commands.IssueStatement(
        **STAMP,
        number="ST-1",
        code_digest="d",
        member_id=ZHANG,
        organisation="org-a",
        first=NOW.date() - timedelta(days=9),
        last=NOW.date(),
    )
    bureau.committer.commit(
        [job(visit("09:00", "10:00")), job(visit("14:00", "16:00")), job(stated)]
    )
    fact = bureau.entries()[-1].event
    assert (fact.number, fact.minutes, fact.records) == ("ST-1", 180, 2)


def test_each_lets_every_command_stand_for_itself(bureau):
    said = bureau.ask(visit("10:00", "11:00"), visit(place="moon"), visit(), mode="each")
    assert [one.get("refused") for one in said["results"]] == [None, "not_found", None]
    assert bureau.entries()[-1].position == said["position"]


def test_all_takes_nothing_where_one_is_refused(bureau):
    before = bureau.entries()
    said = bureau.ask(visit("10:00", "11:00"), visit(place="moon"), visit(), mode="all")
    assert [one.get("refused") for one in said["results"]] == [None, "not_found", None]
    assert said["position"] is None
    assert bureau.entries() == before
    assert bureau.ask(visit("10:00", "11:00"))["results"][0]["minutes"] == 60


def test_what_all_took_back_is_forgotten_amid_the_batch_too(bureau):
    answers = bureau.ask_together(
        [
            job(visit("09:00", "10:00")),
            job(visit("14:00", "16:00", receipt="r-1"), visit(place="moon"), mode="all"),
            job(visit("14:00", "16:00", receipt="r-1", activity="送餐")),
            job(visit("09:30", "10:30", by="org-b")),
        ]
    )
    assert answers[1].status == 409
    assert b'"minutes":120' in answers[2].body
    assert b'"minutes":30' in answers[3].body


def test_a_dry_run_answers_and_writes_nothing(bureau):
    before = bureau.entries()
    said = bureau.ask(visit(), dry_run=True)
    assert said["position"] is None
    assert said["results"][0]["minutes"] == 120
    assert bureau.entries() == before
    assert bureau.ask(visit(by="org-b"))["results"][0]["minutes"] == 120


def test_a_fact_too_large_for_an_entry_is_refused_alone(bureau):
    holidays = [f"2026-01-{1 + n % 28:02d}" for n in range(6_000)]
    large = policy("2026-01-01", calendar={"holidays": holidays, "workdays": []})
    answers = bureau.ask_together([job(visit()), job(large), job(visit("09:00", "10:00"))])
    assert answers[1].code == "too_large"
    assert [type(answers[0]), type(answers[2])] == [Answer, Answer]


# --- idempotency -----------------------------------------------------------------------------


def test_the_same_key_and_request_get_the_first_answer_byte_for_byte(bureau):
    first = bureau.answer(visit(), once=once("k-1"))
    again = bureau.answer(visit(), once=once("k-1"))
    assert (again.status, again.body) == (first.status, first.body)
    assert again.replayed
    assert not first.replayed


def test_the_kept_answer_survives_a_restart(bureau, store):
    first = bureau.answer(visit(), once=once("k-1"))
    other = Bureau(store)
    again = other.answer(visit(), once=once("k-1"))
    other.close()
    assert (again.body, again.replayed) == (first.body, True)


def test_the_same_key_for_another_request_is_refused(bureau):
    bureau.answer(visit(), once=once("k-1"))
    with pytest.raises(Refused, match="idempotency_key_reused"):
        bureau.answer(visit("09:00", "10:00"), once=once("k-1", b"g" * 32))


def test_the_same_request_twice_in_one_batch_is_decided_once(bureau):
    before = len(bureau.entries())
    asked = [
        job(commands.AddUnit(**STAMP, code=f"u{n}", name="U", level="street"), once=once("k-1"))
        for n in range(3)
    ]
    answers = bureau.ask_together(asked)
    assert len({answer.body for answer in answers}) == 1
    assert [answer.replayed for answer in answers] == [False, True, True]
    assert len(bureau.entries()) == before + 1


def test_a_refusal_and_a_dry_run_leave_no_trace(bureau):
    with pytest.raises(Refused):
        bureau.answer(visit(place="moon"), once=once("k-1"))
    bureau.answer(visit(), once=once("k-1"), dry_run=True)
    assert not bureau.answer(visit(), once=once("k-1")).replayed


def test_a_kept_answer_is_pruned_when_its_time_is_over(bureau, store):
    bureau.answer(visit(), once=once("k-1"))
    much_later = Bureau(store, Clock(NOW + timedelta(hours=73)))
    much_later.ask(visit("09:00", "10:00"))
    again = much_later.answer(visit(), once=once("k-1"))
    much_later.close()
    assert not again.replayed


@pytest.mark.parametrize(("hours_later", "replayed"), [(24, True), (25, False), (72, False)])
def test_answers_are_kept_as_long_as_the_policy_in_force_asks(bureau, store, hours_later, replayed):
    bureau.answer(visit(), once=once("k-1"))
    bureau.ask(policy("2026-01-01", idempotency_hours=24))
    much_later = Bureau(store, Clock(NOW + timedelta(hours=hours_later)))
    much_later.ask(visit("09:00", "10:00"))
    again = much_later.answer(visit(), once=once("k-1"))
    much_later.close()
    assert again.replayed == replayed


def test_a_policy_published_with_the_pruning_batch_counts_for_it_and_is_folded_once(bureau, store):
    bureau.answer(visit(), once=once("k-1"))
    much_later = Bureau(store, Clock(NOW + timedelta(hours=73)))
    much_later.ask(policy("2026-01-01", idempotency_hours=96))
    assert much_later.answer(visit(), once=once("k-1")).replayed
    much_later.ask(policy("2026-01-01", idempotency_hours=97))
    much_later.close()
    published = [e.event.version for e in bureau.entries() if e.type == "PolicyPublished"]
    assert published == [2, 3]


# --- several desks ---------------------------------------------------------------------------


def test_two_desks_on_one_journal_count_no_minute_twice(bureau, store):
    other = Bureau(store)
    assert bureau.ask(visit("14:00", "16:00"))["results"][0]["minutes"] == 120
    assert other.ask(visit("15:00", "17:00", by="org-b"))["results"][0]["minutes"] == 60
    assert bureau.ask(visit("16:30", "18:00", by="org-b"))["results"][0]["minutes"] == 60
    with pytest.raises(Refused, match="overlapping_service"):
        other.ask(visit("14:00", "18:00", by="org-b", receipt="r-9"))
    other.close()


def test_two_desks_know_each_other_s_receipts_and_records(bureau, store):
    other = Bureau(store)
    command = visit(evidence="backfilled")
    bureau.ask(command)
    again = visit(evidence="backfilled")
    assert other.ask(again)["results"][0]["facts"] == []
    verify = commands.VerifyHours(**OTHER, record_id=command.record_id, organisation="org-a")
    with pytest.raises(Refused, match="second_person_needed"):
        bureau.ask(commands.VerifyHours(**STAMP, record_id=command.record_id, organisation="org-a"))
    assert other.ask(verify)["results"][0]["record"] == "verified"
    with pytest.raises(Refused, match="wrong_state"):
        bureau.ask(verify)
    other.close()


def test_many_threads_on_two_desks_leave_dense_positions_and_one_record_a_receipt(bureau, store):
    other = Bureau(store)
    asked = [
        visit(
            f"{hour:02d}:{minute:02d}", f"{hour:02d}:{minute + 9:02d}", receipt=f"{hour}-{minute}"
        )
        for hour in range(8, 12)
        for minute in range(0, 50, 10)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (bureau, other)[n % 2].ask(asked[n % 20]), range(80)))
    other.close()
    entries = bureau.entries()
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert sum(entry.type == "HoursVerified" for entry in entries) == 20
    versions = [entry.version for entry in entries if entry.stream == f"account:{ZHANG}"]
    assert versions == list(range(1, 21))


def test_the_derived_tables_say_what_the_events_say(bureau):
    waiting = visit(evidence="backfilled")
    bureau.ask(visit("09:00", "10:00"), waiting, mode="each")
    bureau.ask(commands.VerifyHours(**OTHER, record_id=waiting.record_id, organisation="org-a"))
    with bureau.store.reading() as connection:
        told = journal.index_rows(bureau.entries())
        assert [(e.type, e.position) for e in journal.record(connection, waiting.record_id)] == [
            ("HoursSubmitted", told.record_entries[1][1]),
            ("SubmittedHoursVerified", told.record_entries[2][1]),
        ]
        standing = journal.records_under(connection, [("org-a", waiting.receipt)])
    assert standing == {("org-a", waiting.receipt): waiting.record_id}


# --- a connection that breaks in COMMIT --------------------------------------------------------


def breaking(store: Store, monkeypatch, *, times: int, committed: bool) -> None:
    """Let the next writers' connections break, before or after their commit became durable."""
    whole = store.writing
    left = [times]

    @contextmanager
    def writing():
        broken = OperationalError("COMMIT", None, Exception("connection lost"))
        with whole() as connection:
            yield connection
            breaks, left[0] = left[0] > 0, left[0] - 1
            if breaks and not committed:
                raise broken
        if breaks:
            raise broken

    monkeypatch.setattr(store, "writing", writing)


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_of_unknown_end_is_looked_up_before_it_is_answered(
    bureau, store, monkeypatch, committed
):
    breaking(store, monkeypatch, times=1, committed=committed)
    answer = bureau.ask(visit())
    entries = bureau.entries()
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1].position == answer["position"]
    assert sum(entry.type == "HoursVerified" for entry in entries) == 1
    assert bureau.ask(visit("09:00", "10:00"))["position"] == answer["position"] + 1


def test_a_database_that_stays_away_is_busy_and_nothing_is_acknowledged(bureau, store, monkeypatch):
    before = len(bureau.entries())
    breaking(store, monkeypatch, times=99, committed=False)
    with pytest.raises(Busy):
        bureau.ask(visit())
    monkeypatch.undo()
    assert len(bureau.entries()) == before
    assert bureau.ask(visit())["results"][0]["minutes"] == 120


# --- the queue -------------------------------------------------------------------------------


async def test_who_goes_away_cancels_nothing(bureau):
    asked = asyncio.create_task(bureau.desk.ask(job(visit("09:00", "10:00"))))
    await asyncio.sleep(0)
    asked.cancel()
    await bureau.desk.ask(job(visit()))
    assert sum(entry.type == "HoursVerified" for entry in bureau.entries()) == 2


def test_a_full_queue_says_so_at_once(bureau, store):
    full = Desk(bureau.committer, waiting_max=0)
    with pytest.raises(Busy):
        full.ask_now(job(visit()))
    full.close()


@pytest.fixture
def held(bureau, monkeypatch):
    """The batch under way stands still until `go` is set; `begun` tells that there is one."""
    begun, go, commit = threading.Event(), threading.Event(), bureau.committer.commit

    def held_back(jobs):
        begun.set()
        assert go.wait(60)
        return commit(jobs)

    monkeypatch.setattr(bureau.committer, "commit", held_back)
    yield SimpleNamespace(begun=begun, go=go)
    go.set()


VISITS = {
    "k-1": visit("09:00", "10:00"),
    "k-2": visit("11:00", "12:00"),
    "k-3": visit("13:00", "14:00"),
}


def asked_again(bureau):
    """Each visit once more, under its key: was it there already?"""
    return [bureau.answer(each, once=once(key)).replayed for key, each in VISITS.items()]


def test_what_is_begun_is_busy_in_time_and_found_under_its_key(bureau, held, monkeypatch):
    before = len(bureau.entries())
    assert bureau.desk.under_way_seconds == 0
    monkeypatch.setattr(desk, "ANSWER_SECONDS", 0.01)
    while not held.begun.is_set():  # who comes too late to be begun comes again
        with pytest.raises(Busy):
            bureau.answer(VISITS["k-1"], once=once("k-1"))
    assert bureau.desk.under_way_seconds > 0
    with pytest.raises(Busy):  # and is not told that there is nothing under its key
        bureau.answer(VISITS["k-1"], once=once("k-1"))
    monkeypatch.setattr(desk, "ANSWER_SECONDS", 60.0)
    held.go.set()
    assert asked_again(bureau) == [True, False, False]
    assert len(bureau.entries()) == before + 3
    assert bureau.desk.under_way_seconds == 0


def test_what_was_not_begun_in_time_is_not_begun_any_more(bureau, held, monkeypatch):
    before = len(bureau.entries())
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(bureau.answer, VISITS["k-1"], once=once("k-1"))
        assert held.begun.wait(60)
        monkeypatch.setattr(desk, "ANSWER_SECONDS", 0.0)
        with pytest.raises(Busy):
            bureau.answer(VISITS["k-2"], once=once("k-2"))
        with pytest.raises(Busy):
            asyncio.run(bureau.desk.ask(job(VISITS["k-3"], once=once("k-3"))))
        monkeypatch.setattr(desk, "ANSWER_SECONDS", 60.0)
        held.go.set()
        assert not under_way.result().replayed
    assert asked_again(bureau) == [True, False, False]
    assert len(bureau.entries()) == before + 3


async def test_who_waits_in_a_loop_is_told_busy_once_the_time_is_over(bureau, held, monkeypatch):
    loop = asyncio.get_running_loop()
    asked = asyncio.create_task(bureau.desk.ask(job(VISITS["k-1"], once=once("k-1"))))
    assert await asyncio.to_thread(held.begun.wait, 60)
    assert not asked.done()
    monkeypatch.setattr(loop, "time", lambda now=loop.time: now() + desk.ANSWER_SECONDS)
    with pytest.raises(Busy):
        await asked
    monkeypatch.undo()
    held.go.set()
    assert asked_again(bureau) == [True, False, False]


def test_an_answer_that_comes_at_the_last_instant_is_given(bureau, monkeypatch):
    """The future's wait ends, and only then comes what it waited for."""
    wait = Future.result

    def late(future, timeout=None):
        said = wait(future, None)
        if timeout is not None:
            raise TimeoutError
        return said

    monkeypatch.setattr(desk.Future, "result", late)
    assert bureau.answer(visit()).status == 201


def test_a_desk_that_the_database_keeps_is_closed_all_the_same(bureau, held, monkeypatch, caplog):
    monkeypatch.setattr(desk, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(desk, "END_SECONDS", 0.01)
    while not held.begun.is_set():
        with pytest.raises(Busy):
            bureau.ask(visit())
    bureau.close()
    assert "acknowledged to nobody" in caplog.text
    assert bureau.desk._thread.is_alive()
    assert bureau.desk._thread.daemon  # it keeps no process from ending
    held.go.set()
    bureau.desk._thread.join()


def test_a_writer_waits_for_another_of_its_process_within_bounds(bureau, store, monkeypatch):
    monkeypatch.setattr(databases, "WAIT_SECONDS", 0.01)
    with store.writing():
        with pytest.raises(OperationalError) as no, store.writing():
            pass
        assert databases.is_away(no.value)
        with pytest.raises(Busy):
            bureau.ask(visit())
    assert bureau.ask(visit())["results"][0]["minutes"] == 120


def test_a_closed_desk_has_finished_what_waited_and_takes_nothing_more(bureau):
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(bureau.ask, visit(f"{hour:02d}:00", f"{hour:02d}:30"))
            for hour in range(9, 13)
        ]
        answered = [future.result()["position"] for future in asked]
    bureau.close()
    assert sorted(answered) == positions(bureau)[-4:]
    with pytest.raises(Busy):
        bureau.ask(visit("20:00", "20:30", on="2026-03-08"))


def test_an_unknown_record_has_no_past(bureau):
    with pytest.raises(Refused, match="not_found"):
        bureau.ask(commands.VerifyHours(**OTHER, record_id=new_id(), organisation="org-a"))
