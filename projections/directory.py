"""The directory: units, organisations, and members with the organisations that know them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson
from sqlalchemy import Connection, Select, select, update

from ledger.events import (
    AccountClosed,
    AgeBand,
    AgeBandReached,
    MemberChanged,
    MemberJoined,
    MemberRegistered,
    OrganisationAdded,
    OrganisationResumed,
    OrganisationSuspended,
    PersonDataErased,
    UnitAdded,
)
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.schema import (
    member_organisations,
    member_seats,
    members,
    organisations,
    units,
)

HEARS = frozenset(
    {
        *("UnitAdded", "OrganisationAdded", "OrganisationSuspended", "OrganisationResumed"),
        *("MemberRegistered", "MemberJoined", "MemberChanged", "AccountClosed"),
        *("PersonDataErased", "AgeBandReached"),
    }
)


def project(page: Page) -> None:
    """Enter what is new; what changes is changed in its place."""
    for entry in page.of(HEARS):
        position = entry.position
        match entry.event:
            case UnitAdded() as event:
                page.new(units).append(
                    (
                        position,
                        event.code,
                        event.name,
                        event.level,
                        event.parent,
                        event.recorded_at,
                    )
                )
            case OrganisationAdded() as event:
                page.new(organisations).append(
                    (
                        position,
                        event.code,
                        event.name,
                        event.kind,
                        event.unit,
                        "active",
                        event.recorded_at,
                        position,
                    )
                )
            case OrganisationSuspended() as event:
                _set_status(page, event.code, "suspended", position)
            case OrganisationResumed() as event:
                _set_status(page, event.code, "active", position)
            case MemberRegistered() as event:
                page.new(members).append(
                    (
                        position,
                        event.member_id,
                        event.organisation,
                        _roles(event.roles),
                        event.unit,
                        *(event.age_band, None, None),
                        event.recorded_at,
                        position,
                    )
                )
                page.new(member_organisations).append(
                    (position, event.organisation, event.member_id)
                )
                number = page.balances[event.member_id].id
                page.new(member_seats).append((position, number, event.organisation, event.unit))
            case MemberJoined() as event:
                page.new(member_organisations).append(
                    (position, event.organisation, event.member_id)
                )
                _change_member(page, event.member_id, {"changed_position": position})
            case AccountClosed() as event:
                said = {"closed_on": page.day(position), "changed_position": position}
                _change_member(page, event.member_id, said)
            case PersonDataErased() as event:
                said = {"erased_at": event.recorded_at, "age_band": None}
                _change_member(page, event.member_id, said | {"changed_position": position})
            case AgeBandReached() as event:
                said = {"age_band": event.age_band, "changed_position": position}
                _change_member(page, event.member_id, said)
            case MemberChanged() as event:
                changes: dict[str, Any] = {"changed_position": position}
                if event.roles:
                    changes["roles"] = _roles(event.roles)
                if event.age_band or event.age_unknown:
                    changes["age_band"] = event.age_band
                if event.unit:
                    changes["unit"] = event.unit
                    number = page.balances[event.member_id].id
                    page.new(member_seats).append(
                        (position, number, event.organisation, event.unit)
                    )
                _change_member(page, event.member_id, changes)


def units_listed(connection: Connection, after: int = 0, limit: int = 50) -> Listed:
    """The tree's units, in the order in which they were added."""
    return listed(connection, select(units), units.c.position, after, limit, _unit)


def unit(connection: Connection, code: str) -> Item | None:
    """One unit."""
    return _one(connection, select(units).where(units.c.code == code), _unit)


def organisations_listed(
    connection: Connection, after: int = 0, limit: int = 50, *, code: str | None = None
) -> Listed:
    """The organisations, in the order in which they were added; all, or the one with the code."""
    query = select(organisations)
    if code is not None:
        query = query.where(organisations.c.code == code)
    return listed(connection, query, organisations.c.position, after, limit, _organisation)


def organisation(connection: Connection, code: str) -> Item | None:
    """One organisation."""
    query = select(organisations).where(organisations.c.code == code)
    return _one(connection, query, _organisation)


def members_listed(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    home: str | None = None,
    age_band: AgeBand | None = None,
) -> Listed:
    """Members, oldest first; an organisation's in the order in which it came to know them.

    Those of an age band alone, and those at home in an organisation, where these are given.
    """
    if organisation is None:
        query, cursor = select(members), members.c.position
    else:
        known = member_organisations
        query = (
            select(members)
            .join(known, known.c.member_id == members.c.member_id)
            .where(known.c.organisation == organisation)
        )
        cursor = known.c.position
    if age_band is not None:
        column = members.c.age_band if organisation is None else only_filter(members.c.age_band)
        query = query.where(column == age_band)
    if home is not None:
        query = query.where(only_filter(members.c.home_organisation) == home)
    page = listed(connection, query, cursor, after, limit, _member)
    _name_organisations(connection, page.items)
    return page


def member(connection: Connection, member_id: str) -> Item | None:
    """One member, with every organisation that knows them, the home organisation first."""
    found = _one(connection, select(members).where(members.c.member_id == member_id), _member)
    if found is not None:
        _name_organisations(connection, [found])
    return found


def age_bands(connection: Connection, member_ids: Sequence[str]) -> dict[str, AgeBand | None]:
    """The age band of some members as it was told last, by member; None: not known."""
    column = members.c
    query = select(column.member_id, column.age_band)
    query = query.where(column.member_id.in_(member_ids), column.erased_at.is_(None))
    return {id: band for id, band in connection.execute(query)}


def closed_by(connection: Connection, day: date) -> list[str]:
    """The members whose accounts were closed by a date, and who are not erased; oldest first."""
    query = (
        select(members.c.member_id)
        .where(members.c.closed_on <= day.isoformat(), members.c.erased_at.is_(None))
        .order_by(members.c.position)
    )
    return list(connection.execute(query).scalars())


def _set_status(page: Page, code: str, status: str, position: int) -> None:
    page.insert()  # it may have been added on this very page
    page.connection.execute(
        update(organisations)
        .where(organisations.c.code == code)
        .values(status=status, changed_position=position)
    )


def _change_member(page: Page, member_id: str, changes: dict[str, Any]) -> None:
    page.insert()
    page.connection.execute(update(members).where(members.c.member_id == member_id).values(changes))


def _roles(roles: tuple[str, ...]) -> str:
    return orjson.dumps(roles).decode()


def _one(connection: Connection, query: Select[Any], item: Any) -> Item | None:
    row = connection.execute(query).first()
    found: Item | None = None if row is None else item(row)
    return found


def _name_organisations(connection: Connection, found: list[Item]) -> None:
    by_id = {member["id"]: member for member in found}
    known = member_organisations.c
    query = (
        select(known.member_id, known.organisation)
        .where(known.member_id.in_(list(by_id)))
        .order_by(known.position)
    )
    for member_id, organisation in connection.execute(query):
        by_id[member_id]["organisations"].append(organisation)


def _unit(row: Any) -> Item:
    return {
        "code": row.code,
        "name": row.name,
        "level": row.level,
        "parent": row.parent,
        "recorded_at": row.recorded_at,
        "position": row.position,
    }


def _organisation(row: Any) -> Item:
    return {
        "code": row.code,
        "name": row.name,
        "kind": row.kind,
        "unit": row.unit,
        "status": row.status,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }


def _member(row: Any) -> Item:
    return {
        "id": row.member_id,
        "roles": orjson.loads(row.roles),
        "unit": row.unit,
        "home_organisation": row.home_organisation,
        "organisations": [],
        "age_band": row.age_band,
        "erased_at": row.erased_at,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }
