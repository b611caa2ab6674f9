"""How often what is left to chance is tried: CI's number, or so many times it where one asks.

`TIMEBANK_TEST_ROUNDS=5 python3 scripts/bootstrap.py test tests/faults tests/desk`
"""

import os

_TIMES = int(os.environ.get("TIMEBANK_TEST_ROUNDS", "1"))


def rounds(in_ci: int) -> int:
    """What CI takes, multiplied."""
    return in_ci * _TIMES
