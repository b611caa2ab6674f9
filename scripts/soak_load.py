"""The load of a soak, from a process apart: what organisations do all day, at a steady rate.

First as fast as some workers go, to learn what the house can do; then at a part of that rate with
an open loop: each act has its time, whatever became of those before, and how long it took is
counted from that time on. Every acknowledged record is written down, to be counted at the end.
"""

import asyncio
import random
import sys
from array import array
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, TextIO
from uuid import uuid4

import aiohttp
import orjson
import uvloop

BATCH_ITEMS = 20
WORKERS = 64
OUTSTANDING_MAX = 2_000  # acts under way; beyond it the house has fallen behind for good
ANSWER_SECONDS = 60
ORDER_MINUTES = 10
KNOWN_RECORDS = 2_000
EXTERNAL_REFS = 200
SAID_MAX = 20
TEA = {"code": "tea", "name": "Tea", "kind": "benefit", "credits": 1}


@dataclass(frozen=True)
class Plan:
    """What is to be done, and where."""

    urls: list[str]
    keys: dict[str, str]  # role -> key
    members: list[str]
    base: int  # Unix seconds of the first service
    learn_seconds: float
    seconds: float
    share: float  # of what was learned
    windows: int
    seed: int
    acknowledged: str  # a file: receipt, tab, id, a line each


@dataclass
class Window:
    """A part of the time, and how long answers took in it, from when they were due."""

    seconds: float
    took: "array[float]" = field(default_factory=lambda: array("d"))

    def told(self) -> dict[str, float]:
        """In figures."""
        ordered = sorted(self.took)
        return {
            "rate": round(len(ordered) / self.seconds, 1),
            "p50_ms": round(at(ordered, 0.50) * 1000, 2),
            "p99_ms": round(at(ordered, 0.99) * 1000, 2),
            "max_ms": round(at(ordered, 1.0) * 1000, 2),
        }


def at(ordered: list[float], share: float) -> float:
    """A quantile of numbers in order; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Unexpected(Exception):
    """An answer that nothing explains."""


class Load:
    """The acts, and what came of them."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession, acknowledged: TextIO) -> None:
        self.plan = plan
        self.session = session
        self.acknowledged = acknowledged
        self.dice = random.Random(plan.seed)  # noqa: S311  (no secret)
        self.due = 0.0  # of the act under way, on the loop's clock
        self.windows: list[Window] = []
        self.started = 0.0
        self.statuses: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()
        self.acts: Counter[str] = Counter()
        self._numbers = count()
        self._minutes = dict.fromkeys(plan.members, 0)
        self._registered: list[str] = []  # over HTTP: people whom the vault knows too
        self._records: deque[tuple[str, str]] = deque(maxlen=KNOWN_RECORDS)
        self._urls = iter(self._turns())

    # -- one request ---------------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "poster",
        expected: tuple[int, ...] = (200,),
        due: float | None = None,
        once: str | None = None,
    ) -> Any:
        """An answer that was expected, with its time kept; else Unexpected."""
        headers = {"X-Request-Id": str(uuid4())}
        if role in self.plan.keys:
            headers["Authorization"] = f"Bearer {self.plan.keys[role]}"
        if once is not None:
            headers["Idempotency-Key"] = once
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else orjson.dumps(body)
            headers["Content-Type"] = "application/json"
        begun = monotonic() if due is None else due
        try:
            async with self.session.request(
                method, next(self._urls) + path, data=data, headers=headers
            ) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unexpected(f"{method} {_place(path)} {type(error).__name__}") from None
        self._keep(monotonic(), monotonic() - begun)
        self.statuses[str(status)] += 1
        said = orjson.loads(content) if content[:1] in b"{[" and content else content
        if status not in expected:
            code = said.get("code") if isinstance(said, dict) else ""
            raise Unexpected(f"{method} {_place(path)} {status} {code}")
        return said

    def _keep(self, now: float, took: float) -> None:
        if self.windows:
            width = self.plan.seconds / self.plan.windows
            place = min(int((now - self.started) / width), self.plan.windows - 1)
            self.windows[place].took.append(took)

    def _turns(self) -> Any:
        while True:
            yield from self.plan.urls

    # -- bodies --------------------------------------------------------------------------------

    def member(self) -> str:
        """Anybody."""
        return self.dice.choice(self.plan.members)

    def minutes(self, member: str, many: int = 1) -> tuple[str, str]:
        """Minutes of a member that nobody has claimed yet: from, to."""
        start = self.plan.base + 60 * self._minutes[member]
        self._minutes[member] += many
        return _instant(start), _instant(start + 60 * many)

    def record(self, **other: Any) -> dict[str, Any]:
        """A service of a minute."""
        member = other.pop("member_id", None) or self.member()
        started, ended = self.minutes(member)
        return {
            "receipt": f"soak-{next(self._numbers)}",
            "member_id": member,
            "activity": "陪伴就医",
            "category": "elderly",
            "place": "bench",
            "responsible": "staff-7",
            "started_at": started,
            "ended_at": ended,
        } | other

    def remember(self, receipt: str, record_id: str, member: str) -> None:
        """An acknowledged record."""
        self.acknowledged.write(f"{receipt}\t{record_id}\n")
        self._records.append((record_id, member))

    # -- acts ----------------------------------------------------------------------------------

    async def post(self, due: float, **other: Any) -> Any:
        """Hours of a visit."""
        body = self.record(**other)
        said = await self.ask("POST", "/v1/service-records", body, expected=(201,), due=due)
        self.remember(body["receipt"], said["id"], body["member_id"])
        return said | {"member_id": body["member_id"], "body": body}

    async def post_and_look(self, due: float) -> None:
        """Hours, and the balance with them in it."""
        said = await self.post(due)
        await self.ask(
            "GET", f"/v1/members/{said['member_id']}/balance?min_position={said['position']}"
        )

    async def post_twice(self, due: float) -> None:
        """The same request again, and the same receipt without its key: one record."""
        body, once = self.record(), str(uuid4())
        path = "/v1/service-records"
        first = await self.ask("POST", path, body, expected=(201,), due=due, once=once)
        self.remember(body["receipt"], first["id"], body["member_id"])
        again = await self.ask("POST", path, body, expected=(201,), once=once)
        said = await self.ask("POST", path, body)
        if not first["id"] == again["id"] == said["id"]:
            raise Unexpected("a repeat made another record")

    async def batch(self, due: float) -> None:
        """Hours of a day, together."""
        items = [self.record() for _ in range(BATCH_ITEMS)]
        body = {"mode": "each", "items": items}
        said = await self.ask("POST", "/v1/service-record-batches", body, due=due)
        for item, result in zip(items, said["results"], strict=True):
            if result["status"] != "accepted":
                raise Unexpected(f"item {result['status']}")
            self.remember(item["receipt"], result["id"], item["member_id"])

    async def verify(self, due: float) -> None:
        """Hours that somebody else has to confirm."""
        said = await self.post(due, evidence="backfilled")
        if said["status"] == "submitted":
            path = f"/v1/service-records/{said['id']}/verify"
            await self.ask("POST", path, {}, role="verifier")

    async def reverse(self, due: float) -> None:
        """Hours that were a mistake."""
        said = await self.post(due)
        path = f"/v1/service-records/{said['id']}/reverse"
        await self.ask("POST", path, {"reason": "录入有误"}, role="verifier")

    async def order(self, due: float) -> None:
        """A service order from its place to its stars."""
        recipient, member = self.dice.sample(self.plan.members, 2)
        base = self.plan.base + 60 * self._minutes[member]
        self._minutes[member] += ORDER_MINUTES
        at = [_instant(base + 60 * minute) for minute in range(ORDER_MINUTES)]
        placed = {
            "recipient_id": recipient,
            "activity": "陪伴就医",
            "category": "elderly",
            "unit": "bench",
            "responsible": "staff-7",
            "planned_from": at[3],
            "planned_to": at[8],
            "at": at[0],
        }
        said = await self.ask("POST", "/v1/orders", placed, expected=(201,), due=due)
        path = f"/v1/orders/{said['id']}"
        await self.ask("POST", f"{path}/dispatch", {"organisation": "bench", "at": at[1]})
        accept = {"member_id": member, "at": at[2]}
        said = await self.ask("POST", f"{path}/accept", accept, expected=(200, 409))
        if said["status"] != "accepted":  # a job was quicker: it was dispatched so long ago
            return
        await self.ask("POST", f"{path}/check-in", {"at": at[3]})
        done = await self.ask("POST", f"{path}/check-out", {"at": at[8]})
        record = done["service_record"]
        self.remember(record["receipt"], record["id"], member)
        await self.ask("POST", f"{path}/rate", {"stars": 5, "at": at[9]})

    async def redeem(self, due: float) -> None:
        """A cup of tea for a credit; now and then it is not wanted after all."""
        said = await self.post(due)
        if said["credits"] < 1:
            return
        body = {"member_id": said["member_id"], "reward": "tea"}
        held = await self.ask("POST", "/v1/redemptions", body, expected=(201, 409))
        if held.get("status") == "reserved":
            verb, why = ("fulfil", {}) if self.dice.random() < 0.7 else ("cancel", REASON)
            await self.ask("POST", f"/v1/redemptions/{held['id']}/{verb}", why)

    async def donate(self, due: float) -> None:
        """A credit for the pool."""
        said = await self.post(due)
        body = {"kind": "donation", "from": said["member_id"], "credits": 1} | REASON
        await self.ask("POST", "/v1/transfers", body, role="verifier", expected=(201, 409))

    async def state(self, due: float) -> None:
        """A statement, and somebody who verifies it."""
        if not self._registered:
            return await self.register(due)
        said = await self.post(due, member_id=self.dice.choice(self._registered))
        day = said["served_on"]
        path = f"/v1/members/{said['member_id']}/statements"
        paper = await self.ask(
            "POST", path, {"from": day, "to": day}, role="verifier", expected=(201,)
        )
        path = f"/v1/statements/{paper['number']}/verification?code={paper['code']}"
        await self.ask("GET", path, role="nobody", expected=(200, 404))  # it may not be read yet

    async def register(self, due: float) -> None:
        """Somebody who is registered already, after the first time."""
        body = {
            "external_ref": f"soak-{self.dice.randrange(EXTERNAL_REFS)}",
            "roles": ["volunteer"],
            "unit": "bench",
        }
        said = await self.ask("POST", "/v1/members", body, expected=(200, 201), due=due)
        if said["id"] not in self._minutes:
            self._minutes[said["id"]] = 0
            self._registered.append(said["id"])

    async def refused(self, due: float) -> None:
        """What must be refused."""
        said = await self.post(due)
        body = said["body"] | {"receipt": f"soak-{next(self._numbers)}"}
        path = "/v1/service-records"
        await self.ask("POST", path, body, expected=(409,))
        await self.ask("POST", path, b"{", expected=(400,))
        await self.ask("POST", path, body | {"member_id": str(uuid4())}, expected=(422,))
        await self.ask("GET", path, role="nobody", expected=(401,))

    async def balance(self, due: float) -> None:
        """What somebody has."""
        await self.ask("GET", f"/v1/members/{self.member()}/balance", due=due)

    async def look(self, due: float) -> None:
        """What organisations look up."""
        paths = [
            f"/v1/members/{self.member()}/passbook?limit=20",
            f"/v1/members/{self.member()}",
            f"/v1/service-records?member_id={self.member()}&limit=20",
            "/v1/orders?limit=20",
            "/v1/redemptions?limit=20",
        ]
        if self._records:
            paths.append(f"/v1/service-records/{self.dice.choice(self._records)[0]}")
        await self.ask("GET", self.dice.choice(paths), expected=(200, 404), due=due)

    async def audit(self, due: float) -> None:
        """What auditors look up."""
        after = self.dice.randrange(max(1, len(self._records)))
        paths = (f"/v1/audit/events?after={after}&limit=50", "/v1/audit/checkpoints?limit=10")
        await self.ask("GET", self.dice.choice(paths), role="auditor", due=due)

    async def watch(self, due: float) -> None:
        """What those ask who watch the server."""
        for path in ("/readyz", "/metrics", "/checkpoint"):
            await self.ask("GET", path, role="nobody", due=due)

    # -- the loops -----------------------------------------------------------------------------

    async def act(self, due: float) -> None:
        """One act by its weight; what was not expected is counted and told."""
        (act,) = self.dice.choices(_ACTS, _WEIGHTS)
        self.acts[act.__name__] += 1
        try:
            await act(self, due)
        except Unexpected as unexpected:
            self.unexpected[str(unexpected)] += 1

    async def learn(self) -> float:
        """Acts a second, as fast as some workers go."""
        until = monotonic() + self.plan.learn_seconds
        begun, before = monotonic(), sum(self.acts.values())

        async def worker() -> None:
            while monotonic() < until:
                await self.act(monotonic())

        await asyncio.gather(*(worker() for _ in range(WORKERS)))
        return (sum(self.acts.values()) - before) / (monotonic() - begun)

    async def keep_up(self, rate: float) -> None:
        """Acts at their times for as long as the plan says, each in a task of its own."""
        width = self.plan.seconds / self.plan.windows
        self.windows = [Window(width) for _ in range(self.plan.windows)]
        self.started = monotonic()
        under_way: set[asyncio.Task[None]] = set()
        for number in range(int(rate * self.plan.seconds)):
            due = self.started + number / rate
            if due > monotonic():
                await asyncio.sleep(due - monotonic())
            if len(under_way) >= OUTSTANDING_MAX:
                self.unexpected["too far behind"] += 1
                continue
            task = asyncio.create_task(self.act(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(under_way)


REASON = {"reason": "试运行"}
Act = Callable[[Load, float], Awaitable[Any]]
WEIGHTS: dict[Act, float] = {
    Load.post: 40,
    Load.balance: 20,
    Load.look: 14,
    Load.post_and_look: 4,
    Load.post_twice: 2,
    Load.batch: 1,
    Load.verify: 3,
    Load.reverse: 1,
    Load.order: 1,
    Load.redeem: 2,
    Load.donate: 1,
    Load.state: 1,
    Load.register: 2,
    Load.refused: 1,
    Load.audit: 2,
    Load.watch: 0.2,
}
"""What is done, and how often beside the others."""
_ACTS, _WEIGHTS = list(WEIGHTS), list(WEIGHTS.values())


async def run(plan: Plan, acknowledged: TextIO) -> dict[str, Any]:
    """Learn, keep up, and tell."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        load = Load(plan, session, acknowledged)
        await load.ask("POST", "/v1/rewards", TEA, role="verifier", expected=(201,))
        learned = await load.learn()
        tell({"learned": round(learned, 1)})
        await load.keep_up(learned * plan.share)
    return {
        "windows": [window.told() for window in load.windows],
        "acts": dict(load.acts),
        "statuses": dict(load.statuses),
        "unexpected": dict(load.unexpected.most_common(SAID_MAX)),
    }


def tell(said: dict[str, Any]) -> None:
    """A line for the process that started us."""
    sys.stdout.write(orjson.dumps(said).decode() + "\n")
    sys.stdout.flush()


def command(plan: Plan, file: Path) -> list[str]:
    """How the load is started, and its plan put where it finds it."""
    file.write_bytes(orjson.dumps(asdict(plan)))
    return [sys.executable, "-m", "scripts.soak_load", str(file)]


def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _place(path: str) -> str:
    """A path without what is one request's own."""
    words = path.partition("?")[0].split("/")
    return "/".join("…" if any(c.isdigit() for c in word[2:]) else word for word in words)


def main() -> None:
    """`python -m scripts.soak_load PLAN`."""
    plan = Plan(**orjson.loads(Path(sys.argv[1]).read_bytes()))
    with (
        Path(plan.acknowledged).open("a", encoding="utf-8") as acknowledged,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        told = runner.run(run(plan, acknowledged))
    tell(told)


if __name__ == "__main__":
    main()
