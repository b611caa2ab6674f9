"""What is read of an open ledger when somebody asks: the views, the log, a store that is away."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from api.gauges import OF_THE_JOURNAL, watch
from api.metrics import Metrics
from ledger.commands import AddUnit
from ledger.desk import Answer, Job
from ledger.opening import Ledger, open_ledger
from ledger.settings import Settings
from projections.signing import Signer
from projections.views import Views
from tests.api.house import CLI, made

FIELD = 4  # entries of a house that was just made


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    given = Settings(database_url=database_url, keys_file=tmp_path / "timebank-keys.json")
    made(given)
    return given


def told(metrics: Metrics) -> dict[str, float]:
    """Every number by its name, without the prefix."""
    lines = (line.rpartition(" ") for line in metrics.text().decode().splitlines())
    return {
        name.removeprefix("timebank_"): float(number)
        for name, _, number in lines
        if not name.startswith("#")
    }


def add_unit(ledger: Ledger, code: str) -> None:
    command = AddUnit(**CLI, code=code, name=code, level="community")
    ledger.desk.ask_now(Job([command], lambda outcome: Answer(201, b"")))


def test_what_the_views_have_not_read_is_told_by_its_age(settings: Settings) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    with open_ledger(settings, lambda: ahead) as ledger, pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.gauges.datetime", Later)
        views, metrics = Views(ledger.store, ledger.views_engine), Metrics()
        views.catch_up()
        watch(metrics, ledger, views)
        add_unit(ledger, "creek")
        ledger.committer.clock = lambda: ahead + timedelta(hours=1)
        add_unit(ledger, "pond")
        behind = told(metrics)
        assert behind["views_lag_entries"] == 2
        assert 7_200 <= behind["views_lag_seconds"] < 10_800  # of the older one
        assert behind["views_position"] == FIELD
        views.catch_up()
        there = told(metrics)
        assert (there["views_lag_entries"], there["views_lag_seconds"]) == (0, 0)
        assert there["log_unsigned_entries"] == FIELD + 2


class Later(datetime):
    """A clock of those who look that is four hours ahead."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + timedelta(hours=4)


def test_what_is_not_signed_is_told_whoever_signs(settings: Settings) -> None:
    with open_ledger(settings) as ledger:
        views, metrics = Views(ledger.store, ledger.views_engine), Metrics()
        views.catch_up()
        watch(metrics, ledger, views)
        before = told(metrics)
        assert before["log_unsigned_entries"] == FIELD
        assert before["log_unsigned_seconds"] > 0
        assert math.isnan(before["log_checkpoint_age_seconds"])
        Signer(views, settings, ledger.secrets).sign()
        after = told(metrics)
        assert (after["log_unsigned_entries"], after["log_unsigned_seconds"]) == (0, 0)
        assert after["log_checkpoint_age_seconds"] >= 0
        add_unit(ledger, "creek")
        assert told(metrics)["log_unsigned_entries"] == 1


def test_where_the_journal_is_away_there_is_a_gap_and_no_lie(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(settings) as ledger:
        views, metrics = Views(ledger.store, ledger.views_engine), Metrics()
        views.catch_up()
        watch(metrics, ledger, views)

        @contextmanager
        def away() -> Iterator[None]:
            raise OperationalError("SELECT", None, Exception("nobody is there"))
            yield

        monkeypatch.setattr(ledger.store, "reading", away)
        numbers = told(metrics)
        assert all(math.isnan(numbers[name]) for name in OF_THE_JOURNAL)
        assert numbers["waiting_jobs"] == 0  # what needs no store is told all the same
        assert numbers["views_position"] == FIELD
        monkeypatch.undo()
        assert told(metrics)["views_lag_entries"] == 0
