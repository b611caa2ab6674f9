"""Receivers of webhooks: which addresses may be called, asked anew for every connection.

A name is looked up by us, each address that it has is judged, and the connection goes to one of
those very addresses. So a name that is public when the webhook is added, and private when it is
called, is not reached (DNS rebinding); nor is anything behind a redirect, which nobody follows.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ledger.addresses import Address, Allowed, is_public

LOOK_UP_SECONDS = 5.0
URL_MAX = 2_000
URL_PATTERN = r"^https?://[!$&-;=?-Z\[\]_a-z~%]+$"  # RFC 3986 without a fragment

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"([0-9]+|0x[0-9a-f]*)", re.ASCII)

LookUp = Callable[[str, int], Awaitable[list[str]]]
"""What a name's addresses are, for a port; OSError where it has none."""


class NotAllowed(OSError):
    """A receiver that is not called: `not_a_url`, `not_https` or `address_not_public`.

    An OSError, so that what asks on its way to a connection takes it for one that failed.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Receivers:
    """Judges by what is public, and by what the settings allow beside it."""

    def __init__(self, allow: str, look_up: LookUp | None = None) -> None:
        self._allowed = Allowed.parse(allow)
        self._look_up = look_up or _look_up

    def read(self, text: str) -> URL:
        """The address in a text, as far as the text alone tells; else NotAllowed.

        What a client library would take for a number of an IPv4 address (`0x7f.1`, `2130706433`)
        is none in any spelling but the plain one.
        """
        if len(text) > URL_MAX or re.fullmatch(URL_PATTERN, text, re.ASCII) is None:
            raise NotAllowed("not_a_url")
        try:
            url = URL(text)
            host, port = (url.raw_host or "").lower(), url.port
        except ValueError:
            raise NotAllowed("not_a_url") from None
        authority = text.split("/", 3)[2].partition("?")[0]
        if not host or not port or "@" in authority or ("[" in authority) != (":" in host):
            raise NotAllowed("not_a_url")
        address = _literal(host)
        if address is None and _NAME.fullmatch(host) is None:
            raise NotAllowed("not_a_url")
        if self._allowed.has_host(host, port):
            return url
        if address is not None:
            self._judge([address], plain=url.scheme == "http")
        elif "." not in host or host.endswith(".localhost"):
            raise NotAllowed("address_not_public")
        return url

    async def check(self, text: str) -> None:
        """The same, and as far as the name's addresses tell now; else NotAllowed.

        A name without an address may come to have one, but not in plain HTTP.
        """
        url = self.read(text)
        assert url.raw_host is not None  # noqa: S101  (read has seen to it)
        assert url.port is not None  # noqa: S101
        plain = url.scheme == "http"
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                await self.addresses(url.raw_host, url.port, plain=plain)
        except NotAllowed:
            raise
        except OSError:
            if plain:
                raise NotAllowed("not_https") from None

    async def addresses(self, host: str, port: int, *, plain: bool) -> list[Address]:
        """Where a host may be called; NotAllowed where one of its addresses may not.

        `plain`: without TLS, and so only where the settings allow it.
        """
        literal = _literal(host)
        found = [literal] if literal else [ip_address(a) for a in await self._look_up(host, port)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not self._allowed.has_host(host, port):
            self._judge(found, plain=plain)
        return found

    def _judge(self, found: list[Address], *, plain: bool) -> None:
        for address in found:
            if self._allowed.has_address(address):
                continue
            if not is_public(address):
                raise NotAllowed("address_not_public")
            if plain:
                raise NotAllowed("not_https")


class CheckedResolver(AbstractResolver):
    """What aiohttp asks for a name's addresses; it connects to these and to no others."""

    def __init__(self, receivers: Receivers, *, plain: bool) -> None:
        self._receivers = receivers
        self._plain = plain

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name that may be called; NotAllowed, or another OSError."""
        found = await self._receivers.addresses(host, port, plain=self._plain)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _look_up(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _literal(host: str) -> Address | None:
    """The address that a host is by itself, in its plain spelling; NotAllowed in another."""
    if ":" not in host:
        last = host.rpartition(".")[2]
        if _NUMBER.fullmatch(last) is None:
            return None
    try:
        address = ip_address(host)
    except ValueError:
        raise NotAllowed("not_a_url") from None
    if "%" in host:  # a zone of this machine
        raise NotAllowed("not_a_url")
    return address
