"""`timebank statement`: service statements, issued, handed out, verified, revoked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from ledger.units import Refused
from scripts.door import Day, ask, checked, now, opened, settings, stamp
from scripts.imported import ORG
from scripts.printing import Exit, Stopped, Told, verb
from scripts.sayings import explained

if TYPE_CHECKING:
    from datetime import date

    from ledger.opening import Ledger
    from ledger.refusals import Language
    from projections.papers.office import Found, Office

NUMBER = click.argument("number")
CODE = click.option("--code", required=True, help=explained("验证码", "the code beside it"))
Form = Literal["json", "pdf", "credential"]


@verb(
    click.argument("member"),
    ORG,
    click.option("--from", "first", type=Day(), required=True, help=explained("起", "first date")),
    click.option("--to", "last", type=Day(), required=True, help=explained("止", "last date")),
)
def issue(member: str, org: str, first: "date", last: "date") -> Told:
    """State what an organisation has verified of a member's services in a period."""
    from api.statements import StatementAsk, told_of
    from ledger.paper_numbers import new_number

    asked = checked(
        StatementAsk, **{"from": first.isoformat(), "to": last.isoformat(), "organisation": org}
    )
    number = new_number("ST")
    with opened() as ledger, _office(ledger) as office:
        code = office.code(member, number)
        command = asked.by(stamp(), number, code, member, org, named=True)
        return Told(told_of(ask(ledger, command), office, code))


@verb(NUMBER, CODE)
def verify(number: str, code: str) -> Told:
    """Say what stands under a number, to whoever has the code; 5 where it has no force."""
    from api.verification import told_to_anybody
    from ledger.paper_numbers import is_code, number_read

    with opened() as ledger, _office(ledger) as office:
        found = _found(office, number)
    if not is_code(number_read(number), code, found.row.code_digest):
        raise Refused("not_found", what=number)
    told = told_to_anybody(found, now())
    return Told(told, exit_code=Exit.OK if told["status"] == "valid" else Exit.WRONG)


@verb(
    NUMBER,
    click.option(
        "--format", "form", type=click.Choice(get_args(Form)), default="json", show_default=True
    ),
    click.option(
        "--out", type=click.Path(path_type=Path), help=explained("写入的文件", "the file to write")
    ),
    click.option("--language", type=click.Choice(("zh", "en")), default="zh", show_default=True),
)
def show(number: str, form: Form, out: Path | None, language: "Language") -> Told:
    """Hand a statement out: as JSON, as a PDF, as a credential."""
    import orjson

    from api.statements import item_of
    from scripts.exporting import write_private

    with opened() as ledger, _office(ledger) as office:
        found = _found(office, number)
        if form == "pdf":
            content = office.statement_pdf(
                found.paper, office.holder(found.row.member_id), language
            )
        elif form == "credential":
            content = orjson.dumps(office.credential(found.paper))
        else:
            code = office.code(found.row.member_id, found.row.number)
            content = orjson.dumps(item_of(found, office, code))
    if out is None:
        if form == "pdf":
            raise Stopped("missing_parameter", Exit.USAGE, name="--out")
        value = orjson.loads(content)
        whole = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        return Told(value, [whole] if form == "credential" else [])
    write_private(out, content)
    return Told({"number": found.row.number, "file": str(out), "bytes": len(content)})


@verb(NUMBER, click.option("--reason", required=True, help=explained("原因", "why")))
def revoke(number: str, reason: str) -> Told:
    """Take a statement back."""
    from api.asks import ReasonNeededAsk
    from ledger.commands import RevokeStatement
    from ledger.paper_numbers import number_read

    asked = checked(ReasonNeededAsk, reason=reason)
    command = RevokeStatement(
        **stamp(), number=number_read(number), organisation=None, reason=asked.reason
    )
    with opened() as ledger:
        statement = ask(ledger, command).states["statement"]
    return Told(
        {
            "number": command.number,
            "status": statement.status,
            "position": statement.position,
        }
    )


def _found(office: "Office", number: str) -> "Found":
    from ledger.paper_numbers import number_read
    from projections.papers.issued import STATEMENTS

    found = office.find(STATEMENTS, number_read(number))
    if found is None:
        raise Refused("not_found", what=number)
    return found


@contextmanager
def _office(ledger: "Ledger") -> Iterator["Office"]:
    """The office of an open ledger whose views have read all there is."""
    from projections.papers.office import Office
    from projections.signing import Signer
    from projections.views import Views

    given = settings()
    views = Views(ledger.store, ledger.views_engine)
    views.catch_up()
    try:
        yield Office(ledger, Signer(views, given, ledger.secrets), given.address)
    finally:
        views.close()
