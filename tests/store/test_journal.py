"""The journal: positions without a gap, entries that stand for ever, one writer at a time."""

import base64
import hashlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from ledger import store as journal
from ledger.databases import (
    PATIENCE,
    advisory_key,
    open_engine,
    reading,
    schema_name,
    sibling_url,
)
from ledger.entries import ENTRY_BYTES_MAX, EntryTooLarge, NotAnEntry
from ledger.events import EVENT_TYPES, UnitAdded, encode
from ledger.store import (
    NewRow,
    Row,
    Store,
    append,
    entry_bytes,
    insert_many,
    keys,
    last,
    last_position,
    leaf_hash,
    parse_entry,
    read,
    read_positions,
    read_streams,
)

ROOT = Path(__file__).resolve().parents[2]
FACT = UnitAdded(code="gulou", name="鼓楼", level="district", actor="cli")
FACT_BYTES = b'{"actor":"cli","code":"gulou","level":"district","name":"\xe9\xbc\x93\xe6\xa5\xbc"}'


def row(stream: str = "unit:gulou", version: int = 1, data: bytes = FACT_BYTES) -> NewRow:
    return stream, version, "UnitAdded", data


def foreign(stream: str, version: int = 1, data: bytes = b"\0\xff") -> NewRow:
    return stream, version, "app:Foreign", data


def written(store: Store, *rows: NewRow) -> list[bytes]:
    with store.writing() as connection:
        return append(connection, rows, last_position(connection))


def stored(store: Store) -> list[Row]:
    with store.reading() as connection:
        return read(connection, 0, 100_000)


# --- bytes ---------------------------------------------------------------------------------------


def test_an_entry_is_one_exact_byte_string() -> None:
    assert encode(FACT) == FACT_BYTES
    assert entry_bytes(7, "unit:gulou", 1, "UnitAdded", FACT_BYTES) == (
        b'{"data":' + FACT_BYTES + b',"position":7,"stream":"unit:gulou","type":"UnitAdded",'
        b'"version":1}'
    )


def test_a_leaf_is_the_hash_of_a_zero_byte_and_the_entry() -> None:
    entry = entry_bytes(7, "unit:gulou", 1, "UnitAdded", FACT_BYTES)
    assert leaf_hash(entry) == hashlib.sha256(b"\x00" + entry).digest()
    assert leaf_hash(entry).hex() == (
        "e61c9d5ad200b51e7858809823b58214924edd3a8b1ec77020167e4795137a40"
    )


def test_data_of_another_kind_stand_as_base64_even_if_they_look_like_ours() -> None:
    assert entry_bytes(1, 's"1', 0, "app:Fördern", b'{"a":1}') == (
        b'{"data":"eyJhIjoxfQ==","position":1,"stream":"s\\"1","type":"app:F\xc3\xb6rdern",'
        b'"version":0}'
    )


FOREIGN_TYPES = st.text().filter(lambda name: name not in EVENT_TYPES)


@given(st.integers(1), st.text(), st.integers(0), FOREIGN_TYPES, st.binary())
def test_an_entry_is_canonical_json_and_parses_back(
    position: int, stream: str, version: int, type_name: str, data: bytes
) -> None:
    entry = entry_bytes(position % 2**63, stream, version % 2**31, type_name, data)
    assert orjson.dumps(orjson.loads(entry), option=orjson.OPT_SORT_KEYS) == entry
    assert orjson.loads(entry)["data"] == base64.b64encode(data).decode()
    parsed = parse_entry(entry)
    assert parsed[:5] == (position % 2**63, stream, version % 2**31, type_name, data)
    assert parsed.leaf_hash == leaf_hash(entry)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda entry: entry[:-1],
        lambda entry: entry + b"\n",
        lambda entry: entry.replace(b'"position":7', b'"position": 7'),
        lambda entry: entry.replace(b'"position":7', b'"position":"7"'),
        lambda entry: entry.replace(b'"version":1', b'"version":1,"more":1'),
        lambda entry: entry.replace("鼓".encode(), b"\xff"),
        lambda entry: entry.replace(b'"UnitAdded"', b'"Foreign"'),
        lambda entry: entry.replace(b'"unit:gulou"', b'"unit:\\u0067ulou"'),
    ],
)
def test_bytes_that_are_not_an_entry_as_it_is_spelled_are_refused(spoilt: object) -> None:
    entry = entry_bytes(7, "unit:gulou", 1, "UnitAdded", FACT_BYTES)
    assert callable(spoilt)
    with pytest.raises(NotAnEntry):
        parse_entry(spoilt(entry))


def test_an_entry_of_65_535_bytes_is_the_largest(store: Store) -> None:
    room = 65_535 - len(entry_bytes(1, "unit:gulou", 1, "UnitAdded", b""))
    largest = b'"' + b"x" * (room - 2) + b'"'
    with pytest.raises(EntryTooLarge):
        written(store, row(data=largest + b" "))
    written(store, row(data=largest))
    assert [len(entry_bytes(*one[:5])) for one in stored(store)] == [ENTRY_BYTES_MAX] == [65_535]


# --- appending and reading -----------------------------------------------------------------------


def test_what_is_appended_is_read_byte_for_byte(store: Store) -> None:
    leaves = written(store, row(), foreign("账户:1", 0))
    assert stored(store) == [
        Row(1, "unit:gulou", 1, "UnitAdded", FACT_BYTES, leaves[0]),
        Row(2, "账户:1", 0, "app:Foreign", b"\0\xff", leaves[1]),
    ]
    for one in stored(store):
        assert one.leaf_hash == leaf_hash(entry_bytes(*one[:5]))


@pytest.mark.parametrize("many", [1, 4, 5, 2_345])
def test_positions_are_dense_whatever_the_size_of_a_batch(store: Store, many: int) -> None:
    for batch in range(2):
        written(store, *(foreign(f"s:{n}", batch) for n in range(many)))
    assert [one.position for one in stored(store)] == list(range(1, 2 * many + 1))


def test_pages_go_from_a_position_to_a_position(store: Store) -> None:
    written(store, *(foreign(f"s:{n}") for n in range(10)))
    with store.reading() as connection:
        assert [one.position for one in read(connection, 3, 4)] == [4, 5, 6, 7]
        assert [one.position for one in read(connection, 3, 4, until=5)] == [4, 5]
        assert read(connection, 10, 4) == []


def test_streams_and_positions_are_looked_up_many_at_a_time(store: Store) -> None:
    written(store, foreign("a"), foreign("b"), foreign("c"), foreign("a", 2), foreign("'\"\\", 2))
    with store.reading() as connection:
        assert [one.position for one in read_streams(connection, ["a", "c", "none"])] == [1, 3, 4]
        assert [one.position for one in read_streams(connection, ["'\"\\"])] == [5]
        assert [one.position for one in read_positions(connection, [4, 2, 9])] == [2, 4]
        assert read_streams(connection, []) == read_positions(connection, []) == []


def test_the_newest_entry_is_found(store: Store) -> None:
    with store.reading() as connection:
        assert last(connection) is None
        assert last_position(connection) == 0
    written(store, foreign("a"), foreign("b"))
    with store.reading() as connection:
        newest = last(connection)
        assert newest is not None
        assert newest.stream == "b"
        assert last_position(connection) == newest.position == 2


@pytest.mark.parametrize("after", [0, 2, 7, -1])
@pytest.mark.parametrize("many", [1, 10])
def test_an_append_that_would_leave_or_fill_a_gap_is_refused(
    store: Store, after: int, many: int
) -> None:
    written(store, foreign("first"))
    with pytest.raises(IntegrityError), store.writing() as connection:
        append(connection, [foreign(f"s:{n}") for n in range(many)], after)
    assert len(stored(store)) == 1


@pytest.mark.parametrize("many", [1, 10])
def test_a_version_of_a_stream_is_written_once(store: Store, many: int) -> None:
    written(store, foreign("s:0"))
    with pytest.raises(IntegrityError):
        written(store, *(foreign(f"s:{n}") for n in range(many)))
    with pytest.raises(IntegrityError):
        written(store, foreign("other"), foreign("other"))
    assert len(stored(store)) == 1


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def interrupted() -> None:
        with store.writing() as connection:
            append(connection, [foreign("s:0")], 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert stored(store) == []
    written(store, foreign("s:0"))


def test_a_reader_sees_one_state_throughout(store: Store) -> None:
    written(store, foreign("a"))
    with store.reading() as connection:
        assert last_position(connection) == 1
        written(store, foreign("b"))
        assert last_position(connection) == 1
    assert len(stored(store)) == 2


def test_a_reader_on_postgresql_cannot_write(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    store.create()
    with pytest.raises(DBAPIError, match="read-only"), store.reading() as connection:
        append(connection, [foreign("a")], 0)
    store.close()


@pytest.mark.parametrize("many", [1, 3, 700])
def test_rows_of_any_table_are_inserted_many_at_once(store: Store, many: int) -> None:
    nothing = [None] * 5
    rows = [
        (f"键{n}", b"h" * 32, "admin", "a", None, None, None, "now", *nothing) for n in range(many)
    ]
    with store.writing() as connection:
        insert_many(connection, journal.keys, rows)
        insert_many(connection, journal.keys, [])
    with store.reading() as connection:
        found = connection.execute(select(journal.keys).order_by(journal.keys.c.id)).all()
    assert [tuple(one) for one in found] == sorted(rows)


def test_making_the_journal_again_changes_nothing(store: Store) -> None:
    written(store, foreign("a"))
    store.create()
    assert len(stored(store)) == 1


# --- append-only ---------------------------------------------------------------------------------

EVERYWHERE = [
    "UPDATE entries SET data = 'x' WHERE position = 1",
    "UPDATE entries SET position = 9 WHERE position = 1",
    "DELETE FROM entries",
    "DELETE FROM entries WHERE position = 2",
    "INSERT INTO entries VALUES (1, 'new', 1, 't', '', '')",
    "INSERT INTO entries VALUES (4, 'new', 1, 't', '', '')",
    "INSERT INTO entries VALUES (0, 'new', 1, 't', '', '')",
    "INSERT INTO entries VALUES (-1, 'new', 1, 't', '', '')",
    "INSERT INTO entries VALUES (3, 's:1', 1, 't', '', '')",
    "INSERT INTO entries VALUES (NULL, 'new', 1, 't', '', '')",
    "INSERT INTO entries VALUES (1, 's:0', 1, 't', '', '')"
    " ON CONFLICT (position) DO UPDATE SET data = excluded.data",
    "INSERT INTO entries VALUES (3, 's:1', 1, 't', '', '')"
    " ON CONFLICT (stream, version) DO UPDATE SET data = excluded.data",
]
ON_SQLITE = [
    "INSERT OR REPLACE INTO entries VALUES (1, 's:0', 1, 't', 'x', 'y')",
    "INSERT OR REPLACE INTO entries VALUES (3, 's:0', 1, 't', 'x', 'y')",
    "REPLACE INTO entries VALUES (2, 'new', 1, 't', 'x', 'y')",
    "INSERT OR IGNORE INTO entries VALUES (1, 's:0', 1, 't', 'x', 'y')",
    "UPDATE OR REPLACE entries SET position = 1 WHERE position = 2",
    "INSERT INTO entries (stream, version, type, data, leaf_hash) VALUES ('new', 1, 't', '', '')",
]
ON_POSTGRESQL = [
    "TRUNCATE entries",
    "MERGE INTO entries USING (SELECT 1 AS p) AS s ON position = p"
    " WHEN MATCHED THEN UPDATE SET data = ''",
    "MERGE INTO entries USING (SELECT 1 AS p) AS s ON position = p WHEN MATCHED THEN DELETE",
    "SET session_replication_role = replica; DELETE FROM entries",
    "SET session_replication_role = replica; INSERT INTO entries VALUES (9, 'n', 1, 't', '', '')",
    "INSERT INTO entries VALUES (3, 'a', 1, 't', '', ''), (5, 'b', 1, 't', '', '')",
]


def refuses(store: Store, statement: str) -> None:
    written(store, foreign("s:0"), foreign("s:1"))
    before = stored(store)
    with pytest.raises(DBAPIError), store.writing() as connection:
        connection.exec_driver_sql(statement)
    assert stored(store) == before


@pytest.mark.parametrize("statement", EVERYWHERE)
def test_no_statement_changes_what_stands(store: Store, statement: str) -> None:
    refuses(store, statement)


@pytest.mark.parametrize("statement", ON_SQLITE)
def test_no_statement_of_sqlite_changes_what_stands(sqlite_url: str, statement: str) -> None:
    store = Store(sqlite_url)
    store.create()
    refuses(store, statement)
    store.close()


@pytest.mark.parametrize("statement", ON_POSTGRESQL)
def test_no_statement_of_postgresql_changes_what_stands(
    postgresql_url: str, statement: str
) -> None:
    store = Store(postgresql_url)
    store.create()
    refuses(store, statement)
    store.close()


def test_a_qualified_insert_from_another_schema_meets_the_same_triggers(
    postgresql_url: str,
) -> None:
    store = Store(postgresql_url)
    store.create()
    statement = "INSERT INTO main_journal.entries VALUES (%s, 's', %s, 't', '', '')"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE entries (position bigint)")
        connection.execute("INSERT INTO entries VALUES (8)")
        connection.execute(statement, (1, 1))
        with pytest.raises(psycopg.IntegrityError, match="next position"):
            connection.execute(statement, (9, 2))
    store.close()


# --- one writer at a time ------------------------------------------------------------------------

WRITER = """
import sys
from ledger.store import Store, append, last_position
store = Store(sys.argv[1])
with store.reading():
    print("ready", flush=True)
sys.stdin.readline()
for version in range(1, 51):
    with store.writing() as connection:
        rows = [(f"{sys.argv[2]}:{n}", version, "t", b"") for n in range(int(sys.argv[3]))]
        append(connection, rows, last_position(connection))
store.close()
"""


def test_two_processes_write_at_once_and_positions_stay_dense(
    store: Store, database_url: str
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database_url, name, many],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name, many in (("a", "1"), ("b", "7"))
    ]
    assert [writer.stdout.readline() for writer in writers if writer.stdout] == ["ready\n"] * 2
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    found = stored(store)
    assert [one.position for one in found] == list(range(1, 401))
    assert len({(one.stream, one.version) for one in found}) == 400


def test_threads_of_one_process_write_one_after_the_other(store: Store) -> None:
    def write(name: str) -> None:
        for version in range(1, 21):
            written(store, foreign(name, version))

    threads = [threading.Thread(target=write, args=(f"s:{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.position for one in stored(store)] == list(range(1, 161))


def test_the_lock_of_a_ledger_is_its_own() -> None:
    assert advisory_key("main_journal") != advisory_key("main_views")
    assert -(2**63) <= advisory_key("main_journal") < 2**63


def test_a_lost_connection_is_an_error_of_the_database_and_the_next_one_works(
    postgresql_url: str,
) -> None:
    store = Store(postgresql_url)
    store.create()

    def cut_off() -> None:
        with store.writing() as connection:
            end_backends(postgresql_url)
            append(connection, [foreign("a")], 0)

    with pytest.raises(OperationalError) as caught:
        cut_off()
    assert caught.value.connection_invalidated
    assert written(store, foreign("a"))
    store.close()


def test_an_idle_connection_that_the_server_closed_is_replaced_unseen(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    store.create()
    with store.reading(), store.reading():
        pass  # two connections in the pool
    end_backends(postgresql_url)
    assert stored(store) == []
    written(store, foreign("a"))
    store.close()


def end_backends(url: str) -> None:
    """Close every other connection to the database, from the server's side."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


# --- durable -------------------------------------------------------------------------------------


def setting(engine: object, name: str) -> str:
    with engine.connect() as connection:  # type: ignore[attr-defined]
        if connection.dialect.name == "sqlite":
            return str(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


def test_the_journal_is_synced_at_each_commit_and_the_views_are_not(database_url: str) -> None:
    name = "synchronous" if database_url.startswith("sqlite") else "synchronous_commit"
    for durable, wanted in ((True, ("2", "on")), (False, ("1", "off"))):
        engine = open_engine(database_url, "a", durable=durable)
        assert setting(engine, name) in wanted
        engine.dispose()


def test_a_journal_on_postgresql_is_durable_though_the_role_is_not(postgresql_url: str) -> None:
    for given_, wanted in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE postgres SET synchronous_commit = {given_}")
        engine = open_engine(postgresql_url, "a", durable=True)
        assert setting(engine, "synchronous_commit") == wanted
        engine.dispose()
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres RESET synchronous_commit")


def test_sqlite_writes_ahead(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url, "a", durable=True)
    assert setting(engine, "journal_mode") == "wal"
    assert setting(engine, "busy_timeout") == "10000"
    engine.dispose()


# --- addresses -----------------------------------------------------------------------------------


def test_the_other_stores_of_a_ledger_stand_beside_its_journal() -> None:
    assert sibling_url("sqlite:////var/lib/timebank.db", "views") == (
        "sqlite:////var/lib/timebank-views.db"
    )
    assert sibling_url("sqlite:///timebank.db", "vault") == "sqlite:///timebank-vault.db"
    on_postgresql = "postgresql://app:secret@a:5432,b:5433/city?target_session_attrs=read-write"
    assert sibling_url(on_postgresql, "views") == on_postgresql


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://a/b", "nonsense"])
def test_an_address_that_is_no_place_for_a_ledger_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///FILE"):
        Store(url)


def test_a_mistyped_address_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="libpq") as caught:
        Store("postgresql://app:secret@host:[bad/city?nonsense=1")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_several_hosts_are_tried_as_libpq_does(postgresql_url: str) -> None:
    folder = postgresql_url.partition("host=")[2]
    store = Store(postgresql_url.replace(f"host={folder}", f"host=/nowhere,{folder}"))
    store.create()
    assert schema_name(store.engine) == "main_journal"
    with reading(store.engine) as connection:
        assert last_position(connection) == 0
    store.close()


def told_to_libpq(url: str) -> dict[str, str]:
    """What libpq was told of patience; it leaves out what is its own default."""
    engine = open_engine(url, "a", durable=True)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        told = {k: v for k, v in driver.info.get_parameters().items() if k in PATIENCE}
    engine.dispose()
    return told


def test_a_host_that_vanished_is_given_up_in_seconds(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {name: str(value) for name, value in PATIENCE.items()}
    assert told_to_libpq(postgresql_url) == ours
    theirs = {"connect_timeout": "9", "tcp_user_timeout": "7000"}
    more = "&".join(f"{name}={value}" for name, value in theirs.items())
    assert told_to_libpq(f"{postgresql_url}&{more}") == {**ours, **theirs}
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "8")
    assert told_to_libpq(postgresql_url) == {**ours, "connect_timeout": "8"}


def test_a_service_file_tells_all_of_it_or_nothing(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tmp_path / "services"
    host = postgresql_url.partition("host=")[2]
    service.write_text(f"[bank]\nhost={host}\nuser=postgres\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert told_to_libpq("postgresql://?service=bank") == {}
    monkeypatch.setenv("PGSERVICE", "bank")
    assert told_to_libpq("postgresql://") == {}


def test_an_error_of_the_database_quotes_no_value(store: Store) -> None:
    """What is logged of an error may not tell an actor's name."""
    row = {"id": "k1234567", "hash": b"h", "role": "admin", "actor": "张三", "created_at": "now"}
    with pytest.raises(IntegrityError) as refused, store.writing() as connection:
        connection.execute(insert(keys), [row, row])
    assert "张三" not in str(refused.value)
