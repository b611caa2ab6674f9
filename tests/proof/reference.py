"""The log's tree, its proofs and signed notes as the texts say them, for tests to compare with.

After RFC 6962, section 2.1, word for word and without regard to speed; C2SP signed-note and
tlog-checkpoint. Nothing here is of the ledger.
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Entries = Sequence[bytes]


def leaf(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def root(entries: Entries) -> bytes:
    """MTH(D[n]): the head of the tree over the entries."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return leaf(entries[0])
    k = _split(len(entries))
    return hashlib.sha256(b"\x01" + root(entries[:k]) + root(entries[k:])).digest()


def inclusion(m: int, entries: Entries) -> list[bytes]:
    """PATH(m, D[n]): the audit path of the entry with index m (section 2.1.1)."""
    if len(entries) == 1:
        return []
    k = _split(len(entries))
    if m < k:
        return [*inclusion(m, entries[:k]), root(entries[k:])]
    return [*inclusion(m - k, entries[k:]), root(entries[:k])]


def consistency(m: int, entries: Entries) -> list[bytes]:
    """PROOF(m, D[n]): that the tree of the first m entries is a beginning (section 2.1.2)."""
    return _subproof(m, entries, True)


def _subproof(m: int, entries: Entries, known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b); `known`: whoever asks has the head of the first m already."""
    n = len(entries)
    if m == n:
        return [] if known else [root(entries)]
    k = _split(n)
    if m <= k:
        return [*_subproof(m, entries[:k], known), root(entries[k:])]
    return [*_subproof(m - k, entries[k:], False), root(entries[:k])]


def _split(n: int) -> int:
    """The largest power of two smaller than n, for n above 1."""
    return 1 << (n - 1).bit_length() - 1


class Signer:
    """An Ed25519 key under a name."""

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
        self._public = b"\x01" + self._key.public_key().public_bytes_raw()
        self.hash = hashlib.sha256(name.encode() + b"\n" + self._public).digest()[:4]

    @property
    def vkey(self) -> str:
        """The public key as a text: `<name>+<hash>+<base64>`."""
        return f"{self.name}+{self.hash.hex()}+{b64(self._public)}"

    def line(self, text: str) -> str:
        """The signature line of a note."""
        return f"— {self.name} {b64(self.hash + self._key.sign(text.encode()))}\n"


def checkpoint(origin: str, size: int, head: bytes, *signers: Signer) -> str:
    """A signed note about the tree of so many entries."""
    text = f"{origin}\n{size}\n{b64(head)}\n"
    return text + "\n" + "".join(signer.line(text) for signer in signers)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
