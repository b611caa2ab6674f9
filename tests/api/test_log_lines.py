"""One line is logged for each request."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterator

import orjson
import pytest
import structlog

from api.log_lines import RequestLog, configure
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


class Pieces(io.StringIO):
    """What is written, as it comes: between two pieces another thread may write."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, piece: str) -> int:
        self.pieces.append(piece)
        return len(piece)


@pytest.fixture
def loggers() -> Iterator[None]:
    """Whatever is configured, afterwards they are as before."""
    root, aiohttp = logging.getLogger(), logging.getLogger("aiohttp.server")
    before = root.handlers[:], root.level, aiohttp.level, structlog.get_config()
    root.handlers.clear()  # they are the test run's: to be kept, and not closed
    yield
    root.handlers[:], level, aiohttp_level, configuration = before
    root.setLevel(level)
    aiohttp.setLevel(aiohttp_level)
    structlog.configure(**configuration)


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("loggers")
def test_a_line_is_written_in_one_piece_whoever_writes_it(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads' lines ran into each other where the end of a line was written by itself."""
    stream = Pieces()
    monkeypatch.setattr(sys, "stderr", stream)
    configure(Settings(log_format=form, log_level="info"))
    structlog.stdlib.get_logger("timebank.http").warning("database_away", route="/v1/units")
    logging.getLogger("timebank.desk").warning("batch not written")
    assert len(stream.pieces) == 2
    assert all(piece.endswith("\n") and piece.count("\n") == 1 for piece in stream.pieces)
