"""One request to every route, and to each of its forms, that names what is org-a's."""

from typing import Any, NamedTuple

from api.app import ROUTES
from tests.api.house import Caller, Said
from tests.api.planted import MARK, REASON, TERM
from tests.api.visits import day, instant, visit


class Asked(NamedTuple):
    """A request; `{record}` stands for an id of the town's."""

    path: str
    body: Any = None
    raw: bytes | None = None
    media: str = "application/json"


class Row(NamedTuple):
    """A request to a route, in one of its forms."""

    name: str  # the operation, and behind a space the form
    method: str
    asked: Asked

    @property
    def operation(self) -> str:
        return self.name.partition(" ")[0]


def named(said: Any, ids: dict[str, str]) -> Any:
    """The same with the ids in it."""
    match said:
        case str():
            return said.format(**ids)
        case bytes():
            return said.decode().format(**ids).encode()
        case dict():
            return {name: named(value, ids) for name, value in said.items()}
        case list():
            return [named(value, ids) for value in said]
    return said


async def ask(
    caller: Caller, row: Row, ids: dict[str, str], *, method: str = "", **other: Any
) -> Said:
    """The row's request; a write that `dry_run` is said of writes nothing."""
    asked = row.asked
    path = named(asked.path, ids)
    body = named(asked.body, ids)
    if caller.key and caller.key.role == "admin" and row.operation in NAMES_ORGANISATION:
        if "?mode=" in path:
            path += "&organisation=org-a"
        else:
            body["organisation"] = "org-a"
    if other.pop("dry_run", False):
        path += "&dry_run=true" if "?" in path else "?dry_run=true"
    raw = None if asked.raw is None else named(asked.raw, ids)
    return await caller.ask(method or row.method, path, body, raw=raw, media=asked.media, **other)


NAMES_ORGANISATION = frozenset(
    {
        *("add_member", "report_need", "place_order", "post_service_record", "issue_statement"),
        *("submit_certification", "submit_achievement", "appoint_supervisor", "begin_mentorship"),
        *("file_case", "begin_project", "begin_conversion", "open_programme", "sign_agreement"),
        *("hold_meeting", "add_partner", "name_expert", "post_service_record_batch"),
        *("import_service_records", "import_members"),
    }
)
"""What an administrator posts for an organisation that it has to name."""


def asked_of(row: Row, ids: dict[str, str]) -> Asked:
    """What the row asks, with these ids in it."""
    asked = row.asked
    return asked._replace(
        path=named(asked.path, ids),
        body=named(asked.body, ids),
        raw=None if asked.raw is None else named(asked.raw, ids),
    )


_VISIT = visit("15:00", "16:00", days_ago=15, member_id="{me}", receipt=f"{MARK} new")
_SHEET = (
    "receipt,member_ref,activity,category,place,responsible,started_at,ended_at\n"
    f"new,ref-planted-a-1,a,b,lake,s,{instant('15:00', 15)},{instant('16:00', 15)}\n"
).encode()
_PERSON = {"name": "王新", "document_number": "370212198001010011"}
_SEAT = {"roles": ["volunteer"], "unit": "lake"}
_AT = {"at": instant("15:00", 8)}
_ORDER = {
    **{"recipient_id": "{me}", "activity": "陪诊", "category": "elderly"},
    **{"unit": "lake", "responsible": "s", "planned_from": instant("16:00", 8)},
    **{"planned_to": instant("17:00", 8), **_AT},
}
_TERM = {"unit": "lake", **TERM}
_END = {"on": day(1)}
_DUE = {"due_on": "2199-12-31"}
_GRADE = {"grade": "G2", "until": "2199-12-31", **REASON}

ASKED: dict[str, Asked] = {
    "healthz": Asked("/healthz"),
    "readyz": Asked("/readyz"),
    "metrics": Asked("/metrics"),
    "openapi": Asked("/v1/openapi.json"),
    "docs": Asked("/docs"),
    "problem": Asked("/problems/receipt_reused"),
    "add_unit": Asked(
        "/v1/units", {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"}
    ),
    "list_units": Asked("/v1/units"),
    "get_unit": Asked("/v1/units/lake"),
    "add_organisation": Asked(
        "/v1/organisations", {"code": "uni", "name": "大学", "kind": "university", "unit": "lake"}
    ),
    "list_organisations": Asked("/v1/organisations"),
    "get_organisation": Asked("/v1/organisations/org-a"),
    "suspend_organisation": Asked("/v1/organisations/org-a/suspend", REASON),
    "resume_organisation": Asked("/v1/organisations/org-d/resume", {}),
    "add_member": Asked("/v1/members", {**_SEAT, "person": _PERSON}),
    "list_members": Asked("/v1/members"),
    "list_members by-ref": Asked("/v1/members?external_ref=ref-planted-a-1&organisation=org-a"),
    "get_member": Asked("/v1/members/{me}"),
    "change_member": Asked("/v1/members/{me}", {"roles": ["resident"]}),
    "erase_personal_data": Asked("/v1/members/{me}/personal-data"),
    "record_relation": Asked(
        "/v1/members/{me}/relations", {"relation": "sibling", "to": "{other}", "evidence_ref": "e"}
    ),
    "list_relations": Asked("/v1/members/{me}/relations"),
    "get_relation": Asked("/v1/members/{me}/relations/{kin}"),
    "give_consent": Asked(
        "/v1/members/{me}/consents", {"purpose": "publication", "consent_ref": "c"}
    ),
    "withdraw_consent": Asked("/v1/members/{me}/consents/sharing/withdraw", {}),
    "list_consents": Asked("/v1/members/{me}/consents"),
    "get_consent": Asked("/v1/members/{me}/consents/{consent}"),
    "freeze_credits": Asked("/v1/members/{me}/freeze", {"credits": 1, **REASON}),
    "unfreeze_credits": Asked("/v1/members/{me}/unfreeze", {"credits": 1}),
    "close_account": Asked("/v1/members/{me}/close", REASON),
    "get_balance": Asked("/v1/members/{me}/balance"),
    "get_passbook": Asked("/v1/members/{me}/passbook"),
    "get_passbook csv": Asked("/v1/members/{me}/passbook?format=csv"),
    "get_passbook xlsx": Asked("/v1/members/{me}/passbook?format=xlsx"),
    "post_transfer": Asked(
        "/v1/transfers", {"kind": "donation", "from": "{me}", "credits": 1, **REASON}
    ),
    "post_transfer gift": Asked(
        "/v1/transfers", {"kind": "gift", "from": "{me}", "to": "{kin}", "credits": 1, **REASON}
    ),
    "post_transfer allocation": Asked(
        "/v1/transfers",
        {"kind": "allocation", "from": "org-a", "to": "{me}", "credits": 1, **REASON},
    ),
    "post_transfer grant": Asked(
        "/v1/transfers",
        {"kind": "grant", "fund": "relief", "to": "{me}", "credits": 1, **REASON},
    ),
    "post_transfer inheritance": Asked(
        "/v1/transfers",
        {"kind": "inheritance", "from": "{kin}", "to": "{me}", "credits": 5, **REASON},
    ),
    "approve_grant": Asked("/v1/transfers/{grant}/approve", {}),
    "list_transfers": Asked("/v1/transfers"),
    "get_transfer": Asked("/v1/transfers/{transfer}"),
    "get_transfer grant": Asked("/v1/transfers/{grant}"),
    "add_reward": Asked(
        "/v1/rewards", {"code": "rice", "name": "米", "kind": "benefit", "credits": 9}
    ),
    "restock_reward": Asked("/v1/rewards/tea-a/restock", {"quantity": 1}),
    "withdraw_reward": Asked("/v1/rewards/tea-a/withdraw", REASON),
    "list_rewards": Asked("/v1/rewards"),
    "get_reward": Asked("/v1/rewards/tea-a"),
    "reserve_redemption": Asked("/v1/redemptions", {"member_id": "{me}", "reward": "{reward}"}),
    "fulfil_redemption": Asked("/v1/redemptions/{redemption}/fulfil", {}),
    "cancel_redemption": Asked("/v1/redemptions/{redemption}/cancel", REASON),
    "list_redemptions": Asked("/v1/redemptions"),
    "get_redemption": Asked("/v1/redemptions/{redemption}"),
    "report_need": Asked(
        "/v1/needs", {"unit": "lake", "category": "elderly", "reported_by": "{me}", **_AT}
    ),
    "assess_need": Asked(
        "/v1/needs/{need}/assess", {"assessor_id": "{worker}", "route": "volunteer", **_AT}
    ),
    "reject_need": Asked("/v1/needs/{need}/reject", {**REASON, **_AT}),
    "resolve_need": Asked("/v1/needs/{ordered need}/resolve", _AT),
    "list_needs": Asked("/v1/needs"),
    "get_need": Asked("/v1/needs/{need}"),
    "place_order": Asked("/v1/orders", _ORDER),
    "place_order hold": Asked("/v1/orders", {**_ORDER, "hold_credits": 1}),
    "dispatch_order": Asked("/v1/orders/{order}/dispatch", {"organisation": "org-a", **_AT}),
    "accept_order": Asked("/v1/orders/{dispatched order}/accept", {"member_id": "{other}", **_AT}),
    "decline_order": Asked("/v1/orders/{dispatched order}/decline", _AT),
    "check_in_order": Asked("/v1/orders/{accepted order}/check-in", _AT),
    "check_out_order": Asked("/v1/orders/{order in service}/check-out", _AT),
    "rate_order": Asked("/v1/orders/{completed order}/rate", {"stars": 5, **_AT}),
    "cancel_order": Asked("/v1/orders/{order}/cancel", {**REASON, **_AT}),
    "dispute_order": Asked("/v1/orders/{completed order}/dispute", {**REASON, **_AT}),
    "decide_order": Asked("/v1/orders/{disputed order}/decide", {"outcome": "dismissed", **REASON}),
    "list_orders": Asked("/v1/orders"),
    "get_order": Asked("/v1/orders/{order}"),
    "submit_certification": Asked(
        "/v1/certifications",
        {
            **{"member_id": "{me}", "level": "senior", "certificate_ref": "c"},
            "obtained_on": "2020-01-01",
        },
    ),
    "verify_certification": Asked("/v1/certifications/{certification}/verify", {}),
    "register_certification": Asked(
        "/v1/certifications/{verified certification}/register", {"registered_on": day(3)}
    ),
    "renew_certification": Asked(
        "/v1/certifications/{registered certification}/renew",
        {"renewed_on": day(1), "education_hours": 90},
    ),
    "revoke_certification": Asked(
        "/v1/certifications/{registered certification}/revoke", {"effective_on": day(1), **REASON}
    ),
    "list_certifications": Asked("/v1/certifications"),
    "get_certification": Asked("/v1/certifications/{certification}"),
    "submit_achievement": Asked(
        "/v1/achievements", {"member_id": "{me}", "kind": "lecture", "on": day(5), "ref": "r"}
    ),
    "approve_achievement": Asked("/v1/achievements/{achievement}/approve", {}),
    "apply_achievement": Asked(
        "/v1/achievements/{approved achievement}/apply", {"on": day(1), "ref": "r"}
    ),
    "reverse_achievement": Asked("/v1/achievements/{approved achievement}/reverse", REASON),
    "list_achievements": Asked("/v1/achievements"),
    "get_achievement": Asked("/v1/achievements/{achievement}"),
    "appoint_supervisor": Asked("/v1/appointments", {"member_id": "{other}", **_TERM}),
    "end_appointment": Asked("/v1/appointments/{appointment}/end", _END),
    "list_appointments": Asked("/v1/appointments"),
    "get_appointment": Asked("/v1/appointments/{appointment}"),
    "begin_mentorship": Asked(
        "/v1/mentorships", {"mentor_id": "{me}", "mentee_id": "{other}", "from": day(3)}
    ),
    "end_mentorship": Asked("/v1/mentorships/{mentorship}/end", _END),
    "list_mentorships": Asked("/v1/mentorships"),
    "get_mentorship": Asked("/v1/mentorships/{mentorship}"),
    "file_case": Asked(
        "/v1/cases",
        {"member_id": "{me}", "title": "t", "category": "c", "summary": "s", "on": day(3)},
    ),
    "withdraw_case": Asked("/v1/cases/{case}/withdraw", REASON),
    "list_cases": Asked("/v1/cases"),
    "get_case": Asked("/v1/cases/{case}"),
    "begin_project": Asked("/v1/projects", {"title": "t", "unit": "lake", "category": "c"}),
    "advance_project": Asked("/v1/projects/{project}/advance", {"stage": "design", "on": day(3)}),
    "withdraw_project": Asked("/v1/projects/{project}/withdraw", REASON),
    "list_projects": Asked("/v1/projects"),
    "get_project": Asked("/v1/projects/{project}"),
    "begin_conversion": Asked(
        "/v1/conversions",
        {
            **{"unit": "lake", "category": "c", "supervisor_id": "{me}"},
            **{"on": day(9), "ref": "r"},
        },
    ),
    "advance_conversion": Asked(
        "/v1/conversions/{conversion}/advance", {"stage": "training", "on": day(3), "ref": "r"}
    ),
    "withdraw_conversion": Asked("/v1/conversions/{conversion}/withdraw", REASON),
    "list_conversions": Asked("/v1/conversions"),
    "get_conversion": Asked("/v1/conversions/{conversion}"),
    "open_programme": Asked("/v1/programmes", {"name": "n", **_TERM}),
    "enrol_member": Asked("/v1/programmes/{programme}/enrol", {"member_id": "{other}"}),
    "complete_programme": Asked("/v1/programmes/{programme}/complete", {"member_id": "{me}"}),
    "close_programme": Asked("/v1/programmes/{programme}/close", REASON),
    "list_programmes": Asked("/v1/programmes"),
    "get_programme": Asked("/v1/programmes/{programme}"),
    "list_enrolments": Asked("/v1/programmes/{programme}/enrolments"),
    "set_target": Asked("/v1/targets", {"kpi": "cases", "value": 4, **_DUE}),
    "withdraw_target": Asked("/v1/targets/{target}/withdraw", REASON),
    "list_targets": Asked("/v1/targets"),
    "get_target": Asked("/v1/targets/{target}"),
    "sign_agreement": Asked(
        "/v1/agreements",
        {"community": "lake", "agency": "org-b", "version": "2", "hash": "cd" * 32, **TERM},
    ),
    "amend_agreement": Asked(
        "/v1/agreements/{agreement}/amend", {"version": "3", "hash": "ef" * 32, "to": "2198-12-31"}
    ),
    "end_agreement": Asked("/v1/agreements/{agreement}/end", _END),
    "list_agreements": Asked("/v1/agreements"),
    "get_agreement": Asked("/v1/agreements/{agreement}"),
    "hold_meeting": Asked("/v1/meetings", {"unit": "lake", "on": day(3), "topic": "t"}),
    "close_resolution": Asked("/v1/meetings/{meeting}/close-resolution", {"number": 1, "ref": "r"}),
    "list_meetings": Asked("/v1/meetings"),
    "get_meeting": Asked("/v1/meetings/{meeting}"),
    "add_partner": Asked(
        "/v1/partners", {"name": "n", "kind": "base", "unit": "lake", "from": day(3)}
    ),
    "end_partner": Asked("/v1/partners/{partner}/end", _END),
    "list_partners": Asked("/v1/partners"),
    "get_partner": Asked("/v1/partners/{partner}"),
    "name_expert": Asked("/v1/experts", {"member_id": "{me}", "speciality": "s", **_TERM}),
    "end_expert": Asked("/v1/experts/{expert}/end", _END),
    "list_experts": Asked("/v1/experts"),
    "get_expert": Asked("/v1/experts/{expert}"),
    "get_career": Asked("/v1/members/{me}/career"),
    "get_organisation_balance": Asked("/v1/organisations/org-a/balance"),
    "get_organisation_passbook": Asked("/v1/organisations/org-a/passbook"),
    "get_unit_balance": Asked("/v1/units/lake/balance"),
    "get_unit_passbook": Asked("/v1/units/lake/passbook"),
    "post_service_record": Asked("/v1/service-records", _VISIT),
    "list_service_records": Asked("/v1/service-records"),
    "get_service_record": Asked("/v1/service-records/{record}"),
    "verify_service_record": Asked("/v1/service-records/{waiting record}/verify", {}),
    "reject_service_record": Asked("/v1/service-records/{waiting record}/reject", REASON),
    "issue_statement": Asked("/v1/members/{me}/statements", {"from": day(40), "to": day(0)}),
    "list_members_statements": Asked("/v1/members/{me}/statements"),
    "list_statements": Asked("/v1/statements"),
    "get_statement": Asked("/v1/statements/{statement}"),
    "get_statement pdf": Asked("/v1/statements/{statement}?format=pdf"),
    "get_statement credential": Asked("/v1/statements/{statement}?format=credential"),
    "revoke_statement": Asked("/v1/statements/{statement}/revoke", REASON),
    "issue_credential": Asked("/v1/certifications/{registered certification}/credential", {}),
    "list_credentials": Asked("/v1/credentials"),
    "get_credential": Asked("/v1/credentials/{credential}"),
    "get_credential credential": Asked("/v1/credentials/{credential}?format=credential"),
    "revoke_credential": Asked("/v1/credentials/{credential}/revoke", REASON),
    "verify_statement": Asked("/v1/statements/{statement}/verification?code={code}"),
    "verify_page": Asked("/verify/{statement}?code={code}"),
    "verify_form": Asked("/verify?number={statement}&code={code}"),
    "get_issuer": Asked("/issuers/org-a"),
    "get_status_list": Asked("/credentials/status/org-a/0"),
    "reverse_service_record": Asked("/v1/service-records/{second record}/reverse", REASON),
    "correct_service_record": Asked(
        "/v1/service-records/{second record}/correct", {"activity": "a", **REASON}
    ),
    "request_correction": Asked("/v1/service-records/{second record}/correction-requests", REASON),
    "list_correction_requests_of_record": Asked("/v1/service-records/{record}/correction-requests"),
    "decline_correction": Asked(
        "/v1/service-records/{record}/correction-requests/{request}/decline", REASON
    ),
    "list_correction_requests": Asked("/v1/correction-requests"),
    "get_correction_request": Asked("/v1/correction-requests/{request}"),
    "post_service_record_batch": Asked("/v1/service-record-batches?mode=all", {"items": [_VISIT]}),
    "import_service_records": Asked(
        "/v1/imports/service-records?mode=all", raw=_SHEET, media="text/csv"
    ),
    "import_members": Asked(
        "/v1/imports/members?mode=all", raw=b"roles,unit\nvolunteer,lake\n", media="text/csv"
    ),
    "publish_policy": Asked(
        "/v1/policies", {"effective_on": "2199-01-01", "changes": {"rounding": "exact"}}
    ),
    "list_policies": Asked("/v1/policies"),
    "policy_at": Asked("/v1/policies/at?date=2026-03-10"),
    "list_policy_packs": Asked("/v1/policies/packs"),
    "get_policy": Asked("/v1/policies/{policy}"),
    "override_grade": Asked("/v1/grades/member:{me}/override", _GRADE),
    "appeal_grade": Asked("/v1/grades/member:{me}/appeal", REASON),
    "decide_grade_appeal": Asked(
        "/v1/grades/organisation:org-a/decide", {"outcome": "dismissed", **REASON}
    ),
    "list_grades": Asked("/v1/grades"),
    "get_grade": Asked("/v1/grades/member:{me}"),
    "get_grade organisation": Asked("/v1/grades/organisation:org-a"),
    "get_grade project": Asked("/v1/grades/project:{project}"),
    "list_supervision_indexes": Asked("/v1/supervision-index"),
    "list_kpis": Asked("/v1/kpis?unit=lake"),
    "list_kpis csv": Asked("/v1/kpis?unit=lake&format=csv"),
    "get_kpi": Asked("/v1/kpis/cases"),
    "get_kpi csv": Asked("/v1/kpis/cases?format=csv"),
    "close_period": Asked("/v1/periods/2021-03/close", REASON),
    "reopen_period": Asked("/v1/periods/2021-02/reopen", {}),
    "list_periods": Asked("/v1/periods"),
    "get_period": Asked("/v1/periods/2021-02"),
    "what_if": Asked(
        "/v1/policies/what-if",
        {"changes": {"rounding": "hour_floor"}, "from": day(40), "to": day(0)},
    ),
    "list_events": Asked("/v1/audit/events?limit=500"),
    "list_events ndjson": Asked("/v1/audit/events?limit=500&format=ndjson"),
    "get_event": Asked("/v1/audit/events/{event}"),
    "follow_events": Asked("/v1/audit/feed?after=0"),
    "add_webhook": Asked("/v1/webhooks", {"url": f"https://receiver.example.org/{MARK}"}),
    "list_webhooks": Asked("/v1/webhooks"),
    "get_webhook": Asked("/v1/webhooks/{webhook}"),
    "remove_webhook": Asked("/v1/webhooks/{webhook}"),
    "pause_webhook": Asked("/v1/webhooks/{webhook}/pause", REASON),
    "resume_webhook": Asked("/v1/webhooks/{webhook}/resume", REASON),
    "replay_webhook": Asked("/v1/webhooks/{webhook}/replay", {"position": 0, **REASON}),
    "rotate_webhook_secret": Asked("/v1/webhooks/{webhook}/rotate-secret", REASON),
    "test_webhook": Asked("/v1/webhooks/{webhook}/test", REASON),
    "list_webhook_attempts": Asked("/v1/webhooks/{webhook}/attempts"),
    "list_dead_letters": Asked("/v1/webhooks/{webhook}/dead-letters"),
    "get_dead_letter": Asked("/v1/webhooks/{webhook}/dead-letters/{dead letter}"),
    "retry_dead_letter": Asked("/v1/webhooks/{webhook}/dead-letters/{dead letter}/retry", REASON),
    "trial_balance": Asked("/v1/audit/trial-balance"),
    "list_accounts": Asked("/v1/audit/accounts"),
    "list_account_lines": Asked("/v1/audit/accounts/person:{me}:available/lines"),
    "solvency": Asked("/v1/audit/solvency"),
    "checkpoint": Asked("/checkpoint"),
    "get_tile": Asked("/tile/0/000.p/1"),
    "get_tile entries": Asked("/tile/entries/000.p/1"),
    "list_checkpoints": Asked("/v1/audit/checkpoints"),
    "get_checkpoint": Asked("/v1/audit/checkpoints/{size}"),
    "list_signing_keys": Asked("/v1/audit/signing-keys"),
    "prove_inclusion": Asked("/v1/audit/proofs/inclusion?position={event}"),
    "prove_consistency": Asked("/v1/audit/proofs/consistency?from=1"),
    "list_audit_reads": Asked("/v1/audit/reads"),
    "get_personal_data": Asked("/v1/members/{me}/personal-data"),
    "get_personal_data pdf": Asked("/v1/members/{me}/personal-data?format=pdf"),
}
"""By the operation; a form that it may have beside that stands behind a space."""

_METHODS = {route.operation: route.method for route in ROUTES}
ROWS = {name: Row(name, _METHODS[name.partition(" ")[0]], asked) for name, asked in ASKED.items()}
