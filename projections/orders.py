"""Needs and service orders as they stand, with every step that has led there."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Select, or_, select

from ledger.events import (
    Entry,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    NeedAssessed,
    NeedRejected,
    NeedReported,
    NeedResolved,
    OrderAccepted,
    OrderCheckedIn,
    OrderCompleted,
    OrderDecided,
    OrderDispatched,
    OrderEvent,
    OrderPlaced,
    OrderRated,
    OrderSettled,
)
from ledger.rules.orders import CLOSES_AFTER, STATUS
from ledger.units import instant, recorded_text
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.schema import needs, orders, subtree

STEPS = frozenset(
    {
        *("NeedReported", "NeedAssessed", "NeedRejected", "NeedResolved"),
        *("OrderPlaced", "OrderDispatched", "OrderAccepted", "OrderDeclined", "OrderTimedOut"),
        *("OrderCheckedIn", "OrderCompleted", "OrderSettled", "OrderRated", "OrderDisputed"),
        *("OrderDecided", "OrderClosed", "OrderCancelled"),
    }
)

HEARS = STEPS | {"HoursVerified", "HoursSubmitted", "HoursReversed"}
"""The steps, and what an order's own record becomes."""

_NEED, _ORDER = needs.c, orders.c
_INNER = ("changed_position", "cursor_", "due_at")


def project(page: Page) -> None:
    """A row for every need and every order; each step changes the row."""
    entries = [entry for entry in page.of(HEARS) if _concerns(entry)]
    if not entries:
        return
    for table, id in ((needs, "need_id"), (orders, "order_id")):
        named = {getattr(entry.event, id, None): None for entry in entries}
        page.rows(table).meet(page.connection, [one for one in named if one is not None])
    for entry in entries:
        _tell_need(page, entry)
        _tell_order(page, entry)


def _concerns(entry: Entry) -> bool:
    """Is it a step, or of a record that an order's check-out made?"""
    event: Any = entry.event
    if entry.type in STEPS:
        return True
    return event.order_id is not None and (
        isinstance(event, HoursReversed) or event.own_order is not None
    )


def _tell_need(page: Page, entry: Entry) -> None:
    """What a step makes of the need that it is about."""
    event, at = entry.event, entry.position
    match event:
        case NeedReported():
            page.rows(needs).add(
                event.need_id,
                *(at, event.need_id, event.organisation, event.unit, event.category),
                *(event.reported_by, event.description_ref, "reported"),
                *(None, None, None, None, None),
                *(_steps("[]", "reported", entry), event.correlation_id),
                *(event.recorded_at, at),
            )
        case NeedAssessed():
            _step(page, entry, "assessed").update(
                assessor_id=event.assessor_id,
                route=event.route,
                certification_level=event.certification_level,
                waited_minutes=event.waited_minutes,
            )
        case NeedRejected():
            _step(page, entry, "rejected")["reason"] = event.reason
        case NeedResolved():
            _step(page, entry, "resolved")["reason"] = event.reason
        case OrderPlaced(need_id=str(need_id)):
            row = page.rows(needs).change(need_id)
            row["status"] = "ordered"
            row["steps"] = _steps(row["steps"], "ordered", entry)


def _step(page: Page, entry: Entry, status: str) -> dict[str, Any]:
    event: Any = entry.event
    row = page.rows(needs).change(event.need_id)
    row["status"], row["changed_position"] = status, entry.position
    row["steps"] = _steps(row["steps"], status, entry)
    return row


def _tell_order(page: Page, entry: Entry) -> None:
    """What a step, or a fact about its record, makes of an order."""
    event, at = entry.event, entry.position
    if isinstance(event, OrderPlaced):
        page.rows(orders).add(
            event.order_id,
            *(at, event.order_id, event.organisation, None, event.need_id),
            *(event.member_id, None, event.activity, event.category, event.unit),
            *(event.responsible, event.planned_from, event.planned_to),
            *(event.hold_credits or 0, event.certification_level, event.supervisor_id),
            *(event.project_id, "placed", None, None, None, None, 0, None, None, None, None),
            *(_steps("[]", "placed", entry), event.correlation_id, event.recorded_at, at),
        )
        return
    if isinstance(event, OrderEvent):
        row = page.rows(orders).change(event.order_id)
        row["changed_position"] = at
        if isinstance(event, OrderSettled):
            row["paid"] += event.credits
            return
        row["status"], row["due_at"] = STATUS[type(event)], None
        row["steps"] = _steps(row["steps"], row["status"], entry)
        row["reason"] = getattr(event, "reason", None) or row["reason"]
    match event:
        case OrderDispatched():
            row["dispatched_to"], row["member_id"] = event.dispatched_to, None
            row["due_at"] = recorded_text(instant(event.accept_by))
        case OrderAccepted():
            row["member_id"], row["waited_minutes"] = event.member_id, event.waited_minutes
        case OrderCheckedIn():
            row["punctual"] = int(event.punctual)
        case OrderCompleted():
            row["record_id"] = event.record_id
        case OrderRated():
            row["stars"], row["comment_ref"] = event.stars, event.comment_ref
            row["due_at"] = recorded_text(instant(event.at) + CLOSES_AFTER)
        case OrderDecided():
            row["outcome"] = event.outcome
        case HoursVerified(order_id=str(order_id)) | HoursSubmitted(order_id=str(order_id)):
            page.rows(orders).change(order_id)["record_id"] = event.record_id
        case HoursReversed(order_id=str(order_id)):
            page.rows(orders).change(order_id)["paid"] += event.paid_from_hold or 0


def _steps(before: str, status: str, entry: Entry) -> str:
    event: Any = entry.event
    step = {
        "status": status,
        "at": event.at,
        "recorded_at": event.recorded_at,
        "position": entry.position,
    }
    return orjson.dumps([*orjson.loads(before), step]).decode()


# --- looking up ----------------------------------------------------------------------------------


def needs_listed(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    unit: str | None = None,
    status: str | None = None,
    category: str | None = None,
    route: str | None = None,
) -> Listed:
    """The needs that answer to every filter; `unit` is one and all that lie in it."""
    query = select(needs)
    if organisation is not None:
        query = query.where(_NEED.organisation == organisation)
    if unit is not None:
        query = query.where(only_filter(_NEED.unit).in_(select(subtree(unit).c.code)))
    for column, wanted in ((_NEED.status, status), (_NEED.category, category)):
        if wanted is not None:
            query = query.where(column == wanted)
    if route is not None:
        query = query.where(_NEED.route == route)
    return listed(connection, query, _NEED.position, after, limit, _told)


def need(connection: Connection, need_id: str, organisation: str | None = None) -> Item | None:
    """One need, if it may be seen."""
    row = connection.execute(select(needs).where(_NEED.need_id == need_id)).first()
    if row is None or organisation not in (None, row.organisation):
        return None
    return _told(row)


def orders_listed(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    seen_by: str | None = None,
    unit: str | None = None,
    filters: dict[str, str] | None = None,
) -> Listed:
    """The orders that an organisation or a member sees, and that answer to every filter."""
    query, walked = _seen_by(select(orders), organisation, seen_by), False
    for name, wanted in (filters or {}).items():
        column = only_filter(_ORDER[name]) if walked else _ORDER[name]
        query, walked = query.where(column == wanted), True
    if unit is not None:
        query = query.where(only_filter(_ORDER.unit).in_(select(subtree(unit).c.code)))
    return listed(connection, query, _ORDER.position, after, limit, _told)


def order(
    connection: Connection,
    order_id: str,
    organisation: str | None = None,
    seen_by: str | None = None,
) -> Item | None:
    """One order, if it may be seen."""
    query = _seen_by(select(orders).where(_ORDER.order_id == order_id), organisation, seen_by)
    row = connection.execute(query).first()
    return None if row is None else _told(row)


def due(connection: Connection, status: str, as_of: datetime) -> list[str]:
    """The orders in a state that a job ends as of an instant, oldest first."""
    query = (
        select(_ORDER.order_id)
        .where(_ORDER.status == status, _ORDER.due_at <= recorded_text(as_of))
        .order_by(_ORDER.position)
    )
    return list(connection.execute(query).scalars())


def _seen_by(query: Select[Any], organisation: str | None, member_id: str | None) -> Select[Any]:
    """Of whoever receives or serves; of the organisation that placed it, or is to serve."""
    if member_id is not None:
        query = query.where(or_(_ORDER.recipient_id == member_id, _ORDER.member_id == member_id))
    if organisation is not None:
        own = _ORDER.organisation == organisation
        query = query.where(or_(own, _ORDER.dispatched_to == organisation))
    return query


def _told(row: Any) -> Item:
    found = {str(name): value for name, value in row._mapping.items() if name not in _INNER}
    own_id = "order_id" if "order_id" in found else "need_id"
    told: Item = {"id": found.pop(own_id), **found}
    told["steps"] = orjson.loads(row.steps)
    if told.get("punctual") is not None:
        told["punctual"] = bool(told["punctual"])
    told["position"] = row.changed_position
    return told
