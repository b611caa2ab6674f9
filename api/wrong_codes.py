"""Counts wrong codes by the number of the paper that they were tried for, and says when to stop."""

from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from time import monotonic

from ledger.units import Refused

TRIES = 10
WINDOW_SECONDS = 900.0
NUMBERS_MAX = 10_000


class WrongCodes:
    """Of one process. A code has 80 bits; this keeps even a leaked half of one from being guessed.

    Numbers that are no paper's count like others, so that nothing tells the ones that are.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._tried: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how often, since when

    def refuse_too_many(self, number: str) -> None:
        """Pass, unless so many wrong ones were tried that nothing is answered for a while."""
        tries, since = self._tried.get(number, (0, 0.0))
        left = since + WINDOW_SECONDS - self._clock()
        if tries >= TRIES and left > 0:
            raise Refused("too_many_requests", seconds=ceil(left))

    def count(self, number: str) -> None:
        """One more was wrong."""
        tries, since = self._tried.pop(number, (0, 0.0))
        now = self._clock()
        fresh = now - since >= WINDOW_SECONDS
        self._tried[number] = (1, now) if fresh else (tries + 1, since)
        while len(self._tried) > NUMBERS_MAX:
            self._tried.popitem(last=False)
