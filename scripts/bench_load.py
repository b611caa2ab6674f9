"""The load of `timebank bench`: wrk where there is one, else a small client of our own, in a process apart.

Both send the same requests: durable posts of one-minute services, each with a receipt of its own,
dealt to members so that no two ever overlap.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import aiohttp

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
    """Send the load from a process of its own."""
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [sys.executable, "-m", "scripts.bench_load"]
        said = {**asdict(load), "members": str(load.members)}
        ran = subprocess.run(  # noqa: S603  (our own module)
            command, input=json.dumps(said), capture_output=True, text=True, check=True
        )
        return Measured(**json.loads(ran.stdout))
    script = load.members.with_name("post.lua")
    script.write_text(WRK_SCRIPT, encoding="utf-8")
    command = [
        wrk, "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s",
        "-s", str(script), load.url, "--", load.key, load.run, str(load.base), str(load.members),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return Measured(**json.loads(ran.stderr.strip().splitlines()[-1]))


async def _post(load: Load) -> Measured:
    members = load.members.read_text(encoding="utf-8").split()
    headers = {"Authorization": f"Bearer {load.key}"}
    latencies: list[float] = []
    failed = sent = 0
    started = time.perf_counter()

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failed, sent
        while time.perf_counter() - started < load.seconds:
            start = load.base + 60 * (sent // len(members))
            said = {
                "receipt": f"{load.run}-{sent + 1}",
                "member_id": members[sent % len(members)],
                "activity": "陪伴就医",
                "category": "elderly",
                "place": "bench",
                "responsible": "staff-7",
                "started_at": datetime.fromtimestamp(start, UTC).isoformat(),
                "ended_at": datetime.fromtimestamp(start + 60, UTC).isoformat(),
            }
            sent += 1
            began = time.perf_counter()
            async with session.post(f"{load.url}/v1/service-records", json=said) as answer:
                await answer.read()
                failed += answer.status >= 400
            latencies.append(1_000 * (time.perf_counter() - began))

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(client(session) for _ in range(load.connections)))
    cuts = quantiles(latencies, n=100)
    return Measured(sent, time.perf_counter() - started, failed, cuts[49], cuts[98])


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    measured = asyncio.run(_post(Load(**{**asked, "members": Path(asked["members"])})))
    sys.stdout.write(json.dumps(asdict(measured)))
