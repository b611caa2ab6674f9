"""Credentials of certifications: an organisation attests what it has verified, as it stands."""

from ledger.commands import IssueCredential, RevokeCredential
from ledger.events import CredentialIssued, CredentialRevoked, Event
from ledger.policy import Policies
from ledger.rules.certifications import REGISTERED, Certification
from ledger.units import Refused


class Credential:
    """One credential as it stands."""

    def __init__(self) -> None:
        self.issued: CredentialIssued | None = None
        self.status = ""
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about it."""
        self.position = position
        match event:
            case CredentialIssued():
                self.issued, self.status = event, "valid"
            case CredentialRevoked():
                self.status = "revoked"


def issue_credential(
    command: IssueCredential,
    credential: Credential,
    certification: Certification,
    policies: Policies,
) -> list[Event]:
    """Attest a certificate that was verified, with its registration where that is in force."""
    submitted = certification.submitted
    if (
        submitted is None
        or command.organisation not in (None, submitted.organisation)
        or command.member_id not in (None, submitted.member_id)
    ):
        raise Refused("not_found", what=command.certification_id)
    if credential.issued is not None:
        raise Refused("number_taken")
    today = policies.recording(command.at).today.isoformat()
    registered = certification.status in REGISTERED
    over = registered and certification.last < today
    if over or certification.status not in ("verified", *REGISTERED):
        before = "lapsed" if over else certification.status
        raise Refused("wrong_state", before=before, after="attested")
    return [
        CredentialIssued(
            number=command.number,
            member_id=submitted.member_id,
            organisation=submitted.organisation,
            certification_id=submitted.certification_id,
            level=submitted.level,
            obtained_on=submitted.obtained_on,
            issued_on=today,
            in_force_from=certification.first if registered else None,
            in_force_to=certification.last if registered else None,
        )
    ]


def revoke_credential(command: RevokeCredential, credential: Credential) -> list[Event]:
    """Take back a credential that is valid."""
    issued = credential.issued
    if issued is None or command.organisation not in (None, issued.organisation):
        raise Refused("not_found", what=command.number)
    if credential.status != "valid":
        raise Refused("wrong_state", before=credential.status, after="revoked")
    return [
        CredentialRevoked(
            number=issued.number,
            member_id=issued.member_id,
            organisation=issued.organisation,
            reason=command.reason,
        )
    ]
