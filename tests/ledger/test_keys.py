"""API keys: their text, the table of their hashes, and what follows what."""

import hashlib
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from ledger.keys import (
    ALPHABET,
    OVERLAP_DAYS,
    SUBJECT_MAX,
    Key,
    NewKey,
    NotRotated,
    SubjectTaken,
    actor_names,
    create_key,
    find_key,
    find_subject,
    forget_member,
    keep_uses,
    list_keys,
    make_key,
    parse_key,
    register_subject,
    revoke_key,
    rotate_key,
)
from ledger.store import Store
from ledger.store import keys as keys_table
from ledger.units import new_id, recorded_text

NOW = datetime(2026, 3, 6, 10, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def engine(store: Store) -> Engine:
    return store.engine


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


# --- rotation ------------------------------------------------------------------------------------


def rotated(engine: Engine, key: Key, **said: object) -> tuple[NewKey, Key]:
    """The new key, and the old one as it stands afterwards."""
    with engine.begin() as db:
        new = rotate_key(db, key, **({"at": NOW} | said))  # type: ignore[arg-type]
        old = find_key(db, key.id)
    assert old is not None
    return new, old


def test_a_new_key_follows_an_old_one_in_all_it_may(engine: Engine) -> None:
    member = new_id()
    before = created(engine, role="verifier", actor="王", member_id=member)
    new, old = rotated(engine, before.key)
    assert new.text != before.text
    assert new.key == Key(
        new.key.id,
        "verifier",
        "王",
        "org-a",
        member,
        None,
        recorded_text(NOW),
        replaces=before.key.id,
    )
    with engine.connect() as db:
        assert find_key(db, new.key.id) == new.key
    assert (old.expires_on, old.revoked_at) == (TODAY + timedelta(OVERLAP_DAYS), None)


@given(
    left=st.none() | st.integers(0, 400),
    overlap=st.integers(0, 400),
    asked=st.none() | st.integers(0, 400),
)
def test_rotation_never_lets_an_old_key_work_longer_nor_a_new_one_by_oversight(
    rotation_engine: Engine, left: int | None, overlap: int, asked: int | None
) -> None:
    def day(days: int | None) -> date | None:
        return None if days is None else TODAY + timedelta(days)

    before = created(rotation_engine, expires_on=day(left)).key
    new, old = rotated(rotation_engine, before, overlap_days=overlap, expires_on=day(asked))
    worked = [before.works_on(TODAY + timedelta(n)) for n in range(403)]
    works = [old.works_on(TODAY + timedelta(n)) for n in range(403)]
    assert works == [was and n <= overlap and overlap > 0 for n, was in enumerate(worked)]
    assert new.key.expires_on == (day(left) if asked is None else day(asked))


@pytest.fixture(scope="module")
def rotation_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    opened = Store(f"sqlite:///{tmp_path_factory.mktemp('keys') / 'timebank.db'}")
    opened.create()
    yield opened.engine
    opened.close()


def test_a_key_that_works_no_more_is_followed_by_none(engine: Engine) -> None:
    ended = created(engine, expires_on=TODAY - timedelta(1)).key
    gone = revoked(engine, created(engine).key)
    assert gone is not None
    for key in (ended, gone):
        with pytest.raises(NotRotated) as no:
            rotated(engine, key)
        assert no.value.why == "ended"
    assert rotated(engine, created(engine, expires_on=TODAY).key)


def test_a_key_is_followed_by_one_that_works_at_a_time(engine: Engine) -> None:
    new, old = rotated(engine, created(engine).key)
    with pytest.raises(NotRotated) as no:
        rotated(engine, old)
    assert (no.value.why, no.value.by) == ("replaced", new.key.id)
    revoked(engine, new.key)
    again, _ = rotated(engine, old)
    third, _ = rotated(engine, again.key)
    assert [again.key.replaces, third.key.replaces] == [old.id, again.key.id]


# --- subjects of tokens --------------------------------------------------------------------------

ISSUER = "https://id.example"


def registered(engine: Engine, **said: object) -> Key:
    given: dict[str, object] = {"role": "poster", "actor": "desk", "organisation": "org-a"}
    given |= {"issuer": ISSUER, "subject": "sub-1", "at": NOW}
    with engine.begin() as db:
        return register_subject(db, **(given | said))  # type: ignore[arg-type]


def test_a_subject_of_an_issuer_is_found_by_both(engine: Engine) -> None:
    key = registered(engine)
    with engine.connect() as db:
        assert find_subject(db, ISSUER, "sub-1") == find_key(db, key.id) == key
        assert find_subject(db, ISSUER, "sub-2") is None
        assert find_subject(db, "https://id.example/", "sub-1") is None


def test_no_text_is_the_key_of_a_subject(engine: Engine) -> None:
    first, second = registered(engine), registered(engine, subject="sub-2")
    with engine.connect() as db:
        hashes = {row.hash for row in db.execute(select(keys_table))}
    assert len(hashes) == 2
    assert {len(each) for each in hashes} == {32}
    assert hashlib.sha256(b"").digest() not in hashes
    with pytest.raises(NotRotated) as no:
        rotated(engine, first)
    assert (no.value.why, second.replaces) == ("token", None)


def test_a_subject_is_one_key_until_that_is_revoked(engine: Engine) -> None:
    first = registered(engine, expires_on=TODAY - timedelta(1))
    with pytest.raises(SubjectTaken) as taken:
        registered(engine, role="auditor", organisation=None)
    assert taken.value.by == first.id
    registered(engine, issuer="https://other.example")
    revoked(engine, first)
    again = registered(engine)
    with engine.connect() as db:
        assert find_subject(db, ISSUER, "sub-1") == again


@pytest.mark.parametrize("subject", ["", "a\nb", "x" * (SUBJECT_MAX + 1)])
def test_a_subject_is_a_printable_name(engine: Engine, subject: str) -> None:
    with pytest.raises(ValueError, match="a subject has 1 to 255"):
        registered(engine, subject=subject)
    assert registered(engine, subject="x" * SUBJECT_MAX)


def test_an_erased_member_leaves_no_subject_behind(engine: Engine) -> None:
    member = new_id()
    own = registered(
        engine, role="member", organisation=None, member_id=member, subject="zhang@example.org"
    )
    at_work = registered(engine, member_id=member, subject="sub-9")
    with engine.begin() as db:
        forget_member(db, member, NOW)
    with engine.connect() as db:
        blank, kept = find_key(db, own.id), find_key(db, at_work.id)
    assert blank is not None
    assert (blank.actor, blank.issuer, blank.subject) == ("", None, None)
    assert blank.revoked_at == recorded_text(NOW)
    assert kept == at_work


# --- last use ------------------------------------------------------------------------------------


def test_the_latest_use_is_kept(engine: Engine) -> None:
    one, other = created(engine).key, created(engine).key
    at = [recorded_text(NOW + timedelta(minutes=minute)) for minute in range(3)]
    with engine.begin() as db:
        keep_uses(db, {one.id: at[1], other.id: at[1], "00000000": at[1]})
        keep_uses(db, {one.id: at[0], other.id: at[2]})
        kept = {key.id: key.last_used_at for key in list_keys(db)}
    assert kept == {one.id: at[1], other.id: at[2]}


def with_checksum(body: str) -> str:
    """As anyone would write it from the description: the CRC-32, six digits of base62."""
    number, places = zlib.crc32(body.encode()), range(5, -1, -1)
    return body + "".join(ALPHABET[number // 62**place % 62] for place in places)
