"""Grades: what an administrator's override says of a subject, as long as it holds."""

from datetime import date

from ledger.commands import OverrideGrade
from ledger.events import Event, GradeName, GradeOverridden
from ledger.policy import Policies
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.units import Refused


class Grade:
    """The grade of one subject."""

    def __init__(self) -> None:
        self.override: GradeOverridden | None = None

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about the grade."""
        if isinstance(event, GradeOverridden):
            self.override = event

    def in_force(self, day: date) -> GradeName | None:
        """The grade on a date; None where there is none."""
        override = self.override
        if override is None or day.isoformat() > override.until:
            return None
        return override.grade


def override_grade(
    command: OverrideGrade,
    grade: Grade,
    policies: Policies,
    organisation: Organisation | None = None,
    member: Member | None = None,
) -> list[Event]:
    """Say what a subject's grade is until a date, whatever it would come to."""
    known = (organisation is not None and organisation.added is not None) or (
        member is not None and member.home is not None
    )
    if not known:
        raise Refused("not_found", what=command.subject)
    today = policies.recording(command.at).today
    if command.until < today:
        raise Refused("over_already", until=command.until.isoformat(), today=today.isoformat())
    return [
        GradeOverridden(
            subject=command.subject,
            grade=command.grade,
            reason=command.reason,
            until=command.until.isoformat(),
        )
    ]
