"""Followers wake when something new may stand in the journal, and acknowledged means replicated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import event

from ledger import wakeup as waking
from ledger.store import NotReplicated, Store, append, last_position
from tests.faults.standbys import cut_short, standby_away, waiting_for_the_standby

LONG = 60.0  # seconds that no test waits for unless it fails


@pytest.fixture
def elsewhere(database_url: str, store: Store) -> Iterator[Store]:
    """The same journal, as another process has it open."""
    opened = Store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def only_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look that follows a silence."""
    monkeypatch.setattr(waking._Channel, "pause_seconds", 10 * LONG)


def write(store: Store, stream: str = "s") -> int:
    with store.writing() as connection:
        after = last_position(connection)
        append(connection, [(stream, after + 1, "t", b"")], after)
        store.poke(connection)
    return after + 1


@pytest.mark.usefixtures("only_by_word")
def test_a_follower_wakes_when_its_own_process_writes(store: Store) -> None:
    wakeup = store.wakeup()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wakeup.wait, LONG)
        write(store)
        assert waiting.result()


@pytest.mark.usefixtures("only_by_word")
def test_its_own_process_tells_a_follower_past_the_database(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for elsewhere in (waking._DataVersion, waking._Channel):
        monkeypatch.setattr(elsewhere, "changed", lambda self: False)
    wakeup = store.wakeup()
    write(store)
    assert wakeup.wait(0)
    assert not wakeup.wait(0)


@pytest.mark.usefixtures("only_by_word")
def test_a_follower_wakes_when_another_process_writes(store: Store, elsewhere: Store) -> None:
    wakeup = store.wakeup()
    with ThreadPoolExecutor() as pool:
        for _ in range(3):
            waiting = pool.submit(wakeup.wait, LONG)
            write(elsewhere)
            assert waiting.result()


@pytest.mark.usefixtures("only_by_word")
def test_what_is_written_before_the_wait_is_not_missed(store: Store, elsewhere: Store) -> None:
    for writer in (store, elsewhere):
        wakeup = store.wakeup()
        write(writer)
        assert wakeup.wait(LONG)


def test_a_wait_ends_without_a_word_when_nothing_is_new(store: Store) -> None:
    wakeup = store.wakeup()
    assert not wakeup.wait(0)
    assert not wakeup.wait(0.05)


def test_a_commit_is_said_once_in_its_own_process(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    store.create()
    wakeup = store.wakeup()
    write(store)
    assert wakeup.wait(0)
    assert not wakeup.wait(0)
    store.close()


def test_nothing_is_said_of_a_transaction_that_failed(store: Store) -> None:
    wakeup = store.wakeup()
    wakeup.wait(0)

    def failing() -> None:
        with store.writing() as connection:
            store.poke(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert not wakeup.wait(0.05)
    with store.writing():
        pass  # whose forerunner had poked
    assert not wakeup.wait(0)


def test_on_postgresql_a_follower_looks_anyway_after_a_silence(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking._Channel, "pause_seconds", 0.01)
    store = Store(postgresql_url)
    wakeup = store.wakeup()
    assert wakeup.wait(LONG)
    assert wakeup.wait(LONG)
    store.close()


def test_a_follower_hears_again_after_its_connection_broke(postgresql_url: str) -> None:
    store, writer = Store(postgresql_url), Store(postgresql_url)
    writer.create()
    wakeup = store.wakeup()
    wakeup._elsewhere.pause_seconds = 10 * LONG
    with psycopg.connect(postgresql_url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert wakeup.wait(LONG)  # something may have been missed
    assert wakeup.wait(LONG)  # listening anew
    write(writer)
    assert wakeup.wait(LONG)
    store.close()
    writer.close()


def test_closing_ends_a_wait_and_all_later_ones(store: Store) -> None:
    wakeup = store.wakeup()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wakeup.wait)
        while not wakeup._waiting.locked():
            pass
        wakeup.close()
        assert not waiting.result()
    assert not wakeup.wait()
    assert store._followers == set()
    write(store)
    wakeup.close()


def test_closing_the_store_ends_every_wait(store: Store) -> None:
    with ThreadPoolExecutor() as pool:
        wakeups = [store.wakeup() for _ in range(3)]
        waiting = [pool.submit(wakeup.wait) for wakeup in wakeups]
        while not all(wakeup._waiting.locked() for wakeup in wakeups):
            pass
        store.close()
        assert [one.result() for one in waiting] == [False] * 3


# --- synchronous replication ---------------------------------------------------------------------


def test_a_commit_whose_wait_for_the_standby_is_cancelled_is_not_acknowledged(
    postgresql_url: str,
) -> None:
    store = Store(postgresql_url)
    store.create()

    def look() -> int:
        """Writes nothing, and is told what stands all the same."""
        with store.writing() as connection:
            return last_position(connection)

    with ThreadPoolExecutor() as pool:
        with standby_away(postgresql_url) as admin:
            with pytest.raises(NotReplicated):
                cut_short(admin, pool, write, store).result()
            with store.reading() as connection:
                stands = last_position(connection)
            looking = pool.submit(look)
            assert waiting_for_the_standby(admin, looking)
        assert looking.result() == stands
    store.close()


def test_without_standbys_a_transaction_that_wrote_nothing_writes_nothing(
    postgresql_url: str,
) -> None:
    store = Store(postgresql_url)
    store.create()
    said: list[str] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    with store.writing():
        pass
    assert not [statement for statement in said if "pg_logical_emit_message" in statement]
    assert len(said) == 1  # its turn
    store.close()
