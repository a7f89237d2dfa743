"""One suite for every store that takes publications."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from dev.postgres import PostgresServer
from dev.redis import RedisServer
from retunable.release.opening import open_publisher
from retunable.release.publishing.site import ControlPlane
from retunable.release.store.release_store import open_release_store, set_up
from retunable.release.store_url import StoreURL
from retunable.release.writer import Publisher
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.environment import store_url as sqlite_url
from retunable.sidecar.files import configuration_file
from tests.contract.publication.worlds import World

NUMBERS = count(1)
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
        pytest.param("sqlite", marks=pytest.mark.embedded),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer | PostgresServer | None]:
    """A store of each kind: PostgreSQL with our table and with Dapr's own; a file needs none."""
    if request.param == "sqlite":
        yield None
        return
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
def store_url(server: RedisServer | PostgresServer | None, tmp_path: Path) -> StoreURL:
    """That store, empty."""
    if server is None:
        return embedded_store(tmp_path)
    if isinstance(server, RedisServer):
        with server.client() as client:
            client.flushall()
    else:
        server.execute("DELETE FROM configuration")
    return StoreURL.parse(server.url)


def embedded_store(data_dir: Path) -> StoreURL:
    """A configuration file as an embedded sidecar leaves it."""
    ConfigurationFile(configuration_file(data_dir)).read([])
    return StoreURL.parse(sqlite_url(data_dir))


@pytest.fixture
def publisher(store_url: StoreURL) -> Iterator[Publisher]:
    """An open publisher to that store."""
    opened = open_publisher(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def redis_for_worlds(
    redis_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="session")
def postgres_for_worlds(
    postgres_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """A server with a database ``world``, where both stores are set up, to copy from."""
    with PostgresServer(tmp_path_factory.mktemp("postgresql")) as postgres:
        with postgres.connect() as connection:
            connection.execute(b"CREATE DATABASE world")
        with psycopg.connect(postgres.url_of("world"), autocommit=True) as connection:
            connection.execute(TABLES["postgresql"].read_bytes())
        set_up(postgres.url_of("world"))
        yield postgres


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "releases.db"
    open_release_store(f"sqlite:///{file}").close()
    return file


@pytest.fixture(
    params=[
        pytest.param("sqlite and redis", marks=pytest.mark.redis),
        pytest.param("sqlite and postgresql", marks=pytest.mark.postgresql),
        pytest.param("postgresql and redis", marks=[pytest.mark.redis, pytest.mark.postgresql]),
        pytest.param("one postgresql", marks=pytest.mark.postgresql),
        pytest.param("sqlite and embedded", marks=pytest.mark.embedded),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Every pair of stores, both empty."""
    kind = request.param
    database = ""
    if "postgresql" in kind:
        postgres: PostgresServer = request.getfixturevalue("postgres_for_worlds")
        name = f"world_{next(NUMBERS)}"
        with postgres.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE world".encode())
        database = postgres.url_of(name)
    if kind.endswith("redis"):
        redis: RedisServer = request.getfixturevalue("redis_for_worlds")
        with redis.client() as client:
            client.flushall()
        configuration = StoreURL.parse(redis.url)
    elif kind.endswith("embedded"):
        configuration = embedded_store(tmp_path)
    else:
        configuration = StoreURL.parse(database)
    releases = database
    if kind.startswith("sqlite"):
        file = tmp_path / "releases.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        releases = f"sqlite:///{file}"
    return World(releases, configuration, together=kind == "one postgresql")


@pytest.fixture
def plane(world: World) -> Iterator[ControlPlane]:
    """Both stores, open."""
    with world.plane() as opened:
        yield opened
