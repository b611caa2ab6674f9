"""`timebank key`: the API keys of posters, verifiers, members, auditors and administrators."""

from datetime import date, timedelta
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
COLUMNS = (
    "id",
    "role",
    "actor",
    "organisation",
    "member_id",
    "subject",
    "expires_on",
    "last_used_at",
    "replaces",
    "revoked_at",
    "works",
)
EXPIRES = click.option(
    "--expires", type=Day(), help=explained("最后有效日", "the last day it works")
)


@verb(
    click.option("--role", required=True, type=click.Choice(ROLES)),
    click.option("--actor", required=True, help=explained("经办人姓名", "whose work it signs")),
    click.option("--org", help=explained("组织代码", "code of its organisation")),
    click.option(
        "--member", help=explained("成员编号", "id of the member, or of who is behind it")
    ),
    EXPIRES,
    click.option(
        "--subject",
        help=explained("OIDC 令牌的 sub，不生成密钥文本", "sub of OIDC tokens, instead of a key"),
    ),
    click.option(
        "--issuer",
        help=explained("令牌签发方，默认 oidc_issuer", "their issuer; default: oidc_issuer"),
    ),
)
def create(
    role: str,
    actor: str,
    org: str | None,
    member: str | None,
    expires: date | None,
    subject: str | None,
    issuer: str | None,
) -> Told:
    """Make a key and show its text, this once; or let an issuer's tokens speak for a role."""
    from ledger.keys import SubjectTaken, create_key, register_subject

    given = settings()
    issuer = issuer or given.oidc_issuer
    if subject is not None and issuer is None:
        raise Stopped("no_issuer", Exit.USAGE)
    with opened_journal(given) as store, store.writing() as connection:
        if org is not None:
            must_stand(connection, f"organisation:{org}", "/org", org)
        if member is not None:
            must_stand(connection, f"member:{member}", "/member", member)
        wanted: dict[str, Any] = {
            "role": role,
            "actor": actor,
            "at": now(),
            "organisation": org,
            "member_id": member,
            "expires_on": expires,
        }
        try:
            if subject is not None and issuer is not None:
                key = register_subject(connection, issuer=issuer, subject=subject, **wanted)
                value = {"id": key.id, "issuer": issuer, "subject": subject}
                return Told(value, [fields(_shown(key))])
            made = create_key(connection, **wanted)
        except ValueError as wrong:
            raise Stopped("bad_key", Exit.USAGE, reason=wrong) from None
        except SubjectTaken as taken:
            raise Stopped("subject_taken", Exit.REFUSED, id=taken.by) from None
    value = {"id": made.key.id, "key": made.text}
    return Told(value, [fields(_shown(made.key)), said("key_shown_once", key=made.text)])


@verb(
    click.option(
        "--unused-days",
        type=click.IntRange(min=1),
        help=explained("仅列出这么多天未用的有效密钥", "those that work and were not used so long"),
    ),
    click.option(
        "--expiring-days",
        type=click.IntRange(min=0),
        help=explained("仅列出这么多天内到期的密钥", "those whose last day comes within so many"),
    ),
)
def list_all(unused_days: int | None, expiring_days: int | None) -> Told:
    """All keys that ever were, without their text, which nobody has."""
    from ledger.keys import list_keys
    from ledger.units import instant

    at = now()
    with opened_journal() as store, store.reading() as connection:
        listed = list_keys(connection)
    if unused_days is not None:
        before = at - timedelta(unused_days)
        listed = [
            key
            for key in listed
            if key.works_on(at.date()) and instant(key.last_used_at or key.created_at) < before
        ]
    if expiring_days is not None:
        until = at.date() + timedelta(expiring_days)
        listed = [
            key
            for key in listed
            if key.works_on(at.date()) and key.expires_on is not None and key.expires_on <= until
        ]
    shown = [_shown(key) for key in listed]
    return Told({"keys": shown}, [table(COLUMNS, shown)])


@verb(
    click.argument("id"),
    click.option(
        "--overlap-days",
        type=click.IntRange(0, 366),
        default=7,
        show_default=True,
        help=explained(
            "原密钥还可用的天数，0 为立即失效", "how long the old one works, 0: no more"
        ),
    ),
    EXPIRES,
)
def rotate(id: str, overlap_days: int, expires: date | None) -> Told:
    """Make a key that follows another in all it may, and end the old one after a while."""
    from ledger.keys import NotRotated, find_key, rotate_key

    with opened_journal() as store, store.writing() as connection:
        old = find_key(connection, id)
        if old is None:
            raise Stopped("no_such_key", Exit.REFUSED, id=id)
        try:
            made = rotate_key(
                connection, old, at=now(), overlap_days=overlap_days, expires_on=expires
            )
        except NotRotated as no:
            raise Stopped(NOT_ROTATED[no.why], Exit.REFUSED, id=id, by=no.by) from None
        old = find_key(connection, id) or old
    value = {
        "id": made.key.id,
        "key": made.text,
        "replaces": id,
        "expires_on": made.key.expires_on.isoformat() if made.key.expires_on else None,
        "old_works_until": old.expires_on.isoformat()
        if old.expires_on and old.revoked_at is None
        else None,
    }
    ends = value["old_works_until"]
    return Told(
        value,
        [
            fields(_shown(made.key)),
            said("old_key_until", id=id, day=ends) if ends else said("old_key_ended", id=id),
            said("key_shown_once", key=made.text),
        ],
    )


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


NOT_ROTATED = {
    "ended": "key_ended",
    "token": "key_of_tokens",
    "replaced": "key_replaced",
}
"""Why nothing can follow a key, and what is said of it."""


def _shown(key: "Key") -> dict[str, Any]:
    return {
        "id": key.id,
        "role": key.role,
        "actor": key.actor,
        "organisation": key.organisation,
        "member_id": key.member_id,
        "issuer": key.issuer,
        "subject": key.subject,
        "expires_on": key.expires_on.isoformat() if key.expires_on else None,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "replaces": key.replaces,
        "revoked_at": key.revoked_at,
        "works": key.works_on(now().date()),
    }
