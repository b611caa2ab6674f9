"""Everything one may ask of the ledger, and the states that its rule relies on.

A command comes from the door complete: who asks, with which ids. The desk sets `at`, the instant
that the whole batch is recorded at, just before the rule runs. `relies_on` names the rule's states
by keys: a stream (`account:<member>`), a record (`record:<id>`), what stands under a receipt
(`receipt:<organisation>/<receipt>`), the balance of an account that is no person's
(`balance:<account>`), or an actor's name (`actor:<key id>`).
"""

from datetime import UTC, date, datetime
from typing import Any, TypedDict

import msgspec

from ledger.events import (
    DONATION_POOL,
    Capacity,
    Evidence,
    GradeName,
    MemberRole,
    OrganisationKind,
    UnitLevel,
)

Keys = dict[str, str]
"""A rule's parameter -> the key of its state."""

EXPIRY = "expiry"
"""The job by which credits expire."""


class Stamp(TypedDict):
    """Who asks, as every command wants to know it."""

    actor: str
    actor_name: str
    actor_member: str | None
    by_admin: bool
    correlation_id: str


class Command(msgspec.Struct, kw_only=True):
    """Something asked: by whom, for which organisation, as part of which chain of facts."""

    actor: str  # key id, `cli` or `jobs`
    actor_name: str  # who that is; never enters an event
    actor_member: str | None = None  # the member behind the key, where it names one
    by_admin: bool = False
    correlation_id: str
    at: datetime = datetime.min.replace(tzinfo=UTC)  # set by the desk

    def relies_on(self) -> Keys:
        """The keys that the command alone tells."""
        raise NotImplementedError

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        """Further keys, that the states so far tell; none where they are all there."""
        return {}


class AddUnit(Command, kw_only=True):
    """Put a unit into the tree."""

    code: str
    name: str
    level: UnitLevel
    parent: str | None = None

    def relies_on(self) -> Keys:
        keys = {"unit": f"unit:{self.code}"}
        if self.parent is not None:
            keys["parent"] = f"unit:{self.parent}"
        return keys


class AddOrganisation(Command, kw_only=True):
    """Register an organisation at a unit."""

    code: str
    name: str
    kind: OrganisationKind
    unit: str

    def relies_on(self) -> Keys:
        return {"organisation": f"organisation:{self.code}", "seat": f"unit:{self.unit}"}


class SuspendOrganisation(Command, kw_only=True):
    """Stop an organisation's posting."""

    code: str
    reason: str

    def relies_on(self) -> Keys:
        return {"organisation": f"organisation:{self.code}"}


class ResumeOrganisation(Command, kw_only=True):
    """Let a suspended organisation post again."""

    code: str
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"organisation": f"organisation:{self.code}"}


class RegisterMember(Command, kw_only=True):
    """Open the account of a person whom the vault knows under this id."""

    member_id: str
    organisation: str
    roles: tuple[MemberRole, ...]
    unit: str

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "home": f"organisation:{self.organisation}",
            "seat": f"unit:{self.unit}",
        }


class JoinMember(Command, kw_only=True):
    """Make a member known to a further organisation, on the person's consent."""

    member_id: str
    organisation: str
    consent_ref: str | None = None  # needed unless the organisation has joined already

    def relies_on(self) -> Keys:
        return {
            "member": f"member:{self.member_id}",
            "joining": f"organisation:{self.organisation}",
        }


class ChangeMember(Command, kw_only=True):
    """Change roles or unit; `person` tells that the vault's fields change with it."""

    member_id: str
    organisation: str | None  # None: asked by an administrator
    roles: tuple[MemberRole, ...] | None = None
    unit: str | None = None
    person: bool = False

    def relies_on(self) -> Keys:
        keys = {"member": f"member:{self.member_id}"}
        if self.unit is not None:
            keys["seat"] = f"unit:{self.unit}"
        return keys


class PostHours(Command, kw_only=True):
    """Record one service of one person under the organisation's own receipt."""

    record_id: str
    organisation: str
    receipt: str
    member_id: str
    activity: str
    category: str
    place: str
    responsible: str
    started_at: datetime
    ended_at: datetime
    break_minutes: int = 0
    capacity: Capacity = "volunteer"
    evidence: Evidence = "attested"
    professional: bool = False
    supervisor_id: str | None = None
    certification_id: str | None = None
    order_id: str | None = None
    project_id: str | None = None
    programme_id: str | None = None
    redemption_id: str | None = None
    member_pointer: str = "/member_id"  # the field that named the member

    def relies_on(self) -> Keys:
        keys = {
            "before": f"receipt:{self.organisation}/{self.receipt}",
            "organisation": f"organisation:{self.organisation}",
            "member": f"member:{self.member_id}",
            "account": f"account:{self.member_id}",
            "place": f"unit:{self.place}",
            "policies": "policies",
            "periods": "periods",
            "grade": f"grade:organisation:{self.organisation}",
        }
        if self.supervisor_id is not None:
            keys["supervisor"] = f"member:{self.supervisor_id}"
        return keys


class RecordCommand(Command, kw_only=True):
    """Something asked about one service record."""

    record_id: str
    organisation: str | None  # None: asked by an administrator

    def relies_on(self) -> Keys:
        return {"record": f"record:{self.record_id}"}


class VerifyHours(RecordCommand, kw_only=True):
    """Let a record that waits count."""

    reason: str | None = None

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "policies": "policies", "periods": "periods"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        if content is None or "poster" in states:
            return {}
        return {
            "account": f"account:{content.member_id}",
            "grade": f"grade:organisation:{content.organisation}",
            "poster": f"actor:{content.actor}",
        }


class RejectHours(RecordCommand, kw_only=True):
    """Say that a record that waits never counts."""

    reason: str

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        if content is None or "poster" in states:
            return {}
        return {"poster": f"actor:{content.actor}"}


class ReverseHours(RecordCommand, kw_only=True):
    """Let a verified record count no more."""

    reason: str
    for_cause: bool = False

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "periods": "periods"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        if content is None or "account" in states:
            return {}
        return {"account": f"account:{content.member_id}", "pool": f"balance:{DONATION_POOL}"}


class Corrected(TypedDict, total=False):
    """What of a record's content is other in its replacement; an instant is UTC."""

    member_id: str
    activity: str
    category: str
    place: str
    responsible: str
    started_at: datetime
    ended_at: datetime
    break_minutes: int
    capacity: Capacity
    evidence: Evidence
    professional: bool
    supervisor_id: str | None
    certification_id: str | None
    order_id: str | None
    project_id: str | None
    programme_id: str | None
    redemption_id: str | None


class CorrectHours(ReverseHours, kw_only=True):
    """Put another record in the place of a verified one: a reversal and its replacement."""

    replacement_id: str
    corrected: Corrected
    member_pointer: str = "/member_id"  # the field that named the member

    def relies_on(self) -> Keys:
        keys = {
            **super().relies_on(),
            "replacement": f"record:{self.replacement_id}",
            "policies": "policies",
        }
        if (place := self.corrected.get("place")) is not None:
            keys["place"] = f"unit:{place}"
        if (supervisor_id := self.corrected.get("supervisor_id")) is not None:
            keys["supervisor"] = f"member:{supervisor_id}"
        return keys

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        keys = super().then_relies_on(states)
        if not keys:
            return {}
        member_id = self.corrected.get("member_id", content.member_id)
        return keys | {
            "organisation": f"organisation:{content.organisation}",
            "member": f"member:{member_id}",
            "credited": f"account:{member_id}",
            "grade": f"grade:organisation:{content.organisation}",
            "poster": f"actor:{content.actor}",
        }


class RequestCorrection(RecordCommand, kw_only=True):
    """Say that one's own record is wrong."""

    request_id: str
    member_id: str | None  # who asks; None: asked by an administrator
    reason: str


class DeclineCorrection(RecordCommand, kw_only=True):
    """Leave a record as it is, though its correction was asked for."""

    request_id: str
    reason: str


class ExpireCredits(Command, kw_only=True):
    """Take what is left of the lots that expire by an instant's date, as the expiry job does."""

    member_id: str
    as_of: datetime

    def relies_on(self) -> Keys:
        return {
            "account": f"account:{self.member_id}",
            "job": f"job:{EXPIRY}",
            "policies": "policies",
        }


class FinishJob(Command, kw_only=True):
    """Say that a job has done all that was due as of an instant."""

    job: str
    as_of: datetime
    allow_future: bool = False

    def relies_on(self) -> Keys:
        return {"job_so_far": f"job:{self.job}"}


class OverrideGrade(Command, kw_only=True):
    """Say what a subject's grade is until a date."""

    subject: str  # `member:<id>` or `organisation:<code>`
    grade: GradeName
    reason: str
    until: date

    def relies_on(self) -> Keys:
        keys = {"grade": f"grade:{self.subject}", "policies": "policies"}
        kind, _, _ = self.subject.partition(":")
        if kind in ("organisation", "member"):
            keys[kind] = self.subject
        return keys


class ClosePeriod(Command, kw_only=True):
    """Close a month of service dates."""

    month: str  # YYYY-MM
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"periods": "periods", "policies": "policies"}


class ReopenPeriod(Command, kw_only=True):
    """Let a closed month be posted to again."""

    month: str  # YYYY-MM
    reason: str | None = None

    def relies_on(self) -> Keys:
        return {"periods": "periods"}


class PublishPolicy(Command, kw_only=True):
    """Give some keys of the rule book of numbers new values from a date on."""

    effective_on: date
    changes: dict[str, Any]
    note: str | None = None

    def relies_on(self) -> Keys:
        return {"policies": "policies"}


def _askable(cls: type[Command]) -> list[type[Command]]:
    below = [found for child in cls.__subclasses__() for found in _askable(child)]
    return [*([] if cls in (Command, RecordCommand) else [cls]), *below]


COMMANDS: tuple[type[Command], ...] = tuple(_askable(Command))
