"""`timebank member`: people who serve and are served; who they are goes into the vault alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import orjson

from ledger.events import ErasureReason, MemberRole
from ledger.units import Refused
from scripts.door import checked, opened, read_file, stamp
from scripts.imported import DRY_RUN, FILE, ORG, imported
from scripts.printing import Exit, Stopped, Told, fields, note, table, verb
from scripts.sayings import explained, said

if TYPE_CHECKING:
    from ledger.refusals import Language


@verb(
    ORG,
    click.option(
        "--roles",
        required=True,
        help=explained(
            f"角色，多个用 | 分隔：{' '.join(get_args(MemberRole))}",
            f"one or more, between them |: {' '.join(get_args(MemberRole))}",
        ),
    ),
    click.option("--unit", required=True, help=explained("所在单位的代码", "code of the unit")),
    click.option("--external-ref", help=explained("组织自己的编号", "the organisation's own id")),
    click.option("--name", help=explained("姓名（存入保险库）", "kept in the vault")),
    click.option("--document-kind", help=explained("证件种类", "kept in the vault")),
    click.option("--document-number", help=explained("证件号码", "kept in the vault")),
    click.option("--birth-date", help=explained("出生日期", "kept in the vault")),
    click.option("--phone", help=explained("电话", "kept in the vault")),
    click.option("--consent-ref", help=explained("本人同意的编号", "of the person's consent")),
)
def add(
    org: str,
    roles: str,
    unit: str,
    external_ref: str | None,
    consent_ref: str | None,
    **person: str | None,
) -> Told:
    """Register a person, or join one who is known already."""
    from api.asks import MemberAsk
    from api.registration import Registration, register_one

    held = {name: value for name, value in person.items() if value is not None}
    asked = checked(
        MemberAsk,
        external_ref=external_ref,
        roles=roles.split("|"),
        unit=unit,
        person=held or None,
        consent_ref=consent_ref,
    )
    with opened() as ledger:
        answer = register_one(ledger, Registration(org, [asked], stamp()))
    return Told(orjson.loads(answer.body))


@verb(FILE, ORG, DRY_RUN)
def import_file(file: Path, org: str, dry_run: bool) -> Told:
    """Register every member of a CSV or XLSX."""
    from api.imports import import_members

    return imported(import_members, read_file(file), org, dry_run=dry_run)


@verb(
    click.argument("ids", metavar="ID...", nargs=-1),
    click.option(
        "--reason",
        type=click.Choice(get_args(ErasureReason)),
        default="request",
        help=explained("本人要求，或保存期满", "asked for, or kept long enough"),
    ),
    click.option(
        "--recorded",
        is_flag=True,
        help=explained(
            "再次删除账本已记录删除者（恢复旧保险库之后）",
            "again everyone whose erasure is recorded, as after restoring an old vault",
        ),
    ),
    click.option("--yes", is_flag=True, help=explained("不再询问", "do not ask")),
)
def erase(ids: tuple[str, ...], reason: ErasureReason, recorded: bool, yes: bool) -> Told:
    """Forget who members are, for ever; their accounts stand as they stood."""
    from api.erasure import Erasure, held_again

    if bool(ids) == recorded:
        raise Stopped("ids_or_recorded", Exit.USAGE)
    results: list[dict[str, Any]] = []
    with opened() as ledger:
        members = list(dict.fromkeys(ids or held_again(ledger)))
        if members and not yes:
            _confirmed(len(members))
        erasure = Erasure(ledger, stamp(), reason)
        for member_id in members:
            try:
                position = erasure.erase(member_id)
            except Refused as no:
                results.append({"member_id": member_id, "status": "refused", "code": no.code})
            else:
                results.append({"member_id": member_id, "status": "erased", "position": position})
        done = sum(one["status"] == "erased" for one in results)
        swept = erasure.sweep()
    if not swept:
        note(said("not_swept"))
    value = {"erased": done, "refused": len(results) - done, "swept": swept, "results": results}
    counts = {name: value[name] for name in ("erased", "refused", "swept")}
    lines = [fields(counts), table(("member_id", "status", "code", "position"), results)]
    missed = Exit.PARTLY if done else Exit.REFUSED
    return Told(value, lines, Exit.OK if done == len(results) else missed)


def _confirmed(count: int) -> None:
    """Pass where whoever sits there says yes."""
    try:
        yes = click.confirm(said("erase_for_ever", count=count), err=True)
    except click.Abort:
        yes = False
    if not yes:
        raise Stopped("not_confirmed", Exit.USAGE)


@verb(
    click.argument("id"),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help=explained("写入此文件（仅本人可读）", "a file to write to, for its owner alone"),
    ),
    click.option(
        "--format", "form", type=click.Choice(("json", "pdf")), default="json", show_default=True
    ),
    click.option("--language", type=click.Choice(("zh", "en")), default="zh", show_default=True),
)
def data(id: str, out: Path | None, form: str, language: "Language") -> Told:
    """A copy of all that is held about one member, as JSON or as a PDF."""
    from api.held import held_about
    from api.held_pdf import held_pdf
    from projections.views import Views
    from scripts.exporting import write_private

    with opened() as ledger:
        Views(ledger.store, ledger.views_engine).catch_up()
        found = held_about(ledger, id)
    if found is None:
        raise Refused("not_found", what=id)
    text = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if out is None:
        if form == "pdf":
            raise Stopped("missing_parameter", Exit.USAGE, name="--out")
        return Told(found, [text.decode().rstrip()])
    if form == "pdf":
        text = held_pdf(found, language)
    write_private(out, text)
    return Told({"member_id": id, "position": found["position"], "file": str(out)})
