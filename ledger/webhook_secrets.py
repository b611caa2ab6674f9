"""The secrets that webhooks are signed with: sealed in the vault, told once, opened to sign."""

import secrets
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from ledger.sealing import Sealing
from ledger.units import recorded_text
from ledger.vault_rows import webhook_secrets

SECRET_BYTES = 32  # Standard Webhooks has them between 24 and 64


def new_secret(db: Connection, sealing: Sealing, webhook_id: str) -> bytes:
    """A fresh one, from the system's randomness, for a webhook that has none."""
    secret = secrets.token_bytes(SECRET_BYTES)
    sealed = sealing.seal_secret(webhook_id, secret)
    db.execute(insert(webhook_secrets).values(webhook_id=webhook_id, sealed=sealed))
    return secret


def replace_secret(db: Connection, sealing: Sealing, webhook_id: str, until: datetime) -> bytes:
    """A fresh one in the place of the one before, which signs beside it until an instant.

    KeyError where the webhook has none.
    """
    secret = secrets.token_bytes(SECRET_BYTES)
    mine = webhook_secrets.c.webhook_id == webhook_id
    replaced = (
        update(webhook_secrets)
        .where(mine)
        .values(
            previous=webhook_secrets.c.sealed,
            previous_until=recorded_text(until),
            sealed=sealing.seal_secret(webhook_id, secret),
        )
    )
    if not db.execute(replaced).rowcount:
        raise KeyError(webhook_id)
    return secret


def open_secrets(db: Connection, sealing: Sealing, webhook_id: str, at: datetime) -> list[bytes]:
    """Those that sign at an instant, the newest first; none where it has none."""
    row = db.execute(
        select(webhook_secrets).where(webhook_secrets.c.webhook_id == webhook_id)
    ).one_or_none()
    if row is None:
        return []
    sealed = [row.sealed]
    if row.previous is not None and recorded_text(at) < row.previous_until:
        sealed.append(row.previous)
    return [sealing.open_secret(webhook_id, each) for each in sealed]


def drop_secrets(db: Connection, webhook_id: str) -> None:
    """Sign nothing more for a webhook."""
    db.execute(delete(webhook_secrets).where(webhook_secrets.c.webhook_id == webhook_id))


def webhook_ids(db: Connection) -> list[str]:
    """Whose secrets are held, in the order in which the webhooks were made."""
    return list(
        db.scalars(select(webhook_secrets.c.webhook_id).order_by(webhook_secrets.c.webhook_id))
    )


def reseal_all(db: Connection, before: Sealing, following: Sealing) -> None:
    """Have the following vault key open what the one before opened."""
    for row in db.execute(select(webhook_secrets)).all():
        again = {
            name: following.seal_secret(row.webhook_id, before.open_secret(row.webhook_id, sealed))
            for name, sealed in (("sealed", row.sealed), ("previous", row.previous))
            if sealed is not None
        }
        mine = webhook_secrets.c.webhook_id == row.webhook_id
        db.execute(update(webhook_secrets).where(mine).values(again))
