"""What the board is counted from: running totals by unit, waits, and the days of the journal.

What depends on where a member lives is added up with the lots, in the order of the facts.
"""

from typing import Any

from sqlalchemy import select

from ledger.events import (
    HoursReversed,
    HoursVerified,
    NeedAssessed,
    NeedResolved,
    OrderAccepted,
    OrderCompleted,
    OrderDeclined,
    OrderRated,
    OrderTimedOut,
    SubmittedHoursVerified,
)
from ledger.quality import GOOD_STARS
from projections.page import Page
from projections.schema import days, needs, orders, service_records, waits

RECORDS = frozenset({"HoursVerified", "SubmittedHoursVerified", "HoursReversed"})
STEPS = frozenset(
    {
        *("NeedAssessed", "NeedResolved", "OrderAccepted", "OrderDeclined", "OrderTimedOut"),
        *("OrderCompleted", "OrderRated"),
    }
)


def project(page: Page) -> None:
    """The last position of each date, and what the page's facts add to the totals."""
    for day, last in page.ends():
        if day:
            page.rows(days).add(day, day, last)
    _add_records(page)
    _add_steps(page)
    page.tallies.sum_up()


def _add_records(page: Page) -> None:
    """Of a record that waited, or counts no more, the view knows what it says."""
    entries = page.of(RECORDS)
    told: list[Any] = [
        entry.event for entry in entries if not isinstance(entry.event, HoursVerified)
    ]
    known = _known(page, [event.record_id for event in told]) if told else {}
    for entry in entries:
        day = page.day(entry.position)
        match entry.event:
            case HoursVerified() as event:
                page.tallies.add(
                    *(event.place, day),
                    verified=1,
                    late=event.late,
                    backfilled=event.evidence == "backfilled",
                    overlap_minutes=event.overlap_minutes,
                    capped=event.capped or 0,
                )
            case SubmittedHoursVerified(record_id=id) | HoursReversed(record_id=id) as event:
                row = known.get(id)
                if row is None:  # a journal that is not ours may never have posted it
                    continue
                sign = -1 if isinstance(event, HoursReversed) else 1
                page.tallies.add(
                    *(row.place, day),
                    verified=sign,
                    late=sign * row.late,
                    backfilled=sign * (row.evidence == "backfilled"),
                    overlap_minutes=sign * row.overlap_minutes,
                    capped=sign * row.capped,
                )


def _known(page: Page, ids: list[str]) -> dict[str, Any]:
    page.insert()
    column = service_records.c
    query = select(
        *(column.record_id, column.place, column.late, column.evidence),
        *(column.overlap_minutes, column.capped),
    ).where(column.record_id.in_(ids))
    return {row.record_id: row for row in page.connection.execute(query)}


def _add_steps(page: Page) -> None:
    """Each step counts at the unit of its need or order."""
    rows = page.new(waits)
    for entry in page.of(STEPS):
        day, at = page.day(entry.position), entry.position
        match entry.event:
            case NeedAssessed() as event:
                unit = page.rows(needs)[event.need_id]["unit"]
                rows.append((at, "assess", unit, event.waited_minutes))
            case NeedResolved() as event:
                page.tallies.add(page.rows(needs)[event.need_id]["unit"], day, resolved=1)
            case OrderRated() as event:
                good = event.stars >= GOOD_STARS
                page.tallies.add(event.unit, day, rated=1, satisfied=good)
            case OrderAccepted() as event:
                unit = page.rows(orders)[event.order_id]["unit"]
                rows.append((at, "accept", unit, event.waited_minutes))
                page.tallies.add(unit, day, accepted=1)
            case OrderDeclined() as event:
                page.tallies.add(page.rows(orders)[event.order_id]["unit"], day, declined=1)
            case OrderTimedOut() as event:
                page.tallies.add(page.rows(orders)[event.order_id]["unit"], day, timed_out=1)
            case OrderCompleted() as event:
                page.tallies.add(page.rows(orders)[event.order_id]["unit"], day, completed=1)
