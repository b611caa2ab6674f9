"""The load of `timebank bench`, from a process apart: wrk where there is one, else our own client.

Both send the same requests: durable posts of one-minute services, each with a receipt of its own,
dealt to members so that no two ever overlap.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import orjson

BATCH_ITEMS, BATCHES = 1_000, 40
READS = 1_000

WRK_SCRIPT = """
local members, n, run, base = {}, 0, 0, 0
local headers = { ["Content-Type"] = "application/json" }
local body = '{"receipt":"%s-%d","member_id":"%s","activity":"陪伴就医","category":"elderly",'
  .. '"place":"bench","responsible":"staff-7","started_at":"%s","ended_at":"%s"}'
function init(args)
  headers["Authorization"] = "Bearer " .. args[1]
  run, base = args[2], tonumber(args[3])
  for line in io.lines(args[4]) do members[#members + 1] = line end
end
function request()
  local start = base + 60 * math.floor(n / #members)
  local member = members[n % #members + 1]
  n = n + 1
  return wrk.format("POST", "/v1/service-records", headers, string.format(body, run, n, member,
    os.date("!%Y-%m-%dT%H:%M:%SZ", start), os.date("!%Y-%m-%dT%H:%M:%SZ", start + 60)))
end
function done(summary, latency, requests)
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%f,"failed":%d,"p50_ms":%f,"p99_ms":%f}',
    summary.requests, summary.duration / 1e6,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Load:
    """One run of load: where to, by which key, for which members, from which minute on."""

    url: str
    key: str
    run: str  # makes receipts unique
    base: int  # Unix seconds of the first service
    members: Path  # one id a line
    connections: int
    seconds: int


@dataclass(frozen=True)
class Measured:
    """What a run of load saw."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def post(load: Load) -> Measured:
    """Single posts as fast as the connections go, from a process of its own."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return Measured(**_apart("post", load))
    script = load.members.with_name("post.lua")
    script.write_text(WRK_SCRIPT, encoding="utf-8")
    command = [
        wrk, "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s",
        "-s", str(script), load.url, "--", load.key, load.run, str(load.base), str(load.members),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return Measured(**json.loads(ran.stderr.strip().splitlines()[-1]))


def batches(load: Load, count: int = BATCHES) -> float:
    """Entries a second through the batch endpoint, so many times a thousand."""
    return float(_apart("batches", load, str(count))["entries_per_second"])


def reads(load: Load, events: int) -> dict[str, dict[str, float]]:
    """Latencies of one client that asks for balances: now, and as of the past in every way."""
    found: dict[str, dict[str, float]] = _apart("reads", load)
    return found


def _apart(what: str, load: Load, *further: str) -> dict[str, Any]:
    """The same from a process of its own, in Python."""
    said = {**asdict(load), "members": str(load.members)}
    ran = subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-m", "scripts.bench_load", what, *further],
        input=json.dumps(said),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


# --- in the process apart ------------------------------------------------------------------------


def _record(load: Load, members: list[str], number: int) -> dict[str, str]:
    start = load.base + 60 * (number // len(members))
    return {
        "receipt": f"{load.run}-{number + 1}",
        "member_id": members[number % len(members)],
        "activity": "陪伴就医",
        "category": "elderly",
        "place": "bench",
        "responsible": "staff-7",
        "started_at": datetime.fromtimestamp(start, UTC).isoformat(),
        "ended_at": datetime.fromtimestamp(start + 60, UTC).isoformat(),
    }


def _session(load: Load) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Authorization": f"Bearer {load.key}", "Content-Type": "application/json"},
    )


async def _post(load: Load) -> dict[str, Any]:
    members = load.members.read_text(encoding="utf-8").split()
    latencies: list[float] = []
    failed = sent = 0
    started = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failed, sent
        while time.perf_counter() - started < load.seconds:
            body = orjson.dumps(_record(load, members, sent))
            sent += 1
            began = time.perf_counter()
            async with session.post(f"{load.url}/v1/service-records", data=body) as answer:
                await answer.read()
                failed += answer.status >= 400
            latencies.append(1_000 * (time.perf_counter() - began))

    async with _session(load) as session:
        await asyncio.gather(*(client(session) for _ in range(load.connections)))
    seconds = time.perf_counter() - started
    return asdict(
        Measured(sent, seconds, failed, _percentile(latencies, 50), _percentile(latencies, 99))
    )


async def _batches(load: Load, count: str) -> dict[str, float]:
    members = load.members.read_text(encoding="utf-8").split()
    bodies = [
        orjson.dumps(
            {
                "mode": "each",
                "items": [
                    _record(load, members, number)
                    for number in range(batch * BATCH_ITEMS, (batch + 1) * BATCH_ITEMS)
                ],
            }
        )
        for batch in range(int(count))
    ]
    accepted = 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal accepted
        while bodies:
            body = bodies.pop()
            async with session.post(f"{load.url}/v1/service-record-batches", data=body) as answer:
                accepted += orjson.loads(await answer.read())["accepted"]

    async with _session(load) as session:
        started = time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(load.connections)))
        seconds = time.perf_counter() - started
    if accepted != int(count) * BATCH_ITEMS:
        raise RuntimeError(f"{accepted} of {int(count) * BATCH_ITEMS} accepted")
    return {"entries_per_second": accepted / seconds}


async def _reads(load: Load) -> dict[str, dict[str, float]]:
    members = load.members.read_text(encoding="utf-8").split()
    past = datetime.fromtimestamp(load.base, UTC)
    instant, day = past.isoformat().replace("+00:00", "Z"), past.date().isoformat()
    kinds = {
        "now": "",
        "as_of": f"?as_of={instant}",
        "position": "?position=5000",
        "served_until": f"?served_until={day}",
        "both": f"?as_of={instant}&served_until={day}",
    }
    found: dict[str, dict[str, float]] = {}
    async with _session(load) as session:
        for kind, query in kinds.items():
            latencies: list[float] = []
            for number in range(READS):
                member = members[number * 7 % len(members)]
                began = time.perf_counter()
                url = f"{load.url}/v1/members/{member}/balance{query}"
                async with session.get(url) as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"{kind}: {answer.status}")
                latencies.append(1_000 * (time.perf_counter() - began))
            found[kind] = {
                "p50_ms": round(_percentile(latencies, 50), 2),
                "p99_ms": round(_percentile(latencies, 99), 2),
            }
    return found


def _percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]


WORK: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    "post": _post,
    "batches": _batches,
    "reads": _reads,
}

if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    what, *further = sys.argv[1:]
    work = WORK[what](Load(**{**asked, "members": Path(asked["members"])}), *further)
    sys.stdout.write(json.dumps(asyncio.run(work)))
