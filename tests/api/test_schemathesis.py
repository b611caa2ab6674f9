"""The server keeps what its OpenAPI document says, whatever is asked of it, and by whomever.

Each role asks a town that is whole, and often by the ids that stand in it. `TIMEBANK_TEST_EXAMPLES`
has each ask so often for each route, and another beginning every time; the seed is told.
"""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from secrets import randbelow
from typing import Any

import pytest
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from api import bodies, entrance
from api.replies import Reply
from ledger.settings import Settings
from ledger.units import Refused
from tests.api.house import made, opened
from tests.api.planted import DOCUMENT, MARK, NAME, PERSONAL, PHONE, Town, settled

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("TIMEBANK_TEST_EXAMPLES", "0"))

GROUPS = {
    ("no key", "other", "B poster", "B verifier", "auditor"): "--phases fuzzing --max-examples 2",
    ("A verifier",): "--phases fuzzing --max-examples 1",
    ("admin",): "--phases examples,fuzzing,stateful --max-examples 2",
}
"""Who ask in turn, and how much in CI (coverage takes minutes); who changes most comes last."""

IDS = """
[dictionaries.ids]
values = [{ids}]

[generation.dictionaries]
string = {{ dictionary = "ids", probability = 0.3 }}

[parameters]
"path.id" = {{ dictionary = "ids", probability = 0.9 }}
"path.to" = {{ dictionary = "ids", probability = 0.9 }}
"path.request_id" = {{ dictionary = "ids", probability = 0.9 }}
"path.number" = {{ dictionary = "ids", probability = 0.9 }}
"path.code" = {{ dictionary = "ids", probability = 0.9 }}
"""
"""The town's ids, put where a string may stand."""


class Heard:
    """What was answered that should not have been: failures, and another's secrets.

    An answer may repeat what its request says, and what was written with success before.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, set[bytes]] = {"no key": set()}  # by caller
        self.told: set[str] = set()
        self.answers: Counter[str] = Counter()  # by caller
        self.turns: Iterator[tuple[str, str | None]] = iter(())
        self.turn: str | None = None  # the key of which is used by all in turn
        self.callers: dict[int, str] = {}  # of requests under way
        self.bodies: dict[int, bytes] = {}
        self.written: set[bytes] = set()

    def listen(self, town: Town, names: Sequence[str]) -> None:
        keys = [(name, town.callers[name].text) for name in names]
        self.turns, self.turn = cycle(keys), next(filter(None, (text for _, text in keys)))
        self.secrets = {
            name: {secret.encode() for secret in secrets_from(town, name)}
            for name in ("no key", *names)
        }
        self.told, self.answers = set(), Counter()

    def hear(self, reply: Reply, request: BaseRequest) -> None:
        caller = self.callers.pop(id(request), "no key")
        self.answers[caller] += 1
        where = f"{caller}: {request.method} {request.path}"
        secrets = self.secrets[caller]
        content = reply.body if isinstance(reply.body, bytes) else b""
        heads = (value for _, value in request.raw_headers)
        body = self.bodies.pop(id(request), b"")
        said = b"\n".join((request.raw_path.encode(errors="surrogateescape"), *heads, body))
        repeated = {secret for secret in secrets if secret in said}
        found = {secret for secret in secrets if secret in content}
        for secret in found - repeated - self.written:
            self.told.add(f"{where}: {secret.decode()}")
        if reply.status < 300 and request.method != "GET":
            self.written |= repeated
        if reply.status >= 500 and reply.status != 503:
            self.told.add(f"{where}: {reply.status}")

    def presented(self, request: BaseRequest, said: str) -> str:
        if said == self.turn:
            self.callers[id(request)], text = next(self.turns)
            if text is None:
                raise Refused("unauthenticated")
            return text
        return said

    def reads(self, body: bytes | None, request: BaseRequest) -> None:
        self.bodies[id(request)] = body or b""


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, heard: Heard) -> Iterator[Town]:
    """A town in a thread of its own, for a client in another process; reads hardly wait."""
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(
        database_url=f"sqlite:///{folder / 'timebank.db'}",
        keys_file=folder / "keys.json",
        log_level="error",
    )
    made(settings)
    opening: list[Town] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def run() -> None:
        try:
            async with opened(settings) as house:
                opening.append(await settled(house))
                ready.set()
                await ended.wait()
        finally:
            ready.set()

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("api.entrance.WAIT_SECONDS", 0.05)
        patch.setattr("api.feeds.LONGEST_SECONDS", 0.05)
        patch.setattr("api.feeds.LOOK_SECONDS", 0.05)
        patch.setattr("api.receivers._look_up", _nobody_is_asked)
        patch.setattr(Reply, "prepare", _overheard(heard, Reply.prepare))
        patch.setattr("api.entrance._presented", _presented(heard, entrance._presented))
        patch.setattr(bodies, "body_at_hand", _at_hand(heard, bodies.body_at_hand))
        patch.setattr(bodies, "read_body", _read(heard, bodies.read_body))
        thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
        thread.start()
        ready.wait()
        yield opening[0]
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def _overheard(heard: Heard, prepare: Any) -> Any:
    async def listened(reply: Reply, request: BaseRequest) -> AbstractStreamWriter | None:
        heard.hear(reply, request)
        said: AbstractStreamWriter | None = await prepare(reply, request)
        return said

    return listened


def _presented(heard: Heard, presented: Any) -> Any:
    return lambda request: heard.presented(request, presented(request))


def _at_hand(heard: Heard, at_hand: Any) -> Any:
    def read(request: BaseRequest, *more: Any) -> Any:
        body = at_hand(request, *more)
        heard.reads(body, request)
        return body

    return read


def _read(heard: Heard, read_body: Any) -> Any:
    async def read(request: BaseRequest, *more: Any) -> Any:
        body = await read_body(request, *more)
        heard.reads(body, request)
        return body

    return read


async def _nobody_is_asked(host: str, port: int) -> list[str]:
    """No name of the world has an address here."""
    raise OSError


def secrets_from(town: Town, caller: str) -> list[str]:
    """What an answer to the caller may not hold, unless it was in the request."""
    match caller:
        case "no key" | "B poster" | "B verifier" | "other":
            own = ("other", "record of other")
            private = [id for name, id in town.private().items() if name not in own]
            return [*PERSONAL, MARK, *private]
        case "auditor":
            return [*PERSONAL, town.ids["code"]]
        case "A verifier":
            return [NAME, DOCUMENT, PHONE]
        case _:
            return []


@pytest.mark.parametrize("callers", GROUPS, ids=", ".join)
def test_every_answer_is_as_the_document_says_whoever_asks(
    served: Town, heard: Heard, tmp_path: Path, callers: tuple[str, ...]
) -> None:
    config = tmp_path / "schemathesis.toml"
    ids = ", ".join(f'"{id}"' for id in dict.fromkeys(served.ids.values()))
    config.write_text(CONFIG.read_text(encoding="utf-8") + IDS.format(ids=ids), encoding="utf-8")
    heard.listen(served, callers)
    seed = str(randbelow(10**9)) if EXAMPLES else "20260310"
    many = ["--max-examples", str(EXAMPLES * len(callers))]
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "--config-file", config, "run"),
            f"{served.house.admin.base}/v1/openapi.json",
            *("--seed", seed, "--workers", "1", "--no-color", "--generation-database", "none"),
            *("--header", f"Authorization: Bearer {heard.turn}"),
            *(many if EXAMPLES else GROUPS[callers].split()),
        ],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
    )
    assert ran.returncode == 0, f"seed {seed}\n{ran.stdout[-20_000:]}{ran.stderr}"
    assert heard.told == set()
    assert min(heard.answers[caller] for caller in callers) > 50
