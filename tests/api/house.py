"""A served house: the open ledger, its views, the application on a port of its own, and callers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import orjson
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from api.app import DOOR, make_app
from ledger import store
from ledger.commands import AddOrganisation, AddUnit, Command, RegisterMember, Stamp
from ledger.desk import Answer, Job
from ledger.keys import Key, NewKey, create_key, revoke_key
from ledger.keys_file import make_keys_file
from ledger.notes import Checkpoint, Note
from ledger.opening import Ledger, make_ledger, open_ledger
from ledger.settings import Settings
from ledger.units import new_id
from projections.views import Views
from tests.moulds import copied

CLI: Stamp = {
    "actor": "cli",
    "actor_name": "cli",
    "actor_member": None,
    "by_admin": True,
    "correlation_id": "019f0000-0000-7000-8000-000000000000",
}
NOBODYS_KEY = "tbk_live_00000000_" + "0" * 46


@dataclass(frozen=True)
class Said:
    """An answer as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """A problem's code."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        return str(self.json["code"])

    @property
    def pointers(self) -> dict[str, str]:
        """A problem's errors: pointer -> code."""
        return {error["pointer"]: error["code"] for error in self.json["errors"]}


@dataclass(frozen=True)
class Caller:
    """Someone with a key (or with none), who asks over HTTP."""

    session: ClientSession
    base: str
    text: str | None = None
    key: Key | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        once: str | None = None,
        media: str | None = "application/json",
    ) -> Said:
        """One request; `body` is sent as JSON, `raw` as it is."""
        sent: dict[str, str] = {}
        if self.text is not None:
            sent["Authorization"] = f"Bearer {self.text}"
        if once is not None:
            sent["Idempotency-Key"] = once
        content = orjson.dumps(body) if body is not None else raw
        data = content if content is None or len(content) < 65_536 else BytesIO(content)
        if data is not None and media is not None:
            sent["Content-Type"] = media
        async with self.session.request(
            method,
            self.base + path,
            data=data,
            headers=sent | dict(headers or {}),
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "Accept-Encoding"),
        ) as response:
            return Said(response.status, response.headers, await response.read())

    async def get(self, path: str, **other: Any) -> Said:
        """Read."""
        return await self.ask("GET", path, **other)

    async def post(self, path: str, body: Any = None, **other: Any) -> Said:
        """Write."""
        return await self.ask("POST", path, body, **other)


class House:
    """What a test of the top floor stands in."""

    def __init__(
        self, app: web.Application, ledger: Ledger, views: Views, session: ClientSession, base: str
    ) -> None:
        self.door = app[DOOR]
        self.ledger = ledger
        self.views = views
        self._session = session
        self._base = base
        self.stranger = Caller(session, base)
        self.admin = self.caller(role="admin", actor="Admin")
        self.auditor = self.caller(role="auditor", actor="Auditor")
        self.poster = self.caller(role="poster", actor="Wang", organisation="org-a")
        self.verifier = self.caller(role="verifier", actor="Zhao", organisation="org-a")
        self.other_poster = self.caller(role="poster", actor="Sun", organisation="org-b")
        self.member_id = new_id()
        self.member = self.caller(role="member", actor="Zhang", member_id=self.member_id)

    @property
    def callers(self) -> dict[str, Caller]:
        """A caller of each role, by the role's name."""
        return {
            "poster": self.poster,
            "verifier": self.verifier,
            "member": self.member,
            "auditor": self.auditor,
            "admin": self.admin,
        }

    def caller(self, **key: Any) -> Caller:
        """Somebody with a fresh key."""
        new = self.new_key(**key)
        return Caller(self._session, self._base, new.text, new.key)

    def with_key(self, text: str) -> Caller:
        """Somebody who shows this text as their key."""
        return Caller(self._session, self._base, text)

    def new_key(self, **key: Any) -> NewKey:
        """A fresh key in the table."""
        with self.ledger.store.writing() as connection:
            return create_key(connection, at=datetime.now(UTC), **key)

    def revoke(self, key: Key) -> None:
        """Make a key useless."""
        with self.ledger.store.writing() as connection:
            revoke_key(connection, key.id, datetime.now(UTC))

    def write(self, *commands: Command) -> None:
        """Ask the desk for something without HTTP."""
        self.ledger.desk.ask_now(Job(commands, lambda outcome: Answer(200, b""), mode="all"))

    async def ledger_signs(self) -> Checkpoint:
        """A checkpoint of all that the views have read."""
        kept = await asyncio.to_thread(self.door.signer.sign)
        return Note.parse(kept.note).checkpoint

    def age_checkpoints(self) -> None:
        """Let the last checkpoint be so old that whoever asks may have another."""
        with self.ledger.store.writing() as connection:
            connection.exec_driver_sql("UPDATE checkpoints SET signed_at = '2020-01-01T00:00:00Z'")

    @property
    def position(self) -> int:
        """The journal's last position."""
        with self.ledger.store.reading() as connection:
            return store.last_position(connection)


def made(settings: Settings) -> None:
    """A ledger with a small field: a district, a street, two organisations."""
    copied(_make, settings)


def _make(settings: Settings) -> None:
    make_keys_file(settings)
    make_ledger(settings)
    with open_ledger(settings) as ledger:
        commands: list[Command] = [
            AddUnit(**CLI, code="west", name="西海岸", level="district"),
            AddUnit(**CLI, code="lake", name="湖街", level="street", parent="west"),
            AddOrganisation(
                **CLI, code="org-a", name="甲志愿服务队", kind="volunteer", unit="lake"
            ),
            AddOrganisation(**CLI, code="org-b", name="乙社工", kind="social_work", unit="lake"),
        ]
        ledger.desk.ask_now(Job(commands, lambda outcome: Answer(200, b""), mode="all"))
        Views(ledger.store, ledger.views_engine).catch_up()


@asynccontextmanager
async def opened(
    settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[House]:
    """Serve a ledger that was made, until the block ends."""
    with open_ledger(settings, clock) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        views.start()
        try:
            app: web.Application = make_app(ledger, views, settings)
            async with TestServer(app) as server, ClientSession(auto_decompress=False) as session:
                house = House(app, ledger, views, session, f"http://{server.host}:{server.port}")
                register(house, house.member_id)
                yield house
        finally:
            views.close()


def register(house: House, member_id: str, organisation: str = "org-a") -> None:
    """Make somebody a member, without a person in the vault."""
    house.write(
        RegisterMember(
            **CLI,
            member_id=member_id,
            organisation=organisation,
            roles=("volunteer",),
            unit="lake",
        )
    )
