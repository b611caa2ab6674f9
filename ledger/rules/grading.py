"""Grades."""

from datetime import date

from ledger.events import Event


class Grade:
    def __init__(self) -> None:
        pass

    def apply(self, event: Event, position: int) -> None:
        pass

    def in_force(self, day: date) -> str | None:
        return None
