"""One PostgreSQL for all tests here; each test gets a database of its own."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from dev.postgres import PostgresServer
from tests.integration.sql.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = count(1)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, postgres_program: Path
) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("sql") / "postgresql") as running:
        yield running


@pytest.fixture
def empty(server: PostgresServer) -> Iterator[Database]:
    """A database without a table."""
    name = f"test_{next(NUMBERS)}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    with closing(Database(server.url_of(name))) as database:
        yield database


@pytest.fixture
def database(empty: Database) -> Database:
    """A database with sql/configuration.sql applied."""
    empty.apply()
    return empty


@pytest.fixture
def listener(database: Database) -> Iterator[psycopg.Connection]:
    """A connection that listens as daprd does."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("LISTEN config")
        yield connection
