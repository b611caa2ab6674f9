"""Facts about the keys that sign the log's checkpoints."""

from ledger.events.facts import Event


class SigningKeyRotated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """From here on another key signs; the log itself hands on whoever trusts the one before.

    The first checkpoint that covers this fact bears both signatures, unless the key before is
    `lost`: to nobody's hand, or to a hand that it should not be in.
    """

    stream_prefix, stream_key = "signing_keys", ""
    key: str  # a verifier key, `<name>+<key id>+<base64>` (C2SP signed-note)
    replaces: str  # likewise
    lost: bool = False
