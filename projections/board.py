"""The KPI board: every indicator of DOMAIN 9, of a unit and all that lie in it, as of a date.

As of a date is: what was recorded by its end, in force on it. A figure says its definition with a
version, numerator and denominator, what else it was made from, and the types of the events behind
it, so that whoever reads those can recount it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from ledger.policy import Values
from ledger.rules.ladder import RUNGS, standing
from projections import careers, grades, journal_lines
from projections.listing import Item
from projections.page import published
from projections.schema import (
    TALLIED,
    agreement_terms,
    agreements,
    approvals,
    balances,
    cases,
    certificates,
    community_workers,
    conversions,
    days,
    experts,
    member_seats,
    organisations,
    partners,
    passbook,
    projects,
    registrations,
    subtree,
    supervisors,
    tallies,
    targets,
    units,
    waits,
)
from projections.solvency import is_pool, ratio

FULL = 10_000  # a ratio of 1, in hundredths of a percent
HUNDREDTHS = 100
CHUNK = 500  # members in one look-up, well below the engines' limits on parameters

_TREE = ("UnitAdded",)
_MEMBERS = (*_TREE, "MemberRegistered", "MemberChanged")
_RECORDS = ("HoursVerified", "HoursSubmitted", "SubmittedHoursVerified", "HoursReversed")
_TERMS = ("CertificationRegistered", "CertificationRenewed", "CertificationRevoked")
_ACHIEVED = ("AchievementApproved", "AchievementReversed")
_APPOINTED = ("SupervisorAppointed", "AppointmentEnded")
_RATED = ("OrderPlaced", "OrderRated")
_MOVES = (
    *("HoursVerified", "SubmittedHoursVerified", "HoursReversed", "CreditsExpired"),
    *("CreditsGiven", "CreditsDonated", "CreditsInherited", "CreditsAllocated", "GrantApproved"),
    *("RedemptionReserved", "RedemptionFulfilled", "RedemptionCancelled", "RedemptionExpired"),
    *("OrderPlaced", "OrderSettled", "OrderCancelled", "OrderDisputed", "OrderDecided"),
    *("CreditsFrozen", "CreditsUnfrozen"),
)

GRADED_FROM = (
    *("HoursVerified", "HoursSubmitted", "SubmittedHoursVerified", "HoursReversed"),
    *("OrderCheckedIn", "OrderRated", "OrderDecided"),
)
"""The facts that a grade is counted from."""

INDEXED_FROM = (
    *_MEMBERS,
    *_RECORDS,
    *(*_TERMS, "CertificationVerified"),
    *(*_ACHIEVED, "AchievementApplied"),
    *(*_APPOINTED, "OrderRated"),
)
"""The facts that a supervision index is counted from."""


class Figure(NamedTuple):
    """What an indicator comes to."""

    value: int | None
    numerator: int | None = None
    denominator: int | None = None
    inputs: Mapping[str, Any] = {}


class Board:
    """One unit's board, or the whole ledger's, as of a date."""

    def __init__(self, connection: Connection, unit: str | None, day: date, until: int) -> None:
        self.connection = connection
        self.unit = unit
        self.day = day
        self.until = until
        self.policies = published(connection, until)

    @property
    def values(self) -> Values:
        """The numbers of the policy on the date."""
        return self.policies.on(self.day)

    @cached_property
    def tallies(self) -> dict[str, int]:
        """The running totals of the unit and all that lie in it, at the end of the date."""
        newest = (
            select(func.max(tallies.c.day))
            .where(tallies.c.unit == units.c.code, tallies.c.day <= self.day.isoformat())
            .correlate(units)
            .scalar_subquery()
        )
        sums = [func.coalesce(func.sum(tallies.c[name]), 0) for name in TALLIED]
        query = (
            select(*sums)
            .select_from(units)
            .join(tallies, and_(tallies.c.unit == units.c.code, tallies.c.day == newest))
        )
        if self.unit is not None:
            query = query.where(units.c.code.in_(select(subtree(self.unit).c.code)))
        found = self.connection.execute(query).one()
        return dict(zip(TALLIED, map(int, found), strict=True))

    @cached_property
    def pools(self) -> dict[str, int]:
        """Accounts that are no person's, as they stood; of a unit the pools of those at it."""
        accounts = {
            name: credits
            for name, credits in self.connection.execute(journal_lines.shared_at(self.until))
            if credits is not None
        }
        if self.unit is None:
            return accounts
        at_unit = select(organisations.c.code).where(
            organisations.c.unit.in_(select(subtree(self.unit).c.code)),
            organisations.c.position <= self.until,
        )
        own = {f"org:{code}:pool" for code in self.connection.execute(at_unit).scalars()}
        return {name: credits for name, credits in accounts.items() if name in own}

    @cached_property
    def registered(self) -> dict[int, list[str]]:
        """Members with a registration in force, and its levels."""
        term, text = registrations.c, self.day.isoformat()
        query = select(term.member, term.level).where(
            term.position <= self.until,
            term.first <= text,
            term.last >= text,
            self.stands(term.revoked_position, term.revoked_from <= text),
        )
        found: dict[int, list[str]] = {}
        for member, level in self.of_members(query):
            found.setdefault(member, []).append(level)
        return found

    @cached_property
    def residents(self) -> set[int]:
        """Who lived in the unit, as known at the position."""
        seat, later = member_seats, member_seats.alias("later")
        newest = (
            select(func.max(later.c.position))
            .where(later.c.member == seat.c.member, later.c.position <= self.until)
            .correlate(seat)
            .scalar_subquery()
        )
        lives = select(seat.c.member).where(seat.c.position == newest, self._in(seat.c.unit))
        return set(self.connection.execute(lives).scalars())

    @cached_property
    def rungs(self) -> dict[str, int]:
        """Members on each rung of the ladder; whoever may be an expert is looked at in full."""
        found: dict[str, int] = {rung: 0 for rung in RUNGS}
        ladder = self.values["ladder"]
        enough = self._with_points(ladder["professional_points"])
        done = self.approved("project", upto=self.day.isoformat())
        projects_of = Counter(member for (member,) in done)
        for member, levels in self.registered.items():
            name, points = enough.get(member, ("", 0))
            tier: str = "CERTIFIED"
            if (
                name
                and any(level != "assistant" for level in levels)
                and projects_of[member] >= ladder["professional_projects"]
            ):
                tier = "PROFESSIONAL"
                if points >= ladder["expert_points"]:
                    tier = self._standing(member, name, points) or tier
            found[tier] += 1
        return found

    def count(self, query: Select[Any]) -> int:
        """What a query counts."""
        return int(self.connection.execute(query).scalar_one())

    def here(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Does a row lie in the unit, or in one below it?"""
        return self._in(column) if self.unit is not None else column.is_not(None)

    def total(self, table: Any, *conditions: Any) -> int:
        """The rows of a table of things at units that were there, and answer to conditions."""
        query = select(func.count()).select_from(table)
        return self.count(
            query.where(table.c.position <= self.until, self.here(table.c.unit), *conditions)
        )

    def in_force(self, table: Any, *conditions: Any, planned: Any = None) -> int:
        """The same of things with a term, that are in force on the date.

        `planned` is the last date as it was known, where that has been moved.
        """
        text, column = self.day.isoformat(), table.c
        last = func.coalesce(column.planned_last if planned is None else planned, _NEVER)
        stands = self.stands(column.ended_position, column.last < text)
        return self.total(table, column.first <= text, last >= text, stands, *conditions)

    def stands(
        self, ended: ColumnElement[int], also: ColumnElement[bool] | None = None
    ) -> ColumnElement[bool]:
        """Was something not taken back yet, as known at the position, or `also` does not hold?"""
        known = and_(ended.is_not(None), ended <= self.until)
        return ~(known if also is None else and_(known, also))

    def of_members(self, query: Select[Any]) -> list[Any]:
        """A query's rows, of which the first column is a member, of whoever lives here."""
        rows = self.connection.execute(query)
        if self.unit is None:
            return list(rows)
        return [row for row in rows if row[0] in self.residents]

    def approved(self, source: str, *columns: Any, upto: str | None = None) -> list[Any]:
        """The achievements of a source that stood: the member, and what else is asked."""
        row = approvals.c
        query = select(row.member, *columns).where(
            row.source == source, row.position <= self.until, self.stands(row.reversed_position)
        )
        return self.of_members(query if upto is None else query.where(row.on <= upto))

    def median(self, name: str) -> Figure:
        """The median of waits, in hundredths of a minute, half to even."""
        mine = (waits.c.name == name, waits.c.position <= self.until, self.here(waits.c.unit))
        number = self.count(select(func.count()).select_from(waits).where(*mine))
        if not number:
            return Figure(None, None, 0)
        middle = select(waits.c.minutes).where(*mine).order_by(waits.c.minutes)
        middle = middle.offset((number - 1) // 2).limit(2 - number % 2)
        found = list(self.connection.execute(middle).scalars())
        value = ratio(sum(found) * HUNDREDTHS, len(found))
        return Figure(value, sum(found), len(found), {"waits": number})

    def _in(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return column.in_(select(subtree(self.unit or "").c.code))

    def _standing(self, member: int, name: str, points: int) -> str | None:
        """Where somebody stands, by every gate."""
        career = careers.career(self.connection, member, self.until)
        colour = grades.in_force(self.connection, f"member:{name}", self.day, self.until)
        return standing(career, self.values["ladder"], self.day, points, colour).tier

    def _with_points(self, least: int) -> dict[int, tuple[str, int]]:
        """Who of the registered had so many points: the member's id, and the points."""
        line, found = passbook.c, {}
        then = (
            select(line.points_after)
            .where(line.member == balances.c.id, line.position <= self.until)
            .order_by(line.position.desc())
            .limit(1)
            .scalar_subquery()
        )
        members = list(self.registered)
        for start in range(0, len(members), CHUNK):
            some = balances.c.id.in_(members[start : start + CHUNK])
            query = select(balances.c.id, balances.c.member_id, then).where(some)
            for member, name, points in self.connection.execute(query):
                if points is not None and points >= least:
                    found[member] = (name, points)
        return found


class Kpi(NamedTuple):
    """An indicator: how it is counted, and from which facts."""

    zh: str
    en: str
    read: Callable[[Board], Figure]
    events: tuple[str, ...]
    version: int = 1


def _share(part: int, whole: int, **inputs: Any) -> Figure:
    return Figure(ratio(part * FULL, whole), part, whole, inputs)


def _plain(number: int, **inputs: Any) -> Figure:
    return Figure(number, number, None, inputs)


def _workers(board: Board) -> Select[Any]:
    worker = community_workers.c
    still = board.stands(worker.until_position)
    return select(worker.member).where(
        worker.position <= board.until, still, board.here(worker.unit)
    )


def _certification_rate(board: Board) -> Figure:
    workers = set(board.connection.execute(_workers(board)).scalars())
    seen, text = certificates.c, board.day.isoformat()
    stands = board.stands(seen.revoked_position, seen.revoked_from <= text)
    query = select(seen.member).where(seen.position <= board.until, stands).distinct()
    with_one = workers & set(board.connection.execute(query).scalars())
    return _share(len(with_one), len(workers))


def _registration_rate(board: Board) -> Figure:
    workers = set(board.connection.execute(_workers(board)).scalars())
    return _share(len(workers & board.registered.keys()), len(workers))


def _tiers(board: Board) -> Figure:
    return _plain(sum(board.rungs.values()), **board.rungs)


def _grades(board: Board) -> Figure:
    found = grades.counted(board.connection, board.day, board.until, board.unit)
    return _plain(sum(sum(kind.values()) for kind in found.values()), **found)


def _supervisors(board: Board) -> Figure:
    row, text = supervisors.c, board.day.isoformat()
    stands = board.stands(row.ended_position, row.ended_last < text)
    return _plain(board.total(supervisors, row.first <= text, row.last >= text, stands))


def _index(board: Board) -> Figure:
    unit = board.unit
    if unit is None:  # the one tree's, if there is one alone
        query = select(units.c.code).where(
            units.c.parent.is_(None), units.c.position <= board.until
        )
        roots = list(board.connection.execute(query).scalars())
        unit = roots[0] if len(roots) == 1 else ""
    found = grades.index(board.connection, unit, None, board.until)
    if found is None:
        return Figure(None)
    inputs = {"unit": unit, "month": found["month"], **found["inputs"]}
    return Figure(found["value"], found["value"], FULL, inputs)


def _training(board: Board) -> Figure:
    within: int = board.values["kpi"]["conversion_days"]
    row = approvals.c
    over = date.fromordinal(max(1, board.day.toordinal() - within)).isoformat()
    used = due = 0
    for _, on, after, at in board.approved(
        "training", row.on, row.applied_days, row.applied_position
    ):
        applied = at is not None and at <= board.until
        due += applied or on < over
        used += applied and after <= within
    return _share(used, due, within_days=within)


def _satisfaction(board: Board) -> Figure:
    told = board.tallies
    coverage = ratio(told["rated"] * FULL, told["completed"])
    return _share(told["satisfied"], told["rated"], n=told["rated"], coverage=coverage)


def _converted(board: Board) -> Figure:
    row = conversions.c
    done = and_(row.done_position.is_not(None), row.done_position <= board.until)
    kept = board.stands(row.withdrawn_position)
    query = select(func.count(row.category.distinct())).where(done, kept, board.here(row.unit))
    return _plain(board.count(query))


def _acceptance(board: Board) -> Figure:
    told = board.tallies
    asked = told["accepted"] + told["declined"] + told["timed_out"]
    return _share(
        *(told["accepted"], asked), declined=told["declined"], timed_out=told["timed_out"]
    )


def _outstanding(board: Board) -> Figure:
    pools = sum(credits for name, credits in board.pools.items() if is_pool(name))
    estates = sum(n for name, n in board.pools.items() if name.startswith("suspense:"))
    persons = board.tallies["credits"]
    return _plain(persons + pools + estates, persons=persons, pools=pools, estates=estates)


def _pool_balance(board: Board) -> Figure:
    return _plain(sum(credits for name, credits in board.pools.items() if is_pool(name)))


def _lot_age(board: Board) -> Figure:
    credits, dated = board.tallies["credits"], board.tallies["credit_days"]
    weighted = credits * board.day.toordinal() - dated
    return Figure(ratio(weighted * HUNDREDTHS, credits), weighted, credits)


def _cases(board: Board) -> Figure:
    filed, owner = cases.c, organisations.c
    still = or_(filed.status != "withdrawn", filed.changed_position > board.until)
    query = select(func.count()).select_from(cases).where(filed.position <= board.until, still)
    if board.unit is not None:
        at_unit = select(owner.code).where(owner.unit.in_(select(subtree(board.unit).c.code)))
        query = query.where(filed.organisation.in_(at_unit))
    return _plain(board.count(query))


def _reached(board: Board, name: str) -> int:
    row = projects.c
    reached = row[f"{name}_position"]
    kept = board.stands(row.withdrawn_position)
    return board.total(projects, reached.is_not(None), reached <= board.until, kept)


def _promotion(board: Board) -> Figure:
    return _share(_reached(board, "promoted"), _reached(board, "incubated"))


def _entrants(board: Board) -> Figure:
    return _plain(len({member for (member,) in board.approved("competition")}))


def _pairs(board: Board) -> Figure:
    term = agreement_terms.c
    known = (
        select(term.last)
        .where(term.agreement_id == agreements.c.agreement_id, term.position <= board.until)
        .order_by(term.position.desc())
        .limit(1)
        .scalar_subquery()
    )
    return _plain(board.in_force(agreements, planned=known))


def _kind(name: str) -> Callable[[Board], Figure]:
    return lambda board: _plain(board.in_force(partners, partners.c.kind == name))


def _tally(name: str) -> Callable[[Board], Figure]:
    return lambda board: _plain(board.tallies[name])


def _tallied(part: str, whole: str) -> Callable[[Board], Figure]:
    return lambda board: _share(board.tallies[part], board.tallies[whole])


def _on_time(board: Board) -> Figure:
    told = board.tallies
    return _share(told["verified"] - told["late"], told["verified"])


_PARTNERS = ("UnitAdded", "PartnerAdded", "PartnerEnded")
_PROJECTS = ("UnitAdded", "ProjectBegun", "ProjectAdvanced", "ProjectWithdrawn")

KPIS: dict[str, Kpi] = {
    "certification_rate": Kpi(
        "持证率",
        "Certification rate",
        _certification_rate,
        (*_MEMBERS, "CertificationVerified", "CertificationRevoked"),
    ),
    "registration_current_rate": Kpi(
        "登记有效率", "Registrations in force", _registration_rate, (*_MEMBERS, *_TERMS)
    ),
    "tiers": Kpi(
        "成长阶梯人数",
        "Members on the ladder",
        _tiers,
        (
            *(*_MEMBERS, *_TERMS, "CertificationVerified", *_ACHIEVED, *_APPOINTED, *_RECORDS),
            *("ServiceCertified", "ServiceUncertified", "GradeComputed", "GradeOverridden"),
        ),
    ),
    "grades": Kpi(
        "四色分级",
        "Graded subjects",
        _grades,
        (*_MEMBERS, "OrganisationAdded", "ProjectBegun", "GradeComputed", "GradeOverridden"),
    ),
    "supervisors": Kpi("在任督导", "Supervisors in office", _supervisors, (*_TREE, *_APPOINTED)),
    "supervision_index": Kpi(
        "社工督导指数", "Supervision index", _index, (*_TREE, "SupervisionIndexComputed")
    ),
    "training_conversion_rate": Kpi(
        "培训转化率",
        "Training conversion",
        _training,
        (*_MEMBERS, *_ACHIEVED, "AchievementApplied"),
    ),
    "satisfaction_rate": Kpi(
        "满意率", "Satisfaction", _satisfaction, (*_TREE, *_RATED, "OrderCompleted")
    ),
    "converted_categories": Kpi(
        "完成服务转化的类别",
        "Converted categories",
        _converted,
        (*_TREE, "ConversionBegun", "ConversionAdvanced", "ConversionWithdrawn"),
    ),
    "needs_resolved": Kpi(
        "办结需求", "Needs resolved", _tally("resolved"), (*_TREE, "NeedReported", "NeedResolved")
    ),
    "time_to_assess_minutes": Kpi(
        "评估用时中位数（分钟）",
        "Median minutes to assess",
        lambda board: board.median("assess"),
        (*_TREE, "NeedReported", "NeedAssessed"),
    ),
    "accept_latency_minutes": Kpi(
        "接单用时中位数（分钟）",
        "Median minutes to accept",
        lambda board: board.median("accept"),
        (*_TREE, "OrderPlaced", "OrderAccepted"),
    ),
    "acceptance_rate": Kpi(
        "接单率",
        "Acceptance rate",
        _acceptance,
        (*_TREE, "OrderPlaced", "OrderAccepted", "OrderDeclined", "OrderTimedOut"),
    ),
    "rating_coverage": Kpi(
        "评单覆盖率",
        "Rated orders",
        _tallied("rated", "completed"),
        (*_TREE, *_RATED, "OrderCompleted"),
    ),
    "on_time_recording_rate": Kpi("及时记录率", "Recorded on time", _on_time, (*_TREE, *_RECORDS)),
    "backfill_share": Kpi(
        "补录占比", "Backfilled", _tallied("backfilled", "verified"), (*_TREE, *_RECORDS)
    ),
    "overlap_minutes": Kpi(
        "重叠未计分钟", "Minutes counted already", _tally("overlap_minutes"), (*_TREE, *_RECORDS)
    ),
    "capped_credits": Kpi(
        "封顶未计时间币", "Credits cut by caps", _tally("capped"), (*_TREE, *_RECORDS)
    ),
    "credits_outstanding": Kpi(
        "在册时间币",
        "Credits outstanding",
        _outstanding,
        (*_MEMBERS, "OrganisationAdded", *_MOVES),
    ),
    "pool_balance": Kpi(
        "公益池余额", "Pools", _pool_balance, (*_TREE, "OrganisationAdded", *_MOVES)
    ),
    "redemption_ratio": Kpi(
        "兑换率",
        "Redeemed of earned",
        _tallied("redeemed", "earned"),
        (
            *(*_MEMBERS, "HoursVerified", "SubmittedHoursVerified", "HoursReversed"),
            *("RedemptionReserved", "RedemptionFulfilled", "OrderSettled"),
        ),
    ),
    "lot_age_days": Kpi(
        "时间币平均账龄（天）", "Mean age of lots, in days", _lot_age, (*_MEMBERS, *_MOVES)
    ),
    "cases": Kpi(
        "案例", "Cases", _cases, (*_TREE, "OrganisationAdded", "CaseFiled", "CaseWithdrawn")
    ),
    "projects_incubated": Kpi(
        "孵化项目",
        "Projects incubated",
        lambda board: _plain(_reached(board, "incubated")),
        _PROJECTS,
    ),
    "projects_promoted": Kpi(
        "推广项目",
        "Projects promoted",
        lambda board: _plain(_reached(board, "promoted")),
        _PROJECTS,
    ),
    "promotion_rate": Kpi("项目推广率", "Promoted of incubated", _promotion, _PROJECTS),
    "competition_entrants": Kpi(
        "参赛人数", "Entrants of competitions", _entrants, (*_MEMBERS, *_ACHIEVED)
    ),
    "partners": Kpi("合作伙伴", "Partners", _kind("partner"), _PARTNERS),
    "bases": Kpi("基地", "Bases", _kind("base"), _PARTNERS),
    "experts": Kpi(
        "专家",
        "Experts",
        lambda board: _plain(board.in_force(experts)),
        (*_TREE, "ExpertNamed", "ExpertEnded"),
    ),
    "lectures": Kpi(
        "讲座",
        "Lectures",
        lambda board: _plain(len(board.approved("lecture"))),
        (*_MEMBERS, *_ACHIEVED),
    ),
    "pairs": Kpi(
        "结对",
        "Pairs of communities and agencies",
        _pairs,
        (*_TREE, "AgreementSigned", "AgreementAmended", "AgreementEnded"),
    ),
}
"""The indicators of DOMAIN, section 9, but for the targets, which are beside them."""

TARGETS = "targets"


def position_at(connection: Connection, day: date) -> int:
    """The last position that was recorded by the end of a date; 0 before the first."""
    query = select(func.max(days.c.position)).where(days.c.day <= day.isoformat())
    return int(connection.execute(query).scalar() or 0)


def read(
    connection: Connection, names: Sequence[str], unit: str | None, day: date
) -> list[Item] | None:
    """The indicators of these names, in their order; None where there is no such unit."""
    until = position_at(connection, day)
    if unit is not None:
        known = select(units.c.code).where(units.c.code == unit, units.c.position <= until)
        if connection.execute(known).first() is None:
            return None
    board = Board(connection, unit, day, until)
    return [_told(board, name) for name in names]


def actuals(
    connection: Connection, wanted: Sequence[tuple[str, str | None]], day: date
) -> list[int | None]:
    """What indicators come to, each of a unit, or of the whole ledger."""
    until = position_at(connection, day)
    boards = {unit: Board(connection, unit, day, until) for _, unit in wanted}
    return [KPIS[name].read(boards[unit]).value for name, unit in wanted]


def _told(board: Board, name: str) -> Item:
    if name == TARGETS:
        return _targets(board)
    kpi = KPIS[name]
    figure = kpi.read(board)
    return _item(board, name, figure, kpi.events, kpi.zh, kpi.en, kpi.version)


def _targets(board: Board) -> Item:
    """Every target that stands, beside what its indicator comes to; the value: how many are met.

    Of a share or a count that is the more the better; of waits and ages, the less.
    """
    row = targets.c
    query = select(targets).where(
        row.position <= board.until,
        board.stands(row.withdrawn_position),
    )
    if board.unit is not None:
        query = query.where(row.unit.in_(select(subtree(board.unit).c.code)))
    found, met = [], 0
    aimed = board.connection.execute(query.order_by(row.position)).all()
    said = actuals(board.connection, [(one.kpi, one.unit) for one in aimed], board.day)
    for target, actual in zip(aimed, said, strict=True):
        if actual is not None:
            less = target.kpi in _THE_LESS
            is_met = actual <= target.value if less else actual >= target.value
        else:
            is_met = False
        met += is_met
        found.append(
            {
                "id": target.target_id,
                "kpi": target.kpi,
                "unit": target.unit,
                "target": target.value,
                "actual": actual,
                "due_on": target.due_on,
                "met": is_met,
            }
        )
    figure = Figure(met, met, len(found), {"targets": found})
    events = ("UnitAdded", "TargetSet", "TargetWithdrawn")
    return _item(board, TARGETS, figure, events, "目标", "Targets met", 1)


def _item(
    board: Board,
    name: str,
    figure: Figure,
    events: tuple[str, ...],
    zh: str,
    en: str,
    version: int,
) -> Item:
    return {
        "id": name,
        "name": {"zh": zh, "en": en},
        "value": figure.value,
        "definition": f"{name}/{version}",
        "numerator": figure.numerator,
        "denominator": figure.denominator,
        "inputs": dict(figure.inputs),
        "policy_version": board.policies.version,
        "unit": board.unit,
        "as_of": board.day.isoformat(),
        "position": board.until,
        "events": f"/v1/audit/events?type={','.join(dict.fromkeys(events))}&until={board.until}",
    }


_NEVER = "9999-12-31"
_THE_LESS = (
    *("time_to_assess_minutes", "accept_latency_minutes", "backfill_share", "overlap_minutes"),
    *("capped_credits", "lot_age_days"),
)
"""Of these a target is met by no more than it says."""
