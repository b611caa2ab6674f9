"""Rubbish of each kind gets its clear no, and nothing is written."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.api.house import House

UNIT = {"code": "creek", "name": "溪谷", "level": "community", "parent": "lake"}
RAW = '{"code":"creek","name":"溪谷","level":"community","parent":"lake"}'.encode()
MIB = 1024 * 1024


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def nothing_is_written(still_house: House) -> Iterator[None]:
    """Whatever is asked here, the journal stays as it was."""
    before = still_house.position
    yield
    assert still_house.position == before


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "malformed_json"),
        (b" ", "malformed_json"),
        (b"{", "malformed_json"),
        (RAW + b"}", "malformed_json"),
        (RAW[:-10], "malformed_json"),
        (b"{'code': 'creek'}", "malformed_json"),
        (RAW.replace(b'"lake"', b"NaN"), "malformed_json"),
        (RAW.replace(b'"lake"', b"Infinity"), "malformed_json"),
        (RAW.replace(b'"lake"', b"1e999"), "malformed_json"),
        (RAW.replace(b'"lake"', b'"\\ud800"'), "malformed_json"),
        (RAW.replace(b'"lake"', b'"a\nb"'), "malformed_json"),
        (RAW.replace(b'"lake"', b"[" * 32 + b"]" * 32), "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"a":' * 100_000, "malformed_json"),
        (RAW[:-1] + b',"code":"other"}', "malformed_json"),
        (RAW[:-1] + b',"code" : "other"}', "malformed_json"),
        (RAW[:-1] + b',"c\\u006fde":"other"}', "malformed_json"),
        (b"\xef\xbb\xbf" + RAW, "malformed_json"),
        (RAW.decode().encode("gb18030"), "bad_encoding"),
        (RAW.decode().encode("utf-16"), "bad_encoding"),
        (RAW.replace(b"lake", b"\xff\xfe"), "bad_encoding"),
        (RAW.replace(b"lake", b"\xed\xa0\x80"), "bad_encoding"),
        (RAW.replace(b"lake", b"\xc0\x80"), "bad_encoding"),
    ],
)
async def test_what_is_no_json_is_malformed(still_house: House, raw: bytes, code: str) -> None:
    said = await still_house.admin.post("/v1/units", raw=raw, once="k")
    assert (said.status, said.code) == (400, code)
    assert said.json["errors"]


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"7", b"true", b"[" * 32 + b"]" * 32])
async def test_json_that_is_no_object_is_invalid(still_house: House, raw: bytes) -> None:
    said = await still_house.admin.post("/v1/units", raw=raw)
    assert (said.status, said.pointers) == (422, {"": "wrong_type"})


async def test_plain_and_spaced_json_are_both_read(still_house: House) -> None:
    spaced = b'{ "code"\t:\r\n"creek" , "name" : "a\\": b" , "level":"community" }'
    said = await still_house.admin.post("/v1/units?dry_run=true", raw=spaced)
    assert (said.status, said.json["name"]) == (201, 'a": b')


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", None, "wrong_type"),
        ("name", ["a"], "wrong_type"),
        ("name", {"a": 1}, "wrong_type"),
        ("name", 12345678901234567890, "wrong_type"),
        ("name", "", "wrong_value"),
        ("name", "x" * 201, "wrong_value"),
        ("name", "a\u0000b", "not_a_text"),
        ("name", "two\nlines", "not_a_text"),
        ("code", "Creek", "not_a_code"),
        ("code", "creek\n", "not_a_code"),
        ("code", "c" * 41, "not_a_code"),
        ("level", "COMMUNITY", "wrong_value"),
        ("level", True, "wrong_value"),
        ("parent", "../etc", "not_a_code"),
        ("nonsense", 1, "unknown_field"),
    ],
)
async def test_a_field_that_is_wrong_is_named(
    still_house: House, field: str, value: object, code: str
) -> None:
    said = await still_house.admin.post("/v1/units", {**UNIT, field: value}, once="k")
    assert (said.status, said.pointers) == (422, {f"/{field}": code})


async def test_a_pointer_is_escaped(still_house: House) -> None:
    said = await still_house.admin.post("/v1/units", {**UNIT, "a/b~c": 1})
    assert said.pointers == {"/a~1b~0c": "unknown_field"}


@pytest.mark.parametrize(
    "media",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "application/json; charset=gbk",
        "application/xml",
        "nonsense",
        ";",
    ],
)
async def test_other_media_types_are_not_taken(still_house: House, media: str | None) -> None:
    said = await still_house.admin.post("/v1/units", UNIT, media=media)
    assert (said.status, said.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media",
    ["application/json; charset=UTF-8", "Application/JSON", 'application/json;charset="utf8"'],
)
async def test_json_is_taken_under_all_its_names(still_house: House, media: str) -> None:
    said = await still_house.admin.post("/v1/units?dry_run=true", UNIT, media=media)
    assert said.status == 201


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
async def test_packed_bodies_are_not_taken(still_house: House, coding: str) -> None:
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding, bytes)(RAW)
    said = await still_house.admin.post(
        "/v1/units", raw=packed, headers={"Content-Encoding": coding}
    )
    assert (said.status, said.code) == (415, "unsupported_media_type")


async def test_a_gzip_bomb_does_not_go_off(still_house: House) -> None:
    bomb = gzip.compress(bytes(200 * MIB), compresslevel=9)
    assert len(bomb) < MIB
    said = await still_house.admin.post("/v1/units", raw=bomb, headers={"Content-Encoding": "gzip"})
    assert said.status == 415


async def test_a_body_over_the_limit_is_refused(still_house: House) -> None:
    large = b'{"name":"' + b"x" * (20 * MIB) + b'"}'
    said = await still_house.admin.post("/v1/units", raw=large)
    assert (said.status, said.code) == (413, "too_large")
    assert (await still_house.admin.get("/v1/units")).status == 200


async def test_a_body_without_a_length_is_refused_as_soon_as_it_is_over_the_limit(
    still_house: House,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * MIB

    async with still_house.admin.session.post(
        still_house.admin.base + "/v1/units",
        data=endless(),
        headers={
            "Authorization": f"Bearer {still_house.admin.text}",
            "Content-Type": "application/json",
        },
    ) as response:
        assert response.status == 413


async def over_the_wire(house: House, head: bytes, *pieces: bytes) -> bytes:
    """What is answered to bytes that no client library would send."""
    host, _, port = house.admin.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = str(house.admin.text).encode()
    writer.write(
        head + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: k\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer " + key + b"\r\n"
    )
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 15)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_body_whose_chunks_are_broken_is_refused(still_house: House) -> None:
    answer = await over_the_wire(
        still_house,
        b"POST /v1/units",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b'5\r\n{"cod\r\n',
        b"nonsense\r\n",
    )
    assert answer.split()[1] == b"400"


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/units?dry_run=\xff",
        b"GET /v1/audit/events?stream=\xff",
        b"GET /v1/units/\xff",
        b"GET /v1/units/lake\x00",
    ],
)
async def test_an_address_in_raw_bytes_is_refused(still_house: House, head: bytes) -> None:
    length = b"Content-Length: %d\r\n\r\n" % len(RAW)
    answer = await over_the_wire(still_house, head, length, RAW)
    assert answer.split()[1] == b"400"


async def test_a_smaller_limit_holds_for_small_bodies_too(
    still_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(still_house.door, "body_bytes_max", len(RAW) - 1)
    said = await still_house.admin.post("/v1/units", raw=RAW)
    assert (said.status, said.code) == (413, "too_large")


async def test_a_body_at_the_limit_is_read(still_house: House) -> None:
    body = b'{"name":"' + b"x" * (16 * MIB - 11) + b'"}'
    assert len(body) == 16 * MIB
    said = await still_house.admin.post("/v1/units", raw=body)
    assert said.status == 422


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("limit=0", {"/limit": "wrong_value"}),
        ("limit=501", {"/limit": "wrong_value"}),
        ("limit=-1", {"/limit": "wrong_type"}),
        ("limit=ten", {"/limit": "wrong_type"}),
        ("limit=1_0", {"/limit": "wrong_type"}),
        ("limit=%201", {"/limit": "wrong_type"}),
        ("limit=١", {"/limit": "wrong_type"}),
        ("limit=1&limit=2", {"/limit": "wrong_value"}),
        ("limit=9999999999999999999999", {"/limit": "wrong_type"}),
        ("cursor=nonsense", {"/cursor": "wrong_value"}),
        ("cursor=", {"/cursor": "wrong_value"}),
        ("cursor=密", {"/cursor": "wrong_value"}),
        ("min_position=-1", {"/min_position": "wrong_type"}),
        ("dry_run=true", {"/dry_run": "unknown_parameter"}),
        ("a=1&b=2", {"/a": "unknown_parameter", "/b": "unknown_parameter"}),
        ("Limit=1", {"/Limit": "unknown_parameter"}),
        ("%00=1", {"/\x00": "unknown_parameter"}),
        ("&".join(f"p{n}=1" for n in range(100)), {"": "unknown_parameter"}),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(
    still_house: House, query: str, pointers: dict[str, str]
) -> None:
    said = await still_house.admin.get(f"/v1/units?{query}")
    assert (said.status, said.pointers) == (422, pointers)


@pytest.mark.parametrize("flag", ["1", "yes", "True", "", "TRUE"])
async def test_a_dry_run_is_true_or_false(still_house: House, flag: str) -> None:
    said = await still_house.admin.post(f"/v1/units?dry_run={flag}", UNIT)
    assert (said.status, said.pointers) == (422, {"/dry_run": "wrong_value"})


async def test_a_query_in_another_encoding_is_refused(still_house: House) -> None:
    said = await still_house.admin.get("/v1/audit/events?stream=%FF%FE")
    assert (said.status, said.code) == (400, "bad_encoding")


@pytest.mark.parametrize("key", ["", "x" * 256, "密钥", "tab\tkey"])
async def test_an_idempotency_key_is_printable(still_house: House, key: str) -> None:
    said = await still_house.admin.post("/v1/units", UNIT, headers={"Idempotency-Key": key})
    assert said.status in (400, 422)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/v2/units", "/v1/units/", "/v1/units/a/b", "/v1//units", "/?a=1"),
        *("/v1/units/%2e%2e", "/v1/units/lake%00", "/v1/audit/events/x", "/favicon.ico"),
    ],
)
async def test_an_address_that_is_not_there_is_not_found(still_house: House, path: str) -> None:
    said = await still_house.admin.get(path)
    assert (said.status, said.code) == (404, "not_found")
