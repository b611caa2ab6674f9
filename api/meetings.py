"""Joint meetings 联席会议 over HTTP: what they resolved, and the closing of each resolution."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Ask, Code, Day, FieldNo, Reason, Text
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
from ledger.commands import CloseResolution, HoldMeeting
from ledger.desk import Done
from ledger.events import Resolution as Resolved
from ledger.units import new_id
from projections import field_shelves as view
from projections import shelves

Standing = Literal["open", "closed"]


class ResolutionAsk(Ask):
    """What was resolved, who sees to it, and by when."""

    entering = ("text", "responsible")

    text: Reason
    responsible: Text
    due_on: Day | None = None


RESOLUTIONS_BYTES_MAX = 48_000
"""Of all resolutions together, so that the meeting is one entry of the journal."""


class MeetingAsk(Ask):
    """A joint meeting was held."""

    entering = ("topic", "minutes_ref")

    organisation: Code | None = None
    unit: Code
    on: Day
    topic: Text
    participants: Annotated[
        tuple[Code, ...], Field(strict=False, max_length=100, description="Organisations.")
    ] = ()
    minutes_ref: Text | None = None
    resolutions: Annotated[tuple[ResolutionAsk, ...], Field(strict=False, max_length=50)] = ()

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """The resolutions have room in an entry."""
        size = sum(len(one.model_dump_json().encode()) for one in values.get("resolutions") or ())
        if size > RESOLUTIONS_BYTES_MAX:
            yield ("resolutions",), "wrong_value", {"expected": f"≤ {RESOLUTIONS_BYTES_MAX} B"}


class ClosingAsk(Ask):
    """A resolution was seen to."""

    entering = ("ref",)

    number: Annotated[int, Field(ge=1, lt=10**9, description="Of the resolution, from 1.")]
    on: Annotated[Day | None, Field(description="Today, if none is named.")] = None
    ref: Text


async def hold(call: Call) -> web.Response:
    """Say that a joint meeting was held."""
    asked: MeetingAsk = call.body
    command = HoldMeeting(
        **call.stamp(),
        meeting_id=new_id(),
        organisation=call.acting_organisation(),
        unit=asked.unit,
        on=asked.on,
        topic=asked.topic,
        participants=asked.participants,
        minutes_ref=asked.minutes_ref,
        resolutions=tuple(
            Resolved(
                text=one.text,
                responsible=one.responsible,
                due_on=None if one.due_on is None else one.due_on.isoformat(),
            )
            for one in asked.resolutions
        ),
    )
    return await call.write(command, lambda done: (201, _told(done)))


async def close_resolution(call: Call) -> web.Response:
    """Say that a resolution was seen to."""
    asked: ClosingAsk = call.body
    command = CloseResolution(
        **verb(call, "meeting_id"), number=asked.number, on=asked.on, ref=asked.ref
    )
    return await call.write(command, lambda done: (200, _told(done)))


def _told(done: Done) -> Fields:
    meeting = done.states["meeting"]
    held = meeting.held
    left = len(held.resolutions) - len(meeting.closed)
    return {
        "id": held.meeting_id,
        "unit": held.unit,
        "on": held.on,
        "topic": held.topic,
        "resolutions": [
            _resolution(number, one, meeting.closed.get(number))
            for number, one in enumerate(held.resolutions, 1)
        ],
        "open_resolutions": left,
        "status": "open" if left else "closed",
        "position": meeting.position,
    }


def _resolution(number: int, resolved: Resolved, closed: Any) -> Fields:
    return {
        "number": number,
        "text": resolved.text,
        "responsible": resolved.responsible,
        "due_on": resolved.due_on,
        "status": "open" if closed is None else "closed",
        "closed_on": None if closed is None else closed.on,
        "ref": None if closed is None else closed.ref,
    }


# --- looking up ----------------------------------------------------------------------------------


class MeetingsQuery(SearchQuery):
    """A search in the topic: all that is given holds."""

    status: Annotated[Standing | None, Field(description="Closed: no resolution is open.")] = None


async def listing(call: Call) -> web.Response:
    """The meetings: everybody may search all of them."""
    return await answer_field(call, view.MEETINGS, "status")


async def item(call: Call) -> web.Response:
    """One meeting."""
    return await call.read(shelves.item, view.MEETINGS, call.path["id"])


# --- answers -------------------------------------------------------------------------------------


class Resolution(BaseModel):
    """A resolution as it stands."""

    number: int
    text: str
    responsible: str
    due_on: DayText | None
    status: Standing
    closed_on: DayText | None
    ref: Annotated[str | None, Field(description="What shows that it was seen to.")]


class MeetingWritten(FiledWritten):
    """A meeting after what was just written."""

    unit: Code
    on: DayText
    topic: str
    resolutions: list[Resolution]
    open_resolutions: int
    status: Standing


class Meeting(Filed):
    """A meeting as it stands."""

    unit: Code
    on: DayText
    topic: str
    participants: list[Code]
    minutes_ref: str | None
    resolutions: list[Resolution]
    open_resolutions: Annotated[int, Field(description="How many of them are open.")]
    status: Annotated[Standing, Field(description="Closed: no resolution is open.")]


class MeetingPage(Page):
    """Meetings, oldest first."""

    data: list[Meeting]


TAG = "Meetings"

ROUTES = [
    Route(
        method="POST",
        path="/v1/meetings",
        handler=hold,
        operation="hold_meeting",
        tag=TAG,
        summary_zh="登记联席会议及其决议",
        summary_en="Say that a joint meeting was held, and what it resolved",
        roles=VERIFIERS,
        write=True,
        body=MeetingAsk,
        example={
            "unit": "west-coast",
            "on": "2026-03-01",
            "topic": "高空抛物治理",
            "participants": ["harbour-agency"],
            "minutes_ref": "纪要-4",
            "resolutions": [
                {"text": "加装监控", "responsible": "物业", "due_on": "2026-04-01"},
            ],
        },
        answers={201: MeetingWritten},
        problems=(*FILING, "in_the_future"),
    ),
    Route(
        method="POST",
        path="/v1/meetings/{id}/close-resolution",
        handler=close_resolution,
        operation="close_resolution",
        tag=TAG,
        summary_zh="决议办结",
        summary_en="Say that a resolution was seen to",
        roles=VERIFIERS,
        write=True,
        body=ClosingAsk,
        example={"number": 1, "on": "2026-03-20", "ref": "照片-5"},
        answers={200: MeetingWritten},
        problems=STEPPING,
    ),
    Route(
        method="GET",
        path="/v1/meetings",
        handler=listing,
        operation="list_meetings",
        tag=TAG,
        summary_zh="联席会议检索",
        summary_en="Search the joint meetings",
        roles=EVERYONE,
        query=MeetingsQuery,
        answers={200: MeetingPage},
    ),
    Route(
        method="GET",
        path="/v1/meetings/{id}",
        handler=item,
        operation="get_meeting",
        tag=TAG,
        summary_zh="一次联席会议",
        summary_en="Get a joint meeting",
        roles=EVERYONE,
        answers={200: Meeting},
    ),
]
