"""Members: which organisations know them, in which roles, at which unit."""

from datetime import datetime

from ledger.commands import (
    ChangeMember,
    ErasePerson,
    JoinMember,
    ReachAgeBand,
    RegisterMember,
)
from ledger.events import (
    AccountClosed,
    AgeBand,
    AgeBandReached,
    ConsentGiven,
    ConsentWithdrawn,
    Event,
    MemberChanged,
    MemberJoined,
    MemberRegistered,
    MemberRole,
    PersonDataErased,
    RelationRecorded,
)
from ledger.policy import Policies
from ledger.rules.ages import age_band
from ledger.rules.jobs import Job
from ledger.rules.organisations import Organisation
from ledger.rules.units import Unit
from ledger.units import Refused, instant, instant_text


class Member:
    """One member, as far as the rules care; who it is stands in the vault alone."""

    def __init__(self) -> None:
        self.home: str | None = None
        self.organisations: tuple[str, ...] = ()  # the home organisation first
        self.roles: tuple[MemberRole, ...] = ()
        self.unit = ""
        self.age_band: AgeBand | None = None  # None: not known
        self.age_as_of: str | None = None  # when that was so
        self.closed = False
        self.erased = False  # who it was, the vault knows no more
        self.consents: dict[tuple[str, str], str | None] = {}
        """(organisation, purpose) -> the reference of the consent, None: withdrawn."""
        self.relations: dict[str, str] = {}  # another member -> what they are to this one
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact of this member."""
        self.position = position
        match event:
            case MemberRegistered():
                self.home = event.organisation
                self.organisations = (event.organisation,)
                self.roles = event.roles
                self.unit = event.unit
                self._know_age(event.age_band, event.recorded_at)
            case MemberJoined():
                self.organisations = (*self.organisations, event.organisation)
            case MemberChanged():
                self.roles = event.roles or self.roles
                self.unit = event.unit or self.unit
                if event.age_band is not None or event.age_unknown:
                    self._know_age(event.age_band, event.recorded_at)
            case AgeBandReached():
                self._know_age(event.age_band, event.as_of)
            case RelationRecorded():
                self.relations[event.to] = event.relation
            case AccountClosed():
                self.closed = True
            case ConsentGiven():
                self.consents[event.organisation, event.purpose] = event.consent_ref
            case ConsentWithdrawn():
                self.consents[event.organisation, event.purpose] = None
            case PersonDataErased():
                self.erased = True
                self._know_age(None, event.recorded_at)

    def _know_age(self, band: AgeBand | None, as_of: str) -> None:
        self.age_band, self.age_as_of = band, as_of

    def age_was_told(self, as_of: datetime) -> bool:
        """Was the age told as of then or later?"""
        return self.age_as_of is not None and as_of <= instant(self.age_as_of)


def register_member(
    command: RegisterMember, member: Member, home: Organisation, seat: Unit, policies: Policies
) -> list[Event]:
    """Open the account; said again, nothing new."""
    if member.home is not None:
        return []
    if home.added is None:
        raise Refused("not_found", pointer="/organisation", what=command.organisation)
    if seat.added is None:
        raise Refused("not_found", pointer="/unit", what=command.unit)
    if home.suspended:
        raise Refused("organisation_suspended", organisation=command.organisation)
    return [
        MemberRegistered(
            member_id=command.member_id,
            organisation=command.organisation,
            roles=command.roles,
            unit=command.unit,
            age_band=_band_today(command, policies),
        )
    ]


def join_member(command: JoinMember, member: Member, joining: Organisation) -> list[Event]:
    """Let a further organisation post for the member; said again, nothing new."""
    if member.home is None:
        raise Refused("not_found", what=command.member_id)
    if command.organisation in member.organisations:
        return []
    if joining.added is None:
        raise Refused("not_found", pointer="/organisation", what=command.organisation)
    if member.erased:
        raise Refused("person_erased")
    if command.consent_ref is None:
        raise Refused("consent_needed")
    if joining.suspended:
        raise Refused("organisation_suspended", organisation=command.organisation)
    return [
        MemberJoined(
            member_id=command.member_id,
            organisation=command.organisation,
            consent_ref=command.consent_ref,
        )
    ]


def change_member(
    command: ChangeMember, member: Member, policies: Policies, seat: Unit | None = None
) -> list[Event]:
    """Change roles, unit or the vault's fields; what is so already is nothing new."""
    if member.home is None or command.organisation not in (None, *member.organisations):
        raise Refused("not_found", what=command.member_id)
    if command.organisation not in (None, member.home):
        raise Refused("forbidden")
    if command.person and member.erased:
        raise Refused("person_erased")
    if seat is not None and seat.added is None:
        raise Refused("not_found", pointer="/unit", what=command.unit)
    roles = None if command.roles == member.roles else command.roles
    unit = None if command.unit == member.unit else command.unit
    if roles is None and unit is None and not command.person:
        return []
    band = _band_today(command, policies) if command.person else member.age_band
    return [
        MemberChanged(
            member_id=command.member_id,
            organisation=member.home,
            roles=roles,
            unit=unit,
            person=command.person or None,
            age_band=None if band == member.age_band else band,
            age_unknown=(band is None and member.age_band is not None) or None,
        )
    ]


def reach_age_band(
    command: ReachAgeBand, member: Member, job: Job, policies: Policies
) -> list[Event]:
    """Say the band of an age as of an instant; nothing new where it is the one told, or older."""
    if job.is_past(command.as_of) or member.home is None or member.erased:
        return []
    band = age_band(command.born_on, policies.recording(command.as_of).today)
    if band == member.age_band or member.age_was_told(command.as_of):
        return []
    as_of = instant_text(command.as_of)
    return [AgeBandReached(member_id=command.member_id, age_band=band, as_of=as_of)]


def erase_person(command: ErasePerson, member: Member) -> list[Event]:
    """Say that who the member is was destroyed; said again, nothing new.

    Whatever stands to the account: the balance goes on under the id, and may be spent or closed.
    """
    if member.home is None:
        raise Refused("not_found", what=command.member_id)
    if member.erased:
        return []
    return [PersonDataErased(member_id=command.member_id, reason=command.reason)]


def _band_today(command: RegisterMember | ChangeMember, policies: Policies) -> AgeBand | None:
    if command.born_on is None:
        return None
    return age_band(command.born_on, policies.recording(command.at).today)
