"""`timebank unit`: the tree of districts, streets and communities."""

from typing import get_args

import click

from ledger.events import UnitLevel
from scripts.door import ask, checked, opened, stamp
from scripts.printing import Told, verb
from scripts.sayings import explained


@verb(
    click.argument("code"),
    click.option("--name", required=True, help=explained("名称", "its name")),
    click.option("--level", required=True, type=click.Choice(get_args(UnitLevel))),
    click.option("--parent", help=explained("上级单位的代码", "code of the unit above")),
)
def add(code: str, name: str, level: str, parent: str | None) -> Told:
    """Put a unit into the tree."""
    from api.asks import UnitAsk
    from ledger.commands import AddUnit

    asked = checked(UnitAsk, code=code, name=name, level=level, parent=parent)
    with opened() as ledger:
        done = ask(ledger, AddUnit(**stamp(), **asked.model_dump()))
    return Told({**asked.model_dump(), "position": done.position})
