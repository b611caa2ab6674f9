"""Verifiers of credentials by others take ours, and refuse what is forged or no longer holds."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.notes import SigningKey
from projections.papers.badges import certification_badge, statement_badge
from projections.papers.content import Paper, Statement
from projections.papers.issuers import Issuer, issuer_document, verification_method
from projections.papers.linked_data import (
    CONTEXTS,
    CREDENTIALS,
    OPEN_BADGES,
    Document,
    multibase,
    signed,
)
from projections.papers.status_lists import PLACES, status_list
from tests.projections.papers.samples import (
    CERTIFICATION,
    ISSUER,
    KEY,
    OLD_KEY,
    OTHER_ISSUER,
    SEED,
    STATEMENT,
)
from tests.proof.others_verify import VENDORED, Ask, others

NOW = "2026-06-01T00:00:00Z"
ENTRY = "BitstringStatusListEntry"
STRANGER = SigningKey("t.example/log", bytes([9]) * 32)

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with others() as asking:
        yield asking


def test_the_contexts_are_those_of_the_packages(ask):
    urls = [CREDENTIALS, OPEN_BADGES]
    for url, theirs in zip(urls, ask([{"ask": "context", "url": u} for u in urls]), strict=True):
        assert json.loads((VENDORED / CONTEXTS[url]).read_bytes()) == theirs


def test_another_program_signs_to_the_very_same_bytes(ask):
    ours = [badge(STATEMENT), badge(CERTIFICATION), *lists().values()]
    theirs = ask([sign(document) for document in ours])
    assert [one["proof"] for one in theirs] == [one["proof"] for one in ours]


def test_papers_that_hold_are_taken(ask):
    late = replace(STATEMENT, position=PLACES + 3, issued_at="2026-04-01T08:00:00.250000Z")
    cases = [
        verify(badge(STATEMENT)),
        verify(badge(CERTIFICATION)),
        verify(badge(STATEMENT, key=OLD_KEY)),  # replaced since, and still listed
        verify(badge(late), lists(number=1)),
    ]
    assert ask(cases) == [{"verified": True, "marks": [], "why": ""}] * len(cases)


@pytest.mark.parametrize("status", ["revoked", "superseded"])
def test_papers_that_no_longer_hold_are_marked_as_revoked(ask, status):
    gone = lists(statuses={STATEMENT.position: status})
    beside = lists(statuses={STATEMENT.position + 1: status, STATEMENT.position + PLACES: status})
    assert [one["marks"] for one in ask([verify(badge(STATEMENT), gone)])] == [["revocation"]]
    assert [one["marks"] for one in ask([verify(badge(STATEMENT), beside)])] == [[]]


def test_what_is_forged_is_refused(ask):
    cases = dict(forgeries())
    found = ask([case for case, _ in cases.values()])
    told = {
        name: (answer["verified"], why if why in answer["why"] else answer["why"])
        for (name, (_, why)), answer in zip(cases.items(), found, strict=True)
    }
    assert told == {name: (False, why) for name, (_, why) in cases.items()}


def forgeries():
    """Cases by name, each with a part of the reason for which it is refused."""
    true = badge(STATEMENT)

    more = json.loads(json.dumps(true).replace('"value": "220"', '"value": "2200"'))
    yield "more minutes", (verify(more), "Invalid signature")

    yield "another issuer", (verify(true | {"issuer": OTHER_ISSUER.profile}), "Invalid signature")

    shown = {**true["proof"], "created": "2026-04-02T08:00:00Z"}
    yield "another date of the proof", (verify(true | {"proof": shown}), "Invalid signature")

    yield "a term of no context", (verify(true | {"rank": "first"}), "Safe mode")

    stranger = badge(STATEMENT, key=STRANGER)
    yield "a key that is not listed", (verify(stranger), "lists no")

    method = verification_method(ISSUER.id, KEY.verifier)
    claimed = signed(statement_badge(STATEMENT, ISSUER), STRANGER, method, STATEMENT.issued_at)
    yield "a key that says it is another", (verify(claimed), "Invalid signature")

    others = verification_method(OTHER_ISSUER.id, KEY.verifier)
    crossed = signed(statement_badge(STATEMENT, ISSUER), KEY, others, STATEMENT.issued_at)
    yield "another issuer's method", (verify(crossed), "must match the verification method")

    hidden = issuer_document(ISSUER, [KEY.verifier, STRANGER.verifier])
    hidden["assertionMethod"] = [method]
    unasserted = verify(stranger) | {"documents": lists() | {ISSUER.id: hidden}}
    yield "a key that may not assert", (unasserted, "not authorized")

    ended = verify(badge(CERTIFICATION)) | {"now": "2028-12-31T16:10:00Z"}
    yield "a registration that has ended", (ended, "validUntil")

    honest = lists(statuses={STATEMENT.position: "revoked"})
    spared = {
        url: one | {"credentialSubject": lists()[url]["credentialSubject"]}
        for url, one in honest.items()
    }
    yield "a forged status list", (verify(true, spared), '"BitstringStatusListCredential" not')

    strange = lists(key=STRANGER)
    yield "a stranger's status list", (verify(true, strange), '"BitstringStatusListCredential" not')

    theirs = dict(zip(lists(), lists(issuer=OTHER_ISSUER).values(), strict=True))
    yield "another issuer's status list", (verify(true, theirs), "Issuers of the status list")

    hiding = true | {"credentialStatus": true["credentialStatus"] | {"type": [ENTRY]}}
    yield "a status that is told in another way", (verify(hiding), f'must be "{ENTRY}"')

    none = {name: part for name, part in true.items() if name != "credentialStatus"}
    yield "a status that is left out", (verify(none), "Invalid signature")

    yield "no status list", (verify(true, {}), "Could not load")


def badge(paper: Paper, *, key: SigningKey = KEY) -> Document:
    made = statement_badge if isinstance(paper, Statement) else certification_badge
    method = verification_method(ISSUER.id, key.verifier)
    return signed(made(paper, ISSUER), key, method, paper.issued_at)


def lists(*, issuer: Issuer = ISSUER, key: SigningKey = KEY, number=0, statuses=None) -> Document:
    """A status list of an issuer, signed, at its address."""
    method = verification_method(issuer.id, key.verifier)
    made = status_list(issuer, number, statuses or {}, NOW)
    return {made["id"]: signed(made, key, method, NOW)}


def verify(credential: Document, status_lists: Document | None = None) -> Answer:
    """The case of a credential, with what its addresses answer."""
    keys = [OLD_KEY.verifier, KEY.verifier]
    documents = {one.id: issuer_document(one, keys) for one in (ISSUER, OTHER_ISSUER)}
    documents |= lists() if status_lists is None else status_lists
    return {"ask": "verify", "credential": credential, "documents": documents, "now": NOW}


def sign(document: Document) -> Answer:
    """The case of a document of ours, to be signed again with the same key."""
    method = issuer_document(ISSUER, [KEY.verifier])["verificationMethod"][0]
    secret = multibase(bytes([0x80, 0x26]) + SEED + KEY.verifier.public)
    return {
        "ask": "sign",
        "document": {name: part for name, part in document.items() if name != "proof"},
        "created": document["proof"]["created"],
        "secretKeyMultibase": secret,
        **{name: method[name] for name in ("id", "controller", "publicKeyMultibase")},
    }
