"""Balances that facts of many streams move: of pools and funds, and the stock of rewards."""

from ledger.events import Event

SHARED = ("pool:", "org:", "issue:grant:")
"""How the names begin of the accounts whose balance a rule may rely on."""


class SharedBalance:
    """What such an account holds; of a stock, `stock:<code>`, how many items."""

    def __init__(self, account: str, credits: int = 0) -> None:
        self.account = account
        self.credits = credits

    def apply(self, event: Event, position: int) -> None:
        """Take in a fact that may move it."""
        self.credits += moved(event).get(self.account, 0)


def moved(event: Event) -> dict[str, int]:
    """What a fact changes of such accounts; mostly nothing."""
    changes: dict[str, int] = dict(event.stock_lines)
    for account, credits in getattr(event, "entries", ()):
        if account.startswith(SHARED):
            changes[account] = changes.get(account, 0) + credits
    return changes
