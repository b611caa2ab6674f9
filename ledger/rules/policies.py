"""Publishing of policies: past and future dates alike, never an edit."""

from ledger.commands import PublishPolicy
from ledger.events import Event, PolicyPublished
from ledger.policy import Policies, completed, wrong_shapes
from ledger.units import Refused


def publish_policy(command: PublishPolicy, policies: Policies) -> list[Event]:
    """Give keys new values from a date on; figures already recorded stay as they are."""
    for wrong in wrong_shapes(command.changes):
        raise Refused("invalid_policy", pointer=f"/changes{wrong.path}", problem=wrong.problem)
    return [
        PolicyPublished(
            version=policies.version + 1,
            effective_on=command.effective_on.isoformat(),
            changes=completed(command.changes),
            note=command.note,
        )
    ]
