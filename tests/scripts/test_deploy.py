"""What docs/deploy gives people to run is run here, as far as this machine can."""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from api.app import ROUTES
from ledger.settings import WORK, Settings
from scripts.bench_houses import free_port
from scripts.cli import VERBS
from scripts.serve import DRAIN_SECONDS
from tests.scripts.typed import ROOT

DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
LAUNCHER = "/opt/timebank/.venv/bin/timebank"
READY_SECONDS = 120


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's, in order: what, and of what."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    said = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return [(what, rest) for what, rest in said]


def all_of(what: str) -> list[str]:
    return [rest for name, rest in instructions() if name == what]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for said in all_of("ENV") for pair in said.split())


# --- the container -------------------------------------------------------------------------------


def test_the_container_is_nobodys_root_and_holds_no_secret():
    assert all_of("USER") == ["10001:10001"]
    assert all_of("STOPSIGNAL") == ["SIGTERM"]
    assert {base.split()[0] for base in all_of("FROM")} == {"python:3.13-slim"}
    names = {name.removeprefix("TIMEBANK_").lower() for name in environment() if "TIMEBANK" in name}
    assert names <= set(Settings.model_fields)
    assert not names & {"signing_key", "vault_key"}
    copied = [each for each in all_of("COPY") if not each.startswith("--from")]
    sources = {name for each in copied for name in each.split()[:-1]}
    assert "." not in sources  # nothing comes along that is not named
    assert not [name for name in sources if not (ROOT / name).exists()]


def test_packages_come_by_their_hashes_alone():
    (installing,) = [each for each in all_of("RUN") if "pip install" in each]
    assert "--require-hashes --only-binary=:all:" in installing
    assert installing.endswith("--requirement /tmp/requirements.lock")
    assert "scripts/requirements.lock /tmp/requirements.lock" in all_of("COPY")


def test_what_is_copied_into_the_container_is_a_whole_program(tmp_path: Path):
    """Its files, its variables and its commands, in a folder instead of a root."""
    place, state = tmp_path / "opt" / "timebank", tmp_path / "state"
    for said in all_of("COPY"):
        *names, target = said.split()
        if not names[0].startswith("--from") and target.startswith("/opt/timebank"):
            for name in names:
                source = ROOT / name
                into = tmp_path / target.lstrip("/")
                if source.is_dir():
                    shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    into.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, into)
    state.mkdir()
    port = free_port()
    given = {
        **environment(),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(place),
        "TIMEBANK_DATABASE_URL": f"sqlite:///{state / 'timebank.db'}",
        "TIMEBANK_KEYS_FILE": str(state / "timebank-keys.json"),
        "TIMEBANK_HOST": "127.0.0.1",
        "TIMEBANK_PORT": str(port),
        "TIMEBANK_LANG": "en",
    }

    def of(what: str) -> list[str]:
        (said,) = all_of(what)
        command: list[str] = orjson.loads(said[said.index("[") :])
        command = [sys.executable if part.endswith("bin/python") else part for part in command]
        return [part.replace("127.0.0.1:8080", f"127.0.0.1:{port}") for part in command]

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=state, env=given, capture_output=True, text=True, timeout=120, check=False
        )

    made = run([*of("ENTRYPOINT"), "init", "--admin-key-file", "admin.key"])
    assert made.returncode == 0, made.stderr
    assert run(of("HEALTHCHECK")).returncode != 0  # it can fail
    server = subprocess.Popen(
        [*of("ENTRYPOINT"), *of("CMD")], cwd=state, env=given, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while run(of("HEALTHCHECK")).returncode != 0:
            assert server.poll() is None
            assert time.monotonic() < deadline
    finally:
        server.terminate()
    assert server.wait(60) == 0
    assert not list(place.rglob("__pycache__")), "it wrote where it may not"


def test_the_container_asks_for_its_health_where_it_is_told():
    (said,) = all_of("HEALTHCHECK")
    paths = re.findall(r"http://127\.0\.0\.1:8080(/\w+)", said)
    assert [path for path in paths if path in {route.path for route in ROUTES}] == ["/healthz"]
    assert environment()["TIMEBANK_PORT"] == "8080"


# --- systemd -------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_accepts_the_units(tmp_path: Path):
    program = tmp_path / "timebank"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = unit.read_text().replace(LAUNCHER, str(program))
        (tmp_path / unit.name).write_text(text)
    named = [str(tmp_path / unit.name).replace("@.", "@views.") for unit in UNITS]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *named],  # noqa: S607  (where the system has it)
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (checked.returncode, checked.stderr.replace(str(tmp_path), "")) == (0, "")


def settings_in(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_runs_a_verb_of_ours_and_may_do_little(unit):
    said = settings_in(unit)
    (command,) = said["ExecStart"]
    assert LAUNCHER in command
    typed = command.partition("timebank.toml ")[2].split()
    assert typed[0] in VERBS or " ".join(typed[:2]) in VERBS
    for name, value in {
        "User": "timebank",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "CapabilityBoundingSet": "",
        "UMask": "0077",
    }.items():
        assert said[name] == [value]


def test_a_server_has_the_time_to_finish_what_is_under_way():
    for unit in SERVICES:
        said = settings_in(unit)
        if said["Type"] == ["exec"]:
            assert int(said["TimeoutStopSec"][0]) > DRAIN_SECONDS
            assert said["Restart"] == ["on-failure"]


def test_keys_are_given_to_those_alone_who_sign_or_open_the_vault():
    given = {unit.name: "LoadCredential" in settings_in(unit) for unit in SERVICES}
    assert given == {
        "timebank.service": True,
        "timebank-work@.service": True,
        "timebank-backup.service": False,
    }


def test_workers_are_named_after_what_they_do():
    (worker,) = [unit for unit in UNITS if unit.name == "timebank-work@.service"]
    assert set(re.findall(r"timebank-work@(\w+)", worker.read_text())) == set(WORK)


def test_the_backup_of_the_unit_is_made_and_what_is_old_goes(made: Path, tmp_path: Path):
    """Its two commands, as systemd would hand them to the shell, in a folder instead of /var."""
    (unit,) = [unit for unit in UNITS if unit.name == "timebank-backup.service"]
    place = made / "backups"
    place.mkdir()
    old, young = place / "20260101T000000Z", place / ".young.draft"
    for folder in (old, young):
        folder.mkdir()
        (folder / "vault.db").write_text("somebody")
    os.utime(old, (0, 0))
    config = made / "timebank.toml"
    config.write_text("ledger = 'main'\n")
    for name in ("ExecStart", "ExecStartPost"):
        (command,) = settings_in(unit)[name]
        command = command.replace("/var/lib/timebank-backups", str(place)).replace("{}", "'{}'")
        command = command.replace("/etc/timebank/timebank.toml", str(config))
        command = command.replace(LAUNCHER, f"{sys.executable} -m scripts.cli")
        command = command.replace("$$", "$").replace("%%", "%")
        done = subprocess.run(  # noqa: S602  (that is what the unit does)
            command,
            shell=True,
            cwd=made,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (fresh,) = place.glob("2*Z")
    assert re.fullmatch(r"\d{8}T\d{6}Z", fresh.name)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    assert young.exists()


# --- the rest ------------------------------------------------------------------------------------


def test_the_settings_of_the_example_are_settings(folder: Path):
    shutil.copy(DEPLOY / "timebank.toml", folder)
    given = Settings.load()
    assert given.database_url.startswith("postgresql://")
    assert given.public_url == "https://timebank.example"


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx here")
def test_nginx_accepts_the_proxy(tmp_path: Path):
    for name in ("fullchain.pem", "privkey.pem"):
        assert f"/etc/ssl/timebank/{name}" in (DEPLOY / "nginx.conf").read_text()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"),
            *("-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem"),
        ],
        check=True,
        capture_output=True,
    )
    proxy = (DEPLOY / "nginx.conf").read_text().replace("/etc/ssl/timebank", str(tmp_path))
    proxy = re.sub(
        r"listen \[::\].*\n", "\n", proxy
    )  # a port that is taken here is no mistake there
    proxy = re.sub(r"listen (80|443)", lambda _: f"listen 127.0.0.1:{free_port()}", proxy)
    (tmp_path / "timebank.conf").write_text(proxy)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ include {tmp_path}/timebank.conf; }}\n"
    )
    checked = subprocess.run(
        ["nginx", "-t", "-e", tmp_path / "log", "-c", tmp_path / "nginx.conf"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_proxy_lets_through_as_much_as_we_take():
    text = (DEPLOY / "nginx.conf").read_text()
    (mebibytes,) = re.findall(r"client_max_body_size (\d+)m;", text)
    assert int(mebibytes) << 20 == Settings.model_fields["body_bytes_max"].default
    assert "location = /v1/audit/feed" in text
