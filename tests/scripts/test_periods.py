"""Closing months from the command line."""

import pytest

from scripts.printing import Exit
from tests.scripts.typed import timebank


def test_a_month_is_closed_and_reopened(made):
    assert timebank("period close 2026-01 --reason 月结 --json").json == {
        "month": "2026-01",
        "status": "closed",
        "reason": "月结",
        "position": 1,
    }
    assert timebank("period close 2026-01").code == Exit.REFUSED
    assert timebank("period reopen 2026-01").code == 0
    assert timebank("period reopen 2026-01").code == Exit.REFUSED


@pytest.mark.parametrize("typed", ["2999-01", "2999-12 --reason x"])
def test_a_month_that_is_not_over_is_refused(made, typed):
    said = timebank(f"period close {typed}")
    assert (said.code, "is not over" in said.err) == (Exit.REFUSED, True)


@pytest.mark.parametrize("typed", ["2026", "2026-13", "January", ""])
def test_what_is_no_month_is_usage(made, typed):
    assert timebank(f"period close {typed}").code == Exit.USAGE
    assert timebank(f"period reopen {typed}").code == Exit.USAGE
