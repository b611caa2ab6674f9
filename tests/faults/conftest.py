"""A PostgreSQL server for the fault tests alone: they stop it, fill it and cut the way to it."""

from collections.abc import Iterator

import pytest

from tests.faults.clusters import Server, one_server


@pytest.fixture
def database() -> Iterator[Server]:
    """A server of the test's own, which runs."""
    with one_server() as server:
        yield server
