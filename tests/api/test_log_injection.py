"""What callers write into heads, paths and bodies makes no line of the log, and stands in none."""

import asyncio
import contextlib
import io
import logging
import re
from collections.abc import Iterator

import orjson
import pytest
import structlog

from api.log_lines import configure
from ledger.settings import Settings
from tests.api.house import House
from tests.api.visits import visit

EVIL = "evil-7c1"
ESCAPES = (
    *("\r\n", "\n", "\r", "%0d%0a", "%0A", "\x1b[31m", "%1b[2J", "\u2028", '"', '","level":"'),
    *("\x00", "%00", "{}", "%s%n", "${jndi:ldap://x}", "\\n", "\x85", "\x7f"),
)
CODE = "JEP9-8PM7-G8YZ-RA1H"
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z \d{3} (GET|POST|PATCH|DELETE|\*) [/\w{}.:*-]+ [\d.]+ ms \w* "
    r"[A-Za-z0-9._:/+=-]+( \w+)?"
)


@pytest.fixture(params=["json", "text"])
def log(
    request: pytest.FixtureRequest, house: House, monkeypatch: pytest.MonkeyPatch
) -> Iterator[io.BytesIO]:
    """All that a server logs at its most talkative, in one form, as it would be written."""
    form = request.param
    stream = io.BytesIO()
    text = io.TextIOWrapper(stream, "utf-8", write_through=True)
    monkeypatch.setattr("sys.stderr", text)
    before, levels = logging.root.handlers[:], logging.root.level
    configure(Settings(log_format=form, log_level="debug"))
    monkeypatch.setattr("api.guard.log", structlog.stdlib.get_logger("timebank.http"))
    lines = house.door.request_log
    for name, value in (("_on", True), ("_json", form == "json"), ("_stream", stream)):
        monkeypatch.setattr(lines, name, value)
    yield stream
    logging.basicConfig(level=levels, handlers=before, force=True)
    structlog.reset_defaults()


async def over_the_wire(house: House, head: bytes, body: bytes = b"") -> bytes:
    host, _, port = house.admin.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = f"Authorization: Bearer {house.poster.text}\r\nConnection: close\r\n".encode()
    media = b"Content-Type: application/json\r\n"
    writer.write(head + key + media + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answered = await asyncio.wait_for(reader.read(), 15)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answered


async def test_what_callers_write_makes_no_line_and_stands_in_none(
    house: House, log: io.BytesIO
) -> None:
    answered = 0
    for escape in ESCAPES:
        evil = f"a{escape}{EVIL} 200 GET /forged"
        raw = evil.encode()
        body = orjson.dumps(visit(member_id=evil, receipt=evil, activity=evil))
        for head in (
            b"GET /v1/units HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + raw + b"\r\n",
            b"GET /v1/units HTTP/1.1\r\nHost: x\r\nUser-Agent: " + raw + b"\r\n",
            b"GET /v1/units HTTP/1.1\r\nHost: " + raw + b"\r\n",
            b"GET /v1/units/" + raw.replace(b" ", b"%20") + b" HTTP/1.1\r\nHost: x\r\n",
            b"GET /" + raw.replace(b" ", b"%20") + b" HTTP/1.1\r\nHost: x\r\n",
            b"GET /v1/units?limit=" + raw.replace(b" ", b"+") + b" HTTP/1.1\r\nHost: x\r\n",
            b"POST /v1/service-records HTTP/1.1\r\nHost: x\r\nIdempotency-Key: " + raw + b"\r\n",
            raw.replace(b" ", b"") + b" /v1/units HTTP/1.1\r\nHost: x\r\n",
        ):
            said = await over_the_wire(house, head, body if head.startswith(b"POST") else b"")
            assert not said.startswith(b"HTTP/1.1 5"), head
            answered += said.startswith(b"HTTP/1.")
    house.door.request_log.flush()
    lines = log.getvalue().decode().split("\n")
    assert lines.pop() == ""
    assert answered > 100
    assert 50 < len(lines) <= answered
    for line in lines:
        assert EVIL not in line
        assert "forged" not in line
        assert line.isprintable(), line
        if line.startswith("{"):
            assert {"event", "level", "timestamp"} <= orjson.loads(line).keys()
        else:
            assert LINE.fullmatch(line), line


async def test_no_secret_of_a_request_is_logged(house: House, log: io.BytesIO) -> None:
    """Keys, codes and idempotency keys, in requests that go well, are refused, or meet a bug."""
    once = "once-planted-31"
    body = visit(member_id=house.member_id)
    assert (await house.poster.post("/v1/service-records", body, once=once)).status == 201
    assert (await house.with_key(f"{house.poster.text}x").get("/v1/units")).status == 401
    said = await house.stranger.get(f"/verify?number=ST-7K3M-9QX4-T2BC&code={CODE}")
    assert said.status == 404
    said = await house.stranger.get(f"/v1/statements/ST-7K3M-9QX4-T2BC/verification?code={CODE}")
    assert said.status == 404
    with pytest.MonkeyPatch.context() as patch:

        async def broken(*said: object) -> None:
            raise ValueError(f"{house.poster.text} {once} {CODE} {body}")

        patch.setattr(house.door, "ask", broken)
        said = await house.poster.post(
            "/v1/service-records", body | {"receipt": "other"}, once=f"{once}-2"
        )
        assert (said.status, said.code) == (500, "internal")
    house.door.request_log.flush()
    logged = log.getvalue().decode() + said.body.decode()
    assert "ValueError" in logged  # the bug is told, not what it says
    for secret in (str(house.poster.text)[-46:], once, CODE, house.member_id, "陪伴就医"):
        assert secret not in logged
