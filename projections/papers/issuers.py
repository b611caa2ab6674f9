"""Who issues credentials: an organisation as a profile, with the keys that sign for it.

The ledger signs for every organisation with the keys of its log, so each of these documents lists
them all; a key that has been replaced stays, for what it has signed stays signed. The document is
a controlled identifier document (W3C CID 1.0) and an Open Badges profile at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from urllib.parse import quote

from ledger.notes import VerifierKey
from projections.papers.linked_data import (
    CONTROLLED_IDENTIFIERS,
    OPEN_BADGES,
    Document,
    multibase,
)

_ED25519_PUBLIC = bytes([0xED, 0x01])  # multicodec's ed25519-pub, as a varint


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An organisation as an issuer of this ledger."""

    base: str  # the address of the ledger, without a slash at its end
    code: str
    name: str
    zone: tzinfo  # in which its dates begin and end

    @property
    def id(self) -> str:
        """The address of its document."""
        return f"{self.base}/issuers/{self.code_in_address}"

    @property
    def code_in_address(self) -> str:
        """Its code as one step of a path."""
        return quote(self.code, safe="")

    @property
    def profile(self) -> Document:
        """As a credential names it."""
        return {"id": self.id, "type": ["Profile"], "name": self.name, "url": self.base}


def issuer_document(issuer: Issuer, keys: Sequence[VerifierKey]) -> Document:
    """What its address answers with: the profile, and the keys from the oldest to the newest."""
    methods = [_multikey(issuer.id, key) for key in keys]
    return {
        "@context": [CONTROLLED_IDENTIFIERS, OPEN_BADGES],
        **issuer.profile,
        "verificationMethod": methods,
        "assertionMethod": [method["id"] for method in methods],
    }


def verification_method(issuer_id: str, key: VerifierKey) -> str:
    """How a proof names the key of an issuer."""
    return f"{issuer_id}#{key.key_id.hex()}"


def _multikey(issuer_id: str, key: VerifierKey) -> Document:
    return {
        "id": verification_method(issuer_id, key),
        "type": "Multikey",
        "controller": issuer_id,
        "publicKeyMultibase": multibase(_ED25519_PUBLIC + key.public),
    }
