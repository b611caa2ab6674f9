"""Views over an empty journal, on each database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from ledger.store import Store, open_engine, sibling_url
from projections.views import Views


@pytest.fixture
def views_engine(database_url: str) -> Iterator[Engine]:
    """The views store beside the journal."""
    engine = open_engine(sibling_url(database_url, "views"), "main_views", durable=False)
    yield engine
    engine.dispose()


@pytest.fixture
def views(store: Store, views_engine: Engine) -> Iterator[Views]:
    """Views that have read nothing yet, and have no thread."""
    opened = Views(store, views_engine)
    yield opened
    opened.close()
