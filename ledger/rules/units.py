"""The tree of units: districts, streets, communities."""

from ledger.commands import AddUnit
from ledger.events import Event, UnitAdded
from ledger.units import Refused

DEPTH = {"district": 0, "street": 1, "community": 2}


class Unit:
    """One unit, as far as the rules care."""

    def __init__(self) -> None:
        self.added: UnitAdded | None = None

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this unit."""
        if isinstance(event, UnitAdded):
            self.added = event


def add_unit(command: AddUnit, unit: Unit, parent: Unit | None = None) -> list[Event]:
    """Put a unit into the tree, below its parent where it has one."""
    if unit.added is not None:
        raise Refused("code_taken", pointer="/code", what=command.code)
    if parent is not None:
        if parent.added is None:
            raise Refused("not_found", pointer="/parent", what=command.parent)
        if DEPTH[parent.added.level] >= DEPTH[command.level]:
            raise Refused("wrong_level", level=command.level, parent=parent.added.level)
    return [
        UnitAdded(code=command.code, name=command.name, level=command.level, parent=command.parent)
    ]
