"""What may be asked of credits otherwise than by service: transfers, freezing, expiry."""

from datetime import datetime
from typing import Any

import msgspec

from ledger.commands.ask import EXPIRY, Command, Keys


class Move(Command, kw_only=True):
    """Move credits out of a member's account or a pool."""

    transfer_id: str
    credits: int
    reason: str


class GiveCredits(Move, kw_only=True):
    """A gift to a recorded relation."""

    member_id: str  # the giver
    organisation: str | None  # whose verifier asks; None: the giver, or an administrator
    to: str

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "other": f"member:{self.to}",
            "account": f"account:{self.member_id}",
            "policies": "policies",
        }


class DonateCredits(Move, kw_only=True):
    """A gift to a pool."""

    member_id: str
    organisation: str | None  # whose verifier asks; None: the giver, or an administrator
    to: str  # the pool's account

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "account": f"account:{self.member_id}",
            "policies": "policies",
            **_pool_owner("owner", self.to),
        }


class Share(msgspec.Struct, frozen=True):
    """One of those who receive, with a weight among them."""

    to: str  # an account
    weight: int


class Deal(Move, kw_only=True):
    """Deal credits out by weights."""

    shares: tuple[Share, ...]

    def receivers(self) -> Keys:
        """What tells whether each of those named may receive."""
        keys: Keys = {}
        for number, share in enumerate(self.shares):
            kind, _, rest = share.to.partition(":")
            if kind == "person":
                keys[f"receiver_{number}"] = f"member:{rest.partition(':')[0]}"
            else:
                keys |= _pool_owner(f"receiver_{number}", share.to)
        return keys


class InheritCredits(Deal, kw_only=True):
    """Deal the credits of a person who has died out to the heirs."""

    member_id: str

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "account": f"account:{self.member_id}",
            "policies": "policies",
            **self.receivers(),
        }


class AllocateCredits(Deal, kw_only=True):
    """Deal a pool's credits out."""

    source: str  # the pool's account

    def relies_on(self) -> Keys:
        return {
            "pool": f"balance:{self.source}",
            "policies": "policies",
            **_pool_owner("owner", self.source),
            **self.receivers(),
        }


class ProposeGrant(Deal, kw_only=True):
    """Want a fund to issue credits."""

    fund: str

    def relies_on(self) -> Keys:
        return {
            "issued": f"balance:issue:grant:{self.fund}",
            "policies": "policies",
            **self.receivers(),
        }


class ApproveGrant(Command, kw_only=True):
    """Let a fund issue what another administrator has proposed."""

    transfer_id: str
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"grant": f"transfer:{self.transfer_id}", "policies": "policies"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        proposed = states["grant"].proposed
        if proposed is None or "proposer" in states:
            return {}
        keys = {
            "issued": f"balance:issue:grant:{proposed.fund}",
            "proposer": f"actor:{proposed.actor}",
        }
        for number, (account, _) in enumerate(proposed.shares):
            kind, _, rest = account.partition(":")
            if kind == "person":
                keys[f"receiver_{number}"] = f"member:{rest.partition(':')[0]}"
        return keys


class FreezeCredits(Command, kw_only=True):
    """Keep some of what is available from being spent; None: all of it."""

    member_id: str
    credits: int | None
    reason: str

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}", "account": f"account:{self.member_id}"}


class UnfreezeCredits(Command, kw_only=True):
    """Make some of what is frozen available again; None: all of it."""

    member_id: str
    credits: int | None
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"member": f"member:{self.member_id}", "account": f"account:{self.member_id}"}


class ExpireCredits(Command, kw_only=True):
    """Take what is left of the lots that expire by an instant's date, as the expiry job does."""

    member_id: str
    as_of: datetime

    def relies_on(self) -> Keys:
        return {
            "account": f"account:{self.member_id}",
            "job": f"job:{EXPIRY}",
            "policies": "policies",
        }


def _pool_owner(name: str, account: str) -> Keys:
    """The organisation whose pool an account is; none where it is nobody's own."""
    kind, _, rest = account.partition(":")
    return {name: f"organisation:{rest.partition(':')[0]}"} if kind == "org" else {}
