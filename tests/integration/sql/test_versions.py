"""VERSION counts up by itself, unless the statement did it."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

from dev.postgres import find_program
from dev.processes import wait_until

if TYPE_CHECKING:
    from tests.integration.sql.database import Database

pytestmark = pytest.mark.postgresql

UPSERT = (
    "INSERT INTO configuration (key, value, version) VALUES ('agent_role','Expert Researcher','1') "
    "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, "
    "version = (configuration.version::int + 1)::text;"
)
UPDATE = (
    "UPDATE configuration SET value = '25', version = (version::int + 1)::text "
    "WHERE key = 'max_iterations';"
)
UPSERT_WITHOUT = (
    "INSERT INTO configuration (key, value) VALUES ('agent_role', 'Expert Researcher') "
    "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;"
)
UPDATE_WITHOUT = "UPDATE configuration SET value = '25' WHERE key = 'max_iterations';"


@pytest.mark.parametrize(("upsert", "update"), [(UPSERT, UPDATE), (UPSERT_WITHOUT, UPDATE_WITHOUT)])
def test_the_lines_of_the_readme_work_in_psql_and_count_up(
    database: Database, upsert: str, update: str
) -> None:
    psql = find_program("psql")
    assert psql is not None
    database.put("max_iterations", "20")
    for statement in (upsert, upsert, update):
        subprocess.run([psql, "-X", "-q", "-c", statement, database.url], check=True)

    assert database.rows() == [
        ("agent_role", "Expert Researcher", "2"),
        ("max_iterations", "25", "2"),
    ]


def test_an_upsert_of_every_column_never_counts_down(database: Database) -> None:
    for _ in range(4):
        database.run(
            "INSERT INTO configuration (key, value, version) VALUES ('agent_role', 'x', '1') "
            "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version"
        )

    assert database.version("agent_role") == "4"


def test_a_version_that_the_statement_raised_stays(database: Database) -> None:
    database.run("INSERT INTO configuration VALUES ('agent_role', 'x', '7')")
    database.run("UPDATE configuration SET version = '1000'")

    assert database.version("agent_role") == "1000"


@pytest.mark.parametrize("version", ["v1", "", "1.0", "-1", " 2"])
def test_a_version_of_ours_is_an_integer(database: Database, version: str) -> None:
    database.put("agent_role", "x")

    with pytest.raises(errors.CheckViolation, match="VERSION must be an integer"):
        database.run("UPDATE configuration SET version = %s", (version,))
    with pytest.raises(errors.CheckViolation, match="VERSION must be an integer"):
        database.run("INSERT INTO configuration VALUES ('agent_goal', 'x', %s)", (version,))


def test_a_document_of_an_agent_has_an_integer_version(database: Database) -> None:
    with pytest.raises(errors.CheckViolation, match="VERSION must be an integer"):
        database.run("INSERT INTO configuration VALUES ('a', '{\"retunable\": 1}', 'v1')")


def test_a_version_from_before_that_is_no_integer_starts_again_at_1(empty: Database) -> None:
    empty.apply_documented()
    empty.run("INSERT INTO configuration VALUES ('agent_role', 'x', 'v1'), ('other', 'x', 'v1')")
    empty.apply()
    empty.run("UPDATE configuration SET value = 'y'")

    assert empty.rows() == [("agent_role", "y", "1"), ("other", "y", "v1")]


def test_other_peoples_versions_count_up_only_where_they_are_integers(database: Database) -> None:
    database.run("INSERT INTO configuration VALUES ('other', 'x', '5')")
    database.run("UPDATE configuration SET value = 'y'")
    assert database.version("other") == "6"

    database.run("UPDATE configuration SET version = '2'")
    assert database.version("other") == "2"


def test_two_concurrent_updates_count_twice(database: Database) -> None:
    database.put("max_iterations", "1")
    with (
        ThreadPoolExecutor(1) as pool,  # waited for when both connections are closed
        psycopg.connect(database.url, autocommit=True) as second,
        psycopg.connect(database.url) as first,
    ):
        first.execute("UPDATE configuration SET value = '2'")
        waiting = pool.submit(second.execute, "UPDATE configuration SET value = '3'")
        wait_until(
            lambda: database.run("SELECT pid FROM pg_locks WHERE NOT granted") != [],
            what="the second update to wait for the first",
            within_seconds=10,
        )
        first.commit()
        waiting.result(10)

    assert database.rows() == [("max_iterations", "3", "3")]
