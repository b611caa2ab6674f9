"""The checkpoints that the ledger has signed, as its journal keeps them for ever."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Row, Select, insert, select

from ledger import journal, store
from ledger.events import SigningKeyRotated
from ledger.notes import Note, VerifierKey

PAGE = 2_000


class Kept(NamedTuple):
    """A checkpoint as it was signed."""

    size: int  # leaves: the last position that it covers
    root: bytes
    key: str  # whose signature it bears, as a verifier key
    note: str
    signed_at: str


class Rotation(NamedTuple):
    """At a position, one signing key follows another."""

    position: int
    key: VerifierKey
    replaces: VerifierKey
    lost: bool

    @classmethod
    def of(cls, position: int, event: SigningKeyRotated) -> "Rotation":
        """What the fact says; NotANote where its texts are no keys."""
        key, before = VerifierKey.parse(event.key), VerifierKey.parse(event.replaces)
        return cls(position, key, before, event.lost)


def last(connection: Connection, until: int | None = None) -> Kept | None:
    """The newest checkpoint; of at most so many leaves."""
    query = _KEPT.order_by(store.checkpoints.c.size.desc()).limit(1)
    if until is not None:
        query = query.where(store.checkpoints.c.size <= until)
    return _one(connection, query)


def at(connection: Connection, size: int) -> Kept | None:
    """The checkpoint of just so many leaves."""
    return _one(connection, _KEPT.where(store.checkpoints.c.size == size))


def after(connection: Connection, size: int, limit: int) -> list[Kept]:
    """The next checkpoints of more than `size` leaves, the smallest first."""
    kept = store.checkpoints.c
    query = _KEPT.where(kept.size > size).order_by(kept.size).limit(limit)
    return [_kept(row) for row in connection.execute(query)]


def every(connection: Connection, until: int | None = None) -> Iterator[Kept]:
    """All checkpoints of at most `until` leaves, the smallest first, some at a time in memory."""
    size = -1
    while page := after(connection, size, PAGE):
        for kept in page:
            if until is not None and kept.size > until:
                return
            yield kept
        size = page[-1].size


def keep(connection: Connection, kept: Kept) -> None:
    """Keep a checkpoint that was signed; within `writing` alone."""
    connection.execute(insert(store.checkpoints).values(kept._asdict()))


def cosigned(connection: Connection, kept: Sequence[Kept]) -> list[Note]:
    """The notes with the lines of the witnesses behind the ledger's own."""
    sizes = [each.size for each in kept]
    signed = store.cosignatures.c
    query = select(signed.size, signed.line).where(signed.size.in_(sizes))
    lines: dict[int, str] = {}
    for size, line in connection.execute(query.order_by(signed.size, signed.added_at, signed.key)):
        lines[size] = lines.get(size, "") + line
    return [Note.parse(each.note + lines.get(each.size, "")) for each in kept]


def witnesses(connection: Connection) -> list[tuple[int, str, str]]:
    """Every cosignature, the smallest checkpoint's first: (size, key as it stands, line)."""
    signed = store.cosignatures.c
    query = select(signed.size, signed.key, signed.line).order_by(signed.size, signed.key)
    return [(size, key, line) for size, key, line in connection.execute(query)]


def add_cosignature(
    connection: Connection, size: int, key: VerifierKey, line: str, added_at: str
) -> bool:
    """Keep a witness's signature; False where it has signed this checkpoint before."""
    signed = store.cosignatures.c
    before = select(signed.size).where(signed.size == size, signed.key == str(key))
    if connection.execute(before).first() is not None:
        return False
    values = {"size": size, "key": str(key), "line": line, "added_at": added_at}
    connection.execute(insert(store.cosignatures).values(values))
    return True


def rotations(connection: Connection, until: int | None = None) -> list[Rotation]:
    """The successions of signing keys that the log itself tells, oldest first."""
    return [
        Rotation.of(entry.position, entry.event)
        for entry in journal.streams(connection, ["signing_keys"]).get("signing_keys", ())
        if isinstance(entry.event, SigningKeyRotated) and (until is None or entry.position <= until)
    ]


def keys_in_turn(connection: Connection) -> list[tuple[int, VerifierKey]]:
    """Each signing key that there was, with the smallest checkpoint that it signs."""
    told = rotations(connection)
    if told:
        first = told[0].replaces
        return [(0, first), *((rotation.position, rotation.key) for rotation in told)]
    newest = last(connection)
    return [] if newest is None else [(0, VerifierKey.parse(newest.key))]


def lasting_keys(connection: Connection) -> list[VerifierKey]:
    """Those of the signing keys that were not lost: what they have signed is trusted for ever."""
    lost = {rotation.replaces for rotation in rotations(connection) if rotation.lost}
    return [key for _, key in keys_in_turn(connection) if key not in lost]


def _one(connection: Connection, query: Select[int, bytes, str, str, str]) -> Kept | None:
    row = connection.execute(query).first()
    return None if row is None else _kept(row)


def _kept(row: Row[int, bytes, str, str, str]) -> Kept:
    return Kept(row.size, bytes(row.root), row.key, row.note, row.signed_at)


_KEPT = select(
    store.checkpoints.c.size,
    store.checkpoints.c.root,
    store.checkpoints.c.key,
    store.checkpoints.c.note,
    store.checkpoints.c.signed_at,
)
