"""A ledger from nothing, once."""

import stat

import orjson
import pytest

from scripts.printing import Exit
from tests.scripts.typed import run, timebank


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_ledger_is_made_from_nothing(folder):
    said = timebank("init --admin-key-file k --json")
    assert said.code == 0
    assert said.json["admin_key"]["file"] == "k"
    assert (folder / "k").read_text().startswith("tbk_live_" + said.json["admin_key"]["id"])
    for name in ("timebank.db", "timebank-vault.db", "timebank-views.db"):
        assert (folder / name).exists()
    assert timebank("audit verify").code == 0
    assert timebank("db check").code == 0


def test_secrets_are_readable_by_their_owner_alone(made):
    assert mode(made / "admin.key") == 0o600
    assert mode(made / "timebank-keys.json") == 0o600
    assert set(orjson.loads((made / "timebank-keys.json").read_bytes())) == {
        "signing_key",
        "vault_key",
    }


def test_without_a_file_the_admin_key_is_printed_once(folder):
    said = timebank("init")
    assert "tbk_live_" in said.out
    assert "tbk_live_" not in timebank("key list").out


def test_the_first_key_is_an_admins(made):
    (key,) = timebank("key list --json").json["keys"]
    assert (key["role"], key["works"]) == ("admin", True)


def test_a_second_init_changes_nothing_and_ends_with_3(made):
    before = {path: path.read_bytes() for path in made.iterdir() if path.is_file()}
    said = timebank("init --admin-key-file other")
    assert said.code == Exit.REFUSED
    assert "Nothing was changed" in said.err
    assert {path: path.read_bytes() for path in made.iterdir() if path.is_file()} == before


def test_a_key_file_that_exists_is_not_overwritten_and_nothing_is_made(folder):
    (folder / "k").write_text("mine")
    said = timebank("init --admin-key-file k")
    assert said.code == Exit.REFUSED
    assert (folder / "k").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["k"]


def test_secrets_that_the_environment_gives_need_no_file(folder, monkeypatch):
    for name in ("SIGNING_KEY", "VAULT_KEY"):
        monkeypatch.setenv(f"TIMEBANK_{name}", "A" * 43 + "=")
    said = timebank("init --json")
    assert said.json["keys_file"] is None
    assert not (folder / "timebank-keys.json").exists()


def test_a_keys_file_that_is_there_is_used(folder, made):
    secrets = (made / "timebank-keys.json").read_bytes()
    for path in made.glob("timebank*.db*"):
        path.unlink()
    assert timebank("init").code == 0
    assert (made / "timebank-keys.json").read_bytes() == secrets


def test_a_keys_file_that_is_rubbish_stops_it_before_anything_is_made(folder):
    (folder / "timebank-keys.json").write_text("{}")
    (folder / "timebank-keys.json").chmod(0o600)
    said = timebank("init")
    assert said.code == Exit.UNAVAILABLE
    assert "signing_key" in said.err
    assert not (folder / "timebank.db").exists()


def test_two_at_once_make_one_ledger_with_one_admin(folder):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as both:
        codes = list(both.map(lambda name: run("init", folder).code, ("a", "b")))
    assert sorted(codes) == [0, Exit.REFUSED]
    assert len(timebank("key list --json").json["keys"]) == 1


@pytest.mark.postgresql
def test_many_ledgers_share_one_postgresql(folder, postgresql_url, monkeypatch):
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", postgresql_url)
    for name in ("east", "west"):
        assert timebank(f"--ledger {name} init").code == 0
        assert timebank(f"--ledger {name} init").code == Exit.REFUSED
        said = timebank(f"--ledger {name} unit add x1 --name X --level street --json")
        assert said.json["position"] == 1
