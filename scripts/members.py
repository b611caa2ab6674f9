"""`timebank member`: people who serve and are served; who they are goes into the vault alone."""

from pathlib import Path
from typing import get_args

import click
import orjson

from ledger.events import MemberRole
from scripts.door import checked, opened, read_file, stamp
from scripts.imported import DRY_RUN, FILE, ORG, imported
from scripts.printing import Told, verb
from scripts.sayings import explained


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
