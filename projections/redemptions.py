"""Redemptions as they stand: what is held for which reward, and what became of it."""

from datetime import date
from typing import Any, cast

from sqlalchemy import Connection, Select, or_, select

from ledger.events import (
    HoldEnded,
    HoursRejected,
    HoursReversed,
    PostedContent,
    RedemptionCancelled,
    RedemptionFulfilled,
    RedemptionReserved,
)
from projections import trail
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.schema import balances, redemptions

ENDINGS = {
    "RedemptionFulfilled": "fulfilled",
    "RedemptionCancelled": "cancelled",
    "RedemptionExpired": "expired",
}
"""What a redemption has become, for each event that ends its hold."""

CITING = frozenset({"HoursVerified", "HoursSubmitted", "HoursRejected", "HoursReversed"})

HEARS = frozenset({"RedemptionReserved", *ENDINGS, *CITING})

_REDEMPTION = redemptions.c


def project(page: Page) -> None:
    """A row for every redemption; what ends its hold, or cites it, changes the row."""
    told = page.rows(redemptions)
    heard = [(entry, cast(Any, entry.event).redemption_id) for entry in page.of(HEARS)]
    entries = [entry for entry, redemption_id in heard if redemption_id is not None]
    told.meet(page.connection, dict.fromkeys(id for _, id in heard if id is not None))
    for entry in entries:
        match entry.event:
            case RedemptionReserved() as event:
                told.add(
                    event.redemption_id,
                    entry.position,
                    event.redemption_id,
                    page.balances[event.member_id].id,
                    event.organisation,
                    event.reward,
                    event.reward_organisation,
                    event.kind,
                    event.quantity,
                    event.credits,
                    "reserved",
                    0,
                    0,
                    event.provider_id,
                    None,
                    event.expires_on,
                    None,
                    event.recorded_at,
                    entry.position,
                )
            case HoldEnded() as event:
                row = told.change(event.redemption_id)
                row["status"] = ENDINGS[entry.type]
                row["released"] = event.released or 0
                row["changed_position"] = entry.position
                if isinstance(event, RedemptionFulfilled):
                    row["paid"] += event.credits
                    row["provider_id"] = event.provider_id
                if isinstance(event, RedemptionCancelled):
                    row["reason"] = event.reason
            case PostedContent(redemption_id=str(cited)) as event:
                told.change(cited)["record_id"] = event.record_id
            case HoursRejected(redemption_id=str(cited)):
                told.change(cited)["record_id"] = None
            case HoursReversed(redemption_id=str(cited)) as event:
                told.change(cited)["paid"] += event.paid_from_hold or 0


def listing(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    member_id: str | None = None,
    organisation: str | None = None,
    of: str | None = None,
    reward: str | None = None,
    status: str | None = None,
) -> Listed:
    """The redemptions that a member or an organisation may see, of one member, reward, status."""
    query = _seen_by(_redemptions(), member_id, organisation)
    if of is not None:
        query = query.where(_REDEMPTION.member == trail.member_number(of))
    if reward is not None:
        column = _REDEMPTION.reward
        query = query.where((column if of is None else only_filter(column)) == reward)
    if status is not None:
        query = query.where(_REDEMPTION.status == status)
    return listed(connection, query, _REDEMPTION.position, after, limit, _item)


def redemption(
    connection: Connection,
    redemption_id: str,
    member_id: str | None = None,
    organisation: str | None = None,
) -> Item | None:
    """One redemption, if it is among those that may be seen."""
    query = _redemptions().where(_REDEMPTION.redemption_id == redemption_id)
    row = connection.execute(_seen_by(query, member_id, organisation)).first()
    return None if row is None else _item(row)


def due(connection: Connection, day: date) -> list[str]:
    """The redemptions whose hold may be ended by a date, oldest first."""
    query = (
        select(_REDEMPTION.redemption_id)
        .where(_REDEMPTION.status == "reserved", _REDEMPTION.expires_on <= day.isoformat())
        .order_by(_REDEMPTION.position)
    )
    return list(connection.execute(query).scalars())


def _redemptions() -> Select[Any]:
    return select(redemptions, balances.c.member_id).join(
        balances, balances.c.id == _REDEMPTION.member
    )


def _seen_by(query: Select[Any], member_id: str | None, organisation: str | None) -> Select[Any]:
    """Of whoever redeems or serves; of the member's home or the reward's organisation."""
    if member_id is not None:
        mine = _REDEMPTION.member == trail.member_number(member_id)
        query = query.where(or_(mine, _REDEMPTION.provider_id == member_id))
    if organisation is not None:
        own = _REDEMPTION.reward_organisation == organisation
        query = query.where(or_(_REDEMPTION.organisation == organisation, own))
    return query


def _item(row: Any) -> Item:
    return {
        "id": row.redemption_id,
        "member_id": row.member_id,
        "organisation": row.organisation,
        "reward": row.reward,
        "kind": row.kind,
        "quantity": row.quantity,
        "status": row.status,
        "credits": row.credits,
        "paid": row.paid,
        "released": row.released,
        "provider_id": row.provider_id,
        "record_id": row.record_id,
        "expires_on": row.expires_on,
        "reason": row.reason,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }
