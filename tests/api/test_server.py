"""The server begins, logs, and drains."""

import asyncio
import io
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from api import app as application
from api.log_lines import RequestLog
from ledger.desk import Desk, Job
from ledger.opening import open_ledger
from ledger.settings import Settings
from projections.views import Views
from tests.api.house import House, made


async def test_it_answers_what_is_under_way_before_it_ends(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database_url=sqlite_url, keys_file=tmp_path / "keys.json", port=0, log_level="warning"
    )
    made(settings)
    monkeypatch.setattr(application, "spare_the_collector", lambda: None)
    asked, told = asyncio.Event(), asyncio.Event()
    ask = Desk.ask

    async def slow(desk: Desk, job: Job) -> Any:
        asked.set()
        await told.wait()
        return await ask(desk, job)

    monkeypatch.setattr(Desk, "ask", slow)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with open_ledger(settings) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        views.start()
        app = application.make_app(ledger, views, settings)
        served = asyncio.create_task(application.serve(app, settings, address.set_result))
        async with ClientSession(await address) as session:
            house = House(app, ledger, views, session, await address)
            unit = {"code": "creek", "name": "溪谷", "level": "community"}
            under_way = asyncio.create_task(house.admin.post("/v1/units", unit))
            await asked.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            while not served.done():
                try:
                    async with ClientSession() as other:
                        await other.get(f"{await address}/healthz")
                except OSError:
                    break  # nobody new is let in
            told.set()
            assert (await under_way).status == 201
        await served
        views.close()


async def test_one_line_is_logged_for_each_request() -> None:
    for form in ("json", "text"):
        stream = io.BytesIO()
        lines = RequestLog(Settings(log_format=form, log_level="info"), stream)
        lines.add("req-1", "POST", "/v1/members/{id}", 201, 0.0125, "AbCdEfGh")
        lines.add("req-2", "GET", "/v1/units", 200, 0.001, "")
        assert stream.getvalue() == b""  # they wait for each other
        lines.flush()
        first, second = stream.getvalue().decode().splitlines()
        if form == "json":
            said = orjson.loads(first)
            assert said.pop("timestamp").endswith("Z")
            assert said == {
                "event": "request",
                "level": "info",
                "request_id": "req-1",
                "method": "POST",
                "route": "/v1/members/{id}",
                "status": 201,
                "ms": 12.5,
                "key": "AbCdEfGh",
            }
            assert orjson.loads(second)["request_id"] == "req-2"
        else:
            assert first.endswith("Z 201 POST /v1/members/{id} 12.5 ms AbCdEfGh req-1")


async def test_lines_are_written_without_being_asked_for() -> None:
    written = asyncio.Event()

    class Stream(io.BytesIO):
        def flush(self) -> None:
            written.set()

    lines = RequestLog(Settings(log_format="json", log_level="info"), Stream())
    lines.add("req-1", "GET", "/healthz", 200, 0.001, "")
    await asyncio.wait_for(written.wait(), 5)


async def test_a_quiet_server_logs_no_requests() -> None:
    stream = io.BytesIO()
    lines = RequestLog(Settings(log_level="warning"), stream)
    lines.add("req-1", "GET", "/healthz", 200, 0.001, "")
    lines.flush()
    assert stream.getvalue() == b""
