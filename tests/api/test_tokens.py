"""OIDC: an issuer's access tokens are a second way in, for subjects that were registered."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from api import tokens as tokens_module
from api.limits import Strangers
from api.token_keys import KeysUnavailable, TokenKeys, fetch_keys, keys_in
from api.tokens import TOKEN_CHARACTERS_MAX, BadToken, Token, TokenRules, Verified
from ledger import journal
from ledger.keys import Key, find_key, find_subject, register_subject
from ledger.settings import Settings
from ledger.units import Refused
from tests.api.house import House, made, opened
from tests.api.issuer import AUDIENCE, Issuer, base64url, issuing, jwk, private, sign, token

UNIT = {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"}


@asynccontextmanager
async def trusting(issuer: Issuer, url: str, folder: Path, **other: Any) -> AsyncIterator[House]:
    """A house that takes the issuer's tokens."""
    settings = Settings(
        database_url=url,
        keys_file=folder / "timebank-keys.json",
        log_level="warning",
        oidc_issuer=issuer.url,
        oidc_audience=AUDIENCE,
        oidc_algorithm=issuer.algorithm,
        **other,
    )
    made(settings)
    async with opened(settings) as house:
        yield house


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


@pytest.fixture
async def trusted(issuer: Issuer, sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house that takes the issuer's tokens; `sub-1` is a verifier of org-a."""
    async with trusting(issuer, sqlite_url, tmp_path) as house:
        registered(house, issuer)
        yield house


def registered(house: House, issuer: Issuer, subject: str = "sub-1", **other: Any) -> Key:
    said = {"role": "verifier", "actor": "Zhao", "organisation": "org-a"} | other
    with house.ledger.store.writing() as connection:
        return register_subject(
            connection, issuer=issuer.url, subject=subject, at=datetime.now(UTC), **said
        )


async def status(house: House, shown: str) -> int:
    return (await house.with_key(shown).get("/v1/units")).status


def reasons(logged: list[Any]) -> list[str]:
    return [line["why"] for line in logged if line["event"] == "token_refused"]


# --- who comes in --------------------------------------------------------------------------------


async def test_a_token_speaks_for_the_subject_that_was_registered(
    trusted: House, issuer: Issuer
) -> None:
    caller = trusted.with_key(issuer.token())
    assert (await caller.get("/v1/units")).status == 200
    assert (await caller.post("/v1/units", UNIT)).status == 403
    visit = {
        "receipt": "R-1",
        "member_id": trusted.member_id,
        "activity": "a",
        "category": "c",
        "place": "lake",
        "responsible": "s",
        "started_at": "2026-10-01T14:00:00Z",
        "ended_at": "2026-10-01T15:00:00Z",
    }
    said = await caller.post("/v1/service-records", visit, once="k")
    assert (said.status, said.json["organisation"]) == (201, "org-a")
    with trusted.ledger.store.reading() as connection:
        (entry,) = journal.entries_after(connection, trusted.position - 1)
        key = find_key(connection, entry.event.actor)
    assert key is not None
    assert (key.subject, key.role) == ("sub-1", "verifier")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "Ed25519", "EdDSA"])
async def test_each_algorithm_that_may_be_set_is_verified(
    algorithm: str, sqlite_url: str, tmp_path: Path
) -> None:
    async with issuing(algorithm) as issuer, trusting(issuer, sqlite_url, tmp_path) as house:
        registered(house, issuer)
        assert await status(house, issuer.token()) == 200
        other = private(algorithm, 1)
        assert other is not issuer.key
        forged = token(other, issuer.head(), issuer.claims(), algorithm)
        assert await status(house, forged) == 401


async def test_a_token_works_on_both_backends(
    issuer: Issuer, database_url: str, tmp_path: Path
) -> None:
    async with trusting(issuer, database_url, tmp_path) as house:
        key = registered(house, issuer)
        assert await status(house, issuer.token()) == 200
        house.revoke(key)
        house.ledger.keyring._clock = lambda: float("inf")
        assert await status(house, issuer.token()) == 401
        registered(house, issuer, role="auditor", organisation=None)
        assert await status(house, issuer.token()) == 200


async def test_nothing_in_a_token_says_what_it_may(trusted: House, issuer: Issuer) -> None:
    claims = {
        "role": "admin",
        "roles": ["admin"],
        "realm_access": {"roles": ["admin"]},
        "scope": "admin",
        "organisation": "org-b",
        "groups": ["admin"],
    }
    caller = trusted.with_key(issuer.token(**claims))
    assert (await caller.get("/v1/units")).status == 200
    assert (await caller.post("/v1/units", UNIT)).status == 403
    assert await status(trusted, issuer.token(sub="nobody", **claims)) == 401


async def test_kept_answers_belong_to_the_organisation_as_with_a_key(
    trusted: House, issuer: Issuer
) -> None:
    reward = {"code": "rice", "name": "大米", "kind": "benefit", "credits": 60, "stock": 5}
    first = await trusted.with_key(issuer.token()).post("/v1/rewards", reward, once="k-1")
    again = await trusted.verifier.post("/v1/rewards", reward, once="k-1")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_token_is_verified_once_a_minute_and_its_subject_looked_up_as_a_key_is(
    trusted: House, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[Token] = []
    verify = TokenRules.verify

    def heard(self: TokenRules, token: Token, key: Any) -> None:
        verified.append(token)
        verify(self, token, key)

    looked_up: list[str] = []
    keyring = trusted.ledger.keyring
    find_subject = keyring.find_subject

    def looked(issuer: str, subject: str) -> Key | None:
        looked_up.append(subject)
        return find_subject(issuer, subject)

    monkeypatch.setattr(TokenRules, "verify", heard)
    monkeypatch.setattr(keyring, "find_subject", looked)
    monkeypatch.setattr(keyring, "_clock", lambda: 1_000.0)
    shown, other = issuer.token(), issuer.token(jti="j-2")
    for _ in range(3):
        assert await status(trusted, shown) == 200
    assert await status(trusted, other) == 200
    assert (len(verified), looked_up) == (2, ["sub-1", "sub-1"])
    monkeypatch.setattr(keyring, "_clock", lambda: 1_000.05)
    assert await status(trusted, shown) == 200
    assert (len(verified), len(looked_up)) == (2, 3)
    tokens = trusted.door.callers._tokens
    assert tokens is not None
    began = time.time()
    monkeypatch.setattr(tokens._verified, "now", lambda: began + 61)
    assert await status(trusted, shown) == 200
    assert len(verified) == 3


async def test_a_revoked_subject_is_heard_of_though_its_token_is_remembered(
    trusted: House, issuer: Issuer
) -> None:
    clerk = registered(trusted, issuer, "clerk")
    shown = issuer.token(sub="clerk")
    assert await status(trusted, shown) == 200
    trusted.revoke(clerk)
    trusted.ledger.keyring._clock = lambda: float("inf")  # 50 ms later
    with structlog.testing.capture_logs() as logged:
        assert await status(trusted, shown) == 401
    assert reasons(logged) == ["unknown_subject"]


async def test_an_expired_subject_opens_nothing(trusted: House, issuer: Issuer) -> None:
    old = date.today() - timedelta(days=2)  # noqa: DTZ011  (two days: in every zone)
    registered(trusted, issuer, "old", expires_on=old)
    assert await status(trusted, issuer.token(sub="old")) == 401


async def test_a_subject_of_another_issuer_is_somebody_else(trusted: House, issuer: Issuer) -> None:
    with trusted.ledger.store.writing() as connection:
        register_subject(
            connection,
            issuer=f"{issuer.url}/",
            subject="sub-2",
            role="admin",
            actor="A",
            at=datetime.now(UTC),
        )
    assert await status(trusted, issuer.token(sub="sub-2")) == 401


async def test_last_use_is_noted_of_a_subject_too(trusted: House, issuer: Issuer) -> None:
    assert await status(trusted, issuer.token()) == 200
    with trusted.ledger.store.reading() as connection:
        key = find_subject(connection, issuer.url, "sub-1")
    assert key is not None
    trusted.door.keep_uses()
    with trusted.ledger.store.reading() as connection:
        found = find_key(connection, key.id)
    assert found is not None
    assert found.last_used_at is not None


async def test_limits_hold_for_a_subject_whatever_token_it_shows(
    issuer: Issuer, sqlite_url: str, tmp_path: Path
) -> None:
    async with trusting(issuer, sqlite_url, tmp_path, key_requests_per_minute=2) as house:
        registered(house, issuer)
        answers = [await status(house, issuer.token(jti=f"j-{n}")) for n in range(3)]
        assert answers == [200, 200, 429]


# --- who does not --------------------------------------------------------------------------------


def hs256_by_the_public_key(issuer: Issuer) -> str:
    """The oldest trick: the public key, which all know, taken as a secret."""
    pem = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parts = [base64url(orjson.dumps(part)) for part in (issuer.head(alg="HS256"), issuer.claims())]
    message = ".".join(parts).encode()
    return f"{message.decode()}.{base64url(hmac.digest(pem, message, 'sha256'))}"


def unsigned(issuer: Issuer, algorithm: str, signature: str = "") -> str:
    parts = [issuer.head(alg=algorithm), issuer.claims()]
    return ".".join([*(base64url(orjson.dumps(part)) for part in parts), signature])


def raw(issuer: Issuer, head: bytes | None = None, claims: bytes | None = None) -> str:
    return token(issuer.key, head or orjson.dumps(issuer.head()), claims or b"{}")


def doubled(part: dict[str, Any], name: str, value: object) -> bytes:
    """The JSON object, with one of its names given again at its end."""
    return orjson.dumps(part)[:-1] + b"," + orjson.dumps({name: value})[1:]


def flipped(shown: str, place: int) -> str:
    parts = [bytearray(base64.urlsafe_b64decode(part + "==")) for part in shown.split(".")]
    parts[place][-1] ^= 1
    return ".".join(base64url(bytes(part)) for part in parts)


def within(issuer: Issuer) -> str:
    """A token within a token."""
    return token(issuer.key, issuer.head(cty="JWT"), issuer.token().encode())


REFUSED: dict[str, tuple[str, Callable[[Issuer], str]]] = {
    "alg none": ("algorithm", lambda i: unsigned(i, "none", "AA")),
    "alg None": ("algorithm", lambda i: unsigned(i, "None", "AA")),
    "no signature": ("not_three_parts", lambda i: unsigned(i, "none")),
    "signature of nothing": ("signature", lambda i: unsigned(i, "RS256", "AA")),
    "alg HS256": ("algorithm", hs256_by_the_public_key),
    "another alg": ("algorithm", lambda i: i.token({"alg": "PS256"})),
    "alg in another case": ("algorithm", lambda i: i.token({"alg": "rs256"})),
    "no alg": ("algorithm", lambda i: i.token({"alg": None})),
    "alg a list": ("algorithm", lambda i: i.token({"alg": ["RS256"]})),
    "typ JWT": ("type", lambda i: i.token({"typ": "JWT"})),
    "typ of an ID token": ("type", lambda i: i.token({"typ": "id_token+jwt"})),
    "no typ": ("type", lambda i: i.token({"typ": None})),
    "typ a number": ("type", lambda i: i.token({"typ": 1})),
    "crit": ("critical", lambda i: i.token({"crit": ["exp"]})),
    "crit that is empty": ("critical", lambda i: i.token({"crit": []})),
    "b64": ("critical", lambda i: i.token({"b64": True})),
    "a token within": ("critical", within),
    "no kid": ("no_key_id", lambda i: i.token({"kid": None})),
    "kid that is empty": ("no_key_id", lambda i: i.token({"kid": ""})),
    "kid a number": ("no_key_id", lambda i: i.token({"kid": 1})),
    "unknown kid": ("unknown_key", lambda i: i.token({"kid": "k-2"})),
    "kid as a path": ("unknown_key", lambda i: i.token({"kid": "../../dev/null"})),
    "own key in the header": (
        "unknown_key",
        lambda i: token(
            private("RS256", 7), i.head(kid="x", jwk=jwk(private("RS256", 7), "x")), i.claims()
        ),
    ),
    "another's key": ("signature", lambda i: token(private("RS256", 7), i.head(), i.claims())),
    "another issuer": ("issuer", lambda i: i.token(iss="https://other.example")),
    "issuer with a slash": ("issuer", lambda i: i.token(iss=i.url + "/")),
    "issuer as a list": ("issuer", lambda i: i.token(iss=[i.url])),
    "no issuer": ("issuer", lambda i: i.token(iss=None)),
    "another audience": ("audience", lambda i: i.token(aud="https://other.example")),
    "audience as a part": ("audience", lambda i: i.token(aud=AUDIENCE + "/v1")),
    "a list of others": ("audience", lambda i: i.token(aud=["a", "b"])),
    "audience as an object": ("audience", lambda i: i.token(aud={AUDIENCE: 1})),
    "empty audience": ("audience", lambda i: i.token(aud=[])),
    "no audience": ("audience", lambda i: i.token(aud=None)),
    "expired": ("expired", lambda i: i.token(exp=int(time.time()) - 31)),
    "no exp": ("no_exp", lambda i: i.token(exp=None)),
    "exp as a text": ("exp_not_a_number", lambda i: i.token(exp="9999999999")),
    "exp true": ("exp_not_a_number", lambda i: i.token(exp=True)),
    "exp null": (
        "exp_not_a_number",
        lambda i: raw(i, claims=orjson.dumps(i.claims() | {"exp": None})),
    ),
    "nbf to come": ("not_yet", lambda i: i.token(nbf=int(time.time()) + 60)),
    "iat to come": ("not_yet", lambda i: i.token(iat=int(time.time()) + 60)),
    "nbf as a text": ("nbf_not_a_number", lambda i: i.token(nbf="0")),
    "no sub": ("no_subject", lambda i: i.token(sub=None)),
    "empty sub": ("no_subject", lambda i: i.token(sub="")),
    "sub a number": ("no_subject", lambda i: i.token(sub=1)),
    "long sub": ("no_subject", lambda i: i.token(sub="s" * 256)),
    "unknown sub": ("unknown_subject", lambda i: i.token(sub="sub-9")),
    "sub in another case": ("unknown_subject", lambda i: i.token(sub="SUB-1")),
    "too long": ("too_long", lambda i: i.token(pad="p" * 5_580)),
    "an altered header": ("header_not_json", lambda i: flipped(i.token(), 0)),
    "an altered signature": ("signature", lambda i: flipped(i.token(), 2)),
    "altered claims": (
        "signature",
        lambda i: ".".join(
            [
                i.token().split(".")[0],
                base64url(orjson.dumps(i.claims(sub="sub-1", jti="x"))),
                i.token().split(".")[2],
            ]
        ),
    ),
    "iss twice": ("claims_not_json", lambda i: raw(i, None, doubled(i.claims(), "iss", "x"))),
    "sub twice": ("claims_not_json", lambda i: raw(i, None, doubled(i.claims(), "sub", "sub-1"))),
    "alg twice": ("header_not_json", lambda i: raw(i, doubled(i.head(), "alg", "none"))),
    "claims that are a list": ("claims_not_json", lambda i: raw(i, None, b"[]")),
    "claims that are no JSON": ("claims_not_json", lambda i: raw(i, None, b"{")),
    "a header that is a text": ("header_not_json", lambda i: raw(i, b'"RS256"')),
    "JWE": ("not_three_parts", lambda i: f"{i.token()}.AAAA.AAAA"),
    "two parts": ("not_three_parts", lambda i: i.token().rpartition(".")[0]),
    "padding": ("not_three_parts", lambda i: i.token() + "="),
    "plain base64": ("not_three_parts", lambda i: i.token() + "+"),
    "bits left over": ("not_base64", lambda i: ".".join(["AB", "AA", "AA"])),
    "garbage": ("not_three_parts", lambda i: "garbage"),
    "dots": ("not_three_parts", lambda i: "..."),
    "other letters": ("not_three_parts", lambda i: "密.钥.匙"),
    "a key's look": ("not_three_parts", lambda i: "TBK_live_00000000_" + "0" * 46),
}


async def test_a_token_that_is_not_as_it_should_be_opens_nothing(
    trusted: House, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asks is not told why; the log is, and no token stands in it."""
    assert await status(trusted, issuer.token()) == 200
    answers = set()
    for name, (why, make) in REFUSED.items():
        shown = make(issuer)
        with structlog.testing.capture_logs() as logged:
            said = await trusted.with_key(shown).get("/v1/units", headers={"X-Request-Id": "r-1"})
        assert said.status == 401, name
        assert said.code == "unauthenticated"
        assert reasons(logged) == [why], name
        (line,) = [line for line in logged if line["event"] == "token_refused"]
        assert set(line) == {"event", "log_level", "why", "request_id"}
        assert line["request_id"] == "r-1"
        answers.add((said.body, said.headers["WWW-Authenticate"]))
        for part in shown.split("."):
            assert len(part) < 8 or part not in f"{logged} {caplog.text}", name
            assert len(part) < 8 or part.encode() not in said.body, name
    ((_, challenge),) = answers
    assert challenge == 'Bearer realm="timebank", error="invalid_token"'


async def test_without_a_token_no_error_is_told(trusted: House) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        said = await trusted.stranger.get("/v1/units", headers=headers)
        assert (said.status, said.headers["WWW-Authenticate"]) == (401, 'Bearer realm="timebank"')


@pytest.mark.parametrize(
    ("head", "claims"),
    [
        ({"typ": "AT+JWT"}, {}),
        ({"typ": "application/at+jwt"}, {}),
        ({"x5t": "abc", "jku": "http://127.0.0.1:1/"}, {}),
        ({"vendor": {"a": 1}}, {}),
        ({}, {"aud": [AUDIENCE]}),
        ({}, {"aud": ["other", AUDIENCE]}),
        ({}, {"exp": -29}),
        ({}, {"exp": 5.5}),
        ({}, {"nbf": 29}),
        ({}, {"iat": 29, "nbf": -5}),
        ({}, {"iat": None}),
        ({}, {"jti": None, "client_id": None}),
    ],
)
async def test_what_other_good_tokens_look_like(
    trusted: House, issuer: Issuer, head: dict[str, Any], claims: dict[str, Any]
) -> None:
    for name in ("exp", "nbf", "iat"):
        if isinstance(claims.get(name), int | float):
            claims = claims | {name: time.time() + claims[name]}
    assert await status(trusted, issuer.token(head, **claims)) == 200


def test_a_token_at_the_longest_is_read_and_one_character_more_is_not() -> None:
    rules = TokenRules("https://i", "a", "RS256")
    head = {"alg": "RS256", "typ": "at+jwt", "kid": "k"}
    claims = {"iss": "https://i", "aud": "a", "exp": 2_000, "sub": "s", "x": "x" * 5_002}
    begun = f"{base64url(orjson.dumps(head))}.{base64url(orjson.dumps(claims))}."
    longest = begun + "A" * (TOKEN_CHARACTERS_MAX - len(begun))
    assert (len(longest), rules.read(longest, 1_000).subject) == (8_000, "s")
    with pytest.raises(BadToken, match="too_long"):
        rules.read(longest + "A", 1_000)


async def test_tokens_open_nothing_where_no_issuer_is_set(issuer: Issuer, house: House) -> None:
    registered(house, issuer)
    said = await house.with_key(issuer.token()).get("/v1/units")
    assert (said.status, said.code) == (401, "unauthenticated")
    assert issuer.asked == []


async def test_keys_go_on_working_where_an_issuer_is_set(trusted: House) -> None:
    for caller in trusted.callers.values():
        assert (await caller.get("/v1/units")).status == 200


async def test_signatures_are_verified_within_bounds(trusted: House, issuer: Issuer) -> None:
    """A flood of tokens that nobody signed; who was verified a moment ago goes on."""
    tokens = trusted.door.callers._tokens
    assert tokens is not None
    tokens._strangers = Strangers(0.001, 3)
    good = issuer.token()
    assert await status(trusted, good) == 200
    forged = [flipped(issuer.token(jti=f"j-{number}"), 2) for number in range(5)]
    assert [await status(trusted, each) for each in forged] == [401, 401, 401, 429, 429]
    assert await status(trusted, good) == 200
    assert await status(trusted, issuer.token(jti="new")) == 429
    assert (await trusted.poster.get("/v1/units")).status == 200


# --- the issuer's keys ---------------------------------------------------------------------------


async def test_a_key_that_the_issuer_has_just_made_is_fetched_once(
    trusted: House, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await status(trusted, issuer.token()) == 200
    fetched = issuer.asked.count("jwks")
    following = private("RS256", 3)
    issuer.keys.append(jwk(following, "k-2"))
    shown = token(following, issuer.head(kid="k-2"), issuer.claims())
    assert await status(trusted, shown) == 401  # it was asked a moment ago
    assert issuer.asked.count("jwks") == fetched
    tokens = trusted.door.callers._tokens
    assert tokens is not None
    later = time.monotonic() + 61
    monkeypatch.setattr(tokens.keys, "_clock", lambda: later)
    assert await status(trusted, shown) == 200
    assert issuer.asked.count("jwks") == fetched + 1
    for _ in range(3):
        assert await status(trusted, issuer.token({"kid": "k-3"})) == 401
    assert issuer.asked.count("jwks") == fetched + 1
    issuer.keys.pop(0)
    later += 61
    assert await status(trusted, issuer.token({"kid": "k-3"})) == 401
    assert await status(trusted, issuer.token(jti="j-9")) == 401  # by a key that is no more


async def test_keys_at_hand_stay_where_the_issuer_is_away(
    trusted: House, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await status(trusted, issuer.token()) == 200
    tokens = trusted.door.callers._tokens
    assert tokens is not None
    issuer.status = 500
    later = time.monotonic() + 61
    monkeypatch.setattr(tokens.keys, "_clock", lambda: later)
    fetched = issuer.asked.count("jwks")
    assert await status(trusted, issuer.token({"kid": "k-2"})) == 401
    assert issuer.asked.count("jwks") == fetched + 1
    assert await status(trusted, issuer.token(jti="j-2")) == 200


async def test_an_issuer_that_is_away_at_the_start_leaves_keys_working(
    issuer: Issuer, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.status = 503
    async with trusting(issuer, sqlite_url, tmp_path) as house:
        registered(house, issuer)
        shown = issuer.token()
        assert (await house.poster.get("/v1/units")).status == 200
        said = await house.with_key(shown).get("/v1/units")
        assert (said.status, said.code) == (503, "issuer_unreachable")
        assert said.headers["Retry-After"] == "30"
        assert "WWW-Authenticate" not in said.headers
        for wrong in (issuer.token(aud="x"), "garbage"):
            assert await status(house, wrong) == 401
        issuer.status = 200
        tokens = house.door.callers._tokens
        assert tokens is not None
        later = time.monotonic() + 61
        monkeypatch.setattr(tokens.keys, "_clock", lambda: later)
        assert await status(house, shown) == 200


async def test_many_who_want_a_key_wait_for_one_fetch(issuer: Issuer, tmp_path: Path) -> None:
    keys = TokenKeys(settings_for(issuer))
    found = await asyncio.gather(*(keys.find(f"k-{number % 3}") for number in range(20)))
    assert [each is not None for each in found] == [number % 3 == 1 for number in range(20)]
    assert issuer.asked == ["configuration", "jwks"]


async def test_keys_are_fetched_every_hour_and_every_minute_while_that_fails(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = TokenKeys(settings_for(issuer))
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        issuer.status = 500 if len(pauses) < 2 else 200
        if len(pauses) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr("api.token_keys.asyncio.sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await keys.keep_fresh()
    assert pauses == [3_600, 60, 3_600, 3_600]
    assert await keys.find("k-1")


def settings_for(issuer: Issuer, **other: Any) -> Settings:
    said = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE} | other
    return Settings(oidc_algorithm=issuer.algorithm, **said)


async def test_keys_come_from_a_file_or_from_an_address_that_is_said(
    issuer: Issuer, tmp_path: Path
) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(orjson.dumps({"keys": issuer.keys}))
    assert set(await fetch_keys(settings_for(issuer, oidc_jwks_file=file))) == {"k-1"}
    assert issuer.asked == []
    at = settings_for(issuer, oidc_jwks_url=f"{issuer.url}/jwks")
    assert set(await fetch_keys(at)) == {"k-1"}
    assert issuer.asked == ["jwks"]


async def test_what_is_no_set_of_keys_is_not_taken(issuer: Issuer, tmp_path: Path) -> None:
    async def why(**other: Any) -> str:
        with pytest.raises(KeysUnavailable) as no:
            await fetch_keys(settings_for(issuer, **other))
        return str(no.value)

    for body in (b"", b"[]", b"{}", b'{"keys": {}}', b"<html>"):
        issuer.body = body
        assert await why() in ("it is no set of keys", "it is no JSON object"), body
    issuer.body = b'{"keys": []}'
    assert await why() == "no key in it verifies RS256"
    issuer.body = b'{"keys": [' + b" " * 300_000 + b"]}"
    assert (await why()).startswith("too much from")
    issuer.body = None
    for status_code in (301, 302, 307, 404, 500):
        issuer.status, issuer.headers = status_code, {"Location": f"{issuer.url}/elsewhere"}
        assert (await why()).startswith(f"{status_code} from")
    issuer.status, issuer.headers = 200, {"Content-Encoding": "gzip"}
    issuer.body = gzip.compress(orjson.dumps({"keys": issuer.keys}))
    assert await why() == "it is no JSON object"
    issuer.body, issuer.headers = None, {}
    issuer.published = {"issuer": "https://other.example"}
    assert await why() == "what is published there is another issuer's"
    for address in ("http://id.example/jwks", "file:///etc/passwd", None, 7):
        issuer.published = {"jwks_uri": address}
        assert await why() == "its jwks_uri is no https address"
    assert (await why(oidc_jwks_file=tmp_path / "none.json")).startswith("No such file")
    large = tmp_path / "large.json"
    large.write_bytes(b" " * 300_000)
    assert (await why(oidc_jwks_file=large)).startswith("too much in")
    assert (await why(oidc_jwks_url="http://127.0.0.1:1/jwks")).startswith("ClientConnectorError")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519"])
def test_only_public_keys_of_the_algorithm_are_taken(algorithm: str) -> None:
    mine = private(algorithm)
    other = private("ES256" if algorithm == "RS256" else "RS256")
    good = jwk(mine, "good")
    listed = [
        jwk(other, "other kind"),
        jwk(mine, "enc", use="enc"),
        jwk(mine, "alg", alg="HS256"),
        jwk(mine, "ops", key_ops=["sign"]),
        jwk(mine, "ops that are none", key_ops="verify"),
        jwk(mine, ""),
        {name: value for name, value in good.items() if name != "kid"},
        {"kty": "oct", "kid": "secret", "k": base64url(b"x" * 64)},
        {**good, "kid": "broken", "n" if algorithm == "RS256" else "x": "!"},
        {**good, "kid": "numbers", "n" if algorithm == "RS256" else "x": 7},
        jwk(private("ES384"), "other curve"),
        jwk(private("short"), "short"),
        "no key",
        good | {"d": "AQAB"},
        jwk(private(algorithm, 5), "good"),
        jwk(mine, "free", use="sig", alg=algorithm, key_ops=["verify"]),
    ]
    found = keys_in(orjson.dumps({"keys": listed}), algorithm)
    assert set(found) == {"good", "free"}
    assert not any(key.is_private for key in found.values())
    rules = TokenRules("i", "a", algorithm)
    for name in found:  # of two with one name the first
        rules.verify(Token("s", 0, "k", b"m", sign(mine, algorithm, b"m")), found[name])
    with pytest.raises(KeysUnavailable, match="no set of keys"):
        keys_in(orjson.dumps({"keys": [good] * 101}), algorithm)


def test_the_example_of_rfc_8037_is_verified() -> None:
    """Appendix A.4: a signature that others have made."""
    key = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    )
    signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = base64.urlsafe_b64decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg=="
    )
    for algorithm in ("EdDSA", "Ed25519"):
        rules = TokenRules("i", "a", algorithm)
        rules.verify(Token("s", 0, "k", signed, signature), key)
        with pytest.raises(BadToken, match="signature"):
            rules.verify(Token("s", 0, "k", signed + b"!", signature), key)


# --- memory, and anything at all -----------------------------------------------------------------


def test_verified_tokens_are_remembered_for_a_minute_or_until_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_000.0]
    verified = Verified(lambda: now[0])
    verified.keep("long", Token("s-1", 9_999.0, "", b"", b""))
    verified.keep("short", Token("s-2", 1_005.0, "", b"", b""))
    assert [verified.recall(each) for each in ("long", "short", "other")] == ["s-1", "s-2", None]
    now[0] = 1_034.9
    assert verified.recall("short") == "s-2"
    now[0] = 1_035.0
    assert [verified.recall(each) for each in ("long", "short")] == ["s-1", None]
    now[0] = 1_060.0
    assert verified.recall("long") is None
    monkeypatch.setattr(tokens_module, "REMEMBERED_MAX", 3)
    for number in range(10):
        verified.keep(f"t-{number}", Token("s", 9_999.0, "", b"", b""))
        assert verified.recall(f"t-{number}") == "s"
        assert len(verified._subjects) <= 3
    assert hashlib.sha256(b"t-9").digest() in verified._subjects


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(width=32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("alg", "typ", "kid", "crit", "iss", "aud", "exp", "nbf", "iat", "sub")


@given(
    st.one_of(
        st.text(),
        st.from_regex(
            r"[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,8}", fullmatch=True
        ),
        st.tuples(
            st.dictionaries(st.sampled_from(NAMES), JSON) | JSON,
            st.dictionaries(st.sampled_from(NAMES), JSON) | JSON,
        ),
    ),
)
def test_whatever_is_shown_is_read_or_refused_in_one_word(shown: Any) -> None:
    rules = TokenRules("https://i", "a", "RS256")
    head: Any = {"alg": "RS256", "typ": "at+jwt", "kid": "k"}
    claims: Any = {"iss": "https://i", "aud": "a", "exp": 2_000, "sub": "s"}
    if isinstance(shown, tuple):
        first, second = shown
        head = head | first if isinstance(first, dict) else first
        claims = claims | second if isinstance(second, dict) else second
        shown = ".".join([base64url(orjson.dumps(head)), base64url(orjson.dumps(claims)), "AAAA"])
    why, read = "", None
    try:
        read = rules.read(shown, 1_000)
    except BadToken as bad:
        why = bad.why
    assert re.fullmatch("[a-z0-9_]+" if read is None else "", why)
    if read is not None:
        assert (head["alg"], claims["iss"]) == ("RS256", "https://i")
        assert read.subject == claims["sub"]
        assert read.ends_at > 970


def test_a_clock_that_is_another_is_borne_for_half_a_minute() -> None:
    rules = TokenRules("https://i", "a", "RS256")

    def why(**claims: Any) -> str:
        head = {"alg": "RS256", "typ": "at+jwt", "kid": "k"}
        said = {"iss": "https://i", "aud": "a", "exp": 2_000, "sub": "s"} | claims
        text = ".".join([base64url(orjson.dumps(head)), base64url(orjson.dumps(said)), "AAAA"])
        try:
            rules.read(text, 1_000)
        except BadToken as bad:
            return bad.why
        return ""

    assert [why(exp=exp) for exp in (971, 970.5, 970)] == ["", "", "expired"]
    assert [why(nbf=nbf) for nbf in (1_030, 1_030.5)] == ["", "not_yet"]
    assert [why(iat=iat) for iat in (1_030, 1_031)] == ["", "not_yet"]


async def test_a_token_that_cannot_be_judged_is_refused_and_not_denied() -> None:
    keys = TokenKeys(Settings(oidc_issuer="http://127.0.0.1:1", oidc_audience="a"))
    with pytest.raises(Refused, match="issuer_unreachable"):
        await keys.find("k")
