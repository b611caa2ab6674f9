"""An issuer of tokens on the loopback: its keys, what it publishes, and the tokens it signs."""

import base64
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

AUDIENCE = "https://timebank.example"

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def private(kind: str, number: int = 0) -> Private:
    """A key of its kind, made once: making RSA keys takes long."""
    match kind:
        case "RS256" | "PS256":
            return rsa.generate_private_key(65_537, 2_048)
        case "short":
            return rsa.generate_private_key(65_537, 1_024)  # noqa: S505  (it is to be refused)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Private, key_id: str, **more: Any) -> dict[str, Any]:
    """The public part, as RFC 7517 and 7518 write it."""
    said: dict[str, Any] = {"kid": key_id, "use": "sig"}
    match key:
        case rsa.RSAPrivateKey():
            numbers = key.public_key().public_numbers()
            said |= {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePrivateKey():
            size = (key.curve.key_size + 7) // 8
            point = key.public_key().public_numbers()
            said |= {
                "kty": "EC",
                "crv": "P-256" if size == 32 else "P-384",
                "x": base64url(point.x.to_bytes(size)),
                "y": base64url(point.y.to_bytes(size)),
            }
        case _:
            x = base64url(key.public_key().public_bytes_raw())
            said |= {"kty": "OKP", "crv": "Ed25519", "x": x}
    return said | more


def _number(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8))


def sign(key: Private, algorithm: str, message: bytes) -> bytes:
    """The signature, as RFC 7518 writes it."""
    match key:
        case rsa.RSAPrivateKey() if algorithm == "PS256":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return key.sign(message, pss, hashes.SHA256())
        case rsa.RSAPrivateKey():
            return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            size = (key.curve.key_size + 7) // 8
            by = hashes.SHA256() if size == 32 else hashes.SHA384()
            r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(by)))
            return r.to_bytes(size) + s.to_bytes(size)
        case _:
            return key.sign(message)


def token(
    key: Private,
    head: Mapping[str, Any] | bytes,
    claims: Mapping[str, Any] | bytes,
    algorithm: str = "RS256",
) -> str:
    """A signed token in its compact form; bytes are taken as they are."""
    parts = [
        base64url(part if isinstance(part, bytes) else orjson.dumps(part))
        for part in (head, claims)
    ]
    message = ".".join(parts)
    return f"{message}.{base64url(sign(key, algorithm, message.encode()))}"


class Issuer:
    """What it publishes and how often it was asked; its answers can be changed by a test."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self.algorithm = algorithm
        self.key = private(algorithm)
        self.keys: list[dict[str, Any]] = [jwk(self.key, "k-1")]
        self.published: dict[str, Any] = {}
        self.asked: list[str] = []
        self.status = 200
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.url = ""

    async def configuration(self, request: web.Request) -> web.Response:
        self.asked.append("configuration")
        said = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.published}
        return web.json_response(said)

    async def jwks(self, request: web.Request) -> web.Response:
        self.asked.append("jwks")
        body = orjson.dumps({"keys": self.keys}) if self.body is None else self.body
        return web.Response(
            status=self.status,
            body=body,
            headers={"Content-Type": "application/json", **self.headers},
        )

    def claims(self, **other: Any) -> dict[str, Any]:
        """Those of a good token; None leaves one out."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "sub-1", "exp": now + 600, "iat": now}
        said |= {"client_id": "desk", "jti": "j-1"}
        return {name: value for name, value in (said | other).items() if value is not None}

    def head(self, **other: Any) -> dict[str, Any]:
        """That of a good token; None leaves a part out."""
        said = {"alg": self.algorithm, "typ": "at+jwt", "kid": "k-1"} | other
        return {name: value for name, value in said.items() if value is not None}

    def token(self, head: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A good token, but for what is said."""
        return token(self.key, self.head(**(head or {})), self.claims(**claims), self.algorithm)


@asynccontextmanager
async def issuing(algorithm: str = "RS256") -> AsyncIterator[Issuer]:
    """An issuer that can be asked, until the block ends."""
    issuer = Issuer(algorithm)
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.configuration)
    app.router.add_get("/jwks", issuer.jwks)
    async with TestServer(app) as server:
        issuer.url = f"http://{server.host}:{server.port}"
        yield issuer
