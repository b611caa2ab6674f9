"""The rows of webhooks: where each stands, what was tried last, and what was given up on.

They are ordinary tables beside the journal, as the keys are: what an operator has set, no fact. A
webhook's position moves by comparison alone: whoever says that something was delivered says where
the webhook stood before, and is not heard where somebody has moved it meanwhile.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from ledger import databases
from ledger.store import Store, webhook_attempts, webhook_dead_letters, webhooks
from ledger.units import Refused, epoch_micros, instant, recorded_text

Status = Literal["active", "paused", "disabled"]

WEBHOOKS_MAX = 20  # of an organisation, and of the administrators
ATTEMPTS_KEPT = 100  # of each webhook, the newest
ASKED_AGAIN = 0  # attempts of a dead letter that is to be tried once more


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a webhook stands."""

    id: str
    organisation: str | None  # whose entries are told; None: all
    url: str
    types: tuple[str, ...] | None  # of entries; None: all
    status: Status
    position: int  # told, or a dead letter, up to here
    attempts: int  # of what comes next, so far in vain
    failing_since: str | None
    next_attempt_at: str | None
    created_at: str
    created_by: str  # a key

    @property
    def cursor(self) -> int:
        """Where it stands among others: no two were made in one microsecond."""
        return epoch_micros(instant(self.created_at))


class Attempt(NamedTuple):
    """One request to a receiver."""

    position: int
    at: datetime
    status: int | None  # that was answered, if anything was
    reason: str | None  # why it failed; None: it did not
    milliseconds: int


class DeadLetter(NamedTuple):
    """What was given up on."""

    position: int
    at: str
    attempts: int  # ASKED_AGAIN: it is to be tried once more
    reason: str


@contextmanager
def changing(journal: Store) -> Iterator[Connection]:
    """A transaction on these rows alone.

    On PostgreSQL it does not stand in the line of those who write entries; on SQLite all do.
    NotReplicated as `Store.writing` raises it.
    """
    if journal.is_sqlite:
        with journal.writing() as db:
            yield db
    else:
        with databases.changing(journal.engine) as db:
            yield db


# --- what operators do ---------------------------------------------------------------------------


def create(
    db: Connection,
    *,
    id: str,
    organisation: str | None,
    url: str,
    types: Sequence[str] | None,
    position: int,
    at: datetime,
    created_by: str,
) -> Webhook:
    """Keep a fresh one, `active`; within `Store.writing`. Refused (`too_many_webhooks`)."""
    count = select(func.count()).where(_of(organisation))
    if db.execute(count.select_from(webhooks)).scalar_one() >= WEBHOOKS_MAX:
        raise Refused("too_many_webhooks", count=WEBHOOKS_MAX)
    last = db.execute(select(func.max(webhooks.c.created_at))).scalar()
    if last is not None:
        at = max(at, instant(last) + timedelta(microseconds=1))
    made = {
        "id": id,
        "organisation": organisation,
        "url": url,
        "types": None if types is None else ",".join(types),
        "status": "active",
        "position": position,
        "attempts": 0,
        "created_at": recorded_text(at),
        "created_by": created_by,
    }
    db.execute(insert(webhooks).values(made))
    found = find(db, id)
    assert found is not None  # noqa: S101  (made one line above)
    return found


def find(db: Connection, webhook_id: str) -> Webhook | None:
    """The webhook of this id."""
    row = db.execute(select(webhooks).where(webhooks.c.id == webhook_id)).one_or_none()
    return _webhook(row) if row else None


def listing(
    db: Connection, organisation: str | None, after: int = 0, limit: int | None = None
) -> list[Webhook]:
    """Those of an organisation, or all, oldest first."""
    query = select(webhooks).order_by(webhooks.c.created_at)
    if organisation is not None:
        query = query.where(webhooks.c.organisation == organisation)
    found = [hook for hook in map(_webhook, db.execute(query)) if hook.cursor > after]
    return found[:limit]


def set_status(db: Connection, webhook_id: str, status: Status) -> Webhook | None:
    """Let it be so from now on; what failed before is forgotten, so `active` tries at once."""
    return _changed(db, webhook_id, {"status": status, **_FRESH})


def replay(db: Connection, webhook_id: str, position: int) -> Webhook | None:
    """Tell everything behind a position anew, what was given up on behind it too."""
    again = and_(
        webhook_dead_letters.c.webhook_id == webhook_id, webhook_dead_letters.c.position > position
    )
    db.execute(delete(webhook_dead_letters).where(again))
    return _changed(db, webhook_id, {"position": position, **_FRESH})


def remove(db: Connection, webhook_id: str) -> bool:
    """Forget it, with its attempts and dead letters; False where there is none."""
    for table in (webhook_attempts, webhook_dead_letters):
        db.execute(delete(table).where(table.c.webhook_id == webhook_id))
    return bool(db.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount)


def count_failing(db: Connection) -> int:
    """How many are disabled, or have something that was not taken when it was sent last."""
    waits = and_(webhooks.c.status == "active", webhooks.c.attempts > 0)
    count = select(func.count()).where(or_(webhooks.c.status == "disabled", waits))
    return int(db.execute(count.select_from(webhooks)).scalar_one())


# --- what becomes of deliveries ------------------------------------------------------------------


def active_ids(db: Connection) -> list[str]:
    """Whose entries are to be delivered now."""
    return list(db.scalars(select(webhooks.c.id).where(webhooks.c.status == "active")))


def delivered(db: Connection, hook: Webhook, attempt: Attempt) -> Webhook | None:
    """The receiver has it: the webhook as it stands now; None where somebody moved it meanwhile."""
    _note(db, hook.id, attempt)
    return _moved(db, hook, {"position": attempt.position, **_FRESH})


def failed(
    db: Connection, hook: Webhook, attempt: Attempt, next_attempt_at: datetime
) -> Webhook | None:
    """The receiver has it not, and is asked again at an instant."""
    _note(db, hook.id, attempt)
    return _moved(
        db,
        hook,
        {
            "attempts": hook.attempts + 1,
            "failing_since": hook.failing_since or recorded_text(attempt.at),
            "next_attempt_at": recorded_text(next_attempt_at),
        },
    )


def given_up(
    db: Connection, hook: Webhook, attempt: Attempt, letter: DeadLetter, later: Attempt
) -> Webhook | None:
    """One is a dead letter: the last attempt was in vain, and what comes behind it was taken."""
    _note(db, hook.id, attempt)
    moved = delivered(db, hook, later)
    if moved is not None:
        row = {"webhook_id": hook.id, **letter._asdict()}
        db.execute(insert(webhook_dead_letters).values(row))
    return moved


def disable(db: Connection, hook: Webhook, attempt: Attempt | None) -> Webhook | None:
    """Deliver nothing more until somebody says so; the position stays, and nothing is lost."""
    if attempt is not None:
        _note(db, hook.id, attempt)
    values = {"status": "disabled", "next_attempt_at": None}
    return _moved(db, hook, values, webhooks.c.status == "active")


def skipped(db: Connection, hook: Webhook, position: int) -> Webhook | None:
    """There is nothing for it up to here."""
    return _moved(db, hook, {"position": position})


# --- dead letters --------------------------------------------------------------------------------


def dead_letters(
    db: Connection, webhook_id: str, after: int = 0, limit: int | None = None
) -> list[DeadLetter]:
    """What was given up on, in order of position."""
    letters = webhook_dead_letters.c
    query = select(letters.position, letters.at, letters.attempts, letters.reason).where(
        letters.webhook_id == webhook_id, letters.position > after
    )
    return [DeadLetter(*row) for row in db.execute(query.order_by(letters.position).limit(limit))]


def count_dead_letters(db: Connection, webhook_ids: Sequence[str]) -> dict[str, int]:
    """How many each webhook has; those that have none are left out."""
    letters = webhook_dead_letters.c
    query = select(letters.webhook_id, func.count()).where(letters.webhook_id.in_(webhook_ids))
    return {id: count for id, count in db.execute(query.group_by(letters.webhook_id))}


def ask_again(db: Connection, webhook_id: str, position: int) -> bool:
    """Have a dead letter tried once more; False where there is none."""
    return _change_letter(db, webhook_id, position, {"attempts": ASKED_AGAIN})


def asked_again(db: Connection, webhook_id: str) -> list[int]:
    """The positions of dead letters that are to be tried once more."""
    letters = webhook_dead_letters.c
    query = select(letters.position).where(
        letters.webhook_id == webhook_id, letters.attempts == ASKED_AGAIN
    )
    return list(db.scalars(query.order_by(letters.position)))


def letter_tried(db: Connection, webhook_id: str, attempt: Attempt) -> None:
    """A dead letter was tried once more: it is gone, or is one still."""
    _note(db, webhook_id, attempt)
    if attempt.reason is None:
        db.execute(delete(webhook_dead_letters).where(_letter(webhook_id, attempt.position)))
    else:
        still = {"attempts": 1, "at": recorded_text(attempt.at), "reason": attempt.reason}
        _change_letter(db, webhook_id, attempt.position, still)


def _change_letter(db: Connection, webhook_id: str, position: int, values: dict[str, Any]) -> bool:
    changed = update(webhook_dead_letters).where(_letter(webhook_id, position)).values(values)
    return bool(db.execute(changed).rowcount)


def _letter(webhook_id: str, position: int) -> ColumnElement[bool]:
    letters = webhook_dead_letters.c
    return and_(letters.webhook_id == webhook_id, letters.position == position)


# --- attempts ------------------------------------------------------------------------------------


def attempts_of(
    db: Connection, webhook_id: str, after: int = 0, limit: int | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """Those that are kept, oldest first, each with its cursor."""
    kept = webhook_attempts.c
    query = select(
        kept.id, kept.position, kept.at, kept.status, kept.reason, kept.milliseconds
    ).where(kept.webhook_id == webhook_id, kept.id > _attempt_id(after))
    rows = db.execute(query.order_by(kept.id).limit(limit))
    return [
        (
            int(id),
            {"position": position, "at": at, "status": status, "reason": why, "milliseconds": ms},
        )
        for id, position, at, status, why, ms in rows
    ]


def last_attempts(db: Connection, webhook_id: str, limit: int) -> list[dict[str, Any]]:
    """The newest, oldest of them first."""
    return [shown for _, shown in attempts_of(db, webhook_id)[-limit:]]


def prune_attempts(db: Connection, webhook_id: str) -> None:
    """Keep the newest ATTEMPTS_KEPT."""
    kept = webhook_attempts.c
    newest = select(kept.id).where(kept.webhook_id == webhook_id).order_by(kept.id.desc())
    oldest = newest.offset(ATTEMPTS_KEPT).limit(1).scalar_subquery()
    db.execute(delete(webhook_attempts).where(kept.webhook_id == webhook_id, kept.id <= oldest))


def _note(db: Connection, webhook_id: str, attempt: Attempt) -> None:
    row = attempt._asdict() | {"at": recorded_text(attempt.at)}
    number = time.time_ns() // 1_000 * 64 + secrets.randbelow(64)  # two webhooks in a microsecond
    row["id"] = _attempt_id(number)
    db.execute(insert(webhook_attempts).values(webhook_id=webhook_id, **row))


def _attempt_id(number: int) -> str:
    """Digits enough that order of text is order of time."""
    return f"{number:018d}"


# --- rows ----------------------------------------------------------------------------------------

_FRESH = {"attempts": 0, "failing_since": None, "next_attempt_at": None}


def _changed(db: Connection, webhook_id: str, values: dict[str, Any]) -> Webhook | None:
    db.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(values))
    return find(db, webhook_id)


def _moved(
    db: Connection, hook: Webhook, values: dict[str, Any], *also: ColumnElement[bool]
) -> Webhook | None:
    """The same where it stands still where it stood; else None."""
    stands = and_(webhooks.c.id == hook.id, webhooks.c.position == hook.position, *also)
    if not db.execute(update(webhooks).where(stands).values(values)).rowcount:
        return None
    return find(db, hook.id)


def _of(organisation: str | None) -> ColumnElement[bool]:
    if organisation is None:
        return webhooks.c.organisation.is_(None)
    return webhooks.c.organisation == organisation


def _webhook(row: Row[Any]) -> Webhook:
    values = dict(row._mapping)
    types = values.pop("types")
    return Webhook(**values, types=None if types is None else tuple(types.split(",")))
