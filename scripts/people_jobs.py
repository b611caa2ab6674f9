"""The jobs about people as such: whose personal data was kept long enough."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

from ledger.commands import Command, Stamp
from projections import directory
from projections.page import published

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from projections.views import Views


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
