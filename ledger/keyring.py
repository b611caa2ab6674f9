"""The door's keyring: whose a presented key is, or a token's subject, and when it was last used."""

import hmac
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from ledger.keys import Key, find_subject, hash_key, keep_uses, key_of, parse_key
from ledger.store import keys
from ledger.units import recorded_text

FRESH_SECONDS = 0.05
STRANGER_SECONDS = 1.0
REMEMBERED_MAX = 10_000
USES_AT_ONCE = 500
"""Uses that are written in one transaction: some 5 ms on SQLite, while no other writer writes."""

Named = bytes | tuple[str, str]
"""The hash of a presented key, or the issuer and the subject of a token."""


class Keyring:
    """Tells whose a presented key is, asking the table at most once in 50 ms for each key.

    So a revocation by another process is heard of within 50 ms, and a busy server does not ask for
    every request. What is no key is asked for once a second; a key's text is made and kept before
    anybody can present it, so a new key works at once. Whoever works when the table is asked is
    noted as used: a key in use is asked for, so no request pays for that.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.uses = KeyUses()
        self._engine = engine
        self._clock = clock
        self._today = today
        self._lock = threading.Lock()
        self._kept: dict[Named, _Kept] = {}
        self._strangers: dict[Named, float] = {}  # until when nothing is asked

    def find(self, presented: str) -> Key | None:
        """The key that this text is, if it works today; may read the database."""
        key_id = parse_key(presented)
        if key_id is None:
            return None
        presented_hash = hash_key(presented)
        return self._judge(self._fresh(presented_hash) or self._read(presented_hash, key_id))

    def recall(self, presented: str) -> Key | None:
        """As `find`, from memory alone, at once; None: ask `find`."""
        if not presented.isascii():
            return None
        return self._judge(self._fresh(hash_key(presented)))

    def met(self, named: Named) -> bool | None:
        """Was it in the table, working or not, when it was last asked for; None: nobody knows."""
        if named in self._kept:
            return True
        return False if self._clock() < self._strangers.get(named, 0.0) else None

    def find_subject(self, issuer: str, subject: str) -> Key | None:
        """Whom a token speaks for, if that works today; may read the database."""
        named = issuer, subject
        return self._judge(self._fresh(named) or self._read(named))

    def recall_subject(self, issuer: str, subject: str) -> Key | None:
        """As `find_subject`, from memory alone, at once; None: ask `find_subject`."""
        return self._judge(self._fresh((issuer, subject)))

    def _judge(self, kept: "_Kept | None") -> Key | None:
        return kept.key if kept is not None and kept.key.works_on(self._today()) else None

    def _fresh(self, named: Named) -> "_Kept | None":
        kept = self._kept.get(named)
        return kept if kept and self._clock() < kept.fresh_until else None

    def _read(self, named: Named, key_id: str = "") -> "_Kept | None":
        asked_at = self._clock()
        if asked_at < self._strangers.get(named, 0.0):
            return None
        with self._engine.connect() as db:
            if isinstance(named, bytes):
                row = db.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
                known = row is not None and hmac.compare_digest(row.hash, named)
                key = key_of(row) if known and row is not None else None
            else:
                key = find_subject(db, *named)
        with self._lock:
            if key is None:
                self._kept.pop(named, None)
                _make_room(self._strangers)
                self._strangers[named] = asked_at + STRANGER_SECONDS
                return None
            _make_room(self._kept)
            kept = self._kept[named] = _Kept(key, asked_at + FRESH_SECONDS)
        if key.works_on(self._today()):
            self.uses.note(key.id)
        return kept


class KeyUses:
    """When keys were last used: noted in memory, kept now and then, many at once.

    What is noted and not yet kept is lost with the process; so `last_used_at` may be late.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, str] = {}  # by the key's id: of keys that are in the table

    def note(self, key_id: str) -> None:
        """It is used now."""
        at = recorded_text(self._clock())
        with self._lock:
            self._used[key_id] = at

    def keep(self, writing: Callable[[], AbstractContextManager[Connection]]) -> int:
        """Write all that was noted, and say of how many keys; where that fails, it stays noted."""
        with self._lock:
            used, self._used = self._used, {}
        count = len(used)
        try:
            while some := dict(islice(used.items(), USES_AT_ONCE)):
                with writing() as db:
                    keep_uses(db, some)
                for key_id in some:
                    del used[key_id]
        finally:
            with self._lock:
                self._used = used | self._used
        return count


class _Kept(NamedTuple):
    key: Key
    fresh_until: float


def _make_room(remembered: MutableMapping[Named, Any]) -> None:
    if len(remembered) >= REMEMBERED_MAX:
        remembered.clear()
