"""What auditors have looked at: an append-only log beside the journal, never in it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select

from ledger import store

PATH_MAX = 2_000


class Read(NamedTuple):
    """One request of an auditor; its path and query hold ids and dates, no personal data."""

    at: str
    key_id: str
    path: str
    request_id: str


def write_reads(journal: store.Store, reads: Sequence[Read]) -> None:
    """Append them, durably."""
    with journal.writing() as connection:
        last = connection.execute(select(func.max(store.audit_reads.c.id))).scalar() or 0
        rows = [
            (id, read.at, read.key_id, read.path[:PATH_MAX], read.request_id)
            for id, read in enumerate(reads, last + 1)
        ]
        store.insert_many(connection, store.audit_reads, rows)


def reads_after(journal: store.Store, after: int, limit: int) -> list[dict[str, Any]]:
    """The next of them, oldest first."""
    kept = store.audit_reads
    query = select(kept).where(kept.c.id > after).order_by(kept.c.id).limit(limit)
    with journal.reading() as connection:
        rows = connection.execute(query).all()
    return [{"id": id, **Read(*read)._asdict()} for id, *read in rows]
