"""API keys: their text, the table of their hashes, and the door that tells whose a key is."""

import hashlib
import re
import zlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from ledger.keys import (
    ALPHABET,
    Key,
    Keyring,
    NewKey,
    actor_names,
    create_key,
    find_key,
    list_keys,
    make_key,
    parse_key,
    revoke_key,
)
from ledger.store import Store
from ledger.store import keys as keys_table
from ledger.units import new_id, recorded_text

NOW = datetime(2026, 3, 6, 10, tzinfo=UTC)
TODAY = NOW.date()


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


def revoked(engine: Engine, key: Key) -> Key | None:
    with engine.begin() as db:
        return revoke_key(db, key.id, NOW + timedelta(hours=1))


# --- the text ------------------------------------------------------------------------------------


def test_a_key_has_the_shape_that_the_contract_fixes() -> None:
    shape = r"tbk_(live|test)_[0-9A-Za-z]{8}_[0-9A-Za-z]{40}[0-9A-Za-z]{6}"
    assert re.fullmatch(shape, make_key())
    assert make_key().startswith("tbk_live_")
    assert make_key("test").startswith("tbk_test_")


def test_no_two_keys_are_alike() -> None:
    keys = [make_key() for _ in range(500)]
    assert len(set(keys)) == len({parse_key(key) for key in keys}) == 500


def test_the_checksum_is_the_crc_in_base62() -> None:
    body = "tbk_live_abcdEFGH_" + "0123456789" * 4
    assert parse_key(with_checksum(body)) == "abcdEFGH"
    key = make_key()
    assert with_checksum(key[:-6]) == key


def test_a_key_of_the_first_day_is_a_key_for_ever() -> None:
    assert parse_key("tbk_live_abcdEFGH_" + "0123456789" * 4 + "0c8RVh") == "abcdEFGH"


@given(st.integers(0, 63), st.sampled_from(ALPHABET))
def test_a_mistyped_character_is_seen_without_a_look_up(place: int, other: str) -> None:
    key = make_key()
    typed = key[:place] + other + key[place + 1 :]
    assert (parse_key(typed) is None) == (typed != key)


@given(st.text() | st.from_regex(r"tbk_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{46}", fullmatch=True))
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert parse_key(text) is None


@pytest.mark.parametrize("change", ["{} ", " {}", "{}\n", "Bearer {}", "{}0"])
def test_a_key_with_something_around_it_is_no_key(change: str) -> None:
    assert parse_key(change.format(make_key())) is None


# --- the table -----------------------------------------------------------------------------------


def test_only_a_hash_of_the_key_is_kept(engine: Engine) -> None:
    new = created(engine)
    with engine.connect() as db:
        row = db.execute(select(keys_table)).one()
    assert row.hash == hashlib.sha256(new.text.encode()).digest()
    secret = new.text[18:58]
    assert not any(secret in str(value) for value in row)
    assert secret not in repr(new.key)


def test_a_key_is_kept_as_it_was_made(engine: Engine) -> None:
    member = new_id()
    new = created(
        engine, role="verifier", member_id=member, expires_on=date(2026, 12, 31), mode="test"
    )
    assert new.text.startswith("tbk_test_")
    with engine.connect() as db:
        assert find_key(db, new.key.id) == new.key
        assert find_key(db, "00000000") is None
    assert new.key == Key(
        id=new.text[9:17],
        role="verifier",
        actor="front desk",
        organisation="org-a",
        member_id=member,
        expires_on=date(2026, 12, 31),
        created_at=recorded_text(NOW),
    )


@pytest.mark.parametrize(
    "said",
    [
        {"role": "poster"},
        {"role": "poster", "member_id": "m"},
        {"role": "verifier"},
        {"role": "verifier", "member_id": "m"},
        {"role": "member", "organisation": None, "member_id": "m"},
        {"role": "auditor", "organisation": None},
        {"role": "admin", "organisation": None},
    ],
)
def test_a_key_is_for_whom_its_role_is_for(engine: Engine, said: dict[str, object]) -> None:
    assert created(engine, **said).key.role == said["role"]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"role": "root"}, "no role 'root': poster, verifier, member, auditor, admin"),
        ({"role": "poster", "organisation": None}, "role poster is for one organisation"),
        ({"role": "verifier", "organisation": ""}, "role verifier is for one organisation"),
        ({"role": "member", "organisation": None}, "role member is for one member"),
        ({"role": "member", "member_id": "m"}, "role member is for one member and no organisation"),
        ({"role": "admin"}, "role admin is for no organisation and no member"),
        ({"role": "auditor", "organisation": None, "member_id": "m"}, "role auditor is for no"),
        ({"actor": " "}, "has an actor's name"),
    ],
)
def test_a_key_for_nobody_or_too_many_is_refused(
    engine: Engine, said: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        created(engine, **said)
    with engine.connect() as db:
        assert list_keys(db) == []


def test_keys_are_listed_oldest_first_revoked_ones_too(engine: Engine) -> None:
    later = created(engine, at=NOW + timedelta(minutes=1)).key
    first = created(engine).key
    revoked(engine, first)
    with engine.connect() as db:
        listed = list_keys(db)
    assert [key.id for key in listed] == [first.id, later.id]
    assert [key.revoked_at for key in listed] == [recorded_text(NOW + timedelta(hours=1)), None]


def test_a_second_revocation_keeps_the_time_of_the_first(engine: Engine) -> None:
    key = created(engine).key
    first = revoked(engine, key)
    assert first is not None
    with engine.begin() as db:
        assert revoke_key(db, key.id, NOW + timedelta(days=3)) == first
        assert revoke_key(db, "00000000", NOW) is None


def test_actors_are_named_by_the_ids_in_events(engine: Engine) -> None:
    wang, li = created(engine, actor="王").key, created(engine, actor="李").key
    with engine.connect() as db:
        assert actor_names(db, [li.id, wang.id, li.id, "cli", "jobs"]) == {
            wang.id: "王",
            li.id: "李",
        }
        assert actor_names(db, []) == {}


# --- at the door ---------------------------------------------------------------------------------


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
