"""The journal's verification: everything that a reader can recompute, from the first entry on.

Each leaf is hashed anew from its row, positions and the versions of each stream are dense from 1,
every fact can be read and stands in its stream, its lines sum to zero, times never run backwards,
the derived indexes hold what the facts say, no less and no more; and the tree over the leaves has
the root of every checkpoint, kept or pinned, with the signature that it must bear. A few thousand
entries are in memory at a time, however long the journal is.

What is not found without a checkpoint that was pinned elsewhere: a journal whose tail was cut off,
or that was written and signed anew as a whole by who has the signing key.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError

from ledger import checkpoints, journal, store
from ledger.attestation import Attestation, Succession
from ledger.derived import Derived, Search
from ledger.faults import Wrong, first
from ledger.notes import NotANote, Note, VerifierKey
from ledger.soundness import Soundness


class Verdict(NamedTuple):
    """What a verification found; `wrong` is the lowest position that is wrong, if any is."""

    entries: int  # read and found right
    last_position: int
    streams: int
    foreign: int  # entries of a type that is not ours: their leaves and versions alone are known
    wrong: Wrong | None
    root: bytes = b""  # of the tree over the entries
    checkpoints: int = 0  # found right
    attested: int = 0  # entries that the last of them covers
    pinned: int = 0  # pinned checkpoints found right
    cosignatures: int = 0  # found right


def verify(
    opened: store.Store,
    until: int | None = None,
    heard: Callable[[int], None] = lambda position: None,
    *,
    pinned: Sequence[Note] = (),
    trusted: Sequence[VerifierKey] = (),
    since: int = 0,
) -> Verdict:
    """Verify a journal as it stands now; `heard` is told now and then how far it has come.

    Up to `since` its facts were verified before: their leaves are hashed all the same, but not
    read. Signatures are checked where keys are `trusted`.
    """
    walk = _Walk(since)
    try:
        with opened.reading() as connection:
            return walk.verdict(connection, until, heard, pinned, trusted)
    except (OperationalError, ProgrammingError):  # the database's service, not its content
        raise
    except DatabaseError:
        reached = walk.position
        return Verdict(reached, reached, 0, walk.foreign, Wrong(reached + 1, "damaged"))


class _Walk:
    """One verification: the entries in order, then what lies beside them."""

    def __init__(self, since: int) -> None:
        self._soundness = Soundness()
        self._attestation = Attestation(())
        self._derived = Derived()
        self._since = since

    @property
    def position(self) -> int:
        """All up to here is right."""
        return self._soundness.position

    @property
    def foreign(self) -> int:
        """How many entries are of a type that is not ours."""
        return self._soundness.foreign

    def verdict(
        self,
        connection: Connection,
        until: int | None,
        heard: Callable[[int], None],
        pinned: Sequence[Note],
        trusted: Sequence[VerifierKey],
    ) -> Verdict:
        """Read everything up to `until`."""
        last = store.last_position(connection)
        last = last if until is None else min(last, until)
        unread: Wrong | None = None
        succession: Succession | None = None
        try:
            if trusted:
                succession = Succession(checkpoints.rotations(connection, last), trusted)
        except (NotANote, msgspec.MsgspecError):
            unread = Wrong(1, "signature")
        kept = checkpoints.every(connection, until)
        asked = [note for note in pinned if until is None or note.checkpoint.size <= until]
        self._attestation = attestation = Attestation(kept, asked, succession)
        wrong = self._find(connection, last, heard)
        right = self.position
        if wrong is None:
            wrong = attestation.end(last)
        streams, disordered = _versions(connection, last)
        cosigned, forged = _cosignatures(connection, until)
        wrong = first(wrong, disordered, forged)
        wrong = first(wrong, self._beside(connection, right, last)) or unread
        return Verdict(
            right,
            last,
            streams,
            self.foreign,
            wrong,
            attestation.tree.root(),
            attestation.checkpoints,
            attestation.attested,
            attestation.pinned,
            cosigned,
        )

    def _find(
        self, connection: Connection, last: int, heard: Callable[[int], None]
    ) -> Wrong | None:
        """The first wrong entry up to `last`."""
        before = connection.scalar(_BEFORE_THE_FIRST)
        if before is not None:
            return Wrong(before, "position_missing")
        while self.position < last:
            until = self._since if self.position < self._since < last else last
            rows = store.read(connection, self.position, journal.PAGE, until)
            if not rows:
                return Wrong(self.position + 1, "position_missing")
            wrong = self._page(connection, rows)
            if wrong is not None:
                return wrong
            heard(self.position)
        return None

    def _page(self, connection: Connection, rows: Sequence[store.Row]) -> Wrong | None:
        """Take in the rows that follow; the wrong row among them that stands first."""
        before = self.position
        known = before < self._since
        events, wrong = self._soundness.read(rows, leaves_only=known)
        sound = rows[: self.position - before]
        wrong = first(
            wrong,
            self._derived.add(sound, events),
            self._attestation.extend([row.leaf_hash for row in sound]),
        )
        if wrong is not None:
            self._soundness.position = min(self.position, wrong.position - 1)
        return wrong

    def _beside(self, connection: Connection, right: int, last: int) -> Wrong | None:
        """The first entry up to `right` that the derived tables do not tell of as they must.

        What they hold beyond the entries is asked where all entries were read.
        """
        whole = right == last == store.last_position(connection)
        if whole and not self._since and self._derived.agrees(connection):
            return None
        search = Search()
        after = self._since
        while after < right and (
            page := journal.entries_after(connection, after, journal.PAGE, right)
        ):
            wrong = search.page(connection, page)
            if wrong is not None:
                return wrong
            after = page[-1].position
        if not whole or self._since:
            return None
        return search.surplus(connection) or Wrong(0, "damaged")


def _versions(connection: Connection, last: int) -> tuple[int, Wrong | None]:
    """How many streams there are, and the first entry whose version does not follow.

    As the index over them has it, which is held against the entries elsewhere.
    """
    wrong: Wrong | None = None
    streams, stream, version, position = 0, "", 0, 0
    query = "SELECT stream, version, position FROM entries ORDER BY stream, version"
    for name, number, place in store.scan(connection, query):
        if place > last:
            continue
        if name != stream:
            streams += 1
            stream, version, position = name, 0, 0
        version += 1
        if number != version or place <= position:
            wrong = first(wrong, Wrong(place, "version"))
            version = number
        position = place
    return streams, wrong


def _cosignatures(connection: Connection, until: int | None) -> tuple[int, Wrong | None]:
    """How many lines of witnesses are theirs, and the first that is not."""
    found = 0
    for size, key, line in checkpoints.witnesses(connection):
        if until is not None and size > until:
            break
        kept = checkpoints.at(connection, size)
        try:
            witness = VerifierKey.parse(key)
            good = kept is not None and witness.signed(Note.parse(kept.note + line))
        except NotANote:
            good = False
        if not good:
            return found, Wrong(max(size, 1), "cosignature", size)
        found += 1
    return found, None


_BEFORE_THE_FIRST = select(func.min(store.entries.c.position)).where(store.entries.c.position < 1)
