"""The copy of all that is held about a person, to be read: its tables as a PDF."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from api.contract import Fields
from ledger.refusals import WORDS as CODES
from ledger.refusals import Language
from projections.papers.pdf import Section, document_pdf

TABLES: dict[str, tuple[str, ...]] = {
    "person": (),
    "member": (),
    "external_refs": ("organisation", "references"),
    "balance": (),
    "consents": ("purpose", "organisation", "consent_ref", "status", "given_at", "ended_at"),
    "relations": ("relation", "to", "evidence_ref", "recorded_at"),
    "records": ("served_on", "organisation", "activity", "minutes", "credits", "status"),
    "passbook": ("served_on", "kind", "credits", "minutes", "points", "balance_after", "ref"),
    "statements": ("number", "organisation", "from", "to", "minutes", "status"),
    "certifications": ("level", "certificate_ref", "obtained_on", "status", "in_force_to"),
    "credentials": ("number", "level", "issued_on", "status"),
    "achievements": ("on", "kind", "hours", "ref", "points", "status"),
    "appointments": ("organisation", "unit", "from", "to", "status"),
    "mentorships": ("mentor_id", "mentee_id", "from", "to", "status"),
    "cases": ("on", "title", "category", "status"),
    "experts": ("organisation", "unit", "speciality", "from", "to", "status"),
    "enrolments": ("programme_id", "enrolled_on", "completed_on"),
    "orders": ("planned_from", "activity", "organisation", "dispatched_to", "status", "stars"),
    "redemptions": ("reward", "quantity", "credits", "status", "expires_on"),
    "transfers": ("recorded_at", "kind", "credits", "reason", "status"),
    "correction_requests": ("recorded_at", "record_id", "reason", "status"),
    "keys": ("id", "role", "actor", "created_at", "expires_on", "revoked_at"),
}
"""Table -> its columns; a table without columns is one thing, told field by field."""

WORDS: dict[str, tuple[str, str]] = {
    "title": ("个人信息副本", "Copy of all that is held about you"),
    "subtitle": ("成员 {id}，{at}", "Member {id}, {at}"),
    "footer": ("账本位置 {position}", "Position {position} of the log"),
    "note": (
        "账本中提及此成员的事件共 {events} 条，逐条见本副本的 JSON 形式。",
        "The log has {events} events that name the member; the JSON form of this copy has each.",
    ),
    "person": ("身份信息", "Who you are"),
    "member": ("成员", "Membership"),
    "external_refs": ("各组织的编号", "What organisations call you"),
    "balance": ("余额", "Balance"),
    "consents": ("同意", "Consents"),
    "relations": ("关系", "Relations"),
    "records": ("服务记录", "Service records"),
    "passbook": ("存折", "Passbook"),
    "statements": ("服务记录证明", "Service statements"),
    "certifications": ("职业资格证书", "Certificates"),
    "credentials": ("职业资格凭证", "Credentials"),
    "achievements": ("成果", "Achievements"),
    "appointments": ("督导聘任", "Appointments"),
    "mentorships": ("结对指导", "Mentorships"),
    "cases": ("案例", "Cases"),
    "experts": ("专家", "Expert"),
    "enrolments": ("培训项目", "Programmes"),
    "orders": ("服务订单", "Orders"),
    "redemptions": ("兑换", "Redemptions"),
    "transfers": ("转移", "Transfers"),
    "correction_requests": ("更正申请", "Requests for correction"),
    "keys": ("API 密钥", "API keys"),
    "field": ("项目", "Field"),
    "value": ("内容", "What is held"),
    "organisation": ("组织", "Organisation"),
    "references": ("编号", "References"),
    "purpose": ("用途", "Purpose"),
    "consent_ref": ("同意编号", "Consent"),
    "status": ("状态", "Status"),
    "given_at": ("给出", "Given"),
    "ended_at": ("撤回", "Ended"),
    "relation": ("关系", "Relation"),
    "to": ("至", "To"),
    "from": ("自", "From"),
    "evidence_ref": ("凭据", "Evidence"),
    "recorded_at": ("登记时间", "Recorded"),
    "served_on": ("服务日期", "Served on"),
    "activity": ("活动", "Activity"),
    "minutes": ("分钟", "Minutes"),
    "credits": ("时间币（分）", "Credits"),
    "kind": ("种类", "Kind"),
    "points": ("积分", "Points"),
    "balance_after": ("结余", "Balance after"),
    "ref": ("凭证", "Reference"),
    "number": ("编号", "Number"),
    "level": ("等级", "Level"),
    "certificate_ref": ("证书编号", "Certificate"),
    "obtained_on": ("取得日期", "Obtained on"),
    "in_force_to": ("登记有效至", "In force to"),
    "issued_on": ("出具日期", "Issued on"),
    "on": ("日期", "On"),
    "hours": ("学时", "Hours"),
    "unit": ("单位", "Unit"),
    "mentor_id": ("指导人", "Mentor"),
    "mentee_id": ("被指导人", "Mentee"),
    "category": ("类别", "Category"),
    "speciality": ("专长", "Speciality"),
    "programme_id": ("项目编号", "Programme"),
    "enrolled_on": ("参加", "Enrolled on"),
    "completed_on": ("完成", "Completed on"),
    "planned_from": ("预约时间", "Planned from"),
    "dispatched_to": ("派给", "Dispatched to"),
    "stars": ("星", "Stars"),
    "reward": ("兑换项目", "Reward"),
    "quantity": ("数量", "Quantity"),
    "expires_on": ("到期", "Expires on"),
    "reason": ("原因", "Reason"),
    "record_id": ("记录", "Record"),
    "id": ("标识", "Id"),
    "role": ("角色", "Role"),
    "actor": ("名称", "Name"),
    "created_at": ("创建", "Created"),
    "revoked_at": ("撤销", "Revoked"),
    "name": ("姓名", "Name"),
    "document_kind": ("证件种类", "Kind of document"),
    "document_number": ("证件号码", "Number of the document"),
    "birth_date": ("出生日期", "Date of birth"),
    "phone": ("电话", "Phone"),
    "roles": ("角色", "Roles"),
    "home_organisation": ("所属组织", "Home organisation"),
    "organisations": ("知悉此成员的组织", "Organisations that know you"),
    "age_band": ("年龄段", "Age band"),
    "erased_at": ("个人信息删除于", "Personal data erased"),
    "service_minutes": ("服务分钟", "Service minutes"),
    "tier": ("阶梯", "Tier"),
    "grade": ("等级（四色）", "Grade"),
    "coins": ("时间币", "Coins"),
    "registration": ("登记", "Registration"),
    "certification_id": ("证书", "Certificate"),
    "in_force_from": ("登记有效自", "In force from"),
    "available": ("时间币（分）：可用", "Credits available"),
    "held": ("时间币（分）：预约冻结", "Credits held"),
    "frozen": ("时间币（分）：冻结", "Credits frozen"),
    "receivable": ("时间币（分）：待扣回", "Credits owed"),
}
"""What headings and columns are called, in zh and en."""

CODED = {"status", "level", "grade"}
"""Columns of codes that have words of their own."""

LEFT_OUT = {"position", "member_id", "as_of"}
"""Of a thing that is told field by field: what the head of the copy says already."""


def held_pdf(held: Fields, language: Language) -> bytes:
    """The copy that `held_about` makes, as a PDF; what is empty is left out."""
    sections = [
        Section(_said(name, language), *_table(held[name], columns, language))
        for name, columns in TABLES.items()
        if held[name]
    ]
    events = _said("note", language, events=len(held["events"]))
    return document_pdf(
        _said("title", language),
        [*sections, Section("", (), (), events)],
        language=language,
        made_at=datetime.fromisoformat(held["generated_at"]),
        subtitle=_said("subtitle", language, id=held["member_id"], at=held["generated_at"]),
        footer=_said("footer", language, position=held["position"]),
    )


def _table(
    told: Any, columns: Sequence[str], language: Language
) -> tuple[list[str], list[list[str]]]:
    if not columns:
        rows = [
            [_said(name, language), _value(name, value, language)]
            for name, value in _flat(told)
            if name not in LEFT_OUT
        ]
        return [_said("field", language), _said("value", language)], rows
    heads = [_said(name, language) for name in columns]
    if isinstance(told, Mapping):  # an organisation's references
        return heads, [[name, ", ".join(refs)] for name, refs in told.items()]
    return heads, [[_value(name, item.get(name), language) for name in columns] for item in told]


def _flat(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Field by field, with the fields of what is in a field."""
    for name, value in told.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value


def _value(name: str, value: object, language: Language) -> str:
    match value:
        case str() if name in CODED and value in CODES:
            return CODES[value][0 if language == "zh" else 1]
        case None:
            return ""
        case str():
            return value
        case int():
            return str(value)
        case [*parts] if all(isinstance(part, str) for part in parts):
            return ", ".join(map(str, parts))
        case _:
            return orjson.dumps(value).decode()


def _said(phrase: str, language: Language, **data: object) -> str:
    return WORDS[phrase][0 if language == "zh" else 1].format(**data)
