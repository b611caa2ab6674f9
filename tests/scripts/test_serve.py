"""Serving from the command line: one server, verbs beside it, an orderly end."""

import os
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from scripts.printing import Exit
from tests.forks import Forked
from tests.scripts.typed import run, started, timebank


@contextmanager
def served(folder: Path, line: str = "serve --port 0 --json") -> Iterator[dict[str, Any]]:
    """A server in a process of its own, and what it announced."""
    server = started(line, folder, TIMEBANK_LOG_LEVEL="warning")
    try:
        assert server.stdout is not None
        first = server.stdout.readline()
        assert first, server.stderr and server.stderr.read()
        yield {**orjson.loads(first), "process": server}
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def get(address: str, key: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  (our own server)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return orjson.loads(answer.read())


def test_a_ledger_from_nothing_is_served(made_anywhere, field):
    key = (made_anywhere / "admin.key").read_text().strip()
    field()
    with served(made_anywhere) as server:
        assert get(f"{server['address']}/healthz")["status"] == "ok"
        units = get(f"{server['address']}/v1/units", key)["data"]
        assert [unit["code"] for unit in units] == ["west", "lake"]


def test_verbs_work_beside_the_server_and_it_sees_what_they_write(made):
    key = (made / "admin.key").read_text().strip()
    with served(made) as server:
        said = timebank("unit add west --name 西海岸 --level district --json").json
        units = get(f"{server['address']}/v1/units?min_position={said['position']}", key)
        assert [unit["code"] for unit in units["data"]] == ["west"]
        assert timebank("audit verify").code == 0
        assert timebank("audit replay").code == 0


def test_a_second_server_on_the_same_file_is_refused(made):
    with served(made) as server:
        second = run("serve --port 0", made)
        assert second.code == Exit.REFUSED
        assert str(server["pid"]) in second.err
        assert get(f"{server['address']}/healthz")["status"] == "ok"
    with served(made) as server:  # the first has gone, and its lock with it
        assert get(f"{server['address']}/healthz")["status"] == "ok"


@pytest.mark.postgresql
def test_two_servers_stand_before_one_postgresql(folder, postgresql_url, monkeypatch):
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", postgresql_url)
    assert timebank("init --admin-key-file admin.key").code == 0
    key = (folder / "admin.key").read_text().strip()
    with served(folder) as one, served(folder) as other:
        said = timebank("unit add west --name 西海岸 --level district --json").json
        for server in (one, other):
            units = get(f"{server['address']}/v1/units?min_position={said['position']}", key)
            assert [unit["code"] for unit in units["data"]] == ["west"]


def test_a_server_that_was_killed_leaves_no_lock_behind(made):
    with served(made) as server:
        server["process"].kill()
        server["process"].wait()
    with served(made) as server:
        assert get(f"{server['address']}/healthz")["status"] == "ok"


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_with_0(made, told):
    with served(made) as server:
        process: Forked = server["process"]
        process.send_signal(told)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Stopping" in err
    with pytest.raises(urllib.error.URLError):
        get(f"{server['address']}/healthz")


def test_a_request_under_way_is_answered_before_the_server_ends(made):
    """It waits for its turn to write, the server is told to stop, and then comes its turn."""
    key = (made / "admin.key").read_text().strip()
    body = b'{"code": "west", "name": "West", "level": "district"}'
    with served(made) as server, closing(sqlite3.connect("timebank.db")) as other:
        host, port = server["address"].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            other.execute("BEGIN IMMEDIATE")
            head = (
                f"POST /v1/units HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                "Expect: 100-continue\r\n\r\n"
            )
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it is under way now
            connection.sendall(body)
            get(f"{server['address']}/healthz")  # whoever is answered now was read after the body
            server["process"].send_signal(signal.SIGTERM)
            assert "Stopping" in server["process"].stderr.readline()
            other.execute("ROLLBACK")
            assert connection.recv(1_000).startswith(b"HTTP/1.1 201")
        server["process"].communicate(timeout=60)
        assert server["process"].returncode == 0
    assert timebank("audit verify --json").json["entries"] == 1


def test_people_are_told_where_it_serves(made):
    server = started("serve --port 0", made)
    assert server.stdout is not None
    assert server.stdout.readline().startswith("Serving at http://127.0.0.1:")
    server.terminate()
    server.communicate(timeout=60)


def test_an_address_that_is_taken_is_told(made):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = run(f"serve --port {port}", made)
    assert said.code == Exit.UNAVAILABLE
    assert f"http://127.0.0.1:{port}" in said.err
    assert "Traceback" not in said.err


def test_an_address_that_is_not_ours_is_told(made):
    said = run("serve --host 192.0.2.1 --port 0", made)
    assert said.code == Exit.UNAVAILABLE
    assert "192.0.2.1" in said.err


def test_where_there_is_no_ledger_none_is_served(folder):
    assert run("serve --port 0", folder).code == Exit.UNAVAILABLE
    assert os.listdir(folder) == []  # noqa: PTH208  (names are enough)
