"""Service records as they stand: what was posted, what it came to, in which state it is."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    Select,
    Update,
    bindparam,
    literal_column,
    select,
    update,
)

from ledger.events import (
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    MarkedService,
    PostedContent,
    ServiceCertified,
    SubmittedHoursVerified,
)
from projections import schema, trail
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page, Row
from projections.schema import balances, service_records

FIGURES = (
    *("minutes", "overlap_minutes", "credits", "duty_minutes"),
    *("capped", "overflowed", "paid_from_hold", "points", "certified"),
)
"""What a record came to; None in all of them until it is verified."""

CITED = (
    *("supervisor_id", "certification_id", "order_id"),
    *("project_id", "programme_id", "redemption_id"),
)
"""What else a record may name; seldom any of it."""

FLAGS = ("professional", "late")

HEARS = frozenset(
    {
        *("HoursVerified", "HoursSubmitted", "SubmittedHoursVerified"),
        *("HoursRejected", "HoursReversed", "ServiceCertified", "ServiceUncertified"),
    }
)

_NO_FIGURES = (None,) * len(FIGURES)
_PLACES = {column.name: place for place, column in enumerate(service_records.columns)}
_INNER = ("member", "changed_position", "record_id", "cites", "cursor_")


def project(page: Page) -> None:
    """A row for every record posted; what settles a record that waited changes its row."""
    numbers = page.balances
    new: dict[str, Row] = {}  # of this very page: they may still change
    changes: dict[str, dict[str, Any]] = {}  # of stored rows
    for entry in page.of(HEARS):
        match entry.event:
            case HoursVerified() as event:
                number = numbers[event.member_id].id
                row = _row(entry.position, event, number, "verified", _figures(event))
                new[event.record_id] = row
                continue
            case HoursSubmitted() as event:
                number = numbers[event.member_id].id
                new[event.record_id] = _row(entry.position, event, number, "submitted", _NO_FIGURES)
                continue
            case SubmittedHoursVerified() as event:
                change = {
                    "status": "verified",
                    "policy_version": event.policy_version,
                    **dict(zip(FIGURES, _figures(event), strict=True)),
                }
                if event.evidence is not None:
                    change["evidence"] = event.evidence
            case HoursRejected() as event:
                change = {"status": "rejected"}
            case HoursReversed() as event:
                status = "corrected" if event.replaced_by else "reversed"
                change = {"status": status, "replaced_by": event.replaced_by}
            case MarkedService() as event:
                page.new(service_records).extend(new.values())
                page.insert()
                _change_stored(page.connection, changes)
                new.clear()
                changes.clear()
                change = {
                    "points": service_records.c.points + event.points,
                    "certified": int(isinstance(event, ServiceCertified)),
                    "changed_position": entry.position,
                }
                marked = update(service_records).values(**change)
                of_it = marked.where(service_records.c.record_id == event.record_id)
                page.connection.execute(of_it)
                continue
        change["changed_position"] = entry.position
        if event.record_id in new:
            new[event.record_id] = _changed(new[event.record_id], change)
        else:
            changes.setdefault(event.record_id, {}).update(change)
    page.new(service_records).extend(new.values())
    _change_stored(page.connection, changes)


def service_record(connection: Connection, record_id: str) -> Item | None:
    """One record as it stands."""
    row = connection.execute(_records().where(service_records.c.record_id == record_id)).first()
    return None if row is None else _item(row)


def listing(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    member_id: str | None = None,
    organisation: str | None = None,
    status: str | None = None,
    served_from: date | None = None,
    served_to: date | None = None,
    unit: str | None = None,
    category: str | None = None,
) -> Listed:
    """The records that answer to every filter given; `unit` is a place and all that lies in it."""
    record, posting = service_records.c, schema.trail.c
    query = _records()
    walked = False  # an index, of the narrowest filter given
    if member_id is not None:
        query = query.where(posting.member == trail.member_number(member_id))
        walked = True
    if status is not None:
        query = query.where((only_filter(record.status) if walked else record.status) == status)
        if status != "verified" and not walked:
            query = query.where(literal_column("service_records.status <> 'verified'"))
            walked = True
            if organisation is not None:
                query = query.where(record.organisation == organisation)
    if organisation is not None:
        known = only_filter(posting.organisation) if walked else posting.organisation
        query = query.where(known == organisation)
        walked = True
    if unit is not None:
        place = only_filter(record.place) if walked else record.place
        query = query.where(place.in_(select(schema.subtree(unit).c.code)))
    if served_from is not None:
        query = query.where(record.served_on >= served_from.isoformat())
        # Nothing is recorded before it happens: what was recorded earlier need not be looked at.
        after = max(after, trail.position_at(connection, _surely_before(served_from)))
    if served_to is not None:
        query = query.where(record.served_on <= served_to.isoformat())
    if category is not None:
        query = query.where(record.category == category)
    in_the_trail = member_id is not None or organisation is not None
    cursor = posting.position if in_the_trail else record.position
    return listed(connection, query, cursor, after, limit, _item)


def _surely_before(day: date) -> datetime:
    """An instant before the date begins anywhere: no zone is a whole day ahead of UTC."""
    return datetime.combine(day, time(), UTC) - timedelta(days=1)


def _row(
    position: int, event: PostedContent, member: int, status: str, figures: tuple[int | None, ...]
) -> Row:
    return (
        position,
        event.record_id,
        position,
        event.organisation,
        event.receipt,
        member,
        status,
        event.activity,
        event.category,
        event.place,
        event.responsible,
        event.started_at,
        event.ended_at,
        event.served_on,
        event.break_minutes or 0,
        event.capacity,
        event.evidence,
        1 if event.professional else 0,
        _cites(event),
        1 if event.late else 0,
        event.policy_version,
        event.replaces,
        None,
        *figures,
    )


def _cites(event: PostedContent) -> str | None:
    cited = {name: said for name in CITED if (said := getattr(event, name)) is not None}
    return orjson.dumps(cited).decode() if cited else None


def _figures(event: HoursVerified | SubmittedHoursVerified) -> tuple[int, ...]:
    return (
        event.minutes,
        event.overlap_minutes,
        event.credits,
        event.duty_minutes or 0,
        event.capped or 0,
        event.overflowed or 0,
        event.paid_from_hold or 0,
        event.points or 0,
        int(event.certified or False),
    )


def _changed(row: Row, change: dict[str, Any]) -> Row:
    changed = list(row)
    for name, to in change.items():
        changed[_PLACES[name]] = to
    return changed


def _change_stored(connection: Connection, changes: dict[str, dict[str, Any]]) -> None:
    """Change rows by the record's id, a statement for all that change the same columns."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record_id, change in changes.items():
        named = {f"to_{name}": to for name, to in change.items()}
        alike.setdefault(tuple(change), []).append({"settled": record_id, **named})
    for names, rows in alike.items():
        connection.execute(_settlement(names), rows)


@cache
def _settlement(names: tuple[str, ...]) -> Update:
    return (
        update(service_records)
        .where(service_records.c.record_id == bindparam("settled"))
        .values({name: bindparam(f"to_{name}") for name in names})
    )


def _records() -> Select[Any]:
    """Records with what the trail says of their posting."""
    posting = schema.trail.c
    return (
        select(service_records, balances.c.member_id, posting.recorded_at)
        .join(schema.trail, posting.position == service_records.c.position)
        .join(balances, balances.c.id == service_records.c.member)
    )


def _item(row: Any) -> Item:
    found = {"id": row.record_id, **{str(name): value for name, value in row._mapping.items()}}
    found["position"] = found["changed_position"]
    cited = orjson.loads(found["cites"] or "{}")
    found |= {name: cited.get(name) for name in CITED}
    for name in _INNER:
        found.pop(name, None)
    for name in FLAGS:
        found[name] = bool(found[name])
    if found["certified"] is not None:
        found["certified"] = bool(found["certified"])
    return found
