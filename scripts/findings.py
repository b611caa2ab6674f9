"""What a check of `timebank doctor` found: all is well, look at it, or mend it."""

from typing import NamedTuple

from scripts.printing import Exit
from scripts.sayings import said


class Finding(NamedTuple):
    """What a check found."""

    status: str  # ok, warning, wrong
    detail: str
    exit_code: Exit = Exit.OK


def ok(code: str, /, **params: object) -> Finding:
    """All is as it should be."""
    return Finding("ok", said(code, **params))


def warning(code: str, /, **params: object) -> Finding:
    """It works, and should be looked at."""
    return Finding("warning", said(code, **params))


def wrong(code: str, /, **params: object) -> Finding:
    """It must be mended."""
    return Finding("wrong", said(code, **params), Exit.WRONG)
