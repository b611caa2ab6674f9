"""Relations: what other members are to a member, as it was said last of each."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from ledger.events import RelationRecorded
from projections import trail
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import balances, member_organisations, relations

HEARS = frozenset({"RelationRecorded"})

_RELATION = relations.c


def project(page: Page) -> None:
    """A row for whatever was said; what is said of the same two later replaces it."""
    replaced: list[dict[str, Any]] = []
    for entry in page.of(HEARS):
        match entry.event:
            case RelationRecorded() as event:
                member = page.balances[event.member_id].id
                page.new(relations).append(
                    (
                        *(entry.position, member, event.to, event.relation),
                        *(event.evidence_ref, event.recorded_at, None),
                    )
                )
                replaced.append({"whose": member, "other": event.to, "at": entry.position})
    if replaced:
        page.insert()
        page.connection.execute(_REPLACE, replaced)


def listing(
    connection: Connection,
    member_id: str,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
) -> Listed:
    """What others are to a member, oldest first; for an organisation, those whom it knows too."""
    query = _relations(member_id, organisation)
    return listed(connection, query, _RELATION.position, after, limit, _item)


def relation(
    connection: Connection, member_id: str, to: str, organisation: str | None = None
) -> Item | None:
    """What one other is to the member."""
    query = _relations(member_id, organisation).where(_RELATION.to == to)
    row = connection.execute(query).first()
    return None if row is None else _item(row)


def _relations(member_id: str, organisation: str | None) -> Select[Any]:
    query = select(relations, balances.c.member_id)
    query = query.join(balances, balances.c.id == _RELATION.member)
    query = query.where(
        _RELATION.member == trail.member_number(member_id), _RELATION.replaced.is_(None)
    )
    if organisation is not None:
        known = member_organisations.c
        knows = select(known.member_id).where(
            known.member_id == _RELATION.to, known.organisation == organisation
        )
        query = query.where(knows.exists())
    return query


def _item(row: Any) -> Item:
    return {
        "member_id": row.member_id,
        "to": row.to,
        "relation": row.relation,
        "evidence_ref": row.evidence_ref,
        "recorded_at": row.recorded_at,
        "position": row.position,
    }


_REPLACE = (
    update(relations)
    .where(
        _RELATION.member == bindparam("whose"),
        _RELATION.to == bindparam("other"),
        _RELATION.position < bindparam("at"),
        _RELATION.replaced.is_(None),
    )
    .values(replaced=bindparam("at"))
)
