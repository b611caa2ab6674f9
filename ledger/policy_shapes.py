"""What the value of a policy key may be: a few shapes, each with the value that holds at first.

A shape finds everything that is wrong with a value, each at its place; `problem` is a word of
`ledger.refusals`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import available_timezones

Place = tuple[str, ...]
"""The names on the way into `changes`, the key first."""


class WrongShape(NamedTuple):
    """A value that its key does not allow: where, and what is wrong."""

    place: Place
    problem: str

    @property
    def path(self) -> str:
        """The place as a JSON pointer into `changes` (RFC 6901, section 3)."""
        return "".join(f"/{_escaped(part)}" for part in self.place)


Check = Callable[[Place, Any], Iterator[WrongShape]]


class Shape(NamedTuple):
    """The value that holds until another is published, and what another must be."""

    default: Any
    check: Check


# --- single values -------------------------------------------------------------------------------


def number(default: int, *, least: int = 0, most: int) -> Shape:
    """A whole number, never a float or a bool."""

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if type(value) is not int:  # a bool is no number
            yield WrongShape(place, "whole_number_expected")
        elif not least <= value <= most:
            yield WrongShape(place, "out_of_range")

    return Shape(default, check)


def one_of(default: str, *others: str) -> Shape:
    """One of some words."""
    allowed = {default, *others}

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, str) or value not in allowed:
            yield WrongShape(place, "not_one_of_the_allowed")

    return Shape(default, check)


def text(default: str, *, longest: int) -> Shape:
    """A line of text in which there is something to see."""

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, str) or _LINE.fullmatch(value) is None or not value.strip():
            yield WrongShape(place, "text_expected")
        elif len(value) > longest:
            yield WrongShape(place, "too_long")

    return Shape(default, check)


def zone(default: str) -> Shape:
    """The name of a time zone that this machine knows."""

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, str) or value not in _zone_names():
            yield WrongShape(place, "unknown_zone")

    return Shape(default, check)


def or_null(inner: Shape) -> Shape:
    """The shape, or null; null at first."""

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if value is not None:
            yield from inner.check(place, value)

    return Shape(None, check)


# --- lists ---------------------------------------------------------------------------------------


def dates() -> Shape:
    """A list of ISO 8601 dates; empty at first."""

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, list):
            yield WrongShape(place, "list_expected")
            return
        for index, day in enumerate(value):
            if not _is_date(day):
                yield WrongShape((*place, str(index)), "date_expected")

    return Shape([], check)


def distinct_texts(default: list[str], *, longest: int) -> Shape:
    """A list of short texts, each of them once."""
    each = text("", longest=longest)

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, list):
            yield WrongShape(place, "list_expected")
            return
        for index, item in enumerate(value):
            there = (*place, str(index))
            yield from each.check(there, item)
            if item in value[:index]:
                yield WrongShape(there, "named_twice")

    return Shape(default, check)


def rising_numbers(default: list[int], *, items_max: int, most: int) -> Shape:
    """A list of positive whole numbers, each above the one before."""
    each = number(1, least=1, most=most)

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, list):
            yield WrongShape(place, "list_expected")
            return
        if not 1 <= len(value) <= items_max:
            yield WrongShape(place, "wrong_length")
        before = 0
        for index, item in enumerate(value):
            there = (*place, str(index))
            wrong = list(each.check(there, item))
            yield from wrong
            if wrong:
                continue
            if item <= before:
                yield WrongShape(there, "not_above_the_one_before")
            before = item

    return Shape(default, check)


# --- objects -------------------------------------------------------------------------------------


def fields(**shapes: Shape) -> Shape:
    """An object of these names; those left out of a publication take the default's value."""
    return Shape({name: shape.default for name, shape in shapes.items()}, _some_of(shapes))


def weights(whole: int, **shares: int) -> Shape:
    """Shares of a whole, by name: with the default's for those left out they sum up to it."""
    some = _some_of({name: number(share, most=whole) for name, share in shares.items()})

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        wrong = list(some(place, value))
        yield from wrong
        if not wrong and sum({**shares, **value}.values()) != whole:
            yield WrongShape(place, "wrong_total")

    return Shape(dict(shares), check)


def optional_fields(**shapes: Shape) -> Shape:
    """An object of some of these names; what is left out is not asked. Empty at first."""
    return Shape({}, _some_of(shapes))


def fields_or_null(**shapes: Shape) -> Shape:
    """Null, as at first, or an object of all these names: there is no default to fill it from."""
    some = _some_of(shapes)

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        yield from some(place, value)
        if isinstance(value, dict):
            for name in shapes:
                if name not in value:
                    yield WrongShape((*place, name), "value_needed")

    return or_null(Shape(None, check))


def by_name(inner: Shape, *, pattern: str | None = None) -> Shape:
    """An object whose names are the publisher's own, all of one shape; empty at first."""
    fits = re.compile(pattern or ".*", re.ASCII | re.DOTALL).fullmatch

    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, dict):
            yield WrongShape(place, "object_expected")
            return
        for name, item in value.items():
            if fits(name):
                yield from inner.check((*place, name), item)
            else:
                yield WrongShape((*place, name), "code_expected")

    return Shape({}, check)


def _some_of(shapes: Mapping[str, Shape]) -> Check:
    def check(place: Place, value: Any) -> Iterator[WrongShape]:
        if not isinstance(value, dict):
            yield WrongShape(place, "object_expected")
            return
        for name, inner in value.items():
            if name in shapes:
                yield from shapes[name].check((*place, name), inner)
            else:
                yield WrongShape((*place, name), "unknown_key")

    return check


# --- what single values need ---------------------------------------------------------------------

_LINE = re.compile(r"[^\u0000-\u001F\u007F-\u009F\u2028\u2029]+")  # no controls, no line ends


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_date(value: Any) -> bool:
    """Is it spelled as dates are compared? Python reads `2026-W10-5` as a date too."""
    if not isinstance(value, str):
        return False
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
