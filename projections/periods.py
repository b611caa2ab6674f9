"""Periods: the months that were ever closed, and whether they are now."""

from typing import Any

from sqlalchemy import Connection, select

from ledger.events import PeriodClosed, PeriodReopened
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import period_changes

HEARS = frozenset({"PeriodClosed", "PeriodReopened"})

_CHANGE = period_changes.c


def project(page: Page) -> None:
    """A row for every time that a month was closed or reopened."""
    for entry in page.of(HEARS):
        match entry.event:
            case PeriodClosed() | PeriodReopened() as event:
                status = "closed" if isinstance(event, PeriodClosed) else "open"
                page.new(period_changes).append(
                    (entry.position, event.month, status, event.reason, event.recorded_at)
                )


def listing(connection: Connection, after: int = 0, limit: int = 50) -> Listed:
    """The months as they stand, in the order in which they were first closed."""
    change, earlier, later = _CHANGE, period_changes.alias().c, period_changes.alias().c
    first = select(earlier.position).where(earlier.month == change.month)
    first_position = first.order_by(earlier.position).limit(1).scalar_subquery()
    last = select(later.position).where(later.month == change.month)
    last_position = last.order_by(later.position.desc()).limit(1).scalar_subquery()
    query = select(period_changes).where(change.position == last_position)
    return listed(connection, query, first_position, after, limit, _item)


def period(connection: Connection, month: str) -> Item | None:
    """One month, if it was ever closed."""
    query = select(period_changes).where(_CHANGE.month == month)
    row = connection.execute(query.order_by(_CHANGE.position.desc()).limit(1)).first()
    return None if row is None else _item(row)


def _item(row: Any) -> Item:
    return {
        "month": row.month,
        "status": row.status,
        "reason": row.reason,
        "recorded_at": row.recorded_at,
        "position": row.position,
    }
