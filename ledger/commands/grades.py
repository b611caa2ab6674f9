"""What may be asked of grades and indexes: compute them as a job does, appeal, decide."""

from datetime import date, datetime
from typing import Any

import msgspec

from ledger.commands.ask import GRADES, INDEX, Command, Keys
from ledger.events import GradeName, Verdict


class Counts(msgspec.Struct):
    """What a subject's window holds."""

    ratings: int = 0
    stars: int = 0
    served: int = 0
    punctual: int = 0
    minutes: int = 0
    volunteers: int = 0
    upheld: int = 0
    for_cause: int = 0


class IndexCounts(msgspec.Struct):
    """What a unit's month holds."""

    supervised_volunteers: int = 0
    active_volunteers: int = 0
    supervision_hours: int = 0
    service_minutes: int = 0
    trainings_applied: int = 0
    trainings_due: int = 0
    satisfied_ratings: int = 0
    ratings: int = 0
    registered_supervisors: int = 0
    supervisors: int = 0


class ComputeGrade(Command, kw_only=True):
    """Say what a subject's window came to, as it was counted from the journal."""

    subject: str
    as_of: datetime
    window_from: date
    counts: Counts
    counted_to: int

    def relies_on(self) -> Keys:
        return {
            "grade": f"grade:{self.subject}",
            "job": f"job:{GRADES}",
            "policies": "policies",
        }


class ComputeSupervisionIndex(Command, kw_only=True):
    """Say what a unit's month came to, as it was counted from the journal."""

    unit: str
    month: str
    as_of: datetime
    counts: IndexCounts
    counted_to: int

    def relies_on(self) -> Keys:
        return {
            "index": f"index:{self.unit}",
            "job": f"job:{INDEX}",
            "policies": "policies",
        }


class AppealGrade(Command, kw_only=True):
    """Ask that a person look at a grade."""

    appeal_id: str
    subject: str
    reason: str
    organisation: str | None  # whose verifier asks; None: the member, or an administrator

    def relies_on(self) -> Keys:
        keys = {"grade": f"grade:{self.subject}"}
        kind, _, _ = self.subject.partition(":")
        return {**keys, kind: self.subject}


class DecideAppeal(Command, kw_only=True):
    """Decide an appeal, perhaps by saying which grade holds until a date."""

    subject: str
    outcome: Verdict
    reason: str
    grade_name: GradeName | None = None
    until: date | None = None

    def relies_on(self) -> Keys:
        return {"grade": f"grade:{self.subject}", "policies": "policies"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        appeal = states["grade"].appeal
        if appeal is None or "author" in states:
            return {}
        return {"author": f"actor:{appeal.actor}"}
