"""Checkpoints as signed notes: their text, keys, signatures and cosignatures (C2SP).

- signed-note: text, an empty line, and lines `\N{EM DASH} <name> <base64(key id || signature)>`.
- tlog-checkpoint: the text is `<origin>`, `<size>`, `<base64 of the root>`, a line each.
- tlog-cosignature: a witness signs the time and the text; its key is of another type.

A key is told as a verifier key, `<name>+<key id>+<base64(type || public key)>`, the key id being
the first four bytes of SHA-256(name || LF || type || public key), in hex.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NOTE_BYTES_MAX = 64 * 1024
KEY_ID_BYTES = 4
_SIGNS, _COSIGNS = 0x01, 0x04  # Ed25519; Ed25519 with a time
_DASH = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


class NotANote(ValueError):
    """These bytes are no checkpoint in a signed note, or no verifier key."""


class VerifierKey(msgspec.Struct, frozen=True, dict=True):
    """A public Ed25519 key under its name: of a log, or of a witness that cosigns."""

    name: str
    public: bytes  # 32 bytes (RFC 8032)
    cosigns: bool = False

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key that a text tells; NotANote where it is none, or its id is another key's."""
        try:
            name, key_id, encoded = text.strip().split("+", 2)  # base64 may have more of them
            kind, public = (key := base64.b64decode(encoded, validate=True))[0], key[1:]
        except (ValueError, IndexError, binascii.Error):
            raise NotANote("a verifier key is <name>+<key id>+<base64>") from None
        if not _NAME.fullmatch(name) or kind not in (_SIGNS, _COSIGNS) or len(public) != 32:
            raise NotANote("this is no Ed25519 verifier key")
        found = cls(name, public, kind == _COSIGNS)
        if found.key_id.hex() != key_id:
            raise NotANote("the key's id is not the key's")
        return found

    @cached_property
    def key_id(self) -> bytes:
        """Which of its name's keys it is."""
        said = self.name.encode() + b"\n" + self._typed
        return hashlib.sha256(said).digest()[:KEY_ID_BYTES]

    @property
    def _typed(self) -> bytes:
        return bytes([_COSIGNS if self.cosigns else _SIGNS]) + self.public

    @cached_property
    def _public(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._typed).decode()}"

    def signed(self, note: "Note") -> bool:
        """Does the note bear a signature of this key, and is every one of them good?"""
        mine = [line for line in note.signatures if (line.name, line.key_id) == self._who]
        return bool(mine) and all(self._is_good(note.text, line.signature) for line in mine)

    @property
    def _who(self) -> tuple[str, bytes]:
        return self.name, self.key_id

    def _is_good(self, text: str, signature: bytes) -> bool:
        said = text.encode()
        if self.cosigns:
            said = _cosigned(int.from_bytes(signature[:8]), text)
            signature = signature[8:]
        try:
            self._public.verify(signature, said)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private Ed25519 key under its name."""

    def __init__(self, name: str, seed: bytes, *, cosigns: bool = False) -> None:
        if not _NAME.fullmatch(name):
            raise NotANote("a key's name has 1 to 200 characters, no space and no plus sign")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw(), cosigns)

    def sign(self, text: str, at: int = 0) -> "Signature":
        """The signature line for a text; a witness's says at which second since 1970."""
        if self.verifier.cosigns:
            signature = at.to_bytes(8) + self._private.sign(_cosigned(at, text))
        else:
            signature = self._private.sign(text.encode())
        return Signature(self.verifier.name, self.verifier.key_id, signature)

    def sign_bytes(self, said: bytes) -> bytes:
        """A bare signature, for formats other than a note; never let `said` be a note's text."""
        return self._private.sign(said)


class Signature(NamedTuple):
    """A line of signature, whoever may be able to check it."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        said = base64.b64encode(self.key_id + self.signature).decode()
        return f"{_DASH}{self.name} {said}\n"


class Checkpoint(NamedTuple):
    """What a log says of itself: how many leaves, and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """As the signatures sign it."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Note(NamedTuple):
    """A checkpoint and its signatures, of which none is checked yet."""

    text: str
    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, said: str) -> "Note":
        """The note that a text is; NotANote where it is none."""
        text, _, lines = said.rpartition("\n\n")
        if not text or not lines.endswith("\n") or len(said) > NOTE_BYTES_MAX:
            raise NotANote("a signed note is a text, an empty line, and lines of signature")
        text += "\n"
        return cls(text, _checkpoint(text), tuple(map(_signature, lines[:-1].split("\n"))))

    @classmethod
    def of(cls, checkpoint: Checkpoint, signatures: Iterable[Signature]) -> "Note":
        """A checkpoint with these signatures."""
        return cls(checkpoint.text, checkpoint, tuple(signatures))

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"


def read_notes(said: str) -> Iterator[Note]:
    """The notes of a file, in which an empty line stands behind each."""
    parts = [part for part in re.split(r"\n{2,}", said.strip("\n")) if part]
    if len(parts) % 2:
        raise NotANote("a file of notes has an empty line after each text and each note")
    for text, lines in zip(parts[::2], parts[1::2], strict=True):
        yield Note.parse(f"{text}\n\n{lines}\n")


def is_name(text: str) -> bool:
    """May a log or a witness be called so?"""
    return _NAME.fullmatch(text) is not None


def _cosigned(at: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _checkpoint(text: str) -> Checkpoint:
    match text.split("\n"):
        case [origin, size, root, *further, ""] if (
            _NAME.fullmatch(origin) and _SIZE.fullmatch(size) and all(further)
        ):
            try:
                hashed = base64.b64decode(root, validate=True)
            except (binascii.Error, ValueError):
                hashed = b""
            if len(hashed) == hashlib.sha256().digest_size:
                return Checkpoint(origin, int(size), hashed)
    raise NotANote("a checkpoint is a line each for origin, size and root")


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        said = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        said = b""
    if not line.startswith(_DASH) or not _NAME.fullmatch(name) or len(said) <= KEY_ID_BYTES:
        raise NotANote("a line of signature is an em dash, a name, and base64")
    return Signature(name, said[:KEY_ID_BYTES], said[KEY_ID_BYTES:])
