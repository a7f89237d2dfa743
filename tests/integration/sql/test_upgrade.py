"""Applied again, and over a table that was there before: data stays, or nothing happens at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

from tests.integration.sql.database import OURS

if TYPE_CHECKING:
    from typing import Any, LiteralString

    from tests.integration.sql.database import Database

pytestmark = pytest.mark.postgresql

OUR_TRIGGERS = ["retunable_audit", "retunable_check", "retunable_notify", "retunable_truncate"]


def _triggers(database: Database) -> list[str]:
    rows = database.run(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'configuration'::regclass"
        " AND NOT tgisinternal ORDER BY tgname"
    )
    return [name for (name,) in rows]


def _columns(database: Database) -> list[tuple[Any, ...]]:
    return database.run(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = 'configuration'::regclass AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum"
    )


RIGHT_COLUMNS = [
    ("key", "character varying", True),
    ("value", "character varying", True),
    ("version", "character varying", True),
    ("metadata", "json", False),
]


def test_a_new_table_has_the_columns_that_dapr_reads(database: Database) -> None:
    assert _columns(database) == RIGHT_COLUMNS
    assert _triggers(database) == OUR_TRIGGERS


def test_applying_it_again_changes_nothing(database: Database) -> None:
    database.put("agent_role", "one")
    rows, audit, oid = database.rows(), database.audit(), _filenode(database)
    database.apply()

    assert (database.rows(), database.audit(), _filenode(database)) == (rows, audit, oid)
    assert _triggers(database) == OUR_TRIGGERS
    database.put("agent_role", "two")
    assert len(database.audit()) == 2


def _filenode(database: Database) -> list[tuple[Any, ...]]:
    return database.run("SELECT pg_relation_filenode('configuration')")


def test_two_at_the_same_time_do_not_disturb_each_other(empty: Database) -> None:
    failures: list[BaseException] = []

    def apply() -> None:
        try:
            with psycopg.connect(empty.url, autocommit=True) as connection:
                connection.execute(OURS.read_bytes())
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=apply) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert _triggers(empty) == OUR_TRIGGERS


def test_daprs_documented_trigger_is_replaced_and_data_is_kept(empty: Database) -> None:
    empty.apply_documented()
    empty.run("INSERT INTO configuration VALUES ('agent_role', 'one', '3', '{\"a\": \"b\"}')")
    empty.run("INSERT INTO configuration VALUES ('other', 'x', 'v1')")
    empty.apply()

    assert _triggers(empty) == OUR_TRIGGERS
    assert "NOTICE: replaced trigger config, which called notify_event()" in empty.notices
    assert empty.rows() == [("agent_role", "one", "3"), ("other", "x", "v1")]
    assert empty.run("SELECT metadata FROM configuration WHERE key = 'agent_role'") == [
        ({"a": "b"},)
    ]
    empty.put("agent_role", "x" * 10_000)  # too long for the documented trigger
    assert empty.version("agent_role") == "4"


def test_the_trigger_is_found_under_any_name_and_strangers_stay(empty: Database) -> None:
    empty.apply_documented()
    empty.run("ALTER TRIGGER config ON configuration RENAME TO somebodys")
    empty.run("ALTER FUNCTION notify_event() RENAME TO configuration_event")
    empty.run(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        " CREATE FUNCTION cache() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_notify(''cache'', NEW.key); RETURN NULL; END';"
        " CREATE TRIGGER a_stamp BEFORE UPDATE ON configuration FOR EACH ROW"
        " EXECUTE FUNCTION stamp();"
        " CREATE TRIGGER b_cache AFTER UPDATE ON configuration FOR EACH ROW"
        " EXECUTE FUNCTION cache()"
    )
    empty.apply()

    assert _triggers(empty) == ["a_stamp", "b_cache", *OUR_TRIGGERS]


def test_of_duplicates_the_highest_version_stays_and_the_rest_goes_to_the_audit(
    empty: Database,
) -> None:
    empty.apply_documented()
    empty.run(
        "INSERT INTO configuration VALUES"
        " ('agent_role', 'text', 'v99'), ('agent_role', 'nine', '9'), ('agent_role', 'ten', '10'),"
        " ('agent_goal', 'first', '2'), ('agent_goal', 'second', '2'), ('other', 'x', '1')"
    )
    empty.apply()

    assert empty.rows() == [
        ("agent_goal", "first", "2"),
        ("agent_role", "ten", "10"),
        ("other", "x", "1"),
    ]
    moved = {(row["operation"], row["old_key"], row["old_value"]) for row in empty.audit()}
    assert moved == {
        ("MIGRATE", "agent_role", "text"),
        ("MIGRATE", "agent_role", "nine"),
        ("MIGRATE", "agent_goal", "second"),
    }
    assert all(row["new_key"] is None for row in empty.audit())
    with pytest.raises(errors.UniqueViolation):
        empty.run("INSERT INTO configuration (key, value) VALUES ('agent_role', 'again')")


@pytest.mark.parametrize(
    "table",
    [
        "key text, value text, version int, metadata jsonb",
        "key varchar(40), value varchar(100) NOT NULL, version bigint DEFAULT 1, metadata json",
        "key char(20), value text, version serial, metadata text",
        "key varchar PRIMARY KEY, value varchar, version varchar",
        "id_gone int, key text, value text, version smallint, metadata json",
    ],
)
def test_columns_of_other_types_are_mended_with_their_data(
    empty: Database, table: LiteralString
) -> None:
    empty.run(f"CREATE TABLE configuration ({table})")
    empty.run("ALTER TABLE configuration DROP COLUMN IF EXISTS id_gone")
    empty.run("INSERT INTO configuration (key, value, version) VALUES ('agent_role', 'one', 41)")
    empty.apply()
    empty.put("agent_role", "two")

    assert empty.rows() == [("agent_role", "two", "42")]
    assert [(name, null) for name, _, null in _columns(empty)] == [
        (name, null) for name, _, null in RIGHT_COLUMNS
    ]
    assert {kind for _, kind, _ in _columns(empty)} <= {
        "character varying",
        "text",
        "json",
        "jsonb",
    }


def test_rows_that_dapr_cannot_read_are_mended_and_recorded(empty: Database) -> None:
    empty.run(
        "CREATE TABLE configuration (key varchar, value varchar, version varchar, metadata json)"
    )
    empty.run(
        "INSERT INTO configuration VALUES ('a', NULL, '1', NULL), ('b', 'x', NULL, NULL),"
        " ('c', 'x', '1', '{\"n\": 1}'), (NULL, 'nobody', '1', NULL), ('fine', 'x', '1', NULL)"
    )
    empty.apply()

    assert empty.rows() == [("a", "", "1"), ("b", "x", "1"), ("c", "x", "1"), ("fine", "x", "1")]
    assert empty.run("SELECT key FROM configuration WHERE metadata IS NOT NULL") == []
    assert {row["operation"] for row in empty.audit()} == {"MIGRATE"}
    assert sorted(str(row["old_key"]) for row in empty.audit()) == ["None", "a", "b", "c"]
    assert [row["old_metadata"] for row in empty.audit() if row["old_key"] == "c"] == [{"n": 1}]


def test_a_value_from_before_that_breaks_a_rule_stays_and_is_named(empty: Database) -> None:
    empty.apply_documented()
    empty.run("INSERT INTO configuration VALUES ('max_iterations', 'abc', '1')")
    empty.apply()

    assert empty.rows() == [("max_iterations", "abc", "1")]
    assert 'WARNING: max_iterations must be an integer from 1 to 1000, got "abc"' in empty.notices


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (
            "CREATE TABLE configuration (key text, value text, version text, metadata json, x int)",
            "has the columns key, value, version, metadata, x",
        ),
        (
            "CREATE TABLE configuration (value text, key text, version text, metadata json)",
            "has the columns value, key, version, metadata",
        ),
        (
            "CREATE TABLE configuration (key text, value json, version text, metadata json)",
            "column value of configuration is json",
        ),
        ("CREATE VIEW configuration AS SELECT 1 AS key", "no ordinary table"),
    ],
)
def test_what_cannot_be_mended_is_refused_and_left_alone(
    empty: Database, before: LiteralString, reason: str
) -> None:
    empty.run(before)
    with pytest.raises(errors.RaiseException, match=reason) as refusal:
        empty.apply()
    empty.run("ROLLBACK")

    assert refusal.value.diag.message_hint
    assert (
        empty.run("SELECT to_regclass('configuration_audit'), count(*) FROM configuration")[0][0]
        is None
    )
    assert empty.run("SELECT count(*) FROM pg_proc WHERE proname LIKE 'retunable%'") == [(0,)]


def test_everything_stands_in_the_schema_where_the_table_is(empty: Database) -> None:
    empty.run("CREATE SCHEMA team; SET search_path = team")
    empty.apply()
    empty.run("SET search_path = public")
    empty.run("INSERT INTO team.configuration (key, value) VALUES ('agent_role', 'one')")

    assert empty.run("SELECT new_value FROM team.configuration_audit") == [("one",)]
    assert empty.run(
        "SELECT DISTINCT pronamespace::regnamespace::text FROM pg_proc"
        " WHERE proname LIKE 'retunable%'"
    ) == [("team",)]


def test_a_table_further_down_the_search_path_is_the_one(empty: Database) -> None:
    empty.apply_documented()
    empty.run("CREATE SCHEMA postgres")  # "$user" comes first in the search path
    empty.apply()

    assert empty.run("SELECT to_regclass('postgres.configuration')") == [(None,)]
    assert _triggers(empty) == OUR_TRIGGERS


def test_a_shadowing_temporary_table_receives_no_audit(database: Database) -> None:
    database.run("CREATE TEMP TABLE configuration_audit (LIKE public.configuration_audit)")
    database.put("agent_role", "one")

    assert database.run("SELECT count(*) FROM pg_temp.configuration_audit") == [(0,)]
    assert database.run("SELECT count(*) FROM public.configuration_audit") == [(1,)]
