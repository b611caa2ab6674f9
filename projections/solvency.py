"""Solvency: what the bank owes its members, how old that is, and where the rest has gone."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select

from ledger.events import EXPIRED, REDEEMED, SERVICE_ISSUE, WRITTEN_OFF
from projections import trail
from projections.page import POCKETS
from projections.schema import accounts, balances, lots, orders, redemptions

AGES_DAYS = (0, 30, 90, 180, 365, 730, 1_095)
"""From which age, in days, the next class of lots begins."""


def solvency(connection: Connection, day: date) -> dict[str, Any]:
    """The figures as they stand; ages are those of a date."""
    shared = dict(map(tuple, connection.execute(select(accounts.c.name, accounts.c.credits))))
    sums = select(*(func.coalesce(func.sum(balances.c[name]), 0) for name in POCKETS))
    available, held, frozen, receivable = map(int, connection.execute(sums).one())
    pools = {name: credits for name, credits in shared.items() if is_pool(name)}
    estates = sum(credits for name, credits in shared.items() if name.startswith("suspense:"))
    earned = -shared.get(SERVICE_ISSUE, 0)
    redeemed = shared.get(REDEEMED, 0)
    served = _paid_to_members(connection)
    dated = _left(connection)
    return {
        "position": trail.position(connection),
        "day": day.isoformat(),
        "outstanding": available + held + frozen + sum(pools.values()) + estates,
        "available": available,
        "held": held,
        "frozen": frozen,
        "receivable": receivable,
        "pools": sum(pools.values()),
        "estates": estates,
        "earned": earned,
        "granted": -sum(n for name, n in shared.items() if name.startswith("issue:grant:")),
        "redeemed": redeemed,
        "redeemed_peer_services": served,
        "expired": shared.get(EXPIRED, 0),
        "written_off": shared.get(WRITTEN_OFF, 0),
        "redemption_ratio": ratio((redeemed + served) * 10_000, earned),
        "lot_age_days": _mean_age(dated, day),
        "ages": _ages(dated, day),
    }


def ratio(numerator: int, denominator: int) -> int | None:
    """A quotient as a whole number, half to even; None where there is nothing to divide by."""
    if denominator <= 0:
        return None
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))


def is_pool(account: str) -> bool:
    """Is it the donation pool, or an organisation's?"""
    return account.startswith("pool:") or (account.startswith("org:") and account.endswith(":pool"))


def _paid_to_members(connection: Connection) -> int:
    """What peer services and orders have moved between members, and was not given back."""
    paid = func.coalesce(func.sum(redemptions.c.paid), 0)
    query = select(paid).where(redemptions.c.kind == "peer_service")
    ordered = select(func.coalesce(func.sum(orders.c.paid), 0))
    return sum(int(connection.execute(one).scalar_one()) for one in (query, ordered))


def _left(connection: Connection) -> Sequence[tuple[str, int]]:
    """What is left of the lots of each date."""
    held = lots.c.left + lots.c.held + lots.c.frozen
    query = select(lots.c.dated, func.sum(held)).where(held > 0)
    rows = connection.execute(query.group_by(lots.c.dated).order_by(lots.c.dated))
    return [(dated, int(credits)) for dated, credits in rows]


def _mean_age(dated: Sequence[tuple[str, int]], day: date) -> int | None:
    """Days, weighted by credits, in hundredths."""
    weighted = sum(credits * _age_days(on, day) for on, credits in dated)
    return ratio(weighted * 100, sum(credits for _, credits in dated))


def _ages(dated: Sequence[tuple[str, int]], day: date) -> list[dict[str, int | None]]:
    classes = []
    for place, first in enumerate(AGES_DAYS):
        end = AGES_DAYS[place + 1] if place + 1 < len(AGES_DAYS) else None
        credits = sum(
            credits
            for on, credits in dated
            if first <= _age_days(on, day) and (end is None or _age_days(on, day) < end)
        )
        classes.append({"from_days": first, "to_days": end, "credits": credits})
    return classes


def _age_days(dated: str, day: date) -> int:
    return max(0, (day - date.fromisoformat(dated)).days)
