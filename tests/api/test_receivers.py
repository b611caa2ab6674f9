"""Private addresses are not called: in no spelling, by no name, and not by one that changes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.receivers import CheckedResolver, NotAllowed, Receivers
from api.sending import Message, Sender
from tests.api.house import House

MESSAGE = Message("m-1", b"{}")
NOW = datetime.now(UTC)
SECRET = b"s" * 32

NOT_PUBLIC = [
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/x?y=1",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://255.255.255.255/",
    "https://224.0.0.1/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:f5ff:fffe]/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://a.localhost/",
    "https://receiver/",
]
NO_URL = [
    "",
    "receiver.example.org",
    "//receiver.example.org/",
    "ftp://receiver.example.org/",
    "file:///etc/passwd",
    "https:///x",
    "https://",
    "https://?x",
    "https://user@receiver.example.org/",
    "https://user:secret@receiver.example.org/",
    "https://:secret@receiver.example.org/",
    "https://@receiver.example.org/",
    "https://receiver.example.org#@127.0.0.1/",
    "https://receiver.example.org\\@127.0.0.1/",
    "https://receiver.example.org:0/",
    "https://receiver.example.org:65536/",
    "https://receiver.example.org:x/",
    "https://receiver.example.org./",
    "https://localhost./",
    "https://receiver..example.org/",
    "https://-a.example.org/",
    "https://rec eiver.example.org/",
    "https://receiver.example.org/a b",
    "https://receiver.example.org/\r\nX: y",
    "https://receiver.example.org/\x00",
    "https://bücher.example.org/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://ⓛocalhost/",
    "https://%6c%6fcalhost/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.0x1/",
    "https://127.0.0.01/",
    "https://1.2.3.4.5/",
    "https://a.b.1/",
    "https://[::1%25lo]/",
    "https://[::1/",
    "https://[127.0.0.1]/",
    "https://[v1.x]/",
    "https://" + "a" * 64 + ".example.org/",
    "https://" + "a." * 130 + "org/",
    "https://receiver.example.org/" + "x" * 2_000,
]


async def nowhere(host: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


def code(text: str, allow: str = "") -> str | None:
    try:
        Receivers(allow, nowhere).read(text)
    except NotAllowed as no:
        return no.code
    return None


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_a_private_address_is_none_to_call_in_any_spelling(text: str) -> None:
    assert code(text) == "address_not_public"


@pytest.mark.parametrize("text", NO_URL)
def test_what_is_no_plain_url_is_refused(text: str) -> None:
    assert code(text) in ("not_a_url", "address_not_public")
    assert code(text, "127.0.0.0/8, ::1") == "not_a_url"


@pytest.mark.parametrize(
    "text",
    [
        "https://receiver.example.org",
        "https://receiver.example.org:8443/a/b?c=d&e=%20",
        "https://xn--bcher-kva.example.org/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:444/",
        "https://1and1.example/",
        "https://0xyz.example/",
        "https://_a.example.org/",
    ],
)
def test_a_public_url_is_taken(text: str) -> None:
    assert code(text) is None


def test_without_tls_only_what_is_allowed_is_called() -> None:
    assert code("http://8.8.8.8/") == "not_https"
    assert code("http://127.0.0.1:9000/", "127.0.0.1:9000") is None
    assert code("http://127.0.0.1:9001/", "127.0.0.1:9000") == "address_not_public"
    assert code("https://127.0.0.1:9000/", "127.0.0.1:9000") is None
    assert code("http://[::1]:9000/", "[::1]:9000") is None
    assert code("http://10.1.2.3/", "10.1.0.0/16") is None
    assert code("http://8.8.8.8/", "8.8.8.0/24") is None
    assert code("http://receiver/", "receiver:80") is None
    assert code("https://RECEIVER:80/", "receiver:80") is None


async def checked(text: str, *found: str, allow: str = "") -> str | None:
    async def look_up(host: str, port: int) -> list[str]:
        return list(found)

    try:
        await Receivers(allow, look_up if found else nowhere).check(text)
    except NotAllowed as no:
        return no.code
    return None


async def test_a_name_is_judged_by_all_its_addresses() -> None:
    url = "https://receiver.example.org/"
    assert await checked(url, "93.184.216.34", "2606:4700::1111") is None
    assert await checked(url, "93.184.216.34", "10.0.0.1") == "address_not_public"
    assert await checked(url, "::ffff:10.0.0.1") == "address_not_public"
    assert await checked(url, "fe80::1%2") == "address_not_public"
    assert await checked(url, "10.0.0.1", allow="10.0.0.0/8") is None
    assert await checked(url, "10.0.0.1", allow="receiver.example.org:443") is None
    assert await checked(url, "10.0.0.1", allow="receiver.example.org:80") == "address_not_public"


async def test_a_name_that_has_no_address_yet_is_taken_but_not_without_tls() -> None:
    assert await checked("https://receiver.example.org/") is None
    assert await checked("http://receiver.example.org/") == "not_https"
    assert await checked("http://receiver.example.org/", "93.184.216.34") == "not_https"
    assert await checked("http://receiver.example.org/", "10.0.0.1", allow="10.0.0.0/8") is None


async def test_the_resolver_gives_only_addresses_that_may_be_called() -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "2606:4700::1111"]

    resolver = CheckedResolver(Receivers("", look_up), plain=False)
    found = await resolver.resolve("receiver.example.org", 443)
    assert [(each["host"], each["family"]) for each in found] == [
        ("93.184.216.34", socket.AF_INET),
        ("2606:4700::1111", socket.AF_INET6),
    ]
    with pytest.raises(NotAllowed, match="not_https"):
        await CheckedResolver(Receivers("", look_up), plain=True).resolve("a.example.org", 80)


@asynccontextmanager
async def a_server() -> AsyncIterator[tuple[int, list[str]]]:
    """A port on this machine, and the hosts by which it was called."""
    called: list[str] = []

    async def take(request: web.Request) -> web.Response:
        called.append(request.host)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{rest:.*}", take)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port, called


async def test_a_name_that_turns_private_after_it_was_judged_is_not_reached() -> None:
    """DNS rebinding: public when the webhook is added, this very machine when it is called."""
    answers = [["93.184.216.34"], ["127.0.0.1"], ["93.184.216.34", "127.0.0.1"]]

    async def look_up(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with a_server() as (port, called):
        receivers = Receivers("", look_up)
        url = f"https://rebinding.example.org:{port}/"
        await receivers.check(url)
        async with Sender(receivers) as sender:
            for _ in range(2):
                outcome = await sender.send(url, MESSAGE, NOW, [SECRET])
                assert (outcome.status, outcome.reason) == (None, "address_not_public")
        assert (called, answers) == ([], [])


async def test_a_connection_goes_to_the_address_that_was_judged() -> None:
    """The name has no address but ours; nobody else is asked for one."""

    async def look_up(host: str, port: int) -> list[str]:
        assert host == "receiver.intern"
        return ["127.0.0.1"]

    async with a_server() as (port, called):
        receivers = Receivers(f"receiver.intern:{port}", look_up)
        async with Sender(receivers) as sender:
            url = f"http://receiver.intern:{port}/"
            assert (await sender.send(url, MESSAGE, NOW, [SECRET])).delivered
        assert called == [f"receiver.intern:{port}"]


async def test_a_redirect_leads_nowhere() -> None:
    async with a_server() as (port, called):
        app = web.Application()

        async def redirect(request: web.Request) -> web.Response:
            status = int(request.path.strip("/"))
            return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{port}/"})

        app.router.add_post("/{status}", redirect)
        async with TestServer(app) as first:
            # both may be called, so that nothing but the rule about redirects keeps them apart
            allow = f"127.0.0.1:{port}, 127.0.0.1:{first.port}"
            async with Sender(Receivers(allow)) as sender:
                for status in (301, 302, 303, 307, 308):
                    url = f"http://127.0.0.1:{first.port}/{status}"
                    outcome = await sender.send(url, MESSAGE, NOW, [SECRET])
                    assert (outcome.status, outcome.reason) == (status, "redirect")
        assert called == []


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server() as (port, called), a_server() as (proxy, asked):
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        async with Sender(Receivers(f"127.0.0.1:{port}")) as sender:
            url = f"http://127.0.0.1:{port}/"
            assert (await sender.send(url, MESSAGE, NOW, [SECRET])).delivered
        assert (len(called), asked) == (1, [])


async def test_what_is_stored_is_judged_at_every_delivery_too() -> None:
    """As where the setting that allowed it was taken back."""
    async with a_server() as (port, called), Sender(Receivers("")) as sender:
        for url in (f"https://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/", "https://[::1]/"):
            outcome = await sender.send(url, MESSAGE, NOW, [SECRET])
            assert outcome.reason == "address_not_public"
        assert (await sender.send("https://0x7f.1/", MESSAGE, NOW, [SECRET])).reason == "not_a_url"
        assert called == []


@pytest.mark.parametrize(
    ("url", "error"),
    [(url, "address_not_public") for url in NOT_PUBLIC]
    + [
        ("http://8.8.8.8/", "not_https"),
        ("https://127.1/", "not_a_url"),
        ("https://localhost./", "not_a_url"),
    ],
)
async def test_a_webhook_to_such_a_receiver_is_not_added(
    house: House, url: str, error: str
) -> None:
    for query in ("", "?dry_run=true"):
        refused = await house.verifier.post(f"/v1/webhooks{query}", {"url": url})
        assert (refused.status, refused.pointers) == (422, {"/url": error})
    assert (await house.verifier.get("/v1/webhooks")).json["data"] == []


async def test_a_name_of_the_private_network_is_not_added(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    async def look_up(host: str, port: int) -> list[str]:
        await asyncio.sleep(0)
        return found

    monkeypatch.setattr(house.door.receivers, "_look_up", look_up)
    body = {"url": "https://receiver.example.org/"}
    found[:] = ["10.0.0.1"]
    refused = await house.verifier.post("/v1/webhooks", body)
    assert (refused.status, refused.pointers) == (422, {"/url": "address_not_public"})
    found[:] = ["93.184.216.34"]
    assert (await house.verifier.post("/v1/webhooks", body)).status == 201
