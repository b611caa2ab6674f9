"""An answer on the wire: what HTTP/1.1 and HTTP/1.0 clients get, and when a connection ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.replies import Reply

Wire = Callable[[str], Awaitable[tuple[str, dict[str, str], bytes]]]
BODY = "时间".encode()


async def reply(request: web.Request) -> web.Response:
    match request.path:
        case "/nothing":
            return Reply(204, {"Allow": "GET"})
        case "/split":
            return Reply(200, {"Link": "a\r\nSet-Cookie: stolen"}, BODY)
        case _:
            return Reply(201, {"Content-Type": "text/plain", "X-Path": request.path}, BODY)


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", reply)
    async with TestServer(app) as server:
        yield server


@pytest.fixture
def ask(server: TestServer) -> Wire:
    """Send a head, read until the server closes; status line, headers, body."""

    async def ask(head: str) -> tuple[str, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        said = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        status, *lines = said.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        return status, dict(line.split(": ", 1) for line in lines), said.partition(b"\r\n\r\n")[2]

    return ask


async def test_an_answer_has_its_length_its_date_and_its_headers(ask: Wire) -> None:
    status, headers, body = await ask("GET /here HTTP/1.1\nHost: x\nConnection: close")
    assert status == "HTTP/1.1 201 Created"
    assert headers.pop("Date").endswith(" GMT")
    assert headers == {
        "Content-Type": "text/plain",
        "X-Path": "/here",
        "Content-Length": "6",
        "Connection": "close",
    }
    assert body == BODY


async def test_a_connection_of_http_1_0_ends_unless_it_asks_to_be_kept(ask: Wire) -> None:
    status, headers, body = await ask("GET / HTTP/1.0")
    assert (status, body) == ("HTTP/1.0 201 Created", BODY)
    assert "Connection" not in headers


async def test_head_tells_the_length_of_what_it_leaves_out(ask: Wire) -> None:
    _, headers, body = await ask("HEAD / HTTP/1.1\nHost: x\nConnection: close")
    assert (headers["Content-Length"], body) == ("6", b"")


async def test_what_has_no_content_has_no_length(ask: Wire) -> None:
    status, headers, body = await ask("GET /nothing HTTP/1.1\nHost: x\nConnection: close")
    assert (status, body) == ("HTTP/1.1 204 No Content", b"")
    assert "Content-Length" not in headers


async def test_a_connection_is_kept_and_answers_in_order(ask: Wire) -> None:
    twice = "GET /1 HTTP/1.1\nHost: x\n\nGET /2 HTTP/1.1\nHost: x\nConnection: close"
    _, headers, rest = await ask(twice)
    assert (headers["X-Path"], "Connection" in headers) == ("/1", False)
    assert rest.startswith(BODY + b"HTTP/1.1 201 Created\r\n")
    assert b"X-Path: /2\r\n" in rest


async def test_a_header_cannot_hold_another(ask: Wire) -> None:
    status, headers, body = await ask("GET /split HTTP/1.1\nHost: x\nConnection: close")
    assert (status, headers, body) == ("", {}, b"")  # it is our bug: the connection ends
