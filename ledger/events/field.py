"""Facts of the field: units, organisations, grades, closed months."""

from ledger.events.facts import Event, GradeName, OrganisationKind, UnitLevel


class UnitAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A district, street or community stands in the tree."""

    stream_prefix, stream_key = "unit", "code"
    code: str
    name: str
    level: UnitLevel
    parent: str | None = None


class OrganisationAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An organisation may post for itself from now on."""

    stream_prefix, stream_key = "organisation", "code"
    code: str
    name: str
    kind: OrganisationKind
    unit: str


class OrganisationSuspended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The organisation may not post until it is resumed."""

    stream_prefix, stream_key = "organisation", "code"
    code: str
    reason: str


class OrganisationResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The organisation may post again."""

    stream_prefix, stream_key = "organisation", "code"
    code: str
    reason: str | None = None


class GradeOverridden(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A subject has this grade until a date, by an administrator's word."""

    stream_prefix, stream_key = "grade", "subject"
    subject: str  # `member:<id>` or `organisation:<code>`
    grade: GradeName
    reason: str
    until: str  # the last date


class PeriodEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one month of service dates."""

    stream_prefix, stream_key = "periods", ""
    month: str  # YYYY-MM
    reason: str | None = None


class PeriodClosed(PeriodEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing is posted or verified any more with a service date in this month."""


class PeriodReopened(PeriodEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A closed month is open again."""
