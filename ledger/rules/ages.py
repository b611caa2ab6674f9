"""Ages: the full years since a date of birth, and the band that they lie in."""

from datetime import date

from ledger.events import AgeBand

_BANDS: tuple[tuple[int, AgeBand], ...] = (
    (80, "80_plus"),
    (70, "70_79"),
    (60, "60_69"),
    (18, "18_59"),
)


def age(born_on: date, today: date) -> int:
    """Full years on a date; whoever was born on February 29th is older from March 1st."""
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))


def age_band(born_on: date, today: date) -> AgeBand:
    """The band in which somebody's age lies on a date."""
    years = age(born_on, today)
    return next((band for first, band in _BANDS if years >= first), "under_18")
