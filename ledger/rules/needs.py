"""Needs: found in the grid, assessed by a social worker, ordered, resolved or rejected."""

from datetime import datetime

from ledger.commands import AssessNeed, NeedCommand, RejectNeed, ReportNeed, ResolveNeed
from ledger.events import (
    Event,
    NeedAssessed,
    NeedRejected,
    NeedReported,
    NeedResolved,
    OrderPlaced,
)
from ledger.rules.filing import seated_or_refuse
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.units import Unit
from ledger.units import Refused, instant, instant_text, minutes_between


class Need:
    """One need as it stands."""

    def __init__(self) -> None:
        self.reported: NeedReported | None = None
        self.assessed: NeedAssessed | None = None
        self.status = ""
        self.at = ""  # of the last step
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next step; an order for it is one."""
        match event:
            case NeedReported():
                self.reported, self.status = event, "reported"
            case NeedAssessed():
                self.assessed, self.status = event, "assessed"
            case NeedRejected():
                self.status = "rejected"
            case NeedResolved():
                self.status = "resolved"
            case OrderPlaced():
                self.status = "ordered"
        self.at = getattr(event, "at", self.at)
        self.position = position

    @property
    def chain(self) -> str:
        """The correlation that all steps share, those of its orders too."""
        return "" if self.reported is None else self.reported.correlation_id


def report_need(
    command: ReportNeed,
    need: Need,  # empty until the fact is written; the answer tells it
    reporting: Organisation,
    seat: Unit,
    reporter: Member | None = None,
) -> list[Event]:
    """Say that somebody needs something; who says so is a member, or the organisation itself."""
    active_or_refuse(reporting, command.organisation)
    seated_or_refuse(command.unit, seat)
    if reporter is None:
        known = command.reported_by == command.organisation
    else:
        known = command.organisation in reporter.organisations
    if not known:
        raise Refused("not_found", pointer="/reported_by", what=command.reported_by)
    return [
        NeedReported(
            need_id=command.need_id,
            organisation=command.organisation,
            at=step_at(command.happened_at, command.at),
            unit=command.unit,
            category=command.category,
            reported_by=command.reported_by,
            description_ref=command.description_ref,
        )
    ]


def assess_need(command: AssessNeed, need: Need, assessor: Member) -> list[Event]:
    """Say what a social worker makes of it."""
    reported = _in_state(("reported",), need, command, "assessed")
    if reported.organisation not in assessor.organisations:
        raise Refused("not_found", pointer="/assessor_id", what=command.assessor_id)
    if "social_worker" not in assessor.roles:
        raise Refused("not_eligible", unmet="social_worker")
    if assessor.closed:
        raise Refused("member_closed")
    at = step_at(command.happened_at, command.at, need.at)
    return [
        NeedAssessed(
            correlation_id=reported.correlation_id,
            need_id=reported.need_id,
            organisation=reported.organisation,
            at=at,
            assessor_id=command.assessor_id,
            route=command.route,
            waited_minutes=minutes_between(reported.at, at),
            certification_level=command.certification_level,
        )
    ]


def reject_need(command: RejectNeed, need: Need) -> list[Event]:
    """Do nothing about a need, and say why."""
    reported = _in_state(("reported", "assessed", "ordered"), need, command, "rejected")
    return [
        NeedRejected(
            correlation_id=reported.correlation_id,
            need_id=reported.need_id,
            organisation=reported.organisation,
            at=step_at(command.happened_at, command.at, need.at),
            reason=command.reason,
        )
    ]


def resolve_need(command: ResolveNeed, need: Need) -> list[Event]:
    """Say that a need is met: by what was ordered, or by whom it was referred to."""
    referred = need.assessed is not None and need.assessed.route == "refer"
    before = ("ordered", "assessed") if referred else ("ordered",)
    reported = _in_state(before, need, command, "resolved")
    return [
        NeedResolved(
            correlation_id=reported.correlation_id,
            need_id=reported.need_id,
            organisation=reported.organisation,
            at=step_at(command.happened_at, command.at, need.at),
            reason=command.reason,
        )
    ]


def active_or_refuse(organisation: Organisation, code: str, pointer: str = "/organisation") -> None:
    """Pass where there is such an organisation, and it is not suspended."""
    if organisation.added is None:
        raise Refused("not_found", pointer=pointer, what=code)
    if organisation.suspended:
        raise Refused("organisation_suspended", organisation=code)


def step_at(said: datetime | None, now: datetime, before: str = "") -> str:
    """When a step happened: not in the future, and not before the one before; None said: now."""
    at = instant_text(now if said is None else said)
    if said is not None and said > now:
        raise Refused("in_the_future", as_of=at, now=instant_text(now))
    if before and instant(at) < instant(before):
        raise Refused("out_of_order", said=at, earliest=before)
    return at


def _in_state(
    states: tuple[str, ...], need: Need, command: NeedCommand, after: str
) -> NeedReported:
    reported = need.reported
    if reported is None or command.organisation not in (None, reported.organisation):
        raise Refused("not_found", what=command.need_id)
    if need.status not in states:
        raise Refused("wrong_state", before=need.status, after=after)
    return reported
