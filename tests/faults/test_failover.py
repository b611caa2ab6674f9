"""A database that goes away amid writers: restarted, crowded, or dead with a standby instead."""

from contextlib import ExitStack, suppress

import psycopg
import pytest

from tests.faults.clients import Load, Members, check, check_members
from tests.faults.clusters import pair, several, wait_until
from tests.faults.serving import house_of, serve_in_a_hurry, serving
from tests.rounds import rounds

pytestmark = pytest.mark.postgresql


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_database_that_is_restarted_is_come_back_to(database, tmp_path, mode):
    house = house_of(tmp_path, database.url)
    with serving(house) as (server,), Load(house, [server.url]) as load:
        load.go_on(50)
        for _ in range(rounds(1)):
            database.stop(mode)
            load.meet(5)
            assert (server.status("/healthz"), server.status("/readyz")) == (200, 503)
            database.start()
            load.go_on(50)
            wait_until(lambda: server.status("/readyz") == 200)
    check(house, load)


def test_a_standby_that_takes_over_has_all_that_was_acknowledged(tmp_path):
    with pair() as (primary, standby):
        house = house_of(tmp_path, several(primary, standby))
        with serving(house, 2) as servers, Load(house, [each.url for each in servers]) as load:
            load.go_on(200)
            primary.kill()
            load.meet(5)
            standby.promote()
            load.go_on(200)
            for server in servers:
                wait_until(lambda server=server: server.status("/readyz") == 200)
        counted = check(house, load)
        assert counted.acknowledged >= 400


def test_who_waits_for_a_standby_that_hangs_is_told_busy_in_time_and_counted_once(tmp_path):
    with pair() as (primary, standby):
        house = house_of(tmp_path, primary.url)
        with serving(house, program=serve_in_a_hurry) as (server,), ExitStack() as clients:
            loads = [
                clients.enter_context(kind(house, [server.url], clients=4))
                for kind in (Load, Members)
            ]
            for load in loads:
                load.go_on(10)
            with standby.hanging():
                for load in loads:
                    load.meet(4)
                    assert load.busy >= 4  # an answer each, in time
                    assert load.broken == 0
                assert (server.status("/healthz"), server.status("/readyz")) == (200, 503)
                server.stop()
                assert b"acknowledged to nobody" in server.log.read_bytes()
            server.start()
            for load in loads:
                load.go_on(10)
        check(house, loads[0])
        check_members(loads[1])


def test_a_database_without_room_for_a_connection_is_come_back_to(database, tmp_path):
    house = house_of(tmp_path, database.url)
    with serving(house) as (server,), Load(house, [server.url]) as load:
        load.go_on(50)
        with ExitStack() as crowd:
            wanted = load.broken + load.busy + 5
            admin = crowd.enter_context(psycopg.connect(database.url, autocommit=True))
            wait_until(lambda: crowd_out(admin, crowd) and load.broken + load.busy >= wanted)
            assert server.status("/healthz") == 200
        load.go_on(50)
    check(house, load)


def crowd_out(admin: psycopg.Connection, crowd: ExitStack) -> bool:
    """End the connections of the ledger's servers, and take every place that there is."""
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'timebank'"
    )
    with suppress(psycopg.OperationalError):  # too many clients already
        while True:
            crowd.enter_context(psycopg.connect(admin.info.dsn, application_name="crowd"))
    return True
