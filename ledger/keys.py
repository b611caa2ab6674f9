"""API keys: who calls, in which role, for whom; made, listed, rotated and revoked.

A key is one word, `tbk_<live|test>_` and

    <8 characters of id>_<40 characters of secret><6 characters of checksum>

in base62 (0-9, A-Z, a-z). The checksum is the CRC-32 of all that stands before it, written in
base62 with leading zeros: a mistyped key is refused without a look-up, and scanners that search
code for lost keys know one without asking. It protects nothing; the 238 bits of the secret do. Of
the whole key only the SHA-256 is kept, unsalted, as NIST SP 800-63B (section 5.1.2.2) has it for
secrets of 112 bits and more: a slow hash would guard nothing here and cost every request.

Somebody whom an issuer of tokens vouches for stands in the same table, under the issuer and the
subject that a token must name. Nobody knows a text for such a row.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from ledger.store import keys
from ledger.units import recorded_text

Role = Literal["poster", "verifier", "member", "auditor", "admin"]
Mode = Literal["live", "test"]
ROLES: tuple[Role, ...] = get_args(Role)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(r"tbk_(live|test)_([0-9A-Za-z]{8})_[0-9A-Za-z]{46}", re.ASCII)
_CHECKSUM_CHARACTERS = 6
OVERLAP_DAYS = 7
"""How long a key that was rotated works beside the one that follows it, unless said otherwise."""

SUBJECT_MAX = 255  # characters, as OpenID Connect has it (section 2)


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
    issuer: str | None = None  # of tokens that speak for it, and whom they must name
    subject: str | None = None
    replaces: str | None = None  # the key that it was rotated from
    last_used_at: str | None = None  # within some minutes

    def works_on(self, day: date) -> bool:
        """Neither revoked nor past its last day."""
        return self.revoked_at is None and (self.expires_on is None or day <= self.expires_on)


class NewKey(NamedTuple):
    """A key just made, and the only sight of its text."""

    key: Key
    text: str


class NotRotated(Exception):
    """A key that nothing can follow: `why` is `ended`, `token` or `replaced`, `by` the follower."""

    def __init__(self, why: Literal["ended", "token", "replaced"], by: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.by = by


class SubjectTaken(Exception):
    """An issuer's subject is one key at a time; `by` is that key's id."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


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
    replaces: str | None = None,
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
        replaces=replaces,
    )
    _keep(db, key, hash_key(text))
    return NewKey(key, text)


def register_subject(
    db: Connection,
    *,
    issuer: str,
    subject: str,
    role: str,
    actor: str,
    at: datetime,
    organisation: str | None = None,
    member_id: str | None = None,
    expires_on: date | None = None,
) -> Key:
    """Let the tokens of an issuer that name a subject speak for a role; SubjectTaken, ValueError.

    No text opens it: what is kept as its hash is random.
    """
    if not 0 < len(subject) <= SUBJECT_MAX or not subject.isprintable():
        raise ValueError(f"a subject has 1 to {SUBJECT_MAX} printable characters")
    role = _checked_role(role, organisation, member_id)
    taken = _named(db, issuer, subject)
    if taken is not None:
        raise SubjectTaken(taken.id)
    key = Key(
        _random(8),
        role,
        _checked_actor(actor),
        organisation,
        member_id,
        expires_on,
        recorded_text(at),
        issuer=issuer,
        subject=subject,
    )
    _keep(db, key, secrets.token_bytes(32))
    return key


def rotate_key(
    db: Connection,
    old: Key,
    *,
    at: datetime,
    overlap_days: int = OVERLAP_DAYS,
    expires_on: date | None = None,
) -> NewKey:
    """A key that follows another in all it may; NotRotated where none can.

    The old one works for `overlap_days` more at the most, with 0 no longer. Without `expires_on`
    the new one ends when the old one would have.
    """
    if old.subject is not None:
        raise NotRotated("token")
    if not old.works_on(at.date()):
        raise NotRotated("ended")
    followers = select(keys).where(keys.c.replaces == old.id)
    for follower in map(key_of, db.execute(followers)):
        if follower.works_on(at.date()):
            raise NotRotated("replaced", follower.id)
    new = create_key(
        db,
        role=old.role,
        actor=old.actor,
        at=at,
        organisation=old.organisation,
        member_id=old.member_id,
        expires_on=expires_on or old.expires_on,
        replaces=old.id,
    )
    if overlap_days == 0:
        revoke_key(db, old.id, at)
    else:
        last = min(old.expires_on or date.max, at.date() + timedelta(overlap_days))
        db.execute(update(keys).where(keys.c.id == old.id).values(expires_on=last.isoformat()))
    return new


def list_keys(db: Connection) -> list[Key]:
    """All keys that ever were, oldest first."""
    return [key_of(row) for row in db.execute(select(keys).order_by(keys.c.created_at, keys.c.id))]


def keys_of(db: Connection, member_id: str) -> list[Key]:
    """The keys that name a member, as itself or as the person behind them; oldest first."""
    named = select(keys).where(keys.c.member_id == member_id)
    return [key_of(row) for row in db.execute(named.order_by(keys.c.created_at, keys.c.id))]


def find_key(db: Connection, key_id: str) -> Key | None:
    """The key of this id, revoked and expired ones too."""
    row = db.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
    return key_of(row) if row else None


def find_subject(db: Connection, issuer: str, subject: str) -> Key | None:
    """Whom the tokens of an issuer speak for that name a subject; expired ones too."""
    row = _named(db, issuer, subject)
    return key_of(row) if row else None


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
    """Revoke the keys of role member and blank the name and the tokens' subject on each.

    A key of an organisation that names the member as the person behind it stays as it is: whose
    work an organisation's entries are is for the organisation to say.
    """
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("PRAGMA secure_delete = ON").close()
    own = and_(keys.c.member_id == member_id, keys.c.role == "member")
    works = keys.c.revoked_at.is_(None)
    db.execute(update(keys).where(own, works).values(revoked_at=recorded_text(at)))
    known = or_(keys.c.actor != "", keys.c.subject.is_not(None))
    db.execute(update(keys).where(own, known).values(actor="", issuer=None, subject=None))


def keep_uses(db: Connection, used: Mapping[str, str]) -> None:
    """Keep when keys were last used, by id; an earlier use than the one that is kept is none."""
    last = keys.c.last_used_at
    statement = (
        update(keys)
        .where(keys.c.id == bindparam("key"), or_(last.is_(None), last < bindparam("used")))
        .values(last_used_at=bindparam("used"))
    )
    db.execute(statement, [{"key": key_id, "used": at} for key_id, at in sorted(used.items())])


def actor_names(db: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The actors' names by key id; `cli`, `jobs` and ids that are no key's are left out."""
    rows = db.execute(select(keys.c.id, keys.c.actor).where(keys.c.id.in_(sorted(set(ids)))))
    return {key_id: actor for key_id, actor in rows}


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


def _keep(db: Connection, key: Key, secret_hash: bytes) -> None:
    db.execute(
        insert(keys).values(
            id=key.id,
            hash=secret_hash,
            role=key.role,
            actor=key.actor,
            organisation=key.organisation,
            member_id=key.member_id,
            expires_on=key.expires_on.isoformat() if key.expires_on else None,
            created_at=key.created_at,
            issuer=key.issuer,
            subject=key.subject,
            replaces=key.replaces,
        )
    )


def _named(db: Connection, issuer: str, subject: str) -> Row[tuple[object, ...]] | None:
    named = and_(keys.c.issuer == issuer, keys.c.subject == subject, keys.c.revoked_at.is_(None))
    return db.execute(select(keys).where(named)).one_or_none()


def key_of(row: Row[tuple[object, ...]]) -> Key:
    return Key(
        row.id,
        row.role,
        row.actor,
        row.organisation,
        row.member_id,
        date.fromisoformat(row.expires_on) if row.expires_on else None,
        row.created_at,
        row.revoked_at,
        row.issuer,
        row.subject,
        row.replaces,
        row.last_used_at,
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
