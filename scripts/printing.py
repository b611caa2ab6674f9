"""How a verb answers: a table for people or one JSON value for programs, and an exit code."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from scripts.help_pages import Verb
from scripts.sayings import explained, said

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import TaskID

SHOWN_AFTER_SECONDS = 1.0
PLAIN_LINE_EVERY_SECONDS = 5.0
WIDTH = 400  # of a table at most: no key and no id is cut short, whatever the terminal's width


class Exit(IntEnum):
    """What a verb ends with (CONTRACT, section 3)."""

    OK = 0
    USAGE = 2
    REFUSED = 3
    PARTLY = 4
    WRONG = 5
    UNAVAILABLE = 6


class Stopped(Exception):
    """A verb cannot go on: a saying with its params, and the exit code."""

    def __init__(self, code: str, exit_code: Exit, /, **params: object) -> None:
        super().__init__(code, params)
        self.code = code
        self.exit_code = exit_code
        self.params = params

    def __str__(self) -> str:
        return said(self.code, **self.params)


@dataclass(frozen=True, slots=True)
class Told:
    """What a verb answers: `value` as JSON, `lines` for people (the value's fields, if none)."""

    value: Any
    lines: Sequence["RenderableType"] = field(default=())
    exit_code: Exit = Exit.OK


def verb(
    *params: Callable[..., Any],
) -> Callable[[Callable[..., Told | None]], click.Command]:
    """Make a verb of a function that answers `Told`; every verb takes `--json`.

    A verb that goes on after its answer takes `as_json`, prints by itself, and answers None.
    """

    def make(function: Callable[..., Told | None]) -> click.Command:
        by_itself = "as_json" in function.__annotations__

        def run(as_json: bool, **given: Any) -> int:
            told = function(as_json=as_json, **given) if by_itself else function(**given)
            if told is None:
                return Exit.OK
            print_told(told, as_json=as_json)
            return told.exit_code

        answer: Callable[..., Any] = run
        for param in reversed(params):
            answer = param(answer)
        json_option = click.option(
            "--json", "as_json", is_flag=True, help=explained("以 JSON 输出", "answer in JSON")
        )
        name = function.__name__.strip("_").replace("_", "-")
        made: click.Command = click.command(name, cls=Verb)(json_option(answer))
        return made

    return make


def print_told(told: Told, *, as_json: bool) -> None:
    """Write a verb's answer to standard output; whoever has read enough and gone is no error."""
    try:
        if as_json:
            print_json(told.value)
        else:
            print_lines(told.lines or [fields(told.value)])
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # what is left in the buffer goes there at the end


def print_json(value: Any) -> None:
    """One JSON value, and a line end."""
    import orjson

    data = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


def print_lines(lines: Iterable["RenderableType"]) -> None:
    """For people: text as it is, tables drawn."""
    from rich.console import Console

    out = sys.stdout
    console = Console(
        file=out,
        width=WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )
    with console.capture() as drawn:
        for line in lines:
            console.print(line)
    out.writelines(f"{line.rstrip()}\n" for line in drawn.get().splitlines())
    out.flush()


def fields(value: Mapping[str, Any]) -> "RenderableType":
    """The fields of one thing, a line each."""
    from rich.table import Table

    drawn = Table(box=None, show_header=False, pad_edge=False)
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, content in value.items():
        drawn.add_row(name, _cell(content))
    return drawn


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> "RenderableType":
    """Many things of a kind, a row each; the columns bear the names that JSON gives them."""
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    numbers: set[str] = set()
    kept = list(rows)
    for name in columns:
        if kept and all(type(row.get(name)) in (int, type(None)) for row in kept):
            numbers.add(name)
        drawn.add_column(
            name, justify="right" if name in numbers else "left", no_wrap=name in numbers
        )
    for row in kept:
        drawn.add_row(*(_cell(row.get(name)) for name in columns))
    return drawn


def note(text: str) -> None:
    """A line for people beside the answer, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Progress:
    """How far something has come, on standard error, once it takes longer than a second."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self._started = self._last = monotonic()
        self._bar: Any = None
        self._task: TaskID | None = None

    def to(self, done: int) -> None:
        """So much is done of the total."""
        self.done = done
        now = monotonic()
        if now - self._started < SHOWN_AFTER_SECONDS:
            return
        if sys.stderr.isatty():
            self._draw()
        elif now - self._last >= PLAIN_LINE_EVERY_SECONDS or self._last == self._started:
            self._last = now
            whole = f" / {self.total}" if self.total is not None else ""
            note(f"{self.what} {done}{whole}")

    def add(self, more: int) -> None:
        """So much more is done."""
        self.to(self.done + more)

    def of(self, done: int, total: int) -> None:
        """So much is done, of so much as is known by now."""
        self.total = total
        self.to(done)

    def end(self) -> None:
        """Leave the last state standing."""
        if self._bar is not None:
            self._bar.stop()

    def _draw(self) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(file=sys.stderr),
            )
            self._bar.start()
            self._task = self._bar.add_task(self.what, total=self.total)
        self._bar.update(self._task, completed=self.done, total=self.total)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Progress]:
    """A progress that ends with the block; `what` is a saying's code."""
    shown = Progress(said(what).splitlines()[0], total)
    try:
        yield shown
    finally:
        shown.end()


def _cell(content: Any) -> str:
    match content:
        case None:
            return ""
        case bool():
            return "true" if content else "false"
        case list() | tuple() | dict():
            import orjson

            return orjson.dumps(content).decode()
        case _:
            return str(content)
