"""The papers that were issued, as they stand: statements and credentials, looked up by number."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Select, Table, case, select

from ledger.events import (
    CredentialEvent,
    CredentialIssued,
    CredentialRevoked,
    Entry,
    StatementEvent,
    StatementIssued,
    StatementRevoked,
    StatementSuperseded,
    types_of,
)
from projections import trail
from projections.listing import Item, Listed, listed, only_filter
from projections.page import Page
from projections.papers.content import (
    ActivityLine,
    Certification,
    LeftOut,
    Paper,
    Statement,
    Status,
)
from projections.schema import (
    balances,
    certifications,
    credentials,
    organisations,
    statements,
)

HEARS = types_of(StatementEvent) | types_of(CredentialEvent)


def project(page: Page) -> None:
    """A row for every paper; what ends its force changes the row."""
    told = page.of(HEARS)
    named: dict[Table, dict[str, None]] = {statements: {}, credentials: {}}
    for entry in told:
        match entry.event:
            case StatementEvent(number=number):
                named[statements][number] = None
            case CredentialEvent(number=number):
                named[credentials][number] = None
    for table, numbers in named.items():
        page.rows(table).meet(page.connection, numbers)
    for entry in told:
        _tell(page, entry)


def _tell(page: Page, entry: Entry) -> None:
    event, at = entry.event, entry.position
    match event:
        case StatementIssued():
            page.rows(statements).add(
                event.number,
                *(at, event.number, page.balances[event.member_id].id, event.organisation),
                *(event.title_zh, event.title_en, event.served_from, event.served_to),
                *(event.issued_on, event.minutes, event.late_minutes or 0, event.records),
                orjson.dumps(event.activities).decode(),
                *(event.pending_records or 0, event.pending_minutes or 0),
                *(event.on_duty_records or 0, event.on_duty_minutes or 0),
                *(event.code_digest, event.policy_version),
                *("valid", None, None, event.recorded_at, at),
            )
        case StatementSuperseded():
            said = {"status": "superseded", "record_id": event.record_id}
            page.rows(statements).change(event.number).update(said, changed_position=at)
        case StatementRevoked():
            said = {"status": "revoked", "reason": event.reason}
            page.rows(statements).change(event.number).update(said, changed_position=at)
        case CredentialIssued():
            page.rows(credentials).add(
                event.number,
                *(at, event.number, event.certification_id, page.balances[event.member_id].id),
                *(event.organisation, event.level, event.obtained_on, event.issued_on),
                *(event.in_force_from, event.in_force_to),
                *("valid", None, event.recorded_at, at),
            )
        case CredentialRevoked():
            said = {"status": "revoked", "reason": event.reason}
            page.rows(credentials).change(event.number).update(said, changed_position=at)


# --- looking up ----------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A kind of paper: where its rows are, what stands in a paper, what is told of it."""

    table: Table
    rows: Select[Any]
    standing: Any  # a column: valid, superseded, revoked
    paper: Callable[[Any, str], Paper]  # of a row, and its leaf's hash
    told: Callable[[Any], Item]


def listing(
    connection: Connection,
    kind: Kind,
    after: int = 0,
    limit: int = 50,
    *,
    organisation: str | None = None,
    member_id: str | None = None,
    status: str | None = None,
    certification_id: str | None = None,
) -> Listed:
    """The papers of a kind that answer to every filter."""
    columns, query, walked = kind.table.c, kind.rows, False
    asked = [
        (columns.member, None if member_id is None else trail.member_number(member_id)),
        (columns.get("certification_id"), certification_id),
        (columns.organisation, organisation),
    ]  # the narrowest first
    for column, wanted in asked:
        if column is not None and wanted is not None:
            query = query.where((only_filter(column) if walked else column) == wanted)
            walked = True
    if status is not None:
        query = query.where(kind.standing == status)
    return listed(connection, query, columns.position, after, limit, kind.told)


def find(
    connection: Connection,
    kind: Kind,
    number: str,
    organisation: str | None = None,
    member_id: str | None = None,
) -> Any:
    """The row of a paper that may be seen; None where there is none."""
    row = connection.execute(kind.rows.where(kind.table.c.number == number)).first()
    if row is None or organisation not in (None, row.organisation):
        return None
    return row if member_id in (None, row.member_id) else None


def without_force(
    connection: Connection, organisation: str, first: int, last: int
) -> Iterator[tuple[int, Status]]:
    """The positions, from one to another, of an issuer's papers that are superseded or revoked."""
    for kind in (STATEMENTS, CREDENTIALS):
        place = kind.table.c.position
        mine = kind.table.c.organisation == organisation
        query = kind.rows.where(mine, place.between(first, last), kind.standing != "valid")
        for row in connection.execute(query):
            yield row.position, row.standing


# --- what is told --------------------------------------------------------------------------------


def _paper(row: Any, leaf_hash: str) -> dict[str, Any]:
    return {
        "leaf_hash": leaf_hash,
        "number": row.number,
        "status": row.standing,
        "organisation": row.organisation,
        "organisation_name": row.name,
        "member_id": row.member_id,
        "issued_at": row.recorded_at,
        "issued_on": row.issued_on,
        "position": row.position,
    }


def _statement(row: Any, leaf_hash: str) -> Statement:
    return Statement(
        **_paper(row, leaf_hash),
        title={"zh": row.title_zh, "en": row.title_en},
        served_from=row.served_from,
        served_to=row.served_to,
        minutes=row.minutes,
        late_minutes=row.late_minutes,
        records=row.records,
        activities=tuple(ActivityLine(*line) for line in orjson.loads(row.activities)),
        left_out=LeftOut(
            *(row.pending_records, row.pending_minutes, row.on_duty_records, row.on_duty_minutes)
        ),
    )


def _certification(row: Any, leaf_hash: str) -> Certification:
    return Certification(
        **_paper(row, leaf_hash),
        certification_id=row.certification_id,
        level=row.level,
        obtained_on=row.obtained_on,
        in_force_from=row.in_force_from,
        in_force_to=row.in_force_to,
    )


def _told_of_any(row: Any) -> Item:
    return {
        "number": row.number,
        "status": row.standing,
        "organisation": row.organisation,
        "member_id": row.member_id,
        "issued_on": row.issued_on,
        "reason": row.reason,
        "issued_position": row.position,
        "recorded_at": row.recorded_at,
        "position": row.changed_position,
    }


def figures(stated: StatementIssued | Any, activities: Sequence[Sequence[Any]]) -> Item:
    """What a statement states, out of its fact or of its row."""
    return {
        "title": {"zh": stated.title_zh, "en": stated.title_en},
        "from": stated.served_from,
        "to": stated.served_to,
        "minutes": stated.minutes,
        "late_minutes": stated.late_minutes or 0,
        "records": stated.records,
        "activities": [
            {
                "activity": line.activity or None,
                "category": line.category,
                "from": line.first_on,
                "to": line.last_on,
                "records": line.records,
                "minutes": line.minutes,
                "late_minutes": line.late_minutes,
            }
            for line in (ActivityLine(*row) for row in activities)
        ],
        "left_out": {
            "pending": {
                "records": stated.pending_records or 0,
                "minutes": stated.pending_minutes or 0,
            },
            "on_duty": {
                "records": stated.on_duty_records or 0,
                "minutes": stated.on_duty_minutes or 0,
            },
        },
        "policy_version": stated.policy_version,
    }


def _told_of_statement(row: Any) -> Item:
    return {
        **_told_of_any(row),
        **figures(row, orjson.loads(row.activities)),
        "superseded_by": row.record_id,
    }


def _told_of_credential(row: Any) -> Item:
    return {
        **_told_of_any(row),
        "certification_id": row.certification_id,
        "level": row.level,
        "obtained_on": row.obtained_on,
        "in_force_from": row.in_force_from,
        "in_force_to": row.in_force_to,
    }


def _rows(table: Table, standing: Any, reason: Any) -> Select[Any]:
    columns = [column for column in table.c if column.name != "reason"]
    named = (balances.c.member_id, organisations.c.name)
    return (
        select(*columns, *named, standing.label("standing"), reason.label("reason"))
        .join(balances, balances.c.id == table.c.member)
        .join(organisations, organisations.c.code == table.c.organisation)
    )


STATEMENTS = Kind(
    statements,
    _rows(statements, statements.c.status, statements.c.reason),
    statements.c.status,
    _statement,
    _told_of_statement,
)
_is_revoked = certifications.c.status == "revoked"
_standing = case((_is_revoked, "revoked"), else_=credentials.c.status)
CREDENTIALS = Kind(
    credentials,
    _rows(
        credentials,
        _standing,
        case((_is_revoked, certifications.c.reason), else_=credentials.c.reason),
    ).join(certifications, certifications.c.certification_id == credentials.c.certification_id),
    _standing,
    _certification,
    _told_of_credential,
)
