"""Exports: other people's programs accept them, and find in them what the ledger says."""

import csv
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from beancount import loader
from beancount.core.data import Transaction
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from scripts import export_tables
from scripts.export import FORMATS
from scripts.export_books import account_of, beancount_name
from scripts.printing import Exit
from tests.proof.tools import GO_SOURCES, needed, needs_go
from tests.scripts.test_audit import fill
from tests.scripts.typed import ROOT, Typed, run, timebank

VERIFIER = ROOT / "scripts" / "verify_export.py"
SUMS = "SELECT account, sum(credits) FROM lines GROUP BY account"
Balances = dict[str, int]


class Bank:
    """A small demo bank that was lived in for months, and what it says of itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {
            "TIMEBANK_DATABASE_URL": f"sqlite:///{folder / 'd' / 'timebank.db'}",
            "TIMEBANK_KEYS_FILE": str(folder / "d" / "timebank-keys.json"),
            "TIMEBANK_LANG": "en",
        }
        assert self.types("demo --size small --seed-only --folder d").code == 0
        self.key = self.says("log keys")["keys"][0]["key"]

    def types(self, line: str) -> Typed:
        return run(line, self.folder, **self.settings)

    def says(self, line: str) -> Any:
        said = self.types(f"{line} --json")
        assert said.code == 0, said.err + said.out
        return said.json

    def exports(self, form: str, name: str, more: str = "") -> Path:
        """An export, made once."""
        path = self.folder / name
        if not path.exists():
            self.says(f"export --format {form} --out {name} {more}")
        return path

    def trial_balance(self, position: int | None = None) -> Balances:
        asked = "" if position is None else f" --position {position}"
        found = self.says(f"audit trial-balance{asked}")
        return {each["account"]: each["credits"] for each in found["accounts"]}

    def events(self) -> list[Any]:
        content = self.exports("ndjson", "all.ndjson").read_bytes()
        return [orjson.loads(line) for line in content.splitlines()]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def half(bank: Bank) -> date:
    """A day amid the bank's life."""
    days = sorted({event["data"]["recorded_at"][:10] for event in bank.events()})
    return date.fromisoformat(days[len(days) // 2])


# --- plain-text accounting ------------------------------------------------------------------------


def by_hledger(path: Path) -> Balances:
    needed(shutil.which("hledger"), "hledger")
    subprocess.run(["hledger", "-f", path, "check"], check=True, capture_output=True)  # noqa: S607
    said = subprocess.run(
        ["hledger", "-f", path, "bal", "--flat", "--no-elide", "-E", "-O", "csv", "-N"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    rows = list(csv.reader(said.stdout.splitlines()))[1:]
    return {account: int(amount.partition(" ")[0]) for account, amount in rows}


def by_beancount(path: Path) -> Balances:
    subprocess.run(
        [Path(sys.executable).with_name("bean-check"), path], check=True, capture_output=True
    )
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    found: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        if isinstance(entry, Transaction):
            for posting in entry.postings:
                assert posting.units is not None
                found[account_of(posting.account)] += posting.units.number or 0
    return {account: int(credits) for account, credits in found.items()}


READERS: dict[str, Callable[[Path], Balances]] = {"hledger": by_hledger, "beancount": by_beancount}


@pytest.mark.parametrize("form", READERS)
def test_the_books_are_accepted_and_their_balances_are_the_trial_balance(bank, form):
    assert READERS[form](bank.exports(form, f"all.{form}")) == bank.trial_balance()


@pytest.mark.parametrize("form", READERS)
def test_a_books_altered_credit_is_refused(bank, form, tmp_path):
    text = bank.exports(form, f"all.{form}").read_text()
    line = next(line for line in text.splitlines() if line.endswith("  60 CREDIT"))
    changed = tmp_path / f"changed.{form}"
    changed.write_text(text.replace(line, line.replace("60 CREDIT", "61 CREDIT"), 1))
    with pytest.raises(subprocess.CalledProcessError):
        READERS[form](changed)


@pytest.mark.parametrize("form", READERS)
def test_a_period_opens_with_what_went_before_and_closes_with_the_balances_then(bank, half, form):
    last = half + timedelta(days=9)
    books = bank.exports(form, f"period.{form}", f"--from {half} --to {last}")
    position = bank.says(f"audit diff --from 0 --to {last}")["to"]
    expected = bank.trial_balance(position)
    assert READERS[form](books) == expected
    transactions = [line for line in books.read_text().splitlines() if line[:4].isdigit()]
    assert min(line[:10] for line in transactions) == str(half)
    assert max(line[:10] for line in transactions) <= str(last + timedelta(days=1))


@given(
    st.from_regex(r"[a-z]+(:[A-Za-z0-9_-]{1,40}){1,2}", fullmatch=True),
    st.from_regex(r"[a-z]+(:[A-Za-z0-9_-]{1,40}){1,2}", fullmatch=True),
)
def test_no_two_accounts_have_one_name_in_beancount(one, other):
    for name in (one, other):
        assert account_of(beancount_name(name)) == name
        parts = beancount_name(name).split(":")
        assert all(part[0].isupper() or part[0].isdigit() for part in parts)
        assert all(part.replace("-", "").isalnum() for part in parts)
    assert (beancount_name(one) == beancount_name(other)) == (one == other)


# --- tables ---------------------------------------------------------------------------------------


def test_duckdb_sums_the_parquet_to_the_trial_balance(bank):
    folder = bank.exports("parquet", "all.parquet")

    def rows(query: str, table: str) -> list[Any]:
        with duckdb.connect() as database:
            database.execute("SET VARIABLE file = ?", [str(folder / f"{table}.parquet")])
            return database.sql(f"{query} read_parquet(getvariable('file'))").fetchall()

    lines: Counter[str] = Counter()
    for account, credits in rows("SELECT account, credits FROM", "lines"):
        lines[account] += credits
    assert dict(lines) == bank.trial_balance()
    summed = rows("SELECT sum(credits)::BIGINT, count(*) FROM", "lines")
    assert summed == [(0, sum(len(each["data"].get("entries", ())) for each in bank.events()))]
    assert dict(rows("SELECT account, closing FROM", "accounts")) == bank.trial_balance()
    with duckdb.connect() as database:
        database.execute("SET VARIABLE file = ?", [str(folder / "service_records.parquet")])
        described = database.sql("DESCRIBE FROM read_parquet(getvariable('file'))").fetchall()
    kinds = {row[0]: row[1] for row in described}
    assert {kinds[name] for name in ("minutes", "credits", "points")} == {"BIGINT"}
    assert (kinds["served_on"], kinds["late"]) == ("DATE", "BOOLEAN")
    assert not {"DOUBLE", "FLOAT"} & set(kinds.values())


def test_the_csv_is_what_its_schema_file_says(bank):
    folder = bank.exports("csv", "all.csv")
    package = orjson.loads((folder / "datapackage.json").read_bytes())
    assert package["export"]["position"] == len(bank.events())
    tables = {}
    for resource in package["resources"]:
        content = (folder / resource["path"]).read_bytes()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == resource["hash"]
        assert len(content) == resource["bytes"]
        header, *rows = csv.reader(content.decode().splitlines())
        fields = resource["schema"]["fields"]
        assert header == [field["name"] for field in fields]
        assert len(rows) == resource["rows"]
        read = [
            {field["name"]: _cell(field, text) for field, text in zip(fields, row, strict=True)}
            for row in rows
        ]
        keys = [tuple(row[name] for name in resource["schema"]["primaryKey"]) for row in read]
        assert len(set(keys)) == len(keys)
        tables[resource["name"]] = read
    assert {"events", "lines", "service_records", "members", "accounts"} == set(tables)
    assert {row["account"]: row["closing"] for row in tables["accounts"]} == bank.trial_balance()
    assert all(row["opening"] == 0 for row in tables["accounts"])
    said = Counter(event["type"] for event in bank.events())
    assert Counter(row["type"] for row in tables["events"]) == said


def _cell(field: dict[str, Any], text: str) -> Any:
    if not text:
        assert "constraints" not in field, field["name"]
        return None
    match field["type"]:
        case "integer":
            return int(text)
        case "boolean":
            return {"true": True, "false": False}[text]
        case "date":
            return date.fromisoformat(text)
        case "datetime":
            return datetime.fromisoformat(text)
        case "string":
            return text
    raise AssertionError(field)


def test_records_and_members_stand_as_the_api_tells_them(bank):
    from sqlalchemy import select

    from ledger.databases import open_engine
    from projections import schema

    with closing(sqlite3.connect(bank.exports("sqlite", "all.sqlite"))) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM service_records")
        exported = {row["record_id"]: row for row in rows}
        members = {row["member_id"]: row for row in database.execute("SELECT * FROM members")}
    assert bank.types("views rebuild").code == 0
    engine = open_engine(f"sqlite:///{bank.folder}/d/timebank-views.db", "v", durable=False)
    with engine.connect() as connection:
        records = connection.execute(select(schema.service_records)).mappings().all()
        people = connection.execute(select(schema.members)).mappings().all()
    engine.dispose()
    assert {each["record_id"] for each in records} == set(exported)
    for each in records:
        row = exported[each["record_id"]]
        for name in ("status", "minutes", "credits", "served_on", "receipt", "position"):
            assert row[name] == each[name], (name, dict(row))
    assert {each["member_id"]: each["unit"] for each in people} == {
        member: row["unit"] for member, row in members.items()
    }


def test_a_sqlite_export_is_sound_and_has_its_keys(bank):
    with closing(sqlite3.connect(bank.exports("sqlite", "all.sqlite"))) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert dict(database.execute(SUMS).fetchall()) == bank.trial_balance()
        last = (
            "SELECT balance_after FROM lines WHERE account = 'issue:service' ORDER BY position DESC"
        )
        assert database.execute(last).fetchone()[0] == bank.trial_balance()["issue:service"]
        (position,) = database.execute("SELECT position FROM export").fetchone()
    assert position == len(bank.events())


def test_a_workbook_has_a_sheet_for_each_table_and_goes_on_in_another(bank, monkeypatch):
    book = CalamineWorkbook.from_path(bank.exports("xlsx", "all.xlsx"))
    assert book.sheet_names == ["events", "lines", "service_records", "members", "accounts"]
    header, *rows = book.get_sheet_by_name("accounts").to_python()
    assert header == ["account", "opening", "change", "closing"]
    assert {row[0]: int(row[3]) for row in rows} == bank.trial_balance()
    for name, value in bank.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(export_tables, "XLSX_ROWS_MAX", 400)
    assert timebank(f"export --format xlsx --out {bank.folder}/split.xlsx").code == 0
    split = CalamineWorkbook.from_path(bank.folder / "split.xlsx")
    parts = [name for name in split.sheet_names if name.startswith("events")]
    assert parts == ["events", "events 2", "events 3"]
    rows = [row for name in parts for row in split.get_sheet_by_name(name).to_python()[1:]]
    assert [int(row[0]) for row in rows] == list(range(1, len(bank.events()) + 1))


# --- the log itself -------------------------------------------------------------------------------


def stand_alone(books: Path, *options: str) -> Typed:
    said = subprocess.run(
        [sys.executable, "-I", VERIFIER, books, *options], capture_output=True, text=True
    )
    return Typed(said.returncode, said.stdout, said.stderr)


def test_the_log_is_verified_by_our_verb_and_by_the_script_that_stands_alone(bank):
    books = bank.exports("ndjson", "all.ndjson")
    said = bank.says(f"audit verify --file all.ndjson --key {bank.key}")
    assert (said["ok"], said["checkpoints"], said["attested"]) == (True, 1, len(bank.events()))
    report = orjson.loads(stand_alone(books, "--key", bank.key, "--json").out)
    assert report["right"] is True
    assert report["root"] == said["root"] == bank.says("audit verify")["root"]
    member, credits = next(
        (account.split(":")[1], credits)
        for account, credits in bank.trial_balance().items()
        if account.endswith(":available") and credits
    )
    mine = orjson.loads(stand_alone(books, "--key", bank.key, "--member", member, "--json").out)
    assert mine["available"] == credits


def test_go_replays_the_log_to_its_checkpoint(bank, tmp_path):
    needs_go()
    built = tmp_path / "verify"
    variables = {"GO111MODULE": "off", "GOPATH": str(GO_SOURCES), "GOCACHE": str(tmp_path / "c")}
    subprocess.run(
        ["go", "build", "-o", built, ROOT / "docs" / "auditors" / "verify.go"],  # noqa: S607
        check=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), **variables},
    )
    books = bank.exports("ndjson", "all.ndjson")
    checkpoints = f"{books}.checkpoints"
    subprocess.run([built, "log", books, checkpoints, bank.key], check=True)
    proof = bank.says("log prove --position 7")
    (bank.folder / "inclusion.json").write_bytes(orjson.dumps(proof))
    (bank.folder / "new.note").write_text(bank.types("log checkpoint").out)
    files = bank.folder / "inclusion.json", bank.folder / "new.note"
    inclusion = [built, "inclusion", *files, bank.key]
    subprocess.run(inclusion, check=True)
    proof["hashes"][0] = proof["root"]
    (bank.folder / "inclusion.json").write_bytes(orjson.dumps(proof))
    assert subprocess.run(inclusion).returncode == 1
    altered = tmp_path / "altered.ndjson"
    altered.write_bytes(books.read_bytes().replace(b'"minutes":6', b'"minutes":7', 1))
    assert subprocess.run([built, "log", altered, checkpoints, bank.key]).returncode == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:-1]],
        lambda lines: [*lines[:40], *lines[41:]],
        lambda lines: [*lines[:40], lines[40].replace(b'"version":', b'"version":1'), *lines[41:]],
        lambda lines: [*lines[:40], lines[40].replace(b'"actor":"', b'"actor":"x'), *lines[41:]],
        lambda lines: [*lines[:40], lines[41], lines[40], *lines[42:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:40], b"{}\n", *lines[41:]],
    ],
)
def test_an_altered_export_is_found_by_both_at_the_same_place(bank, change, tmp_path, monkeypatch):
    whole = bank.exports("ndjson", "all.ndjson")
    books = tmp_path / "books.ndjson"
    for ending in (".checkpoints", ".trial-balance.csv"):
        shutil.copy(f"{whole}{ending}", f"{books}{ending}")
    with whole.open("rb") as file:
        books.write_bytes(b"".join(change(list(file))))
    for name, value in bank.settings.items():
        monkeypatch.setenv(name, value)
    said = timebank(f"audit verify --file {books} --key {bank.key} --json")
    assert said.code == Exit.WRONG
    alone = stand_alone(books, "--key", bank.key, "--json")
    assert alone.code == Exit.WRONG
    ours, theirs = said.json["first_wrong"], orjson.loads(alone.out)
    if theirs["fault"] == "root":  # it names the checkpoint, we what stands behind the one before
        assert ours["checkpoint"] == theirs["position"]
    else:
        assert ours["position"] == theirs["position"]


def test_an_altered_trial_balance_is_found_by_both(bank, tmp_path, monkeypatch):
    whole = bank.exports("ndjson", "all.ndjson")
    books = tmp_path / "books.ndjson"
    for ending in ("", ".checkpoints", ".trial-balance.csv"):
        shutil.copy(f"{whole}{ending}", f"{books}{ending}")
    table = Path(f"{books}.trial-balance.csv")
    table.write_text(table.read_text().replace("issue:service,-", "issue:service,-1", 1))
    monkeypatch.chdir(tmp_path)
    said = timebank(f"audit verify --file {books} --json")
    assert said.json["first_wrong"]["fault"] == "trial_balance"
    alone = stand_alone(books, "--key", bank.key, "--json")
    assert orjson.loads(alone.out)["fault"] == "trial_balance"


def test_a_part_of_the_log_is_proved_line_by_line(bank, half, tmp_path, monkeypatch):
    books = bank.exports("ndjson", "part.ndjson", f"--org red-vest --from {half}")
    lines = [orjson.loads(line) for line in books.read_bytes().splitlines()]
    assert lines
    assert all(
        line["data"].get("organisation") == "red-vest" or b"org:red-vest:" in orjson.dumps(line)
        for line in lines
    )
    assert stand_alone(books, "--key", bank.key).code == 0
    said = bank.says(f"audit verify --file part.ndjson --key {bank.key}")
    assert (said["ok"], said["entries"]) == (True, len(lines))
    for ending in ("", ".checkpoints", ".proofs"):
        shutil.copy(f"{books}{ending}", tmp_path / f"x.ndjson{ending}")
        shutil.copy(f"{books}{ending}", tmp_path / f"y.ndjson{ending}")
    proofs = tmp_path / "y.ndjson.proofs"
    proved = proofs.read_bytes().splitlines(keepends=True)
    for told in (proved[:-1], [*proved, proved[-1]], [*proved[:-2], proved[-1], proved[-2]]):
        proofs.write_bytes(b"".join(told))  # a line without its proof, and a proof without a line
        short = timebank(f"audit verify --file {tmp_path}/y.ndjson --key {bank.key} --json")
        assert (short.code, short.json["first_wrong"]["fault"]) == (Exit.WRONG, "proof")
        assert stand_alone(tmp_path / "y.ndjson", "--key", bank.key).code == Exit.WRONG
    altered = tmp_path / "x.ndjson"
    altered.write_bytes(altered.read_bytes().replace(b'"actor":"', b'"actor":"x', 1))
    monkeypatch.chdir(tmp_path)
    found = timebank(f"audit verify --file {altered} --key {bank.key} --json")
    assert found.code == Exit.WRONG
    assert found.json["first_wrong"] == {
        **found.json["first_wrong"],
        "position": lines[0]["position"],
        "fault": "proof",
    }
    assert stand_alone(altered, "--key", bank.key).code == Exit.WRONG


def test_a_copy_that_can_sign_nothing_is_exported_no_further_than_was_signed(
    made, field, monkeypatch
):
    field()
    monkeypatch.setenv("TIMEBANK_KEYS_FILE", "none.json")
    said = timebank("export --format ndjson --out copy.ndjson --json")
    assert (said.code, said.json["position"]) == (0, 0)  # the checkpoint of an empty log
    assert Path("copy.ndjson").read_bytes() == b""


def test_a_witness_cosigns_a_whole_export_and_no_part(bank, half):
    whole = bank.exports("ndjson", "all.ndjson")
    part = bank.exports("ndjson", "part.ndjson", f"--org red-vest --from {half}")
    line = f"log cosign --name w/1 --key-file w.key --key {bank.key} --file"
    said = bank.says(f"{line} {whole}")
    assert said["size"] == len(bank.events())
    assert bank.types(f"{line} {part}").code == Exit.REFUSED


def test_without_its_signing_key_a_copy_is_exported_to_the_last_checkpoint(
    made, field, monkeypatch
):
    field()
    fill(made)
    assert timebank("log checkpoint").code == 0
    assert timebank("unit add hill --name x --level district").code == 0
    monkeypatch.setenv("TIMEBANK_KEYS_FILE", "none.json")
    said = timebank("export --format ndjson --out copy.ndjson --json")
    assert (said.code, said.json["position"]) == (0, 8)
    assert "the export ends at the last" in said.err


# --- scopes ---------------------------------------------------------------------------------------


def test_a_unit_has_what_is_about_those_who_live_there_or_below(bank):
    everything = bank.exports("sqlite", "all.sqlite")
    with closing(sqlite3.connect(everything)) as database:
        units = {
            event["data"]["code"]: event["data"].get("parent")
            for event in bank.events()
            if event["type"] == "UnitAdded"
        }
        street = next(code for code, parent in units.items() if parent and code in units.values())
        below = {street, *(code for code, parent in units.items() if parent == street)}
        lived = dict(database.execute("SELECT position, unit FROM events").fetchall())
    expected = {
        event["position"]
        for event in bank.events()
        if (
            lived[event["position"]]
            or (event["data"].get("code") if event["type"] == "UnitAdded" else None)
            or event["data"].get("unit")
        )
        in below
    }
    part = bank.exports("sqlite", "unit.sqlite", f"--unit {street}")
    with closing(sqlite3.connect(part)) as database:
        found = {position for (position,) in database.execute("SELECT position FROM events")}
        sums = dict(database.execute("SELECT account, closing FROM accounts").fetchall())
        lines = dict(database.execute(SUMS).fetchall())
    assert found == expected
    assert 0 < len(found) < len(bank.events())
    assert sums == lines


def test_the_days_of_a_bank_make_up_its_life(bank, half):
    before = bank.exports("sqlite", "before.sqlite", f"--to {half}")
    since = bank.exports("sqlite", "since.sqlite", f"--from {half + timedelta(days=1)}")
    positions: list[int] = []
    for path in (before, since):
        with closing(sqlite3.connect(path)) as database:
            found = database.execute("SELECT position FROM events ORDER BY position")
            positions += [position for (position,) in found]
    assert positions == list(range(1, len(bank.events()) + 1))
    with closing(sqlite3.connect(before)) as database:
        closing_then = dict(database.execute("SELECT account, closing FROM accounts").fetchall())
    with closing(sqlite3.connect(since)) as database:
        rows = database.execute("SELECT account, opening, change, closing FROM accounts").fetchall()
    assert {account: opening for account, opening, _, _ in rows if opening} == {
        account: credits for account, credits in closing_then.items() if credits
    }
    assert {account: credits for account, _, _, credits in rows} == bank.trial_balance()
    assert all(opening + change == credits for _, opening, change, credits in rows)


# --- what may go wrong ----------------------------------------------------------------------------


@pytest.fixture
def written(made: Path, field) -> Path:
    field()
    fill(made)
    return made


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_ledger_is_exported_too(made, form):
    said = timebank(f"export --format {form} --out empty --json")
    assert (said.code, said.json["entries"]) == (0, 0)
    if form in READERS:
        assert READERS[form](Path("empty")) == {}
    if form == "ndjson":
        key = timebank("log keys --json").json["keys"][0]["key"]
        assert stand_alone(Path("empty"), "--key", key).code == 0
        assert timebank(f"audit verify --file empty --key {key}").code == 0


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_overwritten_and_nothing_half_done_is_left(written, form, monkeypatch):
    Path("there").write_text("mine")
    assert timebank(f"export --format {form} --out there").code == Exit.REFUSED
    assert Path("there").read_text() == "mine"
    before = set(Path.cwd().iterdir())
    from projections.extract import Extract

    def breaks(self: Extract, row: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Extract, "_take", breaks)
    assert timebank(f"export --format {form} --out broken").code == 130
    assert set(Path.cwd().iterdir()) == before


@pytest.mark.parametrize(
    "form", sorted(FORMATS.keys() - {"parquet"})
)  # a small bank's is too small for it
def test_a_full_disk_is_told_and_leaves_nothing(bank, form, tmp_path):
    command = f"{sys.executable} -m scripts.cli export --format {form} --out {tmp_path}/out"
    done = subprocess.run(
        ["/bin/bash", "-c", f"ulimit -f 40; exec {command}"],
        env={**os.environ, **bank.settings, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == Exit.UNAVAILABLE, done.stderr
    assert "The system refuses" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_companion_that_is_there_is_not_overwritten(written):
    Path("b.ndjson.checkpoints").write_text("mine")
    assert timebank("export --format ndjson --out b.ndjson").code == Exit.REFUSED
    assert Path("b.ndjson.checkpoints").read_text() == "mine"
    assert not Path("b.ndjson").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("--out none/b", Exit.USAGE),
        ("--out b --org nobody", Exit.REFUSED),
        ("--out b --unit nowhere", Exit.REFUSED),
        ("--out b --from 2026-02-02 --to 2026-02-01", Exit.USAGE),
        ("--out b --from 1.2.2026", Exit.USAGE),
        ("", Exit.USAGE),
    ],
)
def test_what_cannot_be_exported_is_said(written, options, code):
    assert timebank(f"export --format csv {options}").code == code
    assert not Path("b").exists()


def test_a_machine_without_pyarrow_is_told_so(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = timebank("export --format parquet --out p")
    assert said.code == Exit.UNAVAILABLE
    assert "pip install pyarrow" in said.err


NASTY = (
    *('=HYPERLINK("x")', "+1", "-2+3", "@SUM(1)"),
    *("a;b", "a,b", 'a"b', "a}b{", "2026-01-01 *", "a  b"),
)


def test_no_text_becomes_a_formula_or_syntax(made, field):
    field()
    lines = ["receipt,member_ref,activity,category,place,responsible,started_at,ended_at"]
    for hour, text in enumerate(NASTY):
        cell = '"' + text.replace('"', '""') + '"'
        lines.append(
            f"{cell},V1,{cell},elderly,lake,staff-7,"
            f"2026-03-06T{hour:02}:00:00+08:00,2026-03-06T{hour:02}:50:00+08:00"
        )
    Path("p.json").write_text('{"backfill_window_days": 36000}')
    Path("h.csv").write_text("\n".join(lines) + "\n")
    for typed in (
        "policy publish p.json --effective-on 2020-01-01",
        "member add --org org-a --roles volunteer --unit lake --external-ref V1",
        "hours import h.csv --org org-a",
    ):
        said = timebank(typed)
        assert said.code == 0, said.err
    for form in FORMATS:
        assert timebank(f"export --format {form} --out out.{form}").code == 0
    trial = timebank("audit trial-balance --json").json["accounts"]
    expected = {each["account"]: each["credits"] for each in trial}
    for form, read in READERS.items():
        assert read(Path(f"out.{form}")) == expected
    with Path("out.csv/service_records.csv").open(newline="") as file:
        written = [row["receipt"] for row in csv.DictReader(file)]
    assert written == [f"'{text}" if text[0] in "=+-@" else text for text in NASTY]
    with closing(sqlite3.connect("out.sqlite")) as database:
        kept = database.execute("SELECT receipt FROM service_records ORDER BY position").fetchall()
    assert [text for (text,) in kept] == list(NASTY)
    sheet = CalamineWorkbook.from_path("out.xlsx").get_sheet_by_name("service_records")
    assert [row[3] for row in sheet.to_python()[1:]] == written
