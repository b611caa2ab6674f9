"""The real application on real stores in a temporary folder, and a caller for every role."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from ledger.settings import Settings
from tests.api.house import House, made, opened
from tests.api.planted import Town, settled


@asynccontextmanager
async def _open(url: str, folder: Path) -> AsyncIterator[House]:
    settings = Settings(
        database_url=url, keys_file=folder / "timebank-keys.json", log_level="warning"
    )
    made(settings)
    async with opened(settings) as house:
        yield house


@pytest.fixture
async def house(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A served ledger with a district, two organisations and a key of each role, on SQLite."""
    async with _open(sqlite_url, tmp_path) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The same on SQLite, shared by a module whose tests leave nothing behind."""
    folder = tmp_path_factory.mktemp("house")
    async with _open(f"sqlite:///{folder / 'timebank.db'}", folder) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(still_house: House) -> AsyncIterator[Town]:
    """The same with all in it that a request can name, for a module that leaves nothing behind.

    Feeds end soon, and nobody is asked for the addresses of names.
    """

    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.receivers._look_up", nowhere)
        patch.setattr("api.feeds.LONGEST_SECONDS", 0.1)
        patch.setattr("api.feeds.LOOK_SECONDS", 0.05)
        yield await settled(still_house)


@pytest.fixture
async def each_house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """The same, once on SQLite and once on PostgreSQL."""
    async with _open(database_url, tmp_path) as house:
        yield house
