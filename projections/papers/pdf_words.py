"""What a printed paper says besides its data, in zh and en: whole phrases, with places for data."""

from ledger.refusals import Language

WORDS: dict[str, dict[Language, str]] = {
    # durations
    "hours_and_minutes": {"zh": "{hours}小时{minutes:02}分", "en": "{hours} h {minutes:02}"},
    "hours_only": {"zh": "{hours}小时", "en": "{hours} h"},
    "minutes_only": {"zh": "{minutes}分钟", "en": "{minutes} min"},
    # the head of a statement
    "number": {"zh": "编号", "en": "Number"},
    "holder": {"zh": "姓名", "en": "Name"},
    "document": {"zh": "证件号码", "en": "Document"},
    "by_hand": {"zh": "________________", "en": "________________"},
    "member": {"zh": "成员编号", "en": "Member id"},
    "period": {"zh": "服务期间", "en": "Period"},
    "from_to": {"zh": "{first} 至 {last}", "en": "{first} to {last}"},
    "unit": {"zh": "记录单位", "en": "Recording unit"},
    "unit_and_code": {"zh": "{name}（{code}）", "en": "{name} ({code})"},
    "issued": {"zh": "出具日期", "en": "Issued on"},
    "status": {"zh": "状态", "en": "Status"},
    "valid": {"zh": "有效", "en": "Valid"},
    "superseded": {"zh": "已被取代", "en": "Superseded"},
    "revoked": {"zh": "已撤销", "en": "Revoked"},
    # the total and the table
    "total": {"zh": "志愿服务时长合计", "en": "Volunteer service in all"},
    "total_minutes": {"zh": "{minutes} 分钟", "en": "{minutes} min"},
    "total_records": {"zh": "共 {records} 次服务记录", "en": "Service records: {records}"},
    "activity": {"zh": "活动", "en": "Activity"},
    "several": {"zh": "（多项活动）", "en": "(several activities)"},
    "category": {"zh": "类别", "en": "Category"},
    "dates": {"zh": "服务日期", "en": "Dates"},
    "times": {"zh": "次数", "en": "Times"},
    "time": {"zh": "时长", "en": "Time"},
    "late_part": {"zh": "† 其中 {duration}", "en": "† of it {duration}"},
    "all_late": {"zh": "† 全部", "en": "† all of it"},
    "late_note": {
        "zh": "† 记录时间晚于当日政策规定的期限，共 {duration}；计入合计。",
        "en": "† Recorded later than the policy of the day allows: {duration}. "
        "It counts in the total.",
    },
    # what is left out
    "left_out": {"zh": "未计入合计的记录", "en": "Not counted in the total"},
    "pending": {
        "zh": "待确认：{records} 次，按填报计 {duration}",
        "en": "Waiting for verification, as posted: {duration}, records: {records}",
    },
    "on_duty": {
        "zh": "在岗（有偿）工作：{records} 次，{duration}；不属于志愿服务",
        "en": "On duty (paid work, which is no volunteering): {duration}, records: {records}",
    },
    # how to verify
    "verify": {"zh": "查验", "en": "Verification"},
    "code": {"zh": "验证码", "en": "Verification code"},
    "address": {"zh": "查验网址", "en": "Address"},
    "position": {"zh": "账本中的位置", "en": "Position in the log"},
    "leaf_hash": {"zh": "叶哈希", "en": "Leaf hash"},
    "qr": {"zh": "查验网址的二维码：{url}", "en": "QR code of the address: {url}"},
    "who_records": {
        "zh": "谁记录，谁证明：由记录单位 {unit} 出具。",
        "en": "Issued by the unit that recorded the service: {unit}.",
    },
    "purpose": {
        "zh": "本件载明账本所记录的内容，免费出具，不得用于商业目的。",
        "en": "This paper says what the ledger recorded. It is free of charge "
        "and not for commercial use.",
    },
    # every page
    "page": {"zh": "第 {page} 页，共 {pages} 页", "en": "Page {page} of {pages}"},
    "no_rows": {"zh": "无", "en": "None"},
}


def said(language: Language, phrase: str, **data: str | int) -> str:
    """A phrase in a language, with its data in place."""
    return WORDS[phrase][language].format(**data)


def duration(language: Language, minutes: int) -> str:
    """`3 h 40`, `3小时40分`."""
    hours, rest = divmod(minutes, 60)
    if not hours:
        return said(language, "minutes_only", minutes=rest)
    return said(language, "hours_and_minutes" if rest else "hours_only", hours=hours, minutes=rest)
