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
from projections.schema import (
    ACCEPTED,
    BACKFILLED,
    CAPPED,
    COMPLETED,
    DECLINED,
    LATE,
    OVERLAP_MINUTES,
    RATED,
    RESOLVED,
    SATISFIED,
    TIMED_OUT,
    VERIFIED,
    days,
    needs,
    orders,
    service_records,
    waits,
)

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
                tally = page.tallies.of(event.place, day)
                tally[VERIFIED] += 1
                tally[LATE] += event.late
                tally[BACKFILLED] += event.evidence == "backfilled"
                tally[OVERLAP_MINUTES] += event.overlap_minutes
                tally[CAPPED] += event.capped or 0
            case SubmittedHoursVerified(record_id=id) | HoursReversed(record_id=id) as event:
                row = known.get(id)
                if row is None:  # a journal that is not ours may never have posted it
                    continue
                sign = -1 if isinstance(event, HoursReversed) else 1
                tally = page.tallies.of(row.place, day)
                tally[VERIFIED] += sign
                tally[LATE] += sign * row.late
                tally[BACKFILLED] += sign * (row.evidence == "backfilled")
                tally[OVERLAP_MINUTES] += sign * row.overlap_minutes
                tally[CAPPED] += sign * row.capped


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
        event: Any = entry.event
        if isinstance(event, NeedAssessed | NeedResolved):
            unit = page.rows(needs)[event.need_id]["unit"]
        else:
            unit = page.rows(orders)[event.order_id]["unit"]
        tally = page.tallies.of(unit, page.day(entry.position))
        match event:
            case NeedAssessed():
                rows.append((entry.position, "assess", unit, event.waited_minutes))
            case NeedResolved():
                tally[RESOLVED] += 1
            case OrderAccepted():
                rows.append((entry.position, "accept", unit, event.waited_minutes))
                tally[ACCEPTED] += 1
            case OrderDeclined():
                tally[DECLINED] += 1
            case OrderTimedOut():
                tally[TIMED_OUT] += 1
            case OrderCompleted():
                tally[COMPLETED] += 1
            case OrderRated():
                tally[RATED] += 1
                tally[SATISFIED] += event.stars >= GOOD_STARS
