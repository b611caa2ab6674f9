"""Members taken together: those at home in an organisation, those who live in a unit's subtree.

Whoever belongs to it is known as of the position asked for: units change in time, homes do not.
"""

from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, TextClause, select, text

from projections import passbook, schema, trail
from projections.listing import Item, Listed
from projections.schema import balances, organisations, units

_LINE = schema.passbook.c
_MEMBERS_MAX = 1 << 24  # a walk's cursor holds a position and, below that, a member's number


class Group(NamedTuple):
    """Whom is asked for: an organisation's members, or those in a unit and all units below it."""

    organisation: str | None = None
    unit: str | None = None

    @property
    def code(self) -> str:
        """Of the organisation, or of the unit."""
        return self.unit or self.organisation or ""

    def is_known(self, connection: Connection) -> bool:
        """Is there such an organisation, or such a unit?"""
        table = organisations if self.unit is None else units
        query = select(table.c.code).where(table.c.code == self.code)
        return connection.execute(query).first() is not None


def balance(
    connection: Connection, group: Group, until: int, served_until: date | None = None
) -> dict[str, Any]:
    """What stands to the members' names together, as known at a position."""
    asked: dict[str, Any] = {"code": group.code, "until": until}
    if served_until is not None:
        asked["served_until"] = served_until.isoformat()
        lines = "served"
    else:
        lines = "then" if until < trail.position(connection) else "now"
    query = _BALANCES["organisation" if group.unit is None else "unit", lines]
    members, *parts = map(int, connection.execute(query, asked).one())
    available, held, frozen, receivable, minutes, points = parts
    return {
        "members": members,
        "service_minutes": minutes,
        "credits": {
            "available": available,
            "held": held,
            "frozen": frozen,
            "receivable": receivable,
        },
        "points": points,
    }


def lines(
    connection: Connection,
    group: Group,
    after: int = 0,
    limit: int = 50,
    *,
    until: int,
    served_until: date | None = None,
) -> Listed:
    """The members' lines together, oldest first; two of one event in the order of the members.

    `balance_after` is the member's own; by service date there is none.
    """
    place: ColumnElement[int] = _LINE.position * _MEMBERS_MAX + _LINE.member
    members = _MEMBERS["organisation" if group.unit is None else "unit"]
    query = (
        passbook.lines_query(until, served_until)
        .add_columns(balances.c.member_id, place.label("place"))
        .join(balances, balances.c.id == _LINE.member)
        .where(text(f"passbook.member IN ({members} SELECT member FROM mine)"))  # noqa: S608  (ours)
        .where(_LINE.position >= after // _MEMBERS_MAX, place > after)
        .order_by(_LINE.position, _LINE.member)
        .limit(limit + 1)
    )
    rows = connection.execute(query, {"code": group.code, "until": until}).all()
    items: list[Item] = []
    for row in rows[:limit]:
        line = {"member_id": row.member_id, **passbook.told(row)}
        if served_until is not None:
            line["balance_after"] = None
        items.append(line)
    return Listed(items, rows[limit - 1].place if len(rows) > limit else None)


_MEMBERS = {
    "organisation": """
        WITH mine(member) AS (
            SELECT DISTINCT member FROM member_seats
            WHERE organisation = :code AND position <= :until
        )""",
    "unit": """
        WITH RECURSIVE below(code) AS (
            SELECT code FROM units WHERE code = :code
            UNION ALL
            SELECT units.code FROM units JOIN below ON units.parent = below.code
        ), mine(member) AS (
            SELECT member FROM member_seats AS seat
            WHERE unit IN (SELECT code FROM below) AND position <= :until AND NOT EXISTS (
                SELECT 1 FROM member_seats AS later
                WHERE later.member = seat.member
                AND later.position > seat.position AND later.position <= :until
            )
        )""",
}
"""Who belongs to a group at a position, as the table `mine`."""

_LINES = {
    "served": """
        SELECT available, held, frozen, receivable, minutes, points FROM passbook
        WHERE member IN (SELECT member FROM mine)
        AND position <= :until AND served_on <= :served_until""",
    "then": """
        SELECT available_after, held_after, frozen_after, receivable_after,
            minutes_after, points_after
        FROM passbook JOIN (
            SELECT member, (
                SELECT max(position) FROM passbook AS before
                WHERE before.member = mine.member AND before.position <= :until
            ) AS last FROM mine
        ) AS ends ON passbook.member = ends.member AND passbook.position = ends.last""",
    "now": """
        SELECT available, held, frozen, receivable, service_minutes, points FROM balances
        WHERE id IN (SELECT member FROM mine)""",
}
"""What is added up: changes up to a service date, what stood to each name then, what stands now."""


def _sums(members: str, lines: str) -> TextClause:
    parts = ("available", "held", "frozen", "receivable", "minutes", "points")
    sums = ", ".join(f"coalesce(sum({part}), 0)" for part in parts)
    return text(
        f"{members}, line({', '.join(parts)}) AS ({lines})"  # noqa: S608  (all of it is ours)
        f" SELECT (SELECT count(*) FROM mine), {sums} FROM line"
    )


_BALANCES = {
    (group, which): _sums(members, lines)
    for group, members in _MEMBERS.items()
    for which, lines in _LINES.items()
}
