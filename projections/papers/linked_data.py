"""Signs linked data with a Data Integrity proof, cryptosuite eddsa-rdfc-2022, and checks it.

There is no JWT form: Open Badges 3.0 asks RS256 of it, and the ledger's keys are Ed25519.

- vc-data-integrity, vc-di-eddsa: what is signed is SHA-256 of the proof's options and SHA-256 of
  the document, each as canonical N-Quads.
- rdf-canon (RDFC-1.0, once URDNA2015): `pyld` does that.

What a context does not define would be dropped on the way to N-Quads, and so would not be signed.
Here it is refused, as is whatever else would leave no trace in them or could be told twice.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pyld import jsonld  # type: ignore[import-untyped]  # it brings no types

from ledger.notes import SigningKey

Document = dict[str, object]

CREDENTIALS = "https://www.w3.org/ns/credentials/v2"
OPEN_BADGES = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
CONTROLLED_IDENTIFIERS = "https://www.w3.org/ns/cid/v1"
CONTEXTS = {
    CREDENTIALS: "credentials-v2.json",
    OPEN_BADGES: "open-badges-3.0.3.json",
    CONTROLLED_IDENTIFIERS: "cid-v1.json",
}
"""Every context that a document of ours may name, and its file. No other is ever fetched."""

_FOLDER = Path(__file__).parent / "contexts"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PROOF = {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-rdfc-2022",
    "proofPurpose": "assertionMethod",
}
_one_at_a_time = Lock()  # pyld keeps contexts in a cache that is not safe among threads


class NotSignable(ValueError):
    """Something in this document would not be signed, or its context is none of ours."""


def signed(
    document: Mapping[str, object], key: SigningKey, verification_method: str, created: str
) -> Document:
    """The document with a proof; the same input gives the same bytes (Ed25519 is deterministic)."""
    options = _PROOF | {"created": created, "verificationMethod": verification_method}
    value = multibase(key.sign_bytes(_hashes(document, options)))
    return {**document, "proof": {**options, "proofValue": value}}


def is_signed_by(document: Mapping[str, object], public: bytes) -> bool:
    """Does the one proof of the document hold under this public key, for all that it says?

    Whether the key is the issuer's, and the status, remain to be asked.
    """
    proof = document.get("proof")
    if not isinstance(proof, dict) or not proof.items() >= _PROOF.items():
        return False
    said = {name: part for name, part in document.items() if name != "proof"}
    options = {name: part for name, part in proof.items() if name != "proofValue"}
    try:
        signature = from_multibase(str(proof.get("proofValue")))
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _hashes(said, options))
    except (NotSignable, InvalidSignature):
        return False
    return True


def canonical(document: Mapping[str, object]) -> str:
    """The canonical N-Quads of a document; NotSignable where they would not say all of it."""
    _check_told_plainly(document)
    with _one_at_a_time:
        try:
            expanded = jsonld.expand(dict(document), _options(), on_property_dropped=_undefined)
            _check_absolute(expanded)
            quads = jsonld.normalize(
                expanded, _options() | {"algorithm": "URDNA2015", "format": "application/n-quads"}
            )
        except jsonld.JsonLdError as error:
            raise NotSignable(str(error)) from error
    return str(quads)


def multibase(raw: bytes) -> str:
    """Multibase base58btc: `z`, and the number in base 58, a leading `1` for each zero byte."""
    number, digits = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return "z" + "1" * zeros + digits


def from_multibase(text: str) -> bytes:
    """The bytes that `multibase` wrote; NotSignable where it did not."""
    digits, number = text[1:], 0
    if text[:1] != "z" or len(text) > 200 or not set(digits) <= set(_BASE58):
        raise NotSignable("this is no multibase base58btc")
    for digit in digits:
        number = number * 58 + _BASE58.index(digit)
    zeros = len(digits) - len(digits.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)


def _hashes(document: Mapping[str, object], options: Mapping[str, object]) -> bytes:
    both = ({"@context": document.get("@context"), **options}, document)
    return b"".join(hashlib.sha256(canonical(one).encode()).digest() for one in both)


def _check_told_plainly(document: Mapping[str, object]) -> None:
    match document.get("@context"):
        case [*contexts] if contexts and set(map(str, contexts)) <= CONTEXTS.keys():
            _check_plain({name: part for name, part in document.items() if name != "@context"})
        case _:
            raise NotSignable("its contexts must be a list of those in CONTEXTS")


def _check_plain(part: object) -> None:
    """Only terms for names, and a value for each: null and [] leave no trace in N-Quads."""
    match part:
        case None | []:
            raise NotSignable("null or an empty list says nothing that could be signed")
        case float():
            raise NotSignable("a number with a fraction has more than one way to be written")
        case list():
            for one in part:
                _check_plain(one)
        case dict():
            for name, one in part.items():
                if "@" in name or ":" in name:
                    raise NotSignable(f"{name} is no term of a context")
                _check_plain(one)


def _check_absolute(expanded: object) -> None:
    """An id or a type that no context makes a whole IRI would be dropped from the N-Quads."""
    if isinstance(expanded, list):
        for one in expanded:
            _check_absolute(one)
    elif isinstance(expanded, dict):
        for name, part in expanded.items():
            if name in ("@id", "@type"):
                for iri in part if isinstance(part, list) else [part]:
                    if ":" not in iri:
                        raise NotSignable(f"{iri} is in no context, and no whole IRI")
            elif name != "@value":
                _check_absolute(part)


def _undefined(name: str | None) -> NoReturn:
    raise NotSignable(f"{name} is in no context")


def _options() -> dict[str, object]:
    # Against no base, so that what is relative stays so and is seen: "" would be example.org.
    return {"documentLoader": _loaded, "base": None, "processingMode": "json-ld-1.1"}


def _loaded(url: str, _: object) -> dict[str, object]:
    if url not in CONTEXTS:
        raise NotSignable(f"{url} is none of our contexts")
    # The tag has pyld keep the context resolved for the documents to come.
    return {
        "document": _context(url),
        "documentUrl": url,
        "contextUrl": None,
        "contentType": "application/ld+json",
        "tag": "static",
    }


@cache
def _context(url: str) -> object:
    return json.loads((_FOLDER / CONTEXTS[url]).read_bytes())
