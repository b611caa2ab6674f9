"""Servers and workers as processes of their own, on one ledger."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest
from sqlalchemy import update

from api.metrics import Metrics
from ledger.commands import ExpireRedemption
from ledger.opening import open_ledger
from ledger.settings import Settings
from ledger.units import new_id
from projections.schema import bookmark
from projections.views import Views
from scripts import due_jobs
from scripts.bench_houses import free_port
from scripts.printing import Exit
from tests.forks import Forked
from tests.scripts.test_serve import get, served
from tests.scripts.typed import run, started, timebank

SERVING = "serve --port 0 --work none --json"


@contextmanager
def at_work(folder: Path, parts: str) -> Iterator[Forked]:
    """A worker, once it says that it is at work."""
    worker = started(f"work {parts} --json", folder, TIMEBANK_LOG_LEVEL="warning")
    try:
        assert worker.stdout is not None
        first = worker.stdout.readline()
        assert first, worker.stderr and worker.stderr.read()
        assert orjson.loads(first) == {"pid": worker.pid, "work": parts.split()}
        yield worker
    finally:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)


def of_another_version() -> None:
    """Let the views look as if another version of the program had built them."""
    with open_ledger(Settings.load()) as ledger, ledger.views_engine.begin() as connection:
        connection.execute(update(bookmark).values(shape="another"))


def codes(server: dict[str, Any], key: str, position: int) -> list[str]:
    page = get(f"{server['address']}/v1/units?min_position={position}", key)
    return [unit["code"] for unit in page["data"]]


def refused(address: str, key: str | None = None) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as no:
        get(address, key)
    return no.value.code, orjson.loads(no.value.read())["code"]


def test_servers_look_up_what_a_worker_has_read(made_anywhere, database_url, monkeypatch):
    monkeypatch.setenv("TIMEBANK_JOBS_EVERY_MINUTES", "0")  # jobs read on too, when they begin
    key = (made_anywhere / "admin.key").read_text().strip()
    many = 1 if database_url.startswith("sqlite") else 2
    of_another_version()
    with ExitStack() as house:
        servers = [house.enter_context(served(made_anywhere, SERVING)) for _ in range(many)]
        for server in servers:
            units = f"{server['address']}/v1/units"
            assert refused(units, key) == (503, "view_behind")
            assert refused(f"{server['address']}/readyz") == (503, "view_behind")
            assert get(f"{server['address']}/healthz")["status"] == "ok"
        worker = house.enter_context(at_work(made_anywhere, "views"))
        house.enter_context(at_work(made_anywhere, "jobs webhooks"))
        said = timebank("unit add west --name 西海岸 --level district --json").json
        for server in servers:
            assert codes(server, key, said["position"]) == ["west"]
            assert get(f"{server['address']}/readyz")["views_position"] >= said["position"]
        worker.kill()
        worker.wait()
        said = timebank("unit add lake --name 湖街 --level street --parent west --json").json
        assert refused(
            f"{servers[0]['address']}/v1/units?min_position={said['position']}", key
        ) == (503, "view_behind")
        with at_work(made_anywhere, "views"):
            for server in servers:
                assert codes(server, key, said["position"]) == ["west", "lake"]


def test_a_worker_that_is_told_to_stop_ends_with_0(made):
    with at_work(made, "views jobs webhooks") as worker:
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=60)
        assert (worker.returncode, "Stopping" in err) == (0, True)


def test_a_worker_counts_too(made, monkeypatch):
    monkeypatch.setenv("TIMEBANK_METRICS_PORT", str(free_port()))
    with at_work(made, "views jobs"):
        said = timebank("unit add west --name x --level district --json").json
        address = f"http://127.0.0.1:{os.environ['TIMEBANK_METRICS_PORT']}/metrics"
        numbers: dict[str, float] = {}
        until = monotonic() + 60
        while numbers.get("timebank_views_position") != float(said["position"]):
            assert monotonic() < until, numbers
            with urllib.request.urlopen(address, timeout=30) as answer:
                lines = answer.read().decode().splitlines()
            numbers = {
                name: float(number)
                for name, _, number in (line.rpartition(" ") for line in lines)
                if not name.startswith("#")
            }
        assert numbers["timebank_views_lag_entries"] == 0
        assert "process_resident_memory_bytes" in numbers


def test_work_that_is_none_is_refused(made, monkeypatch):
    monkeypatch.setenv("TIMEBANK_WORK", "none")
    assert timebank("work").code == Exit.USAGE
    assert timebank("work cleaning").code == Exit.USAGE
    monkeypatch.setenv("TIMEBANK_WORK", "views,cleaning")
    said = run("serve --port 0", made)
    assert (said.code, "work (TIMEBANK_WORK)" in said.err) == (Exit.USAGE, True)


def test_a_worker_whose_work_has_ended_ends_too(made):
    with at_work(made, "views") as worker:
        of_another_version()
        assert timebank("unit add west --name x --level district").code == 0
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == Exit.UNAVAILABLE
        assert "another version" in err


def test_a_server_whose_views_another_version_has_rebuilt_says_so(made):
    key = (made / "admin.key").read_text().strip()
    said = timebank("unit add west --name x --level district --json").json
    with served(made) as server:
        assert codes(server, key, said["position"]) == ["west"]
        of_another_version()
        said = timebank("unit add hill --name x --level district --json").json
        units = f"{server['address']}/v1/units"
        assert refused(f"{units}?min_position={said['position']}", key) == (503, "view_behind")
        assert refused(units, key) == (503, "view_behind")
        assert refused(f"{server['address']}/readyz") == (503, "view_behind")


def test_a_job_under_way_is_broken_off_when_the_process_ends(made, monkeypatch):
    begun = threading.Event()

    def endless(ledger, views, as_of, stamp):
        while True:
            begun.set()
            yield ExpireRedemption(**stamp, redemption_id=new_id(), as_of=as_of)

    monkeypatch.setitem(due_jobs.JOBS, due_jobs.HOLDS, endless)
    with open_ledger(Settings.load()) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        views.start()
        with due_jobs.scheduled(ledger, views, 60, Metrics()) as thread:
            assert begun.wait(30)
        assert thread is not None
        assert not thread.is_alive()
        views.close()


def test_a_socket_that_was_passed_outlives_the_servers_behind_it(made):
    key = (made / "admin.key").read_text().strip()
    with socket.create_server(("127.0.0.1", 0)) as door:
        host, port = door.getsockname()
        asks = f"GET /v1/units HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
        for _ in range(2):  # servers come and go
            with socket.create_connection((host, port), timeout=60) as caller:
                caller.sendall(asks.encode())  # nobody is there yet
                with behind(door, made) as announced:
                    assert announced["address"] == f"http://{host}:{port}"
                    assert caller.recv(100).startswith(b"HTTP/1.1 200")


@contextmanager
def behind(door: socket.socket, folder: Path) -> Iterator[dict[str, Any]]:
    """A server that is started as systemd starts one: the socket is number 3."""
    start = f'exec 3<&{door.fileno()} env LISTEN_PID=$$ LISTEN_FDS=1 "$0" -m scripts.cli "$@"'
    server = subprocess.Popen(
        ["/bin/bash", "-c", start, sys.executable, "serve", "--port", "1", "--json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        pass_fds=[door.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    yield orjson.loads(server.stdout.readline())
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    assert server.returncode == 0
