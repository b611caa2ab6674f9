"""Whether entries are sound by themselves, one after the other: leaf, fact, stream, sum, time."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ledger import journal, store
from ledger.events import EVENT_TYPES, MOVING, Event, decode
from ledger.faults import Fault, Wrong

_sha256 = hashlib.sha256


class Soundness:
    """Reads a journal from its beginning, page by page."""

    def __init__(self) -> None:
        self.position = 0  # all up to here was found sound
        self.foreign = 0  # entries of a type that is not ours: their leaves alone are known
        self._recorded_at = ""

    def read(
        self, rows: Sequence[store.Row], *, leaves_only: bool = False
    ) -> tuple[list[Event], Wrong | None]:
        """The facts of the rows that follow, up to the first row that is wrong.

        `leaves_only`: their facts were read before, so no fact is.
        """
        events: list[Event] = []
        place = self.position
        wrong: Wrong | None = None
        for row in rows:
            place += 1
            fault = _leaf_fault(row, place)
            if fault is None and not leaves_only:
                fault = self._fact_fault(row, events)
            if fault is not None:
                wrong = Wrong(place, fault)
                break
        self.position = place if wrong is None else place - 1
        return events, wrong

    def _fact_fault(self, row: store.Row, events: list[Event]) -> Fault | None:
        _, stream, _, type_name, data, _ = row
        kind = _KINDS.get(type_name)
        if kind is None:
            self.foreign += 1
            events.append(journal.FOREIGN)
            return None
        try:
            event: Any = decode(type_name, data)
        except (msgspec.MsgspecError, ValueError):
            return "unreadable"
        if stream != (kind.prefix + getattr(event, kind.key) if kind.key else kind.prefix):
            return "stream"
        if kind.has_lines:
            left = 0
            for _, credits in event.entries:
                left += credits
            if left:
                return "sum"
        if event.recorded_at < self._recorded_at:
            return "recorded_at"
        self._recorded_at = event.recorded_at
        events.append(event)
        return None


class _Kind(NamedTuple):
    """What a type's facts have in common: the stream's name but for the key, and lines or none."""

    prefix: str
    key: str
    has_lines: bool


def _leaf_fault(row: store.Row, place: int) -> Fault | None:
    position, stream, version, type_name, data, leaf = row
    if position != place:
        return "position_missing"
    try:
        spelled = store.entry_bytes(position, stream, version, type_name, data)
    except (store.EntryTooLarge, TypeError):
        return "leaf"
    return None if _sha256(b"\0" + spelled).digest() == leaf else "leaf"


def _kind(event: type[Event]) -> _Kind:
    prefix = f"{event.stream_prefix}:" if event.stream_key else event.stream_prefix
    return _Kind(prefix, event.stream_key, event.__name__ in MOVING)


_KINDS = {name: _kind(event) for name, event in EVENT_TYPES.items()}
