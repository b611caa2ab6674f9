"""Corrections of verified records: reversal, replacement, and the member's request for one.

Nothing is edited. A reversal is a fact of its own, and a correction is a reversal with the
replacement that cites it.
"""

from datetime import date
from typing import Any

from ledger.commands import CorrectHours, DeclineCorrection, RequestCorrection, ReverseHours
from ledger.events import (
    CorrectionDeclined,
    CorrectionRequested,
    Event,
    HoursReversed,
    HoursVerified,
    PostedContent,
)
from ledger.policy import Policies, Recording, lot_end
from ledger.rules.career import Career
from ledger.rules.certifications import Certification
from ledger.rules.earning import PaidBack, earned, figures, professional, taken_back
from ledger.rules.grading import Grade
from ledger.rules.members import Member
from ledger.rules.orders import NO_ORDER, Order, undisputed_or_refuse
from ledger.rules.organisations import Organisation
from ledger.rules.payments import Paying
from ledger.rules.periods import Periods
from ledger.rules.programmes import Programme
from ledger.rules.projects import Project
from ledger.rules.redemptions import (
    NO_ACCOUNT,
    NO_MEMBER,
    NO_REDEMPTION,
    Redemption,
    citable_or_refuse,
)
from ledger.rules.service_records import (
    NO_GRADE,
    Record,
    held_or_refuse,
    in_state,
    known_field_or_refuse,
    over_or_refuse,
    two_needed,
)
from ledger.rules.shared_balances import SharedBalance
from ledger.rules.statements import NO_STATEMENTS, Statements
from ledger.rules.time_account import TimeAccount, interval
from ledger.rules.units import Unit
from ledger.units import MINUTE, Refused, instant, instant_text

SERVICE_MAX = 24 * 60 * MINUTE

# States that stand for those of a record that does not exist, which no rule comes to read.
NO_POOL = SharedBalance("")
NO_ORGANISATION = Organisation()

_KEPT = [name for name in PostedContent.__struct_fields__ if name not in Event.__struct_fields__]
"""What a replacement keeps of a record's content, unless it is corrected."""


def reverse_hours(
    command: ReverseHours,
    record: Record,
    policies: Policies,
    periods: Periods,
    account: TimeAccount = NO_ACCOUNT,
    pool: SharedBalance = NO_POOL,
    redemption: Redemption = NO_REDEMPTION,
    career: Career | None = None,
    order: Order = NO_ORDER,
    statements: Statements = NO_STATEMENTS,
) -> list[Event]:
    """Let a record count no more: minutes off, credits taken back, its time free again."""
    content = in_state("verified", record, command, "reversed")
    undisputed_or_refuse(order, content.record_id, "reversed")
    if periods.is_closed(date.fromisoformat(content.served_on)) and not command.by_admin:
        raise Refused("period_closed", month=content.served_on[:7])
    back = paid_back(
        paying(content, redemption, order), policies.recording(command.at), "available"
    )
    undone = reversal(
        *(record, periods, account, pool, back, career),
        reason=command.reason,
        for_cause=command.for_cause,
    )
    return [undone, *statements.superseded_by(undone)]


def correct_hours(
    command: CorrectHours,
    record: Record,
    replacement: Record,  # empty until the facts are written; the answer tells it
    policies: Policies,
    periods: Periods,
    account: TimeAccount = NO_ACCOUNT,
    credited: TimeAccount = NO_ACCOUNT,
    pool: SharedBalance = NO_POOL,
    grade: Grade = NO_GRADE,
    organisation: Organisation = NO_ORGANISATION,
    member: Member = NO_MEMBER,
    poster: str = "",
    place: Unit | None = None,
    supervisor: Member | None = None,
    redemption: Redemption = NO_REDEMPTION,
    cited: Redemption = NO_REDEMPTION,
    certification: Certification | None = None,
    career: Career | None = None,
    credited_career: Career | None = None,
    order: Order = NO_ORDER,
    cited_order: Order | None = None,
    cited_project: Project | None = None,
    cited_programme: Programme | None = None,
    statements: Statements = NO_STATEMENTS,
) -> list[Event]:
    """Put another record in the place of a verified one; it counts at once.

    It is counted when the first one's time is free again. Receipt and verdict on lateness stay.
    Where it cites the same redemption, or is an order's own, that pays for it again first, out of
    what it got back.
    """
    before = in_state("verified", record, command, "corrected")
    undisputed_or_refuse(order, before.record_id, "corrected")
    content = _content(command, record, before)
    _known_or_refuse(command, content, before.organisation, member, place, supervisor)
    _own_order_or_refuse(command, before, order, cited_order)
    known_field_or_refuse(
        cited_project, cited_programme, content["project_id"], content["programme_id"]
    )
    held_or_refuse(certification, content["certification_id"], content["member_id"])
    if member.closed:
        raise Refused("member_closed")
    recording = policies.recording(command.at)
    colour = grade.in_force(recording.today)
    if colour == "G4" and not command.by_admin:
        raise Refused("forbidden")
    if organisation.suspended and not command.by_admin:
        raise Refused("organisation_suspended", organisation=before.organisation)
    if command.actor_member in (before.member_id, content["member_id"]):
        raise Refused("own_hours")
    asked = two_needed(before.evidence, colour) or two_needed(content["evidence"], colour)
    if asked and command.actor_name == poster:
        raise Refused("second_person_needed")
    _citable_again_or_refuse(content, before, cited)
    _span_or_refuse(content)
    started_at, ended_at = instant(content["started_at"]), instant(content["ended_at"])
    over_or_refuse(ended_at, command.at)
    served_on = date.fromisoformat(before.served_on)
    if "started_at" in command.corrected:
        served_on = started_at.astimezone(recording.zone).date()
    closed = [
        day for day in (date.fromisoformat(before.served_on), served_on) if periods.is_closed(day)
    ]
    if closed and not command.by_admin:
        raise Refused("period_closed", month=f"{closed[0]:%Y-%m}")

    payer = paying(before, redemption, order)

    def back_to(pocket: str) -> HoursReversed:
        return reversal(
            *(record, periods, account, pool, paid_back(payer, recording, pocket), career),
            reason=command.reason,
            for_cause=command.for_cause,
            replaced_by=command.replacement_id,
        )

    undone = back_to("available")
    same_member = content["member_id"] == before.member_id
    if same_member or f"account:{content['member_id']}" in undone.also_in:
        credited = (account if same_member else credited).copied()
        credited.apply(undone, 0)
    if same_member and before.professional and credited_career is not None:
        credited_career = credited_career.copied()
        credited_career.apply(undone, 0)
    came_to = earned(
        credited,
        interval(content["started_at"], content["ended_at"]),
        content["break_minutes"] or 0,
        on_duty=content["capacity"] == "on_duty",
        category=content["category"],
        no_credit=bool(before.no_credit),
        served_on=served_on,
        values=policies.on(served_on),
    )
    facts: list[Event] = [undone]
    again = payer is order or (
        content["redemption_id"] is not None and content["redemption_id"] == before.redemption_id
    )
    paid_already = payer.paid if again else cited.paid
    back = -(undone.paid_from_hold or 0)
    if again and payer.payer_id and (paid := min(came_to.of_the_day, back)):
        payment = payer.pay_again(
            paid, back, content["member_id"], credited, recording, before.record_id
        )
        credited.apply(payment, 0)
        facts = [back_to("held"), payment]
    content |= {
        "correlation_id": before.chain,
        "record_id": command.replacement_id,
        "replaces": before.record_id,
        "served_on": served_on.isoformat(),
        "policy_version": policies.version,
        "after_close": bool(closed) or None,
    }
    counted = figures(credited, came_to, paid_already)
    replaced = HoursVerified(**content, **counted, **professional(credited_career, came_to))
    return [*facts, replaced, *statements.superseded_by(undone)]


def request_correction(command: RequestCorrection, record: Record) -> list[Event]:
    """A member says that their record is wrong; it has one open request at a time."""
    content = record.content
    if content is None or command.member_id not in (None, content.member_id):
        raise Refused("not_found", what=command.record_id)
    if record.status != "verified" or record.request_id is not None:
        now = record.status if record.request_id is None else "correction_requested"
        raise Refused("wrong_state", before=now, after="correction_requested")
    return [
        CorrectionRequested(
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            request_id=command.request_id,
            reason=command.reason,
        )
    ]


def decline_correction(command: DeclineCorrection, record: Record) -> list[Event]:
    """Leave a record as it is, and say why."""
    content = record.content
    if content is None or command.organisation not in (None, content.organisation):
        raise Refused("not_found", what=command.request_id)
    status = record.requests.get(command.request_id)
    if status is None:
        raise Refused("not_found", what=command.request_id)
    if command.actor_member == content.member_id:
        raise Refused("own_hours")
    if status != "open":
        raise Refused("wrong_state", before=status, after="declined")
    return [
        CorrectionDeclined(
            record_id=content.record_id,
            member_id=content.member_id,
            organisation=content.organisation,
            request_id=command.request_id,
            reason=command.reason,
        )
    ]


def reversal(
    record: Record,
    periods: Periods,
    account: TimeAccount,
    pool: SharedBalance,
    back: PaidBack | None,
    career: Career | None,
    *,
    reason: str,
    for_cause: bool = False,
    replaced_by: str | None = None,
) -> HoursReversed:
    """The fact that a verified record counts no more."""
    content, counted = record.content, record.figures
    assert content is not None  # noqa: S101  (it is verified)
    assert counted is not None  # noqa: S101
    after_close = periods.is_closed(date.fromisoformat(content.served_on))
    return HoursReversed(
        correlation_id=content.chain,
        record_id=content.record_id,
        member_id=content.member_id,
        organisation=content.organisation,
        started_at=content.started_at,
        ended_at=content.ended_at,
        served_on=content.served_on,
        reason=reason,
        for_cause=for_cause or None,
        after_close=after_close or None,
        replaced_by=replaced_by,
        request_id=record.request_id,
        redemption_id=content.redemption_id,
        order_id=content.own_order,
        professional=content.professional,
        **taken_back(
            account,
            counted,
            record.figured_position,
            pool.credits,
            back,
            0 if career is None else career.loss_of_service(content.record_id),
        ),
    )


def paying(content: PostedContent, redemption: Redemption, order: Order) -> Paying:
    """What may have paid for a record: its own order, or the redemption that it cites."""
    return order if content.own_order is not None else redemption


def paid_back(payer: Paying, recording: Recording, pocket: str) -> PaidBack | None:
    """Where what was paid goes back to, as received on the day; None: nothing was."""
    if payer.payer_id is None or payer.payment is None:
        return None
    return PaidBack(
        f"person:{payer.payer_id}:{pocket}",
        payer.payment,
        recording.today.isoformat(),
        lot_end(recording.today, recording.values),
    )


def _content(command: CorrectHours, record: Record, before: PostedContent) -> dict[str, Any]:
    """What the replacement says: what counted before, with what is other."""
    content = {name: getattr(before, name) for name in _KEPT}
    if record.figures is not None and record.figures.evidence is not None:
        content["evidence"] = record.figures.evidence  # what it counted as
    return content | _changes(command)


def _known_or_refuse(
    command: CorrectHours,
    content: dict[str, Any],
    organisation: str,
    member: Member,
    place: Unit | None,
    supervisor: Member | None,
) -> None:
    """Pass where everything that the replacement names is there for the organisation."""
    if organisation not in member.organisations:
        raise Refused("not_found", pointer=command.member_pointer, what=content["member_id"])
    if place is not None and place.added is None:
        raise Refused("not_found", pointer="/place", what=content["place"])
    if supervisor is not None and supervisor.home is None:
        raise Refused("not_found", pointer="/supervisor_id", what=content["supervisor_id"])


def _own_order_or_refuse(
    command: CorrectHours, before: PostedContent, order: Order, cited: Order | None
) -> None:
    """Pass where an order's own record stays so, with its member, and another cites one it may."""
    corrected = command.corrected
    if before.own_order is not None:
        if corrected.get("order_id", before.order_id) != before.order_id:
            raise Refused("wrong_state", before="cited", after="cited")
        if corrected.get("redemption_id") is not None or (
            corrected.get("member_id", before.member_id) != before.member_id
        ):
            raise Refused("wrong_state", before="cited", after="cited")
    elif cited is not None and not cited.is_seen_by(before.organisation):
        raise Refused("not_found", pointer="/order_id", what=corrected.get("order_id"))


def _citable_again_or_refuse(
    content: dict[str, Any], before: PostedContent, cited: Redemption
) -> None:
    """Pass where the replacement cites none, a free one, or the same of the same member."""
    redemption_id = content["redemption_id"]
    if redemption_id is None:
        return
    if redemption_id != before.redemption_id:
        citable_or_refuse(cited, redemption_id, content["member_id"], before.organisation)
    elif content["member_id"] != before.member_id:  # it was another who served
        raise Refused("wrong_state", before="cited", after="cited")


def _changes(command: CorrectHours) -> dict[str, Any]:
    """What is other, as events spell it."""
    changes: dict[str, Any] = dict(command.corrected)
    for name in ("started_at", "ended_at"):
        if name in changes:
            changes[name] = instant_text(changes[name])
    for name in ("break_minutes", "professional"):
        if name in changes:
            changes[name] = changes[name] or None
    return changes


def _span_or_refuse(content: dict[str, Any]) -> None:
    """What the door checks of a post: of a correction it has seen a part alone."""
    start, end = interval(content["started_at"], content["ended_at"])
    left = end - start - (content["break_minutes"] or 0) * MINUTE
    if end <= start:
        raise Refused("ends_before_start", pointer="/ended_at")
    if end - start > SERVICE_MAX:
        raise Refused("longer_than_a_day", pointer="/ended_at")
    if left <= 0:
        raise Refused("break_too_long", pointer="/break_minutes")
    if left < MINUTE:
        raise Refused("less_than_a_minute", pointer="/ended_at")
