"""The bytes of a request: read within bounds, told by media type, and parsed as one clear value."""

import json
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import hdrs, web

from ledger.units import Refused

DEPTH_MAX = 32
NAMES_MAX = 1_000  # of one object
VALUES_MAX = 10_000  # names and elements in all, unless a route takes many things together
_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii"})


def body_at_hand(request: web.Request, bytes_max: int) -> bytes | None:
    """The body where all of it is here, which it nearly always is; else None: `read_body`."""
    content = request.content
    if not content.is_eof():
        return None
    body: bytes = content.read_nowait()
    if len(body) > bytes_max:
        raise too_large(bytes_max)
    return body


async def read_body(
    request: web.Request, bytes_max: int, hold: Callable[[int], None] = lambda more: None
) -> bytes:
    """The whole body, or `too_large` as soon as that is known; never more than that is held.

    `hold` is told of each piece, and may refuse it.
    """
    said = request.headers.get(hdrs.CONTENT_LENGTH)
    if said is not None and int(said) > bytes_max:
        raise too_large(bytes_max)
    pieces: list[bytes] = []
    size = 0
    try:
        while not request.content.at_eof():
            piece = await request.content.readany()
            size += len(piece)
            if size > bytes_max:
                raise too_large(bytes_max)
            hold(len(piece))
            pieces.append(piece)
    except web.RequestPayloadError:  # its chunks are broken
        raise Refused("malformed_json") from None
    return b"".join(pieces)


def too_large(bytes_max: int) -> Refused:
    """The no to a body over the limit."""
    mebibytes = bytes_max // (1024 * 1024)
    return Refused("too_large", limit=f"{mebibytes} MiB" if mebibytes else f"{bytes_max} B")


def media_type(request: web.Request, taken: tuple[str, ...]) -> str:
    """The body's media type, one of those that are taken; packed bodies are not unpacked.

    A request without any body is taken as an empty one.
    """
    headers = request.headers
    if headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Refused("unsupported_media_type")
    said = headers.get(hdrs.CONTENT_TYPE, "")
    if said in taken:
        return said
    if not said and not request.can_read_body:
        return taken[0]
    name, _, parameters = said.partition(";")
    name = name.strip().lower()
    if name not in taken:
        raise Refused("unsupported_media_type")
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        told = key.strip().lower() == "charset" and name.endswith("json")
        if told and charset not in _UTF8_NAMES:
            raise Refused("unsupported_media_type")
    return name


def parse_json(raw: bytes, values_max: int = VALUES_MAX) -> Any:
    """The value that a JSON text (RFC 8259) in UTF-8 stands for.

    Refused: other encodings, NaN and Infinity, more than 32 levels, and an object that gives one
    name twice (RFC 7493, section 2.3: readers disagree on what that means). Too large is what has
    more names or elements than any ask: each may be wrong, and each wrong one is told.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("bad_encoding") from None
        raise Refused("malformed_json") from None
    flat = type(value) is dict and raw.count(b"{") == 1 and b"[" not in raw
    if flat:
        names = len(value)
        refuse_many_names(value)
    else:
        names = _measure(value, values_max)
    if _colons(raw) != names:
        _refuse_names_given_twice(raw)
    return value


def refuse_many_names(value: Any, names_max: int = NAMES_MAX) -> None:
    """Too large is an object with more names than that."""
    if type(value) is dict and len(value) > names_max:
        raise Refused("too_large", limit=f"{names_max} names")


def _measure(value: Any, values_max: int) -> int:
    """How many names a parsed value's objects have in all, if it is neither deep nor wide."""
    depth = names = values = 0
    layer = [value] if type(value) in (dict, list) else []
    while layer:
        depth += 1
        if depth > DEPTH_MAX:
            raise Refused("malformed_json")
        below: list[Any] = []
        for node in layer:
            values += len(node)
            if values > values_max:
                raise Refused("too_large", limit=f"{values_max} values")
            if type(node) is dict:
                refuse_many_names(node)
                names += len(node)
                node = node.values()
            below += [child for child in node if type(child) is dict or type(child) is list]
        layer = below
    return names


def _colons(raw: bytes) -> int:
    """How many names the text gives, if it is written plainly; else -1 or too many.

    After each name stands its closing quote and a colon, and nowhere else does a bare quote stand
    before a colon. A quote inside a string can only count too many, white space before a colon
    is told by -1; either way the text is looked at closely.
    """
    if b" :" in raw or b"\n:" in raw or b"\t:" in raw or b"\r:" in raw:
        return -1
    return raw.count(b'":')


def _refuse_names_given_twice(raw: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Refused("malformed_json")

    json.loads(raw, object_pairs_hook=check)
