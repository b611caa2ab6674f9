"""Consents of a member over HTTP: given, withdrawn, and shown to whom they were given."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Code, Text, Uuid
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
from ledger.commands import GiveConsent, WithdrawConsent
from ledger.desk import Done
from ledger.events import ConsentPurpose
from ledger.keys import Key, Role
from ledger.units import Refused
from projections import consents
from projections.listing import Listed

GIVERS: frozenset[Role] = VERIFIERS | {"member"}
ShownPurpose = Literal["joining", "publication", "sharing"]
ForWhom = Annotated[
    Code | None,
    Field(description="Whom it concerns. An administrator or the member may name another."),
]


class ConsentAsk(Ask):
    """Let an organisation do something; the home organisation where none is named."""

    entering = ("consent_ref",)

    organisation: ForWhom = None
    purpose: ConsentPurpose
    consent_ref: Text


class ConsentWithdrawalAsk(Ask):
    """Let it do that no more; every organisation where none is named."""

    organisation: ForWhom = None


class ConsentsQuery(PageQuery):
    """Which consents of the member."""

    purpose: ShownPurpose | None = None


class ConsentWritten(Written):
    """A consent after what was just written; `organisation` is null where all are meant."""

    member_id: Uuid
    organisation: Code | None
    purpose: ConsentPurpose
    status: Literal["given", "withdrawn"]


class Consent(BaseModel):
    """What a member let an organisation do."""

    given_position: Annotated[int, Field(ge=1, description="Names it in its path.")]
    member_id: Uuid
    organisation: Code
    purpose: ShownPurpose
    consent_ref: str
    status: Literal["given", "replaced", "withdrawn"]
    given_at: InstantText
    ended_at: InstantText | None
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class ConsentPage(Page):
    """A member's consents, oldest first."""

    data: list[Consent]


async def give(call: Call) -> web.Response:
    """Let an organisation do something."""
    _own_or_refuse(call)
    asked: ConsentAsk = call.body
    command = GiveConsent(
        **call.stamp(),
        member_id=call.path["id"],
        organisation=call.organisation,
        asker=call.key.organisation,
        purpose=asked.purpose,
        consent_ref=asked.consent_ref,
    )

    def answered(done: Done) -> tuple[int, Fields]:
        member = done.states["member"]
        organisation = command.organisation or member.home
        said = _said(command.member_id, organisation, command.purpose, "given")
        return (201, said) if done.entries else (200, said | {"position": member.position})

    return await call.write(command, answered)


async def withdraw(call: Call) -> web.Response:
    """Let it do that no more."""
    _own_or_refuse(call)
    purpose = _purpose(call.path["purpose"])
    command = WithdrawConsent(
        **call.stamp(),
        member_id=call.path["id"],
        organisation=call.organisation,
        asker=call.key.organisation,
        purpose=purpose,
    )

    def answered(done: Done) -> tuple[int, Fields]:
        said = _said(command.member_id, command.organisation, purpose, "withdrawn")
        return 200, said | {"position": done.states["member"].position}

    return await call.write(command, answered)


async def listing(call: Call) -> web.Response:
    """A member's consents: all, for an organisation those that it was given."""
    query: ConsentsQuery = call.query
    return await answer_page(
        call,
        _visible_consents,
        call.key,
        call.path["id"],
        query.after,
        query.limit,
        query.purpose,
    )


async def item(call: Call) -> web.Response:
    """One consent, by the position at which it was given."""
    return await call.read(_visible_consent, call.key, call.path["id"], int(call.path["position"]))


def _said(member_id: str, organisation: str | None, purpose: str, status: str) -> Fields:
    return {
        "member_id": member_id,
        "organisation": organisation,
        "purpose": purpose,
        "status": status,
    }


def _own_or_refuse(call: Call) -> None:
    if call.key.role == "member" and call.key.member_id != call.path["id"]:
        raise Refused("not_found")


def _purpose(said: str) -> ConsentPurpose:
    match said:
        case "publication" | "sharing":
            return said
        case _:
            raise Refused("not_found")


def _visible_consents(
    connection: Connection,
    key: Key,
    member_id: str,
    after: int,
    limit: int,
    purpose: ShownPurpose | None,
) -> Listed:
    if sight_of(connection, key, member_id) is None:
        raise Refused("not_found")
    return consents.listing(
        connection, member_id, after, limit, organisation=key.organisation, purpose=purpose
    )


def _visible_consent(
    connection: Connection, key: Key, member_id: str, position: int
) -> Fields | None:
    if sight_of(connection, key, member_id) is None:
        return None
    return consents.consent(connection, member_id, position, key.organisation)


ROUTES = [
    Route(
        method="POST",
        path="/v1/members/{id}/consents",
        handler=give,
        operation="give_consent",
        tag=TAG,
        summary_zh="登记本人同意（公开或共享）",
        summary_en="Record what a person consents to",
        roles=GIVERS,
        write=True,
        body=ConsentAsk,
        example={"purpose": "publication", "consent_ref": "同意书-2026-17"},
        answers={201: ConsentWritten, 200: ConsentWritten},
        problems=("person_erased", "not_found", "personal_data_in_text"),
    ),
    Route(
        method="POST",
        path="/v1/members/{id}/consents/{purpose}/withdraw",
        handler=withdraw,
        operation="withdraw_consent",
        tag=TAG,
        summary_zh="撤回本人同意",
        summary_en="Record that a consent is withdrawn",
        roles=GIVERS,
        write=True,
        body=ConsentWithdrawalAsk,
        example={},
        answers={200: ConsentWritten},
        problems=("wrong_state", "not_found"),
    ),
    Route(
        method="GET",
        path="/v1/members/{id}/consents",
        handler=listing,
        operation="list_consents",
        tag=TAG,
        summary_zh="本人同意的列表",
        summary_en="List what a member consents to",
        roles=EVERYONE,
        query=ConsentsQuery,
        answers={200: ConsentPage},
    ),
    Route(
        method="GET",
        path="/v1/members/{id}/consents/{position}",
        handler=item,
        operation="get_consent",
        tag=TAG,
        summary_zh="一项本人同意",
        summary_en="Get a consent",
        roles=EVERYONE,
        answers={200: Consent},
    ),
]
