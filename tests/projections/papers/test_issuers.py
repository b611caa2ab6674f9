"""The document of an issuer: a profile and its keys."""

from dataclasses import replace

from projections.papers.issuers import issuer_document, verification_method
from projections.papers.linked_data import from_multibase
from tests.projections.papers.samples import ISSUER, KEY, OLD_KEY


def test_an_issuer_lists_every_key_from_the_oldest_to_the_newest():
    document = issuer_document(ISSUER, [OLD_KEY.verifier, KEY.verifier])
    assert document["id"] == "https://t.example/issuers/org-a"
    assert document["name"] == "甲机构"
    methods = document["verificationMethod"]
    assert [one["id"] for one in methods] == document["assertionMethod"]
    for key, method in zip([OLD_KEY, KEY], methods, strict=True):
        assert method["id"] == verification_method(ISSUER.id, key.verifier)
        assert method["id"].endswith(f"#{key.verifier.key_id.hex()}")
        assert method["controller"] == ISSUER.id
        assert from_multibase(method["publicKeyMultibase"]) == b"\xed\x01" + key.verifier.public
        assert method["publicKeyMultibase"].startswith("z6Mk")  # as every Ed25519 Multikey does


def test_a_code_is_no_path():
    assert replace(ISSUER, code="a/b#c").id == "https://t.example/issuers/a%2Fb%23c"
