"""Correction requests: what members say is wrong, and what became of it."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from ledger.events import CorrectionDeclined, CorrectionRequested, HoursReversed
from projections import trail
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import balances, correction_requests

HEARS = frozenset({"CorrectionRequested", "CorrectionDeclined", "HoursReversed"})

_REQUEST = correction_requests.c


def project(page: Page) -> None:
    """A row for every request; a decision changes it in its place."""
    decided: list[dict[str, Any]] = []
    for entry in page.of(HEARS):
        match entry.event:
            case CorrectionRequested() as event:
                page.new(correction_requests).append(
                    (
                        entry.position,
                        event.request_id,
                        event.record_id,
                        page.balances[event.member_id].id,
                        event.organisation,
                        event.reason,
                        "open",
                        None,
                        event.recorded_at,
                        entry.position,
                    )
                )
            case CorrectionDeclined() as event:
                decided.append(
                    _decision(event.request_id, "declined", event.reason, entry.position)
                )
            case HoursReversed(request_id=str(request_id)) as event:
                decided.append(_decision(request_id, "granted", event.reason, entry.position))
    if decided:
        page.insert()  # they may have been made on this very page
        page.connection.execute(_DECIDE, decided)


def listing(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    record_id: str | None = None,
    organisation: str | None = None,
    member_id: str | None = None,
    status: str | None = None,
) -> Listed:
    """The requests that answer to every filter given, oldest first."""
    query = _requests()
    if record_id is not None:
        query = query.where(_REQUEST.record_id == record_id)
    if organisation is not None:
        query = query.where(_REQUEST.organisation == organisation)
    if member_id is not None:
        query = query.where(_REQUEST.member == trail.member_number(member_id))
    if status is not None:
        query = query.where(_REQUEST.status == status)
    return listed(connection, query, _REQUEST.position, after, limit, _item)


def correction_request(connection: Connection, request_id: str) -> Item | None:
    """One request."""
    row = connection.execute(_requests().where(_REQUEST.request_id == request_id)).first()
    return None if row is None else _item(row)


def _requests() -> Select[Any]:
    return select(correction_requests, balances.c.member_id).join(
        balances, balances.c.id == _REQUEST.member
    )


def _decision(request_id: str, status: str, reason: str, position: int) -> dict[str, Any]:
    return {"decided": request_id, "now": status, "why": reason, "at": position}


_DECIDE = (
    update(correction_requests)
    .where(_REQUEST.request_id == bindparam("decided"))
    .values(
        status=bindparam("now"), decided_reason=bindparam("why"), changed_position=bindparam("at")
    )
)


def _item(row: Any) -> Item:
    return {
        "id": row.request_id,
        "record_id": row.record_id,
        "member_id": row.member_id,
        "organisation": row.organisation,
        "status": row.status,
        "reason": row.reason,
        "decided_reason": row.decided_reason,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }
