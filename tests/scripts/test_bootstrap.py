"""The start on a bare machine: one environment, made once, by hash, and told in two languages."""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import bootstrap

SCRIPT = Path(bootstrap.__file__)
ECHO = """
import sys
from importlib.metadata import version
def main(prog_name):
    sys.stdout.write(" ".join([prog_name, version(prog_name), *sys.argv[1:]]))
"""
MAKING = "making /"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock files are empty and whose `timebank` says what it was asked."""
    scripts = tmp_path / "check out" / "scripts"  # a space: it must not matter
    scripts.mkdir(parents=True)
    shutil.copy(SCRIPT, scripts)
    (scripts / "cli.py").write_text(ECHO)
    (scripts / "requirements.lock").touch()
    (scripts / "requirements-test.lock").touch()
    (scripts.parent / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    return scripts.parent


def begin(checkout: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """A start with hardly any environment variable, as in a container."""
    return subprocess.Popen(
        [sys.executable, str(checkout / "scripts" / "bootstrap.py"), *arguments],
        env={"PATH": os.defpath, "HOME": "", "PIP_NO_INDEX": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start(checkout: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    process = begin(checkout, *arguments, **variables)
    out, err = process.communicate()
    return process.returncode, out, err


def test_the_first_start_makes_the_environment_and_the_second_finds_it(checkout: Path) -> None:
    code, out, err = start(checkout, "run", "--port", "0")
    assert (code, out) == (0, "timebank 1.2.3 demo --port 0"), err
    assert MAKING in err
    assert start(checkout, "timebank", "audit", "verify") == (0, "timebank 1.2.3 audit verify", "")


def test_two_starts_at_once_make_one_environment(checkout: Path) -> None:
    both = [begin(checkout, "run"), begin(checkout, "run")]
    said = [process.communicate() for process in both]
    assert [out for out, _ in said] == ["timebank 1.2.3 demo"] * 2
    assert sum(MAKING in err for _, err in said) == 1


def test_an_environment_that_was_left_half_made_is_made_anew(checkout: Path) -> None:
    left = checkout / ".venv" / "left"
    left.parent.mkdir()
    left.touch()
    (left.parent / bootstrap.STAMP).touch()  # ours, and not finished
    assert start(checkout, "run")[:2] == (0, "timebank 1.2.3 demo")
    assert not left.exists()


def test_an_environment_that_is_not_ours_is_left_alone(checkout: Path) -> None:
    theirs = checkout / ".venv" / "theirs"
    theirs.parent.mkdir()
    theirs.touch()
    code, _, err = start(checkout, "run")
    assert code == 1
    assert "移走" in err
    assert "move it away" in err
    assert theirs.exists()


def test_what_the_lock_did_not_hash_is_not_installed(checkout: Path, tmp_path: Path) -> None:
    wheel = tiny_wheel(tmp_path)
    lock = checkout / "scripts" / "requirements.lock"
    (checkout / "scripts" / "cli.py").write_text("import tiny\n" + ECHO)
    seal = hashlib.sha256(wheel.read_bytes()).hexdigest()

    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    code, out, err = start(checkout, "run", PIP_FIND_LINKS=str(tmp_path))
    assert (code, out) == (1, "")
    assert "软件包安装失败" in err
    assert "could not be installed" in err

    lock.write_text(f"tiny==1.0 --hash=sha256:{seal}\n")
    assert start(checkout, "run", PIP_FIND_LINKS=str(tmp_path))[:2] == (0, "timebank 1.2.3 demo")


def test_where_the_system_has_no_ensurepip_its_pip_serves(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "CHECKOUT", checkout)
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda _: None)
    venv = bootstrap.prepared(bootstrap.RUNTIME)
    assert not (venv / "bin" / "pip").exists()
    assert (venv / "bin" / "timebank").exists()


def test_without_any_pip_it_says_what_to_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = checkout / "bare"
    bare.write_text('#!/bin/sh\n[ "$2" = -m ] && [ "$3" = venv ] || exit 1\n')
    bare.chmod(0o755)
    monkeypatch.setattr(bootstrap, "CHECKOUT", checkout)
    monkeypatch.setattr(bootstrap.sys, "executable", str(bare))
    with pytest.raises(bootstrap.CannotPrepare, match="apt-get install python3-venv") as problem:
        bootstrap.prepared(bootstrap.RUNTIME)
    assert "缺少 pip" in problem.value.zh


def test_a_read_only_checkout_has_its_environment_in_the_cache(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "CHECKOUT", checkout)
    monkeypatch.setattr(bootstrap.os, "access", lambda path, _: path != checkout)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert bootstrap.folder().parent == tmp_path / "cache" / "timebank"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert bootstrap.folder().parent == tmp_path / "home" / ".cache" / "timebank"


def test_every_check_runs_even_if_one_fails_and_pytest_comes_last(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    python = checkout / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n[ "$2" != mypy ]\n')
    python.chmod(0o755)
    assert bootstrap.run_checks(checkout, "-k", "a name") == 1
    said = capfd.readouterr()
    assert said.out.splitlines() == [
        "-m ruff check .",
        "-m ruff format --check .",
        "-m mypy",
        "-m pytest -k a name",
    ]
    assert said.err.splitlines()[-1] == "failed: mypy"


def test_the_whole_suite_runs_in_two_processes(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    python = checkout / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    assert bootstrap.run_checks(checkout) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "-m pytest -n 2 --dist worksteal"


def test_an_old_python_is_told_so_in_both_languages() -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 8, 0, 'final', 0); "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "需要 CPython 3.11" in done.stderr
    assert "CPython 3.11 or newer is needed" in done.stderr


def test_an_old_python_can_read_the_script() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))


def tiny_wheel(folder: Path) -> Path:
    """A package of one empty module, as an index would serve it."""
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        for name, text in about.items():
            archive.writestr(f"tiny-1.0.dist-info/{name}", text)
        names = ["tiny.py", *(f"tiny-1.0.dist-info/{name}" for name in [*about, "RECORD"])]
        archive.writestr("tiny-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return wheel
