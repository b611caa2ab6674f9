"""The two secrets of a ledger, and the file they lie in: one signs, one opens the vault.

The file is JSON, `{"signing_key": "...", "vault_key": "..."}`, each 32 bytes in base64, readable by
its owner alone. `signing_key_before` stands beside them after a rotation: it signs the one
checkpoint that hands over to its successor. `vault_key_next` stands beside them while the vault is
brought under it: whichever of the two opens the vault is its key. What the settings give
(`TIMEBANK_SIGNING_KEY`, `TIMEBANK_VAULT_KEY`) goes before the file. Without the vault key nobody
can read who the members are, ever again; without the signing key new checkpoints need a new one.
None of the stores holds them: back the file up apart from them.
"""

import base64
import binascii
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import orjson
from pydantic import SecretStr

from ledger.settings import Settings

SECRET_BYTES = 32
SecretName = Literal["signing_key", "vault_key"]
_NAMES: tuple[SecretName, ...] = get_args(SecretName)
_BEFORE = "signing_key_before"
_NEXT = "vault_key_next"


class KeysUnusable(Exception):
    """A secret is missing or malformed, or its file is open to others; says what to do."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Both secrets, 32 bytes each."""

    signing_key: bytes = field(repr=False)  # the seed of an Ed25519 key (RFC 8032, section 5.1.5)
    vault_key: bytes = field(repr=False)
    signing_key_before: bytes | None = field(default=None, repr=False)
    vault_key_next: bytes | None = field(default=None, repr=False)


def load_secrets(settings: Settings) -> Secrets:
    """The secrets that the settings give, and from the keys file those that they do not."""
    given = _given(settings)
    missing = [name for name in _NAMES if name not in given]
    kept = _read(settings.keys_file, missing) if missing else {}
    return Secrets(
        **{name: given.get(name) or kept[name] for name in _NAMES},
        signing_key_before=None if "signing_key" in given else kept.get(_BEFORE),
        vault_key_next=None if "vault_key" in given else kept.get(_NEXT),
    )


def make_keys_file(settings: Settings) -> Path | None:
    """Write fresh secrets, except those that the settings give; None where they give both.

    The file comes into being whole or not at all, for its owner alone. FileExistsError where there
    is one: it is never overwritten.
    """
    given = _given(settings)
    fresh = {name: _fresh() for name in _NAMES if name not in given}
    if not fresh:
        return None
    path = settings.keys_file
    draft = _draft(path, fresh)
    try:
        os.link(draft, path)  # refuses a path that exists, which renaming would not
    finally:
        draft.unlink()
    _settle_folder(path)
    return path


def replace_signing_key(settings: Settings) -> None:
    """Put a fresh signing key into the keys file; the one there before stays beside it.

    KeysUnusable where the settings give the signing key, for then the file has no say.
    """
    if settings.signing_key is not None:
        raise KeysUnusable("TIMEBANK_SIGNING_KEY gives the signing key: put its successor there")
    path = settings.keys_file
    held = _held(path, [])
    if before := held.pop("signing_key", None):
        held[_BEFORE] = before
    held["signing_key"] = _fresh()
    _replace(path, held)


def prepare_vault_key(settings: Settings) -> bytes:
    """The successor of the vault key; it is in the keys file before anything is sealed under it.

    One that stands there already, of a rotation that was broken off, is the one. KeysUnusable
    where the settings give the vault key, for then the file has no say.
    """
    if settings.vault_key is not None:
        raise KeysUnusable("TIMEBANK_VAULT_KEY gives the vault key: --to-key-file takes the next")
    path = settings.keys_file
    held = _held(path, [])
    if _NEXT not in held:
        held[_NEXT] = _fresh()
        _replace(path, held)
    return _secret(held[_NEXT], f"{_NEXT} in {path}")


def settle_vault_key(settings: Settings) -> None:
    """The vault opens under the successor alone: it is the vault key now, the one before goes."""
    path = settings.keys_file
    held = _held(path, [])
    if following := held.pop(_NEXT, None):
        held["vault_key"] = following
        _replace(path, held)


def key_in_file(path: Path) -> bytes:
    """The one key that a file of its own holds in base64, for its owner alone; made if need be."""
    if not path.exists():
        draft = _draft_bytes(path, _fresh().encode() + b"\n")
        try:
            os.link(draft, path)
        finally:
            draft.unlink()
        _settle_folder(path)
    _refuse_open_to_others(path)
    return _secret(path.read_text(encoding="ascii", errors="replace").strip(), str(path))


def _fresh() -> str:
    return _text(secrets.token_bytes(SECRET_BYTES))


def _replace(path: Path, held: Mapping[Any, Any]) -> None:
    _draft(path, held).replace(path)
    _settle_folder(path)


def _draft(path: Path, held: Mapping[Any, Any]) -> Path:
    """A file beside `path`, for its owner alone, with this on the disk."""
    indented = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return _draft_bytes(path, orjson.dumps(held, option=indented))


def _draft_bytes(path: Path, content: bytes) -> Path:
    written, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
    with os.fdopen(written, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(draft)


def _settle_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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


def _read(path: Path, names: list[SecretName]) -> dict[str, bytes]:
    held = _held(path, names)
    if absent := [name for name in names if name not in held]:
        raise KeysUnusable(f"{path} has no {' and no '.join(absent)}")
    there = [name for name in (*names, _BEFORE, _NEXT) if name in held]
    return {name: _secret(held[name], f"{name} in {path}") for name in there}


def _held(path: Path, names: list[SecretName]) -> dict[str, Any]:
    """What the file holds; the names are those that it is read for."""
    try:
        _refuse_open_to_others(path)
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
    return held


def _refuse_open_to_others(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    # A credential that systemd hands over stands in the service's own folder, and lets its user in
    # by an ACL, whose mask stands in the place of the group's bits.
    by_manager = os.environ.get("CREDENTIALS_DIRECTORY") == str(path.parent)
    if mode & (0o007 if by_manager else 0o077):
        raise KeysUnusable(f"{path} is open to others (mode {mode:o}): chmod 600 {path}")


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
