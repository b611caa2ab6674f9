"""Files that are written out: an export under way, what its writer reads, where it writes."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.printing import Exit, Stopped

if TYPE_CHECKING:
    from projections.extract import Extract
    from projections.views import Views


@dataclass(slots=True)
class Export:
    """What a writer is given; `path` is its own, and whatever else it writes stands beside that."""

    views: "Views"
    extract: "Extract"
    path: Path
    heard: Callable[[int], None]

    def about(self) -> dict[str, Any]:
        """How far and of what the export is."""
        scope = self.extract.scope
        return {
            "position": self.extract.until,
            "organisation": scope.organisation,
            "unit": scope.unit,
            "first": scope.first and scope.first.isoformat(),
            "last": scope.last and scope.last.isoformat(),
        }

    def beside(self, ending: str) -> Path:
        """Another file of the export, called after the first."""
        return self.path.with_name(f"{self.path.name}.{ending}")


@contextmanager
def draft_of(out: Path) -> Iterator[Path]:
    """A path to write to; what stands there and beside it at the end comes to its place at once.

    Nothing is overwritten, and what breaks off leaves nothing that looks whole.
    """
    if not out.parent.is_dir():
        raise Stopped("no_such_folder", Exit.USAGE, path=out.parent)
    refuse_existing(out)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder / out.name
        made = sorted(
            folder.iterdir(), key=lambda path: path.name == out.name
        )  # the first one last
        for path in made:
            refuse_existing(out.with_name(path.name))
        for path in folder.rglob("*"):
            to_disk(path)
        for path in made:
            path.rename(out.with_name(path.name))
        to_disk(out.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_private(out: Path, content: bytes) -> None:
    """Write a file for its owner alone: who somebody is stands in it."""
    with draft_of(out) as draft:
        draft.touch(mode=0o600)
        draft.write_bytes(content)


def to_disk(path: Path) -> None:
    """Have a file or a folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_existing(path: Path) -> None:
    """Pass where nothing of this name is there."""
    if path.exists() or path.is_symlink():
        raise Stopped("file_exists", Exit.REFUSED, path=path)
