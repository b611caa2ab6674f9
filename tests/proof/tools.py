"""Tools that a machine may lack: a test that needs one skips there, but never in CI."""

import os
import shutil
from pathlib import Path

import pytest

GO_SOURCES = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts what the Go program imports."""


def needed(present: object, what: str) -> None:
    """Skip, or fail where nothing may be missing, unless it is there."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI lacks {what}")
    pytest.skip(f"this machine lacks {what}")


def needs_go() -> None:
    needed(shutil.which("go"), "go")
    sources = GO_SOURCES / "src/golang.org/x/mod/sumdb"
    needed(sources.is_dir(), "golang-golang-x-mod-dev")


def needs_node(folder: Path) -> None:
    needed(shutil.which("node"), "node")
    needed((folder / "node_modules").is_dir(), f"npm ci --prefix {folder}")
