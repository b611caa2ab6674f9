"""A disk that is small and can be filled; where none can be mounted, files that may not grow."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024
GROWN_BYTES = MIB // 4
"""Of a file that may not grow: all databases here have larger ones, and all logs smaller."""

Full = Callable[[Iterable[int]], contextlib.AbstractContextManager[None]]
"""While it is entered, these processes find no room to write in."""


class Disk(NamedTuple):
    """A folder on it, and how it is filled."""

    folder: Path
    full: Full


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Disk]:
    """A tmpfs of its own.

    Where nothing may be mounted it is any folder, and the system lets no file of the processes grow
    (EFBIG instead of ENOSPC: databases treat them alike).
    """
    with tempfile.TemporaryDirectory(prefix="timebank-disk-") as made:
        Path(made).chmod(0o711)  # PostgreSQL runs as somebody else
        folder = Path(made) / "disk"
        folder.mkdir()
        if not _mounted(folder, mebibytes):
            yield Disk(folder, growing_nothing)
            return
        try:
            yield Disk(folder, lambda pids: _filled(folder))
        finally:
            subprocess.run([_found("umount"), "--lazy", str(folder)], check=True)


@contextmanager
def growing_nothing(pids: Iterable[int]) -> Iterator[None]:
    """No file of these processes, or of those that they start, grows while the block lasts."""
    for pid in pids:
        _limit(pid, str(GROWN_BYTES))
    try:
        yield
    finally:
        for pid in pids:
            if Path(f"/proc/{pid}").exists():  # a database may have given up
                _limit(pid, "unlimited")


def _limit(pid: int, size: str) -> None:
    """Set the limit that a process may raise itself, as whoever it belongs to."""
    owner = Path(f"/proc/{pid}").stat().st_uid
    subprocess.run(
        [_found("prlimit"), "--pid", str(pid), f"--fsize={size}:"],
        check=False,  # it may end at this moment
        user=owner if os.geteuid() == 0 else None,
    )


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """A file takes all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MIB, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(os.urandom(size))
    try:
        yield
    finally:
        ballast.unlink()


def _mounted(place: Path, mebibytes: int) -> bool:
    program = shutil.which("mount")
    if program is None or os.geteuid() != 0:
        return False
    asked = [program, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(place)]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


def _found(program: str) -> str:
    path = shutil.which(program)
    assert path is not None, f"{program} is not installed"
    return path
