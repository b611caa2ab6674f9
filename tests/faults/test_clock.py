"""A clock that jumps back, amid writers: time in the log never does."""

from itertools import pairwise
from pathlib import Path
from time import monotonic

from ledger import journal
from ledger.opening import open_ledger
from tests.faults.clients import Load, check
from tests.faults.clocks import EVERY_SECONDS, serve_with_a_jumping_clock
from tests.faults.serving import Server, house_of


def test_time_in_the_log_never_goes_back(tmp_path: Path) -> None:
    house = house_of(tmp_path)
    server = Server(house, serve_with_a_jumping_clock)
    server.start()
    try:
        with Load(house, [server.url]) as load:
            until = monotonic() + 4 * EVERY_SECONDS
            load.wait_until(lambda: monotonic() > until)
            load.go_on(50)
        server.stop()
    finally:
        if server.process is not None and server.process.exitcode is None:
            server.kill()
    check(house, load)
    with open_ledger(house.settings) as ledger, ledger.store.reading() as connection:
        recorded = [
            entry.event.recorded_at
            for page in journal.all_entries(connection)
            for entry in page
            if entry.event.recorded_at
        ]
    assert all(before <= after for before, after in pairwise(recorded))
    assert len(set(recorded)) > 3
