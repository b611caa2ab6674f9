"""The succession of the keys that sign the log's checkpoints."""

from ledger.commands import RotateSigningKey
from ledger.events import Event, SigningKeyRotated
from ledger.units import Refused


class SigningKeys:
    """The keys that the log has named, and the one in force; none before the first rotation."""

    def __init__(self) -> None:
        self.in_force: str | None = None
        self.named: set[str] = set()

    def apply(self, event: Event, position: int) -> None:
        """Fold a rotation."""
        if isinstance(event, SigningKeyRotated):
            self.in_force = event.key
            self.named |= {event.key, event.replaces}


def rotate_signing_key(command: RotateSigningKey, signing_keys: SigningKeys) -> list[Event]:
    """One key follows another; a key that has had its time never comes back."""
    if signing_keys.in_force not in (None, command.replaces):
        raise Refused("signing_key_not_in_force")
    if command.key in {*signing_keys.named, command.replaces}:
        raise Refused("signing_key_used_before")
    return [SigningKeyRotated(key=command.key, replaces=command.replaces, lost=command.lost)]
