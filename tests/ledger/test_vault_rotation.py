"""Another vault key opens everything, and whoever holds the one before is told so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, select

from ledger import vault_rotation, vault_rows
from ledger.personal_data import Person
from ledger.sealing import SealBroken, Sealing
from ledger.units import new_id
from ledger.vault import Newcomer, Vault, WrongVaultKey
from tests.ledger.test_vault import LI, NOW, RESIDENT_ID, VAULT_KEY, Clock, opened, registered
from tests.ledger.test_vault_erasure import in_files, sealed_of

NEXT_KEY = bytes(range(32, 64))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = opened(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def vault(engine: Engine) -> Vault:
    return Vault(engine, VAULT_KEY)


def rows(engine: Engine, table: object = vault_rows.lookups) -> int:
    with engine.connect() as db:
        return int(db.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_the_next_key_opens_everything_and_the_one_before_nothing(
    vault: Vault, engine: Engine, database_url: str, tmp_path: Path
) -> None:
    li = registered(vault, "org-a", "R1", LI)
    vault.add_ref("org-a", li, "R2")
    vault.add_ref("org-b", li, "B1")
    bare, gone = registered(vault), registered(vault, "org-a", "R3")
    vault.erase(gone)
    vault.begin("org-a", [Newcomer(new_id(), "R4")], NOW)
    before, count = sealed_of(engine, li), rows(engine)
    heard: list[int] = []
    assert vault.rotate(NEXT_KEY, heard.append) == 3
    assert (heard, rows(engine)) == ([3], count)
    with pytest.raises(WrongVaultKey):
        Vault(engine, VAULT_KEY)
    for each in (vault, Vault(engine, NEXT_KEY)):
        held = each.read_in_full(li)
        assert held is not None
        assert (held.person, held.external_refs) == (LI, {"org-a": ["R1", "R2"], "org-b": ["B1"]})
        assert each.find_refs("org-a", ["R1", "R2", "R3", "R4"]) == {"R1": li, "R2": li}
        assert each.find_refs("org-b", ["B1"]) == {"B1": li}
        found = each.find_document(None, RESIDENT_ID)
        assert found is not None
        assert found.member_id == li
        pending = each.find_ref("org-a", "R4")
        assert pending is not None
        assert pending.status == "pending"
        assert each.read_masked(bare) == Person()
        assert each.is_erased(gone)
    assert vault.sweep()
    ciphertexts = set(sealed_of(engine, li)) & set(before)
    assert in_files(database_url, tmp_path, [x for x in before if x not in ciphertexts]) == 0


def test_many_are_wrapped_anew_page_by_page(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_rotation, "PEOPLE_AT_ONCE", 3)
    members = {f"R{number}": registered(vault, "org-a", f"R{number}") for number in range(8)}
    heard: list[int] = []
    assert vault.rotate(NEXT_KEY, heard.append) == 8
    assert heard == [3, 6, 8]
    assert vault.find_refs("org-a", members) == members


def test_broken_off_it_has_not_been(
    vault: Vault, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_rotation, "PEOPLE_AT_ONCE", 1)
    members = {f"R{number}": registered(vault, "org-a", f"R{number}") for number in range(3)}

    def killed(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.rotate(NEXT_KEY, killed)
    with pytest.raises(WrongVaultKey):
        Vault(engine, NEXT_KEY)
    assert vault.find_refs("org-a", members) == members
    assert Vault(engine, VAULT_KEY).find_refs("org-a", members) == members


def test_an_empty_vault_is_brought_under_another_key(vault: Vault, engine: Engine) -> None:
    assert vault.rotate(NEXT_KEY) == 0
    assert Vault(engine, NEXT_KEY).everyone() == []


def test_a_key_that_does_not_unwrap_stops_it_and_nothing_is_changed(
    vault: Vault, engine: Engine
) -> None:
    li = registered(vault, "org-a", "R1", LI)
    with engine.begin() as db:
        db.execute(vault_rows.people.update().values(wrapped_key=b"x" * 60))
    with pytest.raises(SealBroken):
        vault.rotate(NEXT_KEY)
    assert Vault(engine, VAULT_KEY).find_refs("org-a", ["R1"]) == {"R1": li}


# --- whoever holds the key before ----------------------------------------------------------------

NEWCOMER = [Newcomer("019f0000-0000-7000-8000-00000000000a", "R9", LI)]
ASKING: dict[str, Callable[[Vault, str], object]] = {
    "begin": lambda vault, member: vault.begin("org-a", NEWCOMER, NOW),
    "who_is": lambda vault, member: vault.who_is("org-a", NEWCOMER),
    "activate": lambda vault, member: vault.activate([member]),
    "drop": lambda vault, member: vault.drop(member),
    "add_ref": lambda vault, member: vault.add_ref("org-b", member, "B1"),
    "find_refs": lambda vault, member: vault.find_refs("org-a", ["R1"]),
    "find_ref": lambda vault, member: vault.find_ref("org-a", "R1"),
    "find_document": lambda vault, member: vault.find_document(None, RESIDENT_ID),
    "read_masked": lambda vault, member: vault.read_masked(member),
    "change": lambda vault, member: vault.change(member, {"name": "李"}),
    "erase": lambda vault, member: vault.erase(member),
    "rotate": lambda vault, member: vault.rotate(bytes(32)),
}


@pytest.mark.parametrize("asked", ASKING)
def test_under_the_key_before_nothing_is_written_and_nobody_is_unknown(
    vault: Vault, engine: Engine, asked: str
) -> None:
    member = registered(vault, "org-a", "R1", LI)
    old = Vault(engine, VAULT_KEY)
    vault.rotate(NEXT_KEY)
    with pytest.raises(WrongVaultKey):
        ASKING[asked](old, member)
    held = vault.read_in_full(member)
    assert held is not None
    assert (held.person, held.external_refs) == (LI, {"org-a": ["R1"]})
    assert [known.status for known in vault.everyone()] == ["active"]


def test_what_memory_knows_is_answered_until_it_asks_and_then_the_key_is_told_wrong(
    vault: Vault, engine: Engine
) -> None:
    clock = Clock()
    old = Vault(engine, VAULT_KEY, clock=clock)
    member = registered(vault, "org-a", "R1")
    assert old.find_refs("org-a", ["R1"]) == {"R1": member}
    vault.rotate(NEXT_KEY)
    assert old.find_refs("org-a", ["R1"]) == {"R1": member}
    with pytest.raises(WrongVaultKey):
        old.find_refs("org-a", ["R2"])  # at once, though the key was asked for just now
    clock.now += 0.05
    with pytest.raises(WrongVaultKey):
        old.find_refs("org-a", ["R1"])


def test_a_key_changed_between_the_question_and_the_answer_makes_nobody_unknown(
    vault: Vault, engine: Engine
) -> None:
    registered(vault, "org-a", "R1")
    old = Vault(engine, VAULT_KEY)
    once = iter([True])

    @event.listens_for(engine, "after_cursor_execute")
    def rotate_meanwhile(*executed: object) -> None:
        if "erasures" in str(executed[2]) and next(once, False):
            vault.rotate(NEXT_KEY)

    with pytest.raises(WrongVaultKey):
        old.find_refs("org-a", ["R1"])


def test_a_key_is_rewrapped_for_its_person_alone() -> None:
    before, following = Sealing(VAULT_KEY), Sealing(NEXT_KEY)
    wrapped, key = before.new_person_key("m")
    nonce, ciphertext = key.seal("name", "李秀英")
    again = before.rewrap("m", wrapped, following)
    assert following.unwrap("m", again).open("name", nonce, ciphertext) == "李秀英"
    for sealing, member in ((before, "m"), (following, "n")):
        with pytest.raises(SealBroken):
            sealing.unwrap(member, again)
