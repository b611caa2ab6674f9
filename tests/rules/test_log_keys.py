"""Signing keys follow each other, and none comes back."""

import pytest

from ledger.commands import RotateSigningKey
from ledger.events import SigningKeyRotated
from ledger.rules.log_keys import SigningKeys, rotate_signing_key
from ledger.units import Refused
from tests.rules.town import STAMP

FIRST, SECOND, THIRD = "log+1+a", "log+2+b", "log+3+c"


def after(*rotations: tuple[str, str]) -> SigningKeys:
    keys = SigningKeys()
    for position, (before, key) in enumerate(rotations, 1):
        keys.apply(SigningKeyRotated(key=key, replaces=before), position)
    return keys


def rotate(before: str, key: str, keys: SigningKeys, **other: bool) -> list[object]:
    return rotate_signing_key(RotateSigningKey(**STAMP, key=key, replaces=before, **other), keys)


def test_a_key_follows_the_first_whatever_that_was():
    assert rotate(FIRST, SECOND, after()) == [SigningKeyRotated(key=SECOND, replaces=FIRST)]


def test_that_a_key_was_lost_is_said():
    fact = SigningKeyRotated(key=SECOND, replaces=FIRST, lost=True)
    assert rotate(FIRST, SECOND, after(), lost=True) == [fact]


def test_only_the_key_in_force_is_followed():
    with pytest.raises(Refused, match="signing_key_not_in_force"):
        rotate(FIRST, THIRD, after((FIRST, SECOND)))


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_a_key_that_had_its_time_does_not_come_back(key):
    with pytest.raises(Refused, match="signing_key_used_before"):
        rotate(SECOND, key, after((FIRST, SECOND)))
