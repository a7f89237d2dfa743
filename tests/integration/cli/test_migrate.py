"""``retune migrate`` on both databases: as their owner, what stands is kept, and who needs it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.postgres import PostgresServer
from retunable.release.store.queries import SCHEMA_REVISION
from tests.contract.release.frozen import restore
from tests.contract.release.homes import Home, PostgresHome, SqliteHome
from tests.integration.cli.conftest import Retune


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.embedded),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return SqliteHome(tmp_path / "new" / "releases.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return PostgresHome(server, "postgres")


def test_an_empty_database_gets_the_tables_and_a_second_time_changes_nothing(
    retune: Retune, home: Home
) -> None:
    first = retune("migrate", "--releases", home.url, "--json")
    again = retune("migrate", "--releases", home.url)

    assert first.code == 0, first.err
    assert (first.json["before"], first.json["revision"]) == (None, SCHEMA_REVISION)
    assert f"has schema {SCHEMA_REVISION} already" in again.out


def test_an_older_store_is_upgraded_with_all_that_it_holds(retune: Retune, home: Home) -> None:
    if isinstance(home, SqliteHome):
        home.file.parent.mkdir()
    home.migrate(to="0002")
    restore(home, "0002")

    done = retune("migrate", "--releases", home.url, "--json")

    assert done.code == 0, done.err
    assert (done.json["before"], done.json["revision"]) == ("0002", SCHEMA_REVISION)
    listed = retune("versions", "support", "--releases", home.url, "--json").json
    assert [version["number"] for version in listed["versions"]] == [2, 1]
    assert retune("audit", "--verify", "--releases", home.url).code == 0


def test_a_store_of_a_newer_package_is_left_alone(retune: Retune, home: Home) -> None:
    retune("migrate", "--releases", home.url)
    home.raw("UPDATE release_schema SET version_num = '0999'")

    refused = retune("migrate", "--releases", home.url)

    assert refused.code == 1
    assert "install a newer retunable" in refused.err


@pytest.mark.postgresql
@pytest.mark.parametrize("revision", [None, "0001"])
def test_whoever_meets_a_database_without_the_tables_is_told_to_migrate(
    retune: Retune, postgres_server: PostgresServer, revision: str | None
) -> None:
    home = PostgresHome(postgres_server, "postgres")
    if revision is not None:
        home.migrate(to=revision)

    for arguments in (("versions", "support"), ("audit",), ("activate", "support", "1", "-m", "x")):
        store = ("--store", home.url) if arguments[0] == "activate" else ()
        refused = retune(*arguments, *store, "--releases", home.url, "--json")
        assert refused.code == 1
        assert "retune migrate" in json.loads(refused.out)["error"]
