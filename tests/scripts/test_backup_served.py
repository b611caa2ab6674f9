"""A backup that is taken while eight writers post: all that was acknowledged before it is in it."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ledger import journal
from ledger.events import HoursVerified
from ledger.settings import Settings
from ledger.store import Store
from scripts.bench_houses import BASE, House, make_house, served
from scripts.door import settings
from tests.scripts.test_backups import done

WRITERS = 8
AT_LEAST = 40  # acknowledged before the backup begins, and again after it has ended
PATIENCE_SECONDS = 120
PATH = "/v1/service-records"


class Answer:
    """A status, a body, and whether it was said before."""

    def __init__(self, heard: http.client.HTTPResponse) -> None:
        self.status = heard.status
        self.body = heard.read()
        self.replayed = heard.headers.get("Idempotent-Replayed") == "true"


class Writers:
    """Eight clients that post, each one request after the other, until they are told to stop."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.acknowledged: dict[str, tuple[bytes, Answer]] = {}  # receipt -> body sent, answer
        self.refused: list[bytes] = []
        self._changed = threading.Condition()
        self._ending = threading.Event()

    @contextmanager
    def writing(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in threads:
                thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more are acknowledged."""
        with self._changed:
            wanted = len(self.acknowledged) + more
            come = self._changed.wait_for(
                lambda: len(self.acknowledged) >= wanted or self.refused, PATIENCE_SECONDS
            )
        assert come, "nothing was acknowledged"
        assert self.refused == []

    def post(self, receipt: str, body: bytes) -> Answer:
        at = urlsplit(self.house.url)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
        try:
            headers = {
                "Authorization": f"Bearer {self.house.key}",
                "Content-Type": "application/json",
                "Idempotency-Key": receipt,
            }
            connection.request("POST", PATH, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def _write(self, writer: int) -> None:
        number = writer
        while not self._ending.is_set():
            receipt, body = f"r-{number}", self._body(number)
            answer = self.post(receipt, body)
            with self._changed:
                if answer.status == 201:
                    self.acknowledged[receipt] = (body, answer)
                else:
                    self.refused.append(answer.body)
                self._changed.notify_all()
            number += WRITERS

    def _body(self, number: int) -> bytes:
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
        return json.dumps(said).encode()


@pytest.mark.postgresql
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_what_was_acknowledged_before_a_backup_is_in_it(
    folder: Path, source: str, target: str, postgresql_url: str, turn: Callable[[Settings], None]
):
    urls = {
        "sqlite": f"sqlite:///{folder / 'house' / 'timebank.db'}",
        "postgresql": postgresql_url,
    }
    house = make_house("busy", folder / "house", urls[source])
    writers = Writers(house)
    with served(house), writers.writing():
        writers.wait_for(AT_LEAST)
        before = dict(writers.acknowledged)
        turn(house.settings)
        taken = done("db backup b")
        writers.wait_for(AT_LEAST)  # they were never held up for good
    assert len(before) >= AT_LEAST

    elsewhere = house.settings.model_copy(
        update={
            "database_url": urls[target].replace("timebank.db", "elsewhere.db"),
            "ledger": "elsewhere",
        }
    )
    turn(elsewhere)
    restored = done("db restore b")
    assert restored["position"] == taken["position"]
    assert done("audit verify")["root"] == taken["root"]
    done("views rebuild")
    assert done("audit replay")["equal"] is True

    positions, receipts = told(settings())
    assert positions == list(range(1, taken["position"] + 1))
    assert {r: json.loads(a.body)["position"] for r, (_, a) in before.items()}.items() <= (
        receipts.items()
    )
    house.settings = elsewhere
    with served(house):  # who sends again what was acknowledged is told the same again
        for receipt in list(before)[::7]:
            body, first = before[receipt]
            again = writers.post(receipt, body)
            assert (again.status, again.replayed, again.body) == (201, True, first.body)
        lost = next(r for r in writers.acknowledged if r not in receipts)
        body, _ = writers.acknowledged[lost]
        again = writers.post(lost, body)  # what came after the backup is new once more
        assert (again.status, again.replayed) == (201, False)
        assert json.loads(again.body)["position"] == taken["position"] + 1
    assert done("audit verify")["entries"] == taken["position"] + 1


@pytest.fixture
def turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], None]:
    """Has verbs speak to a ledger."""

    def to(given: Settings) -> None:
        for name in ("database_url", "ledger", "keys_file"):
            monkeypatch.setenv(f"TIMEBANK_{name.upper()}", str(getattr(given, name)))

    return to


def told(given: Settings) -> tuple[list[int], dict[str, int]]:
    """Every position of a journal, and where each receipt's record stands."""
    store = Store(given.database_url, given.ledger)
    try:
        with store.reading() as connection:
            entries = [entry for page in journal.all_entries(connection) for entry in page]
    finally:
        store.close()
    posted = {
        entry.event.receipt: entry.position
        for entry in entries
        if isinstance(entry.event, HoursVerified)
    }
    return [entry.position for entry in entries], posted
