"""Jobs: how far each has come in time, which passes through them alone."""

from datetime import datetime

from ledger.commands import FinishJob
from ledger.events import Event, JobRan
from ledger.units import Refused, instant, instant_text


class Job:
    """One job, as far as the rules care."""

    def __init__(self) -> None:
        self.as_of: datetime | None = None

    def apply(self, event: Event, position: int) -> None:
        """Take in the job's next fact."""
        if isinstance(event, JobRan):
            self.as_of = instant(event.as_of)

    def is_past(self, as_of: datetime) -> bool:
        """Was all done that was due as of then?"""
        return self.as_of is not None and as_of <= self.as_of


def finish_job(command: FinishJob, job_so_far: Job) -> list[Event]:
    """Say that a job is done up to an instant; nothing new where it was before."""
    as_of = instant_text(command.as_of)
    if command.as_of > command.at and not command.allow_future:
        raise Refused("in_the_future", as_of=as_of, now=instant_text(command.at))
    if job_so_far.is_past(command.as_of):
        return []
    return [JobRan(job=command.job, as_of=as_of)]
