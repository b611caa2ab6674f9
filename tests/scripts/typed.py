"""What is typed at the command line, in this process or one of its own, and what comes of it."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner

from scripts.cli import main
from tests.forks import Forked

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Typed:
    """An exit code, and what was written."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON value."""
        return orjson.loads(self.out)


def timebank(line: str) -> Typed:
    """Type what follows `timebank`, and wait for its end; a bug is raised."""
    said = CliRunner().invoke(main, shlex.split(line))
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    return Typed(said.exit_code, said.stdout, said.stderr)


def started(line: str, folder: Path, **variables: str) -> Forked:
    """Start it in a process of its own."""
    return Forked(line, folder, variables)


def program(line: str, folder: Path, **variables: str) -> "subprocess.Popen[str]":
    """Start it as the system does: a Python of its own, seconds later."""
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", *shlex.split(line)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(line: str, folder: Path, **variables: str) -> Typed:
    """Run it in a process of its own, to its end."""
    running = started(line, folder, **variables)
    out, err = running.communicate(timeout=120)
    return Typed(running.wait(), out, err)
