"""The keys of the rule book: what each means, what holds at first, and what may be published.

The defaults are this software's own. The mechanisms have names in the field's standards; the
numbers are whoever's who publishes them (DOMAIN, section 11).
"""

from collections.abc import Callable
from functools import partial

from ledger.policy_shapes import (
    Shape,
    by_name,
    dates,
    distinct_texts,
    fields,
    fields_or_null,
    number,
    one_of,
    optional_fields,
    or_null,
    rising_numbers,
    text,
    weights,
    zone,
)
from ledger.units import FULL_RATE_BPS

ROUNDINGS: dict[str, Callable[[int], int]] = {
    "exact": lambda minutes: minutes,
    "half_hour_floor": lambda minutes: minutes // 30 * 30,
    "hour_floor": lambda minutes: minutes // 60 * 60,
    "min_one_hour": lambda minutes: max(60, minutes),
}
"""What becomes of minutes before they are credits; the first is the default."""

RELATIONS = ["spouse", "parent", "child", "sibling", "grandparent", "grandchild"]
FUND_PATTERN = r"[a-z0-9-]{2,40}"  # as the codes of units and organisations
TEXT_MAX = 200
WORD_MAX = 40

_count = partial(number, most=1_000_000)
_credits = partial(number, most=10**12)
_days = partial(number, most=36_600)
_percent = partial(number, most=100)
_ratio_bps = partial(number, most=FULL_RATE_BPS)
_rate_bps = partial(number, most=10 * FULL_RATE_BPS)
_word = partial(text, longest=WORD_MAX)
_line = partial(text, longest=TEXT_MAX)

KEYS: dict[str, Shape] = {
    # -- track 1
    "zone": zone("Asia/Shanghai"),
    "credit_rate": fields(default=_rate_bps(FULL_RATE_BPS), by_category=by_name(_rate_bps(0))),
    "rounding": one_of(*ROUNDINGS),
    "daily_cap": or_null(_credits(0)),  # of a person and a service date, over all organisations
    "stock_cap": or_null(_credits(0)),  # of a person's available, held and frozen together
    "overflow_to": one_of("discard", "pool"),  # where goes what the stock cap cuts
    "expiry": fields_or_null(months=number(1, least=1, most=1_200)),  # from a lot's date
    "redeem_eligibility": optional_fields(
        min_stars=number(0, most=10), min_age=number(0, most=150)
    ),
    "gift": fields(
        relations=distinct_texts(RELATIONS, longest=WORD_MAX), yearly_max=or_null(_credits(0))
    ),
    "late_recording": fields(working_days=number(10, most=366), effect=one_of("flag", "no_credit")),
    "calendar": fields(holidays=dates(), workdays=dates()),  # workdays: weekends worked
    "backfill_window_days": _days(365),
    "hold_days": _days(14),
    "order_sla": fields(
        accept_minutes=_count(120),
        punctual_minutes=_count(10),  # after the planned start
    ),
    "stars": rising_numbers(
        [6_000, 18_000, 36_000, 60_000, 90_000], items_max=10, most=10**9
    ),  # service minutes from which a member has one more
    "grants": by_name(_credits(0), pattern=FUND_PATTERN),  # fund -> ceiling
    # -- track 2: professional points, and the ladder they lead up
    "points": fields(
        certificate=fields(
            assistant=_count(100), social_worker=_count(200), senior=_count(400)
        ),  # an upgrade awards the difference
        education_per_class_hour=_count(1),
        education_yearly_cap=_count(30),
        project=_count(50),
        project_outcome_bps=fields(
            basic=_rate_bps(8_000), good=_rate_bps(10_000), excellent=_rate_bps(12_000)
        ),
        project_promoted=_count(30),
        case=_count(20),
        supervision_given_per_hour=_count(2),
        supervision_given_yearly_cap=_count(100),
        supervision_received_per_hour=_count(1),
        supervision_received_yearly_cap=_count(24),
        competition_entry=_count(5),
        competition_prize=fields(third=_count(10), second=_count(20), first=_count(30)),
        lecture=_count(10),
        professional_service_per_hour=_count(1),
    ),
    "ladder": fields(
        professional_points=_count(300),
        professional_projects=_count(1),
        expert_points=_count(600),
        expert_supervision_hours=_count(60),  # given in the months below
        expert_supervision_months=number(24, least=1, most=1_200),
        expert_cases=_count(2),
    ),
    # -- quality
    "grade": fields(
        window_days=number(90, least=1, most=36_600),
        weights=weights(  # in basis points; those of the components that have data are rescaled
            FULL_RATE_BPS,
            satisfaction=4_000,
            punctuality=3_000,
            activity=2_000,
            compliance=1_000,
        ),
        floors_hundredths=fields(
            G1=_ratio_bps(8_500), G2=_ratio_bps(7_000), G3=_ratio_bps(6_000)
        ),  # of a score of 100
        activity_hours=number(20, least=1, most=1_000_000),  # that make activity full
        ratings_min=_count(3),
        hours_min=_count(10),
        compliance_deduction=_percent(25),  # of 100, for each dispute upheld or reversal for cause
        colours=fields(G1=_word("green"), G2=_word("blue"), G3=_word("yellow"), G4=_word("red")),
    ),
    "supervision_index": fields(
        weights=weights(  # likewise
            FULL_RATE_BPS,
            supervised_volunteers=2_500,
            supervision_hours=2_000,
            training_conversion=2_000,
            satisfaction=2_000,
            registered_supervisors=1_500,
        ),
        targets_bps=fields(  # at which a ratio counts as full
            supervised_volunteers=number(10_000, least=1, most=FULL_RATE_BPS),
            supervision_hours=number(500, least=1, most=FULL_RATE_BPS),  # of the service hours
            training_conversion=number(8_000, least=1, most=FULL_RATE_BPS),
            satisfaction=number(9_500, least=1, most=FULL_RATE_BPS),
            registered_supervisors=number(10_000, least=1, most=FULL_RATE_BPS),
        ),
    ),
    "kpi": fields(conversion_days=_days(180)),  # in which a training is put to use
    # -- papers
    "proof_title": fields(zh=_line("平台服务记录"), en=_line("Platform service statement")),
    "idempotency_hours": number(72, least=1, most=8_784),  # answers are kept at least so long
    "retention_years": number(10, least=1, most=100),
}
"""Key -> its default and its shape. A key of a part still to come is published like the others."""
