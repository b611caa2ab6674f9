"""Who is qualified for what from when to when: workers, certificates, achievements, supervisors.

Each row tells at which position it was said, and at which it was taken back, so that one can count
as of any past.
"""

from datetime import date
from typing import Any

from sqlalchemy import select, update

from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    AppointmentEnded,
    CertificationRevoked,
    CertificationVerified,
    Entry,
    MemberChanged,
    MemberRegistered,
    SupervisorAppointed,
    Term,
)
from projections.page import Page
from projections.schema import (
    approvals,
    certificates,
    community_workers,
    registrations,
    supervisors,
)

HEARS = frozenset(
    {
        *("MemberRegistered", "MemberChanged", "CertificationVerified"),
        *("CertificationRegistered", "CertificationRenewed", "CertificationRevoked"),
        *("AchievementApproved", "AchievementApplied", "AchievementReversed"),
        *("SupervisorAppointed", "AppointmentEnded"),
    }
)
KEPT = (
    (certificates, "certification_id"),
    (approvals, "achievement_id"),
    (supervisors, "appointment_id"),
)
WORKER = "community_worker"


def project(page: Page) -> None:
    """A row for everything that qualifies; what ends it changes the row."""
    told = page.of(HEARS)
    for table, id in KEPT:
        named = {getattr(entry.event, id, None): None for entry in told}
        page.rows(table).meet(page.connection, [one for one in named if one is not None])
    homes: dict[str, str] = {}  # where members live, of whom the page says it
    for entry in told:
        _tell(page, entry, homes)


def _tell(page: Page, entry: Entry, homes: dict[str, str]) -> None:
    event: Any = entry.event
    at, member = entry.position, page.balances[event.member_id].id
    match event:
        case MemberRegistered():
            homes[event.member_id] = event.unit
            if WORKER in event.roles:
                page.new(community_workers).append((at, member, event.unit, None))
        case MemberChanged():
            before = homes.get(event.member_id, page.balances[event.member_id].unit)
            homes[event.member_id] = event.unit or before
            _change(page, entry, member, homes[event.member_id])
        case CertificationVerified():
            id = event.certification_id
            page.rows(certificates).add(id, at, id, member, None, None)
        case Term():
            page.new(registrations).append(
                (
                    *(at, event.certification_id, member, event.level),
                    *(event.in_force_from, event.in_force_to, None, None),
                )
            )
        case CertificationRevoked():
            said = {"revoked_from": event.effective_on, "revoked_position": at}
            page.rows(certificates).change(event.certification_id).update(said)
            page.insert()
            of_it = registrations.c.certification_id == event.certification_id
            page.connection.execute(update(registrations).where(of_it).values(**said))
        case AchievementApproved():
            id = event.achievement_id
            page.rows(approvals).add(id, at, id, member, event.source, event.on, None, None, None)
        case AchievementApplied():
            row = page.rows(approvals).change(event.achievement_id)
            days = (date.fromisoformat(event.on) - date.fromisoformat(row["on"])).days
            row.update(applied_days=days, applied_position=at)
        case AchievementReversed():
            page.rows(approvals).change(event.achievement_id)["reversed_position"] = at
        case SupervisorAppointed():
            id = event.appointment_id
            page.rows(supervisors).add(
                id, at, id, member, event.unit, event.first, event.last, None, None
            )
        case AppointmentEnded():
            said = {"ended_last": event.last, "ended_position": at}
            page.rows(supervisors).change(event.appointment_id).update(said)


def _change(page: Page, entry: Entry, member: int, unit: str) -> None:
    """A community worker moves, or is none any more, or has become one."""
    event: Any = entry.event
    page.insert()
    worker = community_workers.c
    now = select(worker.position, worker.unit).where(
        worker.member == member, worker.until_position.is_(None)
    )
    before = page.connection.execute(now).first()
    is_one = WORKER in event.roles if event.roles else before is not None
    if before is not None:
        if is_one and unit == before.unit:
            return
        ended = update(community_workers).where(worker.position == before.position)
        page.connection.execute(ended.values(until_position=entry.position))
    if is_one:
        page.new(community_workers).append((entry.position, member, unit, None))
