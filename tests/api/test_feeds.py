"""The feed: whoever listens, is cut off and comes back, hears everything once and in order."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from sqlalchemy.exc import OperationalError

from api import feeds as feed_module
from api import open_feeds
from ledger.commands import AddUnit, RegisterMember
from ledger.units import new_id
from projections import trail
from tests.api.house import CLI, Caller, House, register
from tests.api.listening import Heard, hear, hear_to_the_end, listening, walked

CUTS = 100


async def catch_up(house: House) -> int:
    """The last position, once the views have read it."""
    position = house.position
    assert await house.views.wait_for(position, 30)
    return position


@contextmanager
def writers(house: House) -> Iterator[None]:
    """Two organisations register members, and units are added, as fast as the desk takes them."""
    ended = threading.Event()

    def run() -> None:
        n = 0
        while not ended.is_set():
            n += 1
            few = [
                RegisterMember(
                    **CLI, member_id=new_id(), organisation=org, roles=("volunteer",), unit="lake"
                )
                for org in ("org-a", "org-b", "org-a")
            ]
            unit = AddUnit(**CLI, code=f"c-{n}", name="社区", level="community", parent="lake")
            house.write(*few, unit)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def listen_with_cuts(caller: Caller, cuts: int, seed: int) -> Heard:
    """Come back so often, cut off each time after some bytes, wherever that is."""
    heard, choice = Heard(), Random(seed)  # noqa: S311  (where to cut is no secret)
    for _ in range(cuts):
        async with listening(caller, last_id=heard.last_id) as response:
            assert response.status == 200
            for _ in range(choice.randint(0, 3)):
                heard.feed(await response.content.readany())
            data = await response.content.readany()
            heard.feed(data[: choice.randint(0, len(data))])
        heard.cut()
    return heard


async def test_a_client_that_is_cut_off_a_hundred_times_misses_nothing_and_sees_nothing_twice(
    each_house: House,
) -> None:
    callers = [each_house.poster, each_house.other_poster, each_house.auditor]
    with writers(each_house):
        several = await asyncio.gather(
            *(listen_with_cuts(caller, CUTS, seed) for seed, caller in enumerate(callers))
        )
    position = await catch_up(each_house)
    for caller, heard in zip(callers, several, strict=True):
        assert len(heard.events) > 50
        expected = await walked(caller, position)
        async with listening(caller, last_id=heard.last_id) as response:
            await hear(response, heard, expected[-1]["position"])
        assert heard.events == expected
    assert several[2].positions == list(range(1, position + 1))


async def test_what_an_organisation_may_not_see_is_not_in_its_feed(each_house: House) -> None:
    register(each_house, new_id(), "org-b")
    mine, position = new_id(), each_house.position
    register(each_house, mine, "org-a")
    async with listening(each_house.poster) as response:
        heard = Heard()
        await hear(response, heard, position + 1)
    assert [event["data"]["member_id"] for event in heard.events] == [each_house.member_id, mine]
    assert heard.events == await walked(each_house.poster, position + 1)


async def test_events_are_told_as_they_come(each_house: House) -> None:
    position, heard = await catch_up(each_house), Heard()
    async with listening(each_house.admin, f"?after={position}") as response:
        for number in range(3):
            register(each_house, new_id())
            await hear(response, heard, position + number + 1)
    assert heard.positions == [position + 1, position + 2, position + 3]


async def test_the_head_is_what_proxies_need(house: House) -> None:
    async with listening(house.admin) as response:
        head = response.headers
        assert head["Content-Type"] == "text/event-stream"
        assert (head["Cache-Control"], head["X-Accel-Buffering"]) == ("no-store", "no")
        assert int(head["Ledger-Position"]) > 0
        assert await response.content.readline() == b"retry: 2000\n"
    asked = await house.admin.ask("HEAD", "/v1/audit/feed")
    assert (asked.status, asked.body) == (200, b"")
    assert asked.headers["Content-Type"] == "text/event-stream"


async def test_a_feed_is_filtered_as_events_are(house: House) -> None:
    position = await catch_up(house)
    for query in (
        "type=UnitAdded",
        "type=UnitAdded,OrganisationAdded",
        "stream=unit:lake",
        f"member_id={house.member_id}",
    ):
        expected = await walked(house.admin, position, f"&{query}")
        assert 0 < len(expected) < position
        async with listening(house.admin, f"?{query}") as response:
            heard = Heard()
            await hear(response, heard, expected[-1]["position"])
        assert heard.events == expected


async def test_what_was_heard_last_goes_before_the_address(house: House) -> None:
    position = await catch_up(house)
    async with listening(house.admin, "?after=1", str(position - 1)) as response:
        heard = Heard()
        await hear(response, heard, position)
    assert heard.positions == [position]


@pytest.mark.parametrize("said", ["x", "-1", "1.5", "1 2", "９", "1" * 19, "0x1"])
async def test_a_last_event_id_that_is_no_position_is_refused(house: House, said: str) -> None:
    refused = await house.admin.get(
        "/v1/audit/feed", headers={"Last-Event-ID": said.encode().decode("latin-1")}
    )
    assert (refused.status, refused.pointers) == (422, {"/Last-Event-ID": "wrong_type"})
    assert refused.json["errors"][0]["in"] == "header"


async def test_a_last_event_id_beyond_the_end_tells_that_a_backup_was_restored(
    house: House,
) -> None:
    position = await catch_up(house)
    refused = await house.admin.get(f"/v1/audit/feed?after={position + 1}")
    assert (refused.status, refused.code) == (409, "beyond_the_end")
    async with listening(house.admin, last_id=str(position)) as response:
        assert response.status == 200


async def test_the_feed_is_for_those_who_read_events(house: House) -> None:
    assert (await house.member.get("/v1/audit/feed")).code == "forbidden"
    assert (await house.stranger.get("/v1/audit/feed")).code == "unauthenticated"
    async with listening(house.auditor):
        reads = (await house.admin.get("/v1/audit/reads")).json["data"]
    assert "/v1/audit/feed" in {read["path"] for read in reads}


async def test_a_key_has_so_many_feeds_open_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_feeds, "PER_KEY_MAX", 2)
    monkeypatch.setattr(open_feeds, "OPEN_MAX", 3)
    async with contextlib.AsyncExitStack() as stack:
        for caller in (house.admin, house.admin):
            await stack.enter_async_context(listening(caller))
        refused = await house.admin.get("/v1/audit/feed")
        assert (refused.status, refused.code) == (429, "too_many_requests")
        assert refused.headers["Retry-After"] == "5"
        await stack.enter_async_context(listening(house.poster))
        assert (await house.auditor.get("/v1/audit/feed")).status == 429
        assert b"timebank_open_feeds 3.0" in (await house.admin.get("/metrics")).body
    await all_closed(house)
    async with listening(house.admin) as response:
        assert response.status == 200


async def all_closed(house: House) -> None:
    for _ in range(3_000):
        if not house.door.feeds.count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("feeds are open still")


async def test_a_silent_feed_is_kept_alive_and_moves_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(feed_module, "LOOK_SECONDS", 0.01)
    heard = Heard()
    async with listening(house.other_poster) as response:
        position = house.position
        await hear(response, heard, position)  # nothing there is for org-b, yet it has come so far
        while heard.comments < 2:
            heard.feed(await response.content.readany())
    assert heard.events == []
    assert heard.last_id == str(position)
    register(house, new_id(), "org-b")
    async with listening(house.other_poster, last_id=heard.last_id) as response:
        await hear(response, heard, position + 1)
    assert heard.positions == [position + 1]


async def test_a_feed_ends_when_its_key_is_revoked_and_tells_nothing_more(
    each_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOOK_SECONDS", 0.01)
    leaving = each_house.caller(role="verifier", actor="Li", organisation="org-a")
    assert leaving.key
    heard = Heard()
    async with listening(leaving) as response:
        await hear(response, heard, await catch_up(each_house))
        each_house.revoke(leaving.key)
        register(each_house, new_id())
        told = len(heard.events)
        await hear_to_the_end(response, heard)
    assert len(heard.events) == told


async def test_a_silent_feed_ends_when_its_key_expires(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(feed_module, "KEY_SECONDS", 0.01)
    leaving = house.caller(role="auditor", actor="Li")
    assert leaving.key
    heard = Heard()
    async with listening(leaving) as response:
        await hear(response, heard, await catch_up(house))
        with house.ledger.store.writing() as connection:
            yesterday = date.today() - timedelta(days=2)  # noqa: DTZ011  (in every zone)
            connection.exec_driver_sql(
                "UPDATE keys SET expires_on = ? WHERE id = ?",
                (yesterday.isoformat(), leaving.key.id),
            )
        await hear_to_the_end(response, heard)


async def test_a_feed_ends_after_a_while_so_that_the_key_is_shown_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(feed_module, "LOOK_SECONDS", 0.01)
    async with listening(house.admin) as response:
        await hear_to_the_end(response, Heard())


async def test_a_slow_reader_costs_one_page_and_is_let_go_of(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[int] = []
    read = feed_module._next_page

    def counted(*args: Any) -> feed_module.Page:
        found = read(*args)
        large = [event + b": " + b"x" * 100_000 + b"\n" for event in found.events]
        pages.append(len(large))
        return found._replace(events=large)

    monkeypatch.setattr(feed_module, "PAGE", 10)
    monkeypatch.setattr(feed_module, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(feed_module, "_next_page", counted)
    house.write(
        *(
            AddUnit(**CLI, code=f"c-{n}", name="社区", level="community", parent="lake")
            for n in range(1_000)
        )
    )
    position = await catch_up(house)
    async with listening(house.admin) as slow:
        await all_closed(house)  # it was given up: it has read nothing
        assert 0 < sum(pages) < position
        heard = Heard()
        with pytest.raises((ClientPayloadError, ConnectionError)):
            await hear_to_the_end(slow, heard)
    heard.cut()
    assert heard.positions == list(range(1, int(heard.last_id) + 1))
    async with listening(house.admin, last_id=heard.last_id) as response:
        await hear(response, heard, position)
    assert heard.positions == list(range(1, position + 1))


async def test_a_feed_is_cut_where_the_database_is_away_and_nothing_else_stands_in_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> feed_module.Page:
        raise OperationalError("SELECT", None, Exception("away"))

    heard = Heard()
    async with listening(house.admin) as response:
        await hear(response, heard, await catch_up(house))
        with monkeypatch.context() as broken:
            broken.setattr(feed_module, "_next_page", away)
            register(house, new_id())
            with pytest.raises((ClientPayloadError, ConnectionError)):
                await hear_to_the_end(response, heard)
    heard.cut()
    async with listening(house.admin, last_id=heard.last_id) as response:
        await hear(response, heard, house.position)
    assert heard.positions == list(range(1, house.position + 1))


async def test_a_rebuild_that_stands_further_back_costs_no_event(
    each_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between asking how far the views have read and what they hold they are replaced."""
    for _ in range(3):
        register(each_house, new_id())
    position = await catch_up(each_house)
    asked = trail.entries
    rebuilt: list[int] = []

    def entries(connection: Any, *args: Any, **filters: Any) -> Any:
        if not rebuilt:
            rebuilt.append(each_house.views.rebuild(position - 2))
        return asked(connection, *args, **filters)

    monkeypatch.setattr(trail, "entries", entries)
    heard = Heard()
    async with listening(each_house.admin) as response:
        await hear(response, heard, position - 2)
        register(each_house, new_id())  # the views read on from where they stand
        await hear(response, heard, position + 1)
    assert heard.positions == list(range(1, position + 2))
