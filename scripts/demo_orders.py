"""The demo's orders: found in the grid, assessed, dispatched, served, rated, some disputed."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from ledger.commands import (
    AcceptOrder,
    AdvanceProject,
    AssessNeed,
    BeginProject,
    CheckInOrder,
    CheckOutOrder,
    Command,
    DecideOrder,
    DeclineOrder,
    DispatchOrder,
    PlaceOrder,
    RateOrder,
    ReportNeed,
    ResolveNeed,
)
from ledger.desk import Done
from ledger.events import OrderCompleted, OrderDisputed, ProjectStage
from ledger.units import new_id
from scripts.invented import ACTIVITIES

if TYPE_CHECKING:
    from scripts.demo_past import Past, Somebody

HOURS = (8, 9, 13, 14, 15)
STARS = (5, 4, 3, 2, 1)
STAR_WEIGHTS = (62, 27, 7, 3, 1)
NEEDED, DECLINED, LATE, RATED = 0.5, 0.12, 0.1, 0.8
PROJECTS = ("银龄课堂", "邻里互助", "四点半课堂", "暖冬行动")
STAGES: tuple[ProjectStage, ...] = ("design", "implementation", "incubated", "promoted")


class Orders:
    """What is ordered on a day, and becomes of it; asked in the evening with all the rest."""

    def __init__(self, past: "Past", orders_a_day: float) -> None:
        self._past = past
        self._rng: Random = past.rng
        self._a_day = orders_a_day
        self._placed: dict[str, tuple[Somebody, str | None]] = {}

    def projects(self, today: date) -> Iterator[Command]:
        """A few projects, each further than the one before."""
        for number, (title, staff) in enumerate(zip(PROJECTS, self._past.staff, strict=False)):
            id = new_id()
            by: dict[str, Any] = {
                **staff.by_verifier(),
                "project_id": id,
                "organisation": staff.organisation.code,
            }
            yield BeginProject(
                **by, title=title, unit=staff.organisation.unit, category="community", on=today
            )
            for stage in STAGES[: number + 1]:
                yield AdvanceProject(**by, stage=stage, on=today)

    def live_through(self, day: date) -> None:
        """Some are in need on a day."""
        for _ in range(int(self._a_day + self._rng.random())):
            self._order(day)

    def heard(self, done: Done) -> None:
        """Whoever was served rates it; what is disputed is decided by the verifier."""
        for entry in done.entries:
            match entry.event:
                case OrderCompleted() as event:
                    self._end(event.order_id)
                case OrderDisputed() as event:
                    recipient, _ = self._placed.get(event.order_id, (None, None))
                    if recipient is not None:
                        self._decide(event.order_id, recipient)

    def _order(self, day: date) -> None:
        rng, past = self._rng, self._past
        recipient = rng.choice(past.people)
        home = recipient.home
        able = [each for each in past.volunteers_of(home) if each is not recipient]
        if not able:
            return
        volunteer, code = rng.choice(able), home.organisation.code
        activity = rng.choice([each for each in ACTIVITIES if not each.professional])
        start = past.at(day, rng.choice(HOURS))
        if volunteer.busy_until is not None and start < volunteer.busy_until:
            return
        end = start + timedelta(minutes=rng.randrange(*activity.minutes, 5))
        volunteer.busy_until = end
        order_id, need_id = new_id(), self._need(recipient, start)
        chain = home.by_poster()
        placed = PlaceOrder(
            **chain,
            order_id=order_id,
            organisation=code,
            recipient_id=recipient.id,
            activity=activity.name,
            category=activity.category,
            unit=recipient.unit,
            responsible="staff-01",
            planned_from=start,
            planned_to=end,
            need_id=need_id,
            supervisor_id=past.a_supervisor(),
            happened_at=start - timedelta(hours=4),
        )
        about: dict[str, Any] = {**chain, "order_id": order_id, "organisation": code}
        steps: list[Command] = [placed]
        asked = start - timedelta(hours=3, minutes=30)
        dispatch = {**about, "dispatched_to": code}
        steps.append(DispatchOrder(**dispatch, happened_at=asked))
        if rng.random() < DECLINED:
            refused = asked + timedelta(minutes=rng.randint(5, 40))
            asked = refused + timedelta(minutes=5)
            steps.append(DeclineOrder(**about, reason="人手不足", happened_at=refused))
            steps.append(DispatchOrder(**dispatch, happened_at=asked))
        accepted = asked + timedelta(minutes=rng.randint(2, 90))
        late = timedelta(minutes=rng.randint(11, 40) if rng.random() < LATE else 0)
        steps += [
            AcceptOrder(**about, member_id=volunteer.id, happened_at=accepted),
            CheckInOrder(**about, happened_at=start + late),
            CheckOutOrder(**about, record_id=new_id(), happened_at=end + late),
        ]
        self._placed[order_id] = (recipient, need_id)
        for step in steps:
            past.plan(past.moment_on(day), step)

    def _need(self, recipient: "Somebody", start: datetime) -> str | None:
        """Some of it was found in the grid, and looked at by a social worker of the same house."""
        past, home = self._past, recipient.home
        workers = past.social_workers_of(home)
        if not workers or self._rng.random() >= NEEDED:
            return None
        need_id, code = new_id(), home.organisation.code
        reported = start - timedelta(hours=8)
        past.plan(
            past.moment_on(start.date()),
            ReportNeed(
                **home.by_poster(),
                need_id=need_id,
                organisation=code,
                unit=recipient.unit,
                category="elder-care",
                reported_by=code,
                by_organisation=True,
                happened_at=reported,
            ),
        )
        past.plan(
            past.moment_on(start.date()),
            AssessNeed(
                **home.by_poster(),
                need_id=need_id,
                organisation=code,
                assessor_id=self._rng.choice(workers).id,
                route="volunteer",
                happened_at=reported + timedelta(minutes=self._rng.randint(10, 200)),
            ),
        )
        return need_id

    def _end(self, order_id: str) -> None:
        recipient, need_id = self._placed[order_id]
        home, rng, past = recipient.home, self._rng, self._past
        about: dict[str, Any] = {**home.by_poster(), "organisation": home.organisation.code}
        at = past.later(0)
        if need_id is not None:
            past.plan(at, ResolveNeed(**about, need_id=need_id))
        if rng.random() < RATED:
            stars = rng.choices(STARS, weights=STAR_WEIGHTS)[0]
            past.plan(at, RateOrder(**about, order_id=order_id, stars=stars))
        else:
            del self._placed[order_id]

    def _decide(self, order_id: str, recipient: "Somebody") -> None:
        home, upheld = recipient.home, self._rng.random() < 0.5
        self._past.plan(
            self._past.later(2),
            DecideOrder(
                **home.by_verifier(),
                order_id=order_id,
                organisation=home.organisation.code,
                outcome="upheld" if upheld else "dismissed",
                reason="已核实" if upheld else "查无此事",
            ),
        )
        del self._placed[order_id]
