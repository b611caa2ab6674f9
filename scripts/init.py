"""`timebank init`: a ledger from nothing, with its secrets and a first administrator's key."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.door import now, place, settings
from scripts.printing import Exit, Stopped, Told, verb
from scripts.sayings import explained, said

if TYPE_CHECKING:
    from ledger.keys import NewKey
    from ledger.opening import Ledger

FIRST_ADMIN = "admin"


@verb(
    click.option(
        "--admin-key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help=explained("把管理员密钥写入此文件（权限 600）", "write the admin key here (mode 600)"),
    )
)
def init(admin_key_file: Path | None) -> Told:
    """Make keys file, stores and a first admin key; on a made ledger nothing is changed."""
    from ledger.opening import is_made, make_ledger, open_ledger
    from projections.signing import Signer
    from projections.views import Views

    given = settings()
    if is_made(given):
        raise Stopped("made_already", Exit.REFUSED, where=place(given))
    if admin_key_file is not None and admin_key_file.exists():
        raise Stopped("file_exists", Exit.REFUSED, path=admin_key_file)
    keys_file = make_secrets()
    make_ledger(given)
    with open_ledger(given) as ledger:
        views = Views(ledger.store, ledger.views_engine)
        views.prepare()
        signed = Signer(views, given, ledger.secrets).sign()  # the log has a name from now on
        made = make_first_key(ledger, admin_key_file)
    if admin_key_file is None:
        shown, lines = {"key": made.text}, [said("first_admin_key", key=made.text)]
    else:
        shown, lines = {"file": str(admin_key_file)}, [said("admin_key_in", path=admin_key_file)]
    value = {
        "database_url": place(given),
        "ledger": given.ledger,
        "keys_file": str(keys_file) if keys_file else None,
        "log_key": signed.key,
        "admin_key": {"id": made.key.id, **shown},
    }
    return Told(value, [*lines, said("log_key", key=signed.key)])


def make_secrets(**flags: object) -> Path | None:
    """The keys file, made unless a usable one is there; None where none is needed."""
    from ledger.keys_file import load_secrets, make_keys_file

    given = settings(**flags)
    try:
        return make_keys_file(given)
    except FileExistsError:
        load_secrets(given)  # of an earlier try, or put there on purpose: it must be usable
        return given.keys_file


def make_first_key(ledger: "Ledger", path: Path | None) -> "NewKey":
    """An administrator's key, written to a file of its owner's alone where one is named."""
    from ledger.keys import create_key, list_keys

    with ledger.store.writing() as connection:
        if list_keys(connection):  # another `init` was quicker
            raise Stopped("made_already", Exit.REFUSED, where=place(ledger.settings))
        made = create_key(connection, role="admin", actor=FIRST_ADMIN, at=now())
        if path is not None:
            write_secret(path, made.text)
    return made


def write_secret(path: Path, text: str) -> None:
    """A new file with one line, mode 600 from the first moment on; an existing one stays."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Stopped("file_exists", Exit.REFUSED, path=path) from None
    with os.fdopen(file, "w", encoding="ascii") as opened:
        opened.write(f"{text}\n")
        opened.flush()
        os.fsync(file)
