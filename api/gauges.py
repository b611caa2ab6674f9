"""What there is to see of an open ledger whenever somebody asks for the counters."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ledger import checkpoints
from ledger.units import instant

if TYPE_CHECKING:
    from api.metrics import Metrics
    from ledger.opening import Ledger
    from projections.signing import Signer
    from projections.views import Views

NOT_A_NUMBER = float("nan")
"""What a gauge tells whose store is away: Prometheus has a gap then, and no lie."""


def watch(metrics: "Metrics", ledger: "Ledger", views: "Views", signer: "Signer") -> None:
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
        "views_lag_entries", "Entries not yet in the views.", lambda: _lag(views, "entries")
    )
    metrics.gauge(
        "views_lag_seconds",
        "Between the last entry in the views and the last one recorded.",
        lambda: _lag(views, "seconds"),
    )
    metrics.gauge(
        "views_standing",
        "1 where there are views of this program's shape.",
        lambda: float(views.standing),
    )
    metrics.gauge(
        "log_unsigned_entries",
        "Entries that no checkpoint covers, as far as this process knows.",
        lambda: max(0, views.position - signer.signed),
    )
    metrics.gauge(
        "log_checkpoint_age_seconds",
        "Since the last checkpoint was signed, by whom ever.",
        lambda: _checkpoint_age(ledger),
    )
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


def _lag(views: "Views", unit: str) -> float:
    try:
        return float(getattr(views.lag(), unit))
    except DBAPIError:
        return NOT_A_NUMBER


def _checkpoint_age(ledger: "Ledger") -> float:
    try:
        with ledger.store.reading() as connection:
            kept = checkpoints.last(connection)
    except DBAPIError:
        return NOT_A_NUMBER
    if kept is None:
        return NOT_A_NUMBER
    return (datetime.now(UTC) - instant(kept.signed_at)).total_seconds()


def _in_use(engine: Engine) -> float:
    return float(cast("Any", engine.pool).checkedout())
