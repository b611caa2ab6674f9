"""Credentials of certifications over HTTP: issue, look up, hand out, revoke."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Ask, Code, ReasonNeededAsk, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.papers import CREDENTIAL, Number, found_or_refuse, handed_out
from api.service_records import is_beyond, sight
from ledger.commands import IssueCredential, RevokeCredential
from ledger.desk import Done
from ledger.events import Level
from ledger.paper_numbers import new_number, number_read
from projections.listing import Listed
from projections.papers import issued
from projections.papers.issued import CREDENTIALS

Standing = Literal["valid", "revoked"]


class CredentialAsk(Ask):
    """Nothing more than the certification needs to be said."""


async def issue(call: Call) -> web.Response:
    """Attest a certification as it stands."""
    command = IssueCredential(
        **call.stamp(),
        number=new_number("CR"),
        certification_id=call.path["id"],
        organisation=call.key.organisation,
        member_id=call.key.member_id if call.key.role == "member" else None,
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def revoke(call: Call) -> web.Response:
    """Take a credential back."""
    asked: ReasonNeededAsk = call.body
    command = RevokeCredential(
        **call.stamp(),
        number=number_read(call.path["number"]),
        organisation=call.key.organisation,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _told(done)))


def _told(done: Done) -> Fields:
    credential = done.states["credential"]
    fact = credential.issued
    return {
        "number": fact.number,
        "status": credential.status,
        "certification_id": fact.certification_id,
        "organisation": fact.organisation,
        "member_id": fact.member_id,
        "level": fact.level,
        "obtained_on": fact.obtained_on,
        "in_force_from": fact.in_force_from,
        "in_force_to": fact.in_force_to,
        "issued_on": fact.issued_on,
        "position": credential.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class CredentialsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Uuid | None = None
    organisation: Code | None = None
    certification_id: Uuid | None = None
    status: Standing | None = None


class CredentialQuery(ReadQuery):
    """In which form."""

    format: Literal["json", "credential"] = "json"


async def listing(call: Call) -> web.Response:
    """The credentials of certifications that the caller may see."""
    return await answer_page(call, _visible, call.query, *sight(call))


def _visible(
    connection: Connection,
    query: CredentialsQuery,
    organisation: str | None,
    member_id: str | None,
) -> Listed:
    if is_beyond(organisation, query.organisation) or is_beyond(member_id, query.member_id):
        return Listed([], None)
    return issued.listing(
        connection,
        CREDENTIALS,
        query.after,
        query.limit,
        organisation=organisation or query.organisation,
        member_id=member_id or query.member_id,
        certification_id=query.certification_id,
        status=query.status,
    )


async def item(call: Call) -> web.Response:
    """One credential: what is told of it, or itself."""
    query: CredentialQuery = call.query
    position = call.views.position
    found = await found_or_refuse(call, CREDENTIALS)
    if query.format == "credential":
        return await handed_out(call, found, position)
    return call.answer(found.told, position=position)


# --- answers -------------------------------------------------------------------------------------


class CredentialWritten(Written):
    """A credential after what was just written."""

    number: Number
    status: Standing
    certification_id: Uuid
    organisation: Code
    member_id: Uuid
    level: Level
    obtained_on: DayText
    in_force_from: DayText | None
    in_force_to: DayText | None
    issued_on: DayText


class Credential(BaseModel):
    """A credential as it stands."""

    number: Number
    status: Annotated[Standing, Field(description="Revoked too where its certification is.")]
    certification_id: Uuid
    organisation: Code
    member_id: Uuid
    level: Level
    obtained_on: DayText
    in_force_from: DayText | None
    in_force_to: DayText | None
    issued_on: DayText
    reason: Annotated[str | None, Field(description="Why it is revoked.")]
    issued_position: Annotated[int, Field(description="Of its own entry in the log.")]
    recorded_at: InstantText
    position: Annotated[int, Field(description="Of the last fact about it.")]


class CredentialItem(Credential):
    """A credential as it stands, with what proves it."""

    leaf_hash: Annotated[str, Field(description="Of its entry in the log, base64 (RFC 6962).")]


class CredentialPage(Page):
    """Credentials, oldest first."""

    data: list[Credential]


TAG = "Credentials"
_ITEM = "/v1/credentials/{number}"

ROUTES = [
    Route(
        method="POST",
        path="/v1/certifications/{id}/credential",
        handler=issue,
        operation="issue_credential",
        tag=TAG,
        summary_zh="出具职业资格凭证（Open Badges 3.0）",
        summary_en="Issue the credential of a certification (Open Badges 3.0)",
        roles=VERIFIERS | {"member"},
        write=True,
        body=CredentialAsk,
        example={},
        answers={201: CredentialWritten},
        problems=("wrong_state",),
    ),
    Route(
        method="GET",
        path="/v1/credentials",
        handler=listing,
        operation="list_credentials",
        tag=TAG,
        summary_zh="职业资格凭证列表",
        summary_en="List the credentials of certifications",
        roles=EVERYONE,
        query=CredentialsQuery,
        answers={200: CredentialPage},
    ),
    Route(
        method="GET",
        path=_ITEM,
        handler=item,
        operation="get_credential",
        tag=TAG,
        summary_zh="一份职业资格凭证",
        summary_en="Get a credential: what is told of it, or itself",
        roles=EVERYONE,
        query=CredentialQuery,
        answers={200: CredentialItem},
        also=(CREDENTIAL,),
        problems=("signing_key_not_in_force",),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/revoke",
        handler=revoke,
        operation="revoke_credential",
        tag=TAG,
        summary_zh="撤销职业资格凭证",
        summary_en="Revoke a credential",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "出具对象有误"},
        answers={200: CredentialWritten},
        problems=("wrong_state", "personal_data_in_text"),
    ),
]
