"""Facts that move credits otherwise than by service: transfers, expiry, freezing."""

from ledger.events.facts import Event, Line, account_streams


class Transfer(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Credits change hands; what a person receives is a lot of the date `on`."""

    stream_prefix, stream_key = "transfer", "transfer_id"
    transfer_id: str
    credits: int
    reason: str


class Moved(Transfer, frozen=True, kw_only=True, omit_defaults=True):
    """A transfer that has moved credits, with its lines."""

    on: str  # the local date of recording
    entries: tuple[Line, ...]
    expires_on: str | None = None  # of what persons receive

    @property
    def also_in(self) -> tuple[str, ...]:
        own = self.stream
        return tuple(stream for stream in account_streams(self.entries) if stream != own)


class CreditsGiven(Moved, frozen=True, kw_only=True, omit_defaults=True):
    """A gift to a person whose relation to the giver is recorded."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str  # the giver
    to: str
    relation: str


class CreditsDonated(Moved, frozen=True, kw_only=True, omit_defaults=True):
    """A person's credits go to a pool."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str
    to: str  # the pool's account


class CreditsInherited(Moved, frozen=True, kw_only=True, omit_defaults=True):
    """The credits of a person who has died go to the heirs."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str


class CreditsAllocated(Moved, frozen=True, kw_only=True, omit_defaults=True):
    """A pool's credits go to persons or other pools."""

    source: str  # the pool's account


class GrantProposed(Transfer, frozen=True, kw_only=True, omit_defaults=True):
    """One administrator wants a fund to issue credits; another has to approve."""

    fund: str
    shares: tuple[Line, ...]  # what each account would receive


class GrantApproved(Moved, frozen=True, kw_only=True, omit_defaults=True):
    """A fund has issued credits, by the word of a second administrator."""

    fund: str


class CreditsFrozen(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Some of what is available cannot be spent until it is unfrozen; its lots are kept."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str
    credits: int
    reason: str
    entries: tuple[Line, ...]


class CreditsUnfrozen(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Some of what was frozen is available again, as the lots that it was."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str
    credits: int
    entries: tuple[Line, ...]
    reason: str | None = None


class CreditsExpired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What was left of the lots that expire on or before a date is gone."""

    stream_prefix, stream_key = "account", "member_id"
    member_id: str
    as_of: str  # a date
    credits: int  # what is gone
    entries: tuple[Line, ...]
