"""The supervision index of a unit and month: five ratios, capped at 1, by the policy's weights."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec

from ledger.commands import ComputeSupervisionIndex, IndexCounts
from ledger.events import Event, SupervisionIndexComputed
from ledger.policy import Policies
from ledger.rules.grading import weighted
from ledger.rules.jobs import Job
from ledger.units import FULL_RATE_BPS

MINUTES_AN_HOUR = 60
POINTS_FULL = 100


class SupervisionIndex:
    """The indexes of one unit."""

    def __init__(self) -> None:
        self.months: dict[str, SupervisionIndexComputed] = {}

    def apply(self, event: Event, position: int) -> None:
        """Take in what a month came to."""
        if isinstance(event, SupervisionIndexComputed):
            self.months[event.month] = event


def last_day(month: str) -> date:
    """The last date of `YYYY-MM`."""
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, monthrange(year, number)[1])


def indexed(counts: IndexCounts, numbers: Mapping[str, Any]) -> int | None:
    """The index in hundredths of a point of 100, half to even (DOMAIN, section 8).

    A ratio without data drops out, and the weights of the others are rescaled.
    """
    ratios = {
        "supervised_volunteers": (counts.supervised_volunteers, counts.active_volunteers),
        "supervision_hours": (counts.supervision_hours * MINUTES_AN_HOUR, counts.service_minutes),
        "training_conversion": (counts.trainings_applied, counts.trainings_due),
        "satisfaction": (counts.satisfied_ratings, counts.ratings),
        "registered_supervisors": (counts.registered_supervisors, counts.supervisors),
    }
    parts = {
        name: min(
            Fraction(1),
            Fraction(part, whole) * FULL_RATE_BPS / Fraction(numbers["targets_bps"][name]),
        )
        if whole
        else None
        for name, (part, whole) in ratios.items()
    }
    mean = weighted(parts, numbers["weights"])
    return None if mean is None else round(mean * POINTS_FULL * 100)


def compute_supervision_index(
    command: ComputeSupervisionIndex, index: SupervisionIndex, job: Job, policies: Policies
) -> list[Event]:
    """Say what a month came to, by the policy of its last date; nothing new if it is the same."""
    if job.is_past(command.as_of):
        return []
    values = policies.on(last_day(command.month))["supervision_index"]
    counts = msgspec.structs.asdict(command.counts)
    before = index.months.get(command.month)
    value = indexed(command.counts, values)
    known = {} if before is None else {name: getattr(before, name) for name in counts}
    if before is not None and (before.value, known) == (value, counts):
        return []
    return [
        SupervisionIndexComputed(
            unit=command.unit,
            month=command.month,
            counted_to=command.counted_to,
            policy_version=policies.version,
            value=value,
            **counts,
        )
    ]
