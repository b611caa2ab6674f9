"""The office that hands papers out: finds them, spells their codes, signs them as credentials."""

import base64
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ledger import checkpoints, store
from ledger.keys_file import KeysUnusable
from ledger.notes import SigningKey, VerifierKey
from ledger.opening import Ledger
from ledger.paper_numbers import code_of
from ledger.refusals import Language
from ledger.units import Refused
from ledger.vault import Vault
from projections import directory
from projections.listing import Item
from projections.page import published
from projections.papers import issued, issuers, linked_data
from projections.papers.badges import certification_badge, statement_badge
from projections.papers.content import Certification, Statement
from projections.papers.issuers import Issuer
from projections.papers.linked_data import Document
from projections.papers.pdf import Holder, statement_pdf
from projections.signing import OtherSigningKey, Signer


class Found(NamedTuple):
    """A paper that whoever asks may see."""

    kind: issued.Kind
    row: Any
    leaf_hash: str  # of its entry in the log, base64

    @property
    def paper(self) -> Any:
        """What stands in it."""
        return self.kind.paper(self.row, self.leaf_hash)

    @property
    def told(self) -> Item:
        """What is told of it."""
        return self.kind.told(self.row) | {"leaf_hash": self.leaf_hash}


def code_of_paper(vault: Vault, member_id: str, number: str) -> str | None:
    """The code of a member's paper; None where nobody is held under the id (any more).

    It is derived from the person's key: whoever erases the key has erased every code, and the
    papers that are out can still be verified by the digest in the log.
    """
    secret = vault.secret_of(member_id, f"code {number}")
    return None if secret is None else code_of(secret)


class Office:
    """Of one open ledger; `address` is where the world finds it, without a slash at its end.

    Every method waits for a database: it is called in a thread.
    """

    def __init__(self, ledger: Ledger, signer: Signer, address: str) -> None:
        self.address = address
        self._ledger = ledger
        self._signer = signer

    def find(
        self,
        kind: issued.Kind,
        number: str,
        organisation: str | None = None,
        member_id: str | None = None,
    ) -> Found | None:
        """The paper of a number, if it is among those that may be seen."""
        with self._ledger.views_engine.connect() as connection:
            row = issued.find(connection, kind, number, organisation, member_id)
        if row is None:
            return None
        with self._ledger.store.reading() as journal:
            (entry,) = store.read_positions(journal, [row.position])
        return Found(kind, row, base64.b64encode(entry.leaf_hash).decode())

    def code(self, member_id: str, number: str) -> str | None:
        """The code of a member's paper; None where nobody is held under the id (any more)."""
        if self._is_erased(member_id):
            return None
        return code_of_paper(self._ledger.vault, member_id, number)

    def verify_url(self, number: str, code: str) -> str:
        """Where anybody verifies a paper."""
        return f"{self.address}/verify/{number}?code={code}"

    # -- on paper ------------------------------------------------------------------------------

    def statement_pdf(self, paper: Statement, holder: Holder | None, language: Language) -> bytes:
        """A statement as a PDF; Refused where its code cannot be told any more."""
        code = self.code(paper.member_id, paper.number)
        if code is None:
            raise Refused("person_erased")
        url = self.verify_url(paper.number, code)
        return statement_pdf(paper, code=code, verify_url=url, holder=holder, language=language)

    def holder(self, member_id: str) -> Holder | None:
        """Whom a paper is about, for those who may know; None where no name is held."""
        held = self._ledger.vault.read_in_full(member_id)
        if held is None or held.person.name is None or self._is_erased(member_id):
            return None
        return Holder(held.person.name, held.person.masked().document_number)

    # -- credentials ---------------------------------------------------------------------------

    def credential(self, paper: Statement | Certification) -> Document:
        """A paper as a credential, signed by the key in force."""
        with self._ledger.views_engine.connect() as connection:
            issuer = self.issuer(connection, paper.organisation)
        assert issuer is not None  # noqa: S101  (it has issued the paper)
        badge = (
            statement_badge(paper, issuer)
            if isinstance(paper, Statement)
            else certification_badge(paper, issuer)
        )
        return self.signed(badge, issuer, paper.issued_at)

    def signed(self, document: Document, issuer: Issuer, created: str) -> Document:
        """The document with the proof of the key in force."""
        key = self._key_in_force()
        method = issuers.verification_method(issuer.id, key.verifier)
        return linked_data.signed(document, key, method, created)

    def issuer(self, connection: Connection, code: str) -> Issuer | None:
        """An organisation as an issuer; None where there is none of that code."""
        found = directory.organisation(connection, code)
        if found is None:
            return None
        zone = published(connection).recording(self._ledger.committer.clock()).zone
        return Issuer(base=self.address, code=code, name=found["name"], zone=zone)

    def _is_erased(self, member_id: str) -> bool:
        """Was the member erased, though an old vault that was restored may hold them again?"""
        with self._ledger.views_engine.connect() as connection:
            member = directory.member(connection, member_id)
        return member is not None and member["erased_at"] is not None

    def _key_in_force(self) -> SigningKey:
        """The key that signs; Refused where another is at hand."""
        try:
            return self._signer.key_in_force()
        except (OtherSigningKey, KeysUnusable):
            raise Refused("signing_key_not_in_force") from None

    def keys(self) -> list[VerifierKey]:
        """The keys whose proofs are trusted, the one in force last; lost ones are not."""
        in_force = self._key_in_force().verifier
        with self._ledger.store.reading() as journal:
            lasting = checkpoints.lasting_keys(journal)
        return [*(key for key in lasting if key != in_force), in_force]
