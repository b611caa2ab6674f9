"""Service statements over HTTP: issue, look up, hand out, revoke."""

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Code, Day, ReasonNeededAsk, Uuid
from api.call import Call
from api.contract import (
    EVERYONE,
    VERIFIERS,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.members import sight_of
from api.papers import (
    CREDENTIAL,
    PDF,
    Number,
    attached,
    found_or_refuse,
    handed_out,
)
from api.service_records import is_beyond, sight
from api.supervision import TermAsk
from ledger.commands import IssueStatement, RevokeStatement, Stamp
from ledger.desk import Done
from ledger.keys import Key
from ledger.paper_numbers import code_digest, new_number, number_read
from ledger.refusals import Language
from ledger.units import Refused
from projections.listing import Listed
from projections.papers import issued
from projections.papers.issued import STATEMENTS
from projections.papers.office import Found, Office

Standing = Literal["valid", "superseded", "revoked"]
COUNTED = "HoursVerified,SubmittedHoursVerified,HoursReversed"


class StatementAsk(TermAsk):
    """Of which service dates, both in it; by whom, where the asker is of no organisation."""

    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]
    organisation: Annotated[
        Code | None,
        Field(description="Who recorded the services; a member's default is the home."),
    ] = None

    def by(
        self,
        stamp: Stamp,
        number: str,
        code: str | None,
        member_id: str,
        organisation: str | None,
        named: bool,
    ) -> IssueStatement:
        """The command: whose services, stated by whom, under a number with its code."""
        return IssueStatement(
            **stamp,
            number=number,
            code_digest=code_digest(number, code) if code else "",
            member_id=member_id,
            organisation=organisation,
            named=named,
            first=self.first,
            last=self.last,
        )


async def issue(call: Call) -> web.Response:
    """State what an organisation has verified of a member's services."""
    asked: StatementAsk = call.body
    member_id = call.path["id"]
    if call.key.role == "member":
        if call.key.member_id != member_id:
            raise Refused("not_found")
    else:
        call.acting_organisation()
    office = call.door.office
    number = new_number("ST")
    code = await call.in_thread(office.code, member_id, number)
    command = asked.by(
        call.stamp(), number, code, member_id, call.organisation, call.key.organisation is None
    )
    return await call.write(command, lambda done: (201, told_of(done, office, code)))


def told_of(done: Done, office: Office, code: str | None) -> Fields:
    """A statement that was just issued."""
    statement = done.states["statement"]
    fact = statement.issued
    return {
        "number": fact.number,
        "code": code,
        "verify_url": code and office.verify_url(fact.number, code),
        "status": statement.status,
        "organisation": fact.organisation,
        "member_id": fact.member_id,
        "issued_on": fact.issued_on,
        **issued.figures(fact, fact.activities),
        "position": statement.position,
    }


async def revoke(call: Call) -> web.Response:
    """Take a statement back."""
    asked: ReasonNeededAsk = call.body
    command = RevokeStatement(
        **call.stamp(),
        number=number_read(call.path["number"]),
        organisation=call.key.organisation,
        reason=asked.reason,
    )

    def told(done: Done) -> tuple[int, Fields]:
        statement = done.states["statement"]
        return 200, {
            "number": statement.issued.number,
            "status": statement.status,
            "position": statement.position,
        }

    return await call.write(command, told)


# --- looking up ----------------------------------------------------------------------------------


class StatementsQuery(PageQuery):
    """Filters; all that are given hold."""

    member_id: Uuid | None = None
    organisation: Code | None = None
    status: Standing | None = None


class MembersStatementsQuery(PageQuery):
    """Filters of one member's; all that are given hold."""

    organisation: Code | None = None
    status: Standing | None = None


class StatementQuery(ReadQuery):
    """In which form; the language is a PDF's."""

    format: Literal["json", "pdf", "credential"] = "json"
    language: Annotated[
        Language | None, Field(description="Of a PDF; default: Accept-Language.")
    ] = None


async def listing(call: Call) -> web.Response:
    """The statements that the caller may see."""
    query: StatementsQuery = call.query
    return await answer_page(call, _visible, query, query.member_id, *sight(call))


async def members_listing(call: Call) -> web.Response:
    """Those about one member."""
    return await answer_page(
        call, _of_a_member, call.key, call.query, call.path["id"], *sight(call)
    )


def _of_a_member(
    connection: Connection, key: Key, query: Any, wanted: str, *seen_by: str | None
) -> Listed:
    if sight_of(connection, key, wanted) is None:
        raise Refused("not_found")
    return _visible(connection, query, wanted, *seen_by)


def _visible(
    connection: Connection,
    query: Any,
    wanted: str | None,
    organisation: str | None,
    member_id: str | None,
) -> Listed:
    if is_beyond(organisation, query.organisation) or is_beyond(member_id, wanted):
        return Listed([], None)
    return issued.listing(
        connection,
        STATEMENTS,
        query.after,
        query.limit,
        organisation=organisation or query.organisation,
        member_id=member_id or wanted,
        status=query.status,
    )


async def item(call: Call) -> web.Response:
    """One statement, as JSON, as a PDF or as a credential."""
    query: StatementQuery = call.query
    position = call.views.position
    found = await found_or_refuse(call, STATEMENTS)
    if query.format == "pdf":
        if call.key.role == "auditor":  # a PDF has the code, with which one passes for the holder
            raise Refused("forbidden")
        language = query.language or call.language
        content = await call.in_thread(_pdf, call, found, language)
        return attached(call, PDF, f"{found.row.number}.{language}.pdf", content, position)
    if query.format == "credential":
        return await handed_out(call, found, position)
    code = None
    if call.key.role != "auditor":  # who has the code passes for the holder
        code = await call.in_thread(call.door.office.code, found.row.member_id, found.row.number)
    return call.answer(item_of(found, call.door.office, code), position=position)


def _pdf(call: Call, found: Found, language: Language) -> bytes:
    """With the name on it for the member, for verifiers of the home organisation, for admins."""
    office, member_id = call.door.office, found.row.member_id
    with call.ledger.views_engine.connect() as connection:
        whole = sight_of(connection, call.key, member_id) == "whole"
    named = whole and call.key.role != "poster"
    return office.statement_pdf(found.paper, office.holder(member_id) if named else None, language)


def item_of(found: Found, office: Office, code: str | None) -> Fields:
    """A statement as it stands, with what proves it."""
    member, until = found.row.member_id, found.row.position - 1
    return found.told | {
        "events": f"/v1/audit/events?member_id={member}&type={COUNTED}&until={until}",
        "code": code,
        "verify_url": code and office.verify_url(found.row.number, code),
    }


# --- answers -------------------------------------------------------------------------------------


class Title(BaseModel):
    """What the policy of the day of issue calls such a paper."""

    zh: str
    en: str


class ActivityStated(BaseModel):
    """What was done in one activity."""

    activity: Annotated[
        str | None, Field(description="Null where there were too many to name each.")
    ]
    category: str
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    records: int
    minutes: int
    late_minutes: Annotated[
        int, Field(description="Of the minutes: recorded later than the policy allows.")
    ]


class Some(BaseModel):
    """How many records, and their minutes."""

    records: int
    minutes: int


class LeftOut(BaseModel):
    """What is not counted."""

    pending: Annotated[Some, Field(description="Not verified yet; minutes as posted.")]
    on_duty: Annotated[Some, Field(description="Paid work.")]


class Stated(BaseModel):
    """What a statement states."""

    title: Title
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    minutes: Annotated[int, Field(description="Service minutes, late ones among them.")]
    late_minutes: int
    records: int
    activities: list[ActivityStated]
    left_out: LeftOut
    policy_version: int


VerifyUrl = Annotated[
    str | None, Field(description="The public page; null where the code cannot be told.")
]


class StatementIssued(Stated, Written):
    """A statement that was just issued."""

    number: Number
    code: str
    verify_url: VerifyUrl
    status: Standing
    organisation: Code
    member_id: Uuid
    issued_on: DayText


class StatementRevoked(Written):
    """A statement that was just revoked."""

    number: Number
    status: Standing


class Statement(Stated):
    """A statement as it stands."""

    number: Number
    status: Standing
    organisation: Code
    member_id: Uuid
    issued_on: DayText
    reason: Annotated[str | None, Field(description="Why it is revoked.")]
    superseded_by: Annotated[
        Uuid | None, Field(description="The service record that counts no more.")
    ]
    issued_position: Annotated[int, Field(description="Of its own entry in the log.")]
    recorded_at: InstantText
    position: Annotated[int, Field(description="Of the last fact about it.")]


class StatementItem(Statement):
    """A statement as it stands, with what proves it."""

    leaf_hash: Annotated[str, Field(description="Of its entry in the log, base64 (RFC 6962).")]
    events: Annotated[str, Field(description="Where the facts are that it counts.")]
    code: Annotated[
        str | None,
        Field(description="Not for auditors; null too once the personal data are erased."),
    ]
    verify_url: VerifyUrl


class StatementPage(Page):
    """Statements, oldest first."""

    data: list[Statement]


TAG = "Statements"
_OF_MEMBER = "/v1/members/{id}/statements"
_ITEM = "/v1/statements/{number}"

ROUTES = [
    Route(
        method="POST",
        path=_OF_MEMBER,
        handler=issue,
        operation="issue_statement",
        tag=TAG,
        summary_zh="出具服务记录证明",
        summary_en="Issue a service statement",
        roles=VERIFIERS | {"member"},
        write=True,
        body=StatementAsk,
        example={"from": "2026-01-01", "to": "2026-12-31"},
        answers={201: StatementIssued},
        problems=("nothing_to_state", "person_erased", "not_found"),
    ),
    Route(
        method="GET",
        path=_OF_MEMBER,
        handler=members_listing,
        operation="list_members_statements",
        tag=TAG,
        summary_zh="一个成员的服务记录证明",
        summary_en="List the statements about a member",
        roles=EVERYONE,
        query=MembersStatementsQuery,
        answers={200: StatementPage},
    ),
    Route(
        method="GET",
        path="/v1/statements",
        handler=listing,
        operation="list_statements",
        tag=TAG,
        summary_zh="服务记录证明列表",
        summary_en="List service statements",
        roles=EVERYONE,
        query=StatementsQuery,
        answers={200: StatementPage},
    ),
    Route(
        method="GET",
        path=_ITEM,
        handler=item,
        operation="get_statement",
        tag=TAG,
        summary_zh="一份服务记录证明：JSON、PDF 或可验证凭证",
        summary_en="Get a statement: as JSON, as a PDF, as a verifiable credential",
        roles=EVERYONE,
        query=StatementQuery,
        answers={200: StatementItem},
        also=(PDF, CREDENTIAL),
        problems=("person_erased", "signing_key_not_in_force"),
    ),
    Route(
        method="POST",
        path=f"{_ITEM}/revoke",
        handler=revoke,
        operation="revoke_statement",
        tag=TAG,
        summary_zh="撤销服务记录证明",
        summary_en="Revoke a statement",
        roles=VERIFIERS,
        write=True,
        body=ReasonNeededAsk,
        example={"reason": "出具对象有误"},
        answers={200: StatementRevoked},
        problems=("wrong_state", "personal_data_in_text"),
    ),
]
