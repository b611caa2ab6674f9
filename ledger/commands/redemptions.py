"""What may be asked of the catalogue of rewards, and of the holds by which members redeem."""

from datetime import date, datetime
from typing import Any

from ledger.commands.ask import HOLDS, Command, Keys
from ledger.events import GradeName, RewardKind, Tier


class RewardCommand(Command, kw_only=True):
    """Something asked about one reward."""

    code: str
    organisation: str | None  # whose verifier asks, or for whom; None: for the bank

    def relies_on(self) -> Keys:
        keys = {"reward": f"reward:{self.code}"}
        if self.organisation is not None:
            keys["asking"] = f"organisation:{self.organisation}"
        return keys


class AddReward(RewardCommand, kw_only=True):
    """Put a reward into the catalogue."""

    name: str
    kind: RewardKind
    credits: int
    stock: int | None = None
    min_age: int | None = None
    min_stars: int | None = None
    tier: Tier | None = None
    grade: GradeName | None = None
    organisations: tuple[str, ...] | None = None

    def relies_on(self) -> Keys:
        keys = super().relies_on()
        for number, code in enumerate(self.organisations or ()):
            keys[f"known_to_{number}"] = f"organisation:{code}"
        return keys


class RestockReward(RewardCommand, kw_only=True):
    """There are so many more of a reward."""

    quantity: int

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "stock": f"balance:stock:{self.code}"}


class WithdrawReward(RewardCommand, kw_only=True):
    """Let nobody redeem a reward any more."""

    reason: str


class ReserveRedemption(Command, kw_only=True):
    """Hold a member's credits for a reward."""

    redemption_id: str
    member_id: str
    organisation: str | None  # whose poster asks; None: the member, or an administrator
    reward: str
    quantity: int = 1
    provider_id: str | None = None
    born_on: date | None = None  # out of the vault; the fact tells a yes alone

    def relies_on(self) -> Keys:
        keys = {
            "redemption": f"redemption:{self.redemption_id}",
            "member": f"member:{self.member_id}",
            "account": f"account:{self.member_id}",
            "reward": f"reward:{self.reward}",
            "stock": f"balance:stock:{self.reward}",
            "grade": f"grade:member:{self.member_id}",
            "career": f"career:{self.member_id}",
            "policies": "policies",
        }
        if self.provider_id is not None:
            keys["provider"] = f"member:{self.provider_id}"
        if self.organisation is not None:
            keys["asking"] = f"organisation:{self.organisation}"
        return keys


class RedemptionCommand(Command, kw_only=True):
    """Something asked about one redemption."""

    redemption_id: str

    def relies_on(self) -> Keys:
        return {"redemption": f"redemption:{self.redemption_id}"}


class FulfilRedemption(RedemptionCommand, kw_only=True):
    """Pay what is held, or a part of it; the rest is available again."""

    organisation: str | None  # whose poster asks; None: an administrator
    credits: int | None = None  # None: all
    provider_id: str | None = None  # None: as reserved

    def relies_on(self) -> Keys:
        keys = {**super().relies_on(), "policies": "policies"}
        if self.organisation is not None:
            keys["asking"] = f"organisation:{self.organisation}"
        return keys

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        reserved = states["redemption"].reserved
        if reserved is None or "provider" in states:
            return {}
        provider_id = self.provider_id or reserved.provider_id
        if provider_id is None:
            return {}
        return {"provider": f"member:{provider_id}", "paid": f"account:{provider_id}"}


class CancelRedemption(RedemptionCommand, kw_only=True):
    """Let what is held be available again."""

    organisation: str | None  # whose poster asks; None: an administrator
    reason: str


class ExpireRedemption(RedemptionCommand, kw_only=True):
    """End a hold whose date has come by an instant's, as the job does."""

    as_of: datetime

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "job": f"job:{HOLDS}", "policies": "policies"}
