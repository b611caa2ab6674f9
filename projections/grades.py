"""Grades as administrators have said them: every override, and which of them holds."""

from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from ledger.events import GradeOverridden
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import grade_overrides

HEARS = frozenset({"GradeOverridden"})
UNGRADED = "UNGRADED"

_SAID = grade_overrides.c


def project(page: Page) -> None:
    """A row for every override; an older one stays where it is."""
    for entry in page.of(HEARS):
        match entry.event:
            case GradeOverridden() as event:
                page.new(grade_overrides).append(
                    (
                        entry.position,
                        event.subject,
                        event.grade,
                        event.reason,
                        event.until,
                        event.recorded_at,
                    )
                )


def in_force(connection: Connection, subject: str, day: date, position: int | None = None) -> str:
    """A subject's grade on a date, as known now or at a position."""
    query = select(_SAID.grade, _SAID.until).where(_SAID.subject == subject)
    if position is not None:
        query = query.where(_SAID.position <= position)
    row = connection.execute(query.order_by(_SAID.position.desc()).limit(1)).first()
    return UNGRADED if row is None or row.until < day.isoformat() else str(row.grade)


def listing(
    connection: Connection, today: date, after: int = 0, limit: int = 50, subject: str | None = None
) -> Listed:
    """The subjects that have an override, in the order in which they first had one."""
    subjects = select(
        func.min(_SAID.position).label("first"), func.max(_SAID.position).label("last")
    ).group_by(_SAID.subject)
    if subject is not None:
        subjects = subjects.where(_SAID.subject == subject)
    ends = subjects.subquery()
    query = select(grade_overrides).join(ends, ends.c.last == _SAID.position)

    def item(row: Any) -> Item:
        return {
            "subject": row.subject,
            "value": UNGRADED if row.until < today.isoformat() else row.grade,
            "override": {
                "grade": row.grade,
                "reason": row.reason,
                "until": row.until,
                "recorded_at": row.recorded_at,
            },
            "position": row.position,
        }

    return listed(connection, query, ends.c.first, after, limit, item)
