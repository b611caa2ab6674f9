"""Verification of service statements by anybody: number and code in, what stands there out."""

from datetime import datetime
from html import escape
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BaseModel, Field

from api.call import Call
from api.contract import DayText, Fields, InstantText, Query, Route
from api.docs import html_page, page
from api.papers import Number
from api.statements import Standing, Title
from ledger.paper_numbers import is_code, number_read
from ledger.refusals import Language, title
from ledger.units import Refused, instant_text
from projections.papers.issued import STATEMENTS
from projections.papers.office import Found

Code = Annotated[str | None, Field(max_length=60, description="As it is printed, or typed.")]


class CodeQuery(Query):
    """The code that stands beside the number."""

    code: Code = None


class PageCodeQuery(CodeQuery):
    """The same of a page, and the language that it is in."""

    language: Language | None = None


class FormQuery(PageCodeQuery):
    """Number and code as somebody types them."""

    number: Annotated[str | None, Field(max_length=60)] = None


async def verification(call: Call) -> web.Response:
    """What stands under a number, for whoever has its code."""
    query: CodeQuery = call.query
    return call.answer(await _verified(call, call.path["number"], query.code))


async def verify_page(call: Call) -> web.Response:
    """The same as a page."""
    return await _page(call, call.path["number"])


async def verify_form(call: Call) -> web.Response:
    """The page that asks for number and code, and answers."""
    return await _page(call, call.query.number)


async def _verified(call: Call, said: str, code: str | None) -> Fields:
    number, wrong = number_read(said), call.door.wrong_codes
    wrong.refuse_too_many(number)
    found = await call.in_thread(call.door.office.find, STATEMENTS, number)
    if found is None or not is_code(number, code or "", found.row.code_digest):
        wrong.count(number)
        raise Refused("not_found")
    return told_to_anybody(found, call.ledger.committer.clock())


def told_to_anybody(found: Found, at: datetime) -> Fields:
    """What stands in a statement, without saying about whom."""
    row = found.row
    return {
        "number": row.number,
        "status": row.standing,
        "title": {"zh": row.title_zh, "en": row.title_en},
        "organisation": row.organisation,
        "organisation_name": row.name,
        "from": row.served_from,
        "to": row.served_to,
        "minutes": row.minutes,
        "issued_on": row.issued_on,
        "as_of": instant_text(at.replace(microsecond=0)),
        "position": row.position,
        "leaf_hash": found.leaf_hash,
    }


# --- the page ------------------------------------------------------------------------------------


class Words(NamedTuple):
    """What the page says, in one language."""

    heading: str
    asks: str
    number: str
    code: str
    verify: str
    other: str
    valid: str
    superseded: str
    revoked: str
    unknown: str
    issuer: str
    period: str
    total: str
    hours: str
    issued_on: str
    as_of: str
    entry: str
    compare: str


WORDS: dict[Language, Words] = {
    "zh": Words(
        heading="查验服务记录证明",
        asks="请输入证明上的编号与验证码。",
        number="编号",
        code="验证码",
        verify="查验",
        other="English",
        valid="有效",
        superseded="已被取代：其所计的某条服务记录后来被冲正或更正，时长以新的证明为准。",
        revoked="已撤销：出具组织已收回此证明。",
        unknown="没有与此编号和验证码相符的证明。请核对后重试。",
        issuer="出具组织",
        period="服务期间",
        total="服务时长",
        hours="{hours} 小时 {minutes} 分（{all} 分钟）",
        issued_on="出具日期",
        as_of="查验时刻",
        entry="账本位置与哈希",
        compare="本页不显示姓名。请将上列内容与手中的证明逐项比对。",
    ),
    "en": Words(
        heading="Verify a service statement",
        asks="Enter the number and the code that stand on the statement.",
        number="Number",
        code="Code",
        verify="Verify",
        other="中文",
        valid="Valid",
        superseded="Superseded: a record that it counts was reversed or corrected later; "
        "a newer statement tells the right time.",
        revoked="Revoked: its issuer has taken it back.",
        unknown="No statement has this number and this code. Check them and try again.",
        issuer="Issued by",
        period="Period",
        total="Service time",
        hours="{hours} h {minutes} min ({all} minutes)",
        issued_on="Issued on",
        as_of="Verified at",
        entry="Position in the log, and hash",
        compare="This page shows no name. Compare what stands here with the paper.",
    ),
}


async def _page(call: Call, number: str | None) -> web.Response:
    query: PageCodeQuery = call.query
    language: Language = query.language or call.language
    words, status, found = WORDS[language], 200, ""
    if number:
        try:
            found = _shown(await _verified(call, number, query.code), words, language)
        except Refused as no:
            status = {"not_found": 404, "too_many_requests": 429}[no.code]
            reason = words.unknown if status == 404 else title(no.code, language)
            found = f'<p class="verdict no" role="alert">{escape(reason)}</p>'
    body = _body(words, language, number or "", query.code or "", found)
    return html_page(call, page(words.heading, body, language), status, form=True)


def _body(words: Words, language: Language, number: str, code: str, found: str) -> str:
    asked = {"number": number, "code": code, "language": "en" if language == "zh" else "zh"}
    other = escape(urlencode({name: said for name, said in asked.items() if said}))
    switch = f'<p class="switch"><a href="/verify?{other}">{words.other}</a></p>'
    return (
        f"{switch}<h1>{words.heading}</h1>{found}"
        f'<form action="/verify" method="get"><p>{words.asks}</p>'
        f'<label>{words.number} <input name="number" required maxlength="40" '
        f'autocomplete="off" value="{escape(number)}"></label> '
        f'<label>{words.code} <input name="code" required maxlength="40" autocomplete="off">'
        f'</label><input type="hidden" name="language" value="{language}"> '
        f"<button>{words.verify}</button></form>"
    )


def _shown(found: Fields, words: Words, language: Language) -> str:
    status: Standing = found["status"]
    hours, minutes = divmod(found["minutes"], 60)
    rows = (
        (words.number, found["number"]),
        (words.issuer, f"{found['organisation_name']} ({found['organisation']})"),
        (words.period, f"{found['from']} – {found['to']}"),
        (words.total, words.hours.format(hours=hours, minutes=minutes, all=found["minutes"])),
        (words.issued_on, found["issued_on"]),
        (words.as_of, found["as_of"]),
        (words.entry, f"{found['position']} · {found['leaf_hash']}"),
    )
    verdict = {"valid": words.valid, "superseded": words.superseded, "revoked": words.revoked}
    kind = "yes" if status == "valid" else "no"
    table = "".join(
        f'<tr><th scope="row">{name}</th><td>{escape(value)}</td></tr>' for name, value in rows
    )
    return (
        f"<h2>{escape(found['title'][language])}</h2>"
        f'<p class="verdict {kind}" role="status">{verdict[status]}</p>'
        f'<table class="facts">{table}</table><p>{words.compare}</p>'
    )


# --- answers -------------------------------------------------------------------------------------


class Verification(BaseModel):
    """What stands under a number, without saying about whom."""

    number: Number
    status: Standing
    title: Title
    organisation: Annotated[str, Field(description="Code of the issuer.")]
    organisation_name: str
    first: Annotated[DayText, Field(alias="from")]
    last: Annotated[DayText, Field(alias="to")]
    minutes: int
    issued_on: DayText
    as_of: Annotated[InstantText, Field(description="When it was looked up.")]
    position: Annotated[int, Field(description="Of its entry in the log.")]
    leaf_hash: Annotated[str, Field(description="Of that entry, base64 (RFC 6962).")]


TAG = "Verification"
HTML = "text/html"

ROUTES = [
    Route(
        method="GET",
        path="/v1/statements/{number}/verification",
        handler=verification,
        operation="verify_statement",
        tag=TAG,
        summary_zh="凭编号与验证码查验服务记录证明（无需密钥）",
        summary_en="Verify a statement by its number and code; no key is asked for",
        query=CodeQuery,
        answers={200: Verification},
        problems=("too_many_requests",),
    ),
    Route(
        method="GET",
        path="/verify/{number}",
        handler=verify_page,
        operation="verify_page",
        tag=TAG,
        summary_zh="查验页（二维码所指）",
        summary_en="The same as a page, where a paper's QR code leads",
        query=PageCodeQuery,
        answers={200: None},
        also=(HTML,),
        pages=(404, 429),
        problems=("too_many_requests",),
    ),
    Route(
        method="GET",
        path="/verify",
        handler=verify_form,
        operation="verify_form",
        tag=TAG,
        summary_zh="查验页：输入编号与验证码",
        summary_en="The page that asks for number and code",
        query=FormQuery,
        answers={200: None},
        also=(HTML,),
        pages=(404, 429),
        problems=("not_found", "too_many_requests"),
    ),
]
