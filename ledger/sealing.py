"""The vault's cryptography: a key for each person, sealed fields, and digests to look people up by.

One vault key of 256 bits opens everything. It is used for nothing itself: HKDF-SHA-256 (RFC 5869)
derives from it one key for each purpose, so that no key serves two algorithms (NIST SP 800-57
part 1, section 5.2).

- A **person's key** is 256 random bits, wrapped with AES-256-GCM under the wrapping key; associated
  data: the member id. Who destroys the wrapped key has destroyed what was sealed under it.
- A **field** is sealed with AES-256-GCM (NIST SP 800-38D) under the person's key; associated data:
  member id and field, so that no ciphertext passes for another's or another field's.
- A **webhook's secret** is sealed with AES-256-GCM under a key for that; associated data: the
  webhook's id.
- A **digest** is HMAC-SHA-256 (RFC 2104) under the look-up key: equal values are found, and without
  the key a document number cannot be guessed from it.

Nonces are 96 random bits (SP 800-38D, section 8.2.2), which is sound for 2**32 messages under one
key (section 8.3): the wrapping key meets one for each person or change of the vault key, a
person's key one for each change of a field.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
DIGEST_BYTES = hashlib.sha256().digest_size


class SealBroken(Exception):
    """A sealed value does not open: it was altered, moved, or sealed under another key."""


class Sealing:
    """Wraps, opens and digests under one vault key. It has no state that changes."""

    def __init__(self, vault_key: bytes) -> None:
        if len(vault_key) != KEY_BYTES:
            raise ValueError(f"a vault key has {KEY_BYTES} bytes, this one {len(vault_key)}")
        self._wrapping = AESGCM(_derive(vault_key, b"timebank vault 1: wrapping"))
        self._secrets = AESGCM(_derive(vault_key, b"timebank vault 1: webhook secrets"))
        self._lookup_key = _derive(vault_key, b"timebank vault 1: look-up")
        self.key_check = _derive(vault_key, b"timebank vault 1: check")
        """Tells one vault key from another and says nothing about either."""

    def new_person_key(self, member_id: str) -> tuple[bytes, "PersonKey"]:
        """A fresh key for a person: wrapped, to be kept, and open, to seal with now."""
        key = AESGCM.generate_key(8 * KEY_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        wrapped = nonce + self._wrapping.encrypt(nonce, key, member_id.encode())
        return wrapped, PersonKey(member_id, key)

    def unwrap(self, member_id: str, wrapped: bytes) -> "PersonKey":
        """The person's key; SealBroken where it is another's, or under another vault key."""
        return PersonKey(member_id, self._unwrapped(member_id, wrapped))

    def rewrap(self, member_id: str, wrapped: bytes, following: "Sealing") -> bytes:
        """The same person's key, wrapped under another vault key; SealBroken as for `unwrap`."""
        key = self._unwrapped(member_id, wrapped)
        nonce = os.urandom(NONCE_BYTES)
        return nonce + following._wrapping.encrypt(nonce, key, member_id.encode())

    def seal_secret(self, webhook_id: str, secret: bytes) -> bytes:
        """Nonce and ciphertext with its tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._secrets.encrypt(nonce, secret, webhook_id.encode())

    def open_secret(self, webhook_id: str, sealed: bytes) -> bytes:
        """What was sealed; SealBroken where it is another's, or under another vault key."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._secrets.decrypt(nonce, ciphertext, webhook_id.encode())
        except InvalidTag as broken:
            raise SealBroken(f"the secret of webhook {webhook_id} does not open") from broken

    def digest(self, *parts: str) -> bytes:
        """The keyed digest of these texts in this order; each goes in with its length before it."""
        message = b"".join(
            len(encoded).to_bytes(4, "big") + encoded for encoded in map(str.encode, parts)
        )
        return hmac.digest(self._lookup_key, message, "sha256")

    def _unwrapped(self, member_id: str, wrapped: bytes) -> bytes:
        nonce, ciphertext = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return self._wrapping.decrypt(nonce, ciphertext, member_id.encode())
        except InvalidTag as broken:
            raise SealBroken(f"the key of member {member_id} does not unwrap") from broken


class PersonKey:
    """One person's key, open: seals and opens the fields of that person and of nobody else."""

    def __init__(self, member_id: str, key: bytes) -> None:
        self._member_id = member_id
        self._key = key
        self._cipher = AESGCM(key)

    def seal(self, field: str, value: str) -> tuple[bytes, bytes]:
        """(nonce, ciphertext with its tag)"""
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._cipher.encrypt(nonce, value.encode(), self._associated(field))

    def open(self, field: str, nonce: bytes, ciphertext: bytes) -> str:
        """What `seal` was given; SealBroken where it was not sealed for this person and field."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, self._associated(field)).decode()
        except InvalidTag as broken:
            raise SealBroken(f"{field} of member {self._member_id} does not open") from broken

    def derived(self, purpose: str) -> bytes:
        """32 bytes that only this key makes of a purpose; they tell nothing about the key."""
        return _derive(self._key, f"timebank person 1: {purpose}".encode())

    def _associated(self, field: str) -> bytes:
        # A member id has no line break, so no two pairs make the same bytes.
        return f"{self._member_id}\n{field}".encode()


def _derive(vault_key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(vault_key)
