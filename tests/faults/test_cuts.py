"""The way is cut before, at and after a commit: to the database, and to the server itself."""

import pytest

from tests.faults.clients import Load, check
from tests.faults.proxy import HTTP, POSTGRESQL, proxy
from tests.faults.serving import house_of, serving
from tests.rounds import rounds

MOMENTS = ("before", "at", "after")
ROUNDS = rounds(3)


@pytest.mark.postgresql
def test_a_commit_whose_end_is_not_known_is_neither_lost_nor_doubled(database, tmp_path):
    house = house_of(tmp_path, database.url)
    with (
        proxy(database.port, POSTGRESQL) as way,
        serving(house, TIMEBANK_DATABASE_URL=database.url_at(way.port)) as (server,),
        Load(house, [server.url]) as load,
    ):
        for _ in range(ROUNDS):
            for moment in MOMENTS:
                way.cut_at(moment)
                load.go_on(5)
            way.cut_all()
            load.go_on(20)
    assert way.cuts == dict.fromkeys(MOMENTS, ROUNDS)
    check(house, load)


def test_a_client_that_never_hears_the_answer_asks_again_and_is_counted_once(
    database_url, tmp_path
):
    house = house_of(tmp_path, database_url)
    with (
        serving(house) as (server,),
        proxy(server.port, HTTP) as way,
        Load(house, [f"http://127.0.0.1:{way.port}"]) as load,
    ):
        for _ in range(ROUNDS):
            for moment in MOMENTS:
                way.cut_at(moment)
            way.cut_all()
            load.go_on(20)
    assert way.cuts == dict.fromkeys(MOMENTS, ROUNDS)
    assert load.broken >= 3 * ROUNDS
    check(house, load)
