"""The catalogue of rewards as it stands, with what is left of each."""

from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from ledger.events import RewardAdded, RewardRestocked, RewardWithdrawn
from projections.listing import Item, Listed, listed
from projections.page import Page
from projections.schema import rewards

HEARS = frozenset(
    {
        *("RewardAdded", "RewardRestocked", "RewardWithdrawn", "RedemptionReserved"),
        *("RedemptionFulfilled", "RedemptionCancelled", "RedemptionExpired"),
    }
)

GATES = ("min_age", "min_stars", "tier", "grade", "organisations")
"""What a reward may ask of who redeems it."""

_REWARD = rewards.c


def project(page: Page) -> None:
    """A row for every reward; restocking, redemptions and withdrawal change it in its place."""
    stock: dict[str, int] = {}
    for entry in page.of(HEARS):
        event = entry.event
        match event:
            case RewardAdded():
                gates = {name: getattr(event, name) for name in GATES}
                page.new(rewards).append(
                    (
                        entry.position,
                        event.code,
                        event.organisation,
                        event.name,
                        event.kind,
                        event.credits,
                        event.stock,
                        orjson.dumps({k: v for k, v in gates.items() if v is not None}).decode(),
                        "offered",
                        event.recorded_at,
                        entry.position,
                    )
                )
                page.insert()  # so that what this very page changes of it finds it
                continue
            case RewardRestocked():
                _change(page, event.code, {"changed_position": entry.position})
            case RewardWithdrawn():
                changes = {"status": "withdrawn", "changed_position": entry.position}
                _change(page, event.code, changes)
        for name, items in event.stock_lines:
            stock[name] = stock.get(name, 0) + items
    for name, items in stock.items():
        if items:
            _change(page, name.removeprefix("stock:"), {"stock": _REWARD.stock + items})


def listing(
    connection: Connection,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    kind: str | None = None,
    status: str | None = None,
) -> Listed:
    """The rewards that answer to every filter."""
    query = select(rewards)
    wanted = ((_REWARD.organisation, organisation), (_REWARD.kind, kind), (_REWARD.status, status))
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    return listed(connection, query, _REWARD.position, after, limit, _item)


def reward(connection: Connection, code: str) -> Item | None:
    """One reward."""
    row = connection.execute(select(rewards).where(_REWARD.code == code)).first()
    return None if row is None else _item(row)


def _change(page: Page, code: str, changes: dict[str, Any]) -> None:
    page.connection.execute(update(rewards).where(_REWARD.code == code).values(**changes))


def _item(row: Any) -> Item:
    return {
        "code": row.code,
        "organisation": row.organisation,
        "name": row.name,
        "kind": row.kind,
        "credits": row.credits,
        "stock": row.stock,
        "eligibility": orjson.loads(row.eligibility),
        "status": row.status,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }
