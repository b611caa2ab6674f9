"""The demo's spending: a catalogue, and members who redeem, are served, change their minds."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from ledger.commands import (
    AddReward,
    CancelRedemption,
    Command,
    FulfilRedemption,
    ReserveRedemption,
    RestockReward,
    Stamp,
)
from ledger.desk import Done
from ledger.events import HoursVerified, RedemptionFulfilled, RedemptionReserved
from ledger.units import new_id
from scripts.invented import PEER_SERVICE

if TYPE_CHECKING:
    from scripts.demo_past import Past, Somebody

CATALOGUE: tuple[dict[str, Any], ...] = (
    {"code": "companion", "name": "陪伴聊天", "kind": "peer_service", "credits": 60},
    {"code": "haircut", "name": "上门理发", "kind": "peer_service", "credits": 30},
    {"code": "cleaning", "name": "家庭保洁", "kind": "peer_service", "credits": 60},
    {"code": "rice-5kg", "name": "大米 5 千克", "kind": "benefit", "credits": 120},
    {"code": "health-check", "name": "体检一次", "kind": "benefit", "credits": 180},
    {"code": "exhibition", "name": "展览门票", "kind": "benefit", "credits": 45},
)
FOR_ELDERS: dict[str, Any] = {
    "code": "elder-meal",
    "name": "长者助餐一周",
    "kind": "benefit",
    "credits": 150,
    "min_age": 60,
}
RESTOCK_DAYS = 30
CANCELLED, EXPIRED = 0.07, 0.06
IN_PART, POSTED = 0.2, 0.7
PART_LEFT = 15  # credits that a fulfilment in part leaves


class Spending:
    """Who has earned spends now and then; what is planned here is asked with all the rest."""

    def __init__(self, past: "Past", redemptions_a_day: float) -> None:
        self._past = past
        self._rng: Random = past.rng
        self._a_day = redemptions_a_day
        self._stock = max(10, int(redemptions_a_day * RESTOCK_DAYS))  # of each benefit, a month
        self._savers: dict[str, Somebody] = {}
        self._redeeming: dict[str, Somebody] = {}

    def catalogue(self, stamp: Callable[[], Stamp]) -> Iterator[Command]:
        """What is offered: by the bank, as all of it is for everybody."""
        for offered in (*CATALOGUE, FOR_ELDERS):
            stock = self._stock if offered["kind"] == "benefit" else None
            yield AddReward(**stamp(), organisation=None, stock=stock, **offered)

    def restocked(self, stamp: Callable[[], Stamp]) -> Iterator[Command]:
        """As many of each benefit again."""
        for offered in CATALOGUE:
            if offered["kind"] == "benefit":
                yield RestockReward(
                    **stamp(), code=offered["code"], organisation=None, quantity=self._stock
                )

    def live_through(self, day: date) -> None:
        """Let some of those who have earned want something on a day."""
        savers = list(self._savers.values())
        for _ in range(int(self._a_day + self._rng.random()) if savers else 0):
            somebody = self._rng.choice(savers)
            offered = self._rng.choice(CATALOGUE)
            id, home = new_id(), somebody.home
            self._redeeming[id] = somebody
            self._past.plan(
                self._past.moment_on(day),
                ReserveRedemption(
                    **home.by_poster(),
                    redemption_id=id,
                    member_id=somebody.id,
                    organisation=home.organisation.code,
                    reward=offered["code"],
                    quantity=self._rng.choice((1, 1, 1, 2)),
                ),
            )

    def heard(self, done: Done) -> None:
        """What follows from a fact: a saver, an end of a hold, the hours of a peer service."""
        for entry in done.entries:
            match entry.event:
                case HoursVerified(capacity="volunteer") as event if event.credits:
                    self._savers.setdefault(event.member_id, self._past.members[event.member_id])
                case RedemptionReserved() as event:
                    self._end(event)
                case RedemptionFulfilled(provider_id=str(provider_id), corrects=None) as event:
                    self._serve(event, provider_id)

    def _end(self, reserved: RedemptionReserved) -> None:
        rng, past = self._rng, self._past
        somebody = self._redeeming.pop(reserved.redemption_id)
        home = somebody.home
        said: dict[str, Any] = {
            **home.by_poster(),
            "redemption_id": reserved.redemption_id,
            "organisation": home.organisation.code,
        }
        at = past.later(rng.randint(1, 9))
        chance = rng.random()
        if chance < EXPIRED:
            return
        if chance < EXPIRED + CANCELLED:
            past.plan(at, CancelRedemption(**said, reason="临时有事"))
            return
        provider, credits = None, None
        if reserved.kind == "peer_service":
            others = [each for each in past.volunteers_of(home) if each is not somebody]
            if not others:
                return
            provider = rng.choice(others).id
            credits = reserved.credits - PART_LEFT if rng.random() < IN_PART else None
        past.plan(at, FulfilRedemption(**said, credits=credits, provider_id=provider))

    def _serve(self, paid: RedemptionFulfilled, provider_id: str) -> None:
        """The hours that were paid for, on the day before."""
        if self._rng.random() >= POSTED:
            return
        day = date.fromisoformat(paid.on) - timedelta(days=1)
        start = self._past.at(day, self._rng.choice(PEER_SERVICE.hours))
        end: datetime = start + timedelta(minutes=paid.credits + self._rng.choice((0, 0, 15)))
        self._past.post_paid(provider_id, start, end, paid.redemption_id)
