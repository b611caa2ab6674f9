"""People are registered amid every fault: who is a member is in the vault, and once."""

import random
from pathlib import Path

import pytest

from tests.faults.clients import Members, check_members
from tests.faults.clusters import Server as Database
from tests.faults.clusters import pair, several, wait_until
from tests.faults.proxy import POSTGRESQL, proxy
from tests.faults.serving import Server, house_of, serving
from tests.faults.test_cuts import MOMENTS
from tests.rounds import rounds

CLIENTS = 8


def test_no_member_is_without_a_person_or_doubled_after_kills(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    server = Server(house)
    dice = random.Random(9)  # noqa: S311  (dice, no secret)
    with Members(house, [server.url], CLIENTS) as load:
        for _ in range(rounds(2)):
            server.start()
            load.go_on(dice.randint(1, 20))
            server.kill()
        server.start()
    server.stop()
    assert server.bugs() == []
    check_members(load)


@pytest.mark.postgresql
def test_no_member_is_without_a_person_or_doubled_after_cut_commits(
    database: Database, tmp_path: Path
) -> None:
    house = house_of(tmp_path, database.url)
    with (
        proxy(database.port, POSTGRESQL) as way,
        serving(house, TIMEBANK_DATABASE_URL=database.url_at(way.port)) as (server,),
        Members(house, [server.url], CLIENTS) as load,
    ):
        for _ in range(rounds(4)):  # a commit may be the vault's or the desk's
            for moment in MOMENTS:
                way.cut_at(moment)
                load.go_on(1)
    check_members(load)


@pytest.mark.postgresql
def test_no_member_is_without_a_person_or_doubled_after_a_failover(tmp_path: Path) -> None:
    with pair() as (primary, standby):
        house = house_of(tmp_path, several(primary, standby))
        with serving(house) as (server,), Members(house, [server.url], CLIENTS) as load:
            load.go_on(40)
            primary.kill()
            load.meet(5)
            standby.promote()
            load.go_on(40)
            wait_until(lambda: server.status("/readyz") == 200)
        check_members(load)
