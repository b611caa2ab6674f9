"""Careers: the facts that each is folded from, the points, and where a member stood."""

from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from ledger.events import (
    CertificationRevoked,
    CertificationSubmitted,
    decode,
    encode,
)
from ledger.rules.career import Career
from ledger.rules.certifications import Certification
from projections.listing import Item
from projections.page import Page
from projections.schema import career_facts

CERTIFYING = (
    *("CertificationSubmitted", "CertificationVerified", "CertificationRegistered"),
    *("CertificationRenewed", "CertificationLapsed", "CertificationRevoked"),
)

FOLDED = frozenset(
    {
        *CERTIFYING,
        *("AchievementApproved", "AchievementReversed"),
        *("SupervisorAppointed", "AppointmentEnded"),
    }
)
"""What a career is folded from in the views; services come into the points alone."""

SERVICES = frozenset(
    {
        *("HoursVerified", "SubmittedHoursVerified", "HoursReversed"),
        *("ServiceCertified", "ServiceUncertified"),
    }
)


HEARS = FOLDED | SERVICES


def project(page: Page) -> None:
    """A row for every fact that a career hears."""
    rows = page.new(career_facts)
    for entry in page.of(HEARS):
        event: Any = entry.event
        is_folded = entry.type in FOLDED
        if not (is_folded or getattr(event, "professional", True)):
            continue  # a service that no career hears
        points = getattr(event, "points", None) or 0
        rows.append(
            (
                entry.position,
                page.balances[event.member_id].id,
                entry.type,
                getattr(event, "source", "professional_service") if points else None,
                page.served_on(entry) if points else None,
                points,
                encode(event).decode() if is_folded else None,
            )
        )


# --- where somebody stands -----------------------------------------------------------------------


def career(connection: Connection, member: int, until: int) -> Career:
    """A member's career as it was known at a position, but for the services."""
    facts = career_facts.c
    query = (
        select(facts.position, facts.type, facts.data)
        .where(facts.member == member, facts.position <= until, facts.data.is_not(None))
        .order_by(facts.position)
    )
    folded = Career()
    for position, kind, data in connection.execute(query):
        folded.apply(decode(kind, data.encode()), position)
    return folded


def certificates(connection: Connection, member: int, until: int) -> list[Item]:
    """A member's certificates as they stood at a position, oldest first."""
    facts = career_facts.c
    query = (
        select(facts.position, facts.type, facts.data)
        .where(facts.member == member, facts.position <= until, facts.type.in_(CERTIFYING))
        .order_by(facts.position)
    )
    found: dict[str, Item] = {}
    for position, kind, data in connection.execute(query):
        event: Any = decode(kind, data.encode())
        if isinstance(event, CertificationSubmitted):
            found[event.certification_id] = {
                "id": event.certification_id,
                "member_id": event.member_id,
                "organisation": event.organisation,
                "level": event.level,
                "certificate_ref": event.certificate_ref,
                "obtained_on": event.obtained_on,
                **dict.fromkeys(("in_force_from", "in_force_to", "renewal_from")),
                **dict.fromkeys(("revoked_from", "reason")),
                "recorded_at": event.recorded_at,
            }
        standing = Certification()
        standing.apply(event, position)
        mine = found[event.certification_id]
        mine |= {"status": standing.status, "position": position}
        if standing.last:
            mine |= {"in_force_from": standing.first, "in_force_to": standing.last}
            mine["renewal_from"] = standing.renewal_from
        if isinstance(event, CertificationRevoked):
            mine |= {"revoked_from": event.effective_on, "reason": event.reason}
    return list(found.values())


def points(
    connection: Connection, member: int, until: int, served_until: date | None = None
) -> dict[str, Any]:
    """A member's points as known at a position: in all, by source, by calendar year."""
    facts = career_facts.c
    query = (
        select(facts.source, facts.on, facts.points)
        .where(facts.member == member, facts.position <= until, facts.source.is_not(None))
        .order_by(facts.position)
    )
    if served_until is not None:
        query = query.where(facts.on <= served_until.isoformat())
    by_source: dict[str, int] = {}
    by_year: dict[str, int] = {}
    for source, on, found in connection.execute(query):
        by_source[source] = by_source.get(source, 0) + found
        by_year[on[:4]] = by_year.get(on[:4], 0) + found
    return {
        "total": sum(by_source.values()),
        "by_source": dict(sorted(by_source.items())),
        "by_year": dict(sorted(by_year.items())),
    }


def registration(folded: Career, day: date) -> Item | None:
    """The registration in force on a date."""
    found = folded.registration(day)
    if found is None:
        return None
    return {
        "certification_id": found.certification_id,
        "level": found.level,
        "in_force_from": found.first,
        "in_force_to": found.last,
    }
