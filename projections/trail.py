"""The trail: what was recorded at each position, when, by whom, about whom."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    func,
    literal,
    select,
    text,
    union_all,
)

from ledger.events import EVENT_TYPES
from ledger.units import recorded_text
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.schema import THINGS, balances, bookmark, redemptions, service_records, trail


def project(page: Page) -> None:
    """A row for every entry; of a type that is not ours the recording time is the one before."""
    rows, numbers, recorded_at = page.new(trail), page.balances, page.recorded_before
    for entry in page.entries:
        event = entry.event
        recorded_at = event.recorded_at or recorded_at
        member_id = getattr(event, "member_id", None)
        rows.append(
            (
                entry.position,
                recorded_at,
                entry.type,
                entry.stream,
                event.actor,
                event.correlation_id,
                None if member_id is None else numbers[member_id].id,
                getattr(event, "record_id", None),
                getattr(event, "organisation", None),
            )
        )


def entries(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    record_id: str | None = None,
    correlation_id: str | None = None,
    member_id: str | None = None,
    stream: str | None = None,
    organisation: str | None = None,
    actor: str | None = None,
    types: Sequence[str] | None = None,
    until: int | None = None,
) -> Listed:
    """Where the entries stand that answer to every filter given; their data is in the journal."""
    query = select(trail, balances.c.member_id).outerjoin(balances, balances.c.id == trail.c.member)
    if record_id is not None:  # among the entries about the member who served
        query = query.where(trail.c.member == _member_of(record_id))
    elif member_id is not None:
        query = query.where(trail.c.member == member_number(member_id))
    walked = record_id is not None or member_id is not None
    asked: list[tuple[ColumnElement[Any], Any]] = [
        (trail.c.correlation_id, correlation_id),
        (trail.c.record_id, record_id),
        (trail.c.stream, stream),
        (trail.c.organisation, organisation),
        (trail.c.actor, actor),
        (trail.c.type, types[0] if types and len(types) == 1 else None),
    ]  # the narrowest first
    if types and len(types) > 1:
        if walked or any(wanted is not None for _, wanted in asked):
            query = query.where(only_filter(trail.c.type).in_(types))
        else:
            query = query.where(trail.c.position.in_(_first_of(types, after, limit + 1, until)))
    for column, wanted in asked:
        if wanted is None:
            continue
        query = query.where((only_filter(column) if walked else column) == wanted)
        if column is trail.c.stream and not walked:
            query = query.where(_where_streams_are_found(wanted))
        walked = True
    if until is not None:
        query = query.where(trail.c.position <= until)
    return listed(connection, query, trail.c.position, after, limit, _item)


def position_at(connection: Connection, as_of: datetime) -> int:
    """The last position recorded at or before an instant; 0 before the first.

    `recorded_at` never decreases, so a binary search finds it: twenty seeks among a million.
    """
    return int(connection.execute(_SEARCH, {"as_of": recorded_text(as_of)}).scalar_one())


def recorded_at(connection: Connection, position: int) -> str | None:
    """When the entry at a position was recorded."""
    found: str | None = connection.execute(
        select(trail.c.recorded_at).where(trail.c.position == position)
    ).scalar()
    return found


def position(connection: Connection) -> int:
    """How far the views have read, as this connection's transaction sees them."""
    return int(connection.execute(select(bookmark.c.position)).scalar_one())


def last_recorded_at(connection: Connection, actor: str) -> str | None:
    """When an actor recorded something last."""
    query = select(trail.c.recorded_at).where(trail.c.actor == actor)
    found: str | None = connection.execute(
        query.order_by(trail.c.position.desc()).limit(1)
    ).scalar()
    return found


def member_number(member_id: str) -> ColumnElement[int]:
    """A member's short number; none, and so nothing found, where nobody has that id."""
    number = select(func.max(balances.c.id)).where(balances.c.member_id == member_id)
    return func.coalesce(number.scalar_subquery(), literal(-1))


def _first_of(
    types: Sequence[str], after: int, limit: int, until: int | None
) -> CompoundSelect[Any]:
    """Where the first entries of each of some types stand: the first of all are among them."""
    found = []
    for type in types:
        mine = select(trail.c.position).where(trail.c.type == type, trail.c.position > after)
        if until is not None:
            mine = mine.where(trail.c.position <= until)
        part = mine.order_by(trail.c.position).limit(limit).subquery()
        found.append(select(part.c.position))
    return union_all(*found)


def _where_streams_are_found(stream: str) -> ColumnElement[bool]:
    """What is true of every entry of a stream, and leads to them by an index."""
    prefix, _, key = stream.partition(":")
    types = [event for event in EVENT_TYPES.values() if event.stream_prefix == prefix]
    if {event.stream_key for event in types} == {"member_id"}:
        return trail.c.member == member_number(key)
    if prefix == "redemption":  # among the entries about the member who redeems
        redeemer = select(redemptions.c.member).where(redemptions.c.redemption_id == key)
        return trail.c.member == func.coalesce(redeemer.scalar_subquery(), literal(-1))
    for table, id in THINGS.items():
        if "changed_position" in table.c and (
            id == f"{prefix}_id" or table.name == f"{prefix}s"
        ):  # between the first fact about it and the last
            ends = select(table.c.position, table.c.changed_position).where(table.c[id] == key)
            first, last = (
                func.coalesce(ends.with_only_columns(end).scalar_subquery(), 0)
                for end in (table.c.position, table.c.changed_position)
            )
            return trail.c.position.between(first, last)
    if any("member_id" in event.__struct_fields__ for event in types):
        return trail.c.type.in_([event.__name__ for event in types])
    return trail.c.member.is_(None)


def _member_of(record_id: str) -> ColumnElement[int]:
    number = select(service_records.c.member).where(service_records.c.record_id == record_id)
    return func.coalesce(number.scalar_subquery(), literal(-1))


def _item(row: Any) -> Item:
    return {
        "position": row.position,
        "recorded_at": row.recorded_at,
        "type": row.type,
        "stream": row.stream,
        "actor": row.actor,
        "correlation_id": row.correlation_id,
        "member_id": row.member_id,
        "record_id": row.record_id,
        "organisation": row.organisation,
    }


_SEARCH = text(
    """
    WITH RECURSIVE search(low, high) AS (
        SELECT CAST(0 AS BIGINT), position FROM bookmark
        UNION ALL
        SELECT CASE WHEN trail.recorded_at <= :as_of THEN trail.position ELSE low END,
               CASE WHEN trail.recorded_at <= :as_of THEN high ELSE trail.position - 1 END
        FROM search JOIN trail ON trail.position = (low + high + 1) / 2
        WHERE low < high
    )
    SELECT low FROM search WHERE low = high
    """
)
