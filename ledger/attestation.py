"""Whether checkpoints, kept and pinned, are of this very log: their roots, signatures and keys."""

from collections.abc import Iterable, Iterator, Sequence

from ledger.checkpoints import Kept, Rotation
from ledger.faults import Fault, Wrong
from ledger.merkle import Tree
from ledger.notes import NotANote, Note, VerifierKey


class Succession:
    """The keys that signed in turn, as the log tells, and how far the trusted ones reach.

    A key hands over to its successor by signing the first checkpoint that covers the rotation, so
    whoever trusts it comes to trust the successor. Whoever trusts the successor believes what the
    log that it signs says of those before. Where a key was lost, trust in those before it ends.
    """

    def __init__(self, rotations: Sequence[Rotation], trusted: Iterable[VerifierKey]) -> None:
        self._rotations = rotations
        self._trusted = frozenset(trusted)
        named = [rotations[0].replaces, *(each.key for each in rotations)] if rotations else []
        self._keys = named
        self._torn = next(  # from here on the log tells of no succession
            (
                rotation.position
                for place, rotation in enumerate(rotations)
                if rotation.replaces != named[place]
                or rotation.key in named[: place + 1]
                or rotation.key.name != named[0].name
            ),
            None,
        )
        reached = max(
            (place for place, key in enumerate(named) if key in self._trusted), default=-1
        )
        while 0 <= reached < len(rotations) and not rotations[reached].lost:
            reached += 1
        self._reached = reached  # the last key in turn that trust leads to; -1: none

    def fault(self, note: Note, before: int) -> Fault | None:
        """What is wrong with a checkpoint's signatures; the one before it has `before` leaves."""
        size = note.checkpoint.size
        if not self._rotations:
            known = [key for key in self._trusted if key.name == note.checkpoint.origin]
            there = {line.key_id for line in note.signatures}
            known = [key for key in known if key.key_id in there]
            if not known:
                return "unknown_key"
            return None if all(key.signed(note) for key in known) else "signature"
        if self._torn is not None and size >= self._torn:
            return "signature"
        turn = sum(rotation.position <= size for rotation in self._rotations)
        if turn > self._reached:
            return "unknown_key"
        must = {self._keys[turn]}
        for place, rotation in enumerate(self._rotations[:turn]):
            if rotation.position > before and not rotation.lost:
                must.add(self._keys[place])  # it hands over
        return None if all(key.signed(note) for key in must) else "signature"


class Attestation:
    """Follows a log leaf by leaf and holds every checkpoint against it.

    `kept` are the ledger's own, in order; `pinned` those that somebody has kept elsewhere. Without
    a `succession` their signatures are not checked.
    """

    def __init__(
        self,
        kept: Iterable[Kept],
        pinned: Iterable[Note] = (),
        succession: Succession | None = None,
    ) -> None:
        self.tree = Tree()
        self.checkpoints = 0  # of the kept ones, how many were right
        self.attested = 0  # the size of the last of them
        self.pinned = 0  # likewise of the pinned ones
        self._agreed = 0  # the largest size at which a root was right
        self._before = -1  # the size of the kept one before
        self._origin: str | None = None
        self._succession = succession
        self._kept: Iterator[Kept] = iter(kept)
        self._next = next(self._kept, None)
        self._pinned = sorted(pinned, key=lambda note: note.checkpoint.size)
        self._pinned.reverse()  # the next at the end

    def extend(self, leaves: Sequence[bytes]) -> Wrong | None:
        """Take in the leaves that follow; the first checkpoint among them that is wrong."""
        taken = 0
        while (due := self._due()) is not None and due <= self.tree.size + len(leaves) - taken:
            if due < self.tree.size:
                return Wrong(due, "checkpoint", due)  # out of order
            until = taken + due - self.tree.size
            self.tree.extend(leaves[taken:until])
            taken = until
            wrong = self._compare(due, self.tree.root())
            if wrong is not None:
                return wrong
        self.tree.extend(leaves[taken:])
        return None

    def end(self, last: int) -> Wrong | None:
        """The first checkpoint that says of more than the `last` leaves that there are."""
        wrong = self.extend([])
        if wrong is None and (due := self._due()) is not None:
            wrong = Wrong(last + 1, "cut_off", due)
        return wrong

    def _due(self) -> int | None:
        sizes = [] if self._next is None else [self._next.size]
        if self._pinned:
            sizes.append(self._pinned[-1].checkpoint.size)
        return min(sizes, default=None)

    def _compare(self, size: int, root: bytes) -> Wrong | None:
        while self._pinned and self._pinned[-1].checkpoint.size == size:
            note = self._pinned.pop()
            if note.checkpoint.root != root:
                return Wrong(self._agreed + 1, "pinned", size)
            if self._succession is not None:
                fault = self._succession.fault(note, size)
                if fault is not None:
                    return Wrong(max(size, 1), fault, size)
            self.pinned += 1
        while self._next is not None and self._next.size == size:
            kept = self._next
            self._next = next(self._kept, None)
            try:
                note = Note.parse(kept.note)
            except NotANote:
                return Wrong(max(size, 1), "checkpoint", size)
            said = note.checkpoint
            self._origin = self._origin or said.origin
            if (said.origin, said.size) != (self._origin, size) or size <= self._before:
                return Wrong(max(size, 1), "checkpoint", size)
            if said.root != root or kept.root != root:
                return Wrong(self._agreed + 1, "checkpoint", size)
            if self._succession is not None:
                fault = self._succession.fault(note, self._before)
                if fault is not None:
                    return Wrong(max(size, 1), fault, size)
            self._before = size
            self.checkpoints += 1
            self.attested = size
        self._agreed = size
        return None
