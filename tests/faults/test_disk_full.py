"""A disk that is full, amid writers: they are told so, and go on once there is room again."""

from pathlib import Path

from tests.faults.clients import Load, check
from tests.faults.disks import fill, small_disk
from tests.faults.serving import house_of, serving


def test_a_full_disk_loses_nothing_and_the_server_goes_on_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        house = house_of(tmp_path, f"sqlite:///{disk / 'timebank.db'}")
        with serving(house) as (server,), Load(house, [server.url]) as load:
            load.go_on(50)
            for _ in range(3):
                ballast = fill(disk)
                load.meet(20)
                assert server.status("/healthz") == 200
                ballast.unlink()
                load.go_on(50)
        check(house, load)
