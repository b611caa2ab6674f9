"""A ledger that the first build wrote, at the schemas' first revisions, goes on today.

`tests/store/first_schema` holds its rows as that build (commit b7cf7cb) left them after a day's
work over its own HTTP interface and command line, its keys, and what it told. Nothing in it is
written anew when the program changes.
"""

import base64
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, insert

from ledger import databases, migrations
from ledger.copied_rows import tables_in
from ledger.migrations import MigratedStore
from scripts.door import settings
from scripts.printing import Exit
from tests.api.house import opened
from tests.scripts.test_backups import done, elsewhere  # noqa: F401  (a fixture)
from tests.scripts.test_stores import checks
from tests.scripts.typed import ROOT, timebank

FIRST = ROOT / "tests" / "store" / "first_schema"
TOLD: dict[str, Any] = orjson.loads((FIRST / "told.json").read_bytes())
STORES: tuple[MigratedStore, ...] = ("journal", "vault")
LATER = datetime(2026, 11, 28, tzinfo=UTC)  # kept answers are kept for some days


def rows() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (FIRST / "rows.ndjson").read_bytes().splitlines()]


def as_stored(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def engine_of(store: MigratedStore) -> Engine:
    given = settings()
    url = given.database_url
    if store == "vault":
        url = databases.sibling_url(url, "vault")
    return databases.open_engine(url, f"{given.ledger}_{store}", durable=True)


def load(store: MigratedStore) -> None:
    """Make a store as its first migration makes it, with the rows of the first build."""
    engine = engine_of(store)
    migrations.upgrade(engine, store, "0001")
    with databases.writing(engine) as connection:
        tables = tables_in(connection)
        for each in rows():
            if each["store"] == store:
                row = {name: as_stored(value) for name, value in each["row"].items()}
                connection.execute(insert(tables[each["table"]]).values(row))
    engine.dispose()


@pytest.fixture
def first(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first build's ledger, on either engine, as it was left."""
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", database_url)
    shutil.copy(FIRST / "timebank-keys.json", folder)
    (folder / "timebank-keys.json").chmod(0o600)
    for store in STORES:
        load(store)
    return folder


def straight() -> None:
    stores = done("db upgrade")["stores"]
    assert {each["before"] for each in stores} == {"0001"}


def step_by_step() -> None:
    for store in STORES:
        engine = engine_of(store)
        steps = migrations.revisions(store)
        assert steps[0] == "0001"
        for step in steps[1:]:
            migrations.upgrade(engine, store, step)
            assert migrations.current(engine, store) == step
        engine.dispose()


@pytest.fixture(params=[straight, step_by_step])
def upgraded(first: Path, request: pytest.FixtureRequest) -> Path:
    """The same, brought up to date."""
    request.param()
    return first


def test_the_rows_fill_every_table_of_the_first_schema_but_one(first):
    told = {(each["store"], each["table"]) for each in rows()}
    for store in STORES:
        engine = engine_of(store)
        with databases.reading(engine) as connection:
            there = {(store, name) for name in tables_in(connection)}
        assert there - told <= {("journal", "tracking")}
        engine.dispose()


def test_until_it_is_upgraded_it_is_left_alone(first):
    for line in ("audit verify", "unit add hill --name x --level street", "serve --port 0"):
        said = timebank(line)
        assert (said.code, "timebank db upgrade" in said.err) == (Exit.UNAVAILABLE, True)


def test_it_is_what_it_was_and_verifies(upgraded):
    assert done("db check")["ok"] is True
    verdict = done("audit verify")
    assert (verdict["entries"], verdict["ok"]) == (TOLD["entries"], True)
    accounts = done("audit trial-balance")["accounts"]
    assert {each["account"]: each["credits"] for each in accounts} == TOLD["balances"]
    done("views rebuild")
    assert done("audit replay")["equal"] is True
    found = checks(timebank("doctor --json"))
    assert [found[name] for name in ("journal", "vault", "orphans", "views")] == ["ok"] * 4
    held = done(f"member data {TOLD['members']['V-001']}")
    assert held["person"]["name"] == "张三"


async def test_it_serves_replays_and_takes_new_hours(upgraded):
    member = TOLD["members"]["V-001"]
    async with opened(settings(), lambda: LATER) as house:  # which registers somebody
        before = house.position
        assert before == TOLD["entries"] + 1
        for one in TOLD["asked"]:
            caller = house.with_key(one["key"])
            again = await caller.post(
                one["path"], raw=one["body"].encode(), once=one["idempotency_key"]
            )
            assert (again.status, again.body.decode()) == (one["status"], one["answer"])
            assert again.headers["Idempotent-Replayed"] == "true"
        assert house.position == before
        poster = house.with_key(TOLD["asked"][0]["key"])
        known = await poster.post(
            TOLD["asked"][0]["path"], raw=TOLD["asked"][0]["body"].encode(), once="another"
        )
        assert known.status == 200  # the receipt is known
        assert known.json["id"] == orjson.loads(TOLD["asked"][0]["answer"])["id"]
        body = orjson.loads(TOLD["asked"][0]["body"])
        body |= {
            "receipt": "R-100",
            "started_at": "2026-11-25T14:00:00+08:00",
            "ended_at": "2026-11-25T15:00:00+08:00",
        }
        fresh = await poster.post("/v1/service-records", body)
        assert (fresh.status, fresh.json["position"]) == (201, before + 1)
        own = house.with_key(TOLD["member"])
        balance = await own.get(f"/v1/members/{member}/balance?min_position={house.position}")
        was = TOLD["balances"][f"person:{member}:available"]
        assert balance.json["credits"]["available"] == was + fresh.json["credits"] > was
        assert (await house.with_key(TOLD["admin"]).get("/v1/units")).status == 200
    assert done("audit verify")["entries"] == before + 1


def test_it_is_backed_up_before_the_upgrade_and_upgraded_by_the_restore(
    first,
    elsewhere: Callable[[], None],  # noqa: F811
):
    taken = done("db backup b")
    assert {each["store"]: each["revision"] for each in taken["stores"]} == dict.fromkeys(
        STORES, "0001"
    )
    assert done("db check b")["ok"] is True
    elsewhere()
    done("db restore b")
    assert done("db check")["ok"] is True
    assert done("audit verify")["root"] == taken["root"]
    accounts = done("audit trial-balance")["accounts"]
    assert {each["account"]: each["credits"] for each in accounts} == TOLD["balances"]
