"""A world on each backend; between them they have every kind of release store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.postgres import PostgresServer
from dev.redis import RedisServer
from dev.resources import POSTGRES_RESOURCES, REDIS_RESOURCES, Addresses, write_resources
from dev.stack import Stack
from retunable.release.store.release_store import set_up
from tests.integration.control.world import EmbeddedWorld, PostgresWorld, RedisWorld, World


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "world").mkdir()
    return made


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("redis", marks=[pytest.mark.redis, pytest.mark.postgresql]),
    ]
)
def world(request: pytest.FixtureRequest, folder: Path) -> Iterator[World]:
    """A folder, a store and a broker without a program; the releases in a file or in PostgreSQL."""
    made: World
    if request.param == "embedded":
        made = EmbeddedWorld(folder, f"sqlite:///{folder / 'releases.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        set_up(server.url)
        made = RedisWorld(folder, server.url)
        made.stack = request.getfixturevalue("redis_stack")
    with made.started:
        yield made


@pytest.fixture(params=["one database", "two databases"])
def postgres_world(
    request: pytest.FixtureRequest,
    folder: Path,
    tmp_path: Path,
    dapr_binaries: object,
    postgres_program: Path,
    redis_server: RedisServer,
) -> Iterator[PostgresWorld]:
    """Dapr on PostgreSQL, a broker beside it, the releases in the table's database or in another."""
    (both := tmp_path / "components").mkdir()
    broker = Addresses(state_redis=redis_server.address)
    write_resources(POSTGRES_RESOURCES, both, addresses=broker)
    write_resources(REDIS_RESOURCES, tmp_path / "redis-components", addresses=broker)
    (tmp_path / "redis-components" / "pubsub.yaml").replace(both / "pubsub.yaml")
    with Stack.postgres(tmp_path / "stack", resources=both) as stack:
        server = stack.store
        url = server.url
        if request.param == "two databases":
            server.execute("CREATE DATABASE releases")
            url = server.url_of("releases")
        set_up(url)
        made = PostgresWorld(folder, url)
        made.stack = stack
        with made.started:
            yield made
