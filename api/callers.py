"""Tells who calls, by a key or by an issuer's token; looked up once for all who show it at once."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import structlog

from api.limits import TOKENS_PER_SECOND, Strangers
from api.token_keys import TokenKeys
from api.tokens import BadToken, TokenRules, Verified
from ledger.keys import Key, hash_key, parse_key

if TYPE_CHECKING:
    from ledger.keyring import Keyring
    from ledger.settings import Settings

KEY_PREFIX = "tbk_"

log = structlog.stdlib.get_logger("timebank.callers")


class Callers:
    """The keyring as the event loop asks it: never waiting, and within bounds for strangers."""

    def __init__(self, keyring: "Keyring", threads: Executor, settings: "Settings") -> None:
        self._keyring = keyring
        self._threads = threads
        self._strangers = Strangers()
        self._tokens = None if settings.oidc_issuer is None else Tokens(keyring, threads, settings)
        self._asked: dict[str, asyncio.Task[Key | None]] = {}

    @property
    def chores(self) -> list[Callable[[], Awaitable[None]]]:
        """What has to be done beside the requests for as long as there are any."""
        return [] if self._tokens is None else [self._tokens.keys.keep_fresh]

    async def find(self, shown: str, request_id: str) -> Key | None:
        """Whose this is, if it works now.

        Refused where too many strangers came before, and where a token cannot be judged.
        """
        tokens = None if shown.startswith(KEY_PREFIX) else self._tokens
        if tokens is not None and (key := tokens.recall(shown)) is not None:
            return key
        asked = self._asked.get(shown)
        if asked is None:
            look_up = self._find_key(shown) if tokens is None else tokens.find(shown, request_id)
            asked = self._asked[shown] = asyncio.create_task(look_up)
            asked.add_done_callback(lambda _: self._asked.pop(shown, None))
        return await asyncio.shield(asked)  # others wait for the same answer

    async def _find_key(self, shown: str) -> Key | None:
        if parse_key(shown) is None:
            return None
        named = hash_key(shown)
        met = self._keyring.met(named)
        if met is False:
            return None
        if met is None:
            self._strangers.enter()
        loop = asyncio.get_running_loop()
        key = await loop.run_in_executor(self._threads, self._keyring.find, shown)
        if met is None and self._keyring.met(named):
            self._strangers.was_known()
        return key


class Tokens:
    """Those for whom an issuer's tokens speak, as they stand in the table of keys."""

    def __init__(self, keyring: "Keyring", threads: Executor, settings: "Settings") -> None:
        issuer, audience = settings.oidc_issuer or "", settings.oidc_audience or ""
        self.keys = TokenKeys(settings)
        self._rules = TokenRules(issuer, audience, settings.oidc_algorithm)
        self._verified = Verified()
        self._keyring = keyring
        self._threads = threads
        self._strangers = Strangers(TOKENS_PER_SECOND)

    def recall(self, shown: str) -> Key | None:
        """Whom the token speaks for, from memory alone."""
        subject = self._verified.recall(shown)
        return (
            None if subject is None else self._keyring.recall_subject(self._rules.issuer, subject)
        )

    async def find(self, shown: str, request_id: str) -> Key | None:
        """Whom the token speaks for; why it does for nobody is said in the log alone."""
        try:
            subject = self._verified.recall(shown) or await self._verify(shown)
        except BadToken as bad:
            log.info("token_refused", why=bad.why, request_id=request_id)
            return None
        loop = asyncio.get_running_loop()
        key = await loop.run_in_executor(
            self._threads, self._keyring.find_subject, self._rules.issuer, subject
        )
        if key is None:
            log.info("token_refused", why="unknown_subject", request_id=request_id)
        return key

    async def _verify(self, shown: str) -> str:
        token = self._rules.read(shown, self._verified.now())
        self._strangers.enter()
        key = await self.keys.find(token.key_id)
        if key is None:
            raise BadToken("unknown_key")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._rules.verify, token, key)
        self._strangers.was_known()
        self._verified.keep(shown, token)
        return token.subject
