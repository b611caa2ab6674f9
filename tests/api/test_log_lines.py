"""One line is logged for each request."""

import asyncio
import io

import orjson

from api.log_lines import RequestLog
from ledger.settings import Settings


async def test_one_line_is_logged_for_each_request() -> None:
    for form in ("json", "text"):
        stream = io.BytesIO()
        lines = RequestLog(Settings(log_format=form, log_level="info"), stream)
        lines.add("req-1", "POST", "/v1/members/{id}", 201, 0.0125, "AbCdEfGh")
        lines.add("req-2", "GET", "/v1/units", 403, 0.001, "", "forbidden")
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
                "code": "",
            }
            assert orjson.loads(second)["code"] == "forbidden"
        else:
            assert first.endswith("Z 201 POST /v1/members/{id} 12.5 ms AbCdEfGh req-1")
            assert second.endswith("Z 403 GET /v1/units 1.0 ms  req-2 forbidden")


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
