"""Organisations: their seat in the tree, and whether they may post."""

from ledger.commands import AddOrganisation, ResumeOrganisation, SuspendOrganisation
from ledger.events import (
    Event,
    OrganisationAdded,
    OrganisationResumed,
    OrganisationSuspended,
)
from ledger.rules.units import Unit
from ledger.units import Refused


class Organisation:
    """One organisation, as far as the rules care."""

    def __init__(self) -> None:
        self.added: OrganisationAdded | None = None
        self.suspended = False

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this organisation."""
        match event:
            case OrganisationAdded():
                self.added = event
            case OrganisationSuspended():
                self.suspended = True
            case OrganisationResumed():
                self.suspended = False


def add_organisation(
    command: AddOrganisation, organisation: Organisation, seat: Unit
) -> list[Event]:
    """Register an organisation at a unit."""
    if organisation.added is not None:
        raise Refused("code_taken", pointer="/code", what=command.code)
    if seat.added is None:
        raise Refused("not_found", pointer="/unit", what=command.unit)
    return [
        OrganisationAdded(
            code=command.code, name=command.name, kind=command.kind, unit=command.unit
        )
    ]


def suspend_organisation(command: SuspendOrganisation, organisation: Organisation) -> list[Event]:
    """Stop an organisation's posting."""
    if organisation.added is None:
        raise Refused("not_found", what=command.code)
    if organisation.suspended:
        raise Refused("wrong_state", before="suspended", after="suspended")
    return [OrganisationSuspended(code=command.code, reason=command.reason)]


def resume_organisation(command: ResumeOrganisation, organisation: Organisation) -> list[Event]:
    """Let a suspended organisation post again."""
    if organisation.added is None:
        raise Refused("not_found", what=command.code)
    if not organisation.suspended:
        raise Refused("wrong_state", before="active", after="active")
    return [OrganisationResumed(code=command.code, reason=command.reason)]
