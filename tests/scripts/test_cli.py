"""The command line as a whole: its table, its pages, its languages, its exit codes."""

import json
import subprocess
import sys

import click
import pytest

from scripts.cli import GROUPS, VERBS, main
from scripts.complaints import KINDS, complaint
from scripts.printing import Exit, Stopped
from tests.scripts.typed import ROOT, program, run, timebank

PROGRAMS_OF_OURS = ("ledger", "projections", "api", "scripts")
HEAVY = {"sqlalchemy", "pydantic", "aiohttp", "rich", "alembic", "cryptography"}


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_of_the_table_has_a_page_and_takes_json(folder, path):
    page = timebank(f"{path} --help")
    assert page.code == 0
    assert "--json" in page.out


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_is_the_one_that_the_table_names(path):
    command: click.Command = main
    for word in path.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.name == path.split()[-1]
    assert command.short_help


def test_every_group_has_verbs():
    assert {path.split()[0] for path in VERBS if " " in path} == set(GROUPS)


def test_the_help_page_reads_no_verb_and_no_heavy_library():
    typed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import contextlib, io, json, sys\n"
            "from scripts.cli import main\n"
            "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
            "    main(['--help'])\n"
            "print(json.dumps(sorted(sys.modules)))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(typed.stdout))
    assert not loaded & HEAVY
    verbs = {f"scripts.{verb.place.partition(':')[0]}" for verb in VERBS.values()}
    assert not loaded & verbs


def test_the_version_is_the_one_in_pyproject(folder):
    assert timebank("--version").out.strip()[0].isdigit()


# --- languages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"TIMEBANK_LANG": "zh"}, ["没有命令 fly。"]),
        ({"TIMEBANK_LANG": "en"}, ["There is no verb fly."]),
        ({"TIMEBANK_LANG": "", "LANG": "zh_CN.UTF-8"}, ["没有命令 fly。"]),
        ({"TIMEBANK_LANG": "", "LANG": "en_GB.UTF-8"}, ["There is no verb fly."]),
        ({"TIMEBANK_LANG": "", "LANG": "C"}, ["没有命令 fly。", "There is no verb fly."]),
        ({"TIMEBANK_LANG": "en", "LANG": "zh_CN.UTF-8"}, ["There is no verb fly."]),
    ],
)
def test_the_reader_is_answered_in_their_language_or_in_both(folder, monkeypatch, variables, says):
    monkeypatch.delenv("LANG", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert timebank("fly").err.splitlines()[1:] == says


def test_a_page_is_in_the_language_the_program_was_started_in(folder):
    chinese, _ = program("org --help", folder, TIMEBANK_LANG="zh").communicate(timeout=60)
    assert "用法：timebank org" in chinese
    assert "登记组织" in chinese
    assert "register an organisation" not in chinese


# --- usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("fly", "There is no verb fly."),
        ("unit", "put a unit into the tree"),
        ("--ledger main", "A verb is missing: timebank --help"),
        ("unit fly", "There is no verb fly."),
        ("unit add x1 --colour red", "There is no option --colour."),
        ("unit add x1 --level district", "--name is missing."),
        ("unit add", "CODE is missing."),
        ("unit add x1 --name", "The option --name takes a value."),
        ("unit add x1 --name X --level town", "--level: expected one of district, street, comm"),
        ("serve --port high", "--port: expected a whole number."),
        ("policy show --at 2026-3-6", "--at: expected an ISO 8601 date, such as 2026-03-06."),
        ("unit add X --name X --level street", "/code: Expected 2 to 40 lower-case letters"),
        ("hours import no.csv --org org-a", "FILE: there is no file no.csv."),
        ("hours import . --org org-a", "The file . cannot be read:"),
        ("key create --role poster --actor Wang", "a key of role poster is for one organisation"),
        ("--ledger Main unit add x1 --name X --level street", "Wrong settings: ledger (flag)"),
        ("--config no.toml config show", "there is no file no.toml"),
    ],
)
def test_what_is_mistyped_is_told_and_ends_with_2(made, typed, says):
    said = timebank(typed)
    assert said.code == Exit.USAGE
    assert says in said.err or says in said.out
    assert "Traceback" not in said.err


def test_a_program_gets_a_mistake_as_json_too(folder):
    said = timebank("unit add x1 --json")
    assert said.json["error"]["code"] == "missing_parameter"


# --- refused, unavailable ------------------------------------------------------------------------


def test_a_refusal_names_the_field_and_ends_with_3(made):
    said = timebank("org add org-a --name A --kind volunteer --unit nowhere --json")
    assert said.code == Exit.REFUSED
    assert said.json["error"]["errors"][0]["pointer"] == "/unit"
    assert said.err.startswith("/unit: ")


@pytest.mark.parametrize(
    "typed", ["unit add x1 --name X --level street", "key list", "audit verify"]
)
def test_where_there_is_no_ledger_it_says_how_to_make_one_and_ends_with_6(folder, typed):
    said = timebank(typed)
    assert said.code == Exit.UNAVAILABLE
    assert "timebank init" in said.err
    assert list(folder.iterdir()) == []  # and none was made by looking


def test_a_keys_file_that_others_may_read_is_not_used(made):
    (made / "timebank-keys.json").chmod(0o644)
    said = timebank("unit add x1 --name X --level street")
    assert said.code == Exit.UNAVAILABLE
    assert "chmod 600" in said.err


def test_another_vault_key_opens_nothing(made):
    (made / "timebank-keys.json").unlink()
    elsewhere = made / "elsewhere"
    elsewhere.mkdir()
    run("init", elsewhere)
    (elsewhere / "timebank-keys.json").rename(made / "timebank-keys.json")
    said = timebank("unit add x1 --name X --level street")
    assert said.code == Exit.UNAVAILABLE
    assert "vault key" in said.err


def test_a_database_that_does_not_answer_is_unavailable(folder):
    address = "postgresql://nobody:secret@127.0.0.1:1/none"
    said = timebank(f"--database-url {address} key list")
    assert said.code == Exit.UNAVAILABLE
    assert "not available" in said.err
    assert "secret" not in said.err + said.out


def test_a_file_that_is_no_database_is_told(folder):
    (folder / "timebank.db").write_bytes(b"rubbish " * 1_000)
    said = timebank("key list")
    assert said.code == Exit.UNAVAILABLE
    assert "not a database" in said.err


def test_whoever_reads_only_the_beginning_is_not_bothered(made):
    verb = program("openapi", made)
    assert verb.stdout is not None
    assert verb.stderr is not None
    verb.stdout.read(10)
    verb.stdout.close()
    assert verb.stderr.read() == ""
    verb.stderr.close()
    assert verb.wait(timeout=60) == 0


def test_who_interrupts_is_told_so(made, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.api_keys.opened_journal", interrupt)
    said = timebank("key list")
    assert (said.code, said.err.strip()) == (130, "Interrupted.")


def test_what_is_no_known_complaint_is_a_bug_and_raised():
    assert complaint(KeyError("x")) is None


def test_every_known_complaint_exists():
    for name in KINDS:
        module, _, kind = name.rpartition(".")
        __import__(module)
        assert isinstance(getattr(sys.modules[module], kind), type)


def test_a_verb_that_stops_says_why():
    assert "k.txt" in str(Stopped("file_exists", Exit.REFUSED, path="k.txt"))
