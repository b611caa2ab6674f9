"""A printed statement says what the ledger recorded, in any characters, the same each time."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Literal

import pytest
import segno
import typst
from pypdf import PdfReader

from projections.papers.content import ActivityLine, LeftOut, Statement
from projections.papers.glyphs import FONTS, missing_characters, printable
from projections.papers.pdf import Holder, Section, document_pdf, statement_pdf
from projections.papers.pdf_words import WORDS, Language, duration

URL = "https://timebank.example/verify?number=ORG-1/2026/7&code=7K3M-Q9XZ-4TRB-0H5D"
VISITS = ActivityLine("陪伴探访", "elder_care", "2026-02-03", "2026-03-11", 2, 120, 30)
READING = ActivityLine("Reading circle", "education", "2026-04-18", "2026-04-18", 1, 100, 0)
PAPER = Statement(
    number="ORG-1/2026/7",
    status="valid",
    organisation="org-1",
    organisation_name="海滨社工站",
    member_id="m-7f3a9c2e",
    issued_at="2026-07-01T02:30:00Z",
    issued_on="2026-07-01",
    position=10482,
    leaf_hash="nZ0gq0yBqP0l5gq0b1oQ7z1P4pQe7m5mS1oT0yqk3xM=",
    title={"zh": "平台服务记录", "en": "Platform service statement"},
    served_from="2026-01-01",
    served_to="2026-06-30",
    minutes=220,
    late_minutes=30,
    records=3,
    activities=(VISITS, READING),
    left_out=LeftOut(1, 60, 2, 480),
)
ZHANG = Holder("张三", "3702**********1234")
LONG_WORD = "x" * 200
HOSTILE = [
    '#panic("x")',
    "$x$",
    "*a* _b_ `c` ~ @d <e> [f] {g}",
    '"); #sys.inputs //',
    "\\u{41} \\ \\#",
    "= heading",
    "{page} {pages}",
]


def printed(
    paper: Statement = PAPER, holder: Holder | None = ZHANG, language: Language = "zh"
) -> str:
    return text(made(paper, holder, language))


def made(
    paper: Statement = PAPER, holder: Holder | None = ZHANG, language: Language = "zh"
) -> bytes:
    return statement_pdf(
        paper, code="7K3M-Q9XZ-4TRB-0H5D", verify_url=URL, holder=holder, language=language
    )


def text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def tables(*sections: Section, language: Language = "en") -> bytes:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    return document_pdf("Copy of your data", sections, language=language, made_at=at)


@pytest.mark.parametrize(
    ("language", "phrases"),
    [
        ("zh", ["平台服务记录", "陪伴探访", "3小时40分", "= 220 分钟", "† 其中 30分钟", "有效"]),
        ("en", ["Platform service statement", "3 h 40", "= 220 min", "† of it 30 min", "Valid"]),
    ],
)
def test_a_statement_can_be_searched_for_what_it_says(
    language: Language, phrases: Sequence[str]
) -> None:
    said = printed(language=language)
    data = [PAPER.number, "张三", "3702**********1234", PAPER.member_id, "海滨社工站", "org-1"]
    proof = ["10482", PAPER.leaf_hash, "2026-07-01", "2026-02-03"]
    assert " 7K3M-Q9XZ-4TRB-0H5D\n" in said
    squeezed = "".join(said.split())
    for phrase in (*data, *proof, *phrases, URL):
        assert "".join(phrase.split()) in squeezed, phrase


def test_hours_are_said_in_the_readers_language() -> None:
    assert [duration("zh", minutes) for minutes in (0, 45, 120, 125)] == [
        "0分钟",
        "45分钟",
        "2小时",
        "2小时05分",
    ]
    assert [duration("en", minutes) for minutes in (45, 120, 125)] == ["45 min", "2 h", "2 h 05"]


def test_both_languages_say_the_same_data() -> None:
    for phrase, by_language in WORDS.items():
        zh, en = (
            {name for _, name, _, _ in Formatter().parse(by_language[language]) if name}
            for language in ("zh", "en")
        )
        assert zh == en, phrase


def test_a_statement_without_a_holder_has_lines_to_fill_in() -> None:
    said = printed(holder=None)
    assert said.count("________") >= 2
    assert "张三" not in said


def test_a_record_in_time_leaves_no_footnote() -> None:
    said = printed(dataclasses.replace(PAPER, late_minutes=0, activities=(READING,)))
    assert "†" not in said


def test_a_statement_of_nothing_says_so() -> None:
    nothing = dataclasses.replace(PAPER, minutes=0, late_minutes=0, records=0, activities=())
    assert "None" in printed(nothing, language="en").splitlines()


@pytest.mark.parametrize(
    ("status", "mark"),
    [("superseded", ["已被取代", "SUPERSEDED"]), ("revoked", ["已撤销", "REVOKED"])],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_paper_that_no_longer_holds_is_marked_on_every_page(
    status: Literal["superseded", "revoked"], mark: list[str], language: Language
) -> None:
    many = dataclasses.replace(PAPER, status=status, activities=(READING,) * 60)
    pages = PdfReader(BytesIO(made(many, language=language))).pages
    assert len(pages) > 1
    for page in pages:
        said = "".join(page.extract_text().split())
        assert all(part in said for part in mark)


def test_a_valid_statement_bears_no_mark() -> None:
    for language in ("zh", "en"):
        said = printed(language=language)
        assert "SUPERSEDED" not in said
        assert "REVOKED" not in said


# --- any name ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["欧阳䶮", "𬱖𫖯", "𠅤㛃", "𪚥𮯠", "阿依古丽·买买提", "Zoë Ångström"]
)
def test_a_rare_name_is_printed_and_found(name: str) -> None:
    assert missing_characters(name) == set()
    assert f"姓名 {name} " in printed(holder=Holder(name, "x"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("张\U00031350", "张[U+31350]"),
        ("李😀", "李[U+1F600]"),
        ("A\u202eB", "A[U+202E]B"),
        ("م", "[U+0645]"),
        ("\x00\ud800", "[U+0000][U+D800]"),
    ],
)
def test_a_character_that_no_font_has_is_printed_as_its_code_point(name: str, shown: str) -> None:
    assert missing_characters(name) == set(name) - set("张李AB")
    assert printable(name) == shown
    assert shown in printed(holder=Holder(name, "x"))


def test_a_line_break_in_a_name_makes_no_further_line() -> None:
    assert missing_characters("张\n三\r\t") == set()
    assert "姓名 张 三 合计 999" in printed(holder=Holder("张\n三\u2028合计 999", "x"))


@pytest.mark.parametrize("name", HOSTILE)
def test_markup_in_a_name_is_printed_and_not_run(name: str) -> None:
    activity = dataclasses.replace(PAPER, activities=(VISITS._replace(activity=name),))
    for pdf in (
        made(holder=Holder(name, "x")),
        made(activity),
        tables(Section(name, [name], [[name]], note=name)),
    ):
        assert "".join(name.split()) in "".join(text(pdf).split())


def test_a_word_without_end_is_broken_and_stays_whole() -> None:
    said = printed(
        dataclasses.replace(PAPER, activities=(VISITS._replace(activity=LONG_WORD),)),
        Holder(LONG_WORD, "x"),
    )
    lines = [line for line in said.splitlines() if "xxxx" in line]
    assert len(lines) > 4
    assert sum(line.count("x") for line in lines) >= 2 * len(LONG_WORD)


def test_every_character_that_the_fonts_are_said_to_hold_is_set() -> None:
    """Typst stops at a character without a glyph, for the PDF would not be fit for keeping."""
    runs = (line.split() for line in (FONTS / "coverage.txt").read_text().splitlines())
    held = [chr(c) for first, last in runs for c in range(int(first, 16), int(last, 16) + 1)]
    assert len(held) > 90_000
    assert missing_characters("".join(held)) == set()
    some = held[:2000] + held[2000::61]
    tables(Section("all", ["characters"], [["".join(some)]]))


# --- the file ------------------------------------------------------------------------------------


def test_the_same_statement_is_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_pdf; "
        "sys.stdout.buffer.write(test_pdf.made())"
    )
    root = Path(__file__).parents[3]
    there = subprocess.run(
        [sys.executable, "-c", program, Path(__file__).parent],
        capture_output=True,
        check=True,
        cwd=root,
        env={
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "PYTHONHASHSEED": "7",
            "TZ": "Asia/Tokyo",
        },
    ).stdout
    assert sha256(there).hexdigest() == sha256(made()).hexdigest()


def test_an_instant_between_two_seconds_is_no_obstacle() -> None:
    between = dataclasses.replace(PAPER, issued_at="2026-07-01T02:30:00.123456Z")
    assert made(between) == made()


def test_many_threads_may_ask_at_once() -> None:
    with ThreadPoolExecutor(4) as pool:
        papers = list(pool.map(lambda _: made(), range(8)))
    assert set(papers) == {made()}


def test_a_file_names_its_title_language_and_date_and_brings_its_fonts() -> None:
    reader = PdfReader(BytesIO(made(language="en")))
    catalog, about = reader.root_object, reader.metadata
    assert about is not None
    assert about.title == "Platform service statement"
    assert about.creation_date == datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
    assert catalog["/Lang"] == "en"
    assert catalog["/MarkInfo"]["/Marked"]
    fonts = reader.pages[0]["/Resources"]["/Font"].values()
    assert fonts
    for font in fonts:
        inner = font.get_object()["/DescendantFonts"][0].get_object()
        assert "+" in inner["/BaseFont"]  # the mark of a subset
        assert inner["/FontDescriptor"].get_object().keys() & {"/FontFile2", "/FontFile3"}


def test_a_table_over_several_pages_repeats_its_head_and_counts_the_pages() -> None:
    many = tuple(READING._replace(activity=f"Circle {at}") for at in range(90))
    pages = PdfReader(
        BytesIO(made(dataclasses.replace(PAPER, activities=many), language="en"))
    ).pages
    assert len(pages) > 2
    for at, page in enumerate(pages, 1):
        said = page.extract_text()
        assert f"Page {at} of {len(pages)}" in said
        if "Circle" in said:
            assert "Activity Category Dates" in said
    everything = "\n".join(page.extract_text() for page in pages)
    assert all(re.search(rf"Circle {at}\b", everything) for at in range(90))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_qr_code_beside_the_address_is_that_of_the_address(language: Language) -> None:
    drawn = PdfReader(BytesIO(made(language=language))).pages[0].get_contents()
    assert drawn is not None
    strokes = re.findall(rb"(\d+) (\d+)\.5 m (\d+) \2\.5 l", drawn.get_data())
    dark = {(int(y), x) for first, y, end in strokes for x in range(int(first), int(end))}
    modules = enumerate(segno.make_qr(URL, error="m").matrix)
    assert dark == {(y, x) for y, row in modules for x, module in enumerate(row) if module}


def test_a_document_has_all_its_sections_notes_and_rows() -> None:
    rows = [[str(at), f"陪伴 {at}"] for at in range(300)]
    pdf = document_pdf(
        "个人信息副本",
        [
            Section("服务记录", ["序号", "活动"], rows, note="截至今日"),
            Section("时间币", ["日期"], []),
        ],
        language="zh",
        made_at=datetime(2026, 7, 1, tzinfo=UTC),
        subtitle="成员 m-1",
        footer="由 org-1 制作",
    )
    said = text(pdf)
    for phrase in ("个人信息副本", "成员 m-1", "由 org-1 制作", "截至今日", "陪伴 299", "时间币"):
        assert phrase in said
    assert said.count("序号 活动") == sum(
        "陪伴" in p.extract_text() for p in PdfReader(BytesIO(pdf)).pages
    )
    assert "无" in said.splitlines()


def test_rows_that_do_not_fit_their_columns_are_refused() -> None:
    with pytest.raises(typst.TypstError, match="ragged rows"):
        tables(Section("ragged", ["a", "b"], [["1", "2"], ["3"]]))


def test_a_cell_longer_than_a_page_goes_on_on_the_next() -> None:
    said = text(tables(Section("long", ["a", "b"], [["文" * 6000, "x" * 3000]])))
    assert said.count("文") == 6000
    assert said.count("x") >= 3000
