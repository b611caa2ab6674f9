"""Track 2 over HTTP: certificates, achievements, points, the ladder; appointments, cases."""

from datetime import date, timedelta
from typing import Any

import pytest

from ledger.units import new_id
from tests.api.house import Caller, House, Said
from tests.api.people import added
from tests.api.visits import day, visit

CERTIFICATIONS = "/v1/certifications"
ACHIEVEMENTS = "/v1/achievements"
APPOINTMENTS = "/v1/appointments"
MENTORSHIPS = "/v1/mentorships"
CASES = "/v1/cases"


def two(house: House) -> tuple[Caller, Caller]:
    """Two verifiers of org-a."""
    return house.verifier, house.caller(role="verifier", actor="Qian", organisation="org-a")


def certificate(member_id: str, level: str = "assistant", **other: Any) -> dict[str, Any]:
    said = {"member_id": member_id, "level": level, "certificate_ref": "证书-117"}
    return said | {"obtained_on": "2020-05-01"} | other


async def certified(
    house: House, level: str = "assistant", registered_on: str | None = None
) -> str:
    """A certificate of the house's member that was seen and registered some days ago."""
    one, other = two(house)
    said = await one.post(CERTIFICATIONS, certificate(house.member_id, level))
    assert said.status == 201, said.body
    found: str = said.json["id"]
    assert (await other.post(f"{CERTIFICATIONS}/{found}/verify")).status == 200
    body = {"registered_on": registered_on or day(30)}
    assert (await one.post(f"{CERTIFICATIONS}/{found}/register", body)).status == 200
    return found


def achievement(member_id: str, kind: str, **other: Any) -> dict[str, Any]:
    return {"member_id": member_id, "kind": kind, "on": day(5), "ref": f"{kind}-7"} | other


async def approved(house: House, kind: str, **other: Any) -> str:
    one, another = two(house)
    said = await one.post(ACHIEVEMENTS, achievement(house.member_id, kind, **other))
    assert said.status == 201, said.body
    found: str = said.json["id"]
    assert (await another.post(f"{ACHIEVEMENTS}/{found}/approve")).status == 200
    return found


async def career(house: House, query: str = "") -> Any:
    path = f"/v1/members/{house.member_id}/career?min_position={house.position}{query}"
    said = await house.auditor.get(path)
    assert said.status == 200, said.body
    return said.json


async def test_a_certificate_is_verified_registered_and_renewed(each_house: House) -> None:
    house = each_house
    one, other = two(house)
    said = await one.post(CERTIFICATIONS, certificate(house.member_id))
    found = said.json["id"]
    assert said.json == {
        "id": found,
        "member_id": house.member_id,
        "status": "submitted",
        "level": "assistant",
        "in_force_from": None,
        "in_force_to": None,
        "renewal_from": None,
        "position": house.position,
    }
    path = f"{CERTIFICATIONS}/{found}"
    alone = await one.post(f"{path}/verify")
    assert (alone.status, alone.code) == (409, "second_person_needed")
    assert (await other.post(f"{path}/verify")).json["status"] == "verified"
    first = date.fromisoformat(day()) - timedelta(days=3 * 365 - 10)  # it ends in some days
    registered = await one.post(f"{path}/register", {"registered_on": first.isoformat()})
    assert registered.json["status"] == "registered"
    end, opens = registered.json["in_force_to"], registered.json["renewal_from"]
    assert opens < day(0) < end
    short = await one.post(f"{path}/renew", {"renewed_on": day(1), "education_hours": 70})
    assert (short.status, short.code) == (409, "not_enough_education")
    early = await one.post(f"{path}/renew", {"renewed_on": day(200), "education_hours": 72})
    assert (early.status, early.code) == (409, "outside_renewal_window")
    assert opens in early.json["detail"]
    renewed = await one.post(f"{path}/renew", {"renewed_on": day(1), "education_hours": 72})
    assert (renewed.status, renewed.json["status"]) == (200, "renewed")
    assert renewed.json["in_force_from"] > end
    seen = await house.member.get(f"{path}?min_position={house.position}")
    assert (seen.json["status"], seen.json["renewal_from"]) == (
        *("renewed", renewed.json["renewal_from"]),
    )
    assert (await career(house))["registration"]["in_force_to"] == end
    listed = await house.auditor.get(f"{CERTIFICATIONS}?level=assistant&status=renewed")
    assert [one["id"] for one in listed.json["data"]] == [found]


async def test_a_revocation_takes_points_and_marks_and_no_minute(each_house: House) -> None:
    house = each_house
    found = await certified(house)
    for days_ago in (9, 8, 7):
        body = visit("09:00", "10:00", days_ago=days_ago, professional=True)
        said = await house.poster.post("/v1/service-records", body | {"member_id": house.member_id})
        assert (said.json["points"], said.json["certified"]) == (1, True)
    record = said.json["id"]
    balance = f"/v1/members/{house.member_id}/balance"
    before = await house.auditor.get(f"{balance}?min_position={house.position}")
    assert (before.json["points"], before.json["tier"]) == (103, "CERTIFIED")
    assert before.json["registration"]["certification_id"] == found
    revoked = await house.verifier.post(
        f"{CERTIFICATIONS}/{found}/revoke", {"effective_on": day(8), "reason": "证书无效"}
    )
    assert revoked.json["status"] == "revoked"
    assert revoked.json["position"] == house.position  # of the last mark that is taken off
    after = await house.auditor.get(f"{balance}?min_position={house.position}")
    assert (after.json["points"], after.json["tier"], after.json["registration"]) == (
        *(1, None),
        None,
    )
    assert after.json["service_minutes"] == before.json["service_minutes"] == 180
    seen = await house.auditor.get(f"/v1/service-records/{record}")
    assert (seen.json["points"], seen.json["certified"], seen.json["minutes"]) == (0, False, 60)
    then = await house.auditor.get(f"{balance}?position={before.json['position']}")
    assert (then.json["points"], then.json["tier"]) == (103, "CERTIFIED")
    for query, status, revoked_from in (
        ("", "revoked", day(8)),
        (f"&position={before.json['position']}", "registered", None),
    ):
        (stood,) = (await career(house, query))["certifications"]
        assert (stood["id"], stood["status"], stood["revoked_from"]) == (
            *(found, status),
            revoked_from,
        )
        assert stood["in_force_to"] > day(0) > stood["in_force_from"]
    served = await house.auditor.get(f"{balance}?served_until={day(9)}")
    assert (served.json["points"], served.json["tier"]) == (101, "CERTIFIED")
    told = await career(house)
    assert told["points"] == {
        "total": 1,
        "by_source": {"certificate": 0, "professional_service": 1},
        "by_year": told["points"]["by_year"],
    }
    lines = await house.auditor.get(f"/v1/members/{house.member_id}/passbook?limit=500")
    assert sum(line["points"] for line in lines.json["data"]) == 1
    kinds = [line["kind"] for line in lines.json["data"]]
    assert kinds == ["award", *["earn"] * 3, *["award_reversed"] * 3]


async def test_a_late_registration_certifies_what_was_served(each_house: House) -> None:
    house = each_house
    body = visit("09:00", "11:00", days_ago=9, professional=True, capacity="on_duty")
    said = await house.poster.post("/v1/service-records", body | {"member_id": house.member_id})
    assert (said.json["points"], said.json["certified"], said.json["credits"]) == (0, False, 0)
    await certified(house)
    again = await house.poster.post("/v1/service-records", body | {"member_id": house.member_id})
    assert (again.status, again.json["points"], again.json["certified"]) == (200, 2, True)
    assert (await career(house))["points"]["by_source"]["professional_service"] == 2


async def test_the_ladder_says_what_is_met_and_what_is_missing(each_house: House) -> None:
    house = each_house
    nobody = await career(house)
    assert (nobody["tier"], nobody["met"], nobody["missing"]) == (None, [], ["registration"])
    await certified(house)
    await certified(house, "social_worker")
    await approved(house, "training", hours=36)
    await approved(house, "project", outcome="excellent", promoted=True)
    await approved(house, "case")
    await approved(house, "competition", prize="second")
    told = await career(house)
    assert (told["points"]["total"], told["tier"], told["gap"]) == (365, "PROFESSIONAL", 235)
    assert told["met"] == [
        *("registration", "professional_points", "professional_level"),
        *("professional_projects", "expert_grade"),
    ]
    assert told["missing"] == [
        *("expert_points", "expert_supervision_hours", "expert_cases", "expert_appointment"),
    ]
    assert [len(told["certifications"]), len(told["gates"])] == [2, 9]
    balance = await house.member.get(f"/v1/members/{house.member_id}/balance")
    assert (balance.json["points"], balance.json["tier"]) == (365, "PROFESSIONAL")
    past = await career(house, f"&served_until={day(6)}")
    assert (past["points"]["total"], past["tier"]) == (200, "CERTIFIED")


async def test_an_achievement_is_approved_applied_and_reversed(each_house: House) -> None:
    house = each_house
    one, other = two(house)
    said = await one.post(ACHIEVEMENTS, achievement(house.member_id, "training", hours=18))
    assert (said.status, said.json["status"], said.json["points"]) == (201, "submitted", None)
    path = f"{ACHIEVEMENTS}/{said.json['id']}"
    alone = await one.post(f"{path}/approve")
    assert (alone.status, alone.code) == (409, "second_person_needed")
    done = await other.post(f"{path}/approve", {"reason": "已核对"})
    assert (done.json["status"], done.json["points"]) == ("approved", 18)
    used = await one.post(f"{path}/apply", {"on": day(2), "ref": "个案-31"})
    assert used.json["status"] == "applied"
    seen = await house.member.get(f"{path}?min_position={house.position}")
    assert (seen.json["applied_on"], seen.json["applied_ref"], seen.json["points"]) == (
        *(day(2), "个案-31"),
        18,
    )
    gone = await one.post(f"{path}/reverse", {"reason": "证明有误"})
    assert (gone.json["status"], gone.json["points"]) == ("reversed", 0)
    assert (await career(house))["points"]["total"] == 0
    listed = await house.auditor.get(f"{ACHIEVEMENTS}?kind=training&status=reversed")
    assert [one["id"] for one in listed.json["data"]] == [said.json["id"]]


async def test_an_appointment_is_made_and_ended(each_house: House) -> None:
    house = each_house
    body = {"member_id": house.member_id, "unit": "lake", "from": day(30), "to": "2199-12-31"}
    said = await house.verifier.post(APPOINTMENTS, body)
    assert (said.status, said.json["status"], said.json["to"]) == (201, "made", "2199-12-31")
    path = f"{APPOINTMENTS}/{said.json['id']}"
    ended = await house.verifier.post(f"{path}/end", {"on": day(1), "reason": "调离"})
    assert (ended.json["status"], ended.json["to"]) == ("ended", day(1))
    seen = await house.member.get(f"{path}?min_position={house.position}")
    assert (seen.json["from"], seen.json["to"], seen.json["reason"]) == (day(30), day(1), "调离")
    listed = await house.auditor.get(f"{APPOINTMENTS}?unit=lake&status=ended")
    assert len(listed.json["data"]) == 1
    turned = await house.verifier.post(APPOINTMENTS, body | {"to": day(40)})
    assert (turned.status, turned.pointers) == (422, {"/to": "ends_before_start"})


async def test_a_mentorship_is_begun_and_ended(house: House) -> None:
    mentee = await added(house, external_ref="V-2", person=None)
    body = {"mentor_id": house.member_id, "mentee_id": mentee, "from": day(30)}
    said = await house.verifier.post(MENTORSHIPS, body)
    assert (said.status, said.json["status"], said.json["to"]) == (201, "begun", None)
    path = f"{MENTORSHIPS}/{said.json['id']}"
    ended = await house.verifier.post(f"{path}/end")
    assert (ended.json["status"], ended.json["to"]) == ("ended", day(0))
    guided = house.caller(role="member", actor="Mentee", member_id=mentee)
    for caller in (house.member, guided, house.auditor):
        seen = await caller.get(f"{path}?min_position={house.position}")
        assert (seen.json["mentor_id"], seen.json["mentee_id"]) == (house.member_id, mentee)
        assert len((await caller.get(MENTORSHIPS)).json["data"]) == 1
    assert (await house.other_poster.get(path)).status == 404


async def test_the_library_of_cases_is_searched_by_everybody(each_house: House) -> None:
    house = each_house
    filed = []
    for title, category in (("独居老人互助小组", "elderly"), ("四点半课堂", "children")):
        body = {
            "member_id": house.member_id,
            "title": title,
            "category": category,
            "summary": f"{title}：以小组方法 100% 参与",
            "on": day(9),
        }
        said = await house.verifier.post(CASES, body)
        assert (said.status, said.json["status"]) == (201, "filed")
        filed.append(said.json["id"])
    for query, found in (
        ("", filed),
        ("&q=小组", filed),
        ("&q=老人", filed[:1]),
        ("&q=100%25", filed),
        ("&q=5%25", []),
        ("&category=children", filed[1:]),
        ("&organisation=org-b", []),
        (f"&member_id={house.member_id}", filed),
    ):
        listed = await house.other_poster.get(f"{CASES}?min_position={house.position}{query}")
        assert [one["id"] for one in listed.json["data"]] == found, query
    gone = await house.verifier.post(f"{CASES}/{filed[0]}/withdraw", {"reason": "内容有误"})
    assert gone.json["status"] == "withdrawn"
    seen = await house.other_poster.get(f"{CASES}/{filed[0]}?min_position={house.position}")
    assert (seen.json["status"], seen.json["reason"]) == ("withdrawn", "内容有误")
    listed = await house.auditor.get(f"{CASES}?status=filed")
    assert [one["id"] for one in listed.json["data"]] == filed[1:]
    personal = {**body, "summary": "联系 13812345678"}
    refused = await house.verifier.post(CASES, personal)
    assert (refused.status, refused.code) == (422, "personal_data_in_text")


async def test_a_career_is_read_by_the_home_the_member_and_auditors(house: House) -> None:
    joined = await added(house, external_ref="V-9")
    await house.other_poster.post(
        "/v1/members",
        {
            "external_ref": "B-9",
            "roles": ["volunteer"],
            "unit": "lake",
            "person": {"name": "张三", "document_number": "370212199001011234"},
            "consent_ref": "c-1",
        },
    )
    path = f"/v1/members/{joined}/career?min_position={house.position}"
    for caller, status in (
        (house.poster, 200),
        (house.admin, 200),
        (house.auditor, 200),
        (house.member, 404),
        (house.other_poster, 403),
    ):
        assert (await caller.get(path)).status == status
    own = f"/v1/members/{house.member_id}/career"
    assert (await house.member.get(own)).status == 200
    assert (await house.auditor.get(f"/v1/members/{new_id()}/career")).status == 404


async def test_who_may_not_write_a_career(house: House) -> None:
    found = await certified(house)
    training = await approved(house, "training", hours=8)
    stranger = house.caller(role="verifier", actor="Sun", organisation="org-b")
    paths = {
        CERTIFICATIONS: certificate(house.member_id),
        f"{CERTIFICATIONS}/{found}/verify": None,
        f"{CERTIFICATIONS}/{found}/register": {"registered_on": day(1)},
        f"{CERTIFICATIONS}/{found}/renew": {"renewed_on": day(1), "education_hours": 90},
        f"{CERTIFICATIONS}/{found}/revoke": {"effective_on": day(1), "reason": "x"},
        ACHIEVEMENTS: achievement(house.member_id, "case"),
        f"{ACHIEVEMENTS}/{training}/approve": None,
        f"{ACHIEVEMENTS}/{training}/apply": {"on": day(1), "ref": "x"},
        f"{ACHIEVEMENTS}/{training}/reverse": {"reason": "x"},
    }
    before = house.position
    for path, body in paths.items():
        for caller in (house.poster, house.member, house.auditor):
            assert (await caller.post(path, body)).status == 403
        refused: Said = await stranger.post(path, body)
        assert refused.status == (422 if path in (CERTIFICATIONS, ACHIEVEMENTS) else 404)
    for path in (f"{CERTIFICATIONS}/{found}", f"{ACHIEVEMENTS}/{training}"):
        assert (await stranger.get(path)).status == 404
    for path in (CERTIFICATIONS, ACHIEVEMENTS):
        assert (await stranger.get(path)).json["data"] == []
        assert (await stranger.get(f"{path}?organisation=org-a")).json["data"] == []
    assert house.position == before


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"kind": "training"}, {"/hours": "missing"}),
        ({"kind": "training", "hours": 0}, {"/hours": "wrong_value"}),
        ({"kind": "training", "hours": 1.5}, {"/hours": "wrong_type"}),
        ({"kind": "training", "hours": 2, "prize": "first"}, {"/prize": "unknown_field"}),
        ({"kind": "project"}, {"/outcome": "missing"}),
        ({"kind": "project", "outcome": "splendid"}, {"/outcome": "wrong_value"}),
        ({"kind": "case", "hours": 2}, {"/hours": "unknown_field"}),
        ({"kind": "lecture", "promoted": True}, {"/promoted": "unknown_field"}),
        ({"kind": "song"}, {"/kind": "wrong_value"}),
        ({"kind": "case", "on": "2026-02-30"}, {"/on": "not_a_date"}),
        ({"kind": "case", "ref": "13812345678"}, {"/ref": "personal_data_in_text"}),
        ({"kind": "case", "points": 100}, {"/points": "unknown_field"}),
    ],
)
async def test_what_makes_no_achievement_is_named(
    house: House, body: dict[str, Any], pointers: dict[str, str]
) -> None:
    before = house.position
    refused = await house.verifier.post(ACHIEVEMENTS, achievement(house.member_id, "") | body)
    assert (refused.status, refused.pointers) == (422, pointers)
    assert house.position == before


@pytest.mark.parametrize(
    ("other", "status", "code"),
    [
        ({"level": "chief"}, 422, {"/level": "wrong_value"}),
        ({"obtained_on": "2199-01-01"}, 409, "in_the_future"),
        (
            {"certificate_ref": "370212199001011234"},
            422,
            {"/certificate_ref": "personal_data_in_text"},
        ),
        ({"member_id": "019f0000-0000-7000-8000-0000000000ff"}, 422, {"/member_id": "not_found"}),
    ],
)
async def test_what_is_no_certificate_is_said(
    house: House, other: dict[str, Any], status: int, code: Any
) -> None:
    refused = await house.verifier.post(CERTIFICATIONS, certificate(house.member_id) | other)
    assert refused.status == status
    assert (refused.pointers if status == 422 else refused.code) == code
