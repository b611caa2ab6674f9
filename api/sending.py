"""One message to one receiver, after Standard Webhooks: signed, sent, and what came of it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLError
from time import perf_counter
from types import TracebackType
from typing import Literal, NamedTuple, Self

import aiohttp
import orjson
from aiohttp import hdrs
from standardwebhooks import Webhook as Signer

from api.contract import JSON, Fields
from api.receivers import CheckedResolver, NotAllowed, Receivers

TIMEOUT_SECONDS = 10.0
READ_BYTES_MAX = 4_096  # of an answer that is no more than looked away from
READ_SECONDS = 1.0
GONE = 410
SECRET_PREFIX = "whsec_"  # noqa: S105  (what stands before a secret)

Reason = Literal[
    "status",  # another than 2xx
    "redirect",
    "timeout",
    "no_connection",
    "no_such_name",
    "tls",
    "no_http",  # what came back was none, or broke off
    "not_a_url",
    "not_https",
    "address_not_public",
    "no_secret",
]


class Outcome(NamedTuple):
    """What came of a message."""

    status: int | None  # that was answered, if anything was
    reason: Reason | None  # why it failed; None: it did not
    milliseconds: int
    retry_after_seconds: float = 0.0  # that the receiver asks for

    @property
    def delivered(self) -> bool:
        """Did the receiver take it?"""
        return self.reason is None


class Message(NamedTuple):
    """What is sent; a repeat has the same id."""

    id: str
    body: bytes


def message(id: str, type: str, timestamp: str | None, data: Fields) -> Message:
    """A message as Standard Webhooks has its payload."""
    return Message(id, orjson.dumps({"type": type, "timestamp": timestamp, "data": data}))


def secret_text(secret: bytes) -> str:
    """A secret as receivers are told it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signed_headers(message: Message, at: datetime, secrets: Sequence[bytes]) -> dict[str, str]:
    """What shows that a message is ours: a signature by each secret, with a space between."""
    at = at.astimezone(UTC).replace(microsecond=0)
    body = message.body.decode()
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(message.id, at, body) for secret in secrets
        ),
    }


class Sender:
    """Sends to receivers that may be called; to be opened by `async with`.

    No proxy of the environment is asked, no redirect followed, no cookie kept, and of an answer
    nothing but status and Retry-After is looked at.
    """

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._sessions: dict[str, aiohttp.ClientSession] = {}  # by scheme

    async def __aenter__(self) -> Self:
        for scheme in ("http", "https"):
            resolver = CheckedResolver(self._receivers, plain=scheme == "http")
            self._sessions[scheme] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                headers={
                    hdrs.USER_AGENT: "timebank",
                    hdrs.CONTENT_TYPE: JSON,
                    hdrs.ACCEPT: "*/*",
                    hdrs.ACCEPT_ENCODING: "identity",
                },
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def send(
        self, url: str, message: Message, at: datetime, secrets: Sequence[bytes]
    ) -> Outcome:
        """Send it once, signed as of an instant; whatever goes wrong is told in the outcome."""
        if not secrets:
            return Outcome(None, "no_secret", 0)
        started = perf_counter()
        status: int | None = None
        retry_after = 0.0
        reason: Reason | None
        try:
            target = self._receivers.read(url)
            async with self._sessions[target.scheme].post(
                target,
                data=message.body,
                headers=signed_headers(message, at, secrets),
                allow_redirects=False,
            ) as response:
                status = response.status
                retry_after = _retry_after(response.headers.get(hdrs.RETRY_AFTER), at)
                await _look_away(response)
            reason = _reason_of_status(status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = _reason_of_error(error)
        milliseconds = round((perf_counter() - started) * 1_000)
        return Outcome(status, reason, milliseconds, retry_after)


def _reason_of_status(status: int) -> Reason | None:
    if 200 <= status < 300:
        return None
    return "redirect" if 300 <= status < 400 else "status"


def _reason_of_error(error: Exception) -> Reason:
    match error:
        case NotAllowed(code="not_a_url" | "not_https" | "address_not_public" as code):
            return code
        case aiohttp.ClientConnectorDNSError(os_error=NotAllowed() as no):
            return _reason_of_error(no)
        case aiohttp.ClientConnectorDNSError():
            return "no_such_name"
        case aiohttp.ClientSSLError() | SSLError():
            return "tls"
        case TimeoutError():
            return "timeout"
        case aiohttp.InvalidURL():
            return "not_a_url"
        case aiohttp.ClientConnectionError() | OSError():
            return "no_connection"
        case _:
            return "no_http"


async def _look_away(response: aiohttp.ClientResponse) -> None:
    """Let a short answer end, so that its connection serves the next message; cut off any other.

    The status has been said: what becomes of the rest changes nothing.
    """
    try:
        async with asyncio.timeout(READ_SECONDS):
            left = READ_BYTES_MAX
            while left > 0 and not response.content.at_eof():
                left -= len(await response.content.read(left))
    except (aiohttp.ClientError, TimeoutError, OSError):
        left = 0
    if left <= 0 or not response.content.at_eof():
        response.close()


def _retry_after(said: str | None, at: datetime) -> float:
    """Seconds (RFC 9110, section 10.2.3): a number, or up to a date; 0 where it is neither."""
    if said is None:
        return 0.0
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        until = parsedate_to_datetime(said)
        return max(0.0, (until - at).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0
