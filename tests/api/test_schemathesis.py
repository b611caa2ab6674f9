"""The server keeps what its OpenAPI document says, whatever is asked of it, and by whomever.

Each role asks a town that is whole, and often by the ids that stand in it. `TIMEBANK_TEST_EXAMPLES`
asks for so many requests of each route and another beginning every time; the seed is told.
"""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import randbelow
from typing import Any

import pytest
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from api.replies import Reply
from ledger.settings import Settings
from tests.api.house import made, opened
from tests.api.planted import DOCUMENT, MARK, NAME, PERSONAL, PHONE, Town, settled

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("TIMEBANK_TEST_EXAMPLES", "0"))

CALLERS = {
    "no key": "fuzzing",
    "other": "fuzzing",
    "B poster": "fuzzing",
    "B verifier": "fuzzing",
    "auditor": "fuzzing",
    "A verifier": "fuzzing",
    "admin": "examples,coverage,fuzzing,stateful",
}
"""Who asks, and in which phases where no examples are asked for; who changes most comes last."""

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
    """What was answered that should not have been: failures, and another's secrets."""

    def __init__(self) -> None:
        self.secrets: list[bytes] = []
        self.told: set[str] = set()
        self.answers = 0

    def hear(self, reply: Reply, request: BaseRequest) -> None:
        self.answers += 1
        content = reply.body if isinstance(reply.body, bytes) else b""
        said = request.raw_path.encode(errors="surrogateescape") + bytes(request._read_bytes or b"")
        for secret in self.secrets:
            if secret in content and secret not in said:
                self.told.add(f"{request.method} {request.path}: {secret.decode()}")
        if reply.status >= 500 and reply.status != 503:
            self.told.add(f"{request.method} {request.path}: {reply.status}")


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
        async with opened(settings) as house:
            opening.append(await settled(house))
            ready.set()
            await ended.wait()

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("api.entrance.WAIT_SECONDS", 0.05)
        patch.setattr("api.feeds.LONGEST_SECONDS", 0.05)
        patch.setattr("api.feeds.LOOK_SECONDS", 0.05)
        patch.setattr("api.receivers._look_up", _nobody_is_asked)
        patch.setattr(Reply, "prepare", _overheard(heard, Reply.prepare))
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


@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_as_the_document_says_whoever_asks(
    served: Town, heard: Heard, tmp_path: Path, caller: str
) -> None:
    config = tmp_path / "schemathesis.toml"
    ids = ", ".join(f'"{id}"' for id in dict.fromkeys(served.ids.values()))
    config.write_text(CONFIG.read_text(encoding="utf-8") + IDS.format(ids=ids), encoding="utf-8")
    heard.secrets = [secret.encode() for secret in secrets_from(served, caller)]
    heard.told, before = set(), heard.answers
    asks = served.callers[caller]
    key = () if asks.text is None else ("--header", f"Authorization: Bearer {asks.text}")
    seed = str(randbelow(10**9)) if EXAMPLES else "20260310"
    how = ("--max-examples", str(EXAMPLES)) if EXAMPLES else ("--phases", CALLERS[caller])
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "--config-file", config, "run"),
            f"{asks.base}/v1/openapi.json",
            *("--seed", seed, "--workers", "1", "--no-color", "--generation-database", "none"),
            *how,
            *key,
        ],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
    )
    assert ran.returncode == 0, f"seed {seed}\n{ran.stdout[-20_000:]}{ran.stderr}"
    assert heard.told == set()
    assert heard.answers - before > 200
