"""The server keeps what its OpenAPI document says, whatever is asked of it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.settings import Settings
from tests.api.house import Caller, House, made, opened

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def served(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Caller, House]]:
    """A house in a thread of its own, for a client in another process; reads hardly wait."""
    monkeypatch.setattr("api.entrance.WAIT_SECONDS", 0.05)
    monkeypatch.setattr("api.feeds.LONGEST_SECONDS", 0.05)
    monkeypatch.setattr("api.feeds.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("api.receivers._look_up", _nobody_is_asked)
    settings = Settings(
        database_url=sqlite_url, keys_file=tmp_path / "keys.json", log_level="warning"
    )
    made(settings)
    opening: list[House] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def run() -> None:
        async with opened(settings) as house:
            opening.append(house)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    ready.wait()
    (house,) = opening
    yield house.admin, house
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


async def _nobody_is_asked(host: str, port: int) -> list[str]:
    """No name of the world has an address here."""
    raise OSError


def test_every_answer_is_as_the_document_says(served: tuple[Caller, House], tmp_path: Path) -> None:
    admin, house = served
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "--config-file", CONFIG, "run"),
            f"{admin.base}/v1/openapi.json",
            *("--header", f"Authorization: Bearer {admin.text}"),
            *("--workers", "1", "--no-color", "--generation-database", "none"),
        ],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert house.position > 0
