"""Events and the trial balance over HTTP."""

import orjson

from tests.api.house import House

VISIT = {
    "receipt": "r-1",
    "activity": "陪护",
    "category": "elder-care",
    "place": "lake",
    "responsible": "staff-01",
    "started_at": "2026-10-01T14:00:00+08:00",
    "ended_at": "2026-10-01T16:00:00+08:00",
}


async def post_a_visit(house: House) -> int:
    visit = {**VISIT, "member_id": house.member_id}
    said = await house.poster.post("/v1/service-records", visit)
    assert said.status == 201, said.body
    return int(said.json["position"])


async def test_events_stand_as_they_are_in_the_journal(each_house: House) -> None:
    position = await post_a_visit(each_house)
    said = await each_house.auditor.get(f"/v1/audit/events?min_position={position}")
    events = said.json["data"]
    assert [event["position"] for event in events] == list(range(1, position + 1))
    last = events[-1]
    assert (last["type"], last["stream"]) == ("HoursVerified", f"account:{each_house.member_id}")
    assert each_house.poster.key
    assert last["actor"] == each_house.poster.key.id
    assert sum(credits for _, credits in last["data"]["entries"]) == 0
    assert not {"actor", "recorded_at", "correlation_id"} & set(last["data"])
    found = await each_house.auditor.get(f"/v1/audit/events/{position}")
    assert found.json == last


async def test_an_organisation_sees_its_own_events(each_house: House) -> None:
    position = await post_a_visit(each_house)
    path = f"/v1/audit/events?min_position={position}"
    own = await each_house.poster.get(path)
    assert [event["type"] for event in own.json["data"]] == ["MemberRegistered", "HoursVerified"]
    assert (await each_house.other_poster.get(path)).json["data"] == []
    assert (await each_house.other_poster.get(f"/v1/audit/events/{position}")).status == 404
    assert (await each_house.poster.get(f"/v1/audit/events/{position}")).status == 200


async def test_events_are_filtered(house: House) -> None:
    position = await post_a_visit(house)
    seen = f"min_position={position}"
    for asked, types in (
        ("type=UnitAdded", ["UnitAdded", "UnitAdded"]),
        ("stream=unit:lake", ["UnitAdded"]),
        (f"member_id={house.member_id}", ["MemberRegistered", "HoursVerified"]),
        (f"after={position - 1}", ["HoursVerified"]),
        ("type=HoursVerified&stream=unit:lake", []),
        ("actor=cli&type=MemberRegistered", ["MemberRegistered"]),
    ):
        said = await house.admin.get(f"/v1/audit/events?{asked}&{seen}")
        assert [event["type"] for event in said.json["data"]] == types, asked


async def test_one_chain_runs_from_a_request_to_its_events(house: House) -> None:
    request_id = "019f0000-0000-7000-8000-0000000000aa"
    visit = {**VISIT, "member_id": house.member_id}
    said = await house.poster.post(
        "/v1/service-records", visit, headers={"X-Request-Id": request_id}
    )
    path = f"/v1/audit/events?correlation_id={request_id}&min_position={said.json['position']}"
    (event,) = (await house.admin.get(path)).json["data"]
    assert event["position"] == said.json["position"]


async def test_a_request_id_that_is_no_uuid_does_not_enter_the_journal(house: House) -> None:
    visit = {**VISIT, "member_id": house.member_id}
    said = await house.poster.post(
        "/v1/service-records", visit, headers={"X-Request-Id": "13800138000"}
    )
    assert said.headers["X-Request-Id"] == "13800138000"
    path = f"/v1/audit/events/{said.json['position']}?min_position={said.json['position']}"
    event = (await house.admin.get(path)).json
    assert event["correlation_id"] != "13800138000"
    assert b"13800138000" not in orjson.dumps(event)


async def test_events_come_as_lines_too(each_house: House) -> None:
    position = await post_a_visit(each_house)
    path = f"/v1/audit/events?format=ndjson&limit=3&min_position={position}"
    lines = await each_house.auditor.get(path)
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    events = [orjson.loads(line) for line in lines.body.splitlines()]
    assert [event["position"] for event in events] == [1, 2, 3]
    following = lines.headers["Link"].removeprefix("<").partition(">")[0]
    assert "format=ndjson" in following
    rest = await each_house.auditor.get(following)
    assert orjson.loads(rest.body.splitlines()[0])["position"] == 4


async def test_the_trial_balance_is_zero_now_and_then(each_house: House) -> None:
    position = await post_a_visit(each_house)
    now = await each_house.auditor.get(f"/v1/audit/trial-balance?min_position={position}")
    accounts = {line["account"]: line["credits"] for line in now.json["accounts"]}
    assert accounts == {
        "issue:service": -120,
        f"person:{each_house.member_id}:available": 120,
    }
    assert (now.json["sum"], now.json["position"]) == (0, position)

    before = await each_house.auditor.get(f"/v1/audit/trial-balance?position={position - 1}")
    assert before.json == {"position": position - 1, "accounts": [], "sum": 0}
    recorded_at = (await each_house.auditor.get(f"/v1/audit/events/{position}")).json["recorded_at"]
    then = await each_house.auditor.get(f"/v1/audit/trial-balance?as_of={recorded_at}")
    assert then.json["accounts"] == now.json["accounts"]
    offset = await each_house.auditor.get(
        "/v1/audit/trial-balance?as_of=2020-01-01T00:00:00+08:00"  # the plus is not encoded
    )
    assert offset.json["position"] == 0


async def test_the_trial_balance_is_as_of_one_thing(house: House) -> None:
    path = "/v1/audit/trial-balance?position=1&as_of=2026-01-01T00:00:00Z"
    refused = await house.auditor.get(path)
    assert (refused.status, refused.pointers) == (422, {"/as_of": "one_of_two"})


async def test_an_event_beyond_the_last_is_not_found(house: House) -> None:
    assert (await house.auditor.get("/v1/audit/events/999999")).status == 404
    assert (await house.auditor.get("/v1/audit/events/0")).status == 404
