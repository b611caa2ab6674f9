"""What stands in the head of every answer, and of every page."""

import asyncio
import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from api.app import ROUTES
from tests.api.asked import ROWS, ask
from tests.api.house import House, Said
from tests.api.planted import Town

PUBLIC = {"openapi", "get_issuer", "get_status_list"}
"""What may be kept by who is told it: everybody is told the same."""

PAGES = {route.operation for route in ROUTES if "text/html" in route.also}
SOCKET_SECONDS = 15


def asked_as_admin() -> list[str]:
    streamed = {route.operation for route in ROUTES if "text/event-stream" in route.also}
    return [name for name, row in ROWS.items() if row.operation not in streamed]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", asked_as_admin())
async def test_every_answer_says_how_it_may_be_read_and_kept(town: Town, name: str) -> None:
    row = ROWS[name]
    dry = next(route.write for route in ROUTES if route.operation == row.operation)
    for caller in ("no key", "admin"):
        said = await ask(town.callers[caller], row, town.ids, dry_run=dry)
        assert said.headers["X-Content-Type-Options"] == "nosniff"
        assert said.headers["Server"] == "timebank"
        kept = said.headers["Cache-Control"]
        assert kept == "no-store" or (row.operation in PUBLIC and kept.startswith("public"))
        assert "Set-Cookie" not in said.headers
        if row.operation not in PUBLIC:
            assert "Access-Control-Allow-Origin" not in said.headers


class Page(HTMLParser):
    """What a page would load or run, and the style that stands in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[tuple[str, str | None]] = []
        self.style = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        said = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object", "embed", "base"):
            self.loads.append((tag, said.get("src") or said.get("href")))
        self.loads += [
            (name, value) for name, value in attrs if name.startswith("on") or name == "style"
        ]

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.style += data
            self._open = ""


def policy_of(said: Said) -> dict[str, str]:
    parts = [
        part.strip().partition(" ") for part in said.headers["Content-Security-Policy"].split(";")
    ]
    return {name: value for name, _, value in parts}


def is_a_page(said: Said) -> None:
    """It runs nothing, loads nothing, is framed by nobody, and tells nobody where it was."""
    policy, page = policy_of(said), Page(said.body.decode())
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert page.loads == []
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] in ("'none'", "'self'")
    assert not re.search(r"unsafe|\*|http|script-src", said.headers["Content-Security-Policy"])
    assert said.headers["Referrer-Policy"] == "no-referrer"
    assert said.headers["X-Frame-Options"] == "DENY"
    assert said.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert said.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert said.headers["Cache-Control"] == "no-store"


def test_every_route_that_answers_a_page_is_known() -> None:
    assert {"docs", "problem", "verify_page", "verify_form"} == PAGES


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("operation", sorted(PAGES))
async def test_a_page_runs_and_loads_nothing(town: Town, operation: str) -> None:
    said = await ask(town.house.stranger, ROWS[operation], town.ids)
    assert said.headers["Content-Type"] == "text/html; charset=utf-8"
    is_a_page(said)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_that_refuses_repeats_what_was_typed_as_text(town: Town) -> None:
    typed = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%3Cimg%20src=x%20onerror=y%3E"
    for path in (f"/verify?number={typed}&code={typed}", "/verify/ST-7K3M-9QX4-T2BC?code=%3Cb%3E"):
        said = await town.house.stranger.get(path)
        assert said.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"<script" not in said.body
        is_a_page(said)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80@x", "127.0.0.1.evil.example"])
async def test_no_answer_leads_to_the_host_that_the_caller_says(town: Town, host: str) -> None:
    headers = {"Host": host, "X-Forwarded-Host": host, "Forwarded": f"host={host}"}
    for name in ("get_statement", "issue_statement", "get_issuer", "verify_page", "list_members"):
        row = ROWS[name]
        dry = row.method != "GET"
        said = await ask(town.house.admin, row, town.ids, headers=headers, dry_run=dry)
        assert said.status in (200, 201), said.body
        assert "evil" not in said.body.decode() + repr(dict(said.headers))
    first = await town.house.admin.get("/v1/members?limit=1", headers=headers)
    assert first.headers["Link"].startswith("</v1/members?")


async def test_what_is_no_http_is_not_told_what_we_run_on(house: House) -> None:
    host, _, port = house.admin.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /\x00 HTTP/1.1\r\nA\x00: <script>\r\n\r\n")
    answered = await asyncio.wait_for(reader.read(), SOCKET_SECONDS)
    writer.close()
    head, _, _ = answered.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 400 ", head)
    assert b"Server: timebank" in head
    assert b"aiohttp" not in head
    assert b"text/html" not in head
