"""Who may come in, and what each role may."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from api.app import ROUTES
from api.contract import Route
from ledger.keys import ROLES, Key, find_key, list_keys
from ledger.opening import open_ledger
from ledger.settings import Settings
from ledger.units import recorded_text
from tests.api.house import NOBODYS_KEY, House, made, opened

TODAY = date(2026, 3, 10)

# what the routes of this module's floor answer to a role that may, at the least
BODIES = {
    "add_unit": {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"},
    "add_organisation": {"code": "uni", "name": "大学", "kind": "university", "unit": "lake"},
    "suspend_organisation": {"reason": "待核查"},
    "resume_organisation": {},
    "publish_policy": {"effective_on": "2026-06-01", "changes": {"rounding": "exact"}},
}
QUERIES = {"policy_at": "?date=2026-03-10", "get_event": "?min_position=5"}
MATRIX = {
    "add_unit": {"admin"},
    "list_units": set(ROLES),
    "get_unit": set(ROLES),
    "add_organisation": {"admin"},
    "list_organisations": set(ROLES),
    "get_organisation": set(ROLES),
    "suspend_organisation": {"admin"},
    "resume_organisation": {"admin"},
    "publish_policy": {"admin"},
    "list_policies": set(ROLES),
    "policy_at": set(ROLES),
    "list_policy_packs": set(ROLES),
    "get_policy": set(ROLES),
    "list_events": {"poster", "verifier", "auditor", "admin"},
    "get_event": {"poster", "verifier", "auditor", "admin"},
    "trial_balance": {"auditor", "admin"},
}
OPERATIONS = {route.operation: route for route in ROUTES}


def address(route: Route) -> str:
    code = "lake" if "units" in route.path else "org-a"
    path = route.path.format(code=code, version=1, position=5, id="", problem="")
    return path + QUERIES.get(route.operation, "")


@pytest.mark.parametrize("operation", MATRIX)
async def test_a_route_is_for_the_roles_of_the_contract(house: House, operation: str) -> None:
    route = OPERATIONS[operation]
    for role, caller in house.callers.items():
        if operation == "resume_organisation":
            suspended = await house.admin.post("/v1/organisations/org-a/suspend", {"reason": "x"})
            assert suspended.status in (200, 409)
        before = house.position
        said = await caller.ask(route.method, address(route), BODIES.get(operation))
        if role in MATRIX[operation]:
            assert 200 <= said.status < 300, (role, said.body)
        else:
            assert (said.status, said.code) == (403, "forbidden"), role
            assert house.position == before


@pytest.mark.parametrize("operation", MATRIX)
async def test_a_route_asks_for_a_key(house: House, operation: str) -> None:
    route = OPERATIONS[operation]
    said = await house.stranger.ask(route.method, address(route), BODIES.get(operation))
    assert (said.status, said.code) == (401, "unauthenticated")
    assert said.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_key_that_was_never_made_opens_nothing(house: House) -> None:
    good = house.admin.text
    assert good is not None
    other_secret = good[:-46] + ("A" * 40 if good[-46] != "A" else "B" * 40) + good[-6:]
    for text in (
        NOBODYS_KEY,
        "tbk_live_short",
        "",
        " ",
        "密钥",
        other_secret,
        good + "x",
        good[:-1],
    ):
        said = await house.with_key(text).get("/v1/units")
        assert said.status == 401, text


async def test_other_schemes_open_nothing(house: House) -> None:
    for header in (f"Basic {house.admin.text}", f"{house.admin.text}", f"Bearer{house.admin.text}"):
        said = await house.stranger.get("/v1/units", headers={"Authorization": header})
        assert said.status == 401, header


async def test_a_key_works_on_both_backends(each_house: House) -> None:
    assert (await each_house.admin.get("/v1/units")).status == 200
    assert (await each_house.with_key(NOBODYS_KEY).get("/v1/units")).status == 401


async def test_an_expired_key_opens_nothing(house: House) -> None:
    yesterday = date.today() - timedelta(days=2)  # noqa: DTZ011  (two days: in every zone)
    old = house.caller(role="admin", actor="Old", expires_on=yesterday)
    assert (await old.get("/v1/units")).status == 401


async def test_a_revoked_key_opens_nothing(house: House) -> None:
    gone = house.caller(role="admin", actor="Gone")
    assert gone.key
    house.revoke(gone.key)
    assert (await gone.get("/v1/units")).status == 401


async def test_a_key_that_is_revoked_while_it_is_in_use_is_heard_of(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = house.caller(role="admin", actor="Gone")
    assert gone.key
    assert (await gone.get("/v1/units")).status == 200
    house.revoke(gone.key)
    monkeypatch.setattr(house.ledger.keyring, "_clock", lambda: float("inf"))  # 50 ms later
    assert (await gone.get("/v1/units")).status == 401


async def test_authorisation_comes_before_what_is_wrong_with_the_request(house: House) -> None:
    said = await house.stranger.post("/v1/units?nonsense=1", raw=b"{")
    assert said.status == 401
    said = await house.poster.post("/v1/units?nonsense=1", raw=b"{")
    assert said.status == 403


async def test_an_organisation_cannot_be_posted_for_with_the_key_of_another(house: House) -> None:
    visit = {"organisation": "org-b", "receipt": "r", "member_id": house.member_id}
    visit |= {"activity": "a", "category": "c", "place": "lake", "responsible": "s"}
    visit |= {"started_at": "2026-10-01T14:00:00Z", "ended_at": "2026-10-01T15:00:00Z"}
    said = await house.poster.post("/v1/service-records", visit)
    assert (said.status, said.pointers) == (422, {"/organisation": "not_found"})
    said = await house.admin.post("/v1/service-records", {**visit, "organisation": None})
    assert (said.status, said.pointers) == (422, {"/organisation": "missing"})


# --- last use ------------------------------------------------------------------------------------


def last_used(house: House, key: Key | None) -> str | None:
    assert key is not None
    with house.ledger.store.reading() as connection:
        found = find_key(connection, key.id)
    assert found is not None
    return found.last_used_at


async def test_when_a_key_was_last_used_is_written_now_and_then(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.guard.USES_SECONDS", 0.05)
    settings = Settings(database_url=sqlite_url, keys_file=tmp_path / "keys.json")
    made(settings)
    async with opened(settings) as house:
        loop, written = asyncio.get_running_loop(), asyncio.Event()
        uses = house.ledger.keyring.uses
        keep = uses.keep

        def kept(writing: Any) -> int:
            if count := keep(writing):
                loop.call_soon_threadsafe(written.set)
            return count

        monkeypatch.setattr(uses, "keep", kept)
        assert (await house.admin.get("/v1/units")).status == 200
        await asyncio.wait_for(written.wait(), 30)
        assert last_used(house, house.admin.key) is not None
        assert last_used(house, house.auditor.key) is None


async def test_a_server_that_stops_writes_last_uses(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database_url, keys_file=tmp_path / "keys.json")
    made(settings)
    async with opened(settings) as house:
        before = recorded_text(datetime.now(UTC))
        assert (await house.member.get("/v1/units")).status == 200
        assert (await house.with_key(NOBODYS_KEY).get("/v1/units")).status == 401
        assert last_used(house, house.member.key) is None
        used = house.member.key
    with open_ledger(settings) as ledger, ledger.store.reading() as connection:
        uses = {key.id: key.last_used_at for key in list_keys(connection)}
    assert used is not None
    (at,) = (at for at in uses.values() if at is not None)
    assert uses[used.id] == at
    assert at >= before


async def test_a_server_whose_database_is_away_stops_without_last_uses(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def away() -> Iterator[None]:
        raise OperationalError("BEGIN", None, Exception("away"))
        yield

    assert (await house.member.get("/v1/units")).status == 200
    monkeypatch.setattr(house.ledger.store, "writing", away)
    house.door.keep_uses()
    monkeypatch.undo()
    assert last_used(house, house.member.key) is None
    house.door.keep_uses()
    assert last_used(house, house.member.key) is not None
