"""Alive, ready, counted."""

import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import yaml

from api import health
from api.metrics import Spread
from ledger import desk
from tests.api.house import House

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
DOC = MONITORING.parent / "monitoring.md"
UNIT = {"code": "creek", "name": "溪谷", "level": "community"}


async def test_it_is_alive_and_ready(each_house: House) -> None:
    assert (await each_house.stranger.get("/healthz")).json == {"status": "ok"}
    await each_house.admin.get(f"/v1/units?min_position={each_house.position}")
    ready = await each_house.stranger.get("/readyz")
    position = each_house.position
    assert ready.json == {"status": "ready", "position": position, "views_position": position}


async def test_it_is_not_ready_while_the_views_are_far_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_BEHIND_MAX", -1)
    said = await house.stranger.get("/readyz")
    assert (said.status, said.code) == (503, "view_behind")


async def test_it_is_not_ready_while_what_is_written_does_not_come_through(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, commit = threading.Event(), threading.Event(), house.ledger.committer.commit

    def held_back(jobs: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return commit(jobs)

    monkeypatch.setattr(house.ledger.committer, "commit", held_back)
    monkeypatch.setattr(desk, "ANSWER_SECONDS", 0.01)
    try:
        while not begun.is_set():  # what came too late to be begun is not begun
            said = await house.admin.post("/v1/units", UNIT, once="k")
            assert (said.status, said.code, said.headers["Retry-After"]) == (503, "busy", "1")
        monkeypatch.setattr(health, "STUCK_SECONDS", 60.0)
        assert (await house.stranger.get("/readyz")).status == 200
        monkeypatch.setattr(health, "STUCK_SECONDS", 0.0)
        assert (await house.stranger.get("/readyz")).code == "busy"
        assert (await house.stranger.get("/healthz")).status == 200
    finally:
        monkeypatch.undo()
        go.set()
    again = await house.admin.post("/v1/units", UNIT, once="k")
    assert (again.status, "Idempotent-Replayed" in again.headers) == (201, True)
    assert (await house.stranger.get("/readyz")).status == 200


async def test_what_is_counted_names_routes_and_nobody(house: House) -> None:
    await house.admin.post("/v1/units", UNIT)
    await house.poster.post("/v1/units", UNIT)
    await house.admin.get(f"/v1/members/{house.member_id}")
    await house.stranger.ask("PURGE", "/nowhere/at/all")
    text = (await house.stranger.get("/metrics")).body.decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['timebank_requests_total{method="POST",route="/v1/units",status="201"}'] == "1.0"
    assert lines['timebank_requests_total{method="POST",route="/v1/units",status="403"}'] == "1.0"
    assert lines['timebank_requests_total{method="*",route="*",status="404"}'] == "1.0"
    assert lines['timebank_refusals_total{code="forbidden"}'] == "1.0"
    assert float(lines["timebank_batch_jobs_count"]) >= 1
    assert float(lines["timebank_commit_seconds_sum"]) > 0
    assert lines['timebank_request_seconds_bucket{kind="write",le="+Inf"}'] == "2.0"
    assert lines["timebank_waiting_jobs"] == "0.0"
    assert "timebank_views_lag_entries" in lines
    for personal in (house.member_id, "Zhang", "org-a", "PURGE", "nowhere"):
        assert personal not in text


async def test_every_number_is_described_and_every_alert_asks_for_one_that_is_told(
    house: House,
) -> None:
    text = (await house.stranger.get("/metrics")).body.decode()
    ours = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE timebank_")}
    assert len(ours) >= 20
    described = DOC.read_text(encoding="utf-8")
    assert [name for name in sorted(ours) if f"`{name}`" not in described] == []
    told = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in ours}
    for file in MONITORING.iterdir():
        asked = set(re.findall(r"\btimebank_\w+", file.read_text(encoding="utf-8")))
        asked = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
        assert asked
        assert asked <= told, file.name


def test_the_alerts_and_the_dashboard_can_be_read() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert all({"alert", "expr", "annotations"} <= set(rule) for rule in alerts)
    assert all({"summary", "summary_zh"} <= set(rule["annotations"]) for rule in alerts)
    dashboard = orjson.loads((MONITORING / "dashboard.json").read_bytes())
    assert all(panel["targets"] for panel in dashboard["panels"])


async def test_what_is_under_way_is_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    metrics = house.door.metrics
    look = house.ledger.keyring.recall

    def recall(presented: str) -> Any:
        seen.append(metrics.under_way)
        return look(presented)

    monkeypatch.setattr(house.ledger.keyring, "recall", recall)
    await house.admin.get("/v1/units")
    assert (seen, metrics.under_way) == ([1], 0)


def test_a_number_falls_into_the_first_bucket_that_holds_it() -> None:
    spread = Spread((1.0, 2.0))
    for number in (0.5, 1.0, 1.5, 9.0):
        spread.add(number)
    assert spread.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert spread.sum == 12.0


@pytest.mark.parametrize(
    ("remote", "headers", "here"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("127.8.8.8", {}, True),
        ("192.0.2.7", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, False),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, False),
        (None, {}, False),
        ("", {}, False),
    ],
)
def test_the_counters_are_for_the_loopback(
    remote: str | None, headers: dict[str, str], here: bool
) -> None:
    request = SimpleNamespace(remote=remote, headers=headers)
    assert health._is_from_here(request) is here  # type: ignore[arg-type]


async def test_others_are_refused_the_counters(house: House) -> None:
    said = await house.stranger.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"})
    assert (said.status, said.code) == (403, "forbidden")
