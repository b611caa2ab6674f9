"""Consents: what a member lets which organisation do, and until when."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from ledger.events import ConsentGiven, ConsentWithdrawn, MemberJoined
from projections import trail
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.schema import balances, consents

HEARS = frozenset({"MemberJoined", "ConsentGiven", "ConsentWithdrawn"})
JOINING = "joining"
"""The purpose of the consent on which an organisation came to know a member."""

_CONSENT = consents.c


def project(page: Page) -> None:
    """A row for every consent; a later one for the same, or a withdrawal, ends it."""
    ended: list[dict[str, Any]] = []
    for entry in page.of(HEARS):
        match entry.event:
            case MemberJoined() as event:
                _add(page, entry.position, event, event.organisation, JOINING, event.consent_ref)
            case ConsentGiven() as event:
                said = (event.organisation, event.purpose, event.consent_ref)
                _add(page, entry.position, event, *said)
                ended.append(_end(page, event, entry.position, "replaced"))
            case ConsentWithdrawn() as event:
                ended.append(_end(page, event, entry.position, "withdrawn"))
    if ended:
        page.insert()  # they may have been given on this very page
        page.connection.execute(_END, ended)


def listing(
    connection: Connection,
    member_id: str,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    purpose: str | None = None,
) -> Listed:
    """A member's consents, oldest first: all, or what one organisation was given."""
    query = _consents(member_id, organisation)
    if purpose is not None:
        query = query.where(only_filter(_CONSENT.purpose) == purpose)
    return listed(connection, query, _CONSENT.position, after, limit, _item)


def consent(
    connection: Connection, member_id: str, position: int, organisation: str | None = None
) -> Item | None:
    """The one that was given at a position."""
    query = _consents(member_id, organisation).where(_CONSENT.position == position)
    row = connection.execute(query).first()
    return None if row is None else _item(row)


def _consents(member_id: str, organisation: str | None) -> Select[Any]:
    query = select(consents, balances.c.member_id)
    query = query.join(balances, balances.c.id == _CONSENT.member)
    query = query.where(_CONSENT.member == trail.member_number(member_id))
    if organisation is not None:
        query = query.where(only_filter(_CONSENT.organisation) == organisation)
    return query


def _add(
    page: Page,
    position: int,
    event: MemberJoined | ConsentGiven,
    organisation: str,
    purpose: str,
    consent_ref: str,
) -> None:
    member = page.balances[event.member_id].id
    page.new(consents).append(
        (
            *(position, member, organisation, purpose, consent_ref),
            *("given", event.recorded_at, None, position),
        )
    )


def _end(
    page: Page, event: ConsentGiven | ConsentWithdrawn, position: int, status: str
) -> dict[str, Any]:
    return {
        "whose": page.balances[event.member_id].id,
        "for_whom": event.organisation,
        "for_what": event.purpose,
        "at": position,
        "now": status,
        "when": event.recorded_at,
    }


def _item(row: Any) -> Item:
    return {
        "given_position": row.position,
        "member_id": row.member_id,
        "organisation": row.organisation,
        "purpose": row.purpose,
        "consent_ref": row.consent_ref,
        "status": row.status,
        "given_at": row.given_at,
        "ended_at": row.ended_at,
        "position": row.changed_position,
    }


_END = (
    update(consents)
    .where(
        _CONSENT.member == bindparam("whose"),
        _CONSENT.organisation == bindparam("for_whom"),
        _CONSENT.purpose == bindparam("for_what"),
        _CONSENT.position < bindparam("at"),
        _CONSENT.status == "given",
    )
    .values(status=bindparam("now"), ended_at=bindparam("when"), changed_position=bindparam("at"))
)
