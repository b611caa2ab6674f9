"""The tables of the views store: what one looks up, with the indexes that a rebuild makes last.

Numbers, texts and None alone stand in them (flags are 0 and 1, lists and objects are JSON), so that
a row is the same tuple on SQLite and PostgreSQL and has one digest. Rows that grow with the journal
are in the order of positions. Members and accounts have short numbers, given in the order in which
the journal first names them.
"""

import hashlib

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import (
    CreateIndex,
    CreateSchema,
    CreateTable,
    DropSchema,
    ExecutableDDLElement,
)

from ledger.databases import create_schema, schema_name, writing

SCHEMA_VERSION = 1
"""To be raised when a projection says something else in the same tables."""

READERS_SECONDS = 1
"""How long a rebuild waits for the last readers of the tables that it has replaced."""

TALLIED = (
    *("verified", "late", "backfilled", "overlap_minutes", "capped"),  # records, by their place
    *("credits", "credit_days", "earned", "redeemed"),  # by where the member lives
    *("accepted", "declined", "timed_out", "completed", "rated", "satisfied"),  # orders
    "resolved",  # needs
)
"""What is counted by unit. `credit_days` are credits times the ordinal of their lots' dates."""

VERIFIED, LATE, BACKFILLED, OVERLAP_MINUTES, CAPPED = range(5)
CREDITS, CREDIT_DAYS, EARNED, REDEEMED = range(5, 9)
ACCEPTED, DECLINED, TIMED_OUT, COMPLETED, RATED, SATISFIED, RESOLVED = range(9, 16)
"""The place of each."""

metadata = MetaData()
_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Whole = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    return Column(name, _Text, nullable=nullable, primary_key=primary_key)


def _whole(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[int]:
    return Column(name, _Whole, nullable=nullable, primary_key=primary_key, autoincrement=False)


def _appended(name: str, *columns: Column[int] | Column[str] | Index) -> Table:
    """A table that its rows' own key keeps in order, without a second key behind it."""
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


def _filed(name: str, id: str, *columns: Column[int] | Column[str]) -> Table:
    """A table of things of one kind that organisations have filed at units."""
    return Table(
        name,
        metadata,
        _whole("position", primary_key=True),  # of the first fact about it
        _text(id),
        _text("organisation"),
        _text("unit"),
        *columns,
        _text("reason", nullable=True),  # of its end
        _text("recorded_at"),
        _whole("changed_position"),
        UniqueConstraint(id),
        Index(f"{name}_by_organisation", "organisation", "position"),
        Index(f"{name}_by_unit", "unit", "position"),
    )


def _term(*, nullable: bool = False) -> list[Column[int] | Column[str]]:
    """A term as it stands, and what tells how it stood at a position."""
    return [
        _text("first"),
        _text("planned_last", nullable=nullable),  # as said at first, or amended since
        _text("last", nullable=nullable),
        _whole("ended_position", nullable=True),
    ]


bookmark = Table(
    "bookmark",
    metadata,
    _whole("id", primary_key=True),  # 1: there is one
    _text("shape"),  # of the tables it stands among
    _text("build"),  # another after every rebuild
    _whole("position"),  # the last entry that the views have read
    _text("recorded_at"),  # of that entry; empty before the first
    Column("leaf_hash", _Text, nullable=False),  # of that entry, in hex
)

# --- the field, members, policies ----------------------------------------------------------------

units = Table(
    "units",
    metadata,
    _whole("position", primary_key=True),
    _text("code"),
    _text("name"),
    _text("level"),
    _text("parent", nullable=True),
    _text("recorded_at"),
    UniqueConstraint("code"),
    Index("units_by_parent", "parent"),
)
organisations = Table(
    "organisations",
    metadata,
    _whole("position", primary_key=True),
    _text("code"),
    _text("name"),
    _text("kind"),
    _text("unit"),
    _text("status"),  # active, suspended
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("code"),
)
members = Table(
    "members",
    metadata,
    _whole("position", primary_key=True),
    _text("member_id"),
    _text("home_organisation"),
    _text("roles"),  # a JSON list
    _text("unit"),
    _text("age_band", nullable=True),  # None: not known
    _text("closed_on", nullable=True),  # the local date of the account's end
    _text("erased_at", nullable=True),  # from when on nobody knows who it is
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("member_id"),
    Index("members_by_age_band", "age_band", "position"),
    Index(
        "members_closed",
        "closed_on",
        sqlite_where=text("closed_on IS NOT NULL AND erased_at IS NULL"),
        postgresql_where=text("closed_on IS NOT NULL AND erased_at IS NULL"),
    ),
)
member_organisations = Table(
    "member_organisations",
    metadata,
    _whole("position", primary_key=True),  # at which the organisation came to know the member
    _text("organisation"),
    _text("member_id"),
    Index("member_organisations_by_organisation", "organisation", "position"),
    Index("member_organisations_by_member", "member_id"),
)
consents = Table(
    "consents",
    metadata,
    _whole("position", primary_key=True),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("purpose"),  # joining, publication, sharing
    _text("consent_ref"),
    _text("status"),  # given, replaced by a later one, withdrawn
    _text("given_at"),
    _text("ended_at", nullable=True),
    _whole("changed_position"),
    Index("consents_by_member", "member", "position"),
)
relations = Table(
    "relations",
    metadata,
    _whole("position", primary_key=True),
    _whole("member"),  # balances.id
    _text("to"),  # the other's member id
    _text("relation"),  # what the other is to the member
    _text("evidence_ref"),
    _text("recorded_at"),
    _whole("replaced", nullable=True),  # by what was said of the two later: its position
    Index("relations_by_member", "member", "position"),
)
member_seats = Table(
    "member_seats",
    metadata,
    _whole("position", primary_key=True),  # at which the member came there
    _whole("member"),  # balances.id
    _text("organisation"),  # the home organisation
    _text("unit"),
    Index("member_seats_by_member", "member", "position"),
    Index("member_seats_by_organisation", "organisation", "position"),
    Index("member_seats_by_unit", "unit", "position"),
)
policies = Table(
    "policies",
    metadata,
    _whole("version", primary_key=True),  # from 2; version 1 is the defaults
    _whole("position"),
    _text("effective_on"),
    _text("changes"),  # a JSON object
    _text("note", nullable=True),
    _text("recorded_at"),
)

grade_overrides = Table(
    "grade_overrides",
    metadata,
    _whole("position", primary_key=True),
    _text("subject"),  # `member:<id>`, `organisation:<code>`
    _text("grade"),
    _text("reason"),
    _text("until"),
    _text("recorded_at"),
    Index("grade_overrides_by_subject", "subject", "position"),
)
grade_computations = Table(
    "grade_computations",
    metadata,
    _whole("position", primary_key=True),
    _text("subject"),
    _text("as_of"),
    _text("grade"),
    _whole("score", nullable=True),
    _text("data"),  # the event as JSON
    _text("recorded_at"),
    Index("grade_computations_by_subject", "subject", "position"),
)
grade_appeals = Table(
    "grade_appeals",
    metadata,
    _whole("position", primary_key=True),
    _text("appeal_id"),
    _text("subject"),
    _text("reason"),
    _text("status"),  # open, upheld, dismissed
    _text("decided_reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("appeal_id"),
    Index("grade_appeals_by_subject", "subject", "position"),
)
graded_subjects = Table(
    "graded_subjects",  # those that have a computed grade or an override
    metadata,
    _whole("position", primary_key=True),  # of the first fact about the grade
    _text("subject"),
    _text("grade", nullable=True),  # as it was computed last
    UniqueConstraint("subject"),
)
supervision_indexes = Table(
    "supervision_indexes",
    metadata,
    _whole("position", primary_key=True),
    _text("unit"),
    _text("month"),
    _whole("value", nullable=True),
    _text("data"),  # the event as JSON
    _text("recorded_at"),
    Index("supervision_indexes_by_unit", "unit", "month", "position"),
    Index("supervision_indexes_by_month", "month", "position"),
)
job_runs = Table(
    "job_runs",
    metadata,
    _whole("position", primary_key=True),
    _text("job"),
    _text("as_of"),
    _text("recorded_at"),
    Index("job_runs_by_job", "job", "position"),
)
period_changes = Table(
    "period_changes",
    metadata,
    _whole("position", primary_key=True),
    _text("month"),
    _text("status"),  # closed, open
    _text("reason", nullable=True),
    _text("recorded_at"),
    Index("period_changes_by_month", "month", "position"),
)

# --- accounts and balances -----------------------------------------------------------------------
# Every line of double entry is in one of two: a person's four accounts in the passbook, all others
# in journal_lines.

accounts = Table(
    "accounts",  # that are no person's
    metadata,
    _whole("id", primary_key=True),
    _text("name"),
    _whole("credits"),  # the balance
    UniqueConstraint("name"),
)
journal_lines = _appended(
    "journal_lines",
    _whole("position", primary_key=True),
    _whole("line", primary_key=True),  # from 0, as the event lists them
    _whole("account"),
    _whole("credits"),
    _whole("balance_after"),
    _text("served_on"),
    Index("journal_lines_by_account", "account", "position", "line"),
)
balances = Table(
    "balances",  # the members' accounts as they stand
    metadata,
    _whole("id", primary_key=True),
    _text("member_id"),
    _whole("available"),
    _whole("held"),
    _whole("frozen"),
    _whole("receivable"),  # positive: what the member owes
    _whole("service_minutes"),
    _whole("points"),
    _whole("opened"),  # which of the four accounts have had a line: 1, 2, 4, 8 in their order
    _text("unit"),  # where the member lives; empty while the journal has not said
    UniqueConstraint("member_id"),
)
passbook = _appended(
    "passbook",
    _whole("position", primary_key=True),
    _whole("member", primary_key=True),  # balances.id
    _text("served_on"),
    _text("kind"),
    _whole("available"),  # what the event changes
    _whole("held"),
    _whole("frozen"),
    _whole("receivable"),
    _whole("minutes"),
    _whole("points"),
    _whole("available_after"),  # what stands after it
    _whole("held_after"),
    _whole("frozen_after"),
    _whole("receivable_after"),
    _whole("minutes_after"),
    _whole("points_after"),
    _whole("opened_after"),
    Index(
        "passbook_by_member",
        *("member", "position", "served_on"),
        *("available", "held", "frozen", "receivable", "minutes", "points"),
    ),
)

lots = _appended(
    "lots",
    _whole("member", primary_key=True),  # balances.id: first, for a rebuild looks members up too
    _whole("position", primary_key=True),  # of the fact that made it
    _text("dated"),
    _text("expires_on", nullable=True),
    _whole("credits"),  # as it was received
    _whole("left"),  # available
    _whole("held"),
    _whole("frozen"),
    _whole("expired"),
    Index(
        "lots_by_end",
        "expires_on",
        sqlite_where=text('"left" > 0 AND expires_on IS NOT NULL'),
        postgresql_where=text('"left" > 0 AND expires_on IS NOT NULL'),
    ),
)

hold_lots = _appended(
    "hold_lots",  # the lots that a hold has not ended for
    _whole("member", primary_key=True),  # balances.id
    _text("held_for", primary_key=True),  # a redemption, an order; `dispute:<order>`: frozen
    _whole("position", primary_key=True),  # the lot's
    _whole("credits"),
)

# --- service records -----------------------------------------------------------------------------

service_records = Table(
    "service_records",
    metadata,
    _whole("position", primary_key=True),  # of the first fact about it
    _text("record_id"),
    _whole("changed_position"),
    _text("organisation"),
    _text("receipt"),
    _whole("member"),  # balances.id
    _text("status"),
    _text("activity"),
    _text("category"),
    _text("place"),
    _text("responsible"),
    _text("started_at"),
    _text("ended_at"),
    _text("served_on"),
    _whole("break_minutes"),
    _text("capacity"),
    _text("evidence"),
    _whole("professional"),
    _text("cites", nullable=True),  # a JSON object: supervisor_id, order_id ... where it has any
    _whole("late"),
    _whole("policy_version"),
    _text("replaces", nullable=True),  # record ids
    _text("replaced_by", nullable=True),
    _whole("minutes", nullable=True),  # this and what follows: None until it is verified
    _whole("overlap_minutes", nullable=True),
    _whole("credits", nullable=True),
    _whole("duty_minutes", nullable=True),
    _whole("capped", nullable=True),
    _whole("overflowed", nullable=True),
    _whole("paid_from_hold", nullable=True),
    _whole("points", nullable=True),
    _whole("certified", nullable=True),
    UniqueConstraint("record_id"),  # ids are in the order of time: it grows at its end
    # A member's and an organisation's are found in the trail, at the same positions.
    Index("service_records_by_place", "place", "position"),
    Index(
        "service_records_unverified",
        *("status", "organisation", "position"),
        sqlite_where=text("status <> 'verified'"),
        postgresql_where=text("status <> 'verified'"),
    ),
)

correction_requests = Table(
    "correction_requests",
    metadata,
    _whole("position", primary_key=True),
    _text("request_id"),
    _text("record_id"),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("reason"),
    _text("status"),  # open, granted, declined
    _text("decided_reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("request_id"),
    Index("correction_requests_by_record", "record_id", "position"),
    Index("correction_requests_by_organisation", "organisation", "position"),
    Index("correction_requests_by_member", "member", "position"),
)

transfers = Table(
    "transfers",
    metadata,
    _whole("position", primary_key=True),
    _text("transfer_id"),
    _text("kind"),
    _text("status"),  # done, proposed
    _whole("member", nullable=True),  # balances.id of the giver
    _whole("credits"),
    _text("fund", nullable=True),
    _text("entries"),  # a JSON list of lines; while it is proposed, what would be received
    _text("reason"),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("transfer_id"),
    Index("transfers_by_member", "member", "position"),
    Index("transfers_by_last_fact", "changed_position"),
)

career_facts = Table(
    "career_facts",  # what a member's career is folded from, and every award of points
    metadata,
    _whole("position", primary_key=True),
    _whole("member"),  # balances.id
    _text("type"),
    _text("source", nullable=True),  # of points; None where the fact moves none
    _text("on", nullable=True),  # the date that they count for
    _whole("points"),
    _text("data", nullable=True),  # the event as JSON; of services nothing is folded
    Index("career_facts_by_member", "member", "position"),
)
certifications = Table(
    "certifications",
    metadata,
    _whole("position", primary_key=True),
    _text("certification_id"),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("level"),
    _text("certificate_ref"),
    _text("obtained_on"),
    _text("status"),
    _text("in_force_from", nullable=True),  # the newest term
    _text("in_force_to", nullable=True),
    _text("revoked_from", nullable=True),
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("certification_id"),
    Index("certifications_by_member", "member", "position"),
    Index("certifications_by_organisation", "organisation", "position"),
    Index("certifications_by_end", "in_force_to"),
)
achievements = Table(
    "achievements",
    metadata,
    _whole("position", primary_key=True),
    _text("achievement_id"),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("kind"),
    _text("on"),
    _text("ref"),
    _whole("hours", nullable=True),
    _text("outcome", nullable=True),
    _text("prize", nullable=True),
    _whole("promoted"),
    _text("status"),
    _whole("points", nullable=True),  # as awarded; None until it is approved
    _text("applied_on", nullable=True),
    _text("applied_ref", nullable=True),
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("achievement_id"),
    Index("achievements_by_member", "member", "position"),
    Index("achievements_by_organisation", "organisation", "position"),
    Index("achievements_by_kind", "kind", "position"),
)
appointments = Table(
    "appointments",
    metadata,
    _whole("position", primary_key=True),
    _text("appointment_id"),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("unit"),
    _text("first"),
    _text("last"),
    _text("status"),  # made, ended
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("appointment_id"),
    Index("appointments_by_member", "member", "position"),
    Index("appointments_by_organisation", "organisation", "position"),
)
mentorships = Table(
    "mentorships",
    metadata,
    _whole("position", primary_key=True),
    _text("mentorship_id"),
    _whole("member"),  # balances.id of the mentor
    _text("mentee_id"),
    _text("organisation"),
    _text("first"),
    _text("last", nullable=True),
    _text("status"),  # begun, ended
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("mentorship_id"),
    Index("mentorships_by_member", "member", "position"),
    Index("mentorships_by_organisation", "organisation", "position"),
)
cases = Table(
    "cases",
    metadata,
    _whole("position", primary_key=True),
    _text("case_id"),
    _whole("member"),  # balances.id of who worked on it
    _text("organisation"),
    _text("title"),
    _text("category"),
    _text("summary"),
    _text("on"),
    _text("achievement_id", nullable=True),
    _text("status"),  # filed, withdrawn
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("case_id"),
    Index("cases_by_category", "category", "position"),
)

# --- the field's work ----------------------------------------------------------------------------

projects = _filed(
    "projects",
    "project_id",
    _text("title"),
    _text("category"),
    _text("summary", nullable=True),
    _text("programme_id", nullable=True),
    _text("tags"),  # a JSON list
    _text("stage"),
    _text("steps"),  # a JSON list: stage, on, ref of every stage so far
    _text("status"),  # active, withdrawn
    _whole("incubated_position", nullable=True),
    _whole("promoted_position", nullable=True),
    _whole("withdrawn_position", nullable=True),
)
conversions = _filed(
    "conversions",
    "conversion_id",
    _text("category"),
    _text("supervisor_id"),
    _text("stage"),
    _text("steps"),  # a JSON list: stage, on, ref of every stage so far
    _text("status"),  # active, withdrawn
    _whole("done_position", nullable=True),
    _whole("withdrawn_position", nullable=True),
)
agreements = _filed(
    "agreements",  # at the community's unit
    "agreement_id",
    _text("agency"),
    _text("version"),
    _text("hash"),
    *_term(),
    _text("status"),  # signed, ended
)
agreement_terms = Table(
    "agreement_terms",  # the last date of an agreement, as it was signed and amended
    metadata,
    _whole("position", primary_key=True),
    _text("agreement_id"),
    _text("last"),
    Index("agreement_terms_by_agreement", "agreement_id", "position"),
)
meetings = _filed(
    "meetings",
    "meeting_id",
    _text("on"),
    _text("topic"),
    _text("participants"),  # a JSON list
    _text("minutes_ref", nullable=True),
    _text("resolutions"),  # a JSON list
    _text("status"),  # open, closed
)
programmes = _filed(
    "programmes",
    "programme_id",
    _text("name"),
    _text("tags"),  # a JSON list
    *_term(nullable=True),
    _whole("enrolled"),  # how many
    _whole("completed"),
    _text("status"),  # open, closed
)
enrolments = Table(
    "enrolments",
    metadata,
    _whole("position", primary_key=True),
    _text("enrolment"),  # `<programme_id>/<member_id>`
    _text("programme_id"),
    _whole("member"),  # balances.id
    _text("enrolled_on"),
    _text("completed_on", nullable=True),
    _whole("completed_position", nullable=True),
    UniqueConstraint("enrolment"),
    UniqueConstraint("programme_id", "member"),
    Index("enrolments_by_programme", "programme_id", "position"),
)
targets = Table(
    "targets",
    metadata,
    _whole("position", primary_key=True),
    _text("target_id"),
    _text("organisation", nullable=True),
    _text("unit", nullable=True),
    _text("kpi"),
    _whole("value"),
    _text("due_on"),
    _text("status"),  # set, withdrawn
    _whole("withdrawn_position", nullable=True),
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("target_id"),
    Index("targets_by_kpi", "kpi", "position"),
)
partners = _filed(
    "partners",
    "partner_id",
    _text("name"),
    _text("kind"),  # partner, base
    *_term(nullable=True),
    _text("status"),  # added, ended
)
experts = _filed(
    "experts",
    "expert_id",
    _whole("member"),  # balances.id
    _text("speciality"),
    *_term(),
    _text("status"),  # named, ended
)

rewards = Table(
    "rewards",
    metadata,
    _whole("position", primary_key=True),
    _text("code"),
    _text("organisation", nullable=True),  # whose it is; None: the bank's
    _text("name"),
    _text("kind"),
    _whole("credits"),  # the price of one
    _whole("stock", nullable=True),  # what is left; None: not counted
    _text("eligibility"),  # a JSON object
    _text("status"),  # offered, withdrawn
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("code"),
    Index("rewards_by_organisation", "organisation", "position"),
)
redemptions = Table(
    "redemptions",
    metadata,
    _whole("position", primary_key=True),
    _text("redemption_id"),
    _whole("member"),  # balances.id
    _text("organisation"),  # the member's home
    _text("reward"),
    _text("reward_organisation", nullable=True),
    _text("kind"),
    _whole("quantity"),
    _whole("credits"),  # reserved
    _text("status"),
    _whole("paid"),  # and not given back
    _whole("released"),
    _text("provider_id", nullable=True),
    _text("record_id", nullable=True),  # that cites it
    _text("expires_on"),  # the date from which the hold may be ended
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("redemption_id"),
    Index("redemptions_by_member", "member", "position"),
    Index("redemptions_by_organisation", "organisation", "position"),
    Index("redemptions_by_reward", "reward", "position"),
    Index("redemptions_by_provider", "provider_id", "position"),
    Index(
        "redemptions_by_end",
        "expires_on",
        sqlite_where=text("status = 'reserved'"),
        postgresql_where=text("status = 'reserved'"),
    ),
)

# --- needs and orders ----------------------------------------------------------------------------

needs = Table(
    "needs",
    metadata,
    _whole("position", primary_key=True),
    _text("need_id"),
    _text("organisation"),
    _text("unit"),
    _text("category"),
    _text("reported_by"),
    _text("description_ref", nullable=True),
    _text("status"),
    _text("assessor_id", nullable=True),
    _text("route", nullable=True),
    _text("certification_level", nullable=True),
    _whole("waited_minutes", nullable=True),  # until it was assessed
    _text("reason", nullable=True),  # why it is rejected or resolved
    _text("steps"),  # a JSON list of objects: status, at, recorded_at, position
    _text("correlation_id"),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("need_id"),
    Index("needs_by_organisation", "organisation", "position"),
    Index("needs_by_unit", "unit", "position"),
)
orders = Table(
    "orders",
    metadata,
    _whole("position", primary_key=True),
    _text("order_id"),
    _text("organisation"),  # that placed it
    _text("dispatched_to", nullable=True),  # the last
    _text("need_id", nullable=True),
    _text("recipient_id"),
    _text("member_id", nullable=True),  # the volunteer
    _text("activity"),
    _text("category"),
    _text("unit"),
    _text("responsible"),
    _text("planned_from"),
    _text("planned_to"),
    _whole("hold_credits"),
    _text("certification_level", nullable=True),
    _text("supervisor_id", nullable=True),
    _text("project_id", nullable=True),
    _text("status"),
    _text("due_at", nullable=True),  # when a job lets it time out, or closes it; UTC, six digits
    _whole("waited_minutes", nullable=True),  # from the last dispatch to the acceptance
    _whole("punctual", nullable=True),
    _text("record_id", nullable=True),
    _whole("paid"),  # out of what was held, and not given back
    _whole("stars", nullable=True),
    _text("comment_ref", nullable=True),
    _text("outcome", nullable=True),  # of its dispute
    _text("reason", nullable=True),  # of the last step that has one
    _text("steps"),  # a JSON list of objects: status, at, recorded_at, position
    _text("correlation_id"),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("order_id"),
    Index("orders_by_organisation", "organisation", "position"),
    Index("orders_by_server", "dispatched_to", "position"),
    Index("orders_by_recipient", "recipient_id", "position"),
    Index("orders_by_member", "member_id", "position"),
    Index("orders_by_unit", "unit", "position"),
    Index("orders_by_need", "need_id", "position"),
    Index("orders_by_project", "project_id", "position"),
    Index(
        "orders_due",
        *("status", "due_at"),
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

# --- what the board is counted from --------------------------------------------------------------

days = Table(
    "days",  # local dates on which something was recorded, each not before the one before
    metadata,
    _text("day", primary_key=True),
    _whole("position"),  # the last of that date
)
tallies = _appended(
    "tallies",  # running totals of a unit, without those that lie in it, at the end of a date
    _text("unit", primary_key=True),
    _text("day", primary_key=True),  # on which one of them changed
    *(_whole(name) for name in TALLIED),
)
waits = Table(
    "waits",  # how long somebody waited: until a need was assessed, an order accepted
    metadata,
    _whole("position", primary_key=True),
    _text("name"),  # assess, accept
    _text("unit"),
    _whole("minutes"),
    Index("waits_by_length", "name", "minutes", "position", "unit"),
)
community_workers = Table(
    "community_workers",  # who has that role, and lives where, from one position to another
    metadata,
    _whole("position", primary_key=True),
    _whole("member"),  # balances.id
    _text("unit"),
    _whole("until_position", nullable=True),  # from there on no more; None: still
    Index("community_workers_by_member", "member", "position"),
)
registrations = Table(
    "registrations",  # terms of certificates
    metadata,
    _whole("position", primary_key=True),
    _text("certification_id"),
    _whole("member"),  # balances.id
    _text("level"),
    _text("first"),
    _text("last"),
    _text("revoked_from", nullable=True),
    _whole("revoked_position", nullable=True),
    Index("registrations_by_certificate", "certification_id"),
)
certificates = Table(
    "certificates",  # that were seen
    metadata,
    _whole("position", primary_key=True),
    _text("certification_id"),
    _whole("member"),  # balances.id
    _text("revoked_from", nullable=True),
    _whole("revoked_position", nullable=True),
    UniqueConstraint("certification_id"),
    Index("certificates_by_member", "member"),
)
approvals = Table(
    "approvals",  # achievements that were approved
    metadata,
    _whole("position", primary_key=True),
    _text("achievement_id"),
    _whole("member"),  # balances.id
    _text("source"),
    _text("on"),
    _whole("applied_days", nullable=True),  # after that date it was put to use
    _whole("applied_position", nullable=True),
    _whole("reversed_position", nullable=True),
    UniqueConstraint("achievement_id"),
    Index("approvals_by_source", "source", "position"),
)
supervisors = Table(
    "supervisors",  # appointments, with their ends as they were known
    metadata,
    _whole("position", primary_key=True),
    _text("appointment_id"),
    _whole("member"),  # balances.id
    _text("unit"),
    _text("first"),
    _text("last"),  # as it was said at first
    _text("ended_last", nullable=True),
    _whole("ended_position", nullable=True),
    UniqueConstraint("appointment_id"),
)

# --- papers --------------------------------------------------------------------------------------

statements = Table(
    "statements",
    metadata,
    _whole("position", primary_key=True),
    _text("number"),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("title_zh"),
    _text("title_en"),
    _text("served_from"),
    _text("served_to"),
    _text("issued_on"),
    _whole("minutes"),
    _whole("late_minutes"),
    _whole("records"),
    _text("activities"),  # a JSON list of rows
    _whole("pending_records"),
    _whole("pending_minutes"),
    _whole("on_duty_records"),
    _whole("on_duty_minutes"),
    _text("code_digest"),
    _whole("policy_version"),
    _text("status"),  # valid, superseded, revoked
    _text("record_id", nullable=True),  # that superseded it
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("number"),
    Index("statements_by_member", "member", "position"),
    Index("statements_by_organisation", "organisation", "position"),
)
credentials = Table(
    "credentials",  # of certifications
    metadata,
    _whole("position", primary_key=True),
    _text("number"),
    _text("certification_id"),
    _whole("member"),  # balances.id
    _text("organisation"),
    _text("level"),
    _text("obtained_on"),
    _text("issued_on"),
    _text("in_force_from", nullable=True),
    _text("in_force_to", nullable=True),
    _text("status"),  # valid, revoked; its certification's revocation is told there
    _text("reason", nullable=True),
    _text("recorded_at"),
    _whole("changed_position"),
    UniqueConstraint("number"),
    Index("credentials_by_member", "member", "position"),
    Index("credentials_by_organisation", "organisation", "position"),
    Index("credentials_by_certification", "certification_id", "position"),
)

# --- the trail -----------------------------------------------------------------------------------

trail = Table(
    "trail",
    metadata,
    _whole("position", primary_key=True),
    _text("recorded_at"),
    _text("type"),
    _text("stream"),
    _text("actor"),
    _text("correlation_id"),
    _whole("member", nullable=True),  # balances.id
    _text("record_id", nullable=True),
    _text("organisation", nullable=True),
    *(
        Index(f"trail_by_{name}", name, "position")
        for name in (
            *("type", "actor", "correlation_id"),
            *("member", "organisation"),
        )
    ),
    Index(
        "trail_by_stream",  # of what is about no member
        *("stream", "position"),
        sqlite_where=text("member IS NULL"),
        postgresql_where=text("member IS NULL"),
    ),
)

# --- the log's tree ------------------------------------------------------------------------------

log_tree = Table(
    "log_tree",  # as it stands at the bookmark
    metadata,
    _whole("id", primary_key=True),  # 1: there is one
    _whole("size"),
    _text("edge"),  # the complete subtrees it consists of, the smallest first, in hex
)
log_hashes = _appended(
    "log_hashes",  # the hashes that tiles above the lowest level consist of
    _whole("level", primary_key=True),  # of the tile: 1 and up; level 0 are the leaves themselves
    _whole("place", primary_key=True),
    _whole("position"),  # of the last leaf below it
    _text("hash"),  # in hex
)

VIEWS = tuple(table for table in metadata.sorted_tables if table is not bookmark)
"""Every table whose rows the journal alone determines."""

THINGS = {
    redemptions: "redemption_id",
    certifications: "certification_id",
    achievements: "achievement_id",
    appointments: "appointment_id",
    mentorships: "mentorship_id",
    grade_appeals: "appeal_id",
    graded_subjects: "subject",
    needs: "need_id",
    orders: "order_id",
    days: "day",
    certificates: "certification_id",
    approvals: "achievement_id",
    supervisors: "appointment_id",
    cases: "case_id",
    projects: "project_id",
    conversions: "conversion_id",
    agreements: "agreement_id",
    meetings: "meeting_id",
    programmes: "programme_id",
    enrolments: "enrolment",
    targets: "target_id",
    partners: "partner_id",
    experts: "expert_id",
    statements: "number",
    credentials: "number",
}
"""Tables of what has an id of its own, and stands as it was last told; the column of the id."""

HISTORIES = (
    *(units, policies, grade_overrides, period_changes, member_organisations, member_seats),
    *(grade_computations, supervision_indexes, job_runs),
    *(journal_lines, passbook, career_facts, agreement_terms, waits, trail, log_hashes),
)
"""The views that keep every line at its position; the others say what stands now."""


def subtree(code: str) -> CTE:
    """The codes of a unit and of all units below it."""
    below = select(units.c.code).where(units.c.code == code).cte("below", recursive=True)
    return below.union_all(select(units.c.code).join(below, units.c.parent == below.c.code))


def clear(connection: Connection) -> None:
    """Empty tables, yet without the indexes that can wait; on PostgreSQL beside the old ones."""
    if connection.dialect.name == "sqlite":
        found = MetaData()
        found.reflect(connection)  # whatever tables stand there, of this shape or an older one
        found.drop_all(connection)
    else:
        name = schema_name(connection.engine)
        following = f"{name}_next"
        for left in (f"{name}_old", following):  # by a rebuild that was not its own to clear
            connection.execute(DropSchema(left, cascade=True, if_exists=True))
        connection.execute(CreateSchema(following))
        connection.exec_driver_sql(f'SET LOCAL search_path = "{following}"')
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))


def create_indexes(connection: Connection) -> None:
    """The indexes that can wait until the rows are there."""
    for table in metadata.sorted_tables:
        for index in table.indexes:
            connection.execute(CreateIndex(index))


def put_in_place(connection: Connection) -> None:
    """Let readers find what stands after `clear`, from the commit on.

    Schemas change their names: that waits for no reader, and whoever reads the old tables goes on.
    """
    if connection.dialect.name == "sqlite":
        return
    name = schema_name(connection.engine)
    connection.exec_driver_sql("ANALYZE")
    create_schema(connection)
    connection.exec_driver_sql(f'ALTER SCHEMA "{name}" RENAME TO "{name}_old"')
    connection.exec_driver_sql(f'ALTER SCHEMA "{name}_next" RENAME TO "{name}"')


def drop_old(engine: Engine) -> bool:
    """Give up the tables that `put_in_place` replaced; False while somebody still reads there.

    What is left then, the next rebuild clears away.
    """
    if engine.dialect.name == "sqlite":
        return True
    try:
        with writing(engine) as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{READERS_SECONDS}s'")
            old = f"{schema_name(engine)}_old"
            connection.execute(DropSchema(old, cascade=True, if_exists=True))
    except OperationalError:
        return False
    return True


def has_bookmark(connection: Connection) -> bool:
    """Whether the store was ever made."""
    return inspect(connection).has_table(bookmark.name)


def _shape() -> str:
    made: list[ExecutableDDLElement] = []
    for table in metadata.sorted_tables:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [CreateTable(table), *map(CreateIndex, indexes)]
    spelled = [str(ddl.compile(dialect=sqlite.dialect())) for ddl in made]
    return hashlib.sha256("\n".join([str(SCHEMA_VERSION), *spelled]).encode()).hexdigest()[:16]


SHAPE = _shape()
"""Names the tables' columns and indexes and their meaning: views of another shape are rebuilt."""
