"""Organisations: who may post, where they sit, and whether they are suspended."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Code, OrganisationAsk, ReasonAsk, ReasonNeededAsk
from api.call import Call
from api.contract import ADMINS, EVERYONE, Fields, InstantText, Page, PageQuery, Route, Written
from api.lists import answer_page
from ledger.commands import AddOrganisation, ResumeOrganisation, SuspendOrganisation
from ledger.desk import Done
from ledger.events import OrganisationKind
from projections import directory

Standing = Literal["active", "suspended"]


class OrganisationWritten(Written):
    """An organisation after what was just written."""

    code: Code
    name: str
    kind: OrganisationKind
    unit: Code
    status: Standing


class Organisation(BaseModel):
    """An organisation."""

    code: Code
    name: str
    kind: OrganisationKind
    unit: Code
    status: Standing
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class OrganisationPage(Page):
    """Organisations, in the order in which they were added."""

    data: list[Organisation]


async def add(call: Call) -> web.Response:
    """Register an organisation at a unit."""
    asked: OrganisationAsk = call.body
    command = AddOrganisation(
        **call.stamp(), code=asked.code, name=asked.name, kind=asked.kind, unit=asked.unit
    )
    return await call.write(command, lambda done: (201, _organisation(done)))


async def suspend(call: Call) -> web.Response:
    """Stop an organisation's posting."""
    asked: ReasonNeededAsk = call.body
    command = SuspendOrganisation(**call.stamp(), code=call.path["code"], reason=asked.reason)
    return await call.write(command, lambda done: (200, _organisation(done)))


async def resume(call: Call) -> web.Response:
    """Let a suspended organisation post again."""
    asked: ReasonAsk = call.body
    command = ResumeOrganisation(**call.stamp(), code=call.path["code"], reason=asked.reason)
    return await call.write(command, lambda done: (200, _organisation(done)))


def _organisation(done: Done) -> Fields:
    state = done.states["organisation"]
    return {
        "code": state.added.code,
        "name": state.added.name,
        "kind": state.added.kind,
        "unit": state.added.unit,
        "status": "suspended" if state.suspended else "active",
    }


async def listing(call: Call) -> web.Response:
    """All organisations."""
    return await answer_page(
        call, directory.organisations_listed, call.query.after, call.query.limit
    )


async def item(call: Call) -> web.Response:
    """One organisation."""
    return await call.read(directory.organisation, call.path["code"])


ROUTES = [
    Route(
        method="POST",
        path="/v1/organisations",
        handler=add,
        operation="add_organisation",
        tag="Organisations",
        summary_zh="登记组织",
        summary_en="Add an organisation",
        roles=ADMINS,
        write=True,
        body=OrganisationAsk,
        example={"code": "org-a", "name": "志愿服务队", "kind": "volunteer", "unit": "lake"},
        answers={201: OrganisationWritten},
        problems=("code_taken", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/organisations",
        handler=listing,
        operation="list_organisations",
        tag="Organisations",
        summary_zh="组织列表",
        summary_en="List organisations",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: OrganisationPage},
    ),
    Route(
        method="GET",
        path="/v1/organisations/{code}",
        handler=item,
        operation="get_organisation",
        tag="Organisations",
        summary_zh="一个组织",
        summary_en="Get an organisation",
        roles=EVERYONE,
        answers={200: Organisation},
    ),
    Route(
        method="POST",
        path="/v1/organisations/{code}/suspend",
        handler=suspend,
        operation="suspend_organisation",
        tag="Organisations",
        summary_zh="暂停组织",
        summary_en="Suspend an organisation",
        roles=ADMINS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "待核查"},
        answers={200: OrganisationWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/organisations/{code}/resume",
        handler=resume,
        operation="resume_organisation",
        tag="Organisations",
        summary_zh="恢复组织",
        summary_en="Resume an organisation",
        roles=ADMINS,
        write=True,
        body=ReasonAsk,
        example={"reason": "已核查"},
        answers={200: OrganisationWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
]
