"""Samples for auditors: records that a seed draws, and every event that led to each."""

import hashlib
import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from ledger import journal, store
from ledger.events import Entry, PostedContent, types_of
from projections import trail
from projections.views import Views

_POSTED = types_of(PostedContent)


class Drawn(NamedTuple):
    """A record that was drawn: those with the smallest digests are."""

    digest: str  # SHA-256 of `<seed>:<record id>`, in hex
    record_id: str
    position: int  # at which it was posted


class Draw(NamedTuple):
    """What a seed draws among all records posted up to a position."""

    position: int
    population: int
    records: list[Drawn]


class _Posted(msgspec.Struct, gc=False):
    record_id: str


def drawn(
    connection: Connection,
    seed: str,
    number: int,
    until: int | None = None,
    heard: Callable[[int], None] = lambda position: None,
) -> Draw:
    """Draw records; whoever has the log and the seed draws the same with a tool of their own."""
    last = store.last_position(connection)
    last = last if until is None else min(until, last)
    population = 0

    def candidates() -> Iterator[Drawn]:
        nonlocal population
        after = 0
        while rows := store.read(connection, after, journal.PAGE, last):
            for row in rows:
                if row.type in _POSTED:
                    population += 1
                    record_id = _DECODER.decode(row.data).record_id
                    digest = hashlib.sha256(f"{seed}:{record_id}".encode()).hexdigest()
                    yield Drawn(digest, record_id, row.position)
            after = rows[-1].position
            heard(after)

    records = heapq.nsmallest(number, candidates())
    return Draw(last, population, records)


def led_to(views: Views, record_id: str, until: int) -> list[int]:
    """Where the events stand that led to a record, and those about it since, up to a position.

    They are its own, those of the need, order, redemption and certification that it names, and all
    that share a correlation id with one of these.
    """
    with views.store.reading() as connection:
        own = journal.record(connection, record_id)
        cited = {stream for entry in own for stream in _cited(entry)}
        led = [entry for there in journal.streams(connection, cited).values() for entry in there]
    found = {entry.position for entry in (*own, *led)}
    chains = {entry.event.correlation_id for entry in (*own, *led)}
    with views.engine.connect() as connection:
        for chain in sorted(chains - {""}):
            listed = trail.entries(connection, 0, CHAIN_MAX, correlation_id=chain, until=until)
            found |= {item["position"] for item in listed.items}
    return sorted(position for position in found if position <= until)


CHAIN_MAX = 10_000  # events that one request has caused: an import's


def _cited(entry: Entry) -> Iterator[str]:
    """The streams of what a record relies on; the need of its order shares a correlation id."""
    event = entry.event
    if isinstance(event, PostedContent):
        for kind, id in (
            ("order", event.order_id),
            ("redemption", event.redemption_id),
            ("certification", event.certification_id),
        ):
            if id is not None:
                yield f"{kind}:{id}"


_DECODER = msgspec.json.Decoder(_Posted)
