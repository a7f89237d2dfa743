"""What a listener of the channel receives: enough to read again, and nothing that can end daprd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import Connection, errors

from dev.resources import POSTGRES_RESOURCES, components

if TYPE_CHECKING:
    from tests.integration.sql.database import Database

pytestmark = pytest.mark.postgresql


def _received(database: Database, listener: Connection[Any]) -> list[str]:
    """Return the payloads up to now: what a last notification of our own comes after."""
    database.run("SELECT pg_notify('config', 'the end')")
    payloads: list[str] = []
    for notification in listener.notifies(timeout=10):
        if notification.payload == "the end":
            return payloads
        payloads.append(notification.payload)
    raise AssertionError("the last notification did not come")


def _items(database: Database, listener: Connection[Any]) -> list[tuple[str, str]]:
    data = [json.loads(payload)["data"] for payload in _received(database, listener)]
    assert all(set(item) == {"key", "value", "version"} for item in data)
    assert all(item["value"] == "" for item in data)
    return [(item["key"], item["version"]) for item in data]


def test_the_payload_is_exactly_this(database: Database, listener: Connection[Any]) -> None:
    database.put("agent_role", 'Expert "Researcher"')

    assert _received(database, listener) == [
        '{"data" : {"key" : "agent_role", "value" : "", "version" : "1"}}'
    ]


def test_insert_update_and_delete_are_announced(
    database: Database, listener: Connection[Any]
) -> None:
    database.put("agent_role", "one")
    database.put("agent_role", "two")
    database.run("DELETE FROM configuration")

    assert _items(database, listener) == [
        ("agent_role", "1"),
        ("agent_role", "2"),
        ("agent_role", "2"),
    ]


def test_a_changed_key_is_announced_under_both(
    database: Database, listener: Connection[Any]
) -> None:
    database.put("agent_role", "one")
    database.run("UPDATE configuration SET key = 'support/agent_role'")

    assert sorted(_items(database, listener)[1:]) == [
        ("agent_role", "1"),
        ("support/agent_role", "2"),
    ]


def test_one_statement_over_many_rows_announces_each(
    database: Database, listener: Connection[Any]
) -> None:
    with database.connection.transaction():
        database.put("agent_role", "one")
        database.put("agent_goal", "one")
    database.run("UPDATE configuration SET value = 'two'")

    assert sorted(_items(database, listener)) == sorted(
        (key, version) for key in ("agent_role", "agent_goal") for version in ("1", "2")
    )


def test_truncate_announces_every_row(database: Database, listener: Connection[Any]) -> None:
    database.put("agent_role", "one")
    database.put("agent_goal", "one")
    database.run("TRUNCATE configuration")

    assert sorted(_items(database, listener)[2:]) == [("agent_goal", "1"), ("agent_role", "1")]


def test_a_rollback_announces_nothing(database: Database, listener: Connection[Any]) -> None:
    with database.connection.transaction(force_rollback=True):
        database.put("agent_role", "one")

    assert _received(database, listener) == []


def test_a_refused_statement_announces_nothing(
    database: Database, listener: Connection[Any]
) -> None:
    with pytest.raises(errors.CheckViolation):
        database.put("max_iterations", "abc")

    assert _received(database, listener) == []


@pytest.mark.parametrize("value", ["x" * 2_000_000, "\n" * 100_000])
def test_a_value_of_any_size_is_stored_and_announced(
    database: Database, listener: Connection[Any], value: str
) -> None:
    database.put("other", value)

    assert _items(database, listener) == [("other", "1")]


def test_the_longest_key_and_version_fit_into_a_notification(
    database: Database, listener: Connection[Any]
) -> None:
    key, version = "\x01" * 1000, "\x01" * 5000
    database.run("INSERT INTO configuration VALUES (%s, 'x', %s)", (key, version))

    assert _items(database, listener) == [(key, version[:100])]


@pytest.mark.parametrize("column", ["key", "value", "version"])
@pytest.mark.parametrize("text", ['"}}', "null", "1", "\\", "\u2028\U0001f600", "'; SELECT 1; --"])
def test_no_text_in_a_row_changes_the_payloads_shape(
    database: Database, listener: Connection[Any], column: str, text: str
) -> None:
    row = {"key": "other", "value": "x", "version": "1"} | {column: text}
    database.run(
        'INSERT INTO configuration VALUES (%s, %s, %s, \'{"a": "b"}\')', tuple(row.values())
    )

    assert _items(database, listener) == [(row["key"], row["version"])]


def test_the_channel_is_the_one_that_the_component_names(database: Database) -> None:
    (store,) = (
        c for c in components(POSTGRES_RESOURCES) if c["metadata"]["name"] == "runtime-config"
    )
    settings = {item["name"]: item["value"] for item in store["spec"]["metadata"]}
    ((source,),) = database.run("SELECT prosrc FROM pg_proc WHERE proname = 'retunable_announce'")

    assert f"pg_notify('{settings['notifyChannel']}'" in source
    assert database.run("SELECT to_regclass(%s)", (settings["table"],)) != [(None,)]
