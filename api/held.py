"""A copy of all that is held about one person, for that person: vault, keys, views and journal."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.achievements import Achievement
from api.asks import Uuid
from api.audit import Event, event_told
from api.call import Call
from api.careers import Career, career_of
from api.cases import Case
from api.certifications import Certification
from api.consents import Consent
from api.contract import Fields, InstantText, ReadQuery, Route
from api.corrections import CorrectionRequest
from api.credentials import Credential
from api.grades import Grade, grade_of
from api.held_pdf import held_pdf
from api.members import TAG, MaskedPerson, Member
from api.orders import Order
from api.papers import PDF, attached
from api.partners import Expert
from api.passbooks import AsOf, Balance, PassbookLine, passbook_lines
from api.programmes import Enrolment
from api.redemptions import Redemption
from api.relations import Relation
from api.service_records import ServiceRecord
from api.statements import Statement
from api.supervision import Appointment, Mentorship
from api.transfers import Transfer
from ledger import databases, keys, store
from ledger.keys import Role
from ledger.refusals import Language
from ledger.units import Refused, instant_text
from projections import (
    consents,
    correction_requests,
    directory,
    field_shelves,
    orders,
    passbook,
    redemptions,
    relations,
    service_records,
    shelves,
    trail,
    transfers,
)
from projections.listing import Item, Listed
from projections.papers import issued

if TYPE_CHECKING:
    from ledger.opening import Ledger

AT_ONCE = 500
SHELVES = {
    "certifications": shelves.CERTIFICATIONS,
    "achievements": shelves.ACHIEVEMENTS,
    "appointments": shelves.APPOINTMENTS,
    "mentorships": shelves.MENTORSHIPS,
    "cases": shelves.CASES,
    "experts": field_shelves.EXPERTS,
}
THEMSELVES: frozenset[Role] = frozenset({"admin", "member"})


def held_about(ledger: "Ledger", member_id: str) -> Fields | None:
    """Everything, as far as the views have read; None where nobody has that id.

    Every list is whole. Of an erased member the person is null, and the facts stand. It reads the
    whole journal once, for every entry in which the id stands.
    """
    with databases.reading(ledger.views_engine) as connection:
        member = directory.member(connection, member_id)
        if member is None:
            return None
        position = trail.position(connection)
        viewed = _in_the_views(connection, member_id)
        with ledger.store.reading() as journal:
            named = keys.keys_of(journal, member_id)
            entries = store.read_naming(journal, member_id.encode(), position)
        shown = [_key(connection, key) for key in named]
    held = None
    if member["erased_at"] is None:
        held = ledger.vault.read_in_full(member_id)
    return {
        "member_id": member_id,
        "generated_at": instant_text(ledger.committer.clock()),
        "position": position,
        "person": None if held is None else held.person.held(),
        "external_refs": {} if held is None else held.external_refs,
        "member": member,
        **viewed,
        "keys": shown,
        "events": [event_told(row) for row in entries],
    }


def _in_the_views(connection: Connection, member_id: str) -> Fields:
    """What the other routes show of the member, by the same functions."""
    now = AsOf()

    def whole(read: Callable[..., Listed], *args: Any, **kwargs: Any) -> list[Item]:
        found: list[Item] = []
        after: int | None = 0
        while after is not None:
            page = read(connection, *args, after=after, limit=AT_ONCE, **kwargs)
            found += page.items
            after = page.next
        return found

    on_shelves = {
        name: whole(shelves.listing, shelf, member_id=member_id) for name, shelf in SHELVES.items()
    }
    return {
        "consents": whole(consents.listing, member_id),
        "relations": whole(relations.listing, member_id),
        "balance": passbook.balance(connection, member_id),
        "career": career_of(connection, member_id, now),
        "grade": grade_of(connection, f"member:{member_id}"),
        "records": whole(service_records.listing, member_id=member_id),
        "passbook": whole(passbook_lines, member_id, organisation=None, query=now),
        "correction_requests": whole(correction_requests.listing, member_id=member_id),
        "transfers": whole(transfers.listing, member_id=member_id),
        "orders": whole(orders.orders_listed, seen_by=member_id),
        "redemptions": whole(redemptions.listing, member_id=member_id),
        **on_shelves,
        "statements": whole(issued.listing, issued.STATEMENTS, member_id=member_id),
        "credentials": whole(issued.listing, issued.CREDENTIALS, member_id=member_id),
        "enrolments": whole(field_shelves.taking_part, member_id),
    }


def _key(connection: Connection, key: keys.Key) -> Fields:
    return {
        "id": key.id,
        "role": key.role,
        "actor": key.actor,
        "organisation": key.organisation,
        "created_at": key.created_at,
        "expires_on": key.expires_on.isoformat() if key.expires_on else None,
        "revoked_at": key.revoked_at,
        "issuer": key.issuer,
        "subject": key.subject,
        "last_used_at": key.last_used_at,
        "last_recorded_at": trail.last_recorded_at(connection, key.id),
    }


class CopyQuery(ReadQuery):
    """In which form; the language is a PDF's."""

    format: Literal["json", "pdf"] = "json"
    language: Annotated[
        Language | None, Field(description="Of a PDF; default: Accept-Language.")
    ] = None


async def copy(call: Call) -> web.Response:
    """All that is held about a member, for the member and an administrator."""
    if call.key.role == "member" and call.key.member_id != call.path["id"]:
        raise Refused("not_found")
    query: CopyQuery = call.query
    found = await call.in_thread(held_about, call.ledger, call.path["id"])
    if found is None:
        raise Refused("not_found")
    if query.format == "pdf":
        language = query.language or call.language
        content = await call.in_thread(held_pdf, found, language)
        name = f"{found['member_id']}.{language}.pdf"
        return attached(call, PDF, name, content, found["position"])
    return call.answer(found, position=found["position"])


# --- answers -------------------------------------------------------------------------------------


class KeyTold(BaseModel):
    """A key that names the member; its text is nowhere."""

    id: str
    role: str
    actor: str
    organisation: str | None
    created_at: InstantText
    expires_on: str | None
    revoked_at: InstantText | None
    issuer: Annotated[str | None, Field(description="Of tokens that speak for it.")]
    subject: Annotated[str | None, Field(description="Whom such a token names.")]
    last_used_at: Annotated[InstantText | None, Field(description="Within some minutes.")]
    last_recorded_at: Annotated[
        InstantText | None, Field(description="Of the last entry made with it; reads are not kept.")
    ]


class ProgrammeEnrolment(Enrolment):
    """A programme that the member takes part in."""

    programme_id: Uuid


class HeldData(BaseModel):
    """A copy of all that is held about one member."""

    member_id: Uuid
    generated_at: InstantText
    position: Annotated[int, Field(description="Up to which entry of the log.")]
    person: Annotated[
        MaskedPerson | None, Field(description="In full, not masked; null once erased.")
    ]
    external_refs: Annotated[
        dict[str, list[str]], Field(description="What each organisation calls the member.")
    ]
    member: Member
    consents: list[Consent]
    relations: list[Relation]
    balance: Balance
    career: Career
    grade: Grade
    records: list[ServiceRecord]
    passbook: list[PassbookLine]
    correction_requests: list[CorrectionRequest]
    transfers: list[Transfer]
    orders: list[Order]
    redemptions: list[Redemption]
    certifications: list[Certification]
    achievements: list[Achievement]
    appointments: list[Appointment]
    mentorships: list[Mentorship]
    cases: list[Case]
    experts: list[Expert]
    statements: list[Statement]
    credentials: list[Credential]
    enrolments: list[ProgrammeEnrolment]
    keys: list[KeyTold]
    events: Annotated[list[Event], Field(description="Every entry that names the member.")]


ROUTES = [
    Route(
        method="GET",
        path="/v1/members/{id}/personal-data",
        handler=copy,
        operation="get_personal_data",
        tag=TAG,
        summary_zh="所保存的关于本人的全部信息（副本）",
        summary_en="Get a copy of all that is held about a member",
        roles=THEMSELVES,
        query=CopyQuery,
        answers={200: HeldData},
        also=(PDF,),
    ),
]
