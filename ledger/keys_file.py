"""The two secrets of a ledger, and the file they lie in: one signs, one opens the vault.

The file is JSON, `{"signing_key": "...", "vault_key": "..."}`, each 32 bytes in base64, readable by
its owner alone. What the settings give (`TIMEBANK_SIGNING_KEY`, `TIMEBANK_VAULT_KEY`) goes before
the file. Without the vault key nobody can read who the members are, ever again; without the signing
key new checkpoints need a new one. None of the stores holds them: back the file up apart from them.
"""

import base64
import binascii
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import orjson
from pydantic import SecretStr

from ledger.settings import Settings

SECRET_BYTES = 32
SecretName = Literal["signing_key", "vault_key"]
_NAMES: tuple[SecretName, ...] = get_args(SecretName)


class KeysUnusable(Exception):
    """A secret is missing or malformed, or its file is open to others; says what to do."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Both secrets, 32 bytes each."""

    signing_key: bytes = field(repr=False)  # the seed of an Ed25519 key (RFC 8032, section 5.1.5)
    vault_key: bytes = field(repr=False)


def load_secrets(settings: Settings) -> Secrets:
    """The secrets that the settings give, and from the keys file those that they do not."""
    given = _given(settings)
    missing = [name for name in _NAMES if name not in given]
    kept = _read(settings.keys_file, missing) if missing else {}
    return Secrets(**{name: given.get(name) or kept[name] for name in _NAMES})


def make_keys_file(settings: Settings) -> Path | None:
    """Write fresh secrets, except those that the settings give; None where they give both.

    The file comes into being whole or not at all, for its owner alone. FileExistsError where there
    is one: it is never overwritten.
    """
    given = _given(settings)
    fresh = {name: _text(secrets.token_bytes(SECRET_BYTES)) for name in _NAMES if name not in given}
    if not fresh:
        return None
    path = settings.keys_file
    written, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
    try:
        with os.fdopen(written, "wb") as file:
            file.write(orjson.dumps(fresh, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # refuses a path that exists, which renaming would not
    finally:
        Path(draft).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def _given(settings: Settings) -> dict[SecretName, bytes]:
    asked: dict[SecretName, SecretStr | None] = {
        "signing_key": settings.signing_key,
        "vault_key": settings.vault_key,
    }
    return {
        name: _secret(value.get_secret_value(), f"TIMEBANK_{name.upper()}")
        for name, value in asked.items()
        if value is not None
    }


def _read(path: Path, names: list[SecretName]) -> dict[SecretName, bytes]:
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeysUnusable(f"{path} is open to others (mode {mode:o}): chmod 600 {path}")
        held = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        wanted = " and ".join(f"TIMEBANK_{name.upper()}" for name in names)
        raise KeysUnusable(
            f"there is no keys file {path}: `timebank init` makes one, "
            f"TIMEBANK_KEYS_FILE names another, {wanted} can stand in for it"
        ) from None
    except orjson.JSONDecodeError:
        raise KeysUnusable(f"{path} is not JSON") from None
    if not isinstance(held, dict):
        raise KeysUnusable(f"{path} is no JSON object")
    if absent := [name for name in names if name not in held]:
        raise KeysUnusable(f"{path} has no {' and no '.join(absent)}")
    return {name: _secret(held[name], f"{name} in {path}") for name in names}


def _secret(text: object, where: str) -> bytes:
    """The 32 bytes; what is wrong is said without a character of the secret."""
    try:
        secret = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise KeysUnusable(f"{where} is not {SECRET_BYTES} bytes in base64")
    return secret


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()
