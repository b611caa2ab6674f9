"""Malformed traffic over raw sockets, such as no client sends that means well.

`pouring` keeps some connections busy while its block lasts. Each says one kind of rubbish, hears
the answer out, and leaves: politely, by half, or with a reset. Nothing of it can become an entry:
whoever is named in it is nobody. What was said is told by the seed alone, so that a run can be had
again.
"""

import asyncio
import gzip
import io
import random
import re
import socket
import struct
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

NOBODY = "019f0000-0000-7000-8000-0000000000ff"
CONNECTIONS = 16
ANSWER_SECONDS = 30.0
GLANCE_SECONDS = 0.3
HEARD_BYTES_MAX = 1024 * 1024  # of an answer; what is behind that is not listened to
MIB = 1024 * 1024
SENTINEL = "rubbish-7f3a"
"""Stands in most of what is said, so that one can look for it in the log."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class Said(NamedTuple):
    """The bytes of one connection, in their pieces, and how it is left."""

    pieces: tuple[bytes, ...]
    leave: str = "hear"
    """"hear" it out, "glance" at an answer, "half": close our side first, "reset", "drop"."""


Kind = Callable[["Mouth"], Said]


class Mouth:
    """Whose rubbish it is: a key, a place and the dice."""

    def __init__(self, host: str, key: str, dice: random.Random) -> None:
        self.host, self.key, self.dice = host, key, dice

    def head(self, method: str, path: str, *lines: str, keyed: bool = True) -> bytes:
        """A head as it should be, but for its lines."""
        said = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", "Connection: close", *lines]
        if keyed:
            said.append(f"Authorization: Bearer {self.key}")
        return "\r\n".join(said).encode("utf-8", "surrogateescape") + b"\r\n\r\n"

    def post(
        self, path: str, body: bytes, media: str = "application/json", *lines: str
    ) -> tuple[bytes, ...]:
        """A request whose body is as long as it says."""
        told = (f"Content-Type: {media}", f"Content-Length: {len(body)}", *lines)
        return (self.head("POST", path, *told), body)

    def noise(self, longest: int = 200) -> bytes:
        """Some bytes."""
        return self.dice.randbytes(self.dice.randint(1, longest))


@contextmanager
def pouring(urls: Sequence[str], key: str, seed: int) -> Iterator[Counter[str]]:
    """Rubbish for the servers in turn, from a thread of its own; what is counted of it.

    Kinds are counted as `said <kind>`, answers as `status <number>`; of those that listen, those
    who were hung up on without one as `hung up`, those to whom nothing came as `no answer`.
    """
    counts: Counter[str] = Counter()
    until = threading.Event()
    with ThreadPoolExecutor(1, "rubbish") as thread:
        poured = thread.submit(asyncio.run, _pour(urls, key, seed, until, counts))
        try:
            yield counts
        finally:
            until.set()
            poured.result()  # raises what broke it off


def said(counts: Counter[str]) -> int:
    """How much was said, in all."""
    return sum(count for name, count in counts.copy().items() if name.startswith("said "))


async def _pour(
    urls: Sequence[str], key: str, seed: int, until: threading.Event, counts: Counter[str]
) -> None:
    speakers = []
    for number in range(CONNECTIONS):
        place = urlsplit(urls[number % len(urls)])
        host, port = place.hostname or "", place.port or 80
        dice = random.Random(f"{seed}-{number}")  # noqa: S311  (no secret)
        speakers.append(_speak(Mouth(f"{host}:{port}", key, dice), host, port, until, counts))
    await asyncio.gather(*speakers)


async def _speak(
    mouth: Mouth, host: str, port: int, until: threading.Event, counts: Counter[str]
) -> None:
    names, weights = tuple(KINDS), tuple(weight for weight, _ in KINDS.values())
    while not until.is_set():
        (name,) = mouth.dice.choices(names, weights)
        said = KINDS[name][1](mouth)
        counts[f"said {name}"] += 1
        heard = bytearray()
        patience = GLANCE_SECONDS if said.leave == "glance" else ANSWER_SECONDS
        try:
            async with asyncio.timeout(patience):
                await _exchange(host, port, said, heard)
        except TimeoutError:
            if said.leave != "glance":
                counts["no answer"] += 1
        statuses = _STATUS.findall(heard)
        for status in statuses:
            counts[f"status {status.decode()}"] += 1
        if said.leave == "hear" and not statuses:
            counts["hung up"] += 1


async def _exchange(host: str, port: int, said: Said, heard: bytearray) -> None:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return
    try:
        for piece in said.pieces:
            writer.write(piece)
            await writer.drain()
        if said.leave == "half":
            writer.write_eof()
        if said.leave in ("hear", "glance", "half"):
            while len(heard) < HEARD_BYTES_MAX and (piece := await reader.read(65_536)):
                heard += piece
        if said.leave == "reset":
            linger = struct.pack("ii", 1, 0)  # nothing is sent any more, and a RST tells it
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    except OSError:  # the server has had enough
        pass
    finally:
        writer.transport.abort() if said.leave in ("reset", "glance") else writer.close()


# --- heads ---------------------------------------------------------------------------------------


def _request_line(mouth: Mouth) -> Said:
    line = mouth.dice.choice(
        (
            *(b"GET", b"GET /v1/units", b"GET /v1/units HTTP/9.9", b"GET  /v1/units  HTTP/1.1"),
            *(b"get /v1/units HTTP/1.1", b"G\x00T /v1/units HTTP/1.1", b" GET / HTTP/1.1"),
            *(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"/v1/units GET HTTP/1.1"),
            *(b"GET /v1/units HTTP/1.1 HTTP/1.1", b"GET /v1/units FTP/1.1", b"\r\n\r\n\r\n"),
            *(b"BREW /v1/units HTTP/1.1", b"CONNECT a:443 HTTP/1.1", b"* * *", b"GET * HTTP/1.1"),
        )
    )
    return Said((line + b"\r\nHost: x\r\n\r\n",), "glance")


def _header(mouth: Mouth) -> Said:
    line = mouth.dice.choice(
        (
            *(b"no colon at all", b": no name", b"A : space", b"A\x00B: c", b"A: \x00", b"A\tB: c"),
            *(b" folded: x", b"X: y\r\n folded", b"X: \x7f\x1b[31m" + SENTINEL.encode()),
            *(b"Authorization: Bearer \xff\xfe", b"Accept-Language: " + b"q," * 3_000),
            *(b"X-Request-Id: " + b"x" * 4_000, b"X-Request-Id: a\x1b]0;" + SENTINEL.encode()),
            *(b"Idempotency-Key: \xe5\xaf\x86", b"Range: bytes=0-,-1,a-b", b"Expect: nonsense"),
            *(b"Host: a\r\nHost: b", b"Cookie: " + b"a=b;" * 1_000, b"Accept: ;q=nan,*/*;q=-1"),
            *(b"traceparent: 00-" + b"0" * 400, b'If-None-Match: "', b"Upgrade: h2c"),
        )
    )
    return Said((mouth.head("GET", "/v1/units")[:-2] + line + b"\r\n\r\n",))


def _huge_head(mouth: Mouth) -> Said:
    path, lines = mouth.dice.choice(
        (
            ("/" + "a" * mouth.dice.randint(9_000, 200_000), []),
            ("/v1/units?" + "&".join(f"p{n}=1" for n in range(5_000)), []),
            ("/v1/units", [f"X-{n}: {SENTINEL}" for n in range(5_000)]),
            ("/v1/units", ["X: " + "y" * 200_000]),
        )
    )
    return Said((mouth.head("GET", path, *lines),))


def _path(mouth: Mouth) -> Said:
    path = mouth.dice.choice(
        (
            *("/../../etc/passwd", "/v1/units/%2e%2e%2f%2e%2e%2fetc", "/v1/units/..%5c..", "//v1"),
            *("/v1/units/%00", "/v1/units/%", "/v1/units/%zz", "/v1/units/%c0%ae", "/%ed%a0%80"),
            *("http://evil.example/v1/units", "/v1/units#x", "/v1/members/" + "9" * 500, "/v1//"),
            *("/v1/units/lake%0d%0aSet-Cookie:%20a", f"/v1/{SENTINEL}", "/verify?number=<script>"),
            *("/v1/units?limit=1e9", "/v1/units?cursor=c" + "f" * 60, "/v1/units?%ff=%fe"),
            *(
                "/v1/units?limit=1&limit=2",
                "/v1/kpis?format=xml",
                "/v1/audit/events?type=" + "A," * 900,
            ),
            *(f"/v1/members?external_ref={SENTINEL}%27%20OR%201=1--", "/tile/9/x999/x999/999"),
            *(
                "/v1/service-records?served_from=0000-00-00",
                "/v1/grades/member:..",
                "/\udcff\udcfe",
            ),
            *(
                "/v1/audit/proofs/inclusion?position=" + "9" * 18,
                "/v1/periods/9999-99",
                "/;a=b?;&=&",
            ),
        )
    )
    return Said((mouth.head(mouth.dice.choice(("GET", "HEAD", "POST", "OPTIONS")), path),))


def _method(mouth: Mouth) -> Said:
    method = mouth.dice.choice(
        ("TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "M-SEARCH", "A" * 99)
    )
    return Said((mouth.head(method, mouth.dice.choice(("/v1/units", "/", "*", "/docs"))),))


def _other_protocol(mouth: Mouth) -> Said:
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
    said = mouth.dice.choice(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            mouth.head("GET", "/v1/units", *upgrade).replace(b"close", b"Upgrade"),
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"EHLO x\r\n",
            b"*1\r\n$4\r\nINFO\r\n",
            mouth.noise(2_000),
        )
    )
    return Said((said,), "glance")


# --- framing -------------------------------------------------------------------------------------


def _length(mouth: Mouth) -> Said:
    length = mouth.dice.choice(
        (
            *(
                "-1",
                "+5",
                "0x10",
                "5 5",
                "5, 5",
                "1e3",
                "٣",
                "",
                "9" * 30,
                "5\r\nContent-Length: 9",
            ),
            *("4\r\nTransfer-Encoding: chunked", "18446744073709551616", "500"),
        )
    )
    head = mouth.head("POST", "/v1/service-records", f"Content-Length: {length}", _JSON)
    return Said((head, b'{"a":'), mouth.dice.choice(("glance", "half", "reset")))


def _chunks(mouth: Mouth) -> Said:
    chunked = mouth.dice.choice(
        ("chunked", "xchunked", "chunked, gzip", "gzip, chunked", "ChUnKeD")
    )
    chunk = mouth.dice.choice(
        (
            *(b"-5\r\nhello\r\n", b"zz\r\nhello\r\n", b"5\r\nhelloX\r\n", b"5\nhello\n0\n\n"),
            *(
                b"ffffffffffffffff1\r\nx",
                b"5;" + b"e" * 20_000 + b"\r\nhello\r\n0\r\n\r\n",
                b"\r\n\r\n",
            ),
            *(b"1\r\n{\r\n" * 3_000, b"5\r\nhel", b"0\r\nTrailer: " + b"t" * 20_000 + b"\r\n\r\n"),
            *(b"0x5\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n", mouth.noise()),
        )
    )
    head = mouth.head("POST", "/v1/service-records", f"Transfer-Encoding: {chunked}", _JSON)
    return Said((head, chunk), mouth.dice.choice(("glance", "half", "reset")))


def _pipelined(mouth: Mouth) -> Said:
    good = mouth.head("GET", "/healthz").replace(b"Connection: close\r\n", b"")
    smuggled = mouth.head("POST", "/v1/service-records", "Content-Length: 40", _JSON) + good
    match mouth.dice.randrange(3):
        case 0:
            return Said((good * 20 + mouth.noise(),), "glance")
        case 1:
            return Said((good + smuggled + mouth.noise(),), "glance")
        case _:
            return Said((good * 200,), "reset")


def _silence(mouth: Mouth) -> Said:
    head = mouth.head("POST", "/v1/service-records", "Content-Length: 900", _JSON)
    cut = head[: mouth.dice.randint(0, len(head))]
    return Said((cut,), mouth.dice.choice(("half", "reset", "drop")))


# --- bodies --------------------------------------------------------------------------------------

_JSON = "Content-Type: application/json"
_PLACES = (
    *("/v1/service-records", "/v1/members", "/v1/needs", "/v1/orders", "/v1/redemptions"),
    *("/v1/service-record-batches", f"/v1/orders/{NOBODY}/check-in"),
)


def _record(**other: object) -> dict[str, object]:
    return {
        **{"receipt": SENTINEL, "member_id": NOBODY, "activity": "a", "category": "c"},
        **{"place": "bench", "responsible": "s", "started_at": "2026-03-06T14:00:00+08:00"},
        **{"ended_at": "2026-03-06T16:00:00+08:00", **other},
    }


def _json(mouth: Mouth) -> Said:
    dice, deep = mouth.dice, mouth.dice.choice((30, 33, 1_000, 50_000))
    body = dice.choice(
        (
            *(b"", b"{", b"nul", b"[]]", b"\xef\xbb\xbf{}", b"{'a':1}", b"\x00" * 100, b"NaN"),
            *(
                b"[" * deep,
                b'{"a":' * deep,
                b"[" * deep + b"]" * deep,
                b'"' + b"\\u0000" * 99 + b'"',
            ),
            *(b'{"receipt":1e999}', b'{"receipt":-0.0}', b'{"receipt":' + b"9" * 5_000 + b"}"),
            *(b'{"receipt":1,"receipt":2}', b'{"\\ud800":1}', b'{"a":"\\udfff"}', b'{"a":"\xff"}'),
            *('{"a":"溪"}'.encode("gb18030"), '{"a":1}'.encode("utf-16"), b'{"a":"\xed\xa0\x80"}'),
            orjson.dumps(_record(started_at="2026-02-30T14:00:00+08:00")),
            orjson.dumps(_record(break_minutes=dice.choice((-1, 10**18, 1.5, True, None, "1")))),
            orjson.dumps(_record(**{SENTINEL * 20: [[]] * 500})),
            orjson.dumps(_record(activity=dice.choice(("x" * 70_000, "\u202e", "\u0000", "=1+1")))),
            orjson.dumps({"items": [_record(receipt=n) for n in range(dice.choice((1, 300)))]}),
            orjson.dumps({"items": [None, [], "", {}, 7] * 50}),
            orjson.dumps({"external_ref": ["x"], "roles": {"a": 1}, "unit": 7, "person": "x"}),
            mouth.noise(2_000),
        )
    )
    return Said(mouth.post(dice.choice(_PLACES), body))


def _media(mouth: Mouth) -> Said:
    body = orjson.dumps(_record())
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="../../a"\r\n\r\n'
    match mouth.dice.randrange(5):
        case 0:
            said = mouth.post(
                "/v1/members", gzip.compress(body), "application/json", "Content-Encoding: gzip"
            )
        case 1:
            said = mouth.post(
                "/v1/members", mouth.noise(), "application/json", "Content-Encoding: br"
            )
        case 2:
            said = mouth.post("/v1/members", part + body, "multipart/form-data; boundary=x")
        case 3:
            said = mouth.post("/v1/members", b"a=b&" * 1_000, "application/x-www-form-urlencoded")
        case _:
            media = mouth.dice.choice(
                ("application/xml", ";;;", "a" * 5_000, "application/json; charset=\x00")
            )
            said = mouth.post("/v1/members", body, media)
    return Said(said)


def _too_large(mouth: Mouth) -> Said:
    size = 17 * MIB
    if mouth.dice.random() < 0.5:  # it says so
        head = mouth.head("POST", "/v1/service-record-batches", f"Content-Length: {size}", _JSON)
        return Said((head, b"[" * MIB))
    head = mouth.head("POST", "/v1/service-record-batches", "Transfer-Encoding: chunked", _JSON)
    return Said((head, *(b"100000\r\n" + bytes(MIB) + b"\r\n",) * 18))


def _sheet(mouth: Mouth) -> Said:
    dice = mouth.dice
    header = b"receipt,member_id,activity,category,place,responsible,started_at,ended_at\n"
    sheet = dice.choice(
        (
            *(b"", b"\n" * 2_000, header, header + b'"never closed\n' * 300, b"a," * 5_000),
            *(
                header + b"\xff\xfe\x00" * 90,
                header + "\u202e,=cmd|x,".encode() * 30,
                b"PK\x03\x04",
            ),
            *(
                header + b"\x00,\x00\n" * 99,
                b"PK\x03\x04" + mouth.noise(3_000),
                b"receipt,receipt\n",
            ),
            *(header.decode().encode("utf-16"), header + b",".join([b"9" * 400] * 8) + b"\n"),
        )
    )
    where = dice.choice(("/v1/imports/service-records", "/v1/imports/members"))
    return Said(mouth.post(f"{where}?dry_run=true", sheet, "text/csv"))


def _workbook(mouth: Mouth) -> Said:
    packed = mouth.dice.choice((_bomb, _entities, _last_cell, _broken_zip))()
    path = "/v1/imports/service-records?dry_run=true"
    return Said(mouth.post(path, packed, "application/octet-stream"))


@cache
def _bomb() -> bytes:
    """A sheet of 48 MiB of spaces in some kilobytes."""
    return _xlsx(b"<worksheet><sheetData>" + b" " * (48 * MIB))


@cache
def _entities() -> bytes:
    """A billion laughs, and a file of ours."""
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE x [<!ENTITY l0 "ha">{levels}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    cell = '<row r="1"><c r="A1" t="inlineStr"><is><t>&l9;&f;</t></is></c></row>'
    return _xlsx(f"{doctype}<worksheet><sheetData>{cell}</sheetData></worksheet>".encode())


@cache
def _last_cell() -> bytes:
    cells = '<row r="{0}"><c r="{1}{0}"><v>1</v></c></row>'
    cells = cells.format(1, "A") + cells.format(1_048_576, "XFD")
    return _xlsx(f"<worksheet><sheetData>{cells}</sheetData></worksheet>".encode())


@cache
def _broken_zip() -> bytes:
    whole = _xlsx(b"<worksheet><sheetData/></worksheet>")
    return whole[: len(whole) // 2]


def _xlsx(sheet: bytes) -> bytes:
    name = "http://schemas.openxmlformats.org"
    kind = f"{name}/officeDocument/2006/relationships"
    relation = (
        '<Relationships xmlns="{0}/package/2006/relationships">'
        '<Relationship Id="r1" Type="{1}" Target="{2}"/></Relationships>'
    )
    parts = {
        "_rels/.rels": relation.format(name, f"{kind}/officeDocument", "xl/workbook.xml").encode(),
        "xl/workbook.xml": (
            f'<workbook xmlns:r="{kind}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets>'
            "</workbook>"
        ).encode(),
        "xl/_rels/workbook.xml.rels": relation.format(
            name, f"{kind}/worksheet", "worksheets/sheet1.xml"
        ).encode(),
        "xl/worksheets/sheet1.xml": sheet,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for where, content in parts.items():
            packed.writestr(where, content)
    return file.getvalue()


# --- good requests, a little wrong ---------------------------------------------------------------


def _mutated(mouth: Mouth) -> Said:
    dice = mouth.dice
    good = dice.choice(
        (
            mouth.head("GET", "/v1/service-records?limit=5&status=verified"),
            mouth.head("GET", "/v1/members?limit=3", "Accept-Language: en"),
            mouth.head("GET", f"/v1/orders/{NOBODY}", "X-Request-Id: abc"),
            mouth.head("GET", "/verify?number=ST-7K3M-9QX4-T2BC&code=x", keyed=False),
            b"".join(mouth.post("/v1/service-records", orjson.dumps(_record()))),
            b"".join(
                mouth.post("/v1/service-record-batches", orjson.dumps({"items": [_record()]}))
            ),
            b"".join(mouth.post(f"/v1/redemptions/{NOBODY}/cancel", b'{"reason":"x"}')),
        )
    )
    said = bytearray(good)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(said))
        match dice.randrange(4):
            case 0:
                said[at] = dice.randrange(256)
            case 1:
                said[at:at] = mouth.noise(20)
            case 2:
                del said[at : at + dice.randint(1, 20)]
            case _:
                said[at:at] = said[max(0, at - 30) : at]
        if not said:
            break
    return Said((bytes(said),), "glance")


KINDS: dict[str, tuple[int, Kind]] = {
    "request line": (10, _request_line),
    "header": (10, _header),
    "huge head": (4, _huge_head),
    "path": (12, _path),
    "method": (4, _method),
    "other protocol": (4, _other_protocol),
    "length": (8, _length),
    "chunks": (10, _chunks),
    "pipelined": (4, _pipelined),
    "silence": (8, _silence),
    "json": (20, _json),
    "media": (6, _media),
    "too large": (1, _too_large),
    "sheet": (6, _sheet),
    "workbook": (1, _workbook),
    "mutated": (24, _mutated),
}
"""What is said, and how often beside the others."""
