"""Sets a paper with Typst: its own fonts and layouts, and data that is never read as markup."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias, cast

import typst

from projections.papers.glyphs import FONTS, printable

TEMPLATES = Path(__file__).with_name("templates")

Template = Literal["statement", "document"]
Fields: TypeAlias = "str | Sequence[Fields] | Mapping[str, Fields] | None"

_one_at_a_time = Lock()


def typeset(template: Template, fields: Mapping[str, Fields], made_at: datetime) -> bytes:
    """The PDF; the same fields and instant give the same bytes. Any number of threads may ask."""
    said = json.dumps(_printable(fields), ensure_ascii=False)
    with _one_at_a_time:
        made = _compiler().compile(
            TEMPLATES / f"{template}.typ",
            format="pdf",
            sys_inputs={"fields": said},
            pdf_standards="a-2a",  # for keeping, with tags for being read aloud
            timestamp=made_at.replace(microsecond=0),  # a PDF counts in seconds
        )
    return cast(bytes, made)  # one document in PDF, not a list of pages


@cache
def _compiler() -> typst.Compiler:
    """Made at the first paper, with our fonts and none of the system's or of Typst's own."""
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS]
    )
    return typst.Compiler(root=TEMPLATES, font_paths=fonts)


def _printable(fields: Fields) -> Fields:
    match fields:
        case str():
            return printable(fields)
        case None:
            return None
        case Mapping():
            return {name: _printable(inner) for name, inner in fields.items()}
        case _:
            return [_printable(inner) for inner in fields]
