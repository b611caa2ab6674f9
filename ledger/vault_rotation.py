"""Another vault key: everybody's key is wrapped anew, every look-up digested, every secret sealed.

What was sealed under a person's own key stays as it is, so the work is little and the same for
everybody; a page of people at a time, it needs the memory of one page.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ledger.sealing import Sealing
from ledger.vault_rows import (
    document_lookups,
    lookup_row,
    lookups,
    open_many,
    people,
    person_of,
    ref_lookup,
    refs_of,
)
from ledger.webhook_secrets import reseal_all

PEOPLE_AT_ONCE = 500

_WRAP = (
    update(people).where(people.c.member_id == bindparam("id")).values(wrapped_key=bindparam("key"))
)


def rewrap_all(
    db: Connection, before: Sealing, following: Sealing, heard: Callable[[int], None]
) -> int:
    """Have the following key open what the one before opened; how many people there are.

    It is for the caller to commit, and to change `key_check` with it.
    """
    done, after = 0, ""
    held = select(people.c.member_id, people.c.wrapped_key).where(people.c.wrapped_key.is_not(None))
    held = held.order_by(people.c.member_id).limit(PEOPLE_AT_ONCE)
    while page := db.execute(held.where(people.c.member_id > after)).all():
        after = page[-1].member_id
        _rewrap(db, before, following, page)
        done += len(page)
        heard(done)
    reseal_all(db, before, following)
    return done


def _rewrap(db: Connection, before: Sealing, following: Sealing, page: Sequence[Any]) -> None:
    ids = [row.member_id for row in page]
    keys = {row.member_id: before.unwrap(row.member_id, row.wrapped_key) for row in page}
    rows = []
    for id, held in open_many(db, keys).items():
        found = document_lookups(following, person_of(held).normalised())
        for organisation, refs in refs_of(held).items():
            found += [ref_lookup(following, organisation, ref) for ref in refs]
        rows += [lookup_row(id, lookup) for lookup in found]
    wrapped = [
        {"id": row.member_id, "key": before.rewrap(row.member_id, row.wrapped_key, following)}
        for row in page
    ]
    db.execute(_WRAP, wrapped)
    db.execute(delete(lookups).where(lookups.c.member_id.in_(ids)))
    if rows:
        db.execute(insert(lookups), rows)
