"""Every test that the documents name against a threat is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`([\w/]+\.py|…)::(\w+)`")


@pytest.mark.parametrize("document", ["security.md", "keys.md"])
def test_every_test_that_is_named_is_there(document: str) -> None:
    files: dict[str, str] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        files[path.name] = files.get(path.name, "") + path.read_text(encoding="utf-8")
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    last, missing, many = "", [], 0
    for file, name in NAMED.findall(text):
        last = last if file == "…" else Path(file).name
        many += 1
        if f"def {name}(" not in files.get(last, ""):
            missing.append(f"{last}::{name}")
    assert missing == []
    assert many > 10
