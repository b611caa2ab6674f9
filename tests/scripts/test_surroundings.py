"""The doctor looks at what a ledger stands on: files, the server, what is kept elsewhere."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from api.guard import READERS_MAX
from ledger import checkpoints
from ledger.databases import open_engine
from scripts import doctor, surroundings
from scripts.printing import Exit
from scripts.surroundings import POOL
from tests.scripts.test_backups import done
from tests.scripts.typed import Typed, timebank


def looked(line: str = "") -> tuple[dict[str, tuple[str, str]], Typed]:
    """What each check says, and the answer as a whole."""
    said = timebank(f"doctor --json {line}")
    return {each["check"]: (each["status"], each["detail"]) for each in said.json["checks"]}, said


def found(check: str, line: str = "") -> tuple[str, str]:
    return looked(line)[0][check]


@pytest.fixture
def served_by(
    folder: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """A ledger on PostgreSQL; has the server be told something, by who may."""
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", postgresql_url)
    done("init --admin-key-file admin.key")

    def tell(statement: str) -> None:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    return tell


# --- files ---------------------------------------------------------------------------------------


def test_a_fresh_ledgers_files_are_its_owners_alone(made_anywhere):
    assert found("files")[0] == "ok"


def test_views_that_were_taken_away_come_back_to_their_owner_alone(made):
    (made / "timebank-views.db").unlink()
    done("views rebuild")
    assert found("files")[0] == "ok"


@pytest.mark.parametrize("name", ["timebank.db", "timebank-vault.db", "timebank-views.db"])
@pytest.mark.parametrize("mode", [0o640, 0o606])
def test_a_file_that_others_may_read_is_told(made, name, mode):
    (made / name).chmod(mode)
    status, detail = found("files")
    assert status == "warning"
    assert detail.endswith(f"chmod 600 {name}")


def test_a_log_beside_a_file_that_others_may_read_is_told(made):
    with closing(sqlite3.connect("timebank.db")) as reader:
        reader.execute("SELECT count(*) FROM entries").fetchone()  # or its log would be taken away
        (made / "timebank.db-wal").chmod(0o644)
        assert found("files") == ("warning", "others may read or write: chmod 600 timebank.db-wal")


@pytest.mark.parametrize(
    ("mebibytes", "status"), [(1024, "ok"), (1023, "warning"), (64, "warning"), (63, "wrong")]
)
def test_a_disk_that_fills_is_told_in_time(made, monkeypatch, mebibytes, status):
    usage = shutil.disk_usage(made)._replace(free=mebibytes << 20)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    assert found("disk") == (status, f"{made}: {mebibytes} MiB free")


# --- the database --------------------------------------------------------------------------------


def test_a_database_that_takes_writes_is_well(made_anywhere, database_url):
    checks, _ = looked()
    assert checks["writable"] == ("ok", "it takes writes")
    assert checks["server"][0] == checks["connections"][0] == "ok"
    engine = "PostgreSQL" if "postgresql" in database_url else "SQLite"
    assert checks["server"][1].startswith(f"{engine} ")


def test_a_file_whose_writer_never_ends_is_told(made, monkeypatch):
    monkeypatch.setattr("ledger.databases.WAIT_SECONDS", 0)
    with closing(sqlite3.connect("timebank.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        checks, said = looked()
    assert checks["writable"][0] == "wrong"
    assert "locked" in checks["writable"][1]
    assert said.code == Exit.UNAVAILABLE


@pytest.mark.postgresql
def test_a_database_that_is_read_only_is_told(served_by, postgresql_url):
    name = conninfo_to_dict(postgresql_url)["dbname"]
    served_by(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert found("writable") == ("wrong", "the database is read-only")


@pytest.mark.postgresql
def test_a_user_who_may_not_write_is_told(served_by, monkeypatch):
    served_by("CREATE ROLE reader")
    served_by("GRANT USAGE ON SCHEMA main_journal, main_vault, main_views TO reader")
    served_by("GRANT SELECT ON ALL TABLES IN SCHEMA main_journal, main_vault TO reader")
    monkeypatch.setenv("PGOPTIONS", "-c role=reader")
    try:
        checks, said = looked()
        assert checks["writable"] == ("wrong", "this user may not write to the journal")
        assert checks["views"][0] == "wrong"
        assert "permission denied" in checks["views"][1]
        assert said.code == Exit.UNAVAILABLE
    finally:
        monkeypatch.delenv("PGOPTIONS")
        served_by("DROP OWNED BY reader")
        served_by("DROP ROLE reader")


def answers(**rows: tuple[Any, ...]) -> Callable[[object, str], tuple[Any, ...]]:
    """A server that says this."""
    by_question = {
        surroundings._SERVER: rows.get("server"),
        surroundings._CONNECTIONS: rows.get("connections"),
    }
    return lambda given, question: by_question[question] or ()


SERVERS = {
    ("18.1", 180_001, "", True, 0): ("ok", "no synchronous standby"),
    ("18.1", 180_001, "s1", True, 1): ("ok", "commits wait for s1"),
    ("18.1", 180_001, "s1", True, 0): ("warning", "none of the standbys s1 is connected"),
    ("18.1", 180_001, "s1", False, 0): ("ok", "commits wait for s1"),  # we may not know
    ("12.22", 120_022, "", True, 0): ("wrong", "12.22 is too old"),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("server", SERVERS)
def test_what_a_server_says_of_itself_is_judged(served_by, monkeypatch, server):
    monkeypatch.setattr(surroundings, "_one", answers(server=server, connections=(100, 1)))
    status, words = SERVERS[server]
    assert found("server")[0] == status
    assert words in found("server")[1]


@pytest.mark.postgresql
def test_standbys_that_no_commit_reaches_are_found_on_a_real_server(served_by, postgresql_url):
    """Asked of the server itself, whose commits would wait from now on; the setting is undone."""
    served_by("ALTER SYSTEM SET synchronous_standby_names = 'away'")
    served_by("SELECT pg_reload_conf()")
    try:
        told = wait_until(lambda: found("server"), lambda said: "away" in said[1])
        assert told[0] == "warning"
    finally:
        served_by("ALTER SYSTEM RESET synchronous_standby_names")
        served_by("SELECT pg_reload_conf()")
    wait_until(lambda: found("server"), lambda said: "away" not in said[1])


def wait_until(ask: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """What is answered once it is as it should be: a server reloads when it comes to it."""
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    while not enough(answer := ask()):
        assert datetime.now(UTC) < deadline, answer
    return answer


@pytest.mark.postgresql
@pytest.mark.parametrize(("used", "status"), [(53, "ok"), (54, "warning")])
def test_a_server_without_room_for_one_more_process_is_told(served_by, monkeypatch, used, status):
    monkeypatch.setattr(
        surroundings,
        "_one",
        answers(server=("18.1", 180_001, "", True, 0), connections=(100, used)),
    )
    assert found("connections")[0] == status


@pytest.mark.postgresql
def test_the_doctor_reckons_with_more_than_the_readers(postgresql_url):
    assert POOL > READERS_MAX
    engine = open_engine(postgresql_url, "main_journal", durable=True)
    pool: Any = engine.pool
    assert pool._max_overflow == -1  # as many as there are threads
    engine.dispose()


# --- signed, and kept outside --------------------------------------------------------------------


def test_entries_that_wait_long_for_a_signature_are_told(made, field, monkeypatch):
    field()
    done("views rebuild")
    with monkeypatch.context() as long_ago:
        long_ago.setattr(checkpoints, "last", signed_at("2020-01-01T00:00:00.000000Z"))
        assert found("log")[0] == "ok"  # they are new, however old what is signed
    later = datetime.now(UTC) + timedelta(minutes=11)
    monkeypatch.setattr(doctor, "now", lambda: later)
    status, detail = found("log")
    assert (status, "3 entries have waited long" in detail) == ("warning", True)
    done("log checkpoint")
    monkeypatch.setattr(doctor, "now", lambda: later + timedelta(days=1))
    assert found("log")[0] == "ok"  # old, but nothing has come since
    done("unit add hill --name 山街 --level street --parent west")
    done("views rebuild")
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_SECONDS", "0")  # none is asked for
    assert found("log")[0] == "ok"


def signed_at(at: str) -> Callable[..., Any]:
    """The last checkpoint, as if it had been signed then."""
    last = checkpoints.last
    return lambda *asked: cast("Any", last(*asked))._replace(signed_at=at)


def test_a_file_of_checkpoints_is_compared_with_the_ledger(made, field, monkeypatch):
    assert found("checkpoint_file")[0] == "warning"
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", "outside")
    assert found("checkpoint_file") == (
        "warning",
        "outside holds no checkpoint yet; serving writes them",
    )
    field()
    done("views rebuild")
    done("log checkpoint")
    assert found("checkpoint_file") == ("ok", "outside: signed to 3")
    behind = Path("outside").read_bytes()
    done("unit add hill --name 山街 --level street --parent west")
    done("views rebuild")
    done("log checkpoint")
    Path("outside").write_bytes(behind)
    assert found("checkpoint_file") == ("warning", "outside ends at 3, the ledger has signed to 4")


def test_a_file_of_checkpoints_that_cannot_be_written_is_told(made, monkeypatch):
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", "outside")
    done("views rebuild")
    done("log checkpoint")
    may = os.access  # which lets root do everything, and tests may be root's
    monkeypatch.setattr("os.access", lambda path, mode: path != Path("outside") and may(path, mode))
    assert found("checkpoint_file") == ("warning", "outside cannot be written to")


def test_what_is_no_file_of_checkpoints_is_told(made, monkeypatch):
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", "outside")
    Path("outside").write_text("a\nb\nc\n\n\N{EM DASH} d e\n\n")
    assert found("checkpoint_file")[0] == "wrong"


def test_a_ledger_that_was_longer_once_is_told(made, field, monkeypatch):
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", str(made / "outside"))
    done("db backup b")
    field()
    done("views rebuild")
    done("log checkpoint")
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", "sqlite:///again.db")
    done("db restore b")
    checks, said = looked()
    assert checks["checkpoint_file"][0] == "wrong"
    assert "there were 3 entries; there are 0" in checks["checkpoint_file"][1]
    assert said.code == Exit.WRONG


# --- backups -------------------------------------------------------------------------------------


def test_backups_are_looked_at_where_the_doctor_is_told_of_them(made, field, monkeypatch):
    assert "backups" not in looked()[0]
    Path("backups").mkdir()
    checks, said = looked("--backups backups")
    assert (checks["backups"][0], said.code) == ("wrong", Exit.WRONG)
    first = done("db backup backups/1")
    field()
    second = done("db backup backups/2 --without-vault")
    Path("backups/.3.half").mkdir()
    Path("backups/.3.half/manifest.json").write_text("{")
    status, detail = found("backups", "--backups backups")
    assert status == "ok"
    assert detail == (
        f"2 backups, the newest of {second['made_at']} to position 3;"
        f" oldest vault {first['made_at']}"
    )
    later = datetime.now(UTC) + timedelta(hours=27)
    monkeypatch.setattr(surroundings, "now", lambda: later)
    assert found("backups", "--backups backups")[0] == "warning"


def test_backups_of_other_ledgers_are_none(made):
    done("db backup backups-1")
    Path("backups").mkdir()
    Path("backups-1").rename("backups/1")
    manifest = Path("backups/1/manifest.json")
    manifest.write_bytes(orjson.dumps({**orjson.loads(manifest.read_bytes()), "ledger": "other"}))
    assert found("backups", "--backups backups")[0] == "wrong"


def test_a_backup_whose_manifest_cannot_be_read_is_told(made):
    Path("backups/1").mkdir(parents=True)
    Path("backups/1/manifest.json").write_text("{")
    assert found("backups", "--backups backups")[0] == "wrong"


# --- a vault that is gone ------------------------------------------------------------------------


def lose_the_vault(url: str) -> None:
    if url.startswith("sqlite"):
        for path in Path.cwd().glob("*-vault.db*"):
            path.unlink()
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA main_vault CASCADE")


def test_a_vault_that_is_gone_is_told_and_none_is_begun_by_looking(
    made_anywhere, field, database_url
):
    field()
    done("db backup b")
    lose_the_vault(database_url)
    checks, said = looked()
    assert said.code == Exit.UNAVAILABLE
    for check in ("vault", "orphans"):
        assert checks[check][0] == "wrong"
        assert "db restore BACKUP --vault-only" in checks[check][1]
    for line in (
        "unit add hill --name x --level street",
        "serve --port 0",
        "db backup again",
        "key rotate-vault",
        "db check",
    ):
        said = timebank(line)
        assert (said.code, "There is no vault" in said.err) == (Exit.UNAVAILABLE, True), line
    assert not list(Path.cwd().glob("*-vault.db*"))
    assert done("audit verify")["entries"] == 3
    done("db restore b --vault-only")
    assert found("vault")[0] == found("orphans")[0] == "ok"
    lose_the_vault(database_url)
    done("db upgrade")  # an empty one, if there is no other help
    assert found("vault")[0] == "ok"
