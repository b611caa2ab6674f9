"""The tables that an export makes of its entries: columns with their types, and rows."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from ledger import journal
from ledger.events import PostedContent, RecordEvent
from ledger.rules.service_records import Record
from projections.extract import Extract, Extracted, Member

Kind = Literal["integer", "string", "date", "datetime", "boolean"]
"""Types of the Table Schema (Frictionless Data)."""


class Column(NamedTuple):
    """A column: its name, its type, what it says, and whether it may be empty."""

    name: str
    kind: Kind
    zh: str
    en: str
    required: bool = False


class Table(NamedTuple):
    """A table: its name, its columns, the columns of its key, and what to look it up by."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    lookups: tuple[str, ...] = ()


def _column(name: str, kind: Kind, zh: str, en: str) -> Column:
    return Column(name, kind, zh, en)


def _required(name: str, kind: Kind, zh: str, en: str) -> Column:
    return Column(name, kind, zh, en, required=True)


_POSITION = _required("position", "integer", "在账本中的位置", "Position in the journal.")
_RECORDED_ON = _column("recorded_on", "date", "登记日期（当地）", "Local date of recording.")
_ORGANISATION = _column("organisation", "string", "组织代码", "Code of the organisation.")
_MEMBER = _column("member_id", "string", "成员编号", "Id of the member.")
_SERVED_ON = _column("served_on", "date", "服务日期", "Date of the service.")

EVENTS = Table(
    "events",
    (
        _POSITION,
        _column("recorded_at", "datetime", "登记时刻", "Instant of recording, UTC."),
        _RECORDED_ON,
        _required("type", "string", "事件类型", "Type of the event."),
        _required("stream", "string", "事件流", "Stream of the event."),
        _required("version", "integer", "流内版本", "Version within the stream."),
        _column("actor", "string", "经办", "Key id, cli or jobs."),
        _column("correlation_id", "string", "关联编号", "What one request has caused shares it."),
        _ORGANISATION,
        _MEMBER,
        _column("record_id", "string", "服务记录编号", "Id of the service record."),
        _column("unit", "string", "成员当时所在单位", "Where the member lived then."),
        _SERVED_ON,
        _column("minutes", "integer", "服务分钟", "Service minutes."),
        _column("points", "integer", "专业积分", "Professional points."),
    ),
    ("position",),
    ("type", "member_id", "organisation"),
)
LINES = Table(
    "lines",
    (
        _POSITION,
        _required("line", "integer", "事件内的序号，从 0 起", "Number within the event, from 0."),
        _RECORDED_ON,
        _SERVED_ON,
        _required("type", "string", "事件类型", "Type of the event."),
        _required("account", "string", "账户", "Account of the double entry."),
        _required("credits", "integer", "变动（时间币分钟）", "Change in credit-minutes."),
        _required("balance_after", "integer", "变动后账户余额", "What the account holds after it."),
        _MEMBER,
        _ORGANISATION,
    ),
    ("position", "line"),
    ("account", "member_id"),
)
SERVICE_RECORDS = Table(
    "service_records",
    (
        _required("record_id", "string", "服务记录编号", "Id of the service record."),
        _required("position", "integer", "登记的位置", "Position at which it was posted."),
        _required("organisation", "string", "组织代码", "Code of the organisation."),
        _required("receipt", "string", "凭证号", "Receipt of the organisation."),
        _required("member_id", "string", "成员编号", "Id of the member."),
        _required("status", "string", "状态", "How it stands at the end of the export."),
        _required("activity", "string", "活动", "Activity."),
        _required("category", "string", "类别", "Category."),
        _required("place", "string", "服务地点单位", "Code of the unit where it was served."),
        _required("responsible", "string", "负责人代码", "Staff code of who answers for it."),
        _required("started_at", "datetime", "开始时刻", "Beginning, UTC."),
        _required("ended_at", "datetime", "结束时刻", "End, UTC."),
        _required("served_on", "date", "服务日期", "Date of the service."),
        _required("capacity", "string", "身份", "volunteer or on_duty."),
        _required("evidence", "string", "证据", "Evidence."),
        _required("late", "boolean", "是否逾期补录", "Recorded late?"),
        _column("minutes", "integer", "服务分钟", "Service minutes; empty until verified."),
        _column("overlap_minutes", "integer", "重复分钟", "Minutes that were counted already."),
        _column("credits", "integer", "时间币", "Credits granted."),
        _column("capped", "integer", "封顶扣减", "Credits beyond a cap."),
        _column("overflowed", "integer", "溢出", "Credits that went to the pool."),
        _column("paid_from_hold", "integer", "由预约支付", "Credits that a hold has paid."),
        _required("points", "integer", "专业积分", "Professional points, as they stand."),
        _required("policy_version", "integer", "政策版本", "Newest policy version then."),
        _column("replaces", "string", "所更正的记录", "The record that it corrects."),
        _column("order_id", "string", "服务单编号", "Id of the order."),
        _column("project_id", "string", "项目编号", "Id of the project."),
        _column("redemption_id", "string", "兑换编号", "Id of the redemption."),
    ),
    ("record_id",),
    ("member_id", "organisation", "served_on"),
)
MEMBERS = Table(
    "members",
    (
        _required("member_id", "string", "成员编号", "Id of the member."),
        _required("home_organisation", "string", "归属组织", "Home organisation."),
        _required("unit", "string", "所在单位", "Unit at the end of the export."),
        _required("roles", "string", "角色，以 | 分隔", "Roles, separated by |."),
        _required("registered_at", "datetime", "登记时刻", "Instant of registration."),
        _column("closed_at", "datetime", "销户时刻", "Instant of closing."),
    ),
    ("member_id",),
)
ACCOUNTS = Table(
    "accounts",
    (
        _required("account", "string", "账户", "Account of the double entry."),
        _required("opening", "integer", "期初", "Before the first date of the export."),
        _required("change", "integer", "变动", "What the exported lines come to."),
        _required("closing", "integer", "期末", "At the end: opening and change."),
    ),
    ("account",),
)
TABLES = (EVENTS, LINES, SERVICE_RECORDS, MEMBERS, ACCOUNTS)

Row = tuple[Any, ...]


RECORDS_AT_ONCE = 500


def rows(extract: Extract) -> Iterator[tuple[str, Row]]:
    """Every row with its table's name, as the walk goes on."""
    posts: dict[str, tuple[int, PostedContent]] = {}
    for entry in extract.entries():
        yield "events", _event(entry)
        for number, ((account, credits), after) in enumerate(
            zip(entry.lines, entry.after, strict=True)
        ):
            yield "lines", _line(entry, number, account, credits, after)
        if isinstance(entry.event, PostedContent):
            posts[entry.event.record_id] = entry.row.position, entry.event
            if len(posts) == RECORDS_AT_ONCE:
                yield from _service_records(extract, posts)
                posts.clear()
    yield from _service_records(extract, posts)
    for member_id in sorted(extract.named & extract.members.keys()):
        yield "members", _member(extract.members[member_id])
    for account, closing in extract.closing().items():
        change = extract.changes.get(account, 0)
        yield "accounts", (account, closing - change, change, closing)


def _event(entry: Extracted) -> Row:
    row, event = entry.row, entry.event
    said = {
        name: getattr(event, name, None)
        for name in ("organisation", "member_id", "record_id", "served_on", "minutes", "points")
    }
    return (
        row.position,
        event.recorded_at or None,
        entry.recorded_on or None,
        row.type,
        row.stream,
        row.version,
        event.actor or None,
        event.correlation_id or None,
        said["organisation"],
        said["member_id"],
        said["record_id"],
        entry.unit,
        said["served_on"],
        said["minutes"],
        said["points"],
    )


def _line(entry: Extracted, number: int, account: str, credits: int, after: int) -> Row:
    event = entry.event
    return (
        entry.row.position,
        number,
        entry.recorded_on,
        getattr(event, "served_on", None),
        entry.row.type,
        account,
        credits,
        after,
        getattr(event, "member_id", None),
        getattr(event, "organisation", None),
    )


def _member(member: Member) -> Row:
    return (
        member.member_id,
        member.home_organisation,
        member.unit,
        "|".join(member.roles),
        member.registered_at,
        member.closed_at,
    )


def _service_records(
    extract: Extract, posts: Mapping[str, tuple[int, PostedContent]]
) -> Iterator[tuple[str, Row]]:
    """Records as they stand at the end: what came later about them is looked up together."""
    records = {record_id: Record() for record_id in posts}
    positions = {}
    for record_id, (position, content) in posts.items():
        positions[record_id] = position
        records[record_id].apply(content, position)
    for entry in journal.said_later(extract.connection, positions, extract.until):
        assert isinstance(entry.event, RecordEvent)  # noqa: S101  (the index is of these alone)
        records[entry.event.record_id].apply(entry.event, entry.position)
    for record_id, (position, content) in posts.items():
        yield "service_records", _service_record(position, content, records[record_id])


def _service_record(position: int, content: PostedContent, record: Record) -> Row:
    figures = record.figures
    return (
        content.record_id,
        position,
        content.organisation,
        content.receipt,
        content.member_id,
        record.status,
        content.activity,
        content.category,
        content.place,
        content.responsible,
        content.started_at,
        content.ended_at,
        content.served_on,
        content.capacity,
        content.evidence,
        content.late,
        *(None if figures is None else getattr(figures, name) or 0 for name in _FIGURES),
        record.points,
        content.policy_version,
        content.replaces,
        content.order_id,
        content.project_id,
        content.redemption_id,
    )


_FIGURES = (
    *("minutes", "overlap_minutes", "credits"),
    *("capped", "overflowed", "paid_from_hold"),
)
"""What a record came to; none of them before it is verified."""
