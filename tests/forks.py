"""Processes that begin with the program loaded: a fresh Python would take seconds to load it."""

import multiprocessing
import os
import shlex
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["scripts.cli", "scripts.serve", "scripts.work", "api.app", "projections.views"]
)


class Forked:
    """A command line in a process of its own; to its starter what `subprocess.Popen` is."""

    def __init__(self, line: str, folder: Path, variables: dict[str, str]) -> None:
        out, out_end = FORKS.Pipe(duplex=False)
        err, err_end = FORKS.Pipe(duplex=False)
        given = (shlex.split(line), str(folder), {**os.environ, **variables}, out_end, err_end)
        self._process = FORKS.Process(target=_type, args=given)
        self._process.start()
        self.stdout, self.stderr = (
            os.fdopen(os.dup(end.fileno()), encoding="utf-8") for end in (out, err)
        )
        self._said: tuple[str, str] | None = None
        for end in (out, out_end, err, err_end):
            end.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("timebank", timeout or 0)
        return self._process.exitcode

    def send_signal(self, sent: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, sent)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that is still said, to the end; the same for whoever asks again."""
        if self._said is None:
            with ThreadPoolExecutor(2) as both, self.stdout, self.stderr:
                reading = [both.submit(end.read) for end in (self.stdout, self.stderr)]
                out, err = (each.result(timeout) for each in reading)
            self._said = (out, err)
        self.wait(timeout)
        return self._said


def _type(
    words: list[str], folder: str, variables: dict[str, str], out: Connection, err: Connection
) -> None:
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever forks us may ignore it
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    from scripts.cli import main

    main(words, prog_name="timebank")
