"""What one may ask about the keys that sign the log's checkpoints."""

from ledger.commands.ask import Command, Keys


class RotateSigningKey(Command, kw_only=True):
    """Let another key sign from here on; both are verifier keys."""

    key: str
    replaces: str
    lost: bool = False

    def relies_on(self) -> Keys:
        return {"signing_keys": "signing_keys"}
