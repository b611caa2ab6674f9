"""A bit for each paper, in the list of its issuer."""

import base64
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.papers.status_lists import PLACES, status_entry, status_list
from tests.projections.papers.samples import ISSUER, OTHER_ISSUER

AS_OF = "2026-06-01T00:00:00Z"

statuses = st.dictionaries(
    st.integers(0, 3 * PLACES - 1), st.sampled_from(["valid", "superseded", "revoked"])
)


def marked(listed):
    """The places that are set, from the first bit of the first byte."""
    encoded = listed["credentialSubject"]["encodedList"]
    assert encoded[0] == "u"
    bits = gzip.decompress(base64.urlsafe_b64decode(encoded[1:] + "=" * (-len(encoded[1:]) % 4)))
    assert len(bits) * 8 == PLACES
    return {place for place in range(PLACES) if bits[place // 8] >> (7 - place % 8) & 1}


@pytest.mark.parametrize(
    ("status", "places"), [("valid", set()), ("revoked", {9}), ("superseded", {9})]
)
def test_what_holds_no_longer_is_marked(status, places):
    assert marked(status_list(ISSUER, 0, {9: status}, AS_OF)) == places


@settings(deadline=None)
@given(statuses)
def test_every_place_stands_in_one_list_at_one_bit(statuses):
    for number in range(3):
        listed = status_list(ISSUER, number, statuses, AS_OF)
        assert {number * PLACES + place for place in marked(listed)} == {
            place
            for place, status in statuses.items()
            if place // PLACES == number and status != "valid"
        }


@pytest.mark.parametrize("place", [0, 5, PLACES - 1, PLACES, 2 * PLACES + 7])
def test_a_credential_names_the_list_that_tells_of_it(place):
    entry = status_entry(ISSUER, place)
    listed = status_list(ISSUER, place // PLACES, {place: "superseded"}, AS_OF)
    assert listed["id"] == entry["statusListCredential"]
    assert listed["credentialSubject"]["statusPurpose"] == entry["statusPurpose"]
    assert marked(listed) == {int(entry["statusListIndex"])}


def test_the_same_statuses_are_the_same_bytes_in_whatever_order():
    one = status_list(ISSUER, 0, {1: "revoked", 2: "superseded"}, AS_OF)
    other = status_list(ISSUER, 0, {2: "superseded", 1: "revoked"}, AS_OF)
    assert one == other
    zipped = base64.urlsafe_b64decode(one["credentialSubject"]["encodedList"][1:9])
    assert zipped[4:] == bytes(2)  # of the time, which RFC 1952 has here


def test_issuers_have_lists_of_their_own():
    ids = {status_list(one, 0, {}, AS_OF)["id"] for one in (ISSUER, OTHER_ISSUER)}
    assert ids == {
        "https://t.example/credentials/status/org-a/0",
        "https://t.example/credentials/status/org-b/0",
    }
