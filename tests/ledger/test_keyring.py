"""The door's keyring: whose a key or a subject is, how soon a change is heard of, and last uses."""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from ledger import keyring as keyring_module
from ledger.keyring import Keyring, KeyUses
from ledger.keys import (
    ALPHABET,
    Key,
    NewKey,
    create_key,
    find_key,
    hash_key,
    make_key,
    parse_key,
    register_subject,
    revoke_key,
)
from ledger.store import Store
from ledger.units import recorded_text

NOW = datetime(2026, 3, 6, 10, tzinfo=UTC)
TODAY = NOW.date()
ISSUER = "https://id.example"


@pytest.fixture
def engine(store: Store) -> Engine:
    return store.engine


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(engine: Engine, clock: Clock) -> Keyring:
    return Keyring(engine, clock=clock, today=lambda: TODAY)


def created(engine: Engine, **said: object) -> NewKey:
    given: dict[str, object] = {
        "role": "poster",
        "actor": "front desk",
        "organisation": "org-a",
        "at": NOW,
    }
    with engine.begin() as db:
        return create_key(db, **(given | said))  # type: ignore[arg-type]


def registered(engine: Engine, subject: str = "sub-1", **said: object) -> Key:
    with engine.begin() as db:
        return register_subject(
            db,
            issuer=ISSUER,
            subject=subject,
            role="poster",
            actor="desk",
            at=NOW,
            organisation="org-a",
            **said,  # type: ignore[arg-type]
        )


def revoked(engine: Engine, key: Key) -> None:
    with engine.begin() as db:
        revoke_key(db, key.id, NOW + timedelta(hours=1))


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_tells_who_calls(engine: Engine, keyring: Keyring) -> None:
    new = created(engine)
    assert keyring.find(new.text) == new.key


def test_a_key_of_the_right_id_and_another_secret_is_nobody(
    engine: Engine, keyring: Keyring
) -> None:
    new = created(engine)
    forged = with_checksum(f"tbk_live_{new.key.id}_{'0' * 40}")
    assert parse_key(forged) == new.key.id
    assert keyring.find(forged) is None
    assert keyring.find(new.text) == new.key
    assert keyring.recall(forged) is None


@pytest.mark.parametrize(
    "presented", ["", "tbk_live_", "secret", "tbk_live_\u0661bcdEFGH_" + "0" * 46]
)
def test_what_is_no_key_is_nobody_and_asks_nothing(
    engine: Engine, keyring: Keyring, presented: str
) -> None:
    with asked(engine) as statements:
        assert keyring.find(presented) is None
        assert keyring.recall(presented) is None
    assert not statements


def test_a_key_works_through_its_last_day(engine: Engine) -> None:
    new = created(engine, expires_on=TODAY)
    days = [TODAY - timedelta(1), TODAY, TODAY + timedelta(1)]
    found = [Keyring(engine, today=lambda day=day: day).find(new.text) for day in days]  # type: ignore[misc]
    assert [key is not None for key in found] == [True, True, False]


def test_a_key_expires_while_it_is_remembered(engine: Engine, clock: Clock) -> None:
    days = [TODAY, TODAY + timedelta(1)]
    keyring = Keyring(engine, clock=clock, today=lambda: days[0])
    new = created(engine, expires_on=TODAY)
    assert keyring.find(new.text)
    days.pop(0)
    assert keyring.find(new.text) is None


def test_a_busy_server_asks_for_a_key_once_in_fifty_milliseconds(
    engine: Engine, keyring: Keyring, clock: Clock
) -> None:
    new = created(engine)
    assert keyring.recall(new.text) is None
    with asked(engine) as statements:
        for _ in range(100):
            assert keyring.find(new.text) == new.key
            assert keyring.recall(new.text) == new.key
        assert len(statements) == 1
        clock.now += 0.05
        assert keyring.recall(new.text) is None
        assert keyring.find(new.text) == new.key
        assert len(statements) == 2


def test_a_revocation_elsewhere_is_heard_of_within_fifty_milliseconds(
    engine: Engine, keyring: Keyring, clock: Clock
) -> None:
    new = created(engine)
    assert keyring.find(new.text) == new.key
    revoked(engine, new.key)
    clock.now += 0.05
    assert keyring.find(new.text) is None
    assert keyring.recall(new.text) is None


def test_a_new_key_works_at_once(engine: Engine, keyring: Keyring) -> None:
    text = make_key()
    assert keyring.find(text) is None
    new = created(engine)
    assert keyring.find(new.text) == new.key
    assert keyring.find(text) is None


def test_what_is_no_key_is_asked_for_once_a_second(
    engine: Engine, keyring: Keyring, clock: Clock
) -> None:
    text = make_key()
    with asked(engine) as statements:
        for _ in range(3):
            assert keyring.find(text) is None
        assert len(statements) == 1
        clock.now += 1
        assert keyring.find(text) is None
        assert len(statements) == 2
        assert keyring.met(hash_key(text)) is False
    clock.now += 1
    assert keyring.met(hash_key(text)) is None


def test_a_key_that_was_one_is_met(engine: Engine, keyring: Keyring, clock: Clock) -> None:
    new = created(engine)
    assert keyring.met(hash_key(new.text)) is None
    keyring.find(new.text)
    clock.now += 3_600
    assert keyring.recall(new.text) is None
    assert keyring.met(hash_key(new.text)) is True
    revoked(engine, new.key)
    assert keyring.find(new.text) is None
    assert keyring.met(hash_key(new.text)) is True


def test_memory_is_bounded(
    engine: Engine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_module, "REMEMBERED_MAX", 3)
    for _ in range(10):
        assert keyring.find(created(engine).text)
        assert keyring.find(make_key()) is None
        assert len(keyring._kept) <= 3
        assert len(keyring._strangers) <= 3


# --- subjects ------------------------------------------------------------------------------------


def test_a_subject_tells_who_calls_and_is_asked_for_once_in_fifty_milliseconds(
    engine: Engine, keyring: Keyring, clock: Clock
) -> None:
    key = registered(engine)
    assert keyring.recall_subject(ISSUER, "sub-1") is None
    with asked(engine) as statements:
        for _ in range(10):
            assert keyring.find_subject(ISSUER, "sub-1") == key
            assert keyring.recall_subject(ISSUER, "sub-1") == key
        assert len(statements) == 1
    assert keyring.find_subject("https://other.example", "sub-1") is None
    revoked(engine, key)
    clock.now += 0.05
    assert keyring.recall_subject(ISSUER, "sub-1") is None
    assert keyring.find_subject(ISSUER, "sub-1") is None


def test_a_subject_that_is_registered_anew_works_within_a_second(
    engine: Engine, keyring: Keyring, clock: Clock
) -> None:
    first = registered(engine)
    assert keyring.find_subject(ISSUER, "sub-1") == first
    revoked(engine, first)
    clock.now += 0.05
    assert keyring.find_subject(ISSUER, "sub-1") is None
    again = registered(engine)
    clock.now += 1
    assert keyring.find_subject(ISSUER, "sub-1") == again


def test_a_subject_works_through_its_last_day(engine: Engine, clock: Clock) -> None:
    days = [TODAY, TODAY + timedelta(1)]
    keyring = Keyring(engine, clock=clock, today=lambda: days[0])
    registered(engine, expires_on=TODAY)
    assert keyring.find_subject(ISSUER, "sub-1")
    days.pop(0)
    assert keyring.recall_subject(ISSUER, "sub-1") is None


# --- last use ------------------------------------------------------------------------------------


def last_used(engine: Engine, key: Key) -> str | None:
    with engine.connect() as db:
        found = find_key(db, key.id)
    assert found is not None
    return found.last_used_at


def test_whoever_comes_in_is_noted_and_nobody_else(store: Store, clock: Clock) -> None:
    keyring = Keyring(store.engine, clock=clock, today=lambda: TODAY)
    keyring.uses = KeyUses(lambda: NOW)
    new, gone = created(store.engine), created(store.engine)
    ended = created(store.engine, expires_on=TODAY - timedelta(1))
    subject = registered(store.engine)
    revoked(store.engine, gone.key)
    for text in (new.text, gone.text, ended.text, make_key()):
        keyring.find(text)
    keyring.find_subject(ISSUER, "sub-1")
    keyring.find_subject(ISSUER, "sub-2")
    assert last_used(store.engine, new.key) is None
    assert keyring.uses.keep(store.writing) == 2
    assert keyring.uses.keep(store.writing) == 0
    used = [last_used(store.engine, key) for key in (new.key, gone.key, ended.key, subject)]
    assert used == [recorded_text(NOW), None, None, recorded_text(NOW)]


def test_a_request_that_is_answered_from_memory_asks_and_writes_nothing(
    store: Store, keyring: Keyring
) -> None:
    new = created(store.engine)
    keyring.find(new.text)
    with asked(store.engine) as statements:
        keyring.recall(new.text)
    assert not statements


def test_uses_are_written_some_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring_module, "USES_AT_ONCE", 2)
    uses = KeyUses(lambda: NOW)
    made = [created(store.engine).key for _ in range(5)]
    for key in made:
        uses.note(key.id)
    turns: list[None] = []

    @contextmanager
    def writing() -> Iterator[Connection]:
        turns.append(None)
        with store.writing() as connection:
            yield connection

    assert uses.keep(writing) == 5
    assert len(turns) == 3
    assert {last_used(store.engine, key) for key in made} == {recorded_text(NOW)}


def test_what_could_not_be_written_stays_noted_and_what_is_newer_wins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_module, "USES_AT_ONCE", 1)
    times = [NOW, NOW, NOW + timedelta(minutes=1)]
    uses = KeyUses(lambda: times.pop(0))
    one, other = sorted((created(store.engine).key for _ in range(2)), key=lambda key: key.id)
    for key in (one, other):
        uses.note(key.id)
    turns: list[None] = []

    @contextmanager
    def busy() -> Iterator[Connection]:
        turns.append(None)
        if len(turns) == 2:
            uses.note(other.id)  # meanwhile
            raise OperationalError("BEGIN", None, Exception("busy"))
        with store.writing() as connection:
            yield connection

    with pytest.raises(OperationalError):
        uses.keep(busy)
    assert last_used(store.engine, one) == recorded_text(NOW)
    assert last_used(store.engine, other) is None
    assert uses.keep(store.writing) == 1
    assert last_used(store.engine, other) == recorded_text(NOW + timedelta(minutes=1))


def test_uses_may_be_noted_in_many_threads_while_they_are_written(store: Store) -> None:
    uses = KeyUses()
    made = [created(store.engine).key.id for _ in range(20)]
    for key_id in made:
        uses.note(key_id)
    started, ended = threading.Barrier(5), threading.Event()

    def note() -> None:
        started.wait(30)
        while not ended.is_set():
            for key_id in made:
                uses.note(key_id)

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(30)
    kept = [uses.keep(store.writing) for _ in range(20)]
    ended.set()
    for thread in threads:
        thread.join(30)
    assert (kept[0], max(kept)) == (20, 20)


class asked:
    """The statements that an engine was asked within the block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements: list[str] = []

    def _hear(self, *executed: object) -> None:
        if executed[2] != "BEGIN":
            self._statements.append(str(executed[2]))

    def __enter__(self) -> list[str]:
        event.listen(self._engine, "before_cursor_execute", self._hear)
        return self._statements

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._hear)


def with_checksum(body: str) -> str:
    """As anyone would write it from the description: the CRC-32, six digits of base62."""
    number, places = zlib.crc32(body.encode()), range(5, -1, -1)
    return body + "".join(ALPHABET[number // 62**place % 62] for place in places)
