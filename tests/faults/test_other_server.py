"""What was read of one server is not trusted of the next, and one that only reads is left."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from ledger import databases
from ledger.store import Store, append, last_position
from tests.desk.bureau import Bureau
from tests.faults.clusters import pair, several, wait_until
from tests.rules.town import visit

pytestmark = pytest.mark.postgresql


@contextmanager
def bureau_at(url: str) -> Iterator[Bureau]:
    store = Store(url)
    store.create()
    bureau = Bureau(store)
    yield bureau
    bureau.close()
    store.close()


def test_what_an_asynchronous_failover_lost_is_forgotten() -> None:
    """Another entry stands at the lost one's position, in its stream, under its version."""
    with pair() as (primary, standby), bureau_at(several(primary, standby)) as bureau:
        bureau.settle()
        standby.stop()
        primary.ask("ALTER SYSTEM RESET synchronous_standby_names")
        primary.ask("SELECT pg_reload_conf()")
        lost = bureau.ask(visit("09:00", "10:00"))
        primary.kill()
        standby.start()
        standby.promote()
        wait_until(lambda: standby.ask("SELECT pg_is_in_recovery()") == [(False,)])
        with bureau_at(standby.url) as other:
            stands = other.ask(visit("14:00", "15:00"))
        assert stands["position"] == lost["position"]
        again = bureau.ask(visit("09:00", "10:00", by="org-b"), visit("14:30", "15:30", by="org-b"))
        assert bureau.committer.retries == 0  # no error made it forget
        assert [one["minutes"] for one in again["results"]] == [60, 30]


@pytest.mark.parametrize("transaction", [databases.writing, databases.changing])
def test_connections_to_a_server_that_only_reads_are_dropped(
    transaction: object, postgresql_url: str
) -> None:
    assert callable(transaction)
    store = Store(postgresql_url)
    store.create()
    with store.engine.connect() as one, store.engine.connect() as another:
        for connection in (one, another):  # as it is after their server was made a standby
            connection.exec_driver_sql("SET default_transaction_read_only = on")
            connection.commit()
    with pytest.raises(OperationalError, match="only reads") as no, transaction(store.engine):
        pass
    assert databases.is_away(no.value)
    with transaction(store.engine) as connection:
        append(connection, [("o:1", 1, "Else", b"x")], last_position(connection))
    store.close()
