"""Lists as the contract wants them: oldest first, a page at a time, with the next cursor."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func

Item = dict[str, Any]


class Listed(NamedTuple):
    """Some items, and the cursor behind the last of them; None where nothing follows."""

    items: list[Item]
    next: int | None


def listed(
    connection: Connection,
    query: Select[Any],
    cursor: ColumnElement[int],
    after: int,
    limit: int,
    item: Callable[[Any], Item],
) -> Listed:
    """What a query finds behind a cursor, in its order; one row more tells whether more follows."""
    query = query.where(cursor > after).order_by(cursor).limit(limit + 1)
    rows: Sequence[Any] = connection.execute(query.add_columns(cursor.label("cursor_"))).all()
    following = rows[limit - 1].cursor_ if len(rows) > limit else None
    return Listed([item(row) for row in rows[:limit]], following)


def only_filter(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column's value, hidden from the choice of an index.

    Where a narrower filter is given too, its index is the one to walk; SQLite, which keeps no
    statistics here, might else choose the index in which nearly all rows have the wanted value.
    """
    return func.coalesce(column, None)
