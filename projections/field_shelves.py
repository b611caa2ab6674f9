"""The field's work, each thing as it stands: projects, meetings, programmes, experts and others."""

from typing import Any

import orjson
from sqlalchemy import Connection, Select, Table, select

from ledger.events import (
    AgreementAmended,
    AgreementEnded,
    AgreementSigned,
    ConversionAdvanced,
    ConversionBegun,
    ConversionWithdrawn,
    Entry,
    ExpertEnded,
    ExpertNamed,
    MeetingHeld,
    PartnerAdded,
    PartnerEnded,
    ProgrammeClosed,
    ProgrammeCompleted,
    ProgrammeEnrolled,
    ProgrammeOpened,
    ProjectAdvanced,
    ProjectBegun,
    ProjectWithdrawn,
    ResolutionClosed,
    TargetSet,
    TargetWithdrawn,
)
from ledger.rules.projects import CONVERSION_STAGES, PROJECT_STAGES
from projections import trail
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import (
    agreement_terms,
    agreements,
    balances,
    conversions,
    enrolments,
    experts,
    meetings,
    partners,
    programmes,
    projects,
    targets,
)
from projections.shelves import Shelf, change, meet

HEARS = frozenset(
    {
        *("ProjectBegun", "ProjectAdvanced", "ProjectWithdrawn"),
        *("ConversionBegun", "ConversionAdvanced", "ConversionWithdrawn"),
        *("AgreementSigned", "AgreementAmended", "AgreementEnded"),
        *("MeetingHeld", "ResolutionClosed"),
        *("ProgrammeOpened", "ProgrammeEnrolled", "ProgrammeCompleted", "ProgrammeClosed"),
        *("TargetSet", "TargetWithdrawn", "PartnerAdded", "PartnerEnded"),
        *("ExpertNamed", "ExpertEnded"),
    }
)
_TERM = {"first": "from", "last": "to"}


def _steps(row: Any) -> Item:
    return {"steps": orjson.loads(row.steps)}


def _project(row: Any) -> Item:
    return {"tags": orjson.loads(row.tags), **_steps(row)}


def _conversion(row: Any) -> Item:
    return {"done": row.done_position is not None, **_steps(row)}


def _meeting(row: Any) -> Item:
    resolutions = orjson.loads(row.resolutions)
    return {
        "participants": orjson.loads(row.participants),
        "resolutions": resolutions,
        "open_resolutions": sum(one["status"] == "open" for one in resolutions),
    }


PROJECTS = Shelf(projects, texts=("title", "category", "summary"), reads=_project)
CONVERSIONS = Shelf(conversions, texts=("category",), reads=_conversion)
AGREEMENTS = Shelf(agreements, {**_TERM, "unit": "community"}, texts=("version",))
MEETINGS = Shelf(meetings, texts=("topic",), reads=_meeting)
PROGRAMMES = Shelf(
    programmes, _TERM, texts=("name",), reads=lambda row: {"tags": orjson.loads(row.tags)}
)
TARGETS = Shelf(targets)
PARTNERS = Shelf(partners, _TERM, texts=("name",))
EXPERTS = Shelf(experts, _TERM, texts=("speciality",))
SHELVES = (*(PROJECTS, CONVERSIONS, AGREEMENTS, MEETINGS, PROGRAMMES, TARGETS, PARTNERS, EXPERTS),)


def project(page: Page) -> None:
    """A row for everything that was filed; what is told of it later changes the row."""
    told = page.of(HEARS)
    meet(page, SHELVES, told)
    page.rows(enrolments).meet(
        page.connection,
        {
            _enrolment(entry.event): None
            for entry in told
            if isinstance(entry.event, ProgrammeEnrolled | ProgrammeCompleted)
        },
    )
    for entry in told:
        _tell_of_work(page, entry)
        _tell_of_programmes(page, entry)
        _tell_of_people(page, entry)


def _tell_of_work(page: Page, entry: Entry) -> None:
    """What a fact makes of a project, a conversion, an agreement or a meeting."""
    event, at = entry.event, entry.position
    match event:
        case ProjectBegun():
            _add(
                *(page, PROJECTS, event.project_id, entry),
                *(event.title, event.category, event.summary, event.programme_id),
                *(_json(event.tags), PROJECT_STAGES[0], _first_step(PROJECT_STAGES[0], event.on)),
                *("active", None, None, None),
            )
        case ProjectAdvanced():
            said = _stepped(page, projects, event.project_id, event)
            if event.stage in ("incubated", "promoted"):
                said[f"{event.stage}_position"] = at
            change(page, PROJECTS, event.project_id, at, **said)
        case ProjectWithdrawn():
            change(page, PROJECTS, event.project_id, at, **_withdrawn(event.reason, at))
        case ConversionBegun():
            first = CONVERSION_STAGES[0]
            _add(
                *(page, CONVERSIONS, event.conversion_id, entry),
                *(event.category, event.supervisor_id),
                *(first, _first_step(first, event.on, event.ref), "active", None, None),
            )
        case ConversionAdvanced():
            said = _stepped(page, conversions, event.conversion_id, event)
            if event.stage == CONVERSION_STAGES[-1]:
                said["done_position"] = at
            change(page, CONVERSIONS, event.conversion_id, at, **said)
        case ConversionWithdrawn():
            change(page, CONVERSIONS, event.conversion_id, at, **_withdrawn(event.reason, at))
        case AgreementSigned():
            _add(
                *(page, AGREEMENTS, event.agreement_id, entry),
                *(event.agency, event.version, event.hash),
                *(event.first, event.last, event.last, None, "signed"),
            )
            page.new(agreement_terms).append((at, event.agreement_id, event.last))
        case AgreementAmended():
            said = {"version": event.version, "hash": event.hash}
            said |= {"planned_last": event.last, "last": event.last}
            change(page, AGREEMENTS, event.agreement_id, at, **said)
            page.new(agreement_terms).append((at, event.agreement_id, event.last))
        case AgreementEnded():
            said = _ended(event.last, event.reason, at)
            change(page, AGREEMENTS, event.agreement_id, at, **said)
        case MeetingHeld():
            resolved = [
                {
                    "number": number,
                    "text": resolution.text,
                    "responsible": resolution.responsible,
                    "due_on": resolution.due_on,
                    "status": "open",
                    "closed_on": None,
                    "ref": None,
                }
                for number, resolution in enumerate(event.resolutions, 1)
            ]
            _add(
                *(page, MEETINGS, event.meeting_id, entry),
                *(event.on, event.topic, _json(event.participants), event.minutes_ref),
                *(_json(resolved), "open" if resolved else "closed"),
            )
        case ResolutionClosed():
            found = orjson.loads(page.rows(meetings).change(event.meeting_id)["resolutions"])
            closed = {"status": "closed", "closed_on": event.on, "ref": event.ref}
            found[event.number - 1] |= closed
            left = any(one["status"] == "open" for one in found)
            said = {"resolutions": _json(found), "status": "open" if left else "closed"}
            change(page, MEETINGS, event.meeting_id, at, **said)


def _tell_of_programmes(page: Page, entry: Entry) -> None:
    """What a fact makes of a programme, of who takes part in it, or of a target."""
    event, at = entry.event, entry.position
    match event:
        case ProgrammeOpened():
            _add(
                *(page, PROGRAMMES, event.programme_id, entry),
                *(event.name, _json(event.tags), event.first, event.last, event.last, None),
                *(0, 0, "open"),
            )
        case ProgrammeEnrolled():
            row = page.rows(programmes).change(event.programme_id)
            change(page, PROGRAMMES, event.programme_id, at, enrolled=row["enrolled"] + 1)
            id = _enrolment(event)
            page.rows(enrolments).add(
                id,
                *(at, id, event.programme_id, page.balances[event.member_id].id),
                *(event.on, None, None),
            )
        case ProgrammeCompleted():
            row = page.rows(programmes).change(event.programme_id)
            change(page, PROGRAMMES, event.programme_id, at, completed=row["completed"] + 1)
            said = {"completed_on": event.on, "completed_position": at}
            page.rows(enrolments).change(_enrolment(event)).update(said)
        case ProgrammeClosed():
            said = _ended(event.last, event.reason, at) | {"status": "closed"}
            change(page, PROGRAMMES, event.programme_id, at, **said)
        case TargetSet():
            _add(
                *(page, TARGETS, event.target_id, entry),
                *(event.kpi, event.value, event.due_on, "set", None),
            )
        case TargetWithdrawn():
            change(page, TARGETS, event.target_id, at, **_withdrawn(event.reason, at))


def _tell_of_people(page: Page, entry: Entry) -> None:
    """What a fact makes of a partner or an expert."""
    event, at = entry.event, entry.position
    match event:
        case PartnerAdded():
            _add(
                *(page, PARTNERS, event.partner_id, entry),
                *(event.name, event.kind, event.first, event.last, event.last, None, "added"),
            )
        case PartnerEnded():
            said = _ended(event.last, event.reason, at)
            change(page, PARTNERS, event.partner_id, at, **said)
        case ExpertNamed():
            _add(
                *(page, EXPERTS, event.expert_id, entry),
                *(page.balances[event.member_id].id, event.speciality),
                *(event.first, event.last, event.last, None, "named"),
            )
        case ExpertEnded():
            said = _ended(event.last, event.reason, at)
            change(page, EXPERTS, event.expert_id, at, **said)


def enrolled(
    connection: Connection,
    programme_id: str,
    member_id: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> Listed:
    """Who takes part in a programme, in the order in which they were enrolled."""
    column = enrolments.c
    query = _enrolments().where(column.programme_id == programme_id)
    if member_id is not None:
        query = query.where(column.member == trail.member_number(member_id))
    return listed(connection, query, column.position, after, limit, _enrolled)


def taking_part(connection: Connection, member_id: str, after: int = 0, limit: int = 50) -> Listed:
    """The programmes that a member takes part in."""
    column = enrolments.c
    query = _enrolments().where(column.member == trail.member_number(member_id))
    return listed(
        connection,
        query,
        column.position,
        after,
        limit,
        lambda row: {"programme_id": row.programme_id, **_enrolled(row)},
    )


def _enrolments() -> Select[Any]:
    return select(enrolments, balances.c.member_id).join(
        balances, balances.c.id == enrolments.c.member
    )


def _enrolled(row: Any) -> Item:
    return {
        "member_id": row.member_id,
        "enrolled_on": row.enrolled_on,
        "completed_on": row.completed_on,
    }


def _add(page: Page, shelf: Shelf, id: str, entry: Entry, *fields: Any) -> None:
    """A row for what was just filed."""
    event: Any = entry.event
    page.rows(shelf.table).add(
        id,
        *(entry.position, id, event.organisation, event.unit),
        *fields,
        *(None, event.recorded_at, entry.position),
    )


def _first_step(stage: str, on: str, ref: str | None = None) -> str:
    return _json([{"stage": stage, "on": on, "ref": ref}])


def _stepped(
    page: Page, table: Table, id: str, event: ProjectAdvanced | ConversionAdvanced
) -> dict[str, Any]:
    """The stage that was come to, behind those before."""
    steps = orjson.loads(page.rows(table).change(id)["steps"])
    step = {"stage": event.stage, "on": event.on, "ref": event.ref}
    return {"stage": event.stage, "steps": _json([*steps, step])}


def _withdrawn(reason: str, at: int) -> dict[str, Any]:
    return {"status": "withdrawn", "reason": reason, "withdrawn_position": at}


def _ended(last: str, reason: str | None, at: int) -> dict[str, Any]:
    return {"status": "ended", "last": last, "reason": reason, "ended_position": at}


def _enrolment(event: ProgrammeEnrolled | ProgrammeCompleted) -> str:
    return f"{event.programme_id}/{event.member_id}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
