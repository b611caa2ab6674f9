"""Periods: months that are closed."""

from datetime import date

from ledger.events import Event


class Periods:
    def __init__(self) -> None:
        self.closed: set[str] = set()

    def apply(self, event: Event, position: int) -> None:
        pass

    def is_closed(self, day: date) -> bool:
        return f"{day:%Y-%m}" in self.closed
