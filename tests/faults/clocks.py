"""A server whose clock jumps."""

from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

from ledger import opening
from tests.faults.serving import serve

EVERY_SECONDS = 0.5
BACK = timedelta(hours=3)


def jumping_now(begun: float) -> datetime:
    """Right for half a second, three hours slow for the next, and so on."""
    is_slow = int((monotonic() - begun) / EVERY_SECONDS) % 2
    return datetime.now(UTC) - is_slow * BACK


def serve_with_a_jumping_clock() -> None:
    """`timebank serve`, whose ledger looks at that clock."""
    given = opening.open_ledger
    opening.open_ledger = partial(given, clock=partial(jumping_now, monotonic()))  # type: ignore[assignment]
    serve()
