"""The database itself refuses to change, replace or delete what is kept, to its owner too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.release.steps import fill

if TYPE_CHECKING:
    from tests.contract.release.homes import Home, PostgresHome, SqliteHome

TABLES = (
    "audit",
    "versions",
    "deployments",
    "outcomes",
    "approvals",
    "policies",
    "observations",
    "rollouts",
    "rollout_steps",
)


@pytest.fixture
def filled(home: Home) -> Home:
    fill(home)
    return home


def rows(home: Home) -> dict[str, list[tuple[object, ...]]]:
    return {table: home.raw(f"SELECT * FROM release_{table}") for table in TABLES}  # noqa: S608


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET agent = 'other'",
        "DELETE FROM {}",
    ],
)
def test_a_row_is_neither_changed_nor_deleted(filled: Home, table: str, statement: str) -> None:
    before = rows(filled)
    if table == "outcomes":
        statement = statement.replace("agent = 'other'", "outcome = 'withdrawn'")
    if table == "rollout_steps":
        statement = statement.replace("agent = 'other'", "state = 'held'")

    with pytest.raises(filled.refusals, match="refused: the release store is append-only"):
        filled.raw(statement.format(f"release_{table}"))
    assert rows(filled) == before


COPIES = {
    "every key": "SELECT * FROM release_{table}",
    "another number": "SELECT (SELECT max(sequence) FROM release_audit), {rest} FROM release_{table}",
    "a number of its own": "SELECT 999, {rest} FROM release_{table}",
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize("table", TABLES)
def test_sqlite_replaces_nothing(sqlite_home: SqliteHome, table: str, verb: str, copy: str) -> None:
    """As in the sqlite3 shell, where recursive_triggers is off and REPLACE fires no DELETE."""
    fill(sqlite_home)
    before = rows(sqlite_home)
    columns = [row[1] for row in sqlite_home.raw(f"PRAGMA table_info(release_{table})")]
    select = copy.format(table=table, rest=", ".join(columns[1:]))

    with pytest.raises(sqlite_home.refusals, match=r"append-only|newest|goes on already"):
        sqlite_home.raw(f"{verb} INTO release_{table} {select}")
    assert rows(sqlite_home) == before


@pytest.mark.postgresql
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE {} CASCADE",
        "SET session_replication_role = replica; DELETE FROM {}",
        "INSERT INTO {0} SELECT * FROM {0} LIMIT 1 "
        "ON CONFLICT (sequence) DO UPDATE SET sequence = excluded.sequence",
        "MERGE INTO {0} USING {0} AS other ON {0}.sequence = other.sequence "
        "WHEN MATCHED THEN DELETE",
    ],
)
def test_postgresql_has_no_other_way_to_change_a_row(
    postgres_home: PostgresHome, table: str, statement: str
) -> None:
    fill(postgres_home)
    before = rows(postgres_home)

    with pytest.raises(postgres_home.refusals, match="append-only"):
        postgres_home.raw(*statement.format(f"release_{table}").split("; "))
    assert rows(postgres_home) == before
