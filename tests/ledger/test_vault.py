"""The vault: who is who, found by reference and document, shown masked, sealed, and erasable."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection

from ledger import migrations, vault_rows
from ledger.personal_data import PERSON_FIELDS, Person, mask, normalise
from ledger.sealing import SealBroken, Sealing
from ledger.store import open_engine, sibling_url
from ledger.units import new_id, recorded_text
from ledger.vault import Known, Newcomer, Vault, WrongVaultKey, metadata

NOW = datetime(2026, 3, 6, 10, tzinfo=UTC)
VAULT_KEY = bytes(range(32))
RESIDENT_ID = "370202195601011234"
LI = Person(
    name="李秀英",
    document_kind="resident_id",
    document_number=RESIDENT_ID,
    birth_date="1956-01-01",
    phone="13800005678",
)


def opened(database_url: str) -> Engine:
    engine = open_engine(sibling_url(database_url, "vault"), "main_vault", durable=True)
    migrations.upgrade(engine, "vault")
    return engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = opened(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def vault(engine: Engine) -> Vault:
    return Vault(engine, VAULT_KEY)


def registered(
    vault: Vault, organisation: str = "org-a", ref: str | None = None, person: Person | None = None
) -> str:
    """A member who went all the way: begun, in the journal (let us say), active."""
    newcomer = Newcomer(new_id(), ref, person or Person())
    (known,) = vault.begin(organisation, [newcomer], NOW)
    assert known.member_id == newcomer.member_id
    assert vault.activate([known.member_id]) == {known.member_id}
    return known.member_id


# --- becoming a member ---------------------------------------------------------------------------


def test_a_begun_person_is_found_by_nobody_who_posts_until_activated(vault: Vault) -> None:
    newcomer = Newcomer(new_id(), "LV0001", LI)
    (begun,) = vault.begin("org-a", [newcomer], NOW)
    assert begun == Known(newcomer.member_id, "pending", "org-a", recorded_text(NOW))
    assert vault.find_refs("org-a", ["LV0001"]) == {}
    assert vault.activate([newcomer.member_id]) == {newcomer.member_id}
    assert vault.find_refs("org-a", ["LV0001"]) == {"LV0001": newcomer.member_id}


def test_the_same_reference_again_is_the_same_half_made_person(vault: Vault) -> None:
    (first,) = vault.begin("org-a", [Newcomer(new_id(), "LV0001", LI)], NOW)
    (again,) = vault.begin("org-a", [Newcomer(new_id(), "LV0001", Person(name="王五"))], NOW)
    assert again == first._replace(by="external_ref")
    assert vault.find_ref("org-a", "LV0001") == again
    held = vault.read_in_full(first.member_id)
    assert held is not None
    assert held.person == LI  # other content was ignored


def test_the_same_reference_at_another_organisation_is_another_person(vault: Vault) -> None:
    here, there = registered(vault, "org-a", "1"), registered(vault, "org-b", "1")
    assert here != there
    assert vault.find_refs("org-b", ["1"]) == {"1": there}


def test_a_known_document_tells_who_it_is(vault: Vault) -> None:
    member = registered(vault, "org-a", "LV0001", LI)
    (known,) = vault.begin("org-b", [Newcomer(new_id(), "B7", LI)], NOW)
    assert known == Known(member, "active", "org-a", recorded_text(NOW), "document")
    assert vault.find_document("resident_id", RESIDENT_ID) == known
    assert vault.find_ref("org-b", "B7") is None


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (None, RESIDENT_ID),
        ("Resident_ID ", RESIDENT_ID),
        ("resident_id", "370202 19560101 1234"),
        ("resident_id", "３７０２０２１９５６０１０１１２３４"),
        ("resident_id", "\ufeff370202195601011234\u200b\t"),
    ],
)
def test_a_document_is_known_however_it_is_typed(
    vault: Vault, kind: str | None, number: str
) -> None:
    member = registered(vault, person=LI)
    found = vault.find_document(kind, number)
    assert found is not None
    assert found.member_id == member


def test_a_check_character_may_be_typed_small(vault: Vault) -> None:
    member = registered(vault, person=Person(document_number="37020219560101123X"))
    found = vault.find_document("resident_id", "37020219560101123x")
    assert found is not None
    assert found.member_id == member


def test_two_kinds_of_document_may_bear_one_number(vault: Vault) -> None:
    registered(vault, person=Person(document_kind="passport", document_number="E12345678"))
    assert vault.find_document("residence_permit", "E12345678") is None


def test_many_newcomers_are_begun_at_once_and_none_twice(vault: Vault) -> None:
    old = registered(vault, "org-a", "R1")
    newcomers = [
        Newcomer(new_id(), "R1"),
        Newcomer(new_id(), "R2", LI),
        Newcomer(new_id(), "R2"),
        Newcomer(new_id(), "R3", LI),
        Newcomer(new_id()),
        Newcomer(new_id()),
    ]
    assert vault.who_is("org-a", newcomers)[1:] == [None] * 5
    known = vault.begin("org-a", newcomers, NOW)
    ids = [newcomer.member_id for newcomer in newcomers]
    assert [each.member_id for each in known] == [old, ids[1], ids[1], ids[1], ids[4], ids[5]]
    assert [each.by for each in known] == [
        "external_ref",
        None,
        "external_ref",
        "document",
        None,
        None,
    ]
    again = vault.who_is("org-a", newcomers)
    assert [each and each.member_id for each in again] == [old, *[ids[1]] * 3, None, None]


def test_ten_thousand_references_are_found_at_once(vault: Vault) -> None:
    newcomers = [Newcomer(new_id(), f"R{number}") for number in range(10_000)]
    vault.begin("org-a", newcomers, NOW)
    ids = [newcomer.member_id for newcomer in newcomers]
    assert vault.activate(ids) == set(ids)
    refs = [f"R{number}" for number in range(10_000)]
    expected = dict(zip(refs, ids, strict=True))
    assert vault.find_refs("org-a", [*refs, "R-1"]) == expected
    assert vault.find_refs("org-a", refs) == expected  # from memory now


def test_a_pending_person_can_be_dropped_and_begun_anew(vault: Vault) -> None:
    (half,) = vault.begin("org-a", [Newcomer(new_id(), "R1", LI)], NOW)
    assert vault.drop(half.member_id)
    assert not vault.drop(half.member_id)
    assert vault.find_ref("org-a", "R1") is None
    assert vault.find_document("resident_id", RESIDENT_ID) is None
    assert vault.read_in_full(half.member_id) is None
    assert registered(vault, "org-a", "R1", LI) != half.member_id


def test_an_active_member_is_never_dropped(vault: Vault) -> None:
    member = registered(vault, "org-a", "R1")
    assert not vault.drop(member)
    assert vault.find_refs("org-a", ["R1"]) == {"R1": member}


def test_who_is_not_begun_does_not_become_active(vault: Vault) -> None:
    assert vault.activate([new_id()]) == set()


def test_of_many_who_begin_one_person_at_once_one_is_new(vault: Vault) -> None:
    together = threading.Barrier(8)

    def begin(number: int) -> str:
        together.wait()
        ref = f"R{number % 2}"
        (known,) = vault.begin("org-a", [Newcomer(new_id(), ref, LI)], NOW)
        return known.member_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(8)))) == 1


# --- joining -------------------------------------------------------------------------------------


def test_a_joined_organisation_finds_the_member_under_its_own_reference(vault: Vault) -> None:
    member = registered(vault, "org-a", "LV0001", LI)
    assert vault.add_ref("org-b", member, "B7").member_id == member
    assert vault.find_refs("org-b", ["B7", "LV0001"]) == {"B7": member}
    assert vault.add_ref("org-b", member, "B7").member_id == member  # said before
    assert vault.add_ref("org-b", member, "B8").member_id == member  # its files hold them twice
    held = vault.read_in_full(member)
    assert held is not None
    assert held.external_refs == {"org-a": ["LV0001"], "org-b": ["B7", "B8"]}


def test_a_reference_never_moves_to_another_member(vault: Vault) -> None:
    first, second = registered(vault, "org-a", "R1"), registered(vault, "org-a", "R2")
    assert vault.add_ref("org-a", second, "R1").member_id == first
    assert vault.find_refs("org-a", ["R1"]) == {"R1": first}


def test_a_reference_cannot_lead_to_nobody(vault: Vault) -> None:
    with pytest.raises(KeyError):
        vault.add_ref("org-a", new_id(), "R1")
    assert vault.find_ref("org-a", "R1") is None


# --- reading and changing ------------------------------------------------------------------------


def test_what_is_shown_is_masked_and_what_is_held_is_whole(vault: Vault) -> None:
    member = registered(vault, person=LI)
    assert vault.read_masked(member) == Person(
        name="李**",
        document_kind="resident_id",
        document_number="3702**********1234",
        birth_date="1956-**-**",
        phone="138****5678",
    )
    held = vault.read_in_full(member)
    assert held is not None
    assert held.person == LI


def test_of_a_person_without_data_nothing_is_shown(vault: Vault) -> None:
    assert vault.read_masked(registered(vault)) == Person()
    assert vault.read_masked(new_id()) is None


def test_a_changed_document_is_found_and_the_old_one_is_not(vault: Vault) -> None:
    member = registered(vault, "org-a", "R1", LI)
    changed = vault.change(
        member, {"document_number": "37020219560101123x", "phone": None, "name": "李秀英英"}
    )
    assert changed.member_id == member
    assert vault.find_document("resident_id", RESIDENT_ID) is None
    found = vault.find_document("resident_id", "37020219560101123X")
    assert found is not None
    assert found.member_id == member
    held = vault.read_in_full(member)
    assert held is not None
    assert held.person == Person(
        "李秀英英", "resident_id", "37020219560101123X", "1956-01-01", None
    )
    assert held.external_refs == {"org-a": ["R1"]}


def test_a_document_can_be_taken_away(vault: Vault) -> None:
    member = registered(vault, person=LI)
    vault.change(member, {"document_number": None})
    assert vault.find_document("resident_id", RESIDENT_ID) is None
    shown = vault.read_masked(member)
    assert shown is not None
    assert shown.document_kind is None


def test_nobody_takes_over_anothers_document(vault: Vault) -> None:
    li, other = registered(vault, person=LI), registered(vault, person=Person(name="王五"))
    assert vault.change(other, {"document_number": RESIDENT_ID, "name": "李"}).member_id == li
    held = vault.read_in_full(other)
    assert held is not None
    assert held.person == Person(name="王五")


def test_only_a_persons_fields_change(vault: Vault) -> None:
    member = registered(vault)
    with pytest.raises(ValueError, match="external_ref"):
        vault.change(member, {"external_ref": "R2"})
    with pytest.raises(KeyError):
        vault.change(new_id(), {"name": "王五"})


# --- sealed --------------------------------------------------------------------------------------


def test_nothing_in_the_vault_is_a_readable_word(
    vault: Vault, engine: Engine, tmp_path: Path
) -> None:
    member = registered(vault, "org-a", "LV-0001-planted", LI)
    vault.change(member, {"phone": "13900001111"})
    with engine.connect() as db:
        rows = [row for table in metadata.sorted_tables for row in db.execute(select(table))]
    engine.dispose()
    stored = [
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    ]
    stored += [file.read_bytes() for file in tmp_path.iterdir()]  # those of SQLite
    planted = {*LI.held().values(), "LV-0001-planted", "13900001111"} - {LI.document_kind}
    for word in planted:
        assert not any(word.encode() in each for each in stored)


def test_a_vault_does_not_open_under_another_key(vault: Vault, engine: Engine) -> None:
    member = registered(vault, "org-a", "R1", LI)
    with pytest.raises(WrongVaultKey):
        Vault(engine, bytes(32))
    assert Vault(engine, VAULT_KEY).find_refs("org-a", ["R1"]) == {"R1": member}


def test_a_vault_of_a_later_format_is_left_alone(vault: Vault, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(update(vault_rows.vault).values(format=2))
    with pytest.raises(WrongVaultKey, match="format 2"):
        Vault(engine, VAULT_KEY)


def test_a_vault_key_has_32_bytes(engine: Engine) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(engine, b"short")


@pytest.mark.parametrize(
    ("column", "other"),
    [("member_id", "the other member"), ("field", "phone")],
)
def test_a_sealed_value_moved_elsewhere_does_not_open(
    vault: Vault, engine: Engine, column: str, other: str
) -> None:
    member = registered(vault, person=Person(name="李秀英"))
    elsewhere = registered(vault)
    fields = vault_rows.fields
    with engine.begin() as db:
        moved = elsewhere if column == "member_id" else other
        db.execute(update(fields).values({column: moved}))
    with pytest.raises(SealBroken):
        vault.read_in_full(elsewhere if column == "member_id" else member)


def test_a_key_moved_to_another_member_does_not_unwrap(vault: Vault, engine: Engine) -> None:
    li, other = registered(vault, person=LI), registered(vault)
    people = vault_rows.people
    with engine.begin() as db:
        key = db.execute(select(people.c.wrapped_key).where(people.c.member_id == li)).scalar_one()
        db.execute(update(people).where(people.c.member_id == other).values(wrapped_key=key))
    with pytest.raises(SealBroken, match=other):
        vault.read_in_full(other)


def test_every_person_has_a_key_and_every_value_a_nonce_of_its_own(
    vault: Vault, engine: Engine
) -> None:
    for number in range(50):
        registered(vault, person=Person(name="同名", phone=f"1380000{number:04}"))
    with engine.connect() as db:
        keys = db.scalars(select(vault_rows.people.c.wrapped_key)).all()
        nonces = db.scalars(select(vault_rows.fields.c.nonce)).all()
    assert len(set(keys)) == 50
    assert len({key[:12] for key in keys} | set(nonces)) == 150


def test_who_holds_the_vault_key_opens_what_was_sealed_on_the_first_day() -> None:
    """The format, byte for byte: derived, wrapped and sealed once, kept here for ever."""
    sealing = Sealing(VAULT_KEY)
    member = "01920000-0000-7000-8000-000000000000"
    wrapped = bytes.fromhex(FIRST_DAY_WRAPPED)
    nonce, ciphertext = map(bytes.fromhex, FIRST_DAY_NAME)
    assert sealing.unwrap(member, wrapped).open("name", nonce, ciphertext) == "李秀英"
    assert sealing.digest("document", "resident_id", RESIDENT_ID).hex() == FIRST_DAY_DIGEST
    assert sealing.key_check.hex() == FIRST_DAY_KEY_CHECK


@given(st.text(), st.sampled_from(PERSON_FIELDS), st.uuids().map(str))
def test_what_is_sealed_opens_as_it_was(value: str, name: str, member_id: str) -> None:
    sealing = Sealing(VAULT_KEY)
    wrapped, key = sealing.new_person_key(member_id)
    nonce, ciphertext = key.seal(name, value)
    assert sealing.unwrap(member_id, wrapped).open(name, nonce, ciphertext) == value


@given(st.binary(min_size=1), st.data())
def test_one_altered_bit_anywhere_and_nothing_opens(value: bytes, data: st.DataObject) -> None:
    sealing = Sealing(VAULT_KEY)
    wrapped, key = sealing.new_person_key("m")
    nonce, ciphertext = key.seal("name", value.hex())
    bit = data.draw(st.integers(0, 8 * len(wrapped + nonce + ciphertext) - 1))
    altered = bytearray(wrapped + nonce + ciphertext)
    altered[bit // 8] ^= 1 << bit % 8
    first, second = len(wrapped), len(wrapped + nonce)
    with pytest.raises(SealBroken):
        sealing.unwrap("m", bytes(altered[:first])).open(
            "name", bytes(altered[first:second]), bytes(altered[second:])
        )


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_only_equal_texts_have_one_digest(some: list[str], others: list[str]) -> None:
    sealing = Sealing(VAULT_KEY)
    assert (sealing.digest(*some) == sealing.digest(*others)) == (some == others)


# --- erasing, and what memory may keep -----------------------------------------------------------


def test_of_an_erased_person_nothing_is_left_but_the_id(vault: Vault, engine: Engine) -> None:
    member = registered(vault, "org-a", "R1", LI)
    vault.add_ref("org-b", member, "B7")
    assert vault.erase(member)
    assert not vault.erase(member)
    assert vault.find_ref("org-a", "R1") is None
    assert vault.find_refs("org-b", ["B7"]) == {}
    assert vault.find_document("resident_id", RESIDENT_ID) is None
    assert vault.read_masked(member) is None
    assert [each.status for each in vault.everyone()] == ["erased"]
    with engine.connect() as db:
        assert db.execute(select(vault_rows.people.c.wrapped_key)).scalar_one() is None
        for table in (vault_rows.fields, vault_rows.lookups):
            assert db.execute(select(func.count()).select_from(table)).scalar_one() == 0
    assert registered(vault, "org-a", "R1", LI) != member


def test_an_erased_wrapped_key_is_in_no_page_of_the_database(
    sqlite_url: str, tmp_path: Path
) -> None:
    engine = opened(sqlite_url)

    @event.listens_for(engine, "connect")
    def leave_pages_dirty(connection: DBAPIConnection, _: object) -> None:
        connection.cursor().execute("PRAGMA secure_delete = OFF")  # some builds have it on

    engine.dispose()
    vault = Vault(engine, VAULT_KEY)
    members = [registered(vault, "org-a", f"R{number}") for number in range(200)]
    with engine.connect() as db:
        people = vault_rows.people
        keys = db.execute(select(people.c.member_id, people.c.wrapped_key)).all()
    erased = set(members[::2])
    for member in erased:
        vault.erase(member)
    engine.dispose()
    content = (tmp_path / "timebank-vault.db").read_bytes()
    assert all((row.wrapped_key in content) == (row.member_id not in erased) for row in keys)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_memory_answers_what_was_found_before_without_asking(engine: Engine) -> None:
    clock = Clock()
    vault = Vault(engine, VAULT_KEY, clock=clock)
    member = registered(vault, "org-a", "R1")
    assert vault.recall("org-a", "R1") is None
    assert vault.find_refs("org-a", ["R1"]) == {"R1": member}
    with asked(engine) as statements:
        assert vault.find_refs("org-a", ["R1"]) == {"R1": member}
        assert vault.recall("org-a", "R1") == member
        assert not statements
        clock.now += 0.05
        assert vault.recall("org-a", "R1") is None
        assert vault.find_refs("org-a", ["R1"]) == {"R1": member}
        assert len(statements) == 1  # only: has anyone been erased?
        assert vault.recall("org-a", "R1") == member


def test_memory_keeps_nobody_whom_another_process_erased(engine: Engine) -> None:
    clock = Clock()
    here, elsewhere = Vault(engine, VAULT_KEY, clock=clock), Vault(engine, VAULT_KEY)
    member = registered(here, "org-a", "R1")
    assert here.find_refs("org-a", ["R1"]) == {"R1": member}
    elsewhere.erase(member)
    again = registered(elsewhere, "org-a", "R1")
    clock.now += 0.05
    assert here.find_refs("org-a", ["R1"]) == {"R1": again}


def test_memory_keeps_nobody_whom_this_process_erased(engine: Engine) -> None:
    vault = Vault(engine, VAULT_KEY, clock=Clock())  # time stands still
    member = registered(vault, "org-a", "R1")
    assert vault.find_refs("org-a", ["R1"]) == {"R1": member}
    vault.erase(member)
    assert vault.recall("org-a", "R1") is None
    assert vault.find_refs("org-a", ["R1"]) == {}


def test_an_answer_read_before_an_erasure_does_not_enter_memory_after_it(engine: Engine) -> None:
    vault = Vault(engine, VAULT_KEY, clock=Clock())
    member = registered(vault, "org-a", "R1")
    once = iter([True])

    @event.listens_for(engine, "after_cursor_execute")
    def erase_meanwhile(*executed: object) -> None:
        if "lookups" in str(executed[2]) and next(once, False):
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(vault.erase, member).result()

    vault.find_refs("org-a", ["R1"])  # reads the row just before it goes
    assert vault.recall("org-a", "R1") is None
    assert vault.find_refs("org-a", ["R1"]) == {}


# --- for doctor ----------------------------------------------------------------------------------


def test_rows_left_pending_are_listed_by_age(vault: Vault) -> None:
    minutes = [30, 10, 20]
    for minute in minutes:
        vault.begin("org-a", [Newcomer(new_id(), f"R{minute}")], NOW + timedelta(minutes=minute))
    registered(vault)
    left = vault.pending(before=NOW + timedelta(minutes=30))
    assert [each.created_at for each in left] == [
        recorded_text(NOW + timedelta(minutes=minute)) for minute in (10, 20)
    ]


def test_everyone_is_walked_page_by_page(vault: Vault) -> None:
    members = sorted(registered(vault) for _ in range(7))
    walked: list[str] = []
    while page := vault.everyone(after=walked[-1] if walked else "", limit=3):
        walked += [each.member_id for each in page]
    assert walked == members


# --- spelling and masking ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("name", "李", "*"),
        ("name", "欧阳修文", "欧***"),
        ("name", "𠮷田", "𠮷*"),
        ("document_number", "E12345678", "E1*****78"),
        ("document_number", "123", "***"),
        ("document_number", "37020219560101123X", "3702**********123X"),
        ("phone", "13812345678", "138****5678"),
        ("phone", "82345678", "******78"),
        ("phone", "110", "***"),
        ("birth_date", "1956-01-01", "1956-**-**"),
    ],
)
def test_a_value_is_shown_masked(name: str, value: str, shown: str) -> None:
    assert mask(name, value) == shown


@given(st.sampled_from(["name", "document_number", "phone"]), st.text(min_size=1, max_size=30))
def test_a_mask_hides_at_least_every_third_character(name: str, value: str) -> None:
    masked = mask(name, value)
    assert len(masked) == len(value)
    hidden = sum(new == "*" for new in masked)
    assert 3 * hidden >= len(value)


@given(st.sampled_from([*PERSON_FIELDS, "external_ref"]), st.text())
def test_a_spelling_is_settled_at_once(name: str, value: str) -> None:
    once = normalise(name, value)
    assert normalise(name, once) == once


def test_no_repr_shows_personal_data() -> None:
    newcomer = Newcomer("m", "LV0001", LI)
    said = f"{LI!r} {newcomer!r} {LI}"
    assert "LV0001" not in said
    assert not any(value in said for value in LI.held().values() if value != "resident_id")
    assert "holds name, document_kind" in said


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


FIRST_DAY_WRAPPED = (
    "9b1efb510deee83365880fe43521d54c2b762627654df1fb48f0d4169d18a30a"
    "fe4f31687c396d675e57a256eeada9d18a244dd9f734af913ab663ad"
)
FIRST_DAY_NAME = ("00c7bed0376a5a1063acf304", "0ad26378d886a4bfc147fb18830cf5578fcbdb508dc052cf08")
FIRST_DAY_DIGEST = "c21c42ecea239dc590563abceaea224589928f983455d6e75978ccbcd37846d7"
FIRST_DAY_KEY_CHECK = "5043d19d4eb0bdc5265ebe2b5370fc2eae1c72479d6f0328f1cd2755463c2dbb"
