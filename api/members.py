"""Members over HTTP: register, join, look up, change."""

import asyncio
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Code, MemberAsk, MemberChangeAsk, Text, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    POSTERS,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page, page_of
from api.problems import FieldError, Invalid
from api.registration import Registration, change, position_in, register_one
from ledger.desk import Answer
from ledger.events import AgeBand, MemberRole
from ledger.keys import Key
from ledger.units import Refused
from projections import directory
from projections.listing import Item, Listed

# --- asking --------------------------------------------------------------------------------------


async def add(call: Call) -> web.Response:
    """Register a person, or join one who is known."""
    asked = Registration(
        call.acting_organisation(),
        (call.body,),
        call.stamp(),
        once=call.once,
        dry_run=call.dry_run,
    )
    return _delivered(call, await call.beside(register_one, call.ledger, asked))


async def patch(call: Call) -> web.Response:
    """Change roles, unit, or who the member is."""
    said = await call.beside(
        change,
        call.ledger,
        call.path["id"],
        call.body,
        call.stamp(),
        call.key.organisation,
        dry_run=call.dry_run,
    )
    return _delivered(call, said)


def _delivered(call: Call, said: Answer) -> web.Response:
    return call.deliver(said, position_in(said))


# --- looking up ----------------------------------------------------------------------------------

Sight = Literal["whole", "joined"]
"""How much of a member a caller sees: a joined organisation neither the person nor totals."""


class MembersQuery(PageQuery):
    """Which members: all whom the caller may see, or the one with an organisation's reference."""

    external_ref: Text | None = None
    organisation: Annotated[
        Code | None, Field(description="Whose members; a reference is one of its own.")
    ] = None
    age_band: Annotated[
        AgeBand | None,
        Field(description="For an organisation: among the members at home there."),
    ] = None


async def listing(call: Call) -> web.Response:
    """The members that the caller may see, oldest first."""
    query: MembersQuery = call.query
    organisation = call.key.organisation or query.organisation
    if query.external_ref is not None:
        return await _listed_by_ref(call, organisation, query.external_ref)
    return await answer_page(
        call,
        _visible_members,
        call.key,
        query.after,
        query.limit,
        query.organisation,
        query.age_band,
    )


async def _listed_by_ref(call: Call, organisation: str | None, external_ref: str) -> web.Response:
    if call.key.role == "auditor":  # a reference is personal data
        raise Refused("forbidden")
    if organisation is None and call.key.role != "member":
        raise Invalid([FieldError("/organisation", "missing", {}, "query")])
    position = call.views.position
    found: list[Fields] = []
    if organisation in (call.key.organisation, call.query.organisation) and organisation:
        refs = await asyncio.to_thread(call.ledger.vault.find_refs, organisation, [external_ref])
        for member_id in refs.values():
            item = await call.look_up(_visible_member, call.key, member_id)
            found += [] if item is None else [item[0]]
    if call.query.age_band is not None:
        found = [member for member in found if member["age_band"] == call.query.age_band]
    return page_of(call, found, None, position)


async def item(call: Call) -> web.Response:
    """One member; with the person, masked, for those who may know who it is."""
    position = call.views.position
    seen = await call.look_up(_visible_member, call.key, call.path["id"])
    if seen is None:
        raise Refused("not_found")
    found, sight = seen
    if sight == "whole" and call.key.role != "auditor":
        found["person"] = None
        if found["erased_at"] is None:
            person = await asyncio.to_thread(call.ledger.vault.read_masked, call.path["id"])
            found["person"] = None if person is None else person.held()
    return call.answer(found, position=position)


def sight_of(connection: Connection, key: Key, member_id: str) -> Sight | None:
    """How much the key sees of a member, and whether there is one at all."""
    seen = _visible_member(connection, key, member_id)
    return None if seen is None else seen[1]


def _visible_members(
    connection: Connection,
    key: Key,
    after: int,
    limit: int,
    organisation: str | None,
    age_band: AgeBand | None,
) -> Listed:
    if key.role == "member":
        own = _visible_member(connection, key, key.member_id or "")
        if own is None or organisation is not None or after:
            return Listed([], None)
        fits = age_band in (None, own[0]["age_band"])
        return Listed([own[0]] if fits else [], None)
    if key.organisation is not None and organisation not in (None, key.organisation):
        return Listed([], None)
    page = directory.members_listed(
        connection,
        after,
        limit,
        organisation=key.organisation or organisation,
        home=None if age_band is None else key.organisation,
        age_band=age_band,
    )
    return page._replace(items=[_shown(item, key)[0] for item in page.items])


def _visible_member(connection: Connection, key: Key, member_id: str) -> tuple[Item, Sight] | None:
    if key.role == "member" and key.member_id != member_id:
        return None
    found = directory.member(connection, member_id)
    if found is None:
        return None
    if key.organisation is not None and key.organisation not in found["organisations"]:
        return None
    return _shown(found, key)


def _shown(found: Item, key: Key) -> tuple[Item, Sight]:
    """The member as the key sees it; an organisation is not told which others know them."""
    sight: Sight = "whole" if key.organisation in (None, found["home_organisation"]) else "joined"
    if key.organisation is not None:
        del found["organisations"]
    if sight == "joined":
        found["home_organisation"] = found["age_band"] = None
    return found, sight


# --- answers -------------------------------------------------------------------------------------


class MemberWritten(Written):
    """A member after what was just written; where one joined, the id and nothing else."""

    id: Uuid
    roles: list[MemberRole] | None = None
    unit: Code | None = None
    home_organisation: Code | None = None


class MaskedPerson(BaseModel):
    """Who a member is, as it may be shown."""

    name: str | None = None
    document_kind: str | None = None
    document_number: str | None = None
    birth_date: str | None = None
    phone: str | None = None


class Member(BaseModel):
    """A member."""

    id: Uuid
    roles: list[MemberRole]
    unit: Code
    home_organisation: Annotated[
        Code | None, Field(description="Null for an organisation that has joined.")
    ]
    organisations: Annotated[
        list[Code] | None, Field(description="All that know the member; not for organisations.")
    ] = None
    age_band: Annotated[
        AgeBand | None,
        Field(description="Null where no date of birth is held, and for who has joined."),
    ]
    erased_at: Annotated[
        InstantText | None,
        Field(description="From when on nobody knows who the member is."),
    ]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about the member.")]


class MemberItem(Member):
    """A member, and who it is, for those who may know."""

    person: Annotated[
        MaskedPerson | None,
        Field(description="Masked; for the home organisation, the member, an administrator."),
    ] = None


class MemberPage(Page):
    """Members, in the order in which they became known."""

    data: list[Member]


TAG = "Members"
JOINING_PROBLEMS = (
    "consent_needed",
    "person_erased",
    "person_known_otherwise",
    "organisation_suspended",
    "not_found",
    "personal_data_in_text",
)

ROUTES = [
    Route(
        method="POST",
        path="/v1/members",
        handler=add,
        operation="add_member",
        tag=TAG,
        summary_zh="登记成员，或在本人同意后加入",
        summary_en="Register a person, or join one who is known",
        roles=POSTERS,
        write=True,
        body=MemberAsk,
        example={
            "external_ref": "V-1001",
            "roles": ["volunteer"],
            "unit": "lake",
            "person": {"name": "张三", "birth_date": "1958-03-01"},
        },
        answers={201: MemberWritten, 200: MemberWritten},
        problems=JOINING_PROBLEMS,
    ),
    Route(
        method="GET",
        path="/v1/members",
        handler=listing,
        operation="list_members",
        tag=TAG,
        summary_zh="成员列表",
        summary_en="List members",
        roles=EVERYONE,
        query=MembersQuery,
        answers={200: MemberPage},
    ),
    Route(
        method="GET",
        path="/v1/members/{id}",
        handler=item,
        operation="get_member",
        tag=TAG,
        summary_zh="一个成员",
        summary_en="Get a member",
        roles=EVERYONE,
        answers={200: MemberItem},
    ),
    Route(
        method="PATCH",
        path="/v1/members/{id}",
        handler=patch,
        operation="change_member",
        tag=TAG,
        summary_zh="更改成员的角色、单位或个人信息",
        summary_en="Change a member's roles, unit or person",
        roles=POSTERS,
        write=True,
        body=MemberChangeAsk,
        example={"roles": ["volunteer", "resident"], "unit": "lake"},
        answers={200: MemberWritten},
        problems=("person_known_otherwise", "person_erased"),
    ),
]
