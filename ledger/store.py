"""The journal's store, and a persistence module of `eventsourcing` on it.

    store = Store("sqlite:///timebank.db")
    with store.writing() as connection:
        append(connection, [(stream, version, type_name, data)], last_position(connection))
        store.poke(connection)

With `PERSISTENCE_MODULE=ledger.store` and `TIMEBANK_DATABASE_URL` the library's applications,
notification logs and projections read and follow the same journal.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

import msgspec
from eventsourcing import persistence
from eventsourcing.domain import DomainEventProtocol, TAggregateID
from eventsourcing.persistence import Notification, StoredEvent, Tracking
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table, exc, select, text

from ledger.bulk_rows import insert_many, upsert_many
from ledger.databases import NotReplicated, open_engine, sibling_url
from ledger.entries import (
    ENTRY_BYTES_MAX,
    EntryTooLarge,
    NewRow,
    NotAnEntry,
    Row,
    entry_bytes,
    leaf_hash,
    parse_entry,
)
from ledger.events import EVENT_TYPES, Entry, decode, encode
from ledger.journal_rows import (
    Store,
    append,
    last,
    last_position,
    read,
    read_answers,
    read_heard,
    read_leaves,
    read_naming,
    read_positions,
    read_receipts,
    read_record,
    read_streams,
    scan,
    stream_names,
)
from ledger.journal_schema import (
    answers,
    audit_reads,
    checkpoints,
    cosignatures,
    entries,
    heard,
    keys,
    metadata,
    receipts,
    record_entries,
    shared_balances,
    tracking,
    webhook_attempts,
    webhook_dead_letters,
    webhooks,
)
from ledger.wakeup import Wakeup

__all__ = [
    "ENTRY_BYTES_MAX",
    "EntryTooLarge",
    "FactMapper",
    "Factory",
    "JournalRecorder",
    "NewRow",
    "NotAFact",
    "NotAnEntry",
    "NotReplicated",
    "ProcessRecorder",
    "Row",
    "Store",
    "StreamRecorder",
    "Subscription",
    "TrackingRecorder",
    "Wakeup",
    "answers",
    "append",
    "audit_reads",
    "checkpoints",
    "cosignatures",
    "entries",
    "entry_bytes",
    "heard",
    "insert_many",
    "keys",
    "last",
    "last_position",
    "leaf_hash",
    "metadata",
    "open_engine",
    "parse_entry",
    "read",
    "read_answers",
    "read_heard",
    "read_leaves",
    "read_naming",
    "read_positions",
    "read_receipts",
    "read_record",
    "read_streams",
    "receipts",
    "record_entries",
    "scan",
    "shared_balances",
    "sibling_url",
    "stream_names",
    "tracking",
    "upsert_many",
    "webhook_attempts",
    "webhook_dead_letters",
    "webhooks",
]


# --- facts and rows ------------------------------------------------------------------------------


class NotAFact(ValueError):
    """State that was given under the name of an event of ours is not what `encode` writes."""


class FactMapper(persistence.Mapper[TAggregateID]):
    """Maps our entries; events of any other kind as the library does."""

    def to_stored_event(self, domain_event: DomainEventProtocol[TAggregateID]) -> StoredEvent:
        """An Entry's fact in its one spelling; where it stands, the journal decides."""
        if not isinstance(domain_event, Entry):
            return super().to_stored_event(domain_event)
        fact = domain_event.event
        return StoredEvent(
            domain_event.stream, domain_event.version, type(fact).__name__, encode(fact)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[TAggregateID]:
        """The Entry, with its position where the row came from the journal's sequence."""
        topic = stored_event.topic
        if topic not in EVENT_TYPES:
            return super().to_domain_event(stored_event)
        entry: Any = Entry(  # its id is a text, whatever TAggregateID is
            stored_event.id if isinstance(stored_event, Notification) else 0,
            str(stored_event.originator_id),
            stored_event.originator_version,
            topic,
            decode(topic, stored_event.state),
        )
        return cast("DomainEventProtocol[TAggregateID]", entry)


def _new_row(event: StoredEvent) -> NewRow:
    stream = str(event.originator_id)
    if event.topic in EVENT_TYPES:
        try:
            fact = decode(event.topic, event.state)
        except msgspec.MsgspecError as error:
            raise NotAFact(str(error)) from error
        if encode(fact) != event.state:
            raise NotAFact(f"{event.topic} is not in its one spelling")
        if fact.stream != stream:
            raise NotAFact(f"{event.topic} belongs to the stream {fact.stream}")
    return stream, event.originator_version, event.topic, event.state


# --- recorders -----------------------------------------------------------------------------------


class StreamRecorder(persistence.AggregateRecorder):
    """Events by stream: the journal's entries, or a table beside them."""

    def __init__(self, store: Store, table: Table = entries) -> None:
        self.store = store
        self.table = table

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Write all or, with the library's IntegrityError, none."""
        with _library_errors(), self.store.writing() as connection:
            self._insert(connection, stored_events, **kwargs)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """The events of one stream, in the order of their versions."""
        table = self.table.c
        query = select(table.stream, table.version, table.type, table.data).where(
            table.stream == str(originator_id)
        )
        if gt is not None:
            query = query.where(table.version > gt)
        if lte is not None:
            query = query.where(table.version <= lte)
        query = query.order_by(table.version.desc() if desc else table.version).limit(limit)
        with _library_errors(), self.store.reading() as connection:
            return [StoredEvent(*row) for row in connection.execute(query)]

    def _insert(
        self, connection: Connection, stored_events: Sequence[StoredEvent], **_: Any
    ) -> list[int]:
        """The positions of the rows; none where the table has none."""
        rows = [_new_row(event) for event in stored_events]
        if self.table is not entries:
            insert_many(connection, self.table, rows)
            return []
        after = last_position(connection)
        append(connection, rows, after)
        self.store.poke(connection)
        return list(range(after + 1, after + 1 + len(rows)))


class JournalRecorder(StreamRecorder, persistence.ApplicationRecorder):
    """The journal as the library's application sequence; a notification's id is the position."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Write all, or none; their positions."""
        with _library_errors(), self.store.writing() as connection:
            return self._insert(connection, stored_events, **kwargs)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Entries from (or after) `start` to `stop`, of these types if any are named."""
        table = entries.c
        query = select(table.stream, table.version, table.type, table.data, table.position)
        if start is not None:
            query = query.where(
                table.position >= start if inclusive_of_start else table.position > start
            )
        if stop is not None:
            query = query.where(table.position <= stop)
        if topics:
            query = query.where(table.type.in_(topics))
        with _library_errors(), self.store.reading() as connection:
            rows = connection.execute(query.order_by(table.position).limit(limit))
            return [Notification(*row) for row in rows]

    def max_notification_id(self) -> int | None:
        """The last position; None before the first."""
        with _library_errors(), self.store.reading() as connection:
            return last_position(connection) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> "Subscription":
        """Every entry behind `gt`, then those to come, as they come."""
        return Subscription(self, gt, topics)


class Subscription(persistence.ListenNotifySubscription[JournalRecorder]):
    """Follows the journal; wakes on our own wakeup, on SQLite too."""

    def __init__(
        self, recorder: JournalRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        self._wakeup = recorder.store.wakeup()  # before the library's thread starts
        super().__init__(recorder, gt, topics)

    def stop(self) -> None:
        """End the iteration."""
        super().stop()
        self._wakeup.close()

    def _pull(self) -> None:
        super()._pull()
        if self._wakeup.wait():
            self._has_been_notified.set()  # what the library's loop waits for before it pulls anew


class TrackingRecorder(persistence.TrackingRecorder):
    """How far a follower has come, kept in the journal's database: one row for each."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move forward; the library's IntegrityError where it is not forward."""
        with _library_errors(), self.store.writing() as connection:
            self.track(connection, tracking)

    def track(self, connection: Connection, tracked: Tracking) -> None:
        """The same within a transaction that writes something of its own."""
        moved = connection.execute(
            text(_MOVE),
            {"application": tracked.application_name, "notification": tracked.notification_id},
        )
        if not moved.rowcount:
            raise persistence.IntegrityError(f"{tracked} is not ahead")

    def max_tracking_id(self, application_name: str) -> int | None:
        """The last notification that was tracked."""
        query = select(tracking.c.notification).where(tracking.c.application == application_name)
        with _library_errors(), self.store.reading() as connection:
            return connection.execute(query).scalar()


_MOVE = """
    INSERT INTO tracking (application, notification) VALUES (:application, :notification)
    ON CONFLICT (application) DO UPDATE SET notification = excluded.notification
    WHERE excluded.notification > tracking.notification
"""


class ProcessRecorder(JournalRecorder, TrackingRecorder, persistence.ProcessRecorder):
    """The journal for an application that follows another: events and tracking in one commit."""

    def _insert(
        self, connection: Connection, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> list[int]:
        positions = super()._insert(connection, stored_events, **kwargs)
        if kwargs.get("tracking"):
            self.track(connection, kwargs["tracking"])
        return positions


@contextmanager
def _library_errors() -> Iterator[None]:
    """Raise SQLAlchemy's errors under the library's names, which are those of PEP 249 too."""
    try:
        yield
    except exc.DBAPIError as error:
        raised = next(_LIBRARY_ERRORS[cls] for cls in type(error).__mro__ if cls in _LIBRARY_ERRORS)
        raise raised(str(error.orig)) from error


_LIBRARY_ERRORS: dict[type, type[persistence.PersistenceError]] = {
    exc.InterfaceError: persistence.InterfaceError,
    exc.DataError: persistence.DataError,
    exc.OperationalError: persistence.OperationalError,
    exc.IntegrityError: persistence.IntegrityError,
    exc.InternalError: persistence.InternalError,
    exc.ProgrammingError: persistence.ProgrammingError,
    exc.NotSupportedError: persistence.NotSupportedError,
    exc.DatabaseError: persistence.DatabaseError,
    exc.DBAPIError: persistence.DatabaseError,
}


# --- the factory ---------------------------------------------------------------------------------


class Factory(persistence.InfrastructureFactory[TrackingRecorder]):
    """Makes recorders of one journal, as the library's applications ask for them.

    The environment names it: TIMEBANK_DATABASE_URL, and TIMEBANK_LEDGER where it is not "main".
    CREATE_TABLE=no expects the tables to stand.
    """

    DATABASE_URL = "TIMEBANK_DATABASE_URL"
    LEDGER = "TIMEBANK_LEDGER"
    CREATE_TABLE = "CREATE_TABLE"

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        url = self.env.get(self.DATABASE_URL)
        if not url:
            raise persistence.InfrastructureFactoryError(f"{self.DATABASE_URL} is not set")
        self.store = Store(url, self.env.get(self.LEDGER, "main"))

    def close(self) -> None:
        """Close the journal."""
        self.store.close()

    def mapper(
        self,
        transcoder: persistence.Transcoder | None = None,
        mapper_class: type[persistence.Mapper[TAggregateID]] | None = None,
    ) -> persistence.Mapper[TAggregateID]:
        """Our mapper, unless another is asked for; the library's own refuses our facts."""
        if mapper_class is None and not self.env.get(self.MAPPER_TOPIC):
            mapper_class = FactMapper
        return super().mapper(transcoder, mapper_class)

    def aggregate_recorder(self, purpose: str = "events") -> StreamRecorder:
        """The journal's streams; for another purpose (snapshots) a table of its own."""
        if purpose == "events":
            return StreamRecorder(self._made())
        table = _stored(purpose)
        if self._creates():
            with self._made().writing() as connection:
                table.create(connection, checkfirst=True)
        return StreamRecorder(self.store, table)

    def application_recorder(self) -> JournalRecorder:
        """The journal's sequence."""
        return JournalRecorder(self._made())

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> TrackingRecorder:
        """Where a projection notes how far it has come; TRACKING_RECORDER_TOPIC names its class."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        if tracking_recorder_class is None and topic:
            tracking_recorder_class = resolve_topic(topic)
        return (tracking_recorder_class or TrackingRecorder)(self._made())

    def process_recorder(self) -> ProcessRecorder:
        """The journal's sequence for an application that follows another."""
        return ProcessRecorder(self._made())

    def _creates(self) -> bool:
        return strtobool(self.env.get(self.CREATE_TABLE, "yes"))

    def _made(self) -> Store:
        if self._creates():
            self.store.create()
        return self.store


def _stored(purpose: str) -> Table:
    if not purpose.isidentifier():
        raise ValueError(f"no name for a table: {purpose}")
    return Table(
        f"stored_{purpose}",
        MetaData(),
        Column("stream", entries.c.stream.type, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("type", entries.c.type.type, nullable=False),
        Column("data", LargeBinary, nullable=False),
    )
