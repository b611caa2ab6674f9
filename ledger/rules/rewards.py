"""The catalogue of rewards: what each costs, and who may redeem it."""

from datetime import date

from ledger.commands import AddReward, RestockReward, RewardCommand, WithdrawReward
from ledger.events import Event, RewardAdded, RewardRestocked, RewardWithdrawn
from ledger.policy import Recording, stars_for
from ledger.rules.ages import age
from ledger.rules.career import Career
from ledger.rules.grading import Grade
from ledger.rules.ladder import is_at_least, standing
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.shared_balances import SharedBalance
from ledger.rules.time_account import TimeAccount
from ledger.units import Refused


class Reward:
    """One reward, as far as the rules care; how many are left is a shared balance."""

    def __init__(self) -> None:
        self.added: RewardAdded | None = None
        self.withdrawn = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this reward."""
        self.position = position
        match event:
            case RewardAdded():
                self.added = event
            case RewardWithdrawn():
                self.withdrawn = True


def add_reward(
    command: AddReward, reward: Reward, asking: Organisation | None = None, **known_to: Organisation
) -> list[Event]:
    """Put a reward into the catalogue, an organisation's own or the bank's."""
    _asking_or_refuse(asking, command.organisation)
    for number, code in enumerate(command.organisations or ()):
        if known_to[f"known_to_{number}"].added is None:
            pointer = f"/eligibility/organisations/{number}"
            raise Refused("not_found", pointer=pointer, what=code)
    if reward.added is not None:
        raise Refused("code_taken", pointer="/code", what=command.code)
    return [
        RewardAdded(
            code=command.code,
            organisation=command.organisation,
            name=command.name,
            kind=command.kind,
            credits=command.credits,
            stock=command.stock,
            min_age=command.min_age,
            min_stars=command.min_stars,
            tier=command.tier,
            grade=command.grade,
            organisations=command.organisations,
        )
    ]


def restock_reward(
    command: RestockReward,
    reward: Reward,
    stock: SharedBalance,  # after the fact: what the answer tells
    asking: Organisation | None = None,
) -> list[Event]:
    """Add to the stock of a reward that has one."""
    added = _own_or_refuse(command, reward, asking)
    if reward.withdrawn:
        raise Refused("wrong_state", before="withdrawn", after="restocked")
    if added.stock is None:
        raise Refused("no_stock_counted")
    return [
        RewardRestocked(
            code=command.code, organisation=added.organisation, quantity=command.quantity
        )
    ]


def withdraw_reward(
    command: WithdrawReward, reward: Reward, asking: Organisation | None = None
) -> list[Event]:
    """Let nobody redeem a reward any more."""
    added = _own_or_refuse(command, reward, asking)
    if reward.withdrawn:
        raise Refused("wrong_state", before="withdrawn", after="withdrawn")
    return [
        RewardWithdrawn(code=command.code, organisation=added.organisation, reason=command.reason)
    ]


def unmet_gates(
    reward: RewardAdded,
    member: Member,
    account: TimeAccount,
    grade: Grade,
    career: Career,
    recording: Recording,
    born_on: date | None,
) -> list[str]:
    """What a member lacks to redeem a reward: by the policy for all, and by the reward's own."""
    today, asked = recording.today, recording.values["redeem_eligibility"]
    min_stars = max(asked.get("min_stars") or 0, reward.min_stars or 0)
    min_age = max(asked.get("min_age") or 0, reward.min_age or 0)
    unmet = []
    if stars_for(account.minutes, recording.values) < min_stars:
        unmet.append(f"min_stars {min_stars}")
    if min_age and (born_on is None or age(born_on, today) < min_age):
        unmet.append(f"min_age {min_age}")
    colour = grade.in_force(today)
    if reward.tier is not None:
        ladder = recording.values["ladder"]
        tier = standing(career, ladder, today, career.points, colour).tier
        if not is_at_least(tier, reward.tier):
            unmet.append(f"tier {reward.tier}")
    if reward.grade is not None and (colour or "UNGRADED") > reward.grade:
        unmet.append(f"grade {reward.grade}")  # G1 is the best, and UNGRADED is none of them
    if reward.organisations is not None and not set(reward.organisations) & set(
        member.organisations
    ):
        unmet.append("organisations")
    return unmet


def _own_or_refuse(
    command: RewardCommand, reward: Reward, asking: Organisation | None
) -> RewardAdded:
    """The reward, where it is the asker's own."""
    if reward.added is None:
        raise Refused("not_found", what=command.code)
    if not command.by_admin and reward.added.organisation != command.organisation:
        raise Refused("forbidden")
    _asking_or_refuse(asking, command.organisation)
    return reward.added


def _asking_or_refuse(asking: Organisation | None, code: str | None) -> None:
    """Pass where the organisation that asks is there and may post."""
    if asking is not None and asking.added is None:
        raise Refused("not_found", pointer="/organisation", what=code)
    if asking is not None and asking.suspended:
        raise Refused("organisation_suspended", organisation=code)
