"""A town in which all that a path or a body can name is there, is org-a's, and bears its mark."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from ledger import store, webhooks
from ledger.units import new_id, recorded_text
from tests.api.house import NOBODYS_KEY, Caller, House, Said
from tests.api.visits import day, instant, visit

MARK = "planted-a"
"""Stands in every text of org-a's that is for itself and for those whom it concerns."""

NAME = "赵铭planted"
DOCUMENT = "370212196603120044"
PHONE = "13911122044"
BORN = "1966-03-12"
REF = "ref-planted-a-1"
PERSONAL = (NAME, DOCUMENT, PHONE, BORN, REF)
"""Who the member is: for the home organisation (masked), the member and administrators alone."""

TERM = {"from": day(60), "to": "2199-12-31"}
REASON = {"reason": f"因由 {MARK}"}


@dataclass
class Town:
    """What stands where, and who asks."""

    house: House
    ids: dict[str, str] = field(default_factory=dict)  # by the name that paths and bodies say
    public: set[str] = field(default_factory=set)  # names of ids that everybody may be told
    callers: dict[str, Caller] = field(default_factory=dict)

    def private(self) -> dict[str, str]:
        """The ids that only those are told whom they concern."""
        return {name: id for name, id in self.ids.items() if name not in self.public}


async def settled(house: House) -> Town:
    """The town, once its views have read all of it."""
    town = Town(house)
    _callers(town)
    await _people(town)
    await _services(town)
    await _credits(town)
    await _orders(town)
    await _careers(town)
    await _field(town)
    await _papers(town)
    await _others(town)
    await _bank(town)
    _webhook(town)
    said = await house.auditor.get(f"/v1/units?min_position={house.position}")
    assert said.status == 200, said.body
    return town


def _callers(town: Town) -> None:
    house = town.house
    revoked = house.caller(role="admin", actor="Gone")
    assert revoked.key is not None
    house.revoke(revoked.key)
    past = date.fromisoformat(day(3))
    town.callers = {
        "no key": house.stranger,
        "malformed": house.with_key("tbk_live_nonsense"),
        "unknown": house.with_key(NOBODYS_KEY),
        "revoked": revoked,
        "expired": house.caller(role="admin", actor="Past", expires_on=past),
        "A poster": house.poster,
        "A verifier": house.verifier,
        "auditor": house.auditor,
        "admin": house.admin,
    }
    for letter, organisation in (("B", "org-b"), ("C", "org-c"), ("D", "org-d")):
        for role in ("poster", "verifier"):
            actor = f"{letter} {role}"
            town.callers[actor] = house.caller(role=role, actor=actor, organisation=organisation)
    for name in ("maker", "second"):
        town.callers[name] = house.caller(role="verifier", actor=name, organisation="org-a")
    town.callers["proposer"] = house.caller(role="admin", actor="proposer")


async def mirrored(town: Town) -> dict[str, str]:
    """The town's ids, with org-b's own in the places of org-a's: all that bodies and paths name."""
    house = town.house
    maker = house.caller(role="verifier", actor="B maker", organisation="org-b")
    second = house.caller(role="verifier", actor="B second", organisation="org-b")
    ids = dict(town.ids)
    for name in ("me", "kin", "other", "server", "worker"):
        roles = ["social_worker"] if name == "worker" else ["volunteer", "resident"]
        body = {"external_ref": f"b-{name}", "roles": roles, "unit": "lake"}
        ids[name] = (await made(await maker.post("/v1/members", body)))["id"]
    for days_ago, name in enumerate(("record", "second record"), 10):
        body = visit("09:00", "12:00", days_ago=days_ago, member_id=ids["me"])
        ids[name] = (await made(await maker.post("/v1/service-records", body)))["id"]
    need = {"unit": "lake", "category": "c", "reported_by": ids["me"], "at": instant("08:00", 8)}
    ids["need"] = (await made(await maker.post("/v1/needs", need)))["id"]
    order = {
        **{"recipient_id": ids["me"], "activity": "a", "category": "c", "unit": "lake"},
        **{"responsible": "s", "planned_from": instant("10:00", 8)},
        **{"planned_to": instant("11:00", 8), "at": instant("08:00", 8)},
    }
    ids["dispatched order"] = (await made(await maker.post("/v1/orders", order)))["id"]
    sent = {"organisation": "org-b", "at": instant("08:10", 8)}
    await made(await maker.post(f"/v1/orders/{ids['dispatched order']}/dispatch", sent))
    relation = {"relation": "parent", "to": ids["kin"], "evidence_ref": "e"}
    await made(await maker.post(f"/v1/members/{ids['me']}/relations", relation))
    reward = {"code": "care-b", "name": "n", "kind": "peer_service", "credits": 10}
    ids["reward"] = (await made(await maker.post("/v1/rewards", reward)))["code"]
    redemption = {"member_id": ids["me"], "reward": "care-b", "provider_id": ids["server"]}
    ids["redemption"] = (await made(await maker.post("/v1/redemptions", redemption)))["id"]
    seat = {"member_id": ids["me"], "unit": "lake", **TERM}
    await made(await maker.post("/v1/appointments", seat))
    programme = {"name": "n", "unit": "lake", **TERM}
    ids["programme"] = (await made(await maker.post("/v1/programmes", programme)))["id"]
    path = f"/v1/programmes/{ids['programme']}/enrol"
    await made(await maker.post(path, {"member_id": ids["me"], "on": day(9)}))
    achieved = {"member_id": ids["me"], "kind": "case", "on": day(5), "ref": "r"}
    ids["achievement"] = (await made(await maker.post("/v1/achievements", achieved)))["id"]
    await made(await second.post(f"/v1/achievements/{ids['achievement']}/approve", {}))
    return ids


async def made(said: Said) -> Any:
    """What an answer to a write tells."""
    assert said.status in (200, 201, 204), said.body
    return said.json if said.body else None


async def _people(town: Town) -> None:
    house, admin, ids = town.house, town.house.admin, town.ids
    for code, kind in (("org-c", "social_work"), ("org-d", "volunteer")):
        body = {"code": code, "name": f"{code} 公开", "kind": kind, "unit": "lake"}
        await made(await admin.post("/v1/organisations", body))
    person = {"name": NAME, "document_number": DOCUMENT, "birth_date": BORN, "phone": PHONE}
    seat = {"roles": ["volunteer", "resident"], "unit": "lake"}
    body = {**seat, "external_ref": REF, "person": person}
    ids["me"] = (await made(await house.poster.post("/v1/members", body)))["id"]
    joining = body | {"external_ref": "c-1", "consent_ref": "同意 c"}
    await made(await town.callers["C poster"].post("/v1/members", joining))
    for name in ("kin", "worker", "server", "other", "frozen", "closed", "erased"):
        roles = ["social_worker"] if name == "worker" else ["volunteer", "resident"]
        body = {"external_ref": f"{MARK}-{name}", "roles": roles, "unit": "lake"}
        ids[name] = (await made(await house.poster.post("/v1/members", body)))["id"]
    town.public.add("worker")  # cases, conversions and experts name her, for all to find
    for letter in "BCD":
        body = {"external_ref": f"own-{letter}", "roles": ["volunteer"], "unit": "lake"}
        said = await town.callers[f"{letter} poster"].post("/v1/members", body)
        ids[f"member of {letter}"] = (await made(said))["id"]
        town.public.add(f"member of {letter}")  # no secret of org-a's
    for name in ("me", "other", "frozen", "closed", "erased"):
        town.callers[name] = house.caller(role="member", actor=name, member_id=ids[name])


async def _services(town: Town) -> None:
    house, ids = town.house, town.ids
    maker, me = town.callers["maker"], town.callers["me"]

    async def record(
        name: str, who: str, days_ago: int, caller: Caller = maker, **other: Any
    ) -> None:
        mark = MARK if who == "me" else who
        own = {"activity": f"陪伴 {mark}", "responsible": f"staff {mark}"}
        body = visit("09:00", "12:00", days_ago=days_ago, member_id=ids[who], **(own | other))
        body["receipt"] = f"{mark} {name}"
        ids[name] = (await made(await caller.post("/v1/service-records", body)))["id"]

    for days_ago, name in enumerate(("record", "second record", "third record"), 10):
        await record(name, "me", days_ago)
    await record("waiting record", "me", 9, evidence="backfilled")
    for days_ago, name in enumerate(("frozen", "server", "other", "worker"), 20):
        await record(f"record of {name}", name, days_ago)
    path = f"/v1/service-records/{ids['record']}/correction-requests"
    ids["request"] = (await made(await me.post(path, REASON)))["id"]
    own = {"activity": "陪伴 c", "responsible": "staff c", "receipt": "c-1"}
    body = visit("09:00", "10:00", days_ago=30, member_id=ids["me"], **own)
    said = await made(await town.callers["C poster"].post("/v1/service-records", body))
    ids["record of C"] = said["id"]
    town.public.add("record of C")
    assert house.position > 0


async def _credits(town: Town) -> None:
    house, ids, admin = town.house, town.ids, town.house.admin
    verifier, me = town.callers["maker"], town.callers["me"]
    policy = {"effective_on": "2026-01-01", "changes": {"grants": {"relief": 900}}}
    ids["policy"] = str((await made(await admin.post("/v1/policies", policy)))["version"])
    body = {"relation": "parent", "to": ids["kin"], "evidence_ref": f"户口簿 {MARK}"}
    await made(await verifier.post(f"/v1/members/{ids['me']}/relations", body))
    consent = {"purpose": "sharing", "consent_ref": f"同意书 {MARK}"}
    said = await made(await verifier.post(f"/v1/members/{ids['me']}/consents", consent))
    ids["consent"] = str(said["position"])
    gift = {"kind": "gift", "to": ids["kin"], "credits": 5} | REASON
    ids["transfer"] = (await made(await me.post("/v1/transfers", gift)))["id"]
    grant = {"kind": "grant", "fund": "relief", "to": ids["kin"], "credits": 9} | REASON
    proposed = await town.callers["proposer"].post("/v1/transfers", grant)
    ids["grant"] = (await made(proposed))["id"]
    reward = {"code": "tea-a", "name": "茶 公开", "kind": "benefit", "credits": 10, "stock": 50}
    await made(await verifier.post("/v1/rewards", reward))
    ids["reward"] = "tea-a"
    town.public.add("reward")
    redemption = {"member_id": ids["me"], "reward": "tea-a"}
    ids["redemption"] = (await made(await me.post("/v1/redemptions", redemption)))["id"]
    for name, credits in (("me", 7), ("frozen", None)):
        body = {"credits": credits} | REASON
        await made(await admin.post(f"/v1/members/{ids[name]}/freeze", body))
    await made(await admin.post(f"/v1/members/{ids['closed']}/close", REASON))
    erased = f"/v1/members/{ids['erased']}/personal-data"
    await made(await admin.ask("DELETE", erased))
    assert house.position > 0


async def _orders(town: Town) -> None:
    ids, maker, me = town.ids, town.callers["maker"], town.callers["me"]

    async def need(name: str, *steps: tuple[str, dict[str, Any]]) -> None:
        body = {"unit": "lake", "category": f"类 {MARK}", "reported_by": ids["me"]}
        body |= {"at": instant("08:00", 8), "description_ref": f"附件 {MARK}"}
        ids[name] = (await made(await maker.post("/v1/needs", body)))["id"]
        for verb, said in steps:
            await made(await maker.post(f"/v1/needs/{ids[name]}/{verb}", said))

    async def order(name: str, clock: int, *steps: str, **other: Any) -> None:
        body = other | {
            **{"recipient_id": ids["me"], "activity": f"陪诊 {MARK}", "category": "elderly"},
            **{"unit": "lake", "responsible": f"staff {MARK}", "hold_credits": 10},
            **{
                "planned_from": instant(f"{clock:02}:00", 8),
                "planned_to": instant(f"{clock:02}:50", 8),
            },
            **{"at": instant("08:06", 8)},
        }
        ids[name] = (await made(await maker.post("/v1/orders", body)))["id"]
        told: dict[str, dict[str, Any]] = {
            "dispatch": {"organisation": "org-a", "at": instant("08:10", 8)},
            "accept": {"member_id": ids["server"], "at": instant("08:20", 8)},
            "check-in": {"at": instant(f"{clock:02}:00", 8)},
            "check-out": {"at": instant(f"{clock:02}:50", 8)},
        }
        for verb in steps:
            await made(await maker.post(f"/v1/orders/{ids[name]}/{verb}", told[verb]))

    await need("need")
    assessed = {"assessor_id": ids["worker"], "route": "volunteer", "at": instant("08:05", 8)}
    await need("ordered need", ("assess", assessed))
    steps = ("dispatch", "accept", "check-in", "check-out")
    body = {"title": "走访 公开", "unit": "lake", "category": "elderly", "on": day(20)}
    ids["served project"] = (await made(await maker.post("/v1/projects", body)))["id"]
    town.public.add("served project")
    which = {"need_id": ids["ordered need"], "project_id": ids["served project"]}
    await order("order", 9, **which)
    await order("dispatched order", 10, *steps[:1])
    await order("accepted order", 11, *steps[:2])
    await order("order in service", 12, *steps[:3])
    await order("completed order", 13, *steps)
    await order("disputed order", 14, *steps)
    await made(await me.post(f"/v1/orders/{ids['disputed order']}/dispute", REASON))


async def _careers(town: Town) -> None:
    ids, maker, second = town.ids, town.callers["maker"], town.callers["second"]

    async def certificate(name: str, level: str, *steps: tuple[str, dict[str, Any]]) -> None:
        body = {"member_id": ids["me"], "level": level, "obtained_on": "2020-05-01"}
        body |= {"certificate_ref": f"证书 {MARK}"}
        ids[name] = (await made(await maker.post("/v1/certifications", body)))["id"]
        for verb, said in steps:
            await made(await second.post(f"/v1/certifications/{ids[name]}/{verb}", said))

    first = date.fromisoformat(day()) - timedelta(days=3 * 365 - 10)  # it ends in some days
    registered = ("register", {"registered_on": first.isoformat()})
    await certificate("certification", "assistant")
    await certificate("verified certification", "assistant", ("verify", {}))
    await certificate("registered certification", "social_worker", ("verify", {}), registered)

    async def achieved(name: str, *verbs: str) -> None:
        body = {"member_id": ids["me"], "kind": "training", "on": day(5), "hours": 4}
        body |= {"ref": f"培训 {MARK}"}
        ids[name] = (await made(await maker.post("/v1/achievements", body)))["id"]
        for verb in verbs:
            await made(await second.post(f"/v1/achievements/{ids[name]}/{verb}", {}))

    await achieved("achievement")
    await achieved("approved achievement", "approve")
    for name in ("me", "worker"):
        body = {"member_id": ids[name], "unit": "lake", **TERM}
        key = "appointment" if name == "me" else "worker's appointment"
        ids[key] = (await made(await maker.post("/v1/appointments", body)))["id"]
    body = {"mentor_id": ids["kin"], "mentee_id": ids["me"], "from": day(20)}
    ids["mentorship"] = (await made(await maker.post("/v1/mentorships", body)))["id"]
    graded = {"grade": "G2", "until": "2199-12-31"} | REASON
    for subject in (f"member:{ids['me']}", "organisation:org-a"):
        await made(await town.house.admin.post(f"/v1/grades/{subject}/override", graded))
    appeal = "/v1/grades/organisation:org-a/appeal"
    ids["appeal"] = (await made(await maker.post(appeal, REASON)))["id"]


async def _field(town: Town) -> None:
    ids, maker = town.ids, town.callers["maker"]
    term = {"unit": "lake", **TERM}
    filed: dict[str, tuple[str, dict[str, Any]]] = {
        "case": (
            "/v1/cases",
            {
                **{"member_id": ids["worker"], "title": "案例 公开", "category": "elderly"},
                **{"summary": "经过 公开", "on": day(9)},
            },
        ),
        "project": (
            "/v1/projects",
            {"title": "探访 公开", "unit": "lake", "category": "elderly", "on": day(20)},
        ),
        "conversion": (
            "/v1/conversions",
            {
                **{"unit": "lake", "category": "elderly", "supervisor_id": ids["worker"]},
                **{"on": day(20), "ref": "督导 公开"},
            },
        ),
        "programme": ("/v1/programmes", {"name": "行动 公开", **term}),
        "target": ("/v1/targets", {"kpi": "cases", "value": 3, "due_on": "2199-12-31"}),
        "agreement": (
            "/v1/agreements",
            {
                "community": "lake",
                "agency": "org-b",
                "version": "公开-1",
                "hash": "ab" * 32,
                **TERM,
            },
        ),
        "meeting": (
            "/v1/meetings",
            {
                **{"unit": "lake", "on": day(20), "topic": "议题 公开"},
                "resolutions": [{"text": "决议 公开", "responsible": "社区"}],
            },
        ),
        "partner": ("/v1/partners", {"name": "基地 公开", "kind": "base", **term}),
        "expert": (
            "/v1/experts",
            {"member_id": ids["worker"], "speciality": "老年 公开", **term},
        ),
    }
    for name, (path, body) in filed.items():
        ids[name] = (await made(await maker.post(path, body)))["id"]
        town.public.add(name)
    path = f"/v1/programmes/{ids['programme']}/enrol"
    await made(await maker.post(path, {"member_id": ids["me"], "on": day(9)}))


async def _papers(town: Town) -> None:
    ids, maker = town.ids, town.callers["maker"]
    period = {"from": day(40), "to": day(0)}
    said = await made(await maker.post(f"/v1/members/{ids['me']}/statements", period))
    ids["statement"], ids["code"] = said["number"], said["code"]
    path = f"/v1/certifications/{ids['registered certification']}/credential"
    ids["credential"] = (await made(await maker.post(path)))["number"]


async def _others(town: Town) -> None:
    """What is org-d's, which is suspended from then on."""
    ids, poster = town.ids, town.callers["D poster"]
    own = {"activity": "陪伴 d", "responsible": "staff d", "receipt": "d-1"}
    body = visit("09:00", "10:00", days_ago=12, member_id=ids["member of D"], **own)
    ids["record of D"] = (await made(await poster.post("/v1/service-records", body)))["id"]
    town.public.add("record of D")
    said = await town.house.admin.post("/v1/organisations/org-d/suspend", {"reason": "核查"})
    await made(said)


def _webhook(town: Town) -> None:
    """Where org-a's events are delivered, and one that was given up on."""
    ids, maker = town.ids, town.callers["maker"].key
    assert maker is not None
    ids["webhook"], ids["dead letter"] = new_id(), ids["event"]
    town.public.add("dead letter")  # a position
    now = datetime.now(UTC)
    with town.house.ledger.store.writing() as db:
        webhooks.create(
            db,
            id=ids["webhook"],
            organisation="org-a",
            url=f"https://receiver.example.org/{MARK}",
            types=None,
            position=0,
            at=now,
            created_by=maker.id,
        )
        lost = {"webhook_id": ids["webhook"], "position": int(ids["dead letter"])}
        told = {"at": recorded_text(now), "reason": MARK}
        db.execute(insert(store.webhook_dead_letters).values(**lost, **told, attempts=9))
        again = webhooks.Attempt(lost["position"], now, None, MARK, 1)
        webhooks.letter_tried(db, ids["webhook"], again)


async def _bank(town: Town) -> None:
    """What is the bank's own: periods, a checkpoint; and ids that are nobody's."""
    ids, house = town.ids, town.house
    await made(await house.admin.post("/v1/periods/2021-02/close", {"reason": "月结"}))
    page = await made(
        await house.admin.get(
            f"/v1/audit/events?record_id={ids['record']}&min_position={house.position}"
        )
    )
    ids["event"] = str(page["data"][0]["position"])
    ids["size"] = str((await house.ledger_signs()).size)
    ids["nobody"] = new_id()
    town.public |= {"nobody", "policy", "size", "event", "consent"}
