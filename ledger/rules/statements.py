"""Service statements: what an organisation has verified of a person's services in a period.

A statement counts what is verified when it is issued. What is reversed later supersedes it, in the
same transaction; what is verified later does not, for it says as of when it speaks.
"""

from dataclasses import dataclass

from ledger.commands import IssueStatement, RevokeStatement
from ledger.events import (
    ActivityRow,
    Event,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    PostedContent,
    StatementIssued,
    StatementRevoked,
    StatementSuperseded,
    SubmittedHoursVerified,
)
from ledger.policy import Policies
from ledger.rules.members import Member
from ledger.rules.time_account import interval
from ledger.units import MINUTE, Refused

ACTIVITIES_MAX = 200
"""Rows of a statement's table; where there were more, it tells categories alone."""


@dataclass(slots=True)
class Service:
    """One service of a person, as far as a statement asks."""

    content: PostedContent
    minutes: int | None = None  # of service; None: it waits
    duty_minutes: int = 0

    @property
    def posted_minutes(self) -> int:
        """What was posted, whoever may have counted a part of it already."""
        start, end = interval(self.content.started_at, self.content.ended_at)
        return (end - start) // MINUTE - (self.content.break_minutes or 0)


class Services:
    """A person's services that count or wait, folded from the person's account."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}

    def apply(self, event: Event, position: int) -> None:
        """Take in the account's next fact."""
        match event:
            case HoursVerified():
                service = Service(event, event.minutes, event.duty_minutes or 0)
                self._services[event.record_id] = service
            case HoursSubmitted():
                self._services[event.record_id] = Service(event)
            case SubmittedHoursVerified():
                service = self._services[event.record_id]
                service.minutes = event.minutes
                service.duty_minutes = event.duty_minutes or 0
            case HoursRejected() | HoursReversed():
                self._services.pop(event.record_id, None)  # another's may be heard here

    def of(self, organisation: str, first: str, last: str) -> list[Service]:
        """What an organisation has recorded from a service date to a service date."""
        return [
            service
            for service in self._services.values()
            if service.content.organisation == organisation
            and first <= service.content.served_on <= last
        ]


class Statement:
    """One statement as it stands."""

    def __init__(self) -> None:
        self.issued: StatementIssued | None = None
        self.status = ""
        self.position = 0  # of the last fact about it

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about it."""
        self.position = position
        match event:
            case StatementIssued():
                self.issued, self.status = event, "valid"
            case StatementSuperseded():
                self.status = "superseded"
            case StatementRevoked():
                self.status = "revoked"


class Statements:
    """The statements about one member that are valid."""

    def __init__(self) -> None:
        self._valid: dict[str, tuple[StatementIssued, int]] = {}

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about one of them."""
        match event:
            case StatementIssued():
                self._valid[event.number] = (event, position)
            case StatementSuperseded() | StatementRevoked():
                self._valid.pop(event.number, None)

    def superseded_by(self, undone: HoursReversed) -> list[Event]:
        """The facts that those have no force any more which had counted a record."""
        return [
            StatementSuperseded(
                number=issued.number,
                member_id=issued.member_id,
                organisation=issued.organisation,
                record_id=undone.record_id,
            )
            for issued, position in self._valid.values()
            if issued.organisation == undone.organisation
            and issued.served_from <= undone.served_on <= issued.served_to
            and undone.reverses < position
            and undone.minutes < 0
        ]


NO_STATEMENTS = Statements()


def issue_statement(
    command: IssueStatement,
    statement: Statement,
    member: Member,
    services: Services,
    policies: Policies,
) -> list[Event]:
    """State what counts now; what waits and what was paid work is said beside it."""
    organisation = command.organisation or member.home
    if member.home is None or organisation is None:
        raise Refused("not_found", what=command.member_id)
    if organisation not in member.organisations:
        pointer = "/organisation" if command.named else None
        raise Refused("not_found", pointer=pointer, what=organisation)
    if member.erased or not command.code_digest:
        raise Refused("person_erased")
    if statement.issued is not None:
        raise Refused("number_taken")
    recording = policies.recording(command.at)
    first, last = command.first.isoformat(), command.last.isoformat()
    found = services.of(organisation, first, last)
    waiting = [service for service in found if service.minutes is None]
    counted = [service for service in found if service.minutes]
    on_duty = [service for service in found if service.minutes == 0]
    if not counted:
        raise Refused("nothing_to_state", first=first, last=last)
    title = recording.values["proof_title"]
    return [
        StatementIssued(
            number=command.number,
            member_id=command.member_id,
            organisation=organisation,
            title_zh=title["zh"],
            title_en=title["en"],
            served_from=first,
            served_to=last,
            issued_on=recording.today.isoformat(),
            minutes=sum(service.minutes or 0 for service in counted),
            late_minutes=sum(map(_late_minutes, counted)) or None,
            records=len(counted),
            activities=_table(counted),
            pending_records=len(waiting) or None,
            pending_minutes=sum(service.posted_minutes for service in waiting) or None,
            on_duty_records=len(on_duty) or None,
            on_duty_minutes=sum(service.duty_minutes for service in on_duty) or None,
            code_digest=command.code_digest,
            policy_version=policies.version,
        )
    ]


def revoke_statement(command: RevokeStatement, statement: Statement) -> list[Event]:
    """Take back a statement that is valid."""
    issued = statement.issued
    if issued is None or command.organisation not in (None, issued.organisation):
        raise Refused("not_found", what=command.number)
    if statement.status != "valid":
        raise Refused("wrong_state", before=statement.status, after="revoked")
    return [
        StatementRevoked(
            number=issued.number,
            member_id=issued.member_id,
            organisation=issued.organisation,
            reason=command.reason,
        )
    ]


def _table(counted: list[Service]) -> tuple[ActivityRow, ...]:
    """A row for each activity and category, by date; where those are too many, each category."""
    rows = _rows(counted, by_activity=True)
    if len(rows) > ACTIVITIES_MAX:
        rows = _rows(counted, by_activity=False)
    return tuple(sorted(rows, key=lambda row: (row[2], row[3], row[0], row[1])))


def _rows(counted: list[Service], *, by_activity: bool) -> list[ActivityRow]:
    grouped: dict[tuple[str, str], list[Service]] = {}
    for service in counted:
        activity = service.content.activity if by_activity else ""
        grouped.setdefault((activity, service.content.category), []).append(service)
    return [
        (
            *(activity, category),
            min(service.content.served_on for service in group),
            max(service.content.served_on for service in group),
            len(group),
            sum(service.minutes or 0 for service in group),
            sum(map(_late_minutes, group)),
        )
        for (activity, category), group in grouped.items()
    ]


def _late_minutes(service: Service) -> int:
    return service.minutes or 0 if service.content.late else 0
