"""Relations of a member over HTTP: what others are to them, said by who knows both."""

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Text, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    VERIFIERS,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.members import TAG, sight_of
from ledger.commands import RecordRelation
from ledger.desk import Done
from ledger.keys import Key
from ledger.units import Refused
from projections import relations
from projections.listing import Listed


class RelationAsk(Ask):
    """What another member is to the member."""

    entering = ("relation", "evidence_ref")

    relation: Annotated[Text, Field(examples=["spouse", "parent", "child"])]
    to: Uuid
    evidence_ref: Text


class RelationWritten(Written):
    """A relation as it stands."""

    member_id: Uuid
    relation: str
    to: Uuid


class Relation(BaseModel):
    """What another member is to the member, as it was said last."""

    member_id: Uuid
    to: Uuid
    relation: str
    evidence_ref: str
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1)]


class RelationPage(Page):
    """A member's relations, oldest first."""

    data: list[Relation]


async def relate(call: Call) -> web.Response:
    """Say what another member is to the member."""
    asked: RelationAsk = call.body
    command = RecordRelation(
        **call.stamp(),
        member_id=call.path["id"],
        organisation=call.key.organisation,
        relation=asked.relation,
        to=asked.to,
        evidence_ref=asked.evidence_ref,
    )
    said = {"member_id": command.member_id, "relation": command.relation, "to": command.to}

    def answered(done: Done) -> tuple[int, Fields]:
        if done.entries:
            return 201, dict(said)
        return 200, {**said, "position": done.states["member"].position}

    return await call.write(command, answered)


async def listing(call: Call) -> web.Response:
    """What others are to a member; an organisation is told of those whom it knows."""
    query: PageQuery = call.query
    return await answer_page(
        call, _visible_relations, call.key, call.path["id"], query.after, query.limit
    )


async def item(call: Call) -> web.Response:
    """What one other is to a member."""
    return await call.read(_visible_relation, call.key, call.path["id"], call.path["to"])


def _visible_relations(
    connection: Connection, key: Key, member_id: str, after: int, limit: int
) -> Listed:
    if sight_of(connection, key, member_id) is None:
        raise Refused("not_found")
    return relations.listing(connection, member_id, after, limit, organisation=key.organisation)


def _visible_relation(connection: Connection, key: Key, member_id: str, to: str) -> Fields | None:
    if sight_of(connection, key, member_id) is None:
        return None
    return relations.relation(connection, member_id, to, key.organisation)


ROUTES = [
    Route(
        method="POST",
        path="/v1/members/{id}/relations",
        handler=relate,
        operation="record_relation",
        tag=TAG,
        summary_zh="登记与另一成员的关系",
        summary_en="Say what another member is to the member",
        roles=VERIFIERS,
        write=True,
        body=RelationAsk,
        example={
            "relation": "parent",
            "to": "019f0000-0000-7000-8000-00000000000b",
            "evidence_ref": "户口簿-2026-17",
        },
        answers={201: RelationWritten, 200: RelationWritten},
        problems=("not_found", "personal_data_in_text"),
    ),
    Route(
        method="GET",
        path="/v1/members/{id}/relations",
        handler=listing,
        operation="list_relations",
        tag=TAG,
        summary_zh="与其他成员的关系",
        summary_en="List what others are to the member",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: RelationPage},
    ),
    Route(
        method="GET",
        path="/v1/members/{id}/relations/{to}",
        handler=item,
        operation="get_relation",
        tag=TAG,
        summary_zh="与某一成员的关系",
        summary_en="Get what one other is to the member",
        roles=EVERYONE,
        answers={200: Relation},
    ),
]
