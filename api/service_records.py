"""Service records over HTTP: post one, look them up, verify or reject what waits."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import (
    Code,
    Day,
    RejectionAsk,
    ServiceRecordAsk,
    Uuid,
    VerdictAsk,
)
from api.call import Call
from api.contract import (
    EVERYONE,
    POSTERS,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.lists import answer_page
from ledger.commands import PostHours, RejectHours, Stamp, VerifyHours
from ledger.desk import Done
from ledger.events import Capacity, Evidence
from ledger.rules.service_records import Record
from ledger.units import Refused, new_id
from projections import service_records as view
from projections.listing import Item, Listed

if TYPE_CHECKING:
    from ledger.opening import Ledger

Status = Literal["submitted", "verified", "rejected", "reversed", "corrected"]

# --- asking --------------------------------------------------------------------------------------


def post_hours(ask: ServiceRecordAsk, organisation: str, member_id: str, stamp: Stamp) -> PostHours:
    """The command that an ask stands for, its member found and its organisation known."""
    return PostHours(
        **stamp,
        record_id=new_id(),
        organisation=organisation,
        receipt=ask.receipt,
        member_id=member_id,
        activity=ask.activity,
        category=ask.category,
        place=ask.place,
        responsible=ask.responsible,
        started_at=ask.started_at,
        ended_at=ask.ended_at,
        break_minutes=ask.break_minutes,
        capacity=ask.capacity,
        evidence=ask.evidence,
        professional=ask.professional,
        supervisor_id=ask.supervisor_id,
        certification_id=ask.certification_id,
        order_id=ask.order_id,
        project_id=ask.project_id,
        programme_id=ask.programme_id,
        redemption_id=ask.redemption_id,
        member_pointer="/member_id" if ask.member_ref is None else "/member_ref",
    )


async def find_member(
    ledger: "Ledger", organisation: str, member_id: str | None, member_ref: str | None
) -> str:
    """The member's id; a reference is looked up among the organisation's own."""
    if member_ref is None:
        return member_id or ""
    found = ledger.vault.recall(organisation, member_ref)
    if found is None:
        refs = await asyncio.to_thread(ledger.vault.find_refs, organisation, [member_ref])
        found = refs.get(member_ref)
    if found is None:
        raise Refused("not_found", pointer="/member_ref")
    return found


async def post(call: Call) -> web.Response:
    """Record one service."""
    ask: ServiceRecordAsk = call.body
    organisation = call.acting_organisation()
    member_id = await find_member(call.ledger, organisation, ask.member_id, ask.member_ref)
    return await call.write(post_hours(ask, organisation, member_id, call.stamp()), _posted)


async def verify(call: Call) -> web.Response:
    """Let a record that waits count."""
    ask: VerdictAsk = call.body
    command = VerifyHours(
        **call.stamp(),
        record_id=call.path["id"],
        organisation=call.key.organisation,
        reason=ask.reason,
    )
    return await call.write(command, _decided)


async def reject(call: Call) -> web.Response:
    """Say that a record that waits never counts."""
    ask: RejectionAsk = call.body
    command = RejectHours(
        **call.stamp(),
        record_id=call.path["id"],
        organisation=call.key.organisation,
        reason=ask.reason,
    )
    return await call.write(command, _decided)


def _posted(done: Done) -> tuple[int, Fields]:
    return 201 if done.entries else 200, told(done.states["before"])


def _decided(done: Done) -> tuple[int, Fields]:
    return 200, told(done.states["record"])


def told(record: Record) -> Fields:
    """A record as it stands, as every write about it answers; no figures unless it is verified."""
    content, figures = record.content, record.figures
    assert content is not None  # noqa: S101  (a rule has just answered about it)
    said: Fields = {
        "id": content.record_id,
        "position": record.position,
        "organisation": content.organisation,
        "receipt": content.receipt,
        "status": record.status,
        "served_on": content.served_on,
        "minutes": None,
        "overlap_minutes": None,
        "credits": None,
        "capped": None,
        "overflowed": None,
        "paid_from_hold": None,
        "points": None,
        "certified": None,
        "late": content.late,
        "policy_version": content.policy_version,
        "replaces": content.replaces,
        "replaced_by": record.reversal and record.reversal.replaced_by,
    }
    if figures is not None:
        said["minutes"] = figures.minutes
        said["overlap_minutes"] = figures.overlap_minutes
        said["credits"] = figures.credits
        said["capped"] = figures.capped or 0
        said["overflowed"] = figures.overflowed or 0
        said["paid_from_hold"] = figures.paid_from_hold or 0
        said["points"] = record.points
        said["certified"] = record.certified
        said["policy_version"] = figures.policy_version
    return said


# --- looking up ----------------------------------------------------------------------------------


class RecordsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Uuid | None = None
    organisation: Code | None = None
    status: Status | None = None
    served_from: Annotated[Day | None, Field(description="First service date.")] = None
    served_to: Annotated[Day | None, Field(description="Last service date.")] = None
    unit: Annotated[Code | None, Field(description="The place, or a unit that it lies in.")] = None
    category: Annotated[str | None, Field(max_length=200)] = None


async def listing(call: Call) -> web.Response:
    """The records that the caller may see, oldest first."""
    query: RecordsQuery = call.query
    return await answer_page(call, _visible_records, query, *sight(call))


async def item(call: Call) -> web.Response:
    """One record."""
    return await call.read(visible_record, call.path["id"], *sight(call))


def sight(call: Call) -> tuple[str | None, str | None]:
    """What narrows the caller's sight: its organisation, or its own member."""
    key = call.key
    return key.organisation, key.member_id if key.role == "member" else None


def is_beyond(own: str | None, asked: str | None) -> bool:
    """Does a filter ask for what a caller does not see, who sees only its own?"""
    return own is not None and asked not in (None, own)


def _visible_records(
    connection: Connection, query: RecordsQuery, organisation: str | None, member_id: str | None
) -> Listed:
    if is_beyond(organisation, query.organisation) or is_beyond(member_id, query.member_id):
        return Listed([], None)
    return view.listing(
        connection,
        query.after,
        query.limit,
        member_id=member_id or query.member_id,
        organisation=organisation or query.organisation,
        status=query.status,
        served_from=query.served_from,
        served_to=query.served_to,
        unit=query.unit,
        category=query.category,
    )


def visible_record(
    connection: Connection, record_id: str, organisation: str | None, member_id: str | None
) -> Item | None:
    found = view.service_record(connection, record_id)
    if found is None:
        return None
    if organisation is not None and found["organisation"] != organisation:
        return None
    if member_id is not None and found["member_id"] != member_id:
        return None
    return found


# --- answers -------------------------------------------------------------------------------------


class RecordFields(BaseModel):
    """What every answer about a service record says; figures are null unless it is verified."""

    id: Uuid
    organisation: Code
    receipt: str
    status: Status
    served_on: DayText
    minutes: Annotated[int | None, Field(description="Service minutes.")]
    overlap_minutes: int | None
    credits: Annotated[int | None, Field(description="Credit-minutes granted.")]
    capped: int | None
    overflowed: int | None
    paid_from_hold: int | None
    points: int | None
    certified: Annotated[
        bool | None,
        Field(description="Professional, with a registration in force on the service date."),
    ]
    late: bool
    policy_version: int
    replaces: Annotated[Uuid | None, Field(description="The record that this one corrects.")]
    replaced_by: Annotated[Uuid | None, Field(description="The record that corrects this one.")]


class RecordWritten(RecordFields, Written):
    """A service record after what was just written."""


class ServiceRecord(RecordFields):
    """A service record as it stands."""

    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]
    recorded_at: InstantText
    member_id: Uuid
    activity: str
    category: str
    place: Code
    responsible: str
    started_at: InstantText
    ended_at: InstantText
    break_minutes: int
    capacity: Capacity
    evidence: Evidence
    professional: bool
    supervisor_id: Uuid | None
    certification_id: Uuid | None
    order_id: Uuid | None
    project_id: Uuid | None
    programme_id: Uuid | None
    redemption_id: Uuid | None
    duty_minutes: Annotated[int | None, Field(description="Minutes counted on duty.")]


class ServiceRecordPage(Page):
    """Service records, in the order in which they were posted."""

    data: list[ServiceRecord]


POSTING_PROBLEMS = (
    "receipt_reused",
    "overlapping_service",
    "service_in_the_future",
    "too_old",
    "period_closed",
    "organisation_suspended",
    "not_found",
    "personal_data_in_text",
)
_VERDICT_PROBLEMS = (
    "wrong_state",
    "second_person_needed",
    "own_hours",
    "personal_data_in_text",
)
TAG = "Service records"

VISIT: Fields = {
    "receipt": "2026-0306-001",
    "member_ref": "V-1001",
    "activity": "陪伴就医",
    "category": "elder-care",
    "place": "lake",
    "responsible": "staff-01",
    "started_at": "2026-03-06T14:00:00+08:00",
    "ended_at": "2026-03-06T16:00:00+08:00",
}
"""A service record as one is posted, for the document."""

ROUTES = [
    Route(
        method="POST",
        path="/v1/service-records",
        handler=post,
        operation="post_service_record",
        summary_zh="登记一条服务记录",
        summary_en="Record one service",
        roles=POSTERS,
        write=True,
        body=ServiceRecordAsk,
        example=VISIT,
        answers={201: RecordWritten, 200: RecordWritten},
        problems=POSTING_PROBLEMS,
        tag=TAG,
    ),
    Route(
        method="GET",
        path="/v1/service-records",
        handler=listing,
        operation="list_service_records",
        summary_zh="查询服务记录",
        summary_en="Service records, oldest first",
        roles=EVERYONE,
        query=RecordsQuery,
        answers={200: ServiceRecordPage},
        tag=TAG,
    ),
    Route(
        method="GET",
        path="/v1/service-records/{id}",
        handler=item,
        operation="get_service_record",
        summary_zh="查看一条服务记录",
        summary_en="One service record",
        roles=EVERYONE,
        answers={200: ServiceRecord},
        tag=TAG,
    ),
    Route(
        method="POST",
        path="/v1/service-records/{id}/verify",
        handler=verify,
        operation="verify_service_record",
        summary_zh="确认待确认的服务记录",
        summary_en="Let a record that waits count",
        roles=VERIFIERS,
        write=True,
        body=VerdictAsk,
        example={"reason": "已电话核实"},
        answers={200: RecordWritten},
        problems=(*_VERDICT_PROBLEMS, "overlapping_service", "period_closed"),
        tag=TAG,
    ),
    Route(
        method="POST",
        path="/v1/service-records/{id}/reject",
        handler=reject,
        operation="reject_service_record",
        summary_zh="驳回待确认的服务记录",
        summary_en="Say that a record that waits never counts",
        roles=VERIFIERS,
        write=True,
        body=RejectionAsk,
        example={"reason": "服务未发生"},
        answers={200: RecordWritten},
        problems=_VERDICT_PROBLEMS,
        tag=TAG,
    ),
]
