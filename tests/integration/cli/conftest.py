"""A store of either kind, a folder to stand in, and the command line run there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dev.postgres import PostgresServer
from dev.redis import RedisServer
from retunable.cli import main
from retunable.release.opening import open_writer
from retunable.release.store_url import StoreURL
from retunable.release.writer import ConfigurationWriter
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.environment import store_url as sqlite_url
from retunable.sidecar.files import configuration_file
from tests.integration.cli.checked_store import AGENT, CheckedStore, save

CHECKOUT = Path(__file__).parents[3]
DOCUMENTED_TABLE = CHECKOUT / "dev" / "documented_table.sql"
VARIABLES = (
    "RETUNABLE_STORE",
    "RETUNABLE_RELEASES",
    "RETUNABLE_SIGNING_KEY",
    "RETUNABLE_HTTP_TOKEN",
    "DAPR_HTTP_PORT",
)
OUR_TABLE = CHECKOUT / "sql" / "configuration.sql"


class Ended(NamedTuple):
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Retune = Callable[..., Ended]


@pytest.fixture
def retune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Retune:
    """Run ``retune`` in the test's folder."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ended:
        code = main(arguments)
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture
def documented_postgres(postgres_server: PostgresServer) -> PostgresServer:
    """A PostgreSQL with Dapr's documented table and trigger alone."""
    return applied(postgres_server, DOCUMENTED_TABLE)


@pytest.fixture
def our_postgres(postgres_server: PostgresServer) -> PostgresServer:
    """A PostgreSQL with our table and triggers."""
    return applied(postgres_server, OUR_TABLE)


def applied(server: PostgresServer, file: Path) -> PostgresServer:
    """Run a file of SQL, as ``psql -f`` does."""
    with server.connect() as connection:
        connection.execute(file.read_bytes())
    return server


@pytest.fixture(
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("sqlite", marks=pytest.mark.embedded),
    ]
)
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store, once of each kind."""
    if request.param == "redis":
        redis_server: RedisServer = request.getfixturevalue("redis_server")
        return redis_server.url
    if request.param == "sqlite":
        file: str = request.getfixturevalue("embedded_file")
        return file
    postgres: PostgresServer = request.getfixturevalue("our_postgres")
    return postgres.url


@pytest.fixture
def embedded_file(tmp_path: Path) -> str:
    """The URL of a file as an embedded sidecar leaves it."""
    data_dir = tmp_path / "data"
    ConfigurationFile(configuration_file(data_dir)).read([])
    return sqlite_url(data_dir)


@pytest.fixture
def writer(store_url: str) -> Iterator[ConfigurationWriter]:
    """An open writer to that store."""
    opened = open_writer(StoreURL.parse(store_url))
    yield opened
    opened.close()


@pytest.fixture
def checked_store(
    retune: Retune, tmp_path: Path, embedded_file: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CheckedStore]:
    """A store in which version 1 is active, and which the commands find."""
    monkeypatch.setenv("RETUNABLE_STORE", embedded_file)
    save(retune)
    assert retune("activate", AGENT, "1", "-m", "x").code == 0
    made = CheckedStore(embedded_file, tmp_path)
    yield made
    made.writer.close()
