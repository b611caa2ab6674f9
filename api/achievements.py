"""Achievements over HTTP: submit, approve, apply, reverse, look up."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, Day, FieldNo, ReasonAsk, ReasonNeededAsk, Text, Uuid
from api.call import Call
from api.certifications import answer_shelf
from api.contract import (
    EVERYONE,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.service_records import sight
from ledger.commands import (
    ApplyAchievement,
    ApproveAchievement,
    ReverseAchievement,
    SubmitAchievement,
)
from ledger.desk import Done
from ledger.events import AchievementKind, Outcome, Prize
from ledger.units import new_id
from projections import shelves as view

Standing = Literal["submitted", "approved", "applied", "reversed"]

_FIELDS: dict[str, tuple[AchievementKind, ...]] = {
    "hours": ("training", "supervision_given", "supervision_received"),
    "outcome": ("project",),
    "promoted": ("project",),
    "project_id": ("project",),
    "prize": ("competition",),
}
"""Which kinds have which field; hours and an outcome are needed where they may be given."""


class AchievementAsk(Ask):
    """What a member has done."""

    entering = ("ref",)

    organisation: Code | None = None
    member_id: Uuid
    kind: AchievementKind
    on: Day
    ref: Text
    hours: Annotated[int | None, Field(ge=1, le=10_000)] = None
    outcome: Outcome | None = None
    prize: Prize | None = None
    promoted: bool = False
    project_id: Uuid | None = None

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """Each kind has its own fields."""
        kind = values.get("kind")
        for name, kinds in _FIELDS.items():
            if kind is None or name not in values:
                continue
            if kind not in kinds and values[name]:
                yield (name,), "unknown_field", {}
            elif kind in kinds and values[name] is None and name in ("hours", "outcome"):
                yield (name,), "missing", {}


class ApplicationAsk(Ask):
    """A training was put to use."""

    entering = ("ref",)

    on: Day
    ref: Text


async def submit(call: Call) -> web.Response:
    """Say what a member has done."""
    asked: AchievementAsk = call.body
    command = SubmitAchievement(
        **call.stamp(),
        achievement_id=new_id(),
        member_id=asked.member_id,
        organisation=call.acting_organisation(),
        kind=asked.kind,
        on=asked.on,
        ref=asked.ref,
        hours=asked.hours,
        outcome=asked.outcome,
        prize=asked.prize,
        promoted=asked.promoted,
        project_id=asked.project_id,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def approve(call: Call) -> web.Response:
    """Let an achievement count."""
    asked: ReasonAsk = call.body
    command = ApproveAchievement(**_about(call), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


async def apply(call: Call) -> web.Response:
    """Say that a training was put to use."""
    asked: ApplicationAsk = call.body
    command = ApplyAchievement(**_about(call), on=asked.on, ref=asked.ref)
    return await call.write(command, lambda done: (200, _told(done)))


async def reverse(call: Call) -> web.Response:
    """Let an achievement count no more."""
    asked: ReasonNeededAsk = call.body
    command = ReverseAchievement(**_about(call), reason=asked.reason)
    return await call.write(command, lambda done: (200, _told(done)))


def _about(call: Call) -> dict[str, Any]:
    return {
        **call.stamp(),
        "achievement_id": call.path["id"],
        "organisation": call.key.organisation,
    }


def _told(done: Done) -> Fields:
    achievement = done.states["achievement"]
    submitted = achievement.submitted
    return {
        "id": submitted.achievement_id,
        "member_id": submitted.member_id,
        "kind": submitted.kind,
        "on": submitted.on,
        "status": achievement.status,
        "points": achievement.points,
        "position": achievement.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class AchievementsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Uuid | None = None
    organisation: Code | None = None
    kind: AchievementKind | None = None
    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The achievements that the caller may see."""
    return await answer_shelf(call, view.ACHIEVEMENTS, call.query, ("kind", "status"))


async def item(call: Call) -> web.Response:
    """One achievement."""
    return await call.read(view.item, view.ACHIEVEMENTS, call.path["id"], *sight(call))


# --- answers -------------------------------------------------------------------------------------

Awarded = Annotated[
    int | None, Field(description="As it was awarded; null until it is approved, then reversed 0.")
]


class AchievementWritten(Written):
    """An achievement after what was just written."""

    id: Uuid
    member_id: Uuid
    kind: AchievementKind
    on: DayText
    status: Standing
    points: Awarded


class Achievement(BaseModel):
    """An achievement as it stands."""

    id: Uuid
    member_id: Uuid
    organisation: Code
    kind: AchievementKind
    on: DayText
    ref: str
    hours: int | None
    outcome: Outcome | None
    prize: Prize | None
    promoted: bool
    status: Standing
    points: Awarded
    applied_on: DayText | None
    applied_ref: str | None
    reason: Annotated[str | None, Field(description="Why it is reversed.")]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class AchievementPage(Page):
    """Achievements, oldest first."""

    data: list[Achievement]


TAG = "Achievements"
_ITEM = "/v1/achievements/{id}"

ROUTES = [
    Route(
        method="POST",
        path="/v1/achievements",
        handler=submit,
        operation="submit_achievement",
        tag=TAG,
        summary_zh="提交成长事项：培训、督导、项目、案例、竞赛、讲座",
        summary_en="Say what a member has done: training, supervision, project, case ...",
        roles=VERIFIERS,
        write=True,
        body=AchievementAsk,
        example={
            "member_id": "019f0000-0000-7000-8000-00000000000a",
            "kind": "training",
            "on": "2026-05-10",
            "hours": 18,
            "ref": "继教-2026-05",
        },
        answers={201: AchievementWritten},
        problems=(
            *("in_the_future", "organisation_suspended", "member_closed", "not_found"),
            "personal_data_in_text",
        ),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/approve",
        handler=approve,
        operation="approve_achievement",
        tag=TAG,
        summary_zh="审核通过（须另一人），计入积分",
        summary_en="Let an achievement count; another actor than who submitted it",
        roles=VERIFIERS,
        write=True,
        body=ReasonAsk,
        example={"reason": "已核对证明"},
        answers={200: AchievementWritten},
        problems=("wrong_state", "second_person_needed", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/apply",
        handler=apply,
        operation="apply_achievement",
        tag=TAG,
        summary_zh="登记培训的应用",
        summary_en="Say that a training was put to use",
        roles=VERIFIERS,
        write=True,
        body=ApplicationAsk,
        example={"on": "2026-07-01", "ref": "个案-2026-31"},
        answers={200: AchievementWritten},
        problems=("wrong_state", "in_the_future", "out_of_order", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/reverse",
        handler=reverse,
        operation="reverse_achievement",
        tag=TAG,
        summary_zh="冲正：收回积分",
        summary_en="Let an achievement count no more",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "证明有误"},
        answers={200: AchievementWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/achievements",
        handler=listing,
        operation="list_achievements",
        tag=TAG,
        summary_zh="成长事项列表",
        summary_en="List achievements",
        roles=EVERYONE,
        query=AchievementsQuery,
        answers={200: AchievementPage},
    ),
    Route(
        method="GET",
        path=_ITEM,
        handler=item,
        operation="get_achievement",
        tag=TAG,
        summary_zh="一项成长事项",
        summary_en="Get an achievement",
        roles=EVERYONE,
        answers={200: Achievement},
    ),
]
