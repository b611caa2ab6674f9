"""The ladder: three rungs, each held while its gates and those of the rungs below it are met."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from ledger.events import Tier
from ledger.policy import months_after
from ledger.rules.career import Career

RUNGS: tuple[Tier, ...] = ("CERTIFIED", "PROFESSIONAL", "SUPERVISING_EXPERT")
"""From the lowest to the highest."""

GateName = Literal[
    "registration",
    "professional_points",
    "professional_level",
    "professional_projects",
    "expert_points",
    "expert_supervision_hours",
    "expert_cases",
    "expert_appointment",
    "expert_grade",
]


class Gate(NamedTuple):
    """One condition of a rung: how much is needed, and how much there is."""

    rung: Tier
    name: GateName
    needed: int
    have: int

    @property
    def is_met(self) -> bool:
        """Is there enough?"""
        return self.have >= self.needed


class Standing(NamedTuple):
    """Where somebody stands on the ladder."""

    tier: Tier | None
    gates: tuple[Gate, ...]  # of all rungs, from the lowest
    gap: int  # points that the next rung still needs

    @property
    def reached(self) -> tuple[Gate, ...]:
        """The gates up to the next rung."""
        rungs = RUNGS[: 1 if self.tier is None else RUNGS.index(self.tier) + 2]
        return tuple(gate for gate in self.gates if gate.rung in rungs)


def standing(
    career: Career,
    ladder: Mapping[str, Any],
    day: date,
    points: int,
    grade: str | None,  # a grade's name; none, or any other word, where there is none
) -> Standing:
    """Where a member stands on a date with so many points, by the numbers of the policy."""
    registration = career.registration(day)
    given_after = months_after(day, -ladder["expert_supervision_months"])
    certified, professional, expert = RUNGS
    level = registration is not None and registration.level != "assistant"
    gates = (
        Gate(certified, "registration", 1, int(registration is not None)),
        Gate(professional, "professional_points", ladder["professional_points"], points),
        Gate(professional, "professional_level", 1, int(level)),
        Gate(
            professional,
            "professional_projects",
            ladder["professional_projects"],
            career.count("project", day),
        ),
        Gate(expert, "expert_points", ladder["expert_points"], points),
        Gate(
            expert,
            "expert_supervision_hours",
            ladder["expert_supervision_hours"],
            career.hours_given(given_after, day),
        ),
        Gate(expert, "expert_cases", ladder["expert_cases"], career.count("case", day)),
        Gate(expert, "expert_appointment", 1, int(career.has_appointment(day))),
        Gate(expert, "expert_grade", 1, int(grade != "G4")),
    )
    tier: Tier | None = None
    for rung in RUNGS:
        if not all(gate.is_met for gate in gates if gate.rung == rung):
            break
        tier = rung
    asked = {"CERTIFIED": 0, "PROFESSIONAL": ladder["professional_points"]}
    following = RUNGS[min(len(RUNGS) - 1, 0 if tier is None else RUNGS.index(tier) + 1)]
    needed = asked.get(following, ladder["expert_points"])
    return Standing(tier, gates, max(0, needed - points))


def is_at_least(tier: Tier | None, wanted: Tier) -> bool:
    """Does somebody stand on a rung, or on a higher one?"""
    return tier is not None and RUNGS.index(tier) >= RUNGS.index(wanted)
