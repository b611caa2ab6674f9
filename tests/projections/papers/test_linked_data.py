"""Signing linked data: stable bytes, and a refusal of all that a signature would not cover."""

import copy
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.papers import linked_data
from projections.papers.badges import certification_badge, statement_badge
from projections.papers.issuers import issuer_document, verification_method
from projections.papers.linked_data import (
    CONTEXTS,
    CREDENTIALS,
    NotSignable,
    canonical,
    from_multibase,
    is_signed_by,
    multibase,
    signed,
)
from projections.papers.status_lists import status_list
from tests.projections.papers.samples import CERTIFICATION, ISSUER, KEY, OLD_KEY, STATEMENT

PUBLIC = KEY.verifier.public
PLAIN = {"@context": [CREDENTIALS], "type": ["VerifiableCredential"], "name": "one"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def proven(document):
    method = verification_method(ISSUER.id, KEY.verifier)
    return signed(document, KEY, method, STATEMENT.issued_at)


@pytest.mark.parametrize(
    "document",
    [
        statement_badge(STATEMENT, ISSUER),
        certification_badge(CERTIFICATION, ISSUER),
        status_list(ISSUER, 0, {5: "revoked"}, STATEMENT.issued_at),
    ],
)
def test_whatever_we_publish_can_be_signed_and_checked(document):
    before = copy.deepcopy(document)
    proof = proven(document)
    assert document == before
    assert proof == proven(document)
    assert is_signed_by(proof, PUBLIC)
    assert not is_signed_by(proof, OLD_KEY.verifier.public)


def test_an_issuers_document_has_no_term_that_no_context_defines():
    document = issuer_document(ISSUER, [OLD_KEY.verifier, KEY.verifier])
    quads = canonical(document)
    assert quads.count("<https://w3id.org/security#publicKeyMultibase>") == 2
    assert quads.count("<https://w3id.org/security#assertionMethod>") == 2


@settings(deadline=None)
@given(texts, texts)
def test_a_text_is_signed_as_it_stands(said, other):
    proof = proven(PLAIN | {"name": said})
    assert is_signed_by(proof, PUBLIC)
    assert is_signed_by(proof | {"name": other}, PUBLIC) == (said == other)


def test_no_value_of_a_badge_can_be_altered_or_taken_away():
    proof = proven(statement_badge(STATEMENT, ISSUER))
    altered = list(alterations(proof))
    assert len(altered) > 80
    assert [path for path, one in altered if is_signed_by(one, PUBLIC)] == []


@pytest.mark.parametrize(
    "part",
    [
        {"rank": "first"},
        {"type": ["VerifiableCredential", "HonestCredential"]},
        {"credentialSchema": {"id": "urn:x:1", "type": "1EdTechJsonSchemaValidator2019"}},
        {"issuer": "not-an-iri"},
        {"issuer": {"id": "https://t.example/i", "nickname": "x"}},
        {"description": None},
        {"evidence": []},
        {"name": 0.5},
        {"https://schema.org/name": "two"},
        {"@included": [{"id": "https://t.example/i"}]},
        {"@context": [CREDENTIALS, {"rank": "https://t.example/rank"}]},
        {"@context": [CREDENTIALS, "https://t.example/context"]},
        {"@context": CREDENTIALS},
        {"@context": []},
        {"issuer": {"@context": {"name": "https://t.example/n"}, "id": "https://t.example/i"}},
    ],
)
def test_what_would_not_be_signed_is_refused(part):
    with pytest.raises(NotSignable):
        proven(PLAIN | part)
    assert not is_signed_by(proven(PLAIN) | part, PUBLIC)


@pytest.mark.parametrize(
    "proof",
    [
        None,
        [],
        "proof",
        {},
        {"cryptosuite": "eddsa-jcs-2022"},
        {"proofPurpose": "authentication"},
        {"proofValue": None},
        {"proofValue": ""},
        {"proofValue": "u" + "A" * 86},
        {"proofValue": "z0"},
        {"proofValue": "z" + "1" * 64},
        {"proofValue": "z" + "2" * 10_000},
        {"unknown": "term"},
    ],
)
def test_a_proof_of_another_kind_proves_nothing(proof):
    true = proven(PLAIN)
    if isinstance(proof, dict):
        proof = true["proof"] | proof if proof else proof
    assert not is_signed_by(true | {"proof": proof}, PUBLIC)
    assert not is_signed_by(PLAIN, PUBLIC)


@pytest.mark.parametrize(
    "kind", [{"proofPurpose": "authentication"}, {"cryptosuite": "eddsa-jcs-2022"}]
)
def test_a_good_signature_for_another_purpose_proves_nothing(kind, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(linked_data, "_PROOF", linked_data._PROOF | kind)
        proof = proven(PLAIN)
        assert is_signed_by(proof, PUBLIC)
    assert not is_signed_by(proof, PUBLIC)


@given(st.binary(max_size=70))
def test_multibase_is_read_as_it_was_written(raw):
    assert from_multibase(multibase(raw)) == raw


def test_multibase_is_that_of_others():
    # draft-msporny-base58, section 5
    assert multibase(b"Hello World!") == "z2NEpo7TZRRrLZSi2U"
    assert multibase(bytes.fromhex("0000287fb4cd")) == "z11233QC4"


def test_a_document_is_told_canonically():
    issuer = {"id": "https://t.example/i", "name": "乙"}
    document = PLAIN | {"id": "urn:x:1", "issuer": issuer}
    assert canonical(document) == canonical(dict(reversed(document.items())))
    assert canonical(document).splitlines() == [
        '<https://t.example/i> <https://schema.org/name> "乙" .',
        "<urn:x:1> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> "
        "<https://www.w3.org/2018/credentials#VerifiableCredential> .",
        '<urn:x:1> <https://schema.org/name> "one" .',
        "<urn:x:1> <https://www.w3.org/2018/credentials#issuer> <https://t.example/i> .",
    ]


def test_the_contexts_are_those_that_their_table_tells():
    folder = linked_data._FOLDER
    rows = [line for line in (folder / "README.md").read_text().splitlines() if ".json |" in line]
    told = {row.split(" | ")[1]: re.findall(r"[\w.-]+\.json\b", row)[0] for row in rows}
    assert told == CONTEXTS
    for row in rows:
        name, digest = row.split()[1], row.split()[-2]
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {path.name for path in folder.iterdir()} == {"README.md", *CONTEXTS.values()}


def alterations(part, path=()):
    """The document with each of its texts altered, and with each of its members left out."""
    match part:
        case str():
            yield path, part + "0"
        case dict():
            for name, one in part.items():
                yield (*path, name), {other: part[other] for other in part if other != name}
                for deeper, altered in alterations(one, (*path, name)):
                    yield deeper, part | {name: altered}
        case list():
            for place, one in enumerate(part):
                for deeper, altered in alterations(one, (*path, place)):
                    yield deeper, [*part[:place], altered, *part[place + 1 :]]
