"""The store as a persistence module: the library's own cases, and the library following our log."""

import threading
from collections.abc import Iterator
from typing import Any
from unittest import TestCase
from uuid import UUID, uuid4

import pytest
from eventsourcing import persistence
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.tests import application as application_cases
from eventsourcing.tests import persistence as recorder_cases
from eventsourcing.tests import projection as projection_cases
from eventsourcing.utils import Environment
from sqlalchemy import Column, Integer, MetaData, Table, select, update

from ledger import store as journal
from ledger.events import Entry, UnitAdded, encode
from ledger.store import (
    FactMapper,
    Factory,
    JournalRecorder,
    NotAFact,
    ProcessRecorder,
    Store,
    StreamRecorder,
    TrackingRecorder,
)

RECORDER_CASES: list[tuple[type[TestCase], type]] = [
    (recorder_cases.AggregateRecorderTestCase, StreamRecorder),
    (recorder_cases.ApplicationRecorderTestCase, JournalRecorder),
    (recorder_cases.ApplicationRecorderTestCase, ProcessRecorder),
    (recorder_cases.NonInterleavingNotificationIDsBaseCase, JournalRecorder),
    (recorder_cases.TrackingRecorderTestCase, TrackingRecorder),
    (recorder_cases.TrackingRecorderTestCase, ProcessRecorder),
    (recorder_cases.ProcessRecorderTestCase, ProcessRecorder),
]


def methods(case: type) -> list[str]:
    """A case's tests, those that no runner calls by itself too."""
    return [name for name in dir(case) if name.startswith(("test", "optional_test"))]


def each(cases: list[tuple[type[TestCase], type]]) -> Any:
    return pytest.mark.parametrize(
        ("case", "recorder", "method"),
        [
            pytest.param(case, recorder, method, id=f"{case.__name__}-{recorder.__name__}-{method}")
            for case, recorder in cases
            for method in methods(case)
        ],
    )


@each(RECORDER_CASES)
def test_the_librarys_recorder_case_holds(
    case: Any, recorder: Any, method: str, store: Store
) -> None:
    class OnOurs(case):  # type: ignore[misc]
        def create_recorder(self) -> Any:
            return recorder(store)

        def new_originator_id(self) -> str:
            return f"account:{uuid4()}"

    before = set(threading.enumerate())
    OnOurs(method).debug()
    for thread in set(threading.enumerate()) - before:  # a case leaves readers behind
        thread.join()


def test_the_librarys_aggregate_case_holds_for_snapshots_beside_the_journal(
    factory: Factory,
) -> None:
    class OnOurs(recorder_cases.AggregateRecorderTestCase):
        def create_recorder(self) -> persistence.AggregateRecorder:
            return factory.aggregate_recorder(purpose="snapshots")

        def new_originator_id(self) -> str:
            return f"account:{uuid4()}"

    OnOurs("test_insert_and_select").debug()
    assert factory.application_recorder().max_notification_id() is None


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {"PERSISTENCE_MODULE": "ledger.store", "TIMEBANK_DATABASE_URL": database_url}


@pytest.fixture
def factory(env: dict[str, str]) -> Iterator[Factory]:
    made = Factory(Environment("app", env))
    yield made
    made.close()


@pytest.mark.parametrize("method", methods(recorder_cases.InfrastructureFactoryTestCase))
def test_the_librarys_factory_case_holds(method: str, env: dict[str, str]) -> None:
    given = env

    class OnOurs(recorder_cases.InfrastructureFactoryTestCase[Factory]):
        env = Environment("app", given)

        def expected_factory_class(self) -> type[Factory]:
            return Factory

        def expected_aggregate_recorder_class(self) -> type[StreamRecorder]:
            return StreamRecorder

        def expected_application_recorder_class(self) -> type[JournalRecorder]:
            return JournalRecorder

        def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
            return TrackingRecorder

        def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
            return CountingView

        def expected_process_recorder_class(self) -> type[ProcessRecorder]:
            return ProcessRecorder

    OnOurs(method).debug()


# --- the library's applications and projections ------------------------------------------------

counts = Table(
    "test_counts",
    MetaData(),
    Column("created", Integer, nullable=False),
    Column("subsequent", Integer, nullable=False),
)


class CountingView(TrackingRecorder, projection_cases.EventCountersView):
    """A view of its own beside the journal, that moves in one commit with its tracking."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        with store.writing() as connection:
            counts.create(connection, checkfirst=True)
            if connection.execute(select(counts)).first() is None:
                connection.execute(counts.insert().values(created=0, subsequent=0))

    def get_created_event_counter(self) -> int:
        return self._count(counts.c.created)

    def get_subsequent_event_counter(self) -> int:
        return self._count(counts.c.subsequent)

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._count_one(counts.c.created, tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._count_one(counts.c.subsequent, tracking)

    def _count(self, column: Column[int]) -> int:
        with self.store.reading() as connection:
            return connection.execute(select(column)).scalar_one()

    def _count_one(self, column: Column[int], tracking: Tracking) -> None:
        with self.store.writing() as connection:
            connection.execute(update(counts).values({column.name: column + 1}))
            self.track(connection, tracking)


IGNORE_SAVE = pytest.mark.filterwarnings("ignore:'save\\(\\)' is deprecated")


@IGNORE_SAVE
def test_the_librarys_example_application_runs_on_our_journal(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnOurs(application_cases.ExampleApplicationTestCase):
        expected_factory_topic = "ledger.store:Factory"

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    OnOurs("test_example_application").debug()


def test_the_librarys_view_case_holds(store: Store) -> None:
    class OnOurs(projection_cases.EventCountersViewTestCase):
        def construct_event_counters_view(self) -> projection_cases.EventCountersView:
            return CountingView(store)

    OnOurs("test").debug()


@IGNORE_SAVE
@pytest.mark.parametrize(
    "method", methods(projection_cases.AggregateEventCountersProjectionTestCase)
)
def test_the_librarys_projection_case_holds(method: str, env: dict[str, str]) -> None:
    given = env

    class OnOurs(projection_cases.AggregateEventCountersProjectionTestCase):
        view_class = CountingView
        env = given

    OnOurs(method).debug()


@IGNORE_SAVE
def test_the_librarys_event_sourced_projection_runs_between_two_ledgers(
    env: dict[str, str], database_url: str
) -> None:
    # In one ledger it would follow its own events.
    beside = journal.sibling_url(database_url, "views")
    given = env | {"COUNTERS_TIMEBANK_DATABASE_URL": beside, "COUNTERS_TIMEBANK_LEDGER": "counts"}

    class OnOurs(projection_cases.EventSourcedProjectionTestCase):
        env = given

    OnOurs("test_event_sourced_projection").debug()


# --- our facts, through the library -------------------------------------------------------------


class UnitsView(TrackingRecorder):
    """Which units stand."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.seen: list[tuple[int, str]] = []


class UnitsProjection(Projection[UnitsView]):
    """Hears of units."""

    topics = ("UnitAdded",)

    @singledispatchmethod
    def process_event(self, domain_event: Entry, tracking: Tracking) -> None:
        assert isinstance(domain_event.event, UnitAdded)
        self.view.seen.append((domain_event.position, domain_event.event.code))
        self.view.insert_tracking(tracking)


def unit(code: str) -> journal.NewRow:
    fact = UnitAdded(code=code, name=code, level="district", actor="cli")
    return fact.stream, 1, "UnitAdded", encode(fact)


def written(store: Store, *rows: journal.NewRow) -> None:
    with store.writing() as connection:
        journal.append(connection, rows, journal.last_position(connection))
        store.poke(connection)


def test_the_librarys_projection_runner_follows_our_log(env: dict[str, str], store: Store) -> None:
    written(store, unit("a"), ("other:1", 1, "tests:Other", b"x"))
    with ProjectionRunner(
        application_class=Application[UUID],
        projection_class=UnitsProjection,
        view_class=UnitsView,
        env=env,
    ) as runner:
        runner.wait(1, timeout=10)
        written(store, unit("b"))
        runner.wait(3, timeout=10)
        assert runner.projection.view.seen == [(1, "a"), (3, "b")]


def test_an_entry_goes_through_the_librarys_event_store_and_comes_back(factory: Factory) -> None:
    fact = UnitAdded(code="a", name="甲", level="district")
    events: Any = factory.event_store()
    (recording,) = events.put([Entry(0, fact.stream, 1, "UnitAdded", fact)])
    assert recording.notification == persistence.Notification(
        "unit:a", 1, "UnitAdded", encode(fact), 1
    )
    assert list(events.get("unit:a")) == [Entry(0, "unit:a", 1, "UnitAdded", fact)]
    (notification,) = factory.application_recorder().select_notifications(1, 10)
    assert factory.mapper().to_domain_event(notification) == Entry(
        1, "unit:a", 1, "UnitAdded", fact
    )


def test_our_facts_are_never_compressed_or_encrypted(env: dict[str, str]) -> None:
    factory = Factory(env | {"COMPRESSOR_TOPIC": "zlib"})
    fact = UnitAdded(code="a", name="甲", level="district")
    mapper: Any = factory.mapper()
    assert isinstance(mapper, FactMapper)
    assert mapper.to_stored_event(Entry(0, "unit:a", 1, "UnitAdded", fact)).state == encode(fact)


@pytest.mark.parametrize(
    ("stream", "state"),
    [
        ("unit:a", b'{"code": "a","level":"district","name":"a"}'),  # white space
        ("unit:a", b'{"level":"district","name":"a","code":"a"}'),  # order
        ("unit:a", b'{"code":"a","level":"district","name":"a","other":1}'),
        ("unit:a", b'{"code":"a","level":"galaxy","name":"a"}'),
        ("unit:a", b"compressed"),
        ("unit:b", b'{"code":"a","level":"district","name":"a"}'),  # another's stream
    ],
)
def test_a_fact_of_ours_in_another_spelling_is_refused(
    store: Store, stream: str, state: bytes
) -> None:
    recorder = JournalRecorder(store)
    with pytest.raises(NotAFact):
        recorder.insert_events([StoredEvent(stream, 1, "UnitAdded", state)])
    assert recorder.max_notification_id() is None


def test_a_factory_without_an_address_says_what_is_missing() -> None:
    with pytest.raises(persistence.InfrastructureFactoryError, match="TIMEBANK_DATABASE_URL"):
        Factory({})


def test_two_ledgers_of_one_server_do_not_meet(postgresql_url: str) -> None:
    stores = [Store(postgresql_url, ledger) for ledger in ("north", "south")]
    for opened in stores:
        opened.create()
    written(stores[0], unit("a"))
    assert [JournalRecorder(opened).max_notification_id() for opened in stores] == [1, None]
    for opened in stores:
        opened.close()
