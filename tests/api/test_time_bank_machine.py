"""Hours over HTTP in any order, singly and in batches, against the model of track 1."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.commands import JoinMember
from ledger.settings import Settings
from ledger.units import instant_text
from tests.api.house import CLI, Caller, House, Said, made, opened, register
from tests.desk.bureau import Clock
from tests.desk.model import MONDAY, Actor, Model, Person, Service, answered
from tests.desk.test_time_bank_machine import CHANGES, MIDNIGHT, REWARDS, at_tick, services
from tests.rounds import rounds
from tests.rules.town import LI, ZHANG

NOW = MIDNIGHT + timedelta(days=8, hours=12)
WANG, ZHAO, SUN = Actor("Wang"), Actor("Zhao"), Actor("Sun")
RECORDS = "/v1/service-records"
REDEMPTIONS = "/v1/redemptions"


class Asked(RuleBasedStateMachine):
    """One served ledger; each step is a request, each answer what the model says."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.house: House = self.runner.run(self._open())
        self.model = Model({ZHANG: Person(), LI: Person()}, MONDAY + timedelta(days=8), 10**9)
        self.requests = 0
        for code, offered in REWARDS.items():
            self.model.rewards[code] = replace(offered)
            body = {
                "code": code,
                "name": code,
                "kind": "peer_service" if offered.peer_service else "benefit",
                "credits": offered.price,
                "stock": offered.stock,
            }
            assert self.ask(self.house.verifier, "/v1/rewards", body).status == 201

    async def _open(self) -> House:
        folder = Path(self.folder.name)
        given = Settings(
            database_url=f"sqlite:///{folder / 'timebank.db'}",
            keys_file=folder / "timebank-keys.json",
            log_level="error",
        )
        made(given)
        house = await self.stack.enter_async_context(opened(given, Clock(NOW)))
        for member in (ZHANG, LI):
            register(house, member)
            house.write(
                JoinMember(**CLI, member_id=member, organisation="org-b", consent_ref="c-1")
            )
        return house

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def ask(self, caller: Caller, path: str, body: Any) -> Said:
        """A POST, sent twice under one key: the second answer is the first, if it was kept."""
        self.requests += 1
        once = f"k-{self.requests}"
        first = self.runner.run(caller.post(path, body, once=once))
        again = self.runner.run(caller.post(path, body, once=once))
        assert (again.status, again.headers.get("Idempotent-Replayed") == "true") == (
            first.status,
            first.status < 300,
        )
        if first.status < 300:
            assert again.body == first.body
        return first

    def get(self, path: str) -> Any:
        mark = "&" if "?" in path else "?"
        path = f"{path}{mark}min_position={self.house.position}"
        said = self.runner.run(self.house.auditor.get(path))
        assert said.status == 200, said.body
        return said.json

    def same(self, said: Any, record: Any) -> None:
        """A record as it is answered is the model's."""
        assert (said["id"], said["status"]) == (record.id, record.status)
        for name in ("minutes", "overlap_minutes", "credits", "capped", "overflowed"):
            assert said[name] == record.figures.get(name)

    # -- steps ---------------------------------------------------------------------------------

    @rule(
        by=st.sampled_from([WANG, SUN]),
        posted=st.lists(
            st.tuples(st.sampled_from([f"r-{n}" for n in range(20)]), services),
            min_size=1,
            max_size=4,
        ),
        together=st.booleans(),
    )
    def post(self, by: Actor, posted: list[tuple[str, Service]], together: bool) -> None:
        caller, organisation = self.who(by)
        bodies = [_body(receipt, said) for receipt, said in posted]
        if together:
            batch = self.ask(caller, "/v1/service-record-batches", {"items": bodies})
            results = batch.json["results"]
        else:
            results = [_result(self.ask(caller, RECORDS, body)) for body in bodies]
        for (receipt, said), result in zip(posted, results, strict=True):
            before = self.model.receipts.get((organisation, receipt))
            id = result.get("id", "none")
            stands, refused = answered(
                partial(self.model.post, by, organisation, receipt, id, said)
            )
            if refused is not None:
                assert result["problem"]["code"] == refused
                continue
            assert result["status"] == ("accepted" if before is None else "replayed")
            self.same(self.get(f"{RECORDS}/{result['id']}"), stands)

    @precondition(lambda self: self.model.records)
    @rule(data=st.data(), verb=st.sampled_from(["verify", "verify", "reject", "reverse"]))
    def decide(self, data: st.DataObject, verb: str) -> None:
        record = self.drawn(data)
        path = f"{RECORDS}/{record.id}/{verb}"
        if record.organisation != "org-a":
            assert self.ask(self.house.verifier, path, {"reason": "核对"}).status == 404
            return
        said = self.ask(self.house.verifier, path, {"reason": "核对"})
        _, refused = answered(lambda: getattr(self.model, verb)(ZHAO, record.id))
        if refused is not None:
            assert (said.status, said.code) == (409, refused)
        else:
            self.same(said.json, record)

    @precondition(lambda self: any(r.organisation == "org-a" for r in self.model.records.values()))
    @rule(data=st.data(), other=services, whole=st.booleans())
    def correct(self, data: st.DataObject, other: Service, whole: bool) -> None:
        mine = [id for id, r in self.model.records.items() if r.organisation == "org-a"]
        record = self.model.records[data.draw(st.sampled_from(mine))]
        names = ("category", "capacity") if not whole else tuple(vars(other))
        changed = {name: getattr(other, name) for name in names}
        body = _body("", other)
        sent = {name: body[name] for name in ("category", "capacity")}
        if whole:
            del body["receipt"], body["activity"], body["place"], body["responsible"]
            sent = body | {"redemption_id": other.redemption}  # null: it cites none any more
        path = f"{RECORDS}/{record.id}/correct"
        said = self.ask(self.house.verifier, path, {"reason": "更正", **sent})
        id = said.json["replacement"]["id"] if said.status == 200 else "none"
        replacement, refused = answered(lambda: self.model.correct(ZHAO, record.id, id, changed))
        if refused is not None:
            assert (said.status, said.code) == (409, refused)
        else:
            self.same(said.json["reversed"], record)
            self.same(said.json["replacement"], replacement)

    @rule(
        reward=st.sampled_from(["care", "care", "rice"]),
        quantity=st.integers(1, 3),
        verb=st.sampled_from(["fulfil", "fulfil", "cancel", "leave"]),
        credits=st.sampled_from([None, None, 5, 30]),
        earned=services,
        paid=services,
    )
    def redeem(
        self,
        reward: str,
        quantity: int,
        verb: str,
        credits: int | None,
        earned: Service,
        paid: Service,
    ) -> None:
        """Zhang earns and redeems; Li is paid and posts, or the credits are back, or they wait."""
        number = len(self.model.redemptions)
        self.post(WANG, [(f"for-{number}", replace(earned, member=ZHANG))], together=False)
        body = {"member_id": ZHANG, "reward": reward, "quantity": quantity}
        said = self.ask(self.house.poster, REDEMPTIONS, body)
        id = said.json.get("id", "none")
        if self.refused(said, lambda: self.model.reserve(id, ZHANG, reward, quantity)):
            return
        path = f"{REDEMPTIONS}/{id}"
        if verb == "cancel":
            said = self.ask(self.house.poster, f"{path}/cancel", {"reason": "有事"})
            assert not self.refused(said, lambda: self.model.cancel(id))
        elif verb == "fulfil":
            provider = LI if reward == "care" else None
            asked = {"credits": credits, "provider_id": provider}
            said = self.ask(self.house.poster, f"{path}/fulfil", asked)
            if not self.refused(said, lambda: self.model.fulfil(id, credits, provider)):
                served = replace(paid, member=LI, redemption=id)
                self.post(WANG, [(f"paid-{number}", served)], together=number % 2 == 0)
        stands, seen = self.model.redemptions[id], self.get(path)
        assert {name: seen[name] for name in ("status", "paid", "provider_id", "record_id")} == {
            "status": stands.status,
            "paid": stands.paid,
            "provider_id": stands.provider,
            "record_id": stands.cited_by,
        }

    def refused(self, said: Said, modelled: Callable[[], object]) -> bool:
        """Did both say no, and the same?"""
        _, refused = answered(modelled)
        assert (said.code if said.status >= 400 else None) == refused, said.body
        return refused is not None

    @rule(changes=st.sampled_from([c for c in CHANGES if "late_recording" not in c]))
    def publish(self, changes: dict[str, Any]) -> None:
        body = {"effective_on": "2026-02-01", "changes": changes}
        assert self.ask(self.house.admin, "/v1/policies", body).status == 201
        self.model.policies.append((MONDAY - timedelta(days=29), changes))

    def who(self, actor: Actor) -> tuple[Caller, str]:
        house = self.house
        return (house.poster, "org-a") if actor is WANG else (house.other_poster, "org-b")

    def drawn(self, data: st.DataObject) -> Any:
        return self.model.records[data.draw(st.sampled_from(list(self.model.records)))]

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def balances_and_books_are_the_models(self) -> None:
        books = self.get("/v1/audit/trial-balance")
        assert books["sum"] == 0
        accounts = {one["account"]: one["credits"] for one in books["accounts"]}
        assert accounts.get("pool:donation", 0) == self.model.pool
        assert accounts.get("issue:service", 0) == -self.model.issued
        for member, person in self.model.people.items():
            balance = self.get(f"/v1/members/{member}/balance")
            assert balance["service_minutes"] == person.minutes
            assert balance["credits"]["available"] == person.available
            assert balance["credits"]["held"] == person.held
            assert balance["credits"]["available"] == accounts.get(f"person:{member}:available", 0)
            lines = self.get(f"/v1/members/{member}/passbook?limit=500")["data"]
            assert sum(line["credits"] for line in lines) == person.available
            assert sum(line["minutes"] for line in lines) == person.minutes
            if lines:
                assert lines[-1]["balance_after"] == person.available


def _body(receipt: str, said: Service) -> dict[str, Any]:
    return {
        "receipt": receipt,
        "member_id": said.member,
        "activity": "陪伴",
        "category": said.category,
        "place": "lake",
        "responsible": "staff-7",
        "started_at": instant_text(at_tick(said.start)),
        "ended_at": instant_text(at_tick(said.start + said.length)),
        "break_minutes": said.break_minutes,
        "capacity": said.capacity,
        "evidence": said.evidence,
        **({} if said.redemption is None else {"redemption_id": said.redemption}),
    }


def _result(said: Said) -> dict[str, Any]:
    """A single post's answer in the words of a batch's results."""
    if said.status >= 400:
        return {"status": "refused", "problem": said.json}
    return {"status": "accepted" if said.status == 201 else "replayed", "id": said.json["id"]}


def test_what_is_asked_over_http_comes_to_what_the_model_says() -> None:
    run_state_machine_as_test(
        Asked,
        settings=settings(
            max_examples=rounds(8),
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
