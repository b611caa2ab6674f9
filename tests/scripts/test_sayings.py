"""What the command line says of its own is said in Chinese and English alike."""

import ast
import re
import string
from pathlib import Path
from typing import get_args

import pytest

from ledger.faults import Fault
from scripts.sayings import SAYINGS

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", SAYINGS)
def test_every_saying_is_said_in_both_languages_with_the_same_places(code):
    zh, en = SAYINGS[code]
    assert places(zh) == places(en)
    assert en.replace("…", "...").isascii()
    words = re.sub(r"\{\w+\}", "", zh).strip()
    assert not words or re.search(r"[\u4e00-\u9fff：]", words), zh


def test_every_fault_of_a_verification_has_its_saying():
    assert {f"wrong_{fault}" for fault in get_args(Fault)} <= set(SAYINGS)


def test_every_saying_that_is_asked_for_exists_and_none_is_idle():
    asked = set()
    for path in SCRIPTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                asked.add(node.value)
    idle = {code for code in SAYINGS if code not in asked and not code.startswith("wrong_")}
    assert idle == set()


@pytest.mark.parametrize(
    "call", ["said", "Stopped", "_saying", "progress", "ok", "warning", "wrong"]
)
def test_every_code_in_a_call_has_its_saying(call):
    for path in SCRIPTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]):
                    assert name != call or code in SAYINGS, f"{path.name}: {code}"
