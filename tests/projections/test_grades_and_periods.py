"""Grade overrides and closed months in the views, now and as they were known."""

from datetime import date

from ledger.databases import reading
from ledger.events import GradeOverridden, PeriodClosed, PeriodReopened
from ledger.store import Store
from projections import grades, passbook, periods
from projections.views import Views
from tests.projections.history import ZHANG, field, write

ORG = "organisation:org-a"
DAY = date(2026, 3, 10)


def overridden(grade, until="2026-12-31", subject=ORG):
    return GradeOverridden(subject=subject, grade=grade, reason="抽查", until=until)


def test_the_last_override_holds_until_its_date(store: Store, views: Views) -> None:
    write(store, [overridden("G3"), overridden("G2", until="2026-03-10")])
    views.catch_up()
    with reading(views.engine) as connection:
        assert grades.in_force(connection, ORG, DAY) == "G2"
        assert grades.in_force(connection, ORG, DAY, position=1) == "G3"
        assert grades.in_force(connection, ORG, DAY, position=0) == "UNGRADED"
        assert grades.in_force(connection, ORG, date(2026, 3, 11)) == "UNGRADED"
        assert grades.in_force(connection, "organisation:org-b", DAY) == "UNGRADED"


def test_subjects_are_listed_as_they_first_had_an_override(store: Store, views: Views) -> None:
    other = f"member:{ZHANG}"
    write(store, [overridden("G3"), overridden("G4", subject=other), overridden("G1")])
    views.catch_up()
    with reading(views.engine) as connection:
        first = grades.listing(connection, DAY, limit=1)
        rest = grades.listing(connection, DAY, first.next or 0)
        assert [(one["subject"], one["value"]) for one in first.items] == [(ORG, "G1")]
        assert [(one["subject"], one["value"]) for one in rest.items] == [(other, "G4")]
        (found,) = grades.listing(connection, DAY, subject=other).items
        assert (found["override"]["until"], found["position"]) == ("2026-12-31", 2)


def test_a_balance_tells_the_grade_as_it_was_known(store: Store, views: Views) -> None:
    write(store, field(ZHANG))
    write(store, [overridden("G2", until="9998-12-31", subject=f"member:{ZHANG}")])
    views.catch_up()
    with reading(views.engine) as connection:
        for position, grade in ((None, "G2"), (6, "UNGRADED")):
            found = passbook.balance(connection, ZHANG, position=position)
            assert found is not None
            assert found["grade"] == grade


def test_months_stand_as_their_last_change_left_them(store: Store, views: Views) -> None:
    write(
        store,
        [
            PeriodClosed(month="2026-02", reason="月结"),
            PeriodClosed(month="2026-01"),
            PeriodReopened(month="2026-02", reason="补录"),
        ],
    )
    views.catch_up()
    with reading(views.engine) as connection:
        first = periods.listing(connection, limit=1)
        rest = periods.listing(connection, first.next or 0)
        assert [(one["month"], one["status"]) for one in first.items] == [("2026-02", "open")]
        assert [(one["month"], one["status"]) for one in rest.items] == [("2026-01", "closed")]
        february = periods.period(connection, "2026-02")
        assert february is not None
        assert (february["reason"], february["position"]) == ("补录", 3)
        assert periods.period(connection, "2026-03") is None
