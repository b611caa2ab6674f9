"""The rule book: which rule answers which command, and which state folds which stream."""

from collections.abc import Callable
from typing import Any, Protocol

from ledger import commands
from ledger.events import Event
from ledger.policy import Policies
from ledger.rules.accounts import close_account, freeze_credits, unfreeze_credits
from ledger.rules.achievements import (
    Achievement,
    apply_achievement,
    approve_achievement,
    reverse_achievement,
    submit_achievement,
)
from ledger.rules.career import Career
from ledger.rules.certifications import (
    Certification,
    lapse_certification,
    register_certification,
    renew_certification,
    revoke_certification,
    submit_certification,
    verify_certification,
)
from ledger.rules.consents import give_consent, withdraw_consent
from ledger.rules.corrections import (
    correct_hours,
    decline_correction,
    request_correction,
    reverse_hours,
)
from ledger.rules.credentials import Credential, issue_credential, revoke_credential
from ledger.rules.expiry import expire_credits
from ledger.rules.grading import (
    Grade,
    appeal_grade,
    compute_grade,
    decide_appeal,
    override_grade,
)
from ledger.rules.jobs import Job, finish_job
from ledger.rules.log_keys import SigningKeys, rotate_signing_key
from ledger.rules.members import (
    Member,
    change_member,
    erase_person,
    join_member,
    reach_age_band,
    register_member,
)
from ledger.rules.needs import Need, assess_need, reject_need, report_need, resolve_need
from ledger.rules.orders import (
    Order,
    accept_order,
    cancel_order,
    check_in_order,
    close_order,
    decline_order,
    dispatch_order,
    place_order,
    time_out_order,
)
from ledger.rules.organisations import (
    Organisation,
    add_organisation,
    resume_organisation,
    suspend_organisation,
)
from ledger.rules.partners import (
    Agreement,
    Expert,
    Meeting,
    Partner,
    add_partner,
    amend_agreement,
    close_resolution,
    end_agreement,
    end_expert,
    end_partner,
    hold_meeting,
    name_expert,
    sign_agreement,
)
from ledger.rules.periods import Periods, close_period, reopen_period
from ledger.rules.policies import publish_policy
from ledger.rules.programmes import (
    Programme,
    Target,
    close_programme,
    complete_programme,
    enrol_member,
    open_programme,
    set_target,
    withdraw_target,
)
from ledger.rules.projects import (
    Conversion,
    Project,
    advance_conversion,
    advance_project,
    begin_conversion,
    begin_project,
    withdraw_conversion,
    withdraw_project,
)
from ledger.rules.redemptions import (
    Redemption,
    cancel_redemption,
    expire_redemption,
    fulfil_redemption,
    reserve_redemption,
)
from ledger.rules.rewards import Reward, add_reward, restock_reward, withdraw_reward
from ledger.rules.served_orders import (
    check_out_order,
    decide_order,
    dispute_order,
    rate_order,
)
from ledger.rules.service_records import Record, post_hours, reject_hours, verify_hours
from ledger.rules.statements import (
    Services,
    Statement,
    Statements,
    issue_statement,
    revoke_statement,
)
from ledger.rules.supervision import (
    Appointment,
    Case,
    Mentorship,
    appoint_supervisor,
    begin_mentorship,
    end_appointment,
    end_mentorship,
    file_case,
    withdraw_case,
)
from ledger.rules.supervision_index import SupervisionIndex, compute_supervision_index
from ledger.rules.time_account import TimeAccount
from ledger.rules.transfers import (
    Grant,
    allocate_credits,
    approve_grant,
    donate_credits,
    give_credits,
    inherit_credits,
    propose_grant,
    record_relation,
)
from ledger.rules.units import Unit, add_unit

Rule = Callable[..., list[Event]]
"""Pure: a command and the folded states it relies on -> facts, or Refused."""


class State(Protocol):
    """A stream's past, folded."""

    def apply(self, event: Event, position: int) -> None:
        """Take in the stream's next fact."""


RULEBOOK: dict[type[commands.Command], Rule] = {
    commands.AddUnit: add_unit,
    commands.AddOrganisation: add_organisation,
    commands.SuspendOrganisation: suspend_organisation,
    commands.ResumeOrganisation: resume_organisation,
    commands.RegisterMember: register_member,
    commands.JoinMember: join_member,
    commands.ChangeMember: change_member,
    commands.ErasePerson: erase_person,
    commands.ReachAgeBand: reach_age_band,
    commands.GiveConsent: give_consent,
    commands.WithdrawConsent: withdraw_consent,
    commands.PostHours: post_hours,
    commands.VerifyHours: verify_hours,
    commands.RejectHours: reject_hours,
    commands.ReverseHours: reverse_hours,
    commands.CorrectHours: correct_hours,
    commands.RequestCorrection: request_correction,
    commands.DeclineCorrection: decline_correction,
    commands.ExpireCredits: expire_credits,
    commands.FinishJob: finish_job,
    commands.RotateSigningKey: rotate_signing_key,
    commands.RecordRelation: record_relation,
    commands.GiveCredits: give_credits,
    commands.DonateCredits: donate_credits,
    commands.InheritCredits: inherit_credits,
    commands.AllocateCredits: allocate_credits,
    commands.ProposeGrant: propose_grant,
    commands.ApproveGrant: approve_grant,
    commands.AddReward: add_reward,
    commands.RestockReward: restock_reward,
    commands.WithdrawReward: withdraw_reward,
    commands.ReserveRedemption: reserve_redemption,
    commands.FulfilRedemption: fulfil_redemption,
    commands.CancelRedemption: cancel_redemption,
    commands.ExpireRedemption: expire_redemption,
    commands.ReportNeed: report_need,
    commands.AssessNeed: assess_need,
    commands.RejectNeed: reject_need,
    commands.ResolveNeed: resolve_need,
    commands.PlaceOrder: place_order,
    commands.DispatchOrder: dispatch_order,
    commands.AcceptOrder: accept_order,
    commands.DeclineOrder: decline_order,
    commands.TimeOutOrder: time_out_order,
    commands.CheckInOrder: check_in_order,
    commands.CheckOutOrder: check_out_order,
    commands.RateOrder: rate_order,
    commands.CancelOrder: cancel_order,
    commands.DisputeOrder: dispute_order,
    commands.DecideOrder: decide_order,
    commands.CloseOrder: close_order,
    commands.FreezeCredits: freeze_credits,
    commands.UnfreezeCredits: unfreeze_credits,
    commands.CloseAccount: close_account,
    commands.SubmitCertification: submit_certification,
    commands.VerifyCertification: verify_certification,
    commands.RegisterCertification: register_certification,
    commands.RenewCertification: renew_certification,
    commands.LapseCertification: lapse_certification,
    commands.RevokeCertification: revoke_certification,
    commands.SubmitAchievement: submit_achievement,
    commands.ApproveAchievement: approve_achievement,
    commands.ApplyAchievement: apply_achievement,
    commands.ReverseAchievement: reverse_achievement,
    commands.AppointSupervisor: appoint_supervisor,
    commands.EndAppointment: end_appointment,
    commands.BeginMentorship: begin_mentorship,
    commands.EndMentorship: end_mentorship,
    commands.FileCase: file_case,
    commands.WithdrawCase: withdraw_case,
    commands.BeginProject: begin_project,
    commands.AdvanceProject: advance_project,
    commands.WithdrawProject: withdraw_project,
    commands.BeginConversion: begin_conversion,
    commands.AdvanceConversion: advance_conversion,
    commands.WithdrawConversion: withdraw_conversion,
    commands.SignAgreement: sign_agreement,
    commands.AmendAgreement: amend_agreement,
    commands.EndAgreement: end_agreement,
    commands.HoldMeeting: hold_meeting,
    commands.CloseResolution: close_resolution,
    commands.OpenProgramme: open_programme,
    commands.EnrolMember: enrol_member,
    commands.CompleteProgramme: complete_programme,
    commands.CloseProgramme: close_programme,
    commands.SetTarget: set_target,
    commands.WithdrawTarget: withdraw_target,
    commands.AddPartner: add_partner,
    commands.EndPartner: end_partner,
    commands.NameExpert: name_expert,
    commands.EndExpert: end_expert,
    commands.OverrideGrade: override_grade,
    commands.ComputeGrade: compute_grade,
    commands.AppealGrade: appeal_grade,
    commands.DecideAppeal: decide_appeal,
    commands.ComputeSupervisionIndex: compute_supervision_index,
    commands.IssueStatement: issue_statement,
    commands.RevokeStatement: revoke_statement,
    commands.IssueCredential: issue_credential,
    commands.RevokeCredential: revoke_credential,
    commands.ClosePeriod: close_period,
    commands.ReopenPeriod: reopen_period,
    commands.PublishPolicy: publish_policy,
}

STATES: dict[str, Callable[[str], Any]] = {
    "unit": lambda _: Unit(),
    "organisation": lambda _: Organisation(),
    "member": lambda _: Member(),
    "account": TimeAccount,
    "record": lambda _: Record(),
    "services": lambda _: Services(),
    "policies": lambda _: Policies(),
    "periods": lambda _: Periods(),
    "grade": lambda _: Grade(),
    "index": lambda _: SupervisionIndex(),
    "job": lambda _: Job(),
    "signing_keys": lambda _: SigningKeys(),
    "transfer": lambda _: Grant(),
    "reward": lambda _: Reward(),
    "redemption": lambda _: Redemption(),
    "career": lambda _: Career(),
    "certification": lambda _: Certification(),
    "achievement": lambda _: Achievement(),
    "appointment": lambda _: Appointment(),
    "mentorship": lambda _: Mentorship(),
    "case": lambda _: Case(),
    "need": lambda _: Need(),
    "order": lambda _: Order(),
    "project": lambda _: Project(),
    "conversion": lambda _: Conversion(),
    "agreement": lambda _: Agreement(),
    "meeting": lambda _: Meeting(),
    "programme": lambda _: Programme(),
    "target": lambda _: Target(),
    "partner": lambda _: Partner(),
    "expert": lambda _: Expert(),
    "statement": lambda _: Statement(),
    "statements": lambda _: Statements(),
    "credential": lambda _: Credential(),
}
"""The first part of a key -> the empty state of what the rest names, to fold its facts into."""
