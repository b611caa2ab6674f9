"""Facts about spending: the catalogue of rewards, and the holds by which members redeem them."""

from ledger.events.facts import Event, GradeName, Line, RewardKind, Tier, account_streams


class RewardEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one reward of the catalogue."""

    stream_prefix, stream_key = "reward", "code"
    code: str
    organisation: str | None = None  # whose reward it is; None: the bank's


class RewardAdded(RewardEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A reward stands in the catalogue; who may redeem it is none but those who meet every gate."""

    name: str
    kind: RewardKind
    credits: int  # the price of one
    stock: int | None = None  # None: not counted
    min_age: int | None = None  # in years
    min_stars: int | None = None
    tier: Tier | None = None  # this one or a higher
    grade: GradeName | None = None  # this one or a better
    organisations: tuple[str, ...] | None = None  # that the member is known to one of

    @property
    def stock_lines(self) -> tuple[Line, ...]:
        return ((f"stock:{self.code}", self.stock),) if self.stock else ()


class RewardRestocked(RewardEvent, frozen=True, kw_only=True, omit_defaults=True):
    """There are so many more of a reward."""

    quantity: int

    @property
    def stock_lines(self) -> tuple[Line, ...]:
        return ((f"stock:{self.code}", self.quantity),)


class RewardWithdrawn(RewardEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody redeems the reward any more; what is reserved stays so."""

    reason: str


class RedemptionEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one redemption: a member's credits are held for a reward, or no longer."""

    stream_prefix, stream_key = "redemption", "redemption_id"
    redemption_id: str
    member_id: str  # who redeems
    organisation: str  # the member's home
    reward: str
    entries: tuple[Line, ...]

    @property
    def also_in(self) -> tuple[str, ...]:
        return account_streams(self.entries)


class RedemptionReserved(RedemptionEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Credits are held for a reward until it is given, or until a date."""

    kind: RewardKind
    quantity: int
    credits: int  # held: the price of all
    expires_on: str  # from then on the hold may be ended by the job
    reward_organisation: str | None = None
    provider_id: str | None = None  # of a peer service, where it is known already
    age_met: bool | None = None  # the vault's yes, where an age is asked
    counted: bool | None = None  # the quantity is out of a stock

    @property
    def stock_lines(self) -> tuple[Line, ...]:
        return ((f"stock:{self.reward}", -self.quantity),) if self.counted else ()


class HoldEnded(RedemptionEvent, frozen=True, kw_only=True, omit_defaults=True):
    """What was held is paid or available again, as the lots that it was."""

    released: int | None = None  # what is available again
    restocked: int | None = None  # how many are in stock again

    @property
    def stock_lines(self) -> tuple[Line, ...]:
        return ((f"stock:{self.reward}", self.restocked),) if self.restocked else ()


class RedemptionFulfilled(HoldEnded, frozen=True, kw_only=True, omit_defaults=True):
    """The reward was given: for a peer service the provider is paid, else the credits are gone."""

    credits: int  # what was paid
    on: str  # the local date of recording
    provider_id: str | None = None
    expires_on: str | None = None  # of the lot that the provider received
    corrects: str | None = None  # the record whose reversal, just before, gave the payment back


class RedemptionCancelled(HoldEnded, frozen=True, kw_only=True, omit_defaults=True):
    """The reward is not given."""

    reason: str


class RedemptionExpired(HoldEnded, frozen=True, kw_only=True, omit_defaults=True):
    """The reward was not given in time."""

    as_of: str  # a date
