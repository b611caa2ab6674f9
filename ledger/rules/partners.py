"""Who works together: agreements of communities with agencies, meetings, partners, experts."""

from ledger.commands import (
    AddPartner,
    AmendAgreement,
    CloseResolution,
    EndAgreement,
    EndExpert,
    EndPartner,
    HoldMeeting,
    NameExpert,
    SignAgreement,
)
from ledger.events import (
    AgreementAmended,
    AgreementEnded,
    AgreementSigned,
    Event,
    ExpertEnded,
    ExpertNamed,
    MeetingHeld,
    PartnerAdded,
    PartnerEnded,
    ResolutionClosed,
)
from ledger.policy import Policies
from ledger.rules.certifications import known_or_refuse, past_or_refuse
from ledger.rules.filing import (
    day_or_refuse,
    end_or_refuse,
    filed_or_refuse,
    from_or_refuse,
    own_or_refuse,
    seated_or_refuse,
)
from ledger.rules.members import Member
from ledger.rules.organisations import Organisation
from ledger.rules.units import Unit
from ledger.units import Refused

# --- agreements and meetings ---------------------------------------------------------------------


class Agreement:
    """One agreement as it stands."""

    def __init__(self) -> None:
        self.signed: AgreementSigned | None = None
        self.version = ""  # of the paper that holds
        self.hash = ""
        self.last = ""
        self.ended = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this agreement."""
        self.position = position
        match event:
            case AgreementSigned():
                self.signed = event
                self.version, self.hash, self.last = event.version, event.hash, event.last
            case AgreementAmended():
                self.version, self.hash, self.last = event.version, event.hash, event.last
            case AgreementEnded():
                self.last, self.ended = event.last, True


class Meeting:
    """One joint meeting as it stands."""

    def __init__(self) -> None:
        self.held: MeetingHeld | None = None
        self.closed: dict[int, ResolutionClosed] = {}
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this meeting."""
        self.position = position
        match event:
            case MeetingHeld():
                self.held = event
            case ResolutionClosed():
                self.closed[event.number] = event


def sign_agreement(
    command: SignAgreement,
    agreement: Agreement,  # empty until the fact is written; the answer tells it
    filing: Organisation,
    seat: Unit,
    agency: Organisation,
) -> list[Event]:
    """Pair a community, or the communities of a street, with an agency of social work."""
    if filing.added is None:
        raise Refused("not_found", pointer="/organisation", what=command.organisation)
    if seat.added is None or seat.added.level == "district":
        raise Refused("not_found", pointer="/community", what=command.community)
    if agency.added is None or agency.added.kind != "social_work":
        raise Refused("not_found", pointer="/agency", what=command.agency)
    if filing.suspended:
        raise Refused("organisation_suspended", organisation=command.organisation)
    return [
        AgreementSigned(
            agreement_id=command.agreement_id,
            organisation=command.organisation,
            unit=command.community,
            agency=command.agency,
            version=command.version,
            hash=command.hash,
            first=command.first.isoformat(),
            last=command.last.isoformat(),
        )
    ]


def amend_agreement(command: AmendAgreement, agreement: Agreement) -> list[Event]:
    """Let another paper hold, to a date of its own."""
    signed = own_or_refuse(agreement.signed, command.organisation, command.agreement_id)
    if agreement.ended:
        raise Refused("wrong_state", before="ended", after="amended")
    from_or_refuse(command.last, signed.first)
    return [
        AgreementAmended(
            agreement_id=signed.agreement_id,
            organisation=signed.organisation,
            version=command.version,
            hash=command.hash,
            last=command.last.isoformat(),
        )
    ]


def end_agreement(command: EndAgreement, agreement: Agreement, policies: Policies) -> list[Event]:
    """End an agreement before its term; what it was before stays so."""
    signed = own_or_refuse(agreement.signed, command.organisation, command.agreement_id)
    today = policies.recording(command.at).today
    return [
        AgreementEnded(
            agreement_id=signed.agreement_id,
            organisation=signed.organisation,
            last=end_or_refuse(signed, agreement.last, agreement.ended, command.last, today),
            reason=command.reason,
        )
    ]


def hold_meeting(
    command: HoldMeeting,
    meeting: Meeting,  # empty until the fact is written; the answer tells it
    filing: Organisation,
    seat: Unit,
    policies: Policies,
    **participants: Organisation,  # by their place
) -> list[Event]:
    """Say that a meeting was held, by which organisations, and what it resolved."""
    filed_or_refuse(command.organisation, filing, command.unit, seat)
    for place, code in enumerate(command.participants):
        if participants[f"participant_{place}"].added is None:
            raise Refused("not_found", pointer=f"/participants/{place}", what=code)
    past_or_refuse(command.on, policies.recording(command.at).today)
    return [
        MeetingHeld(
            meeting_id=command.meeting_id,
            organisation=command.organisation,
            unit=command.unit,
            on=command.on.isoformat(),
            topic=command.topic,
            participants=command.participants,
            minutes_ref=command.minutes_ref,
            resolutions=command.resolutions,
        )
    ]


def close_resolution(command: CloseResolution, meeting: Meeting, policies: Policies) -> list[Event]:
    """Say that a resolution was seen to, once."""
    held = own_or_refuse(meeting.held, command.organisation, command.meeting_id)
    if command.number > len(held.resolutions):
        raise Refused("not_found", pointer="/number", what=command.number)
    if command.number in meeting.closed:
        raise Refused("wrong_state", before="seen_to", after="seen_to")
    today = policies.recording(command.at).today
    return [
        ResolutionClosed(
            meeting_id=held.meeting_id,
            organisation=held.organisation,
            number=command.number,
            on=day_or_refuse(command.on or today, today, held.on),
            ref=command.ref,
        )
    ]


# --- partners and experts ------------------------------------------------------------------------


class Partner:
    """One partner or base as it stands."""

    def __init__(self) -> None:
        self.added: PartnerAdded | None = None
        self.last: str | None = None
        self.ended = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this partner."""
        self.position = position
        match event:
            case PartnerAdded():
                self.added, self.last = event, event.last
            case PartnerEnded():
                self.last, self.ended = event.last, True


class Expert:
    """One member as an expert."""

    def __init__(self) -> None:
        self.named: ExpertNamed | None = None
        self.last = ""
        self.ended = False
        self.position = 0

    def apply(self, event: Event, position: int) -> None:
        """Take in the next fact about this expert."""
        self.position = position
        match event:
            case ExpertNamed():
                self.named, self.last = event, event.last
            case ExpertEnded():
                self.last, self.ended = event.last, True


def add_partner(
    command: AddPartner,
    partner: Partner,  # empty until the fact is written; the answer tells it
    filing: Organisation,
    seat: Unit,
) -> list[Event]:
    """Say who works with the field, or what is there for it as a base."""
    filed_or_refuse(command.organisation, filing, command.unit, seat)
    return [
        PartnerAdded(
            partner_id=command.partner_id,
            organisation=command.organisation,
            name=command.name,
            kind=command.kind,
            unit=command.unit,
            first=command.first.isoformat(),
            last=None if command.last is None else command.last.isoformat(),
        )
    ]


def end_partner(command: EndPartner, partner: Partner, policies: Policies) -> list[Event]:
    """Say that a partner or base is no longer there."""
    added = own_or_refuse(partner.added, command.organisation, command.partner_id)
    today = policies.recording(command.at).today
    return [
        PartnerEnded(
            partner_id=added.partner_id,
            organisation=added.organisation,
            last=end_or_refuse(added, partner.last, partner.ended, command.last, today),
            reason=command.reason,
        )
    ]


def name_expert(
    command: NameExpert,
    expert: Expert,  # empty until the fact is written; the answer tells it
    member: Member,
    filing: Organisation,
    seat: Unit,
) -> list[Event]:
    """Name a member whom the organisation knows an expert of a unit, for a term."""
    known_or_refuse(command.organisation, filing, command.member_id, member)
    seated_or_refuse(command.unit, seat)
    return [
        ExpertNamed(
            expert_id=command.expert_id,
            member_id=command.member_id,
            organisation=command.organisation,
            speciality=command.speciality,
            unit=command.unit,
            first=command.first.isoformat(),
            last=command.last.isoformat(),
        )
    ]


def end_expert(command: EndExpert, expert: Expert, policies: Policies) -> list[Event]:
    """Say that a member is an expert no more, before the term is over."""
    named = own_or_refuse(expert.named, command.organisation, command.expert_id)
    today = policies.recording(command.at).today
    return [
        ExpertEnded(
            expert_id=named.expert_id,
            member_id=named.member_id,
            organisation=named.organisation,
            last=end_or_refuse(named, expert.last, expert.ended, command.last, today),
            reason=command.reason,
        )
    ]
