"""Another vault key from the command line: broken off anywhere, it is finished."""

import base64
import stat
from pathlib import Path

import orjson
import pytest

from ledger.settings import Settings
from scripts.door import opened
from scripts.printing import Exit
from tests.scripts.test_stores import checks
from tests.scripts.typed import timebank

ADD = "member add --org org-a --roles volunteer --unit lake --name 张三 --json --external-ref"


def keys() -> dict[str, str]:
    return dict(orjson.loads(Path("timebank-keys.json").read_bytes()))


def found() -> dict[str, str]:
    with opened() as ledger:
        return ledger.vault.find_refs("org-a", ["V-1", "V-2"])


def test_the_key_is_another_and_everybody_is_found(made_anywhere, field):
    field()
    members = {ref: timebank(f"{ADD} {ref}").json["id"] for ref in ("V-1", "V-2")}
    before = keys()
    said = timebank("key rotate-vault --json")
    assert said.code == 0, said.err
    assert said.json == {
        "people": 2,
        "done_before": False,
        "swept": True,
        "key_file": "timebank-keys.json",
    }
    after = keys()
    assert after.keys() == before.keys()
    assert after["vault_key"] != before["vault_key"]
    assert after["signing_key"] == before["signing_key"]
    assert stat.S_IMODE(Path("timebank-keys.json").stat().st_mode) == 0o600
    assert found() == members
    assert timebank(f"{ADD} V-1").json["id"] == members["V-1"]
    assert checks(timebank("doctor --json"))["vault"] == "ok"
    again = timebank("key rotate-vault")
    assert (again.code, "Restart" in again.out) == (0, True)


STEPS = {
    "before anything is sealed": "ledger.vault.Vault.rotate",
    "within": "ledger.vault_rotation._rewrap",
    "before the file is settled": "ledger.keys_file.settle_vault_key",
    "before the files are swept": "ledger.vault.Vault.sweep",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("then", ["again", "open"])
def test_broken_off_at_any_step_the_ledger_opens_and_it_is_finished(
    made_anywhere, field, monkeypatch, step, then
):
    field()
    member = timebank(f"{ADD} V-1").json["id"]
    before = keys()["vault_key"]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(STEPS[step], killed)
        assert timebank("key rotate-vault").code == 130
    sealed = step == "before the file is settled"
    assert ("vault_key_next" in keys()) == (step != "before the files are swept")
    if then == "open":
        assert found() == {"V-1": member}
        assert ("vault_key_next" in keys()) == (not sealed and "swept" not in step)
        assert (keys()["vault_key"] != before) == (sealed or "swept" in step)
    said = timebank("key rotate-vault --json")
    assert said.code == 0, said.err
    if then == "again":
        assert said.json["done_before"] == sealed
    assert "vault_key_next" not in keys()
    assert keys()["vault_key"] != before
    assert found() == {"V-1": member}


def test_the_doctor_opens_a_vault_whose_rotation_was_broken_off(made, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("ledger.keys_file.settle_vault_key", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            timebank("key rotate-vault")
    assert checks(timebank("doctor --json"))["vault"] == "ok"


def test_a_vault_of_neither_key_does_not_open(made):
    held = keys() | {name: base64.b64encode(bytes(32)).decode() for name in ("vault_key",)}
    Path("timebank-keys.json").write_bytes(orjson.dumps(held))
    assert timebank("key rotate-vault").code == Exit.UNAVAILABLE
    assert checks(timebank("doctor --json"))["vault"] == "wrong"


# --- a key of the environment --------------------------------------------------------------------


@pytest.fixture
def given(made, field, monkeypatch) -> str:
    field()
    member: str = timebank(f"{ADD} V-1").json["id"]
    monkeypatch.setenv("TIMEBANK_VAULT_KEY", keys()["vault_key"])
    return member


def test_where_the_environment_gives_the_key_a_file_takes_the_next(given, monkeypatch):
    refused = timebank("key rotate-vault")
    assert (refused.code, "--to-key-file" in refused.err) == (Exit.UNAVAILABLE, True)
    said = timebank("key rotate-vault --to-key-file next.key")
    assert (said.code, "TIMEBANK_VAULT_KEY" in said.out) == (0, True)
    assert stat.S_IMODE(Path("next.key").stat().st_mode) == 0o600
    assert timebank(f"{ADD} V-2").code == Exit.UNAVAILABLE
    again = timebank("key rotate-vault --to-key-file next.key --json")
    assert (again.code, again.json["done_before"]) == (0, True)
    monkeypatch.setenv("TIMEBANK_VAULT_KEY", Path("next.key").read_text().strip())
    assert found() == {"V-1": given}


def test_a_file_for_the_next_key_is_nobody_elses(given):
    Path("next.key").write_text(base64.b64encode(bytes(32)).decode())
    Path("next.key").chmod(0o644)
    refused = timebank("key rotate-vault --to-key-file next.key")
    assert (refused.code, "chmod 600" in refused.err) == (Exit.UNAVAILABLE, True)
    Path("next.key").chmod(0o600)
    Path("next.key").write_text("no key")
    assert timebank("key rotate-vault --to-key-file next.key").code == Exit.UNAVAILABLE
    assert found() == {"V-1": given}


def test_a_key_of_the_file_needs_no_other_file(made):
    assert timebank("key rotate-vault --to-key-file next.key").code == Exit.USAGE
    assert not Path("next.key").exists()


def test_no_repr_shows_the_next_key(made):
    from ledger.keys_file import load_secrets, prepare_vault_key

    settings = Settings.load()
    following = prepare_vault_key(settings)
    secrets = load_secrets(settings)
    assert secrets.vault_key_next == following
    assert repr(following) not in repr(secrets)
