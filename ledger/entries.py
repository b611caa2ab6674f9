"""An entry as one byte string: what is hashed, exported and proved (RFC 6962 leaves)."""

import base64
import binascii
import hashlib
from typing import NamedTuple

import msgspec
import orjson

from ledger.events import EVENT_TYPES

ENTRY_BYTES_MAX = 65_535
"""A tile of the log gives an entry's length in two bytes (C2SP tlog-tiles)."""

NewRow = tuple[str, int, str, bytes]
"""What is to be appended: stream, version, type, data."""


class Row(NamedTuple):
    """An entry as it is stored."""

    position: int
    stream: str
    version: int
    type: str
    data: bytes  # for a type of ours: canonical JSON, as `ledger.events.encode` spells it
    leaf_hash: bytes


class EntryTooLarge(ValueError):
    """An entry has more than 65 535 bytes."""


class NotAnEntry(ValueError):
    """These bytes are no entry as `entry_bytes` composes it."""


def entry_bytes(position: int, stream: str, version: int, type_name: str, data: bytes) -> bytes:
    """The canonical JSON of an entry, with `data` spliced in byte for byte.

    Data of a type that is not ours stand there as base64 text, whatever they look like.
    """
    tail = _TAILS.get(type_name)
    if tail is None:
        data = b'"' + base64.b64encode(data) + b'"'
        tail = _tail(type_name)
    entry = b'{"data":%b,"position":%d,"stream":%b%b%d}' % (
        data,
        position,
        orjson.dumps(stream),
        tail,
        version,
    )
    if len(entry) > ENTRY_BYTES_MAX:
        raise EntryTooLarge(f"entry {position} has {len(entry)} bytes")
    return entry


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry as a leaf of the log (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\0" + entry).digest()


def parse_entry(entry: bytes) -> Row:
    """The row that the entry was composed from, with the leaf hash it must have; or NotAnEntry."""
    try:
        read = _READ.decode(str(entry, "utf-8"))
        data = bytes(read.data)
        if read.type not in EVENT_TYPES:
            data = base64.b64decode(orjson.loads(data), validate=True)
        composed = entry_bytes(read.position, read.stream, read.version, read.type, data)
    except (msgspec.MsgspecError, TypeError, ValueError, binascii.Error) as error:
        raise NotAnEntry(str(error)) from error
    if composed != entry:
        raise NotAnEntry("it is not in its one spelling")
    return Row(read.position, read.stream, read.version, read.type, data, leaf_hash(entry))


class _Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: msgspec.Raw
    position: int
    stream: str
    type: str
    version: int


def _tail(type_name: str) -> bytes:
    return b',"type":%b,"version":' % orjson.dumps(type_name)


_READ = msgspec.json.Decoder(_Read)
_TAILS = {name: _tail(name) for name in EVENT_TYPES}
