"""Careers in the views: the same however the journal is cut into pages, and as of any past."""

from datetime import date
from typing import Any

import pytest

from ledger.databases import reading
from ledger.events import (
    AchievementApplied,
    AchievementApproved,
    AchievementReversed,
    AchievementSubmitted,
    CaseFiled,
    CaseWithdrawn,
    CertificationLapsed,
    CertificationRegistered,
    CertificationRevoked,
    CertificationSubmitted,
    CertificationVerified,
    Event,
    MentorshipBegun,
    MentorshipEnded,
    ServiceCertified,
    ServiceUncertified,
)
from ledger.store import Store
from projections import kept_rows, passbook, service_records, shelves
from projections import views as loop
from projections.views import Views
from tests.projections.history import (
    LI,
    ZHANG,
    field,
    number,
    submitted,
    then_verified,
    verified,
    write,
)

CERTIFICATE, TRAINING, CASE, PAIR = (number(n) for n in (801, 802, 803, 804))
OF_ZHANG = {"member_id": ZHANG, "organisation": "org-a"}
PROFESSIONAL: dict[str, Any] = {"professional": True, "points_per_hour": 1}


def marked(kind: type[ServiceCertified | ServiceUncertified], record: int, points: int) -> Event:
    return kind(
        **OF_ZHANG,
        record_id=number(1_000 + record),
        certification_id=CERTIFICATE,
        served_on="2026-02-28",
        points=points,
    )


HISTORY: list[Event] = [
    *field(ZHANG, LI),  # to position 7
    CertificationSubmitted(
        **OF_ZHANG,
        certification_id=CERTIFICATE,
        level="assistant",
        certificate_ref="证书-7",
        obtained_on="2025-08-20",
    ),  # 8
    CertificationVerified(
        **OF_ZHANG,
        certification_id=CERTIFICATE,
        source="certificate",
        points=100,
        on="2025-08-20",
        level="assistant",
        worth=100,
        policy_version=1,
    ),  # 9
    verified(1, minutes=60, **PROFESSIONAL),  # 10
    submitted(2, professional=True),  # 11
    CertificationRegistered(
        **OF_ZHANG,
        certification_id=CERTIFICATE,
        level="assistant",
        registered_on="2025-09-01",
        in_force_from="2025-09-01",
        in_force_to="2028-08-31",
    ),  # 12
    marked(ServiceCertified, 1, 1),  # 13
    then_verified(2, minutes=90, **PROFESSIONAL),  # 14: as if nobody had known of the registration
    marked(ServiceCertified, 2, 1),  # 15
    AchievementSubmitted(
        **OF_ZHANG, achievement_id=TRAINING, kind="training", on="2026-02-10", ref="继教-2", hours=9
    ),  # 16
    AchievementApproved(
        **OF_ZHANG,
        achievement_id=TRAINING,
        source="training",
        points=9,
        on="2026-02-10",
        policy_version=1,
        hours=9,
        per_hour=1,
        yearly_cap=30,
    ),  # 17
    AchievementApplied(**OF_ZHANG, achievement_id=TRAINING, on="2026-02-20", ref="个案-3"),  # 18
    CaseFiled(
        **OF_ZHANG,
        case_id=CASE,
        title="小组",
        category="elderly",
        summary="摘要",
        on="2026-02-10",
    ),  # 19
    CaseWithdrawn(case_id=CASE, organisation="org-a", reason="有误"),  # 20
    MentorshipBegun(
        mentorship_id=PAIR,
        member_id=ZHANG,
        organisation="org-a",
        mentee_id=LI,
        first="2026-01-01",
    ),  # 21
    MentorshipEnded(
        mentorship_id=PAIR, member_id=ZHANG, organisation="org-a", last="2026-02-01"
    ),  # 22
    CertificationRevoked(
        **OF_ZHANG,
        certification_id=CERTIFICATE,
        source="certificate",
        points=-100,
        on="2026-02-28",
        effective_on="2026-02-28",
        reason="无效",
    ),  # 23
    marked(ServiceUncertified, 1, -1),  # 24
    marked(ServiceUncertified, 2, -1),  # 25
    AchievementReversed(
        **OF_ZHANG,
        achievement_id=TRAINING,
        source="training",
        points=-9,
        on="2026-02-10",
        reason="有误",
    ),  # 26
]


@pytest.mark.parametrize("kept", [0, 10_000])
@pytest.mark.parametrize("page", [1, 2, 3, 7, 500])
def test_a_career_does_not_hang_on_pages_nor_on_memory(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int, kept: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    monkeypatch.setattr(kept_rows, "KEPT_MAX", kept)
    views.prepare()  # what comes now is read on, not built
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        for position, points, tier, status in (
            (8, 0, None, "submitted"),
            (9, 100, None, "verified"),
            (12, 100, "CERTIFIED", "registered"),
            (13, 101, "CERTIFIED", "registered"),
            (15, 102, "CERTIFIED", "registered"),
            (17, 111, "CERTIFIED", "registered"),
            (23, 11, None, "revoked"),
            (25, 9, None, "revoked"),
            (26, 0, None, "revoked"),
        ):
            found = passbook.standing_of(
                connection, ZHANG, position=position, served_until=date(2026, 3, 1)
            )
            assert found is not None
            assert (found.points["total"], found.where.tier) == (points, tier)
            assert [one["status"] for one in found.certificates] == [status]
            balance = passbook.balance(connection, ZHANG, position=position)
            assert balance is not None
            assert balance["points"] == points
        for record, minutes in ((1, 60), (2, 90)):
            row = service_records.service_record(connection, number(1_000 + record))
            assert row is not None
            assert (row["status"], row["minutes"]) == ("verified", minutes)
            assert (row["points"], row["certified"]) == (0, False)
        stands = {
            shelf.table.name: shelves.item(connection, shelf, id)
            for shelf, id in (
                (shelves.CERTIFICATIONS, CERTIFICATE),
                (shelves.ACHIEVEMENTS, TRAINING),
                (shelves.CASES, CASE),
                (shelves.MENTORSHIPS, PAIR),
            )
        }
    told = {name: one and (one["status"], one["position"]) for name, one in stands.items()}
    assert told == {
        "certifications": ("revoked", 23),
        "achievements": ("reversed", 26),
        "cases": ("withdrawn", 20),
        "mentorships": ("ended", 22),
    }


def test_registrations_are_due_to_lapse_after_their_last_day(store: Store, views: Views) -> None:
    write(store, HISTORY[:12])
    views.catch_up()
    with reading(views.engine) as connection:
        assert shelves.due_to_lapse(connection, date(2028, 8, 31)) == []
        assert shelves.due_to_lapse(connection, date(2028, 9, 1)) == [CERTIFICATE]
    gone = CertificationLapsed(**OF_ZHANG, certification_id=CERTIFICATE, as_of="2028-09-01")
    write(store, [gone])
    views.catch_up()
    with reading(views.engine) as connection:
        assert shelves.due_to_lapse(connection, date(2028, 9, 1)) == []


def test_a_mark_that_was_just_told_is_seen(store: Store, views: Views) -> None:
    write(store, HISTORY[:13])
    views.catch_up()
    with reading(views.engine) as connection:
        row = service_records.service_record(connection, number(1_001))
    assert row is not None
    assert (row["points"], row["certified"], row["position"]) == (1, True, 13)
