"""The field's work over HTTP: projects, conversions, agreements, meetings, programmes, experts."""

from typing import Any

import pytest

from ledger.units import new_id
from tests.api.house import Caller, House
from tests.api.people import added
from tests.api.visits import day

PROJECTS = "/v1/projects"
CONVERSIONS = "/v1/conversions"
AGREEMENTS = "/v1/agreements"
MEETINGS = "/v1/meetings"
PROGRAMMES = "/v1/programmes"
TARGETS = "/v1/targets"
PARTNERS = "/v1/partners"
EXPERTS = "/v1/experts"
PAPER, OTHER_PAPER = "ab" * 32, "0c" * 32
TERM = {"from": day(30), "to": "2199-12-31"}


def bodies(house: House) -> dict[str, dict[str, Any]]:
    """What files one thing of each kind, by the path."""
    return {
        PROJECTS: {"title": "独居老人探访", "unit": "lake", "category": "elderly", "on": day(20)},
        CONVERSIONS: {
            "unit": "lake",
            "category": "elderly",
            "supervisor_id": house.member_id,
            "on": day(20),
            "ref": "督导-8",
        },
        AGREEMENTS: {
            **{"community": "lake", "agency": "org-b", "version": "2026-1", "hash": PAPER},
            **TERM,
        },
        MEETINGS: {
            "unit": "lake",
            "on": day(20),
            "topic": "高空抛物",
            "participants": ["org-a", "org-b"],
            "minutes_ref": "纪要-4",
            "resolutions": [
                {"text": "装监控", "responsible": "物业", "due_on": "2199-01-01"},
                {"text": "入户宣传", "responsible": "社区"},
            ],
        },
        PROGRAMMES: {"name": "督导能力提升", "unit": "west", "tags": ["1+6+N:6"], **TERM},
        TARGETS: {"kpi": "cases", "unit": "west", "value": 30, "due_on": "2199-12-31"},
        PARTNERS: {"name": "湖畔基地", "kind": "base", "unit": "lake", "from": day(30)},
        EXPERTS: {
            "member_id": house.member_id,
            "speciality": "老年社会工作",
            "unit": "west",
            **TERM,
        },
    }


async def post(house: House, path: str, **other: Any) -> str:
    """One thing of org-a's."""
    if path == CONVERSIONS:
        await appointed(house)
    said = await house.verifier.post(path, bodies(house)[path] | other)
    assert said.status == 201, said.body
    found: str = said.json["id"]
    return found


async def appointed(house: House) -> None:
    body = {"member_id": house.member_id, "unit": "lake", "from": day(60), "to": "2199-12-31"}
    assert (await house.verifier.post("/v1/appointments", body)).status == 201


async def get(house: House, path: str, caller: Caller | None = None) -> Any:
    mark = "&" if "?" in path else "?"
    said = await (caller or house.auditor).get(f"{path}{mark}min_position={house.position}")
    assert said.status == 200, said.body
    return said.json


def ids(page: Any) -> list[str]:
    return [one["id"] for one in page["data"]]


async def test_a_project_advances_and_is_searched(each_house: House) -> None:
    house = each_house
    programme = await post(house, PROGRAMMES)
    body = bodies(house)[PROJECTS] | {
        "summary": "每周 100% 到访",
        "programme_id": programme,
        "tags": ["12345:3"],
    }
    said = await house.verifier.post(PROJECTS, body)
    found = said.json["id"]
    assert said.json == {
        "id": found,
        "title": "独居老人探访",
        "unit": "lake",
        "category": "elderly",
        "stage": "needs_assessment",
        "status": "active",
        "position": house.position,
    }
    skipped = await house.verifier.post(f"{PROJECTS}/{found}/advance", {"stage": "implementation"})
    assert (skipped.status, skipped.code) == (409, "wrong_state")
    assert "需求评估" in skipped.json["detail"]
    step = {"stage": "design", "on": day(9), "ref": "方案-3"}
    named = await house.verifier.post(
        f"{PROJECTS}/{found}/advance", step | {"reason": "问 13812345678"}
    )
    assert (named.status, named.pointers) == (422, {"/reason": "personal_data_in_text"})
    advanced = await house.verifier.post(
        f"{PROJECTS}/{found}/advance", step | {"reason": "评审通过"}
    )
    assert (advanced.status, advanced.json["stage"]) == (200, "design")
    item = await get(house, f"{PROJECTS}/{found}", house.member)
    assert item == {
        "id": found,
        "organisation": "org-a",
        "unit": "lake",
        "title": "独居老人探访",
        "category": "elderly",
        "summary": "每周 100% 到访",
        "programme_id": programme,
        "tags": ["12345:3"],
        "stage": "design",
        "steps": [
            {"stage": "needs_assessment", "on": day(20), "ref": None},
            {"stage": "design", "on": day(9), "ref": "方案-3"},
        ],
        "status": "active",
        "reason": None,
        "recorded_at": item["recorded_at"],
        "position": advanced.json["position"],
    }
    other = await post(house, PROJECTS, title="四点半课堂", category="children", on=None)
    for query, expected in (
        ("", [found, other]),
        ("q=探访", [found]),
        ("q=100%25", [found]),
        ("q=%25", [found]),
        ("category=children", [other]),
        ("stage=design", [found]),
        ("unit=lake&organisation=org-a&status=active", [found, other]),
        ("unit=west", [found, other]),
        ("unit=hill", []),
        ("organisation=org-b", []),
        (f"programme_id={programme}", [found]),
    ):
        assert ids(await get(house, f"{PROJECTS}?{query}", house.other_poster)) == expected, query
    gone = await house.verifier.post(f"{PROJECTS}/{found}/withdraw", {"reason": "并入另一项目"})
    assert (gone.status, gone.json["status"]) == (200, "withdrawn")
    assert ids(await get(house, f"{PROJECTS}?status=withdrawn")) == [found]
    first = await get(house, f"{PROJECTS}?limit=1")
    rest = await get(house, f"{PROJECTS}?limit=1&cursor={first['next_cursor']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == [found, other]
    assert rest["next_cursor"] is None


async def test_an_achievement_names_its_project(house: House) -> None:
    found = await post(house, PROJECTS)
    body = {
        "member_id": house.member_id,
        "kind": "project",
        "on": day(5),
        "ref": "项目-7",
        "outcome": "good",
    }
    said = await house.verifier.post("/v1/achievements", body | {"project_id": found})
    assert said.status == 201, said.body
    refused = await house.verifier.post("/v1/achievements", body | {"project_id": new_id()})
    assert (refused.status, refused.pointers) == (422, {"/project_id": "not_found"})


async def test_a_conversion_is_done_in_its_three_steps(each_house: House) -> None:
    house = each_house
    refused = await house.verifier.post(CONVERSIONS, bodies(house)[CONVERSIONS])
    assert (refused.status, refused.code) == (409, "not_appointed")
    assert day(20) in refused.json["detail"]
    found = await post(house, CONVERSIONS)
    path = f"{CONVERSIONS}/{found}"
    early = await house.verifier.post(
        f"{path}/advance", {"stage": "redesign", "on": day(9), "ref": "流程-1"}
    )
    assert (early.status, early.code) == (409, "wrong_state")
    for stage, done in (("training", False), ("redesign", True)):
        said = await house.verifier.post(
            f"{CONVERSIONS}/{found}/advance", {"stage": stage, "on": day(9), "ref": "次"}
        )
        assert (said.status, said.json["stage"], said.json["done"]) == (200, stage, done)
    item = await get(house, f"{CONVERSIONS}/{found}", house.member)
    assert (item["done"], item["supervisor_id"]) == (True, house.member_id)
    assert [step["stage"] for step in item["steps"]] == ["intervention", "training", "redesign"]
    for query, expected in (
        ("q=eld", [found]),
        ("category=elderly&stage=redesign", [found]),
        (f"supervisor_id={house.member_id}&unit=lake", [found]),
        ("status=withdrawn", []),
    ):
        assert ids(await get(house, f"{CONVERSIONS}?{query}")) == expected, query
    gone = await house.verifier.post(f"{CONVERSIONS}/{found}/withdraw", {"reason": "重复登记"})
    assert gone.json["status"] == "withdrawn"


async def test_an_agreement_is_signed_amended_and_ended(each_house: House) -> None:
    house = each_house
    said = await house.verifier.post(AGREEMENTS, bodies(house)[AGREEMENTS])
    found = said.json["id"]
    assert said.json == {
        "id": found,
        "community": "lake",
        "agency": "org-b",
        "version": "2026-1",
        "hash": PAPER,
        **TERM,
        "status": "signed",
        "position": house.position,
    }
    body = {"version": "2026-2", "hash": OTHER_PAPER, "to": "2198-12-31"}
    amended = await house.verifier.post(f"{AGREEMENTS}/{found}/amend", body)
    assert (amended.status, amended.json["version"], amended.json["to"]) == (
        *(200, "2026-2"),
        "2198-12-31",
    )
    ended = await house.verifier.post(f"{AGREEMENTS}/{found}/end", {"on": day(1)})
    assert (ended.json["status"], ended.json["to"]) == ("ended", day(1))
    item = await get(house, f"{AGREEMENTS}/{found}", house.other_poster)
    assert (item["community"], item["from"], item["to"], item["hash"]) == (
        *("lake", day(30)),
        *(day(1), OTHER_PAPER),
    )
    for query, expected in (
        ("unit=lake&agency=org-b&status=ended", [found]),
        ("q=2026-2", [found]),
        ("status=signed", []),
        ("agency=org-a", []),
    ):
        assert ids(await get(house, f"{AGREEMENTS}?{query}")) == expected, query
    volunteers = bodies(house)[AGREEMENTS] | {"agency": "org-a"}
    refused = await house.verifier.post(AGREEMENTS, volunteers)
    assert (refused.status, refused.pointers) == (422, {"/agency": "not_found"})


async def test_a_meetings_resolutions_are_closed_one_by_one(each_house: House) -> None:
    house = each_house
    said = await house.verifier.post(MEETINGS, bodies(house)[MEETINGS])
    assert (said.status, said.json["status"], said.json["open_resolutions"]) == (201, "open", 2)
    found = said.json["id"]
    path = f"{MEETINGS}/{found}/close-resolution"
    closed = await house.verifier.post(path, {"number": 2, "on": day(3), "ref": "照片-5"})
    assert (closed.status, closed.json["status"]) == (200, "open")
    again = await house.verifier.post(path, {"number": 2, "ref": "照片-6"})
    assert (again.status, again.code) == (409, "wrong_state")
    beyond = await house.verifier.post(path, {"number": 3, "ref": "照片-6"})
    assert (beyond.status, beyond.pointers) == (422, {"/number": "not_found"})
    item = await get(house, f"{MEETINGS}/{found}", house.member)
    assert item["participants"] == ["org-a", "org-b"]
    assert item["resolutions"] == closed.json["resolutions"]
    assert item["open_resolutions"] == closed.json["open_resolutions"] == 1
    assert item["resolutions"][1] == {
        "number": 2,
        "text": "入户宣传",
        "responsible": "社区",
        "due_on": None,
        "status": "closed",
        "closed_on": day(3),
        "ref": "照片-5",
    }
    assert ids(await get(house, f"{MEETINGS}?status=open&q=抛物&unit=lake")) == [found]
    last = await house.verifier.post(path, {"number": 1, "ref": "发票-1"})
    assert last.json["status"] == "closed"
    assert ids(await get(house, f"{MEETINGS}?status=open")) == []
    assert ids(await get(house, f"{MEETINGS}?status=closed")) == [found]


async def test_members_go_through_a_programme(each_house: House) -> None:
    house = each_house
    other = await added(house, external_ref="V-2", person=None)
    found = await post(house, PROGRAMMES)
    path = f"{PROGRAMMES}/{found}"
    for member in (house.member_id, other):
        said = await house.verifier.post(f"{path}/enrol", {"member_id": member, "on": day(9)})
        assert said.status == 200, said.body
    assert (said.json["enrolled"], said.json["completed"]) == (2, 0)
    twice = await house.verifier.post(f"{path}/enrol", {"member_id": other})
    assert (twice.status, twice.code) == (409, "wrong_state")
    strange = await house.verifier.post(f"{path}/enrol", {"member_id": new_id()})
    assert (strange.status, strange.pointers) == (422, {"/member_id": "not_found"})
    nobody = await house.verifier.post(f"{path}/complete", {"member_id": new_id()})
    assert (nobody.status, nobody.pointers) == (422, {"/member_id": "not_found"})
    done = await house.verifier.post(f"{path}/complete", {"member_id": other, "on": day(3)})
    assert (done.json["enrolled"], done.json["completed"]) == (2, 1)
    both = [
        {"member_id": house.member_id, "enrolled_on": day(9), "completed_on": None},
        {"member_id": other, "enrolled_on": day(9), "completed_on": day(3)},
    ]
    for caller in (house.verifier, house.poster, house.auditor, house.admin):
        page = await get(house, f"{PROGRAMMES}/{found}/enrolments", caller)
        assert page == {"data": both, "next_cursor": None}
    own = await get(house, f"{path}/enrolments", house.member)
    assert own["data"] == both[:1]
    assert (await house.other_poster.get(f"{path}/enrolments")).status == 404
    assert (await house.auditor.get(f"{PROGRAMMES}/{new_id()}/enrolments")).status == 404
    first = await get(house, f"{path}/enrolments?limit=1")
    rest = await get(house, f"{path}/enrolments?limit=1&cursor={first['next_cursor']}")
    assert first["data"] + rest["data"] == both
    closed = await house.verifier.post(f"{path}/close", {"reason": "任务完成"})
    assert (closed.json["status"], closed.json["to"]) == ("closed", day(0))
    late = await house.verifier.post(f"{path}/complete", {"member_id": house.member_id})
    assert (late.status, late.code) == (409, "wrong_state")
    item = await get(house, f"{PROGRAMMES}/{found}", house.other_poster)
    assert (item["status"], item["enrolled"], item["completed"], item["tags"]) == (
        *("closed", 2),
        *(1, ["1+6+N:6"]),
    )
    assert ids(await get(house, f"{PROGRAMMES}?q=督导&status=closed&unit=west")) == [found]
    assert ids(await get(house, f"{PROGRAMMES}?status=open")) == []


async def test_a_target_is_set_and_withdrawn(each_house: House) -> None:
    house = each_house
    found = await post(house, TARGETS)
    said = await house.admin.post(
        TARGETS, {"kpi": "certification_rate", "value": 5000, "due_on": "2199-12-31"}
    )
    assert (said.status, said.json["unit"], said.json["value"]) == (201, None, 5000)
    everybodys = said.json["id"]
    item = await get(house, f"{TARGETS}/{everybodys}", house.member)
    assert (item["organisation"], item["kpi"], item["status"]) == (
        *(None, "certification_rate"),
        "set",
    )
    gone = await house.verifier.post(f"{TARGETS}/{found}/withdraw", {"reason": "口径调整"})
    assert gone.json["status"] == "withdrawn"
    for query, expected in (
        ("", [found, everybodys]),
        ("kpi=cases", [found]),
        ("status=set", [everybodys]),
        ("unit=west&organisation=org-a", [found]),
    ):
        assert ids(await get(house, f"{TARGETS}?{query}")) == expected, query
    refused = await house.verifier.post(f"{TARGETS}/{everybodys}/withdraw", {"reason": "x"})
    assert refused.status == 404
    owned = await house.admin.post(f"{TARGETS}/{everybodys}/withdraw", {"reason": "口径调整"})
    assert owned.status == 200


async def test_partners_and_bases_come_and_go(each_house: House) -> None:
    house = each_house
    found = await post(house, PARTNERS)
    other = await post(house, PARTNERS, name="湖畔超市", kind="partner", to="2199-12-31")
    ended = await house.verifier.post(f"{PARTNERS}/{found}/end", {"on": day(1), "reason": "搬迁"})
    assert (ended.json["status"], ended.json["to"]) == ("ended", day(1))
    item = await get(house, f"{PARTNERS}/{found}", house.member)
    assert (item["kind"], item["from"], item["to"], item["reason"]) == (
        *("base", day(30)),
        *(day(1), "搬迁"),
    )
    for query, expected in (
        ("kind=partner", [other]),
        ("q=湖畔", [found, other]),
        ("status=ended", [found]),
    ):
        assert ids(await get(house, f"{PARTNERS}?{query}")) == expected, query


async def test_experts_are_named_and_end(each_house: House) -> None:
    house = each_house
    found = await post(house, EXPERTS)
    assert ids(await get(house, f"{EXPERTS}?q=老年&status=named", house.other_poster)) == [found]
    assert ids(await get(house, f"{EXPERTS}?member_id={house.member_id}&unit=west")) == [found]
    assert ids(await get(house, f"{EXPERTS}?member_id={new_id()}")) == []
    ended = await house.verifier.post(f"{EXPERTS}/{found}/end")
    assert (ended.json["status"], ended.json["to"]) == ("ended", day(0))
    item = await get(house, f"{EXPERTS}/{found}", house.member)
    assert (item["member_id"], item["from"], item["to"]) == (house.member_id, day(30), day(0))


# --- who may, and what is no such thing ----------------------------------------------------------


async def test_who_may_not_write_of_the_fields_work(house: House) -> None:
    stranger = house.caller(role="verifier", actor="Sun", organisation="org-b")
    verbs = {
        PROJECTS: [("advance", {"stage": "design"}), ("withdraw", {"reason": "x"})],
        CONVERSIONS: [
            ("advance", {"stage": "training", "on": day(1), "ref": "x"}),
            ("withdraw", {"reason": "x"}),
        ],
        AGREEMENTS: [
            ("amend", {"version": "2", "hash": PAPER, "to": "2199-12-31"}),
            ("end", None),
        ],
        MEETINGS: [("close-resolution", {"number": 1, "ref": "x"})],
        PROGRAMMES: [
            ("enrol", {"member_id": house.member_id}),
            ("complete", {"member_id": house.member_id}),
            ("close", {"reason": "x"}),
        ],
        TARGETS: [("withdraw", {"reason": "x"})],
        PARTNERS: [("end", None)],
        EXPERTS: [("end", None)],
    }
    found = {path: await post(house, path) for path in verbs}
    before = house.position
    for path, body in bodies(house).items():
        for caller in (house.poster, house.member, house.auditor):
            assert (await caller.post(path, body)).status == 403
        other = await house.verifier.post(path, body | {"organisation": "org-b"})
        assert (other.status, other.pointers) == (422, {"/organisation": "not_found"})
        for verb, said in verbs[path]:
            for caller in (house.poster, house.member, house.auditor):
                assert (await caller.post(f"{path}/{found[path]}/{verb}", said)).status == 403
            assert (await stranger.post(f"{path}/{found[path]}/{verb}", said)).status == 404
            assert (await house.verifier.post(f"{path}/{new_id()}/{verb}", said)).status == 404
        assert (await house.auditor.get(f"{path}/{new_id()}")).status == 404
        for caller in house.callers.values():
            assert ids(await get(house, path, caller)) == [found[path]]
            assert (await caller.get(f"{path}/{found[path]}")).status == 200
    assert house.position == before


async def test_an_administrator_names_the_organisation_it_files_for(house: House) -> None:
    await appointed(house)
    for path, body in bodies(house).items():
        if path != TARGETS:
            unnamed = await house.admin.post(path, body)
            assert (unnamed.status, unnamed.pointers) == (422, {"/organisation": "missing"})
        said = await house.admin.post(path, body | {"organisation": "org-a"})
        assert said.status == 201, said.body
        dry = await house.admin.post(f"{path}?dry_run=true", body | {"organisation": "org-a"})
        assert (dry.status, dry.json["dry_run"]) == (201, True)
        assert (await get(house, f"{path}/{said.json['id']}"))["organisation"] == "org-a"


async def test_a_suspended_organisation_files_nothing(house: House) -> None:
    await appointed(house)
    await house.admin.post("/v1/organisations/org-a/suspend", {"reason": "整改"})
    for path, body in bodies(house).items():
        refused = await house.verifier.post(path, body)
        assert (refused.status, refused.code) == (409, "organisation_suspended"), path


@pytest.mark.parametrize(
    ("path", "other", "pointers"),
    [
        (PROJECTS, {"title": "联系 13812345678"}, {"/title": "personal_data_in_text"}),
        (PROJECTS, {"summary": "370212199001011234"}, {"/summary": "personal_data_in_text"}),
        (PROJECTS, {"tags": ["好", "13812345678"]}, {"/tags/1": "personal_data_in_text"}),
        (PROJECTS, {"tags": ["x"] * 21}, {"/tags": "wrong_value"}),
        (PROJECTS, {"unit": "moon"}, {"/unit": "not_found"}),
        (PROJECTS, {"stage": "design"}, {"/stage": "unknown_field"}),
        (CONVERSIONS, {"supervisor_id": new_id()}, {"/supervisor_id": "not_found"}),
        (CONVERSIONS, {"ref": "13812345678"}, {"/ref": "personal_data_in_text"}),
        (AGREEMENTS, {"hash": "AB" * 32}, {"/hash": "wrong_value"}),
        (AGREEMENTS, {"hash": "ab"}, {"/hash": "wrong_value"}),
        (AGREEMENTS, {"to": day(40)}, {"/to": "ends_before_start"}),
        (AGREEMENTS, {"community": "moon"}, {"/community": "not_found"}),
        (AGREEMENTS, {"community": "west"}, {"/community": "not_found"}),
        (AGREEMENTS, {"version": "13812345678"}, {"/version": "personal_data_in_text"}),
        (MEETINGS, {"topic": "13812345678"}, {"/topic": "personal_data_in_text"}),
        (MEETINGS, {"participants": ["org-a", "org-z"]}, {"/participants/1": "not_found"}),
        (
            MEETINGS,
            {"resolutions": [{"text": "打 13812345678", "responsible": "x"}]},
            {"/resolutions/0/text": "personal_data_in_text"},
        ),
        (
            MEETINGS,
            {"resolutions": [{"text": "x"}, {"text": "x", "responsible": "x", "by": "y"}]},
            {"/resolutions/0/responsible": "missing", "/resolutions/1/by": "unknown_field"},
        ),
        (
            MEETINGS,
            {"resolutions": [{"text": "x", "responsible": "x"}] * 51},
            {"/resolutions": "wrong_value"},
        ),
        (
            MEETINGS,
            {"resolutions": [{"text": "长" * 1_000, "responsible": "x"}] * 50},
            {"/resolutions": "wrong_value"},
        ),
        (PROGRAMMES, {"to": day(40)}, {"/to": "ends_before_start"}),
        (PROGRAMMES, {"name": "13812345678"}, {"/name": "personal_data_in_text"}),
        (TARGETS, {"kpi": "happiness"}, {"/kpi": "wrong_value"}),
        (TARGETS, {"value": -1}, {"/value": "wrong_value"}),
        (TARGETS, {"value": 1.5}, {"/value": "wrong_type"}),
        (TARGETS, {"unit": "moon"}, {"/unit": "not_found"}),
        (PARTNERS, {"kind": "friend"}, {"/kind": "wrong_value"}),
        (PARTNERS, {"name": "13812345678"}, {"/name": "personal_data_in_text"}),
        (EXPERTS, {"member_id": new_id()}, {"/member_id": "not_found"}),
        (EXPERTS, {"to": day(40)}, {"/to": "ends_before_start"}),
    ],
)
async def test_what_is_amiss_is_named(
    house: House, path: str, other: dict[str, Any], pointers: dict[str, str]
) -> None:
    before = house.position
    refused = await house.verifier.post(path, bodies(house)[path] | other)
    assert (refused.status, refused.pointers) == (422, pointers)
    assert house.position == before
