"""Ledgers that are made once a process and copied: making one takes several times as long."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg

from ledger.databases import is_sqlite
from ledger.settings import Settings

Make = Callable[[Settings], None]


def copied(make: Make, settings: Settings) -> None:
    """Put a ledger where the settings say, as if `make` had made it there."""
    url = settings.database_url
    if is_sqlite(url):
        files = _files(make)
        journal = Path(url.removeprefix("sqlite:///"))
        for file in files.glob("timebank*.db"):
            beside = journal.stem + file.name.removeprefix("timebank")
            shutil.copy2(file, journal.with_name(beside))
    else:
        server, name = _parted(url)
        template, files = _database(make, server)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}".encode())
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    assert not settings.keys_file.exists()
    shutil.copy2(files / "keys.json", settings.keys_file)


@cache
def _files(make: Make) -> Path:
    """The folder of one on SQLite: its stores and its keys."""
    folder = _folder()
    make(_settings(f"sqlite:///{folder / 'timebank.db'}", folder))
    return folder


@cache
def _database(make: Make, server: str) -> tuple[str, Path]:
    """The name of one on PostgreSQL, and the folder of its keys."""
    name, folder = f"mould_{uuid4().hex}", _folder()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    make(_settings(server.replace("/postgres?", f"/{name}?"), folder))
    return name, folder


def _parted(url: str) -> tuple[str, str]:
    """The address of the server's own database, and the name of the one addressed."""
    before, query = url.split("?")
    server, _, name = before.rpartition("/")
    return f"{server}/postgres?{query}", name


def _settings(url: str, folder: Path) -> Settings:
    return Settings(database_url=url, keys_file=folder / "keys.json", log_level="warning")


def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="timebank-mould-")
    atexit.register(shutil.rmtree, folder)
    return Path(folder)
