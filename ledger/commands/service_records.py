"""What may be asked about service records, from the post to the correction."""

from datetime import datetime
from typing import Any, TypedDict

from ledger.commands.ask import Command, Keys
from ledger.events import (
    DONATION_POOL,
    Capacity,
    Evidence,
    PostedContent,
)


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
        if self.redemption_id is not None:
            keys["redemption"] = f"redemption:{self.redemption_id}"
        if self.certification_id is not None:
            keys["certification"] = f"certification:{self.certification_id}"
        for name in ("order", "project", "programme"):
            if (cited := getattr(self, f"{name}_id")) is not None:
                keys[name] = f"{name}:{cited}"
        if self.professional:
            keys["career"] = f"career:{self.member_id}"
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
            **_cited(content),
        }


class RejectHours(RecordCommand, kw_only=True):
    """Say that a record that waits never counts."""

    reason: str

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "policies": "policies"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        if content is None or "poster" in states:
            return {}
        keys = {"poster": f"actor:{content.actor}"}
        if content.order_id is not None:
            keys["order"] = f"order:{content.order_id}"
        return keys


class ReverseHours(RecordCommand, kw_only=True):
    """Let a verified record count no more."""

    reason: str
    for_cause: bool = False

    def relies_on(self) -> Keys:
        return {**super().relies_on(), "policies": "policies", "periods": "periods"}

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        if content is None or "account" in states:
            return {}
        return {
            "account": f"account:{content.member_id}",
            "pool": f"balance:{DONATION_POOL}",
            "statements": f"statements:{content.member_id}",
            **_cited(content),
        }


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
        }
        if (place := self.corrected.get("place")) is not None:
            keys["place"] = f"unit:{place}"
        if (supervisor_id := self.corrected.get("supervisor_id")) is not None:
            keys["supervisor"] = f"member:{supervisor_id}"
        if (redemption_id := self.corrected.get("redemption_id")) is not None:
            keys["cited"] = f"redemption:{redemption_id}"
        if (certification_id := self.corrected.get("certification_id")) is not None:
            keys["certification"] = f"certification:{certification_id}"
        for name in ("order", "project", "programme"):
            cited_id = self.corrected.get(f"{name}_id")
            if isinstance(cited_id, str):
                keys[f"cited_{name}"] = f"{name}:{cited_id}"
        return keys

    def then_relies_on(self, states: dict[str, Any]) -> Keys:
        content = states["record"].content
        keys = super().then_relies_on(states)
        if not keys:
            return {}
        member_id = self.corrected.get("member_id", content.member_id)
        if self.corrected.get("professional", content.professional):
            keys["credited_career"] = f"career:{member_id}"
        if "certification_id" not in self.corrected and content.certification_id is not None:
            keys["certification"] = f"certification:{content.certification_id}"
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


def _cited(content: PostedContent) -> Keys:
    """The redemption or order that a record cites, the career that it is a part of, if any."""
    keys: Keys = {}
    if content.redemption_id is not None:
        keys["redemption"] = f"redemption:{content.redemption_id}"
    if content.order_id is not None:
        keys["order"] = f"order:{content.order_id}"
    if content.professional:
        keys["career"] = f"career:{content.member_id}"
    return keys
