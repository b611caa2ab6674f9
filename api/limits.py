"""What one key may ask in a minute and at once, and what strangers may cost: of this process."""

from collections.abc import Callable
from math import ceil, inf
from time import monotonic

from ledger.units import Refused

MINUTE_SECONDS = 60.0
KIB = 1024
BODIES_OF_A_KEY = 2  # of the largest size, held in memory
BODIES_IN_ALL = 8
HELD_BYTES_MIN = 64 * KIB  # smaller bodies are bounded by how many requests are under way
KEYS_MAX = 10_000  # remembered, before those that rest are forgotten
_ROUNDING = 1e-6  # seconds: who waited as told is let in
STRANGERS_PER_SECOND = 100.0  # a look-up in the database
TOKENS_PER_SECOND = 1_000.0  # a signature that is verified
STRANGERS_AT_ONCE = 1_000.0


class Use:
    """What a key has under way, and when its bucket is full again."""

    __slots__ = ("full_at", "held_bytes", "under_way")

    def __init__(self) -> None:
        self.full_at = -inf
        self.under_way = 0
        self.held_bytes = 0  # of bodies in memory


class KeyLimits:
    """A bucket for each key, and what it has under way.

    A bucket holds a minute's requests and fills up evenly; of a key only the instant is kept at
    which its bucket is full again (the generic cell rate algorithm of ATM Forum TM 4.0). A body
    costs a further request for each KiB after the first: a batch is charged for its size, which
    is what it costs, and is known before anything is parsed. What a request costs beyond the first
    is owed: the request is let in, and the next ones wait.
    """

    def __init__(
        self,
        per_minute: int,
        at_once: int,
        body_bytes_max: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._step = MINUTE_SECONDS / per_minute if per_minute else 0.0  # seconds of one request
        self._at_once = at_once or inf
        self._bytes_of_a_key = BODIES_OF_A_KEY * body_bytes_max
        self._bytes_in_all = BODIES_IN_ALL * body_bytes_max
        self._clock = clock
        self._uses: dict[str, Use] = {}  # by key id, of keys that are in the table
        self._held_in_all = 0

    def enter(self, key_id: str) -> Use:
        """Let a request in, or refuse it with the seconds to wait; who is let in leaves."""
        now = self._clock()
        use = self._uses.get(key_id)
        if use is None:
            use = self._remember(key_id, now)
        if use.under_way >= self._at_once:
            raise Refused("too_many_requests", seconds=1)
        full_at = (use.full_at if use.full_at > now else now) + self._step
        over = full_at - now - MINUTE_SECONDS
        if over > _ROUNDING:
            raise Refused("too_many_requests", seconds=ceil(over))
        use.full_at = full_at
        use.under_way += 1
        return use

    def charge(self, use: Use, body_bytes: int) -> None:
        """Let the key owe what its body costs beyond the request itself."""
        use.full_at += self._step * (max(0, body_bytes - 1) // KIB)

    def hold(self, use: Use, body_bytes: int) -> None:
        """Keep so much more of bodies in memory, or refuse to."""
        if use.held_bytes + body_bytes > self._bytes_of_a_key:
            raise Refused("too_many_requests", seconds=1)
        if self._held_in_all + body_bytes > self._bytes_in_all:
            raise Refused("busy")
        use.held_bytes += body_bytes
        self._held_in_all += body_bytes

    def leave(self, use: Use, held_bytes: int = 0) -> None:
        """A request that was let in is answered; so much of its body was held."""
        use.under_way -= 1
        if held_bytes:
            use.held_bytes -= held_bytes
            self._held_in_all -= held_bytes

    def _remember(self, key_id: str, now: float) -> Use:
        if len(self._uses) >= KEYS_MAX:
            self._uses = {
                known: use
                for known, use in self._uses.items()
                if use.under_way or use.full_at > now
            }
        use = self._uses[key_id] = Use()
        return use


class Strangers:
    """How many keys and tokens that nobody has seen before are looked up in a second.

    Whoever turns out to be known costs nothing; so a server that starts meets all its callers.
    """

    def __init__(
        self,
        per_second: float = STRANGERS_PER_SECOND,
        at_once: float = STRANGERS_AT_ONCE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._clock = clock
        self._left = at_once
        self._as_of = clock()

    def enter(self) -> None:
        """Look one up, or refuse to for now."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._as_of) * self._per_second)
        self._as_of = now
        if self._left < 1:
            raise Refused("too_many_requests", seconds=ceil((1 - self._left) / self._per_second))
        self._left -= 1

    def was_known(self) -> None:
        """The one that was let in last is no stranger."""
        self._left = min(self._at_once, self._left + 1)
