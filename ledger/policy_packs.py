"""Packs: changes for the rule book after what is known of some cities, each with its source.

A pack is a reading of what was published or reported; nobody has issued it.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ledger.refusals import Language


class Pack(NamedTuple):
    """Changes to publish from a date on, and whence they are."""

    name: str
    source: dict[Language, str]
    changes: dict[str, Any]


@cache
def packs() -> dict[str, Pack]:
    """Every pack by its name, in the order of the names."""
    found = files("ledger").joinpath("packs").iterdir()
    texts = {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in found
        if file.name.endswith(".toml")
    }
    return {name: Pack(name, **tomllib.loads(text)) for name, text in sorted(texts.items())}
