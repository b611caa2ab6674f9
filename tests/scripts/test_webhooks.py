"""Webhooks of servers and workers as processes of their own: killed, restarted, looked at."""

import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from ledger.commands import RegisterMember
from ledger.desk import Answer, Job
from ledger.opening import open_ledger
from ledger.settings import Settings
from ledger.units import new_id
from scripts.printing import Exit
from tests.api.house import CLI
from tests.forks import Forked
from tests.scripts.test_serve import get, served
from tests.scripts.test_work import SERVING
from tests.scripts.typed import started, timebank

MEMBERS = 150


class Receiver:
    """Takes whatever comes, remembers it, and lets a test act before it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, dict[str, str]]] = []
        self.before_answer: Callable[[int], None] = lambda count: None
        self.changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.changed:
                    receiver.got.append((headers["webhook-id"], body, headers))
                    count = len(receiver.got)
                    receiver.changed.notify_all()
                receiver.before_answer(count)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:  # the other was killed
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def wait_for(self, positions: list[int]) -> None:
        """Until all of these were delivered."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: {each["data"]["position"] for each in self.bodies()} >= set(positions), 120
            ), [each["data"]["position"] for each in self.bodies()]

    def bodies(self) -> list[Any]:
        return [orjson.loads(body) for _, body, _ in self.got]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    monkeypatch.setenv("TIMEBANK_WEBHOOK_ALLOW", f"127.0.0.1:{receiver.port}")
    monkeypatch.setenv("TIMEBANK_JOBS_EVERY_MINUTES", "0")
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def post(address: str, key: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310  (our own server)
        f"{address}{path}",
        orjson.dumps(body),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return orjson.loads(answer.read())


def register(count: int) -> list[int]:
    """Members of org-a and of org-b in turn, beside whoever serves; where org-a's stand."""
    with open_ledger(Settings.load()) as ledger:
        positions: list[int] = []

        def heard(outcome: Any) -> Answer:
            positions.extend(done.position for done in outcome.results)
            return Answer(200, b"")

        commands = [
            RegisterMember(
                **CLI,
                member_id=new_id(),
                organisation=("org-a", "org-b")[number % 2],
                roles=("volunteer",),
                unit="lake",
            )
            for number in range(2 * count)
        ]
        ledger.desk.ask_now(Job(commands, heard, "all"))
    return positions[::2]


@contextmanager
def working(folder: Path, parts: str) -> Iterator[Forked]:
    worker = started(f"work {parts} --json", folder, TIMEBANK_LOG_LEVEL="debug")
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline()
        yield worker
    finally:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)


@pytest.fixture
def hooked(made_anywhere, field, receiver) -> tuple[str, str, dict[str, Any]]:
    """A verifier's key of org-a, its webhook, and what it was answered."""
    field()
    said = timebank("org add org-b --name 乙 --kind volunteer --unit lake")
    assert said.code == 0
    made = timebank("key create --role verifier --actor Zhao --org org-a --json").json
    url = f"http://127.0.0.1:{receiver.port}/hook"
    with served(made_anywhere, SERVING) as server:
        hook = post(server["address"], made["key"], "/v1/webhooks", {"url": url})
    return made["key"], hook["id"], hook


def test_a_worker_that_is_killed_amid_deliveries_leaves_nothing_out(
    made_anywhere, hooked, receiver
):
    """Killed three times while a message is under way: before, and after, it was answered."""
    _, webhook_id, hook = hooked
    positions = register(MEMBERS)
    said: list[str] = []
    for kill_at in (20, 60, 110):
        killed = threading.Event()
        with working(made_anywhere, "views webhooks") as worker:

            def kill(
                count: int,
                worker: Forked = worker,
                at: int = kill_at,
                killed: threading.Event = killed,
            ) -> None:
                if count >= at and not killed.is_set():
                    os.kill(worker.pid, signal.SIGKILL)
                    killed.set()

            receiver.before_answer = kill
            assert killed.wait(120)
            said.append("".join(worker.communicate(timeout=60)))
            assert worker.returncode == -signal.SIGKILL
    receiver.before_answer = lambda count: None
    with working(made_anywhere, "views webhooks") as worker:
        receiver.wait_for(positions)
        worker.send_signal(signal.SIGTERM)
        said.append("".join(worker.communicate(timeout=60)))
        assert worker.returncode == 0
    once: dict[str, bytes] = {}
    for id, body, headers in receiver.got:
        assert once.setdefault(id, body) == body
        Webhook(hook["secret"]).verify(body, headers)
    assert [orjson.loads(body)["data"]["position"] for body in once.values()] == positions
    assert 3 <= len(receiver.got) - len(once) <= 6  # what was under way came again
    assert list(once) == [f"{webhook_id}-{position}" for position in positions]
    assert hook["secret"].removeprefix("whsec_") not in "".join(said)
    assert "/hook" not in "".join(said)


def test_a_server_delivers_and_one_more_beside_it_does_not_double(made_anywhere, hooked, receiver):
    key, webhook_id, _ = hooked
    with served(made_anywhere) as server, working(made_anywhere, "webhooks"):
        positions = register(30)
        receiver.wait_for(positions)
        more = register(5)
        receiver.wait_for(more)
        path = f"{server['address']}/v1/webhooks/{webhook_id}"
        standing = (get(path, key)["position"] for _ in range(2_000))
        assert any(position == more[-1] for position in standing)  # written down, a moment later
    delivered = [each["data"]["position"] for each in receiver.bodies()]
    assert delivered == positions + more


def test_webhooks_are_looked_at_and_steered_from_the_command_line(made_anywhere, hooked, receiver):
    _, webhook_id, hook = hooked
    (listed,) = timebank("webhook list --json").json["webhooks"]
    assert listed.items() >= {"id": webhook_id, "status": "active", "behind": 0}.items()
    assert "secret" not in listed
    assert timebank("webhook list --org org-b --json").json == {"webhooks": []}
    assert webhook_id in timebank("webhook list --org org-a").out
    assert timebank(f"webhook pause {webhook_id} --json").json["status"] == "paused"
    positions = register(10)
    assert timebank("webhook list --json").json["webhooks"][0]["behind"] == 20
    with working(made_anywhere, "views webhooks"):
        assert timebank(f"webhook resume {webhook_id} --json").json["status"] == "active"
        receiver.wait_for(positions)
        count = len(receiver.got)
        again = timebank(f"webhook replay {webhook_id} --position {positions[4]} --json")
        assert again.json["position"] == positions[4]
        with receiver.changed:
            assert receiver.changed.wait_for(lambda: len(receiver.got) == count + 5, 60)
    assert [each["data"]["position"] for each in receiver.bodies()[count:]] == positions[5:]
    for line in (f"pause {new_id()}", f"resume {new_id()}", f"replay {new_id()} --position 0"):
        assert timebank(f"webhook {line}").code == Exit.REFUSED
    late = timebank(f"webhook replay {webhook_id} --position {hook['position'] + 10_000}")
    assert late.code == Exit.USAGE
