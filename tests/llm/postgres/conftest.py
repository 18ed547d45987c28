"""One PostgreSQL server for all tests of this folder."""

from collections.abc import Iterator

import pytest

from benchmarks.postgres_server import PostgresServer, running_postgres
from tests.llm.postgres.servers import new_schema


@pytest.fixture(scope="session")
def running() -> Iterator[PostgresServer]:
    # What a power cut takes is the server's affair; here only processes die.
    with running_postgres("fsync=off") as server:
        yield server


@pytest.fixture
def server(running: PostgresServer) -> PostgresServer:
    """Give the server, started again where a test has stopped it."""
    if running.process is None:
        running.start()
    return running


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Return a URL, with the password, that leads to a schema without tables."""
    return new_schema(server)
