"""What every fact of the field's work asks for: who files it, where, whose it is, and when."""

from datetime import date
from typing import Protocol, TypeVar

from ledger.rules.certifications import past_or_refuse
from ledger.rules.organisations import Organisation
from ledger.rules.units import Unit
from ledger.units import Refused


class Filed(Protocol):
    """The first fact about a thing."""

    @property
    def organisation(self) -> str | None:
        """Whose it is."""


class Term(Filed, Protocol):
    """The first fact about a thing that has a term."""

    @property
    def first(self) -> str:
        """The first date of the term."""


Thing = TypeVar("Thing", bound=Filed)


def filed_or_refuse(organisation: str, filing: Organisation, unit: str, seat: Unit) -> None:
    """Pass where an organisation that may post files something at a unit that is there."""
    if filing.added is None:
        raise Refused("not_found", pointer="/organisation", what=organisation)
    seated_or_refuse(unit, seat)
    if filing.suspended:
        raise Refused("organisation_suspended", organisation=organisation)


def seated_or_refuse(unit: str, seat: Unit) -> None:
    """Pass where the unit is there."""
    if seat.added is None:
        raise Refused("not_found", pointer="/unit", what=unit)


def own_or_refuse(filed: Thing | None, organisation: str | None, what: str) -> Thing:
    """The first fact about a thing, for who filed it, and for administrators."""
    if filed is None or organisation not in (None, filed.organisation):
        raise Refused("not_found", what=what)
    return filed


def day_or_refuse(said: date, today: date, earliest: str) -> str:
    """A date that has come, and is not before the step before."""
    past_or_refuse(said, today)
    from_or_refuse(said, earliest)
    return said.isoformat()


def from_or_refuse(said: date, earliest: str) -> None:
    """Pass where a date is not before another."""
    if said.isoformat() < earliest:
        raise Refused("out_of_order", said=said.isoformat(), earliest=earliest)


def end_or_refuse(term: Term, last: str | None, ended: bool, said: date | None, today: date) -> str:
    """The last date of a term that ends before it was to end, once."""
    if ended:
        raise Refused("wrong_state", before="ended", after="ended")
    end = said or today
    past_or_refuse(end, today)
    if last is not None and end.isoformat() >= last:
        raise Refused("wrong_state", before="ended", after="ended")
    from_or_refuse(end, term.first)
    return end.isoformat()
