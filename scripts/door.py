"""Where the command line comes in: its settings, the ledger they open, and what it asks there."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ledger.settings import Settings


def settings(**flags: object) -> "Settings":
    """The settings as they are now; what was typed before the verb goes first."""
    from ledger.settings import Settings

    context = click.get_current_context(silent=True)
    typed = (context.find_root().obj or {}) if context is not None else {}
    return Settings.load(**{**typed, **flags})
