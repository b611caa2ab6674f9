"""`timebank key`: the API keys of posters, verifiers, members, auditors and administrators."""

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from scripts.door import (
    Day,
    ask,
    must_stand,
    now,
    opened,
    opened_journal,
    settings,
    stamp,
)
from scripts.printing import Exit, Stopped, Told, fields, table, verb
from scripts.sayings import explained, said

if TYPE_CHECKING:
    from ledger.keys import Key

ROLES = ("poster", "verifier", "member", "auditor", "admin")
COLUMNS = ("id", "role", "actor", "organisation", "member_id", "expires_on", "revoked_at", "works")


@verb(
    click.option("--role", required=True, type=click.Choice(ROLES)),
    click.option("--actor", required=True, help=explained("经办人姓名", "whose work it signs")),
    click.option("--org", help=explained("组织代码", "code of its organisation")),
    click.option(
        "--member", help=explained("成员编号", "id of the member, or of who is behind it")
    ),
    click.option("--expires", type=Day(), help=explained("最后有效日", "the last day it works")),
)
def create(
    role: str, actor: str, org: str | None, member: str | None, expires: date | None
) -> Told:
    """Make a key and show its text, this once."""
    from ledger.keys import create_key

    with opened_journal() as store, store.writing() as connection:
        if org is not None:
            must_stand(connection, f"organisation:{org}", "/org", org)
        if member is not None:
            must_stand(connection, f"member:{member}", "/member", member)
        try:
            made = create_key(
                connection,
                role=role,
                actor=actor,
                at=now(),
                organisation=org,
                member_id=member,
                expires_on=expires,
            )
        except ValueError as wrong:
            raise Stopped("bad_key", Exit.USAGE, reason=wrong) from None
    value = {"id": made.key.id, "key": made.text}
    return Told(value, [fields(_shown(made.key)), said("key_shown_once", key=made.text)])


@verb()
def list_all() -> Told:
    """All keys that ever were, without their text, which nobody has."""
    from ledger.keys import list_keys

    with opened_journal() as store, store.reading() as connection:
        shown = [_shown(key) for key in list_keys(connection)]
    return Told({"keys": shown}, [table(COLUMNS, shown)])


@verb(click.argument("id"))
def revoke(id: str) -> Told:
    """Make a key useless, within 50 ms wherever it is used."""
    from ledger.keys import revoke_key

    with opened_journal() as store, store.writing() as connection:
        revoked = revoke_key(connection, id, now())
    if revoked is None:
        raise Stopped("no_such_key", Exit.REFUSED, id=id)
    return Told(_shown(revoked))


@verb(
    click.option(
        "--lost",
        is_flag=True,
        help=explained(
            "原密钥已丢失或泄露，不再由它交接",
            "the key is lost, or in other hands: it does not hand over",
        ),
    )
)
def rotate_signing(lost: bool) -> Told:
    """Let a fresh key sign checkpoints; the log tells so, and the key before hands over to it."""
    from ledger.checkpoints import keys_in_turn
    from ledger.commands import RotateSigningKey
    from ledger.keys_file import load_secrets, replace_signing_key
    from ledger.notes import SigningKey
    from projections.signing import Signer
    from projections.views import Views

    given = settings()
    if lost:
        replace_signing_key(given)
    with opened(given) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        views.catch_up()
        if not lost:  # all up to here, with the key before
            Signer(views, given, ledger.secrets).sign()
        with ledger.store.reading() as connection:
            turns = keys_in_turn(connection)
        if not turns:
            raise Stopped("no_checkpoint", Exit.REFUSED)
        before = turns[-1][1]
        if SigningKey(before.name, load_secrets(given).signing_key).verifier == before:
            replace_signing_key(given)
        key = SigningKey(before.name, load_secrets(given).signing_key).verifier
        command = RotateSigningKey(**stamp(), key=str(key), replaces=str(before), lost=lost)
        position = ask(ledger, command).position
        views.catch_up()
        kept = Signer(views, given, load_secrets(given)).sign()
    value = {"key": str(key), "replaces": str(before), "position": position, "note": kept.note}
    return Told(value, [fields({name: value[name] for name in ("key", "replaces", "position")})])


def _shown(key: "Key") -> dict[str, Any]:
    return {
        "id": key.id,
        "role": key.role,
        "actor": key.actor,
        "organisation": key.organisation,
        "member_id": key.member_id,
        "expires_on": key.expires_on.isoformat() if key.expires_on else None,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "works": key.works_on(now().date()),
    }
