"""Lots: each earning of a person as one dated amount, spent oldest first, perhaps with an end."""

from bisect import bisect_left, insort
from collections.abc import Sequence

import msgspec

Age = tuple[str, int]
"""What orders lots and names one: its date, and the position of the fact that made it."""


class Lot(msgspec.Struct, gc=False):
    """What is left of one earning, or what it gave."""

    dated: str  # its service date
    position: int  # of the fact that made it
    left: int
    expires_on: str | None = None


class Lots:
    """A person's lots that have something left, oldest first; those of one date by position."""

    def __init__(self) -> None:
        self.open: list[Lot] = []
        self.expired: dict[int, int] = {}  # position of a lot -> what of it has expired

    def add(self, lot: Lot) -> None:
        """One more earning."""
        if not self.open or self.open[-1].dated <= lot.dated:  # no lot is younger by position
            self.open.append(lot)
        else:
            insort(self.open, lot, key=_age)

    def take(self, credits: int) -> list[Lot]:
        """Spend so much, oldest first; what each lot gave. There must be that much."""
        given: list[Lot] = []
        while credits:
            given.append(self._take(0, credits))
            credits -= given[-1].left
        return given

    def take_back(self, owned: Sequence[Age], credits: int) -> list[Lot]:
        """Take so much out of some lots, and what they lack out of the oldest; what each gave."""
        given: list[Lot] = []
        for age in owned:
            place = bisect_left(self.open, age, key=_age)
            if credits and place < len(self.open) and self.open[place].position == age[1]:
                given.append(self._take(place, credits))
                credits -= given[-1].left
        return [*given, *self.take(credits)]

    def put_back(self, lots: list[Lot]) -> None:
        """What was taken is here again, in the lots that it was taken from."""
        for lot in lots:
            place = bisect_left(self.open, _age(lot), key=_age)
            if place < len(self.open) and self.open[place].position == lot.position:
                self.open[place].left += lot.left
            else:
                self.open.insert(place, lot)

    def due(self, as_of: str) -> list[Lot]:
        """The lots that expire by a date."""
        return [lot for lot in self.open if lot.expires_on and lot.expires_on <= as_of]

    def expire(self, as_of: str) -> list[Lot]:
        """Let go of what is due; what each lot had left."""
        gone = self.due(as_of)
        for lot in gone:  # a part of it may have gone before, while this one was held
            self.expired[lot.position] = self.expired.get(lot.position, 0) + lot.left
            self.open.remove(lot)
        return gone

    def gone(self, owned: Sequence[Age]) -> int:
        """What of some lots has expired."""
        return sum(self.expired.get(position, 0) for _, position in owned)

    def restore(self, owned: Sequence[Age], credits: int) -> list[tuple[int, int]]:
        """So much of what expired of some lots is undone, their earning was taken back.

        Answers the position and the part of each.
        """
        parts: list[tuple[int, int]] = []
        for _, position in owned:
            part = min(credits, self.expired.get(position, 0))
            if part:
                parts.append((position, part))
                credits -= part
                self.expired[position] -= part
                if not self.expired[position]:
                    del self.expired[position]
        return parts

    def copied(self) -> "Lots":
        """Other lots of the same content."""
        other = Lots()
        other.open = [msgspec.structs.replace(lot) for lot in self.open]
        other.expired = dict(self.expired)
        return other

    def _take(self, place: int, credits: int) -> Lot:
        """Take up to so much out of the lot at a place; what it gave."""
        lot = self.open[place]
        if lot.left <= credits:
            return self.open.pop(place)
        lot.left -= credits
        return msgspec.structs.replace(lot, left=credits)


def _age(lot: Lot) -> Age:
    return lot.dated, lot.position
