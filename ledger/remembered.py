"""Which member a reference leads to, as found before: bounded, and empty after any erasure."""

import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

FRESH_SECONDS = 0.05
_MEMBERS_MAX = 50_000  # about 12 MB


class Remembered:
    """Which member a digest leads to, as found before: bounded, and emptied by any erasure.

    The vault's count of erasures is asked for at most once in 50 ms. What was looked up under an
    older count than the present one is not kept, so that no answer read before an erasure enters
    after it.
    """

    def __init__(self, clock: Callable[[], float], count_erasures: Callable[[], int]) -> None:
        self._clock = clock
        self._count_erasures = count_erasures
        self._lock = threading.Lock()
        self._members: dict[bytes, str] = {}
        self._erasures = -1
        self._fresh_until = float("-inf")

    def is_fresh(self) -> bool:
        return self._clock() < self._fresh_until

    def refresh(self) -> int:
        """The count of erasures, asked for again where the last answer is 50 ms old."""
        asked_at = self._clock()
        if asked_at >= self._fresh_until:
            self.hear(self._count_erasures())
            self._fresh_until = asked_at + FRESH_SECONDS
        return self._erasures

    def hear(self, erasures: int) -> None:
        """The vault has had so many erasures: what was found before the last of them goes."""
        with self._lock:
            if erasures > self._erasures:
                self._members.clear()
                self._erasures = erasures

    def members(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        with self._lock:
            return {digest: self._members[digest] for digest in digests if digest in self._members}

    def keep(self, members: Mapping[bytes, str], erasures: int) -> None:
        with self._lock:
            if erasures != self._erasures:
                return
            self._members.update(members)
            too_many = max(0, len(self._members) - _MEMBERS_MAX)
            for oldest in list(islice(self._members, too_many)):
                del self._members[oldest]
