"""Clients that post through every fault and remember each answer; what became of it is counted."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

import aiohttp
import orjson

from ledger import journal
from ledger.events import HoursVerified, MemberRegistered
from ledger.opening import open_ledger
from ledger.vault_rows import Known
from ledger.verification import verify
from projections.replay import replay
from projections.views import Views
from scripts.bench_houses import BASE, House

PATIENCE_SECONDS = 90.0
"""So long may a fault keep every client waiting before the test fails."""

PAUSE_SECONDS = 0.02  # before a client asks again
ANSWER_SECONDS = 10.0  # then a client takes it that no answer will come


class Ask(NamedTuple):
    """What is to be posted, however often it takes."""

    receipt: str
    idempotency_key: str | None
    body: bytes


class Load:
    """Clients that each post one record after the other, and ask again until it is acknowledged.

    Who meets a broken connection, no answer in time, or 503 sends the same body under the same key
    and receipt again, to the next server of the list. Every other answer is `wrong`.
    """

    path = "/v1/service-records"
    told = "position"  # what of an answer is remembered

    def __init__(
        self,
        house: House,
        servers: Sequence[str],
        clients: int = 16,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.house = house
        self.servers = servers
        self.acknowledged: dict[str, list[Any]] = {}  # receipt -> the positions it was told
        self.wrong: list[str] = []
        self.broken = 0  # connections, and answers that did not come
        self.busy = 0  # answers 503
        self._clients = clients
        self._answer_seconds = answer_seconds
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._ending = False  # nothing new is asked
        self._given_up = False  # nor anything again
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="clients")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Every ask is answered before this returns, unless the test has failed already."""
        self._ending = True
        self._given_up = kind is not None
        self._thread.join(PATIENCE_SECONDS)
        still_asking = self._thread.is_alive()
        self._given_up = True
        self._thread.join()
        if kind is None:
            assert not still_asking, f"some are never answered: {self}"
            assert self.wrong == []

    def __repr__(self) -> str:
        return (
            f"{len(self.acknowledged)} acknowledged, {self.broken} connections broken,"
            f" {self.busy} times busy, wrong: {self.wrong[:3]}"
        )

    def go_on(self, further: int) -> None:
        """Return once so many more records have been acknowledged."""
        wanted = len(self.acknowledged) + further
        self.wait_until(lambda: len(self.acknowledged) >= wanted)

    def meet(self, further: int) -> None:
        """Return once so many more asks came to nothing: the clients have met the fault."""
        wanted = self.broken + self.busy + further
        self.wait_until(lambda: self.broken + self.busy >= wanted)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the clients bring about."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.wrong or condition(), PATIENCE_SECONDS)
        assert self.wrong == []
        assert came, f"nothing goes on: {self}"

    # -- the clients' own thread ---------------------------------------------------------------

    async def _run(self) -> None:
        headers = {
            "Authorization": f"Bearer {self.house.key}",
            "Content-Type": "application/json",
        }
        timeout = aiohttp.ClientTimeout(self._answer_seconds)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=timeout
        ) as session:
            await asyncio.gather(*(self._client(session, n) for n in range(self._clients)))

    async def _client(self, session: aiohttp.ClientSession, server: int) -> None:
        while not self._ending:
            ask = self._next()
            while not await self._acknowledges(self._server(server), session, ask):
                if self._given_up:
                    return
                server += 1
                await asyncio.sleep(PAUSE_SECONDS)

    def _server(self, number: int) -> str:
        return self.servers[number % len(self.servers)]

    async def _acknowledges(self, server: str, session: aiohttp.ClientSession, ask: Ask) -> bool:
        key = ask.idempotency_key
        try:
            async with session.post(
                f"{server}{self.path}",
                data=ask.body,
                headers={} if key is None else {"Idempotency-Key": key},
            ) as answer:
                said = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            with self._changed:
                self.broken += 1
                self._changed.notify_all()
            return False
        with self._changed:
            self._changed.notify_all()
            if answer.status in (200, 201):
                told = orjson.loads(said)[self.told]
                self.acknowledged.setdefault(ask.receipt, []).append(told)
                return True
            if answer.status == 503 and "Retry-After" in answer.headers:
                self.busy += 1
            else:
                self.wrong.append(f"{answer.status} {said.decode(errors='replace')}")
        return False

    def _next(self) -> Ask:
        number = next(self._numbers)
        key = None if number % 3 == 2 else uuid4().hex  # every third relies on its receipt alone
        return Ask(f"r-{number}", key, orjson.dumps(self._body(number)))

    def _body(self, number: int) -> dict[str, Any]:
        members = self.house.members
        start = BASE + 60 * (number // len(members))
        return {
            "receipt": f"r-{number}",
            "member_id": members[number % len(members)],
            "activity": "陪伴就医",
            "category": "elderly",
            "place": "bench",
            "responsible": "staff-7",
            "started_at": datetime.fromtimestamp(start, UTC).isoformat(),
            "ended_at": datetime.fromtimestamp(start + 60, UTC).isoformat(),
        }


class Members(Load):
    """Clients that each register one person after the other, in the same way.

    Two of three have an `external_ref`, and two of three an idempotency key.
    """

    path = "/v1/members"
    told = "id"

    def _body(self, number: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "roles": ["volunteer"],
            "unit": "bench",
            "person": {"name": f"r-{number}", "phone": "13800005678"},
        }
        return body if number % 3 == 1 else {"external_ref": f"r-{number}", **body}


class Counted(NamedTuple):
    """What became of the records, as the journal has them."""

    acknowledged: int
    present: int
    lost: list[str]  # receipts that were acknowledged at a position where they do not stand
    doubled: list[str]  # receipts of more than one record


def count(house: House, load: Load) -> Counted:
    """Count in the journal, which must be whole: dense, proved, and replayed to equal views."""
    with open_ledger(house.settings) as ledger:
        with ledger.store.reading() as connection:
            entries = [entry for page in journal.all_entries(connection) for entry in page]
        assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
        assert verify(ledger.store).wrong is None
        views = Views(ledger.store, ledger.views_engine)
        views.catch_up()
        assert replay(ledger.store, views).difference is None
    posted: dict[str, list[int]] = {}
    for entry in entries:
        if isinstance(entry.event, HoursVerified):
            posted.setdefault(entry.event.receipt, []).append(entry.position)
    acknowledged = load.acknowledged.items()
    return Counted(
        acknowledged=len(load.acknowledged),
        present=len(posted),
        lost=[one for one, told in acknowledged if not {*told} <= {*posted.get(one, ())}],
        doubled=[one for one, stands in posted.items() if len(stands) > 1],
    )


def check(house: House, load: Load, *, unasked: int = 0) -> Counted:
    """Nothing lost, nothing doubled, and nothing there that nobody was told of but `unasked`."""
    counted = count(house, load)
    assert (counted.lost, counted.doubled) == ([], [])
    assert counted.present == counted.acknowledged + unasked
    return counted


def check_members(load: Members) -> None:
    """Each whom a client was told of is one member, and one person in the vault; nobody else is.

    Of a registration that broke off and is known by its idempotency key alone, a row may be left
    that belongs to nobody and is pending: `timebank doctor` tells of it.
    """
    house = load.house
    with open_ledger(house.settings) as ledger:
        assert verify(ledger.store).wrong is None
        with ledger.store.reading() as connection:
            entries = [entry for page in journal.all_entries(connection) for entry in page]
        registered = [e.event.member_id for e in entries if isinstance(e.event, MemberRegistered)]
        made = registered[len(house.members) :]
        held: dict[str, list[tuple[str, Known]]] = {"active": [], "pending": []}
        for known in ledger.vault.everyone(limit=10**6):
            opened = ledger.vault.read_in_full(known.member_id)
            assert opened is not None
            name = opened.person.name
            assert name is not None
            held[known.status].append((name, known))
            if known.status == "active" and opened.external_refs:
                assert opened.external_refs == {"bench": [name]}
                found = ledger.vault.find_refs("bench", [name])
                assert found == {name: known.member_id}
    assert len(made) == len(set(made)) == len(load.acknowledged)
    assert sorted(made) == sorted(known.member_id for _, known in held["active"])
    assert {one: {*ids} for one, ids in load.acknowledged.items()} == {
        name: {known.member_id} for name, known in held["active"]
    }
    assert all(int(name.removeprefix("r-")) % 3 == 1 for name, _ in held["pending"])
