"""Backup and restore from the command line: nothing half done, overwritten or lost."""

import hashlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.opening import is_made
from ledger.units import new_id
from ledger.vault import Newcomer
from scripts.door import opened, settings
from scripts.printing import Exit
from tests.conftest import BACKENDS
from tests.scripts.test_audit import alter, fill
from tests.scripts.test_stores import checks
from tests.scripts.typed import ROOT, Typed, timebank

ADD = "member add --org org-a --roles volunteer --unit lake --name 张三 --json --external-ref"
Elsewhere = Callable[[], None]


@pytest.fixture(params=BACKENDS)
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Elsewhere:
    """Turns to a place where no ledger stands, on either engine."""
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")

    def turn() -> None:
        monkeypatch.setenv("TIMEBANK_DATABASE_URL", url)
        monkeypatch.setenv("TIMEBANK_LEDGER", "elsewhere")
        assert not is_made(settings())

    return turn


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """Turns to a SQLite file that is not there."""

    def turn() -> None:
        monkeypatch.setenv("TIMEBANK_DATABASE_URL", "sqlite:///elsewhere.db")

    return turn


@pytest.fixture
def lived_in(made: Path, field: Callable[[], None]) -> Path:
    """A ledger on SQLite with members and records."""
    field()
    fill(made)
    return made


def done(line: str) -> Any:
    said = timebank(f"{line} --json")
    assert said.code == 0, said.err + said.out
    return said.json


def refused(said: Typed, code: Exit, *words: str) -> None:
    assert said.code == code, said.out
    assert [word for word in words if word not in said.err] == []
    assert "Traceback" not in said.err


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def seal_anew(folder: Path, **changes: Any) -> None:
    """What somebody does who knows the manifest: its hashes are right again."""
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    for store in ("journal", "vault"):
        if manifest[store] is not None:
            content = (folder / f"{store}.db").read_bytes()
            manifest[store]["sha256"] = hashlib.sha256(content).hexdigest()
            manifest[store]["bytes"] = len(content)
    (folder / "manifest.json").write_bytes(orjson.dumps({**manifest, **changes}))


# --- there and back ------------------------------------------------------------------------------


def test_a_ledger_is_the_same_after_a_backup_and_a_restore(made_anywhere, field, elsewhere):
    field()
    fill(made_anywhere)
    kept, forgotten = (done(f"{ADD} {ref}")["id"] for ref in ("V-1", "V-2"))
    done(f"member erase {forgotten} --yes")
    done("views rebuild")
    signed = done("log checkpoint")
    before = done("audit verify")
    replayed = done("audit replay")
    balances = done("audit trial-balance")
    taken = done("db backup b")
    assert (taken["position"], taken["root"]) == (before["last_position"], before["root"])
    assert done("db check b")["ok"] is True

    elsewhere()
    said = timebank("db restore b --json")
    assert said.code == 0, said.err
    assert said.json["vault_key"] == "fits"
    after = done("audit verify")
    assert after == before
    assert after["checkpoints"] == 2
    assert done("audit trial-balance") == balances
    assert done("audit replay")["replayed"] == replayed["replayed"]
    assert done("log checkpoint") == signed
    found = checks(timebank("doctor --json"))
    assert [found[name] for name in ("journal", "vault", "orphans", "views", "log")] == ["ok"] * 5
    held = done(f"member data {kept}")
    assert held["person"]["name"] == "张三"
    assert done(f"member data {forgotten}")["person"] is None
    assert done(f"{ADD} V-1")["id"] == kept
    assert done(f"{ADD} V-2")["id"] not in (kept, forgotten)
    key = (made_anywhere / "admin.key").read_text().strip()
    with opened() as ledger:
        assert ledger.keyring.find(key) is not None


def test_a_backup_goes_on_where_it_ended(made, field, elsewhere):
    """What it left is a whole ledger: it takes new entries, and can be backed up again."""
    field()
    done("db backup b")
    elsewhere()
    done("db restore b")
    done("unit add hill --name 山街 --level street --parent west")
    again = done("db backup b2")
    assert again["position"] == 4
    assert done("audit verify")["entries"] == 4


def test_a_backup_is_its_owners_alone_whatever_the_umask(lived_in, away):
    before = os.umask(0)
    try:
        done("db backup b")
        away()
        done("db restore b")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("b").stat().st_mode) == 0o700
    assert modes(Path("b")) == dict.fromkeys(("journal.db", "vault.db", "manifest.json"), 0o600)
    restored = {name: mode for name, mode in modes(Path.cwd()).items() if "elsewhere" in name}
    assert set(restored.values()) == {0o600}
    assert len(restored) == 3


def test_no_key_is_in_a_backup_and_that_is_said(lived_in):
    said = timebank("db backup b")
    assert "Neither the signing key nor the vault's key is in it" in said.err
    assert "timebank-keys.json" in said.err
    keys = orjson.loads(Path("timebank-keys.json").read_bytes())
    for path in Path("b").iterdir():
        content = path.read_bytes()
        assert not [name for name, key in keys.items() if key.encode() in content]


def test_a_backup_is_read_where_nothing_can_be_written(lived_in, away):
    done("db backup b")
    before = modes(Path("b"))
    for path in (*Path("b").iterdir(), Path("b")):
        path.chmod(0o500)
    assert done("db check b")["ok"] is True
    away()
    done("db restore b")
    assert set(modes(Path("b"))) == set(before)  # nothing was made beside them
    Path("b").chmod(0o700)


def test_a_journal_in_a_backup_is_verified_as_a_ledger_without_changing_it(lived_in):
    taken = done("db backup b")
    said = timebank("--database-url sqlite:///b/journal.db audit verify --json")
    assert (said.code, said.json["root"]) == (0, taken["root"])
    assert done("db check b")["ok"] is True


def test_without_the_vault_the_books_are_whole_and_nobody_is_known(made_anywhere, field, elsewhere):
    field()
    fill(made_anywhere)
    member = done(f"{ADD} V-1")["id"]
    said = timebank("db backup b --without-vault --json")
    assert (said.code, said.json["vault"]) == (0, False)
    assert "no vault" in said.err
    assert not Path("b/vault.db").exists()
    assert done("db check b")["ok"] is True
    before = done("audit verify")
    elsewhere()
    refused(timebank("db restore b --vault-only"), Exit.REFUSED, "no vault")
    said = timebank("db restore b --json")
    assert (said.code, said.json["vault_key"]) == (0, None)
    assert "nobody knows who the members are" in said.err
    assert done("audit verify") == before
    assert done(f"member data {member}")["person"] is None
    assert done(f"{ADD} V-1")["id"] != member


def test_a_vault_alone_belongs_to_a_journal_and_overwrites_no_other(made_anywhere, elsewhere):
    done("db backup b")
    elsewhere()
    refused(timebank("db restore b --vault-only"), Exit.UNAVAILABLE, "no ledger")
    done("init")  # its vault has taken the key at hand
    with opened() as ledger:
        ledger.vault.begin("org-a", [Newcomer(new_id())], datetime.now(UTC))
    refused(timebank("db restore b --vault-only"), Exit.REFUSED, "vault")
    with opened() as ledger:
        assert len(ledger.vault.everyone()) == 1


def test_a_vault_older_than_the_journal_is_told_and_mended(lived_in):
    kept, forgotten = (done(f"{ADD} {ref}")["id"] for ref in ("V-1", "V-2"))
    done("db backup old")
    done(f"member erase {forgotten} --yes")
    Path("timebank-vault.db").unlink()
    said = timebank("db restore old --vault-only --json")
    assert (said.code, said.json["vault_key"]) == (0, "fits")
    assert checks(timebank("doctor --json"))["orphans"] == "wrong"  # somebody is held again
    assert done("member erase --recorded --yes")["erased"] == 1
    assert checks(timebank("doctor --json"))["orphans"] == "ok"
    assert done(f"member data {kept}")["person"]["name"] == "张三"
    assert done(f"member data {forgotten}")["person"] is None


def test_people_who_were_registered_between_the_two_moments_are_registered_again(lived_in, away):
    """The vault's moment is the later one, so that it never knows less than the journal."""
    done("db backup before")
    member = done(f"{ADD} V-1")["id"]
    done("db backup after")
    # As if the journal's moment had come before the fact.
    shutil.copy(Path("before") / "journal.db", Path("after") / "journal.db")
    manifest = orjson.loads((Path("before") / "manifest.json").read_bytes())
    vault = orjson.loads((Path("after") / "manifest.json").read_bytes())["vault"]
    seal_anew(Path("after"), **{**manifest, "vault": vault})
    away()
    done("db restore after")
    said = timebank("doctor --json")
    assert checks(said)["orphans"] == "wrong"
    assert "registering them again" in said.out
    assert done(f"{ADD} V-1")["id"] == member
    assert checks(timebank("doctor --json"))["orphans"] == "ok"


# --- what is refused -----------------------------------------------------------------------------


def test_nothing_is_overwritten_by_a_backup(lived_in):
    Path("b").mkdir()
    Path("b/mine").write_text("mine")
    refused(timebank("db backup b"), Exit.REFUSED, "b exists")
    assert [path.name for path in Path("b").iterdir()] == ["mine"]
    refused(timebank("db backup nowhere/b"), Exit.USAGE, "nowhere")


def test_where_there_is_no_ledger_nothing_is_backed_up(folder):
    refused(timebank("db backup b"), Exit.UNAVAILABLE, "timebank init")
    assert list(folder.iterdir()) == []


def test_nothing_is_overwritten_by_a_restore(made_anywhere, field):
    field()
    done("db backup b")
    done("unit add hill --name 山街 --level street --parent west")
    before = done("audit verify")
    refused(timebank("db restore b"), Exit.REFUSED, "There is a ledger already")
    assert done("audit verify") == before


def tampered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


DAMAGE: dict[str, tuple[Callable[[], object], str]] = {
    "a byte of the journal": (lambda: tampered(Path("b/journal.db")), "journal.db has another SHA"),
    "a byte of the vault": (lambda: tampered(Path("b/vault.db")), "vault.db has another SHA"),
    "a cut journal": (lambda: cut(Path("b/journal.db")), "journal.db has"),
    "a cut vault": (lambda: cut(Path("b/vault.db")), "vault.db has"),
    "no journal": (Path("b/journal.db").unlink, "journal.db is missing"),
    "no vault": (Path("b/vault.db").unlink, "vault.db is missing"),
    "half a manifest": (lambda: Path("b/manifest.json").write_text('{"format": 1'), "manifest"),
    "a manifest that leads elsewhere": (
        lambda: Path("b/manifest.json").write_text(
            Path("b/manifest.json").read_text().replace('"vault.db"', '"../timebank-vault.db"')
        ),
        "manifest",
    ),
    "another root": (lambda: seal_anew(Path("b"), root="A" * 43 + "="), "root"),
    "another position": (lambda: seal_anew(Path("b"), position=7), "ends at 8"),
    "another leaf": (lambda: seal_anew(Path("b"), leaf_hash="00" * 32), "ends at 8"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_is_found_and_never_restored(lived_in, away, damage):
    do, word = DAMAGE[damage]
    done("db backup b")
    do()
    said = timebank("db check b")
    assert said.code == Exit.WRONG
    assert word in said.out + said.err
    away()
    refused(timebank("db restore b"), Exit.WRONG, word)
    assert list(Path.cwd().glob("elsewhere*")) == []


@pytest.mark.parametrize("store", ["journal", "vault"])
def test_a_revision_that_the_manifest_does_not_tell_is_found(lived_in, away, store):
    done("db backup b")
    with closing(sqlite3.connect(f"b/{store}.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    seal_anew(Path("b"))
    assert "at revision 0001" in timebank("db check b").out
    away()
    refused(timebank("db restore b"), Exit.WRONG, "at revision 0001")


def test_rows_that_the_manifest_does_not_tell_are_found(lived_in):
    done("db backup b")
    with closing(sqlite3.connect("b/vault.db")) as database, database:
        assert database.execute("DELETE FROM lookups").rowcount > 0
    seal_anew(Path("b"))
    said = timebank("db check b")
    assert (said.code, "numbers of rows" in said.out) == (Exit.WRONG, True)


def test_a_page_that_is_no_longer_a_page_is_found(lived_in):
    done("db backup b")
    with closing(sqlite3.connect("b/journal.db")) as database:
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_entries_%'"
        ).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = bytearray(Path("b/journal.db").read_bytes())
    content[(page - 1) * size + size - 64 : page * size] = b"\x07" * 64
    Path("b/journal.db").write_bytes(content)
    seal_anew(Path("b"))
    said = timebank("db check b --json")
    assert said.code == Exit.WRONG
    assert said.json["stores"][0]["faults"]


def test_a_history_that_was_rewritten_in_the_backup_is_found(lived_in, away):
    """Whoever can write a backup can write its manifest: the entries themselves tell."""
    done("db backup b")
    alter("b/journal.db", "UPDATE entries SET type = 'HoursRejected' WHERE position = 7")
    seal_anew(Path("b"))
    said = timebank("db check b")
    assert (said.code, "First wrong position: 7." in said.out) == (Exit.WRONG, True)
    away()
    refused(timebank("db restore b"), Exit.WRONG, "position 7")
    assert list(Path.cwd().glob("elsewhere*")) == []


def test_a_ledger_that_does_not_verify_makes_no_backup(lived_in):
    alter("timebank.db", "UPDATE entries SET type = 'HoursRejected' WHERE position = 7")
    refused(timebank("db backup b"), Exit.WRONG, "position 7")
    assert [path.name for path in Path.cwd().iterdir() if path.name.strip(".")[:1] == "b"] == []


def test_what_is_no_backup_is_told(lived_in, away):
    away()
    refused(timebank("db restore nowhere"), Exit.USAGE, "no backup")
    refused(timebank("db restore admin.key"), Exit.USAGE, "no backup")
    refused(timebank("db check nowhere"), Exit.USAGE, "no backup")


def test_a_backup_of_a_newer_program_is_left_to_that(lived_in, away):
    done("db backup b")
    manifest = orjson.loads(Path("b/manifest.json").read_bytes())
    away()
    for newer in (
        {"format": 2, "what": "nobody knows yet"},
        {**manifest, "journal": {**manifest["journal"], "revision": "9999"}},
        {**manifest, "vault": {**manifest["vault"], "revision": "9999"}},
    ):
        Path("b/manifest.json").write_bytes(orjson.dumps(newer))
        for line in ("db check b", "db restore b"):
            refused(timebank(line), Exit.UNAVAILABLE, "newer program")
    assert list(Path.cwd().glob("elsewhere*")) == []


# --- checkpoints that were kept outside ----------------------------------------------------------


def test_what_was_signed_after_the_backup_is_told(lived_in, away, monkeypatch):
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", "checkpoints")
    done("views rebuild")
    done("log checkpoint")
    done("db backup b")
    done("unit add hill --name 山街 --level street --parent west")
    done("unit add dale --name 谷街 --level street --parent west")
    done("log checkpoint")
    away()
    said = timebank("db restore b --json")
    assert said.code == 0, said.err
    assert (said.json["position"], said.json["signed_since"]) == (8, 2)
    assert "there were 10 entries" in said.err
    assert "2 are gone" in said.err


def test_a_backup_of_another_history_than_the_checkpoints_is_refused(lived_in, away, monkeypatch):
    done("db backup b")
    other = Path("other")
    other.mkdir()
    shutil.copy("timebank-keys.json", other)  # whoever writes a history anew has the key
    monkeypatch.setenv("TIMEBANK_CHECKPOINT_FILE", str(Path("checkpoints").absolute()))
    monkeypatch.chdir(other)
    done("init")
    done("unit add west --name 西 --level district")
    done("views rebuild")
    done("log checkpoint")
    monkeypatch.chdir(lived_in)
    away()
    refused(timebank("db restore b"), Exit.WRONG, "another history")
    assert list(Path.cwd().glob("elsewhere*")) == []


def test_a_vault_key_of_another_time_is_told(lived_in, away):
    done("db backup b")
    Path("timebank-keys.json").rename("keys-of-then.json")
    away()
    said = timebank("db restore b --json")
    assert (said.code, said.json["vault_key"]) == (0, None)
    assert "No key at hand opens this vault" in said.err
    for name in Path.cwd().glob("elsewhere*"):
        name.unlink()
    timebank("--database-url sqlite:///third.db init")  # with keys of its own
    said = timebank("db restore b --json")
    assert (said.code, said.json["vault_key"], said.json["signing_key"]) == (0, "other", "other")
    assert "No key at hand opens this vault" in said.err
    assert "key rotate-signing" in said.err
    Path("keys-of-then.json").replace("timebank-keys.json")
    assert checks(timebank("doctor --json"))["vault"] == "ok"


def test_a_backup_from_before_a_change_of_keys_is_restored(lived_in, away):
    done("views rebuild")
    done("log checkpoint")
    done("db backup b")
    done("key rotate-signing")
    done("key rotate-vault")
    assert done("db check b")["ok"] is True
    away()
    said = timebank("db restore b --json")
    assert (said.code, said.json["vault_key"], said.json["signing_key"]) == (0, "other", "other")


# --- killed --------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
import ledger.backups, scripts.backups, scripts.exporting
from scripts.cli import main
module, name, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
place = sys.modules[module]
asked = getattr(place, name)
def killed(*given, **named):
    global calls
    calls -= 1
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return asked(*given, **named)
setattr(place, name, killed)
main(sys.argv[4:])
"""


def kill_at(step: tuple[str, str, int], line: str) -> None:
    """Type it in a process of its own that is killed at the nth call of a function."""
    module, name, calls = step
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, module, name, str(calls), *line.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


BACKING_UP = {
    "before the first row": ("ledger.backups", "copy_rows", 1),
    "amid the rows of the journal": ("ledger.copied_rows", "insert_many", 3),
    "before the vault": ("ledger.backups", "copy_rows", 2),
    "before it is verified": ("scripts.backups", "verified", 1),
    "before the manifest": ("ledger.backups", "instant_text", 1),
    "before it has its name": ("scripts.exporting", "to_disk", 2),
}


@pytest.mark.parametrize("step", BACKING_UP)
def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(lived_in, step):
    before = done("audit verify")
    kill_at(BACKING_UP[step], "db backup b")
    assert not Path("b").exists()
    refused(timebank("db check b"), Exit.USAGE, "no backup")
    assert done("audit verify") == before
    done("db backup b")
    assert done("db check b")["ok"] is True


RESTORING = {
    "before the first row": ("ledger.backups", "copy_rows", 1),
    "amid the rows of the vault": ("ledger.copied_rows", "insert_many", 2),
    "between the vault and the journal": ("ledger.backups", "copy_rows", 2),
    "amid the rows of the journal": ("ledger.copied_rows", "insert_many", 7),
    "before the rows are compared": ("ledger.backups", "are_same", 2),
    "before the vault key is tried": ("scripts.backups", "_vault_key", 1),
}


@pytest.mark.parametrize("step", RESTORING)
def test_a_restore_that_is_killed_is_done_by_the_next(lived_in, elsewhere, step):
    done("key create --role auditor --actor Wu")
    before = done("audit verify")
    done("db backup b")
    elsewhere()
    kill_at(RESTORING[step], "db restore b")
    if step == "before the vault key is tried":  # all was there by then
        refused(timebank("db restore b"), Exit.REFUSED, "already")
    else:
        assert not is_made(settings())
        refused(timebank("audit verify"), Exit.UNAVAILABLE, "no ledger")
        done("db restore b")
    assert done("audit verify") == before
    assert checks(timebank("doctor --json"))["orphans"] == "ok"
