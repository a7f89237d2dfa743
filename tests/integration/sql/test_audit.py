"""Who changed what, when; and that nobody edits that afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

if TYPE_CHECKING:
    from typing import LiteralString

    from tests.integration.sql.database import Database

pytestmark = pytest.mark.postgresql

COLUMNS = [
    "id",
    "at",
    "transaction",
    "session_role",
    "active_role",
    "application_name",
    "operation",
    "old_key",
    "old_value",
    "old_version",
    "old_metadata",
    "new_key",
    "new_value",
    "new_version",
    "new_metadata",
]


def test_the_columns_are_compatibility_data(database: Database) -> None:
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"

    assert [name for (name,) in database.run(columns, ("configuration_audit",))] == COLUMNS
    assert [name for (name,) in database.run(columns, ("configuration",))] == [
        "key",
        "value",
        "version",
        "metadata",
    ]


def test_every_change_is_recorded_with_old_and_new(database: Database) -> None:
    database.put("agent_role", "one")
    database.put("agent_role", "two")
    database.run("UPDATE configuration SET key = 'agent_goal', metadata = '{\"a\": \"b\"}'")
    database.run("DELETE FROM configuration")

    recorded = [
        (row["operation"], *(row[f"{side}_{part}"] for side in ("old", "new") for part in PARTS))
        for row in database.audit()
    ]
    assert recorded == [
        ("INSERT", None, None, None, None, "agent_role", "one", "1", None),
        ("UPDATE", "agent_role", "one", "1", None, "agent_role", "two", "2", None),
        ("UPDATE", "agent_role", "two", "2", None, "agent_goal", "two", "3", {"a": "b"}),
        ("DELETE", "agent_goal", "two", "3", {"a": "b"}, None, None, None, None),
    ]


PARTS = ("key", "value", "version", "metadata")


def test_actor_time_and_transaction_are_recorded(database: Database) -> None:
    with database.connection.transaction():
        ((transaction,),) = database.run("SELECT pg_current_xact_id()::text")
        database.put("agent_role", "one")
        database.put("agent_goal", "two")

    first, second = database.audit()
    assert str(first["transaction"]) == str(second["transaction"]) == transaction
    assert first["at"] < second["at"]  # the clock's, not the transaction's
    assert datetime.now(UTC) - second["at"] < timedelta(minutes=1)
    assert first["session_role"] == first["active_role"] == "postgres"
    assert first["application_name"] == "the test"


def test_a_rolled_back_change_is_not_recorded(database: Database) -> None:
    with database.connection.transaction(force_rollback=True):
        database.put("agent_role", "one")

    assert database.audit() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE configuration_audit SET new_value = 'other'",
        "DELETE FROM configuration_audit",
        "DELETE FROM configuration_audit WHERE false",
        "TRUNCATE configuration_audit",
        "TRUNCATE configuration, configuration_audit CASCADE",
        "SET session_replication_role = replica; DELETE FROM configuration_audit",
    ],
)
def test_a_superuser_too_cannot_edit_the_audit(
    database: Database, statement: LiteralString
) -> None:
    database.put("agent_role", "one")

    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="is refused"):
        database.run(statement)
    assert [row["new_value"] for row in database.audit()] == ["one"]


def test_truncate_is_recorded_row_by_row(database: Database) -> None:
    database.put("agent_role", "one")
    database.put("agent_goal", "two")
    database.run("TRUNCATE configuration")

    removed = [row for row in database.audit() if row["operation"] == "TRUNCATE"]
    assert [(row["old_key"], row["old_value"], row["new_key"]) for row in removed] == [
        ("agent_goal", "two", None),
        ("agent_role", "one", None),
    ]


def test_a_truncate_that_cannot_see_every_row_is_refused(database: Database) -> None:
    database.put("agent_role", "one")

    database.run("SET default_transaction_isolation = 'repeatable read'")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="READ COMMITTED"):
        database.run("TRUNCATE configuration")
    assert database.rows() == [("agent_role", "one", "1")]


def test_a_replica_session_does_not_bypass_the_rules(database: Database) -> None:
    database.run("SET session_replication_role = replica")
    database.put("agent_role", "one")

    assert len(database.audit()) == 1
    with pytest.raises(errors.CheckViolation):
        database.put("max_iterations", "abc")


def test_the_least_rights_are_enough_and_not_more(database: Database) -> None:
    database.run(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'writer') THEN"
        " CREATE ROLE writer LOGIN; CREATE ROLE team LOGIN; CREATE ROLE auditor LOGIN;"
        " GRANT writer TO team; END IF; END $$"
    )
    database.run(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON configuration TO writer;"
        " GRANT SELECT ON configuration_audit TO auditor"
    )

    with psycopg.connect(_as(database, "team"), autocommit=True) as team:
        team.execute("SET ROLE writer")
        team.execute("INSERT INTO configuration (key, value) VALUES ('agent_role', 'one')")
        team.execute("UPDATE configuration SET value = 'two'")
        team.execute("DELETE FROM configuration")
        for forbidden in FORBIDDEN:
            with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)):
                team.execute(forbidden)
    with psycopg.connect(_as(database, "auditor"), autocommit=True) as auditor:
        rows = auditor.execute(
            "SELECT session_role, active_role FROM configuration_audit"
        ).fetchall()
        assert rows == [("team", "writer")] * 3
        with pytest.raises(errors.InsufficientPrivilege):
            auditor.execute("SELECT * FROM configuration")


FORBIDDEN: tuple[LiteralString, ...] = (
    "SELECT * FROM configuration_audit",
    "INSERT INTO configuration_audit (operation) VALUES ('INSERT')",
    "SELECT retunable_secret('a', 'b')",
    "CREATE TEMP TABLE mine (LIKE configuration); CREATE TRIGGER forge AFTER INSERT ON mine"
    " FOR EACH ROW EXECUTE FUNCTION retunable_audit()",
)


def _as(database: Database, role: str) -> str:
    return database.url.replace("postgres@", f"{role}@")
