"""The passbook: one line for each event that changes a member's account, and the balances it gives.

A line holds the changes and the account after it, so the balance as of a position is one index
seek, and as of a service date too, one sum in an index that holds all the member's changes.
"""

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from ledger.policy import Values, stars_for
from ledger.rules.ladder import Standing, standing
from ledger.units import instant
from projections import careers, grades, schema, trail
from projections.listing import Item, Listed, listed
from projections.page import POCKETS, RECEIVABLE, Page, pocket, published
from projections.schema import balances, passbook, service_records, transfers

KINDS = {
    "HoursVerified": "earn",
    "SubmittedHoursVerified": "earn",
    "HoursReversed": "reverse",
    "CreditsExpired": "expire",
    "CreditsGiven": "gift",
    "CreditsDonated": "donate",
    "CreditsInherited": "inherit",
    "CreditsAllocated": "allocate",
    "GrantApproved": "grant",
    "CreditsFrozen": "freeze",
    "CreditsUnfrozen": "unfreeze",
    "RedemptionReserved": "reserve",
    "RedemptionFulfilled": "fulfil",
    "RedemptionCancelled": "cancel",
    "RedemptionExpired": "release",
    "OrderPlaced": "reserve",
    "OrderSettled": "fulfil",
    "OrderCancelled": "cancel",
    "OrderDisputed": "freeze",
    "OrderDecided": "unfreeze",
    "CertificationVerified": "award",
    "CertificationRevoked": "award_reversed",
    "AchievementApproved": "award",
    "AchievementReversed": "award_reversed",
    "ServiceCertified": "award",
    "ServiceUncertified": "award_reversed",
}
"""What a line is called, for each event that makes one."""

CREDITS_A_COIN = 60

_OPENED = 6
_RECORD = service_records.c


def project(page: Page) -> None:
    """A line for everyone whose account the event concerns, with what stands after it."""
    rows, hears = page.new(passbook), frozenset(KINDS)
    for entry in page.of(hears):
        event: Any = entry.event
        position, kind, served_on = entry.position, KINDS[entry.type], page.served_on(entry)
        if getattr(event, "replaces", None):
            kind = "correct"
        for member_id, change in _changes(event).items():
            available, held, frozen, receivable, minutes, points, opened = change
            account = page.balances.change(member_id)
            account.available += available
            account.held += held
            account.frozen += frozen
            account.receivable += receivable
            account.service_minutes += minutes
            account.points += points
            account.opened |= opened
            rows.append(
                (
                    position,
                    account.id,
                    served_on,
                    kind,
                    *change[:6],
                    account.available,
                    account.held,
                    account.frozen,
                    account.receivable,
                    account.service_minutes,
                    account.points,
                    account.opened,
                )
            )


def balance(
    connection: Connection,
    member_id: str,
    *,
    position: int | None = None,
    as_of: datetime | None = None,
    served_until: date | None = None,
) -> dict[str, Any] | None:
    """A member's balance; as known at a position and at an instant, and as of a service date.

    What is given holds together. None where nobody has that id. By service date alone a part may
    be negative, because later facts about earlier dates are in it.

    Stars go by the policy of `served_until`, else of the day of `as_of` or of the position, else of
    today; the grade is that of this day. Both as they were known then.
    """
    now = connection.execute(_now(member_id)).first()
    if now is None:
        return None
    until = known_until(connection, position, as_of)
    account = _as_of(connection, now, until, served_until)
    available, held, frozen, receivable, minutes, points = account
    known_at = trail.recorded_at(connection, until) if as_of is None else as_of.isoformat()
    today, values = _numbers(connection, until, known_at, position, as_of, served_until)
    day = served_until or today
    grade = grades.in_force(connection, f"member:{member_id}", today, until)
    career = careers.career(connection, now.id, until)
    where = standing(career, values["ladder"], day, points, grade)
    return {
        "member_id": member_id,
        "position": until,
        "as_of": known_at,
        "service_minutes": minutes,
        "credits": {
            "available": available,
            "held": held,
            "frozen": frozen,
            "receivable": receivable,
        },
        "coins": coins(available),
        "points": points,
        "tier": where.tier,
        "stars": stars_for(minutes, values),
        "grade": grade,
        "registration": careers.registration(career, day),
    }


class Stood(NamedTuple):
    """Where a member stood as a professional."""

    position: int
    day: date
    certificates: list[Item]
    points: dict[str, Any]
    where: Standing
    registration: Item | None


def standing_of(
    connection: Connection,
    member_id: str,
    *,
    position: int | None = None,
    as_of: datetime | None = None,
    served_until: date | None = None,
) -> Stood | None:
    """The same moment as `balance` asks for, as the ladder sees it."""
    now = connection.execute(_now(member_id)).first()
    if now is None:
        return None
    until = known_until(connection, position, as_of)
    known_at = trail.recorded_at(connection, until) if as_of is None else as_of.isoformat()
    today, values = _numbers(connection, until, known_at, position, as_of, served_until)
    day = served_until or today
    grade = grades.in_force(connection, f"member:{member_id}", today, until)
    career = careers.career(connection, now.id, until)
    points = careers.points(connection, now.id, until, served_until)
    where = standing(career, values["ladder"], day, points["total"], grade)
    certificates = careers.certificates(connection, now.id, until)
    return Stood(until, day, certificates, points, where, careers.registration(career, day))


def _numbers(
    connection: Connection,
    until: int,
    known_at: str | None,
    position: int | None,
    as_of: datetime | None,
    served_until: date | None,
) -> tuple[date, Values]:
    """The date that is asked from, and the policy of the date that is asked about."""
    then = known_at if as_of is not None or position is not None else None
    moment = datetime.now(UTC) if then is None else instant(then)
    policies = published(connection, until)
    today = policies.recording(moment).today
    return today, policies.on(served_until or today)


def _as_of(
    connection: Connection, now: Any, until: int, served_until: date | None
) -> tuple[int, ...]:
    """Four pockets, minutes and points, as known at a position and of services until a date."""
    if served_until is not None:
        return _sums(connection, now.id, until, served_until)
    if until < trail.position(connection):
        return account_of(connection, now.member_id, until)
    return tuple(now)[2 : _OPENED + 2]


def known_until(
    connection: Connection, position: int | None = None, as_of: datetime | None = None
) -> int:
    """The last position that was known at a position and at an instant: the earlier of both."""
    until = trail.position(connection)
    if as_of is not None:
        until = min(until, trail.position_at(connection, as_of))
    return until if position is None else min(until, position)


def account_of(
    connection: Connection, member_id: str, position: int | None = None
) -> tuple[int, ...]:
    """A member's four pockets, minutes and points, now or at a position: one index seek."""
    if position is None:
        row = connection.execute(_now(member_id)).first()
        return (0,) * _OPENED if row is None else tuple(row)[2 : _OPENED + 2]
    line = passbook.c
    query = (
        select(*(line[f"{name}_after"] for name in (*POCKETS, "minutes", "points")))
        .where(line.member == trail.member_number(member_id), line.position <= position)
        .order_by(line.position.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return (0,) * _OPENED if found is None else tuple(found)


def lines(
    connection: Connection,
    member_id: str,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    until: int | None = None,
    served_until: date | None = None,
) -> Listed:
    """A member's lines, oldest first; all, or those that one organisation posted.

    As known at a position, and of services until a date: then `balance_after` is the sum of what
    is available in the lines so far.
    """
    mine = passbook.c.member == trail.member_number(member_id)
    query = lines_query(until, served_until).where(mine)
    if organisation is not None:
        query = query.where(schema.trail.c.organisation == organisation)
    page = listed(connection, query, passbook.c.position, after, limit, told)
    if served_until is not None:
        before = select(func.coalesce(func.sum(passbook.c.available), 0)).where(
            mine, passbook.c.position <= after, passbook.c.served_on <= served_until.isoformat()
        )
        running = int(connection.execute(before).scalar_one())
        for item in page.items:
            running += item["credits"]
            item["balance_after"] = running
            del item["after"]
    return page


def lines_query(until: int | None = None, served_until: date | None = None) -> Select[Any]:
    """Lines with what the trail says of their facts."""
    fact = schema.trail.c
    query = (
        select(
            passbook,
            fact.recorded_at,
            fact.stream,
            fact.organisation,
            fact.record_id,
            _RECORD.receipt,
            transfers.c.transfer_id,
        )
        .join(schema.trail, fact.position == passbook.c.position)
        .outerjoin(service_records, _RECORD.record_id == fact.record_id)
        .outerjoin(transfers, transfers.c.changed_position == passbook.c.position)
    )
    if until is not None:
        query = query.where(passbook.c.position <= until)
    if served_until is not None:
        query = query.where(passbook.c.served_on <= served_until.isoformat())
    return query


def coins(credits: int) -> str:
    """Credit-minutes as coins of 60, floored to two decimals."""
    hundredths = credits * 100 // CREDITS_A_COIN
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02}"


def _changes(event: Any) -> dict[str, list[int]]:
    """What an event changes for each member: four pockets, minutes, points, pockets opened."""
    changes: dict[str, list[int]] = {}
    minutes = getattr(event, "minutes", None)
    if minutes is not None:  # of a service, which may have moved nothing
        changes[event.member_id] = [0, 0, 0, 0, minutes, event.points or 0, 0]
    elif points := getattr(event, "points", None):  # of track 2 alone
        changes[event.member_id] = [0, 0, 0, 0, 0, points, 0]
    for name, credits in getattr(event, "entries", ()):
        owned = pocket(name)
        if owned is None:
            continue
        owner, place = owned
        change = changes.get(owner) or changes.setdefault(owner, [0] * 7)
        change[place] += -credits if place == RECEIVABLE else credits
        change[_OPENED] |= 1 << place
    return changes


def _now(member_id: str) -> Select[Any]:
    return select(balances).where(balances.c.member_id == member_id)


def _sums(
    connection: Connection, member: int, position: int, served_until: date
) -> tuple[int, ...]:
    line = passbook.c
    parts = (line.available, line.held, line.frozen, line.receivable, line.minutes, line.points)
    query = select(*(func.coalesce(func.sum(part), 0) for part in parts)).where(
        line.member == member,
        line.served_on <= served_until.isoformat(),
        line.position <= position,
    )
    return tuple(int(part) for part in connection.execute(query).one())


def _subject(stream: str) -> str | None:
    """The id of what a fact is about, where that has a stream of its own."""
    kind, _, key = stream.partition(":")
    return None if kind == "account" else key


def told(row: Any) -> Item:
    """A line as it is told."""
    return {
        "position": row.position,
        "recorded_at": row.recorded_at,
        "served_on": row.served_on,
        "kind": row.kind,
        "credits": row.available,
        "minutes": row.minutes,
        "points": row.points,
        "balance_after": row.available_after,
        "ref": row.receipt or row.transfer_id or _subject(row.stream),
        "organisation": row.organisation,
        "record_id": row.record_id,
        "changes": {
            "available": row.available,
            "held": row.held,
            "frozen": row.frozen,
            "receivable": row.receivable,
        },
        "after": {
            "available": row.available_after,
            "held": row.held_after,
            "frozen": row.frozen_after,
            "receivable": row.receivable_after,
            "service_minutes": row.minutes_after,
            "points": row.points_after,
        },
    }
