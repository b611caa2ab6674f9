"""The policies as published: each version with its changes, and what held on a date."""

from datetime import date
from typing import Any

import orjson
from sqlalchemy import Connection

from ledger.events import PolicyPublished
from ledger.policy import DEFAULTS
from projections.listing import Item, Listed
from projections.page import Page, published
from projections.schema import policies

HEARS = frozenset({"PolicyPublished"})


def project(page: Page) -> None:
    """A row for every version."""
    for entry in page.of(HEARS):
        match entry.event:
            case PolicyPublished() as event:
                page.new(policies).append(
                    (
                        event.version,
                        entry.position,
                        event.effective_on,
                        orjson.dumps(event.changes, option=orjson.OPT_SORT_KEYS).decode(),
                        event.note,
                        event.recorded_at,
                    )
                )


def listing(connection: Connection, after: int = 0, limit: int = 50) -> Listed:
    """The versions, from 1, which is the defaults; the cursor is the version."""
    versions: list[Item] = [
        {"version": 1, "effective_on": None, "changes": DEFAULTS, "note": None, "recorded_at": None}
    ]
    versions += [
        {
            "version": event.version,
            "effective_on": event.effective_on,
            "changes": event.changes,
            "note": event.note,
            "recorded_at": event.recorded_at,
        }
        for event in published(connection).versions
    ]
    found = [version for version in versions if version["version"] > after]
    return Listed(found[:limit], found[limit - 1]["version"] if len(found) > limit else None)


def at(connection: Connection, day: date) -> dict[str, Any]:
    """What every key says for a date, and the newest version that has a say on it."""
    folded = published(connection)
    text = day.isoformat()
    said = [event.version for event in folded.versions if event.effective_on <= text]
    return {"date": text, "version": max(said, default=1), "values": dict(folded.on(day))}
