"""Tells who calls: whose key was shown, looked up once for all who show it at the same moment."""

import asyncio
from concurrent.futures import Executor

from api.limits import Strangers
from ledger.keyring import Keyring
from ledger.keys import Key, hash_key, parse_key


class Callers:
    """The keyring as the event loop asks it: never waiting, and within bounds for strangers."""

    def __init__(
        self, keyring: Keyring, threads: Executor, strangers: Strangers | None = None
    ) -> None:
        self._keyring = keyring
        self._threads = threads
        self._strangers = strangers or Strangers()
        self._asked: dict[str, asyncio.Task[Key | None]] = {}

    async def find(self, shown: str) -> Key | None:
        """Whose this is, if it works now; Refused where too many strangers came before."""
        asked = self._asked.get(shown)
        if asked is None:
            asked = self._asked[shown] = asyncio.create_task(self._look_up(shown))
            asked.add_done_callback(lambda _: self._asked.pop(shown, None))
        return await asyncio.shield(asked)  # others wait for the same answer

    async def _look_up(self, shown: str) -> Key | None:
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
