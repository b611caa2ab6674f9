"""The jobs about people as such: who has come to another age band, whose data was kept enough."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

from ledger.commands import Command, ReachAgeBand, Stamp
from ledger.rules.ages import age_band
from projections import directory
from projections.page import published

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from projections.views import Views


PEOPLE_AT_ONCE = 1_000


def ages(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """Everybody whose age lies in another band than the one told last; the vault knows the date."""
    with views.engine.connect() as connection:
        today = published(connection).recording(as_of).today
    after = ""
    while page := ledger.vault.birth_dates(after, PEOPLE_AT_ONCE):
        after = page[-1][0]
        with views.engine.connect() as connection:
            told = directory.age_bands(connection, [member_id for member_id, _ in page])
        for member_id, born_on in page:
            if born_on is None or member_id not in told:
                continue
            if age_band(born_on, today) != told[member_id]:
                yield ReachAgeBand(**stamp, member_id=member_id, born_on=born_on, as_of=as_of)


def retention(ledger: "Ledger", views: "Views", as_of: datetime, stamp: Stamp) -> Iterator[Command]:
    """Everybody whose account was closed `retention_years` ago: forgotten here, then recorded."""
    from api.erasure import Erasure

    with views.engine.connect() as connection:
        recording = published(connection).recording(as_of)
        last = years_before(recording.today, recording.values["retention_years"])
        due = directory.closed_by(connection, last)
    erasure = Erasure(ledger, stamp, "retention")
    for member_id in due:
        erasure.forget(member_id)
        yield erasure.command(member_id)
    if due:
        erasure.sweep()


def years_before(day: date, years: int) -> date:
    """The date so many years before; where that year has none such, the one before it.

    So what began on 29 February is so many years old on 1 March, and not a day earlier.
    """
    year = day.year - years
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
