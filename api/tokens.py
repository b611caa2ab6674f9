"""Access tokens of an issuer: what one must be to be taken, after RFC 9068 and RFC 8725.

A token only ever tells an issuer and a subject. What these may is what stands in the table of keys
under both of them: no role, organisation or scope in a token is looked at.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from time import time
from typing import Any, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from api.bodies import parse_json
from ledger.keys import SUBJECT_MAX
from ledger.units import Refused

TOKEN_CHARACTERS_MAX = 8_000  # a header of HTTP is hardly longer
LEEWAY_SECONDS = 30  # by which the issuer's clock may be another
REMEMBERED_SECONDS = 60
REMEMBERED_MAX = 10_000
TYPES = frozenset({"at+jwt", "application/at+jwt"})

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_NEVER_MET = ("crit", "b64", "enc", "zip", "cty")
"""Parts of a token's header that ask for what is not done here: extensions, JWE, tokens within."""


class BadToken(Exception):
    """A token that is not taken; `why` is a word for the log, and nothing of the token."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Token(NamedTuple):
    """A token that is as it should be, but for its signature."""

    subject: str
    ends_at: float
    key_id: str
    signed: bytes
    signature: bytes


class TokenRules:
    """What a token has to say and how it is signed, as the settings have it."""

    def __init__(self, issuer: str, audience: str, algorithm: str) -> None:
        self.issuer = issuer
        self.audience = audience
        self.algorithm = algorithm

    def read(self, text: str, now: float) -> Token:
        """The token, its signature not yet looked at; BadToken."""
        if len(text) > TOKEN_CHARACTERS_MAX:
            raise BadToken("too_long")
        if _COMPACT.fullmatch(text) is None:
            raise BadToken("not_three_parts")
        head, payload, signature = text.encode().split(b".")
        key_id = self._read_head(_object(head, "header"))
        claims = _object(payload, "claims")
        subject, ends_at = self._read_claims(claims, now)
        return Token(subject, ends_at, key_id, head + b"." + payload, _bytes(signature))

    def verify(self, token: Token, key: Key) -> None:
        """Pass where the key has signed it; BadToken."""
        try:
            good = JWSRegistry.algorithms[self.algorithm].verify(token.signed, token.signature, key)
        except (JoseError, ValueError):
            good = False
        if not good:
            raise BadToken("signature")

    def _read_head(self, head: Mapping[str, Any]) -> str:
        if head.get("alg") != self.algorithm:
            raise BadToken("algorithm")
        kind = head.get("typ")
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise BadToken("type")
        if any(name in head for name in _NEVER_MET):
            raise BadToken("critical")
        key_id = head.get("kid")
        if not isinstance(key_id, str) or not key_id:
            raise BadToken("no_key_id")
        return key_id

    def _read_claims(self, claims: Mapping[str, Any], now: float) -> tuple[str, float]:
        if claims.get("iss") != self.issuer:
            raise BadToken("issuer")
        audience = claims.get("aud")
        if audience != self.audience and not (
            isinstance(audience, list) and self.audience in audience
        ):
            raise BadToken("audience")
        ends_at = _instant(claims, "exp")
        if ends_at is None:
            raise BadToken("no_exp")
        if now >= ends_at + LEEWAY_SECONDS:
            raise BadToken("expired")
        for name in ("nbf", "iat"):
            begins_at = _instant(claims, name)
            if begins_at is not None and begins_at > now + LEEWAY_SECONDS:
                raise BadToken("not_yet")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX:
            raise BadToken("no_subject")
        return subject, ends_at


class Verified:
    """The subjects of tokens that were verified within the last minute, by the tokens' hash."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self.now = clock
        self._subjects: dict[bytes, tuple[str, float]] = {}  # and until when

    def recall(self, text: str) -> str | None:
        """Whom this token names, where it was verified a moment ago and has not ended."""
        subject, until = self._subjects.get(_hash(text), ("", 0.0))
        return subject if self.now() < until else None

    def keep(self, text: str, token: Token) -> None:
        """Take it for verified for a minute, or until it ends."""
        now = self.now()
        if len(self._subjects) >= REMEMBERED_MAX:
            self._subjects = {each: kept for each, kept in self._subjects.items() if kept[1] > now}
        if len(self._subjects) >= REMEMBERED_MAX:
            self._subjects.clear()
        until = min(now + REMEMBERED_SECONDS, token.ends_at + LEEWAY_SECONDS)
        self._subjects[_hash(text)] = token.subject, until


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _bytes(part: bytes) -> bytes:
    try:
        return urlsafe_b64decode(part)
    except ValueError:
        raise BadToken("not_base64") from None


def _object(part: bytes, what: str) -> Mapping[str, Any]:
    """The JSON object in a part of a token; a name that is given twice is refused."""
    try:
        value = parse_json(_bytes(part))
    except Refused:
        raise BadToken(f"{what}_not_json") from None
    if not isinstance(value, dict):
        raise BadToken(f"{what}_not_json")
    return value


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    """Seconds since 1970 (RFC 7519, section 2); none where the claim is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken(f"{name}_not_a_number")
    return float(value)
