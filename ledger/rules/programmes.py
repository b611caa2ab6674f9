"""Programmes (to come)."""


class Programme:
    """A programme."""

    opened = None
