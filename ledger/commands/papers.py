"""What may be asked about papers: service statements and credentials."""

from datetime import date

from ledger.commands.ask import Command, Keys


class IssueStatement(Command, kw_only=True):
    """State what an organisation has verified of a member's services from a date to a date."""

    number: str
    code_digest: str  # empty: nobody is held under the member's id, so none can be made
    member_id: str
    organisation: str | None  # None: the member's home organisation
    named: bool = False  # by whoever asks, who may name a wrong one
    first: date
    last: date

    def relies_on(self) -> Keys:
        return {
            "statement": f"statement:{self.number}",
            "member": f"member:{self.member_id}",
            "services": f"services:{self.member_id}",
            "policies": "policies",
        }


class RevokeStatement(Command, kw_only=True):
    """Take a statement back."""

    number: str
    organisation: str | None  # None: asked by an administrator
    reason: str

    def relies_on(self) -> Keys:
        return {"statement": f"statement:{self.number}"}


class IssueCredential(Command, kw_only=True):
    """Attest a certification as it stands."""

    number: str
    certification_id: str
    organisation: str | None  # None: asked by an administrator
    member_id: str | None = None  # the member who asks

    def relies_on(self) -> Keys:
        return {
            "credential": f"credential:{self.number}",
            "certification": f"certification:{self.certification_id}",
            "policies": "policies",
        }


class RevokeCredential(Command, kw_only=True):
    """Take a credential back."""

    number: str
    organisation: str | None  # None: asked by an administrator
    reason: str

    def relies_on(self) -> Keys:
        return {"credential": f"credential:{self.number}"}
