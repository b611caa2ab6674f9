"""Bitstring status lists (W3C, v1.0): a bit for each paper of an issuer, at the paper's place.

Places are counted for the whole ledger, and a verifier takes a list only from the issuer of the
credential: hence every issuer has lists of its own, in which the places of others stay unset.

There is one purpose, `revocation`, and no list of what is superseded with the purpose `refresh`.
That one would point to a refresh service, which we have not; and verifiers skip a status whose type
they do not read, so that with two of them a holder could hide the one by telling its type as a
list of one, which is the same to the signature. With one alone they refuse the credential.
"""

import base64
import gzip
from collections.abc import Iterable, Mapping

from projections.papers.content import Status
from projections.papers.issuers import Issuer
from projections.papers.linked_data import CREDENTIALS, Document

PLACES = 131_072
"""In one list: the least that the specification allows, so that no list tells of one person."""

MARKED: frozenset[Status] = frozenset({"revoked", "superseded"})
"""What is superseded holds no longer either, and must not pass for what does."""

_PURPOSE = "revocation"


def status_list_id(issuer: Issuer, number: int) -> str:
    """The address of a list."""
    return f"{issuer.base}/credentials/status/{issuer.code_in_address}/{number}"


def status_entry(issuer: Issuer, place: int) -> Document:
    """What the credential at a place says of where its status is told."""
    number, index = divmod(place, PLACES)
    listed = status_list_id(issuer, number)
    return {
        "id": f"{listed}#{index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": _PURPOSE,
        "statusListIndex": str(index),
        "statusListCredential": listed,
    }


def status_list(
    issuer: Issuer, number: int, statuses: Mapping[int, Status], as_of: str
) -> Document:
    """The list of this number, unsigned; `statuses` by place, of this issuer's papers alone.

    Valid papers and places of other lists may be among them, and change nothing.
    """
    listed = status_list_id(issuer, number)
    return {
        "@context": [CREDENTIALS],
        "id": listed,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer.id,
        "validFrom": as_of,
        "credentialSubject": {
            "id": f"{listed}#list",
            "type": "BitstringStatusList",
            "statusPurpose": _PURPOSE,
            "encodedList": _encoded(
                place % PLACES
                for place, status in statuses.items()
                if place // PLACES == number and status in MARKED
            ),
        },
    }


def _encoded(indexes: Iterable[int]) -> str:
    """Multibase base64url of the gzipped bits; index 0 is the highest bit of the first byte."""
    bits = bytearray(PLACES // 8)
    for index in indexes:
        bits[index // 8] |= 0x80 >> index % 8
    # Without a time in it, so that the same bits are the same bytes.
    zipped = gzip.compress(bytes(bits), mtime=0)
    return "u" + base64.urlsafe_b64encode(zipped).decode().rstrip("=")
