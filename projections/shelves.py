"""Certificates, achievements, appointments, mentorships and cases, each as it stands."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, or_, select

from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    AchievementSubmitted,
    AppointmentEnded,
    CaseFiled,
    CaseWithdrawn,
    CertificationLapsed,
    CertificationRegistered,
    CertificationRevoked,
    CertificationSubmitted,
    CertificationVerified,
    Entry,
    MentorshipBegun,
    MentorshipEnded,
    SupervisorAppointed,
    Term,
)
from ledger.rules.certifications import renewal_opens
from projections import trail
from projections.careers import CERTIFYING
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.schema import (
    THINGS,
    achievements,
    appointments,
    balances,
    cases,
    certifications,
    mentorships,
    subtree,
)

HEARS = frozenset(
    {
        *CERTIFYING,
        *("AchievementSubmitted", "AchievementApproved", "AchievementApplied"),
        *("AchievementReversed", "SupervisorAppointed", "AppointmentEnded"),
        *("MentorshipBegun", "MentorshipEnded", "CaseFiled", "CaseWithdrawn"),
    }
)


class Shelf(NamedTuple):
    """A table of things that have an id of their own, and stand as they were last told."""

    table: Table
    spelled: Mapping[str, str] = {}  # columns that are told by another name
    texts: tuple[str, ...] = ()  # columns that a search looks into
    reads: Callable[[Any], Item] = lambda row: {}  # what is told otherwise than it is stored

    @property
    def id(self) -> str:
        """The column of the id."""
        return THINGS[self.table]


def _renewal(row: Any) -> Item:
    last = row.in_force_to
    opens = None if last is None else renewal_opens(date.fromisoformat(last))
    return {"renewal_from": opens and opens.isoformat()}


CERTIFICATIONS = Shelf(certifications, reads=_renewal)
ACHIEVEMENTS = Shelf(achievements, reads=lambda row: {"promoted": bool(row.promoted)})
APPOINTMENTS = Shelf(appointments, {"first": "from", "last": "to"})
MENTORSHIPS = Shelf(mentorships, {"first": "from", "last": "to", "member_id": "mentor_id"})
CASES = Shelf(cases, texts=("title", "category", "summary"))
SHELVES = (CERTIFICATIONS, ACHIEVEMENTS, APPOINTMENTS, MENTORSHIPS, CASES)


def project(page: Page) -> None:
    """A row for everything that has an id; what is told of it later changes the row."""
    told = page.of(HEARS)
    meet(page, SHELVES, told)
    for entry in told:
        _tell(page, entry)


def meet(page: Page, shelves: Iterable[Shelf], told: Sequence[Entry]) -> None:
    """Have the rows at hand of all things that some entries name."""
    for shelf in shelves:
        named = {getattr(entry.event, shelf.id, None): None for entry in told}
        page.rows(shelf.table).meet(page.connection, [id for id in named if id is not None])


def change(page: Page, shelf: Shelf, id: str, position: int, **changes: Any) -> None:
    """A fact at a position changes a row."""
    page.rows(shelf.table).change(id).update(changes, changed_position=position)


def _tell(page: Page, entry: Entry) -> None:
    """What a fact makes of the thing that it is about."""
    event, at = entry.event, entry.position
    match event:
        case CertificationSubmitted():
            page.rows(certifications).add(
                event.certification_id,
                *(at, event.certification_id, page.balances[event.member_id].id),
                *(event.organisation, event.level, event.certificate_ref, event.obtained_on),
                *("submitted", None, None, None, None, event.recorded_at, at),
            )
        case CertificationVerified():
            change(page, CERTIFICATIONS, event.certification_id, at, status="verified")
        case Term():
            change(
                page,
                CERTIFICATIONS,
                event.certification_id,
                at,
                status="registered" if isinstance(event, CertificationRegistered) else "renewed",
                in_force_from=event.in_force_from,
                in_force_to=event.in_force_to,
            )
        case CertificationLapsed():
            change(page, CERTIFICATIONS, event.certification_id, at, status="lapsed")
        case CertificationRevoked():
            change(
                page,
                CERTIFICATIONS,
                event.certification_id,
                at,
                status="revoked",
                revoked_from=event.effective_on,
                reason=event.reason,
            )
        case AchievementSubmitted():
            page.rows(achievements).add(
                event.achievement_id,
                *(at, event.achievement_id, page.balances[event.member_id].id),
                *(event.organisation, event.kind, event.on, event.ref, event.hours),
                *(event.outcome, event.prize, int(event.promoted or False), "submitted"),
                *(None, None, None, None, event.recorded_at, at),
            )
        case AchievementApproved():
            said = {"status": "approved", "points": event.points}
            change(page, ACHIEVEMENTS, event.achievement_id, at, **said)
        case AchievementApplied():
            said = {"status": "applied", "applied_on": event.on, "applied_ref": event.ref}
            change(page, ACHIEVEMENTS, event.achievement_id, at, **said)
        case AchievementReversed():
            said = {"status": "reversed", "points": 0, "reason": event.reason}
            change(page, ACHIEVEMENTS, event.achievement_id, at, **said)
        case SupervisorAppointed():
            page.rows(appointments).add(
                event.appointment_id,
                *(at, event.appointment_id, page.balances[event.member_id].id),
                *(event.organisation, event.unit, event.first, event.last),
                *("made", None, event.recorded_at, at),
            )
        case AppointmentEnded():
            said = {"status": "ended", "last": event.last, "reason": event.reason}
            change(page, APPOINTMENTS, event.appointment_id, at, **said)
        case MentorshipBegun():
            page.rows(mentorships).add(
                event.mentorship_id,
                *(at, event.mentorship_id, page.balances[event.member_id].id),
                *(event.mentee_id, event.organisation, event.first, None),
                *("begun", None, event.recorded_at, at),
            )
        case MentorshipEnded():
            said = {"status": "ended", "last": event.last, "reason": event.reason}
            change(page, MENTORSHIPS, event.mentorship_id, at, **said)
        case CaseFiled():
            page.rows(cases).add(
                event.case_id,
                *(at, event.case_id, page.balances[event.member_id].id, event.organisation),
                *(event.title, event.category, event.summary, event.on),
                *(event.achievement_id, "filed", None, event.recorded_at, at),
            )
        case CaseWithdrawn():
            said = {"status": "withdrawn", "reason": event.reason}
            change(page, CASES, event.case_id, at, **said)


def listing(
    connection: Connection,
    shelf: Shelf,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    member_id: str | None = None,
    search: str | None = None,
    filters: Mapping[str, str] | None = None,
) -> Listed:
    """The things on a shelf that answer to every filter: of an organisation, of a member."""
    table, walked = shelf.table, False
    query = _rows(table)
    if member_id is not None:
        mine = table.c.member == trail.member_number(member_id)
        if shelf is MENTORSHIPS:
            mine = or_(mine, table.c.mentee_id == member_id)
        query, walked = query.where(mine), True
    if organisation is not None:
        own = only_filter(table.c.organisation) if walked else table.c.organisation
        query, walked = query.where(own == organisation), True
    for name, wanted in (filters or {}).items():
        if name == "unit":  # and all that lie in it
            query = query.where(only_filter(table.c.unit).in_(select(subtree(wanted).c.code)))
            continue
        column = only_filter(table.c[name]) if walked else table.c[name]
        query, walked = query.where(column == wanted), True
    if search is not None:
        texts = [table.c[name].contains(search, autoescape=True) for name in shelf.texts]
        query = query.where(or_(*texts))
    return listed(connection, query, table.c.position, after, limit, _told(shelf))


def item(
    connection: Connection,
    shelf: Shelf,
    id: str,
    organisation: str | None = None,
    member_id: str | None = None,
) -> Item | None:
    """One thing of a shelf, if it is among those that may be seen."""
    row = connection.execute(_rows(shelf.table).where(shelf.table.c[shelf.id] == id)).first()
    if row is None or organisation not in (None, row.organisation):
        return None
    named = (row._mapping.get("member_id"), row._mapping.get("mentee_id"))
    if member_id is not None and member_id not in named:
        return None
    return dict(_told(shelf)(row))


def due_to_lapse(connection: Connection, day: date) -> list[str]:
    """The certificates whose registration is over by a date, oldest first."""
    column = certifications.c
    query = (
        select(column.certification_id)
        .where(column.in_force_to < day.isoformat(), column.status.in_(("registered", "renewed")))
        .order_by(column.position)
    )
    return list(connection.execute(query).scalars())


def _rows(table: Table) -> Select[Any]:
    """A table's rows, with the id of the member where they are about one."""
    if "member" not in table.c:
        return select(table)
    return select(table, balances.c.member_id).join(balances, balances.c.id == table.c.member)


def _told(shelf: Shelf) -> Callable[[Any], Item]:
    def told(row: Any) -> Item:
        found = {"id": row._mapping[shelf.id]}
        for name, value in row._mapping.items():
            if not _internal(str(name), shelf):
                found[shelf.spelled.get(str(name), str(name))] = value
        return found | {"position": row.changed_position} | shelf.reads(row)

    return told


def _internal(name: str, shelf: Shelf) -> bool:
    return name in (shelf.id, "member", "planned_last", "cursor_") or name.endswith("_position")
