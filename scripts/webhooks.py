"""`timebank webhook`: where events are delivered to, and who is served from where on."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from scripts.door import opened_journal
from scripts.printing import Exit, Stopped, Told, table, verb
from scripts.sayings import explained

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ledger.webhooks import Webhook

COLUMNS = (
    *("id", "organisation", "url", "types", "status", "position", "behind", "attempts"),
    *("failing_since", "next_attempt_at", "dead_letters"),
)
ID = click.argument("id")


@verb(click.option("--org", help=explained("组织代码", "code of an organisation")))
def list_all(org: str | None) -> Told:
    """All webhooks, where each stands, and how far that is from the last entry."""
    from api.webhooks import shown
    from ledger import webhooks
    from ledger.store import last_position

    with opened_journal() as store, store.reading() as connection:
        last = last_position(connection)
        found = webhooks.listing(connection, org)
        letters = webhooks.count_dead_letters(connection, [hook.id for hook in found])
    rows = [
        shown(hook) | {"behind": last - hook.position, "dead_letters": letters.get(hook.id, 0)}
        for hook in found
    ]
    return Told({"webhooks": rows}, [table(COLUMNS, rows)])


@verb(ID)
def pause(id: str) -> Told:
    """Deliver nothing more to one until it is resumed."""
    from ledger.webhooks import set_status

    return _changed(id, lambda connection: set_status(connection, id, "paused"))


@verb(ID)
def resume(id: str) -> Told:
    """Deliver from where one stands, at once; one that was disabled too."""
    from ledger.webhooks import set_status

    return _changed(id, lambda connection: set_status(connection, id, "active"))


@verb(
    ID,
    click.option(
        "--position",
        required=True,
        type=click.IntRange(min=0),
        help=explained("此位置之后的事件", "what follows it is delivered"),
    ),
)
def replay(id: str, position: int) -> Told:
    """Deliver again what follows a position."""
    from ledger import webhooks
    from ledger.store import last_position

    def change(connection: "Connection") -> "Webhook | None":
        last = last_position(connection)
        if position > last:
            raise Stopped("beyond_the_last", Exit.USAGE, name="--position", last=last)
        return webhooks.replay(connection, id, position)

    return _changed(id, change)


def _changed(id: str, change: Callable[["Connection"], "Webhook | None"]) -> Told:
    from api.webhooks import shown

    with opened_journal() as store, store.writing() as connection:
        changed = change(connection)
    if changed is None:
        raise Stopped("no_such_webhook", Exit.REFUSED, id=id)
    return Told(shown(changed))
