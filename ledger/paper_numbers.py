"""Numbers and codes of papers: how they are made, spelled, and read when typed by hand.

Both are in Crockford's base 32, which has no I, L, O and U, in groups of four. A number says which
paper (60 random bits); a code (80 bits) proves that one holds it. The log keeps the code's digest.
"""

import hashlib
import hmac
import secrets
from typing import Literal

Kind = Literal["ST", "CR"]
"""A service statement, a credential of a certification."""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_BYTES = 10

_READ_AS = str.maketrans("ILO", "110", " -")  # as they are mistaken for


def new_number(kind: Kind) -> str:
    """A number that nobody can guess: `ST-7K3M-9QX4-T2BC`."""
    return f"{kind}-{_grouped([secrets.randbelow(32) for _ in range(12)])}"


def number_read(said: str) -> str:
    """The number that somebody typed, in its one spelling; what is none stays none."""
    kind, rest = said.strip()[:2].upper(), said.strip()[2:].upper().translate(_READ_AS)
    return f"{kind}-{_in_fours(rest)}"


def code_of(secret: bytes) -> str:
    """The code that 80 bits spell: `4XK7-0M2Q-9B6Z-H3TD`."""
    bits = int.from_bytes(secret[:CODE_BYTES])
    return _grouped([bits >> place & 31 for place in range(75, -1, -5)])


def code_digest(number: str, code: str) -> str:
    """What the log keeps of a paper's code: SHA-256 over number and code, in hex."""
    return hashlib.sha256(f"{number}\n{code}".encode()).hexdigest()


def is_code(number: str, said: str, digest: str) -> bool:
    """Is what somebody typed the code of a paper? It takes as long whatever it is."""
    code = _in_fours(said.strip().upper().translate(_READ_AS))
    return hmac.compare_digest(code_digest(number, code), digest)


def _grouped(places: list[int]) -> str:
    return _in_fours("".join(ALPHABET[place] for place in places))


def _in_fours(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
