"""A disk that is full, amid writers: they are told so, and go on once there is room again."""

from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from scripts.bench_houses import House
from tests.faults.clients import Load, check
from tests.faults.clusters import one_server
from tests.faults.disks import Full, growing_nothing, small_disk
from tests.faults.serving import house_of, serving
from tests.rounds import rounds

ROUNDS = rounds(2)


def written_on_a_full_disk(house: House, full: Full) -> Load:
    with serving(house) as (server,), Load(house, [server.url]) as load:
        load.go_on(200)
        for _ in range(ROUNDS):
            busy = load.busy
            with full([server.pid]):
                load.meet(20)
                assert server.status("/healthz") == 200
            assert load.busy > busy
            load.go_on(50)
    return load


def test_a_full_disk_loses_nothing_and_the_server_goes_on_by_itself(tmp_path: Path) -> None:
    with small_disk(64) as disk:
        house = house_of(tmp_path, f"sqlite:///{disk.folder / 'timebank.db'}")
        check(house, written_on_a_full_disk(house, disk.full))


def test_files_that_may_not_grow_lose_nothing_either(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    check(house, written_on_a_full_disk(house, growing_nothing))


@pytest.mark.postgresql
def test_a_database_whose_disk_is_full_is_come_back_to(tmp_path: Path) -> None:
    """PostgreSQL gives up where it cannot write its log; then it is started anew, as by systemd."""
    with small_disk(192) as disk, one_server(disk.folder) as database:
        house = house_of(tmp_path, database.url)
        with serving(house) as (server,), Load(house, [server.url]) as load:
            load.go_on(50)
            for _ in range(ROUNDS):
                with disk.full(database.pids):
                    with suppress(psycopg.OperationalError):  # it may give up at once
                        database.ask("SELECT pg_switch_wal()")  # what is at hand is used up soon
                    load.meet(20)
                    assert server.status("/healthz") == 200
                database.come_back()
                load.go_on(50)
        check(house, load)
