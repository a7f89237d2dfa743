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

    from retunable.release.store.queries import DatabaseKind
    from retunable.release.store.release_store import ReleaseStore

NUMBERS = count(1)


@pytest.fixture(scope="session")
def release_server(
    tmp_path_factory: pytest.TempPathFactory, postgres_program: Path
) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("releases") / "postgresql") as running:
        yield running


@pytest.fixture(scope="session")
def template(release_server: PostgresServer) -> str:
    """A database that was set up once; CREATE DATABASE copies it in 50 ms."""
    home = new_database(release_server, "template0")
    home.set_up()
    home.login("nobody_yet")
    return home.database


@pytest.fixture
def empty_postgres(release_server: PostgresServer) -> PostgresHome:
    """A PostgreSQL database without a table."""
    return new_database(release_server, "template0")


@pytest.fixture
def postgres_home(release_server: PostgresServer, template: str) -> PostgresHome:
    """A PostgreSQL database with the release store's tables and its roles."""
    return new_database(release_server, template)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> SqliteHome:
    """A SQLite file with the release store's tables."""
    home = SqliteHome(tmp_path / "releases.db")
    home.set_up()
    return home


@pytest.fixture(
    params=[
        pytest.param("sqlite", id="sqlite"),
        pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgresql),
    ]
)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """An empty database of either kind."""
    return empty_home(request, tmp_path / "empty.db", request.param)


@pytest.fixture
def another(request: pytest.FixtureRequest, tmp_path: Path, empty: Home) -> Home:
    """A second empty database of the same kind."""
    return empty_home(request, tmp_path / "another.db", empty.kind)


@pytest.fixture(
    params=[
        pytest.param("sqlite_home", id="sqlite"),
        pytest.param("postgres_home", id="postgresql", marks=pytest.mark.postgresql),
    ]
)
def home(request: pytest.FixtureRequest) -> Home:
    """A database of either kind with the release store's tables."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Home)
    return found


@pytest.fixture
def store(home: Home) -> Iterator[ReleaseStore]:
    """An opened release store, its owner logged in."""
    with home.open() as opened:
        yield opened


def empty_home(request: pytest.FixtureRequest, file: Path, kind: DatabaseKind) -> Home:
    if kind == "sqlite":
        return SqliteHome(file)
    return new_database(request.getfixturevalue("release_server"), "template0")


def new_database(server: PostgresServer, template: str) -> PostgresHome:
    name = f"releases_{next(NUMBERS)}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return PostgresHome(server, name)
