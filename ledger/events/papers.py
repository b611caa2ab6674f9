"""Facts about papers: service statements, and credentials of professional certifications."""

from ledger.events.facts import Event, Level

ActivityRow = tuple[str, str, str, str, int, int, int]
"""(activity, category, first and last service date, records, minutes, late minutes)"""


class StatementEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one service statement, which the member's statements hear."""

    stream_prefix, stream_key = "statement", "number"
    number: str
    member_id: str
    organisation: str  # who recorded the services, and says so

    @property
    def also_in(self) -> tuple[str, ...]:
        return (f"statements:{self.member_id}",)


class StatementIssued(StatementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation states what it has verified of a member's services in a period."""

    title_zh: str
    title_en: str
    served_from: str  # the first and the last service date, both in it
    served_to: str
    issued_on: str  # the local date of recording
    minutes: int  # service minutes
    records: int
    activities: tuple[ActivityRow, ...]
    code_digest: str
    policy_version: int
    late_minutes: int | None = None  # of the minutes
    pending_records: int | None = None  # not counted: nobody has verified them yet
    pending_minutes: int | None = None  # as posted
    on_duty_records: int | None = None  # not counted: paid work
    on_duty_minutes: int | None = None


class StatementSuperseded(StatementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A record that the statement counted counts no more."""

    record_id: str


class StatementRevoked(StatementEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Its issuer takes a statement back."""

    reason: str


class CredentialEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one credential of a certification."""

    stream_prefix, stream_key = "credential", "number"
    number: str
    member_id: str
    organisation: str  # who has verified the certificate


class CredentialIssued(CredentialEvent, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation attests a certification as it stands; where it is registered, for the term.

    What revokes the certification revokes its credentials.
    """

    certification_id: str
    level: Level
    obtained_on: str
    issued_on: str  # the local date of recording
    in_force_from: str | None = None
    in_force_to: str | None = None


class CredentialRevoked(CredentialEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Its issuer takes a credential back."""

    reason: str
