"""Certification: a certificate is seen, registered for three years, renewed, lapses, is revoked.

The certificate does not expire, its registration does. A registration that is recorded late lets
services of its term count as certified, and a revocation takes that from later ones.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta

from ledger.commands import (
    CertificationCommand,
    LapseCertification,
    RegisterCertification,
    RenewCertification,
    RevokeCertification,
    SubmitCertification,
    VerifyCertification,
)
from ledger.events import (
    CertificationLapsed,
    CertificationRegistered,
    CertificationRenewed,
    CertificationRevoked,
    CertificationSubmitted,
    CertificationVerified,
    Event,
    Level,
    ServiceCertified,
    ServiceUncertified,
)
from ledger.policy import Policies, months_after
from ledger.rules.career import Career
from ledger.rules.jobs import Job
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.units import Refused

TERM_YEARS = 3
RENEWAL_MONTHS = 3
EDUCATION_HOURS: dict[Level, int] = {"assistant": 72, "social_worker": 90, "senior": 90}
"""Class hours of continuing education that a renewal asks for (DOMAIN, section 3)."""

REGISTERED = ("registered", "renewed")

NO_CAREER = Career()


class Certification:
    """One certificate as it stands."""

    def __init__(self) -> None:
        self.submitted: CertificationSubmitted | None = None
        self.status = ""
        self.first = ""  # of the newest term
        self.last = ""
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this certificate."""
        self.position = position
        match event:
            case CertificationSubmitted():
                self.submitted, self.status = event, "submitted"
            case CertificationVerified():
                self.status = "verified"
            case CertificationRegistered():
                self.status = "registered"
                self.first, self.last = event.in_force_from, event.in_force_to
            case CertificationRenewed():
                self.status = "renewed"
                self.first, self.last = event.in_force_from, event.in_force_to
            case CertificationLapsed():
                self.status = "lapsed"
            case CertificationRevoked():
                self.status = "revoked"

    @property
    def renewal_from(self) -> str | None:
        """The first date on which it can be renewed."""
        return renewal_opens(date.fromisoformat(self.last)).isoformat() if self.last else None


def term_end(first: date) -> date:
    """The last day of a term: the day before the same date three years on.

    Where that year has no such date, the end of its month.
    """
    year = first.year + TERM_YEARS
    days = monthrange(year, first.month)[1]
    if first.day > days:
        return date(year, first.month, days)
    return date(year, first.month, first.day) - timedelta(days=1)


def renewal_opens(last: date) -> date:
    """Three months before the day after the end; where that month is shorter, its last day."""
    return months_after(last + timedelta(days=1), -RENEWAL_MONTHS)


def submit_certification(
    command: SubmitCertification,
    certification: Certification,  # empty until the fact is written; the answer tells it
    member: Member,
    submitting: Organisation,
    policies: Policies,
) -> list[Event]:
    """Say that a member has a certificate; it counts when another actor has seen it."""
    known_or_refuse(command.organisation, submitting, command.member_id, member)
    past_or_refuse(command.obtained_on, policies.recording(command.at).today)
    return [
        CertificationSubmitted(
            certification_id=command.certification_id,
            member_id=command.member_id,
            organisation=command.organisation,
            level=command.level,
            certificate_ref=command.certificate_ref,
            obtained_on=command.obtained_on.isoformat(),
        )
    ]


def verify_certification(
    command: VerifyCertification,
    certification: Certification,
    policies: Policies,
    career: Career = NO_CAREER,
    submitter: str = "",
) -> list[Event]:
    """Let a certificate count: an upgrade awards what its level is worth more."""
    submitted = _in_state(("submitted",), certification, command, "verified")
    if submitter == command.actor_name or command.actor_member == submitted.member_id:
        raise Refused("second_person_needed")
    obtained_on = date.fromisoformat(submitted.obtained_on)
    worth: int = policies.on(obtained_on)["points"]["certificate"][submitted.level]
    return [
        CertificationVerified(
            certification_id=submitted.certification_id,
            member_id=submitted.member_id,
            organisation=submitted.organisation,
            source="certificate",
            points=max(0, worth - career.level_points()),
            on=submitted.obtained_on,
            level=submitted.level,
            worth=worth,
            policy_version=policies.version,
        )
    ]


def register_certification(
    command: RegisterCertification,
    certification: Certification,
    policies: Policies,
    career: Career = NO_CAREER,
) -> list[Event]:
    """Register a certificate for a term, for the first time or after the last one is over."""
    over = certification.status in REGISTERED and str(command.registered_on) > certification.last
    states = (*("verified", "lapsed"), *(REGISTERED if over else ()))
    submitted = _in_state(states, certification, command, "registered")
    past_or_refuse(command.registered_on, policies.recording(command.at).today)
    earliest = max(submitted.obtained_on, certification.last)
    if str(command.registered_on) < earliest:
        raise Refused("out_of_order", said=str(command.registered_on), earliest=earliest)
    first, last = command.registered_on, term_end(command.registered_on)
    fact = CertificationRegistered(
        certification_id=submitted.certification_id,
        member_id=submitted.member_id,
        organisation=submitted.organisation,
        level=submitted.level,
        registered_on=command.registered_on.isoformat(),
        in_force_from=first.isoformat(),
        in_force_to=last.isoformat(),
    )
    return [fact, *_now_certified(career, fact.certification_id, submitted.member_id, first, last)]


def renew_certification(
    command: RenewCertification,
    certification: Certification,
    policies: Policies,
    career: Career = NO_CAREER,
) -> list[Event]:
    """Let a registration go on the day after its end, for a term of its own."""
    submitted = _in_state(REGISTERED, certification, command, "renewed")
    past_or_refuse(command.renewed_on, policies.recording(command.at).today)
    end = date.fromisoformat(certification.last)
    opens = renewal_opens(end)
    if not opens <= command.renewed_on <= end:
        raise Refused("outside_renewal_window", opens=opens.isoformat(), closes=end.isoformat())
    needed = EDUCATION_HOURS[submitted.level]
    if command.education_hours < needed:
        raise Refused("not_enough_education", hours=command.education_hours, needed=needed)
    first = end + timedelta(days=1)
    last = term_end(first)
    fact = CertificationRenewed(
        certification_id=submitted.certification_id,
        member_id=submitted.member_id,
        organisation=submitted.organisation,
        level=submitted.level,
        renewed_on=command.renewed_on.isoformat(),
        education_hours=command.education_hours,
        in_force_from=first.isoformat(),
        in_force_to=last.isoformat(),
    )
    return [fact, *_now_certified(career, fact.certification_id, submitted.member_id, first, last)]


def lapse_certification(
    command: LapseCertification, certification: Certification, job: Job, policies: Policies
) -> list[Event]:
    """End a registration whose last day is over; nothing new where it is not due."""
    submitted = certification.submitted
    as_of = policies.recording(command.as_of).today.isoformat()
    if submitted is None or certification.status not in REGISTERED or job.is_past(command.as_of):
        return []
    if as_of <= certification.last:
        return []
    return [
        CertificationLapsed(
            certification_id=submitted.certification_id,
            member_id=submitted.member_id,
            organisation=submitted.organisation,
            as_of=as_of,
        )
    ]


def revoke_certification(
    command: RevokeCertification,
    certification: Certification,
    policies: Policies,
    career: Career = NO_CAREER,
) -> list[Event]:
    """Say that a certificate is none from a date on: its level's points go, and later services'."""
    states = ("verified", "lapsed", *REGISTERED)
    submitted = _in_state(states, certification, command, "revoked")
    past_or_refuse(command.effective_on, policies.recording(command.at).today)
    if str(command.effective_on) < submitted.obtained_on:
        raise Refused(
            "out_of_order", said=str(command.effective_on), earliest=submitted.obtained_on
        )
    id, effective_on = submitted.certification_id, command.effective_on.isoformat()
    fact = CertificationRevoked(
        certification_id=id,
        member_id=submitted.member_id,
        organisation=submitted.organisation,
        source="certificate",
        points=career.level_points(without=id) - career.level_points(),
        on=effective_on,
        effective_on=effective_on,
        reason=command.reason,
    )
    later = (
        record_id
        for record_id, served in career.services.items()
        if served.certified
        and served.on >= effective_on
        and career.registration(served.on, without=id) is None
    )
    return [fact, *_marked(career, id, submitted.member_id, later, ServiceUncertified)]


def known_or_refuse(
    organisation: str, asking: Organisation, member_id: str, member: Member, name: str = "member_id"
) -> None:
    """Pass where an organisation that may post knows the member, whose account is open."""
    if asking.added is None:
        raise Refused("not_found", pointer="/organisation", what=organisation)
    if organisation not in member.organisations:
        raise Refused("not_found", pointer=f"/{name}", what=member_id)
    if asking.suspended:
        raise Refused("organisation_suspended", organisation=organisation)
    if member.closed:
        raise Refused("member_closed")


def past_or_refuse(said: date, today: date) -> None:
    """Pass where a date has come."""
    if said > today:
        raise Refused("in_the_future", as_of=said.isoformat(), now=today.isoformat())


def _in_state(
    states: tuple[str, ...],
    certification: Certification,
    command: CertificationCommand,
    after: str,
) -> CertificationSubmitted:
    submitted = certification.submitted
    if submitted is None or command.organisation not in (None, submitted.organisation):
        raise Refused("not_found", what=command.certification_id)
    if certification.status not in states:
        raise Refused("wrong_state", before=certification.status, after=after)
    return submitted


def _now_certified(
    career: Career, certification_id: str, member_id: str, first: date, last: date
) -> list[Event]:
    """The services of a term that nobody knew of when they were verified."""
    term = (
        record_id
        for record_id, served in career.services.items()
        if not served.certified and str(first) <= served.on <= str(last)
    )
    return _marked(career, certification_id, member_id, term, ServiceCertified)


def _marked(
    career: Career,
    certification_id: str,
    member_id: str,
    records: Iterable[str],
    kind: type[ServiceCertified | ServiceUncertified],
) -> list[Event]:
    """A fact for each record, with what it makes of its year's points."""
    running, facts = career.copied(), list[Event]()
    for record_id in sorted(records, key=lambda one: (career.services[one].on, one)):
        served = running.services[record_id]
        if kind is ServiceCertified:
            points = running.award_of_service(served.on, served.minutes, served.per_hour)
        else:
            points = running.loss_of_service(record_id)
        fact = kind(
            record_id=record_id,
            member_id=member_id,
            organisation=served.organisation,
            certification_id=certification_id,
            served_on=served.on,
            points=points,
        )
        running.apply(fact, 0)
        facts.append(fact)
    return facts
