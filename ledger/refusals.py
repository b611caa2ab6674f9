"""What every no says, in Chinese and English: title and sentence by code.

The sentence's places are the params of `Refused` (or of the problem at the door). A param that is
itself a word of ours (a state, a unit's level) is given in both languages by WORDS.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ledger.units import Refused

Language = Literal["zh", "en"]


class Refusal(NamedTuple):
    """Title and sentence of one code, in Chinese and English."""

    title_zh: str
    title_en: str
    detail_zh: str
    detail_en: str


REFUSALS: dict[str, Refusal] = {
    # -- by rule: what clock, policy or history says
    "receipt_reused": Refusal(
        "凭证号已用于其他内容",
        "Receipt used for other content",
        "凭证号 {receipt} 已登记过内容不同的记录。",
        "Receipt {receipt} already stands for a record with other content.",
    ),
    "overlapping_service": Refusal(
        "服务时间重复",
        "Service time counted already",
        "这段时间已经全部计入该成员的服务时长。",
        "All of this time is counted for this member already.",
    ),
    "service_in_the_future": Refusal(
        "服务尚未结束",
        "Service not over yet",
        "服务结束于 {ended_at}，现在是 {now}。",
        "The service ends at {ended_at}; it is {now} now.",
    ),
    "too_old": Refusal(
        "超过补录期限",
        "Too old to be recorded",
        "服务日期 {served_on} 早于可补录的最早日期 {oldest}。",
        "The service date {served_on} lies before {oldest}, the earliest that may still be recorded.",
    ),
    "period_closed": Refusal(
        "月份已关账",
        "Period closed",
        "{month} 已关账。",
        "{month} is closed.",
    ),
    "period_not_over": Refusal(
        "月份尚未结束",
        "Period not over",
        "{month} 尚未结束，今天是 {today}，不能关账。",
        "{month} is not over on {today} and cannot be closed.",
    ),
    "over_already": Refusal(
        "期限已过",
        "Over already",
        "截止日期 {until} 早于今天 {today}。",
        "{until} lies before today, {today}.",
    ),
    "member_closed": Refusal(
        "账户已关闭",
        "Account closed",
        "该成员的账户已关闭。",
        "The member's account is closed.",
    ),
    "not_enough_credits": Refusal(
        "时间币不足",
        "Not enough credits",
        "需要 {credits}，可用 {available}。",
        "{credits} are needed, {available} are there.",
    ),
    "outside_renewal_window": Refusal(
        "不在再登记期限内",
        "Outside the renewal window",
        "可再登记的日期为 {opens} 至 {closes}。",
        "It can be renewed from {opens} to {closes}.",
    ),
    "not_enough_education": Refusal(
        "继续教育学时不足",
        "Not enough continuing education",
        "已有 {hours} 学时，须满 {needed} 学时。",
        "There are {hours} class hours; {needed} are needed.",
    ),
    "out_of_order": Refusal(
        "时间早于前一步骤",
        "Before the step before",
        "{said} 早于 {earliest}。",
        "{said} lies before {earliest}.",
    ),
    "not_appointed": Refusal(
        "没有有效的督导聘任",
        "Not appointed",
        "该成员在 {said} 没有有效的督导聘任。",
        "The member had no appointment as a supervisor in force on {said}.",
    ),
    "out_of_stock": Refusal(
        "库存不足",
        "Out of stock",
        "需要 {quantity} 份，库存 {left} 份。",
        "{quantity} are wanted, {left} are in stock.",
    ),
    "not_eligible": Refusal(
        "不符合条件",
        "Not eligible",
        "未满足的条件：{unmet}。",
        "Conditions that are not met: {unmet}.",
    ),
    "not_registered": Refusal(
        "没有所需的有效登记",
        "Not registered at that level",
        "{day} 没有在有效期内的登记，或等级低于 {level}。",
        "No registration was in force on {day}, or its level is below {level}.",
    ),
    "receipt_reserved": Refusal(
        "凭证号由工单保留",
        "Receipt kept for an order",
        "凭证号 {receipt} 只由工单签退登记。",
        "Receipt {receipt} is posted by the order's check-out alone.",
    ),
    "no_stock_counted": Refusal(
        "该奖励不计库存",
        "No stock is counted",
        "该奖励不限数量，无需补货。",
        "There is no end to this reward, so nothing is to be restocked.",
    ),
    "provider_needed": Refusal(
        "缺少服务提供者",
        "Provider needed",
        "互助服务核销时须指明提供服务的成员。",
        "A peer service is fulfilled by a member: say who served.",
    ),
    "no_provider": Refusal(
        "实物或权益没有服务提供者",
        "A benefit has no provider",
        "该奖励不是互助服务，不能指明服务提供者。",
        "This reward is no peer service, so nobody provides it.",
    ),
    "relation_unknown": Refusal(
        "没有可转赠的关系",
        "Relation unknown",
        "双方没有登记政策允许转赠的关系。",
        "No relation is recorded between them to which the policy allows a gift.",
    ),
    "yearly_maximum": Refusal(
        "超过年度转赠上限",
        "Over the yearly maximum",
        "{year} 年转赠不得超过 {most}。",
        "Gifts of {year} may not come to more than {most}.",
    ),
    "to_oneself": Refusal(
        "转给了自己",
        "To oneself",
        "转出与转入是同一个账户。",
        "Credits would go to the account that they come from.",
    ),
    "fund_exhausted": Refusal(
        "专项额度不足",
        "Fund exhausted",
        "专项 {fund} 剩余额度为 {left}。",
        "The fund {fund} has {left} left.",
    ),
    "balance_not_settled": Refusal(
        "账户尚未结清",
        "Balance not settled",
        "账户中仍有时间币、欠额或待确认的记录。",
        "There are still credits, debts or records that wait on the account.",
    ),
    "in_the_future": Refusal(
        "时间在未来",
        "In the future",
        "{as_of} 尚未到来，现在是 {now}。",
        "{as_of} has not come yet; it is {now} now.",
    ),
    "organisation_suspended": Refusal(
        "组织已暂停",
        "Organisation suspended",
        "组织 {organisation} 已暂停，不能登记。",
        "Organisation {organisation} is suspended and may not post.",
    ),
    "second_person_needed": Refusal(
        "需要另一人确认",
        "A second person is needed",
        "提交人不能自己确认，请由另一位经办人办理。",
        "Who submitted it may not decide on it; another actor must.",
    ),
    "own_hours": Refusal(
        "不能确认自己的时长",
        "One's own hours",
        "不能确认、驳回或更正自己的服务记录。",
        "Nobody verifies, rejects or corrects their own hours.",
    ),
    "wrong_state": Refusal(
        "当前状态不允许此操作",
        "Not possible in this state",
        "当前状态为“{before}”，不能变为“{after}”。",
        "It is {before} and cannot become {after}.",
    ),
    "code_taken": Refusal(
        "代码已被使用", "Code taken", "代码 {what} 已被使用。", "The code {what} is in use already."
    ),
    "wrong_level": Refusal(
        "层级不符",
        "Level does not fit",
        "{level} 不能设在 {parent} 之下。",
        "A {level} cannot stand below a {parent}.",
    ),
    "consent_needed": Refusal(
        "需要本人同意",
        "Consent needed",
        "此证件已在平台登记；加入须提供本人同意的编号 consent_ref。",
        "This document is known already; joining needs the person's consent (consent_ref).",
    ),
    "signing_key_not_in_force": Refusal(
        "签名密钥不是现行密钥",
        "Signing key not in force",
        "手头的签名密钥不是账本现行的签名密钥。",
        "The signing key at hand is not the one that the ledger has in force.",
    ),
    "signing_key_used_before": Refusal(
        "签名密钥已经用过",
        "Signing key used before",
        "新的签名密钥已经在本账本用过，不能再次启用。",
        "The new signing key was used in this ledger before and cannot come back.",
    ),
    "person_known_otherwise": Refusal(
        "编号与证件不一致",
        "Reference and document disagree",
        "external_ref 与证件号码指向不同的成员。",
        "The external_ref and the document belong to different members.",
    ),
    "vault_key_changed": Refusal(
        "保险库密钥已更换",
        "Vault key changed",
        "保险库密钥已在别处更换，本服务需用新密钥重新启动。",
        "The vault's key was changed elsewhere; this server has to be restarted with the new one.",
    ),
    "person_erased": Refusal(
        "个人信息已删除",
        "Personal data erased",
        "此成员的个人信息已删除，不再持有。",
        "The member's personal data was erased; nothing is held under this id any more.",
    ),
    "nothing_to_state": Refusal(
        "没有可证明的服务",
        "Nothing to state",
        "{first} 至 {last} 期间没有该组织已确认的服务时长。",
        "The organisation has verified no service minutes from {first} to {last}.",
    ),
    "number_taken": Refusal(
        "编号已被使用",
        "Number taken",
        "此编号已用于另一份文件，请重试。",
        "Another paper has this number: ask again.",
    ),
    "too_many_requests": Refusal(
        "请求过多",
        "Too many requests",
        "请求或错误尝试过多，请在 {seconds} 秒后再试。",
        "Too many requests, or wrong ones: try again in {seconds} second(s).",
    ),
    "too_many_webhooks": Refusal(
        "推送地址过多",
        "Too many webhooks",
        "已有 {count} 个推送地址，请先删除一个。",
        "There are {count} webhooks already: remove one first.",
    ),
    "beyond_the_end": Refusal(
        "超出账本末尾",
        "Beyond the end",
        "账本只到第 {last} 条，没有第 {position} 条：可能恢复了较早的备份。",
        "The ledger ends at {last}, and {position} was never told: an older backup may be in use.",
    ),
    # -- by request: what the request alone shows
    "invalid": Refusal(
        "请求内容有误",
        "Invalid request",
        "请求中有 {count} 处错误，见 errors。",
        "The request has {count} error(s); see errors.",
    ),
    "invalid_policy": Refusal(
        "政策内容有误",
        "Invalid policy",
        "政策的取值不符合要求：{problem}。",
        "A value does not fit its policy key: {problem}.",
    ),
    "personal_data_in_text": Refusal(
        "文本含个人信息",
        "Personal data in text",
        "文本中含有手机号或身份证号，不能写入账本。",
        "A text holds a mobile or resident id number; it may not enter the ledger.",
    ),
    "not_found": Refusal(
        "未找到",
        "Not found",
        "未找到，或您无权查看。",
        "There is no such thing, or not for you to see.",
    ),
    "malformed_json": Refusal(
        "JSON 格式错误",
        "Malformed JSON",
        "请求体不是有效的 JSON（最多 32 层）。",
        "The body is not valid JSON (at most 32 levels deep).",
    ),
    "bad_encoding": Refusal(
        "编码错误",
        "Bad encoding",
        "无法识别内容的字符编码。",
        "The content's character encoding cannot be read.",
    ),
    "unreadable_sheet": Refusal(
        "无法读取表格",
        "Unreadable sheet",
        "文件不是可读取的 CSV 或 XLSX 表格。",
        "The file is not a CSV or XLSX sheet that can be read.",
    ),
    "unauthenticated": Refusal(
        "未通过身份验证",
        "Not authenticated",
        "密钥或令牌缺失、无效、过期或已撤销。",
        "The key or token is missing, unknown, expired or revoked.",
    ),
    "forbidden": Refusal(
        "无权操作", "Forbidden", "此角色不能执行该操作。", "This role may not do that."
    ),
    "method_not_allowed": Refusal(
        "不支持的方法",
        "Method not allowed",
        "此地址不支持该方法。",
        "This address does not take that method.",
    ),
    "idempotency_key_reused": Refusal(
        "幂等键已用于其他请求",
        "Idempotency key reused",
        "此 Idempotency-Key 已用于另一个请求。",
        "This Idempotency-Key was used for another request.",
    ),
    "idempotency_key_in_flight": Refusal(
        "相同请求正在处理",
        "Same request in flight",
        "带有此 Idempotency-Key 的请求仍在处理，请稍后再试。",
        "The request with this Idempotency-Key is still running; try again.",
    ),
    "batch_refused": Refusal(
        "整批未登记",
        "Batch refused",
        "批次中有 {refused} 条有误，全部未登记，见 results。",
        "{refused} item(s) are refused, so nothing was recorded; see results.",
    ),
    "stale": Refusal(
        "内容已变化",
        "Stale",
        "内容已被更改，请重新读取。",
        "It has changed meanwhile; read it again.",
    ),
    "too_slow": Refusal(
        "请求传输过慢",
        "Too slow",
        "请求内容没有在 {seconds} 秒内传完，未作任何更改。",
        "The body did not arrive within {seconds} second(s); nothing was done.",
    ),
    "too_large": Refusal(
        "内容过大",
        "Too large",
        "内容超过 {limit} 的上限。",
        "The content is over the limit of {limit}.",
    ),
    "unsupported_media_type": Refusal(
        "不支持的内容类型",
        "Unsupported media type",
        "此地址不接受该 Content-Type 或 Content-Encoding。",
        "This address does not take that Content-Type or Content-Encoding.",
    ),
    "busy": Refusal(
        "系统繁忙", "Busy", "系统繁忙，请稍后重试。", "The ledger is busy; try again soon."
    ),
    "issuer_unreachable": Refusal(
        "令牌签发方不可用",
        "Issuer unreachable",
        "尚未取得令牌签发方的公钥，暂时无法验证令牌；密钥不受影响。",
        "The public keys of the tokens' issuer are not at hand yet; keys of ours work.",
    ),
    "view_behind": Refusal(
        "视图尚未更新",
        "View behind",
        "视图读到位置 {position}，尚未到达所要求的位置。",
        "The view has read to position {position}, not yet to the one asked for.",
    ),
    "internal": Refusal(
        "内部错误",
        "Internal error",
        "出现意外错误，请凭请求编号联系管理员。",
        "Something unexpected went wrong; tell the administrator the request id.",
    ),
    # -- of one field, inside `errors`
    "missing": Refusal("缺少字段", "Missing", "缺少必填字段。", "The field is required."),
    "unknown_field": Refusal(
        "未知字段", "Unknown field", "没有这个字段。", "There is no such field."
    ),
    "unknown_parameter": Refusal(
        "未知参数", "Unknown parameter", "没有这个查询参数。", "There is no such query parameter."
    ),
    "unknown_column": Refusal(
        "未知列", "Unknown column", "没有名为 {column} 的列。", "There is no column named {column}."
    ),
    "missing_column": Refusal(
        "缺少列",
        "Missing column",
        "缺少必填的列 {column}。",
        "The column {column} is required.",
    ),
    "column_given_twice": Refusal(
        "重复的列",
        "Column given twice",
        "列 {column} 出现了不止一次。",
        "There is more than one column {column}.",
    ),
    "beyond_the_columns": Refusal(
        "超出表头",
        "Beyond the columns",
        "此行的单元格多于表头的列。",
        "The line has more cells than the header has columns.",
    ),
    "cell_without_offset": Refusal(
        "单元格没有时区",
        "Cell without an offset",
        "表格的日期单元格不含时区偏移，请写成文本，例如 2026-03-06T14:00:00+08:00。",
        "A date cell of a sheet has no offset; write a text such as 2026-03-06T14:00:00+08:00.",
    ),
    "cell_rounded": Refusal(
        "单元格数字不完整",
        "Number rounded by the sheet",
        "表格只保留约 15 位有效数字，请把此列设为文本后重新填写。",
        "A sheet keeps about 15 digits of a number; make the column text and write it again.",
    ),
    "wrong_type": Refusal("类型错误", "Wrong type", "应为 {expected}。", "Expected {expected}."),
    "wrong_value": Refusal(
        "取值错误",
        "Wrong value",
        "取值不符合要求：{expected}。",
        "The value does not fit: {expected}.",
    ),
    "not_a_text": Refusal(
        "不是可用的文本",
        "Not a plain text",
        "应为不含控制字符和换行、且不全为空白的文本。",
        "Expected one line of text that is not blank and has no control characters.",
    ),
    "not_a_code": Refusal(
        "代码格式错误",
        "Not a code",
        "应为 2 至 40 个小写字母、数字或连字符。",
        "Expected 2 to 40 lower-case letters, digits or hyphens.",
    ),
    "not_a_uuid": Refusal(
        "编号格式错误",
        "Not a UUID",
        "应为小写、带连字符的 UUID。",
        "Expected a UUID in lower case, with hyphens.",
    ),
    "given_twice": Refusal(
        "重复给出", "Given twice", "同一个值只能给出一次。", "The same value is given twice."
    ),
    "not_an_instant": Refusal(
        "时间格式错误",
        "Not an instant",
        "应为带时区偏移的 RFC 3339 时间，例如 2026-03-06T14:00:00+08:00。",
        "Expected an RFC 3339 instant with an offset, such as 2026-03-06T14:00:00+08:00.",
    ),
    "not_a_date": Refusal(
        "日期格式错误",
        "Not a date",
        "应为 ISO 8601 日期，例如 2026-03-06。",
        "Expected an ISO 8601 date, such as 2026-03-06.",
    ),
    "ends_before_start": Refusal(
        "结束不晚于开始",
        "Ends before it starts",
        "结束时间必须晚于开始时间。",
        "The end must come after the start.",
    ),
    "longer_than_a_day": Refusal(
        "超过24小时",
        "Longer than a day",
        "一次服务不能超过24小时。",
        "One service cannot last more than 24 hours.",
    ),
    "break_too_long": Refusal(
        "休息过长",
        "Break too long",
        "休息时间必须短于服务时间。",
        "The break must be shorter than the service.",
    ),
    "less_than_a_minute": Refusal(
        "不足一分钟",
        "Less than a minute",
        "扣除休息后不足一分钟。",
        "Less than a minute is left after the break.",
    ),
    "nothing_corrected": Refusal(
        "没有更正内容",
        "Nothing corrected",
        "请至少给出一个要更正的字段。",
        "Give at least one field that is other.",
    ),
    "not_a_url": Refusal(
        "不是可用的网址",
        "Not a usable URL",
        "应为 https:// 开头的网址，国际域名用 punycode，不含用户名、片段与端口 0。",
        "Expected an https URL in ASCII, without a user, a fragment or the port 0.",
    ),
    "not_https": Refusal(
        "须用 https",
        "https is needed",
        "只有设置 webhook_allow 中列出的接收方才可以不用 https。",
        "Only receivers that the setting webhook_allow names may be called without https.",
    ),
    "address_not_public": Refusal(
        "不是公网地址",
        "Not a public address",
        "该网址指向内网或保留地址；设置 webhook_allow 可以放行。",
        "The URL leads to a private or reserved address; the setting webhook_allow may allow it.",
    ),
    "one_of_two": Refusal(
        "二者取一",
        "One of two",
        "必须且只能给出 {first} 与 {second} 之一。",
        "Give {first} or {second}, and only one of them.",
    ),
}

WORDS: dict[str, tuple[str, str]] = {
    "submitted": ("待确认", "submitted"),
    "verified": ("已确认", "verified"),
    "rejected": ("已驳回", "rejected"),
    "reversed": ("已冲正", "reversed"),
    "corrected": ("已更正", "corrected"),
    "correction_requested": ("已申请更正", "correction requested"),
    "approved": ("已批准", "approved"),
    "open": ("未关账", "open"),
    "closed": ("已关闭", "closed"),
    "granted": ("已同意", "granted"),
    "declined": ("已谢绝", "declined"),
    "suspended": ("已暂停", "suspended"),
    "active": ("正常", "active"),
    "registered": ("已登记", "registered"),
    "renewed": ("已再登记", "renewed"),
    "lapsed": ("登记已失效", "lapsed"),
    "revoked": ("已撤销", "revoked"),
    "valid": ("有效", "valid"),
    "superseded": ("已被取代", "superseded"),
    "attested": ("出具证明", "attested"),
    "applied": ("已应用", "applied"),
    "ended": ("已结束", "ended"),
    "reserved": ("已预约", "reserved"),
    "fulfilled": ("已核销", "fulfilled"),
    "cancelled": ("已取消", "cancelled"),
    "expired": ("已过期", "expired"),
    "cited": ("已引用", "cited"),
    "offered": ("在架", "offered"),
    "withdrawn": ("已下架", "withdrawn"),
    "restocked": ("已补货", "restocked"),
    "appealed": ("已申诉", "appealed"),
    "decided": ("已裁决", "decided"),
    "upheld": ("成立", "upheld"),
    "dismissed": ("驳回", "dismissed"),
    "UNGRADED": ("未定级", "ungraded"),
    "reported": ("已上报", "reported"),
    "assessed": ("已评估", "assessed"),
    "ordered": ("已点单", "ordered"),
    "resolved": ("已办结", "resolved"),
    "placed": ("已点单", "placed"),
    "dispatched": ("已派单", "dispatched"),
    "accepted": ("已接单", "accepted"),
    "timed_out": ("已超时", "timed out"),
    "in_service": ("服务中", "in service"),
    "rated": ("已评单", "rated"),
    "disputed": ("有争议", "disputed"),
    "social_worker": ("社会工作师/社工", "social worker"),
    "assistant": ("助理社会工作师", "assistant social worker"),
    "senior": ("高级社会工作师", "senior social worker"),
    "not_given": ("未给出", "not given"),
    "taken_back": ("已撤回", "withdrawn"),
    "at_needs_assessment": ("需求评估", "in needs assessment"),
    "at_design": ("方案设计", "designed"),
    "at_implementation": ("项目实施", "implemented"),
    "at_incubated": ("已孵化", "incubated"),
    "at_promoted": ("已推广", "promoted"),
    "at_intervention": ("督导已介入", "intervened in"),
    "at_training": ("已培训", "trained for"),
    "at_redesign": ("流程已再造", "redesigned"),
    "amended": ("已修订", "amended"),
    "seen_to": ("已办结", "closed"),
    "enrolled": ("已参加", "enrolled"),
    "not_enrolled": ("未参加", "not enrolled"),
    "completed": ("已完成", "completed"),
    "over": ("已收官", "over"),
    "district": ("区", "district"),
    "street": ("镇街", "street"),
    "community": ("社区", "community"),
    "unknown_key": ("没有这个键", "there is no such key"),
    "whole_number_expected": ("应为整数", "a whole number is expected"),
    "out_of_range": ("超出范围", "out of range"),
    "not_one_of_the_allowed": ("不在可选值之内", "not one of the allowed values"),
    "unknown_zone": ("没有这个时区", "there is no such time zone"),
    "object_expected": ("应为对象", "an object is expected"),
    "list_expected": ("应为列表", "a list is expected"),
    "date_expected": ("应为日期", "a date is expected"),
    "text_expected": ("应为不空白、不含控制字符的文本", "a line of text is expected"),
    "too_long": ("文本过长", "the text is too long"),
    "code_expected": (
        "名称应为 2 至 40 个小写字母、数字或连字符",
        "a name of 2 to 40 lower-case letters, digits or hyphens is expected",
    ),
    "named_twice": ("重复给出", "it is named twice"),
    "wrong_length": ("项数过少或过多", "too few or too many items"),
    "not_above_the_one_before": ("应大于前一项", "it is not above the one before"),
    "wrong_total": ("权重之和应为 10000", "the weights do not sum to 10 000"),
    "value_needed": ("缺少取值", "a value is needed here"),
}


def title(code: str, language: Language) -> str:
    """The short name of a no."""
    refusal = REFUSALS[code]
    return refusal.title_zh if language == "zh" else refusal.title_en


def detail(code: str, language: Language, params: Mapping[str, object] | None = None) -> str:
    """The sentence of a no, with its params in place."""
    refusal = REFUSALS[code]
    sentence = refusal.detail_zh if language == "zh" else refusal.detail_en
    place = 0 if language == "zh" else 1
    if not params:
        return sentence
    return sentence.format_map(
        {name: WORDS[str(v)][place] if str(v) in WORDS else v for name, v in params.items()}
    )


def said(refused: Refused, language: Language) -> str:
    """A refusal's sentence, for people."""
    return detail(refused.code, language, refused.params)
