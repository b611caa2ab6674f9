"""Papers as Open Badges 3.0 credentials (W3C VC Data Model 2.0), not signed yet.

The holder is `urn:uuid:<member id>`, a pseudonym; no name is in a credential. Its texts are in
Chinese and English at once, ` / ` between them: Open Badges asks for one string.

No `credentialSchema`: context 3.0.3 does not define the type that Open Badges gives it, and
verifiers refuse what is not defined.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from ledger.events import Level
from ledger.units import instant_text
from projections.papers.content import ActivityLine, Certification, Paper, Statement
from projections.papers.issuers import Issuer
from projections.papers.linked_data import CREDENTIALS, OPEN_BADGES, Document
from projections.papers.status_lists import status_entry

LEVELS: dict[Level, str] = {
    "assistant": "助理社会工作师 / Assistant social worker",
    "social_worker": "社会工作师 / Social worker",
    "senior": "高级社会工作师 / Senior social worker",
}


def statement_badge(paper: Statement, issuer: Issuer) -> Document:
    """A service statement: the minutes are its result, whole and as hours to read."""
    achievement = f"{issuer.id}#service"
    results = {
        f"{achievement}-minutes": ("服务分钟 / Minutes served", str(paper.minutes)),
        f"{achievement}-hours": ("服务时长 / Time served", _hours(paper.minutes)),
    }
    title = f"{paper.title['zh']} / {paper.title['en']}"
    return _credential(paper, issuer, title) | {
        "credentialSubject": {
            **_subject(paper),
            "activityStartDate": _local(paper.served_from, time(), issuer.zone),
            "activityEndDate": _local(paper.served_to, time(23, 59, 59), issuer.zone),
            "narrative": "\n".join(_statement_told(paper)),
            "achievement": {
                "id": achievement,
                "type": ["Achievement"],
                "achievementType": "CommunityService",
                "name": title,
                "description": f"{issuer.name} 确认的志愿服务 / "
                f"Volunteer service that {issuer.name} has verified",
                "criteria": {
                    "narrative": "服务由记录机构确认并记入时间银行账本；"
                    "待确认的记录和在岗时间不计入。 / The recording organisation has verified the "
                    "service in the time-bank ledger; pending records and paid duty do not count."
                },
                "resultDescription": [
                    {"id": id, "type": ["ResultDescription"], "name": name, "resultType": "Result"}
                    for id, (name, _) in results.items()
                ],
            },
            "result": [
                {"type": ["Result"], "resultDescription": id, "value": value}
                for id, (_, value) in results.items()
            ],
        },
    }


def certification_badge(paper: Certification, issuer: Issuer) -> Document:
    """A certification; with a registration it ends where the registration's last day ends."""
    level = LEVELS[paper.level]
    badge = _credential(paper, issuer, level)
    if paper.in_force_to is not None:
        badge["validUntil"] = _day_end(paper.in_force_to, issuer.zone)
    return badge | {
        "credentialSubject": {
            **_subject(paper),
            "narrative": "\n".join(_certification_told(paper)),
            "achievement": {
                "id": f"{issuer.id}#certification-{paper.level}",
                "type": ["Achievement"],
                "achievementType": "Certification",
                "name": level,
                "description": f"职业资格：{level} / Professional certification",
                "criteria": {
                    "narrative": "证书由机构提交，经确认后记入时间银行账本。 / "
                    "An organisation has submitted the certificate, and it has been verified in "
                    "the time-bank ledger."
                },
            },
        },
    }


def _credential(paper: Paper, issuer: Issuer, name: str) -> Document:
    return {
        "@context": [CREDENTIALS, OPEN_BADGES],
        "id": f"{issuer.base}/credentials/{paper.number}",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": name,
        "issuer": issuer.profile,
        "validFrom": paper.issued_at,
        "evidence": [
            {
                "id": f"{issuer.base}/verify/{paper.number}",
                "type": ["Evidence"],
                "name": f"{paper.number} 的查验页 / Verification page of {paper.number}",
                "narrative": f"日志第 {paper.position} 条，叶哈希 {paper.leaf_hash} / Entry "
                f"{paper.position} of the log, leaf hash {paper.leaf_hash} (RFC 6962, base64)",
            }
        ],
        "credentialStatus": status_entry(issuer, paper.position),
    }


def _subject(paper: Paper) -> Document:
    return {"id": f"urn:uuid:{paper.member_id}", "type": ["AchievementSubject"]}


def _statement_told(paper: Statement) -> list[str]:
    left = paper.left_out
    return [
        f"{paper.served_from} – {paper.served_to}：{paper.records} 条记录，{paper.minutes} 分钟，"
        f"其中逾期记录 {paper.late_minutes} 分钟 / "
        f"{paper.records} records, {paper.minutes} minutes, "
        f"{paper.late_minutes} of them recorded late",
        f"未计入：待确认 {left.pending_records} 条 {left.pending_minutes} 分钟，"
        f"在岗 {left.on_duty_records} 条 {left.on_duty_minutes} 分钟 / Not counted: pending "
        f"records {left.pending_records}, minutes {left.pending_minutes}; on paid duty "
        f"records {left.on_duty_records}, minutes {left.on_duty_minutes}",
        *map(_activity_told, paper.activities),
    ]


def _activity_told(line: ActivityLine) -> str:
    return (
        f"{line.activity} ({line.category})：{line.first_on} – {line.last_on}，{line.records} 条，"
        f"{line.minutes} 分钟，逾期记录 {line.late_minutes} 分钟 / {line.records} records, "
        f"{line.minutes} minutes, {line.late_minutes} recorded late"
    )


def _certification_told(paper: Certification) -> list[str]:
    if paper.in_force_to is None:
        registered = "未登记 / Not registered"
    else:
        term = f"{paper.in_force_from} – {paper.in_force_to}"
        registered = f"登记有效期 {term} / Registration in force {term}"
    return [f"取得日期 {paper.obtained_on} / Obtained on {paper.obtained_on}", registered]


def _hours(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours} 小时 {rest} 分 / {hours} h {rest} min"


def _local(on: str, at: time, zone: tzinfo) -> str:
    """A date's instant with its zone's offset, so that the date can be read in it."""
    return datetime.combine(date.fromisoformat(on), at, zone).isoformat()


def _day_end(on: str, zone: tzinfo) -> str:
    """The instant at which a date has ended: the next one begins."""
    morrow = datetime.combine(date.fromisoformat(on) + timedelta(days=1), time(), zone)
    return instant_text(morrow.astimezone(UTC))
