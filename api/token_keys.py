"""The public keys of the issuer of tokens: fetched, kept, and asked for anew when they change."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, hdrs
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from api.bodies import parse_json
from ledger.settings import is_fetched_safely
from ledger.units import Refused

if TYPE_CHECKING:
    from ledger.settings import Settings

log = logging.getLogger("timebank.tokens")

FRESH_SECONDS = 3_600.0
AGAIN_SECONDS = 60.0
"""The least time between two fetches, whoever wants a key that is not there."""

FETCH_SECONDS = 10.0
FETCH_BYTES_MAX = 256 * 1024
KEYS_MAX = 100
RSA_BITS_MIN = 2_048  # RFC 7518, section 3.3
RSA_BITS_MAX = 8_192
WELL_KNOWN = "/.well-known/openid-configuration"


class KeysUnavailable(Exception):
    """The issuer's keys could not be had; says why, in a few words."""


class TokenKeys:
    """The keys by their `kid`; those at hand stay until others have come."""

    def __init__(self, settings: "Settings", clock: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._one = asyncio.Lock()
        self._keys: Mapping[str, Key] | None = None
        self._tried_at = float("-inf")

    async def find(self, key_id: str) -> Key | None:
        """The key of this id, if the issuer has it; Refused where none of its keys is known.

        An id that is not known lets the keys be fetched anew, once a minute at the most.
        """
        if self._keys is None or key_id not in self._keys:
            await self._fetch_unless_just_tried()
        if self._keys is None:
            raise Refused("issuer_unreachable")
        return self._keys.get(key_id)

    async def keep_fresh(self) -> None:
        """Fetch them now, and every hour; where that fails, every minute."""
        while True:
            async with self._one:
                fetched = await self._fetch()
            await asyncio.sleep(FRESH_SECONDS if fetched else AGAIN_SECONDS)

    async def _fetch_unless_just_tried(self) -> None:
        async with self._one:  # whoever waits here finds what the first has fetched
            if self._clock() - self._tried_at >= AGAIN_SECONDS:
                await self._fetch()

    async def _fetch(self) -> bool:
        self._tried_at = self._clock()
        try:
            self._keys = await fetch_keys(self._settings)
        except KeysUnavailable as why:
            log.warning("the keys of %s are not to be had: %s", self._settings.oidc_issuer, why)
            return False
        return True


async def fetch_keys(settings: "Settings") -> Mapping[str, Key]:
    """The issuer's keys for the algorithm of the settings, by `kid`; KeysUnavailable."""
    if settings.oidc_jwks_file is not None:
        content = await asyncio.to_thread(_read, settings.oidc_jwks_file)
        return keys_in(content, settings.oidc_algorithm)
    async with ClientSession(
        timeout=ClientTimeout(total=FETCH_SECONDS),
        headers={hdrs.ACCEPT: "application/json", hdrs.ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
    ) as session:
        url = settings.oidc_jwks_url or await _published(session, settings.oidc_issuer or "")
        return keys_in(await _get(session, url), settings.oidc_algorithm)


def keys_in(content: bytes, algorithm: str) -> dict[str, Key]:
    """The keys of a JWK set (RFC 7517) that can verify the algorithm; KeysUnavailable if none.

    Others are passed over, private parts and secrets too; so are RSA keys under 2048 bits.
    """
    listed = _json(content).get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise KeysUnavailable("it is no set of keys")
    found: dict[str, Key] = {}
    for each in listed:
        key = _key(each, algorithm) if isinstance(each, dict) else None
        if key is not None:
            found.setdefault(each["kid"], key)
    if not found:
        raise KeysUnavailable(f"no key in it verifies {algorithm}")
    return found


def _key(said: Mapping[str, Any], algorithm: str) -> Key | None:
    key_id, uses = said.get("kid"), said.get("key_ops", ["verify"])
    if not isinstance(key_id, str) or not key_id or said.get("use", "sig") != "sig":
        return None
    if said.get("alg", algorithm) != algorithm or not isinstance(uses, list):
        return None
    if "verify" not in uses:
        return None
    kind, curve, names = _KINDS[algorithm]
    public = {name: said.get(name) for name in ("kty", *names)}
    if public["kty"] != kind or not all(isinstance(value, str) for value in public.values()):
        return None
    if curve is not None and public["crv"] != curve:
        return None
    given: Any = public
    try:
        match kind:
            case "RSA":
                bits = int.from_bytes(urlsafe_b64decode(given["n"].encode())).bit_length()
                return RSAKey.import_key(given) if RSA_BITS_MIN <= bits <= RSA_BITS_MAX else None
            case "EC":
                return ECKey.import_key(given)
            case _:
                return OKPKey.import_key(given)
    except (JoseError, ValueError):
        return None


_RSA = ("RSA", None, ("n", "e"))
_KINDS: Mapping[str, tuple[str, str | None, tuple[str, ...]]] = {
    "RS256": _RSA,
    "PS256": _RSA,
    "ES256": ("EC", "P-256", ("crv", "x", "y")),
    "ES384": ("EC", "P-384", ("crv", "x", "y")),
    "Ed25519": ("OKP", "Ed25519", ("crv", "x")),
    "EdDSA": ("OKP", "Ed25519", ("crv", "x")),
}
"""Of each algorithm the keys' type, their curve, and what a public one is made of."""


async def _published(session: ClientSession, issuer: str) -> str:
    """Where the issuer says that its keys are (OpenID Connect Discovery 1.0, section 4)."""
    said = _json(await _get(session, issuer.rstrip("/") + WELL_KNOWN))
    if said.get("issuer") != issuer:
        raise KeysUnavailable("what is published there is another issuer's")
    url = said.get("jwks_uri")
    if not isinstance(url, str) or not is_fetched_safely(url):
        raise KeysUnavailable("its jwks_uri is no https address")
    return url


async def _get(session: ClientSession, url: str) -> bytes:
    """What an address answers, within bounds; it may not lead to another."""
    content = b""
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise KeysUnavailable(f"{response.status} from {url}")
            async for piece in response.content.iter_any():
                content += piece
                if len(content) > FETCH_BYTES_MAX:
                    raise KeysUnavailable(f"too much from {url}")
    except (ClientError, TimeoutError, OSError) as away:
        raise KeysUnavailable(f"{type(away).__name__} at {url}") from None
    return content


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FETCH_BYTES_MAX + 1)
    except OSError as away:
        raise KeysUnavailable(f"{away.strerror}: {path}") from None
    if len(content) > FETCH_BYTES_MAX:
        raise KeysUnavailable(f"too much in {path}")
    return content


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        value = parse_json(content)
    except Refused:
        value = None
    if not isinstance(value, dict):
        raise KeysUnavailable("it is no JSON object")
    return value
