"""What may be asked of policies and jobs."""

from datetime import date, datetime
from typing import Any

from ledger.commands.ask import Command, Keys


class FinishJob(Command, kw_only=True):
    """Say that a job has done all that was due as of an instant."""

    job: str
    as_of: datetime
    allow_future: bool = False

    def relies_on(self) -> Keys:
        return {"job_so_far": f"job:{self.job}"}


class PublishPolicy(Command, kw_only=True):
    """Give some keys of the rule book of numbers new values from a date on."""

    effective_on: date
    changes: dict[str, Any]
    note: str | None = None

    def relies_on(self) -> Keys:
        return {"policies": "policies"}
