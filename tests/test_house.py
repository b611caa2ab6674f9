"""Keeps the house true: floors, homes, names, tables, texts and stored examples."""

import ast
import logging.config
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from api.app import ROUTES, document
from api.problems import STATUS
from ledger.commands import COMMANDS
from ledger.events import EVENT_TYPES, decode, encode
from ledger.refusals import REFUSALS
from ledger.rules import RULEBOOK
from scripts.cli import main

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("ledger", "projections", "api", "scripts")
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_bytes()) for path in SOURCES}
API_TESTS = sorted((ROOT / "tests" / "api").glob("test_*.py"))

HOMES = {
    *FLOORS,
    "tests",
    "docs",
    "README.md",
    "README.zh.md",
    "CHANGELOG.md",
    "Containerfile",
    "LICENSE",
    "pyproject.toml",
}
HOLLOW_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

MAY_CATCH_EVERYTHING = {
    "ledger/desk.py:_decide_all": "a bug in one job must not undo the other jobs of its batch",
    "ledger/desk.py:_finish": "the thread must live to answer the next batch",
    "api/guard.py:handle": "the edge: logged with its request id, and answered once",
}
"""The functions with an `except Exception`, and why; anywhere else it would hide a bug."""


def test_no_floor_imports_the_one_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # It would silence every logger there is, and tests that look into the log see nothing.
    monkeypatch.setattr(logging.config, "dictConfig", lambda config: None)
    verdict = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert verdict == EXIT_STATUS_SUCCESS


def test_every_file_stands_in_its_home() -> None:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - ignored <= HOMES


def test_no_module_has_a_name_that_names_nothing() -> None:
    named = {part for path in TREES for part in Path(path).with_suffix("").parts}
    assert not named & HOLLOW_NAMES


@pytest.mark.parametrize("path", TREES)
def test_every_module_opens_with_one_sentence(path: str) -> None:
    opening = (ast.get_docstring(TREES[path]) or "").split("\n\n")[0]
    assert opening, "says nothing"
    assert opening[0].isupper() or not opening[0].isalpha()
    assert opening.endswith("."), opening


def test_everything_is_caught_only_where_it_is_named() -> None:
    catching = {f"{path}:{name}" for path, tree in TREES.items() for name in _catch_alls(tree)}
    assert catching == set(MAY_CATCH_EVERYTHING)


def test_lock_files_hash_everything_and_carry_no_address() -> None:
    for lock in (ROOT / "scripts").glob("*.lock"):
        text = lock.read_text()
        assert "://" not in text
        assert all("--hash=sha256:" in pin for pin in re.split(r"\n(?=\S)", text.strip()))


def test_the_two_lock_files_agree() -> None:
    runtime, tests = (
        _pins(f"scripts/{name}.lock") for name in ("requirements", "requirements-test")
    )
    assert {name: runtime[name] for name in runtime.keys() & tests} == {
        name: tests[name] for name in runtime.keys() & tests
    }


def test_everything_asked_for_is_locked() -> None:
    for name in ("requirements", "requirements-test"):
        lines = (ROOT / "scripts" / f"{name}.in").read_text().splitlines()
        asked = {
            re.split(r"[\[<>=~!; ]", line)[0] for line in lines if line and line[0] not in "#-"
        }
        assert asked <= _pins(f"scripts/{name}.lock").keys()


# --- the four tables -----------------------------------------------------------------------------


def test_every_command_has_a_rule() -> None:
    assert set(RULEBOOK) == set(COMMANDS)


def test_every_route_is_documented() -> None:
    described = {
        (method.upper(), path) for path, verbs in document()["paths"].items() for method in verbs
    }
    assert {(route.method, route.path) for route in ROUTES} == described


def test_every_route_is_called_by_name_in_a_test() -> None:
    called = {route for path in API_TESTS for route in _routes_called(ast.parse(path.read_bytes()))}
    assert {f"{route.method} {route.path}" for route in ROUTES} - called == set()


def test_every_verb_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in _verbs(main) if f"timebank {verb}" not in readme] == []


# --- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_is_said_in_chinese_and_english(code: str) -> None:
    said = REFUSALS[code]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    for zh, en in ((said.title_zh, said.title_en), (said.detail_zh, said.detail_en)):
        assert re.search(r"[\u4e00-\u9fff]", zh)
        assert en.isascii()
        assert _places(zh) == _places(en)


def test_every_problem_code_is_a_refusal_with_its_texts() -> None:
    assert STATUS.keys() <= REFUSALS.keys()


def test_every_refusal_that_is_raised_has_its_text_and_what_the_text_needs() -> None:
    for path, tree in TREES.items():
        for code, given in _refusals_raised(tree):
            assert code in REFUSALS, f"{path}: {code}"
            if given is not None:
                assert _places(REFUSALS[code].detail_en) <= given, f"{path}: {code}"


# --- stored examples -----------------------------------------------------------------------------

HISTORY = sorted((ROOT / "tests" / "history").glob("*.ndjson"))


class Stored(msgspec.Struct, forbid_unknown_fields=True):
    """An entry as it stands in an export; `data` byte for byte."""

    data: msgspec.Raw
    position: int
    stream: str
    type: str
    version: int


def test_every_event_has_a_stored_example_with_each_of_its_fields() -> None:
    seen: dict[str, set[str]] = {}
    for stored in _stored():
        seen.setdefault(stored.type, set()).update(msgspec.json.decode(stored.data))
    shapes = {
        name: {field.name for field in msgspec.structs.fields(cls)}
        for name, cls in EVENT_TYPES.items()
    }
    assert seen == shapes


@pytest.mark.parametrize("path", HISTORY, ids=lambda path: path.stem)
def test_every_stored_example_reads_and_is_written_the_same(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        stored = msgspec.json.decode(line, type=Stored)
        event = decode(stored.type, bytes(stored.data))
        assert encode(event) == bytes(stored.data)
        assert event.stream == stored.stream
        assert path.stem == stored.type


# --- reading the sources -------------------------------------------------------------------------


def _stored() -> Iterator[Stored]:
    for path in HISTORY:
        for line in path.read_bytes().splitlines():
            yield msgspec.json.decode(line, type=Stored)


def _catch_alls(node: ast.AST, inside: str = "") -> Iterator[str]:
    """The function around each handler that catches every error and does not raise it again."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from _catch_alls(child, name)
                continue
            case ast.ExceptHandler(type=kind, body=body):
                caught = {n.id for n in ast.walk(kind) if isinstance(n, ast.Name)} if kind else {""}
                raised_again = isinstance(body[-1], ast.Raise) and body[-1].exc is None
                if caught & {"", "Exception", "BaseException"} and not raised_again:
                    yield inside
        yield from _catch_alls(child, inside)


def _refusals_raised(tree: ast.Module) -> Iterator[tuple[str, set[str] | None]]:
    """(code, the params given or None where they are not spelled out)."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="Refused"),
                args=[ast.Constant(value=str(code)), *_],
                keywords=given,
            ):
                names = [keyword.arg for keyword in given]
                yield code, None if None in names else {name for name in names if name}


def _routes_called(tree: ast.Module) -> Iterator[str]:
    """What `caller.get("/a")`, `post(caller, path)` or a pair `("GET", f"/a/{b}")` names."""
    shared = [node for node in tree.body if isinstance(node, ast.Assign)]
    for scope in tree.body:
        names: dict[str, list[ast.expr]] = {}
        for node in [*shared, *ast.walk(scope)]:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(scope):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="get" | "post" as verb)
                    | ast.Name(id="get" | "post" as verb),
                    args=said,
                ):
                    method = verb.upper()
                case (
                    ast.Call(args=[ast.Constant(value=str(method)), *said])
                    | ast.Tuple(elts=[ast.Constant(value=str(method)), *said])
                ):
                    pass
                case _:
                    continue
            for path in (text for part in said[:2] for text in _texts(part, names)):
                yield from _route(method, path)


def _route(method: str, path: str) -> Iterator[str]:
    """The route that a request goes to: of those that fit, the one with fewest named places."""
    fitting = [
        route
        for route in ROUTES
        if route.method == method
        and re.fullmatch(
            re.sub(r"{\w+}", "[^/]+", route.pattern.replace("{tile:.+}", ".+")),
            path.partition("?")[0],
        )
    ]
    for route in sorted(fitting, key=lambda route: len(route.path_names))[:1]:
        yield f"{route.method} {route.path}"


def _texts(node: ast.expr, names: Mapping[str, list[ast.expr]]) -> list[str]:
    """The strings that an expression may stand for; what comes in at run time reads as a letter."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            found = [""]
            for part in parts:
                found = [before + text for before in found for text in _texts(part, names)]
            return found
        case ast.FormattedValue(value=inner):
            return _texts(inner, names)
        case ast.Name(id=name) if name in names:
            known = {key: value for key, value in names.items() if key != name}
            return [text for value in names[name] for text in _texts(value, known)]
        case _:
            return ["x"]


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def _verbs(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _verbs(command, f"{before}{name} ")
        else:
            yield before + name
