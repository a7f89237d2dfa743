"""One suite for every store that takes publications."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.postgres import PostgresServer
from dev.redis import RedisServer
from retunable.release.opening import open_publisher
from retunable.release.store_url import StoreURL
from retunable.release.writer import Publisher

CHECKOUT = Path(__file__).parents[3]
TABLES = {
    "postgresql": CHECKOUT / "sql" / "configuration.sql",
    "postgresql-documented": CHECKOUT / "dev" / "documented_table.sql",
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("postgresql-documented", marks=pytest.mark.postgresql),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer | PostgresServer]:
    """A store of each kind: PostgreSQL with our table and with Dapr's own."""
    folder = tmp_path_factory.mktemp("store")
    if request.param == "redis":
        request.getfixturevalue("redis_program")
        with RedisServer(folder) as redis:
            yield redis
        return
    request.getfixturevalue("postgres_program")
    with PostgresServer(folder) as postgres:
        with postgres.connect() as connection:
            connection.execute(TABLES[request.param].read_bytes())
        yield postgres


@pytest.fixture
def store_url(server: RedisServer | PostgresServer) -> StoreURL:
    """That store, empty."""
    if isinstance(server, RedisServer):
        with server.client() as client:
            client.flushall()
    else:
        server.execute("DELETE FROM configuration")
    return StoreURL.parse(server.url)


@pytest.fixture
def publisher(store_url: StoreURL) -> Iterator[Publisher]:
    """An open publisher to that store."""
    opened = open_publisher(store_url)
    yield opened
    opened.close()
