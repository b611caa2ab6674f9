"""What there is to see of an open ledger whenever somebody asks for the counters."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ledger import checkpoints, journal, store
from ledger.units import instant

if TYPE_CHECKING:
    from api.metrics import Metrics
    from ledger.opening import Ledger
    from projections.views import Views

NOT_A_NUMBER = float("nan")
"""What a gauge tells whose store is away: Prometheus has a gap then, and no lie."""

OF_THE_JOURNAL = {
    "views_lag_entries": "Entries not yet in the views.",
    "views_lag_seconds": "Since the first entry not in the views was recorded; 0: there is none.",
    "log_unsigned_entries": "Entries that no checkpoint covers, whoever signs.",
    "log_unsigned_seconds": "Since the first of those was recorded; 0: there is none.",
    "log_checkpoint_age_seconds": "Since the last checkpoint was signed, by whom ever.",
}
"""What takes a look into the journal; one is enough for all."""


def watch(metrics: "Metrics", ledger: "Ledger", views: "Views") -> None:
    """Let the counters tell of the desk, the views, the log and the connections."""
    committer = ledger.committer
    metrics.gauge("waiting_jobs", "Jobs that wait at the desk.", lambda: ledger.desk.depth)
    metrics.counter(
        "batch_retries",
        "Batches decided again, since their connection broke.",
        lambda: committer.retries,
    )
    metrics.gauge("views_position", "How far the views have read.", lambda: views.position)
    metrics.gauge(
        "views_standing",
        "1 where there are views of this program's shape.",
        lambda: float(views.standing),
    )
    metrics.gauges(OF_THE_JOURNAL, lambda: _of_the_journal(ledger, views))
    engines = {
        "journal": ledger.store.engine,
        "vault": ledger.vault_engine,
        "views": ledger.views_engine,
    }
    metrics.labelled(
        "database_connections",
        "store",
        "Connections in use.",
        lambda: {store: _in_use(engine) for store, engine in engines.items()},
    )


def _of_the_journal(ledger: "Ledger", views: "Views") -> dict[str, float]:
    read = views.position  # before the journal is asked: the lag is rather a little too long
    try:
        with ledger.store.reading() as connection:
            last = store.last_position(connection)
            kept = checkpoints.last(connection)
            signed = 0 if kept is None else kept.size
            unread_since, unsigned_since = _since(connection, read), _since(connection, signed)
    except DBAPIError:
        return dict.fromkeys(OF_THE_JOURNAL, NOT_A_NUMBER)
    return {
        "views_lag_entries": max(0, last - read),
        "views_lag_seconds": unread_since,
        "log_unsigned_entries": max(0, last - signed),
        "log_unsigned_seconds": unsigned_since,
        "log_checkpoint_age_seconds": NOT_A_NUMBER if kept is None else _age(kept.signed_at),
    }


def _since(connection: Connection, position: int) -> float:
    """The age of the first entry behind a position."""
    found = journal.entries_after(connection, position, 1)
    return _age(found[0].event.recorded_at) if found else 0.0


def _age(at: str) -> float:
    """Seconds since an instant, though clocks may differ; 0 where none was written down."""
    return max(0.0, (datetime.now(UTC) - instant(at)).total_seconds()) if at else 0.0


def _in_use(engine: Engine) -> float:
    return float(cast("Any", engine.pool).checkedout())
