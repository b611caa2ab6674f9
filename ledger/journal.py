"""The journal: facts <-> bytes, streams, entries, and the indexes that are derived from them."""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from ledger import store
from ledger.events import EVENT_TYPES, Entry, Event, PostedContent, RecordEvent, decode
from ledger.policy import Policies
from ledger.rules.shared_balances import moved
from ledger.units import id_bytes

PAGE = 5_000
"""Entries read at a time where many are read."""


STREAMS_AT_ONCE = 500
"""Streams, or service records, read at a time where many are."""


class Foreign(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry of a type that is not ours holds, as far as we read it: nothing."""

    stream_prefix, stream_key = "foreign", ""


FOREIGN = Foreign()


class IndexRows(NamedTuple):
    """What the derived tables hold for some entries."""

    receipts: list[tuple[str, str, bytes]]  # organisation, receipt, record
    replaced: list[tuple[str, str, bytes]]  # the same, where another record stood there before
    record_entries: list[tuple[bytes, int]]  # record, position
    moved: dict[str, int]  # shared account -> the change of its balance
    heard: list[tuple[str, int]]  # stream, position of a fact of another stream


def to_entry(row: store.Row) -> Entry:
    """The fact that a row holds."""
    position, stream, version, type_name, data, _ = row
    event = decode(type_name, data) if type_name in EVENT_TYPES else FOREIGN
    return Entry(position, stream, version, type_name, event)


def index_rows(entries: Iterable[Entry]) -> IndexRows:
    """What the derived tables must hold for these entries."""
    receipts: list[tuple[str, str, bytes]] = []
    replaced: list[tuple[str, str, bytes]] = []
    record_entries: list[tuple[bytes, int]] = []
    changes: dict[str, int] = {}
    heard: list[tuple[str, int]] = []
    for entry in entries:
        event = entry.event
        heard += [(stream, entry.position) for stream in event.also_in]
        for account, credits in moved(event).items():
            changes[account] = changes.get(account, 0) + credits
        if not isinstance(event, RecordEvent):
            continue
        record = id_bytes(event.record_id)
        record_entries.append((record, entry.position))
        if isinstance(event, PostedContent):
            under = receipts if event.replaces is None else replaced
            under.append((event.organisation, event.receipt, record))
    return IndexRows(receipts, replaced, record_entries, changes, heard)


def index(connection: Connection, entries: Iterable[Entry]) -> None:
    """Write the derived rows of entries that were just appended."""
    rows = index_rows(entries)
    store.insert_many(connection, store.receipts, rows.receipts)
    for row in rows.replaced:  # one after the other: a replacement may be replaced
        store.upsert_many(connection, store.receipts, [row])
    store.insert_many(connection, store.record_entries, rows.record_entries)
    store.insert_many(connection, store.heard, rows.heard)
    if rows.moved:
        before = shared_balances(connection, rows.moved)
        after = [(name, before.get(name, 0) + moves) for name, moves in rows.moved.items()]
        store.upsert_many(connection, store.shared_balances, after)


def entries_after(
    connection: Connection, after: int, limit: int = PAGE, until: int | None = None
) -> list[Entry]:
    """The next entries behind a position, oldest first."""
    return [to_entry(row) for row in store.read(connection, after, limit, until)]


def all_entries(
    connection: Connection, after: int = 0, until: int | None = None
) -> Iterator[list[Entry]]:
    """Every entry behind a position, a page at a time."""
    while page := entries_after(connection, after, PAGE, until):
        yield page
        after = page[-1].position


def streams(connection: Connection, names: Iterable[str]) -> dict[str, list[Entry]]:
    """The whole past of some streams; a stream without a past is left out.

    Facts of other streams that a stream hears stand among its own, in the order of positions.
    """
    wanted = list(names)
    found: dict[str, list[Entry]] = {}
    for row in store.read_streams(connection, wanted):
        found.setdefault(row[1], []).append(to_entry(row))
    heard: set[str] = set()
    for hearing, *fields in store.read_heard(connection, wanted):
        found.setdefault(hearing, []).append(to_entry(store.Row(*fields)))
        heard.add(hearing)
    for stream in heard:
        found[stream].sort(key=attrgetter("position"))
    return found


def policies(connection: Connection) -> Policies:
    """Every policy that was published."""
    folded = Policies()
    for entry in streams(connection, ["policies"]).get("policies", ()):
        folded.apply(entry.event, entry.position)
    return folded


def entries_of(connection: Connection, prefix: str) -> Iterator[Entry]:
    """Every entry of the streams whose names begin so, stream by stream, some at a time."""
    names = store.stream_names(connection, prefix)
    for start in range(0, len(names), STREAMS_AT_ONCE):
        for row in store.read_streams(connection, names[start : start + STREAMS_AT_ONCE]):
            yield to_entry(row)


def position_before(connection: Connection, recorded_at: str) -> int:
    """A position behind which everything stands that was recorded since an instant.

    `recorded_at` never decreases, so a binary search finds it; an entry that is not ours has none.
    """
    low, high = 0, store.last_position(connection)
    while low < high:
        middle = (low + high + 1) // 2
        (row,) = store.read_positions(connection, [middle])
        said = to_entry(row).event.recorded_at
        if said and said < recorded_at:
            low = middle
        else:
            high = middle - 1
    return low


def record(connection: Connection, record_id: str) -> list[Entry]:
    """Every entry about one service record, oldest first."""
    return [to_entry(row) for row in store.read_record(connection, id_bytes(record_id))]


def said_later(connection: Connection, posts: Mapping[str, int], until: int) -> Iterator[Entry]:
    """What was said of service records after their posts, up to a position, oldest first.

    `posts` gives the position of each record's post.
    """
    names, index = list(posts), store.record_entries.c
    for start in range(0, len(names), STREAMS_AT_ONCE):
        ids = [id_bytes(name) for name in names[start : start + STREAMS_AT_ONCE]]
        query = select(index.position).where(index.record_id.in_(ids), index.position <= until)
        later = set(connection.execute(query).scalars()).difference(posts.values())
        if later:
            yield from map(to_entry, store.read_positions(connection, sorted(later)))


def shared_balances(connection: Connection, accounts: Iterable[str]) -> dict[str, int]:
    """What these accounts, which are no person's, hold; those without a line are left out."""
    held = store.shared_balances.c
    query = select(held.account, held.credits).where(held.account.in_(list(accounts)))
    return {account: credits for account, credits in connection.execute(query)}


def records_under(
    connection: Connection, receipts: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The record that stands under each (organisation, receipt); unknown ones are left out."""
    by_organisation: dict[str, list[str]] = {}
    for organisation, receipt in receipts:
        by_organisation.setdefault(organisation, []).append(receipt)
    return {
        (organisation, receipt): str(UUID(bytes=record_id))
        for organisation, numbers in by_organisation.items()
        for receipt, record_id in store.read_receipts(connection, organisation, numbers)
    }
