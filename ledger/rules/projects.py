"""Projects (to come)."""


class Project:
    """A project."""

    begun = None
