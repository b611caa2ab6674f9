"""The soak: its arithmetic, what makes it fail, and a short one from end to end."""

from collections import Counter
from pathlib import Path

import pytest

from ledger.opening import open_ledger
from ledger.settings import Settings
from scripts.bench_houses import House, make_house
from scripts.soak import one, repeating
from scripts.soak_load import WEIGHTS
from scripts.soak_rubbish import SENTINEL, said
from scripts.soak_verdict import (
    Counted,
    Sample,
    counted,
    growth,
    is_flat,
    recount,
    refused,
    rubbish_taken,
    slower,
)


def looks(*mib: float) -> list[Sample]:
    """A look every second."""
    return [Sample(second, size, 10, 5) for second, size in enumerate(mib)]


def test_memory_is_compared_from_the_middle_to_the_end() -> None:
    filling = [100.0] * 50 + [200.0] * 50
    assert growth(looks(*filling), 100) == 0
    assert growth(looks(*[0.0] * 100), 100) == 0  # it ended, which is told by itself
    assert growth(looks(*filling[:95], *[210.0] * 5), 100) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="no looks"):
        growth(looks(*filling[:40]), 100)


def test_a_p99_is_compared_by_the_windows_of_a_quarter() -> None:
    windows = [{"p99_ms": ms} for ms in (9, 9, 10, 900, 10, 10, 10, 10, 10, 12, 14, 600)]
    assert slower(windows) == (10, 14)


@pytest.mark.parametrize(
    ("second", "last", "flat"),
    [(10, 30, True), (10, 31, False), (100, 150, True), (100, 151, False), (100, 20, True)],
)
def test_a_p99_is_flat_within_measure(second: float, last: float, flat: bool) -> None:
    assert is_flat(second, last) is flat


def test_a_log_that_repeats_what_strangers_say_is_found(tmp_path: Path) -> None:
    lines = {"clean": b"{}\n", "said": SENTINEL.encode(), "key": b"Bearer tb_x_secret\n"}
    for name, line in lines.items():
        (tmp_path / f"{name}.log").write_bytes(line)
    house = House("soak", tmp_path, Settings())
    assert [log.stem for log in repeating(house, "tb_x_secret")] == ["key", "said"]


def test_what_was_lost_or_doubled_is_counted() -> None:
    acknowledged = ["r-1\ta\n", "r-2\tb\n", "r-3\tc\n", "r-4\td\n"]
    posted = {"r-1": ["a"], "r-2": ["b", "x"], "r-3": ["y"]}
    assert counted(acknowledged, posted) == Counted(acknowledged=4, lost=2, doubled=1)


def test_an_answer_of_500_and_more_is_a_failure() -> None:
    assert refused({"200": 5, "409": 1, "500": 2, "503": 3}) == {"500": 2, "503": 3}


def test_rubbish_that_is_an_entry_or_a_failure_or_not_answered_is_seen() -> None:
    counts = {"said json": 9, "status 201": 1, "status 422": 7, "status 503": 2, "no answer": 3}
    assert rubbish_taken(counts) == {"status 201": 1, "status 503": 2, "no answer": 3}
    assert rubbish_taken({"said json": 2, "status 200": 1, "status 400": 1, "hung up": 4}) == {}


def test_a_short_soak_beside_rubbish_holds_and_a_record_that_is_gone_is_seen(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.delenv("TIMEBANK_KEYS_FILE", raising=False)
    folder = tmp_path / "house"
    house = make_house("soak", folder, f"sqlite:///{folder / 'timebank.db'}")
    found = one("sqlite", house, learn=2, load=4, share=0.5, seed=3, rubbish=True, judged=False)
    assert found["against"] == []
    assert said(Counter(found["rubbish"])) > 100
    assert set(found["acts"]) <= {act.__name__ for act in WEIGHTS}
    assert found["counted"]["acknowledged"] > 100
    assert [process["ended"] for process in found["processes"]] == [0, 0]
    with (folder / "acknowledged.tsv").open("a") as file:
        file.write("soak-never\t019f0000-0000-7000-8000-0000000000ff\n")
    with open_ledger(house.settings) as ledger:
        assert recount(ledger, folder / "acknowledged.tsv").lost == 1
