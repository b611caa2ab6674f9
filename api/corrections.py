"""Corrections over HTTP: reverse, correct, ask for it as a member, and decline."""

from typing import Annotated, Any, Literal, cast

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Code, CorrectionAsk, ReasonNeededAsk, ReversalAsk, Uuid
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
from api.problems import FieldError, Invalid
from api.service_records import (
    TAG,
    RecordWritten,
    find_member,
    sight,
    told,
    visible_record,
)
from ledger.commands import (
    Corrected,
    CorrectHours,
    DeclineCorrection,
    RequestCorrection,
    ReverseHours,
)
from ledger.desk import Done
from ledger.events import CorrectionDeclined, CorrectionRequested
from ledger.keys import Role
from ledger.units import Refused, new_id
from projections import correction_requests as view
from projections.listing import Item, Listed

Standing = Literal["open", "granted", "declined"]

ASKERS: frozenset[Role] = frozenset({"member", "admin"})
"""Who may say that a record is wrong: whom it is about, and administrators."""

# --- reversal and correction ---------------------------------------------------------------------


async def reverse(call: Call) -> web.Response:
    """Let a verified record count no more."""
    asked: ReversalAsk = call.body
    command = ReverseHours(
        **call.stamp(),
        record_id=call.path["id"],
        organisation=call.key.organisation,
        reason=asked.reason,
        for_cause=asked.for_cause,
    )
    return await call.write(command, lambda done: (200, told(done.states["record"])))


async def correct(call: Call) -> web.Response:
    """Put another record in the place of a verified one."""
    asked: CorrectionAsk = call.body
    replaced = asked.model_fields_set - ReversalAsk.model_fields.keys()
    if not replaced:
        raise Invalid([FieldError("", "nothing_corrected")])
    corrected: dict[str, Any] = {name: getattr(asked, name) for name in replaced}
    if corrected.pop("member_ref", None) is not None:
        own = call.key.organisation or ""
        corrected["member_id"] = await find_member(call.ledger, own, None, asked.member_ref)
    command = CorrectHours(
        **call.stamp(),
        record_id=call.path["id"],
        organisation=call.key.organisation,
        reason=asked.reason,
        for_cause=asked.for_cause,
        replacement_id=new_id(),
        corrected=cast(Corrected, corrected),
        member_pointer="/member_ref" if "member_ref" in replaced else "/member_id",
    )
    return await call.write(command, _corrected)


def _corrected(done: Done) -> tuple[int, Fields]:
    states = done.states
    said = {"reversed": told(states["record"]), "replacement": told(states["replacement"])}
    return 200, said


# --- requests ------------------------------------------------------------------------------------


async def request(call: Call) -> web.Response:
    """Say that a record is wrong."""
    asked: ReasonNeededAsk = call.body
    command = RequestCorrection(
        **call.stamp(),
        record_id=call.path["id"],
        organisation=None,
        request_id=new_id(),
        member_id=call.key.member_id if call.key.role == "member" else None,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (201, _request(done)))


async def decline(call: Call) -> web.Response:
    """Leave a record as it is."""
    asked: ReasonNeededAsk = call.body
    command = DeclineCorrection(
        **call.stamp(),
        record_id=call.path["id"],
        organisation=call.key.organisation,
        request_id=call.path["request_id"],
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _request(done)))


def _request(done: Done) -> Fields:
    event = done.entries[-1].event
    assert isinstance(event, CorrectionRequested | CorrectionDeclined)  # noqa: S101
    return {
        "id": event.request_id,
        "record_id": event.record_id,
        "status": "open" if isinstance(event, CorrectionRequested) else "declined",
        "reason": event.reason,
    }


class RequestsQuery(PageQuery):
    """All requests, or those in one state."""

    status: Standing | None = None


async def listing(call: Call) -> web.Response:
    """The requests that the caller may see."""
    organisation, member_id = sight(call)
    return await answer_page(
        call,
        view.listing,
        call.query.after,
        call.query.limit,
        organisation=organisation,
        member_id=member_id,
        status=call.query.status,
    )


async def of_record(call: Call) -> web.Response:
    """The requests about one record."""
    return await answer_page(
        call,
        _requests_of,
        call.path["id"],
        call.query.after,
        call.query.limit,
        *sight(call),
    )


async def item(call: Call) -> web.Response:
    """One request."""
    return await call.read(_visible_request, call.path["id"], *sight(call))


def _requests_of(
    connection: Connection,
    record_id: str,
    after: int,
    limit: int,
    organisation: str | None,
    member_id: str | None,
) -> Listed:
    if visible_record(connection, record_id, organisation, member_id) is None:
        raise Refused("not_found")
    return view.listing(connection, after, limit, record_id=record_id)


def _visible_request(
    connection: Connection, request_id: str, organisation: str | None, member_id: str | None
) -> Item | None:
    found = view.correction_request(connection, request_id)
    if found is None:
        return None
    if organisation not in (None, found["organisation"]):
        return None
    return found if member_id in (None, found["member_id"]) else None


# --- answers -------------------------------------------------------------------------------------


class CorrectionWritten(Written):
    """A reversal and its replacement, both as they stand."""

    reversed: RecordWritten
    replacement: RecordWritten


class RequestWritten(Written):
    """A request after what was just written."""

    id: Uuid
    record_id: Uuid
    status: Standing
    reason: Annotated[str, Field(description="Why it is asked; why it is declined.")]


class CorrectionRequest(BaseModel):
    """What a member says is wrong, and what became of it."""

    id: Uuid
    record_id: Uuid
    member_id: Uuid
    organisation: Code
    status: Standing
    reason: str
    decided_reason: str | None
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class CorrectionRequestPage(Page):
    """Requests, in the order in which they were made."""

    data: list[CorrectionRequest]


_REVERSAL_PROBLEMS = ("wrong_state", "period_closed", "personal_data_in_text")
_RECORD = "/v1/service-records/{id}"

ROUTES = [
    Route(
        method="POST",
        path=f"{_RECORD}/reverse",
        handler=reverse,
        operation="reverse_service_record",
        summary_zh="冲正已确认的服务记录",
        summary_en="Let a verified record count no more",
        roles=VERIFIERS,
        write=True,
        body=ReversalAsk,
        example={"reason": "重复录入", "for_cause": False},
        answers={200: RecordWritten},
        problems=_REVERSAL_PROBLEMS,
        tag=TAG,
    ),
    Route(
        method="POST",
        path=f"{_RECORD}/correct",
        handler=correct,
        operation="correct_service_record",
        summary_zh="更正已确认的服务记录：冲正并以新记录替代",
        summary_en="Put another record in the place of a verified one",
        roles=VERIFIERS,
        write=True,
        body=CorrectionAsk,
        example={"reason": "结束时间录错", "ended_at": "2026-03-06T15:30:00+08:00"},
        answers={200: CorrectionWritten},
        problems=(
            *_REVERSAL_PROBLEMS,
            *("nothing_corrected", "second_person_needed", "own_hours", "overlapping_service"),
            *("service_in_the_future", "organisation_suspended", "not_found"),
        ),
        tag=TAG,
    ),
    Route(
        method="POST",
        path=f"{_RECORD}/correction-requests",
        handler=request,
        operation="request_correction",
        summary_zh="申请更正本人的服务记录",
        summary_en="Say that one's own record is wrong",
        roles=ASKERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "当天服务到四点半"},
        answers={201: RequestWritten},
        problems=("wrong_state", "personal_data_in_text"),
        tag=TAG,
    ),
    Route(
        method="GET",
        path=f"{_RECORD}/correction-requests",
        handler=of_record,
        operation="list_correction_requests_of_record",
        summary_zh="一条记录的更正申请",
        summary_en="The requests about one record",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: CorrectionRequestPage},
        tag=TAG,
    ),
    Route(
        method="POST",
        path=f"{_RECORD}/correction-requests/{{request_id}}/decline",
        handler=decline,
        operation="decline_correction",
        summary_zh="谢绝更正申请",
        summary_en="Leave a record as it is, and say why",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "签退记录为四点"},
        answers={200: RequestWritten},
        problems=("wrong_state", "own_hours", "personal_data_in_text"),
        tag=TAG,
    ),
    Route(
        method="GET",
        path="/v1/correction-requests",
        handler=listing,
        operation="list_correction_requests",
        summary_zh="更正申请列表",
        summary_en="Correction requests, oldest first",
        roles=EVERYONE,
        query=RequestsQuery,
        answers={200: CorrectionRequestPage},
        tag=TAG,
    ),
    Route(
        method="GET",
        path="/v1/correction-requests/{id}",
        handler=item,
        operation="get_correction_request",
        summary_zh="一份更正申请",
        summary_en="A correction request",
        roles=EVERYONE,
        answers={200: CorrectionRequest},
        tag=TAG,
    ),
]
