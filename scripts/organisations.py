"""`timebank org`: organisations, and whether they may post."""

from typing import TYPE_CHECKING, get_args

import click

from ledger.events import OrganisationKind
from scripts.door import ask, checked, opened, stamp
from scripts.printing import Told, verb
from scripts.sayings import explained

if TYPE_CHECKING:
    from ledger.desk import Done

REASON = explained("原因", "why")


@verb(
    click.argument("code"),
    click.option("--name", required=True, help=explained("名称", "its name")),
    click.option("--kind", required=True, type=click.Choice(get_args(OrganisationKind))),
    click.option("--unit", required=True, help=explained("所在单位的代码", "code of its unit")),
)
def add(code: str, name: str, kind: str, unit: str) -> Told:
    """Register an organisation at a unit."""
    from api.asks import OrganisationAsk
    from ledger.commands import AddOrganisation

    asked = checked(OrganisationAsk, code=code, name=name, kind=kind, unit=unit)
    with opened() as ledger:
        return _told(ask(ledger, AddOrganisation(**stamp(), **asked.model_dump())))


@verb(click.argument("code"), click.option("--reason", required=True, help=REASON))
def suspend(code: str, reason: str) -> Told:
    """Stop an organisation's posting."""
    from api.asks import ReasonNeededAsk
    from ledger.commands import SuspendOrganisation

    asked = checked(ReasonNeededAsk, reason=reason)
    with opened() as ledger:
        return _told(ask(ledger, SuspendOrganisation(**stamp(), code=code, reason=asked.reason)))


@verb(click.argument("code"), click.option("--reason", help=REASON))
def resume(code: str, reason: str | None) -> Told:
    """Let a suspended organisation post again."""
    from api.asks import ReasonAsk
    from ledger.commands import ResumeOrganisation

    asked = checked(ReasonAsk, reason=reason)
    with opened() as ledger:
        return _told(ask(ledger, ResumeOrganisation(**stamp(), code=code, reason=asked.reason)))


def _told(done: "Done") -> Told:
    state = done.states["organisation"]
    return Told(
        {
            "code": state.added.code,
            "name": state.added.name,
            "kind": state.added.kind,
            "unit": state.added.unit,
            "status": "suspended" if state.suspended else "active",
            "position": done.position,
        }
    )
