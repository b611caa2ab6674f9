"""How verbs answer: tables for people, one JSON value for programs, progress beside both."""

import io
import sys

import pytest

from scripts import printing
from scripts.printing import Exit, Progress, Told, fields, print_lines, print_told, table


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    at = [100.0]
    monkeypatch.setattr(printing, "monotonic", lambda: at[0])
    monkeypatch.setenv("TIMEBANK_LANG", "en")
    return at


def test_the_exit_codes_are_those_of_the_contract():
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "USAGE": 2,
        "REFUSED": 3,
        "PARTLY": 4,
        "WRONG": 5,
        "UNAVAILABLE": 6,
    }


def test_json_is_one_value_on_one_line(capfdbinary):
    print_told(Told({"name": "湖街", "position": 3}), as_json=True)
    assert capfdbinary.readouterr().out == '{"name":"湖街","position":3}\n'.encode()


def test_people_see_lists_as_tables_without_any_markup_read(capsys):
    rows = [{"code": "a", "name": "[bold]湖街[/bold]", "works": True, "credits": 5}]
    print_lines([table(("code", "name", "works", "credits", "none"), rows)])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["code", "name", "works", "credits", "none"]
    assert shown[2].split() == ["a", "[bold]湖街[/bold]", "true", "5"]


def test_no_line_ends_in_blanks_and_long_values_stay_in_one_piece(capsys):
    print_lines([fields({"short": "a", "long": "x" * 300, "nothing": None})])
    out = capsys.readouterr().out
    assert "x" * 300 in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_what_takes_less_than_a_second_shows_no_progress(clock, capsys):
    shown = Progress("Reading", 100)
    for done in range(100):
        clock[0] += 0.009
        shown.to(done)
    shown.end()
    assert capsys.readouterr().err == ""


def test_where_nobody_looks_progress_is_a_plain_line_now_and_then(clock, capsys):
    shown = Progress("Reading", 1_000)
    for _ in range(60):
        clock[0] += 0.5
        shown.add(10)
    shown.end()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Reading 20 / 1000"
    assert 4 <= len(lines) <= 8


def test_on_a_terminal_it_is_a_bar_on_standard_error(clock, monkeypatch, capsys):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = Progress("Reading", 1_000)
    clock[0] += 2
    shown.to(500)
    shown.to(1_000)
    shown.end()
    assert "Reading" in stream.getvalue()
    assert "1000/1000" in stream.getvalue()
    assert capsys.readouterr().out == ""


def test_a_total_that_nobody_knows_is_left_out(clock, capsys):
    shown = Progress("Reading", None)
    clock[0] += 2
    shown.to(7)
    assert capsys.readouterr().err == "Reading 7\n"
