"""The time account of one person: which time is counted already, and what stands to its name."""

from array import array
from bisect import bisect_left

from ledger.events import (
    Event,
    HoursSubmitted,
    HoursVerified,
    SubmittedHoursVerified,
)
from ledger.units import Credits, Minutes, epoch_micros, instant

Interval = tuple[int, int]
"""Start and end, in microseconds since 1970 (UTC); the end is not in it."""


class TimeAccount:
    """A person's counted intervals and balances, folded from the account's stream."""

    def __init__(self) -> None:
        # the intervals of verified records, in order of start: 16 bytes each, for decades
        self.starts = array("q")
        self.ends = array("q")
        self.longest = 0  # the length of the longest of them
        self.waiting: dict[str, Interval] = {}  # of submitted records
        self.minutes = Minutes(0)
        self.available = Credits(0)

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this account."""
        match event:
            case HoursVerified():
                self._count(interval(event.started_at, event.ended_at), event)
            case HoursSubmitted():
                self.waiting[event.record_id] = interval(event.started_at, event.ended_at)
            case SubmittedHoursVerified():
                self._count(self.waiting.pop(event.record_id), event)
            case _:
                self.waiting.pop(getattr(event, "record_id", ""), None)

    def _count(self, span: Interval, event: HoursVerified | SubmittedHoursVerified) -> None:
        start, end = span
        place = bisect_left(self.starts, start)
        self.starts.insert(place, start)
        self.ends.insert(place, end)
        self.longest = max(self.longest, end - start)
        self.minutes = Minutes(self.minutes + event.minutes)
        self.available = Credits(self.available + event.credits)

    def unoccupied_micros(self, span: Interval) -> int:
        """How much of a span no verified record occupies yet.

        Only those that start no earlier than the longest one lasts before it can reach in.
        """
        start, end = span
        free, reached = 0, start
        for index in range(bisect_left(self.starts, start - self.longest), len(self.starts)):
            other_start, other_end = self.starts[index], self.ends[index]
            if other_start >= end:
                break
            if other_start > reached:
                free += other_start - reached
            if other_end > reached:
                reached = other_end
        return free + max(0, end - reached)


def interval(started_at: str, ended_at: str) -> Interval:
    """The interval between two instants as events spell them."""
    return epoch_micros(instant(started_at)), epoch_micros(instant(ended_at))
