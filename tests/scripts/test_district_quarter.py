"""A district's quarter, by HTTP and `timebank jobs run` alone, and its board counted by hand."""

import urllib.error
import urllib.request
from calendar import monthrange
from pathlib import Path
from typing import Any

import orjson

from tests.api.visits import day, instant
from tests.recount import Events, Recount, differences
from tests.scripts.test_serve import served
from tests.scripts.typed import timebank

HASH = "ab" * 32


class Voice:
    """Somebody with a key, who asks over HTTP."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.key = address, key

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else orjson.dumps(body)
        request = urllib.request.Request(  # noqa: S310  (our own server)
            f"{self.address}{path}", data, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, orjson.loads(answer.read())
        except urllib.error.HTTPError as no:
            return no.code, orjson.loads(no.read())

    def post(self, path: str, **body: Any) -> Any:
        if "from_" in body:
            body["from"] = body.pop("from_")
        status, said = self.ask("POST", path, body)
        assert status in (200, 201), said
        return said

    def no(self, path: str, **body: Any) -> str:
        status, said = self.ask("POST", path, body)
        assert status in (409, 422), said
        return str(said["code"])

    def get(self, path: str) -> Any:
        status, said = self.ask("GET", path)
        assert status == 200, said
        return said


class District:
    """The voices of a district, and how its orders go."""

    def __init__(self, address: str, admin: str) -> None:
        self.address = address
        self.admin = Voice(address, admin)
        self.auditor = self.voice("auditor", "Auditor")

    def voice(self, role: str, actor: str, org: str | None = None, **other: str) -> Voice:
        said = "".join(f" --{name} {value}" for name, value in other.items())
        line = (
            f"key create --role {role} --actor {actor}{f' --org {org}' if org else ''}{said} --json"
        )
        typed = timebank(line)
        assert typed.code == 0, typed.err
        return Voice(self.address, typed.json["key"])

    def order(self, by: Voice, recipient: str, ago: int, **other: Any) -> str:
        body = {
            "recipient_id": recipient,
            "activity": "陪伴就医",
            "category": "elder-care",
            "unit": "reed",
            "responsible": "staff-7",
            "planned_from": instant("14:00", ago),
            "planned_to": instant("16:00", ago),
            "at": instant("09:00", ago),
        }
        return str(by.post("/v1/orders", **body | other)["id"])

    def served(
        self, by: Voice, team: Voice, order: str, member: str, ago: int, clock: str, stars: int
    ) -> None:
        """Dispatched, accepted, two hours from a clock on, rated."""
        path = f"/v1/orders/{order}"
        by.post(f"{path}/dispatch", organisation="team", at=instant("09:05", ago))
        team.post(f"{path}/accept", member_id=member, at=instant("09:30", ago))
        team.post(f"{path}/check-in", at=instant(clock, ago))
        end = f"{int(clock[:2]) + 2:02}{clock[2:]}"
        team.post(f"{path}/check-out", at=instant(end, ago))
        by.post(f"{path}/rate", stars=stars, at=instant("18:00", ago))


def jobs(as_of: str, *names: str) -> int:
    """Let them run as of a date; the position of the last."""
    for name in names:
        said = timebank(f"jobs run --as-of {as_of} --only {name} --json")
        assert said.code == 0, said.err
    return int(said.json["jobs"][-1]["position"])


def test_a_district_s_quarter_ends_with_a_board_that_its_events_come_to(made: Path) -> None:
    admin = (made / "admin.key").read_text().strip()
    with served(made) as server:
        live(District(server["address"], admin))
    assert timebank("audit verify").code == 0
    assert timebank("audit replay").code == 0


def live(all: District) -> None:
    admin = all.admin
    admin.post("/v1/units", code="west", name="西海岸", level="district")
    admin.post("/v1/units", code="lake", name="湖街", level="street", parent="west")
    admin.post("/v1/units", code="reed", name="苇社区", level="community", parent="lake")
    admin.post("/v1/organisations", code="office", name="街道", kind="partner", unit="lake")
    admin.post("/v1/organisations", code="agency", name="社工站", kind="social_work", unit="west")
    admin.post("/v1/organisations", code="team", name="志愿队", kind="volunteer", unit="reed")
    office = all.voice("verifier", "Wang", "office")
    agency, other = (all.voice("verifier", name, "agency") for name in ("Zhao", "Qian"))
    team, second = (all.voice("verifier", name, "team") for name in ("Sun", "Li"))

    def member(by: Voice, *roles: str, unit: str = "reed") -> str:
        return str(by.post("/v1/members", roles=roles, unit=unit)["id"])

    grid, assessor = member(office, "grid_worker"), member(office, "social_worker")
    resident = member(office, "resident", "volunteer")
    worker = member(agency, "social_worker", "community_worker", unit="lake")
    member(agency, "community_worker", unit="lake")
    volunteers = [member(team, "volunteer") for _ in range(2)]

    # the resident saves time; the bank redeems
    visit = {"activity": "读报", "category": "company", "place": "lake", "responsible": "s-1"}
    saved = {"member_id": resident, "ended_at": instant("12:00", 60)}
    office.post(
        "/v1/service-records",
        **visit | saved | {"receipt": "R-1", "started_at": instant("08:00", 60)},
    )
    twice = visit | saved | {"receipt": "R-2", "started_at": instant("09:00", 60)}
    assert office.no("/v1/service-records", **twice) == "overlapping_service"
    office.post("/v1/rewards", code="rice", name="大米", kind="benefit", credits=30, stock=5)
    held = office.post("/v1/redemptions", member_id=resident, reward="rice")
    office.post(f"/v1/redemptions/{held['id']}/fulfil")
    office.post("/v1/transfers", kind="donation", from_=resident, credits=10, reason="捐")

    # a social worker climbs from certified to professional
    for level, obtained in (("assistant", "2020-05-01"), ("social_worker", "2023-05-01")):
        seen = agency.post(
            "/v1/certifications",
            member_id=worker,
            level=level,
            certificate_ref=level,
            obtained_on=obtained,
        )
        other.post(f"/v1/certifications/{seen['id']}/verify")
        agency.post(f"/v1/certifications/{seen['id']}/register", registered_on=day(80))
    career = f"/v1/members/{worker}/career?min_position="
    assert agency.get(f"{career}{seen['position'] + 2}")["tier"] == "CERTIFIED"
    for kind, said in (
        ("training", {"hours": 36}),
        ("project", {"outcome": "excellent", "promoted": True}),
        ("case", {}),
        ("competition", {"prize": "second"}),
        ("lecture", {}),
        ("supervision_given", {"hours": 3}),
    ):
        body = {"member_id": worker, "kind": kind, "on": day(40), "ref": kind}
        made = agency.post("/v1/achievements", **body, **said)
        last = other.post(f"/v1/achievements/{made['id']}/approve")
        if kind == "training":
            agency.post(f"/v1/achievements/{made['id']}/apply", on=day(30), ref="个案")
    assert agency.get(f"{career}{last['position']}")["tier"] == "PROFESSIONAL"
    agency.post("/v1/appointments", member_id=worker, unit="lake", from_=day(80), to="2099-12-31")

    # a grid worker reports, a social worker assesses, nobody comes, then a registered one does
    need = office.post(
        "/v1/needs", unit="reed", category="care", reported_by=grid, at=instant("08:00", 25)
    )
    path = f"/v1/needs/{need['id']}"
    assess = {"route": "professional", "certification_level": "assistant"}
    assert office.no(f"{path}/assess", assessor_id=grid, **assess) == "not_eligible"
    office.post(f"{path}/assess", assessor_id=assessor, at=instant("08:45", 25), **assess)
    order = all.order(
        office, resident, 25, need_id=need["id"], hold_credits=120, supervisor_id=worker
    )
    path = f"/v1/orders/{order}"
    for start, end, whom, voice in (
        ("09:05", "09:10", "agency", agency),
        ("09:15", "09:20", "team", team),
    ):
        office.post(f"{path}/dispatch", organisation=whom, at=instant(start, 25))
        voice.post(f"{path}/decline", reason="人手不足", at=instant(end, 25))
    office.post(f"{path}/dispatch", organisation="team", at=instant("09:25", 25))
    assert team.no(f"{path}/accept", member_id=volunteers[0]) == "not_registered"
    jobs(day(24), "orders")
    assert team.no(f"{path}/accept", member_id=volunteers[0]) == "wrong_state"
    office.post(f"{path}/dispatch", organisation="agency", at=instant("11:30", 25))
    agency.post(f"{path}/accept", member_id=worker, at=instant("11:40", 25))
    assert agency.no(f"{path}/check-in", at="2099-01-01T00:00:00Z") == "in_the_future"
    assert agency.no(f"{path}/check-out") == "wrong_state"
    agency.post(f"{path}/check-in", at=instant("14:15", 25))
    assert office.no(f"{path}/rate", stars=1) == "wrong_state"
    out = agency.post(f"{path}/check-out", at=instant("15:55", 25))
    assert out["service_record"]["paid_from_hold"] == 100
    assert office.post(f"{path}/rate", stars=2, at=instant("18:00", 25))["frozen"] == 100
    assert office.no(f"{path}/decide", outcome="upheld", reason="属实") == "second_person_needed"
    decided = agency.post(f"{path}/decide", outcome="upheld", reason="未按约定")
    assert decided["service_record"]["status"] == "reversed"
    office.post(f"/v1/needs/{need['id']}/resolve", reason="另行安排")
    trail = timebank(f"audit trail --correlation {need['correlation_id']} --limit 50 --json").json
    chain = [event["type"] for event in trail["data"]]
    assert chain[0] == "NeedReported"
    assert {"OrderTimedOut", "OrderDisputed", "HoursReversed"} <= set(chain)

    # the team is good at first, and falls; then its records wait for a second person
    for ago in (20, 19, 18):
        order = all.order(office, resident, ago)
        all.served(office, team, order, volunteers[0], ago, "14:00", 5)
    for ago in (17, 16):
        team.post(
            "/v1/service-records",
            **visit | {"place": "reed"},
            receipt=f"V-{ago}",
            member_id=volunteers[1],
            started_at=instant("08:00", ago),
            ended_at=instant("13:00", ago),
            evidence="attested",
            supervisor_id=worker,
        )
    grade = "/v1/grades/organisation:team?min_position="
    computed = jobs(day(12), "grades")
    assert team.get(f"{grade}{computed}")["value"] == "G1"
    for ago in range(11, 5, -1):
        order = all.order(office, resident, ago)
        all.served(office, team, order, volunteers[0], ago, "14:30", 3)
    fallen = team.get(f"{grade}{jobs(day(3), 'grades')}")
    assert (fallen["value"], fallen["inputs"]["ratings"]) == ("G3", 9)
    posted = team.post(
        "/v1/service-records",
        **visit | {"place": "reed"},
        receipt="V-2",
        member_id=volunteers[1],
        started_at=instant("08:00", 2),
        ended_at=instant("09:00", 2),
        evidence="attested",
    )
    assert posted["status"] == "submitted"
    verify = f"/v1/service-records/{posted['id']}/verify"
    assert team.no(verify) == "second_person_needed"
    assert second.post(verify)["credits"] == 60
    appealed = team.post("/v1/grades/organisation:team/appeal", reason="交通管制")
    assert appealed["status"] == "open"

    field_work(agency, office, worker)
    seen = jobs(day(1), "orders", "grades", "index")
    for unit in (None, "west", "lake", "reed"):
        at = "" if unit is None else f"&unit={unit}"
        board = all.auditor.get(f"/v1/kpis?min_position={seen}{at}")["data"]
        assert len(board) == 33
        assert differences(board, lambda link: followed(all.auditor, link)) == []
    whole = {kpi["id"]: kpi for kpi in all.auditor.get(f"/v1/kpis?min_position={seen}")["data"]}
    assert whole["satisfaction_rate"]["value"] == 3_000  # 3 of 10
    assert whole["acceptance_rate"]["numerator"] == 10
    assert whole["time_to_assess_minutes"]["value"] == 4_500
    assert whole["tiers"]["inputs"]["PROFESSIONAL"] == 1
    assert whole["targets"]["inputs"]["targets"][0]["actual"] == 1
    (target,) = all.auditor.get("/v1/targets?unit=west&kpi=pairs")["data"]
    assert (target["value"], target["actual"]) == (2, 1)
    assert all.auditor.get(f"/v1/targets/{target['id']}")["actual"] == 1
    explained(all.auditor, fallen)
    indexes = all.auditor.get("/v1/supervision-index?unit=west")["data"]
    assert {index["unit"] for index in indexes} >= {"west", "lake"}
    for index in indexes:
        year, month = map(int, index["month"].split("-"))
        last = f"{index['month']}-{monthrange(year, month)[1]}"
        recount = Recount(followed(all.auditor, index["events"]), index["unit"], last)
        assert index["inputs"] == recount.index_inputs(index["month"])


def field_work(agency: Voice, office: Voice, worker: str) -> None:
    """What else the district does."""
    project = agency.post(
        "/v1/projects", title="银龄课堂", unit="lake", category="care", on=day(60)
    )
    for stage in ("design", "implementation", "incubated"):
        agency.post(f"/v1/projects/{project['id']}/advance", stage=stage, on=day(50))
    done = agency.post(
        "/v1/conversions",
        unit="reed",
        category="care",
        supervisor_id=worker,
        on=day(45),
        ref="督导-1",
    )
    for stage in ("training", "redesign"):
        path = f"/v1/conversions/{done['id']}/advance"
        agency.post(path, stage=stage, on=day(44), ref=stage)
    agency.post(
        "/v1/agreements",
        community="reed",
        agency="agency",
        version="1",
        hash=HASH,
        from_=day(60),
        to="2099-12-31",
    )
    agency.post("/v1/partners", name="菜场", kind="partner", unit="lake", from_=day(60))
    agency.post("/v1/partners", name="实训基地", kind="base", unit="west", from_=day(60))
    agency.post(
        "/v1/experts",
        member_id=worker,
        speciality="老年",
        unit="lake",
        from_=day(60),
        to="2099-12-31",
    )
    office.post(
        "/v1/meetings",
        unit="lake",
        on=day(30),
        topic="助老",
        resolutions=[{"text": "增设助浴点", "responsible": "staff-7"}],
    )
    agency.post("/v1/targets", kpi="pairs", unit="west", value=2, due_on="2099-12-31")
    body = {"member_id": worker, "title": "独居老人", "category": "care", "summary": "陪伴"}
    agency.post("/v1/cases", **body, on=day(20))


def followed(auditor: Voice, link: str) -> Events:
    """All events behind a link, page by page."""
    found: Events = []
    after = 0
    while True:
        page = auditor.get(f"{link}&after={after}&limit=500")["data"]
        found += page
        if len(page) < 500:
            return found
        after = page[-1]["position"]


def explained(auditor: Voice, grade: dict[str, Any]) -> None:
    """A grade's inputs, counted by hand from the events that it names."""
    events = followed(auditor, grade["events"])
    recount = Recount(events, None, grade["as_of"])
    mine = [e for e in recount.of("OrderRated") if e["dispatched_to"] == "team"]
    served = [e for e in recount.of("OrderCheckedIn") if e["organisation"] == "team"]
    minutes = sum(
        e["minutes"]
        for e in recount.of("HoursVerified", "SubmittedHoursVerified", "HoursReversed")
        if e["organisation"] == "team" and grade["window_from"] <= e["served_on"] <= grade["as_of"]
    )
    inputs = grade["inputs"]
    assert (inputs["ratings"], inputs["stars"]) == (len(mine), sum(e["stars"] for e in mine))
    assert (inputs["served"], inputs["punctual"]) == (
        len(served),
        sum(e["punctual"] for e in served),
    )
    assert inputs["minutes"] == minutes
    assert grade["score"] == round(grade["numerator"] / grade["denominator"])
