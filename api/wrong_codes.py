"""Counts wrong codes by the number of the paper that they were tried for, and says when to stop."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

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

    def too_many(self, number: str) -> bool:
        """Were so many wrong ones tried that nothing is answered for a while?"""
        tries, since = self._tried.get(number, (0, 0.0))
        return tries >= TRIES and self._clock() - since < WINDOW_SECONDS

    def count(self, number: str) -> None:
        """One more was wrong."""
        tries, since = self._tried.pop(number, (0, 0.0))
        now = self._clock()
        fresh = now - since >= WINDOW_SECONDS
        self._tried[number] = (1, now) if fresh else (tries + 1, since)
        while len(self._tried) > NUMBERS_MAX:
            self._tried.popitem(last=False)
