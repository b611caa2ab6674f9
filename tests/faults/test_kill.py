"""kill -9 amid writers, and an orderly end amid writers: what was acknowledged is there, once."""

import random

import pytest

from tests.faults.clients import Load, check
from tests.faults.serving import Server, house_of, serving
from tests.rounds import rounds


@pytest.mark.parametrize(
    ("backend", "kills"),
    [("sqlite", rounds(25)), pytest.param("postgresql", rounds(5), marks=pytest.mark.postgresql)],
)
def test_no_acknowledged_record_is_lost_or_doubled_by_a_kill(backend, kills, request, tmp_path):
    url = request.getfixturevalue("postgresql_url") if backend == "postgresql" else None
    house = house_of(tmp_path, url)
    server = Server(house)
    dice = random.Random(9)  # noqa: S311  (dice, no secret)
    with Load(house, [server.url], clients=64) as load:
        for _ in range(kills):
            server.start()
            load.go_on(dice.randint(1, 150))
            server.kill()
        server.start()
    server.stop()
    assert load.broken >= kills
    assert server.bugs() == []
    check(house, load)


def test_told_to_stop_amid_writers_a_server_ends_in_time_and_loses_nothing(database_url, tmp_path):
    house = house_of(tmp_path, database_url)
    server = Server(house)
    with Load(house, [server.url], clients=32) as load:
        for _ in range(rounds(3)):
            server.start()
            load.go_on(100)
            server.stop()
        server.start()
    server.stop()
    assert server.bugs() == []
    check(house, load)


@pytest.mark.postgresql
def test_two_servers_are_started_anew_in_turn_and_no_request_is_lost(postgresql_url, tmp_path):
    house = house_of(tmp_path, postgresql_url)
    with (
        serving(house, servers=2) as servers,
        Load(house, [server.url for server in servers]) as load,
    ):
        for server in [*servers, *servers]:
            load.go_on(100)
            server.stop()
            load.go_on(100)  # by the other
            server.start()
    check(house, load)
