"""What may be asked of the field: units, organisations, grades, closed months."""

from datetime import date

from ledger.commands.ask import Command, Keys
from ledger.events import (
    GradeName,
    OrganisationKind,
    UnitLevel,
)


class AddUnit(Command, kw_only=True):
    """Put a unit into the tree."""

    code: str
    name: str
    level: UnitLevel
    parent: str | None = None

    def relies_on(self) -> Keys:
        keys = {"unit": f"unit:{self.code}"}
        if self.parent is not None:
            keys["parent"] = f"unit:{self.parent}"
        return keys


class AddOrganisation(Command, kw_only=True):
    """Register an organisation at a unit."""

    code: str
    name: str
    kind: OrganisationKind
    unit: str

    def relies_on(self) -> Keys:
        return {"organisation": f"organisation:{self.code}", "seat": f"unit:{self.unit}"}


class SuspendOrganisation(Command, kw_only=True):
    """Stop an organisation's posting."""

    code: str
    reason: str

    def relies_on(self) -> Keys:
        return {"organisation": f"organisation:{self.code}"}


class ResumeOrganisation(Command, kw_only=True):
    """Let a suspended organisation post again."""

    code: str
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"organisation": f"organisation:{self.code}"}


class OverrideGrade(Command, kw_only=True):
    """Say what a subject's grade is until a date."""

    subject: str  # `member:<id>`, `organisation:<code>` or `project:<id>`
    grade: GradeName
    reason: str
    until: date

    def relies_on(self) -> Keys:
        keys = {"grade": f"grade:{self.subject}", "policies": "policies"}
        kind, _, _ = self.subject.partition(":")
        return {**keys, kind: self.subject}


class ClosePeriod(Command, kw_only=True):
    """Close a month of service dates."""

    month: str  # YYYY-MM
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"periods": "periods", "policies": "policies"}


class ReopenPeriod(Command, kw_only=True):
    """Let a closed month be posted to again."""

    month: str  # YYYY-MM
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"periods": "periods"}
