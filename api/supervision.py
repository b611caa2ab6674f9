"""Appointments of supervisors and mentorships over HTTP."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, Day, FieldNo, Reason, Uuid
from api.call import Call
from api.certifications import answer_shelf
from api.contract import (
    EVERYONE,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Route,
    Written,
)
from api.service_records import sight
from ledger.commands import AppointSupervisor, BeginMentorship, EndAppointment, EndMentorship
from ledger.desk import Done
from ledger.units import new_id
from projections import shelves as view

Made = Literal["made", "ended"]
Begun = Literal["begun", "ended"]


class TermAsk(Ask):
    """What has a term, of which both dates are a part."""

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """A term does not end before it begins."""
        first, last = values.get("first"), values.get("last")
        if first is not None and last is not None and last < first:
            yield ("to",), "ends_before_start", {}


class AppointmentAsk(TermAsk):
    """A member supervises in a unit for a term, of which both dates are a part."""

    organisation: Code | None = None
    member_id: Uuid
    unit: Code
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]


class MentorshipAsk(Ask):
    """One member guides another from a date on."""

    organisation: Code | None = None
    mentor_id: Uuid
    mentee_id: Uuid
    first: Annotated[Day, Field(alias="from")]


class EndAsk(Ask):
    """It is over."""

    entering = ("reason",)

    on: Annotated[Day | None, Field(description="The last date; today, if none is named.")] = None
    reason: Reason | None = None


async def appoint(call: Call) -> web.Response:
    """Let a member supervise in a unit."""
    asked: AppointmentAsk = call.body
    command = AppointSupervisor(
        **call.stamp(),
        appointment_id=new_id(),
        member_id=asked.member_id,
        organisation=call.acting_organisation(),
        unit=asked.unit,
        first=asked.first,
        last=asked.last,
    )
    return await call.write(command, lambda done: (201, _appointment(done)))


async def end_appointment(call: Call) -> web.Response:
    """End an appointment before its term."""
    asked: EndAsk = call.body
    command = EndAppointment(
        **call.stamp(),
        appointment_id=call.path["id"],
        organisation=call.key.organisation,
        last=asked.on,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _appointment(done)))


async def begin_mentorship(call: Call) -> web.Response:
    """Let one member guide another."""
    asked: MentorshipAsk = call.body
    command = BeginMentorship(
        **call.stamp(),
        mentorship_id=new_id(),
        mentor_id=asked.mentor_id,
        mentee_id=asked.mentee_id,
        organisation=call.acting_organisation(),
        first=asked.first,
    )
    return await call.write(command, lambda done: (201, _mentorship(done)))


async def end_mentorship(call: Call) -> web.Response:
    """End a mentorship."""
    asked: EndAsk = call.body
    command = EndMentorship(
        **call.stamp(),
        mentorship_id=call.path["id"],
        organisation=call.key.organisation,
        last=asked.on,
        reason=asked.reason,
    )
    return await call.write(command, lambda done: (200, _mentorship(done)))


def _appointment(done: Done) -> Fields:
    appointment = done.states["appointment"]
    made, ended = appointment.made, appointment.ended
    return {
        "id": made.appointment_id,
        "member_id": made.member_id,
        "unit": made.unit,
        "from": made.first,
        "to": made.last if ended is None else ended.last,
        "status": "made" if ended is None else "ended",
        "position": appointment.position,
    }


def _mentorship(done: Done) -> Fields:
    mentorship = done.states["mentorship"]
    begun, ended = mentorship.begun, mentorship.ended
    return {
        "id": begun.mentorship_id,
        "mentor_id": begun.member_id,
        "mentee_id": begun.mentee_id,
        "from": begun.first,
        "to": None if ended is None else ended.last,
        "status": "begun" if ended is None else "ended",
        "position": mentorship.position,
    }


# --- looking up ----------------------------------------------------------------------------------


class AppointmentsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Uuid | None = None
    organisation: Code | None = None
    unit: Code | None = None
    status: Made | None = None


class MentorshipsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Annotated[Uuid | None, Field(description="Mentor or mentee.")] = None
    organisation: Code | None = None
    status: Begun | None = None


async def appointments(call: Call) -> web.Response:
    """The appointments that the caller may see."""
    return await answer_shelf(call, view.APPOINTMENTS, call.query, ("unit", "status"))


async def appointment(call: Call) -> web.Response:
    """One appointment."""
    return await call.read(view.item, view.APPOINTMENTS, call.path["id"], *sight(call))


async def mentorships(call: Call) -> web.Response:
    """The mentorships that the caller may see."""
    return await answer_shelf(call, view.MENTORSHIPS, call.query, ("status",))


async def mentorship(call: Call) -> web.Response:
    """One mentorship."""
    return await call.read(view.item, view.MENTORSHIPS, call.path["id"], *sight(call))


# --- answers -------------------------------------------------------------------------------------


class AppointmentWritten(Written):
    """An appointment after what was just written."""

    id: Uuid
    member_id: Uuid
    unit: Code
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    status: Made


class MentorshipWritten(Written):
    """A mentorship after what was just written."""

    id: Uuid
    mentor_id: Uuid
    mentee_id: Uuid
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText | None, Field(alias="to")]
    status: Begun


class Appointment(BaseModel):
    """An appointment as it stands."""

    id: Uuid
    member_id: Uuid
    organisation: Code
    unit: Code
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    status: Made
    reason: str | None
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class AppointmentPage(Page):
    """Appointments, oldest first."""

    data: list[Appointment]


class Mentorship(BaseModel):
    """A mentorship as it stands."""

    id: Uuid
    mentor_id: Uuid
    mentee_id: Uuid
    organisation: Code
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText | None, Field(alias="to")]
    status: Begun
    reason: str | None
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


class MentorshipPage(Page):
    """Mentorships, oldest first."""

    data: list[Mentorship]


TAG = "Supervision"
_POSTING = ("organisation_suspended", "member_closed", "not_found")
_ENDING = ("wrong_state", "in_the_future", "out_of_order", "personal_data_in_text")

ROUTES = [
    Route(
        method="POST",
        path="/v1/appointments",
        handler=appoint,
        operation="appoint_supervisor",
        tag=TAG,
        summary_zh="聘任督导（有任期）",
        summary_en="Let a member supervise in a unit for a term",
        roles=VERIFIERS,
        write=True,
        body=AppointmentAsk,
        example={
            "member_id": "019f0000-0000-7000-8000-00000000000a",
            "unit": "west-coast",
            "from": "2026-01-01",
            "to": "2027-12-31",
        },
        answers={201: AppointmentWritten},
        problems=_POSTING,
    ),
    Route(
        method="POST",
        path="/v1/appointments/{id}/end",
        handler=end_appointment,
        operation="end_appointment",
        tag=TAG,
        summary_zh="提前终止聘任",
        summary_en="End an appointment before its term",
        roles=VERIFIERS,
        write=True,
        body=EndAsk,
        example={"reason": "调离"},
        answers={200: AppointmentWritten},
        problems=_ENDING,
    ),
    Route(
        method="GET",
        path="/v1/appointments",
        handler=appointments,
        operation="list_appointments",
        tag=TAG,
        summary_zh="督导聘任列表",
        summary_en="List appointments",
        roles=EVERYONE,
        query=AppointmentsQuery,
        answers={200: AppointmentPage},
    ),
    Route(
        method="GET",
        path="/v1/appointments/{id}",
        handler=appointment,
        operation="get_appointment",
        tag=TAG,
        summary_zh="一项聘任",
        summary_en="Get an appointment",
        roles=EVERYONE,
        answers={200: Appointment},
    ),
    Route(
        method="POST",
        path="/v1/mentorships",
        handler=begin_mentorship,
        operation="begin_mentorship",
        tag=TAG,
        summary_zh="结为师徒",
        summary_en="Let one member guide another",
        roles=VERIFIERS,
        write=True,
        body=MentorshipAsk,
        example={
            "mentor_id": "019f0000-0000-7000-8000-00000000000a",
            "mentee_id": "019f0000-0000-7000-8000-00000000000b",
            "from": "2026-03-01",
        },
        answers={201: MentorshipWritten},
        problems=(*_POSTING, "to_oneself"),
    ),
    Route(
        method="POST",
        path="/v1/mentorships/{id}/end",
        handler=end_mentorship,
        operation="end_mentorship",
        tag=TAG,
        summary_zh="结束师徒关系",
        summary_en="End a mentorship",
        roles=VERIFIERS,
        write=True,
        body=EndAsk,
        example={"reason": "出师"},
        answers={200: MentorshipWritten},
        problems=_ENDING,
    ),
    Route(
        method="GET",
        path="/v1/mentorships",
        handler=mentorships,
        operation="list_mentorships",
        tag=TAG,
        summary_zh="师徒列表",
        summary_en="List mentorships",
        roles=EVERYONE,
        query=MentorshipsQuery,
        answers={200: MentorshipPage},
    ),
    Route(
        method="GET",
        path="/v1/mentorships/{id}",
        handler=mentorship,
        operation="get_mentorship",
        tag=TAG,
        summary_zh="一对师徒",
        summary_en="Get a mentorship",
        roles=EVERYONE,
        answers={200: Mentorship},
    ),
]
