"""Writes on the tables beside the journal: no command, no fact, and idempotent all the same.

The answer is kept in the transaction that does what was asked, under the lock of the journal's
writers, so that the desk meets it like one of its own.
"""

from collections.abc import Callable

import orjson
from sqlalchemy import Connection, select

from api.call import Call
from api.contract import Fields
from ledger import store
from ledger.desk import Answer, Once
from ledger.units import Refused, recorded_text

Work = Callable[[Connection], tuple[int, Fields]]
"""Does what is asked, and words it: status and body. In a dry run all of it is undone."""


def write_beside(call: Call, work: Work) -> Answer:
    """The answer, kept before or worded now; for a thread."""
    journal, once = call.ledger.store, call.once
    with journal.writing() as connection:
        if once is not None and (kept := kept_answer(connection, once)) is not None:
            return kept
        savepoint = connection.begin_nested()
        status, body = work(connection)
        if call.dry_run:
            savepoint.rollback()
            body.pop("position", None)
            body["dry_run"] = True
            return Answer(status, orjson.dumps(body))
        savepoint.commit()
        answer = Answer(status, orjson.dumps(body))
        if once is not None:
            at = recorded_text(call.ledger.committer.clock())
            row = (once.scope, once.key, once.fingerprint, answer.status, answer.body, at)
            store.insert_many(connection, store.answers, [row])
    return answer


def kept_answer(connection: Connection, once: Once) -> Answer | None:
    """The answer kept for this very request; Refused where the key stands for another."""
    kept = store.answers.c
    query = select(kept.fingerprint, kept.status, kept.body).where(
        kept.scope == once.scope, kept.key == once.key
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if bytes(row.fingerprint) != once.fingerprint:
        raise Refused("idempotency_key_reused")
    return Answer(row.status, bytes(row.body), replayed=True)


def kept_before(call: Call) -> Answer | None:
    """What was kept, for a request whose rules take a while; for a thread."""
    if call.once is None:
        return None
    with call.ledger.store.reading() as connection:
        return kept_answer(connection, call.once)
