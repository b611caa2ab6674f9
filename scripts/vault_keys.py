"""`timebank key rotate-vault`: another key opens the vault, and the one before opens nothing."""

from pathlib import Path

import click

from scripts.door import opened_journal, settings
from scripts.printing import Exit, Stopped, Told, fields, note, progress, verb
from scripts.sayings import explained, said


@verb(
    click.option(
        "--to-key-file",
        type=click.Path(path_type=Path),
        help=explained(
            "密钥由环境给出时：写入新密钥的文件",
            "where the environment gives the key: the file for the next",
        ),
    )
)
def rotate(to_key_file: Path | None) -> Told:
    """Wrap everybody's key under a fresh vault key; run again, it finishes what was broken off."""
    from ledger.keys_file import (
        key_in_file,
        load_secrets,
        prepare_vault_key,
        settle_vault_key,
    )
    from ledger.opening import open_vault_engine, refuse_no_vault
    from ledger.vault import Vault, WrongVaultKey

    given = settings()
    if to_key_file is not None and given.vault_key is None:
        raise Stopped("key_is_in_the_file", Exit.USAGE, path=given.keys_file)
    with opened_journal(given):
        refuse_no_vault(given)
        before = load_secrets(given).vault_key
        following = key_in_file(to_key_file) if to_key_file else prepare_vault_key(given)
        engine = open_vault_engine(given)
        try:
            try:
                vault = Vault(engine, before)
            except WrongVaultKey:  # it was rotated, and what follows was broken off
                vault, people = Vault(engine, following), None
            else:
                with progress("rewrapping") as shown:
                    people = vault.rotate(following, shown.to)
            if to_key_file is None:
                settle_vault_key(given)
            swept = vault.sweep()
        finally:
            engine.dispose()
    if not swept:
        note(said("not_swept"))
    value = {
        "people": people,
        "done_before": people is None,
        "swept": swept,
        "key_file": str(to_key_file or given.keys_file),
    }
    where = "next_key_in" if to_key_file else "restart_servers"
    return Told(value, [fields(value), said(where, path=value["key_file"])])
