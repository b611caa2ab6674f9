"""No pattern of ours can be made to take exponential time: none repeats what repeats."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]  # the parsed form of a pattern
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "findall", "finditer", "split"}


PARTED = {
    r"(?P<before>[a-z+]+://([^/?@]*@)?[^/?@,]+)(?P<further>(,[^/?@,]+)+)(?P<after>([/?].*)?)",
}
"""Each round begins with a sign that stands in none, so that there is one way to take a text."""


def patterns() -> list[tuple[str, str]]:
    """What `re` is given where it is spelled out, and every pattern of a path or field."""
    found = []
    for floor in ("ledger", "projections", "api", "scripts"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            where = path.relative_to(ROOT).as_posix()
            found += [(where, each) for each in _spelled(ast.parse(path.read_bytes()))]
    return found


def _spelled(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=name),
                args=[ast.Constant(value=str(text)), *_],
            ) if name in FUNCTIONS:
                yield text
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if (
                name.endswith("_PATTERN")
            ):
                yield text


def repeats(parsed: Any, inside: bool = False) -> bool:
    """Does something without end stand in something without end?"""
    for operation, argument in parsed:
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            _, most, inner = argument
            endless = most == _constants.MAXREPEAT
            if (endless and inside) or repeats(inner, inside or endless):
                return True
        elif (operation is _constants.SUBPATTERN and repeats(argument[-1], inside)) or (
            operation is _constants.BRANCH and any(repeats(each, inside) for each in argument[1])
        ):
            return True
    return False


def test_patterns_are_found() -> None:
    assert len(patterns()) > 30
    assert {pattern for _, pattern in patterns()} >= PARTED


@pytest.mark.parametrize(("where", "pattern"), patterns())
def test_no_pattern_repeats_what_repeats(where: str, pattern: str) -> None:
    assert pattern in PARTED or not repeats(_parser.parse(pattern)), where


def test_one_that_does_is_told() -> None:
    assert repeats(_parser.parse(r"^(a+)+$"))
    assert repeats(_parser.parse(r"(?:x|(a*b)*)*"))
    assert not repeats(_parser.parse(r"^a+(b{1,5}){2}$"))
    assert re.fullmatch(r"a+b*", "aab")
