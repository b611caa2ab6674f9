"""Verifiers of credentials by others, all in one process of node, for whichever test asks."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from projections.papers import linked_data
from projections.papers.linked_data import CONTEXTS
from tests.proof.tools import needs_node

PACKAGES = Path(__file__).resolve().parent / "credentials"
VENDORED = Path(linked_data.__file__).parent / "contexts"

Ask = Callable[[list[dict[str, Any]]], list[Any]]


@contextmanager
def others() -> Iterator[Ask]:
    """What the packages make of cases (`verify.mjs` says of which kinds)."""
    needs_node(PACKAGES)
    files = {url: str(VENDORED / name) for url, name in CONTEXTS.items()}
    command = ["node", str(PACKAGES / "verify.mjs"), json.dumps(files)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        told, heard = node.stdin, node.stdout

        def answer(case: dict[str, Any]) -> Any:
            told.write(json.dumps(case) + "\n")
            return json.loads(heard.readline())

        yield lambda cases: [answer(case) for case in cases]
        told.close()
