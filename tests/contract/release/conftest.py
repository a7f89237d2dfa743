"""Every test here runs on both databases, each in an empty one of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from dev.postgres import PostgresServer
from tests.contract.release.homes import Home, PostgresHome, SqliteHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from retunable.release.store.release_store import ReleaseStore

NUMBERS = count(1)


@pytest.fixture(scope="session")
def release_server(
    tmp_path_factory: pytest.TempPathFactory, postgres_program: Path
) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("releases") / "postgresql") as running:
        yield running


@pytest.fixture
def postgres_home(release_server: PostgresServer) -> PostgresHome:
    """An empty PostgreSQL database."""
    name = f"releases_{next(NUMBERS)}"
    with release_server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return PostgresHome(release_server, name)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> SqliteHome:
    """A SQLite file that is not there yet."""
    return SqliteHome(tmp_path / "releases.db")


@pytest.fixture(
    params=[
        pytest.param("sqlite_home", id="sqlite"),
        pytest.param("postgres_home", id="postgresql", marks=pytest.mark.postgresql),
    ]
)
def empty(request: pytest.FixtureRequest) -> Home:
    """An empty database of either kind."""
    home = request.getfixturevalue(request.param)
    assert isinstance(home, Home)
    return home


@pytest.fixture
def home(empty: Home) -> Home:
    """A database with the release store's tables."""
    empty.set_up()
    return empty


@pytest.fixture
def store(home: Home) -> Iterator[ReleaseStore]:
    """An opened release store, its owner logged in."""
    with home.open() as opened:
        yield opened
