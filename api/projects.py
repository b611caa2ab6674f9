"""Projects over HTTP: from the needs assessment to their promotion; search."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, Day, Reason, ReasonAsk, ReasonNeededAsk, Text, Texts, Uuid
from api.call import Call
from api.contract import EVERYONE, VERIFIERS, DayText, Fields, Page, Route
from api.field_facts import (
    FILING,
    STEPPING,
    WITHDRAWING,
    Category,
    Filed,
    FiledWritten,
    SearchQuery,
    answer_field,
    verb,
)
from ledger.commands import AdvanceProject, BeginProject, WithdrawProject
from ledger.desk import Done
from ledger.events import ProjectStage
from ledger.units import new_id
from projections import field_shelves as view
from projections import shelves

Standing = Literal["active", "withdrawn"]


class ProjectAsk(Ask):
    """A project begins, with the assessment of what is needed."""

    entering = ("title", "category", "summary")

    organisation: Code | None = None
    title: Text
    unit: Code
    category: Text
    summary: Reason | None = None
    programme_id: Uuid | None = None
    tags: Texts = ()
    on: Annotated[Day | None, Field(description="Today, if none is named.")] = None


class ProjectStageAsk(ReasonAsk):
    """A project has come to its next stage."""

    entering = ("reason", "ref")

    stage: Literal["design", "implementation", "incubated", "promoted"]
    on: Annotated[Day | None, Field(description="Today, if none is named.")] = None
    ref: Text | None = None


async def begin_project(call: Call) -> web.Response:
    """Begin a project."""
    asked: ProjectAsk = call.body
    command = BeginProject(
        **call.stamp(),
        project_id=new_id(),
        organisation=call.acting_organisation(),
        title=asked.title,
        unit=asked.unit,
        category=asked.category,
        summary=asked.summary,
        programme_id=asked.programme_id,
        tags=asked.tags,
        on=asked.on,
    )
    return await call.write(command, lambda done: (201, _project(done)))


async def advance_project(call: Call) -> web.Response:
    """Let a project come to its next stage."""
    asked: ProjectStageAsk = call.body
    command = AdvanceProject(
        **verb(call, "project_id"),
        stage=asked.stage,
        on=asked.on,
        ref=asked.ref,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _project(done)))


async def withdraw_project(call: Call) -> web.Response:
    """Give a project up."""
    asked: ReasonNeededAsk = call.body
    command = WithdrawProject(**verb(call, "project_id"), reason=asked.reason)
    return await call.write(command, lambda done: (200, _project(done)))


def _project(done: Done) -> Fields:
    project = done.states["project"]
    begun = project.begun
    return {
        "id": begun.project_id,
        "title": begun.title,
        "unit": begun.unit,
        "category": begun.category,
        "stage": project.stage,
        "status": "withdrawn" if project.withdrawn else "active",
        "position": project.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class ProjectsQuery(SearchQuery):
    """A search in title, category and summary: all that is given holds."""

    category: Category = None
    stage: ProjectStage | None = None
    status: Standing | None = None
    programme_id: Uuid | None = None


async def projects(call: Call) -> web.Response:
    """The projects: everybody may search all of them."""
    names = ("category", "stage", "status", "programme_id")
    return await answer_field(call, view.PROJECTS, *names)


async def project(call: Call) -> web.Response:
    """One project."""
    return await call.read(shelves.item, view.PROJECTS, call.path["id"])


# --- answers -------------------------------------------------------------------------------------


class ProjectWritten(FiledWritten):
    """A project after what was just written."""

    title: str
    unit: Code
    category: str
    stage: ProjectStage
    status: Standing


class ProjectStep(BaseModel):
    """A stage that a project came to."""

    stage: ProjectStage
    on: DayText
    ref: str | None


class Project(Filed):
    """A project as it stands."""

    unit: Code
    title: str
    category: str
    summary: str | None
    programme_id: Uuid | None
    tags: list[str]
    stage: ProjectStage
    steps: Annotated[list[ProjectStep], Field(description="The stages so far.")]
    status: Standing


class ProjectPage(Page):
    """Projects, oldest first."""

    data: list[Project]


TAG = "Projects"

ROUTES = [
    Route(
        method="POST",
        path="/v1/projects",
        handler=begin_project,
        operation="begin_project",
        tag=TAG,
        summary_zh="项目立项（需求评估）",
        summary_en="Begin a project with the assessment of what is needed",
        roles=VERIFIERS,
        write=True,
        body=ProjectAsk,
        example={
            "title": "独居老人结对探访",
            "unit": "west-coast",
            "category": "elderly",
            "summary": "由社工带领志愿者每周探访。",
            "tags": ["1+6+N:6"],
            "on": "2026-03-01",
        },
        answers={201: ProjectWritten},
        problems=(*FILING, "in_the_future"),
    ),
    Route(
        method="POST",
        path="/v1/projects/{id}/advance",
        handler=advance_project,
        operation="advance_project",
        tag=TAG,
        summary_zh="项目进入下一阶段",
        summary_en="Let a project come to its next stage",
        roles=VERIFIERS,
        write=True,
        body=ProjectStageAsk,
        example={"stage": "design", "on": "2026-03-20", "ref": "方案-3"},
        answers={200: ProjectWritten},
        problems=STEPPING,
    ),
    Route(
        method="POST",
        path="/v1/projects/{id}/withdraw",
        handler=withdraw_project,
        operation="withdraw_project",
        tag=TAG,
        summary_zh="撤回项目",
        summary_en="Give a project up",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "并入另一项目"},
        answers={200: ProjectWritten},
        problems=WITHDRAWING,
    ),
    Route(
        method="GET",
        path="/v1/projects",
        handler=projects,
        operation="list_projects",
        tag=TAG,
        summary_zh="项目检索",
        summary_en="Search the projects",
        roles=EVERYONE,
        query=ProjectsQuery,
        answers={200: ProjectPage},
    ),
    Route(
        method="GET",
        path="/v1/projects/{id}",
        handler=project,
        operation="get_project",
        tag=TAG,
        summary_zh="一个项目",
        summary_en="Get a project",
        roles=EVERYONE,
        answers={200: Project},
    ),
]
