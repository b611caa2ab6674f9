"""The guide for auditors is followed to the letter: every command in it runs, and all agree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.tools import GO_SOURCES, needed, needs_go
from tests.scripts.typed import ROOT, run, started

GUIDE = ROOT / "docs" / "auditors.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """(language, text) of what is to be run; what is only to be read is marked as text."""
    found = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    return [(language, text) for language, text in found if language != "text"]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An auditor's folder: the two programs of the guide, and our verb under its name."""
    needs_go()
    for tool in ("jq", "curl", "openssl", "hledger"):
        needed(shutil.which(tool), tool)
    for path in (ROOT / "scripts" / "verify_export.py", ROOT / "docs" / "auditors" / "verify.go"):
        shutil.copy(path, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, does in (
        ("timebank", f'exec env PYTHONPATH="{ROOT}" "{sys.executable}" -m scripts.cli "$@"'),
        ("python3", f'exec "{sys.executable}" -I "$@"'),  # nothing of the repository at hand
        ("apt-get", "exit 0"),  # what it would install is there
    ):
        path = tools / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
    return tmp_path


def test_every_command_of_the_guide_runs_and_all_tools_agree(desk: Path) -> None:
    settings = {
        "TIMEBANK_DATABASE_URL": f"sqlite:///{desk}/d/timebank.db",
        "TIMEBANK_KEYS_FILE": f"{desk}/d/timebank-keys.json",
        "TIMEBANK_LANG": "en",
        "TIMEBANK_JOBS_EVERY_MINUTES": "0",
    }

    def types(line: str) -> str:
        said = run(line, desk, **settings)
        assert said.code == 0, said.err
        return said.out

    types("demo --size small --seed-only --folder d")
    (desk / "old.note").write_text(types("log checkpoint"))
    types("unit add guide --name 导 --level district")
    key = types("log keys").split()[-1]
    balances = [line.split() for line in types("audit trial-balance").splitlines()]
    member = next(
        row[0].split(":")[1] for row in balances if row[0].endswith(":held") and row[1] != "0"
    )
    token = run("key create --role auditor --actor Anna --json", desk, **settings).json["key"]
    server = started("serve --port 0 --json", desk, **settings)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split('"')[3]
        lines = ["set -euo pipefail", "exec 2>&1"]
        for number, (language, text) in enumerate(blocks()):
            lines.append(f"echo '=== {number}'")
            if language == "python":
                (desk / "sums.py").write_text(text)
                lines.append('python3 sums.py "$MEMBER"')
            else:
                lines.append(text)
        done = subprocess.run(
            ["/bin/bash", "-c", "\n".join(lines)],
            cwd=desk,
            env={
                **settings,
                "PATH": f"{desk / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(desk),
                "GOCACHE": str(desk / "cache"),
                "GOPATH": str(GO_SOURCES),
                "LC_ALL": "C.UTF-8",
                "VKEY": key,
                "MEMBER": member,
                "TOKEN": token,
                "URL": url,
            },
            capture_output=True,
            text=True,
        )
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert done.returncode == 0, done.stdout[-2_000:]
    said = dict(enumerate(re.split(r"^=== \d+\n", done.stdout, flags=re.MULTILINE)[1:]))
    by_text = {text: said[number].strip() for number, (_, text) in enumerate(blocks())}
    told = {answer for text, answer in by_text.items() if "trial-balance.csv" in text}
    assert told == {answer for text, answer in by_text.items() if "jq -r '.data" in text}
    assert told == {answer for text, answer in by_text.items() if "import json" in text}
    (credits,) = (answer for text, answer in by_text.items() if text.startswith("hledger"))
    for line in next(iter(told)).splitlines():
        account, held = line.split(",")
        shown = held == "0" or re.search(rf"\b{held} CREDIT +{re.escape(account)}$", credits, re.M)
        assert shown, (line, credits)
    (hashes,) = (answer for text, answer in by_text.items() if "openssl" in text)
    assert len(set(hashes.splitlines())) == 1
    right = [answer for text, answer in by_text.items() if "verify_export.py" in text]
    assert right[0].count("right: True") == 3
