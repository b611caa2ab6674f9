"""What pays for a service otherwise than by new credits: somebody's redemption, or their order."""

from typing import NamedTuple, Protocol

from ledger.events import Event
from ledger.policy import Recording
from ledger.rules.time_account import TimeAccount


class Payment(NamedTuple):
    """The lot that a provider was paid as."""

    on: str  # its date
    position: int


class Paying(Protocol):
    """Credits that were held for a service, and what they have paid."""

    paid: int  # and not given back
    payment: Payment | None  # the last one

    @property
    def payer_id(self) -> str | None:
        """Whose credits they were; None: there are none."""

    def pay_again(
        self,
        credits: int,
        held: int,
        provider_id: str,
        account: TimeAccount,
        recording: Recording,
        corrects: str,
    ) -> Event:
        """The fact that so much of what a reversal just gave back pays for the replacement."""
