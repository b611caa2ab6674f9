"""Transfers as they stand: gifts, donations, allocations, inheritances and grants."""

from typing import Any

import orjson
from sqlalchemy import Connection, Select, or_, select, update

from ledger.events import (
    CreditsAllocated,
    CreditsDonated,
    CreditsGiven,
    CreditsInherited,
    GrantApproved,
    GrantProposed,
    Line,
    Moved,
)
from projections import trail
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import balances, members, transfers

KINDS = {
    "CreditsGiven": "gift",
    "CreditsDonated": "donation",
    "CreditsInherited": "inheritance",
    "CreditsAllocated": "allocation",
    "GrantProposed": "grant",
}
"""What a transfer is called, for each event that begins one."""

HEARS = frozenset({*KINDS, "GrantApproved"})

_TRANSFER = transfers.c


def project(page: Page) -> None:
    """A row for every transfer; an approval changes it in its place."""
    for entry in page.of(HEARS):
        match entry.event:
            case GrantApproved() as event:
                page.insert()  # it may have been proposed on this very page
                page.connection.execute(
                    update(transfers)
                    .where(_TRANSFER.transfer_id == event.transfer_id)
                    .values(
                        status="done",
                        entries=_spelled(event.entries),
                        changed_position=entry.position,
                    )
                )
            case (
                CreditsGiven()
                | CreditsDonated()
                | CreditsInherited()
                | CreditsAllocated()
                | GrantProposed()
            ) as event:
                giver = getattr(event, "member_id", None)
                moved = isinstance(event, Moved)
                page.new(transfers).append(
                    (
                        entry.position,
                        event.transfer_id,
                        KINDS[entry.type],
                        "done" if moved else "proposed",
                        None if giver is None else page.balances[giver].id,
                        event.credits,
                        getattr(event, "fund", None),
                        _spelled(event.entries if isinstance(event, Moved) else event.shares),
                        event.reason,
                        event.recorded_at,
                        entry.position,
                    )
                )


def listing(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    member_id: str | None = None,
    organisation: str | None = None,
    kind: str | None = None,
    status: str | None = None,
) -> Listed:
    """The transfers that answer to every filter: of a giver, or of an organisation's members."""
    query = _seen_by(_transfers(), member_id, organisation)
    if kind is not None:
        query = query.where(_TRANSFER.kind == kind)
    if status is not None:
        query = query.where(_TRANSFER.status == status)
    return listed(connection, query, _TRANSFER.position, after, limit, _item)


def transfer(
    connection: Connection,
    transfer_id: str,
    member_id: str | None = None,
    organisation: str | None = None,
) -> Item | None:
    """One transfer, if it is among those that may be seen."""
    query = _transfers().where(_TRANSFER.transfer_id == transfer_id)
    row = connection.execute(_seen_by(query, member_id, organisation)).first()
    return None if row is None else _item(row)


def _transfers() -> Select[Any]:
    return select(transfers, balances.c.member_id).outerjoin(
        balances, balances.c.id == _TRANSFER.member
    )


def _seen_by(query: Select[Any], member_id: str | None, organisation: str | None) -> Select[Any]:
    if member_id is not None:
        received = _TRANSFER.entries.contains(f'"person:{member_id}:available"', autoescape=True)
        query = query.where(or_(_TRANSFER.member == trail.member_number(member_id), received))
    if organisation is not None:
        homes = select(members.c.member_id).where(members.c.home_organisation == organisation)
        query = query.where(balances.c.member_id.in_(homes))
    return query


def _spelled(lines: tuple[Line, ...]) -> str:
    return orjson.dumps(lines).decode()


def _item(row: Any) -> Item:
    return {
        "id": row.transfer_id,
        "kind": row.kind,
        "status": row.status,
        "member_id": row.member_id,
        "credits": row.credits,
        "fund": row.fund,
        "entries": orjson.loads(row.entries) if row.status == "done" else [],
        "shares": orjson.loads(row.entries) if row.status == "proposed" else [],
        "reason": row.reason,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }
