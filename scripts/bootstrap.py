"""Makes the environment from the lock files with the standard library alone, and starts in it.

    python3 scripts/bootstrap.py run [OPTIONS]          a living demo: `timebank demo`
    python3 scripts/bootstrap.py test [PYTEST OPTIONS]  every check and every test
    python3 scripts/bootstrap.py soak [OPTIONS]         a long run under load: `--short`, 2 minutes
    python3 scripts/bootstrap.py timebank VERB ...      any verb of the command line

The environment is `.venv` in the checkout or, where that is not writable, a folder in the user's
cache. A stamp in it says what was installed; an environment without its stamp is made anew.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

# All of it must parse, and the lines down to CHECKOUT run, on old Pythons too: to say that they are
# old. Hence no `match` and no `:=`.


def tell(zh: str, en: str) -> None:
    """Say it on stderr in both languages, since we cannot know the reader's."""
    sys.stderr.write(zh + "\n" + en + "\n")
    sys.stderr.flush()


def fitting_python() -> str:
    """The first CPython 3.11 or newer on PATH that really starts, or nothing."""
    fits = (
        "import sys; sys.exit(sys.version_info < (3, 11) or sys.implementation.name != 'cpython')"
    )
    for minor in range(20, 10, -1):
        found = shutil.which("python3.%d" % minor)  # noqa: UP031  (as readable, and as old as needed)
        if found and subprocess.call([found, "-c", fits], stderr=subprocess.DEVNULL) == 0:  # noqa: S603
            return found
    return ""


if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
    better = fitting_python()
    if better:
        os.execv(better, [better, *sys.argv])  # noqa: S606  (this very script, no shell)
    this = f"{sys.implementation.name} {sys.version.split()[0]}"
    tell(
        f"需要 CPython 3.11 或更高版本，当前是 {this}。",
        f"CPython 3.11 or newer is needed; this is {this}.",
    )
    sys.exit(1)

CHECKOUT = Path(__file__).resolve().parent.parent
RUNTIME = "requirements.lock"
TEST = "requirements-test.lock"
STAMP = "timebank.stamp"
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
)
WHOLE_SUITE = ("-n", "2", "--dist", "worksteal")
"""How pytest runs where nothing else is asked of it: 0.6 of the time of one process."""


class CannotPrepare(Exception):
    """The environment cannot be made; says why in zh and en."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en


def main(arguments: list[str]) -> int:
    """Prepare what the verb needs, then become it (or, for `test`, run every check)."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb == "run":
        return become(prepared(RUNTIME), "timebank", "demo", *rest)
    if verb == "test":
        return run_checks(prepared(RUNTIME, TEST), *rest)
    if verb == "soak":
        return become(prepared(RUNTIME, TEST), "python", "-m", "scripts.soak", *rest)
    if verb == "timebank":
        return become(prepared(RUNTIME), "timebank", *rest)
    sys.stderr.write((__doc__ or "") + "\n")
    return 0 if verb in ("-h", "--help", "help") else 2


def become(venv: Path, program: str, *arguments: str) -> int:
    """This process turns into a program of the environment, so that signals reach it directly."""
    path = str(venv / "bin" / program)
    os.execve(path, [path, *arguments], child_environment(venv))  # noqa: S606  (no shell)


def run_checks(venv: Path, *pytest_arguments: str) -> int:
    """Run every check even when one fails; pytest is last, so that its count closes the output."""
    failed = []
    for check in (*CHECKS, ("pytest", *(pytest_arguments or WHOLE_SUITE))):
        sys.stderr.write(f"$ {shlex.join(check)}\n")
        sys.stderr.flush()
        command = [str(venv / "bin" / "python"), "-m", *check]
        if subprocess.call(command, cwd=CHECKOUT, env=child_environment(venv)):  # noqa: S603
            failed.append(" ".join(word for word in check[:2] if not word.startswith("-")))
    if failed:
        said = ", ".join(failed)
        tell(f"没有通过：{said}", f"failed: {said}")
    return 1 if failed else 0


# --- the environment -----------------------------------------------------------------------------


def prepared(*locks: str) -> Path:
    """The environment with these locks installed; at once if it is there, made or mended if not."""
    home = folder()
    venv = home / ".venv"
    wanted = {lock: digest(lock) for lock in locks}
    if wanted.items() <= stamped(venv).items():
        return venv
    with alone(home / ".venv.lock"):
        have = stamped(venv)
        if not wanted.items() <= have.items():
            if have.get(RUNTIME) != wanted[RUNTIME]:
                make_empty(venv)
                have = {}
            missing = {lock: seal for lock, seal in wanted.items() if have.get(lock) != seal}
            stamp(venv, {})  # from here until the end it is half made
            install(venv, *missing)
            link_project(venv)
            stamp(venv, have | wanted)
    return venv


def folder() -> Path:
    """Where the environment stands: the checkout or, if that is read-only, the user's cache."""
    if os.access(CHECKOUT, os.W_OK) or (CHECKOUT / ".venv" / STAMP).exists():
        return CHECKOUT
    name = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:16]
    caches = [os.environ.get("XDG_CACHE_HOME", "")]
    if home_folder():
        caches.append(f"{home_folder()}/.cache")
    for cache in filter(os.path.isabs, caches):
        place = Path(cache) / "timebank" / name
        with contextlib.suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
    place = Path(tempfile.gettempdir()) / f"timebank-{os.getuid()}-{name}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise CannotPrepare(f"{place} 属于别人。", f"{place} belongs to somebody else.")
    return place


def digest(lock: str) -> str:
    """What makes an installed lock out of date: its text, the Python, and where the checkout is."""
    said = [sys.version, sys.base_prefix, str(CHECKOUT), version()]
    return hashlib.sha256(
        b"\0".join([*(part.encode() for part in said), (CHECKOUT / "scripts" / lock).read_bytes()])
    ).hexdigest()


def version() -> str:
    """The project's version, as pyproject.toml has it."""
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    return text.split('\nversion = "', 1)[1].split('"', 1)[0]


def stamped(venv: Path) -> dict[str, str]:
    """What is completely installed: lock -> digest; nothing if the environment does not start."""
    if not os.access(venv / "bin" / "python", os.X_OK):
        return {}
    with contextlib.suppress(FileNotFoundError):
        lines = (venv / STAMP).read_text(encoding="ascii").splitlines()
        return {lock: seal for lock, _, seal in (line.partition(" ") for line in lines)}
    return {}


def stamp(venv: Path, installed: dict[str, str]) -> None:
    """Write what is installed in one step, so that no reader sees half of it."""
    text = "".join(f"{lock} {seal}\n" for lock, seal in sorted(installed.items()))
    fresh = venv / f"{STAMP}.new"
    fresh.write_text(text, encoding="ascii")
    fresh.replace(venv / STAMP)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One start at a time makes the environment; the system frees the lock of one that died."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(
                "另一个启动正在准备环境，请稍候。",
                "Another start is making the environment; waiting.",
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_empty(venv: Path) -> None:
    """A new, empty environment in place of one that is out of date or half made."""
    if venv.is_symlink() or venv.exists():
        if venv.is_symlink() or (not (venv / STAMP).exists() and any(venv.iterdir())):
            raise CannotPrepare(
                f"{venv} 不是本脚本创建的，请移走它再试。",
                f"{venv} was not made by this script; move it away and try again.",
            )
        shutil.rmtree(venv)
    tell(f"正在创建 {venv}", f"making {venv}")
    venv.mkdir()
    stamp(venv, {})  # ours from the first moment on
    pip = ["--without-pip"] if importlib.util.find_spec("ensurepip") is None else []
    if run([sys.executable, "-I", "-m", "venv", *pip, str(venv)]):
        raise CannotPrepare("无法创建虚拟环境，原因见上。", "venv failed; its reason stands above.")


def install(venv: Path, *locks: str) -> None:
    """Install locks by hash; wheels only, so that nothing unlocked is fetched to build them."""
    count = sum((CHECKOUT / "scripts" / lock).read_text().count("==") for lock in locks)
    tell(f"正在安装 {count} 个软件包…", f"installing {count} packages …")
    requirements = [f"--requirement={CHECKOUT / 'scripts' / lock}" for lock in locks]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    options = [
        "--require-hashes",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
    ]
    if run([*pip_for(venv), "install", *options, *quiet, *requirements]):
        raise CannotPrepare(
            "软件包安装失败，原因见上：通常是连不上软件包索引（可用 PIP_INDEX_URL 指定镜像）"
            "或没有适合本机 Python 的 wheel。",
            "Packages could not be installed; pip's reason stands above. Commonly no package index "
            "answers (PIP_INDEX_URL names a mirror) or there is no wheel for this Python.",
        )


def pip_for(venv: Path) -> list[str]:
    """The environment's own pip or, where the system has no ensurepip, the system's."""
    own = str(venv / "bin" / "python")
    if (venv / "bin" / "pip").exists():
        return [own, "-I", "-m", "pip"]
    outer = [sys.executable, "-m", "pip", "--python", own]
    if run([*outer, "--version"], stderr=subprocess.DEVNULL) == 0:  # --python came with pip 22.3
        return outer
    raise CannotPrepare(
        "缺少 pip：请先安装 venv，例如 Debian/Ubuntu: apt-get install python3-venv",
        "There is no pip. Install venv first, on Debian or Ubuntu: apt-get install python3-venv",
    )


def link_project(venv: Path) -> None:
    """Make the checkout importable and `timebank` a program, without any build."""
    python = venv / "bin" / "python"
    paths = {"base": str(venv), "platbase": str(venv)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    (site / "timebank.pth").write_text(f"{CHECKOUT}\n", encoding="utf-8")
    about = site / f"timebank-{version()}.dist-info" / "METADATA"  # for importlib.metadata.version
    about.parent.mkdir(exist_ok=True)
    about.write_text(f"Metadata-Version: 2.1\nName: timebank\nVersion: {version()}\n")
    # -P: the folder one stands in is not searched, whatever it calls its own folders.
    program = "from scripts.cli import main; main(prog_name='timebank')"
    launcher = venv / "bin" / "timebank"
    launcher.write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(python))} -P -c "{program}" "$@"\n', encoding="utf-8"
    )
    launcher.chmod(0o755)


# --- child processes -----------------------------------------------------------------------------


def run(command: list[str], stderr: int | None = None) -> int:
    """Run a step of the making; its output goes to stderr, since stdout belongs to the verb."""
    done = subprocess.run(  # noqa: S603  (our own steps, no shell)
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if stderr is None else stderr,
        stderr=stderr,
        env=child_environment(),
        check=False,
    )
    return done.returncode


def child_environment(venv: Path | None = None) -> dict[str, str]:
    """Our variables without those that would lead a Python or pip of ours astray."""
    astray = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}
    kept = {name: value for name, value in os.environ.items() if name not in astray}
    if not kept.get("HOME"):
        kept["HOME"] = home_folder() or "/"
    if venv:
        kept["VIRTUAL_ENV"] = str(venv)
        kept["PATH"] = f"{venv / 'bin'}{os.pathsep}{kept.get('PATH') or os.defpath}"
    return kept


def home_folder() -> str:
    """The user's folder, by HOME or by the system's list; nothing for a user without one."""
    with contextlib.suppress(KeyError):
        return os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotPrepare as problem:
        tell(problem.zh, problem.en)
        sys.exit(1)
    except OSError as problem:
        tell(f"无法准备环境：{problem}", f"The environment cannot be prepared: {problem}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
