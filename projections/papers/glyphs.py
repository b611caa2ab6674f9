"""Which characters the fonts of papers hold; any other is printed as its code point, not a box."""

import re
from functools import cache
from pathlib import Path

FONTS = Path(__file__).with_name("fonts")

_BREAKS = str.maketrans(dict.fromkeys("\t\n\v\f\r\x85\u2028\u2029", " "))
"""A field is one line: a line break in a name must not look like a further field."""


def missing_characters(text: str) -> set[str]:
    """The characters of a text that a paper can only show as their code points.

    Invisible ones are among them: a mark that turns the direction of writing misleads a reader.
    """
    return set(_not_held().findall(text.translate(_BREAKS)))


def printable(text: str) -> str:
    """The text as it is printed: `张[U+31350]` where no font has the second character."""
    return _not_held().sub(lambda found: f"[U+{ord(found[0]):04X}]", text.translate(_BREAKS))


@cache
def _not_held() -> re.Pattern[str]:
    """One character outside the runs of `fonts/coverage.txt`, which was made with the fonts."""
    runs = (line.split() for line in (FONTS / "coverage.txt").read_text("ascii").splitlines())
    held = "".join(rf"\U{int(first, 16):08X}-\U{int(last, 16):08X}" for first, last in runs)
    return re.compile(f"[^{held}]")
