"""Achievements: said by one actor, approved by another, applied, reversed; their points."""

from datetime import date
from typing import Any, NamedTuple

from ledger.commands import (
    AchievementCommand,
    ApplyAchievement,
    ApproveAchievement,
    ReverseAchievement,
    SubmitAchievement,
)
from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    AchievementSubmitted,
    Event,
)
from ledger.policy import Policies
from ledger.rules.career import Career, Hours
from ledger.rules.certifications import NO_CAREER, known_or_refuse, past_or_refuse
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.projects import Project
from ledger.units import FULL_RATE_BPS, Refused


class Achievement:
    """One achievement as it stands."""

    def __init__(self) -> None:
        self.submitted: AchievementSubmitted | None = None
        self.approved: AchievementApproved | None = None
        self.applied: AchievementApplied | None = None
        self.status = ""
        self.points: int | None = None
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this achievement."""
        self.position = position
        match event:
            case AchievementSubmitted():
                self.submitted, self.status = event, "submitted"
            case AchievementApproved():
                self.approved, self.status, self.points = event, "approved", event.points
            case AchievementApplied():
                self.applied, self.status = event, "applied"
            case AchievementReversed():
                self.status, self.points = "reversed", 0


class ByHour(NamedTuple):
    """The policy's names for what is counted by hours."""

    per_hour: str
    yearly_cap: str


BY_HOUR = {
    "training": ByHour("education_per_class_hour", "education_yearly_cap"),
    "supervision_given": ByHour("supervision_given_per_hour", "supervision_given_yearly_cap"),
    "supervision_received": ByHour(
        "supervision_received_per_hour", "supervision_received_yearly_cap"
    ),
}
"""The kinds that hours are counted of, with a cap on a calendar year's points."""


def submit_achievement(
    command: SubmitAchievement,
    achievement: Achievement,  # empty until the fact is written; the answer tells it
    member: Member,
    submitting: Organisation,
    policies: Policies,
    project: Project | None = None,
) -> list[Event]:
    """Say what a member has done; it counts once another actor approves."""
    known_or_refuse(command.organisation, submitting, command.member_id, member)
    if project is not None and (project.begun is None or project.withdrawn):
        raise Refused("not_found", pointer="/project_id", what=command.project_id)
    past_or_refuse(command.on, policies.recording(command.at).today)
    return [
        AchievementSubmitted(
            achievement_id=command.achievement_id,
            member_id=command.member_id,
            organisation=command.organisation,
            kind=command.kind,
            on=command.on.isoformat(),
            ref=command.ref,
            hours=command.hours,
            outcome=command.outcome,
            prize=command.prize,
            promoted=command.promoted or None,
            project_id=command.project_id,
        )
    ]


def approve_achievement(
    command: ApproveAchievement,
    achievement: Achievement,
    policies: Policies,
    career: Career = NO_CAREER,
    submitter: str = "",
) -> list[Event]:
    """Let an achievement count, by the policy of its date."""
    submitted = _in_state(("submitted",), achievement, command, "approved")
    if submitter == command.actor_name or command.actor_member == submitted.member_id:
        raise Refused("second_person_needed")
    values = policies.on(date.fromisoformat(submitted.on))["points"]
    by_hour = BY_HOUR.get(submitted.kind)
    said: dict[str, Any]
    if by_hour is None:
        worth = _worth(submitted, values)
        said = {"points": worth, "worth": worth}
    else:
        item = Hours(
            submitted.on,
            submitted.hours or 0,
            values[by_hour.per_hour],
            values[by_hour.yearly_cap],
        )
        said = {
            "points": career.award_of_hours(submitted.kind, submitted.achievement_id, item),
            "hours": item.hours,
            "per_hour": item.per_hour,
            "yearly_cap": item.yearly_cap,
        }
    return [
        AchievementApproved(
            achievement_id=submitted.achievement_id,
            member_id=submitted.member_id,
            organisation=submitted.organisation,
            source=submitted.kind,
            on=submitted.on,
            policy_version=policies.version,
            **said,
        )
    ]


def apply_achievement(
    command: ApplyAchievement,
    achievement: Achievement,
    policies: Policies,
    career: Career = NO_CAREER,
) -> list[Event]:
    """Say that a training was put to use, once."""
    submitted = _in_state(("approved",), achievement, command, "applied")
    if submitted.kind != "training":
        raise Refused("wrong_state", before="approved", after="applied")
    past_or_refuse(command.on, policies.recording(command.at).today)
    if command.on.isoformat() < submitted.on:
        raise Refused("out_of_order", said=command.on.isoformat(), earliest=submitted.on)
    return [
        AchievementApplied(
            achievement_id=submitted.achievement_id,
            member_id=submitted.member_id,
            organisation=submitted.organisation,
            on=command.on.isoformat(),
            ref=command.ref,
        )
    ]


def reverse_achievement(
    command: ReverseAchievement,
    achievement: Achievement,
    policies: Policies,
    career: Career = NO_CAREER,
) -> list[Event]:
    """Let an achievement count no more: its year's points are what they are without it."""
    submitted = _in_state(("approved", "applied"), achievement, command, "reversed")
    approved = achievement.approved
    assert approved is not None  # noqa: S101  (it is approved)
    if approved.worth is None:
        points = career.loss_of_hours(submitted.achievement_id)
    else:
        points = -approved.worth
    return [
        AchievementReversed(
            achievement_id=submitted.achievement_id,
            member_id=submitted.member_id,
            organisation=submitted.organisation,
            source=approved.source,
            points=points,
            on=submitted.on,
            reason=command.reason,
        )
    ]


def _worth(submitted: AchievementSubmitted, values: dict[str, Any]) -> int:
    """Points of what is not counted by hours."""
    match submitted.kind:
        case "project":
            bps: int = values["project_outcome_bps"][submitted.outcome]
            promoted: int = values["project_promoted"] if submitted.promoted else 0
            base: int = values["project"]
            return base * bps // FULL_RATE_BPS + promoted  # a part of a point is dropped
        case "competition":
            prize: int = 0
            if submitted.prize is not None:
                prize = values["competition_prize"][submitted.prize]
            entry: int = values["competition_entry"]
            return entry + prize
        case _:
            flat: int = values[submitted.kind]
            return flat


def _in_state(
    states: tuple[str, ...], achievement: Achievement, command: AchievementCommand, after: str
) -> AchievementSubmitted:
    submitted = achievement.submitted
    if submitted is None or command.organisation not in (None, submitted.organisation):
        raise Refused("not_found", what=command.achievement_id)
    if achievement.status not in states:
        raise Refused("wrong_state", before=achievement.status, after=after)
    return submitted
