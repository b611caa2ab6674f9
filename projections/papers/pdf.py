"""Papers as PDF: a service statement on A4 with its QR code, and documents of plain tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import segno

from ledger.refusals import Language
from projections.papers.content import ActivityLine, Statement
from projections.papers.pdf_words import duration, said
from projections.papers.typesetting import Fields, typeset


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a paper is about, as it shall be printed."""

    name: str
    document: str | None  # masked: `3702**********1234`


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a document: as many strings in each row as there are columns."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def statement_pdf(
    paper: Statement, *, code: str, verify_url: str, holder: Holder | None, language: Language
) -> bytes:
    """A service statement. Without a holder there are lines to be filled in by hand."""

    def say(phrase: str, **data: str | int) -> str:
        return said(language, phrase, **data)

    by_hand = say("by_hand")
    unit = say("unit_and_code", name=paper.organisation_name, code=paper.organisation)
    notes = [say("late_note", duration=duration(language, paper.late_minutes))]
    fields: dict[str, Fields] = {
        "language": language,
        "title": paper.title[language],
        "number": paper.number,
        "mark": _mark(paper, language),
        "head": [
            [say("number"), paper.number],
            [say("status"), say(paper.status)],
            [say("holder"), holder.name if holder else by_hand],
            [say("document"), (holder and holder.document) or by_hand],
            [say("member"), paper.member_id],
            [say("period"), say("from_to", first=paper.served_from, last=paper.served_to)],
            [say("unit"), unit],
            [say("issued"), paper.issued_on],
        ],
        "total": [
            say("total"),
            say("total_minutes", minutes=paper.minutes),
            duration(language, paper.minutes),
            say("total_records", records=paper.records),
        ],
        "columns": [say(name) for name in ("activity", "category", "dates", "times", "time")],
        "rows": [_row(line, language) for line in paper.activities],
        "no_rows": say("no_rows"),
        "notes": notes if paper.late_minutes else [],
        "left_out": [say("left_out"), *_left_out(paper, language)],
        "verify": say("verify"),
        "proof": [
            [say("code"), code],
            [say("address"), verify_url],
            [say("position"), str(paper.position)],
            [say("leaf_hash"), paper.leaf_hash],
        ],
        "qr": _qr_svg(verify_url),
        "qr_alt": say("qr", url=verify_url),
        "closing": [say("who_records", unit=unit), say("purpose")],
        "page": say("page", page="{page}", pages="{pages}"),
    }
    return typeset("statement", fields, datetime.fromisoformat(paper.issued_at))


def document_pdf(
    title: str,
    sections: Sequence[Section],
    *,
    language: Language,
    made_at: datetime,
    subtitle: str = "",
    footer: str = "",
) -> bytes:
    """A document of tables, for instance the copy of what is held about a person."""
    fields: dict[str, Fields] = {
        "language": language,
        "title": title,
        "subtitle": subtitle,
        "footer": footer,
        "sections": [
            {
                "heading": section.heading,
                "columns": section.columns,
                "rows": section.rows,
                "note": section.note,
            }
            for section in sections
        ],
        "no_rows": said(language, "no_rows"),
        "page": said(language, "page", page="{page}", pages="{pages}"),
    }
    return typeset("document", fields, made_at)


def _mark(paper: Statement, language: Language) -> list[str] | None:
    """What stands across a paper that no longer holds, in both languages."""
    if paper.status == "valid":
        return None
    other: Language = "en" if language == "zh" else "zh"
    return [said(one, paper.status).upper() for one in (language, other)]


def _row(line: ActivityLine, language: Language) -> list[str]:
    dates = (
        line.first_on
        if line.first_on == line.last_on
        else said(language, "from_to", first=line.first_on, last=line.last_on)
    )
    time = duration(language, line.minutes)
    activity = line.activity or said(language, "several")
    return [activity, line.category, dates, str(line.records), time, _late(line, language)]


def _late(line: ActivityLine, language: Language) -> str:
    if not line.late_minutes:
        return ""
    if line.late_minutes == line.minutes:
        return said(language, "all_late")
    return said(language, "late_part", duration=duration(language, line.late_minutes))


def _left_out(paper: Statement, language: Language) -> list[str]:
    out = paper.left_out
    pending, on_duty = (
        duration(language, minutes) for minutes in (out.pending_minutes, out.on_duty_minutes)
    )
    return [
        said(language, "pending", records=out.pending_records, duration=pending),
        said(language, "on_duty", records=out.on_duty_records, duration=on_duty),
    ]


def _qr_svg(text: str) -> str:
    """The code without its quiet zone, which the layout leaves free around it."""
    drawn = BytesIO()
    segno.make_qr(text, error="m").save(drawn, kind="svg", border=0, xmldecl=False, nl=False)
    return drawn.getvalue().decode()
