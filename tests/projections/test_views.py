"""The loop: what it reads, how it goes on after a crash, who waits for it, who else runs it."""

import asyncio
import threading
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from ledger.databases import open_engine, reading, writing
from ledger.events import Event
from ledger.store import Store, append, sibling_url
from projections import passbook, schema
from projections import views as module
from projections.replay import digests, replay
from projections.views import Views
from tests.projections.history import (
    LI,
    ZHANG,
    another_ledger,
    field,
    submitted,
    then_rejected,
    then_verified,
    verified,
    write,
)
from tests.rounds import rounds

FIELD = field(ZHANG, LI)


def said(views: Views) -> dict[str, Any]:
    """The digest of every view."""
    with reading(views.engine) as connection:
        return digests(connection)


def available(views: Views) -> int:
    with reading(views.engine) as connection:
        found = passbook.balance(connection, ZHANG)
    return found["credits"]["available"] if found else 0


# --- reading on ---------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Members who post, wait, are verified or rejected, in any order that the rules allow."""
    facts: list[Event] = [*FIELD]
    waiting: list[tuple[int, str]] = []
    for record in range(draw(st.integers(0, 14))):
        member = draw(st.sampled_from([ZHANG, LI]))
        match draw(st.sampled_from(["post", "submit", "settle"])):
            case "post":
                facts.append(verified(record, member, draw(st.integers(1, 300))))
            case "submit":
                facts.append(submitted(record, member))
                waiting.append((record, member))
            case _ if waiting:
                settled = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
                facts.append(draw(st.sampled_from([then_verified, then_rejected]))(*settled))
    return facts


@settings(
    max_examples=rounds(6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(facts=histories(), stops=st.lists(st.integers(0, 25)), page=st.integers(1, 7))
def test_pages_of_any_size_a_rebuild_and_a_replay_say_the_same(
    database_url: str, facts: list[Event], stops: list[int], page: int
) -> None:
    with another_ledger(database_url) as views, pytest.MonkeyPatch.context() as patch:
        views.prepare()
        patch.setattr(module, "PAGE", page)
        write(views.store, facts)
        for stop in sorted(stops):
            views.catch_up(stop)
        assert views.catch_up() == len(facts)
        by_pages = said(views)
        patch.undo()
        replayed = replay(views.store, views)
        assert replayed.difference is None
        assert replayed.live == replayed.replayed == by_pages
        assert len(set(replayed.digests)) == 1
        assert views.rebuild() == len(facts)
        assert said(views) == by_pages


def test_views_that_were_never_made_are_made(store: Store, views: Views) -> None:
    write(store, [*FIELD, verified(1)])
    assert views.catch_up() == len(FIELD) + 1
    assert available(views) == 90


def test_a_page_that_breaks_leaves_nothing_and_is_read_again(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, FIELD)
    views.catch_up()
    write(store, [verified(n) for n in range(5)])
    monkeypatch.setattr(module, "PAGE", 2)
    told = []

    def break_on_the_second_page(page: Any) -> None:
        told.append(page)
        if len(told) == 2:
            raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setitem(module.PROJECTIONS, "broken", break_on_the_second_page)
        with pytest.raises(RuntimeError):
            views.catch_up()
    assert views.position == len(FIELD) + 2
    assert available(views) == 2 * 90
    assert views.catch_up() == len(FIELD) + 5
    assert available(views) == 5 * 90
    assert replay(store, views).difference is None


def test_a_rebuild_that_breaks_leaves_the_old_views(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, [*FIELD, verified(1)])
    views.catch_up()
    before = said(views)

    def broken(connection: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(schema, "create_indexes", broken)
        with pytest.raises(RuntimeError):
            views.rebuild()
    assert said(views) == before
    write(store, [verified(2)])
    views.catch_up()
    assert available(views) == 180


def test_readers_see_the_old_views_until_the_new_ones_are_complete(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, [*FIELD, verified(1)])
    views.catch_up()
    seen: list[int] = []
    create_indexes = schema.create_indexes

    def look_before(connection: Any) -> None:
        seen.append(available(views))
        create_indexes(connection)

    monkeypatch.setattr(schema, "create_indexes", look_before)
    views.rebuild()
    assert seen == [90]
    assert available(views) == 90


def test_views_of_another_shape_are_rebuilt(store: Store, views: Views) -> None:
    write(store, [*FIELD, verified(1)])
    views.catch_up()
    with writing(views.engine) as connection:
        connection.execute(text("UPDATE bookmark SET shape = 'older'"))
        connection.execute(text("DROP TABLE passbook"))
        connection.execute(text("CREATE TABLE forgotten (id int)"))
    opened = Views(store, views.engine)
    opened.prepare()
    assert opened.position == len(FIELD) + 1
    assert available(opened) == 90
    with reading(views.engine) as connection:
        assert not connection.dialect.has_table(connection, "forgotten")


def test_views_of_another_journal_are_rebuilt(store: Store, views: Views) -> None:
    write(store, [*FIELD, verified(1), verified(2)])
    views.catch_up()
    with writing(views.engine) as connection:
        connection.execute(text("UPDATE bookmark SET leaf_hash = '00'"))
        connection.execute(text("UPDATE balances SET available = 7"))
    opened = Views(store, views.engine)
    opened.prepare()
    assert available(opened) == 180


def test_an_entry_of_a_type_that_is_not_ours_has_a_place_in_the_trail_alone(
    store: Store, views: Views
) -> None:
    write(store, [*FIELD, verified(1)])
    with store.writing() as connection:
        append(connection, [("elsewhere", 1, "Unheard", b"\x00\xff")], len(FIELD) + 1)
    write(store, [verified(2)])
    assert views.catch_up() == len(FIELD) + 3
    assert available(views) == 180


# --- waiting ------------------------------------------------------------------------------------


async def test_who_waits_for_a_position_is_told_when_it_is_read(store: Store, views: Views) -> None:
    write(store, FIELD)
    views.start()
    assert await views.wait_for(len(FIELD), 30)
    waiting = [asyncio.create_task(views.wait_for(len(FIELD) + n, 30)) for n in (1, 2, 2)]
    await asyncio.to_thread(write, store, [verified(1), verified(2)])
    assert await asyncio.gather(*waiting) == [True] * 3
    assert available(views) == 180


async def test_who_waits_in_vain_is_told_so(store: Store, views: Views) -> None:
    write(store, FIELD)
    views.start()
    assert await views.wait_for(len(FIELD), 30)
    assert not await views.wait_for(len(FIELD) + 1, 0.01)


async def test_without_a_thread_it_is_read_on_while_one_waits(store: Store, views: Views) -> None:
    write(store, FIELD)
    assert await views.wait_for(len(FIELD), 30)
    assert not await views.wait_for(len(FIELD) + 1, 30)


# --- several loops, and bad weather -------------------------------------------------------------


async def test_of_two_loops_one_reads_on_and_the_other_follows(
    store: Store, views: Views, database_url: str
) -> None:
    other_store = Store(database_url)
    engine = open_engine(sibling_url(database_url, "views"), "main_views", durable=False)
    other = Views(other_store, engine)
    try:
        views.start()
        other.start()
        for start in range(0, 40, 5):
            facts: list[Event] = [] if start else [*FIELD]
            facts += [verified(start + n) for n in range(5)]
            await asyncio.to_thread(write, store, facts)
        last = len(FIELD) + 40
        assert await views.wait_for(last, 30)
        assert await other.wait_for(last, 30)
        assert available(other) == 40 * 90
        assert replay(store, views).difference is None
    finally:
        other.close()
        other_store.close()
        engine.dispose()


def test_a_loop_goes_on_where_another_has_been(
    store: Store, views: Views, views_engine: Engine
) -> None:
    other = Views(store, views_engine)
    for n in range(4):
        write(store, [*([] if n else FIELD), verified(n)])
        (views, other)[n % 2].catch_up()
    assert available(views) == 360
    other.rebuild()
    write(store, [verified(4)])
    assert views.catch_up() == other.catch_up() == len(FIELD) + 5
    assert replay(store, views).difference is None


async def test_who_follows_and_reads_on_remembers_nothing_of_where_it_was(
    store: Store, views: Views, views_engine: Engine
) -> None:
    """So do the jobs of `timebank work jobs` beside a `timebank work views`."""
    other = Views(store, views_engine)
    write(store, [*FIELD, verified(0)])
    other.catch_up()
    other.follow()
    try:
        for n in range(1, 4):
            write(store, [verified(n)])
            last = views.catch_up()
            assert await other.wait_for(last, 30)
            write(store, [verified(10 + n)])
            assert other.catch_up() == last + 1
    finally:
        other.close()
    assert available(views) == 7 * 90
    assert replay(store, views).difference is None


def test_what_another_reads_between_the_page_and_its_turn_is_not_taken_in_twice(
    store: Store, views: Views, views_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Views(store, views_engine)
    write(store, FIELD)
    other.catch_up()
    write(store, [verified(1)])
    read = Views._read

    def overtaken(self: Views, *asked: Any) -> Any:
        rows = read(self, *asked)
        monkeypatch.undo()
        views.catch_up()
        looking = threading.Thread(target=other._look)  # which a thread of its own does
        looking.start()
        looking.join(0.2)
        return rows

    monkeypatch.setattr(Views, "_read", overtaken)
    assert other.catch_up() == len(FIELD) + 1
    assert available(views) == 90
    assert replay(store, views).difference is None


async def test_a_loop_whose_database_goes_away_comes_back(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []  # whatever other tests have made of the program's logging
    monkeypatch.setattr(module.log, "warning", lambda text, *given: said.append(text % given))
    write(store, FIELD)
    failures = 3
    failed = threading.Event()
    take_in = Views._take_in

    def fail_at_first(self: Views, *args: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            if not failures:
                failed.set()
            raise OperationalError("COMMIT", None, Exception("away"))
        return take_in(self, *args)

    views.prepare()
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(Views, "_take_in", fail_at_first)
    views.start()
    write(store, [verified(1)])
    assert await asyncio.to_thread(failed.wait, 30)
    assert await views.wait_for(len(FIELD) + 1, 30)
    assert available(views) == 90
    assert sum("again in" in line for line in said) == 3


async def test_who_follows_knows_how_far_another_has_read(
    store: Store, views: Views, views_engine: Engine
) -> None:
    follower = Views(store, views_engine)
    try:
        follower.follow()
        assert (follower.position, follower.standing) == (0, False)
        write(store, FIELD)
        for _ in range(2):  # the second time they are built anew
            waiting = asyncio.create_task(follower.wait_for(len(FIELD), 30))
            await asyncio.to_thread(views.rebuild)
            assert await waiting
            assert follower.standing
        assert not await follower.wait_for(len(FIELD) + 1, 0)
    finally:
        follower.close()


@pytest.mark.postgresql
def test_who_follows_is_told_of_each_page_at_once(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    store.create()
    engine = open_engine(postgresql_url, "main_views", durable=False)
    with psycopg.connect(postgresql_url, autocommit=True) as listening:
        listening.execute("LISTEN main_views")
        Views(store, engine).catch_up()
        write(store, FIELD)
        Views(store, engine).catch_up()
        told = [word.channel for word in listening.notifies(timeout=30, stop_after=2)]
    assert told == ["main_views"] * 2
    engine.dispose()
    store.close()


def test_a_loop_ends_when_it_is_closed(store: Store, views: Views) -> None:
    write(store, FIELD)
    views.start()
    views.close()
    assert "views" not in {thread.name for thread in threading.enumerate()}
