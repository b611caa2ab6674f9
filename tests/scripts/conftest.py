"""A command line in a folder of its own, with nothing of the tester's environment in it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts.typed import Typed, run, timebank


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; what is said is English."""
    for name in list(os.environ):
        if name.startswith(("TIMEBANK_", "LC_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TIMEBANK_LANG", "en")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def mould(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh ledger on SQLite, to be copied."""
    made = tmp_path_factory.mktemp("mould")
    assert run("init --admin-key-file admin.key", made).code == 0
    return made


@pytest.fixture
def made(folder: Path, mould: Path) -> Path:
    """The same, with a ledger on SQLite in it."""
    shutil.copytree(mould, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def made_anywhere(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with a ledger on SQLite or on PostgreSQL."""
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", database_url)
    assert timebank("init --admin-key-file admin.key").code == 0
    return folder


@pytest.fixture
def field() -> Callable[[], None]:
    """Adds a district, a street and an organisation to the ledger at hand."""

    def add() -> None:
        for typed in (
            "unit add west --name 西海岸 --level district",
            "unit add lake --name 湖街 --level street --parent west",
            "org add org-a --name 甲志愿服务队 --kind volunteer --unit lake",
        ):
            said: Typed = timebank(typed)
            assert said.code == 0, said.err

    return add
