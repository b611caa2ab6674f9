"""The stores from the command line: views, schemas, settings, the doctor, the OpenAPI document."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.app import ROUTES
from ledger.settings import Settings
from ledger.units import new_id
from ledger.vault import Newcomer
from scripts.door import opened
from scripts.printing import Exit
from tests.scripts.typed import run, timebank


def execute(path: str, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


def checks(said) -> dict[str, str]:
    return {check["check"]: check["status"] for check in said.json["checks"]}


# --- views ---------------------------------------------------------------------------------------


def test_views_say_how_far_they_have_read_and_are_built_anew(made_anywhere, field):
    field()
    before = timebank("views status --json").json
    assert (before["position"], before["journal_position"], before["behind"]) == (0, 3, 3)
    assert timebank("views rebuild --json").json == {"position": 3}
    after = timebank("views status --json").json
    assert (after["position"], after["behind"], after["current"]) == (3, 0, True)


def test_views_that_are_gone_come_back(made, field):
    field()
    (made / "timebank-views.db").unlink()
    gone = timebank("views status --json").json
    assert (gone["position"], gone["current"]) == (0, False)
    assert timebank("views rebuild --json").json == {"position": 3}
    assert timebank("audit replay").code == 0


# --- schemas -------------------------------------------------------------------------------------


def test_a_ledger_of_an_earlier_release_is_brought_up_to_date(made, field):
    field()
    for statement in (
        "DROP TABLE shared_balances",
        "DROP TABLE heard",
        "DROP TABLE checkpoints",
        "DROP TABLE cosignatures",
        "DROP TABLE audit_reads",
        "DROP INDEX keys_subject",
        *(
            f"ALTER TABLE keys DROP COLUMN {name}"
            for name in ("issuer", "subject", "replaces", "last_used_at")
        ),
        "DROP TABLE webhooks",
        "DROP TABLE webhook_attempts",
        "DROP TABLE webhook_dead_letters",
        "UPDATE alembic_version SET version_num = '0001'",
    ):
        execute("timebank.db", statement)
    adding = "unit add hill --name x --level street"
    for said in (timebank("audit verify"), timebank(adding), run("serve", made)):
        assert (said.code, "timebank db upgrade" in said.err) == (Exit.UNAVAILABLE, True)
    assert checks(timebank("doctor --json"))["journal"] == "wrong"
    (journal, _) = timebank("db upgrade --json").json["stores"]
    assert (journal["before"], journal["after"]) == ("0001", "0004")
    assert timebank("db check --json").json["ok"] is True
    assert timebank("audit verify").code == 0
    assert timebank(adding).code == 0


def test_a_vault_of_an_earlier_release_is_brought_up_to_date(made, field):
    field()
    execute("timebank-vault.db", "DROP TABLE webhook_secrets")
    execute("timebank-vault.db", "UPDATE alembic_version SET version_num = '0001'")
    adding = timebank("unit add hill --name x --level street")
    assert (adding.code, "timebank db upgrade" in adding.err) == (Exit.UNAVAILABLE, True)
    (_, vault) = timebank("db upgrade --json").json["stores"]
    assert (vault["before"], vault["after"]) == ("0001", "0002")
    assert timebank("unit add hill --name x --level street").code == 0


def test_fresh_schemas_are_the_newest(made_anywhere):
    assert timebank("db check --json").json["ok"] is True
    stores = timebank("db upgrade --json").json["stores"]
    assert {each["store"]: each["before"] == each["after"] for each in stores} == {
        "journal": True,
        "vault": True,
    }


def test_a_schema_that_lacks_a_trigger_ends_with_5(made):
    with closing(sqlite3.connect("timebank.db")) as database:
        (name,) = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' LIMIT 1"
        ).fetchone()
    execute("timebank.db", f"DROP TRIGGER {name}")
    said = timebank("db check --json")
    assert said.code == Exit.WRONG
    assert name in said.json["stores"][0]["faults"][0]
    assert checks(timebank("doctor --json"))["journal"] == "wrong"


def test_a_damaged_index_is_found(made, field):
    field()
    execute("timebank.db", "PRAGMA writable_schema = ON")
    with closing(sqlite3.connect("timebank.db")) as database, database:
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_entries_%'"
        ).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(Path("timebank.db").read_bytes())
    content[(page - 1) * size + size - 64 : page * size] = b"\x07" * 64
    Path("timebank.db").write_bytes(content)
    said = timebank("db check")
    assert said.code in (Exit.WRONG, Exit.UNAVAILABLE)


# --- settings ------------------------------------------------------------------------------------


def test_every_setting_is_shown_with_its_source_and_no_secret(folder, monkeypatch):
    monkeypatch.setenv("TIMEBANK_PORT", "9000")
    monkeypatch.setenv("TIMEBANK_VAULT_KEY", "A" * 43 + "=")
    monkeypatch.setenv("TIMEBANK_PROT", "1")
    (folder / "timebank.toml").write_text("host = '0.0.0.0'")
    said = timebank("--ledger east config show --json")
    shown = {each["name"]: (each["value"], each["source"]) for each in said.json["settings"]}
    assert set(shown) == set(Settings.model_fields)
    assert shown["port"] == (9000, "TIMEBANK_PORT")
    assert shown["ledger"] == ("east", "flag")
    assert shown["host"] == ("0.0.0.0", "timebank.toml")  # noqa: S104  (shown, not listened at)
    assert shown["keys_file"] == ("timebank-keys.json", "default")
    assert "AAAA" not in said.out
    assert "TIMEBANK_PROT" in said.err
    assert "TIMEBANK_PORT" in timebank("config show").out


# --- doctor --------------------------------------------------------------------------------------


def test_a_healthy_house_has_nothing_wrong(made_anywhere, field, database_url):
    field()
    timebank("member add --org org-a --roles volunteer --unit lake")
    timebank("views rebuild")
    said = timebank("doctor --json")
    found = checks(said)
    if "postgresql" in database_url:  # the tests' server takes no care of power cuts
        assert (found.pop("durability"), said.code) == ("wrong", Exit.WRONG)
    else:
        assert said.code == 0
    assert "wrong" not in found.values(), said.json
    assert {found[name] for name in ("secrets", "journal", "vault", "orphans", "views")} == {"ok"}


def test_where_nothing_is_made_the_doctor_says_so_and_makes_nothing(folder):
    said = timebank("doctor --json")
    assert said.code == Exit.UNAVAILABLE
    assert checks(said)["journal"] == "wrong"
    assert checks(said)["python"] == "ok"
    assert list(folder.iterdir()) == []


def test_of_a_log_whose_views_are_of_another_shape_nothing_is_said(made):
    execute("timebank-views.db", "UPDATE bookmark SET shape = 'older'")
    execute("timebank-views.db", "DROP TABLE log_tree")
    said = timebank("doctor --json")
    assert (checks(said)["log"], checks(said)["views"], said.code) == ("warning", "warning", 0)


def test_somebody_left_half_registered_is_found(made, field):
    field()
    with opened() as ledger:
        long_ago = datetime.now(UTC) - timedelta(days=1)
        ledger.vault.begin("org-a", [Newcomer(new_id())], long_ago)
    said = timebank("doctor --json")
    assert (checks(said)["orphans"], said.code) == ("warning", 0)


def test_somebody_whom_the_journal_does_not_know_is_found(made, field):
    field()
    with opened() as ledger:
        (begun,) = ledger.vault.begin("org-a", [Newcomer(new_id())], datetime.now(UTC))
        ledger.vault.activate([begun.member_id])
    said = timebank("doctor --json")
    assert (checks(said)["orphans"], said.code) == ("wrong", Exit.WRONG)
    assert begun.member_id in said.out


def test_a_clock_that_fell_behind_is_found(made, field, monkeypatch):
    field()
    monkeypatch.setattr("scripts.doctor.now", lambda: datetime.now(UTC) - timedelta(hours=1))
    monkeypatch.setattr("scripts.door.now", lambda: datetime.now(UTC) - timedelta(hours=1))
    assert checks(timebank("doctor --json"))["clock"] == "warning"


def test_doctor_warns_of_papers_that_lead_nowhere(made, monkeypatch):
    said = timebank("doctor --json")
    assert (checks(said)["address"], said.code) == ("warning", 0)
    monkeypatch.setenv("TIMEBANK_PUBLIC_URL", "https://timebank.example")
    assert checks(timebank("doctor --json"))["address"] == "ok"


def test_secrets_that_are_gone_are_told(made):
    (made / "timebank-keys.json").unlink()
    found = checks(timebank("doctor --json"))
    assert (found["secrets"], found["vault"], found["journal"]) == ("wrong", "wrong", "ok")


def test_a_setting_that_is_none_is_a_warning(made, monkeypatch):
    monkeypatch.setenv("TIMEBANK_PROT", "1")
    assert checks(timebank("doctor --json"))["settings"] == "warning"


# --- the document, completion --------------------------------------------------------------------


def test_the_openapi_document_is_the_one_that_is_served(folder):
    document = timebank("openapi").json
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {route.path for route in ROUTES}
    assert timebank("openapi --json").json == document


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(folder, shell):
    said = timebank(f"completion {shell}")
    assert "_TIMEBANK_COMPLETE" in said.out
    assert timebank(f"completion {shell} --json").json["shell"] == shell


def test_words_are_completed_from_the_table(folder, monkeypatch):
    monkeypatch.setenv("_TIMEBANK_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "timebank audit tr")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert timebank("").out.split() == ["plain,trail", "plain,trial-balance"]
