"""The demo's past: some months of a district, lived through the real commands on its own clock.

Everything that happens is decided by the seed and by today's date; ids and keys are fresh each
time. Nothing is written past the desk: what a rule would refuse is refused here too.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import count
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from api.asks import MemberAsk
from api.contract import Fields
from api.registration import Registration, register
from ledger.commands import (
    AddOrganisation,
    AddUnit,
    ClosePeriod,
    Command,
    Corrected,
    CorrectHours,
    DonateCredits,
    PostHours,
    PublishPolicy,
    RejectHours,
    ReverseHours,
    Stamp,
    VerifyHours,
)
from ledger.desk import Answer, Done, Job, Outcome
from ledger.events import (
    DONATION_POOL,
    Entry,
    Evidence,
    HoursSubmitted,
    HoursVerified,
    MemberRole,
)
from ledger.keys import Key, NewKey, create_key
from ledger.opening import Ledger, open_ledger
from ledger.settings import Settings
from ledger.units import Refused, new_id
from projections.signing import Signer
from projections.views import Views
from scripts import invented
from scripts.demo_careers import Careers
from scripts.demo_orders import Orders
from scripts.demo_papers import Papers
from scripts.demo_rewards import Spending
from scripts.due_jobs import JOBS, as_of_day, run_job
from scripts.invented import Activity, InventedOrganisation


class Size(NamedTuple):
    """How much of a district is made."""

    streets: int
    communities: int  # in each street
    organisations: int
    members: int
    records: int  # about so many
    redemptions: int  # likewise
    days: int  # fewer than the back-fill window has
    expiry_months: int


SIZES = {
    "small": Size(
        streets=2,
        communities=3,
        organisations=6,
        members=40,
        records=360,
        redemptions=60,
        days=120,
        expiry_months=3,
    ),
    "district": Size(
        streets=12,
        communities=10,
        organisations=150,
        members=20_000,
        records=500_000,
        redemptions=55_000,
        days=350,
        expiry_months=6,
    ),
}

ZONE = ZoneInfo("Asia/Shanghai")
MOMENTS = (time(12, 30), time(18, 30), time(21, 50))  # when organisations sit down to post
COMMANDS_AT_ONCE = 2_000
NIGHT_RATE_BPS = 12_500
NIGHT_RATE_NEXT_BPS = 13_000
MAY_BE_REFUSED = (  # anything else is a bug
    "overlapping_service",  # somebody else posted all of it
    "not_enough_credits",  # donated or redeemed already
    "out_of_stock",
    "nothing_to_state",  # who asks has not served yet
    "wrong_state",  # of an order whose check-out was refused: all of the time is counted
    "period_closed",  # a dispute is decided too late for the month
    "forbidden",  # of an organisation that has come to G4: an administrator's word is needed
)
ORDERS_SHARE = 25  # of so many records one is ordered
DAILY_CAP = 360
DONATED = 30
CLOSED_AFTER_DAYS = 80  # hours are written down and decided on within 50
WEEKEND_WEIGHT = 1.6  # of a weekday
STAFF = 9


class Staff(NamedTuple):
    """An organisation with the two who write for it."""

    organisation: InventedOrganisation
    poster: NewKey
    verifier: NewKey

    def by_poster(self) -> Stamp:
        """It is the poster who asks."""
        return _by(self.poster.key)

    def by_verifier(self) -> Stamp:
        """It is the verifier who asks."""
        return _by(self.verifier.key)


@dataclass(slots=True)
class Somebody:
    """A member, where they live, and until when they are busy."""

    id: str
    roles: tuple[MemberRole, ...]
    unit: str
    person: dict[str, str]
    home: Staff
    also: Staff | None = None
    busy_until: datetime | None = None


@dataclass(slots=True)
class Lived:
    """What the past left behind: the keys to print, and how much of everything there is."""

    keys: list[NewKey]
    counts: Counter[str] = field(default_factory=Counter)
    statement: dict[str, str] | None = None  # number and code of one that can be looked at


class Clock:
    """Says what the past says."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def live(
    given: Settings, size: Size, seed: int, now: datetime, heard: Callable[[int], None]
) -> Lived:
    """Fill a ledger that was just made; `heard` is told how many records are posted."""
    first = now.astimezone(ZONE).date() - timedelta(days=size.days)
    clock = Clock(datetime.combine(first, time(8), ZONE))
    with open_ledger(given, clock) as ledger:
        past = Past(ledger, clock, size, Random(f"{size} {seed}"), now)  # noqa: S311  (no secret)
        past.settle()
        for number in range(1, size.days + 1):
            day = first + timedelta(days=number)
            if day.day == 1:
                past.begin_month(day)
            past.live_through(day)
            heard(past.lived.counts["posted"])
        past.seal()
        past.lived.statement = past.papers.last
        return past.lived


class Past:
    """What has happened, what is planned, and whom it happens to."""

    def __init__(
        self, ledger: Ledger, clock: Clock, size: Size, rng: Random, now: datetime
    ) -> None:
        self.lived = Lived([])
        self._ledger = ledger
        self._clock = clock
        self._size = size
        self._first = clock.at.date()
        self.rng = rng
        self._now = now
        self.staff: list[Staff] = []
        self.people: list[Somebody] = []
        self.volunteers: list[Somebody] = []
        self._at_home: dict[str, list[Somebody]] = {}  # volunteers by organisation
        self.members: dict[str, Somebody] = {}
        self._views = Views(ledger.store, ledger.views_engine)
        self._supervisors: list[str] = []
        self._due: list[tuple[datetime, int, Command]] = []  # a heap
        self._order = count()
        self._by_code: dict[str, Staff] = {}
        self._receipts: Counter[str] = Counter()
        self._posted: dict[str, tuple[Somebody, Staff]] = {}  # by record, until it is heard of
        self._spending = Spending(self, size.redemptions / size.days)
        self._careers = Careers(self)
        self._orders = Orders(self, size.records / ORDERS_SHARE / size.days)
        self.papers = Papers(self, ledger.vault)
        self.social_workers: list[Somebody] = []
        self.registered: list[tuple[str, Staff]] = []  # certificates, by whom

    # -- the field ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Units, policies, organisations with their keys, members."""
        tree = invented.units(self._size.streets, self._size.communities)
        self._ask(AddUnit(**_cli(), **unit._asdict()) for unit in tree)
        self._ask(self._policies())
        self.lived.keys.append(self._key("admin", "管理员"))
        self.lived.keys.append(self._key("auditor", "审计员"))
        communities = [unit.code for unit in tree if unit.level == "community"]
        founded = invented.organisations(self._size.organisations, communities, self.rng)
        self._ask(AddOrganisation(**_cli(), **each._asdict()) for each in founded)
        for each in founded:
            poster, verifier = invented.name(self.rng), invented.name(self.rng)
            self.staff.append(
                Staff(
                    each,
                    self._key("poster", f"{poster}（登记）", each.code),
                    self._key("verifier", f"{verifier}（审核）", each.code),
                )
            )
        self.lived.keys += [self.staff[0].poster, self.staff[0].verifier]
        self._by_code = {staff.organisation.code: staff for staff in self.staff}
        self._register(communities)
        self._ask(self._spending.catalogue(_cli))
        self._ask(self._careers.certificates(self._clock.at.date()))
        self._ask(self._orders.projects(self._clock.at.date()))

    def _policies(self) -> Iterator[Command]:
        today = self._now.astimezone(ZONE).date()
        first = self._clock.at.date()
        free = {"holidays": invented.holidays(first, today), "workdays": []}
        next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        for effective_on, changes, note in (
            (first.replace(month=1, day=1), {"calendar": free}, "法定节假日"),
            (first + timedelta(days=self._size.days // 2), _night_rate(NIGHT_RATE_BPS), "夜间服务"),
            (next_month, _night_rate(NIGHT_RATE_NEXT_BPS), "夜间服务，下月起"),
            (first, {"daily_cap": DAILY_CAP}, "每日至多六枚时间币"),
            (first, {"expiry": {"months": self._size.expiry_months}}, "有效期"),
        ):
            yield PublishPolicy(**_cli(), effective_on=effective_on, changes=changes, note=note)

    def _key(self, role: str, actor: str, organisation: str | None = None) -> NewKey:
        with self._ledger.store.writing() as connection:
            return create_key(
                connection, role=role, actor=actor, at=self._clock.at, organisation=organisation
            )

    def _register(self, communities: list[str]) -> None:
        rng, today = self.rng, self._now.astimezone(ZONE).date()
        for number in range(1, self._size.members + 1):
            roles = rng.choices(_ROLES, weights=_ROLE_WEIGHTS)[0]
            somebody = Somebody(
                "",
                roles,
                rng.choice(communities),
                invented.person(number, today, rng),
                rng.choice(self.staff),
            )
            if rng.random() < 0.15:
                somebody.also = rng.choice([each for each in self.staff if each != somebody.home])
            self.people.append(somebody)
        for staff in self.staff:
            homes = [each for each in self.people if each.home is staff]
            for somebody, member_id in zip(homes, self._join(staff, homes, "m"), strict=True):
                somebody.id = member_id
        for staff in self.staff:
            joining = [each for each in self.people if each.also is staff]
            self._join(staff, joining, "j")
        self.volunteers = [each for each in self.people if each.roles != ("resident",)]
        self.members = {each.id: each for each in self.people}
        for each in self.volunteers:
            self._at_home.setdefault(each.home.organisation.code, []).append(each)
        self.social_workers = [each for each in self.people if "social_worker" in each.roles]
        self._supervisors = [each.id for each in self.social_workers]

    def _join(self, staff: Staff, people: list[Somebody], series: str) -> list[str]:
        """Register people with an organisation, or let them join it; their ids."""
        ids: list[str] = []

        def word(outcome: Outcome) -> tuple[int, Fields]:
            for result in outcome.results:
                if isinstance(result, Refused):
                    raise result
            ids[:] = [_member_id(done) for done in outcome.results if isinstance(done, Done)]
            return 200, {}

        code = staff.organisation.code
        asks = [
            MemberAsk.model_validate(
                {
                    "external_ref": f"{series}-{number:05}",
                    "roles": somebody.roles,
                    "unit": somebody.unit,
                    "person": somebody.person,
                    "consent_ref": f"consent-{series}-{number:05}",
                }
            )
            for number, somebody in enumerate(people, 1)
        ]
        if asks:
            register(self._ledger, Registration(code, asks, _by(staff.poster.key), "all"), word)
        self.lived.counts["members"] += sum(1 for each in people if each.home is staff)
        return ids

    # -- a day -------------------------------------------------------------------------------

    def seal(self) -> None:
        """Give out the last papers, and sign a checkpoint of all that has happened."""
        self._ask(self.papers.of_today(self._now.astimezone(ZONE).date()))
        self._views.catch_up()
        Signer(self._views, self._ledger.settings, self._ledger.secrets).sign()

    def live_through(self, day: date) -> None:
        """Let people serve on a day, and organisations write down what is due by its evening."""
        weight = WEEKEND_WEIGHT if day.weekday() >= 5 else 1.0
        mean = self._size.records / self._size.days * weight * 7 / (5 + 2 * WEEKEND_WEIGHT)
        for _ in range(int(mean + self.rng.random())):
            self._serve(day)
        self._spending.live_through(day)
        self._careers.live_through(day)
        self._orders.live_through(day)
        evening = min(self._now, datetime.combine(day, time(23), ZONE))
        while self._due and self._due[0][0] <= evening:
            at = self._due[0][0]
            together = []
            while self._due and self._due[0][0] == at:
                together.append(heapq.heappop(self._due)[2])
            self._clock.at = at
            self._ask(together)

    def begin_month(self, day: date) -> None:
        """Stock is filled up, what time does is done, and a month is closed that is long over."""
        self._clock.at = datetime.combine(day, time(0, 30), ZONE)
        self._ask(self._spending.restocked(_cli))
        self.papers.begin_month(day)
        self._views.catch_up()
        for job in JOBS:
            self.lived.counts["by jobs"] += run_job(
                self._ledger, self._views, job, as_of_day(self._views, day)
            ).facts
        over = day - timedelta(days=CLOSED_AFTER_DAYS)
        if over > self._first:
            self._ask([ClosePeriod(**_cli(), month=f"{over:%Y-%m}", reason="月结")])

    def _serve(self, day: date) -> None:
        rng = self.rng
        somebody = rng.choice(self.volunteers)
        professional = "social_worker" in somebody.roles and rng.random() < 0.6
        activity = rng.choice(
            [each for each in invented.ACTIVITIES if each.professional == professional]
        )
        minute = rng.choice((0, 0, 15, 30))
        start = datetime.combine(day, time(rng.choice(activity.hours), minute), ZONE)
        end = start + timedelta(minutes=rng.randrange(*activity.minutes, 5))
        if somebody.busy_until is not None and start < somebody.busy_until:
            return
        somebody.busy_until = end
        self._post(somebody, somebody.home, activity, start, end, professional)
        if somebody.also is not None and rng.random() < 0.25:  # part of it is claimed twice
            shift = timedelta(minutes=30)
            self._post(somebody, somebody.also, activity, start + shift, end + shift, False)

    def _post(
        self,
        somebody: Somebody,
        staff: Staff,
        activity: Activity,
        start: datetime,
        end: datetime,
        professional: bool,
        redemption_id: str | None = None,
    ) -> None:
        rng = self.rng
        evidence = rng.choices(_EVIDENCE, weights=_EVIDENCE_WEIGHTS)[0]
        at = _moment_after(end + _delay(evidence, rng))
        code = staff.organisation.code
        self._receipts[code] += 1
        command = PostHours(
            **_by(staff.poster.key),
            record_id=new_id(),
            organisation=code,
            receipt=f"{start:%Y%m}-{self._receipts[code]:05}",
            member_id=somebody.id,
            activity=activity.name,
            category=activity.category,
            place=somebody.unit,
            responsible=f"staff-{rng.randint(1, STAFF):02}",
            started_at=start,
            ended_at=end,
            break_minutes=15 if end - start >= timedelta(hours=3) else 0,
            capacity="on_duty" if professional and rng.random() < 0.6 else "volunteer",
            evidence=evidence,
            professional=professional,
            supervisor_id=self.a_supervisor(),
            redemption_id=redemption_id,
        )
        self.plan(at, command)
        self._posted[command.record_id] = (somebody, staff)
        if evidence in ("backfilled", "self_reported"):
            self._judge(command, staff, at)

    def _judge(self, posted: PostHours, staff: Staff, at: datetime) -> None:
        """Most of what waits is verified some days later, a little is rejected, the rest waits."""
        by, record, code = _by(staff.verifier.key), posted.record_id, staff.organisation.code
        later = _moment_after(at + timedelta(days=self.rng.randint(1, 5)))
        chance = self.rng.random()
        if chance < 0.7:
            self.plan(later, VerifyHours(**by, record_id=record, organisation=code))
        elif chance < 0.87:
            reason = "与签到表不符"
            self.plan(later, RejectHours(**by, record_id=record, organisation=code, reason=reason))

    def _follow(self, posted: PostHours) -> None:
        """Of what counted at once a little is corrected or reversed, and some give of it."""
        rng, (somebody, staff) = self.rng, self._posted[posted.record_id]
        by, code = _by(staff.verifier.key), staff.organisation.code
        later = _moment_after(self._clock.at + timedelta(days=rng.randint(1, 6)))
        span = posted.ended_at - posted.started_at
        match rng.random():
            case chance if chance < 0.02 and span > timedelta(minutes=45):
                corrected: Corrected = {"ended_at": posted.ended_at - timedelta(minutes=15)}
                self.plan(
                    later,
                    CorrectHours(
                        **by,
                        record_id=posted.record_id,
                        organisation=code,
                        reason="结束时间录错",
                        replacement_id=new_id(),
                        corrected=corrected,
                    ),
                )
            case chance if chance < 0.03:
                self.plan(
                    later,
                    ReverseHours(
                        **by, record_id=posted.record_id, organisation=code, reason="重复录入"
                    ),
                )
            case chance if chance < 0.1 and staff is somebody.home:
                self.plan(
                    later,
                    DonateCredits(
                        **by,
                        transfer_id=new_id(),
                        member_id=somebody.id,
                        organisation=code,
                        to=DONATION_POOL,
                        credits=DONATED,
                        reason="捐给有需要的老人",
                    ),
                )

    def _second(self, done: Done) -> None:
        """What waits because of the organisation's grade alone is verified by its verifier."""
        for entry in done.entries:
            match entry.event:
                case HoursSubmitted(evidence="checked" | "attested") as event:
                    staff = self._by_code[event.organisation]
                    self.plan(
                        self.later(1),
                        VerifyHours(
                            **_by(staff.verifier.key),
                            record_id=event.record_id,
                            organisation=event.organisation,
                        ),
                    )

    # -- what spending asks ------------------------------------------------------------------

    def at(self, day: date, hour: int) -> datetime:
        """An instant on the clocks of the zone."""
        return datetime.combine(day, time(hour), ZONE)

    def moment_on(self, day: date) -> datetime:
        """When organisations sit down in the evening of a day."""
        return datetime.combine(day, MOMENTS[-1], ZONE)

    def later(self, days: int) -> datetime:
        """When they sit down so many days from now."""
        return _moment_after(self._clock.at + timedelta(days=days))

    def volunteers_of(self, staff: Staff) -> list[Somebody]:
        """The volunteers at home in an organisation."""
        return self._at_home.get(staff.organisation.code, [])

    def social_workers_of(self, staff: Staff) -> list[Somebody]:
        """The social workers at home in an organisation."""
        return [each for each in self.social_workers if each.home is staff]

    def a_supervisor(self) -> str | None:
        """Somebody who supervises, of some of what is done."""
        found = self._supervisors
        return self.rng.choice(found) if found and self.rng.random() < 0.2 else None

    def post_paid(
        self, provider_id: str, start: datetime, end: datetime, redemption_id: str
    ) -> None:
        """Have the hours of a peer service posted, by the organisation that knows the provider."""
        provider = self.members[provider_id]
        activity = invented.PEER_SERVICE
        self._post(provider, provider.home, activity, start, end, False, redemption_id)

    # -- asking ------------------------------------------------------------------------------

    def plan(self, at: datetime, command: Command) -> None:
        """Have something asked at an instant."""
        heapq.heappush(self._due, (at, next(self._order), command))

    def _ask(self, commands: Iterable[Command]) -> None:
        asked = list(commands)
        for start in range(0, len(asked), COMMANDS_AT_ONCE):
            part = asked[start : start + COMMANDS_AT_ONCE]
            self._ledger.desk.ask_now(Job(part, self._heard, "each"))

    def _heard(self, outcome: Outcome) -> Answer:
        counts = self.lived.counts
        for result in outcome.results:
            if isinstance(result, Refused):
                if result.code not in MAY_BE_REFUSED:
                    raise result
                counts["refused"] += 1
                continue
            counts.update(_counted_as(entry) for entry in result.entries)
            self._spending.heard(result)
            self._orders.heard(result)
            self.papers.heard(result)
            self._second(result)
            if isinstance(result.command, PostHours):
                counts["posted"] += 1
                if any(isinstance(entry.event, HoursVerified) for entry in result.entries):
                    self._follow(result.command)
                self._posted.pop(result.command.record_id)
        return Answer(200, b"")


def _counted_as(entry: Entry) -> str:
    """The type, but where a correction takes a payment again."""
    return "paid again" if getattr(entry.event, "corrects", None) else entry.type


def _member_id(done: Done) -> str:
    found: str = done.command.member_id  # type: ignore[attr-defined]  # both commands have one
    return found


def _moment_after(instant: datetime) -> datetime:
    """The next time that organisations sit down to post."""
    day = instant.date()
    for moment in MOMENTS:
        at = datetime.combine(day, moment, ZONE)
        if at > instant:
            return at
    return datetime.combine(day + timedelta(days=1), MOMENTS[0], ZONE)


def _delay(evidence: Evidence, rng: Random) -> timedelta:
    """How long a service waits to be written down; a few wait past the working days allowed."""
    match evidence:
        case "checked":
            return timedelta(0)
        case "attested" if rng.random() < 0.06:
            return timedelta(days=rng.randint(18, 40))
        case "attested":
            return timedelta(days=rng.choice((0, 0, 1, 3)))
        case _:
            return timedelta(days=rng.randint(2, 20))


def _night_rate(rate_bps: int) -> dict[str, object]:
    return {"credit_rate": {"by_category": {"night": rate_bps}}}


def _cli() -> Stamp:
    return _stamp("cli", "cli", by_admin=True)


def _by(key: Key) -> Stamp:
    return _stamp(key.id, key.actor, by_admin=False)


def _stamp(actor: str, actor_name: str, *, by_admin: bool) -> Stamp:
    return {
        "actor": actor,
        "actor_name": actor_name,
        "actor_member": None,
        "by_admin": by_admin,
        "correlation_id": new_id(),
    }


_ROLES: tuple[tuple[MemberRole, ...], ...] = (
    ("volunteer",),
    ("volunteer", "social_worker"),
    ("volunteer", "community_worker"),
    ("volunteer", "grid_worker"),
    ("resident",),
)
_ROLE_WEIGHTS = (60, 14, 6, 5, 15)
_EVIDENCE: tuple[Evidence, ...] = ("checked", "attested", "backfilled", "self_reported")
_EVIDENCE_WEIGHTS = (45, 40, 12, 3)
