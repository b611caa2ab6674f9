"""Grade overrides over HTTP, and how they change who must verify."""

import csv
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest

from ledger.commands import ComputeGrade, ComputeSupervisionIndex, Counts, IndexCounts
from projections import grades
from tests.api.house import CLI, House
from tests.api.people import joined
from tests.api.visits import visit

G3: dict[str, Any] = {"grade": "G3", "reason": "抽查发现代签", "until": "2999-12-31"}
ORG = "/v1/grades/organisation:org-a"
NOBODY = "019f0000-0000-7000-8000-00000000dead"


async def test_an_organisation_at_g3_waits_for_a_second_person_and_at_g4_for_an_admin(
    each_house: House,
) -> None:
    house = each_house
    said = await house.admin.post(f"{ORG}/override", G3)
    assert said.status == 201
    assert said.json == {"subject": "organisation:org-a", **G3, "position": house.position}
    posted = await house.poster.post("/v1/service-records", visit(member_id=house.member_id))
    assert (posted.json["status"], posted.json["credits"]) == ("submitted", None)
    verified = await house.verifier.post(f"/v1/service-records/{posted.json['id']}/verify")
    assert (verified.status, verified.json["credits"]) == (200, 120)

    await house.admin.post(f"{ORG}/override", {**G3, "grade": "G4"})
    body = visit("08:00", "09:00", member_id=house.member_id)
    posted = await house.poster.post("/v1/service-records", body)
    path = f"/v1/service-records/{posted.json['id']}/verify"
    refused = await house.verifier.post(path)
    assert (refused.status, refused.code) == (403, "forbidden")
    assert (await house.admin.post(path)).json["status"] == "verified"


async def test_grades_are_seen_by_whom_they_concern(house: House) -> None:
    member_id = await joined(house)
    member = house.caller(role="member", actor="Zhang", member_id=member_id)
    await house.admin.post(f"/v1/grades/member:{member_id}/override", {**G3, "grade": "G1"})
    await house.admin.post(f"{ORG}/override", G3)
    seen = f"min_position={house.position}"
    of_member, of_org = f"/v1/grades/member:{member_id}", ORG
    for caller, visible in (
        (house.admin, {of_member, of_org}),
        (house.auditor, {of_member, of_org}),
        (house.poster, {of_member, of_org}),
        (house.other_poster, {of_member}),
        (member, {of_member}),
        (house.member, set()),
    ):
        for path in (of_member, of_org):
            said = await caller.get(f"{path}?{seen}")
            assert said.status == (200 if path in visible else 404)
    assert (await member.get(f"{of_member}?{seen}")).json["value"] == "G1"
    listed = await house.auditor.get(f"/v1/grades?{seen}")
    assert [one["value"] for one in listed.json["data"]] == ["G1", "G3"]
    (own,) = (await house.poster.get("/v1/grades")).json["data"]
    assert own["override"]["reason"] == G3["reason"]
    asked = f"/v1/grades?subject=member:{member_id}"
    assert (await house.member.get(asked)).json["data"] == []
    balance = await member.get(f"/v1/members/{member_id}/balance?{seen}")
    assert balance.json["grade"] == "G1"


async def test_an_organisation_that_has_joined_sees_which_grade_holds_and_not_why(
    house: House,
) -> None:
    member_id = await joined(house)
    subject = f"member:{member_id}"
    computed(house, subject)
    appeal = await house.verifier.post(f"/v1/grades/{subject}/appeal", {"reason": "系统故障"})
    assert appeal.status == 201
    await house.admin.post(f"/v1/grades/{subject}/override", {**G3, "grade": "G2"})
    path = f"/v1/grades/{subject}?min_position={house.position}"
    home, seen = [(await one.get(path)).json for one in (house.poster, house.other_poster)]
    assert home["inputs"]["minutes"] == 1_200
    assert (home["override"]["reason"], home["appeal"]["reason"]) == (G3["reason"], "系统故障")
    assert seen == home | {
        **dict.fromkeys(("score", "numerator", "denominator", "rising", "inputs", "events")),
        "components": dict.fromkeys(home["components"]),
        "override": home["override"] | {"reason": None},
        "appeal": home["appeal"] | {"reason": None},
    }
    listed = await house.other_poster.get(f"/v1/grades?subject={subject}")
    assert listed.json["data"] == [seen]


async def test_a_subject_without_an_override_is_ungraded(house: House) -> None:
    found = await house.admin.get("/v1/grades/organisation:org-b")
    assert {
        "subject": "organisation:org-b",
        "value": "UNGRADED",
        "score": None,
        "inputs": None,
        "override": None,
        "appeal": None,
        "events": None,
        "position": None,
    }.items() <= found.json.items()


@pytest.mark.parametrize(
    ("subject", "body", "status", "code"),
    [
        ("organisation:org-a", {"until": "2020-01-01"}, 409, "over_already"),
        ("organisation:org-a", {"grade": "G5"}, 422, "invalid"),
        ("organisation:org-a", {"reason": None}, 422, "invalid"),
        ("organisation:org-a", {"reason": "110101199003071234"}, 422, "personal_data_in_text"),
        ("organisation:org-z", {}, 404, "not_found"),
        (f"member:{NOBODY}", {}, 404, "not_found"),
        (f"project:{NOBODY}", {}, 404, "not_found"),
        ("planet:mars", {}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_graded_is_refused_and_nothing_is_written(
    house: House, subject: str, body: dict[str, Any], status: int, code: str
) -> None:
    before = house.position
    refused = await house.admin.post(f"/v1/grades/{subject}/override", G3 | body)
    assert (refused.status, refused.code) == (status, code)
    assert house.position == before


async def test_only_an_administrator_overrides(house: House) -> None:
    for caller in (house.poster, house.verifier, house.auditor, house.member):
        assert (await caller.post(f"{ORG}/override", G3)).status == 403


# -- computed grades, appeals, the index, the board -----------------------------------------------


def computed(house: House, subject: str = "organisation:org-a", stars: int = 9) -> None:
    """The job's word of a window, as of yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    house.write(
        ComputeGrade(
            **CLI,
            subject=subject,
            as_of=yesterday,
            window_from=yesterday.date() - timedelta(days=89),
            counts=Counts(
                ratings=3, stars=stars, served=3, punctual=1, minutes=1_200, volunteers=1
            ),
            counted_to=5,
        )
    )


async def test_a_computed_grade_explains_itself(house: House) -> None:
    computed(house)
    found = (await house.poster.get(f"{ORG}?min_position={house.position}")).json
    assert (found["value"], found["score"], found["colour"]) == ("G3", 6_400, "yellow")
    assert (found["numerator"], found["denominator"]) == (63_999_000, 10_000)
    assert found["components"] == {
        "satisfaction": 6_000,
        "punctuality": 3_333,
        "activity": 10_000,
        "compliance": 10_000,
    }
    assert (found["definition"], found["policy_version"], found["counted_to"]) == ("grade/1", 1, 5)
    assert found["events"].startswith("/v1/audit/events?type=HoursVerified,")
    listed = await house.auditor.get("/v1/grades?unit=west")
    assert [one["subject"] for one in listed.json["data"]] == ["organisation:org-a"]
    before = await house.auditor.get(f"{ORG}?as_of=2020-01-01")
    assert (before.json["value"], before.json["score"]) == ("UNGRADED", None)
    posted = await house.poster.post("/v1/service-records", visit(member_id=house.member_id))
    assert posted.json["status"] == "submitted"


async def test_an_appeal_is_heard_by_another(house: House) -> None:
    computed(house)
    path = "/v1/grades/organisation:org-a/appeal"
    assert (await house.poster.post(path, {"reason": "系统故障"})).status == 403
    assert (await house.verifier.post(path, {})).pointers == {"/reason": "missing"}
    said = await house.verifier.post(path, {"reason": "系统故障"})
    assert (said.status, said.json["status"]) == (201, "open")
    other = house.caller(role="verifier", actor="Ma", organisation="org-b")
    assert (await other.post(path, {"reason": "x"})).status == 404
    path = "/v1/grades/organisation:org-a/decide"
    body = {"outcome": "upheld", "reason": "属实", "grade": "G1"}
    assert (await house.verifier.post(path, body)).status == 403
    assert (await house.admin.post(path, body)).pointers == {"/until": "missing"}
    same = house.caller(role="admin", actor="Zhao")
    whole = body | {"until": "2999-12-31"}
    said = await same.post(path, whole)
    assert (said.status, said.code) == (409, "second_person_needed")
    said = await house.admin.post(path, whole)
    assert (said.status, said.json["status"]) == (200, "upheld")
    found = (await house.verifier.get(f"{ORG}?min_position={house.position}")).json
    assert (found["value"], found["computed"], found["appeal"]["status"]) == ("G1", "G3", "upheld")
    with house.ledger.views_engine.connect() as connection:  # before it was decided
        until = house.position - 2
        then = grades.grade(connection, "organisation:org-a", date(2026, 3, 10), until)
    assert (then["value"], then["appeal"]["status"]) == ("G3", "open")
    assert then["appeal"]["decided_reason"] is None


async def test_a_member_appeals_their_own(house: House) -> None:
    subject = f"member:{house.member_id}"
    computed(house, subject)
    said = await house.member.post(f"/v1/grades/{subject}/appeal", {"reason": "不符"})
    assert said.status == 201
    found = (await house.member.get(f"/v1/grades/{subject}?min_position={house.position}")).json
    assert (found["value"], found["appeal"]["reason"]) == ("G3", "不符")


async def test_an_index_tells_its_inputs(house: House) -> None:
    house.write(
        ComputeSupervisionIndex(
            **CLI,
            unit="lake",
            month="2026-03",
            as_of=datetime(2026, 4, 1, tzinfo=UTC),
            counts=IndexCounts(satisfied_ratings=19, ratings=40),
            counted_to=5,
        )
    )
    for query in ("unit=west", "month=2026-03", "unit=lake&month=2026-03"):
        path = f"/v1/supervision-index?{query}&min_position={house.position}"
        (found,) = (await house.poster.get(path)).json["data"]
        assert (found["id"], found["value"]) == ("lake/2026-03", 5_000)
        assert found["inputs"]["ratings"] == 40
    assert (await house.poster.get("/v1/supervision-index?month=2026-04")).json["data"] == []
    assert (await house.poster.get("/v1/supervision-index?as_of=2020-01-01")).json["data"] == []


async def test_the_board_is_read_as_json_and_as_csv(house: House) -> None:
    await house.poster.post("/v1/service-records", visit(member_id=house.member_id))
    seen = f"min_position={house.position}"
    board = (await house.member.get(f"/v1/kpis?{seen}")).json
    assert len(board["data"]) == 33
    by_id = {kpi["id"]: kpi for kpi in board["data"]}
    assert (by_id["credits_outstanding"]["value"], by_id["cases"]["value"]) == (120, 0)
    one = (await house.auditor.get(f"/v1/kpis/on_time_recording_rate?{seen}&unit=west")).json
    assert (one["value"], one["numerator"], one["denominator"]) == (10_000, 1, 1)
    assert (one["definition"], one["unit"]) == ("on_time_recording_rate/1", "west")
    then = (await house.auditor.get("/v1/kpis/credits_outstanding?as_of=2020-01-01")).json
    assert (then["value"], then["position"]) == (0, 0)
    said = await house.auditor.get(f"/v1/kpis?{seen}&format=csv")
    assert said.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(said.body.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == list(by_id)
    said = await house.auditor.get("/v1/kpis/cases?format=csv")
    assert said.body.decode("utf-8-sig").count("\r\n") == 2
    for path in ("/v1/kpis/happiness", "/v1/kpis?unit=moon"):
        assert (await house.auditor.get(path)).status == 404
