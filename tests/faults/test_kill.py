"""kill -9 amid 64 writers: what was acknowledged is there, once."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime

import aiohttp
import orjson
import pytest

from ledger import journal
from ledger.events import HoursVerified
from ledger.opening import open_ledger
from ledger.verification import verify
from projections.replay import replay
from projections.views import Views
from scripts.bench_houses import BASE, House, free_port, make_house, wait_for

WRITERS = 64


class Writers:
    """64 clients that post until the server is gone, and remember every answer they got."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.sent = 0
        self.acknowledged: dict[str, int] = {}  # receipt -> position

    async def write_until(self, acknowledgements: int, process: subprocess.Popen[bytes]) -> None:
        """Post from all clients; after so many answers of this round the server is killed."""
        answered = len(self.acknowledged) + acknowledgements
        headers = {
            "Authorization": f"Bearer {self.house.key}",
            "Content-Type": "application/json",
        }
        connector = aiohttp.TCPConnector(limit=0)

        async def writer(session: aiohttp.ClientSession) -> None:
            while process.returncode is None:
                receipt, body = self.next_body()
                try:
                    async with session.post("/v1/service-records", data=body) as answer:
                        said = orjson.loads(await answer.read())
                except (aiohttp.ClientError, OSError):
                    return  # no answer: nothing was promised
                assert answer.status == 201, said
                self.acknowledged[receipt] = said["position"]
                if len(self.acknowledged) == answered:
                    process.kill()
                    process.wait()

        async with aiohttp.ClientSession(
            self.house.url, connector=connector, headers=headers
        ) as session:
            await asyncio.gather(*(writer(session) for _ in range(WRITERS)))

    def next_body(self) -> tuple[str, bytes]:
        number = self.sent
        self.sent += 1
        members = self.house.members
        start = BASE + 60 * (number // len(members))
        said = {
            "receipt": f"r-{number}",
            "member_id": members[number % len(members)],
            "activity": "陪伴就医",
            "category": "elderly",
            "place": "bench",
            "responsible": "staff-7",
            "started_at": datetime.fromtimestamp(start, UTC).isoformat(),
            "ended_at": datetime.fromtimestamp(start + 60, UTC).isoformat(),
        }
        return said["receipt"], orjson.dumps(said)


def serve(house: House) -> subprocess.Popen[bytes]:
    house.port = free_port()
    environment = os.environ | {
        "TIMEBANK_DATABASE_URL": house.settings.database_url,
        "TIMEBANK_LEDGER": house.settings.ledger,
        "TIMEBANK_KEYS_FILE": str(house.settings.keys_file),
        "TIMEBANK_PORT": str(house.port),
    }
    with (house.folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.cli", "serve"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    wait_for(f"{house.url}/readyz", process)
    return process


@pytest.mark.parametrize(
    ("backend", "kills"),
    [("sqlite", 100), pytest.param("postgresql", 20, marks=pytest.mark.postgresql)],
)
def test_no_acknowledged_record_is_lost_or_doubled_by_a_kill(backend, kills, request, tmp_path):
    folder = tmp_path / "house"
    url = f"sqlite:///{folder / 'timebank.db'}"
    if backend == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    house = make_house("kills", folder, url)
    writers = Writers(house)
    dice = random.Random(9)  # noqa: S311  (dice, no secret)
    for _ in range(kills):
        process = serve(house)
        try:
            asyncio.run(writers.write_until(dice.randint(1, 150), process))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    check(house, writers.acknowledged)


def check(house: House, acknowledged: dict[str, int]) -> None:
    with open_ledger(house.settings) as ledger:
        with ledger.store.reading() as connection:
            entries = [entry for page in journal.all_entries(connection) for entry in page]
        posted: dict[str, list[int]] = {}
        for entry in entries:
            if isinstance(entry.event, HoursVerified):
                posted.setdefault(entry.event.receipt, []).append(entry.position)
        assert [r for r, position in acknowledged.items() if posted.get(r) != [position]] == []
        assert all(len(positions) == 1 for positions in posted.values())
        assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
        views = Views(ledger.store, ledger.views_engine)
        views.catch_up()
        assert replay(ledger.store, views).difference is None
        assert verify(ledger.store).wrong is None
