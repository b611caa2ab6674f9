"""What all reads share: pages, positions, methods."""

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from ledger.desk import Busy
from tests.api.house import House


def unit(number: int) -> dict[str, str]:
    return {"code": f"unit-{number:03}", "name": f"第{number}社区", "level": "community"}


async def test_a_list_is_walked_page_by_page(each_house: House) -> None:
    for number in range(5):
        await each_house.admin.post("/v1/units", unit(number))
    seen: list[str] = []
    path: str | None = f"/v1/units?limit=2&min_position={each_house.position}"
    while path is not None:
        page = await each_house.admin.get(path)
        assert len(page.json["data"]) <= 2
        seen += [each["code"] for each in page.json["data"]]
        link = page.headers.get("Link")
        assert (link is None) == (page.json["next_cursor"] is None)
        path = None if link is None else link.removeprefix("<").removesuffix('>; rel="next"')
    assert seen == ["west", "lake", *(f"unit-{number:03}" for number in range(5))]


async def test_a_walk_under_writes_loses_and_doubles_nothing(each_house: House) -> None:
    written = 0
    seen: list[str] = []
    cursor = ""
    while True:
        if written < 12:
            said = await each_house.admin.post("/v1/units", unit(written))
            written += 1
            position = said.json["position"]
        page = await each_house.admin.get(
            f"/v1/units?limit=3&min_position={position}" + (cursor and f"&cursor={cursor}")
        )
        seen += [each["code"] for each in page.json["data"]]
        if page.json["next_cursor"] is None:
            break
        cursor = page.json["next_cursor"]
    assert seen == ["west", "lake", *(f"unit-{number:03}" for number in range(written))]


async def test_a_cursor_tells_nothing_and_is_taken_as_it_was_given(house: House) -> None:
    page = await house.admin.get("/v1/units?limit=1")
    cursor = page.json["next_cursor"]
    assert not cursor.isdigit()
    following = await house.admin.get(f"/v1/units?limit=1&cursor={cursor}")
    assert [each["code"] for each in following.json["data"]] == ["lake"]
    refused = await house.admin.get(f"/v1/units?cursor={cursor}x")
    assert refused.status == 422


async def test_a_read_waits_for_the_position_it_names(each_house: House) -> None:
    async def add(number: int) -> None:
        said = await each_house.admin.post("/v1/units", unit(number))
        position = said.json["position"]
        found = await each_house.admin.get(f"/v1/units/unit-{number:03}?min_position={position}")
        assert found.status == 200
        assert int(found.headers["Ledger-Position"]) >= position

    await asyncio.gather(*(add(number) for number in range(20)))


async def test_a_view_that_stays_behind_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.entrance.WAIT_SECONDS", 0.01)
    said = await house.admin.get(f"/v1/units?min_position={house.position + 1}")
    assert (said.status, said.code) == (503, "view_behind")
    assert int(said.headers["Retry-After"]) >= 1
    assert str(house.position) in said.json["detail"]


async def test_a_desk_that_takes_nothing_is_busy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise Busy

    monkeypatch.setattr(type(house.ledger.desk), "ask", full)
    said = await house.admin.post("/v1/units", unit(1))
    assert (said.status, said.code) == (503, "busy")
    assert int(said.headers["Retry-After"]) >= 1


async def test_a_database_that_is_away_is_busy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr("projections.directory.unit", away)
    said = await house.admin.get("/v1/units/lake")
    assert (said.status, said.code) == (503, "busy")


async def test_a_bug_is_answered_once_with_its_request_id(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    phone = str(13_800_138_000)

    async def broken(*_: object) -> None:
        raise KeyError(phone)

    monkeypatch.setattr(type(house.ledger.desk), "ask", broken)
    said = await house.admin.post("/v1/units", unit(1), headers={"X-Request-Id": "req-7"})
    assert (said.status, said.code, said.json["request_id"]) == (500, "internal", "req-7")
    logged = "".join(capsys.readouterr())
    assert "req-7" in logged
    assert "KeyError" in logged
    assert phone not in logged


async def test_other_methods_are_told_which_ones_there_are(house: House) -> None:
    for method, path, allowed in (
        ("DELETE", "/v1/units", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/v1/units/lake", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/policies/at", "GET, HEAD, OPTIONS"),
        ("TRACE", "/healthz", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/organisations/org-a/suspend", "OPTIONS, POST"),
    ):
        said = await house.admin.ask(method, path)
        assert (said.status, said.code) == (405, "method_not_allowed"), path
        assert said.headers["Allow"] == allowed


async def test_options_are_told(house: House) -> None:
    said = await house.stranger.ask("OPTIONS", "/v1/units")
    assert (said.status, said.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_head_is_get_without_the_body(house: House) -> None:
    said = await house.admin.ask("HEAD", "/v1/units")
    got = await house.admin.get("/v1/units")
    assert (said.status, said.body) == (200, b"")
    assert said.headers["Content-Length"] == got.headers["Content-Length"]
    assert "Ledger-Position" in said.headers
    assert (await house.stranger.ask("HEAD", "/v1/units")).status == 401


async def test_nothing_of_a_keyed_answer_is_cached_on_the_way(house: House) -> None:
    assert (await house.admin.get("/v1/units")).headers["Cache-Control"] == "no-store"


async def test_a_client_that_asks_first_is_let_in_or_told_at_once(house: House) -> None:
    said = await house.admin.post("/v1/units", unit(1), headers={"Expect": "100-continue"})
    assert said.status == 201
