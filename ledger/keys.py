"""API keys: who calls, in which role, for whom.

A key is one word, `tbk_<live|test>_` and

    <8 characters of id>_<40 characters of secret><6 characters of checksum>

in base62 (0-9, A-Z, a-z). The checksum is the CRC-32 of all that stands before it, written in
base62 with leading zeros: a mistyped key is refused without a look-up, and scanners that search
code for lost keys know one without asking. It protects nothing; the 238 bits of the secret do. Of
the whole key only the SHA-256 is kept, unsalted, as NIST SP 800-63B (section 5.1.2.2) has it for
secrets of 112 bits and more: a slow hash would guard nothing here and cost every request.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple, get_args

from sqlalchemy import Connection, Engine, Row, and_, insert, select, update

from ledger.store import keys
from ledger.units import recorded_text

Role = Literal["poster", "verifier", "member", "auditor", "admin"]
Mode = Literal["live", "test"]
ROLES: tuple[Role, ...] = get_args(Role)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(r"tbk_(live|test)_([0-9A-Za-z]{8})_[0-9A-Za-z]{46}", re.ASCII)
_CHECKSUM_CHARACTERS = 6
_FRESH_SECONDS = 0.05
_REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept, and so who calls with it. Events name `id` as their actor."""

    id: str
    role: Role
    actor: str  # the name: whoever has two keys is one actor
    organisation: str | None = None
    member_id: str | None = None  # of role member: itself; of a poster or verifier: the person
    expires_on: date | None = None  # the last day it works, in UTC
    created_at: str = ""
    revoked_at: str | None = None

    def works_on(self, day: date) -> bool:
        """Neither revoked nor past its last day."""
        return self.revoked_at is None and (self.expires_on is None or day <= self.expires_on)


class NewKey(NamedTuple):
    """A key just made, and the only sight of its text."""

    key: Key
    text: str


# --- the text of a key ---------------------------------------------------------------------------


def make_key(mode: Mode = "live") -> str:
    """The text of a fresh key, from the system's randomness."""
    body = f"tbk_{mode}_{_random(8)}_{_random(40)}"
    return body + _checksum(body)


def parse_key(text: str) -> str | None:
    """The id in the text of a key; None where shape or checksum say that it never was one."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    body, checksum = text[:-_CHECKSUM_CHARACTERS], text[-_CHECKSUM_CHARACTERS:]
    return shape[2] if _checksum(body) == checksum else None


def hash_key(text: str) -> bytes:
    """What is kept of a key: the SHA-256 of its whole text."""
    return hashlib.sha256(text.encode()).digest()


# --- the table of keys ---------------------------------------------------------------------------


def create_key(
    db: Connection,
    *,
    role: str,
    actor: str,
    at: datetime,
    organisation: str | None = None,
    member_id: str | None = None,
    expires_on: date | None = None,
    mode: Mode = "live",
) -> NewKey:
    """Keep a fresh key and show its text once; ValueError says what the role wants.

    Whether the organisation and the member exist is for the caller to know.
    """
    text = make_key(mode)
    key_id = parse_key(text)
    assert key_id is not None  # noqa: S101  (made one line above)
    key = Key(
        key_id,
        _checked_role(role, organisation, member_id),
        _checked_actor(actor),
        organisation,
        member_id,
        expires_on,
        recorded_text(at),
    )
    db.execute(
        insert(keys).values(
            id=key.id,
            hash=hash_key(text),
            role=key.role,
            actor=key.actor,
            organisation=organisation,
            member_id=member_id,
            expires_on=expires_on.isoformat() if expires_on else None,
            created_at=key.created_at,
        )
    )
    return NewKey(key, text)


def list_keys(db: Connection) -> list[Key]:
    """All keys that ever were, oldest first."""
    return [_key(row) for row in db.execute(select(keys).order_by(keys.c.created_at, keys.c.id))]


def keys_of(db: Connection, member_id: str) -> list[Key]:
    """The keys that name a member, as itself or as the person behind them; oldest first."""
    named = select(keys).where(keys.c.member_id == member_id)
    return [_key(row) for row in db.execute(named.order_by(keys.c.created_at, keys.c.id))]


def find_key(db: Connection, key_id: str) -> Key | None:
    """The key of this id, revoked and expired ones too."""
    row = db.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
    return _key(row) if row else None


def revoke_key(db: Connection, key_id: str, at: datetime) -> Key | None:
    """The key, which works nowhere from 50 ms after the commit on; None where there is none.

    A second revocation changes nothing.
    """
    db.execute(
        update(keys)
        .where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        .values(revoked_at=recorded_text(at))
    )
    return find_key(db, key_id)


def forget_member(db: Connection, member_id: str, at: datetime) -> None:
    """Revoke the keys of role member and blank the name on each.

    A key of an organisation that names the member as the person behind it stays as it is: whose
    work an organisation's entries are is for the organisation to say.
    """
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("PRAGMA secure_delete = ON").close()
    own = and_(keys.c.member_id == member_id, keys.c.role == "member")
    works = keys.c.revoked_at.is_(None)
    db.execute(update(keys).where(own, works).values(revoked_at=recorded_text(at)))
    db.execute(update(keys).where(own, keys.c.actor != "").values(actor=""))


def actor_names(db: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The actors' names by key id; `cli`, `jobs` and ids that are no key's are left out."""
    rows = db.execute(select(keys.c.id, keys.c.actor).where(keys.c.id.in_(sorted(set(ids)))))
    return {key_id: actor for key_id, actor in rows}


# --- at the door ---------------------------------------------------------------------------------


class Keyring:
    """Tells whose a presented key is, asking the table at most once in 50 ms for each key.

    So a revocation by another process is heard of within 50 ms, and a busy server does not ask for
    every request. What is no key is asked for each time, so that a new key works at once.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._today = today
        self._lock = threading.Lock()
        self._kept: dict[bytes, _Kept] = {}  # by the hash of what was presented

    def find(self, presented: str) -> Key | None:
        """The key that this text is, if it works today; may read the database."""
        key_id = parse_key(presented)
        if key_id is None:
            return None
        presented_hash = hash_key(presented)
        kept = self._fresh(presented_hash) or self._read(key_id, presented_hash)
        return self._judge(kept) if kept else None

    def recall(self, presented: str) -> Key | None:
        """As `find`, from memory alone, at once; None: ask `find`."""
        if not presented.isascii():
            return None
        kept = self._fresh(hash_key(presented))
        return self._judge(kept) if kept else None

    def _judge(self, kept: "_Kept") -> Key | None:
        return kept.key if kept.key.works_on(self._today()) else None

    def _fresh(self, presented_hash: bytes) -> "_Kept | None":
        kept = self._kept.get(presented_hash)
        return kept if kept and self._clock() < kept.fresh_until else None

    def _read(self, key_id: str, presented_hash: bytes) -> "_Kept | None":
        asked_at = self._clock()
        with self._engine.connect() as db:
            row = db.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, presented_hash):
            return None
        kept = _Kept(_key(row), asked_at + _FRESH_SECONDS)
        with self._lock:
            if len(self._kept) >= _REMEMBERED_MAX:
                self._kept.clear()
            self._kept[presented_hash] = kept
        return kept


class _Kept(NamedTuple):
    key: Key
    fresh_until: float


def _checked_role(role: str, organisation: str | None, member_id: str | None) -> Role:
    known = next((each for each in ROLES if each == role), None)
    match known:
        case None:
            raise ValueError(f"no role {role!r}: {', '.join(ROLES)}")
        case "admin" | "auditor" if organisation or member_id:
            raise ValueError(f"a key of role {role} is for no organisation and no member")
        case "poster" | "verifier" if not organisation:
            raise ValueError(f"a key of role {role} is for one organisation")
        case "member" if not member_id or organisation:
            raise ValueError("a key of role member is for one member and no organisation")
        case _:
            return known


def _checked_actor(actor: str) -> str:
    if not actor.strip():
        raise ValueError("a key has an actor's name: whose work it signs")
    return actor.strip()


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(
        row.id,
        row.role,
        row.actor,
        row.organisation,
        row.member_id,
        date.fromisoformat(row.expires_on) if row.expires_on else None,
        row.created_at,
        row.revoked_at,
    )


def _random(characters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
