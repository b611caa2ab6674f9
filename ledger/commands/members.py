"""What may be asked about members and their accounts as a whole."""

from datetime import date, datetime

from ledger.commands.ask import AGES, Command, Keys
from ledger.events import ConsentPurpose, ErasureReason, MemberRole


class RegisterMember(Command, kw_only=True):
    """Open the account of a person whom the vault knows under this id."""

    member_id: str
    organisation: str
    roles: tuple[MemberRole, ...]
    unit: str
    born_on: date | None = None  # of the vault: it tells the age band and enters no event

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "home": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
            "policies": "policies",
        }


class JoinMember(Command, kw_only=True):
    """Make a member known to a further organisation, on the person's consent."""

    member_id: str
    organisation: str
    consent_ref: str | None = None  # needed unless the organisation has joined already

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "joining": f"organisation:{self.organisation}",
        }


class ChangeMember(Command, kw_only=True):
    """Change roles or unit; `person` tells that the vault's fields change with it."""

    member_id: str
    organisation: str | None  # None: asked by an administrator
    roles: tuple[MemberRole, ...] | None = None
    unit: str | None = None
    person: bool = False
    born_on: date | None = None  # of the person as changed: it enters no event

    def relies_on(self) -> Keys:
        keys = {"member": f"member:{self.member_id}", "policies": "policies"}
        if self.unit is not None:
            keys["seat"] = f"unit:{self.unit}"
        return keys


class RecordRelation(Command, kw_only=True):
    """Say what another member is to a member."""

    member_id: str
    organisation: str | None  # None: asked by an administrator
    relation: str
    to: str
    evidence_ref: str

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}", "other": f"member:{self.to}"}


class CloseAccount(Command, kw_only=True):
    """End an account on which nothing is left."""

    member_id: str
    reason: str

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}", "account": f"account:{self.member_id}"}


class ErasePerson(Command, kw_only=True):
    """Say that the vault holds nothing about who a member is any more."""

    member_id: str
    reason: ErasureReason

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}"}


class ReachAgeBand(Command, kw_only=True):
    """Say to which age band a member has come, if it is another than the one told last."""

    member_id: str
    born_on: date  # of the vault; it enters no event
    as_of: datetime

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "job": f"job:{AGES}",
            "policies": "policies",
        }


class GiveConsent(Command, kw_only=True):
    """Let an organisation do something with what it knows of a person."""

    member_id: str
    organisation: str | None = None  # None: the home organisation
    asker: str | None  # the organisation that asks; None: the member, or an administrator
    purpose: ConsentPurpose
    consent_ref: str

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}"}


class WithdrawConsent(Command, kw_only=True):
    """Let it do that no more."""

    member_id: str
    organisation: str | None = None  # None: every organisation to which it was given
    asker: str | None
    purpose: ConsentPurpose

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}"}
