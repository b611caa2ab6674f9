"""Every limit of a request: what is at it passes, what is one over is refused with its code."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import limits as limits_module
from api.app import ROUTES, document
from api.batches import ITEMS_MAX
from api.batches import NAMES_MAX as ITEM_NAMES_MAX
from api.bodies import DEPTH_MAX, NAMES_MAX, VALUES_MAX, parse_json
from api.limits import KIB, MINUTE_SECONDS, KeyLimits, Strangers
from ledger.keys import make_key
from ledger.settings import Settings
from ledger.units import Refused
from tests.api.house import House, made, opened

MIB = 1024 * 1024
UNIT = {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"}

# --- JSON ----------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def named(count: int) -> dict[str, int]:
    return {f"n{number}": 1 for number in range(count)}


@pytest.mark.parametrize(
    ("at_it", "over_it"),
    [
        (nested(DEPTH_MAX), nested(DEPTH_MAX + 1)),
        (b'{"a":' + nested(DEPTH_MAX - 1) + b"}", b'{"a":' + nested(DEPTH_MAX) + b"}"),
    ],
)
def test_json_is_so_deep(at_it: bytes, over_it: bytes) -> None:
    assert parse_json(at_it) == orjson.loads(at_it)
    with pytest.raises(Refused, match="malformed_json"):
        parse_json(over_it)


@pytest.mark.parametrize(
    ("at_it", "over_it"),
    [
        (named(NAMES_MAX), named(NAMES_MAX + 1)),
        ([named(NAMES_MAX)], [named(NAMES_MAX + 1)]),
        ([0] * VALUES_MAX, [0] * (VALUES_MAX + 1)),
        ([[0] * (VALUES_MAX - 2), {}], [[0] * (VALUES_MAX - 2), {"a": 1}]),
    ],
)
def test_json_is_so_wide(at_it: object, over_it: object) -> None:
    assert parse_json(orjson.dumps(at_it)) == at_it
    with pytest.raises(Refused, match="too_large"):
        parse_json(orjson.dumps(over_it))


async def test_a_body_in_which_all_is_wrong_is_refused_before_all_of_it_is_told(
    house: House,
) -> None:
    """Of a body of 14 MiB 1.5 million names were told: 32 seconds, and 3 GB of memory."""
    names = b"{" + b",".join(b'"%x":1' % number for number in range(1_500_000)) + b"}"
    roles = b'{"unit":"lake","roles":[' + b",".join([b"1"] * 5_000_000) + b"]}"
    for path, raw in (("/v1/units", names), ("/v1/members", roles)):
        said = await asyncio.wait_for(house.admin.post(path, raw=raw), 30)
        assert (said.status, said.code, len(said.body) < 1_000) == (413, "too_large", True), path


async def test_what_is_at_the_limit_is_told_in_full(house: House) -> None:
    said = await house.admin.post("/v1/units", named(NAMES_MAX))
    assert (said.status, len(said.json["errors"])) == (422, NAMES_MAX + 3)
    said = await house.admin.post("/v1/units", named(NAMES_MAX + 1))
    assert (said.status, said.code) == (413, "too_large")


async def test_an_item_of_a_batch_has_no_more_names_than_three_times_what_there_are(
    house: House,
) -> None:
    async def post(*items: dict[str, Any], **more: Any) -> Any:
        body = {"items": items, **more}
        return await house.poster.post("/v1/service-record-batches", body)

    results = (await post(named(ITEM_NAMES_MAX), named(ITEM_NAMES_MAX + 1), {})).json["results"]
    assert [result["problem"]["code"] for result in results] == ["invalid", "too_large", "invalid"]
    assert (await post(**named(ITEM_NAMES_MAX - 1))).status == 422
    assert (await post(**named(ITEM_NAMES_MAX))).code == "too_large"


async def test_a_batch_takes_ten_thousand_items_and_no_more(house: House) -> None:
    full: list[Any] = [named(ITEM_NAMES_MAX)] + [{}] * (ITEMS_MAX - 1)
    path = "/v1/service-record-batches"
    said = await house.poster.post(path, {"items": full})
    assert (said.status, said.json["refused"]) == (200, ITEMS_MAX)
    said = await house.poster.post(path, {"items": [*full, {}]})
    assert (said.status, said.pointers) == (422, {"/items": "wrong_value"})
    lines = b"\n".join(map(orjson.dumps, full))
    media = "application/x-ndjson"
    said = await house.poster.post(path, raw=lines, media=media)
    assert (said.status, said.json["refused"]) == (200, ITEMS_MAX)
    said = await house.poster.post(path, raw=lines + b"\n{}", media=media)
    assert (said.status, said.code) == (422, "invalid")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_sixteen_mebibytes_is_read_and_one_byte_more_is_not(
    house: House, chunked: bool
) -> None:
    async def post(size: int) -> tuple[int, str]:
        body = b'{"name":"' + b"x" * (size - 11) + b'"}'

        async def pieces() -> AsyncIterator[bytes]:
            yield body

        headers = {
            "Authorization": f"Bearer {house.admin.text}",
            "Content-Type": "application/json",
        }
        async with house.admin.session.post(
            house.admin.base + "/v1/units",
            data=pieces(),
            headers=headers if chunked else {**headers, "Content-Length": str(size)},
        ) as response:
            return response.status, (await response.json(content_type=None))["code"]

    assert await post(16 * MIB) == (422, "invalid")
    assert await post(16 * MIB + 1) == (413, "too_large")
    assert nothing_is_under_way(house.door.limits)


def unbounded(schema: Any, shared: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """The numbers, texts and lists in a schema that may be as large as one likes."""
    match schema:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                yield from (f"{name}: {each}" for each in unbounded(shared[name], shared, seen))
        case dict():
            match schema.get("type"):
                case "number":
                    yield "a number that is not whole"
                case "integer" if not {"minimum", "maximum"} <= schema.keys():
                    if not {"minimum", "exclusiveMaximum"} <= schema.keys():
                        yield "a whole number"
                case "string":
                    if not schema.keys() & {"maxLength", "pattern", "enum", "const", "format"}:
                        yield "a text"
                case "array" if not schema.keys() & {"maxItems", "uniqueItems"}:
                    yield "a list"
            for name, inner in schema.items():
                if name not in ("default", "example", "examples"):
                    yield from unbounded(inner, shared, seen)
        case list():
            for inner in schema:
                yield from unbounded(inner, shared, seen)


def test_every_number_text_and_list_that_is_asked_for_is_bounded() -> None:
    described = document()
    shared, seen = described["components"]["schemas"], set[str]()
    asked = [
        schema
        for verbs in described["paths"].values()
        for operation in verbs.values()
        for schema in (
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}),
            [each for each in operation["parameters"] if each["in"] == "query"],
        )
    ]
    assert list(unbounded(asked, shared, seen)) == []
    assert len(seen) > 50


# --- a page, an address, a head ------------------------------------------------------------------


async def test_a_page_has_five_hundred_items_and_no_more(house: House) -> None:
    assert (await house.admin.get("/v1/units?limit=500")).status == 200
    said = await house.admin.get("/v1/units?limit=501")
    assert (said.status, said.pointers) == (422, {"/limit": "wrong_value"})


async def test_a_query_has_sixty_four_parameters_and_no_more(house: House) -> None:
    def query(count: int) -> str:
        return "&".join(f"p{number}=1" for number in range(count))

    said = await house.admin.get(f"/v1/units?{query(64)}")
    assert (said.status, len(said.json["errors"])) == (422, 64)
    said = await house.admin.get(f"/v1/units?{query(65)}")
    assert (said.status, said.pointers) == (422, {"": "unknown_parameter"})


async def answered(house: House, head: bytes) -> int:
    """The status of what is answered to a head that no client library would send."""
    host, _, port = house.admin.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + b"Authorization: Bearer " + str(house.admin.text).encode() + b"\r\n\r\n")
    status = int((await asyncio.wait_for(reader.readline(), 30)).split()[1])
    writer.close()
    return status


async def test_an_address_a_header_and_how_many_there_are_is_bounded(house: House) -> None:
    def asked(path: bytes, *headers: bytes) -> bytes:
        return b"GET " + path + b" HTTP/1.1\r\n" + b"".join(each + b"\r\n" for each in headers)

    host = b"Host: x"
    path = b"/v1/units?x="
    heads = [
        (asked(path + b"a" * (8_000 - len(path)), host), 422),
        (asked(path + b"a" * 8_200, host), 400),
        (asked(b"/v1" + b"/a" * 3_000, host), 404),
        (asked(b"/v1/units", host, b"X-A: " + b"a" * 8_000), 200),
        (asked(b"/v1/units", host, b"X-A: " + b"a" * 8_200), 400),
        (asked(b"/v1/units", host, *[b"X-%d: a" % number for number in range(120)]), 200),
        (asked(b"/v1/units", host, *[b"X-%d: a" % number for number in range(130)]), 400),
    ]
    assert [await answered(house, head) for head, _ in heads] == [status for _, status in heads]


# --- one key -------------------------------------------------------------------------------------


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def waits(limits: KeyLimits, key: str = "a") -> int:
    """The seconds that a request is told to wait; 0: it was let in, answered, and left."""
    try:
        limits.leave(limits.enter(key))
    except Refused as no:
        return int(str(no.params["seconds"]))
    return 0


def test_a_key_asks_so_often_in_a_minute() -> None:
    clock = Clock()
    limits = KeyLimits(60, 0, MIB, clock)
    assert [waits(limits) for _ in range(60)] == [0] * 60
    assert waits(limits) == 1
    assert waits(limits, "b") == 0
    clock.now += 0.999
    assert waits(limits) == 1
    clock.now += 0.002
    assert (waits(limits), waits(limits)) == (0, 1)
    clock.now += 3_600
    assert [waits(limits) for _ in range(61)] == [0] * 60 + [1]


def test_a_key_that_may_ask_once_a_minute_is_told_to_wait_for_a_minute() -> None:
    clock = Clock()
    limits = KeyLimits(1, 0, MIB, clock)
    assert (waits(limits), waits(limits)) == (0, 60)
    clock.now += 20.5
    assert waits(limits) == 40


@given(
    st.integers(1, 300),
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 40 * KIB)), max_size=200),
)
def test_no_key_gets_more_than_its_bucket_and_what_flows_in(
    per_minute: int, asked: list[tuple[float, int]]
) -> None:
    clock = Clock()
    limits = KeyLimits(per_minute, 0, MIB, clock)
    began, cost = clock.now, 0
    for pause, body in asked:
        clock.now += pause
        if waited := waits(limits):
            clock.now += waited
            assert waits(limits) == 0  # whoever waits as told is let in
        cost += 1
        assert cost <= per_minute * (1 + (clock.now - began) / MINUTE_SECONDS) + 0.01
        limits.charge(limits._uses["a"], body)
        cost += max(0, body - 1) // KIB


def test_a_body_costs_a_request_for_each_further_kibibyte() -> None:
    for size, further in (
        (0, 0),
        (1, 0),
        (KIB, 0),
        (KIB + 1, 1),
        (10 * KIB, 9),
        (16 * MIB, 16_383),
    ):
        clock = Clock()
        limits = KeyLimits(60, 0, 16 * MIB, clock)
        assert waits(limits) == 0
        limits.charge(limits._uses["a"], size)
        paid = sum(waits(limits) == 0 for _ in range(60))
        assert paid == max(0, 59 - further)
        if further > 60:
            assert waits(limits) == further - 58


def test_nothing_is_counted_where_nothing_is_set() -> None:
    limits = KeyLimits(0, 0, MIB, Clock())
    for _ in range(10_000):
        limits.enter("a")
    limits.charge(limits._uses["a"], MIB)
    limits.enter("a")


def test_a_key_has_so_much_under_way() -> None:
    limits = KeyLimits(0, 2, MIB, Clock())
    limits.enter("a")
    use = limits.enter("a")
    assert (waits(limits), waits(limits, "b")) == (1, 0)
    limits.leave(use)
    assert (waits(limits), waits(limits)) == (0, 0)
    limits.enter("a")
    assert waits(limits) == 1


def test_bodies_in_memory_are_bounded_for_a_key_and_for_all() -> None:
    limits = KeyLimits(0, 0, MIB, Clock())
    a, b, c, d, e = (limits.enter(key) for key in "abcde")
    limits.hold(a, 2 * MIB)
    with pytest.raises(Refused, match="too_many_requests"):
        limits.hold(a, 1)
    for use in (b, c, d):
        limits.hold(use, 2 * MIB)
    with pytest.raises(Refused, match="busy"):
        limits.hold(e, 1)
    limits.leave(a, 2 * MIB)
    limits.hold(e, 2 * MIB)
    for use in (b, c, d, e):
        limits.leave(use, 2 * MIB)
    assert nothing_is_under_way(limits)


def nothing_is_under_way(limits: KeyLimits) -> bool:
    uses = limits._uses.values()
    return not limits._held_in_all and not any(use.under_way or use.held_bytes for use in uses)


def test_keys_that_rest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "KEYS_MAX", 3)
    clock = Clock()
    limits = KeyLimits(60, 0, MIB, clock)
    for key in ("a", "b", "c"):
        assert waits(limits, key) == 0
    use = limits.enter("d")
    assert len(limits._uses) == 4  # each of them owes something
    clock.now += 1.5
    assert waits(limits, "e") == 0
    assert set(limits._uses) == {"d", "e"}  # one is under way
    limits.leave(use)
    assert waits(limits, "f") == 0
    assert waits(limits, "g") == 0
    assert set(limits._uses) == {"e", "f", "g"}


@asynccontextmanager
async def narrow(url: str, folder: Path, **set_to: Any) -> AsyncIterator[House]:
    """A house with limits of its own."""
    settings = Settings(
        database_url=url, keys_file=folder / "timebank-keys.json", log_level="warning", **set_to
    )
    made(settings)
    async with opened(settings) as house:
        yield house


async def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with narrow(sqlite_url, tmp_path, key_requests_per_minute=3) as house:
        for path in ("/v1/units", "/v1/organisations", "/v1/nothing", "/v1/units/none", "/healthz"):
            await house.poster.get(path)
        position = house.position
        said = await house.poster.post("/v1/units", raw=b"not even JSON")
        assert (said.status, said.code) == (429, "too_many_requests")
        assert said.headers["Retry-After"] == "20"
        assert "20" in said.json["detail"]
        assert house.position == position
        assert (await house.poster.get("/healthz")).status == 200
        assert (await house.poster.get("/v1/openapi.json")).status == 200
        assert (await house.other_poster.get("/v1/units")).status == 200
        said = await house.poster.get("/v1/units", headers={"Accept-Language": "en"})
        assert said.json["detail"] == (
            "Too many requests, or wrong ones: try again in 20 second(s)."
        )


async def test_what_a_role_may_not_is_counted_too(sqlite_url: str, tmp_path: Path) -> None:
    async with narrow(sqlite_url, tmp_path, key_requests_per_minute=1) as house:
        assert (await house.poster.post("/v1/units", UNIT)).status == 403
        assert (await house.poster.post("/v1/units", UNIT)).status == 429


async def test_a_batch_is_let_in_and_what_it_costs_is_owed(sqlite_url: str, tmp_path: Path) -> None:
    async with narrow(sqlite_url, tmp_path, key_requests_per_minute=60) as house:
        path = "/v1/service-record-batches"
        body = {"items": [{"receipt": "x" * 100}] * 1_000}
        said = await house.poster.post(path, body)
        assert (said.status, said.json["refused"]) == (200, 1_000)
        said = await house.poster.get("/v1/units")
        assert said.status == 429
        assert int(said.headers["Retry-After"]) in range(50, 62)


async def test_a_key_has_so_much_under_way_over_http(sqlite_url: str, tmp_path: Path) -> None:
    async with narrow(sqlite_url, tmp_path, key_requests_at_once=1) as house:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"code":'
            begun.set()
            await go_on.wait()
            yield b'"creek"}'

        headers = {
            "Authorization": f"Bearer {house.admin.text}",
            "Content-Type": "application/json",
        }
        session, base = house.admin.session, house.admin.base
        under_way = asyncio.create_task(
            session.post(f"{base}/v1/units", data=slow(), headers=headers)
        )
        await begun.wait()
        assert house.admin.key
        async with asyncio.timeout(30):
            while nothing_is_under_way(house.door.limits):  # noqa: ASYNC110
                await asyncio.sleep(0)
        said = await house.admin.get("/v1/units")
        assert (said.status, said.headers["Retry-After"]) == (429, "1")
        assert (await house.poster.get("/v1/units")).status == 200
        go_on.set()
        async with await under_way as response:
            assert response.status == 422
        assert (await house.admin.get("/v1/units")).status == 200
        assert nothing_is_under_way(house.door.limits)


async def test_a_client_that_goes_away_leaves_nothing_behind(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with narrow(sqlite_url, tmp_path) as house:
        limits = house.door.limits
        host, _, port = house.admin.base.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /v1/units HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.admin.text}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        )
        writer.write(head.encode() + b"x" * 500_000)
        async with asyncio.timeout(30):
            while not limits._held_in_all:  # noqa: ASYNC110
                await asyncio.sleep(0)
            writer.close()
            while not nothing_is_under_way(limits):  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert (await house.admin.get("/v1/units")).status == 200


async def test_bodies_beyond_what_memory_is_given_are_refused(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with narrow(sqlite_url, tmp_path, body_bytes_max=MIB) as house:
        limits, key = house.door.limits, house.admin.key
        assert key
        body = b'{"name":"' + b"x" * (MIB - 11) + b'"}'
        use = limits.enter(key.id)
        limits.hold(use, MIB)
        assert (await house.admin.post("/v1/units", raw=body)).status == 422
        limits.hold(use, 1)
        assert (await house.admin.post("/v1/units", raw=body)).code == "too_many_requests"
        limits.leave(use, MIB + 1)
        limits._held_in_all = 8 * MIB - 1
        said = await house.admin.post("/v1/units", raw=body)
        assert (said.status, said.code, said.headers["Retry-After"]) == (503, "busy", "1")
        limits._held_in_all = 0


def test_every_body_belongs_to_a_key() -> None:
    assert [route.path for route in ROUTES if route.takes_body and not route.roles] == []


# --- strangers -----------------------------------------------------------------------------------


def lets_in(strangers: Strangers) -> bool:
    try:
        strangers.enter()
    except Refused as no:
        assert no.params["seconds"] == 1  # noqa: PT017
        return False
    return True


def test_strangers_are_looked_up_so_often_in_a_second() -> None:
    clock = Clock()
    strangers = Strangers(2, 3, clock)
    assert [lets_in(strangers) for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [lets_in(strangers) for _ in range(2)] == [True, False]
    clock.now += 60
    assert [lets_in(strangers) for _ in range(4)] == [True, True, True, False]
    strangers.was_known()
    assert [lets_in(strangers) for _ in range(2)] == [True, False]


def look_ups(house: House) -> list[str]:
    """What is looked up from now on."""
    looked_up: list[str] = []
    find = house.ledger.keyring.find

    def heard(shown: str) -> Any:
        looked_up.append(shown)
        return find(shown)

    house.ledger.keyring.find = heard  # type: ignore[method-assign]
    return looked_up


async def test_rubbish_with_a_good_checksum_is_looked_up_within_bounds(house: House) -> None:
    """Keys that were met before go on working; the others wait, and nobody asks for them."""
    house.door.callers._strangers = Strangers(0.001, 5)
    looked_up = look_ups(house)
    assert (await house.admin.get("/v1/units")).status == 200
    strangers = [house.with_key(make_key()) for _ in range(10)]
    answers = [await stranger.get("/v1/units") for stranger in strangers]
    assert [answer.status for answer in answers] == [401] * 5 + [429] * 5
    assert answers[-1].code == "too_many_requests"
    assert int(answers[-1].headers["Retry-After"]) > 1
    assert len(looked_up) == 6
    house.ledger.keyring._clock = lambda: float("inf")  # long after: the admin is asked for anew
    assert (await house.admin.get("/v1/units")).status == 200
    assert (await house.poster.get("/v1/units")).status == 429


async def test_a_server_that_starts_meets_all_its_callers(house: House) -> None:
    house.door.callers._strangers = Strangers(0.001, 2)
    for caller in house.callers.values():
        assert (await caller.get("/v1/units")).status == 200


async def test_the_same_wrong_key_is_looked_up_once_a_second(house: House) -> None:
    house.door.callers._strangers = Strangers(0.001, 1)
    looked_up = look_ups(house)
    stranger = house.with_key(make_key())
    house.ledger.keyring._clock = lambda: 1_000.0
    for _ in range(5):
        assert (await stranger.get("/v1/units")).status == 401
    assert len(looked_up) == 1


async def test_what_has_no_checksum_of_ours_costs_no_look_up(house: House) -> None:
    house.door.callers._strangers = Strangers(0.001, 0)
    for shown in ("tbk_live_00000000_" + "0" * 46, "x", "密钥", ""):
        assert (await house.with_key(shown).get("/v1/units")).status == 401
