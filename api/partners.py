"""Partners and bases of the field, and its experts, over HTTP: add, end, look up."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from api.asks import Code, Day, Text, Uuid
from api.call import Call
from api.contract import EVERYONE, VERIFIERS, DayText, Fields, Page, Route
from api.field_facts import (
    FILING,
    STEPPING,
    Filed,
    FiledWritten,
    SearchQuery,
    answer_field,
    verb,
)
from api.supervision import EndAsk, TermAsk
from ledger.commands import AddPartner, EndExpert, EndPartner, NameExpert
from ledger.desk import Done
from ledger.events import PartnerKind
from ledger.units import new_id
from projections import field_shelves as view
from projections import shelves

Added = Literal["added", "ended"]
Named = Literal["named", "ended"]


class PartnerAsk(TermAsk):
    """A partner works with the field, or a base is there for it, with an end or without one."""

    entering = ("name",)

    organisation: Code | None = None
    name: Text
    kind: PartnerKind
    unit: Code
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day | None, Field(alias="to")] = None


class ExpertAsk(TermAsk):
    """A member is an expert of a unit for a term, of which both dates are a part."""

    entering = ("speciality",)

    organisation: Code | None = None
    member_id: Uuid
    speciality: Text
    unit: Code
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]


async def add_partner(call: Call) -> web.Response:
    """Add a partner or a base."""
    asked: PartnerAsk = call.body
    command = AddPartner(
        **call.stamp(),
        partner_id=new_id(),
        organisation=call.acting_organisation(),
        name=asked.name,
        kind=asked.kind,
        unit=asked.unit,
        first=asked.first,
        last=asked.last,
    )
    return await call.write(command, lambda done: (201, _partner(done)))


async def end_partner(call: Call) -> web.Response:
    """Say that a partner or base is no longer there."""
    asked: EndAsk = call.body
    command = EndPartner(**verb(call, "partner_id"), last=asked.on, reason=asked.reason)
    return await call.write(command, lambda done: (200, _partner(done)))


async def name_expert(call: Call) -> web.Response:
    """Name a member an expert."""
    asked: ExpertAsk = call.body
    command = NameExpert(
        **call.stamp(),
        expert_id=new_id(),
        organisation=call.acting_organisation(),
        member_id=asked.member_id,
        speciality=asked.speciality,
        unit=asked.unit,
        first=asked.first,
        last=asked.last,
    )
    return await call.write(command, lambda done: (201, _expert(done)))


async def end_expert(call: Call) -> web.Response:
    """Say that a member is an expert no more."""
    asked: EndAsk = call.body
    command = EndExpert(**verb(call, "expert_id"), last=asked.on, reason=asked.reason)
    return await call.write(command, lambda done: (200, _expert(done)))


def _partner(done: Done) -> Fields:
    partner = done.states["partner"]
    added = partner.added
    return {
        "id": added.partner_id,
        "name": added.name,
        "kind": added.kind,
        "unit": added.unit,
        "from": added.first,
        "to": partner.last,
        "status": "ended" if partner.ended else "added",
        "position": partner.position,
    }


def _expert(done: Done) -> Fields:
    expert = done.states["expert"]
    named = expert.named
    return {
        "id": named.expert_id,
        "member_id": named.member_id,
        "speciality": named.speciality,
        "unit": named.unit,
        "from": named.first,
        "to": expert.last,
        "status": "ended" if expert.ended else "named",
        "position": expert.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class PartnersQuery(SearchQuery):
    """A search in the name: all that is given holds."""

    kind: PartnerKind | None = None
    status: Added | None = None


class ExpertsQuery(SearchQuery):
    """A search in the speciality: all that is given holds."""

    member_id: Uuid | None = None
    status: Named | None = None


async def partners(call: Call) -> web.Response:
    """The partners and bases: everybody may search all of them."""
    return await answer_field(call, view.PARTNERS, "kind", "status")


async def partner(call: Call) -> web.Response:
    """One partner or base."""
    return await call.read(shelves.item, view.PARTNERS, call.path["id"])


async def experts(call: Call) -> web.Response:
    """The experts: everybody may search all of them."""
    return await answer_field(call, view.EXPERTS, "status")


async def expert(call: Call) -> web.Response:
    """One expert."""
    return await call.read(shelves.item, view.EXPERTS, call.path["id"])


# --- answers -------------------------------------------------------------------------------------


class PartnerWritten(FiledWritten):
    """A partner or base after what was just written."""

    name: str
    kind: PartnerKind
    unit: Code
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText | None, Field(alias="to")]
    status: Added


class ExpertWritten(FiledWritten):
    """An expert after what was just written."""

    member_id: Uuid
    speciality: str
    unit: Code
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    status: Named


class Partner(Filed):
    """A partner or base as it stands."""

    unit: Code
    name: str
    kind: PartnerKind
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText | None, Field(alias="to")]
    status: Added


class PartnerPage(Page):
    """Partners and bases, oldest first."""

    data: list[Partner]


class Expert(Filed):
    """An expert as it stands."""

    unit: Code
    member_id: Uuid
    speciality: str
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    status: Named


class ExpertPage(Page):
    """Experts, oldest first."""

    data: list[Expert]


TAG = "Partners"

ROUTES = [
    Route(
        method="POST",
        path="/v1/partners",
        handler=add_partner,
        operation="add_partner",
        tag=TAG,
        summary_zh="登记合作伙伴或实训基地",
        summary_en="Add a partner or a base",
        roles=VERIFIERS,
        write=True,
        body=PartnerAsk,
        example={
            "name": "湖畔实训基地",
            "kind": "base",
            "unit": "west-coast",
            "from": "2026-01-01",
            "to": "2028-12-31",
        },
        answers={201: PartnerWritten},
        problems=FILING,
    ),
    Route(
        method="POST",
        path="/v1/partners/{id}/end",
        handler=end_partner,
        operation="end_partner",
        tag=TAG,
        summary_zh="终止合作",
        summary_en="Say that a partner or base is no longer there",
        roles=VERIFIERS,
        write=True,
        body=EndAsk,
        example={"reason": "搬迁"},
        answers={200: PartnerWritten},
        problems=STEPPING,
    ),
    Route(
        method="GET",
        path="/v1/partners",
        handler=partners,
        operation="list_partners",
        tag=TAG,
        summary_zh="合作伙伴与基地检索",
        summary_en="Search the partners and bases",
        roles=EVERYONE,
        query=PartnersQuery,
        answers={200: PartnerPage},
    ),
    Route(
        method="GET",
        path="/v1/partners/{id}",
        handler=partner,
        operation="get_partner",
        tag=TAG,
        summary_zh="一个合作伙伴或基地",
        summary_en="Get a partner or base",
        roles=EVERYONE,
        answers={200: Partner},
    ),
    Route(
        method="POST",
        path="/v1/experts",
        handler=name_expert,
        operation="name_expert",
        tag=TAG,
        summary_zh="聘请专家（有任期）",
        summary_en="Name a member an expert for a term",
        roles=VERIFIERS,
        write=True,
        body=ExpertAsk,
        example={
            "member_id": "019f0000-0000-7000-8000-00000000000a",
            "speciality": "老年社会工作",
            "unit": "west-coast",
            "from": "2026-01-01",
            "to": "2027-12-31",
        },
        answers={201: ExpertWritten},
        problems=(*FILING, "member_closed"),
    ),
    Route(
        method="POST",
        path="/v1/experts/{id}/end",
        handler=end_expert,
        operation="end_expert",
        tag=TAG,
        summary_zh="提前解聘专家",
        summary_en="Say that a member is an expert no more",
        roles=VERIFIERS,
        write=True,
        body=EndAsk,
        example={"reason": "调离"},
        answers={200: ExpertWritten},
        problems=STEPPING,
    ),
    Route(
        method="GET",
        path="/v1/experts",
        handler=experts,
        operation="list_experts",
        tag=TAG,
        summary_zh="专家检索",
        summary_en="Search the experts",
        roles=EVERYONE,
        query=ExpertsQuery,
        answers={200: ExpertPage},
    ),
    Route(
        method="GET",
        path="/v1/experts/{id}",
        handler=expert,
        operation="get_expert",
        tag=TAG,
        summary_zh="一位专家",
        summary_en="Get an expert",
        roles=EVERYONE,
        answers={200: Expert},
    ),
]
