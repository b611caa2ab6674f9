"""Members' lots while they change: read when first needed, kept bounded, written page by page."""

from collections.abc import Iterable
from copy import copy
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, tuple_

from ledger.bulk_rows import add_many, insert_many
from ledger.rules.lots import Lot, Lots
from projections.schema import hold_lots, lots

KEPT_MAX = 50_000
"""Lots that stay in memory between pages: some 5 MB."""

BUILDING_MAX = 400_000
"""The same in a rebuild, which meets all members again and again: some 45 MB."""

CHUNK = 500
"""Members in one look-up, well below the engines' limits on parameters."""

CHANGING = ("left", "held", "frozen", "expired")
_LEFT = 5  # the place of the first of them in a row
_NO_CHANGE = (0, 0, 0, 0)


DISPUTE = "dispute:"
"""How the names begin of what is frozen by a dispute, and not held."""


def dispute(order_id: str) -> str:
    """The name of what the dispute about an order has frozen."""
    return f"{DISPUTE}{order_id}"


class MemberLots(NamedTuple):
    """A member's lots: of what is available, of what is frozen, of each hold and dispute."""

    available: Lots
    frozen: Lots  # but for those of disputes
    holds: dict[str, Lots]  # by redemption or order, or the name of a dispute


class KeptLots:
    """The lots of members by their numbers, as rows and as what may be taken.

    New rows and changes of stored ones wait until they are written. Whoever's lots are not kept has
    no changes that wait, though perhaps new rows.
    """

    def __init__(self) -> None:
        self._members: dict[int, MemberLots] = {}
        self._kept = 0  # about so many lots
        self._rows: dict[int, dict[int, list[Any]]] = {}  # by member and position, not yet stored
        self._changes: dict[tuple[int, int], list[int]] = {}  # of stored rows
        self._holds: dict[tuple[int, str, int], int] = {}  # member, held for, lot: not yet stored
        self._ended: set[tuple[int, str]] = set()  # stored holds that are no more
        self._waiting = 0

    def meet(self, connection: Connection, members: Iterable[int]) -> None:
        """Have the lots of these members at hand."""
        missing = [member for member in members if member not in self._members]
        for start in range(0, len(missing), CHUNK):
            self._read(connection, missing[start : start + CHUNK])

    def __getitem__(self, member: int) -> MemberLots:
        """The lots of a member who was met on this page."""
        return self._members[member]

    def add(self, member: int, lot: Lot) -> None:
        """One more earning."""
        row = [member, lot.position, lot.dated, lot.expires_on, lot.left, lot.left, 0, 0, 0]
        self._rows.setdefault(member, {})[lot.position] = row
        self._waiting += 1
        known = self._members.get(member)
        if known is not None:
            known.available.add(copy(lot))
            self._kept += 1

    def change(
        self,
        member: int,
        position: int,
        left: int = 0,
        held: int = 0,
        frozen: int = 0,
        expired: int = 0,
    ) -> None:
        """A lot has so much more or less in each way."""
        row = self._rows.get(member, _NO_ROWS).get(position)
        if row is not None:
            row[_LEFT] += left
            row[_LEFT + 1] += held
            row[_LEFT + 2] += frozen
            row[_LEFT + 3] += expired
            return
        changes = self._changes.get((member, position))
        if changes is None:
            changes = self._changes[member, position] = [0, 0, 0, 0]
            self._waiting += 1
        changes[0] += left
        changes[1] += held
        changes[2] += frozen
        changes[3] += expired

    def hold(self, member: int, held_for: str, taken: list[Lot]) -> None:
        """These parts of lots, taken out of what is available, are held, or in a dispute frozen."""
        hold = self._members[member].holds[held_for] = Lots()
        hold.put_back(list(map(copy, taken)))
        kept = "frozen" if held_for.startswith(DISPUTE) else "held"
        for lot in taken:
            self.change(member, lot.position, left=-lot.left, **{kept: lot.left})
            self._holds[member, held_for, lot.position] = lot.left

    def end_hold(self, member: int, held_for: str) -> Lots:
        """What was held for something, for which nothing is any more."""
        hold = self._members[member].holds.pop(held_for)
        for lot in hold.open:
            if self._holds.pop((member, held_for, lot.position), None) is None:
                self._ended.add((member, held_for))
        return hold

    def write(self, connection: Connection, held: int = 0) -> None:
        """Store what waits, once more than `held` rows do; let go of the oldest of many."""
        most = BUILDING_MAX if held else KEPT_MAX
        if self._kept > most:  # by all that came; how many are left?
            self._kept = sum(len(mine.available.open) for mine in self._members.values())
        if self._waiting > held or self._kept > most:
            new = [tuple(rows[at]) for _, rows in sorted(self._rows.items()) for at in sorted(rows)]
            insert_many(connection, lots, new)
            changed = [
                (*key, "", None, 0, *by)
                for key, by in sorted(self._changes.items())
                if tuple(by) != _NO_CHANGE
            ]
            add_many(connection, lots, changed, CHANGING)
            if self._ended:
                which = tuple_(hold_lots.c.member, hold_lots.c.held_for)
                ended = sorted(self._ended)
                for start in range(0, len(ended), CHUNK):
                    gone = delete(hold_lots).where(which.in_(ended[start : start + CHUNK]))
                    connection.execute(gone)
            holds = sorted(self._holds.items())
            insert_many(connection, hold_lots, [(*key, credits) for key, credits in holds])
            self._forget_what_waits()
        if self._kept > most:
            for member in list(islice(self._members, len(self._members) // 2 + 1)):
                del self._members[member]
            self._kept //= 2

    def forget(self) -> None:
        """Let go of everything: it may not be what is stored."""
        self._members.clear()
        self._kept = 0
        self._forget_what_waits()

    def _forget_what_waits(self) -> None:
        self._rows.clear()
        self._changes.clear()
        self._holds.clear()
        self._ended.clear()
        self._waiting = 0

    def _read(self, connection: Connection, members: list[int]) -> None:
        """The lots of members as they are stored, and what waits to be."""
        found = {member: MemberLots(Lots(), Lots(), {}) for member in members}
        held: dict[tuple[int, int], Lot] = {}
        columns = lots.c
        something = columns.left + columns.held + columns.frozen + columns.expired > 0
        query = select(
            *(columns.member, columns.position, columns.dated, columns.expires_on),
            *(columns[name] for name in CHANGING),
        )
        query = query.where(columns.member.in_(members), something)
        rows = connection.execute(query.order_by(columns.dated, columns.position)).all()
        for member, position, dated, expires_on, left, in_holds, frozen, expired in rows:
            mine = found[member]
            if left:
                mine.available.open.append(Lot(dated, position, left, expires_on))
            if frozen:
                mine.frozen.open.append(Lot(dated, position, frozen, expires_on))
            if expired:
                mine.available.expired[position] = expired
            if in_holds or frozen:
                held[member, position] = Lot(dated, position, 0, expires_on)
        if held:
            for row in connection.execute(select(hold_lots).where(hold_lots.c.member.in_(members))):
                lot = replace(held[row.member, row.position], left=row.credits)
                mine = found[row.member]
                mine.holds.setdefault(row.held_for, Lots()).put_back([lot])
                if row.held_for.startswith(DISPUTE):
                    mine.frozen.take_back([(lot.dated, lot.position)], row.credits)
        for member, mine in found.items():
            for _, position, dated, expires_on, _, left, *_ in self._rows.get(
                member, _NO_ROWS
            ).values():
                mine.available.add(Lot(dated, position, left, expires_on))
            self._kept += len(mine.available.open)
        self._members.update(found)


_NO_ROWS: dict[int, list[Any]] = {}
