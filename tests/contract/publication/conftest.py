"""One suite for every store that takes publications."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
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
from tests.contract.publication.databases import Databases
from tests.contract.publication.worlds import World

CHECKOUT = Path(__file__).parents[3]
OUR_TABLE = CHECKOUT / "sql" / "configuration.sql"
TABLES = {
    "world": OUR_TABLE,
    "ours": OUR_TABLE,
    "documented": CHECKOUT / "dev" / "documented_table.sql",
}


@pytest.fixture(
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("ours", id="postgresql", marks=pytest.mark.postgresql),
        pytest.param("documented", id="postgresql-documented", marks=pytest.mark.postgresql),
        pytest.param("sqlite", marks=pytest.mark.embedded),
    ],
)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> StoreURL:
    """An empty store of each kind: PostgreSQL with our table and with Dapr's own."""
    if request.param == "sqlite":
        return embedded_store(tmp_path)
    if request.param == "redis":
        return StoreURL.parse(emptied(request.getfixturevalue("redis_for_worlds")).url)
    databases: Databases = request.getfixturevalue("databases")
    return StoreURL.parse(databases.empty(request.param))


def emptied(redis: RedisServer) -> RedisServer:
    with redis.client() as client:
        client.flushall()
    return redis


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
def databases(
    postgres_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """Databases to copy: ``world`` has both stores, the others have one table."""
    with PostgresServer(tmp_path_factory.mktemp("postgresql")) as postgres:
        for database, table in TABLES.items():
            with postgres.connect() as connection:
                connection.execute(f"CREATE DATABASE {database}".encode())
            with psycopg.connect(postgres.url_of(database), autocommit=True) as connection:
                connection.execute(table.read_bytes())
        set_up(postgres.url_of("world"))
        yield Databases(postgres)


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
        databases: Databases = request.getfixturevalue("databases")
        database = databases.empty("world")
    if kind.endswith("redis"):
        redis = emptied(request.getfixturevalue("redis_for_worlds"))
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
